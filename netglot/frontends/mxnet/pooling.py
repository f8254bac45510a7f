"""Pooling."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.convolution import from_first, per_axis, to_first
from netglot.ir.graph import Value
from netglot.ir.types import is_static, static

Ints = tuple[int, ...]
Pool = Literal["max", "avg", "sum", "lp"]


@mxnet_op("Pooling")
def pooling(
    g: MXNetBuilder, data: Value, *, kernel: Ints = (), pool_type: Pool = "max", global_pool: bool = False,
    pooling_convention: Literal["valid", "full", "same"] = "valid", stride: Ints = (), pad: Ints = (),
    p_value: int | None = None, count_include_pad: bool | None = None, layout: str | None = None,
) -> Value:  # fmt: skip
    """pooling-inl.h and pool.h. "full" rounds the number of windows up: what hangs over is padding at the end here."""
    if pooling_convention == "same":
        raise g.unsupported('the convention "same" is not supported (MXNet 1.9.1 itself fails on it)')
    x = to_first(g, data, layout)
    axes = x.rank - 2
    if pool_type == "lp":
        x, pool_type = _power(g, x, p_value), "sum"
    else:
        p_value = None
    if global_pool:
        return from_first(g, _root(g, _global(g, x, pool_type), p_value), layout)
    kernel, strides = per_axis(g, "kernel", kernel, axes, 1), per_axis(g, "stride", stride, axes, 1)
    pads = per_axis(g, "pad", pad, axes, 0)
    over = _overhang(g, x, kernel, strides, pads) if pooling_convention == "full" else (0,) * axes
    include = pool_type == "sum" or count_include_pad is not False
    y = _windows(g, x, pool_type, kernel, strides, pads, over, include)
    return from_first(g, _root(g, y, p_value), layout)


def _power(g: MXNetBuilder, x: Value, p: int | None) -> Value:
    """a_pow_p of pool_utils.h, which takes no absolute values."""
    if p not in (1, 2, 3):
        raise ConversionError(f"Lp pooling with p_value={p}", g.origin)
    squared = g.Mul(x, x) if p > 1 else x
    return g.Mul(squared, x) if p == 3 else squared


def _root(g: MXNetBuilder, y: Value, p: int | None) -> Value:
    """The p-th root; for odd p of negative sums too."""
    if p == 3:
        return g.Mul(g.Sign(y), g.Pow(g.Abs(y), 1 / 3))
    return g.Sqrt(y) if p == 2 else y


def _global(g: MXNetBuilder, x: Value, pool_type: Pool) -> Value:
    if pool_type == "sum":
        return g.ReduceSum(x, list(range(2, x.rank)))
    return g.GlobalMaxPool(x) if pool_type == "max" else g.GlobalAveragePool(x)


def _overhang(g: MXNetBuilder, x: Value, kernel: Ints, strides: Ints, pads: Ints) -> Ints:
    """How far the last window reaches beyond the padded image."""
    spans = [size + 2 * pad - k for size, k, pad in zip(_image(g, x), kernel, pads, strict=True)]
    return tuple(-span % stride for span, stride in zip(spans, strides, strict=True))


def _image(g: MXNetBuilder, x: Value) -> Ints:
    """The spatial sizes of x."""
    if x.shape is None or not is_static(x.shape[2:]):
        raise g.unsupported("needs the sizes of the image", "Give them with --input.")
    return static(x.shape[2:])


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


@mxnet_op("Pooling_v1")
def pooling_v1(
    g: MXNetBuilder, data: Value, *, kernel: Ints = (), pool_type: Literal["max", "avg", "sum"] = "max",
    global_pool: bool = False, pooling_convention: Literal["valid", "full"] = "valid", stride: Ints = (),
    pad: Ints = (),
) -> Value:  # fmt: skip
    """pooling_v1-inl.h: the padding is zeros for a maximum too, and an average always divides by all of the kernel."""
    if global_pool:
        return _global(g, data, pool_type)
    axes = data.rank - 2
    kernel, strides = per_axis(g, "kernel", kernel, axes, 1), per_axis(g, "stride", stride, axes, 1)
    pads = per_axis(g, "pad", pad, axes, 0)
    x = g.Pad(data, [0, 0, *pads, 0, 0, *pads]) if any(pads) else data
    over = _overhang(g, x, kernel, strides, (0,) * axes) if pooling_convention == "full" else (0,) * axes
    if any(o >= k for o, k in zip(over, kernel, strict=True)):
        raise g.unsupported(f"a window of {kernel} may lie outside of the image as a whole")
    around = [0] * axes + list(over)
    if pool_type == "max":
        return g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=around)
    y = g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=around, count_include_pad=1)
    return g.Mul(y, np.array(prod(kernel), x.dtype)) if pool_type == "sum" else y


@mxnet_op("_contrib_AdaptiveAvgPooling2D")
def adaptive_avg_pooling(g: MXNetBuilder, data: Value, *, output_size: Ints = ()) -> Value:
    """contrib/adaptive_avg_pooling.cc: window i of n is from floor(i size / n) to ceil((i + 1) size / n)."""
    wanted = output_size * (2 if len(output_size) == 1 else 1) or (1, 1)
    if len(wanted) != 2 or min(wanted) < 1:
        raise ConversionError(f"output_size={output_size} makes no sense", g.origin)
    if wanted == (1, 1):
        return g.GlobalAveragePool(data)
    sizes = _image(g, data)
    if all(size % n == 0 for size, n in zip(sizes, wanted, strict=True)):
        kernel = tuple(size // n for size, n in zip(sizes, wanted, strict=True))
        return g.AveragePool(data, kernel_shape=kernel, strides=kernel)
    rows, columns = (_averages(g, size, n).astype(data.dtype) for size, n in zip(sizes, wanted, strict=True))
    return g.MatMul(g.MatMul(rows, data), np.ascontiguousarray(columns.T))


def _averages(g: MXNetBuilder, size: int, count: int) -> np.ndarray:
    """A matrix [count, size] whose rows take the averages of the windows."""
    matrix = np.zeros(g.affordable(count, size))
    for i in range(count):
        start, end = i * size // count, -(-(i + 1) * size // count)
        matrix[i, start:end] = 1 / (end - start)
    return matrix
