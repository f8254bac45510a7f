// Sums, products, functions and pools of 8-bit numbers, and the way from floats to them and back.
#pragma once

#include "parallel.h"
#include "quantized_bytes.h"
#include "shapes.h"

namespace NETGLOT_NAMESPACE {

/// A number q of a tensor stands for scale * (q - zero).
struct Grid {
  float scale;
  std::int32_t zero;
};

/// What limits y: low...high, less its zero point.
struct ByteLimits {
  float low, high;
  std::int32_t zero;
};

/// Elements of a task.
constexpr Index byte_task = 1 << 13;

constexpr Index byte_tasks(Index count) { return (count + byte_task - 1) / byte_task; }

/// `count` (at most `lanes`) numbers as 32 bits.
template <class T>
NETGLOT_TARGET NETGLOT_INLINE Ints byte_ints(const T* p, Index count) {
  std::int32_t part[lanes] = {};
  for (Index i = 0; i < count; ++i) part[i] = p[i];
  return load_ints(part);
}

/// `lanes` numbers as 32 bits.
template <class T>
NETGLOT_TARGET NETGLOT_INLINE Ints byte_ints(const T* p) {
#if NETGLOT_LANES > 1
  typedef T Narrow __attribute__((vector_size(sizeof(T) * NETGLOT_LANES)));
  Narrow v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Ints);
#else
  return *p;
#endif
}

/// `count` (at most `lanes`) results; each is in the range of T.
template <class T>
NETGLOT_TARGET NETGLOT_INLINE void store_narrowed(T* p, Ints v, Index count) {
  if constexpr (sizeof(T) == 1) {
    if (count == lanes) return store_bytes(reinterpret_cast<Byte*>(p), v);
  }
  std::int32_t part[lanes];
  std::memcpy(part, &v, sizeof v);
  for (Index i = 0; i < count; ++i) p[i] = T(part[i]);
}

NETGLOT_TARGET NETGLOT_INLINE Ints rounded(Floats v, const ByteLimits& to) {
  return to_ints(limited(v, splat(to.low), splat(to.high))) + splat_int(to.zero);
}

// ---------------------------------------------------------------- from floats and back

template <class T>
struct Quantize {
  const float* x;
  T* y;
  Index count;
  float scale;
  ByteLimits to;

  NETGLOT_TARGET static void task(void* context, Index task, Index) {
    const Quantize& q = *static_cast<const Quantize*>(context);
    const Index stop = (task + 1) * byte_task < q.count ? (task + 1) * byte_task : q.count;
    Index i = task * byte_task;
    for (; i + lanes <= stop; i += lanes)
      store_narrowed(q.y + i, rounded(load(q.x + i) / splat(q.scale), q.to), lanes);
    if (i < stop) store_narrowed(q.y + i, rounded(load_part(q.x + i, stop - i) / splat(q.scale), q.to), stop - i);
  }
};

/// y = x / scale, rounded half to even, + zero, limited: ONNX's QuantizeLinear.
template <class T>
void quantize(const Parallel& parallel, const float* x, T* y, Index count, float scale, const ByteLimits& to) {
  Quantize<T> q{x, y, count, scale, to};
  for_each(parallel, byte_tasks(count), Quantize<T>::task, &q);
}

template <class T>
struct Dequantize {
  const T* x;
  float* y;
  Index count;
  Grid grid;

  NETGLOT_TARGET static void task(void* context, Index task, Index) {
    const Dequantize& d = *static_cast<const Dequantize*>(context);
    const Index stop = (task + 1) * byte_task < d.count ? (task + 1) * byte_task : d.count;
    const Ints zero = splat_int(d.grid.zero);
    const Floats scale = splat(d.grid.scale);
    Index i = task * byte_task;
    for (; i + lanes <= stop; i += lanes) store(d.y + i, to_floats(byte_ints(d.x + i) - zero) * scale);
    if (i < stop) store_part(d.y + i, to_floats(byte_ints(d.x + i, stop - i) - zero) * scale, stop - i);
  }
};

/// y = (x - zero) * scale: ONNX's DequantizeLinear.
template <class T>
void dequantize(const Parallel& parallel, const T* x, float* y, Index count, const Grid& grid) {
  Dequantize<T> d{x, y, count, grid};
  for_each(parallel, byte_tasks(count), Dequantize<T>::task, &d);
}

// ---------------------------------------------------------------- elementwise

/// y = a and b combined. Scales are relative to that of y.
template <class A, class B, class Y, bool Product>
struct ByteBinary {
  const A* a;
  const B* b;
  Y* y;
  Index count;
  Grid grid_a, grid_b;
  ByteLimits to;

