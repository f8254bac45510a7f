"""Non-maximum suppression. Semantics: TensorFlow's core/ops/image_ops.cc, kernels/image/non_max_suppression_op.cc."""

from __future__ import annotations

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Value


@tf_op("NonMaxSuppression")
def nms(g: TFBuilder, boxes: Value, scores: Value, max_output_size: Value, *, iou_threshold: float = 0.5) -> Value:
    return _kept(g, boxes, scores, max_output_size, g.constant(iou_threshold, np.float32), None)


@tf_op("NonMaxSuppressionV2")
def nms_v2(g: TFBuilder, boxes: Value, scores: Value, max_output_size: Value, iou_threshold: Value) -> Value:
    return _kept(g, boxes, scores, max_output_size, iou_threshold, None)


@tf_op("NonMaxSuppressionV3")
def nms_v3(
    g: TFBuilder, boxes: Value, scores: Value, max_output_size: Value, iou_threshold: Value, score_threshold: Value
) -> Value:
    return _kept(g, boxes, scores, max_output_size, iou_threshold, score_threshold)


@tf_op("NonMaxSuppressionV4")
def nms_v4(
    g: TFBuilder, boxes: Value, scores: Value, max_output_size: Value, iou_threshold: Value, score_threshold: Value, *,
    pad_to_max_output_size: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """Indices and how many there are; padded with 0 to the maximum, if that is wanted."""
    if pad_to_max_output_size:
        return _padded(g, boxes, scores, max_output_size, iou_threshold, score_threshold)
    kept = _kept(g, boxes, scores, max_output_size, iou_threshold, score_threshold)
    return kept, g.cast(g.Size(kept), np.int32)


@tf_op("NonMaxSuppressionV5")
def nms_v5(
    g: TFBuilder, boxes: Value, scores: Value, max_output_size: Value, iou_threshold: Value, score_threshold: Value,
    soft_nms_sigma: Value, *, pad_to_max_output_size: bool = False,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """Indices, their scores, and how many there are."""
    if g.static(soft_nms_sigma, "soft_nms_sigma").any():
        raise g.unsupported("soft suppression, which lowers the scores of boxes (soft_nms_sigma)")
    arguments = (g, boxes, scores, max_output_size, iou_threshold, score_threshold)
    kept, count = nms_v4(*arguments, pad_to_max_output_size=pad_to_max_output_size)
    chosen = g.Gather(scores, kept, axis=0)
    if pad_to_max_output_size:
        place = g.Range(g.constant(0, np.int32), g.cast(max_output_size, np.int32), g.constant(1, np.int32))
        chosen = g.Where(g.Less(place, count), chosen, scalar(g, 0, scores))
    return kept, chosen, count


def _kept(
    g: TFBuilder, boxes: Value, scores: Value, limit: Value, iou_threshold: Value, score_threshold: Value | None
) -> Value:
    """The indices of what is kept, int32, by falling score."""
    chosen = g.NonMaxSuppression(
        g.Unsqueeze(g.cast(boxes, np.float32), [0]), g.Unsqueeze(g.cast(scores, np.float32), [0, 1]),
        g.cast(limit, np.int64), g.cast(iou_threshold, np.float32),
        None if score_threshold is None else g.cast(score_threshold, np.float32),
    )  # fmt: skip
    return g.cast(g.Gather(chosen, np.array(2, np.int64), axis=1), np.int32)


def _padded(g: TFBuilder, *arguments: Value) -> tuple[Value, Value]:
    """By the operator of a fixed size, which pads with -1."""
    boxes, scores, limit, iou_threshold, score_threshold = arguments
    kept = g.extension(
        "BoxNms", [g.cast(boxes, np.float32), g.cast(scores, np.float32)],
        max_boxes=g.ints(limit, "max_output_size")[0],
        iou_threshold=float(g.static(iou_threshold, "iou_threshold")),
        score_threshold=float(g.static(score_threshold, "score_threshold")),
    )  # fmt: skip
    zero = g.constant(0, np.int64)
    count = g.ReduceSum(g.cast(g.GreaterOrEqual(kept, zero), np.int32), [0], keepdims=0)
    return g.cast(g.Max(kept, zero), np.int32), count


@tf_op("CombinedNonMaxSuppression")
def combined_nms(
    g: TFBuilder, boxes: Value, scores: Value, max_output_size_per_class: Value, max_total_size: Value,
    iou_threshold: Value, score_threshold: Value, *, pad_per_class: bool = False, clip_boxes: bool = True,
) -> tuple[Value, ...]:  # fmt: skip
    """Suppression in each class, then the best of all of them: boxes [N, total, 4], scores, classes, how many.

    boxes are [N, boxes, 1, 4], shared by the classes; scores [N, boxes, classes].
    """
    if (boxes.shape or ())[2] != 1:
        raise g.unsupported("boxes of their own for each class")
    count, classes = (scores.shape or ())[1:]
    per_class = g.ints(max_output_size_per_class, "max_output_size_per_class")[0]
    total = g.ints(max_total_size, "max_total_size")[0]
    if not isinstance(count, int) or not isinstance(classes, int):
        raise g.unsupported("an unknown number of boxes or classes")
    total = min(total, per_class * classes) if pad_per_class else total
    shared, by_class = g.Squeeze(boxes, [2]), g.Transpose(scores, perm=[0, 2, 1])
    thresholds = g.cast(iou_threshold, np.float32), g.cast(score_threshold, np.float32)
    chosen = g.NonMaxSuppression(shared, by_class, g.constant(min(per_class, count), np.int64), *thresholds)
    return _best(g, shared, by_class, chosen, count, classes, g.affordable(total)[0], clip_boxes)


def _best(
    g: TFBuilder, boxes: Value, scores: Value, chosen: Value, count: int, classes: int, total: int, clip: bool
) -> tuple[Value, ...]:  # fmt: skip
    """The best `total` of the `chosen` (image, class, box); what is missing is 0."""
    lowest = scalar(g, float(np.finfo(np.float32).min), scores)
    empty = g.Expand(lowest, g.Shape(scores))
    marked = g.ScatterND(empty, chosen, g.GatherND(scores, chosen))
    flat = g.Reshape(marked, g.constant([0, classes * count], np.int64))
    if total > classes * count:
        flat = g.Pad(flat, [0, 0, 0, total - classes * count], lowest)
    best, place = g.op("TopK", [flat, g.constant([total], np.int64)], outputs=2, axis=-1)
    valid, zero = g.Greater(best, lowest), scalar(g, 0, scores)
    size, none = g.constant(count, np.int64), g.constant(0, np.int64)
    box = g.Unsqueeze(g.Where(valid, g.Mod(place, size), none), [2])
    found = g.GatherND(boxes, box, batch_dims=1)
    if clip:
        found = g.Clip(found, zero, scalar(g, 1, scores))
    category = g.cast(g.Where(valid, g.Div(place, size), none), np.float32)
    number = g.ReduceSum(g.cast(valid, np.int32), [1], keepdims=0)
    return g.Where(g.Unsqueeze(valid, [2]), found, zero), g.Where(valid, best, zero), category, number
