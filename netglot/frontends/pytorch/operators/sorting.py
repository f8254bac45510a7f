"""Sorting, searching, counting, sets. Semantics: torch's documentation of each function.

ONNX's TopK is stable in both directions. NaN is in no defined place: torch puts it last, the targets where they will.
"""

from __future__ import annotations

import numpy as np

from netglot.frontends.pytorch.builder import Number, Operand, Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.reduction import kind, ranked, single, wide
from netglot.ir.graph import Value


@aten("sort")
def sort(g: TorchBuilder, x: Value, *, dim: int = -1, descending: bool = False) -> tuple[Value, Value]:
    return _sorted(g, x, dim, None, largest=descending)


@aten("sort.stable", order="self *")
def sort_stable(
    g: TorchBuilder, x: Value, *, stable: bool | None, dim: int = -1, descending: bool = False
) -> tuple[Value, Value]:
    return _sorted(g, x, dim, None, largest=descending)


@aten("argsort")
def argsort(g: TorchBuilder, x: Value, *, dim: int = -1, descending: bool = False) -> Value:
    return _sorted(g, x, dim, None, largest=descending)[1]


@aten("argsort.stable", order="self *")
def argsort_stable(g: TorchBuilder, x: Value, *, stable: bool, dim: int = -1, descending: bool = False) -> Value:
    return _sorted(g, x, dim, None, largest=descending)[1]


@aten("msort")
def msort(g: TorchBuilder, x: Value) -> Value:
    return _sorted(g, x, 0, None, largest=False)[0]


@aten("topk")
def topk(
    g: TorchBuilder, x: Value, *, k: Size, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Value, Value]:
    """Always in order: where torch promises none, any will do."""
    return _sorted(g, x, dim, k, largest=largest)


def _sorted(g: TorchBuilder, x: Value, dim: int, k: Size | None, *, largest: bool) -> tuple[Value, Value]:
    """The first `k` in order (all of them for None), and where they were."""
    if x.rank == 0:
        if k == 0:
            raise g.unsupported("none of a scalar")
        return x, g.constant(np.array(0, np.int64))
    axis = g.axis(dim, x.rank)
    values, indices = ranked(g, wide(g, x), axis, g.size(x, axis) if k is None else k, largest=largest)
    return g.cast(values, x.dtype), indices


