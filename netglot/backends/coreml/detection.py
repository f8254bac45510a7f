"""Operators of detection networks."""

from __future__ import annotations

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, constant, coreml_op, is_open
from netglot.backends.coreml.shape import sliced
from netglot.backends.lowering import NotMappedError


@coreml_op("netglot.BoxNms")
def box_nms(
    m: CoreMLBuilder,
    boxes: Var,
    scores: Var,
    *,
    max_boxes: int,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
) -> Var:
    return suppressed(m, centred(m, boxes), scores, max_boxes, iou_threshold, score_threshold)[0]


def centred(m: CoreMLBuilder, boxes: Var) -> Var:
    """Boxes [N, 4] by centre and size, as MIL wants them, of those by two opposite corners."""
    one, other = sliced(m, boxes, {1: slice(0, 2)}), sliced(m, boxes, {1: slice(2, 4)})
    centre = m.mul(x=m.add(x=one, y=other), y=0.5)
    return m.concat(values=[centre, m.abs(x=m.sub(x=other, y=one))], axis=1)


def suppressed(
    m: CoreMLBuilder, boxes: Var, scores: Var, most: int, iou_threshold: float, score_threshold: float | None
) -> tuple[Var, Var]:
    """Indices [most] of the kept ones of boxes [N, 4] and then -1, and how many they are [1].

    MIL keeps a score that equals its threshold; so it gets the next greater number, or without one the least.
    """
    threshold = -np.inf
    if score_threshold is not None:
        threshold = float(np.nextafter(np.float32(score_threshold), np.float32(np.inf)))
    _, _, indices, count = m.non_maximum_suppression(
        boxes=m.expand_dims(x=boxes, axes=[0]), scores=m.expand_dims(x=scores, axes=[0, 2]),
        iou_threshold=iou_threshold, score_threshold=threshold, max_boxes=most,
    )  # fmt: skip
    return m.squeeze(x=indices, axes=[0]), count


MAX_SUPPRESSIONS = 256  # of one NonMaxSuppression: each class of each image is one of MIL's


@coreml_op("NonMaxSuppression", open_sizes=True)
def non_max_suppression(
    m: CoreMLBuilder, boxes: Var, scores: Var, most: Tensor | None = None, iou_threshold: Tensor | None = None,
    score_threshold: Tensor | None = None, *, center_point_box: int,
) -> Var:  # fmt: skip
    """One suppression for each class of each image, in ONNX's order, and of each the rows that it found."""
    if is_open(boxes) or is_open(scores):
        raise NotMappedError("how many boxes it chooses from is known only when the model runs")
    batch, classes, count = scores.shape
    if batch * classes > MAX_SUPPRESSIONS:
        raise NotMappedError(f"{batch} image(s) of {classes} classes are more than {MAX_SUPPRESSIONS} suppressions")
    kept = min(count, int(_number(most, "max_output_boxes_per_class") or 0))
    if kept < 1:
        raise NotMappedError("max_output_boxes_per_class is 0, so that it finds nothing")
    overlap, least = _number(iou_threshold, "iou_threshold") or 0.0, _number(score_threshold, "score_threshold")
    rows = []
    for image in range(batch):
        at = m.squeeze(x=sliced(m, boxes, {0: slice(image, image + 1)}), axes=[0])
        at = _without_negative(m, at) if center_point_box else centred(m, at)
        for label in range(classes):
            chosen = sliced(m, scores, {0: slice(image, image + 1), 1: slice(label, label + 1)})
            picked, found = suppressed(m, at, m.squeeze(x=chosen, axes=[0, 1]), kept, overlap, least)
            rows.append(_rows(m, picked, found, image, label))
    return m.concat(values=rows, axis=0) if len(rows) > 1 else rows[0]


def _number(x: Tensor | None, what: str) -> float | None:
    return None if x is None else float(constant(x, what).item())


def _without_negative(m: CoreMLBuilder, boxes: Var) -> Var:
    """Boxes [N, 4] by centre and size, of which a negative size overlaps nothing, as zero."""
    return m.maximum(x=boxes, y=np.array([[-np.inf, -np.inf, 0, 0]], np.float32))


def _rows(m: CoreMLBuilder, picked: Var, found: Var, image: int, label: int) -> Var:
    """[found, 3]: the image, the class and an index of each of the first `found` boxes of `picked`."""
    if picked.shape[0] == 1:  # of one element MIL infers that a slice has one, too, though it may have none
        picked = m.concat(values=[picked, np.array([-1], np.int32)], axis=0)
    column = m.expand_dims(x=m.slice_by_index(x=picked, begin=[0], end=found), axes=[1])
    rows = m.mul(x=column, y=np.array([[0, 0, 1]], np.int32))
    return m.add(x=rows, y=np.array([[image, label, 0]], np.int32))


_NOTHING = -1e38  # less than anything in an image, and twice it is still finite


@coreml_op("MaxRoiPool")
def max_roi_pool(m: CoreMLBuilder, x: Var, rois: Tensor, *, pooled_shape: tuple[int, int], spatial_scale: float) -> Var:
    """Core ML has no such operator: a bin is a maximum over the whole image, less what lies outside the bin.

    Rows of `rois` are (image, x1, y1, x2, y2); bins are rounded outwards, and an empty one gives 0 (Fast R-CNN).
    """
    parts = [m.slice_by_index(x=rois, begin=[0, i], end=[rois.shape[0], i + 1]) for i in range(5)]
    image = m.cast(x=m.squeeze(x=parts[0], axes=[1]), dtype="int32")
    corners = [_rounded(m, m.mul(x=part, y=spatial_scale)) for part in parts[1:]]
    columns, rows = corners[::2], corners[1::2]
    outside_y = _outside(m, rows, pooled_shape[0], x.shape[2])
    outside_x = _outside(m, columns, pooled_shape[1], x.shape[3])
    y = m.expand_dims(x=m.gather(x=x, indices=image, axis=0), axes=[2])
    y = m.reduce_max(x=m.add(x=y, y=m.expand_dims(x=outside_y, axes=[1, 4])), axes=[3])
    y = m.reduce_max(x=m.add(x=m.expand_dims(x=y, axes=[3]), y=m.expand_dims(x=outside_x, axes=[1, 2])), axes=[4])
    return m.select(cond=m.less(x=y, y=_NOTHING / 2), a=m.mul(x=y, y=0.0), b=y)


def _rounded(m: CoreMLBuilder, x: Var) -> Var:
    """Half up, as C's round does for what is not negative; MIL's round goes to even."""
    return m.floor(x=m.add(x=x, y=0.5))


def _outside(m: CoreMLBuilder, ends: list[Var], bins: int, size: int) -> Var:
    """[rois, bins, size]: 0 where a position belongs to that bin of the region between `ends`, _NOTHING elsewhere."""
    first, last = ends
    step = m.real_div(x=m.maximum(x=m.add(x=m.sub(x=last, y=first), y=1.0), y=1.0), y=float(bins))
    number = np.arange(bins, dtype=np.float32)[None]
    begin = m.add(x=m.floor(x=m.mul(x=step, y=number)), y=first)
    end = m.add(x=m.ceil(x=m.mul(x=step, y=number + 1)), y=first)
    position = np.arange(size, dtype=np.float32)[None, None]
    after = m.greater_equal(x=position, y=m.expand_dims(x=begin, axes=[2]))
    before = m.less(x=position, y=m.expand_dims(x=end, axes=[2]))
    inside = m.cast(x=m.logical_and(x=after, y=before), dtype="fp32")
    return m.mul(x=m.sub(x=np.ones(1, np.float32), y=inside), y=_NOTHING)
