// Decodes the constants of a model, which entropy.py has coded without loss and says how. Whatever it is given, it reads
// nothing beyond the stream and writes nothing beyond the constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "isa.h"

namespace netglot {

/// What remains of a stream. A byte beyond its end is 0, and the stream is not good any more.
struct Stream {
  const unsigned char* at;
  const unsigned char* end;
  bool good = true;

  std::size_t left() const { return static_cast<std::size_t>(end - at); }

  /// The next `count` bytes, or null.
  const unsigned char* take(std::size_t count) {
    if (count > left()) return good = false, nullptr;
    at += count;
    return at - count;
  }

  unsigned byte() {
    const unsigned char* const p = take(1);
    return p == nullptr ? 0 : *p;
  }

  /// LEB128: seven bits to a byte, the least significant first.
  std::uint64_t number() {
    std::uint64_t result = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const unsigned part = byte();
      result |= std::uint64_t{part & 127} << shift;
      if (part < 128) return result;
    }
    good = false;
    return 0;
  }
};

/// Exponential Golomb codes, in bits that fill bytes from the least significant.
struct Golomb {
  Stream& stream;
  int order;
  unsigned held = 0, count = 0;  // the bits of a byte that are not read yet

  unsigned bit() {
    if (count == 0) held = stream.byte(), count = 8;
    const unsigned result = held & 1;
    held >>= 1;
    --count;
    return result;
  }

  std::uint64_t bits(std::uint64_t before, int more) {
    for (; more > 0; --more) before = before << 1 | bit();
    return before;
  }

  /// The next number, of at most 32 bits.
  std::uint32_t next() {
    int zeros = 0;
    while (stream.good && bit() == 0) {
      if (++zeros > 32) stream.good = false;
    }
    if (!stream.good) return 0;
    const std::uint64_t quotient = bits(1, zeros) - 1;
    return static_cast<std::uint32_t>(bits(quotient, order));
  }
};

/// The words of a table, of 1, 2, 4 or 8 bytes, turned back by the bit that united the exponents of floats.
template <class Word>
void turn_back(unsigned char* words, std::size_t count) {
  constexpr int top = 8 * sizeof(Word) - 1;
  for (std::size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, words + i * sizeof word, sizeof word);
    word = static_cast<Word>(word >> 1 | Word(word & 1) << top);
    std::memcpy(words + i * sizeof word, &word, sizeof word);
  }
}

/// Moves `live` words from the front to where the mask has a bit, from the last to the first, and zeros elsewhere.
template <class Word>
void spread(unsigned char* words, std::size_t count, std::size_t live, const unsigned char* mask) {
  constexpr std::size_t size = sizeof(Word);
  for (std::size_t i = count; i-- > 0;) {
    const bool is_live = mask[i / 8] >> i % 8 & 1;
    Word word = 0;
    if (is_live) std::memcpy(&word, words + --live * size, size);
    std::memcpy(words + i * size, &word, size);
  }
}

/// Decodes streams; holds what that takes, and belongs where memory is free for a while.
class Unpacker {
 public:
  /// Decodes `size` bytes at `data` into the `room` bytes at `out`; each table begins at a multiple of 64, and what is
  /// between them is zero. False if the stream is damaged, with anything in `out`.
  bool unpack(const unsigned char* data, std::size_t size, unsigned char* out, std::size_t room) {
    stream_ = {data, data + size};
    if (room > 0) std::memset(out, 0, room);
    std::size_t at = 0;
    while (stream_.left() > 0) {
      std::size_t written = 0;
      if (at > room || !table(out + at, room - at, written)) return false;
      at += (written + 63) / 64 * 64;
    }
    return true;
  }

