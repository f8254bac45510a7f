"""Elementwise operations of keras.ops (keras/src/ops/numpy.py, math.py, nn.py) and of tf.math."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.keras.activations import ACTIVATIONS
from netglot.frontends.keras.builder import KerasBuilder, keras_op
from netglot.frontends.keras.operands import (
    INT,
    cast,
    common,
    dtype_named,
    floating,
    is_float,
    operands,
    tensor,
)
from netglot.ir.graph import Value

Unary = Callable[[KerasBuilder, Any], Value]
Binary = Callable[[KerasBuilder, Any, Any], Value]


# ------------------------------------------------------------------ one operand


def of_floats(op: str, **attributes: Any) -> Unary:
    """One ONNX operator on a float tensor; integers become float32."""

    def function(g: KerasBuilder, x: Any) -> Value:
        y: Value = g.op(op, [floating(g, x)], **attributes)
        return y

    return function


def as_it_is(op: str) -> Unary:
    """One ONNX operator on any number."""

    def function(g: KerasBuilder, x: Any) -> Value:
        y: Value = g.op(op, [tensor(g, x)])
        return y

    return function


def composed(make: Callable[[KerasBuilder, Value], Value]) -> Unary:
    """An expression of a float tensor."""

    def function(g: KerasBuilder, x: Any) -> Value:
        return make(g, floating(g, x))

    return function


def rsqrt(g: KerasBuilder, x: Value) -> Value:
    return g.Reciprocal(g.Sqrt(x))


def log_base(base: float) -> Callable[[KerasBuilder, Value], Value]:
    return lambda g, x: g.Mul(g.Log(x), 1 / math.log(base))


def cbrt(g: KerasBuilder, x: Value) -> Value:
    return g.Mul(g.Sign(x), g.Pow(g.Abs(x), 1 / 3))


def sinc(g: KerasBuilder, x: Value) -> Value:
    """sin(pi x) / (pi x), 1 at 0."""
    angle = g.Mul(x, math.pi)
    zero = g.Equal(angle, 0.0)
    return g.Where(zero, 1.0, g.Div(g.Sin(angle), g.Where(zero, 1.0, angle)))


def trunc(g: KerasBuilder, x: Any) -> Value:
    x = tensor(g, x)
    return g.Where(g.Less(x, 0.0), g.Ceil(x), g.Floor(x)) if is_float(x.dtype) else x


def finite(g: KerasBuilder, x: Any) -> Value:
    x = floating(g, x)
    return g.Not(g.Or(g.IsInf(x), g.IsNaN(x)))


def square(g: KerasBuilder, x: Any) -> Value:
    x = tensor(g, x)
    x = cast(g, x, INT) if x.dtype == np.bool_ else x
    return g.Mul(x, x)


def absolute(g: KerasBuilder, x: Any) -> Value:
    x = tensor(g, x)
    return x if x.dtype == np.bool_ else g.Abs(x)


def logical_not(g: KerasBuilder, x: Any) -> Value:
    return g.Not(truth(g, x))


def truth(g: KerasBuilder, x: Any) -> Value:
    return tensor(g, x, np.dtype(bool))


def same(g: KerasBuilder, x: Any) -> Value:
    return tensor(g, x)


def heavy(g: KerasBuilder, x: Value) -> Value:
    """erf's complement."""
    return g.Sub(1.0, g.Erf(x))


UNARY: dict[str, Unary] = {
    **{name: of_floats(op) for name, op in {
        "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Sin": "Sin", "Cos": "Cos", "Tan": "Tan", "Sinh": "Sinh",
        "Cosh": "Cosh", "Tanh": "Tanh", "Arcsin": "Asin", "Arccos": "Acos", "Arctan": "Atan", "Arcsinh": "Asinh",
        "Arccosh": "Acosh", "Arctanh": "Atanh", "Erf": "Erf", "Ceil": "Ceil", "Floor": "Floor", "Isnan": "IsNaN",
        "Isinf": "IsInf", "Reciprocal": "Reciprocal", "Fabs": "Abs",
    }.items()},
    "Isposinf": of_floats("IsInf", detect_negative=0), "Isneginf": of_floats("IsInf", detect_positive=0),
    "Negative": as_it_is("Neg"), "Sign": as_it_is("Sign"), "Absolute": absolute, "Abs": absolute, "Square": square,
    "Rsqrt": composed(rsqrt), "Log2": composed(log_base(2)), "Log10": composed(log_base(10)),
    "Log1p": composed(lambda g, x: g.Log(g.Add(x, 1.0))), "Expm1": composed(lambda g, x: g.Sub(g.Exp(x), 1.0)),
    "Exp2": composed(lambda g, x: g.Exp(g.Mul(x, math.log(2)))), "Cbrt": composed(cbrt), "Sinc": composed(sinc),
    "Deg2rad": composed(lambda g, x: g.Mul(x, math.pi / 180)),
    "Rad2deg": composed(lambda g, x: g.Mul(x, 180 / math.pi)), "Erfc": composed(heavy), "Trunc": trunc,
    "Isfinite": finite, "LogicalNot": logical_not, "BitwiseNot": as_it_is("BitwiseNot"),
    "BitwiseInvert": as_it_is("BitwiseNot"), "StopGradient": same, "Copy": same, "Real": same, "Conj": same,
    "Conjugate": same,
}  # fmt: skip
for _name, _function in UNARY.items():
    keras_op(_name)(_function)


