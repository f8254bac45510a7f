// exp, log, tanh and their like on vectors, for every level: polynomials, no tables, no branches.
//
// The coefficients are minimax fits of our own (Lawson's iteration on Chebyshev points, functions by mpmath), for the
// relative error of the result. tests/test_cpp_vector_math.py holds each function against double, at each level.
#pragma once

#include <limits>

#include "simd.h"

#if defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace NETGLOT_NAMESPACE {

constexpr float infinity = std::numeric_limits<float>::infinity();

#if NETGLOT_LANES > 1
using Mask = Ints;  // of comparisons: all bits of an element, or none
#else
using Mask = bool;
#endif

/// a where `mask` holds, else b.
NETGLOT_TARGET NETGLOT_INLINE Floats select(Mask mask, Floats a, Floats b) { return mask ? a : b; }

NETGLOT_TARGET NETGLOT_INLINE Ints bits(Floats x) {
  Ints i;
  std::memcpy(&i, &x, sizeof i);
  return i;
}

NETGLOT_TARGET NETGLOT_INLINE Floats from_bits(Ints i) {
  Floats x;
  std::memcpy(&x, &i, sizeof x);
  return x;
}

NETGLOT_TARGET NETGLOT_INLINE Floats magnitude(Floats x) { return from_bits(bits(x) & 0x7FFFFFFF); }

/// `x`, which is not negative, with the sign of `sign`.
NETGLOT_TARGET NETGLOT_INLINE Floats with_sign(Floats x, Floats sign) {
  return from_bits(bits(x) | (bits(sign) & std::numeric_limits<std::int32_t>::min()));
}

/// The larger number; NaN if one is.
NETGLOT_TARGET NETGLOT_INLINE Floats maximum(Floats a, Floats b) { return select(a != a, a, larger(a, b)); }

/// The smaller number; NaN if one is.
NETGLOT_TARGET NETGLOT_INLINE Floats minimum(Floats a, Floats b) { return select(a != a, a, smaller(a, b)); }

NETGLOT_TARGET NETGLOT_INLINE Floats sqrt(Floats x) {
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Floats)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x);  // plain sqrt_ps warns in GCC 12
#elif defined(NETGLOT_X86) && NETGLOT_LANES == 8
  return (Floats)_mm256_sqrt_ps((__m256)x);
#elif defined(NETGLOT_X86)
  return (Floats)_mm_sqrt_ps((__m128)x);
#elif NETGLOT_LANES > 1
  return (Floats)vsqrtq_f32((float32x4_t)x);
#else
  return std::sqrt(x);
#endif
}

#if NETGLOT_LANES > 1

/// c[0] + c[1] x + c[2] x^2 ...
template <Index N>
NETGLOT_TARGET NETGLOT_INLINE Floats polynomial(Floats x, const float (&c)[N]) {
  Floats y = splat(c[N - 1]);
  NETGLOT_UNROLL for (Index i = N - 2; i >= 0; --i) y = y * x + c[i];
  return y;
}

constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;  // the first has so few bits that n * it is exact

/// x = n ln 2 + r, |r| <= ln 2 / 2, for x so small that n fits into a byte or two; and exp(r) - 1.
struct Reduced {
  Ints n;
  Floats whole, q;  ///< n as a float; exp(r) - 1

  NETGLOT_TARGET NETGLOT_INLINE explicit Reduced(Floats x) {
    constexpr float round = 0x1.8p23f;  // a sum with it has the nearest integer in its last bits
    const Floats shifted = x * 0x1.715476p0f + round;
    n = bits(shifted) - bits(splat(round));
    whole = shifted - round;
    const Floats r = (x - whole * ln2_high) - whole * ln2_low;
    q = r + r * r * polynomial(r, {0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558fap-5f, 0x1.123b6ap-7f, 0x1.6a21acp-10f});
  }
};

/// 2^n for n in -126...127.
NETGLOT_TARGET NETGLOT_INLINE Floats power_of_two(Ints n) { return from_bits((n + 127) << 23); }

/// e^x: beyond 88.72 infinity, below -87.3 with denormals, below -103.97 zero.
NETGLOT_TARGET NETGLOT_INLINE Floats exp(Floats x) {
  const Reduced e(limited(x, splat(-104), splat(89)));
#if defined(NETGLOT_X86) && NETGLOT_LANES == 16
  return (Floats)_mm512_maskz_scalef_ps(0xFFFF, (__m512)(e.q + 1), (__m512)e.whole);
#else
  const Ints half = e.n >> 1;  // in two steps, for what 2^n alone can't be: 2^128, and less than 2^-126
  return (e.q + 1) * power_of_two(half) * power_of_two(e.n - half);
#endif
}

