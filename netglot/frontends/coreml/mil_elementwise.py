"""MIL operations on each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml.builder import CoreMLBuilder, mil_op
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

# MIL -> ONNX, where both mean the same.
_UNARY = {
    "abs": "Abs", "acos": "Acos", "asin": "Asin", "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos",
    "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "identity": "Identity", "logical_not": "Not",
    "relu": "Relu", "round": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "softplus": "Softplus", "softsign": "Softsign", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_BINARY = {
    "add": "Add", "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "maximum": "Max",
    "minimum": "Min", "mul": "Mul", "pow": "Pow", "sub": "Sub",
}  # fmt: skip
CASTS = {"fp16": "float16", "fp32": "float32", "fp64": "float64"}  # other names are NumPy's


def _register_unary(mil: str, onnx: str) -> None:
    @mil_op(mil)
    def unary(g: CoreMLBuilder, *, x: Value) -> Value:
        return g.op(onnx, [x])


def _register_binary(mil: str, onnx: str) -> None:
    @mil_op(mil)
    def binary(g: CoreMLBuilder, *, x: Value, y: Value) -> Value:
        return g.op(onnx, [x, y])


for _mil, _onnx in _UNARY.items():
    _register_unary(_mil, _onnx)
for _mil, _onnx in _BINARY.items():
    _register_binary(_mil, _onnx)


# ------------------------------------------------------------------ arithmetic


@mil_op("not_equal")
def not_equal(g: CoreMLBuilder, *, x: Value, y: Value) -> Value:
    return g.Not(g.Equal(x, y))


@mil_op("real_div")
def real_div(g: CoreMLBuilder, *, x: Value, y: Value) -> Value:
    if x.dtype == np.int32:
        x, y = g.Cast(x, to=to_onnx(np.dtype("float64"))), g.Cast(y, to=to_onnx(np.dtype("float64")))
    return g.Div(x, y)


@mil_op("floor_div")
def floor_div(g: CoreMLBuilder, *, x: Value, y: Value) -> Value:
    return g.Floor(real_div(g, x=x, y=y))


@mil_op("mod")
def mod(g: CoreMLBuilder, *, x: Value, y: Value) -> Value:
    """The rest has the divisor's sign, where C's fmod gives the dividend's."""
    if x.dtype == np.int32:
        return g.Mod(x, y)
    rest, zero = g.Mod(x, y, fmod=1), g.like(x, 0)
    other = g.Xor(g.Less(rest, zero), g.Less(y, zero))
    return g.Where(g.And(other, g.Not(g.Equal(rest, zero))), g.Add(rest, y), rest)


@mil_op("square")
def square(g: CoreMLBuilder, *, x: Value) -> Value:
    return g.Mul(x, x)


@mil_op("exp2")
def exp2(g: CoreMLBuilder, *, x: Value) -> Value:
    return g.Pow(g.like(x, 2), x)


@mil_op("log")
def log(g: CoreMLBuilder, *, x: Value, epsilon: float = 1e-45) -> Value:
    return g.Log(_plus(g, x, epsilon))


@mil_op("rsqrt")
def rsqrt(g: CoreMLBuilder, *, x: Value, epsilon: float = 1e-12) -> Value:
    return g.Reciprocal(g.Sqrt(_plus(g, x, epsilon)))


@mil_op("inverse")
def inverse(g: CoreMLBuilder, *, x: Value, epsilon: float = 1e-4) -> Value:
    return g.Reciprocal(_plus(g, x, epsilon))


def _plus(g: CoreMLBuilder, x: Value, epsilon: float) -> Value:
    return g.Add(x, g.like(x, epsilon)) if epsilon else x


@mil_op("clip")
def clip(g: CoreMLBuilder, *, x: Value, alpha: float = -np.inf, beta: float = np.inf) -> Value:
    return g.Clip(x, g.like(x, alpha), g.like(x, beta))


@mil_op("threshold")
def threshold(g: CoreMLBuilder, *, x: Value, alpha: float) -> Value:
    return g.Max(x, g.like(x, alpha))


