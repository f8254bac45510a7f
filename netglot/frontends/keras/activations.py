"""keras.activations by name, and the layers that are one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.ir.graph import Value
from netglot.registry import registry

MASKED = {"float16": -3e4}  # what a masked logit becomes; -1e9 in wider types (layers/activations/softmax.py)


def activate(g: KerasBuilder, x: Value, activation: Any) -> Value:
    """`x` through an `activation` of a configuration: None, a name, or a serialised function or layer.

    A name that Keras does not have is looked up among the layers: a plugin may map it there.
    """
    if activation is None:
        return x
    if isinstance(activation, Mapping) and isinstance(activation.get("config"), Mapping):
        result: Value = g.layer(activation, [x])
        return result
    name = activation.get("config") if isinstance(activation, Mapping) else activation
    if not isinstance(name, str):
        raise g.unsupported(f"an activation that is neither a name nor a layer ({type(name).__name__})")
    short = name.rpartition(">")[2]
    if short in ACTIVATIONS:
        return ACTIVATIONS[short](g, x)
    plugin = registry.find("keras", short)
    if plugin is None:
        hint = f'Map it in a plugin: @keras_layer("{short}") on a function of (g, x), and --plugin.'
        raise g.unsupported(f"the activation '{name}'", hint)
    value: Value = plugin(g, [x], {})
    return value


# -------------------------------------------------------------------- functions


def _plain(op: str, **attributes: Any) -> Callable[[KerasBuilder, Value], Value]:
    """An activation that is one ONNX operator."""

    def function(g: KerasBuilder, x: Value) -> Value:
        result: Value = g.op(op, [x], **attributes)
        return result

    return function


def linear(g: KerasBuilder, x: Value) -> Value:
    return x


def clip(g: KerasBuilder, x: Value, low: float | None, high: float | None) -> Value:
    """`x` within constant bounds of its own element type."""
    limits = [None if bound is None else g.constant(bound, x.dtype) for bound in (low, high)]
    result: Value = g.Clip(x, *limits)
    return result


def relu(
    g: KerasBuilder, x: Value, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """x from `threshold` to `max_value`, which it does not exceed; below, negative_slope * (x - threshold)."""
    if negative_slope and max_value is None and not threshold:
        return leaky_relu(g, x, negative_slope=negative_slope)
    if threshold:
        y: Value = g.ThresholdedRelu(x, alpha=threshold)
        y = y if max_value is None else clip(g, y, 0, max_value)
    else:
        y = g.Relu(x) if max_value is None else clip(g, x, 0, max_value)
    if not negative_slope:
        return y
    below = g.Sub(threshold, x) if threshold else g.Neg(x)
    return g.Sub(y, g.Mul(g.Relu(below), negative_slope))


def leaky_relu(g: KerasBuilder, x: Value, *, negative_slope: float = 0.2) -> Value:
    return g.LeakyRelu(x, alpha=negative_slope)


def relu6(g: KerasBuilder, x: Value) -> Value:
    return clip(g, x, 0, 6)


def elu(g: KerasBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    return g.Elu(x, alpha=alpha)


def celu(g: KerasBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    return g.Celu(x, alpha=alpha)


def gelu(g: KerasBuilder, x: Value, *, approximate: bool = False) -> Value:
    return g.Gelu(x, approximate="tanh" if approximate else "none")


def silu(g: KerasBuilder, x: Value) -> Value:
    return g.Mul(x, g.Sigmoid(x))


def hard_sigmoid(g: KerasBuilder, x: Value) -> Value:
    """Keras 3: relu6(x + 3) / 6. Before, 0.2 x + 0.5 between 0 and 1 (tf_keras/src/backend.py)."""
    return g.HardSigmoid(x, alpha=1 / 6 if g.era >= 3 else 0.2, beta=0.5)


def log_sigmoid(g: KerasBuilder, x: Value) -> Value:
    return g.Neg(g.Softplus(g.Neg(x)))


def hard_tanh(g: KerasBuilder, x: Value) -> Value:
    return clip(g, x, -1, 1)


def tanh_shrink(g: KerasBuilder, x: Value) -> Value:
    return g.Sub(x, g.Tanh(x))


def soft_shrink(g: KerasBuilder, x: Value, *, threshold: float = 0.5) -> Value:
    return g.Shrink(x, bias=threshold, lambd=threshold)


def hard_shrink(g: KerasBuilder, x: Value, *, threshold: float = 0.5) -> Value:
    return g.Shrink(x, bias=0.0, lambd=threshold)


def threshold(g: KerasBuilder, x: Value, *, threshold: float, default_value: float) -> Value:
    """x above the threshold, otherwise `default_value`."""
    return g.Where(g.Greater(x, threshold), x, default_value)


def squareplus(g: KerasBuilder, x: Value, *, b: float = 4) -> Value:
    """(x + sqrt(x^2 + b)) / 2."""
    root = g.Sqrt(g.Add(g.Mul(x, x), float(b)))
    return g.Mul(g.Add(x, root), 0.5)


def sparse_plus(g: KerasBuilder, x: Value) -> Value:
    """(x + 1)^2 / 4 between -1 and 1; 0 below, x above."""
    above = g.Relu(g.Add(x, 1.0))
    return g.Where(g.Less(x, 1.0), g.Mul(g.Mul(above, above), 0.25), x)


def sparse_sigmoid(g: KerasBuilder, x: Value) -> Value:
    return g.HardSigmoid(x, alpha=0.5, beta=0.5)


def glu(g: KerasBuilder, x: Value, *, axis: int = -1) -> Value:
    """The first half along `axis` times the sigmoid of the second."""
    a, b = g.op("Split", [x], outputs=2, axis=axis, num_outputs=2)
    return g.Mul(a, g.Sigmoid(b))


def softmax(g: KerasBuilder, x: Value, *, axis: int = -1) -> Value:
    return g.Softmax(x, axis=axis)


def log_softmax(g: KerasBuilder, x: Value, *, axis: int = -1) -> Value:
    return g.LogSoftmax(x, axis=axis)


def sparsemax(g: KerasBuilder, x: Value, *, axis: int = -1) -> Value:
    """max(x - tau, 0), with Keras' tau: all its backends add up the *running sums* of the support.

    (Martins et al. 2016 add up the logits themselves; keras/src/backend/tensorflow/nn.py, sparsemax.)
    """
    size = x.shape[axis] if x.shape is not None else None
    if not isinstance(size, int):
        raise g.unsupported("sparsemax over an axis of unknown size")
    ranks = np.arange(1, g.affordable(size)[0] + 1, dtype=x.dtype).reshape(-1, *(1,) * (x.rank - 1 - axis % x.rank))
    logits, _ = g.op("TopK", [x, [size]], outputs=2, axis=axis)
    running = g.CumSum(logits, g.constant(axis % x.rank, np.int64))
    support = g.Greater(logits, g.Div(g.Sub(running, 1.0), ranks))
    count = g.ReduceSum(g.Where(support, 1.0, g.constant(0, x.dtype)), [axis])
    total = g.ReduceSum(g.Where(support, running, 0.0), [axis])
    return g.Relu(g.Sub(x, g.Div(g.Sub(total, 1.0), count)))


ACTIVATIONS: dict[str, Callable[..., Value]] = {
    "linear": linear, "relu": relu, "relu6": relu6, "leaky_relu": leaky_relu, "elu": elu, "selu": _plain("Selu"),
    "celu": celu, "gelu": gelu, "silu": silu, "swish": silu, "hard_silu": _plain("HardSwish"),
    "hard_swish": _plain("HardSwish"), "hard_sigmoid": hard_sigmoid, "sigmoid": _plain("Sigmoid"),
    "log_sigmoid": log_sigmoid, "tanh": _plain("Tanh"), "hard_tanh": hard_tanh, "tanh_shrink": tanh_shrink,
    "soft_shrink": soft_shrink, "hard_shrink": hard_shrink, "squareplus": squareplus, "glu": glu,
    "sparse_plus": sparse_plus, "sparse_sigmoid": sparse_sigmoid, "sparsemax": sparsemax, "softmax": softmax,
    "log_softmax": log_softmax, "softplus": _plain("Softplus"), "softsign": _plain("Softsign"),
    "mish": _plain("Mish"), "exponential": _plain("Exp"),
}  # fmt: skip


# ----------------------------------------------------------------------- layers


@keras_layer("Activation")
def activation_layer(g: KerasBuilder, x: Value, *, activation: Any = None) -> Value:
    return activate(g, x, activation)


@keras_layer("ReLU")
def relu_layer(
    g: KerasBuilder, x: Value, *, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0
) -> Value:
    return relu(g, x, max_value=max_value, negative_slope=negative_slope, threshold=threshold)


@keras_layer("LeakyReLU")
def leaky_relu_layer(g: KerasBuilder, x: Value, *, negative_slope: float = 0.3, alpha: float | None = None) -> Value:
    """`alpha` is Keras 2's name of `negative_slope`."""
    return leaky_relu(g, x, negative_slope=negative_slope if alpha is None else alpha)


