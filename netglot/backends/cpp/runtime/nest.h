// Loops over tensors whose shapes are known at compile time.
#pragma once

#include "simd.h"

namespace NETGLOT_NAMESPACE {

/// A tensor on a walk: the current element, and how many elements each axis of the walk moves on.
template <class T, Index... Steps>
struct Walk {
  T* at;
};

template <Index... Steps, class T>
NETGLOT_INLINE Walk<T, Steps...> over(T* start) {
  return {start};
}

template <class T, Index Step, Index... Rest>
NETGLOT_INLINE Walk<T, Rest...> enter(Walk<T, Step, Rest...> walk, Index i) {
  return {walk.at + i * Step};
}

template <Index... Sizes>
struct Nest;

template <>
struct Nest<> {
  template <class Body, class... Walks>
  static NETGLOT_INLINE void run(const Body& body, Walks... walks) {
    body(*walks.at...);
  }
};

template <Index Size, Index... Rest>
struct Nest<Size, Rest...> {
  template <class Body, class... Walks>
  static NETGLOT_INLINE void run(const Body& body, Walks... walks) {
    for (Index i = 0; i < Size; ++i) Nest<Rest...>::run(body, enter(walks, i)...);
  }
};

/// Calls body(element of each walk...) for every index of a space of the given sizes, in C order.
template <Index... Sizes, class Body, class... Walks>
NETGLOT_INLINE void nest(const Body& body, Walks... walks) {
  Nest<Sizes...>::run(body, walks...);
}

}  // namespace NETGLOT_NAMESPACE
