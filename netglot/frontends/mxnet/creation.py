"""Tensors that depend on nothing, or on a shape alone. Semantics: MXNet's src/operator/tensor/init_op.h."""

from __future__ import annotations

from math import ceil

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.elementwise import number
from netglot.ir.graph import Value

Ints = tuple[int, ...]
FLOAT = np.dtype(np.float32)


def filled(g: MXNetBuilder, shape: Ints, value: float, dtype: np.dtype) -> Value:
    """A constant; a size of 0 or -1 is one that MXNet finds out from what reads it, unless shapes are NumPy's."""
    if any(size < (0 if g.np_shape else 1) for size in shape) or not (shape or g.np_shape):
        raise g.unsupported(f"of the shape {shape}, where a size is left to be inferred")
    return g.constant(np.broadcast_to(np.array(value, np.float64).astype(dtype), g.affordable(*shape)))


def filled_like(g: MXNetBuilder, x: Value, value: float, dtype: np.dtype | None = None) -> Value:
    return g.Expand(np.array(value, np.float64).astype(dtype or x.dtype), g.Shape(x))


@mxnet_op("_npi_zeros")
def npi_zeros(g: MXNetBuilder, *, shape: Ints = (), ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    return filled(g, shape, 0, dtype)


@mxnet_op("_zeros")
def zeros(g: MXNetBuilder, *, shape: Ints = (), ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    """A size of 0 is left open: the batch of the states with which a recurrent network begins. One of them serves all,
    as it is broadcast."""
    return filled(g, tuple(size or 1 for size in shape), 0, dtype)


@mxnet_op("_zeros_without_dtype")
def zeros_without_dtype(g: MXNetBuilder, *, shape: Ints = (), ctx: str = "", dtype: int = -1) -> Value:
    if dtype not in (-1, 0):
        raise g.unsupported(f"of the type {dtype}")
    return filled(g, shape, 0, FLOAT)


@mxnet_op("_ones", "_npi_ones")
def ones(g: MXNetBuilder, *, shape: Ints = (), ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    return filled(g, shape, 1, dtype)


@mxnet_op("_full", "_npi_full")
def full(g: MXNetBuilder, *, shape: Ints = (), value: float, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    return filled(g, shape, value, dtype)


@mxnet_op("zeros_like", "_sparse_zeros_like")
def zeros_like(g: MXNetBuilder, data: Value) -> Value:
    return filled_like(g, data, 0)


@mxnet_op("ones_like")
def ones_like(g: MXNetBuilder, data: Value) -> Value:
    return filled_like(g, data, 1)


@mxnet_op("_npi_full_like")
def full_like(g: MXNetBuilder, a: Value, *, fill_value: float, ctx: str = "", dtype: np.dtype | None = None) -> Value:
    return filled_like(g, a, fill_value, dtype)


@mxnet_op("_arange", "_npi_arange")
def arange(
    g: MXNetBuilder, *, start: float, stop: float | None = None, step: float = 1.0, repeat: int = 1,
    infer_range: bool = False, ctx: str = "", dtype: np.dtype = FLOAT,
) -> Value:  # fmt: skip
    """As numpy.arange, each number `repeat` times; a lone start is the stop."""
    if infer_range:
        raise g.unsupported("infer_range: a length that is left to be inferred")
    first, end = (0.0, start) if stop is None else (start, stop)
    count = max(0, ceil((end - first) / step))
    g.affordable(count, repeat)
    return g.constant(np.repeat(first + np.arange(count) * step, repeat).astype(dtype))


@mxnet_op("_linspace", "_npi_linspace")
def linspace(
    g: MXNetBuilder, *, start: float, stop: float, num: int = 50, endpoint: bool = True, ctx: str = "",
    dtype: np.dtype = FLOAT,
) -> Value:  # fmt: skip
    g.affordable(num)
    return g.constant(np.linspace(start, stop, num, endpoint=endpoint).astype(dtype))


@mxnet_op("_npi_logspace")
def logspace(
    g: MXNetBuilder, *, start: float, stop: float, num: int = 50, endpoint: bool = True, base: float = 10.0,
    ctx: str = "", dtype: np.dtype = FLOAT,
) -> Value:  # fmt: skip
    g.affordable(num)
    return g.constant(np.logspace(start, stop, num, endpoint=endpoint, base=base).astype(dtype))


@mxnet_op("_eye", "_npi_eye")
def eye(g: MXNetBuilder, *, N: int, M: int | None = None, k: int = 0, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    """As numpy.eye."""
    columns = M or N
    g.affordable(N, columns)
    return g.constant(np.eye(N, columns, k, dtype))


@mxnet_op("_npi_identity")
def identity(g: MXNetBuilder, *, shape: Ints, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    g.affordable(*shape)
    return g.constant(np.eye(*shape, dtype=dtype))


@mxnet_op("_npi_indices")
def indices(
    g: MXNetBuilder,
    *,
    dimensions: Ints,
    dtype: np.dtype = np.dtype(np.int32),
    ctx: str = "",
) -> Value:
    g.affordable(len(dimensions), *dimensions)
    return g.constant(np.indices(dimensions, dtype))


@mxnet_op("_npi_hanning")
def hanning(g: MXNetBuilder, *, M: int, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    g.affordable(M)
    return g.constant(np.hanning(M).astype(dtype))


@mxnet_op("_npi_hamming")
def hamming(g: MXNetBuilder, *, M: int, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    g.affordable(M)
    return g.constant(np.hamming(M).astype(dtype))


@mxnet_op("_npi_blackman")
def blackman(g: MXNetBuilder, *, M: int, ctx: str = "", dtype: np.dtype = FLOAT) -> Value:
    g.affordable(M)
    return g.constant(np.blackman(M).astype(dtype))


@mxnet_op("_contrib_arange_like", "_npx_arange_like")
def arange_like(
    g: MXNetBuilder, data: Value, *, start: float = 0.0, step: float = 1.0, repeat: int = 1, ctx: str = "",
    axis: int | None = None,
) -> Value:  # fmt: skip
    """As many numbers as the axis is long; without one as many as there are elements, in the shape of the data."""
    at = None if axis is None else g.axis(data, axis)
    length = g.Size(data) if at is None else g.Squeeze(g.Shape(data, start=at, end=at + 1), [0])
    positions = g.Range(np.int64(0), length, np.int64(1))
    positions = positions if repeat == 1 else g.Div(positions, np.array(repeat, np.int64))
    numbers = g.cast(positions, data.dtype)
    numbers = numbers if step == 1 else g.Mul(numbers, number(data, step))
    numbers = numbers if start == 0 else g.Add(numbers, number(data, start))
    return numbers if at is not None else g.reshaped(numbers, data.shape or (), dynamic=g.Shape(data))
