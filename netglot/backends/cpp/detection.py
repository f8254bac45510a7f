"""Operators of detection networks."""

from __future__ import annotations

import numpy as np

from netglot.backends.cpp.context import CppBuilder, cpp_op
from netglot.backends.cpp.literals import literal
from netglot.backends.cpp.nest import numbers
from netglot.ir.graph import Value


@cpp_op("netglot.BoxNms")
def box_nms(
    m: CppBuilder, boxes: Value, scores: Value, y: Value, *, max_boxes: int, iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
) -> str:  # fmt: skip
    count = boxes.sizes[0]
    limits = ", ".join(literal(value, scores.dtype) for value in (iou_threshold, score_threshold))
    dropped = m.scratch(np.dtype(bool), count)
    template = f"{count}, {max_boxes}"
    return f"netglot::box_nms<{template}>({m.ref(boxes)}, {m.ref(scores)}, {dropped}, {m.ref(y)}, {limits});"


@cpp_op("MaxRoiPool")
def max_roi_pool(
    m: CppBuilder, x: Value, rois: Value, y: Value, *, pooled_shape: tuple[int, ...], spatial_scale: float
) -> str:
    template = numbers((*x.sizes, rois.sizes[0], *pooled_shape))
    scale = literal(spatial_scale, x.dtype)
    return f"netglot::max_roi_pool<{template}>({m.ref(x)}, {m.ref(rois)}, {m.ref(y)}, {scale});"
