"""Rows of netglot/frontends/pytorch/operators/sorting.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")
TIES = np.array([[3, 1, 3, 1, 2], [2, 2, 5, 5, 0]], np.float32)
EDGES = np.array([-1.5, -0.25, 0, 0, 1, 1.75], np.float32)
AT = np.array([[-2, -1.5, 0, 1], [1.75, 3, -0.25, np.nan]], np.float32)
ROWS_OF_EDGES = np.array([[-1, 0, 1, 2], [0, 0, 0, 5]], np.float32)
RUNS = np.array([3, 3, 1, 1, 1, 3, 2, 2], np.float32)
SLICES = np.array([[1, 2], [1, 2], [3, 4], [1, 2]], np.int32)

ROWS = [
    Row("sort", T(2, 3, 5), row_dynamic=True, row_targets=ALL),
    Row("sort", T(2, 3, 5), 1, True, row_dynamic=True, row_targets=ALL),
    Row("sort", T(), name="scalar"),
    Row("sort", T(2, 7, dtype="bool"), row_outputs=[0], name="bools"),
    Row("sort", T(9, dtype="float16"), name="half"),
    Row("sort.stable", T(2, 5), stable=True, row_values=[TIES], row_dynamic=True),
    Row("sort.stable", T(2, 5), stable=True, dim=1, descending=True, row_values=[TIES], name="descending"),
    Row("argsort", T(2, 3, 5), 0, row_dynamic=True),
    Row("argsort", T(7), descending=True, name="descending"),
    Row("argsort.stable", T(2, 5), stable=True, row_values=[TIES], row_dynamic=True),
    Row("msort", T(4, 3, 2), row_dynamic=True),
    Row("topk", T(2, 3, 5), 2, row_dynamic=True, row_targets=ALL),
    Row("topk", T(2, 7, 3), 4, 1, False, row_dynamic=True, name="smallest"),
    Row("topk", T(2, 5), 1, -1, True, False, name="unsorted"),
    Row("topk", T(2, 9, dtype="int64", low=-90, high=90), 3, row_outputs=[0], name="ints"),
    Row("topk", T(9, dtype="int16", low=-90, high=90), 3, row_outputs=[0], name="shorts"),
    Row("kthvalue", T(2, 3, 5), 2, row_dynamic=True),
    Row("kthvalue", T(4, 3), 3, 0, True, row_dynamic=True, name="keep"),
    Row("searchsorted.Tensor", EDGES, T(2, 4), row_values=[AT], row_dynamic=True),
    Row("searchsorted.Tensor", EDGES, T(2, 4), row_values=[AT], right=True, name="right"),
    Row("searchsorted.Tensor", T(2, 4), T(2, 3), row_values=[ROWS_OF_EDGES, AT[:, 1:]], side="right",
        out_int32=True, row_dynamic=True, name="rows"),
    Row("searchsorted.Tensor", EDGES[[2, 0, 5, 1, 4, 3]], T(3, 2), sorter=np.array([1, 3, 0, 5, 4, 2]), name="sorter"),
    Row("searchsorted.Tensor", EDGES, T(low=0, high=1), name="scalar"),
    Row("searchsorted.Scalar", EDGES, 0.5, side="left"),
    Row("searchsorted.Scalar", T(4, dtype="int64"), 2, right=True, row_values=[[0, 2, 2, 3]], name="ints"),
    Row("bucketize.Tensor", T(2, 4), EDGES, row_values=[AT], row_dynamic=True),
    Row("bucketize.Tensor", T(2, 4), EDGES, row_values=[AT], right=True, out_int32=True, name="right"),
    Row("bucketize.Scalar", 1.0, T(6), row_values=[EDGES], right=True),
    Row("isin.Tensor_Tensor", T(2, 5, dtype="int64"), T(3, dtype="int64"), row_dynamic=True),
    Row("isin.Tensor_Tensor", T(2, 5), np.array([[2, 5.0]], np.float32), invert=True, row_values=[TIES], name="invert"),
    Row("isin.Tensor_Scalar", T(2, 5), 2, row_values=[TIES]),
    Row("isin.Tensor_Scalar", T(2, 5), 2, invert=True, assume_unique=True, row_values=[TIES], name="invert"),
    Row("isin.Scalar_Tensor", 3.0, T(2, 5), row_values=[TIES]),
    Row("bincount", T(7, dtype="int64", low=0, high=6), row_dynamic=True),
    Row("bincount", T(7, dtype="int32", low=0, high=6), T(7), 9, row_dynamic=True),
    Row("bincount", T(5, dtype="uint8", low=0, high=6), T(5, dtype="int64"), 2, name="int_weights"),
    Row("histc", T(3, 7), 5, -1, 1.5, row_dynamic=True),
    Row("histc", T(50), 4, name="own_range"),
    Row("histc", T(4), 5, row_values=[np.full(4, 2, np.float32)], name="one_number"),
    Row("_unique", T(2, 5), True, True, row_values=[TIES], row_dynamic=True),
    Row("_unique", T(2, 5, dtype="int32"), name="ints"),
    Row("_unique2", T(2, 5), True, True, True, row_values=[TIES], row_dynamic=True),
    Row("_unique2", T(9, dtype="bool"), True, False, True, name="bools"),
    Row("_unique2", T(2, 5, dtype="int16"), name="values"),
    Row("unique_dim", T(4, 2, dtype="int32"), 0, True, True, True, row_values=[SLICES], row_dynamic=True),
    Row("unique_dim", T(2, 5), 1, row_values=[TIES], name="columns"),
    Row("unique_consecutive", T(8), True, True, row_values=[RUNS], row_dynamic=True),
    Row("unique_consecutive", T(2, 4), row_values=[RUNS.reshape(2, 4)], name="values"),
    Row("unique_consecutive", T(4, 2, dtype="int32"), True, True, 0, row_values=[SLICES], name="dim"),
    Row("unique_consecutive", T(1), True, True, name="one"),
    Row("unique_dim_consecutive", T(2, 4, dtype="int32"), -1, True, True, row_values=[SLICES.T], row_dynamic=True),
]  # fmt: skip
