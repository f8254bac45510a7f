// Which parts of a sliding window lie inside of an image: known for a whole row of outputs, not asked at each element.
#pragma once

#include "simd.h"

namespace NETGLOT_NAMESPACE {

/// first, ..., end - 1
struct Range {
  Index first, end;
};

constexpr Range range(Index first, Index end) { return {first, first < end ? end : first}; }

/// distance / step, which is a slow instruction, and the step is mostly one.
constexpr Index steps(Index distance, Index step) { return step == 1 ? distance : distance / step; }

/// Which of the taps at start, start + dilation, ... lie in 0, ..., size - 1.
constexpr Range taps_inside(Index start, Index size, Index taps, Index dilation) {
  const Index first = start < 0 ? steps(dilation - 1 - start, dilation) : 0;
  const Index end = start < size ? steps(size - 1 - start, dilation) + 1 : 0;
  return range(first, end < taps ? end : taps);
}

/// The outputs along an axis whose windows lie wholly inside.
constexpr Range outputs_inside(Index size, Index out, Index taps, Index stride, Index pad, Index dilation) {
  const Index last = size - 1 - (taps - 1) * dilation + pad;  // where the last such window begins, in the padded axis
  const Index first = (pad + stride - 1) / stride, end = last < 0 ? 0 : last / stride + 1;
  return range(first < out ? first : out, end < out ? end : out);
}

}  // namespace NETGLOT_NAMESPACE
