"""Reductions. Semantics: torch's documentation of each function, and native/ReduceOps.cpp where it is silent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import kernel
from netglot.ir.graph import Value

Dims = int | Sequence[int] | None

MAX_PAIRS = 4096  # elements of an axis each of which is compared with each

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_SMALL = {np.dtype(t) for t in (np.bool_, np.int8, np.uint8, np.int16, np.uint16)}


def kind(x: Value) -> str:
    """The kind of a tensor's elements: b, i, u, f; bfloat16 is a float too."""
    assert x.dtype is not None
    return "f" if x.dtype == _BFLOAT16 else x.dtype.kind


def wide(g: TorchBuilder, x: Value) -> Value:
    """`x` in a type that holds it exactly and that every kernel of ONNX Runtime has."""
    if x.dtype in _SMALL:
        return g.cast(x, np.int32)
    return g.cast(x, np.float32) if x.dtype == _BFLOAT16 else x


def single(g: TorchBuilder, x: Value) -> Value:
    """Half precision as float32, in which torch computes what takes several steps."""
    return g.cast(x, np.float32) if x.dtype in (np.float16, _BFLOAT16) else x


def reduced(g: TorchBuilder, onnx: str, x: Value, axes: Sequence[int], keep: bool) -> Value:
    """One of ONNX's reductions along `axes`; a scalar has none."""
    y: Value = g.op(onnx, [x, g.constant(np.array(axes, np.int64)) if x.rank else None], keepdims=int(keep))
    return y


def count(g: TorchBuilder, x: Value, axes: Sequence[int], like: Value) -> Value:
    """How many elements are reduced to one, in the type of `like`."""
    sizes = [g.size(x, axis) for axis in axes]
    if all(isinstance(size, int) for size in sizes):
        return g.number(math.prod(size for size in sizes if isinstance(size, int)), like.dtype)
    return g.cast(g.ReduceProd(g.shape(sizes), [0], keepdims=0), like.dtype)


def over(g: TorchBuilder, x: Value, dim: Dims) -> list[int]:
    """The axes of `dim` in order, counted from the first; all of them for None or none."""
    return sorted(g.axes(dim, x.rank))


def without_nan(g: TorchBuilder, x: Value, instead: float = 0) -> tuple[Value, Value]:
    """`x` with another number in the place of NaN, and where there was none."""
    if kind(x) != "f":
        return x, g.Expand(g.constant(np.array(True)), g.Shape(x))
    is_nan = g.IsNaN(x)
    return g.Where(is_nan, g.number(instead, x.dtype), x), g.Not(is_nan)


def finite(g: TorchBuilder, x: Value) -> Value:
    """`x` without infinities."""
    assert x.dtype is not None
    limits = np.finfo(x.dtype)
    y: Value = g.Clip(x, g.number(limits.min, x.dtype), g.number(limits.max, x.dtype))
    return y


def floating(g: TorchBuilder, x: Value) -> tuple[Value, np.dtype]:
    """`x` as float32 or float64, and the type of the result: float32 of integers."""
    to = x.dtype if kind(x) == "f" and x.dtype is not None else np.dtype(np.float32)
    return single(g, g.cast(x, to)), to


def ranked(g: TorchBuilder, x: Value, axis: int, k: Size, *, largest: bool = False) -> tuple[Value, Value]:
    """The `k` smallest in order, and where they were."""
    found: tuple[Value, Value] = g.op("TopK", [x, g.shape([k])], outputs=2, axis=axis, largest=int(largest))
    return found


# -------------------------------------------------------------------------- sums


@aten("sum", "sum.dim_IntList")
def sum_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None) -> Value:
    """Of integers and booleans: an int64."""
    return _total(g, "ReduceSum", x, over(g, x, dim), keepdim, dtype)


