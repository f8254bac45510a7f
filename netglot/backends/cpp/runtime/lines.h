// Operators along one axis: N elements that lie Step apart.
#pragma once

#include "nest.h"
#include "scalar.h"

namespace NETGLOT_NAMESPACE {

template <Index N, Index Step, class T>
inline T largest(const T* x) {
  T best = x[0];
  for (Index i = 1; i < N; ++i) best = maximum(best, x[i * Step]);
  return best;
}

/// y = exp(x) / sum of exp(x), shifted by the largest so that nothing overflows. y may be x.
template <Index N, Index Step, class T>
void softmax(const T* x, T* y) {
  const T top = largest<N, Step>(x);
  double sum = 0;
  for (Index i = 0; i < N * Step; i += Step) sum += y[i] = std::exp(x[i] - top);
  for (Index i = 0; i < N * Step; i += Step) y[i] = T(y[i] / sum);
}

/// The logarithm of softmax. y may be x.
template <Index N, Index Step, class T>
void log_softmax(const T* x, T* y) {
  const T top = largest<N, Step>(x);
  double sum = 0;
  for (Index i = 0; i < N * Step; i += Step) sum += std::exp(x[i] - top);
  const T shift = T(std::log(sum));
  for (Index i = 0; i < N * Step; i += Step) y[i] = (x[i] - top) - shift;
}

/// One at the first of the largest elements, zero elsewhere. y may be x.
template <Index N, Index Step, class T>
void hardmax(const T* x, T* y) {
  Index best = 0;
  for (Index i = 1; i < N; ++i)
    if (x[i * Step] > x[best * Step]) best = i;
  for (Index i = 0; i < N; ++i) y[i * Step] = T(i == best);
}

/// The index of the element that is better than all others; the first one of equals, unless better(a, a).
template <Index N, Index Step, class T, class Better>
inline std::int64_t arg_best(const T* x, const Better& better) {
  std::int64_t best = 0;
  for (Index i = 1; i < N; ++i)
    if (better(x[i * Step], x[best * Step])) best = i;
  return best;
}

/// The K best of N elements and their indices, best first; of equals, the one with the lower index.
template <Index N, Index Step, Index K, Index OutStep, class T, class Better>
void top_k(const T* x, T* values, std::int64_t* indices, const Better& better) {
  for (Index i = 0; i < N; ++i) {
    Index place = i < K ? i : K;
    for (; place > 0 && better(x[i * Step], values[(place - 1) * OutStep]); --place) {
      if (place == K) continue;
      values[place * OutStep] = values[(place - 1) * OutStep];
      indices[place * OutStep] = indices[(place - 1) * OutStep];
    }
    if (place == K) continue;
    values[place * OutStep] = x[i * Step];
    indices[place * OutStep] = i;
  }
}

/// Sums (or products) of the elements up to each one; Exclusive leaves that one out, Reverse starts from the end.
template <Index N, Index Step, bool Exclusive, bool Reverse, class T, class Combine>
void running(const T* x, T* y, Sum<T> total, const Combine& combine) {
  for (Index i = 0; i < N; ++i) {
    const Index at = (Reverse ? N - 1 - i : i) * Step;
    if (Exclusive) y[at] = T(total);
    total = combine(total, Sum<T>(x[at]));
    if (!Exclusive) y[at] = T(total);
  }
}

/// Local response normalisation over Size channels. `scale` is alpha / Size.
template <Index N, Index C, Index Inner, Index Size, class T>
void lrn(const T* x, T* y, double scale, double beta, double bias) {
  for (Index n = 0; n < N; ++n)
    for (Index c = 0; c < C; ++c) {
      const Index before = (Size - 1) / 2, first = c > before ? c - before : 0;
      const Index end = c - before + Size < C ? c - before + Size : C;
      for (Index i = 0; i < Inner; ++i) {
        T squares = 0;
        for (Index other = first; other < end; ++other) {
          const T value = x[(n * C + other) * Inner + i];
          squares += value * value;
        }
        const Index at = (n * C + c) * Inner + i;
        y[at] = x[at] * std::pow(T(bias) + T(scale) * squares, T(-beta));
      }
    }
}

}  // namespace NETGLOT_NAMESPACE
