// Halves (IEEE 754 binary16): elements of inputs and outputs. What is computed is float.
#ifndef NETGLOT_HALF_H  // and no #pragma once: each model's folder has this file
#define NETGLOT_HALF_H

#include <cstdint>
#include <cstring>

namespace netglot {

struct Half {
  std::uint16_t bits;
};

/// A half as a float, which is exact.
inline float to_float(Half x) {
  const std::uint32_t sign = std::uint32_t(x.bits & 0x8000) << 16, magnitude = x.bits & 0x7FFF;
  if (magnitude < 0x0400) {  // zero or subnormal
    const float value = float(magnitude) * 0x1p-24f;
    return sign ? -value : value;
  }
  const bool is_finite = magnitude < 0x7C00;
  const std::uint32_t bits = sign | ((magnitude << 13) + (is_finite ? (127 - 15) << 23 : (255 - 31) << 23));
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Without its last `count` bits (at least 1): rounded to the nearest, half to even.
inline std::uint64_t rounded_bits(std::uint64_t bits, int count) {
  const std::uint64_t half = std::uint64_t(1) << (count - 1), is_odd = bits >> count & 1;
  return (bits + half - 1 + is_odd) >> count;
}

/// The nearest half, of two the even one. A float is such a double, so it is rounded once.
inline Half to_half(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint16_t sign = bits >> 48 & 0x8000;
  const std::uint64_t magnitude = bits & 0x7FFFFFFFFFFFFFFF, fraction = magnitude & 0xFFFFFFFFFFFFF;
  const int exponent = int(magnitude >> 52) - 1023;
  std::uint64_t half = 0;
  if (magnitude > std::uint64_t(0x7FF) << 52) {
    half = 0x7E00;  // NaN
  } else if (exponent > 15) {
    half = 0x7C00;  // infinity, as what is rounded up below may be
  } else if (exponent >= -14) {
    half = rounded_bits(magnitude - (std::uint64_t(1023 - 15) << 52), 42);
  } else if (exponent >= -25) {  // subnormal, in units of 2^-24
    half = rounded_bits(fraction | std::uint64_t(1) << 52, 28 - exponent);
  }
  return Half{std::uint16_t(sign | half)};
}

}  // namespace netglot

#endif  // NETGLOT_HALF_H
