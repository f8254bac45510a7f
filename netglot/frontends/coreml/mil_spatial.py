"""MIL operations over the axes behind N and C, and matrix products."""

from __future__ import annotations

import numpy as np

from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.coreml import windows
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, mil_op
from netglot.frontends.coreml.mil_weights import turned
from netglot.frontends.coreml.windows import Pads
from netglot.ir.graph import Value


def _pads(
    g: CoreMLBuilder, pad_type: str, pad: Ints, sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints
) -> Pads:
    if pad_type in ("same", "same_lower"):
        return windows.same(sizes, kernel, strides, dilations, pad_type == "same_lower")
    if pad_type not in ("valid", "custom") or len(pad) not in (0, 2 * len(sizes)):
        raise ConversionError(f"padding of the type '{pad_type}' by {pad}", g.origin)
    if pad_type == "valid" or not pad:
        return [(0, 0)] * len(sizes)
    return list(zip(pad[::2], pad[1::2], strict=True))


@mil_op("conv")
def conv(
    g: CoreMLBuilder, *, x: Value, weight: Value, bias: Value | None = None, strides: Ints = (),
    pad_type: str = "valid", pad: Ints = (), dilations: Ints = (), groups: int = 1,
) -> Value:  # fmt: skip
    ones = (1,) * (x.rank - 2)
    strides, dilations = strides or ones, dilations or ones
    pads = _pads(g, pad_type, pad, x.sizes[2:], weight.sizes[2:], strides, dilations)
    return windows.convolution(g, x, weight, bias, strides, pads, dilations, groups)


@mil_op("conv_transpose")
def conv_transpose(
    g: CoreMLBuilder, *, x: Value, weight: Value, bias: Value | None = None, pad: Ints = (), output_shape: Ints = (),
    pad_type: str = "valid", strides: Ints = (), dilations: Ints = (), groups: int = 1,
) -> Value:  # fmt: skip
    """`same` crops to size times stride, or to output_shape, as evenly as it goes."""
    ones = (1,) * (x.rank - 2)
    strides, dilations, rank = strides or ones, dilations or ones, x.rank - 2
    full = windows.full_sizes(x.sizes[2:], weight.sizes[2:], strides, dilations)
    if pad_type in ("same", "same_lower"):
        wanted = output_shape[-rank:] or tuple(n * s for n, s in zip(x.sizes[2:], strides, strict=True))
        totals = [max(0, f - n) for f, n in zip(full, wanted, strict=True)]
        begins = [(t + 1) // 2 if pad_type == "same_lower" else t // 2 for t in totals]
    else:
        pads = _pads(g, pad_type, pad, x.sizes[2:], weight.sizes[2:], strides, dilations)
        wanted = output_shape[-rank:] or tuple(f - a - b for f, (a, b) in zip(full, pads, strict=True))
        begins = [begin for begin, _ in pads]
    return windows.deconvolution(g, x, weight, bias, strides, dilations, groups, begins, wanted)


# --------------------------------------------------------------------- pooling


def _register_pool(kind: str) -> None:
    @mil_op(f"{kind}_pool")
    def pool(
        g: CoreMLBuilder, *, x: Value, kernel_sizes: Ints, strides: Ints = (), pad_type: str = "valid", pad: Ints = (),
        ceil_mode: bool = False, exclude_padding_from_average: bool = False,
    ) -> Value:  # fmt: skip
        ones = (1,) * (x.rank - 2)
        pads = _pads(g, pad_type, pad, x.sizes[2:], kernel_sizes, strides or ones, ones)
        exclude = exclude_padding_from_average
        return windows.pooling(g, x, kind, kernel_sizes, strides or ones, pads, ceil_mode, exclude)


for _kind in ("max", "avg", "l2"):
    _register_pool(_kind)


# --------------------------------------------------------------- normalisation


@mil_op("batch_norm")
def batch_norm(
    g: CoreMLBuilder, *, x: Value, mean: Value, variance: Value, gamma: Value | None = None, beta: Value | None = None,
    epsilon: float = 1e-5,
) -> Value:  # fmt: skip
    scale, shift = _scale_shift(g, gamma, beta, mean.sizes, x.dtype)
    return g.BatchNormalization(x, scale, shift, mean, variance, epsilon=epsilon)


def _scale_shift(
    g: CoreMLBuilder, gamma: Value | None, beta: Value | None, shape: Ints, dtype: np.dtype | None
) -> tuple[Value, Value]:
    g.affordable(*shape)
    return gamma or g.constant(np.ones(shape, dtype)), beta or g.constant(np.zeros(shape, dtype))


@mil_op("instance_norm")
def instance_norm(
    g: CoreMLBuilder, *, x: Value, gamma: Value | None = None, beta: Value | None = None, epsilon: float = 1e-5
) -> Value:
    scale, shift = _scale_shift(g, gamma, beta, x.sizes[1:2], x.dtype)
    return g.InstanceNormalization(x, scale, shift, epsilon=epsilon)


@mil_op("layer_norm")
def layer_norm(
    g: CoreMLBuilder, *, x: Value, axes: Ints = (), gamma: Value | None = None, beta: Value | None = None,
    epsilon: float = 1e-5,
) -> Value:  # fmt: skip
    """gamma and beta have the sizes of `axes`, in order."""
    chosen = sorted(axis % x.rank for axis in axes) or list(range(x.rank))
    shape = tuple(x.sizes[axis] if axis in chosen else 1 for axis in range(x.rank))
    y = windows.normalized(g, x, chosen, epsilon)
    y = g.Mul(y, g.reshape(gamma, shape)) if gamma else y
    return g.Add(y, g.reshape(beta, shape)) if beta else y


@mil_op("l2_norm")
def l2_norm(g: CoreMLBuilder, *, x: Value, epsilon: float = 1e-6) -> Value:
    total = g.ReduceSumSquare(x, np.array([-3, -2, -1], np.int64))
    return g.Div(x, g.Sqrt(g.Add(total, g.like(x, epsilon))))


@mil_op("local_response_norm")
def local_response_norm(
    g: CoreMLBuilder, *, x: Value, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Value:
    if size % 2 == 0:
        raise UnsupportedError("local_response_norm of an even size", g.origin)
    return g.LRN(x, size=size, alpha=alpha, beta=beta, bias=k)


# -------------------------------------------------------------- matrix products


@mil_op("linear")
def linear(g: CoreMLBuilder, *, x: Value, weight: Value, bias: Value | None = None) -> Value:
    if x.rank == 2:
        return g.Gemm(x, weight, bias, transB=1)
    product = g.MatMul(x, turned(g, weight))
    return g.Add(product, bias) if bias else product


@mil_op("matmul")
def matmul(g: CoreMLBuilder, *, x: Value, y: Value, transpose_x: bool = False, transpose_y: bool = False) -> Value:
    return g.MatMul(_transposed(g, x) if transpose_x else x, _transposed(g, y) if transpose_y else y)


def _transposed(g: CoreMLBuilder, x: Value) -> Value:
    """x with its last two axes exchanged; a vector stays."""
    return g.Transpose(x, perm=(*range(x.rank - 2), x.rank - 1, x.rank - 2)) if x.rank > 1 else x


@mil_op("einsum")
def einsum(g: CoreMLBuilder, *, values: list[Value], equation: str) -> Value:
    return g.Einsum(*values, equation=equation)
