"""Operators on each element."""

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
]
