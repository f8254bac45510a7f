"""Pooling."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.convolution import from_first, per_axis, to_first
from netglot.ir.graph import Value
from netglot.ir.types import is_static, static

Ints = tuple[int, ...]
Pool = Literal["max", "avg", "sum", "lp"]


@mxnet_op("Pooling", "Pooling_v1")
def pooling(
    g: MXNetBuilder, data: Value, *, kernel: Ints = (), pool_type: Pool = "max", global_pool: bool = False,
    pooling_convention: Literal["valid", "full", "same"] = "valid", stride: Ints = (), pad: Ints = (),
    p_value: int | None = None, count_include_pad: bool | None = None, layout: str | None = None,
) -> Value:  # fmt: skip
    """pooling-inl.h and pool.h. "full" rounds the number of windows up: what hangs over is padding at the end here."""
    if pool_type == "lp" or pooling_convention == "same":
        raise g.unsupported(f"pool_type {pool_type} with the convention {pooling_convention} is not supported")
    x = to_first(g, data, layout)
    axes = x.rank - 2
    if global_pool:
        return from_first(g, _global(g, x, pool_type), layout)
    kernel, strides = per_axis(g, "kernel", kernel, axes, 1), per_axis(g, "stride", stride, axes, 1)
    pads = per_axis(g, "pad", pad, axes, 0)
    over = _overhang(g, x, kernel, strides, pads) if pooling_convention == "full" else (0,) * axes
    include = pool_type == "sum" or count_include_pad is not False
    return from_first(g, _windows(g, x, pool_type, kernel, strides, pads, over, include), layout)


def _global(g: MXNetBuilder, x: Value, pool_type: Pool) -> Value:
    if pool_type == "sum":
        return g.ReduceSum(x, list(range(2, x.rank)))
    return g.GlobalMaxPool(x) if pool_type == "max" else g.GlobalAveragePool(x)


def _overhang(g: MXNetBuilder, x: Value, kernel: Ints, strides: Ints, pads: Ints) -> Ints:
    """How far the last window reaches beyond the padded image."""
    if x.shape is None or not is_static(x.shape[2:]):
        raise g.unsupported('the convention "full" needs the sizes of the image', "Give them with --input.")
    spans = [size + 2 * pad - k for size, k, pad in zip(static(x.shape[2:]), kernel, pads, strict=True)]
    return tuple(-span % stride for span, stride in zip(spans, strides, strict=True))


def _windows(
    g: MXNetBuilder, x: Value, pool_type: Pool, kernel: Ints, strides: Ints, pads: Ints, over: Ints, include: bool
) -> Value:
    """The average is that of the window clipped to the padded image, or, without `include`, to the image itself."""
    if any(pad + o >= k for pad, o, k in zip(pads, over, kernel, strict=True)):
        raise g.unsupported(f"a window of {kernel} may lie in the padding {pads} as a whole")
    if pool_type != "max" and include and any(pads):
        x, pads = g.Pad(x, [0, 0, *pads, 0, 0, *pads]), (0,) * len(pads)
    around = [*pads, *(pad + o for pad, o in zip(pads, over, strict=True))]
    if pool_type == "max":
        return g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=around)
    counts = int(pool_type == "sum")
    y = g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=around, count_include_pad=counts)
    return g.Mul(y, np.array(prod(kernel), x.dtype)) if pool_type == "sum" else y
