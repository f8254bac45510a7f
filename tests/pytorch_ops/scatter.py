"""Rows of netglot/frontends/pytorch/operators/scatter.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

X = T(2, 3, 4)
AT = np.array([[0, 2, 1], [2, 1, 0]])  # along the first axis of [3, 5]: no place twice
TWICE = np.array([[0, 2, 0], [0, 1, 2]])
MASK = np.array([[True, False, True], [False, False, True]])
LONGS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
NAN = np.nan
INTS = np.array([[7, -3, 2], [5, 1, -8]])


def at(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _reduced(op: str, reduce: str, include_self: bool, dtype: str) -> Row:
    """Several values to one place, one to another, none to a third."""
    name = f"{reduce} {dtype}{'' if include_self else ' without self'}"
    args = (T(3, 5, dtype=dtype), -1, TWICE, T(2, 4, dtype=dtype)) if op == "scatter_reduce.two" else (
        T(4, 5, dtype=dtype), 1, at(3, 0, 3), T(4, 3, dtype=dtype))  # fmt: skip
    return Row(op, *args, reduce, include_self=include_self, name=name, row_dynamic=dtype == "float32")


ROWS = [
    Row("scatter.src", T(3, 5), 0, AT, T(2, 3), row_dynamic=True),
    Row("scatter.src", T(3, 5), 0, AT, T(4, 3), name="a larger source", row_dynamic=True),
    Row("scatter.src", T(3, 5), -1, AT, T(2, 3), name="another axis"),
    Row("scatter.src", T(3, 5, dtype="int64"), 1, T(2, 3, dtype="int64"), T(2, 3, dtype="int64"), name="fed",
        row_values=(np.arange(15).reshape(3, 5), AT, INTS), row_dynamic=True),
    Row("scatter.src", T(), 0, np.array(0), T(), name="scalar"),
    Row("scatter.src", T(3, dtype="bool"), 0, at(2, 0), T(2, dtype="bool"), name="bool"),
    Row("scatter.value", T(3, 5), 0, AT, 1.5, row_dynamic=True),
    Row("scatter.value", T(3, 5, dtype="int64"), 1, AT, -2, name="int64"),
    Row("scatter.reduce", T(3, 5), 0, TWICE, T(2, 3), reduce="add", row_dynamic=True),
    Row("scatter.reduce", T(3, 5), 0, TWICE, T(2, 3), reduce="multiply", name="multiply"),
    Row("scatter.value_reduce", T(3, 5), 0, TWICE, 1.5, reduce="add", row_dynamic=True),
    Row("scatter.value_reduce", T(3, 5), 1, TWICE, 1.5, reduce="multiply", name="multiply"),
    Row("scatter_add", T(3, 5), 1, TWICE, T(2, 4), row_dynamic=True),
    Row("scatter_add", T(3, 5, dtype="int64"), 0, TWICE, T(2, 3, dtype="int64"), name="int64"),
    Row("scatter_add", T(3, 5, dtype="int32"), 0, TWICE, T(2, 3, dtype="int32"), name="int32"),
    Row("scatter_add", T(3, 5, dtype="float16"), 0, AT, T(2, 3, dtype="float16"), name="float16"),
    Row("scatter_add", T(), 0, np.array(0), T(), name="scalar"),
    *[_reduced("scatter_reduce.two", reduce, include_self, dtype)
      for reduce in ("sum", "prod", "mean", "amax", "amin") for include_self in (True, False)
      for dtype in ("float32", "int64")],
    *[_reduced("index_reduce", reduce, include_self, "float32")
      for reduce in ("prod", "mean", "amax", "amin") for include_self in (True, False)],
    _reduced("index_reduce", "mean", False, "int64"),
    *[Row("scatter_reduce.two", T(4, dtype=dtype), 0, at(0, 1, 2, 3, 3), T(5, dtype=dtype), reduce, row_dynamic=True,
          include_self=include_self, name=f"NaN {reduce} {include_self} {dtype}",
          row_values=[np.array([0, NAN, 1, 3], dtype), np.array([NAN, 1, 5, 2, NAN], dtype)])
      for reduce in ("amax", "amin") for include_self in (True, False) for dtype in ("float32", "float16")],
    Row("index_reduce", T(3, 2), 0, at(0, 2, 0), T(3, 2), "amax", name="NaN",
        row_values=[np.array([[1, NAN], [NAN, 2], [3, 4]], np.float32),
                    np.array([[NAN, 1], [5, NAN], [0, 0]], np.float32)]),
    Row("index_put", X, [at(1, 0)], T(2, 3, 4), row_dynamic=True),
    Row("index_put", X, [at(1, 1, 0), at(2, 2, -1)], T(3, 4), True, name="added twice", row_dynamic=True),
    Row("index_put", X, [at(1, 0), at(2, -2)], T(4), name="values broadcast", row_dynamic=True),
    Row("index_put", X, [None, at(2, 0)], T(2, 2, 4), name="second axis", row_dynamic=True),
    Row("index_put", X, [None, at(2, 0), at(3, 1)], T(2, 2), name="last axes", row_dynamic=True),
    Row("index_put", X, [at(1, 0), None, at(3, 1)], T(2, 3), name="apart", row_dynamic=True),
    Row("index_put", X, [None, np.array([[2], [0]]), at(3, 1, 0)], T(2, 2, 3), name="indices broadcast",
        row_dynamic=True),
    Row("index_put", X, [at(1), None, None], T(), name="one number", row_dynamic=True),
    Row("index_put", X, [T(2, 3, dtype="bool")], np.array(7, np.float32), name="mask",
        row_values=(LONGS, MASK), row_dynamic=True),
    Row("index_put", X, [T(2, 3, dtype="bool")], T(4), name="mask, values of the rest",
        row_values=(LONGS, MASK, np.array([1, 2, 3, 4], np.float32)), row_dynamic=True),
    Row("index_put", X, [T(2, 3, dtype="bool")], T(3, 4), name="mask, a value each",
        row_values=(LONGS, MASK, -np.arange(12, dtype=np.float32).reshape(3, 4)), row_dynamic=True),
    Row("index_put", X, [None, T(3, 4, dtype="bool")], T(2, 1), name="mask behind", row_dynamic=True,
        row_values=(LONGS, np.eye(3, 4, dtype=bool), np.array([[1], [2]], np.float32))),
    Row("index_put", X, [None, T(3, dtype="bool")], T(1), True, name="mask, added", row_dynamic=True,
        row_values=(LONGS, [True, False, True], np.ones(1, np.float32))),
    Row("index_put", X, [T(2, 3, 4, dtype="bool")], T(), name="mask of all", row_dynamic=True),
    Row("index_put", X, [T(2, 3, dtype="bool"), at(1)], T(), name="mask and index", row_dynamic=True,
        row_values=(LONGS, MASK, np.float32(9))),
    Row("index_put", T(3, dtype="int64"), [at(0, 0, 2)], T(3, dtype="int64"), True, name="int64"),
    Row("index_put", T(3, dtype="bool"), [at(0, 2)], T(dtype="bool"), name="bool"),
    Row("index_put", T(3, dtype="bool"), [T(3, dtype="bool")], np.array(True), name="bool by mask"),
    Row("_unsafe_index_put", X, [None, at(2, 0)], T(2, 2, 4), True),
    Row("index_add", X, 0, at(1, 1, 0), T(3, 3, 4), alpha=2.5, row_dynamic=True),
    Row("index_add", X, -2, at(2, 2), T(2, 2, 4), name="another axis", row_dynamic=True),
    Row("index_add", T(3, 2, dtype="int64"), 1, at(0), T(3, 1, dtype="int64"), alpha=3, name="int64"),
    Row("index_add", T(), 0, at(0), T(), name="scalar"),
    Row("index_copy", X, 1, at(2, 0), T(2, 2, 4), row_dynamic=True),
    Row("index_copy", X, 0, at(1), T(1, 3, 4), name="rows", row_dynamic=True),
    Row("index_fill.int_Scalar", X, 1, at(2, 0), 1.5, row_dynamic=True),
    Row("index_fill.int_Scalar", T(3, 2, dtype="int64"), 0, at(-1), 7, name="int64"),
    Row("index_fill.int_Tensor", X, -1, at(3), T(), row_dynamic=True),
    Row("put", X, np.array([[0, -1], [5, 7]]), T(2, 2), row_dynamic=True),
    Row("put", X, at(3, 3, 1), T(3), True, name="added", row_dynamic=True),
    Row("masked_scatter", T(2, 3), T(2, 3, dtype="bool"), T(2, 4), row_dynamic=True,
        row_values=(LONGS[0, :2, :3], MASK, -np.arange(1, 9, dtype=np.float32).reshape(2, 4))),
    Row("masked_scatter", X, T(3, 1, dtype="bool"), T(24), name="broadcast", row_dynamic=True,
        row_values=(LONGS, [[True], [False], [True]], -np.arange(24, dtype=np.float32))),
]  # fmt: skip
