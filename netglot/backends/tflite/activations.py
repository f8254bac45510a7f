"""Activations: TFLite's own, and those composed of its operators."""

from __future__ import annotations

from math import isclose, sqrt

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.sides import alike, over_axis
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.ir.graph import Value


@tflite_op("LeakyRelu", layout=alike)
def leaky_relu(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float) -> None:
    m.op("LEAKY_RELU", [x], [y], tfl.LeakyReluOptionsT(alpha=alpha))


@tflite_op("PRelu", layout=alike)
def prelu(m: TFLiteBuilder, x: Value, slope: Value, y: Value) -> None:
    """PRELU broadcasts the slope as all TFLite operators do."""
    m.op("PRELU", [x, m.operand(slope, y)], [y])


@tflite_op("Elu", layout=alike)
def elu(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float) -> None:
    """ELU has alpha = 1; another scales its negative side, which is all that MINIMUM(elu, 0) holds."""
    if alpha == 1:
        m.op("ELU", [x], [y])
    else:
        scaled_elu(m, x, y, alpha, 1.0)


@tflite_op("Selu", layout=alike)
def selu(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float, gamma: float) -> None:
    scaled_elu(m, x, y, alpha * gamma, gamma)


def scaled_elu(m: TFLiteBuilder, x: Value, y: Value, negative: float, positive: float) -> None:
    """positive * max(x, 0) + negative * elu(min(x, 0))."""
    below = m.emit("MUL", m.emit("ELU", m.emit("MINIMUM", x, 0.0)), negative)
    above = m.emit("RELU", x)
    m.op("ADD", [above if positive == 1 else m.emit("MUL", above, positive), below], [y])


@tflite_op("Celu", layout=alike)
def celu(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float) -> None:
    """max(x, 0) + alpha * elu(min(x, 0) / alpha)."""
    below = m.emit("MUL", m.emit("ELU", m.emit("MUL", m.emit("MINIMUM", x, 0.0), 1 / alpha)), alpha)
    m.op("ADD", [m.emit("RELU", x), below], [y])


@tflite_op("HardSigmoid", layout=alike)
def hard_sigmoid(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float, beta: float) -> None:
    """Where alpha is 1/6, RELU6(x + 6 beta) / 6: the addition absorbs the clipping."""
    if isclose(alpha, 1 / 6, rel_tol=1e-6):
        m.op("MUL", [m.emit("RELU6", m.emit("ADD", x, 6 * float(beta))), m.number(1 / 6, x)], [y])
        return
    m.finish(unit_clip(m, m.emit("ADD", m.emit("MUL", x, float(alpha)), float(beta))), y)


def unit_clip(m: TFLiteBuilder, x: int) -> int:
    """x limited to 0...1 (RELU_0_TO_1 is young: few delegates have it)."""
    return m.emit("MINIMUM", m.emit("RELU", x), 1.0)


@tflite_op("ThresholdedRelu", layout=alike)
def thresholded_relu(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float) -> None:
    m.op("SELECT_V2", [m.emit("GREATER", x, float(alpha), dtype=bool), x, m.number(0.0, x)], [y])


@tflite_op("Shrink", layout=alike)
def shrink(m: TFLiteBuilder, x: Value, y: Value, *, bias: float, lambd: float) -> None:
    """x + bias below -lambd, x - bias above lambd, zero between."""
    zero = m.number(0.0, x)
    below, above = m.emit("LESS", x, -float(lambd), dtype=bool), m.emit("GREATER", x, float(lambd), dtype=bool)
    high = m.emit("SELECT_V2", above, m.emit("SUB", x, float(bias)), zero, dtype=m.dtype(x))
    m.op("SELECT_V2", [below, m.emit("ADD", x, float(bias)), high], [y])


