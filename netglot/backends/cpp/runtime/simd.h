// Vectors of the level that is compiled for, by the compilers' vector extensions; without them, single numbers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa.h"

#if defined(NETGLOT_X86)
#include <immintrin.h>
#endif

namespace NETGLOT_NAMESPACE {

using Index = std::ptrdiff_t;

constexpr Index lanes = NETGLOT_LANES;  // floats in one vector
constexpr Index panel = 16;             // output channels that lie together in packed weights, on every processor

#if NETGLOT_LANES > 1
typedef float Floats __attribute__((vector_size(4 * NETGLOT_LANES)));
typedef std::int32_t Ints __attribute__((vector_size(4 * NETGLOT_LANES)));
#else
using Floats = float;
using Ints = std::int32_t;
#endif

/// The vector that lies at `p`, which may have any alignment.
NETGLOT_TARGET NETGLOT_INLINE Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

NETGLOT_TARGET NETGLOT_INLINE void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }

/// The first `count` elements (fewer than `lanes`) of the vector at `p`; zeros after them, which are not read.
NETGLOT_TARGET NETGLOT_INLINE Floats load_part(const float* p, Index count) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Floats)_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p);
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Floats)_mm256_maskload_ps(p, (__m256i)(Ints{0, 1, 2, 3, 4, 5, 6, 7} < std::int32_t(count)));
#else
  float part[lanes] = {};
  NETGLOT_UNROLL for (Index i = 0; i < lanes; ++i)
      if (i < count) part[i] = p[i];
  return load(part);
#endif
}

NETGLOT_TARGET NETGLOT_INLINE void store_part(float* p, Floats v, Index count) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), (__m512)v);
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  _mm256_maskstore_ps(p, (__m256i)(Ints{0, 1, 2, 3, 4, 5, 6, 7} < std::int32_t(count)), (__m256)v);
#else
  float part[lanes];
  store(part, v);
  NETGLOT_UNROLL for (Index i = 0; i < lanes; ++i)
      if (i < count) p[i] = part[i];
#endif
}

NETGLOT_TARGET NETGLOT_INLINE Floats splat(float x) { return x - Floats{}; }

/// a where it is larger, else b: so NaN, if it comes second, stays.
NETGLOT_TARGET NETGLOT_INLINE Floats larger(Floats a, Floats b) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Floats)_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b);  // plain max_ps warns in GCC 12
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Floats)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(NETGLOT_X86)
  return (Floats)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}

/// a where it is smaller, else b: so NaN, if it comes second, stays.
NETGLOT_TARGET NETGLOT_INLINE Floats smaller(Floats a, Floats b) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Floats)_mm512_maskz_min_ps(0xFFFF, (__m512)a, (__m512)b);  // plain min_ps warns in GCC 12
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Floats)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(NETGLOT_X86)
  return (Floats)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}

/// x limited to low...high; NaN stays NaN.
NETGLOT_TARGET NETGLOT_INLINE Floats limited(Floats x, Floats low, Floats high) {
  return smaller(high, larger(low, x));
}

/// The sum of all elements.
NETGLOT_TARGET NETGLOT_INLINE float sum(Floats v) {
  float part[lanes];
  store(part, v);
  for (Index half = lanes / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

}  // namespace NETGLOT_NAMESPACE
