"""Rows: parts of tensors by position."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.table import Row

X = In((2, 3, 5))
INTS = In((4, 3, 5), "int32", -9, 9)


def strided(name: str, begin: Any, end: Any, strides: Any, x: In = X, dynamic: bool = False, **masks: Any) -> Row:
    arguments = {"input": x, "begin": ints(*begin), "end": ints(*end), "strides": ints(*strides), **masks}
    return Row("StridedSlice", arguments, name, dynamic=dynamic)


STRIDED = [
    row
    for dynamic, suffix in ((False, ""), (True, "_dynamic"))
    for row in (
        strided(f"plain{suffix}", (0, 1, 1), (2, 3, 4), (1, 1, 2), dynamic=dynamic),
        strided(f"masks{suffix}", (1, 1, 1), (2, 2, 3), (1, 1, 1), dynamic=dynamic, begin_mask=4, end_mask=3),
        strided(f"negative{suffix}", (-1, -2), (9, -1), (1, 1), dynamic=dynamic),
        strided(f"backwards{suffix}", (1, -1, 3), (0, -9, 0), (-1, -1, -2), dynamic=dynamic),
        strided(f"backwards_all{suffix}", (0,) * 3, (0,) * 3, (-1, -2, -3), dynamic=dynamic, begin_mask=7, end_mask=7),
        strided(f"shrink{suffix}", (1, -1), (2, 0), (1, 1), dynamic=dynamic, shrink_axis_mask=3, begin_mask=2),
        strided(f"all_shrunk{suffix}", (1, -1, 4), (2, 0, 5), (1, 1, 1), dynamic=dynamic, shrink_axis_mask=7),
        strided(f"ellipsis{suffix}", (0, 1), (0, 4), (1, 2), dynamic=dynamic, ellipsis_mask=1),
        strided(f"ellipsis_shrink{suffix}", (1, 0, -2), (2, 0, 0), (1, 1, 1), dynamic=dynamic, ellipsis_mask=2,
                shrink_axis_mask=5),
        strided(f"ellipsis_of_none{suffix}", (1, 0, 1, 1), (2, 0, 2, 3), (1,) * 4, dynamic=dynamic, ellipsis_mask=2),
        strided(f"new_axes{suffix}", (0, 1, 0, 0, 0), (0, 2, 0, 0, 3), (1,) * 5, dynamic=dynamic, new_axis_mask=9,
                ellipsis_mask=4),
        strided(f"new_and_shrunk{suffix}", (0, 1, 0, 2), (0, 2, 0, 3), (1,) * 4, dynamic=dynamic, new_axis_mask=5,
                shrink_axis_mask=7),
        strided(f"new_last{suffix}", (0, 0), (0, 0), (1, 1), dynamic=dynamic, new_axis_mask=2, ellipsis_mask=1),
        strided(f"outside{suffix}", (7, -9), (9, 9), (1, 2), dynamic=dynamic),
        strided(f"nothing{suffix}", (0,), (0,), (1,), dynamic=dynamic, begin_mask=1, end_mask=1),
        strided(f"int32{suffix}", (1, 0), (4, -1), (2, 1), INTS, dynamic=dynamic),
    )
] + [
    strided("backwards_from_before", (-7, -9), (-9, 0), (-1, -1)),
    Row("StridedSlice", {"input": X, "begin": In((2,), "int32"), "end": In((2,), "int32"), "strides": ints(1, 2)},
        "fed",
        values={"begin": ints(0, -2), "end": ints(1, 9)}),
    Row("StridedSlice", {"input": X, "begin": In((2,), "int64"), "end": In((2,), "int64"), "strides": np.array([1, 1]),
                         "shrink_axis_mask": 3}, "fed_shrink", dynamic=True,
        values={"begin": np.array([1, -1]), "end": np.array([2, 0])}),
    Row("StridedSlice", {"input": In((7,)), "begin": ints(5), "end": In((1,), "int32"), "strides": ints(-2)}, "fed_end",
        values={"end": ints(0)}),
]  # fmt: skip

PLACES = np.array([[[1, 2]], [[0, -0]], [[1, 0]]], np.int32)
TARGET = In((3, 4, 2))
WHERE = ints(2, 0, 2)[:, None]
SCATTER = {"indices": WHERE, "updates": In((3, 4, 2))}
INT_SCATTER = {"indices": WHERE.astype(np.int64), "updates": In((3, 4), "int32", -9, 9)}
BATCHES = In((2, 3, 4), "int32", 0, 4)

ROWS = [
    Row("Slice", {"input": X, "begin": ints(0, 1, 2), "size": ints(2, 2, -1)}, targets=("tflite",)),
    Row("Slice", {"input": X, "begin": np.array([1, 0, 2]), "size": np.array([-1, -1, 2])}, "dynamic", dynamic=True),
    Row("Slice", {"input": INTS, "begin": In((3,), "int32"), "size": In((3,), "int32")}, "fed",
        values={"begin": ints(1, 0, 2), "size": ints(2, -1, 3)}),
    Row("Slice", {"input": X, "begin": In((3,), "int64"), "size": np.array([1, -1, 2])}, "fed_begin", dynamic=True,
        values={"begin": np.array([1, 2, 3])}),
    Row("Slice", {"input": X, "begin": ints(0, 0, 0), "size": ints(-1, -1, -1)}, "whole", dynamic=True),
    *STRIDED,
    Row("TensorStridedSliceUpdate", {"input": X, "begin": ints(0, 2), "end": ints(0, 0), "strides": ints(1, -2),
                                     "value": In((2, 3, 2)), "ellipsis_mask": 1, "end_mask": 2}),
    Row("TensorStridedSliceUpdate", {"input": INTS, "begin": ints(1, 1), "end": ints(2, 3), "strides": ints(1, 1),
                                     "value": In((2, 5), "int32", 20, 30), "shrink_axis_mask": 1}, "shrink"),
    Row("Gather", {"params": In((7, 3)), "indices": In((2, 4), "int32", 0, 6)}),
    Row("Gather", {"params": np.arange(21.0).reshape(7, 3), "indices": In((4,), "int64", 0, 6)},
        "constant", dynamic=True),
    Row("GatherV2", {"params": X, "indices": In((4,), "int32", 0, 2), "axis": scalar(1)}, targets=("tflite",)),
    Row("GatherV2", {"params": X, "indices": scalar(3), "axis": scalar(-1)}, "scalar", dynamic=True),
    Row("GatherV2", {"params": In((2, 7)), "indices": In((2, 3), "int32", 0, 6), "axis": scalar(1), "batch_dims": 1},
        "batch", dynamic=True),
    Row("GatherV2", {"params": In((2, 7, 3)), "indices": In((2,), "int64", 0, 6), "axis": scalar(1), "batch_dims": 1},
        "batch_all"),
    Row("GatherV2", {"params": In((2, 3, 5, 6, 4)), "indices": In((2, 7, 2), "int32", 0, 5), "axis": scalar(3),
                     "batch_dims": 1}, "batch_before", dynamic=True),
    Row("GatherV2", {"params": In((2, 3, 5), "int32", 0, 99), "indices": In((2, 3, 7), "int32", 0, 4),
                     "axis": scalar(-1), "batch_dims": -1}, "batch_negative"),
    Row("GatherNd", {"params": X, "indices": In((4, 2), "int32", 0, 1)}),
    Row("GatherNd", {"params": INTS, "indices": In((2, 1, 3), "int64", 0, 2)}, "elements", dynamic=True),
    Row("ScatterNd", {**SCATTER, "shape": ints(5, 4, 2)}),
    Row("ScatterNd", {**INT_SCATTER, "shape": In((2,), "int64")}, "fed_shape", dynamic=True,
        values={"shape": np.array([4, 4])}),
    Row("ScatterNdNonAliasingAdd", {"input": TARGET, **SCATTER}),
    Row("TensorScatterUpdate", {"tensor": TARGET, "indices": ints(2, 0)[:, None], "updates": In((2, 4, 2))}),
    Row("TensorScatterUpdate", {"tensor": INTS, "indices": PLACES, "updates": In((3, 1, 5), "int32", 10, 20)}, "nested",
        dynamic=True),
    Row("TensorScatterAdd", {"tensor": TARGET, **SCATTER}),
    Row("TensorScatterAdd", {"tensor": In((3, 4), "int32", 0, 9), **INT_SCATTER}, "int32", dynamic=True),
    Row("TensorScatterSub", {"tensor": TARGET, **SCATTER}),
    Row("TensorScatterSub", {"tensor": In((3, 4), "int32", 0, 9), **INT_SCATTER}, "int32"),
    Row("TensorScatterMax", {"tensor": TARGET, **SCATTER}),
    Row("TensorScatterMax", {"tensor": In((3, 4), "int32", -9, 9), **INT_SCATTER}, "int32"),
    Row("TensorScatterMin", {"tensor": TARGET, **SCATTER}, dynamic=True),
    Row("TensorScatterMin", {"tensor": In((3, 4), "int32", -9, 9), **INT_SCATTER}, "int32"),
    Row("InplaceUpdate", {"x": In((4, 3)), "i": ints(2, 0), "v": In((2, 3))}),
    Row("InplaceAdd", {"x": In((4, 3)), "i": ints(2, 0), "v": In((2, 3))}),
    Row("InplaceSub", {"x": In((4, 3), "int32", 0, 9), "i": ints(2, 0), "v": In((2, 3), "int32", 0, 9)}),
    Row("Where", {"condition": In((3, 4), "bool")}),
    Row("Where", {"condition": In((3, 2, 4), "int32", 0, 1)}, "int32", dynamic=True),
    Row("Where", {"condition": In((5,))}, "float",
        values={"condition": np.array([0, np.nan, 0.25, -0.0, -3], np.float32)}),
    Row("Where", {"condition": In((5,), "float64")}, "float64", values={"condition": np.array([0, 1e-9, 0.25, 0, -3])}),
    Row("DynamicPartition", {"data": In((5, 3)), "partitions": In((5,), "int32", 0, 2), "num_partitions": 3}),
    Row("DynamicPartition", {"data": In((2, 4, 3), "int32", 0, 9), "partitions": In((2, 4), "int32", 0, 1),
                             "num_partitions": 2}, "nested", dynamic=True),
    Row("DynamicStitch", {"indices": [ints(2, 0), np.array([[3, 1], [4, 2]], np.int32)],
                          "data": [In((2, 3)), In((2, 2, 3))]}),
    Row("DynamicStitch", {"indices": [In((2,), "int32"), In((3,), "int32"), In((), "int32")],
                          "data": [In((2, 3)), In((3, 3)), In((3,))]}, "fed", dynamic=True,
        values={"indices_0": ints(2, 0), "indices_1": ints(1, 2, 3), "indices_2": scalar(1)}),
    Row("ParallelDynamicStitch", {"indices": [ints(2, 0), ints(3, 1)], "data": [In((2, 3)), In((2, 3))]}),
]  # fmt: skip