@keras_layer("ThresholdedReLU")
def thresholded_relu(g: KerasBuilder, x: Value, *, theta: float = 1.0) -> Value:
    """Keras 2's: x above theta, otherwise 0."""
    return g.ThresholdedRelu(x, alpha=theta)


@keras_layer("ELU")
def elu_layer(g: KerasBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    return elu(g, x, alpha=alpha)


@keras_layer("PReLU")
def prelu(g: KerasBuilder, x: Value, *, shared_axes: int | Sequence[int] | None = None) -> Value:
    """One slope for each element, but one for all along `shared_axes`."""
    shared = [shared_axes] if isinstance(shared_axes, int) else shared_axes or ()
    shape = [1 if axis in shared else x.shape[axis] if x.shape is not None else None for axis in range(1, x.rank)]
    return g.PRelu(x, g.weight(*(n if isinstance(n, int) else None for n in shape), name="alpha"))


@keras_layer("Softmax")
def softmax_layer(g: KerasBuilder, x: Value, *, axis: int | Sequence[int] = -1, mask: Value | None = None) -> Value:
    """Softmax over one axis or several. What `mask` excludes (or the mask of x) is zero, even where it is all."""
    mask = g.mask_of(x) if mask is None else mask
    if mask is None:
        return _softmax_over(g, x, axis)
    keep = mask if mask.dtype == np.bool_ else g.Greater(mask, 0.5)
    lowest = MASKED.get(str(x.dtype), -1e9)
    return g.Where(keep, _softmax_over(g, g.Where(keep, x, lowest), axis), 0.0)


def _softmax_over(g: KerasBuilder, x: Value, axis: int | Sequence[int]) -> Value:
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) == 1:
        return softmax(g, x, axis=axes[0])
    return g.Exp(g.Sub(x, g.ReduceLogSumExp(x, axes)))
