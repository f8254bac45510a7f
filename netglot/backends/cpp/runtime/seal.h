// Opens what was sealed with ChaCha20-Poly1305 (RFC 8439). Neither branches nor addresses depend on secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa.h"

namespace netglot {

/// Overwrites a secret, also where the compiler sees that nobody reads it afterwards.
inline void wipe(void* secret, std::size_t size) {
#if defined(__GNUC__)
  std::memset(secret, 0, size);
  __asm__ __volatile__("" : : "r"(secret) : "memory");
#else
  volatile unsigned char* bytes = static_cast<volatile unsigned char*>(secret);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = 0;
#endif
}

inline std::uint32_t little_endian(const unsigned char* p) {
  return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
}

inline void put_little_endian(unsigned char* p, std::uint32_t x) {
  NETGLOT_UNROLL for (int i = 0; i < 4; ++i) p[i] = static_cast<unsigned char>(x >> 8 * i);
}

// ------------------------------------------------------------------ ChaCha20

namespace chacha {

// Blocks are computed side by side: a vector holds the same word of each.
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))
constexpr int blocks = 4;
typedef std::uint32_t Words __attribute__((vector_size(16)));
#else
constexpr int blocks = 1;
using Words = std::uint32_t;
#endif
constexpr std::size_t block_size = 64;

struct State {
  std::uint32_t words[16];

  State(const unsigned char key[32], const unsigned char nonce[12], std::uint32_t counter)
      : words{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574} {
    for (int i = 0; i < 8; ++i) words[4 + i] = little_endian(key + 4 * i);
    words[12] = counter;
    for (int i = 0; i < 3; ++i) words[13 + i] = little_endian(nonce + 4 * i);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { wipe(words, sizeof words); }
};

NETGLOT_INLINE Words rotate(Words x, int bits) { return x << bits | x >> (32 - bits); }

NETGLOT_INLINE void quarter_round(Words& a, Words& b, Words& c, Words& d) {
  a += b, d = rotate(d ^ a, 16);
  c += d, b = rotate(b ^ c, 12);
  a += b, d = rotate(d ^ a, 8);
  c += d, b = rotate(b ^ c, 7);
}

/// The keystream of `blocks` blocks, which the state then counts on from: word i of block b is stream[i][b].
inline void next(State& state, std::uint32_t stream[16][blocks]) {
  for (int i = 0; i < 16; ++i)
    for (int b = 0; b < blocks; ++b) stream[i][b] = state.words[i] + (i == 12 ? std::uint32_t(b) : 0);
  Words x[16];
  NETGLOT_UNROLL for (int i = 0; i < 16; ++i) std::memcpy(&x[i], stream[i], sizeof x[i]);
  for (int round = 0; round < 20; round += 2) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  NETGLOT_UNROLL for (int i = 0; i < 16; ++i) {
    Words start;
    std::memcpy(&start, stream[i], sizeof start);
    x[i] += start;
    std::memcpy(stream[i], &x[i], sizeof x[i]);
  }
  state.words[12] += blocks;
}

/// out = data xor the keystream that begins with block number `counter`. `out` may be `data`.
inline void apply(const unsigned char key[32], const unsigned char nonce[12], std::uint32_t counter,
                  const unsigned char* data, std::size_t size, unsigned char* out) {
  State state(key, nonce, counter);
  std::uint32_t stream[16][blocks];
  constexpr std::size_t whole = blocks * block_size;
  for (; size >= whole; size -= whole, data += whole, out += whole) {
    next(state, stream);
    for (int b = 0; b < blocks; ++b)
      for (int i = 0; i < 16; ++i) {
        const std::size_t at = block_size * std::size_t(b) + 4 * std::size_t(i);
        put_little_endian(out + at, little_endian(data + at) ^ stream[i][b]);
      }
  }
  next(state, stream);
  for (std::size_t at = 0; at < size; ++at)
    out[at] = static_cast<unsigned char>(data[at] ^ stream[at % block_size / 4][at / block_size] >> 8 * (at % 4));
  wipe(stream, sizeof stream);
}

}  // namespace chacha

// ------------------------------------------------------------------ Poly1305

#if defined(__SIZEOF_INT128__)
/// Sums modulo p = 2^130 - 5 in limbs of 64 bits. After every block, the sum is below 2^131.
struct Poly1305 {
  __extension__ typedef unsigned __int128 Wide;
  std::uint64_t r0, r1, s0, s1;
  std::uint64_t h0 = 0, h1 = 0, h2 = 0;

