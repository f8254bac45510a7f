"""Operators on each element or along one axis, as they were before the pinned opset."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.ir import types
from netglot.ir.graph import Value

FLOAT_MAX = float(np.finfo(np.float32).max)


@onnx_op("Clip", since=6, until=11)
def clip(g: OnnxBuilder, x: Value, *, min: float = -FLOAT_MAX, max: float = FLOAT_MAX) -> Value:
    """The defaults are float32's limits: no limit at all (nor could float16 hold them)."""
    return g.Clip(x, min if min > -FLOAT_MAX else None, max if max < FLOAT_MAX else None)


@onnx_op("Dropout", since=7, until=10)
def dropout_7(g: OnnxBuilder, x: Value, *, ratio: float = 0.5) -> Any:
    """Inference only, as then: a copy, and a mask that is all true, in x's type."""
    if g.outputs == 1:
        return g.Dropout(x)
    y, mask = g.Dropout(x, outputs=2)
    return y, g.CastLike(mask, x)


@onnx_op("Dropout", since=10, until=12)
def dropout_10(g: OnnxBuilder, x: Value, *, ratio: float = 0.5) -> Any:
    return g.op("Dropout", (x,), outputs=g.outputs)


@onnx_op("Softmax", "LogSoftmax", "Hardmax", until=13)
def softmax(g: OnnxBuilder, x: Value, *, axis: int = 1) -> Any:
    """Over all axes from `axis` on, taken as one (from 13 on: over `axis` alone)."""
    if x.shape is not None and all(size == 1 for size in x.shape[axis:][1:]):
        return g.op(g.operator, (x,), axis=axis)
    flat = g.op(g.operator, (g.Flatten(x, axis=axis),), axis=-1)
    return g.Reshape(flat, list(x.sizes) if types.is_static(x.shape) else g.Shape(x))


@onnx_op("BatchNormalization", since=7, until=9)
def batch_normalization_spatial(
    g: OnnxBuilder, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, *, epsilon: float = 1e-5,
    momentum: float = 0.9, spatial: int = 1,
) -> Value:  # fmt: skip
    """With spatial=0 the statistics are of every element of a sample, not of a channel."""
    if spatial:
        return g.BatchNormalization(x, scale, bias, mean, variance, epsilon=epsilon)
    deviation = g.Sqrt(g.Add(variance, epsilon))
    return g.Add(g.Mul(g.Div(g.Sub(x, mean), deviation), scale), bias)


@onnx_op("BatchNormalization", since=9, until=14)
def batch_normalization(
    g: OnnxBuilder, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, *, epsilon: float = 1e-5,
    momentum: float = 0.9,
) -> Value:  # fmt: skip
    """One output was inference; more (training) are refused, as this gives only one."""
    return g.BatchNormalization(x, scale, bias, mean, variance, epsilon=epsilon)


@onnx_op("GroupNormalization", since=18, until=21)
def group_normalization(
    g: OnnxBuilder, x: Value, scale: Value, bias: Value, *, num_groups: int, epsilon: float = 1e-5
) -> Value:
    """Scale and bias had one element a group; now they have one a channel."""
    channels = x.shape[1] if x.shape is not None and x.rank > 1 else None
    if not isinstance(channels, int) or num_groups < 1 or channels % num_groups:
        g.refuse(f"GroupNormalization of {channels} channels in {num_groups} groups")
    size = [num_groups, channels // num_groups]
    per_channel = [g.Reshape(g.Expand(g.Unsqueeze(value, [1]), size), [-1]) for value in (scale, bias)]
    return g.GroupNormalization(x, *per_channel, num_groups=num_groups, epsilon=epsilon)
