"""Rows of operators that move elements."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((2, 3, 4, 5))

ROWS = [
    *(Row(op, {}, [X], dynamic=True) for op in ("Flatten", "flatten")),
    *(Row(op, {"num_args": 3, "dim": 1}, [X, In((2, 1, 4, 5)), X], dynamic=True) for op in ("Concat", "concat")),
    Row("Concat", {"num_args": 2, "dim": -1}, [X, X], "last axis"),
    Row("transpose", {}, [X]),
    Row("transpose", {"axes": (0, 2, 3, 1)}, [X], "axes", dynamic=True, targets=("tflite", "cpp", "coreml")),
    *(Row(op, {"shape": (0, -1)}, [X], dynamic=True) for op in ("Reshape", "reshape")),
    *(
        Row("Reshape", {"shape": shape}, [X], f"{shape}")
        for shape in [
            (4, 0, -1), (-1,), (-2,), (0, -2), (2, -2), (-3, -2), (0, -3, 5), (-3, -3), (0, 0, -4, -1, 2, 0),
            (-4, 1, 2, -2), (0, -4, 3, 1, -2), (-1, 0), (0, -3, -4, 5, 1), (6, 1, 1, -1),
        ]
    ),
    *(
        Row("Reshape", {"shape": shape, "reverse": True}, [X], f"{shape} reversed")
        for shape in [(-1, 0), (-1, 0, 0), (-2, -3), (0, 0, 2, -1, -4, 0), (0, -1, 4, 5), (-1, 3, 1, 0, 0)]
    ),
    Row("Reshape", {"shape": (-3, -2)}, [X], "batch merged", dynamic=True),
    Row("Reshape", {"shape": (0, -4, 1, 3, -2)}, [X], "batch kept", dynamic=True),
    Row("Reshape", {"target_shape": (2, 0)}, [X], "target shape"),
    Row("Reshape", {"target_shape": (7, 0), "keep_highest": True}, [X], "keep highest"),
]  # fmt: skip
