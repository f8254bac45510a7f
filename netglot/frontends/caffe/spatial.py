"""Caffe layers over a spatial window."""

from __future__ import annotations

from typing import Literal

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value

Ints = tuple[int, ...]


def window(g: CaffeBuilder, name: str, repeated: Ints, h: int, w: int, rank: int, default: int | None) -> Ints:
    """One of kernel, stride, pad, dilation for every spatial axis, from its repeated and its _h/_w form."""
    if (h or w) and rank == 2:
        return (h, w)
    values = repeated or (() if default is None else (default,))
    if len(values) == 1:
        return tuple(values) * rank
    if len(values) != rank:
        raise ConversionError(f"{name} has {len(values)} values for {rank} spatial axes", g.origin)
    return values


@caffe_layer("Convolution", each_bottom=True)
def convolution(
    g: CaffeBuilder, x: Value, weight: Value, bias: Value | None = None, *,
    num_output: int, bias_term: bool = True, kernel_size: Ints = (), kernel_h: int = 0, kernel_w: int = 0,
    stride: Ints = (), stride_h: int = 0, stride_w: int = 0, pad: Ints = (), pad_h: int = 0, pad_w: int = 0,
    dilation: Ints = (), group: int = 1, axis: int = 1,
) -> Value:  # fmt: skip
    """Cross-correlation over the axes after `axis` (base_conv_layer.cpp); output sizes round down."""
    rank = x.rank - axis - 1
    kernel = window(g, "kernel_size", kernel_size, kernel_h, kernel_w, rank, None)
    pads = window(g, "pad", pad, pad_h, pad_w, rank, 0)
    return g.Conv(
        x, g.weight(weight, num_output, x.sizes[axis] // group, *kernel),
        g.weight(bias, num_output) if bias_term else None,
        kernel_shape=kernel, strides=window(g, "stride", stride, stride_h, stride_w, rank, 1), pads=pads + pads,
        dilations=window(g, "dilation", dilation, 0, 0, rank, 1), group=group,
    )  # fmt: skip


@caffe_layer("Pooling")
def pooling(
    g: CaffeBuilder, x: Value, *, pool: Literal["MAX", "AVE", "STOCHASTIC"] = "MAX", kernel_size: int = 0,
    kernel_h: int = 0, kernel_w: int = 0, stride: int = 1, stride_h: int = 0, stride_w: int = 0, pad: int = 0,
    pad_h: int = 0, pad_w: int = 0, global_pooling: bool = False, round_mode: Literal["CEIL", "FLOOR"] = "CEIL",
) -> Value:  # fmt: skip
    """Pooling (pooling_layer.cpp): rounds up, but no window starts in the padding at the end.

    The overhang is written out as padding at the end, so no target has to know Caffe's rounding. AVE divides by the
    window clipped to the *padded* image: its padding is real zeros, its overhang does not count.
    """
    if pool == "STOCHASTIC":
        raise ConversionError("stochastic pooling is random; use MAX or AVE", g.origin)
    if global_pooling:
        return g.GlobalMaxPool(x) if pool == "MAX" else g.GlobalAveragePool(x)
    kernel = window(g, "kernel_size", (kernel_size,), kernel_h, kernel_w, 2, None)
    strides = window(g, "stride", (stride,), stride_h, stride_w, 2, 1)
    pads = window(g, "pad", (pad,), pad_h, pad_w, 2, 0)
    over = [overhang(*sizes, round_mode) for sizes in zip(x.sizes[2:], kernel, strides, pads, strict=True)]
    if pool == "MAX":
        ends = [p + o for p, o in zip(pads, over, strict=True)]
        return g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=[*pads, *ends])
    if any(pads) and any(over):
        x, pads = g.Pad(x, [0, 0, *pads, 0, 0, *pads]), (0, 0)
    ends = [p + o for p, o in zip(pads, over, strict=True)]
    return g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=[*pads, *ends], count_include_pad=int(any(pads)))


def overhang(size: int, kernel: int, stride: int, pad: int, round_mode: str) -> int:
    """How far the last window reaches beyond the padded image."""
    span = size + 2 * pad - kernel
    steps = -(-span // stride) if round_mode == "CEIL" else span // stride
    if pad and steps * stride >= size + pad:
        steps -= 1
    return max(0, steps * stride - span)
