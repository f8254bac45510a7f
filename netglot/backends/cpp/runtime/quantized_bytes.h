// Whole vectors of bytes: read, interleaved by four, and put together again from 32-bit results.
#pragma once

#include "quantized.h"

namespace NETGLOT_NAMESPACE {

constexpr Index bytes_wide = 4 * lanes;  ///< bytes in one vector
constexpr Index byte_block_channels = 64;  ///< channels that lie together in tables of single channels

/// How many bytes of a vector are there: known when it is compiled (Known), else `count`.
template <Index Known>
struct Extent {
  Index count;
};

/// The first bytes of a vector, then zeros or anything.
template <Index Known>
NETGLOT_TARGET NETGLOT_INLINE Ints load_bytes(const Byte* p, Extent<Known> extent) {
  if constexpr (Known == bytes_wide) return load_ints(p);
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  if constexpr (Known > 0) return (Ints)_mm512_maskz_loadu_epi32((1u << Known / 4) - 1, p);
  return (Ints)_mm512_maskz_loadu_epi8(~__mmask64(0) >> (64 - extent.count), p);
#else
  Byte part[bytes_wide] = {};
  copied(part, p, extent.count);
  return load_ints(part);
#endif
}

template <Index Known>
NETGLOT_TARGET NETGLOT_INLINE void store_bytes(Byte* p, Ints v, Extent<Known> extent) {
  if constexpr (Known > 0) {
    std::memcpy(p, &v, std::size_t(Known));
  } else {
    Byte part[bytes_wide];
    std::memcpy(part, &v, sizeof v);
    copied(p, part, extent.count);
  }
}

/// A vector's worth of channels in four vectors of 32 bits each. Interleaving works within each 16 bytes: quarter q
/// holds bytes 4 q to 4 q + 3 of every 16.
struct Quarters {
  Ints part[4];
};

/// Where quarter q of the vector that starts at `channel` is in a table of 32 bits for each channel, which holds the
/// first quarters of 64 channels, then their second ones, and so on.
constexpr Index quarter(Index channel, Index q) {
  const Index block = channel / byte_block_channels * byte_block_channels, in = channel % byte_block_channels;
  return lanes > 1 ? block + q * 16 + in / 4 : block + in % 16 / 4 * 16 + in / 16 * 4 + q;
}

/// Four bytes in each 32 bits: a's, b's, c's and d's of one channel.
NETGLOT_TARGET NETGLOT_INLINE Quarters interleaved(Ints a, Ints b, Ints c, Ints d) {
#if defined(NETGLOT_X86)
#if NETGLOT_LANES == 16
#define NETGLOT_UNPACK(end, bits, x, y) (Ints) _mm512_unpack##end##_epi##bits((__m512i)(x), (__m512i)(y))
#elif NETGLOT_LANES == 8
#define NETGLOT_UNPACK(end, bits, x, y) (Ints) _mm256_unpack##end##_epi##bits((__m256i)(x), (__m256i)(y))
#else
#define NETGLOT_UNPACK(end, bits, x, y) (Ints) _mm_unpack##end##_epi##bits((__m128i)(x), (__m128i)(y))
#endif
  const Ints ab0 = NETGLOT_UNPACK(lo, 8, a, b), ab1 = NETGLOT_UNPACK(hi, 8, a, b);
  const Ints cd0 = NETGLOT_UNPACK(lo, 8, c, d), cd1 = NETGLOT_UNPACK(hi, 8, c, d);
  return {{NETGLOT_UNPACK(lo, 16, ab0, cd0), NETGLOT_UNPACK(hi, 16, ab0, cd0), NETGLOT_UNPACK(lo, 16, ab1, cd1),
           NETGLOT_UNPACK(hi, 16, ab1, cd1)}};
#undef NETGLOT_UNPACK
#elif NETGLOT_LANES == 4
  const uint8x16x2_t ab = vzipq_u8((uint8x16_t)a, (uint8x16_t)b), cd = vzipq_u8((uint8x16_t)c, (uint8x16_t)d);
  const uint16x8x2_t low = vzipq_u16((uint16x8_t)ab.val[0], (uint16x8_t)cd.val[0]);
  const uint16x8x2_t high = vzipq_u16((uint16x8_t)ab.val[1], (uint16x8_t)cd.val[1]);
  return {{(Ints)low.val[0], (Ints)low.val[1], (Ints)high.val[0], (Ints)high.val[1]}};
#else
  Quarters all;
  const Ints rows[4] = {a, b, c, d};
  Byte from[4][4], to[4][4];
  std::memcpy(from, rows, sizeof from);
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j) to[i][j] = from[j][i];
  std::memcpy(all.part, to, sizeof to);
  return all;
#endif
}

#if defined(NETGLOT_X86)
/// Hides from the compiler how v was made: GCC 12 takes the packs of wide vectors for plain concatenations, and so drops
/// what it should not where only a part of v is used.
NETGLOT_TARGET NETGLOT_INLINE Ints settled(Ints v) {
  asm("" : "+v"(v));
  return v;
}
#endif

/// The lowest bytes of what interleaved() gave the order of, in the order of the channels. Each is in -32768...32767.
NETGLOT_TARGET NETGLOT_INLINE Ints joined(const Quarters& all) {
  const Ints a = all.part[0], b = all.part[1], c = all.part[2], d = all.part[3];
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  const __m512i low = _mm512_set1_epi16(0xFF);
  const __m512i ab = _mm512_and_si512(_mm512_packs_epi32((__m512i)a, (__m512i)b), low);
  const __m512i cd = _mm512_and_si512(_mm512_packs_epi32((__m512i)c, (__m512i)d), low);
  return settled((Ints)_mm512_packus_epi16(ab, cd));
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  const __m256i low = _mm256_set1_epi16(0xFF);
  const __m256i ab = _mm256_and_si256(_mm256_packs_epi32((__m256i)a, (__m256i)b), low);
  const __m256i cd = _mm256_and_si256(_mm256_packs_epi32((__m256i)c, (__m256i)d), low);
  return settled((Ints)_mm256_packus_epi16(ab, cd));
#elif defined(NETGLOT_X86)
  const __m128i low = _mm_set1_epi16(0xFF);
  const __m128i ab = _mm_and_si128(_mm_packs_epi32((__m128i)a, (__m128i)b), low);
  const __m128i cd = _mm_and_si128(_mm_packs_epi32((__m128i)c, (__m128i)d), low);
  return (Ints)_mm_packus_epi16(ab, cd);
#elif NETGLOT_LANES == 4
  const uint16x8_t ab = vcombine_u16(vmovn_u32((uint32x4_t)a), vmovn_u32((uint32x4_t)b));
  const uint16x8_t cd = vcombine_u16(vmovn_u32((uint32x4_t)c), vmovn_u32((uint32x4_t)d));
  return (Ints)vcombine_u8(vmovn_u16(ab), vmovn_u16(cd));
#else
  const Byte bytes[4] = {Byte(a), Byte(b), Byte(c), Byte(d)};
  return load_ints(bytes);
#endif
}

}  // namespace NETGLOT_NAMESPACE
