// Weights that are stored smaller than they are computed with: as halves (IEEE 754 binary16, finite), or as bytes with
// a factor for each output channel. They become floats a few panels at a time.
#pragma once

#include "simd.h"

namespace NETGLOT_NAMESPACE {

enum class Stored { floats, halves, bytes };

/// Packed weights (packing.py); `scales` are one for each output channel, in whole panels, if they are bytes.
struct Weights {
  const void* data;
  const float* scales;
  Stored as;

  Weights(const float* floats) : data(floats), scales(nullptr), as(Stored::floats) {}
  Weights(const std::uint16_t* halves) : data(halves), scales(nullptr), as(Stored::halves) {}
  Weights(const std::int8_t* bytes, const float* factors) : data(bytes), scales(factors), as(Stored::bytes) {}
};

/// A half as a float. The exponents of both differ by 112, which a product corrects for subnormal numbers too.
inline float widened_half(std::uint16_t half) {
  std::uint32_t bits = std::uint32_t(half & 0x7FFF) << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  value *= 0x1p112f;
  return half & 0x8000 ? -value : value;
}

NETGLOT_TARGET NETGLOT_INLINE Floats widened(const std::uint16_t* p) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  __m256i halves;
  std::memcpy(&halves, p, sizeof halves);
  return (Floats)_mm512_maskz_cvtph_ps(0xFFFF, halves);  // the plain one warns in GCC 12
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  __m128i halves;
  std::memcpy(&halves, p, sizeof halves);
  return (Floats)_mm256_cvtph_ps(halves);
#else
  float part[lanes];
  for (Index i = 0; i < lanes; ++i) part[i] = widened_half(p[i]);
  return load(part);
#endif
}

NETGLOT_TARGET NETGLOT_INLINE Floats widened(const std::int8_t* p) {
#if NETGLOT_LANES > 1
  typedef std::int8_t Bytes __attribute__((vector_size(NETGLOT_LANES)));
  Bytes bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, Floats);
#else
  return *p;
#endif
}

/// `depth` rows of one panel as floats.
template <class T>
NETGLOT_TARGET void widen_panel(const T* from, const float* scales, Index depth, float* to) {
  for (Index v = 0; v < panel; v += lanes) {
    const Floats scale = scales == nullptr ? splat(1) : load(scales + v);
    for (Index k = 0; k < depth; ++k) store(to + k * panel + v, widened(from + k * panel + v) * scale);
  }
}

/// Panels first...first+count-1 as floats: where they lie, or in `to`.
NETGLOT_TARGET inline const float* widen(const Weights& w, Index first, Index count, Index depth, float* to) {
  const Index size = depth * panel;
  if (w.as == Stored::floats) return static_cast<const float*>(w.data) + first * size;
  for (Index i = 0; i < count; ++i) {
    if (w.as == Stored::halves) {
      widen_panel(static_cast<const std::uint16_t*>(w.data) + (first + i) * size, nullptr, depth, to + i * size);
    } else {
      const float* const scales = w.scales + (first + i) * panel;
      widen_panel(static_cast<const std::int8_t*>(w.data) + (first + i) * size, scales, depth, to + i * size);
    }
  }
  return to;
}

}  // namespace NETGLOT_NAMESPACE
