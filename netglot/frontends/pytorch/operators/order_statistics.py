"""Medians, modes, quantiles. Semantics: torch's documentation of each function."""

from __future__ import annotations

import math

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder, aten
from netglot.frontends.pytorch.operators.reduction import MAX_PAIRS, count, kind, ranked, reduced, wide, without_nan
from netglot.ir.graph import Value


@aten("median")
def median(g: TorchBuilder, x: Value) -> Value:
    """The lower one of two in the middle; NaN where there is one."""
    return _median(g, g.Reshape(x, [-1]), 0, False, skip=False)[0]


@aten("median.dim")
def median_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return _median(g, x, dim, keepdim, skip=False)


@aten("nanmedian")
def nanmedian(g: TorchBuilder, x: Value) -> Value:
    """Of what is not NaN; NaN where there is nothing else."""
    return _median(g, g.Reshape(x, [-1]), 0, False, skip=True)[0]


@aten("nanmedian.dim")
def nanmedian_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return _median(g, x, dim, keepdim, skip=True)


def _median(g: TorchBuilder, x: Value, dim: int, keep: bool, *, skip: bool) -> tuple[Value, Value]:
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis, to, x = g.axis(dim, x.rank), x.dtype, wide(g, x)
    is_float = kind(x) == "f"
    numbers, is_number = without_nan(g, x, math.inf) if is_float else (x, None)
    values, indices = ranked(g, numbers, axis, g.size(x, axis))
    if is_number is None:
        middle = g.number(g.size(x, axis), np.int64)
        at = g.Expand(_halfway(g, middle), g.shape([1 if i == axis else g.size(x, i) for i in range(x.rank)]))
    else:
        how_many = reduced(g, "ReduceSum", g.cast(is_number, np.int64), [axis], True)
        at = _halfway(g, how_many if skip else g.Expand(count(g, x, [axis], how_many), g.Shape(how_many)))
    value, index = (g.GatherElements(item, at, axis=axis) for item in (values, indices))
    if is_number is not None:
        value, index = _nan_where(g, value, index, is_number, axis, every=skip)
    if not keep:
        value, index = g.Squeeze(value, [axis]), g.Squeeze(index, [axis])
    return g.cast(value, to), index


def _halfway(g: TorchBuilder, how_many: Value) -> Value:
    """(n - 1) // 2, and 0 of nothing."""
    zero, one, two = (np.array(n, np.int64) for n in range(3))
    y: Value = g.Div(g.Max(g.Sub(how_many, one), zero), two)
    return y


def _nan_where(
    g: TorchBuilder, value: Value, index: Value, is_number: Value, axis: int, *, every: bool
) -> tuple[Value, Value]:
    """NaN, and where the first one is, where any (or every) element along the axis is NaN."""
    flags = g.cast(is_number, np.int32)
    fine = g.cast(reduced(g, "ReduceMax" if every else "ReduceMin", flags, [axis], True), np.bool_)
    first = g.ArgMin(flags, axis=axis, keepdims=1)
    return g.Where(fine, value, g.number(math.nan, value.dtype)), g.Where(fine, index, first)