  NETGLOT_TARGET NETGLOT_INLINE Ints combined(Ints p, Ints q) const {
    p -= splat_int(grid_a.zero);
    q -= splat_int(grid_b.zero);
    if constexpr (Product) return rounded(to_floats(p * q) * splat(grid_a.scale), to);
    return rounded(to_floats(p) * splat(grid_a.scale) + to_floats(q) * splat(grid_b.scale), to);
  }

  NETGLOT_TARGET static void task(void* context, Index task, Index) {
    const ByteBinary& c = *static_cast<const ByteBinary*>(context);
    const Index stop = (task + 1) * byte_task < c.count ? (task + 1) * byte_task : c.count;
    Index i = task * byte_task;
    for (; i + lanes <= stop; i += lanes)
      store_narrowed(c.y + i, c.combined(byte_ints(c.a + i), byte_ints(c.b + i)), lanes);
    if (i < stop)
      store_narrowed(c.y + i, c.combined(byte_ints(c.a + i, stop - i), byte_ints(c.b + i, stop - i)), stop - i);
  }
};

/// y = a + b, element by element.
template <class A, class B, class Y>
void quantized_add(const Parallel& parallel, const A* a, const Grid& grid_a, const B* b, const Grid& grid_b, Y* y,
                   Index count, const ByteLimits& to) {
  ByteBinary<A, B, Y, false> c{a, b, y, count, grid_a, grid_b, to};
  for_each(parallel, byte_tasks(count), ByteBinary<A, B, Y, false>::task, &c);
}

/// y = a * b, element by element; the scale of a is that of the product.
template <class A, class B, class Y>
void quantized_multiply(const Parallel& parallel, const A* a, const Grid& grid_a, const B* b, const Grid& grid_b, Y* y,
                        Index count, const ByteLimits& to) {
  ByteBinary<A, B, Y, true> c{a, b, y, count, grid_a, grid_b, to};
  for_each(parallel, byte_tasks(count), ByteBinary<A, B, Y, true>::task, &c);
}

template <class X, class Y>
struct Lookup {
  const X* x;
  const Y* table;
  Y* y;
  Index count;

  static void task(void* context, Index task, Index) {
    const Lookup& l = *static_cast<const Lookup*>(context);
    const Index stop = (task + 1) * byte_task < l.count ? (task + 1) * byte_task : l.count;
    for (Index i = task * byte_task; i < stop; ++i) l.y[i] = l.table[Byte(l.x[i])];
  }
};

/// y = table[x], where x counts as the byte that it is stored as.
template <class X, class Y>
void lookup(const Parallel& parallel, const X* x, const Y* table, Y* y, Index count) {
  Lookup<X, Y> l{x, table, y, count};
  for_each(parallel, byte_tasks(count), Lookup<X, Y>::task, &l);
}

/// One number of a sum or product, where a and b are broadcast.
template <class Y>
inline Y quantized_one(float v, const ByteLimits& to) {
  v = v < to.low ? to.low : v > to.high ? to.high : v;
  return Y(std::int32_t(std::nearbyint(v)) + to.zero);
}

// ---------------------------------------------------------------- means and pools

/// A pool as its tasks see it; a task is a row of y. Images are stored with channels last.
template <class T, class Y>
struct BytePool {
  const T* x;
  Y* y;
  Window window;
  Index end_y, end_x;  ///< where the padding ends, counted from the first pixel
  bool counts_padding;
  float scale;  ///< of x, relative to that of y
  std::int32_t zero;
  ByteLimits to;
};

/// The taps of a kernel along one axis that are in low...high-1.
struct Taps {
  Index first, last;

  Taps(Index start, Index taps, Index dilation, Index low, Index high) : first(0), last(taps) {
    while (first < last && start + first * dilation < low) ++first;
    while (first < last && start + (last - 1) * dilation >= high) --last;
  }
  Index count() const { return last - first; }
};

