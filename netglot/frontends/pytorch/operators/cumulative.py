"""Running sums, products and extremes, differences. Semantics: torch's documentation of each function."""

from __future__ import annotations

import math

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.operators.reduction import MAX_PAIRS, finite, kind, single, wide
from netglot.ir.graph import Value

_END = np.iinfo(np.int64).max


@aten("cumsum")
def cumsum(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    """Of integers and booleans: an int64."""
    return _running(g, "CumSum", x, dim, dtype)


@aten("cumprod")
def cumprod(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    return _running(g, "CumProd", x, dim, dtype)


def _running(g: TorchBuilder, onnx: str, x: Value, dim: int, dtype: np.dtype | None) -> Value:
    to = dtype or (x.dtype if kind(x) == "f" else np.dtype(np.int64))
    x = wide(g, g.cast(x, to))
    axis = g.constant(np.array(g.axis(dim, x.rank), np.int64))
    return g.cast(g.op(onnx, [x, axis]) if x.rank else x, to)


@aten("cummax")
def cummax(g: TorchBuilder, x: Value, *, dim: int) -> tuple[Value, Value]:
    return _record(g, x, dim, "Max")


@aten("cummin")
def cummin(g: TorchBuilder, x: Value, *, dim: int) -> tuple[Value, Value]:
    return _record(g, x, dim, "Min")


def _record(g: TorchBuilder, x: Value, dim: int, extreme: str) -> tuple[Value, Value]:
    """The largest (smallest) so far, and where it was last: a reduction of what each element has seen."""
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis, to, x = g.axis(dim, x.rank), x.dtype, wide(g, x)
    seen = _seen(g, x, axis, _least(x) if extreme == "Max" else _most(x))
    values = g.op(f"Reduce{extreme}", [seen, [-1]], keepdims=0)
    places = g.op(f"Arg{extreme}", [seen], axis=-1, keepdims=0, select_last_index=1)
    # What the later elements are replaced by may be what is looked for: then the last one seen is the element itself.
    places = g.Min(places, g.constant(np.arange(g.known(g.size(x, axis), "the size of the axis"))))
    return g.cast(_back(g, values, axis), to), _back(g, places, axis)


def _least(x: Value) -> float:
    assert x.dtype is not None
    return -math.inf if kind(x) == "f" else int(np.iinfo(x.dtype).min)


def _most(x: Value) -> float:
    assert x.dtype is not None
    return math.inf if kind(x) == "f" else int(np.iinfo(x.dtype).max)


def _seen(g: TorchBuilder, x: Value, axis: int, instead: float) -> Value:
    """The axis twice at the end: for each of its elements all of them, the later ones replaced."""
    size = g.known(g.size(x, axis), "the size of the axis")
    if size > MAX_PAIRS:
        raise g.unsupported(f"along an axis of more than {MAX_PAIRS}")
    order = [i for i in range(x.rank) if i != axis] + [axis]
    rows = g.Unsqueeze(g.Transpose(x, perm=order) if order != sorted(order) else x, [-2])
    y: Value = g.Where(np.tri(size, dtype=bool), rows, g.number(instead, x.dtype))
    return y


def _back(g: TorchBuilder, x: Value, axis: int) -> Value:
    """The last axis to where it was."""
    order = list(range(x.rank - 1))
    order.insert(axis, x.rank - 1)
    return g.Transpose(x, perm=order) if order != sorted(order) else x


@aten("logcumsumexp", "_logcumsumexp")
def logcumsumexp(g: TorchBuilder, x: Value, *, dim: int) -> Value:
    """Every element's own logarithm of a sum: one running sum would lose what is small beside the largest."""
    if x.rank == 0:
        return x
    axis, to, x = g.axis(dim, x.rank), x.dtype, single(g, x)
    seen = _seen(g, x, axis, -math.inf)
    peak = g.ReduceMax(seen, [-1], keepdims=1)
    peak = finite(g, peak)
    sums = g.ReduceSum(g.Exp(g.Sub(seen, peak)), [-1], keepdims=0)
    return g.cast(_back(g, g.Add(g.Log(sums), g.Squeeze(peak, [-1])), axis), to)


# ------------------------------------------------------- differences and integrals


@aten("diff", order="self n dim prepend append")
def diff(
    g: TorchBuilder, x: Value, prepend: Value | None = None, append: Value | None = None, *, n: int = 1, dim: int = -1
) -> Value:
    """Of booleans: whether they differ. `n` times; more often than there are elements leaves none."""
    axis = g.axis(dim, x.rank)
    parts = [part for part in (prepend, x, append) if part is not None]
    parts = g.promoted(*parts)
    x = g.Concat(*parts, axis=axis) if len(parts) > 1 and n else x
    size = g.size(x, axis)
    for _ in range(min(n, size) if isinstance(size, int) else n):
        x = _difference(g, x, axis)
    return x


def _difference(g: TorchBuilder, x: Value, axis: int) -> Value:
    before, after = _neighbours(g, x, axis)
    if kind(x) == "b":
        differ: Value = g.Xor(after, before)
        return differ
    return g.cast(g.Sub(wide(g, after), wide(g, before)), x.dtype)


def _neighbours(g: TorchBuilder, x: Value, axis: int) -> tuple[Value, Value]:
    """All but the last, all but the first."""
    return g.Slice(x, [0], [-1], [axis]), g.Slice(x, [1], [_END], [axis])


@aten("trapezoid.dx", "trapz.dx", order="y *")
def trapezoid(g: TorchBuilder, y: Value, *, dx: Number = 1, dim: int = -1) -> Value:
    return _integral(g, y, None, dx, dim)


@aten("trapezoid.x", "trapz.x")
def trapezoid_of_points(g: TorchBuilder, y: Value, x: Value, *, dim: int = -1) -> Value:
    return _integral(g, y, x, 1, dim)


def _integral(g: TorchBuilder, y: Value, x: Value | None, dx: Number, dim: int) -> Value:
    parts = _trapezia(g, y, x, dx, dim)
    total: Value = g.ReduceSum(parts, [_axis_of_parts(g, y, parts, dim)], keepdims=0)
    return total


@aten("cumulative_trapezoid.dx", order="y *")
def cumulative_trapezoid(g: TorchBuilder, y: Value, *, dx: Number = 1, dim: int = -1) -> Value:
    parts = _trapezia(g, y, None, dx, dim)
    return _running(g, "CumSum", parts, _axis_of_parts(g, y, parts, dim), None)


@aten("cumulative_trapezoid.x")
def cumulative_trapezoid_of_points(g: TorchBuilder, y: Value, x: Value, *, dim: int = -1) -> Value:
    parts = _trapezia(g, y, x, 1, dim)
    return _running(g, "CumSum", parts, _axis_of_parts(g, y, parts, dim), None)


def _trapezia(g: TorchBuilder, y: Value, x: Value | None, dx: Number, dim: int) -> Value:
    """The area over each step: the mean of both sides, times the step. Integers are computed as floats."""
    axis = g.axis(dim, y.rank)
    widths: Value | Number = dx
    if x is not None:
        along = 0 if x.rank == 1 else g.axis(dim, x.rank)
        widths = _difference(g, x, along)
        if x.rank == 1:
            widths = g.Unsqueeze(widths, list(range(1, y.rank - axis)))
    before, after = _neighbours(g, y, axis)
    heights, widths = g.promoted(g.Add(before, after), widths, floating=True)
    halves: Value = g.Div(g.Mul(heights, widths), g.number(2, heights.dtype))
    return halves


def _axis_of_parts(g: TorchBuilder, y: Value, parts: Value, dim: int) -> int:
    """Points of a higher rank than y put axes before its own."""
    return g.axis(dim, y.rank) + parts.rank - y.rank