@aten("mode")
def mode(g: TorchBuilder, x: Value, *, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The most frequent value, the smallest of equally frequent ones, and where it is last."""
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis, to, x = g.axis(dim, x.rank), x.dtype, wide(g, x)
    size = g.known(g.size(x, axis), "the size of the axis")
    if size > MAX_PAIRS:
        raise g.unsupported(f"along an axis of more than {MAX_PAIRS}")
    equal = g.Equal(g.Unsqueeze(x, [axis]), g.Unsqueeze(x, [axis + 1]))
    often = reduced(g, "ReduceSum", g.cast(equal, np.int32), [axis], False)
    is_most = g.Equal(often, reduced(g, "ReduceMax", often, [axis], True))
    value = reduced(g, "ReduceMin", g.Where(is_most, x, g.number(_largest(x), x.dtype)), [axis], True)
    index = g.ArgMax(g.cast(g.Equal(x, value), np.int32), axis=axis, keepdims=1, select_last_index=1)
    if not keepdim:
        value, index = g.Squeeze(value, [axis]), g.Squeeze(index, [axis])
    return g.cast(value, to), index


def _largest(x: Value) -> float:
    assert x.dtype is not None
    return math.inf if kind(x) == "f" else int(np.iinfo(x.dtype).max)


@aten("quantile", "nanquantile")
def quantile(
    g: TorchBuilder, x: Value, q: Value, *, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:  # fmt: skip
    """A new first axis for those of q, unless it is a scalar."""
    return _quantile(g, x, q, dim, keepdim, interpolation)


@aten("quantile.scalar", "nanquantile.scalar")
def quantile_scalar(
    g: TorchBuilder, x: Value, *, q: float, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:  # fmt: skip
    return _quantile(g, x, g.number(q, x.dtype), dim, keepdim, interpolation)


def _quantile(g: TorchBuilder, x: Value, q: Value, dim: int | None, keep: bool, interpolation: str) -> Value:
    """The axis is brought to the end, sorted, and read at the (perhaps broken) rank q * (n - 1)."""
    rank, flat = x.rank, dim is None
    axis = 0 if flat or not rank else g.axis(dim or 0, rank)
    rows = g.Reshape(x, [-1]) if flat or not rank else x
    order = [i for i in range(rows.rank) if i != axis] + [axis]
    rows = g.Transpose(rows, perm=order) if order != sorted(order) else rows
    numbers, is_number = without_nan(g, rows, math.inf)
    values, _ = ranked(g, numbers, rows.rank - 1, g.size(rows, -1))
    how_many = reduced(g, "ReduceSum", g.cast(is_number, np.int64), [rows.rank - 1], True)
    skip = g.target.startswith("aten.nanquantile")
    last = g.Sub(how_many if skip else count(g, rows, [rows.rank - 1], how_many), np.array(1, np.int64))
    ranks = g.Mul(g.cast(g.Max(last, np.array(0, np.int64)), x.dtype), g.Reshape(q, [-1]))
    found = _at_rank(g, values, _spread_over(g, ranks, rows), interpolation)
    is_whole = g.cast(how_many, np.bool_) if skip else g.Equal(how_many, count(g, rows, [rows.rank - 1], how_many))
    found = g.Where(is_whole, found, g.number(math.nan, found.dtype))
    return _with_axes(g, found, q.rank, list(range(rank)) if flat else [axis][:rank], rank, keep)


def _spread_over(g: TorchBuilder, ranks: Value, rows: Value) -> Value:
    """The ranks for every row."""
    lead = [g.size(rows, i) for i in range(rows.rank - 1)]
    y: Value = g.Expand(ranks, g.shape([*lead, g.size(ranks, -1)]))
    return y


def _at_rank(g: TorchBuilder, values: Value, ranks: Value, interpolation: str) -> Value:
    whole = {"lower": "Floor", "higher": "Ceil", "nearest": "Round"}.get(interpolation)
    axis = values.rank - 1
    if whole is not None:
        y: Value = g.GatherElements(values, g.cast(g.op(whole, [ranks]), np.int64), axis=axis)
        return y
    floor = g.Floor(ranks)
    below = g.GatherElements(values, g.cast(floor, np.int64), axis=axis)
    above = g.GatherElements(values, g.cast(g.Ceil(ranks), np.int64), axis=axis)
    weight = g.number(0.5, ranks.dtype) if interpolation == "midpoint" else g.Sub(ranks, floor)
    mixed: Value = g.Add(below, g.Mul(weight, g.Sub(above, below)))
    return g.Where(g.Equal(below, above), below, mixed)  # of two infinities too


def _with_axes(g: TorchBuilder, found: Value, q_rank: int, axes: list[int], rank: int, keep: bool) -> Value:
    """The quantiles come first, or not at all if there was one only; `axes` stay with the size 1 if wanted."""
    first = g.Transpose(found, perm=[found.rank - 1, *range(found.rank - 1)]) if found.rank > 1 else found
    if keep and axes:
        first = g.Unsqueeze(first, [axis + 1 for axis in axes])
    return first if q_rank else g.Squeeze(first, [0])