  explicit Poly1305(const unsigned char key[32])
      : r0(word(key) & 0x0ffffffc0fffffff),
        r1(word(key + 8) & 0x0ffffffc0ffffffc),
        s0(word(key + 16)),
        s1(word(key + 24)) {}
  Poly1305(const Poly1305&) = delete;
  Poly1305& operator=(const Poly1305&) = delete;
  ~Poly1305() { wipe(this, sizeof *this); }

  static std::uint64_t word(const unsigned char* p) {
    return little_endian(p) | std::uint64_t{little_endian(p + 4)} << 32;
  }

  /// h = (h + block + 2^128) * r. r1 is a multiple of 4, so that 2^128 * r1 = 2^130 * (r1 / 4) = 5 * (r1 / 4).
  void add(const unsigned char* data, std::size_t count) {
    const std::uint64_t r1_above = r1 + (r1 >> 2);
    std::uint64_t a0 = h0, a1 = h1, a2 = h2;
    for (; count > 0; --count, data += 16) {
      Wide sum = Wide{a0} + word(data);
      a0 = std::uint64_t(sum);
      sum = (sum >> 64) + a1 + word(data + 8);
      a1 = std::uint64_t(sum);
      a2 += std::uint64_t(sum >> 64) + 1;

      const Wide low = Wide{a0} * r0 + Wide{a1} * r1_above;
      const Wide middle = Wide{a0} * r1 + Wide{a1} * r0 + a2 * r1_above + (low >> 64);
      const std::uint64_t high = a2 * r0 + std::uint64_t(middle >> 64);
      sum = Wide{std::uint64_t(low)} + (high >> 2) * 5;  // what is above 2^130 comes back five times
      a0 = std::uint64_t(sum);
      sum = (sum >> 64) + std::uint64_t(middle);
      a1 = std::uint64_t(sum);
      a2 = (high & 3) + std::uint64_t(sum >> 64);
    }
    h0 = a0, h1 = a1, h2 = a2;
  }

  void finish(unsigned char tag[16]) {
    // h - p is h + 5 - 2^130: where h + 5 reaches 2^130, it is taken (once is enough below 2^131).
    Wide sum = Wide{h0} + 5;
    const std::uint64_t g0 = std::uint64_t(sum);
    sum = (sum >> 64) + h1;
    const std::uint64_t g1 = std::uint64_t(sum), g2 = h2 + std::uint64_t(sum >> 64);
    const std::uint64_t reached = 0 - (g2 >> 2 & 1);
    sum = Wide{(h0 & ~reached) | (g0 & reached)} + s0;
    const std::uint64_t t0 = std::uint64_t(sum);
    const std::uint64_t t1 = ((h1 & ~reached) | (g1 & reached)) + s1 + std::uint64_t(sum >> 64);
    for (int i = 0; i < 8; ++i) {
      tag[i] = static_cast<unsigned char>(t0 >> 8 * i);
      tag[8 + i] = static_cast<unsigned char>(t1 >> 8 * i);
    }
  }
};
#else
/// Sums modulo p = 2^130 - 5 in limbs of 26 bits, which a processor of 32 bits can multiply.
struct Poly1305 {
  std::uint32_t r[5], h[5] = {}, s[4];

  explicit Poly1305(const unsigned char key[32])
      : r{little_endian(key) & 0x3ffffff, little_endian(key + 3) >> 2 & 0x3ffff03, little_endian(key + 6) >> 4 & 0x3ffc0ff,
          little_endian(key + 9) >> 6 & 0x3f03fff, little_endian(key + 12) >> 8 & 0x00fffff} {
    for (int i = 0; i < 4; ++i) s[i] = little_endian(key + 16 + 4 * i);
  }
  Poly1305(const Poly1305&) = delete;
  Poly1305& operator=(const Poly1305&) = delete;
  ~Poly1305() { wipe(this, sizeof *this); }

  /// h = (h + block + 2^128) * r
  void add(const unsigned char* data, std::size_t count) {
    for (; count > 0; --count, data += 16) {
      h[0] += little_endian(data) & 0x3ffffff;
      h[1] += little_endian(data + 3) >> 2 & 0x3ffffff;
      h[2] += little_endian(data + 6) >> 4 & 0x3ffffff;
      h[3] += little_endian(data + 9) >> 6;
      h[4] += little_endian(data + 12) >> 8 | 1u << 24;
      multiply();
    }
  }

