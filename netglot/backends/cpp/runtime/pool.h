// Pooling of float32 images whose channels lie together: a vector of channels at a time, over what a window sees.
#pragma once

#include <limits>

#include "parallel.h"
#include "shapes.h"
#include "taps.h"
#include "vector_math.h"

namespace NETGLOT_NAMESPACE {

// Each operation says what a window begins with, what an element adds to it, how two rows of the window go together, and
// what is stored.

/// The largest element; NaN if there is one.
struct PoolMax {
  NETGLOT_TARGET NETGLOT_INLINE static Floats start() { return splat(std::numeric_limits<float>::lowest()); }
  NETGLOT_TARGET NETGLOT_INLINE static Floats add(Floats sum, Floats x) { return maximum(sum, x); }
  NETGLOT_TARGET NETGLOT_INLINE static Floats join(Floats a, Floats b) { return maximum(a, b); }
  NETGLOT_TARGET NETGLOT_INLINE static Floats finish(Floats sum, float) { return sum; }
};

/// The mean: the sum divided by how many elements count.
struct PoolMean {
  NETGLOT_TARGET NETGLOT_INLINE static Floats start() { return Floats{}; }
  NETGLOT_TARGET NETGLOT_INLINE static Floats add(Floats sum, Floats x) { return sum + x; }
  NETGLOT_TARGET NETGLOT_INLINE static Floats join(Floats a, Floats b) { return a + b; }
  NETGLOT_TARGET NETGLOT_INLINE static Floats finish(Floats sum, float count) { return sum / splat(count); }
};

/// The sum of absolute values.
struct PoolL1 : PoolMean {
  NETGLOT_TARGET NETGLOT_INLINE static Floats add(Floats sum, Floats x) { return sum + magnitude(x); }
  NETGLOT_TARGET NETGLOT_INLINE static Floats finish(Floats sum, float) { return sum; }
};

/// The root of the sum of squares.
struct PoolL2 : PoolMean {
  NETGLOT_TARGET NETGLOT_INLINE static Floats add(Floats sum, Floats x) { return sum + x * x; }
  NETGLOT_TARGET NETGLOT_INLINE static Floats finish(Floats sum, float) { return sqrt(sum); }
};

struct Pool {
  const Window& window;
  const float* x;
  float* y;
  const float *row_counts, *column_counts;  // how many elements count along each axis of a window; or null
};

/// `Vectors` vectors of channels of one window, which sees rows x columns pixels; `left` channels if it is not full.
template <class Op, Index Vectors, bool Part>
NETGLOT_TARGET NETGLOT_INLINE void pool_window(const Window& v, const float* x, Index rows, Index columns, float count,
                                               Index left, float* y) {
  const Index row_step = v.dilation_y * v.width * v.channels, step = v.dilation_x * v.channels;
  Floats total[Vectors];
  NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i) total[i] = Op::start();
  for (Index row = 0; row < rows; ++row, x += row_step) {
    Floats sum[Vectors];  // sums of sums lose fewer digits than one long sum
    NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i) sum[i] = Op::start();
    const float* at = x;
    for (Index column = 0; column < columns; ++column, at += step) {
      NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i)
          sum[i] = Op::add(sum[i], Part ? load_part(at, left) : load(at + i * lanes));
    }
    NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i) total[i] = Op::join(total[i], sum[i]);
  }
  NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i) {
    const Floats result = Op::finish(total[i], count);
    if (Part) {
      store_part(y, result, left);
    } else {
      store(y + i * lanes, result);
    }
  }
}

/// One row of outputs.
template <class Op>
NETGLOT_TARGET void pool_row(void* context, Index task, Index) {
  const Pool p = *static_cast<const Pool*>(context);
  const Window v = p.window;
  const Index row = task % v.out_height, top = row * v.stride_y - v.pad_top;
  const Range rows = taps_inside(top, v.height, v.kernel_height, v.dilation_y);
  const float* const image = p.x + task / v.out_height * v.height * v.width * v.channels;
  float* y = p.y + task * v.out_width * v.channels;
  for (Index column = 0; column < v.out_width; ++column, y += v.channels) {
    const Index start = column * v.stride_x - v.pad_left;
    const Range columns = taps_inside(start, v.width, v.kernel_width, v.dilation_x);
    const Index high = rows.end - rows.first, wide = columns.end - columns.first;
    const Index pixel = (top + rows.first * v.dilation_y) * v.width + start + columns.first * v.dilation_x;
    const float* const x = high > 0 && wide > 0 ? image + pixel * v.channels : image;
    const float count = p.row_counts ? p.row_counts[row] * p.column_counts[column] : 1.0f;
    Index c = 0;
    for (; c + 4 * lanes <= v.channels; c += 4 * lanes)
      pool_window<Op, 4, false>(v, x + c, high, wide, count, 0, y + c);
    for (; c + lanes <= v.channels; c += lanes) pool_window<Op, 1, false>(v, x + c, high, wide, count, 0, y + c);
    if (c < v.channels) pool_window<Op, 1, true>(v, x + c, high, wide, count, v.channels - c, y + c);
  }
}

/// y = Op over each window of x; what lies in the padding is left out. The counts are for PoolMean: [out_height] and
/// [out_width].
template <class Op>
NETGLOT_INLINE void pool_images(const Window& window, const float* x, float* y, const netglot::Parallel& parallel,
                                const float* row_counts = nullptr, const float* column_counts = nullptr) {
  Pool p{window, x, y, row_counts, column_counts};
  netglot::for_each(parallel, window.batch * window.out_height, pool_row<Op>, &p);
}

}  // namespace NETGLOT_NAMESPACE
