// Elements that move: rows that lie together in both tensors, and matrices that are transposed.
#pragma once

#include "simd.h"

#if defined(__aarch64__) && defined(__GNUC__)
#include <arm_neon.h>
#endif

namespace NETGLOT_NAMESPACE {

/// y[i] = x[i] for i < Count.
template <std::size_t Count, class T>
NETGLOT_INLINE void copy_row(T* y, const T* x) {
  std::memcpy(y, x, Count * sizeof(T));
}

#if defined(NETGLOT_X86) || (defined(__aarch64__) && defined(__GNUC__))
typedef float Quad __attribute__((vector_size(16)));

NETGLOT_TARGET NETGLOT_INLINE Quad load_quad(const void* p) {
  Quad v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/// a[0], b[0], a[1], b[1].
NETGLOT_TARGET NETGLOT_INLINE Quad zip_low(Quad a, Quad b) {
#if defined(NETGLOT_X86)
  return (Quad)_mm_unpacklo_ps((__m128)a, (__m128)b);
#else
  return (Quad)vzip1q_f32((float32x4_t)a, (float32x4_t)b);
#endif
}

/// a[2], b[2], a[3], b[3].
NETGLOT_TARGET NETGLOT_INLINE Quad zip_high(Quad a, Quad b) {
#if defined(NETGLOT_X86)
  return (Quad)_mm_unpackhi_ps((__m128)a, (__m128)b);
#else
  return (Quad)vzip2q_f32((float32x4_t)a, (float32x4_t)b);
#endif
}

/// A block of 4 rows and 4 columns of elements of four bytes, whatever they are.
template <class T>
NETGLOT_TARGET NETGLOT_INLINE void transpose_block(T* y, Index y_step, const T* x, Index x_step) {
  static_assert(sizeof(T) == 4);
  const Quad a = load_quad(x), b = load_quad(x + x_step);
  const Quad c = load_quad(x + 2 * x_step), d = load_quad(x + 3 * x_step);
  const Quad ac = zip_low(a, c), bd = zip_low(b, d), ac_high = zip_high(a, c), bd_high = zip_high(b, d);
  const Quad rows[] = {zip_low(ac, bd), zip_high(ac, bd), zip_low(ac_high, bd_high), zip_high(ac_high, bd_high)};
  NETGLOT_UNROLL for (Index i = 0; i < 4; ++i) std::memcpy(y + i * y_step, &rows[i], sizeof(Quad));
}
#else
template <class T>
NETGLOT_INLINE void transpose_block(T* y, Index y_step, const T* x, Index x_step) {
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j) y[i * y_step + j] = x[j * x_step + i];
}
#endif

/// y[i * y_step + j] = x[j * x_step + i] for i < rows and j < columns. Sixteen rows at once: what is read of x is then
/// whole lines of the cache. (Opaque: GCC 12 warns of loops that never run for the sizes given, as if they overflowed.)
template <class T>
NETGLOT_TARGET NETGLOT_OPAQUE inline void transpose(T* y, Index y_step, const T* x, Index x_step, Index rows,
                                                    Index columns) {
  const Index whole = sizeof(T) == 4 ? columns / 4 * 4 : 0;
  for (Index first = 0; first < rows; first += 16) {
    const Index last = first + 16 < rows ? first + 16 : rows;
    Index j = 0;
    if constexpr (sizeof(T) == 4)
      for (; j < whole; j += 4) {
        Index i = first;
        for (; i + 4 <= last; i += 4) transpose_block(y + i * y_step + j, y_step, x + j * x_step + i, x_step);
        for (; i < last; ++i)
          for (Index k = j; k < j + 4; ++k) y[i * y_step + k] = x[k * x_step + i];
      }
    for (Index i = first; i < last; ++i)
      for (Index k = j; k < columns; ++k) y[i * y_step + k] = x[k * x_step + i];
  }
}

}  // namespace NETGLOT_NAMESPACE
