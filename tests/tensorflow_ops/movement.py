"""Rows: operators that move elements, and those that hand them on."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.table import Row

X = In((2, 3, 5))
INTS = In((2, 3, 5), "int32", -9, 9)
PADS = np.array([[0, 0], [1, 2], [3, 0]], np.int32)
MIRROR = np.array([[0, 1], [2, 1], [3, 4]], np.int32)


def each(op: str, arguments: dict, dtypes: str) -> list[Row]:  # one row for each type of what is fed as `In`
    return [
        Row(op, {k: In(v.shape, dtype, 0, 7) if isinstance(v, In) else v for k, v in arguments.items()}, dtype)
        for dtype in dtypes.split()
    ]


ROWS = [
    Row("Transpose", {"x": X, "perm": ints(2, 0, 1)}, targets=("tflite",)),
    Row("Transpose", {"x": INTS, "perm": np.array([-1, 0, -2])}, "negative", dynamic=True),
    Row("ConjugateTranspose", {"x": X, "perm": ints(1, 2, 0)}),
    Row("Tile", {"input": X, "multiples": ints(2, 1, 3)}, targets=("tflite",)),
    Row("Tile", {"input": INTS, "multiples": In((3,), "int32")}, "fed", dynamic=True,
        values={"multiples": ints(2, 1, 3)}),
    Row("Pad", {"input": X, "paddings": PADS}, targets=("tflite",)),
    Row("Pad", {"input": INTS, "paddings": In((3, 2), "int64")}, "fed", values={"paddings": PADS.astype(np.int64)}),
    Row("Pad", {"input": In((3, 4), "bool"), "paddings": np.array([[1, 1], [0, 2]], np.int32)}, "bool", dynamic=True),
    Row("PadV2", {"input": X, "paddings": PADS, "constant_values": scalar(-1.5, "float32")}),
    Row("PadV2", {"input": INTS, "paddings": PADS, "constant_values": In((), "int32", 3, 9)}, "fed", dynamic=True),
    Row("MirrorPad", {"input": In((3, 5, 7)), "paddings": MIRROR, "mode": "REFLECT"}, targets=("tflite",)),
    Row("MirrorPad", {"input": In((3, 5, 7)), "paddings": MIRROR, "mode": "SYMMETRIC"}, "symmetric"),
    Row("MirrorPad", {"input": In((1, 3, 4), "int32", 0, 99), "paddings": MIRROR.astype(np.int64), "mode": "SYMMETRIC"},
        "symmetric_all", dynamic=True),
    Row("Concat", {"concat_dim": scalar(1), "values": [X, In((2, 4, 5))]}),
    Row("ConcatV2", {"values": [X, In((2, 3, 1)), np.ones((2, 3, 2), np.float32)], "axis": scalar(-1)},
        targets=("tflite",)),
    Row("ConcatV2", {"values": [INTS, In((4, 3, 5), "int32", 0, 9)], "axis": scalar(0, "int64")},
        "int32", dynamic=True),
    Row("Pack", {"values": [X, X], "axis": 1}, targets=("tflite",)),
    Row("Pack", {"values": [X, X, X], "axis": -1}, "last", dynamic=True),
    Row("Pack", {"values": [In(()), scalar(3, "float32"), In(())]}, "scalars"),
    Row("Pack", {"values": [X], "axis": -2}, "one"),
    Row("Unpack", {"value": X, "num": 3, "axis": 1}, targets=("tflite",)),
    Row("Unpack", {"value": INTS, "num": 5, "axis": -1}, "last", dynamic=True),
    Row("Unpack", {"value": In((1, 4)), "num": 1}, "one"),
    Row("Split", {"axis": scalar(2), "value": In((2, 3, 6)), "num_split": 3}, targets=("tflite",)),
    Row("Split", {"axis": scalar(-2), "value": In((2, 4, 5), "int64", 0, 9), "num_split": 2}, "negative", dynamic=True),
    Row("Split", {"axis": scalar(0), "value": X, "num_split": 1}, "one"),
    Row("SplitV", {"value": X, "size_splits": ints(3, 2), "axis": scalar(2), "num_split": 2}, targets=("tflite",)),
    Row("SplitV", {"value": X, "size_splits": np.array([1, -1, 2]), "axis": scalar(-1), "num_split": 3}, "rest"),
    Row("SplitV", {"value": X, "size_splits": ints(1, -1, 2), "axis": scalar(2), "num_split": 3}, "rest_dynamic",
        dynamic=True),
    Row("SplitV", {"value": X, "size_splits": ints(-1), "axis": scalar(2), "num_split": 1}, "one"),
    Row("Reverse", {"tensor": X, "dims": np.array([True, False, True])}),
    Row("ReverseV2", {"tensor": X, "axis": ints(1, -1)}, dynamic=True),
    Row("ReverseV2", {"tensor": INTS, "axis": np.array([0])}, "int32", targets=("tflite",)),
    Row("ReverseV2", {"tensor": X, "axis": np.zeros(0, np.int32)}, "none"),
    Row("ReverseSequence", {"input": In((4, 5, 3)), "seq_lengths": In((4,), "int32"), "seq_dim": 1},
        values={"seq_lengths": ints(5, 1, 3, 0)}),
    Row("ReverseSequence", {"input": In((5, 4)), "seq_lengths": In((4,), "int64"), "seq_dim": 0, "batch_dim": 1},
        "time_first", dynamic=True, values={"seq_lengths": np.array([5, 1, 3, 2])}),
    Row("ReverseSequence", {"input": In((3, 4, 2, 5), "int32", 0, 99), "seq_lengths": In((4,), "int32"), "seq_dim": 3,
                            "batch_dim": 1}, "axes", values={"seq_lengths": ints(5, 1, 3, 2)}),
    Row("Roll", {"input": X, "shift": scalar(2), "axis": scalar(2)}),
    Row("Roll", {"input": INTS, "shift": ints(-7, 4, 1), "axis": ints(-1, 1, -1)}, "axes", dynamic=True),
    Row("Roll", {"input": X, "shift": In((), "int64"), "axis": scalar(1)}, "fed", values={"shift": np.array(-4)}),
    *each("Transpose", {"x": In((2, 3)), "perm": ints(1, 0)}, "bool uint8 float64 int64 int8 int16 float16"),
    *each("Tile", {"input": In((2, 3)), "multiples": ints(2, 1)}, "bool uint8 float64 int64"),
    *each("Pad", {"input": In((2, 3)), "paddings": PADS[1:]}, "uint8 int8 float64 int64"),
    *each("GuaranteeConst", {"input": X}, "float32 int32"),
    *each("DeepCopy", {"x": X}, "float32 int64"),
    *each("ToBool", {"input": In(())}, "float32 int32 bool"),
    Row("ToBool", {"input": In((0, 3))}, "empty"),
    Row("ToBool", {"input": In((1, 3), low=0, high=0)}, "tensor", dynamic=True),
    Row("DebugGradientIdentity", {"input": X}),
    Row("DebugIdentity", {"input": X, "tensor_name": "x:0"}),
    Row("DebugIdentityV2", {"input": X}),
    Row("DebugIdentityV3", {"input": X, "tensor_name": "x:0"}),
]  # fmt: skip
