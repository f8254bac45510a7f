"""Rows: shapes, and what makes tensors of a shape."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.table import Row

X = In((2, 3, 5))
I32, I64, F32 = (np.dtype(name) for name in ("int32", "int64", "float32"))


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def scalar(value: float, dtype: str = "int32") -> np.ndarray:
    return np.array(value, dtype)


ROWS = [
    Row("Shape", {"input": X, "out_type": I32}),
    Row("Shape", {"input": X, "out_type": I64}, "dynamic", dynamic=True),
    Row("ShapeN", {"input": [X, In((7,))], "out_type": I32}, dynamic=True),
    Row("ShapeN", {"input": [X, In((7,))], "out_type": I64}, "static"),
    Row("Size", {"input": X}),
    Row("Size", {"input": X, "out_type": I64}, "dynamic", dynamic=True),
    Row("Rank", {"input": X}, dynamic=True),
    Row("Reshape", {"tensor": X, "shape": ints(5, -1)}, targets=("tflite",)),
    Row("Reshape", {"tensor": X, "shape": np.array([3, 2, 5, 1])}, "int64"),
    Row("Reshape", {"tensor": X, "shape": ints(-1, 15)}, "dynamic", dynamic=True),
    Row("Reshape", {"tensor": In((0, 3)), "shape": ints(3, 0, 2)}, "empty"),
    Row("Reshape", {"tensor": In((1, 1)), "shape": np.zeros(0, np.int32)}, "scalar"),
    Row("Reshape", {"tensor": X, "shape": In((3,), "int32")}, "fed", values={"shape": ints(5, -1, 2)}),
    Row("Reshape", {"tensor": X, "shape": In((2,), "int32")}, "fed_all", dynamic=True, values={"shape": ints(5, 6)}),
    Row("ExpandDims", {"input": X, "axis": scalar(1)}, targets=("tflite",)),
    Row("ExpandDims", {"input": X, "axis": scalar(-1)}, "last", dynamic=True),
    Row("ExpandDims", {"input": X, "axis": np.array([-4], np.int64)}, "first"),
    Row("Squeeze", {"input": In((1, 3, 1, 5)), "axis": [0]}, targets=("tflite",)),
    Row("Squeeze", {"input": In((1, 3, 1, 5)), "axis": [-2]}, "negative", dynamic=True),
    Row("Squeeze", {"input": In((1, 3, 1, 5))}, "all"),
    Row("Squeeze", {"input": In((2, 3))}, "none"),
    Row("Squeeze", {"input": In((1, 3, 1, 5))}, "all_dynamic", dynamic=True),
    Row("BroadcastTo", {"input": In((3, 1)), "shape": ints(2, 3, 5)}),
    Row("BroadcastTo", {"input": In((3, 1), "int32", 0, 9), "shape": ints(3, 5)}, "int32", dynamic=True),
    Row("BroadcastTo", {"input": In((3, 1), "bool"), "shape": In((2,), "int64")}, "fed",
        values={"shape": np.array([3, 5])}),
    Row("BroadcastArgs", {"s0": In((3,), "int32"), "s1": In((2,), "int32")},
        values={"s0": ints(7, 1, 5), "s1": ints(3, 1)}),
    Row("BroadcastArgs", {"s0": In((2,), "int64"), "s1": In((2,), "int64")}, "empty",
        values={"s0": np.array([1, 4]), "s1": np.array([0, 1])}),
    Row("ConcatOffset", {"concat_dim": scalar(1), "shape": [In((3,), "int32"), In((3,), "int32"), ints(2, 9, 5)]},
        values={"shape_0": ints(2, 3, 5), "shape_1": ints(2, 4, 5)}),
    Row("Fill", {"dims": ints(3, 5), "value": scalar(2.5, "float32")}),
    Row("Fill", {"dims": ints(3, 5), "value": In((), "int32", 1, 9)}, "fed_value"),
    Row("Fill", {"dims": In((2,), "int64"), "value": scalar(True, "bool")}, "fed_dims",
        values={"dims": np.array([2, 3])}),
    Row("Empty", {"shape": ints(2, 3), "dtype": F32, "init": True}),
    Row("Empty", {"shape": In((2,), "int32"), "dtype": I64, "init": True}, "fed", values={"shape": ints(3, 2)}),
    Row("Range", {"start": scalar(2), "limit": scalar(11), "delta": scalar(3)}),
    Row("Range", {"start": scalar(1.5, "float32"), "limit": scalar(-2, "float32"), "delta": scalar(-0.7, "float32")},
        "floats"),
    Row("Range", {"start": scalar(0, "int64"), "limit": In((), "int64"), "delta": scalar(1, "int64")}, "fed",
        values={"limit": np.array(7)}),
    Row("Range", {"start": In((), "float64"), "limit": In((), "float64"), "delta": scalar(0.3, "float64")},
        "fed_floats",
        values={"start": np.array(-1.0), "limit": np.array(1.25)}),
    Row("LinSpace", {"start": scalar(-1, "float32"), "stop": scalar(2.3, "float32"), "num": scalar(7)}),
    Row("LinSpace", {"start": In(()), "stop": In(()), "num": scalar(5)}, "fed"),
    Row("LinSpace", {"start": In((), "float64"), "stop": In((), "float64"), "num": scalar(1)}, "one"),
    Row("OneHot", {"indices": In((2, 3), "int32"), "depth": scalar(4), "on_value": scalar(1, "float32"),
                   "off_value": scalar(0, "float32")}, values={"indices": np.array([[0, 3, -1], [4, 2, 1]], np.int32)}),
    Row("OneHot", {"indices": In((2, 3), "int64", 0, 4), "depth": scalar(4), "on_value": In((), "int32", 2, 9),
                   "off_value": scalar(-7), "axis": 1}, "axis", dynamic=True),
    Row("OneHot", {"indices": In((5,), "uint8", 0, 3), "depth": scalar(3), "on_value": scalar(True, "bool"),
                   "off_value": scalar(False, "bool"), "axis": 0}, "bool"),
    Row("OneHot", {"indices": In((), "int32", 0, 3), "depth": In((), "int32"), "on_value": scalar(5, "int64"),
                   "off_value": scalar(1, "int64")}, "fed_depth", values={"depth": scalar(3)}),
]  # fmt: skip