 private:
  static constexpr int precision = 14;                  // of frequencies, in bits
  static constexpr std::uint32_t total = 1u << precision;
  static constexpr std::uint32_t lowest = 1u << 16;     // state of the coder
  static constexpr std::size_t lanes = 4;               // states that take turns
  static constexpr std::size_t block_size = 1u << 16;   // elements of a block, at most
  static constexpr std::size_t panel_lanes = 16;        // that have scales of their own
  enum Block : unsigned { dense, masked, scaled };
  enum Plane : unsigned { raw, constant, coded };

  struct Interval {
    std::uint16_t frequency, start;
  };

  bool table(unsigned char* out, std::size_t room, std::size_t& written) {
    const unsigned head = stream_.byte();
    const std::uint64_t count = stream_.number();
    size_ = std::size_t{1} << (head & 3);
    has_codebook_ = (head & 4) != 0;
    if (!stream_.good || head > 7 || count > room / size_) return false;
    if (has_codebook_ && !codebook()) return false;
    written = static_cast<std::size_t>(count) * size_;
    for (std::size_t done = 0; done < written;) {
      const std::size_t left = (written - done) / size_, taken = left < block_size ? left : block_size;
      if (!block(out + done, taken)) return false;
      done += taken * size_;
    }
    return true;
  }

  bool codebook() {
    if (size_ != 2 && size_ != 4) return false;
    const unsigned last = stream_.byte();
    Golomb gaps{stream_, static_cast<int>(stream_.byte())};
    if (gaps.order > 32) return false;
    std::uint32_t value = 0xffffffff;
    for (unsigned i = 0; i < 256; ++i) codebook_[i] = i > last ? 0 : value += gaps.next() + 1;
    return stream_.good;
  }

  bool block(unsigned char* out, std::size_t count) {
    const unsigned kind = stream_.byte();
    if (kind == dense) return words(out, count);
    return kind == masked ? masked_block(out, count) : kind == scaled && scaled_block(out, count);
  }

  bool masked_block(unsigned char* out, std::size_t count) {
    const std::size_t bytes = (count + 7) / 8;
    if (!plane(mask_, (bytes + 1) / 2, 2) || !plane(mask_ + 1, bytes / 2, 2)) return false;
    std::size_t live = 0;
    for (std::size_t i = 0; i < count; ++i) live += mask_[i / 8] >> i % 8 & 1u;
    if (!words(out, live)) return false;
    if (size_ == 1) spread<std::uint8_t>(out, count, live, mask_);
    if (size_ == 2) spread<std::uint16_t>(out, count, live, mask_);
    if (size_ == 4) spread<std::uint32_t>(out, count, live, mask_);
    if (size_ == 8) spread<std::uint64_t>(out, count, live, mask_);
    return true;
  }

  /// Integers times the scale of their lane in so many rows; the scales lie where a mask would.
  bool scaled_block(unsigned char* out, std::size_t count) {
    const std::size_t rows = stream_.byte(), group = rows * panel_lanes;
    if (size_ != sizeof(float) || has_codebook_ || group == 0 || count % group != 0) return false;
    const std::size_t scales = count / rows;
    if (scales * sizeof(float) > sizeof mask_ || !words(mask_, scales) || !plane(out, count, sizeof(float))) return false;
    for (std::size_t i = 0; i < count; ++i, out += sizeof(float)) {
      float scale;
      std::memcpy(&scale, mask_ + (i / group * panel_lanes + i % panel_lanes) * sizeof scale, sizeof scale);
      const int code = *out < 128 ? *out : *out - 256;
      const float value = static_cast<float>(code) * scale;
      std::memcpy(out, &value, sizeof value);
    }
    return true;
  }

  /// The elements that are written, from the first place on.
  bool words(unsigned char* out, std::size_t count) {
    if (has_codebook_) {
      if (!plane(out, count, size_)) return false;
      for (std::size_t i = 0; i < count; ++i) std::memcpy(out + i * size_, &codebook_[out[i * size_]], size_);
      return true;
    }
    for (std::size_t i = 0; i < size_; ++i) {
      if (!plane(out + i, count, size_)) return false;
    }
    if (size_ == 2) turn_back<std::uint16_t>(out, count);
    if (size_ == 4) turn_back<std::uint32_t>(out, count);
    if (size_ == 8) turn_back<std::uint64_t>(out, count);
    return true;
  }