@mil_op("cast")
def cast(g: CoreMLBuilder, *, x: Value, dtype: str) -> Value:
    return g.Cast(x, to=to_onnx(np.dtype(CASTS.get(dtype, dtype))))


@mil_op("select")
def select(g: CoreMLBuilder, *, cond: Value, a: Value, b: Value) -> Value:
    """Of booleans by logic: ONNX Runtime has no kernel for their Where."""
    if a.dtype == np.bool_:
        return g.Or(g.And(cond, a), g.And(g.Not(cond), b))
    return g.Where(cond, a, b)


# ----------------------------------------------------------------- activations


@mil_op("relu6")
def relu6(g: CoreMLBuilder, *, x: Value) -> Value:
    return g.Clip(x, g.like(x, 0), g.like(x, 6))


@mil_op("clamped_relu")
def clamped_relu(g: CoreMLBuilder, *, x: Value, alpha: float, beta: float) -> Value:
    return g.Min(g.LeakyRelu(x, alpha=alpha), g.like(x, beta))


@mil_op("leaky_relu")
def leaky_relu(g: CoreMLBuilder, *, x: Value, alpha: float = 0.01) -> Value:
    return g.LeakyRelu(x, alpha=alpha)


@mil_op("thresholded_relu")
def thresholded_relu(g: CoreMLBuilder, *, x: Value, alpha: float = 1.0) -> Value:
    """x where x >= alpha (ONNX's operator has > instead)."""
    return g.Where(g.GreaterOrEqual(x, g.like(x, alpha)), x, g.like(x, 0))


@mil_op("prelu")
def prelu(g: CoreMLBuilder, *, x: Value, alpha: np.ndarray) -> Value:
    return g.PRelu(x, g.vector(alpha, x.rank, 1))


@mil_op("elu")
def elu(g: CoreMLBuilder, *, x: Value, alpha: float = 1.0) -> Value:
    return g.Elu(x, alpha=alpha)


@mil_op("gelu")
def gelu(g: CoreMLBuilder, *, x: Value, mode: str = "EXACT") -> Value:
    if mode == "SIGMOID_APPROXIMATION":
        return g.Mul(x, g.Sigmoid(g.Mul(x, g.like(x, 1.702))))
    if mode not in ("EXACT", "TANH_APPROXIMATION"):
        raise UnsupportedError(f"gelu by {mode}", g.origin)
    return g.Gelu(x, approximate="none" if mode == "EXACT" else "tanh")


@mil_op("silu")
def silu(g: CoreMLBuilder, *, x: Value) -> Value:
    return g.Mul(x, g.Sigmoid(x))


@mil_op("linear_activation")
def linear_activation(g: CoreMLBuilder, *, x: Value, alpha: float, beta: float = 0.0) -> Value:
    return g.Add(g.Mul(x, g.like(x, alpha)), g.like(x, beta))


@mil_op("scaled_tanh")
def scaled_tanh(g: CoreMLBuilder, *, x: Value, alpha: float = 1.0, beta: float = 1.0) -> Value:
    return g.Mul(g.Tanh(g.Mul(x, g.like(x, beta))), g.like(x, alpha))


@mil_op("sigmoid_hard")
def sigmoid_hard(g: CoreMLBuilder, *, x: Value, alpha: float = 0.2, beta: float = 0.5) -> Value:
    return g.HardSigmoid(x, alpha=alpha, beta=beta)


@mil_op("softplus_parametric")
def softplus_parametric(g: CoreMLBuilder, *, x: Value, alpha: np.ndarray, beta: np.ndarray) -> Value:
    return g.Mul(g.Softplus(g.Mul(x, g.vector(beta, x.rank, 1))), g.vector(alpha, x.rank, 1))


@mil_op("softmax")
def softmax(g: CoreMLBuilder, *, x: Value, axis: int = -1) -> Value:
    return g.Softmax(x, axis=axis)


# ------------------------------------------------------------------ classifier


@mil_op("classify")
def classify(g: CoreMLBuilder, *, probabilities: Value, classes: Any) -> tuple[None, Value]:
    """The label is no tensor; the probabilities are what a graph can give."""
    g.warn("the label of the classifier is left out; its probabilities are the output")
    return None, probabilities
