"""Reductions, scans and sorting of keras.ops (keras/src/ops/numpy.py, math.py, linalg.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netglot.frontends.keras.builder import KerasBuilder, keras_op
from netglot.frontends.keras.operands import INT, axes_of, axis_of, cast, floating, indices, is_float, operands, tensor
from netglot.frontends.keras.ops import truth
from netglot.frontends.keras.timesteps import known_sizes
from netglot.ir.graph import Value

Axis = int | Sequence[int] | None
_SUMMED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def reduced(g: KerasBuilder, op: str, x: Value, axis: Axis, keepdims: bool) -> Value:
    """`x` through one of ONNX's reductions; over no axes it stays."""
    axes = axes_of(g, axis, x.rank)
    if not axes:
        return x
    y: Value = g.op(op, [x, axes], keepdims=int(keepdims))
    return y


def wide(g: KerasBuilder, x: Any) -> Value:
    """What small integers are added up in."""
    x = tensor(g, x)
    return cast(g, x, np.dtype(_SUMMED.get(x.dtype.name, x.dtype.name)) if not is_float(x.dtype) else x.dtype)


def through(g: KerasBuilder, op: str, x: Value, axis: Axis, keepdims: bool) -> Value:
    """A reduction in 32 bits of what ONNX Runtime reduces in no other type."""
    assert x.dtype is not None
    if x.dtype.kind not in "b" and x.dtype.itemsize > 2:
        return reduced(g, op, x, axis, keepdims)
    dtype = np.dtype(np.float32) if is_float(x.dtype) else INT
    return cast(g, reduced(g, op, cast(g, x, dtype), axis, keepdims), x.dtype)


