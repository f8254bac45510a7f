"""Caffe layers that act on each element."""

from __future__ import annotations

from math import log

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.textproto import Message
from netglot.ir.graph import Value

_SAME = {"AbsVal": "Abs", "BNLL": "Softplus", "Mish": "Mish", "Sigmoid": "Sigmoid", "TanH": "Tanh"}  # BNLL: ln(1 + e^x)


@caffe_layer(*_SAME)
def elementwise(g: CaffeBuilder, x: Value) -> Value:
    """Layers without parameters that are one ONNX operator."""
    return g.op(_SAME[g.type], [x])


def linear(g: CaffeBuilder, x: Value, scale: float, shift: float) -> Value:
    """scale x + shift, without what changes nothing."""
    x = x if scale == 1 else g.Mul(x, scale)
    return g.Add(x, shift) if shift else x


@caffe_layer("Clip")
def clip(g: CaffeBuilder, x: Value, *, min: float, max: float) -> Value:
    return g.Clip(x, g.constant(min, np.float32), g.constant(max, np.float32))


@caffe_layer("Dropout")
def dropout(g: CaffeBuilder, x: Value, *, dropout_ratio: float = 0.5) -> Value:
    """Caffe scales while training, so at inference nothing remains (dropout_layer.cpp)."""
    return x


@caffe_layer("ELU")
def elu(g: CaffeBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    return g.Elu(x, alpha=alpha)


@caffe_layer("Exp")
def exp(g: CaffeBuilder, x: Value, *, base: float = -1.0, scale: float = 1.0, shift: float = 0.0) -> Value:
    """base ^ (scale x + shift); a base of -1 is e. As in exp_layer.cpp the shift becomes a factor."""
    rate = _ln(g, base)
    return linear(g, g.Exp(linear(g, x, rate * scale, 0)), float(np.exp(rate * shift)), 0)


@caffe_layer("Log")
def logarithm(g: CaffeBuilder, x: Value, *, base: float = -1.0, scale: float = 1.0, shift: float = 0.0) -> Value:
    """Logarithm of scale x + shift; a base of -1 is e."""
    return linear(g, g.Log(linear(g, x, scale, shift)), 1 / _ln(g, base), 0)


def _ln(g: CaffeBuilder, base: float) -> float:
    if base != -1 and (base <= 0 or base == 1):
        raise ConversionError(f"{base} is no base of a logarithm", g.origin)
    return 1.0 if base == -1 else log(base)


@caffe_layer("Power")
def power(g: CaffeBuilder, x: Value, *, power: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> Value:
    """(scale x + shift) ^ power; a constant where one of both is zero, whatever x is (power_layer.cpp)."""
    if power * scale == 0:
        return g.full(x.sizes, 1.0 if power == 0 else float(np.float32(shift) ** power))
    base = linear(g, x, scale, shift)
    if power in (1, 2):
        return base if power == 1 else g.Mul(base, base)
    short = {0.5: "Sqrt", -1: "Reciprocal"}.get(power)
    return g.op(short, [base]) if short else g.Pow(base, power)


@caffe_layer("PReLU")
def prelu(
    g: CaffeBuilder, x: Value, slope: Value | None = None, *, channel_shared: bool = False,
    filler: Message | None = None,
) -> Value:  # fmt: skip
    """One slope for each channel, or one for all."""
    shape = (1,) if channel_shared else (x.sizes[1], *(1,) * (x.rank - 2))
    return g.PRelu(x, g.filled(slope, filler, 0.25, *shape))


@caffe_layer("ReLU")
def relu(g: CaffeBuilder, x: Value, *, negative_slope: float = 0.0) -> Value:
    return g.LeakyRelu(x, alpha=negative_slope) if negative_slope else g.Relu(x)


@caffe_layer("ReLU6")
def relu6(g: CaffeBuilder, x: Value, *, negative_slope: float = 0.0) -> Value:
    """min(ReLU(x), 6), of the SSD and YOLO forks."""
    if negative_slope:
        return g.Min(g.LeakyRelu(x, alpha=negative_slope), 6.0)
    return clip(g, x, min=0, max=6)


@caffe_layer("Softmax")
def softmax(g: CaffeBuilder, x: Value, *, axis: int = 1) -> Value:
    return g.Softmax(x, axis=g.axis(x, axis))


@caffe_layer("Swish")
def swish(g: CaffeBuilder, x: Value, *, beta: float = 1.0) -> Value:
    """x sigmoid(beta x), swish_layer.cpp."""
    return g.Mul(x, g.Sigmoid(linear(g, x, beta, 0)))


@caffe_layer("Threshold")
def threshold(g: CaffeBuilder, x: Value, *, threshold: float = 0.0) -> Value:
    """1 where x is above the threshold, otherwise 0."""
    return g.Cast(g.Greater(x, threshold), to=1)
