"""Activations and softmaxes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value

_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}
_FLOATS = Literal["float16", "float32", "float64"]


@mxnet_op("Activation")
def activation(
    g: MXNetBuilder, data: Value, *, act_type: Literal["relu", "sigmoid", "tanh", "softrelu", "softsign"]
) -> Value:
    y: Value = g.op(_ACTIVATIONS[act_type], [data])
    return y


@mxnet_op("LeakyReLU", outputs=("output", "mask"))
def leaky_relu(
    g: MXNetBuilder, data: Value, gamma: Value | None = None, *,
    act_type: Literal["elu", "gelu", "leaky", "prelu", "rrelu", "selu"] = "leaky", slope: float = 0.25,
    lower_bound: float = 0.125, upper_bound: float = 0.334,
) -> Value:  # fmt: skip
    """leaky_relu-inl.h at inference, where the random slope of rrelu is the middle of its bounds."""
    if act_type == "prelu":
        return g.PRelu(data, _slopes(g, data, gamma))
    if act_type == "elu":
        return g.Elu(data, alpha=slope)
    if act_type in ("gelu", "selu"):
        return g.Gelu(data) if act_type == "gelu" else g.Selu(data)
    return g.LeakyRelu(data, alpha=slope if act_type == "leaky" else (lower_bound + upper_bound) / 2)


def _slopes(g: MXNetBuilder, data: Value, gamma: Value | None) -> Value:
    """One for each channel (axis 1), or one for all; shaped so that it lies along that axis."""
    if gamma is None:
        raise g.unsupported("prelu without its gamma")
    channels = data.shape[1] if data.shape and data.rank > 1 else None
    slopes = g.parameter(gamma, 1 if gamma.shape == (1,) else channels)
    return g.Reshape(slopes, [-1] + [1] * max(0, data.rank - 2))


@mxnet_op("SoftmaxActivation")
def softmax_activation(g: MXNetBuilder, data: Value, *, mode: Literal["channel", "instance"] = "instance") -> Value:
    """softmax_activation-inl.h. "instance" is over the last axis, not over all of an instance as its page says."""
    return g.Softmax(data, axis=1 if mode == "channel" else -1)


@mxnet_op("softmax")
def softmax(
    g: MXNetBuilder, data: Value, length: Value | None = None, *, axis: int = -1, temperature: float | None = None,
    dtype: _FLOATS | None = None, use_length: bool | None = False,
) -> Value:  # fmt: skip
    """softmax-inl.h: of data / temperature, along the first `length` places of the axis; the others get 0."""
    axis = g.axis(data, axis)
    x = _cooled(g, data, temperature)
    if not use_length or length is None:
        return _typed(g, g.Softmax(x, axis=axis), dtype)
    inside = _inside(g, data, length, axis)
    y = g.Softmax(g.Where(inside, x, float(np.finfo(x.dtype).min)), axis=axis)
    return _typed(g, g.Where(inside, y, 0.0), dtype)


@mxnet_op("log_softmax")
def log_softmax(
    g: MXNetBuilder, data: Value, *, axis: int = -1, temperature: float | None = None, dtype: _FLOATS | None = None,
    use_length: bool | None = False,
) -> Value:  # fmt: skip
    _refuse_length(g, use_length)
    return _typed(g, g.LogSoftmax(_cooled(g, data, temperature), axis=g.axis(data, axis)), dtype)


@mxnet_op("softmin")
def softmin(
    g: MXNetBuilder, data: Value, *, axis: int = -1, temperature: float | None = None, dtype: _FLOATS | None = None,
    use_length: bool | None = False,
) -> Value:  # fmt: skip
    _refuse_length(g, use_length)
    return _typed(g, g.Softmax(g.Neg(_cooled(g, data, temperature)), axis=g.axis(data, axis)), dtype)


def _refuse_length(g: MXNetBuilder, use_length: bool | None) -> None:
    if use_length:
        raise g.unsupported("use_length is not supported, it has no input for the lengths")


def _cooled(g: MXNetBuilder, x: Value, temperature: float | None) -> Value:
    return x if temperature in (None, 1.0) else g.Div(x, np.array(temperature, x.dtype))


def _typed(g: MXNetBuilder, y: Value, dtype: _FLOATS | None) -> Value:
    return y if dtype is None else g.cast(y, dtype)


def _inside(g: MXNetBuilder, x: Value, length: Value, axis: int) -> Value:
    """Which places along the axis are before their length."""
    size = x.shape[axis] if x.shape else None
    if not isinstance(size, int):
        raise g.unsupported(f"use_length needs the size of axis {axis}")
    places = np.arange(g.affordable(size)[0]).reshape([-1] + [1] * (x.rank - axis - 1))
    return g.Less(places, g.cast(g.Unsqueeze(length, [axis]), np.int64))