@aten("prod", "prod.dim_int")
def prod(
    g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    return _total(g, "ReduceProd", x, over(g, x, dim), keepdim, dtype)


def _total(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool, dtype: np.dtype | None) -> Value:
    to = dtype or (x.dtype if kind(x) == "f" else np.dtype(np.int64))
    if to == np.bool_:
        x = g.cast(x, np.bool_)
    return g.cast(reduced(g, onnx, wide(g, g.cast(x, to)), axes, keep), to)


@aten("mean", "mean.dim")
def mean(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None) -> Value:
    to = dtype or x.dtype
    return g.cast(reduced(g, "ReduceMean", wide(g, g.cast(x, to)), over(g, x, dim), keepdim), to)


@aten("nansum")
def nansum(
    g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    return sum_(g, without_nan(g, x)[0], dim=dim, keepdim=keepdim, dtype=dtype)


@aten("nanmean")
def nanmean(
    g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    to, axes = dtype or x.dtype, over(g, x, dim)
    known, is_known = without_nan(g, single(g, x))
    total = reduced(g, "ReduceSum", known, axes, keepdim)
    return g.cast(g.Div(total, reduced(g, "ReduceSum", g.cast(is_known, total.dtype), axes, keepdim)), to)


@aten("logsumexp", "special_logsumexp")
def logsumexp(g: TorchBuilder, x: Value, *, dim: Dims, keepdim: bool = False) -> Value:
    """The largest element is taken out first, so that no power is infinite (ONNX does not promise that)."""
    axes = over(g, x, dim)
    x, to = floating(g, x)
    peak = reduced(g, "ReduceMax", x, axes, True)
    peak = finite(g, peak)
    logs = g.Log(reduced(g, "ReduceSum", g.Exp(g.Sub(x, peak)), axes, keepdim))
    return g.cast(g.Add(logs, peak if keepdim or not axes else g.Squeeze(peak, axes)), to)


@aten("count_nonzero", "count_nonzero.dim_IntList")
def count_nonzero(g: TorchBuilder, x: Value, *, dim: Dims = None) -> Value:
    return reduced(g, "ReduceSum", g.cast(g.cast(x, np.bool_), np.int64), over(g, x, dim), False)


# --------------------------------------------------------------------- extremes


@aten("amax")
def amax(g: TorchBuilder, x: Value, *, dim: Dims = (), keepdim: bool = False) -> Value:
    return _extreme(g, "ReduceMax", x, over(g, x, dim), keepdim)


@aten("amin")
def amin(g: TorchBuilder, x: Value, *, dim: Dims = (), keepdim: bool = False) -> Value:
    return _extreme(g, "ReduceMin", x, over(g, x, dim), keepdim)


def _extreme(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool) -> Value:
    return g.cast(reduced(g, onnx, wide(g, x), axes, keep), x.dtype)


@aten("aminmax")
def aminmax(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    axes = over(g, x, dim)
    return _extreme(g, "ReduceMin", x, axes, keepdim), _extreme(g, "ReduceMax", x, axes, keepdim)


@aten("max")
def max_(g: TorchBuilder, x: Value) -> Value:
    return amax(g, x)


@aten("min")
def min_(g: TorchBuilder, x: Value) -> Value:
    return amin(g, x)


@aten("max.other")
def max_other(g: TorchBuilder, x: Value, other: Value) -> Value:
    return kernel(g, "Max", *g.promoted(x, other))


@aten("min.other")
def min_other(g: TorchBuilder, x: Value, other: Value) -> Value:
    return kernel(g, "Min", *g.promoted(x, other))


@aten("max.dim")
def max_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return amax(g, x, dim=dim, keepdim=keepdim), argmax(g, x, dim=dim, keepdim=keepdim)


@aten("min.dim")
def min_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return amin(g, x, dim=dim, keepdim=keepdim), argmin(g, x, dim=dim, keepdim=keepdim)


@aten("argmax")
def argmax(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> Value:
    return _arg(g, "ArgMax", x, dim, keepdim)


@aten("argmin")
def argmin(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> Value:
    return _arg(g, "ArgMin", x, dim, keepdim)


def _arg(g: TorchBuilder, onnx: str, x: Value, dim: int | None, keep: bool) -> Value:
    """The first of equal ones, as torch says."""
    x = wide(g, x)
    if x.rank == 0:
        return g.constant(np.array(0, np.int64))
    if dim is not None:
        y: Value = g.op(onnx, [x], axis=g.axis(dim, x.rank), keepdims=int(keep))
        return y
    first = g.op(onnx, [g.Reshape(x, [-1])], axis=0, keepdims=0)
    return g.view(first, [1] * x.rank) if keep else first


@aten("any", "any.dim")
def any_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMax", x, over(g, x, dim), keepdim)


@aten("all", "all.dim")
def all_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMin", x, over(g, x, dim), keepdim)


@aten("any.dims")
def any_dims(g: TorchBuilder, x: Value, *, dim: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """An empty list reduces nothing, other than everywhere else."""
    return _truth(g, "ReduceMax", x, [] if dim == [] else over(g, x, dim), keepdim)


@aten("all.dims")
def all_dims(g: TorchBuilder, x: Value, *, dim: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMin", x, [] if dim == [] else over(g, x, dim), keepdim)


def _truth(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool) -> Value:
    """torch's result is a bool, but of uint8 it is uint8."""
    to = np.dtype(np.uint8 if x.dtype == np.uint8 else np.bool_)
    is_true = g.cast(x, np.bool_)
    if x.rank and not axes:
        return g.cast(is_true, to)
    return g.cast(g.cast(reduced(g, onnx, g.cast(is_true, np.int32), axes, keep), np.bool_), to)
