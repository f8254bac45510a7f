"""Layers on each element."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml.builder import CoreMLBuilder, nn_layer
from netglot.frontends.coreml.weights import Quantised, numbers, shaped
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

_UNARY = {
    "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "copy": "Identity", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "floor": "Floor",
    "round": "Round", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_BROADCASTABLE = {
    "addBroadcastable": "Add", "divideBroadcastable": "Div", "maxBroadcastable": "Max", "minBroadcastable": "Min",
    "multiplyBroadcastable": "Mul", "powBroadcastable": "Pow", "subtractBroadcastable": "Sub",
}  # fmt: skip
_COMPARISONS = {
    "equal": "Equal", "greaterEqual": "GreaterOrEqual", "greaterThan": "Greater", "lessEqual": "LessOrEqual",
    "lessThan": "Less",
}  # fmt: skip
_LOGICAL = {"logicalAnd": "And", "logicalNot": "Not", "logicalOr": "Or", "logicalXor": "Xor"}
_FOLDS = {"add": "Add", "max": "Max", "min": "Min", "multiply": "Mul"}


def _register_unary(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def unary(g: CoreMLBuilder, x: Value) -> Value:
        return g.op(onnx, [x])


def _register_broadcastable(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def binary(g: CoreMLBuilder, x: Value, y: Value) -> Value:
        return g.op(onnx, [x, y])


def _register_fold(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def fold(g: CoreMLBuilder, *values: Value, alpha: float | None = None) -> Value:
        """A single input is combined with alpha."""
        others = [*values, g.like(values[0], alpha)] if len(values) == 1 and alpha is not None else values
        return reduce(lambda a, b: g.op(onnx, [a, b]), others)


def _register_comparison(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def compare(g: CoreMLBuilder, x: Value, y: Value | None = None, *, alpha: float) -> Value:
        """With a second input, or with alpha; everything in a network is a float, so 1 stands for true."""
        return _float(g, g.op(onnx, [x, g.like(x, alpha) if y is None else y]))


def _register_logical(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def logical(g: CoreMLBuilder, *values: Value) -> Value:
        return _float(g, g.op(onnx, [_bool(g, value) for value in values]))


def _float(g: CoreMLBuilder, x: Value) -> Value:
    return g.Cast(x, to=to_onnx(np.dtype(np.float32)))


def _bool(g: CoreMLBuilder, x: Value) -> Value:
    return g.Cast(x, to=to_onnx(np.dtype(np.bool_)))


for _layer, _onnx in _COMPARISONS.items():
    _register_comparison(_layer, _onnx)
for _layer, _onnx in _LOGICAL.items():
    _register_logical(_layer, _onnx)
for _layer, _onnx in _UNARY.items():
    _register_unary(_layer, _onnx)
for _layer, _onnx in _BROADCASTABLE.items():
    _register_broadcastable(_layer, _onnx)
for _layer, _onnx in _FOLDS.items():
    _register_fold(_layer, _onnx)


@nn_layer("notEqual")
def not_equal(g: CoreMLBuilder, x: Value, y: Value | None = None, *, alpha: float) -> Value:
    return _float(g, g.Not(g.Equal(x, g.like(x, alpha) if y is None else y)))


@nn_layer("whereBroadcastable")
def where(g: CoreMLBuilder, condition: Value, a: Value, b: Value) -> Value:
    return g.Where(_bool(g, condition), a, b)


@nn_layer("floorDivBroadcastable")
def floor_div(g: CoreMLBuilder, x: Value, y: Value) -> Value:
    return g.Floor(g.Div(x, y))


@nn_layer("average")
def average(g: CoreMLBuilder, *values: Value) -> Value:
    return g.Mean(*values)


@nn_layer("clip")
def clip(g: CoreMLBuilder, x: Value, *, minVal: float, maxVal: float) -> Value:
    return g.Clip(x, g.like(x, minVal), g.like(x, maxVal))


@nn_layer("softmax")
def softmax(g: CoreMLBuilder, x: Value) -> Value:
    """Over the channels."""
    return g.Softmax(x, axis=-3 if x.rank >= 3 else -1)


@nn_layer("softmaxND")
def softmax_nd(g: CoreMLBuilder, x: Value, *, axis: int) -> Value:
    return g.Softmax(x, axis=axis)


@nn_layer("gelu")
def gelu(g: CoreMLBuilder, x: Value, *, mode: int) -> Value:
    if mode == 2:
        return g.Mul(x, g.Sigmoid(g.Mul(x, g.like(x, 1.702))))
    return g.Gelu(x, approximate=("none", "tanh")[mode])


# ---------------------------------------------------------------------- unary


@nn_layer("unary")
def unary_function(
    g: CoreMLBuilder, x: Value, *, type: int, alpha: float, epsilon: float, shift: float, scale: float
) -> Value:
    """f(scale x + shift); an absent scale means one. `type` is UnaryFunctionLayerParams.Operation."""
    x = g.Mul(x, g.like(x, scale)) if scale not in (0, 1) else x
    x = g.Add(x, g.like(x, shift)) if shift else x
    if type in (1, 2, 5):  # RSQRT, INVERSE, LOG: away from zero
        x = g.Add(x, g.like(x, epsilon)) if epsilon else x
    simple = {0: g.Sqrt, 2: g.Reciprocal, 4: g.Exp, 5: g.Log, 6: g.Abs}
    if type in simple:
        return simple[type](x)
    if type == 1:
        return g.Reciprocal(g.Sqrt(x))
    return g.Pow(x, g.like(x, alpha)) if type == 3 else g.Max(x, g.like(x, alpha))


# ----------------------------------------------------------------- activation


@nn_layer("activation")
def activation(
    g: CoreMLBuilder, x: Value, *, linear: Any | None = None, ReLU: Any | None = None, leakyReLU: Any | None = None,
    thresholdedReLU: Any | None = None, PReLU: Any | None = None, tanh: Any | None = None,
    scaledTanh: Any | None = None, sigmoid: Any | None = None, sigmoidHard: Any | None = None,
    ELU: Any | None = None, softsign: Any | None = None, softplus: Any | None = None,
    parametricSoftplus: Any | None = None,
) -> Value:  # fmt: skip
    """The one that is set."""
    plain = {"Relu": ReLU, "Tanh": tanh, "Sigmoid": sigmoid, "Softsign": softsign, "Softplus": softplus}
    for op, chosen in plain.items():
        if chosen is not None:
            return g.op(op, [x])
    scaled = {_linear: linear, _leaky: leakyReLU, _thresholded: thresholdedReLU, _prelu: PReLU, _hard: sigmoidHard,
              _scaled_tanh: scaledTanh, _elu: ELU, _softplus: parametricSoftplus}  # fmt: skip
    for function, chosen in scaled.items():
        if chosen is not None:
            return function(g, x, chosen)
    raise UnsupportedError("an activation of no known kind", g.origin)


def _linear(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.Add(g.Mul(x, g.like(x, p.alpha)), g.like(x, p.beta))


def _leaky(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.LeakyRelu(x, alpha=p.alpha)


def _thresholded(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.Where(g.GreaterOrEqual(x, g.like(x, p.alpha)), x, g.like(x, 0))


def _prelu(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.PRelu(x, _vector(g, p.alpha, x))


def _scaled_tanh(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.Mul(g.Tanh(g.Mul(x, g.like(x, p.beta))), g.like(x, p.alpha))


def _hard(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.HardSigmoid(x, alpha=p.alpha, beta=p.beta)


def _elu(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.Elu(x, alpha=p.alpha)


def _softplus(g: CoreMLBuilder, x: Value, p: Any) -> Value:
    return g.Mul(g.Softplus(g.Mul(x, _vector(g, p.beta, x))), _vector(g, p.alpha, x))


def _vector(g: CoreMLBuilder, params: Any, x: Value) -> Value:
    """One number for each channel, or one for all."""
    axis = -3 if x.rank >= 3 else -1
    data = numbers(params, g.origin)
    return g.vector(shaped(data, x.sizes[axis:][:1], g.origin) if isinstance(data, Quantised) else data, x.rank, axis)
