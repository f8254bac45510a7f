// Operators of detection networks.
#pragma once

#include "nest.h"
#include "scalar.h"

namespace NETGLOT_NAMESPACE {

/// Whether the intersection over union of two boxes, each given by two opposite corners, is greater than `limit`.
template <class T>
inline bool overlap(const T* a, const T* b, T limit) {
  T shared = 1, area_a = 1, area_b = 1;
  for (int axis = 0; axis < 2; ++axis) {
    const T low_a = minimum(a[axis], a[axis + 2]), high_a = maximum(a[axis], a[axis + 2]);
    const T low_b = minimum(b[axis], b[axis + 2]), high_b = maximum(b[axis], b[axis + 2]);
    shared *= maximum(minimum(high_a, high_b) - maximum(low_a, low_b), T(0));
    area_a *= high_a - low_a;
    area_b *= high_b - low_b;
  }
  return shared > T(0) && shared > limit * (area_a + area_b - shared);
}

/// Greedy non-maximum suppression: takes the best box left, drops what overlaps it, and so on; then -1.
template <Index Count, Index Max, class T>
void box_nms(const T* boxes, const T* scores, bool* dropped, std::int64_t* y, T iou_limit, T score_limit) {
  for (Index i = 0; i < Count; ++i) dropped[i] = !(scores[i] > score_limit);
  for (Index kept = 0; kept < Max; ++kept) {
    Index best = -1;
    for (Index i = 0; i < Count; ++i)
      if (!dropped[i] && (best < 0 || scores[i] > scores[best])) best = i;
    y[kept] = best;
    if (best < 0) continue;
    dropped[best] = true;
    for (Index i = 0; i < Count; ++i) dropped[i] = dropped[i] || overlap(boxes + 4 * i, boxes + 4 * best, iou_limit);
  }
}

/// The part of an axis of `size` that bin `bin` of a region covers.
template <class T>
inline void bin_range(Index bin, T width, Index start, Index size, Index& first, Index& end) {
  first = Index(std::floor(T(bin) * width)) + start;
  end = Index(std::ceil(T(bin + 1) * width)) + start;
  first = first < 0 ? 0 : first > size ? size : first;
  end = end < 0 ? 0 : end > size ? size : end;
}

/// The largest element of each of Rows x Columns bins of every region (batch, x1, y1, x2, y2); 0 for an empty bin.
template <Index N, Index C, Index H, Index W, Index Rois, Index Rows, Index Columns, class T>
void max_roi_pool(const T* x, const T* rois, T* y, T scale) {
  for (Index roi = 0; roi < Rois; ++roi, rois += 5) {
    const Index n = index<N>(cast<std::int64_t>(rois[0]));
    const Index left = cast<std::int32_t>(std::round(rois[1] * scale)), top = cast<std::int32_t>(std::round(rois[2] * scale));
    const Index right = cast<std::int32_t>(std::round(rois[3] * scale)), low = cast<std::int32_t>(std::round(rois[4] * scale));
    const T height = T(low - top + 1 > 1 ? low - top + 1 : 1) / T(Rows);
    const T width = T(right - left + 1 > 1 ? right - left + 1 : 1) / T(Columns);
    for (Index place = 0; place < C * Rows * Columns; ++place) {
      Index h = 0, h_end = 0, w_first = 0, w_end = 0;
      bin_range(place / Columns % Rows, height, top, H, h, h_end);
      bin_range(place % Columns, width, left, W, w_first, w_end);
      const T* const image = x + (n * C + place / (Rows * Columns)) * H * W;
      T best = h < h_end && w_first < w_end ? image[h * W + w_first] : T(0);
      for (; h < h_end; ++h)
        for (Index w = w_first; w < w_end; ++w) best = maximum(best, image[h * W + w]);
      *y++ = best;
    }
  }
}

}  // namespace NETGLOT_NAMESPACE
