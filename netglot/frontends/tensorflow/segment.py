"""Reductions of rows by segments, composed by ScatterND with a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.indexing import flat_rows
from netglot.frontends.tensorflow.movement import LAST, part
from netglot.frontends.tensorflow.shape import chosen, int64, with_sizes
from netglot.ir.graph import Value

_REDUCTIONS = {"Sum": "add", "Prod": "mul", "Min": "min", "Max": "max"}


def _neutral(kind: str, dtype: Any) -> np.ndarray:
    """What a segment begins with: for Min and Max the largest and lowest number of the type, never infinity."""
    if kind in ("Sum", "Prod"):
        return np.array(kind == "Prod", dtype)
    limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return np.array(limits.max if kind == "Min" else limits.min, dtype)


def _reduced(g: TFBuilder, rows: Value, ids: Value, count: Value, kind: str) -> Value:
    """Row i of the result reduces the rows whose id is i. `count` has the shape [1]."""
    rest = g.Shape(rows, start=1)
    start = g.Expand(_neutral(kind, rows.dtype), g.Concat(count, rest, axis=0))
    known = g.contents(count) or (None,)
    with_sizes(start, (*known, *(rows.shape or ())[1:]))
    return g.ScatterND(start, g.Unsqueeze(ids, [1]), rows, reduction=_REDUCTIONS[kind])


def _counted(g: TFBuilder, ids: Value, count: Value, like: Value) -> Value:
    """How many rows each segment has: of the type of `like`, to be broadcast against its rows."""
    ones = g.Expand(np.ones((), like.dtype), g.Shape(ids))
    found = _reduced(g, ones, ids, count, "Sum")
    return g.Unsqueeze(found, list(range(1, like.rank))) if like.rank > 1 else found


def _last(g: TFBuilder, ids: Value) -> Value:
    """The number of segments of sorted ids."""
    return g.Add(part(g, ids, 0, -1, LAST), [1])


# ------------------------------------------------------------------ sorted


def _segment(kind: str) -> Callable[..., Value]:
    def reduce(g: TFBuilder, data: Value, ids: Value) -> Value:
        ids = int64(g, ids)
        return _reduced(g, data, ids, _last(g, ids), kind)

    return reduce


def _extreme(kind: str) -> Callable[..., Value]:
    def reduce(g: TFBuilder, data: Value, ids: Value) -> Value:
        """A segment without rows is 0."""
        ids = int64(g, ids)
        count = _last(g, ids)
        is_empty = g.Equal(_counted(g, ids, count, data), np.zeros((), data.dtype))
        return chosen(g, is_empty, g.constant(np.zeros((), data.dtype)), _reduced(g, data, ids, count, kind))

    return reduce


for _kind in ("Sum", "Prod"):
    tf_op(f"Segment{_kind}")(_segment(_kind))
for _kind in ("Min", "Max"):
    tf_op(f"Segment{_kind}")(_extreme(_kind))


@tf_op("SegmentMean")
def segment_mean(g: TFBuilder, data: Value, ids: Value) -> Value:
    ids = int64(g, ids)
    return _mean(g, data, ids, _last(g, ids))


def _mean(g: TFBuilder, rows: Value, ids: Value, count: Value, *, root: bool = False) -> Value:
    """The sum by the number of rows, or by the root of it; 0 where there are none."""
    if rows.dtype is None or rows.dtype.kind != "f":
        raise g.unsupported(f"the mean of {rows.dtype}")
    number = g.Max(_counted(g, ids, count, rows), np.ones((), rows.dtype))
    return g.Div(_reduced(g, rows, ids, count, "Sum"), g.Sqrt(number) if root else number)


# ------------------------------------------------------------------ unsorted


def _unsorted(kind: str) -> Callable[..., Value]:
    def reduce(g: TFBuilder, data: Value, ids: Value, num_segments: Value) -> Value:
        """Rows with a negative id count for nothing: they go to one more segment, which is cut off."""
        flat, rows = g.Reshape(int64(g, ids), [-1]), flat_rows(g, data, ids.rank)
        count = g.Reshape(int64(g, num_segments), [1])
        if flat.is_constant and (flat.array >= 0).all():
            return _reduced(g, rows, flat, count, kind)
        kept = g.Where(g.Less(flat, [0]), count, flat)
        y = part(g, _reduced(g, rows, kept, g.Add(count, [1]), kind), 0, 0, count)
        return with_sizes(y, (*(g.contents(count) or (None,)), *(rows.shape or ())[1:]))

    return reduce


for _kind in _REDUCTIONS:
    tf_op(f"UnsortedSegment{_kind}", f"Segment{_kind}V2")(_unsorted(_kind))


# ------------------------------------------------------------------ of chosen rows


def _chosen_rows(reduce: Callable[..., Value]) -> Callable[..., Value]:
    def run(g: TFBuilder, data: Value, indices: Value, ids: Value, *, sparse_gradient: bool = False) -> Value:
        ids = int64(g, ids)
        return reduce(g, g.Gather(data, indices, axis=0), ids, _last(g, ids))

    return run


def _chosen_rows_of(reduce: Callable[..., Value]) -> Callable[..., Value]:
    def run(
        g: TFBuilder, data: Value, indices: Value, ids: Value, num_segments: Value, *, sparse_gradient: bool = False
    ) -> Value:
        count = g.Reshape(int64(g, num_segments), [1])
        return reduce(g, g.Gather(data, indices, axis=0), int64(g, ids), count)

    return run


def _sum(g: TFBuilder, rows: Value, ids: Value, count: Value) -> Value:
    return _reduced(g, rows, ids, count, "Sum")


def _by_root(g: TFBuilder, rows: Value, ids: Value, count: Value) -> Value:
    return _mean(g, rows, ids, count, root=True)


for _name, _reduce in {"Sum": _sum, "Mean": _mean, "SqrtN": _by_root}.items():
    tf_op(f"SparseSegment{_name}")(_chosen_rows(_reduce))
    tf_op(f"SparseSegment{_name}WithNumSegments")(_chosen_rows_of(_reduce))
