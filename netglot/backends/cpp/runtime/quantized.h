// Arithmetic of 8-bit numbers: products of four pairs at a time, summed in 32 bits, and results brought back to 8 bits.
//
// A number q of a tensor stands for scale * (q - zero). Kernels read bytes as they lie in memory and turn int8 into
// uint8 by flipping the highest bit (q + 128), since the instructions multiply unsigned by signed bytes; what that and
// the zero point add to a sum depends on the weights alone, and the bias already takes it off.
#pragma once

#include "simd.h"

#if defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace NETGLOT_NAMESPACE {

using Byte = std::uint8_t;  // of int8 and uint8 tensors alike

/// How sums become outputs: y = limited(sum * scale, low, high) rounded to the nearest (half to even) + zero; or, for
/// outputs of float, y = sum * scale.
struct Requantize {
  const std::int32_t* bias;  ///< of each output channel, padded to whole panels; then again for signed factors
  const float* scale;        ///< of each output channel, padded likewise: scale(x) * scale(w) / scale(y)
  float low, high;           ///< limits of y, less its zero point
  std::int32_t zero;         ///< zero point of y
};

// Processors whose instructions multiply signed by signed bytes see uint8 as int8 (q - 128) instead.
#if defined(__GNUC__) && defined(__aarch64__)
constexpr bool signed_factors = true;
#else
constexpr bool signed_factors = false;
#endif

/// What bytes of a tensor are xor-ed with to become factors.
template <class T>
constexpr Byte flip_of = (T(-1) < T(0)) == signed_factors ? 0 : 0x80;

/// The biases that go with this processor's factors.
constexpr const std::int32_t* bias_for(const Requantize& to, Index padded) {
  return signed_factors ? to.bias + padded : to.bias;
}

/// Copies a few bytes without a call; returns the end of them.
inline Byte* copied(Byte* to, const Byte* from, Index count) {
  for (; count >= 8; count -= 8, to += 8, from += 8) std::memcpy(to, from, 8);
  if (count & 4) std::memcpy(to, from, 4), to += 4, from += 4;
  if (count & 2) std::memcpy(to, from, 2), to += 2, from += 2;
  if (count & 1) *to++ = *from;
  return to;
}

NETGLOT_TARGET NETGLOT_INLINE Ints splat_int(std::int32_t x) { return x - Ints{}; }

NETGLOT_TARGET NETGLOT_INLINE Ints splat_byte(Byte x) { return splat_int(std::int32_t(x * 0x01010101u)); }

NETGLOT_TARGET NETGLOT_INLINE Ints load_ints(const void* p) {
  Ints v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

NETGLOT_TARGET NETGLOT_INLINE Floats to_floats(Ints v) {
#if NETGLOT_LANES > 1
  return __builtin_convertvector(v, Floats);
#else
  return float(v);
#endif
}

/// Rounded to the nearest integer, half to even.
NETGLOT_TARGET NETGLOT_INLINE Ints to_ints(Floats v) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Ints)_mm512_maskz_cvtps_epi32(0xFFFF, (__m512)v);  // the plain one warns in GCC 12
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Ints)_mm256_cvtps_epi32((__m256)v);
#elif defined(NETGLOT_X86)
  return (Ints)_mm_cvtps_epi32((__m128)v);
#elif NETGLOT_LANES == 4
  return (Ints)vcvtnq_s32_f32((float32x4_t)v);
#else
  return Ints(std::lrint(v));
#endif
}

/// The lowest byte of each element, to p[0...lanes-1].
NETGLOT_TARGET NETGLOT_INLINE void store_bytes(Byte* p, Ints v) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  _mm_storeu_si128((__m128i*)p, _mm512_maskz_cvtepi32_epi8(0xFFFF, (__m512i)v));
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  const __m256i first = _mm256_set1_epi32(0x0C080400);
  const __m256i bytes = _mm256_shuffle_epi8((__m256i)v, first);
  _mm_storel_epi64((__m128i*)p, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
#elif defined(NETGLOT_X86)
  const __m128i low = _mm_and_si128((__m128i)v, _mm_set1_epi32(0xFF));
  const __m128i halves = _mm_packs_epi32(low, low);
  const std::int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(halves, halves));
  std::memcpy(p, &bytes, sizeof bytes);
#elif NETGLOT_LANES == 4
  const uint16x4_t halves = vmovn_u32((uint32x4_t)v);
  const std::uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(halves, halves))), 0);
  std::memcpy(p, &bytes, sizeof bytes);
#else
  *p = Byte(v);
#endif
}

NETGLOT_TARGET NETGLOT_INLINE void store_bytes_part(Byte* p, Ints v, Index count) {
  Byte part[lanes];
  store_bytes(part, v);
  copied(p, part, count);
}