/// e^x - 1.
NETGLOT_TARGET NETGLOT_INLINE Floats expm1(Floats x) {
  const Reduced e(limited(x, splat(-20), splat(89)));
  const Floats half = power_of_two(e.n - 1);  // half of 2^n, which would overflow too early
  return (half * e.q + (half - 0.5f)) * 2;
}

NETGLOT_TARGET NETGLOT_INLINE Floats tanh(Floats x) {
  const Floats t = expm1(smaller(splat(20), magnitude(x) * 2));  // e^2x - 1; from 9.02 on, the result is one
  return with_sign(t / (t + 2), x);
}

/// 1 / (1 + e^-x), exact to the last bits also where it is nearly zero.
NETGLOT_TARGET NETGLOT_INLINE Floats sigmoid(Floats x) {
  const Floats e = exp(-magnitude(x));
  return select(x < 0, e, splat(1)) / (e + 1);
}

/// log(1 + f) for f in sqrt(1/2) - 1 ... sqrt(2) - 1, plus `more`, which is small.
NETGLOT_TARGET NETGLOT_INLINE Floats log_near_one(Floats f, Floats more) {
  const Floats p = polynomial(f, {0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a4b6p-3f, -0x1.555c4ep-3f, 0x1.233768p-3f,
                                  -0x1.fc2208p-4f, 0x1.e6f06ep-4f, -0x1.de3c12p-4f, 0x1.14579ap-4f});
  const Floats square = f * f;
  return f - (square * 0.5f - (square * f * p + more));
}

/// The natural logarithm: of zero -infinity, of negative numbers NaN.
NETGLOT_TARGET NETGLOT_INLINE Floats log(Floats x) {
  constexpr std::int32_t root = 0x3F3504F3;  // the bits of sqrt(1/2)
  const Mask denormal = x < std::numeric_limits<float>::min();
  const Ints i = bits(select(denormal, x * 0x1p23f, x)) - root;
  const Floats n = __builtin_convertvector(i >> 23, Floats) - select(denormal, splat(23), splat(0));
  const Floats y = n * ln2_high + log_near_one(from_bits((i & 0x7FFFFF) + root) - 1, n * ln2_low);
  const Floats positive = select(x < infinity, y, x);
  return select(x > 0, positive, select(x == 0, splat(-infinity), splat(std::numeric_limits<float>::quiet_NaN())));
}

/// log(1 + t) for t in 0...1.
NETGLOT_TARGET NETGLOT_INLINE Floats log1p_of_fraction(Floats t) {
  const Mask halved = t > 0x1.a8p-2f;  // 1 + t = 2 (1 + (t - 1) / 2)
  const Floats n = select(halved, splat(1), splat(0));
  return n * ln2_high + log_near_one(select(halved, (t - 1) * 0.5f, t), n * ln2_low);
}

/// log(1 + e^x), which neither overflows nor loses digits.
NETGLOT_TARGET NETGLOT_INLINE Floats softplus(Floats x) {
  return larger(Floats{}, x) + log1p_of_fraction(exp(-magnitude(x)));
}

NETGLOT_TARGET NETGLOT_INLINE Floats erf(Floats x) {
  constexpr float one_from = 3.9375f;  // up to there erf(x) / x is a quotient of polynomials of x^2
  const Floats limit = splat(one_from), s = limited(x, -limit, limit), t = s * s;
  const Floats p = polynomial(t, {0x1.20dd74p0f, 0x1.874ec8p-3f, 0x1.b0b738p-5f, 0x1.f0c936p-9f, 0x1.2a9716p-12f,
                                  0x1.1141f8p-19f});
  const Floats q = polynomial(t, {0x1p0f, 0x1.015cfcp-1f, 0x1.d4751ap-4f, 0x1.ec2286p-7f, 0x1.31fc56p-10f,
                                  0x1.3e416ep-15f});
  return limited(select(magnitude(x) < one_from, s * p / q, x), splat(-1), splat(1));
}

#else

NETGLOT_INLINE float exp(float x) { return std::exp(x); }
NETGLOT_INLINE float expm1(float x) { return std::expm1(x); }
NETGLOT_INLINE float tanh(float x) { return std::tanh(x); }
NETGLOT_INLINE float log(float x) { return std::log(x); }
NETGLOT_INLINE float erf(float x) { return std::erf(x); }

NETGLOT_INLINE float sigmoid(float x) {
  const float e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

NETGLOT_INLINE float softplus(float x) { return larger(0, x) + std::log1p(std::exp(-std::fabs(x))); }

#endif

}  // namespace NETGLOT_NAMESPACE
