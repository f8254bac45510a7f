"""Operators on each element."""

import numpy as np

from tests.ops.table import IMAGE, In, Row, const

POSITIVE = In((2, 6, 7, 9), low=0.1, high=3)
CHANNEL = const((6, 1, 1), 0.5, 2)

UNARY = ["Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Exp", "Floor", "Ceil", "Softplus", "Softsign", "HardSwish", "Mish",
         "Erf", "Sin", "Cos", "Round", "Sign", "Identity", "Not"]  # fmt: skip

ROWS = [
    *(Row(op, (In(IMAGE.shape, "bool") if op == "Not" else IMAGE,)) for op in UNARY),
    *(Row(op, (POSITIVE,)) for op in ("Log", "Sqrt", "Reciprocal")),
    Row("LeakyRelu", (IMAGE,), {"alpha": 0.1}),
    Row("Elu", (IMAGE,), {"alpha": 0.7}),
    Row("Selu", (IMAGE,)),
    Row("HardSigmoid", (IMAGE,), {"alpha": 0.25, "beta": 0.4}),
    Row("ThresholdedRelu", (IMAGE,), {"alpha": 0.7}),
    Row("Gelu", (IMAGE,)),
    Row("Gelu", (IMAGE,), {"approximate": "tanh"}, name="tanh"),
    Row("PRelu", (IMAGE, CHANNEL)),
    Row("PRelu", (IMAGE, const((1,))), name="shared"),
    Row("Clip", (IMAGE, const((), -1, -0.5), const((), 0.5, 1))),
    Row("Clip", (IMAGE, None, const((), 0.5, 1)), name="upper"),
    Row("Clip", (In(IMAGE.shape, low=-3, high=9), const((), 0, 0), const((), 6, 6)), name="relu6"),
    *(Row(op, (IMAGE, IMAGE)) for op in ("Add", "Sub", "Mul", "Max", "Min")),
    Row("Div", (IMAGE, POSITIVE)),
    Row("Pow", (POSITIVE, const((), 2.5, 2.5))),
    Row("Pow", (IMAGE, const((), 2, 2)), name="square"),
    *(Row(op, (IMAGE, CHANNEL), name="channel") for op in ("Add", "Sub", "Mul", "Div")),
    *(Row(op, (IMAGE, const(())), name="scalar") for op in ("Add", "Mul", "Sub")),
    Row("Mul", (IMAGE, In((2, 6, 1, 1))), name="gate"),
    Row("Add", (IMAGE, In((9,))), name="broadcast-rank"),
    Row("Sum", (IMAGE, IMAGE, IMAGE)),
    Row("Max", (IMAGE, IMAGE, IMAGE), name="three"),
    *(Row(op, (IMAGE, IMAGE)) for op in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")),
    Row("Equal", (In((3, 5), "int32", 0, 2), In((3, 5), "int32", 0, 2))),
    *(Row(op, (In((3, 5), "bool"), In((3, 5), "bool"))) for op in ("And", "Or")),
    Row("Where", (In(IMAGE.shape, "bool"), IMAGE, IMAGE)),
    Row("Cast", (IMAGE,), {"to": 6}, name="int32"),
    Row("Cast", (In((3, 5), "bool"),), {"to": 1}, name="from-bool"),
    Row("Softmax", (IMAGE,), {"axis": 1}, name="channels"),
    Row("Softmax", (IMAGE,), {"axis": -1}, name="last"),
    Row("Softmax", (In((3, 10)),), {"axis": 1}),
    Row("LogSoftmax", (In((3, 10)),), {"axis": 1}),
    # modes that Caffe's layers produce
    *(
        Row(op, (In((5,), "int64", -9, 9), np.ones(1, np.int64)), name="int64")
        for op in ("Add", "Max", "GreaterOrEqual")
    ),
    Row("Equal", (In(IMAGE.shape, low=0, high=0), np.arange(63, dtype=np.float32).reshape(7, 9) % 3), name="float"),
    *(Row(op, (IMAGE, const(())), name="scalar") for op in ("Min", "Greater", "Less")),
    *(Row(op, (In((5, 4)), In((2, 3, 5, 4))), name="first-broadcast") for op in ("Add", "Mul")),
    *(Row(op, (IMAGE, const((2, 1, 1, 1))), name="batch") for op in ("Add", "Mul")),
    *(Row(op, (IMAGE, const((9,))), name="width") for op in ("Add", "Mul")),
    *(Row(op, (IMAGE, const((6, 7, 1))), name="channel-height") for op in ("Add", "Mul")),
    Row("Sub", (const(()), In((3, 5))), name="from-scalar"),
    Row("Pow", (POSITIVE, const((), -0.75, -0.75)), name="negative"),
    Row("Neg", (In((5,)),), name="1d"),
    Row("PRelu", (In((3, 5)), const((5,))), name="2d"),
    Row("PRelu", (In((2, 3, 5)), const((3, 1))), name="3d"),
    Row("Where", (In((5, 1), "bool"), In((5, 7)), const((), -1, -1)), name="scalar"),
    Row("Where", (In((5,), "bool"), const((5,)), const((), 9, 9)), name="constants"),
    Row("Cast", (In((7,), low=0, high=4),), {"to": 7}, name="int64"),
    Row("Cast", (In((3, 5), "int64", -9, 9),), {"to": 1}, name="from-int64"),
    Row("Identity", (const((2, 3)),), name="constant"),
]
