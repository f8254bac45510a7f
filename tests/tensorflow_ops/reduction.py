"""Rows of reductions, running sums, counts."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.table import Row

X = In((3, 5, 7))
_REDUCTIONS = ["Sum", "Prod", "Max", "Min", "Mean", "EuclideanNorm"]
_INTS = ["Sum", "Prod", "Max", "Min", "Mean"]


def axes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


ROWS = [
    *(Row(op, {"input": X, "axis": axes(0, -1)}) for op in _REDUCTIONS),
    *(Row(op, {"input": X, "axis": np.int32(1), "keep_dims": True}, "scalar") for op in _REDUCTIONS),
    *(Row(op, {"input": X, "axis": axes()}, "none") for op in _REDUCTIONS),
    *(Row(op, {"input": X, "axis": axes(1, 2)}, "dynamic", dynamic=True) for op in _REDUCTIONS),
    *(Row(op, {"input": In((3, 5, 7), "int32", -3, 3), "axis": axes(2)}, "ints") for op in _INTS),
    *(Row(op, {"input": In((3, 5), "int64", -3, 3), "axis": axes(0)}, "longs") for op in _INTS),
    *(Row(op, {"input": In((3, 5), "int8", -3, 3), "axis": axes(1)}, "bytes") for op in ("Sum", "Max", "Min", "Prod")),
    *(Row(op, {"input": In((3, 5), "float64"), "axis": axes(1)}, "double") for op in _REDUCTIONS),
    Row("Mean", {"input": In((2, 5, 7, 3)), "axis": axes(1, 2)}, "pool", targets=("tflite",)),
    *(Row(op, {"input": In((3, 5, 2), "bool"), "axis": axes(1)}) for op in ("All", "Any")),
    *(Row(op, {"input": In((3, 5), "bool"), "axis": axes(0, 1), "keep_dims": True}, "keep") for op in ("All", "Any")),
    Row("L2Loss", {"t": X}),
    *(Row(op, {"input": X, "dimension": np.int32(1)}) for op in ("ArgMax", "ArgMin")),
    *(
        Row(op, {"input": X, "dimension": np.int32(-1), "output_type": np.int32}, "int32")
        for op in ("ArgMax", "ArgMin")
    ),
    *(Row(op, {"input": In((3, 5), "int32", -2, 2), "dimension": np.int64(0)}, "ties") for op in ("ArgMax", "ArgMin")),
    Row("ArgMax", {"input": In((3, 5), "int16", -9, 9), "dimension": np.int32(1)}, "shorts"),
    *(
        Row(op, {"x": X, "axis": np.int32(-2), "exclusive": exclusive, "reverse": reverse}, f"{exclusive}-{reverse}")
        for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp")
        for exclusive in (False, True)
        for reverse in (False, True)
    ),
    Row("Cumsum", {"x": In((3, 5), "int32", -9, 9), "axis": np.int64(1)}, "ints"),
    Row("Cumprod", {"x": In((3, 5), "int64", -3, 3), "axis": np.int64(0)}, "longs"),
    Row(
        "CumulativeLogsumexp",
        {"x": In((2, 6)), "axis": np.int32(1)},
        "far",
        values={"x": np.array([[-200, 0, 100, 90, 300, -50], [0, 0, 0, 1, 2, 3]], np.float32)},
    ),
    Row("Bincount", {"arr": In((4, 6), "int32", 0, 9), "size": np.int32(7), "weights": np.zeros(0, np.int32)}),
    Row("Bincount", {"arr": In((24,), "int32", 0, 9), "size": np.int32(7), "weights": In((24,))}, "weights"),
    Row("DenseBincount", {"input": In((4, 6), "int32", 0, 9), "size": np.int32(7), "weights": np.zeros(0, np.float32)}),
    Row(
        "DenseBincount",
        {
            "input": In((24,), "int64", 0, 9),
            "size": np.int64(7),
            "weights": np.zeros(0, np.float32),
            "binary_output": True,
        },
        "binary",
    ),
    Row("DenseBincount", {"input": In((4, 6), "int32", 0, 9), "size": np.int32(7), "weights": In((4, 6))}, "weights"),
]
