"""Windows as axes of their own, their sum, and channels that become places. Semantics: ATen/native/im2col.h."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.spatial import batched, sizes_of, spread, unbatched
from netglot.ir.graph import Value


@aten("unfold", "unfold_copy")
def unfold(g: TorchBuilder, x: Value, *, dimension: int, size: int, step: int) -> Value:
    """The windows of one axis; their elements become the last axis."""
    if x.rank == 0:
        return _unfold_scalar(g, x, size)
    axis = g.axis(dimension, x.rank)
    count = g.size(x, axis)
    if size == step and isinstance(count, int) and count % size == 0:
        sizes = sizes_of(g, x)
        y = g.view(x, [*sizes[:axis], count // size, size, *sizes[axis + 1 :]])
    else:
        y = g.Gather(x, _places(g, count, size, step), axis=axis)
    return _last(g, y, axis + 1)


def _unfold_scalar(g: TorchBuilder, x: Value, size: int) -> Value:
    if size > 1:
        raise g.unsupported(f"windows of {size} in a scalar")
    return g.view(x, [size])


def _places(g: TorchBuilder, count: Size, size: int, step: int, dilation: int = 1) -> Value:
    """[windows, size]: the elements of every window of an axis."""
    reach = np.arange(g.affordable(size)[0], dtype=np.int64) * dilation
    span = dilation * (size - 1)
    if isinstance(count, int):
        g.affordable(max(count - span + step - 1, 0) // step, size)
        return g.constant(np.arange(0, max(count - span, 0), step, dtype=np.int64)[:, None] + reach)
    starts = g.Range(g.constant(0, np.int64), g.Sub(count, span), g.constant(step, np.int64))
    return g.Add(g.Unsqueeze(starts, [1]), reach)


def _last(g: TorchBuilder, x: Value, axis: int) -> Value:
    """`axis` moved to the end."""
    if axis == x.rank - 1:
        return x
    return g.Transpose(x, perm=[*(i for i in range(x.rank) if i != axis), axis])


@aten("im2col")
def im2col(
    g: TorchBuilder, x: Value, *, kernel_size: Sequence[int], dilation: Sequence[int], padding: Sequence[int],
    stride: Sequence[int],
) -> Value:  # fmt: skip
    """[N, C, H, W] to [N, C * window, windows]."""
    kernel, steps, pads, strides = (spread(item, 2, g, "a size") for item in (kernel_size, dilation, padding, stride))
    x, added = batched(g, x, 2)
    if any(pads):
        x = g.Pad(x, [0, 0, *pads, 0, 0, *pads], g.number(0, x.dtype))
    count, channels, height, width = sizes_of(g, x)
    planes = g.view(x, [_times(g, count, channels), height, width])
    rows = g.Gather(planes, _places(g, width, kernel[1], strides[1], steps[1]), axis=2)
    rows = g.Gather(rows, _places(g, height, kernel[0], strides[0], steps[0]), axis=1)  # [planes, oh, kh, ow, kw]
    moved = g.Transpose(rows, perm=[0, 2, 4, 1, 3])
    windows = _product(g, moved, 3)
    return unbatched(g, g.view(moved, [count, _times(g, channels, kernel[0] * kernel[1]), windows]), added)


def _times(g: TorchBuilder, a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    return g.as_size(g.Mul(a, b))


def _product(g: TorchBuilder, x: Value, start: int) -> Size:
    return g.as_size(g.ReduceProd(g.Shape(x, start=start), keepdims=0))


@aten("col2im")
def col2im(
    g: TorchBuilder, x: Value, *, output_size: Sequence[Size], kernel_size: Sequence[int], dilation: Sequence[int],
    padding: Sequence[int], stride: Sequence[int],
) -> Value:  # fmt: skip
    """[N, C * window, windows] to [N, C, H, W], where windows that overlap are added."""
    kernel, steps, pads, strides = (spread(item, 2, g, "a size") for item in (kernel_size, dilation, padding, stride))
    x, added = batched(g, x, 1)
    block = np.array(kernel, np.int64)
    y = g.Col2Im(x, g.shape(output_size), block, dilations=steps, pads=pads * 2, strides=strides)
    return unbatched(g, y, added)


@aten("pixel_shuffle")
def pixel_shuffle(g: TorchBuilder, x: Value, *, upscale_factor: int) -> Value:
    """[*, C r^2, H, W] to [*, C, H r, W r]."""
    if x.rank < 3:
        raise g.unsupported(f"an input of rank {x.rank}")
    sizes = sizes_of(g, x)
    flat = x if x.rank == 4 else g.view(x, [_flat(g, x), *sizes[-3:]])
    y: Value = g.DepthToSpace(flat, blocksize=upscale_factor, mode="CRD")
    return y if x.rank == 4 else g.view(y, [*sizes[:-3], *sizes_of(g, y)[1:]])


def _flat(g: TorchBuilder, x: Value) -> Size:
    """How many images the leading axes hold."""
    return g.as_size(g.ReduceProd(g.Shape(x, end=-3), keepdims=0)) if x.rank > 3 else 1


@aten("pixel_unshuffle")
def pixel_unshuffle(g: TorchBuilder, x: Value, *, downscale_factor: int) -> Value:
    """[*, C, H r, W r] to [*, C r^2, H, W]; ONNX's SpaceToDepth puts the channels last in the order, not first."""
    r = downscale_factor
    if x.rank < 3:
        raise g.unsupported(f"an input of rank {x.rank}")
    *before, channels, height, width = sizes_of(g, x)
    high, wide = _quotient(g, height, r), _quotient(g, width, r)
    planes = g.as_size(g.ReduceProd(g.Shape(x, end=-2), keepdims=0))
    moved = g.Transpose(g.view(x, [planes, high, r, wide, r]), perm=[0, 2, 4, 1, 3])
    return g.view(moved, [*before, _times(g, channels, r * r), high, wide])


def _quotient(g: TorchBuilder, size: Size, divisor: int) -> Size:
    if isinstance(size, int):
        return size // divisor
    return g.as_size(g.Div(size, g.constant(divisor, np.int64)))


@aten("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(g: TorchBuilder, x: Value, *, groups: Size) -> Value:
    """Channels [groups, n] become [n, groups]."""
    sizes = sizes_of(g, x)
    each = _quotient(g, sizes[1], g.known(groups, "groups"))
    y = g.view(x, [sizes[0], groups, each, *sizes[2:]])
    moved = g.Transpose(y, perm=[0, 2, 1, *range(3, x.rank + 1)])
    return g.view(moved, sizes)