for _name, _activation in {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "SparseSigmoid": "sparse_sigmoid",
    "Softplus": "softplus", "Softsign": "softsign", "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus",
    "Silu": "silu", "Squareplus": "squareplus", "LogSigmoid": "log_sigmoid", "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Elu": "elu", "Selu": "selu", "Celu": "celu",
    "Glu": "glu", "TanhShrink": "tanh_shrink", "HardTanh": "hard_tanh", "HardShrink": "hard_shrink",
    "Sparsemax": "sparsemax",
}.items():  # fmt: skip
    keras_op(_name)(ACTIVATIONS[_activation])


@keras_op("Gelu")
def gelu(g: KerasBuilder, x: Value, *, approximate: bool = True) -> Value:
    """As an operation it approximates unless it is told not to; as an activation it does not."""
    return ACTIVATIONS["gelu"](g, x, approximate=approximate)


@keras_op("Threshold")
def threshold(g: KerasBuilder, x: Value, *, threshold: float, default_value: float) -> Value:
    return g.Where(g.Greater(x, threshold), x, default_value)


@keras_op("Softmax")
def softmax(g: KerasBuilder, x: Value, *, axis: int | None = -1) -> Value:
    """Over all elements together where there is no axis."""
    return over_all(g, "Softmax", x) if axis is None else g.Softmax(x, axis=axis)


@keras_op("LogSoftmax")
def log_softmax(g: KerasBuilder, x: Value, *, axis: int | None = -1) -> Value:
    return over_all(g, "LogSoftmax", x) if axis is None else g.LogSoftmax(x, axis=axis)


def over_all(g: KerasBuilder, op: str, x: Value) -> Value:
    y: Value = g.Reshape(g.op(op, [g.Reshape(x, [-1])], axis=0), g.Shape(x))
    y.shape = x.shape
    return y


@keras_op("Signbit")
def signbit(g: KerasBuilder, x: Any) -> Value:
    """Of a float -0 has the sign too: its reciprocal is negative."""
    x = tensor(g, x)
    if not is_float(x.dtype):
        return g.Less(x, g.constant(0, x.dtype))
    return g.Or(g.Less(x, 0.0), g.And(g.Equal(x, 0.0), g.Less(g.Reciprocal(x), 0.0)))


@keras_op("Round")
def round_to(g: KerasBuilder, x: Any, *, decimals: int = 0) -> Value:
    """To even, at `decimals` digits after the point."""
    x = tensor(g, x)
    if not is_float(x.dtype):
        if decimals < 0:
            raise g.unsupported("integers rounded to tens")
        return x
    return g.Round(x) if not decimals else g.Mul(g.Round(g.Mul(x, 10.0**decimals)), 10.0**-decimals)


@keras_op("Clip")
def clip(g: KerasBuilder, x: Any, *, x_min: Any, x_max: Any) -> Value:
    x, low, high = operands(g, x, *(tensor_or_number(bound) for bound in (x_min, x_max)))
    return g.Min(g.Max(x, low), high) if x.dtype.kind in "iu" or low.rank or high.rank else g.Clip(x, low, high)


def tensor_or_number(item: Any) -> Any:
    return np.asarray(item) if isinstance(item, (list, tuple)) else item


