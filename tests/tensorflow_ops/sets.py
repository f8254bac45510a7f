"""Rows: distinct elements, differences, inverse permutations, places in sorted lists."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints
from tests.tensorflow_ops.table import Row

VECTOR = In((9,), "int32", -2, 2)
TABLE = In((6, 2, 3), "int64", 0, 1)
NONE = np.zeros(0, np.int32)
TYPES = {name: np.dtype(name) for name in ("int32", "int64")}
SORTED = np.sort(np.random.default_rng(5).integers(-9, 9, (3, 7)), axis=1)

ROWS = [
    Row("Unique", {"x": VECTOR}),
    Row("Unique", {"x": In((9,), "float32", 0, 1), "out_idx": TYPES["int64"]}, "float",
        values={"x": np.array([1, 3, 1, -2, 3, 0, 0, 7, 1], np.float32)}),
    Row("UniqueWithCounts", {"x": VECTOR}, dynamic=True),
    Row("UniqueWithCounts", {"x": In((9,), "uint8", 0, 3), "out_idx": TYPES["int64"]}, "uint8"),
    Row("UniqueV2", {"x": VECTOR, "axis": NONE}),
    Row("UniqueV2", {"x": TABLE, "axis": ints(0), "out_idx": TYPES["int64"]}, "axis"),
    Row("UniqueWithCountsV2", {"x": VECTOR, "axis": ints(0)}),
    Row("UniqueWithCountsV2", {"x": TABLE, "axis": np.array([-1])}, "axis", dynamic=True),
    Row("ListDiff", {"x": VECTOR, "y": In((3,), "int32", -2, 1)}),
    Row("ListDiff", {"x": In((9,), "float32"), "y": NONE.astype(np.float32), "out_idx": TYPES["int64"]}, "empty"),
    Row("ListDiff", {"x": In((9,), "int64", 0, 9), "y": In((5,), "int64", 0, 9)}, "dynamic", dynamic=True),
    Row("InvertPermutation", {"x": In((5,), "int32")}, values={"x": ints(3, 0, 4, 1, 2)}),
    Row("InvertPermutation", {"x": In((5,), "int64")}, "int64", dynamic=True, values={"x": np.array([3, 0, 4, 1, 2])}),
    Row("InvertPermutation", {"x": ints(3, 0, 4, 1, 2)}, "constant"),
]  # fmt: skip
for _op in ("LowerBound", "UpperBound"):
    ROWS += [
        Row(_op, {"sorted_inputs": SORTED, "values": In((3, 5), "int64", -9, 9)}),
        Row(_op, {"sorted_inputs": In((3, 7)), "values": In((3, 5), "float32"), "out_type": TYPES["int64"]}, "fed",
            dynamic=True, values={"sorted_inputs": SORTED.astype(np.float32),
                                  "values": SORTED[:, :5].astype(np.float32)}),
    ]  # fmt: skip
for _dtype in ("int32", "int64", "float32", "float64"):
    ROWS.append(Row("Bucketize", {"input": In((3, 5), _dtype, -9, 9), "boundaries": [-4.0, 0.0, 1.5, 7.0]}, _dtype))
ROWS.append(Row("Bucketize", {"input": In((4,)), "boundaries": [0.1, 0.5]}, "equal", dynamic=True,
                values={"input": np.array([0.1, 0.5, 0.49, np.inf], np.float32)}))  # fmt: skip
