"""Images made larger or smaller."""

from __future__ import annotations

from math import ceil
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import is_static, static

Mode = Literal["size", "odd_scale", "like", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up"]

_LARGEST = 1 << 15  # MXNet keeps a side in 16 bits


@mxnet_op("UpSampling")
def up_sampling(
    g: MXNetBuilder, *data: Value, scale: int, sample_type: Literal["nearest", "bilinear"], num_filter: int = 0,
    multi_input_mode: Literal["concat", "sum"] = "concat", num_args: int = 1,
) -> Value:  # fmt: skip
    """upsampling-inl.h. Several images become as large as `scale` makes the first one; "bilinear" has a weight."""
    if not data or scale < 1:
        raise ConversionError(f"{len(data)} inputs with the scale {scale} make no sense", g.origin)
    if sample_type == "bilinear":
        return _bilinear(g, *data, scale=scale)
    scales = [scale, *(_scale_to(g, data[0], scale, other) for other in data[1:])]
    parts = [_nearest(g, x, factor) for x, factor in zip(data, scales, strict=True)]
    if len(parts) == 1:
        return parts[0]
    return g.Concat(*parts, axis=1) if multi_input_mode == "concat" else g.Sum(*parts)


def _nearest(g: MXNetBuilder, x: Value, scale: int) -> Value:
    scales = np.array([1, 1, scale, scale], np.float32)
    return g.Resize(x, None, scales, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")


def _scale_to(g: MXNetBuilder, first: Value, scale: int, other: Value) -> int:
    """By how much `other` grows to be as high as the first image is then."""
    height, own = _side(g, first, 2) * scale, _side(g, other, 2)
    if not own or height % own:
        raise ConversionError(f"an image of height {own} can't become one of {height}", g.origin)
    return height // own


def _side(g: MXNetBuilder, x: Value, axis: int) -> int:
    if x.shape is None or not is_static(x.shape[2:]):
        raise g.unsupported("needs the sizes of the image", "Give them with --input.")
    return static(x.shape[2:])[axis - 2]


def _bilinear(g: MXNetBuilder, x: Value, weight: Value | None = None, *, scale: int) -> Value:
    """A transposed convolution of each channel, whose weights should be bilinear but may be anything."""
    channels = x.shape[1] if x.shape else None
    if weight is None or not isinstance(channels, int):
        raise g.unsupported("bilinear needs its weight and the number of channels")
    kernel, pad = 2 * scale - scale % 2, ceil((scale - 1) / 2)
    weight = g.parameter(weight, channels, 1, kernel, kernel)
    y: Value = g.ConvTranspose(
        x, weight, kernel_shape=(kernel, kernel), strides=(scale, scale), pads=(pad,) * 4, group=channels
    )
    return y


@mxnet_op("_contrib_BilinearResize2D")
def bilinear_resize(
    g: MXNetBuilder, data: Value, like: Value | None = None, *, height: int = 1, width: int = 1,
    scale_height: float | None = None, scale_width: float | None = None, mode: Mode = "size",
    align_corners: bool = True,
) -> Value:  # fmt: skip
    """contrib/bilinear_resize-inl.h; an output of one pixel is the first one, as in PyTorch."""
    if mode == "like":
        sizes = [_side(g, like, axis) for axis in (2, 3)] if like is not None else []
    elif mode == "size" and scale_height is None:
        sizes = [height, width]
    else:
        scales = (scale_height, scale_width)
        sizes = [_resized(g, _side(g, data, i + 2), mode, scale) for i, scale in enumerate(scales)]
    if len(sizes) != 2 or not all(0 < size < _LARGEST for size in sizes):
        raise ConversionError(f"the size {sizes} makes no sense", g.origin)
    if data.shape and data.shape[2:] == tuple(sizes):
        return g.Identity(data)
    how = "align_corners" if align_corners or sizes == [1, 1] else "pytorch_half_pixel"
    to = np.array(sizes, np.int64)
    return g.Resize(data, None, None, to, axes=(2, 3), mode="linear", coordinate_transformation_mode=how)


def _resized(g: MXNetBuilder, size: int, mode: Mode, scale: float | None) -> int:
    if mode in ("size", "odd_scale"):
        if scale is None:
            raise ConversionError(f"the mode {mode} needs scale_height and scale_width", g.origin)
        odd = mode == "odd_scale" and size % 2 == 1
        return int(np.float32(scale) * np.float32(size - odd)) + odd
    wrong = (size % 2 == 1) if "even" in mode else (size % 2 == 0)
    return size + (1 if mode.endswith("up") else -1) * wrong