@keras_op("NanToNum")
def nan_to_num(
    g: KerasBuilder, x: Any, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Value:
    """Infinities become the largest numbers of the type unless they are told."""
    x = tensor(g, x)
    if not is_float(x.dtype):
        return x
    limits = np.finfo(x.dtype)
    high, low = (limits.max if posinf is None else posinf), (limits.min if neginf is None else neginf)
    x = g.Where(g.IsNaN(x), float(nan), x)
    x = g.Where(g.IsInf(x, detect_negative=0), float(high), x)
    return g.Where(g.IsInf(x, detect_positive=0), float(low), x)


@keras_op("Cast", "View")
def cast_to(g: KerasBuilder, x: Any, *, dtype: Any) -> Value:
    x, wanted = tensor(g, x), dtype_named(g, dtype)
    if g.type == "View" and x.dtype != wanted:
        raise g.unsupported("the bits of one type as another")
    return cast(g, x, wanted)


@keras_op("SaturateCast")
def saturate_cast(g: KerasBuilder, x: Any, *, dtype: Any) -> Value:
    """To the nearest number that the type has."""
    x, wanted = tensor(g, x), dtype_named(g, dtype)
    if wanted.kind not in "iu" or wanted.itemsize > 2:
        raise g.unsupported(f"saturate_cast to {wanted}")
    limits = np.iinfo(wanted)
    return cast(g, g.Min(g.Max(x, g.constant(limits.min, x.dtype)), g.constant(limits.max, x.dtype)), wanted)


@keras_op("ConvertToTensor", "Array")
def convert_to_tensor(
    g: KerasBuilder, x: Any, *, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Value:
    if sparse or ragged:
        raise g.unsupported("sparse and ragged tensors")
    return tensor(g, x, None if dtype is None else dtype_named(g, dtype))


# ----------------------------------------------------------------- two operands


def of_two(op: str, *, floats: bool = False) -> Binary:
    """One ONNX operator on two arguments of their common type."""

    def function(g: KerasBuilder, x1: Any, x2: Any) -> Value:
        y: Value = g.op(op, operands(g, x1, x2, floating=floats))
        return y

    return function


def of_truths(op: str) -> Binary:
    def function(g: KerasBuilder, x1: Any, x2: Any) -> Value:
        y: Value = g.op(op, [truth(g, x1), truth(g, x2)])
        return y

    return function


def made_of_two(make: Callable[[KerasBuilder, Value, Value], Value], *, floats: bool = False) -> Binary:
    def function(g: KerasBuilder, x1: Any, x2: Any) -> Value:
        return make(g, *operands(g, x1, x2, floating=floats))

    return function


def negated(op: str) -> Binary:
    return made_of_two(lambda g, a, b: g.Not(g.op(op, [a, b])))


def numeric(op: str, of_booleans: str) -> Binary:
    """An ONNX operator on numbers; on booleans another one."""
    return made_of_two(lambda g, a, b: g.op(of_booleans if a.dtype == np.bool_ else op, [a, b]))


def divide_no_nan(g: KerasBuilder, a: Value, b: Value) -> Value:
    """0 where the divisor is."""
    zero = g.Equal(b, 0.0)
    return g.Where(zero, 0.0, g.Div(a, g.Where(zero, 1.0, b)))


def modulo(g: KerasBuilder, a: Value, b: Value) -> Value:
    """The remainder with the sign of the divisor."""
    if not is_float(a.dtype):
        return g.Mod(a, b)
    rest = g.Mod(a, b, fmod=1)
    other = g.And(g.Not(g.Equal(rest, 0.0)), g.Xor(g.Less(rest, 0.0), g.Less(b, 0.0)))
    return g.Where(other, g.Add(rest, b), rest)


def floor_divide(g: KerasBuilder, a: Value, b: Value) -> Value:
    return g.Floor(g.Div(a, b)) if is_float(a.dtype) else g.Div(g.Sub(a, g.Mod(a, b)), b)


def extreme_number(op: str) -> Binary:
    """The larger or smaller one; a NaN only if both are."""
    return made_of_two(
        lambda g, a, b: (
            g.op(op, [g.Where(g.IsNaN(a), b, a), g.Where(g.IsNaN(b), a, b)]) if is_float(a.dtype) else g.op(op, [a, b])
        )
    )


def arctan2(g: KerasBuilder, y: Value, x: Value) -> Value:
    """The angle of (x, y), from atan(y / x) by quadrants."""
    zero = g.Equal(x, 0.0)
    angle = g.Atan(g.Div(y, g.Where(zero, 1.0, x)))
    turn = g.Where(g.Less(y, 0.0), -math.pi, math.pi)
    upright = g.Mul(g.Sign(y), math.pi / 2)
    return g.Where(zero, upright, g.Where(g.Less(x, 0.0), g.Add(angle, turn), angle))


def logaddexp(g: KerasBuilder, a: Value, b: Value) -> Value:
    return g.Add(g.Max(a, b), g.Log(g.Add(g.Exp(g.Neg(g.Abs(g.Sub(a, b)))), 1.0)))


def logaddexp2(g: KerasBuilder, a: Value, b: Value) -> Value:
    return g.Div(logaddexp(g, g.Mul(a, math.log(2)), g.Mul(b, math.log(2))), math.log(2))


def shifted(direction: str) -> Binary:
    """ONNX shifts unsigned numbers only: a shift to the left is a product, one to the right a floored quotient."""

    def make(g: KerasBuilder, a: Value, b: Value) -> Value:
        if a.dtype is not None and a.dtype.kind == "u":
            y: Value = g.BitShift(a, b, direction=direction)
            return y
        power = g.Pow(g.constant(2, a.dtype), b)
        return g.Mul(a, power) if direction == "LEFT" else floor_divide(g, a, power)

    return made_of_two(make)


BINARY: dict[str, Binary] = {
    "Add": numeric("Add", "Or"), "Subtract": of_two("Sub"), "Multiply": numeric("Mul", "And"),
    "Divide": of_two("Div", floats=True), "TrueDivide": of_two("Div", floats=True),
    "DivideNoNan": made_of_two(divide_no_nan, floats=True), "Power": of_two("Pow"), "Mod": made_of_two(modulo),
    "Fmod": made_of_two(lambda g, a, b: g.Mod(a, b, fmod=1)), "FloorDivide": made_of_two(floor_divide),
    "Maximum": numeric("Max", "Or"), "Minimum": numeric("Min", "And"), "Fmax": extreme_number("Max"),
    "Fmin": extreme_number("Min"), "Equal": of_two("Equal"), "NotEqual": negated("Equal"),
    "Greater": of_two("Greater"), "GreaterEqual": of_two("GreaterOrEqual"), "Less": of_two("Less"),
    "LessEqual": of_two("LessOrEqual"), "LogicalAnd": of_truths("And"), "LogicalOr": of_truths("Or"),
    "LogicalXor": of_truths("Xor"), "Arctan2": made_of_two(arctan2, floats=True),
    "Hypot": made_of_two(lambda g, a, b: g.Sqrt(g.Add(g.Mul(a, a), g.Mul(b, b))), floats=True),
    "Logaddexp": made_of_two(logaddexp, floats=True), "Logaddexp2": made_of_two(logaddexp2, floats=True),
    "Heaviside": made_of_two(lambda g, a, b: g.Where(g.Equal(a, 0.0), b, cast(g, g.Greater(a, 0.0), a.dtype)),
                             floats=True),
    "Ldexp": lambda g, a, b: g.Mul(floating(g, a), g.Pow(g.constant(2.0, np.float32), floating(g, b))),
}  # fmt: skip
for _name, _two in BINARY.items():
    keras_op(_name)(_two)


def bits(op: str) -> Callable[..., Value]:
    def function(g: KerasBuilder, x: Any, y: Any) -> Value:
        logical = {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor"}[op]
        return numeric(op, logical)(g, x, y)

    return function


for _name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    keras_op(_name)(bits(_name))


@keras_op("LeftShift", "BitwiseLeftShift")
def left_shift(g: KerasBuilder, x: Any, y: Any) -> Value:
    return shifted("LEFT")(g, x, y)


@keras_op("RightShift", "BitwiseRightShift")
def right_shift(g: KerasBuilder, x: Any, y: Any) -> Value:
    return shifted("RIGHT")(g, x, y)


@keras_op("Isclose")
def isclose(
    g: KerasBuilder, x1: Any, x2: Any, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    """|a - b| <= atol + rtol |b|, or both the same infinity."""
    a, b = operands(g, x1, x2, floating=True)
    near = g.LessOrEqual(g.Abs(g.Sub(a, b)), g.Add(g.Mul(g.Abs(b), rtol), atol))
    close = g.Or(g.And(near, g.Not(g.IsInf(b))), g.Equal(a, b))
    return g.Or(close, g.And(g.IsNaN(a), g.IsNaN(b))) if equal_nan else close


@keras_op("Where")
def where(g: KerasBuilder, condition: Any, x1: Any = None, x2: Any = None) -> Value:
    """`x1` where the condition holds, otherwise `x2`."""
    if x1 is None or x2 is None:
        raise g.unsupported("the places where a condition holds: as many as the data say")
    return g.Where(truth(g, condition), *operands(g, x1, x2))


@keras_op("Select")
def select(g: KerasBuilder, condlist: Any, choicelist: Any, default: Any = 0) -> Value:
    """The choice of the first condition that holds."""
    dtype = common([*choicelist, default])
    chosen = tensor(g, default, dtype)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        chosen = g.Where(truth(g, condition), tensor(g, choice, dtype), chosen)
    return chosen
