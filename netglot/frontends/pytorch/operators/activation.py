"""Activation functions. Semantics: torch.nn.functional, and aten/src/ATen/native/Activation.cpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import composed, is_floating, kernel, where
from netglot.ir.graph import Value

_PLAIN: dict[str, str] = {"selu": "Selu", "mish": "Mish", "hardswish": "HardSwish"}


def _plain(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value) -> Value:
        return kernel(g, onnx, x)

    return function


for _name, _onnx in _PLAIN.items():
    aten(_name)(_plain(_onnx))


@aten("relu")
def relu(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Relu", x) if is_floating(x) else kernel(g, "Max", x, g.number(0, x.dtype))


@aten("relu6")
def relu6(g: TorchBuilder, x: Value) -> Value:
    return hardtanh(g, x, min_val=0, max_val=6)


@aten("hardtanh")
def hardtanh(g: TorchBuilder, x: Value, *, min_val: Number = -1, max_val: Number = 1) -> Value:
    return kernel(g, "Clip", x, g.number(min_val, x.dtype), g.number(max_val, x.dtype))


@aten("hardsigmoid")
def hardsigmoid(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "HardSigmoid", x, alpha=1 / 6, beta=0.5)


@aten("leaky_relu")
def leaky_relu(g: TorchBuilder, x: Value, *, negative_slope: Number = 0.01) -> Value:
    return kernel(g, "LeakyRelu", x, alpha=float(negative_slope))


@aten("elu")
def elu(g: TorchBuilder, x: Value, *, alpha: Number = 1, scale: Number = 1, input_scale: Number = 1) -> Value:
    """scale x where x is positive, alpha scale (exp(input_scale x) - 1) where it is not."""
    if scale == 1 and input_scale == 1:
        return kernel(g, "Elu", x, alpha=float(alpha))
    negative = kernel(g, "Elu", kernel(g, "Mul", x, g.number(input_scale, x.dtype)), alpha=float(alpha))
    positive = kernel(g, "Greater", x, g.number(0, x.dtype))
    return kernel(g, "Mul", where(g, positive, x, negative), g.number(scale, x.dtype))


@aten("celu")
def celu(g: TorchBuilder, x: Value, *, alpha: Number = 1.0) -> Value:
    return kernel(g, "Celu", x, alpha=float(alpha))


@aten("gelu")
def gelu(g: TorchBuilder, x: Value, *, approximate: str = "none") -> Value:
    return kernel(g, "Gelu", x, approximate=approximate)


@aten("silu")
@composed
def silu(g: TorchBuilder, x: Value) -> Value:
    return g.Mul(x, g.Sigmoid(x))


@aten("softplus")
def softplus(g: TorchBuilder, x: Value, *, beta: Number = 1, threshold: Number = 20) -> Value:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold, which from 20 on is the same."""
    scaled = x if beta == 1 else kernel(g, "Mul", x, g.number(beta, x.dtype))
    y = kernel(g, "Softplus", scaled)
    y = y if beta == 1 else kernel(g, "Div", y, g.number(beta, x.dtype))
    if threshold >= 20 and x.dtype != np.float64:
        return y
    return where(g, kernel(g, "Greater", scaled, g.number(threshold, x.dtype)), x, y)


@aten("softshrink")
def softshrink(g: TorchBuilder, x: Value, *, lambd: Number = 0.5) -> Value:
    return kernel(g, "Sub", x, hardtanh(g, x, min_val=-lambd, max_val=lambd))


@aten("hardshrink")
def hardshrink(g: TorchBuilder, x: Value, *, lambd: Number = 0.5) -> Value:
    small = kernel(g, "LessOrEqual", kernel(g, "Abs", x), g.number(lambd, x.dtype))
    return where(g, small, 0, x)


@aten("threshold")
def threshold_(g: TorchBuilder, x: Value, *, threshold: Number, value: Number) -> Value:
    return where(g, kernel(g, "LessOrEqual", x, g.number(threshold, x.dtype)), value, x)


@aten("prelu")
def prelu(g: TorchBuilder, x: Value, weight: Value) -> Value:
    """One slope for all, or one for each channel: axis 1."""
    if x.rank > 2 and weight.shape != (1,):
        weight = g.view(weight, [-1] + [1] * (x.rank - 2))
    return kernel(g, "PRelu", x, weight if x.rank else g.view(weight, []))


@aten("_prelu_kernel")
def prelu_kernel(g: TorchBuilder, x: Value, weight: Value) -> Value:
    return kernel(g, "PRelu", x, weight)


@aten("rrelu")
def rrelu(
    g: TorchBuilder, x: Value, *, lower: Number = 0.125, upper: Number = 0.33333333333333331, training: bool = False,
    generator: None = None,
) -> Value:  # fmt: skip
    if training:
        raise g.unsupported("with random slopes (training mode)", "Export the module after .eval().")
    return leaky_relu(g, x, negative_slope=(lower + upper) / 2)


@aten("rrelu_with_noise_functional")
def rrelu_with_noise(
    g: TorchBuilder, x: Value, noise: Value, *, lower: Number = 0.125, upper: Number = 0.33333333333333331,
    training: bool = False, generator: None = None,
) -> tuple[Value, Value]:  # fmt: skip
    """The second result, the slopes that were drawn, is only of use to the gradient."""
    return rrelu(g, x, lower=lower, upper=upper, training=training), noise


@aten("glu")
def glu(g: TorchBuilder, x: Value, *, dim: int = -1) -> Value:
    a, b = g.Split(x, axis=g.axis(dim, x.rank), num_outputs=2, outputs=2)
    return kernel(g, "Mul", a, kernel(g, "Sigmoid", b))


@aten("log_sigmoid")
@composed
def log_sigmoid(g: TorchBuilder, x: Value) -> Value:
    return g.Neg(kernel(g, "Softplus", g.Neg(x)))


@aten("log_sigmoid_forward")
def log_sigmoid_forward(g: TorchBuilder, x: Value) -> tuple[Value, Value]:
    """The second result is what the gradient needs."""
    return log_sigmoid(g, x), kernel(g, "Exp", kernel(g, "Neg", kernel(g, "Abs", x)))


# ------------------------------------------------------------------- softmax


@aten("softmax.int")
def softmax(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    return _softmax(g, "Softmax", x if dtype is None else g.cast(x, dtype), dim)


@aten("log_softmax.int")
def log_softmax(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    return _softmax(g, "LogSoftmax", x if dtype is None else g.cast(x, dtype), dim)


@aten("special_softmax")
def special_softmax(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    return softmax(g, x, dim=dim, dtype=dtype)


@aten("special_log_softmax")
def special_log_softmax(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    return log_softmax(g, x, dim=dim, dtype=dtype)


@aten("_softmax")
def softmax_core(g: TorchBuilder, x: Value, *, dim: int, half_to_float: bool) -> Value:
    return _softmax(g, "Softmax", g.cast(x, np.float32) if half_to_float else x, dim)


@aten("_log_softmax")
def log_softmax_core(g: TorchBuilder, x: Value, *, dim: int, half_to_float: bool) -> Value:
    return _softmax(g, "LogSoftmax", g.cast(x, np.float32) if half_to_float else x, dim)


def _softmax(g: TorchBuilder, op: str, x: Value, dim: int) -> Value:
    if x.rank == 0:
        return g.view(kernel(g, op, g.view(x, [1]), axis=0), [])
    return kernel(g, op, x, axis=g.axis(dim, x.rank))
