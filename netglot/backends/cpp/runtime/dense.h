// Matrix products.
#pragma once

#include "nest.h"

namespace NETGLOT_NAMESPACE {

/// Sum of a[i * Step] * b[i]. Sixteen partial sums, so that it vectorises and rounding errors stay small.
template <Index N, Index Step, class T>
inline T dot(const T* a, const T* b) {
  constexpr Index lanes = 16;
  T part[lanes] = {};
  Index i = 0;
  for (; i + lanes <= N; i += lanes)
    for (Index lane = 0; lane < lanes; ++lane) part[lane] += a[(i + lane) * Step] * b[i + lane];
  for (Index lane = 0; lane < N % lanes; ++lane) part[lane] += a[(i + lane) * Step] * b[i + lane];
  for (Index half = lanes / 2; half > 0; half /= 2)
    for (Index lane = 0; lane < half; ++lane) part[lane] += part[lane + half];
  return part[0];
}

/// y[M, N] = a[M, K] * b[K, N], where a is stored as [K, M] if TransA, and b as [N, K] if TransB.
template <Index M, Index K, Index N, bool TransA, bool TransB, class T>
void matmul(const T* a, const T* b, T* y) {
  constexpr Index row = TransA ? 1 : K, column = TransA ? M : 1, tile = 256, block = 64;
  for (Index m = 0; m < M; ++m) {
    if constexpr (TransB) {
      for (Index n = 0; n < N; ++n) y[m * N + n] = dot<K, column>(a + m * row, b + n * K);
    } else {
      for (Index from = 0; from < N; from += tile) {
        const Index width = N - from < tile ? N - from : tile;
        T sum[tile] = {};
        for (Index start = 0; start < K; start += block) {
          T part[tile] = {};
          for (Index k = start; k < start + block && k < K; ++k) {
            const T factor = a[m * row + k * column];
            for (Index n = 0; n < width; ++n) part[n] += factor * b[k * N + from + n];
          }
          for (Index n = 0; n < width; ++n) sum[n] += part[n];
        }
        for (Index n = 0; n < width; ++n) y[m * N + from + n] = sum[n];
      }
    }
  }
}

}  // namespace NETGLOT_NAMESPACE