template <class T, class Y>
NETGLOT_TARGET void byte_average_row(void* context, Index task, Index) {
  const BytePool<T, Y>& p = *static_cast<const BytePool<T, Y>*>(context);
  const Window& w = p.window;
  const Index top = task % w.out_height * w.stride_y - w.pad_top, channels = w.channels;
  const Taps rows(top, w.kernel_height, w.dilation_y, 0, w.height);
  const Taps padded_rows(top, w.kernel_height, w.dilation_y, -w.pad_top, p.end_y);
  const T* image = p.x + task / w.out_height * w.height * w.width * channels;
  for (Index ox = 0; ox < w.out_width; ++ox) {
    const Index left = ox * w.stride_x - w.pad_left;
    const Taps columns(left, w.kernel_width, w.dilation_x, 0, w.width);
    const Taps padded_columns(left, w.kernel_width, w.dilation_x, -w.pad_left, p.end_x);
    const Index inside = rows.count() * columns.count();
    const Index divisor = p.counts_padding ? padded_rows.count() * padded_columns.count() : inside;
    const Floats factor = splat(p.scale / float(divisor > 0 ? divisor : 1));
    for (Index c = 0; c < channels; c += lanes) {
      const Index count = channels - c < lanes ? channels - c : lanes;
      Ints sum = splat_int(-std::int32_t(inside) * p.zero);
      for (Index ky = rows.first; ky < rows.last; ++ky) {
        const Index row = (top + ky * w.dilation_y) * w.width + left;
        for (Index kx = columns.first; kx < columns.last; ++kx) {
          const T* pixel = image + (row + kx * w.dilation_x) * channels + c;
          sum += count == lanes ? byte_ints(pixel) : byte_ints(pixel, count);
        }
      }
      store_narrowed(p.y + (task * w.out_width + ox) * channels + c, rounded(to_floats(sum) * factor, p.to), count);
    }
  }
}

/// y = the average of each window; a window without a pixel gives zero.
template <class T, class Y>
void quantized_average(const Parallel& parallel, BytePool<T, Y> p) {
  for_each(parallel, p.window.batch * p.window.out_height, byte_average_row<T, Y>, &p);
}

NETGLOT_TARGET NETGLOT_INLINE Ints larger_bytes(Ints a, Ints b) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Ints)_mm512_max_epu8((__m512i)a, (__m512i)b);
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Ints)_mm256_max_epu8((__m256i)a, (__m256i)b);
#elif defined(NETGLOT_X86)
  return (Ints)_mm_max_epu8((__m128i)a, (__m128i)b);
#elif NETGLOT_LANES == 4
  return (Ints)vmaxq_u8((uint8x16_t)a, (uint8x16_t)b);
#else
  Byte p[4], q[4];
  std::memcpy(p, &a, sizeof p);
  std::memcpy(q, &b, sizeof q);
  for (Index i = 0; i < 4; ++i) p[i] = p[i] > q[i] ? p[i] : q[i];
  return load_ints(p);
#endif
}

/// A max pool as its tasks see it; a task is a row of y. Flipped bytes are in order as uint8.
struct ByteMax {
  const Byte* x;
  Byte* y;
  Window window;
  Byte flip;
};

template <Index Known>
NETGLOT_TARGET NETGLOT_INLINE void byte_max(const ByteMax& p, Index corner, const Taps& rows, const Taps& columns,
                                            Byte* y, Extent<Known> extent) {
  const Ints flip = splat_byte(p.flip);
  Ints best = splat_byte(0);
  for (Index ky = rows.first; ky < rows.last; ++ky) {
    for (Index kx = columns.first; kx < columns.last; ++kx) {
      const Index pixel = ky * p.window.dilation_y * p.window.width + kx * p.window.dilation_x;
      best = larger_bytes(best, load_bytes(p.x + (corner + pixel * p.window.channels), extent) ^ flip);
    }
  }
  store_bytes(y, best ^ flip, extent);
}

NETGLOT_TARGET inline void byte_max_row(void* context, Index task, Index) {
  const ByteMax& p = *static_cast<const ByteMax*>(context);
  const Window& w = p.window;
  const Index top = task % w.out_height * w.stride_y - w.pad_top, channels = w.channels;
  const Taps rows(top, w.kernel_height, w.dilation_y, 0, w.height);
  for (Index ox = 0; ox < w.out_width; ++ox) {
    const Index left = ox * w.stride_x - w.pad_left;
    const Taps columns(left, w.kernel_width, w.dilation_x, 0, w.width);
    const Index corner = ((task / w.out_height * w.height + top) * w.width + left) * channels;
    Byte* y = p.y + (task * w.out_width + ox) * channels;
    Index c = 0;
    for (; c + bytes_wide <= channels; c += bytes_wide)
      byte_max(p, corner + c, rows, columns, y + c, Extent<bytes_wide>{bytes_wide});
    if (c < channels) byte_max(p, corner + c, rows, columns, y + c, Extent<0>{channels - c});
  }
}

/// y = the largest number of each window; a window without a pixel gives the lowest of its type.
template <class T>
void quantized_max(const Parallel& parallel, const T* x, T* y, const Window& window) {
  const Byte flip = T(-1) < T(0) ? 0x80 : 0;
  ByteMax p{reinterpret_cast<const Byte*>(x), reinterpret_cast<Byte*>(y), window, flip};
  for_each(parallel, window.batch * window.out_height, byte_max_row, &p);
}

}  // namespace NETGLOT_NAMESPACE
