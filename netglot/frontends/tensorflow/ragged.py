"""Ragged tensors of one ragged axis: values in a row, and where each row of them begins (the splits)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.movement import LAST, part
from netglot.frontends.tensorflow.shape import int64, with_sizes
from netglot.ir.graph import Value


def _places(g: TFBuilder, splits: Value, count: Value) -> tuple[Value, Value]:
    """Row of each of `count` values, and its place in that row."""
    numbers = with_sizes(g.Range(np.int64(0), count, np.int64(1)), (None,))
    is_behind = g.LessOrEqual(g.Unsqueeze(part(g, splits, 0, 1, LAST), [0]), g.Unsqueeze(numbers, [1]))
    row = g.ReduceSum(g.Cast(is_behind, to=7), [1], keepdims=0)
    return row, g.Sub(numbers, g.Gather(splits, row, axis=0))


def _lengths(g: TFBuilder, splits: Value) -> Value:
    return g.Sub(part(g, splits, 0, 1, LAST), part(g, splits, 0, 0, -1))


@tf_op("RaggedRange")
def ragged_range(
    g: TFBuilder, starts: Value, limits: Value, deltas: Value, *, Tsplits: Any = np.int64
) -> tuple[Value, Value]:
    """A range for each row; a scalar is that of all rows."""
    if starts.dtype is None or starts.dtype.kind not in "iu":
        raise g.unsupported(f"ranges of {starts.dtype}, whose lengths depend on rounding")
    dtype = starts.dtype
    rows = [g.Unsqueeze(item, [0]) if item.rank == 0 else item for item in (starts, limits, deltas)]
    start, limit, delta = (int64(g, item) for item in rows)
    distance, step = g.Mul(g.Sub(limit, start), g.Sign(delta)), g.Abs(delta)
    lengths = g.Max(g.Div(g.Sub(g.Add(distance, step), [1]), step), [0])
    splits = g.Concat(np.array([0]), g.CumSum(lengths, np.int64(0)), axis=0)
    row, place = _places(g, splits, g.Squeeze(part(g, splits, 0, -1, LAST), [0]))
    start, delta = (g.Expand(item, g.Shape(lengths)) for item in (start, delta))
    values = g.Add(g.Gather(start, row, axis=0), g.Mul(place, g.Gather(delta, row, axis=0)))
    return g.cast(splits, Tsplits), g.cast(values, dtype)


@tf_op("RaggedTensorToSparse")
def ragged_to_sparse(g: TFBuilder, *inputs: Value, RAGGED_RANK: int) -> tuple[Value, Value, Value]:
    *splits, values = inputs
    if RAGGED_RANK != 1 or values.rank != 1:
        raise g.unsupported("more than one ragged axis, or values that are no vector")
    ends = int64(g, splits[0])
    row, place = _places(g, ends, g.Size(values))
    lengths = _lengths(g, ends)
    shape = g.Concat(g.Shape(lengths), g.ReduceMax(lengths, keepdims=1), axis=0)
    return g.Concat(g.Unsqueeze(row, [1]), g.Unsqueeze(place, [1]), axis=1), values, shape


@tf_op("RaggedTensorToTensor")
def ragged_to_tensor(
    g: TFBuilder, shape: Value, values: Value, default_value: Value, *partitions: Value, row_partition_types: Any,
    num_row_partition_tensors: int = 1,
) -> Value:  # fmt: skip
    """As long as the longest row, or as the shape says: longer rows are cut off, missing ones filled up."""
    if tuple(row_partition_types) != ("ROW_SPLITS",):
        raise g.unsupported(f"row partitions {', '.join(map(str, row_partition_types))}")
    if default_value.rank:
        raise g.unsupported("a default that is no scalar")
    ends = int64(g, partitions[0])
    wanted = g.ints(shape, "the shape") if shape.rank else [-1] * (values.rank + 1)
    row, place = _places(g, ends, g.Squeeze(g.Shape(values, start=0, end=1), [0]))
    lengths = _lengths(g, ends)
    count = g.Shape(lengths) if wanted[0] < 0 else g.constant([wanted[0]], np.int64)
    width = g.ReduceMax(lengths, keepdims=1) if wanted[1] < 0 else g.constant([wanted[1]], np.int64)
    is_inside = g.And(g.Less(row, count), g.Less(place, width))
    where = g.Concat(g.Unsqueeze(row, [1]), g.Unsqueeze(place, [1]), axis=1)
    empty = g.Expand(default_value, g.Concat(count, width, g.Shape(values, start=1), axis=0))
    with_sizes(empty, (*wanted[:2], *(values.shape or ())[1:]))
    return g.ScatterND(empty, g.Compress(where, is_inside, axis=0), g.Compress(values, is_inside, axis=0))
