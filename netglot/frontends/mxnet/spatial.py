"""Sampling of images at computed places."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import is_static, static

Ints = tuple[int, ...]


@mxnet_op("GridGenerator")
def grid_generator(
    g: MXNetBuilder, data: Value, *, transform_type: Literal["affine", "warp"], target_shape: Ints = (0, 0)
) -> Value:
    """grid_generator-inl.h: x and y from -1 to 1, [N, 2, H, W], of six numbers each or of a flow in pixels."""
    if transform_type == "affine":
        return _affine(g, data, target_shape)
    height, width = _image(g, data)
    base = np.stack(np.meshgrid(np.arange(width), np.arange(height)))[None].astype(data.dtype)
    half = np.array([width - 1, height - 1], data.dtype).reshape(1, 2, 1, 1) / 2
    return g.Sub(g.Div(g.Add(data, base), half), 1.0)


def _affine(g: MXNetBuilder, data: Value, target: Ints) -> Value:
    if len(target) != 2 or min(target) < 1:
        raise ConversionError(f"target_shape={target} makes no sense", g.origin)
    height, width = g.affordable(*target)
    xs, ys = (np.arange(n, dtype=np.float32) * np.float32(2 / max(1, n - 1)) - 1 for n in (width, height))
    x, y = np.meshgrid(xs, ys)
    grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)]).astype(data.dtype)
    return g.Reshape(g.MatMul(g.Reshape(data, [-1, 2, 3]), grid), [0, 2, height, width])


def _image(g: MXNetBuilder, x: Value) -> Ints:
    if x.shape is None or not is_static(x.shape[2:]):
        raise g.unsupported("needs the sizes of the image", "Give them with --input.")
    return g.affordable(*static(x.shape[2:]))


@mxnet_op("BilinearSampler")
def bilinear_sampler(g: MXNetBuilder, data: Value, grid: Value) -> Value:
    """bilinear_sampler.cc: -1 and 1 are the centres of the outer pixels, outside of which there are zeros."""
    places = g.Transpose(grid, perm=(0, 2, 3, 1))
    y: Value = g.GridSample(data, places, mode="linear", padding_mode="zeros", align_corners=1)
    return y


@mxnet_op("SpatialTransformer")
def spatial_transformer(
    g: MXNetBuilder, data: Value, loc: Value, *, target_shape: Ints = (0, 0), transform_type: Literal["affine"],
    sampler_type: Literal["bilinear"],
) -> Value:  # fmt: skip
    """spatial_transformer-inl.h (Jaderberg et al., 2015)."""
    sizes = target_shape if any(target_shape) else _image(g, data)
    return bilinear_sampler(g, data, _affine(g, loc, sizes))


@mxnet_op("Correlation")
def correlation(
    g: MXNetBuilder, data1: Value, data2: Value, *, kernel_size: int = 1, max_displacement: int = 1, stride1: int = 1,
    stride2: int = 1, pad_size: int = 0, is_multiply: bool = True,
) -> Value:  # fmt: skip
    """correlation-inl.h (Fischer et al., 2015): a channel for each displacement, the mean of patches' products."""
    if kernel_size % 2 == 0 or min(kernel_size, stride1, stride2) < 1 or min(max_displacement, pad_size) < 0:
        raise ConversionError("its sizes make no sense together", g.origin)
    one, other = (g.Pad(x, [0, 0, pad_size, pad_size] * 2) if pad_size else x for x in (data1, data2))
    border = max_displacement + kernel_size // 2
    counts = [-(-(size - 2 * border) // stride1) for size in _image(g, one)]
    if min(counts) < 1:
        raise ConversionError("the image is smaller than what it is compared by", g.origin)
    spans = [(count - 1) * stride1 + kernel_size for count in counts]
    reach = max_displacement // stride2
    steps = [step * stride2 for step in range(-reach, reach + 1)]
    g.affordable(len(steps) ** 2)
    middle = _cut(g, one, [max_displacement] * 2, spans)
    planes = [
        _compared(g, middle, _cut(g, other, [max_displacement + y, max_displacement + x], spans), is_multiply)
        for y in steps for x in steps
    ]  # fmt: skip
    y = g.Concat(*planes, axis=1)
    if kernel_size == 1 and stride1 == 1:
        return y
    return g.AveragePool(y, kernel_shape=(kernel_size,) * 2, strides=(stride1,) * 2)


def _cut(g: MXNetBuilder, x: Value, starts: list[int], spans: list[int]) -> Value:
    return g.Slice(x, starts, [start + span for start, span in zip(starts, spans, strict=True)], [2, 3])


def _compared(g: MXNetBuilder, one: Value, other: Value, is_multiply: bool) -> Value:
    """The mean over the channels."""
    return g.ReduceMean(g.Mul(one, other) if is_multiply else g.Abs(g.Sub(one, other)), [1])
