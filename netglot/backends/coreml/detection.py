"""Operators of detection networks."""

from __future__ import annotations

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, coreml_op
from netglot.backends.coreml.shape import sliced


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
    """MIL wants centre and size, and keeps a score that equals its threshold; so it gets the next greater number."""
    one, other = sliced(m, boxes, {1: slice(0, 2)}), sliced(m, boxes, {1: slice(2, 4)})
    centre = m.mul(x=m.add(x=one, y=other), y=0.5)
    centred = m.concat(values=[centre, m.abs(x=m.sub(x=other, y=one))], axis=1)
    threshold = float(np.nextafter(np.float32(score_threshold), np.float32(np.inf)))
    _, _, indices, _ = m.non_maximum_suppression(
        boxes=m.expand_dims(x=centred, axes=[0]), scores=m.expand_dims(x=scores, axes=[0, 2]),
        iou_threshold=iou_threshold, score_threshold=threshold, max_boxes=max_boxes,
    )  # fmt: skip
    return m.squeeze(x=indices, axes=[0])


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
