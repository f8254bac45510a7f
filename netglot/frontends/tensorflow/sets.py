"""Distinct elements, differences, inverse permutations, and places in sorted lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.shape import INT32, int64, with_sizes
from netglot.ir.graph import Value

_UNIQUE = {"float32", "float64", "int64", "int8", "object"}  # what ONNX Runtime has a kernel for


@tf_op("Unique")
def unique(g: TFBuilder, x: Value, *, out_idx: Any = INT32) -> tuple[Value, ...]:
    return _distinct(g, x, None, out_idx)[:2]


@tf_op("UniqueWithCounts")
def unique_with_counts(g: TFBuilder, x: Value, *, out_idx: Any = INT32) -> tuple[Value, ...]:
    return _distinct(g, x, None, out_idx)


@tf_op("UniqueV2")
def unique_v2(g: TFBuilder, x: Value, axis: Value, *, out_idx: Any = INT32) -> tuple[Value, ...]:
    return unique_with_counts_v2(g, x, axis, out_idx=out_idx)[:2]


@tf_op("UniqueWithCountsV2")
def unique_with_counts_v2(g: TFBuilder, x: Value, axis: Value, *, out_idx: Any = INT32) -> tuple[Value, ...]:
    """No axis: x is a vector."""
    axes = g.ints(axis, "the axis")
    return _distinct(g, x, g.axis(x, axes[0]) if axes and x.rank > 1 else None, out_idx)


def _distinct(g: TFBuilder, x: Value, axis: int | None, out_idx: Any) -> tuple[Value, ...]:
    """In the order in which they come first. Integers as int64, smaller floats as float32: both are exact."""
    dtype = x.dtype
    if dtype is not None and dtype.name not in _UNIQUE:
        x = g.cast(x, np.float32 if dtype.kind == "f" else np.int64)
    y, _, inverse, counts = g.Unique(x, outputs=4, axis=axis, sorted=0)
    return g.cast(y, dtype), g.cast(inverse, out_idx), g.cast(counts, out_idx)


@tf_op("ListDiff")
def list_diff(g: TFBuilder, x: Value, y: Value, *, out_idx: Any = INT32) -> tuple[Value, Value]:
    """What of the vector x is not in y, and where it stood."""
    equal = g.Cast(g.Equal(g.Unsqueeze(x, [1]), g.Unsqueeze(y, [0])), to=6)
    is_new = g.Equal(g.ReduceSum(equal, [1], keepdims=0), np.int32(0))
    places = g.Range(np.int64(0), g.Size(x), np.int64(1))
    return g.Compress(x, is_new, axis=0), g.cast(g.Compress(places, is_new, axis=0), out_idx)


@tf_op("InvertPermutation")
def invert_permutation(g: TFBuilder, x: Value) -> Value:
    places = g.Range(np.int64(0), g.Size(x), np.int64(1))
    return g.cast(with_sizes(g.ScatterElements(places, int64(g, x), places, axis=0), x.shape or (None,)), x.dtype)


# ------------------------------------------------------------------ places in sorted lists


@tf_op("LowerBound")
def lower_bound(g: TFBuilder, sorted_inputs: Value, values: Value, *, out_type: Any = INT32) -> Value:
    """How many elements of the row are less than the value."""
    return _count(g, g.Less(g.Unsqueeze(sorted_inputs, [1]), g.Unsqueeze(values, [2])), out_type)


@tf_op("UpperBound")
def upper_bound(g: TFBuilder, sorted_inputs: Value, values: Value, *, out_type: Any = INT32) -> Value:
    """How many elements of the row are not greater than the value."""
    return _count(g, g.LessOrEqual(g.Unsqueeze(sorted_inputs, [1]), g.Unsqueeze(values, [2])), out_type)


@tf_op("Bucketize")
def bucketize(g: TFBuilder, x: Value, *, boundaries: tuple[float, ...] = ()) -> Value:
    """How many boundaries are not greater. Boundaries are float32, and integers are compared as such."""
    x = x if x.dtype == np.float64 else g.cast(x, np.float32)
    limits = np.asarray(boundaries, np.float32).astype(x.dtype)
    return _count(g, g.LessOrEqual(limits, g.Unsqueeze(x, [x.rank])), INT32)


def _count(g: TFBuilder, is_counted: Value, dtype: Any) -> Value:
    return g.cast(g.ReduceSum(g.Cast(is_counted, to=6), [-1], keepdims=0), dtype)
