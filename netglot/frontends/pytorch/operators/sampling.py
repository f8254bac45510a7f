"""Images read at computed places, and boxes. Semantics: ATen/native/GridSampler.h, torchvision/csrc/ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten, torch_op
from netglot.frontends.pytorch.numeric import kernel
from netglot.frontends.pytorch.operators.spatial import Ints
from netglot.ir.graph import Value

_INTERPOLATIONS = ("linear", "nearest", "cubic")
_PADDINGS = ("zeros", "border", "reflection")


@aten("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(
    g: TorchBuilder, x: Value, grid: Value, *, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Value:
    mode, outside = _INTERPOLATIONS[interpolation_mode], _PADDINGS[padding_mode]
    if mode == "cubic" and x.rank != 4:
        raise g.unsupported("bicubic interpolation of volumes")
    return kernel(g, "GridSample", x, grid, mode=mode, padding_mode=outside, align_corners=int(align_corners))


@aten("affine_grid_generator")
def affine_grid(g: TorchBuilder, theta: Value, *, size: Sequence[Size], align_corners: bool) -> Value:
    """Where each element of an image of `size` comes from: theta [N, axes, axes + 1] times its place, x first."""
    spatial = list(size[2:])
    base = _base(g, [_ticks(g, count, theta, align_corners) for count in spatial], theta)
    flat = g.MatMul(base, g.Transpose(theta, perm=[0, 2, 1]))
    return g.view(flat, [size[0], *spatial, len(spatial)])


def _ticks(g: TorchBuilder, count: Size, like: Value, align_corners: bool) -> Value:
    """Places from -1 to 1: of the corners, or of the middles of `count` equal parts."""
    number = g.constant(count, np.int64) if isinstance(count, int) else count
    place = g.cast(g.Range(g.constant(0, np.int64), number, g.constant(1, np.int64)), np.float64)
    parts, one = g.cast(number, np.float64), g.constant(1.0, np.float64)
    if align_corners:
        gaps = g.Max(g.Sub(parts, one), one)
        found = g.Div(g.Sub(g.Mul(place, 2.0), g.Sub(parts, one)), gaps)
    else:
        found = g.Div(g.Sub(g.Add(g.Mul(place, 2.0), one), parts), parts)
    return g.cast(found, like.dtype)


def _base(g: TorchBuilder, ticks: Sequence[Value], like: Value) -> Value:
    """[1, places, axes + 1]: x, y(, z) and 1 of every place."""
    rank = len(ticks)
    columns = [g.view(tick, [-1 if axis == i else 1 for axis in range(rank)] + [1]) for i, tick in enumerate(ticks)]
    shape = g.Concat(*(g.Shape(tick) for tick in ticks), np.array([1], np.int64), axis=0)
    full = [g.Expand(column, shape) for column in (*reversed(columns), g.number(1, like.dtype))]
    return g.Reshape(g.Concat(*full, axis=-1), np.array([1, -1, rank + 1], np.int64))


# ------------------------------------------------------------------------------------------------------------ boxes


@torch_op("torchvision.roi_align.default")
def roi_align(
    g: TorchBuilder, x: Value, rois: Value, *, spatial_scale: float, pooled_height: Size, pooled_width: Size,
    sampling_ratio: int, aligned: bool,
) -> Value:  # fmt: skip
    """`rois` are [boxes, 5]: the image's number, then x1, y1, x2, y2."""
    number, boxes = g.op("Split", [rois, np.array([1, 4], np.int64)], outputs=2, axis=1)
    y: Value = g.RoiAlign(
        x, boxes, g.cast(g.Squeeze(number, [1]), np.int64), mode="avg",
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        output_height=g.known(pooled_height, "pooled_height"), output_width=g.known(pooled_width, "pooled_width"),
        sampling_ratio=max(sampling_ratio, 0), spatial_scale=spatial_scale,
    )  # fmt: skip
    return y


@torch_op("torchvision.nms.default")
def nms(g: TorchBuilder, dets: Value, scores: Value, *, iou_threshold: float) -> Value:
    """The numbers of the boxes [n, 4] that are kept, best first; a box that overlaps a better one by more is not."""
    chosen = g.NonMaxSuppression(
        g.Unsqueeze(g.cast(dets, np.float32), [0]), g.Unsqueeze(g.cast(scores, np.float32), [0, 1]),
        np.array([np.iinfo(np.int64).max], np.int64), np.array([iou_threshold], np.float32),
    )  # fmt: skip
    return g.Gather(chosen, np.array(2, np.int64), axis=1)


@torch_op("torchvision.deform_conv2d.default")
def deform_conv2d(
    g: TorchBuilder, x: Value, weight: Value, offset: Value, mask: Value, bias: Value, *, stride_h: Size,
    stride_w: Size, pad_h: Size, pad_w: Size, dilation_h: Size, dilation_w: Size, groups: Size, offset_groups: Size,
    use_mask: bool,
) -> Value:  # fmt: skip
    def ints(*sizes: Size) -> Ints:
        return tuple(g.known(size, "a size") for size in sizes)

    y: Value = g.DeformConv(
        x, weight, offset, bias, mask if use_mask else None, strides=ints(stride_h, stride_w),
        pads=ints(pad_h, pad_w, pad_h, pad_w), dilations=ints(dilation_h, dilation_w), group=g.known(groups, "groups"),
        offset_group=g.known(offset_groups, "offset_groups"),
    )  # fmt: skip
    return y
