"""What TensorFlow's own optimiser (grappler) makes of convolutions and products with what follows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.activation import leaky_relu, relu6
from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.convolution import conv, depthwise_conv
from netglot.frontends.tensorflow.elementwise import bias_add
from netglot.frontends.tensorflow.linalg import matmul
from netglot.frontends.tensorflow.normalization import fused_batch_norm
from netglot.ir.graph import Value

Ints = tuple[int, ...]


@tf_op("_FusedConv2D")
def fused_conv(
    g: TFBuilder, x: Value, filter: Value, *args: Value, strides: Ints, padding: str, explicit_paddings: Ints = (),
    data_format: str = "NHWC", filter_format: str = "HWIO", dilations: Ints = (), num_args: int = 0,
    num_host_args: int = 0, fused_ops: Sequence[str] = (), epsilon: float = 1e-4,
    leakyrelu_alpha: float = float(np.float32(0.2)),
) -> Value:  # fmt: skip
    if filter_format != "HWIO":
        raise g.unsupported(f"the filter format {filter_format}")
    y = conv(
        g, x, filter, strides=strides, padding=padding, explicit_paddings=explicit_paddings, data_format=data_format,
        dilations=dilations,
    )  # fmt: skip
    return _followed(g, y, args, fused_ops, data_format, epsilon, leakyrelu_alpha)


@tf_op("_FusedDepthwiseConv2dNative")
def fused_depthwise_conv(
    g: TFBuilder, x: Value, filter: Value, *args: Value, strides: Ints, padding: str, explicit_paddings: Ints = (),
    data_format: str = "NHWC", dilations: Ints = (), num_args: int = 0, fused_ops: Sequence[str] = (),
    epsilon: float = 1e-4, leakyrelu_alpha: float = float(np.float32(0.2)),
) -> Value:  # fmt: skip
    y = depthwise_conv(
        g, x, filter, strides=strides, padding=padding, explicit_paddings=explicit_paddings, data_format=data_format,
        dilations=dilations,
    )  # fmt: skip
    return _followed(g, y, args, fused_ops, data_format, epsilon, leakyrelu_alpha)


@tf_op("_FusedMatMul")
def fused_matmul(
    g: TFBuilder, a: Value, b: Value, *args: Value, transpose_a: bool = False, transpose_b: bool = False,
    num_args: int = 0, fused_ops: Sequence[str] = (), epsilon: float = 1e-4,
    leakyrelu_alpha: float = float(np.float32(0.2)),
) -> Value:  # fmt: skip
    y = matmul(g, a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    return _followed(g, y, args, fused_ops, "NHWC", epsilon, leakyrelu_alpha)


_ACTIVATIONS: Mapping[str, str] = {"Relu": "Relu", "Elu": "Elu", "Tanh": "Tanh", "Sigmoid": "Sigmoid"}


def _followed(
    g: TFBuilder, y: Value, args: Sequence[Value], ops: Sequence[str], data_format: str, epsilon: float, alpha: float
) -> Value:
    """`y` after the operators that were fused into it; `args` are their inputs, in order."""
    rest = list(args)
    for op in ops:
        y = _one(g, y, rest, op, data_format, epsilon, alpha)
    return y


def _one(g: TFBuilder, y: Value, rest: list[Value], op: str, data_format: str, epsilon: float, alpha: float) -> Any:
    if op in _ACTIVATIONS:
        return g.op(_ACTIVATIONS[op], [y])
    if op == "BiasAdd":
        return bias_add(g, y, rest.pop(0), data_format=data_format)
    if op == "Add":
        return g.Add(y, rest.pop(0))
    if op == "FusedBatchNorm":
        four = [rest.pop(0) for _ in range(4)]
        return fused_batch_norm(g, y, *four, epsilon=epsilon, data_format=data_format, is_training=False)[0]
    if op == "Relu6":
        return relu6(g, y)
    if op == "LeakyRelu":
        return leaky_relu(g, y, alpha=alpha)
    if op == "GeluExact":
        return g.Gelu(y)
    if op == "GeluApproximate":
        return g.Gelu(y, approximate="tanh")
    raise g.unsupported(f"{op} fused into it")