  void multiply() {
    std::uint64_t product[5] = {};
    NETGLOT_UNROLL for (int i = 0; i < 5; ++i) {
      NETGLOT_UNROLL for (int j = 0; j < 5; ++j)  // 2^130 is 5
          product[(i + j) % 5] += std::uint64_t{h[i]} * (i + j < 5 ? r[j] : 5 * r[j]);
    }
    std::uint64_t carry = 0;
    for (int i = 0; i < 5; ++i) {
      carry += product[i];
      h[i] = std::uint32_t(carry & 0x3ffffff);
      carry >>= 26;
    }
    carry = h[0] + carry * 5;
    h[0] = std::uint32_t(carry & 0x3ffffff);
    h[1] += std::uint32_t(carry >> 26);
  }

  void finish(unsigned char tag[16]) {
    for (int turn = 0; turn < 2; ++turn) carry_on();
    // h - p is h + 5 - 2^130: where h + 5 reaches 2^130, it is taken.
    std::uint32_t g[5], carry = 5;
    for (int i = 0; i < 5; ++i) {
      carry += h[i];
      g[i] = carry & 0x3ffffff;
      carry >>= 26;
    }
    const std::uint32_t reached = 0 - carry;
    for (int i = 0; i < 5; ++i) h[i] = (h[i] & ~reached) | (g[i] & reached);
    const std::uint32_t words[4] = {h[0] | h[1] << 26, h[1] >> 6 | h[2] << 20, h[2] >> 12 | h[3] << 14,
                                    h[3] >> 18 | h[4] << 8};
    std::uint64_t sum = 0;
    for (int i = 0; i < 4; ++i) {
      sum += std::uint64_t{words[i]} + s[i];
      put_little_endian(tag + 4 * i, std::uint32_t(sum));
      sum >>= 32;
    }
  }

  void carry_on() {
    std::uint32_t carry = 0;
    for (int i = 0; i < 5; ++i) {
      carry += h[i];
      h[i] = carry & 0x3ffffff;
      carry >>= 26;
    }
    h[0] += carry * 5;
  }
};
#endif

// ----------------------------------------------------- ChaCha20 and Poly1305

/// Adds `data`, filled up with zeros to whole blocks.
inline void add_padded(Poly1305& poly, const unsigned char* data, std::size_t size) {
  poly.add(data, size / 16);
  unsigned char last[16] = {};
  if (size % 16 == 0) return;
  std::memcpy(last, data + size / 16 * 16, size % 16);
  poly.add(last, 1);
}

/// The tag that `sealed` and `aad` (what is authenticated besides) must have.
inline void compute_tag(const unsigned char key[32], const unsigned char nonce[12], const unsigned char* aad,
                        std::size_t aad_size, const unsigned char* sealed, std::size_t size, unsigned char tag[16]) {
  unsigned char one_time_key[32] = {}, sizes[16];
  chacha::apply(key, nonce, 0, one_time_key, sizeof one_time_key, one_time_key);
  for (int i = 0; i < 8; ++i) {
    sizes[i] = static_cast<unsigned char>(std::uint64_t{aad_size} >> 8 * i);
    sizes[8 + i] = static_cast<unsigned char>(std::uint64_t{size} >> 8 * i);
  }
  Poly1305 poly(one_time_key);
  wipe(one_time_key, sizeof one_time_key);
  add_padded(poly, aad, aad_size);
  add_padded(poly, sealed, size);
  poly.add(sizes, 1);
  poly.finish(tag);
}

/// Whether all 16 bytes are equal, in the same time wherever they differ.
inline bool equal(const unsigned char* a, const unsigned char* b) {
  unsigned char different = 0;
  for (int i = 0; i < 16; ++i) different = static_cast<unsigned char>(different | (a[i] ^ b[i]));
  return different == 0;
}

/// Decrypts `size` bytes from `sealed` into `out` (which may be `sealed`, but not overlap it otherwise). False, and
/// nothing is written, if `tag` is not that of this key, nonce, aad and ciphertext, or if the cipher can't be as long.
inline bool open(const unsigned char key[32], const unsigned char nonce[12], const unsigned char* aad,
                 std::size_t aad_size, const unsigned char* sealed, std::size_t size, const unsigned char tag[16],
                 unsigned char* out) {
  if ((std::uint64_t{size} + 63) / 64 > 0xffffffff) return false;  // blocks are counted with 32 bits
  unsigned char wanted[16];
  compute_tag(key, nonce, aad, aad_size, sealed, size, wanted);
  if (!equal(wanted, tag)) return false;
  chacha::apply(key, nonce, 1, sealed, size, out);
  return true;
}

}  // namespace netglot
