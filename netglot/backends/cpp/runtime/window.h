// Convolution and pooling over any number of spatial axes.
#pragma once

#include "nest.h"
#include "scalar.h"

namespace NETGLOT_NAMESPACE {

/// One spatial axis of a window that slides over `in` elements, `pad` of which lie before the first one.
template <Index In, Index Out, Index Kernel, Index Stride, Index Pad, Index Dilation>
struct Axis {
  static constexpr Index in = In, out = Out, kernel = Kernel, stride = Stride, pad = Pad, dilation = Dilation;
};

template <class First, class... Rest>
struct Last : Last<Rest...> {};
template <class Only>
struct Last<Only> {
  using type = Only;
};
template <class... A>
using last_t = typename Last<A...>::type;

constexpr Index tile = 256;  // outputs of a row that are computed together, so that their sums stay in the fast cache

/// How many rows (along the last axis) of outputs there are.
template <class... A>
constexpr Index rows = (A::out * ... * 1) / last_t<A...>::out;

/// The index of a row, axis by axis.
template <class... A>
inline void locate(Index row, Index* position) {
  constexpr Index sizes[] = {A::out...};
  for (Index axis = Index(sizeof...(A)) - 2; axis >= 0; row /= sizes[axis--]) position[axis] = row % sizes[axis];
}

/// For the outputs `from` to `to` of one row, calls row(k, i, first, last) for each element k of the kernel: the outputs
/// o in first..last-1 see the input i + o * stride there. What lies in the padding is left out.
template <class Only, class Row>
inline void window(const Index*, Index from, Index to, const Row& row, Index k = 0, Index i = 0) {
  for (Index t = 0; t < Only::kernel; ++t) {
    const Index shift = t * Only::dilation - Only::pad;
    const Index least = shift >= 0 ? 0 : (Only::stride - 1 - shift) / Only::stride;
    const Index end = Only::in <= shift ? 0 : (Only::in - 1 - shift) / Only::stride + 1;
    const Index first = least > from ? least : from, last = end < to ? end : to;
    if (first < last) row(k + t, i + shift, first, last);
  }
}

template <class First, class Second, class... Rest, class Row>
inline void window(const Index* position, Index from, Index to, const Row& row, Index k = 0, Index i = 0) {
  for (Index t = 0; t < First::kernel; ++t) {
    const Index at = *position * First::stride + t * First::dilation - First::pad;
    if (at < 0 || at >= First::in) continue;
    window<Second, Rest...>(position + 1, from, to, row, (k + t) * Second::kernel, (i + at) * Second::in);
  }
}

/// y[n, m] = bias[m] + sum over c of x[n, c] * w[m, c], as cross-correlation. C channels in, M out, in G groups.
/// Sums of many terms are made of partial sums, so that rounding errors stay small.
template <Index N, Index C, Index M, Index G, class... A, class T>
void conv(const T* x, const T* w, same_t<const T*> bias, T* y) {
  using Row = last_t<A...>;
  constexpr Index in = (A::in * ... * 1), out = (A::out * ... * 1), taps = (A::kernel * ... * 1);
  constexpr Index depth = C / G, block = taps < 128 ? 128 / taps : 1;
  for (Index task = 0; task < N * G * rows<A...>; ++task) {
    const Index row = task % rows<A...>, g = task / rows<A...> % G, n = task / rows<A...> / G;
    Index position[sizeof...(A)] = {};
    locate<A...>(row, position);
    const T* const image = x + (n * G + g) * depth * in;
    for (Index from = 0; from < Row::out; from += tile) {
      const Index to = from + tile < Row::out ? from + tile : Row::out;
      for (Index m = g * (M / G); m < (g + 1) * (M / G); ++m) {
        T sum[tile], part[tile];
        for (Index o = from; o < to; ++o) sum[o - from] = bias ? bias[m] : T(0);
        for (Index start = 0; start < depth; start += block) {
          for (Index o = from; o < to; ++o) part[o - from] = T(0);
          for (Index c = start; c < start + block && c < depth; ++c) {
            window<A...>(position, from, to, [&](Index k, Index i, Index first, Index last) {
              const T weight = w[(m * depth + c) * taps + k];
              for (Index o = first; o < last; ++o) part[o - from] += weight * image[c * in + i + o * Row::stride];
            });
          }
          for (Index o = from; o < to; ++o) sum[o - from] += part[o - from];
        }
        for (Index o = from; o < to; ++o) y[(n * M + m) * out + row * Row::out + o] = sum[o - from];
      }
    }
  }
}

/// The transpose of a convolution: `in` of each axis is the size of y, `out` that of x. w is [C, M / G, kernel].
template <Index N, Index C, Index M, Index G, class... A, class T>
void conv_transpose(const T* x, const T* w, same_t<const T*> bias, T* y) {
  using Row = last_t<A...>;
  constexpr Index in = (A::in * ... * 1), out = (A::out * ... * 1), taps = (A::kernel * ... * 1);
  for (Index n = 0; n < N; ++n) {
    for (Index m = 0; m < M; ++m) {
      T* const image = y + (n * M + m) * in;
      for (Index i = 0; i < in; ++i) image[i] = bias ? bias[m] : T(0);
      const Index g = m / (M / G);
      for (Index task = 0; task < C / G * rows<A...>; ++task) {
        const Index row = task % rows<A...>, c = g * (C / G) + task / rows<A...>;
        Index position[sizeof...(A)] = {};
        locate<A...>(row, position);
        const T* const from = x + (n * C + c) * out + row * Row::out;
        window<A...>(position, 0, Row::out, [&](Index k, Index i, Index first, Index last) {
          const T weight = w[(c * (M / G) + m % (M / G)) * taps + k];
          for (Index o = first; o < last; ++o) image[i + o * Row::stride] += weight * from[o];
        });
      }
    }
  }
}

/// Each output is `start` combined with every input of its window: combine(what there is, input).
template <Index Planes, class... A, class T, class Result, class Combine>
void pool(const T* x, T* y, Result start, const Combine& combine) {
  using Row = last_t<A...>;
  constexpr Index in = (A::in * ... * 1);
  for (Index task = 0; task < Planes * rows<A...>; ++task) {
    const T* const image = x + task / rows<A...> * in;
    Index position[sizeof...(A)] = {};
    locate<A...>(task % rows<A...>, position);
    for (Index from = 0; from < Row::out; from += tile) {
      const Index to = from + tile < Row::out ? from + tile : Row::out;
      Result result[tile];
      for (Index o = from; o < to; ++o) result[o - from] = start;
      window<A...>(position, from, to, [&](Index, Index i, Index first, Index last) {
        for (Index o = first; o < last; ++o) result[o - from] = combine(result[o - from], image[i + o * Row::stride]);
      });
      for (Index o = from; o < to; ++o) y[task * Row::out + o] = T(result[o - from]);
    }
  }
}

/// The largest element of each window, and its place in the whole of x.
template <Index Planes, class... A, class T>
void max_pool_indices(const T* x, T* y, std::int64_t* indices) {
  constexpr Index in = (A::in * ... * 1);
  for (Index task = 0; task < Planes * rows<A...>; ++task) {
    Index position[sizeof...(A)] = {};
    locate<A...>(task % rows<A...>, position);
    for (Index o = 0; o < last_t<A...>::out; ++o, ++y, ++indices) {
      Index best = -1;
      window<A...>(position, o, o + 1, [&](Index, Index i, Index, Index) {
        const Index at = task / rows<A...> * in + i + o * last_t<A...>::stride;
        if (best < 0 || x[at] > x[best]) best = at;
      });
      *y = best < 0 ? std::numeric_limits<T>::lowest() : x[best];
      *indices = best;
    }
  }
}

}  // namespace NETGLOT_NAMESPACE
