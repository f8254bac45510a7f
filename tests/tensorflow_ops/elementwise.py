"""Rows of elementwise arithmetic."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In, const
from tests.tensorflow_ops.table import Row

X = In((3, 5, 7))
POSITIVE = In((3, 5, 7), low=0.1, high=4)
UNIT = In((3, 5, 7), low=-0.95, high=0.95)
INTS = In((3, 5, 7), "int32", -9, 9)
LONGS = In((3, 5, 7), "int64", -9, 9)
BYTES = In((3, 5, 7), "uint8", 0, 255)
SPECIAL = {"x": np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -3.5], np.float32)}
ODD = In((7,))

_ANY = [
    "Abs", "Atan", "Ceil", "Cos", "Cosh", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Neg", "Rint", "Round", "Sign", "Sin",
    "Sinh", "Square", "Tanh", "Asinh",
]  # fmt: skip
_POSITIVE = ["Log", "Rsqrt", "Sqrt", "Inv", "Reciprocal", "Log1p"]

ROWS = [
    *(Row(op, {"x": X}) for op in _ANY),
    *(Row(op, {"x": POSITIVE}) for op in _POSITIVE),
    *(Row(op, {"x": UNIT}) for op in ("Acos", "Asin", "Atanh", "Tan", "Sigmoid")),
    Row("Acosh", {"x": In((3, 5), low=1.1, high=9)}),
    *(Row(op, {"x": In((3, 5), "float64")}, "double") for op in ("Abs", "Exp", "Square", "Round", "Sigmoid", "Neg")),
    *(Row(op, {"x": INTS}, "ints") for op in ("Abs", "Neg", "Sign", "Square", "Invert", "ZerosLike")),
    *(Row(op, {"x": In((3, 5), "int8", -128, 127)}, "bytes") for op in ("Invert", "Sign")),
    Row("Rint", {"x": In((6,))}, "halves", values={"x": np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 3.5], np.float32)}),
    *(Row(op, {"x": ODD}, values=SPECIAL) for op in ("IsFinite", "IsInf", "IsNan")),
    Row("LogicalNot", {"x": In((3, 5), "bool")}),
    Row("OnesLike", {"x": X}),
    Row("OnesLike", {"x": LONGS}, "dynamic", dynamic=True),
    Row("ZerosLike", {"x": X}, "dynamic", dynamic=True),
    Row("Relu", {"features": X}, targets=("tflite",)),
    Row("Relu", {"features": LONGS}, "ints"),
    Row("Relu6", {"features": In((3, 5), low=-3, high=9)}, targets=("tflite",)),
    Row("LeakyRelu", {"features": X}),
    Row("LeakyRelu", {"features": X, "alpha": 0.3}, "alpha"),
    *(Row(op, {"features": X}) for op in ("Elu", "Selu", "Softplus", "Softsign")),
    Row("Cast", {"x": In((3, 5), low=-9, high=9), "DstT": np.int32}, "truncates"),
    Row("Cast", {"x": In((3, 5), low=0, high=200), "DstT": np.uint8}, "byte"),
    Row("Cast", {"x": In((3, 5), "int32", -1, 1), "DstT": np.bool_}, "bool"),
    Row("Cast", {"x": In((3, 5), "bool"), "DstT": np.float32}, "of_bool"),
    Row("Cast", {"x": In((3, 5), "int64", -900, 900), "DstT": np.int8}, "wraps"),
    Row("Cast", {"x": X, "DstT": np.float64}, "double"),
    Row("Cast", {"x": X, "DstT": np.float16}, "half"),
    Row("Bitcast", {"input": X, "type": np.int32}),
    Row("Bitcast", {"input": X, "type": np.float32}, "same"),
    # two inputs
    *(Row(op, {"x": X, "y": In((5, 1))}) for op in ("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum")),
    *(Row(op, {"x": INTS, "y": In((7,), "int32", -9, 9)}, "ints") for op in ("AddV2", "Sub", "Mul", "Maximum")),
    *(Row(op, {"x": LONGS, "y": LONGS}, "longs") for op in ("Add", "Minimum", "SquaredDifference")),
    *(Row(op, {"x": BYTES, "y": BYTES}, "bytes") for op in ("AddV2", "Mul", "Sub")),
    Row("Maximum", {"x": In((3, 5), "int16", -9, 9), "y": In((5,), "int16", -9, 9)}, "shorts"),
    Row("AddV2", {"x": X, "y": In((3, 1, 7))}, "dynamic", dynamic=True),
    Row("AddN", {"inputs": [X, X, X]}),
    Row("AddN", {"inputs": [X]}, "one"),
    Row("AccumulateNV2", {"inputs": [X, X], "shape": [3, 5, 7]}),
    *(Row(op, {"x": X, "y": POSITIVE}) for op in ("RealDiv", "Div", "FloorDiv", "Mod", "TruncateMod", "DivNoNan")),
    *(
        Row(op, {"x": INTS, "y": In((7,), "int32")}, "ints", values={"y": np.array([-4, -3, -1, 1, 2, 3, 5], np.int32)})
        for op in ("Div", "TruncateDiv", "FloorDiv", "FloorMod", "Mod", "TruncateMod")
    ),
    Row("FloorDiv", {"x": BYTES, "y": In((7,), "uint8", 1, 9)}, "bytes"),
    Row("FloorMod", {"x": X, "y": In((7,))}, values={"y": np.array([-1.5, -0.7, 0.3, 1.1, 2, -2, 0.5], np.float32)}),
    *(
        Row(op, {"x": X, "y": ODD}, "zeros", values={"y": np.array([0, 1, -1, 0, 2, 3, 4], np.float32)})
        for op in ("DivNoNan", "MulNoNan")
    ),
    Row("MulNoNan", {"x": ODD, "y": ODD}, "infinite", values={"x": SPECIAL["x"], "y": np.zeros(7, np.float32)}),
    *(
        Row(
            op, {"x": ODD, "y": In((5, 7), low=0.1, high=3)}, values={"x": np.array([0, 1, 2, -1, 0, 3, 4], np.float32)}
        )
        for op in ("Xdivy", "Xlogy", "Xlog1py")
    ),
    Row(
        "Xlogy",
        {"x": In((2,)), "y": In((2,))},
        "zero",
        values={"x": np.zeros(2, np.float32), "y": np.zeros(2, np.float32)},
    ),
    Row("Pow", {"x": POSITIVE, "y": X}),
    Row("Pow", {"x": INTS, "y": In((7,), "int32", 0, 4)}, "ints"),
    Row("SquaredDifference", {"x": X, "y": In((7,))}),
    Row("Atan2", {"y": X, "x": In((5, 7))}),
    Row(
        "Atan2",
        {"y": In((9,)), "x": In((9,))},
        "axes",
        values={
            "y": np.array([0, 0, 0, 1, -1, 1, -1, np.inf, 3], np.float32),
            "x": np.array([0, 1, -1, 0, 0, -1, -1, np.inf, np.inf], np.float32),
        },
    ),
    *(Row(op, {"x": INTS, "y": In((7,), "int32", -9, 9)}) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    *(Row(op, {"x": INTS, "y": In((7,), "int32", 0, 5)}) for op in ("LeftShift", "RightShift")),
    *(
        Row(op, {"x": In((3, 7), "int8", -128, 127), "y": In((7,), "int8", 0, 6)}, "bytes")
        for op in ("LeftShift", "RightShift")
    ),
    *(Row(op, {"x": BYTES, "y": In((7,), "uint8", 0, 7)}, "unsigned") for op in ("LeftShift", "RightShift")),
    # several inputs
    Row("ClipByValue", {"t": X, "clip_value_min": np.float32(-0.5), "clip_value_max": np.float32(1)}),
    Row("ClipByValue", {"t": INTS, "clip_value_min": np.int32(-3), "clip_value_max": np.int32(4)}, "ints"),
    Row(
        "ClipByValue",
        {"t": X, "clip_value_min": const((3, 5, 7), -1, 0), "clip_value_max": const((3, 5, 7), 0, 1)},
        "tensors",
    ),
    Row("Select", {"condition": In((3, 5), "bool"), "x": In((3, 5)), "y": In((3, 5))}),
    Row("Select", {"condition": In((3,), "bool"), "x": In((3, 3)), "y": In((3, 3))}, "rows"),
    Row("Select", {"condition": In((), "bool"), "x": In((3, 5)), "y": In((3, 5))}, "scalar"),
    Row("SelectV2", {"condition": In((5, 1), "bool"), "t": X, "e": In((7,))}),
    Row(
        "SelectV2", {"condition": In((5, 1), "bool"), "t": In((7,), "int8", -9, 9), "e": In((), "int8", -9, 9)}, "bytes"
    ),
    Row("BiasAdd", {"value": In((2, 5, 7, 3)), "bias": const((3,))}, targets=("tflite",)),
    Row("BiasAdd", {"value": In((2, 3, 5, 7)), "bias": const((3,)), "data_format": "NCHW"}, "nchw"),
    Row("BiasAddV1", {"value": In((2, 5, 3)), "bias": const((3,))}),
    # comparison
    *(Row(op, {"x": INTS, "y": In((7,), "int32", -2, 2)}) for op in ("Less", "LessEqual", "Greater", "GreaterEqual")),
    *(Row(op, {"x": X, "y": In((5, 1))}, "floats") for op in ("Less", "GreaterEqual", "Equal")),
    *(Row(op, {"x": INTS, "y": In((5, 1), "int32", -2, 2)}) for op in ("Equal", "NotEqual")),
    *(Row(op, {"x": In((3, 5), "bool"), "y": In((5,), "bool")}, "bools") for op in ("Equal", "NotEqual")),
    *(
        Row(op, {"x": In((3, 5)), "y": In((4,)), "incompatible_shape_error": False}, "never")
        for op in ("Equal", "NotEqual")
    ),
    *(Row(op, {"x": In((3, 5), "bool"), "y": In((5,), "bool")}) for op in ("LogicalAnd", "LogicalOr")),
    Row("ApproximateEqual", {"x": In((3, 5)), "y": In((3, 5)), "tolerance": 0.5}),
]
