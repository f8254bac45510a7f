"""Convolution and pooling. All of TFLite's kernels here are channels-last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import Side, TFLiteBuilder, tflite_op
from netglot.ir.graph import Value

Ints = tuple[int, ...]


def padded(
    m: TFLiteBuilder, x: Value, kernel: Sequence[int], strides: Ints, pads: Ints, dilations: Ints, auto_pad: str, fill: float
) -> tuple[int | Value, int]:
    """x padded as asked, and the Padding enum that does the rest: SAME where TFLite's own rule gives these pads."""
    if auto_pad == "VALID" or not any(pads) and auto_pad == "NOTSET":
        return x, tfl.Padding.VALID
    rank = x.rank - 2
    wanted = [(pads[i], pads[i + rank]) for i in range(rank)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto_pad == "SAME_UPPER" or wanted == [same(n, k, s) for n, k, s in zip(x.sizes[2:], reach, strides, strict=True)]:
        return x, tfl.Padding.SAME
    if auto_pad == "SAME_LOWER":
        wanted = [same(n, k, s)[::-1] for n, k, s in zip(x.sizes[2:], reach, strides, strict=True)]
    return pad_spatial(m, x, wanted, fill), tfl.Padding.VALID


def same(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TFLite's SAME padding (the odd one at the end)."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def pad_spatial(m: TFLiteBuilder, x: Value, pads: Sequence[tuple[int, int]], fill: float) -> int:
    """A temporary tensor: channels-last x with `pads` (begin, end) around its spatial axes."""
    amounts = [(0, 0), *pads, (0, 0)]
    shape = [n + a + b for n, (a, b) in zip(m.shape(x), amounts, strict=True)]
    y = m.temporary(f"{x.name}/padded", shape, x.dtype)
    if fill:
        m.op("PADV2", [x, m.ints(amounts), m.constant(fill, x.dtype)], [y], tfl.PadV2OptionsT())
    else:
        m.op("PAD", [x, m.ints(amounts)], [y], tfl.PadOptionsT())
    return y


@tflite_op("Conv", layout=Side.LAST)
def conv(
    m: TFLiteBuilder, x: Value, w: Value, b: Value | None, y: Value, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int,
) -> None:  # fmt: skip
    if x.rank != 4:
        raise NotMappedError(f"only two spatial axes, not {x.rank - 2}")
    if not w.is_constant:
        raise NotMappedError("the weights are computed")
    strides, dilations, kernel = strides or (1, 1), dilations or (1, 1), w.sizes[2:]
    source, padding = padded(m, x, kernel, strides, pads or (0,) * 4, dilations, auto_pad, 0.0)
    bias = m.tensor(b) if b else m.constant(np.zeros(w.sizes[0], w.dtype), name=f"{y.name}/bias")
    geometry = dict(
        padding=padding, strideH=strides[0], strideW=strides[1], dilationHFactor=dilations[0], dilationWFactor=dilations[1]
    )  # fmt: skip
    if group == x.sizes[1] and group > 1:
        filters = m.constant(w.array.transpose(1, 2, 3, 0), name=w.name)
        options = tfl.DepthwiseConv2DOptionsT(depthMultiplier=w.sizes[0] // group, **geometry)
        m.op("DEPTHWISE_CONV_2D", [source, filters, bias], [y], options)
    else:
        filters = m.constant(w.array.transpose(0, 2, 3, 1), name=w.name)
        m.op("CONV_2D", [source, filters, bias], [y], tfl.Conv2DOptionsT(**geometry))


@tflite_op("MaxPool", layout=Side.LAST)
def max_pool(
    m: TFLiteBuilder, x: Value, y: Value, indices: Value | None, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (),
    pads: Ints = (), dilations: Ints = (),
) -> None:  # fmt: skip
    if x.rank != 4 or indices is not None or any(d != 1 for d in dilations):
        raise NotMappedError("only two spatial axes, without dilation and without indices")
    strides = strides or (1, 1)
    source, padding = padded(m, x, kernel_shape, strides, pads or (0,) * 4, (1, 1), auto_pad, -np.inf)
    m.op("MAX_POOL_2D", [source], [y], pool_options(kernel_shape, strides, padding))


def pool_options(kernel: Ints, strides: Ints, padding: int) -> tfl.Pool2DOptionsT:
    return tfl.Pool2DOptionsT(
        padding=padding, strideH=strides[0], strideW=strides[1], filterHeight=kernel[0], filterWidth=kernel[1]
    )
