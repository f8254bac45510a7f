"""Activations."""

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


@mxnet_op("SoftmaxOutput", "Softmax", labels=("label",))
def softmax_output(
    g: MXNetBuilder, data: Value, label: Value | None = None, *, grad_scale: float = 1.0, ignore_label: float = -1.0,
    multi_output: bool = False, use_ignore: bool = False, preserve_shape: bool = False, normalization: str = "null",
    out_grad: bool = False, smooth_alpha: float = 0.0,
) -> Value:  # fmt: skip
    """softmax_output-inl.h; all but multi_output and preserve_shape is about the gradient."""
    if multi_output or preserve_shape:
        return g.Softmax(data, axis=1 if multi_output else -1)
    return _softmax_of_rows(g, data)


@mxnet_op("SoftmaxActivation")
def softmax_activation(g: MXNetBuilder, data: Value, *, mode: Literal["channel", "instance"] = "instance") -> Value:
    """softmax_activation-inl.h. "instance" is over the last axis, not over all of an instance as its page says."""
    return g.Softmax(data, axis=1 if mode == "channel" else -1)


def _softmax_of_rows(g: MXNetBuilder, data: Value) -> Value:
    """Over all axes but the first together."""
    if data.rank <= 2:
        return g.Softmax(data, axis=-1)
    rows = g.Softmax(g.Flatten(data, axis=1), axis=1)
    return g.reshaped(rows, data.shape or (), dynamic=g.Shape(data))


@mxnet_op("softmax")
def softmax(
    g: MXNetBuilder, data: Value, length: Value | None = None, *, axis: int = -1, temperature: float | None = None,
    dtype: _FLOATS | None = None, use_length: bool | None = False,
) -> Value:  # fmt: skip
    """softmax-inl.h: of data / temperature."""
    if use_length:
        raise g.unsupported("use_length is not supported")
    x = data if temperature in (None, 1.0) else g.Div(data, np.array(temperature, data.dtype))
    y = g.Softmax(x, axis=g.axis(data, axis))
    return y if dtype is None else g.cast(y, dtype)
