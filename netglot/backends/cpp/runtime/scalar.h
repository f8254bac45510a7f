// Functions of single numbers that <cmath> lacks or leaves undefined.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "half.h"
#include "isa.h"

namespace NETGLOT_NAMESPACE {

using netglot::Half;

/// The type to add up many T in.
template <class T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

/// A parameter type that is not deduced.
template <class T>
struct Same {
  using type = T;
};
template <class T>
using same_t = typename Same<T>::type;

template <class T>
inline bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return x != x + T(0);
}

/// The larger number; NaN if one is.
template <class T>
inline T maximum(T a, T b) {
  return b > a || is_nan(b) ? b : a;
}

/// The smaller number; NaN if one is.
template <class T>
inline T minimum(T a, T b) {
  return b < a || is_nan(b) ? b : a;
}

/// a / b; integers round towards zero, and a division by zero gives zero.
template <class T>
inline T divide(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a / b;
  if constexpr (std::is_signed_v<T>)
    if (b == T(-1)) return T(T(0) - a);
  return b == T(0) ? T(0) : T(a / b);
}

/// The remainder with the sign of a (C's fmod).
template <class T>
inline T remainder(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmod(a, b);
  } else {
    return b == T(0) || b == T(-1) ? T(0) : T(a % b);
  }
}

/// The remainder with the sign of b (Python's %).
template <class T>
inline T modulo(T a, T b) {
  const T r = remainder(a, b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? T(r + b) : r;
}

template <class T, class P>
inline T power(T a, P b) {
  if constexpr (std::is_floating_point_v<T>) return std::pow(a, T(b));
  return T(std::pow(double(a), double(b)));
}

template <class T>
inline T absolute(T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return x;
  } else {
    return T(std::abs(x));
  }
}

template <class T>
inline T sign(T x) {
  return T((x > T(0)) - (x < T(0)));
}

template <class T>
inline T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

/// log(1 + exp(x)) without overflow.
template <class T>
inline T softplus(T x) {
  return maximum(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// A number as another type: fractions are cut off, what does not fit becomes the nearest that does, NaN becomes zero.
template <class To, class From>
inline To cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, Half>) {
    return cast<To>(to_float(x));
  } else if constexpr (std::is_same_v<To, Half>) {
    return to_half(double(x));  // which no number that a half can hold is rounded by
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(x)) return To(0);
    if (x <= From(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (x >= From(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return To(x);
  } else {
    return To(x);
  }
}

/// An index into an axis of `Size`, counted from the end if negative. What is outside is moved inside.
template <std::ptrdiff_t Size, class T>
inline std::ptrdiff_t index(T i) {
  const std::ptrdiff_t at = std::ptrdiff_t(i) < 0 ? std::ptrdiff_t(i) + Size : std::ptrdiff_t(i);
  return at < 0 ? 0 : at >= Size ? Size - 1 : at;
}

}  // namespace NETGLOT_NAMESPACE
