"""Sums, means, extremes. Semantics: MXNet's src/operator/tensor/broadcast_reduce_op.h."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.elementwise import is_whole, number, require_real
from netglot.ir.graph import Value

Ints = tuple[int, ...]
Reduction = Callable[[MXNetBuilder, Value, Sequence[int], bool], Value]  # of data over axes, which are kept or not


def reduced(op: str) -> Reduction:
    """ONNX's reduction `op`, of small whole numbers in int32, which come out as wrapped around as MXNet's."""

    def function(g: MXNetBuilder, x: Value, axes: Sequence[int], keep: bool) -> Value:
        small = is_whole(x) and x.dtype is not None and x.dtype.itemsize < 4
        y: Value = g.op(op, [g.cast(x, np.int32) if small else x, np.array(axes, np.int64)], keepdims=int(keep))
        return g.cast(y, x.dtype)

    return function


def count(g: MXNetBuilder, x: Value, axes: Sequence[int]) -> Value:
    """How many elements there are along the axes, as a scalar of x's type."""
    sizes = g.Gather(g.Shape(x), np.array(axes, np.int64))
    return g.cast(g.ReduceProd(sizes, keepdims=0), x.dtype)


def mean_of(g: MXNetBuilder, x: Value, axes: Sequence[int], keep: bool) -> Value:
    if is_whole(x):
        return g.Div(reduced("ReduceSum")(g, x, axes, keep), count(g, x, axes))
    return reduced("ReduceMean")(g, x, axes, keep)


def _without_nan(op: str, neutral: float) -> Reduction:
    def function(g: MXNetBuilder, x: Value, axes: Sequence[int], keep: bool) -> Value:
        x = x if is_whole(x) else g.Where(g.IsNaN(x), number(x, neutral), x)
        return reduced(op)(g, x, axes, keep)

    return function


def axes_of(g: MXNetBuilder, x: Value, axis: Ints | None, exclude: bool = False) -> list[int]:
    """The axes that are reduced: all where none is named; all others with `exclude`."""
    named = [g.axis(x, item) for item in axis or ()]
    if not named:
        return list(range(x.rank))
    return [item for item in range(x.rank) if (item in named) != exclude]


def one_at_least(g: MXNetBuilder, x: Value) -> Value:
    """A scalar as a tensor of one element: MXNet knew no scalars."""
    return g.Reshape(x, [1]) if x.rank == 0 else x


def _register(function: Reduction, *names: str) -> None:
    def operator(
        g: MXNetBuilder, data: Value, *, axis: Ints | None = None, keepdims: bool = False, exclude: bool = False
    ) -> Value:
        return one_at_least(g, function(g, data, axes_of(g, data, axis, exclude), keepdims))

    mxnet_op(*names)(operator)


_register(reduced("ReduceSum"), "sum", "sum_axis", "_sparse_sum")
_register(mean_of, "mean", "_sparse_mean")
_register(reduced("ReduceProd"), "prod")
_register(reduced("ReduceMax"), "max", "max_axis")
_register(reduced("ReduceMin"), "min", "min_axis")
_register(_without_nan("ReduceSum", 0), "nansum")
_register(_without_nan("ReduceProd", 1), "nanprod")


@mxnet_op("norm", "_sparse_norm")
def norm(
    g: MXNetBuilder, data: Value, *, ord: int = 2, axis: Ints | None = None, out_dtype: np.dtype | None = None,
    keepdims: bool = False,
) -> Value:  # fmt: skip
    """The sum of absolute values, or the root of the sum of squares, also over several axes."""
    require_real(g, data)
    if ord not in (1, 2):
        raise g.unsupported(f"ord {ord}")
    x = data if out_dtype is None else g.cast(data, out_dtype)
    return one_at_least(g, reduced(f"ReduceL{ord}")(g, x, axes_of(g, data, axis), keepdims))


@mxnet_op("moments")
def moments(g: MXNetBuilder, data: Value, *, axes: Ints | None = None, keepdims: bool = False) -> tuple[Value, Value]:
    """The mean and the variance."""
    require_real(g, data)
    over = axes_of(g, data, axes)
    mean = g.ReduceMean(data, np.array(over, np.int64), keepdims=1)
    off = g.Sub(data, mean)
    variance = g.ReduceMean(g.Mul(off, off), np.array(over, np.int64), keepdims=int(keepdims))
    mean = mean if keepdims else g.Squeeze(mean, over)
    return one_at_least(g, mean), one_at_least(g, variance)


@mxnet_op("argmax")
def argmax(g: MXNetBuilder, data: Value, *, axis: int | None = None, keepdims: bool = False) -> Value:
    """The index has the type of the data."""
    return g.cast(one_at_least(g, index_of(g, "ArgMax", data, axis, keepdims)), data.dtype)


@mxnet_op("argmin")
def argmin(g: MXNetBuilder, data: Value, *, axis: int | None = None, keepdims: bool = False) -> Value:
    return g.cast(one_at_least(g, index_of(g, "ArgMin", data, axis, keepdims)), data.dtype)


@mxnet_op("argmax_channel")
def argmax_channel(g: MXNetBuilder, data: Value) -> Value:
    return argmax(g, data, axis=1)


def index_of(g: MXNetBuilder, op: str, x: Value, axis: int | None, keepdims: bool) -> Value:
    """Where the extreme is, of the flattened tensor without axis; int64."""
    if axis is not None:
        y: Value = g.op(op, [x], axis=g.axis(x, axis), keepdims=int(keepdims))
        return y
    found = g.op(op, [g.Reshape(x, [-1])], axis=0, keepdims=0)
    return g.Reshape(found, np.ones(x.rank, np.int64)) if keepdims else found


@mxnet_op("cumsum", "_np_cumsum")
def cumsum(g: MXNetBuilder, a: Value, *, axis: int | None = None, dtype: np.dtype | None = None) -> Value:
    """Of the flattened tensor without axis."""
    x = a if dtype is None else g.cast(a, dtype)
    x = g.cast(x, np.int64) if x.dtype == np.bool_ else x
    if axis is None:
        return g.CumSum(g.Reshape(x, [-1]), np.array(0, np.int64))
    return g.CumSum(x, np.array(g.axis(x, axis), np.int64))