@tflite_op("Softplus", layout=alike)
def softplus(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.finish(softplus_of(m, x), y)


def softplus_of(m: TFLiteBuilder, x: Value) -> int:
    """max(x, 0) + log(1 + exp(-|x|)), where that is -log(sigmoid(|x|)): nothing overflows."""
    return m.emit("SUB", m.emit("RELU", x), m.emit("LOG", m.emit("LOGISTIC", m.emit("ABS", x))))


@tflite_op("Softsign", layout=alike)
def softsign(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("DIV", [x, m.emit("ADD", m.emit("ABS", x), 1.0)], [y])


@tflite_op("Mish", layout=alike)
def mish(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("MUL", [x, m.emit("TANH", softplus_of(m, x))], [y])


@tflite_op("Swish", layout=alike)
def swish(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float) -> None:
    scaled = m.tensor(x) if alpha == 1 else m.emit("MUL", x, float(alpha))
    m.op("MUL", [x, m.emit("LOGISTIC", scaled)], [y])


@tflite_op("Gelu", layout=alike)
def gelu(m: TFLiteBuilder, x: Value, y: Value, *, approximate: str) -> None:
    m.op("GELU", [x], [y], tfl.GeluOptionsT(approximate=approximate == "tanh"))


ERF_IS_ONE = 4.2  # from here on, for float32


@tflite_op("Erf", layout=alike)
def erf(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """With z = sqrt(2) x, gelu(z) + gelu(-z) = z erf(x), which is even: divided by |z| it lacks only the sign."""
    inside = m.emit("MINIMUM", m.emit("MAXIMUM", x, -ERF_IS_ONE), ERF_IS_ONE)
    z = m.emit("MUL", inside, sqrt(2))
    even = m.emit("ADD", m.emit("GELU", z), m.emit("GELU", m.emit("NEG", z)))
    size = m.emit("DIV", even, m.emit("MAXIMUM", m.emit("ABS", z), 1e-30))
    m.op("MUL", [size, m.emit("SIGN", x)], [y])


@tflite_op("Tan", layout=alike)
def tan(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("DIV", [m.emit("SIN", x), m.emit("COS", x)], [y])


@tflite_op("Atan", layout=alike)
def atan(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("ATAN2", [x, ones(m, x)], [y])


def ones(m: TFLiteBuilder, x: Value) -> int:
    """ATAN2 does not broadcast: x's shape full of ones."""
    return m.constant(np.ones(m.shape(x), x.dtype))


@tflite_op("Asin", layout=alike)
def asin(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("ATAN2", [x, cosine_of(m, x)], [y])


@tflite_op("Acos", layout=alike)
def acos(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("ATAN2", [cosine_of(m, x), x], [y])


def cosine_of(m: TFLiteBuilder, sine: Value) -> int:
    """sqrt((1 - sine) (1 + sine)), exact near its zeros."""
    low, high = m.emit("SUB", m.number(1.0, sine), sine), m.emit("ADD", sine, 1.0)
    return m.emit("SQRT", m.emit("MUL", low, high))


@tflite_op("Sinh", layout=alike)
def sinh(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """Half of exp(x) - exp(-x), which near zero cancel: there 2 t / (1 - t^2), where t = tanh(x / 2)."""
    far = m.emit("MUL", m.emit("SUB", m.emit("EXP", x), m.emit("EXP", m.emit("NEG", x))), 0.5)
    t = m.emit("TANH", m.emit("MUL", x, 0.5))
    near = m.emit("DIV", m.emit("MUL", t, 2.0), m.emit("SUB", m.number(1.0, t), m.emit("MUL", t, t)))
    m.op("SELECT_V2", [m.emit("LESS", m.emit("ABS", x), 1.0, dtype=bool), near, far], [y])


@tflite_op("Cosh", layout=alike)
def cosh(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("MUL", [m.emit("ADD", m.emit("EXP", x), m.emit("EXP", m.emit("NEG", x))), 0.5], [y])


@tflite_op("Softmax", layout=over_axis)
def softmax(m: TFLiteBuilder, x: Value, y: Value, *, axis: int) -> None:
    over_last(m, "SOFTMAX", x, y, axis, tfl.SoftmaxOptionsT(beta=1.0))


@tflite_op("LogSoftmax", layout=over_axis)
def log_softmax(m: TFLiteBuilder, x: Value, y: Value, *, axis: int) -> None:
    over_last(m, "LOG_SOFTMAX", x, y, axis)


def over_last(m: TFLiteBuilder, name: str, x: Value, y: Value, axis: int, options: object = None) -> None:
    """TFLite's kernel is over the last axis in memory; another is moved there and back."""
    at = m.axis(x, axis)
    if at == x.rank - 1:
        m.op(name, [x], [y], options)
        return
    there = moved_last(x.rank, at)
    m.transpose(m.emit(name, m.transposed(x, there), options=options), y, [there.index(i) for i in range(x.rank)])


def moved_last(rank: int, axis: int) -> list[int]:
    """The permutation that makes `axis` the last one."""
    return [*(i for i in range(rank) if i != axis), axis]