  /// `count` bytes, each `step` after the one before.
  bool plane(unsigned char* to, std::size_t count, std::size_t step) {
    if (count == 0) return true;
    const unsigned kind = stream_.byte();
    if (kind == coded) return frequencies() && symbols(to, count, step);
    const unsigned char* const from = stream_.take(kind == raw ? count : 1);
    if (from == nullptr || kind > constant) return false;
    for (std::size_t i = 0; i < count; ++i) to[i * step] = kind == raw ? from[i] : *from;
    return true;
  }

  bool frequencies() {
    const unsigned first = stream_.byte(), last = stream_.byte(), form = stream_.byte();
    Golomb steps{stream_, static_cast<int>(form & 15)};
    std::uint32_t start = 0, frequency = 0;
    for (unsigned symbol = first; symbol <= last; ++symbol) {
      const std::uint32_t step = steps.next();
      frequency += step >> 1 ^ (0 - (step & 1));
      if (!stream_.good || frequency > total) return false;
      const std::uint32_t size = frequency << (form >> 4);
      if (size > total - start) return false;
      intervals_[symbol] = {static_cast<std::uint16_t>(size), static_cast<std::uint16_t>(start)};
      std::memset(slots_ + start, static_cast<int>(symbol), size);
      start += size;
    }
    return start == total;
  }

  /// rANS: a state's low bits tell the symbol. One that falls below `lowest` takes up a word of the stream.
  bool symbols(unsigned char* to, std::size_t count, std::size_t step) {
    const unsigned char* at = stream_.take(4 * lanes);
    if (at == nullptr) return false;
    std::uint32_t x[lanes];
    for (std::size_t i = 0; i < lanes; ++i) x[i] = half(at + 4 * i) | half(at + 4 * i + 2) << 16;
    at += 4 * lanes;
    std::size_t done = 0;
    for (; done + lanes <= count && stream_.end - at >= std::ptrdiff_t{2 * lanes}; done += lanes) {
      NETGLOT_UNROLL for (std::size_t i = 0; i < lanes; ++i) {
        to[i * step] = pop(x[i]);
        const bool is_low = x[i] < lowest;
        const std::uint32_t longer = x[i] << 16 | half(at);
        x[i] = is_low ? longer : x[i];
        at += is_low ? 2 : 0;
      }
      to += lanes * step;
    }
    for (; done < count; ++done, to += step) {  // the last few, as the stream may end anywhere
      std::uint32_t& state = x[done % lanes];
      *to = pop(state);
      if (state >= lowest) continue;
      if (stream_.end - at < 2) return false;
      state = state << 16 | half(at);
      at += 2;
    }
    stream_.at = at;
    bool is_whole = true;
    for (const std::uint32_t state : x) is_whole = is_whole && state == lowest;  // where the encoder began
    return is_whole;
  }

  NETGLOT_INLINE unsigned char pop(std::uint32_t& state) const {
    const std::uint32_t slot = state % total;
    const unsigned char symbol = slots_[slot];
    const Interval interval = intervals_[symbol];
    state = interval.frequency * (state >> precision) + slot - interval.start;
    return symbol;
  }

  static NETGLOT_INLINE std::uint32_t half(const unsigned char* p) { return p[0] | std::uint32_t{p[1]} << 8; }

  Stream stream_{nullptr, nullptr};
  std::size_t size_ = 1;  // bytes of an element
  bool has_codebook_ = false;
  std::uint32_t codebook_[256];
  Interval intervals_[256];
  unsigned char slots_[total];  // the symbol of each
  unsigned char mask_[block_size / 8];
};

}  // namespace netglot