@keras_op("Sum")
def sum_of(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return reduced(g, "ReduceSum", wide(g, x), axis, keepdims)


@keras_op("Prod")
def prod(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Value:
    x = wide(g, x)
    return reduced(g, "ReduceProd", x if dtype is None else cast(g, x, np.dtype(str(dtype))), axis, keepdims)


@keras_op("Mean")
def mean(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return reduced(g, "ReduceMean", floating(g, x), axis, keepdims)


@keras_op("Max", "Amax")
def max_of(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Value:
    y = through(g, "ReduceMax", tensor(g, x), axis, keepdims)
    return y if initial is None else g.Max(y, g.constant(initial, y.dtype))


@keras_op("Min", "Amin")
def min_of(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Value:
    y = through(g, "ReduceMin", tensor(g, x), axis, keepdims)
    return y if initial is None else g.Min(y, g.constant(initial, y.dtype))


@keras_op("Any")
def any_of(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return through(g, "ReduceMax", truth(g, x), axis, keepdims)


@keras_op("All")
def all_of(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return through(g, "ReduceMin", truth(g, x), axis, keepdims)


@keras_op("CountNonzero")
def count_nonzero(g: KerasBuilder, x: Any, *, axis: Axis = None) -> Value:
    return reduced(g, "ReduceSum", cast(g, truth(g, x), INT), axis, False)


@keras_op("Ptp")
def peak_to_peak(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    x = tensor(g, x)
    return g.Sub(reduced(g, "ReduceMax", x, axis, keepdims), reduced(g, "ReduceMin", x, axis, keepdims))


@keras_op("Var")
def var(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    x = floating(g, x)
    away = g.Sub(x, reduced(g, "ReduceMean", x, axis, True))
    return reduced(g, "ReduceMean", g.Mul(away, away), axis, keepdims)


@keras_op("Std")
def std(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return g.Sqrt(var(g, x, axis=axis, keepdims=keepdims))


@keras_op("Moments")
def moments(
    g: KerasBuilder, x: Any, *, axes: Axis, keepdims: bool = False, synchronized: bool = False
) -> tuple[Value, Value]:
    return mean(g, x, axis=axes, keepdims=keepdims), var(g, x, axis=axes, keepdims=keepdims)


@keras_op("Logsumexp")
def logsumexp(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    return reduced(g, "ReduceLogSumExp", floating(g, x), axis, keepdims)


@keras_op("Average")
def average(g: KerasBuilder, x: Any, weights: Any = None, *, axis: Axis = None) -> Value:
    """Weighted; weights of one axis go along `axis`."""
    if weights is None:
        return mean(g, x, axis=axis)
    x, w = operands(g, x, weights, floating=True)
    if w.rank == 1 and x.rank > 1:
        if axis is None:
            raise g.unsupported("weights of one axis for all of them")
        w = g.Unsqueeze(w, [i for i in range(x.rank) if i != axis_of(g, axis, x.rank)])
    w = g.Expand(w, g.Shape(x))
    return g.Div(reduced(g, "ReduceSum", g.Mul(x, w), axis, False), reduced(g, "ReduceSum", w, axis, False))


# -------------------------------------------------------------------------- NaN


def without_nan(op: str, empty: float) -> Callable[..., Value]:
    """A reduction in which NaN counts as `empty`."""

    def function(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
        x = wide(g, x)
        return reduced(g, op, g.Where(g.IsNaN(x), empty, x) if is_float(x.dtype) else x, axis, keepdims)

    return function


def extreme_without_nan(op: str, empty: float) -> Callable[..., Value]:
    """As `without_nan`, but of nothing but NaN the result is NaN."""

    def function(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
        x = tensor(g, x)
        if not is_float(x.dtype):
            return through(g, op, x, axis, keepdims)
        missing = g.IsNaN(x)
        only = through(g, "ReduceMin", missing, axis, keepdims)
        return g.Where(only, float("nan"), reduced(g, op, g.Where(missing, empty, x), axis, keepdims))

    return function


keras_op("Nansum")(without_nan("ReduceSum", 0.0))
keras_op("Nanprod")(without_nan("ReduceProd", 1.0))
keras_op("Nanmax")(extreme_without_nan("ReduceMax", float("-inf")))
keras_op("Nanmin")(extreme_without_nan("ReduceMin", float("inf")))


@keras_op("Nanmean")
def nanmean(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    x = floating(g, x)
    there = g.Not(g.IsNaN(x))
    total = reduced(g, "ReduceSum", g.Where(there, x, 0.0), axis, keepdims)
    return g.Div(total, reduced(g, "ReduceSum", cast(g, there, x.dtype), axis, keepdims))


# ------------------------------------------------------------------------ norms


@keras_op("Norm")
def norm(g: KerasBuilder, x: Any, *, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Value:
    """Norms of vectors (one axis) and matrices (two); those that need singular values are refused."""
    x = floating(g, x)
    axes = axes_of(g, axis, x.rank)
    order = float(ord) if ord in ("inf", "-inf", "Infinity", "-Infinity") else ord
    if len(axes) == 1:
        return vector_norm(g, x, axes, order, keepdims)
    if len(axes) != 2:
        raise g.unsupported(f"the norm over {len(axes)} axes")
    if order in (None, "fro"):
        return g.ReduceL2(x, axes, keepdims=int(keepdims))
    if order not in (1, -1, float("inf"), float("-inf")):
        raise g.unsupported(f"the matrix norm {ord}: it needs singular values")
    inner, outer = axes if abs(order) == 1 else axes[::-1]
    sums = g.ReduceL1(x, [inner], keepdims=1)
    y: Value = g.op("ReduceMax" if order > 0 else "ReduceMin", [sums, [outer]], keepdims=1)
    return y if keepdims else g.Squeeze(y, axes)


def vector_norm(g: KerasBuilder, x: Value, axes: Sequence[int], order: Any, keepdims: bool) -> Value:
    if order in (None, 2):
        return g.ReduceL2(x, axes, keepdims=int(keepdims))
    if order == 1:
        return g.ReduceL1(x, axes, keepdims=int(keepdims))
    if order in (float("inf"), float("-inf")):
        return reduced(g, "ReduceMax" if order > 0 else "ReduceMin", g.Abs(x), axes, keepdims)
    if not isinstance(order, (int, float)):
        raise g.unsupported(f"the vector norm {order}")
    if order == 0:
        return reduced(g, "ReduceSum", cast(g, g.Not(g.Equal(x, 0.0)), x.dtype), axes, keepdims)
    return g.Pow(reduced(g, "ReduceSum", g.Pow(g.Abs(x), float(order)), axes, keepdims), 1 / order)


@keras_op("CDist")
def cdist(g: KerasBuilder, x: Any, y: Any) -> Value:
    """Euclidean distances of all rows."""
    a, b = operands(g, x, y, floating=True)
    return g.ReduceL2(g.Sub(g.Unsqueeze(a, [-2]), g.Unsqueeze(b, [-3])), [-1], keepdims=0)


# ------------------------------------------------------------------ along an axis


def found(g: KerasBuilder, op: str, x: Any, axis: int | None, keepdims: bool) -> Value:
    """Where the largest or smallest element is; among all elements, its place in the flat tensor."""
    x = tensor(g, x)
    x = cast(g, x, INT) if x.dtype == np.bool_ else x
    if axis is not None:
        at: Value = g.op(op, [x], axis=axis_of(g, axis, x.rank), keepdims=int(keepdims))
        return cast(g, at, INT)
    place = cast(g, g.op(op, [g.Reshape(x, [-1])], axis=0, keepdims=0), INT)
    return g.Reshape(place, [1] * x.rank) if keepdims else place


@keras_op("Argmax")
def argmax(g: KerasBuilder, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Value:
    return found(g, "ArgMax", x, axis, keepdims)


@keras_op("Argmin")
def argmin(g: KerasBuilder, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Value:
    return found(g, "ArgMin", x, axis, keepdims)


def flat_or(g: KerasBuilder, x: Value, axis: int | None) -> tuple[Value, int]:
    """(x, axis), or all elements in one axis where none is given."""
    return (g.Reshape(x, [-1]), 0) if axis is None else (x, axis_of(g, axis, x.rank))


@keras_op("Cumsum")
def cumsum(g: KerasBuilder, x: Any, *, axis: int | None = None, dtype: Any = None) -> Value:
    x, at = flat_or(g, tensor(g, x), axis)
    x = cast(g, x, np.dtype(str(dtype)) if dtype else INT if x.dtype == np.bool_ else x.dtype)
    return g.CumSum(x, g.constant(at, np.int64))


@keras_op("Cumprod")
def cumprod(g: KerasBuilder, x: Any, *, axis: int | None = None, dtype: Any = None) -> Value:
    """ONNX has none: as many products as it takes to double the reach to the whole axis."""
    x, at = flat_or(g, tensor(g, x), axis)
    x = cast(g, x, np.dtype(str(dtype)) if dtype else INT if x.dtype == np.bool_ else x.dtype)
    size = known_sizes(g, x, at)[0] if at == x.rank - 1 else known_sizes(g, x, 0)[at]
    reach = 1
    while reach < size:
        before = g.Slice(x, [0], [size - reach], [at])
        pads = [reach if i == at else 0 for i in range(x.rank)] + [0] * x.rank
        x = g.Mul(x, g.Pad(before, pads, g.constant(1, x.dtype)))
        reach *= 2
    return x


@keras_op("TopK")
def top_k(g: KerasBuilder, x: Any, *, k: int, sorted: bool = True) -> tuple[Value, Value]:
    values, at = g.op("TopK", [tensor(g, x), [k]], outputs=2, axis=-1, sorted=int(sorted))
    return values, cast(g, at, INT)


@keras_op("InTopK")
def in_top_k(g: KerasBuilder, targets: Any, predictions: Any, *, k: int) -> Value:
    """Whether fewer than k predictions are larger than that of the target."""
    at = g.Unsqueeze(indices(g, targets), [-1])
    own = g.GatherElements(predictions, at, axis=1)
    larger = g.ReduceSum(cast(g, g.Greater(predictions, own), INT), [1], keepdims=0)
    return g.Less(larger, g.constant(k, INT))


def in_order(g: KerasBuilder, x: Any, axis: int | None) -> tuple[Value, Value]:
    """(sorted elements, where they were), smallest first."""
    x, at = flat_or(g, tensor(g, x), axis)
    size = g.Shape(x, start=at, end=at + 1)
    values, places = g.op("TopK", [x, size], outputs=2, axis=at, largest=0)
    for result in (values, places):
        result.shape = x.shape
    return values, places


@keras_op("Sort")
def sort(g: KerasBuilder, x: Any, *, axis: int | None = -1) -> Value:
    return in_order(g, x, axis)[0]


@keras_op("Argsort")
def argsort(g: KerasBuilder, x: Any, *, axis: int | None = -1) -> Value:
    return cast(g, in_order(g, x, axis)[1], INT)


@keras_op("Median")
def median(g: KerasBuilder, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Value:
    """The middle element along one axis, or the mean of the two in the middle."""
    x = floating(g, x)
    axes = axes_of(g, axis, x.rank)
    if len(axes) != 1 and axis is not None:
        raise g.unsupported("a median over several axes")
    if axis is None:
        middle = _middle(g, g.Reshape(x, [-1]), 0)
        return g.Reshape(middle, [1] * x.rank) if keepdims else g.Squeeze(middle, [0])
    middle = _middle(g, x, axes[0])
    return middle if keepdims else g.Squeeze(middle, axes)


def _middle(g: KerasBuilder, x: Value, axis: int) -> Value:
    size = None if x.shape is None else x.shape[axis]
    if not isinstance(size, int):
        raise g.unsupported("a median over an axis of unknown size")
    values = in_order(g, x, axis)[0]
    low, high = (size - 1) // 2, size // 2
    both = [g.Slice(values, [i], [i + 1], [axis]) for i in (low, high)]
    return both[0] if low == high else g.Mul(g.Add(*both), 0.5)
