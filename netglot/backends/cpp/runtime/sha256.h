// SHA-256 (FIPS 180-4), in pieces, without memory of its own: proves that weights are as they were written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa.h"

#if defined(NETGLOT_X86)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__ARM_FEATURE_SHA2)
#include <arm_neon.h>
#endif

namespace netglot {
namespace sha {

using Word = std::uint32_t;

constexpr Word k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

NETGLOT_INLINE Word rotate(Word x, int bits) { return x >> bits | x << (32 - bits); }

NETGLOT_INLINE Word big_endian(const unsigned char* p) {
  return Word{p[0]} << 24 | Word{p[1]} << 16 | Word{p[2]} << 8 | p[3];
}

/// One round. The letters are those of the standard.
NETGLOT_INLINE void round(Word a, Word b, Word c, Word& d, Word e, Word f, Word g, Word& h, Word wk) {
  const Word t = (h + wk + (g ^ (e & (f ^ g)))) + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25));
  d += t;
  h = t + ((a & b) + (c & (a ^ b))) + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22));
}

/// Takes up whole blocks of 64 bytes, with plain arithmetic.
inline void add_plainly(Word state[8], const unsigned char* data, std::size_t blocks) {
  for (; blocks > 0; --blocks, data += 64) {
    Word s[8], w[16];
    for (int i = 0; i < 8; ++i) s[i] = state[i];
    for (int i = 0; i < 16; ++i) w[i] = big_endian(data + 4 * i);
    for (int start = 0; start < 64; start += 16) {
      NETGLOT_UNROLL for (int i = 0; i < 16; ++i) {
        const int at = 16 - i;  // a to h move by one place with each round: here, it is their names that move
        round(s[at % 8], s[(at + 1) % 8], s[(at + 2) % 8], s[(at + 3) % 8], s[(at + 4) % 8], s[(at + 5) % 8],
              s[(at + 6) % 8], s[(at + 7) % 8], w[i] + k[start + i]);
        if (start == 48) continue;  // no later rounds
        const Word x = w[(i + 1) % 16], y = w[(i + 14) % 16];  // w[i] becomes the word of 16 rounds later
        w[i] += (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[(i + 9) % 16] + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
      }
    }
    for (int i = 0; i < 8; ++i) state[i] += s[i];
  }
}

#if defined(NETGLOT_X86)
/// Whether the processor has the SHA instructions. (__builtin_cpu_supports of older compilers does not know them.)
inline bool has_instructions() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29) != 0;
}

/// The same as add_plainly: rounds come in fours, two to an instruction, which keeps its state as ABEF and CDGH.
__attribute__((target("sha,sse4.1"))) inline void add_fast(Word state[8], const unsigned char* data,
                                                           std::size_t blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef = _mm_set_epi32(int(state[0]), int(state[1]), int(state[4]), int(state[5]));
  __m128i cdgh = _mm_set_epi32(int(state[2]), int(state[3]), int(state[6]), int(state[7]));
  for (; blocks > 0; --blocks, data += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    NETGLOT_UNROLL for (int i = 0; i < 16; ++i) {
      if (i < 4) {
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * i)), swap);
      } else {
        const __m128i last = w[(i + 3) % 4], middle = _mm_alignr_epi8(last, w[(i + 2) % 4], 4);
        w[i % 4] = _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), middle), last);
      }
      const __m128i wk = _mm_add_epi32(w[i % 4], _mm_loadu_si128(reinterpret_cast<const __m128i*>(k + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  Word f_to_a[4], h_to_c[4];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(f_to_a), abef);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(h_to_c), cdgh);
  const Word after[8] = {f_to_a[3], f_to_a[2], h_to_c[3], h_to_c[2], f_to_a[1], f_to_a[0], h_to_c[1], h_to_c[0]};
  std::memcpy(state, after, sizeof after);
}
#elif defined(__ARM_FEATURE_SHA2)
inline bool has_instructions() { return true; }

/// The same as add_plainly, four rounds to a pair of instructions.
inline void add_fast(Word state[8], const unsigned char* data, std::size_t blocks) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (; blocks > 0; --blocks, data += 64) {
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    NETGLOT_UNROLL for (int i = 0; i < 16; ++i) {
      if (i < 4) {
        w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
      } else {
        w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]), w[(i + 2) % 4], w[(i + 3) % 4]);
      }
      const uint32x4_t wk = vaddq_u32(w[i % 4], vld1q_u32(k + 4 * i)), abcd_now = abcd;
      abcd = vsha256hq_u32(abcd, efgh, wk);
      efgh = vsha256h2q_u32(efgh, abcd_now, wk);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}
#else
inline bool has_instructions() { return false; }

inline void add_fast(Word state[8], const unsigned char* data, std::size_t blocks) { add_plainly(state, data, blocks); }
#endif

}  // namespace sha

/// The digest of what `update` is given, one piece after the other.
struct Sha256 {
  sha::Word state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::uint64_t length = 0;  ///< bytes so far
  unsigned char rest[64];    ///< the length % 64 of them that don't fill a block yet
  bool fast = sha::has_instructions();

  void update(const void* data, std::size_t size) {
    const unsigned char* from = static_cast<const unsigned char*>(data);
    const std::size_t held = length % 64, room = 64 - held;
    length += size;
    if (held > 0) {
      const std::size_t taken = size < room ? size : room;
      copy(rest + held, from, taken);
      if (taken < room) return;
      add(rest, 1);
      from += taken;
      size -= taken;
    }
    add(from, size / 64);
    copy(rest, from + size / 64 * 64, size % 64);
  }

  /// Ends the message: nothing can be added afterwards.
  void finish(unsigned char digest[32]) {
    const std::uint64_t bits = length * 8;
    const unsigned char padding[64] = {0x80};
    unsigned char tail[8];
    for (int i = 0; i < 8; ++i) tail[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    update(padding, 1 + (119 - length % 64) % 64);
    update(tail, 8);
    for (int i = 0; i < 32; ++i) digest[i] = static_cast<unsigned char>(state[i / 4] >> (24 - 8 * (i % 4)));
  }

 private:
  /// An empty piece may come as a null pointer, which memcpy may not be given.
  static void copy(unsigned char* to, const unsigned char* from, std::size_t size) {
    if (size > 0) std::memcpy(to, from, size);
  }

  void add(const unsigned char* data, std::size_t blocks) {
    if (blocks == 0) return;
    fast ? sha::add_fast(state, data, blocks) : sha::add_plainly(state, data, blocks);
  }
};

}  // namespace netglot
