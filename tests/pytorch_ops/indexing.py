"""Rows of netglot/frontends/pytorch/operators/indexing.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")
LAST = 9223372036854775807
X = T(2, 3, 4)
MASK = np.array([[True, False, True], [False, False, True]])
LONGS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def at(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


ROWS = [
    Row("slice.Tensor", X, 1, 1, LAST, row_dynamic=True, row_targets=ALL),
    Row("slice.Tensor", X, 2, -3, -1, name="negative", row_dynamic=True),
    Row("slice.Tensor", X, 2, 0, LAST, 2, name="steps", row_dynamic=True),
    Row("slice.Tensor", X, name="all", row_dynamic=True),
    Row("slice.Tensor", X, 0, -9, 9, name="beyond", row_dynamic=True),
    Row("slice.Tensor", X, 1, 2, 1, name="nothing", row_dynamic=True),
    Row("slice.Tensor", X, 1, None, 2, name="from the start", row_dynamic=True),
    Row("slice_copy.Tensor", X, -1, 1, 3),
    Row("select.int", X, 1, -1, row_dynamic=True, row_targets=ALL),
    Row("select.int", T(3), 0, 2, name="to a scalar", row_dynamic=True),
    Row("select_copy.int", X, -1, 2),
    Row("unbind.int", X, 1, row_dynamic=True),
    Row("unbind.int", T(2), name="scalars"),
    Row("unbind_copy.int", X, -1),
    Row("narrow", X, -1, 1, 2, row_dynamic=True),
    Row("narrow", X, 1, -2, 2, name="from the end", row_dynamic=True),
    Row("narrow_copy", X, 0, 1, 1),
    Row("narrow.Tensor", X, 2, T(dtype="int64"), 2, row_values=(LONGS, 1), row_dynamic=True),
    Row("narrow.Tensor", X, 2, T(dtype="int64"), 3, row_values=(LONGS, -3), name="from the end", row_dynamic=True),
    Row("index_select", X, 1, at(2, 0, 0), row_dynamic=True, row_targets=ALL),
    Row("index_select", X, -1, T(2, dtype="int32"), row_values=(LONGS, np.array([3, 1], np.int32)), name="int32"),
    Row("index_select", X, 0, np.array(1), name="scalar index"),
    Row("index_select", T(), 0, at(0), name="scalar"),
    Row("take", X, np.array([[0, -1], [23, 5]]), row_dynamic=True),
    Row("take", T(), at(0), name="scalar"),
    Row("gather", X, -2, np.array([[[2, 0, 1, 2]], [[0, 1, 2, 0]]]), row_dynamic=True),
    Row("gather", X, 2, np.array([[[3, 0]]]), name="smaller than the input"),
    Row("gather", T(), 0, np.array(0), name="scalar"),
    Row("gather", T(3), 0, np.zeros((0,), np.int64), name="nothing"),
    Row("take_along_dim", X, np.array([[[2, 0, 1, 2]]]), 1, row_dynamic=True),
    Row("take_along_dim", T(2, 1, 4), np.array([[[3, 0]] * 3]), -1, name="both broadcast", row_dynamic=True),
    Row("take_along_dim", X, at(5, 0, 20), name="flat"),
    Row("nonzero", T(2, 3, dtype="int64"), row_values=([[0, 2, 0], [1, 0, 3]],), row_dynamic=True),
    Row("nonzero", T(dtype="bool"), row_values=(True,), name="scalar"),
    Row("nonzero", T(2, dtype="float64"), row_values=(np.array([0.0, np.nan]),), name="float64"),
    Row("nonzero_numpy", T(2, 3, dtype="bool"), row_values=(MASK,), row_dynamic=True),
    Row("nonzero_numpy", T(dtype="bool"), row_values=(True,), name="scalar"),
    Row("argwhere", T(2, 3, dtype="bool"), row_values=(MASK,)),
    Row("where", T(2, 3, dtype="bool"), row_values=(MASK,), row_dynamic=True),
    Row("nonzero_static", T(2, 3, dtype="bool"), size=5, fill_value=-7, row_values=(MASK,), row_dynamic=True),
    Row("nonzero_static", T(2, 3, dtype="bool"), size=2, row_values=(MASK,), name="cut"),
    Row("masked_select", T(2, 3), T(2, 3, dtype="bool"), row_dynamic=True),
    Row("masked_select", T(4, 2, 1), T(3, dtype="bool"), name="broadcast", row_dynamic=True),
    Row("index.Tensor", X, [at(1, 0, -1)], row_dynamic=True, row_targets=ALL),
    Row("index.Tensor", X, [None, np.array([[1, -3], [2, 0]])], name="one axis", row_dynamic=True),
    Row("index.Tensor", X, [np.array([1, 0]), np.array([2, -2])], name="two", row_dynamic=True),
    Row("index.Tensor", X, [None, np.array([1, 0]), np.array([[2], [-2], [3]])], name="behind", row_dynamic=True),
    Row("index.Tensor", X, [np.array([1, 0]), None, np.array([3, -2])], name="apart", row_dynamic=True),
    Row("index.Tensor", T(2, 3, 4, 5), [None, at(1, 0), None, at(4, -2)], name="apart and behind", row_dynamic=True),
    Row("index.Tensor", T(2, 3, 4, 5), [None, at(1, 0), at(3, 1), None], name="in the middle", row_dynamic=True),
    Row("index.Tensor", X, [T(2, 1, dtype="int64"), T(3, dtype="int64")], name="fed", row_dynamic=True,
        row_values=(LONGS, [[1], [0]], [2, 0, -1])),
    Row("index.Tensor", X, [T(3, dtype="int32")], name="int32", row_values=(LONGS, np.array([1, 0, -1], np.int32))),
    Row("index.Tensor", X, [T(2, 3, dtype="bool")], name="mask", row_dynamic=True, row_values=(LONGS, MASK)),
    Row("index.Tensor", X, [T(2, 3, 4, dtype="bool")], name="mask of all", row_dynamic=True),
    Row("index.Tensor", X, [None, T(3, dtype="bool")], name="mask of one axis", row_dynamic=True),
    Row("index.Tensor", X, [None, T(3, 4, dtype="bool")], name="mask behind", row_dynamic=True),
    Row("index.Tensor", X, [T(2, 3, dtype="bool"), at(1)], name="mask and index", row_dynamic=True,
        row_values=(LONGS, MASK)),
    Row("index.Tensor", X, [np.array(1), None, at(3, 0)], name="a scalar index", row_dynamic=True),
    Row("index.Tensor", T(3, 2, dtype="bool"), [at(2, 0), at(1, 1)], name="bool"),
    Row("_unsafe_index.Tensor", X, [None, None, at(3, 0, 1)], row_dynamic=True),
    Row("select_scatter", X, T(2, 4), 1, -1, row_dynamic=True, row_targets=ALL),
    Row("select_scatter", T(1, 3), T(3), 0, 0, name="all"),
    Row("slice_scatter", X, T(2, 2, 4), 1, 1, LAST, row_dynamic=True, row_targets=ALL),
    Row("slice_scatter", X, T(2, 3, 2), -1, -4, LAST, 2, name="steps", row_dynamic=True),
    Row("slice_scatter", X, T(2, 3, 4), 0, 0, LAST, name="all", row_dynamic=True),
    Row("slice_scatter", X, T(2, 0, 4), 1, 2, 2, name="nothing"),
    Row("diagonal_scatter", T(3, 4), T(3), 1),
    Row("diagonal_scatter", T(2, 3, 4), T(3, 2), 0, 0, 2, name="axes"),
    Row("as_strided_scatter", T(3, 4), T(2, 2), [2, 2], [4, 2], 1),
]  # fmt: skip