@aten("kthvalue")
def kthvalue(g: TorchBuilder, x: Value, *, k: Size, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The last of the `k` smallest."""
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis = g.axis(dim, x.rank)
    values, indices = _sorted(g, x, axis, k, largest=False)
    last = g.constant(np.array([-1] if keepdim else -1, np.int64))
    return g.Gather(values, last, axis=axis), g.Gather(indices, last, axis=axis)


# -------------------------------------------------------------------- searching


@aten("searchsorted.Tensor")
def searchsorted(
    g: TorchBuilder, sorted_sequence: Value, self: Value, sorter: Value | None = None, *, out_int32: bool = False,
    right: bool = False, side: str | None = None,
) -> Value:  # fmt: skip
    return _places(g, sorted_sequence, self, sorter, out_int32, right or side == "right")


@aten("searchsorted.Scalar", order="sorted_sequence self")
def searchsorted_scalar(
    g: TorchBuilder, sorted_sequence: Value, sorter: Value | None = None, *, self: Operand, out_int32: bool = False,
    right: bool = False, side: str | None = None,
) -> Value:  # fmt: skip
    return _places(g, sorted_sequence, self, sorter, out_int32, right or side == "right")


@aten("bucketize.Tensor", "bucketize.Scalar")
def bucketize(g: TorchBuilder, x: Operand, boundaries: Value, *, out_int32: bool = False, right: bool = False) -> Value:
    return _places(g, boundaries, x, None, out_int32, right)


def _places(
    g: TorchBuilder, boundaries: Value, values: Operand, sorter: Value | None, narrow: bool, right: bool
) -> Value:
    """How many boundaries of the last axis are not above (right: nor equal to) each value; NaN is above all of them."""
    if sorter is not None:
        boundaries = g.GatherElements(boundaries, sorter, axis=-1)
    boundaries, values = (wide(g, item) for item in g.promoted(boundaries, values))
    rows = boundaries if boundaries.rank == 1 else g.Unsqueeze(boundaries, [-2])
    beyond = g.op("Greater" if right else "GreaterOrEqual", [rows, g.Unsqueeze(values, [-1])])
    to = np.dtype(np.int32 if narrow else np.int64)
    found: Value = g.ReduceSum(g.cast(g.Not(beyond), to), [-1], keepdims=0)
    return found


@aten("isin.Tensor_Tensor", "isin.Scalar_Tensor")
def isin(
    g: TorchBuilder, elements: Operand, test_elements: Value, *, assume_unique: bool = False, invert: bool = False
) -> Value:
    return _is_in(g, elements, test_elements, invert)


@aten("isin.Tensor_Scalar")
def isin_scalar(
    g: TorchBuilder, elements: Value, *, test_element: Operand, assume_unique: bool = False, invert: bool = False
) -> Value:
    return _is_in(g, elements, test_element, invert)


def _is_in(g: TorchBuilder, elements: Operand, test_elements: Operand, invert: bool) -> Value:
    x, tests = (wide(g, item) for item in g.promoted(elements, test_elements))
    is_equal = g.Equal(g.Unsqueeze(x, [-1]), g.Reshape(tests, [-1]))
    hits = g.ReduceSum(g.cast(is_equal, np.int64), [-1], keepdims=0)
    none = np.array(0, np.int64)
    found: Value = g.Equal(hits, none) if invert else g.Greater(hits, none)
    return found


# --------------------------------------------------------------------- counting


@aten("bincount")
def bincount(g: TorchBuilder, x: Value, weights: Value | None = None, *, minlength: Size = 0) -> Value:
    """How often each number up to the largest occurs, or the sum of the weights beside it."""
    to = np.dtype(np.int64) if weights is None else _weight_type(weights)
    x = g.cast(x, np.int64)
    largest = g.ReduceMax(g.Concat(x, np.array([-1], np.int64), axis=0), keepdims=0)
    length = g.Max(g.Add(largest, np.array(1, np.int64)), g.number(minlength, np.int64))
    hits = g.cast(g.Equal(_range(g, length), g.Unsqueeze(x, [1])), to)
    if weights is not None:
        hits = g.Mul(hits, g.Unsqueeze(g.cast(weights, to), [1]))
    counts: Value = g.ReduceSum(hits, [0], keepdims=0)
    return counts


def _weight_type(weights: Value) -> np.dtype:
    return np.dtype(np.float32 if weights.dtype == np.float32 else np.float64)


def _range(g: TorchBuilder, size: Value) -> Value:
    numbers: Value = g.Range(np.array(0, np.int64), size, np.array(1, np.int64))
    return numbers


@aten("histc")
def histc(g: TorchBuilder, x: Value, *, bins: int = 100, min: Number = 0, max: Number = 0) -> Value:
    """How many elements lie in each of `bins` equal parts of [min, max], or of the range of x where both are equal."""
    to, x = x.dtype, single(g, g.Reshape(x, [-1]))
    low, high = _limits(g, x, min, max)
    place = g.Floor(g.Div(g.Mul(g.Sub(x, low), g.number(bins, x.dtype)), g.Sub(high, low)))
    place = g.Min(place, g.number(bins - 1, x.dtype))
    inside = g.And(g.GreaterOrEqual(x, low), g.LessOrEqual(x, high))
    numbers = g.constant(np.arange(*g.affordable(bins)).astype(x.dtype))
    hits = g.And(g.Equal(g.Unsqueeze(place, [1]), numbers), g.Unsqueeze(inside, [1]))
    return g.cast(g.ReduceSum(g.cast(hits, x.dtype), [0], keepdims=0), to)


def _limits(g: TorchBuilder, x: Value, low: Number, high: Number) -> list[Value]:
    if low != high:
        return [g.number(limit, x.dtype) for limit in (low, high)]
    least, most = (g.op(op, [x], keepdims=0) for op in ("ReduceMin", "ReduceMax"))
    widening = g.cast(g.Equal(least, most), x.dtype)  # a single number lies in the middle of a range of 2
    return [g.Sub(least, widening), g.Add(most, widening)]


# ------------------------------------------------------------------------- sets


@aten("_unique")
def unique_of(g: TorchBuilder, x: Value, *, sorted: bool = True, return_inverse: bool = False) -> tuple[Value, Value]:
    values, inverse, _ = _unique(g, x, None, return_inverse, False)
    return values, inverse


@aten("_unique2")
def unique(
    g: TorchBuilder, x: Value, *, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> tuple[Value, Value, Value]:
    """Always in order: where torch promises none, any will do."""
    return _unique(g, x, None, return_inverse, return_counts)


@aten("unique_dim")
def unique_dim(
    g: TorchBuilder, x: Value, *, dim: int, sorted: bool = True, return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """torch computes the inverse and the counts here even where they are not wanted."""
    return _unique(g, x, g.axis(dim, x.rank), True, True)


def _unique(
    g: TorchBuilder, x: Value, axis: int | None, with_inverse: bool, with_counts: bool
) -> tuple[Value, Value, Value]:
    """What is not wanted is an empty tensor."""
    wider = g.cast(x, np.int64 if kind(x) != "f" else single(g, x).dtype)
    values, _, inverse, counts = g.op("Unique", [wider], outputs=4, axis=axis, sorted=1)
    inverse = g.Reshape(inverse, g.Shape(x)) if with_inverse and axis is None else inverse
    empty = g.constant(np.empty(0, np.int64))
    return g.cast(values, x.dtype), inverse if with_inverse else empty, counts if with_counts else empty


@aten("unique_consecutive")
def unique_consecutive(
    g: TorchBuilder, x: Value, *, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> tuple[Value, Value, Value]:
    axis = None if dim is None else g.axis(dim, x.rank)
    rows = g.Reshape(x, [-1]) if axis is None else x
    values, inverse, counts = _runs(g, rows, axis or 0)
    inverse = g.Reshape(inverse, g.Shape(x)) if axis is None else inverse
    empty = g.constant(np.empty(0, np.int64))
    return values, inverse if return_inverse else empty, counts if return_counts else empty


@aten("unique_dim_consecutive")
def unique_dim_consecutive(
    g: TorchBuilder, x: Value, *, dim: int, return_inverse: bool = False, return_counts: bool = False
) -> tuple[Value, Value, Value]:
    return _runs(g, x, g.axis(dim, x.rank))


def _runs(g: TorchBuilder, x: Value, axis: int) -> tuple[Value, Value, Value]:
    """The first of each run of equal slices along the axis, the number of the run of every slice, and their lengths."""
    starts = g.Concat(np.array([True]), _changes(g, x, axis), axis=0)
    starts = g.Slice(starts, [0], g.shape([g.size(x, axis)]), [0])  # of nothing there is no first
    at = g.Reshape(g.NonZero(starts), [-1])
    numbers = g.Sub(g.CumSum(g.cast(starts, np.int64), np.array(0, np.int64)), np.array(1, np.int64))
    ends = g.Concat(at, g.shape([g.size(x, axis)]), axis=0)
    lengths = g.Sub(g.Slice(ends, [1], [np.iinfo(np.int64).max], [0]), at)
    return g.Gather(x, at, axis=axis), numbers, lengths


def _changes(g: TorchBuilder, x: Value, axis: int) -> Value:
    """Whether every slice but the first differs from the one before."""
    before = g.Slice(x, [0], [-1], [axis])
    after = g.Slice(x, [1], [np.iinfo(np.int64).max], [axis])
    differs = g.Not(g.Equal(wide(g, before), wide(g, after)))
    others = [i for i in range(x.rank) if i != axis]
    if not others:
        return differs
    found: Value = g.cast(g.ReduceMax(g.cast(differs, np.int32), others, keepdims=0), np.bool_)
    return found
