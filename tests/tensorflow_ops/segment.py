"""Rows: reductions of rows by segments."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.table import Row

SORTED = ints(0, 0, 1, 3, 3, 3)  # nothing in 2
DATA, INTS = In((6, 3)), In((6, 2, 3), "int32", -5, 5)
UNSORTED = np.array([[3, 0, -1], [0, 3, 5]], np.int32)  # nothing in 1, 2 and 4
NESTED, NESTED_INTS = In((2, 3, 4)), In((2, 3), "int32", -5, 5)
CHOSEN = {"data": In((5, 3)), "indices": ints(4, 0, 4, 2, 1, 1)}

ROWS = [
    row
    for kind in ("Sum", "Mean", "Prod", "Min", "Max")
    for row in (
        Row(f"Segment{kind}", {"data": DATA, "segment_ids": SORTED}),
        Row(f"Segment{kind}", {"data": In((6, 1), "float64"), "segment_ids": In((6,), "int64")}, "fed", dynamic=True,
            values={"segment_ids": SORTED.astype(np.int64)}),
    )
]  # fmt: skip
ROWS += [
    Row(f"Segment{kind}", {"data": INTS, "segment_ids": SORTED}, "int32") for kind in ("Sum", "Prod", "Min", "Max")
]
ROWS += [
    row
    for kind in ("Sum", "Prod", "Min", "Max")
    for row in (
        Row(f"UnsortedSegment{kind}", {"data": NESTED, "segment_ids": UNSORTED, "num_segments": scalar(6)}),
        Row(f"UnsortedSegment{kind}", {"data": DATA, "segment_ids": ints(1, 0, 3, 1, 0, 3), "num_segments": scalar(4)},
            "known"),
        Row(f"UnsortedSegment{kind}", {"data": NESTED_INTS, "segment_ids": In((2, 3), "int32"),
                                       "num_segments": In((), "int32")}, "fed", dynamic=True,
            values={"segment_ids": UNSORTED, "num_segments": scalar(6)}),
    )
]  # fmt: skip
ROWS += [
    row
    for kind in ("Sum", "Mean", "SqrtN")
    for row in (
        Row(f"SparseSegment{kind}", {**CHOSEN, "segment_ids": SORTED}),
        Row(f"SparseSegment{kind}WithNumSegments", {**CHOSEN, "segment_ids": SORTED, "num_segments": scalar(6)}),
        Row(f"SparseSegment{kind}WithNumSegments",
            {**CHOSEN, "segment_ids": In((6,), "int32"), "num_segments": In((), "int64")}, "fed", dynamic=True,
            values={"segment_ids": SORTED, "num_segments": np.array(5)}),
    )
]  # fmt: skip
