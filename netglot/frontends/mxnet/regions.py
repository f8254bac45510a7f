"""Regions: proposals of a network that looks for them, and what is pooled from them."""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.detection import Floats, Ints, Ranked, columns, images, sizes_of, survivors
from netglot.ir.graph import Value

# -------------------------------------------------------------------- proposals


@mxnet_op("_contrib_Proposal", "_contrib_MultiProposal", outputs=("output", "score"))
def proposal(
    g: MXNetBuilder, cls_prob: Value, bbox_pred: Value, im_info: Value, *, rpn_pre_nms_top_n: int = 6000,
    rpn_post_nms_top_n: int = 300, threshold: float = 0.7, rpn_min_size: int = 16,
    scales: Floats = (4.0, 8.0, 16.0, 32.0), ratios: Floats = (0.5, 1.0, 2.0), feature_stride: int = 16,
    output_score: bool = False, iou_loss: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """contrib/proposal.cc: rows (image, x1, y1, x2, y2), rpn_post_nms_top_n for each image, and their scores.

    Where fewer are found, they are repeated from the first on.
    """
    batch, channels, height, width = sizes_of(g, cls_prob)
    count = len(ratios) * len(scales)
    if channels != 2 * count or min(feature_stride, rpn_post_nms_top_n) < 1 or min(*scales, *ratios) <= 0:
        raise ConversionError(f"{channels} channels do not fit {count} anchors, or a size is not positive", g.origin)
    anchors, cells = _anchors(g, ratios, scales, feature_stride, height, width)
    deltas = g.Transpose(g.Reshape(bbox_pred, [batch, count, 4, height, width]), perm=(0, 3, 4, 1, 2))
    scores = g.Transpose(g.Slice(cls_prob, [count], [2 * count], [1]), perm=(0, 2, 3, 1))
    total = len(anchors)
    info = g.Unsqueeze(im_info, [1])
    boxes = _predicted(g, anchors, g.Reshape(deltas, [batch, total, 4]), info, iou_loss)
    scores = _without_padding(g, g.Reshape(scores, [batch, total, 1]), info, cells, feature_stride)
    boxes, scores = _without_small(g, boxes, scores, g.Mul(columns(g, info, 2, 1)[1], float(rpn_min_size)))
    first = min(total, rpn_pre_nms_top_n) if rpn_pre_nms_top_n > 0 else total
    rows = g.Concat(boxes, scores, axis=2)
    found = [_best(g, image, first, rpn_post_nms_top_n, threshold) for image in images(g, rows)]
    corners, values = columns(g, g.Concat(*found, axis=0) if len(found) > 1 else found[0], 4, 1)
    numbers = np.repeat(np.arange(batch, dtype=np.float32), rpn_post_nms_top_n)[:, None]
    return g.Concat(numbers, corners, axis=1), values


def _anchors(
    g: MXNetBuilder, ratios: Floats, scales: Floats, stride: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Corners [boxes, 4] by row, column and kind; and the row and column of each [boxes, 2]."""
    kinds = np.array([_kind(stride, ratio, scale) for ratio in ratios for scale in scales])
    g.affordable(height, width, len(kinds), 4)
    y, x = np.indices((height, width))
    shifts = np.stack([x, y, x, y], axis=-1)[:, :, None] * stride
    cells = np.broadcast_to(np.stack([y, x], axis=-1)[:, :, None], (height, width, len(kinds), 2))
    return (kinds + shifts).reshape(-1, 4).astype(np.float32), cells.reshape(-1, 2).astype(np.float32)


def _kind(stride: int, ratio: float, scale: float) -> list[float]:
    """The box of one ratio and scale about the first cell, with whole sides before it is scaled."""
    wide = floor(sqrt(floor(stride * stride / ratio)) + 0.5)
    high = floor(wide * ratio + 0.5)
    middle, half = (stride - 1) / 2, ((wide * scale - 1) / 2, (high * scale - 1) / 2)
    return [middle - half[0], middle - half[1], middle + half[0], middle + half[1]]


def _predicted(g: MXNetBuilder, anchors: np.ndarray, deltas: Value, info: Value, iou_loss: bool) -> Value:
    """Corners clipped to the image. A box from x1 to x2 is x2 - x1 + 1 wide."""
    boxes = g.Add(anchors, deltas) if iou_loss else _moved(g, anchors, deltas)
    high, wide, _ = columns(g, info, 1, 1, 1)
    limits = g.Sub(g.Concat(wide, high, wide, high, axis=2), 1.0)
    return g.Max(g.Min(boxes, limits), np.zeros((), np.float32))


def _moved(g: MXNetBuilder, anchors: np.ndarray, deltas: Value) -> Value:
    size = anchors[:, 2:] - anchors[:, :2] + 1
    centre = anchors[:, :2] + (size - 1) / 2
    shift, growth = columns(g, deltas, 2, 2)
    middle = g.Add(g.Mul(shift, size), centre)
    half = g.Mul(g.Sub(g.Mul(g.Exp(growth), size), 1.0), 0.5)
    return g.Concat(g.Sub(middle, half), g.Add(middle, half), axis=2)


def _without_padding(g: MXNetBuilder, scores: Value, info: Value, cells: np.ndarray, stride: int) -> Value:
    """The scores, -1 for cells that lie outside of the image."""
    real = g.Floor(g.Div(columns(g, info, 2, 1)[0], float(stride)))
    inside = g.ReduceMin(g.cast(g.Less(cells, real), np.float32), [2])
    return g.Where(g.Greater(inside, 0.0), scores, -1.0)


def _without_small(g: MXNetBuilder, boxes: Value, scores: Value, least: Value) -> tuple[Value, Value]:
    """Boxes that are too small grow by half the least size on each side, and their scores are -1 (FilterBox)."""
    near, far = columns(g, boxes, 2, 2)
    side = g.ReduceMin(g.Add(g.Sub(far, near), 1.0), [2])
    small, half = g.Less(side, least), g.Div(least, 2.0)
    grown = g.Concat(g.Sub(near, half), g.Add(far, half), axis=2)
    return g.Where(small, grown, boxes), g.Where(small, -1.0, scores)


def _best(g: MXNetBuilder, rows: Value, first: int, last: int, threshold: float) -> Value:
    """`last` rows (corners, score) of one image, of the `first` best ones before suppression."""
    _, order = g.TopK(g.Squeeze(columns(g, rows, 4, 1)[1], [1]), [first], axis=0, outputs=2)
    best = g.Gather(rows, order)
    near, far, _ = columns(g, best, 2, 2, 1)
    ranked = Ranked(g.Concat(near, g.Add(far, 1.0), axis=1), g.constant(np.ones(first, np.bool_)))
    places = survivors(g, ranked, float(np.float32(threshold)))
    found = g.ReduceSum(g.cast(g.GreaterOrEqual(places, np.array(0)), np.int64), [0])
    number = g.Min(found, np.array([min(first, last)]))
    return g.Gather(best, g.Gather(places, g.Mod(np.arange(last), number)))


# ---------------------------------------------------------------------- pooling


@mxnet_op("ROIPooling", "_npx_roi_pooling")
def roi_pooling(g: MXNetBuilder, data: Value, rois: Value, *, pooled_size: Ints, spatial_scale: float) -> Value:
    """roi_pooling.cc (Girshick, 2015): rois are (image, x1, y1, x2, y2)."""
    y: Value = g.MaxRoiPool(data, rois, pooled_shape=_both(g, pooled_size), spatial_scale=spatial_scale)
    return y


@mxnet_op("_contrib_ROIAlign")
def roi_align(
    g: MXNetBuilder, data: Value, rois: Value, *, pooled_size: Ints, spatial_scale: float, sample_ratio: int = -1,
    position_sensitive: bool = False, aligned: bool = False,
) -> Value:  # fmt: skip
    """contrib/roi_align.cc (He et al., 2017): rois are (image, x1, y1, x2, y2), of the image -1 they give 0."""
    height, width = _both(g, pooled_size)
    image, corners = columns(g, rois, 1, 4)
    number = g.Squeeze(image, [1])
    y = g.RoiAlign(
        data, corners, g.cast(g.Relu(number), np.int64), output_height=height, output_width=width, mode="avg",
        sampling_ratio=max(0, sample_ratio), spatial_scale=spatial_scale,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )  # fmt: skip
    y = _own_channels(g, y, height, width) if position_sensitive else y
    return g.Where(g.Reshape(g.GreaterOrEqual(number, 0.0), [-1, 1, 1, 1]), y, 0.0)


def _own_channels(g: MXNetBuilder, y: Value, height: int, width: int) -> Value:
    """Each bin from the channel that is its own: [R, C height width, height, width] to [R, C, height, width]."""
    bins = height * width
    own = np.eye(*g.affordable(bins, bins), dtype=np.float32)
    picked = g.ReduceSum(g.Mul(g.Reshape(y, [0, -1, bins, bins]), own), [3], keepdims=0)
    return g.Reshape(picked, [0, 0, height, width])


def _both(g: MXNetBuilder, sizes: Ints) -> Ints:
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise ConversionError(f"pooled_size={sizes} makes no sense", g.origin)
    return sizes if len(sizes) == 2 else sizes * 2


@mxnet_op("_contrib_PSROIPooling")
def psroi_pooling(
    g: MXNetBuilder, data: Value, rois: Value, *, spatial_scale: float, output_dim: int, pooled_size: int,
    group_size: int = 0,
) -> Value:  # fmt: skip
    """contrib/psroi_pooling.cc (Dai et al., 2016): the mean of each bin, from the channels that are its own.

    The sum over a bin is told from four sums from the corner of the image on, in double precision.
    """
    group = group_size or pooled_size
    _, channels, height, width = sizes_of(g, data)
    if min(output_dim, pooled_size, group) < 1 or channels != output_dim * group * group:
        raise ConversionError(f"{channels} channels are not {output_dim} of {group} x {group} groups", g.origin)
    sums = g.CumSum(g.CumSum(g.cast(data, np.float64), np.array(2)), np.array(3))
    sums = g.Reshape(g.Pad(sums, [0, 0, 1, 1, 0, 0, 0, 0]), [-1])
    image, corners = columns(g, rois, 1, 4)
    near, far = columns(g, g.Round(corners), 2, 2)
    start = g.Mul(near, np.float32(spatial_scale))
    size = g.Sub(g.Mul(g.Add(far, 1.0), np.float32(spatial_scale)), start)
    each = g.Div(g.Max(size, np.float32(0.1)), float(pooled_size))
    (left, top), (wide, high) = columns(g, start, 1, 1), columns(g, each, 1, 1)
    x0, x1 = (g.Unsqueeze(edge, [1, 2]) for edge in _bins(g, left, wide, pooled_size, width))
    y0, y1 = (g.Unsqueeze(edge, [1, 3]) for edge in _bins(g, top, high, pooled_size, height))
    base = g.Add(
        g.Mul(g.Reshape(g.cast(image, np.int64), [-1, 1, 1, 1]), np.array(channels)),
        _bin_channels(g, output_dim, pooled_size, group),
    )
    plane = g.Mul(base, np.array((height + 1) * (width + 1)))
    at = [g.Gather(sums, g.Add(plane, g.Add(g.Mul(j, np.array(width + 1)), i))) for j in (y0, y1) for i in (x0, x1)]
    total = g.Sub(g.Sub(at[3], at[2]), g.Sub(at[1], at[0]))
    area = g.Mul(g.Max(g.Sub(x1, x0), np.array(0)), g.Max(g.Sub(y1, y0), np.array(0)))
    mean = g.Div(g.cast(total, np.float32), g.cast(g.Max(area, np.array(1)), np.float32))
    return g.Where(g.Greater(area, np.array(0)), mean, 0.0)


def _bins(g: MXNetBuilder, start: Value, each: Value, count: int, limit: int) -> tuple[Value, Value]:
    """Where each bin begins and ends, int64 [R, count], cut to the image."""
    edges = np.arange(count + 1, dtype=np.float32)
    low, high = (g.Add(g.Mul(each, part), start) for part in (edges[None, :-1], edges[None, 1:]))
    first, last = (g.cast(g.Clip(edge, 0.0, float(limit)), np.int64) for edge in (g.Floor(low), g.Ceil(high)))
    return first, last


def _bin_channels(g: MXNetBuilder, dims: int, pooled: int, group: int) -> np.ndarray:
    """The channel of each bin, [1, dims, pooled, pooled]."""
    g.affordable(dims, pooled, pooled)
    own = np.minimum(np.arange(pooled) * group // pooled, group - 1)
    top = np.arange(dims).reshape(-1, 1, 1)
    return ((top * group + own[:, None]) * group + own)[None]
