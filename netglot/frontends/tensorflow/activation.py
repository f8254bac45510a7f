"""Activations. Semantics: TensorFlow's core/ops/nn_ops.cc."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Value

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al., Self-Normalizing Neural Networks


def _plain(onnx: str) -> Callable[..., Value]:
    def function(g: TFBuilder, x: Value) -> Value:
        y: Value = g.op(onnx, [x])
        return y

    return function


for _name in ("Elu", "Softplus", "Softsign"):
    tf_op(_name)(_plain(_name))


@tf_op("Relu")
def relu(g: TFBuilder, x: Value) -> Value:
    """ONNX Runtime has no kernel for most integers, but a maximum."""
    return g.Relu(x) if x.dtype is not None and x.dtype.kind == "f" else g.Max(x, scalar(g, 0, x))


@tf_op("Relu6")
def relu6(g: TFBuilder, x: Value) -> Value:
    return g.Clip(x, scalar(g, 0, x), scalar(g, 6, x))


@tf_op("LeakyRelu")
def leaky_relu(g: TFBuilder, x: Value, *, alpha: float = float(np.float32(0.2))) -> Value:
    return g.LeakyRelu(x, alpha=alpha)


@tf_op("Selu")
def selu(g: TFBuilder, x: Value) -> Value:
    return g.Selu(x, alpha=SELU_ALPHA, gamma=SELU_SCALE)