/// Four bytes, in each element of a vector.
NETGLOT_TARGET NETGLOT_INLINE Ints splat_four(const Byte* p) {
  std::int32_t four;
  std::memcpy(&four, p, sizeof four);
  return splat_int(four);
}

// ---------------------------------------------------------------- sums of four products

// Factors are four bytes in each element of a vector. `Dot` says that the processor has an instruction that multiplies
// and adds all four (AVX-512 VNNI, AArch64's dot product): it is written in assembly since it is not part of the level
// that the function is compiled for. Others work on pairs of 16 bits, for which the bytes are split.
#if NETGLOT_LANES == 1
template <bool Dot>
struct Factors {
  std::int32_t four[4];
};

template <bool Dot>
NETGLOT_INLINE Factors<Dot> split_x(Ints v) {
  const auto bits = std::uint32_t(v);
  return {{Byte(bits), Byte(bits >> 8), Byte(bits >> 16), Byte(bits >> 24)}};
}

template <bool Dot>
NETGLOT_INLINE Factors<Dot> split_w(Ints v) {
  std::int8_t bytes[4];
  std::memcpy(bytes, &v, sizeof v);
  return {{bytes[0], bytes[1], bytes[2], bytes[3]}};
}

template <bool Dot>
NETGLOT_INLINE Ints dot(Ints sum, Factors<Dot> x, Factors<Dot> w) {
  return sum + x.four[0] * w.four[0] + x.four[1] * w.four[1] + x.four[2] * w.four[2] + x.four[3] * w.four[3];
}

#elif defined(NETGLOT_X86)
constexpr bool has_dot = NETGLOT_LANES == 16;

typedef std::int16_t Halves __attribute__((vector_size(4 * NETGLOT_LANES)));
typedef std::uint16_t UnsignedHalves __attribute__((vector_size(4 * NETGLOT_LANES)));

template <bool Dot>
struct Factors {
  Ints even, odd;  // bytes 0, 2 and bytes 1, 3 as 16 bits
};
template <>
struct Factors<true> {
  Ints bytes;
};

template <bool Dot>
NETGLOT_TARGET NETGLOT_INLINE Factors<Dot> split_x(Ints v) {
  if constexpr (Dot) {
    return {v};
  } else {
    return {v & 0x00FF00FF, (Ints)((UnsignedHalves)v >> 8)};
  }
}

template <bool Dot>
NETGLOT_TARGET NETGLOT_INLINE Factors<Dot> split_w(Ints v) {
  if constexpr (Dot) {
    return {v};
  } else {
    return {(Ints)((Halves)((UnsignedHalves)v << 8) >> 8), (Ints)((Halves)v >> 8)};
  }
}

NETGLOT_TARGET NETGLOT_INLINE Ints pairs(Ints a, Ints b) {
#if NETGLOT_LANES == 16
  return (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif NETGLOT_LANES == 8
  return (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  return (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

template <bool Dot>
NETGLOT_TARGET NETGLOT_INLINE Ints dot(Ints sum, Factors<Dot> x, Factors<Dot> w) {
  if constexpr (Dot) {
    asm("vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+v"(sum) : "v"(x.bytes), "vm"(w.bytes));
    return sum;
  } else {
    return sum + pairs(x.even, w.even) + pairs(x.odd, w.odd);
  }
}

#else
#if defined(__clang__) && !defined(__ARM_FEATURE_DOTPROD)
constexpr bool has_dot = false;  // its assembler refuses the instruction
#else
constexpr bool has_dot = true;
#endif

template <bool Dot>
struct Factors {
  Ints bytes;
};

template <bool Dot>
NETGLOT_INLINE Factors<Dot> split_x(Ints v) {
  return {v};
}

template <bool Dot>
NETGLOT_INLINE Factors<Dot> split_w(Ints v) {
  return {v};
}

template <bool Dot>
NETGLOT_INLINE Ints dot(Ints sum, Factors<Dot> x, Factors<Dot> w) {
  if constexpr (Dot) {
    asm(".arch armv8.4-a\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x.bytes), "w"(w.bytes));
    return sum;
  } else {
    const int8x16_t a = (int8x16_t)x.bytes, b = (int8x16_t)w.bytes;
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(a, b));
    return sum + (Ints)vpaddq_s32(low, high);
  }
}
#endif

#if NETGLOT_LANES == 1
constexpr bool has_dot = false;
#endif

/// The constants of a Requantize for one place in the channels, in registers.
struct Limits {
  Floats low, high;
  Ints zero;

  NETGLOT_TARGET NETGLOT_INLINE explicit Limits(const Requantize& to)
      : low(splat(to.low)), high(splat(to.high)), zero(splat_int(to.zero)) {}

  NETGLOT_TARGET NETGLOT_INLINE Ints operator()(Ints sum, Floats scale) const {
    return to_ints(limited(to_floats(sum) * scale, low, high)) + zero;
  }
};

}  // namespace NETGLOT_NAMESPACE
