"""Modes of operators that the shared op table does not have, for TFLite."""

from __future__ import annotations

import numpy as np

from tests.ops.table import IMAGE, In, Row, const, ints

POSITIVE = In(IMAGE.shape, low=0.1, high=3)
UNIT = In(IMAGE.shape, low=-1, high=1)
LINE = In((2, 6, 11))
VOLUME = In((2, 3, 5, 6, 7))
WIDE = In((60,), "int64", -(2**62), 2**62)  # beyond the 32 bits that TFLite divides
BITS = [
    ("int8", -128, 127), ("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1), ("int32", -(2**31), 2**31 - 1),
    ("uint32", 0, 2**32 - 1), ("int64", -(2**62), 2**62),
]  # fmt: skip
HALF_PIXEL = {"coordinate_transformation_mode": "half_pixel"}

# Modes of operators that the shared table does not have.
ROWS = [
    *(Row(op, (UNIT,)) for op in ("Tan", "Atan", "Asin", "Acos", "Sinh", "Cosh", "Celu", "Swish", "IsNaN")),
    Row("Celu", (IMAGE,), {"alpha": 0.6}, name="alpha"),
    Row("Swish", (IMAGE,), {"alpha": 1.7}, name="alpha"),
    Row("Elu", (IMAGE,), {"alpha": 1.0}, name="one"),
    Row("Shrink", (IMAGE,), {"bias": 0.3, "lambd": 0.8}),
    Row("Mean", (IMAGE, IMAGE, IMAGE)),
    Row("Max", (IMAGE,), name="one"),
    Row("Clip", (IMAGE, const((), -1, -1), const((), 1, 1)), name="n1-to-1"),
    Row("Clip", (IMAGE, None, None), name="none"),
    Row("Xor", (In((3, 5), "bool"), In((3, 5), "bool"))),
    Row("Mod", (In((3, 5), "int32", -9, 9), In((3, 5), "int32", 2, 4))),
    Row("Mod", (IMAGE, POSITIVE), {"fmod": 1}, name="fmod"),
    *(
        Row(op, (In((3, 5), "int64", -9, 9), In((3, 5), "int64", 2, 4)), name="int64")
        for op in ("Add", "Sub", "Mul", "Div", "Max", "Less")
    ),
    *(
        Row(op, (In((3, 5), dtype, 0, 9), In((3, 5), dtype, 2, 4)), name=dtype)
        for op in ("Add", "Sub", "Mul", "Div", "Max", "Less", "Equal", "Mod")
        for dtype in ("int8", "uint8", "int16", "uint32")
        if (op, dtype) != ("Max", "int16")  # ONNX Runtime has no such kernel
    ),
    Row("Abs", (In((3, 5), "int8", -9, 9),), name="int8"),
    *(Row(op, (In((9,), "int64", -9, 9),), name="int64") for op in ("Abs", "Sign", "ArgMax", "ArgMin")),
    Row("Relu", (In((9,), "int32", -9, 9),), name="int32"),
    Row("Div", (WIDE, In((60,), "int64", 1, 2**40)), name="wide"),
    Row("Div", (WIDE, In((60,), "int64", -9, -1)), name="wide-negative"),
    Row("Div", (In((60,), "uint32", 0, 2**32 - 1), In((60,), "uint32", 1, 2**31)), name="wide-uint32"),
    Row("Pow", (In((9,), "int64", -9, 9), np.array(11)), name="wide"),
    *(Row("MatMul", (In((2, 3, 5), kind, -9, 9), In((5, 2), kind, -9, 9)), name=kind) for kind in ("int32", "int64")),
    Row("MatMulInteger", (In((3, 5), "int8", -9, 9), In((5, 2), "int8", -9, 9), np.array(3, np.int8))),
    Row("ReduceMax", (In((3, 5), "bool"), ints(1)), name="bool"),
    Row("Split", (In((4, 6), "bool"),), {"num_outputs": 2, "axis": 1}, outputs=2, name="bool"),
    Row("Cast", (In((3, 5), "uint8", 0, 2),), {"to": 9}, name="uint8-to-bool"),
    Row("MaxPool", (In((1, 2, 6, 7), "uint8", 0, 9),), {"kernel_shape": (3, 2), "pads": (1, 1, 1, 0)}, name="uint8"),
    *(
        Row(op, (In((3, 5), kind, low, high), In((3, 5), kind, low, high)), name=kind)
        for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")
        for kind, low, high in BITS
    ),
    *(Row("BitwiseNot", (In((3, 5), kind, low, high),), name=kind) for kind, low, high in BITS),
    *(
        Row("BitShift", (In((5,), "uint8", 0, 255), np.array([0, 1, 3, 5, 7], np.uint8)), {"direction": way}, name=way)
        for way in ("LEFT", "RIGHT")
    ),
    Row("QuantizeLinear", (IMAGE, np.array(0.03, np.float32), np.array(3, np.int8))),
    Row(
        "QuantizeLinear", (IMAGE, const((6,), 0.01, 0.03), np.arange(6).astype(np.uint8)), {"axis": 1}, name="channels"
    ),
    Row(
        "DequantizeLinear",
        (In(IMAGE.shape, "int8", -128, 127), const((6,), 0.01, 0.03), np.arange(6).astype(np.int8)),
        {"axis": 1},
    ),
    Row("DequantizeLinear", (In((2, 6), "int32", -9999, 9999), const((), 0.01, 0.03)), name="int32"),
    Row("Clip", (In((3, 5), "int8", -9, 9), np.array(-2, np.int8), np.array(3, np.int8)), name="int8"),
    Row("Gather", (IMAGE, In((3,), "int64", -6, 5)), {"axis": 1}, name="computed-from-end"),
    Row("Pow", (POSITIVE, In(IMAGE.shape)), name="computed"),
    Row("Cast", (In((3, 5), "int64", -3, 3),), {"to": 9}, name="to-bool"),
    Row("Cast", (In((3, 5), "float32"),), {"to": 7}, name="int64"),
    Row("Where", (np.random.default_rng(0).random((6, 1, 1)) > 0.5, IMAGE, IMAGE), name="constant"),
    Row("LogSoftmax", (IMAGE,), {"axis": 1}, name="channels"),
    Row("Softmax", (IMAGE,), {"axis": 2}, name="rows"),
    Row("ReduceLogSum", (POSITIVE, ints(1, 2)), {"keepdims": 0}),
    Row("ReduceLogSumExp", (IMAGE, ints(1)), {"keepdims": 1}),
    *(
        Row("ReduceMean", (IMAGE, ints(*axes)), {"keepdims": 0}, name=f"drop-{axes}")
        for axes in ((0,), (2,), (3,), (1, 2), (2, 3))
    ),
    *(Row("ArgMax", (IMAGE,), {"axis": axis, "keepdims": 0}, name=f"drop-{axis}") for axis in range(4)),
    Row("ArgMin", (In((3, 10), low=0, high=1),), {"axis": 1, "select_last_index": 1}, name="last-index"),
    Row("ArgMax", (np.round(const((3, 10), 0, 2)),), {"axis": 1, "select_last_index": 1}, name="equal-ones"),
    Row("TopK", (In((3, 10)), ints(2)), {"axis": 0, "largest": 0}, name="smallest", outputs=2),
    Row("CumSum", (IMAGE, np.array(1)), {"exclusive": 1}),
    Row("CumSum", (IMAGE, np.array(-1)), {"reverse": 1}, name="reverse"),
    Row("LpNormalization", (IMAGE,), {"axis": 1, "p": 2}),
    Row("LpNormalization", (IMAGE,), {"axis": -1, "p": 1}, name="l1"),
    Row("LayerNormalization", (IMAGE, const((9,)), const((9,))), {"axis": -1}),
    Row("LayerNormalization", (IMAGE, const((6, 7, 9))), {"axis": 1}, name="all"),
    Row("RMSNormalization", (IMAGE, const((9,))), {"axis": -1}),
    Row("BatchNormalization", (LINE, *(const((6,), 0.5, 1) for _ in range(4))), name="1d"),
    Row("LRN", (IMAGE,), {"size": 3, "alpha": 2.0, "beta": 0.5, "bias": 1.0}, name="three"),
    Row("Gemm", (In((5, 3)), In((5, 4)), In((3, 4))), {"transA": 1, "alpha": 0.5, "beta": 0.3}, name="computed"),
    Row("Gemm", (In((3, 5)), const((5, 4)), const((3, 4))), name="matrix-bias"),
    Row("Gemm", (In((3, 5)), const((5, 4)), const(())), name="scalar-bias"),
    Row("MatMul", (In((5,)), In((5, 4))), name="vector"),
    Row("MatMul", (In((2, 3, 5)), In((5,))), name="column"),
    Row("MatMul", (In((2, 1, 3, 5)), In((4, 5, 6))), name="broadcast"),
    Row(
        "Conv",
        (LINE, const((6, 1, 3)), const((6,))),
        {"group": 6, "strides": (2,), "pads": (1, 1)},
        name="1d-depthwise",
    ),
    Row("Conv", (VOLUME, const((6, 1, 2, 2, 2)), const((6,))), {"group": 3, "strides": (1, 2, 1)}, name="3d-grouped"),
    Row("Conv", (VOLUME, const((2, 3, 2, 2, 2))), {"dilations": (2, 1, 2)}, name="3d-dilated"),
    Row("Conv", (IMAGE, In((4, 6, 3, 3)), In((4,))), name="computed-weights"),
    Row("Conv", (IMAGE, In((6, 1, 3, 3))), {"group": 6}, name="computed-depthwise"),
    Row("Conv", (IMAGE, const((6, 1, 3, 3))), {"group": 6, "strides": (1, 2)}, name="depthwise-uneven-strides"),
    Row(
        "Conv",
        (IMAGE, const((6, 1, 3, 3))),
        {"group": 6, "dilations": (2, 2), "strides": (2, 2)},
        name="depthwise-dilated",
    ),
    Row("Conv", (IMAGE, const((6, 2, 3, 3)), const((6,))), {"group": 3, "pads": (1, 1, 1, 1)}, name="three-groups"),
    Row("ConvTranspose", (LINE, const((6, 4, 3)), const((4,))), {"strides": (2,), "pads": (1, 0)}, name="1d"),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 4, 3, 3)), const((4,))),
        {"strides": (2, 2), "output_padding": (1, 1)},
        name="extra",
    ),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 4, 2, 2)), const((4,))),
        {"strides": (3, 3), "output_padding": (2, 1)},
        name="gaps",
    ),
    Row(
        "ConvTranspose", (IMAGE, const((6, 4, 3, 3))), {"strides": (2, 2), "auto_pad": "SAME_UPPER"}, name="same-upper"
    ),
    Row(
        "ConvTranspose", (IMAGE, const((6, 4, 3, 3))), {"strides": (2, 2), "auto_pad": "SAME_LOWER"}, name="same-lower"
    ),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 2, 3, 3)), const((12,))),
        {"strides": (3, 2), "group": 6, "pads": (0, 1, 2, 1)},
        name="depthwise-multiplier",
    ),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 1, 2, 2)), const((6,))),
        {"strides": (3, 3), "group": 6},
        name="depthwise-gaps",
    ),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 3, 3, 3)), const((6,))),
        {"strides": (2, 2), "group": 2, "pads": (1, 1, 1, 1)},
        name="grouped-bias",
    ),
    *(
        Row(op, (LINE,), {"kernel_shape": (3,), "strides": (2,), "pads": (1, 1)}, name="1d")
        for op in ("MaxPool", "AveragePool")
    ),
    *(
        Row(op, (VOLUME,), {"kernel_shape": (2, 3, 2), "strides": (2, 1, 2), "pads": (1, 0, 1, 0, 1, 1)}, name="3d")
        for op in ("MaxPool", "AveragePool")
    ),
    Row(
        "AveragePool",
        (IMAGE,),
        {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "ceil_mode": 1, "count_include_pad": 1},
        name="ceil-count",
    ),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 2), "pads": (2, 0, 1, 1)}, name="uneven"),
    Row("GlobalAveragePool", (LINE,), name="1d"),
    Row("GlobalMaxPool", (VOLUME,), name="3d"),
    *(
        Row("Pad", (IMAGE, ints(0, 0, 3, 2, 0, 1, 0, 3)), {"mode": mode}, name=f"{mode}-some")
        for mode in ("edge", "reflect", "wrap")
    ),
    Row("Pad", (IMAGE, ints(0, 0, -2, 1, 0, 0, 1, -3)), name="negative"),
    Row("Pad", (IMAGE, ints(1, 2), None, ints(-1)), name="axes"),
    Row("Slice", (IMAGE, ints(5, -1), ints(-100, 0), ints(1, 3), ints(-2, -3)), name="backwards-steps"),
    Row("Slice", (VOLUME, ints(1), ints(4), ints(2), ints(2)), name="5d"),
    Row("Expand", (In((6, 1, 1)), ints(2, 6, 3, 4)), name="rank"),
    Row("Gather", (IMAGE, np.array([-1, 0], np.int64)), {"axis": 3}, name="negative"),
    Row("Gather", (IMAGE, In((2, 2), "int64", 0, 5)), {"axis": 1}, name="matrix"),
    Row("Gather", (IMAGE, np.array(0, np.int64)), {"axis": 0}, name="batch"),
    Row("GatherND", (In((4, 5, 3)), In((2, 2), "int64", 0, 3))),
    Row("OneHot", (In((3, 2), "int64", -5, 4), np.array(5), np.array([0.5, 2], np.float32)), {"axis": 1}),
    Row("Resize", (IMAGE, None, None, ints(2, 6, 5, 13)), {"mode": "cubic", **HALF_PIXEL}, name="cubic"),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 5, 13)),
        {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5, **HALF_PIXEL},
        name="cubic-exclude",
    ),
    *(
        Row(
            "Resize",
            (IMAGE, None, None, ints(2, 6, 5, 20)),
            {"mode": "nearest", "nearest_mode": mode, **HALF_PIXEL},
            name=f"nearest-{mode}",
        )
        for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    ),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 15, 17)),
        {"mode": "nearest", "nearest_mode": "round_prefer_ceil", "coordinate_transformation_mode": "align_corners"},
        name="nearest-corners",
    ),
    *(
        Row(
            "Resize",
            (IMAGE, None, None, ints(2, 6, 1, 20)),
            {"mode": "linear", "coordinate_transformation_mode": mode},
            name=f"linear-{mode}",
        )
        for mode in ("pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners")
    ),
    Row(
        "Resize",
        (IMAGE, None, np.array([1, 1, 1.7, 2.3], np.float32)),
        {"mode": "linear", **HALF_PIXEL},
        name="linear-scales",
    ),
    Row("Resize", (LINE, None, None, ints(2, 6, 17)), {"mode": "linear", **HALF_PIXEL}, name="1d"),
    Row("Resize", (VOLUME, None, None, ints(2, 3, 7, 9, 4)), {"mode": "linear", **HALF_PIXEL}, name="3d"),
]
