"""Normalisations, composed of MEAN and elementwise operators over any axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike
from netglot.backends.tflite.context import Ints, Operand, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.reduction import reduced
from netglot.ir.graph import Value


def along_channels(m: TFLiteBuilder, vector: Value, like: Value) -> int:
    """A value per channel, shaped to be broadcast with `like`."""
    shape = [1] * like.rank
    shape[m.axis(like, 1)] = -1
    size = vector.sizes[0]
    return m.reshaped(vector, [size if n == -1 else 1 for n in shape])


def normalized(m: TFLiteBuilder, x: int | Value, axes: Sequence[int], epsilon: float, *, center: bool = True) -> int:
    """(x - mean) / sqrt(variance + epsilon) over physical `axes`; without `center` the mean is taken to be zero."""
    centered = m.emit("SUB", x, reduced(m, "MEAN", x, axes)) if center else m.ref(x)
    variance = reduced(m, "MEAN", m.emit("SQUARE", centered), axes)
    return m.emit("MUL", centered, m.emit("RSQRT", m.emit("ADD", variance, float(epsilon))))


def affine(m: TFLiteBuilder, x: int, scale: int | None, bias: int | None, y: Value) -> None:
    x = x if scale is None else m.emit("MUL", x, scale)
    m.finish(x if bias is None else m.emit("ADD", x, bias), y)


@tflite_op("BatchNormalization", layout=alike)
def batch_normalization(
    m: TFLiteBuilder, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, y: Value, *rest: Value | None,
    epsilon: float, momentum: float = 0.9,
) -> None:  # fmt: skip
    """One multiplication and one addition of constants."""
    if any(v.data is None for v in (scale, bias, mean, variance)):
        raise NotMappedError("the statistics are computed")
    factor = scale.array / np.sqrt(variance.array + np.float32(epsilon))
    shape = [n if axis == m.axis(x, 1) else 1 for axis, n in enumerate(m.shape(x))]
    offset = bias.array - mean.array * factor
    affine(m, m.tensor(x), m.constant(factor.reshape(shape)), m.constant(offset.reshape(shape)), y)


@tflite_op("InstanceNormalization", layout=alike)
def instance_normalization(m: TFLiteBuilder, x: Value, scale: Value, bias: Value, y: Value, *, epsilon: float) -> None:
    result = normalized(m, x, m.axes(x, range(2, x.rank)), epsilon)
    affine(m, result, along_channels(m, scale, x), along_channels(m, bias, x), y)


@tflite_op("GroupNormalization", layout=alike)
def group_normalization(
    m: TFLiteBuilder, x: Value, scale: Value, bias: Value, y: Value, *,
    epsilon: float, num_groups: int, stash_type: int = 1,
) -> None:  # fmt: skip
    """Over the spatial axes and the channels of each group, as an axis of its own."""
    at, shape = m.axis(x, 1), m.shape(x)
    split = (*shape[:at], num_groups, shape[at] // num_groups, *shape[at + 1 :])
    axes = [axis for axis in range(1, len(split)) if axis != at]
    result = m.reshaped(normalized(m, m.reshaped(x, split), axes, epsilon), shape)
    affine(m, result, along_channels(m, scale, x), along_channels(m, bias, x), y)


@tflite_op("LayerNormalization", layout=alike)
def layer_normalization(
    m: TFLiteBuilder, x: Value, scale: Value, bias: Value | None, y: Value, *rest: Value | None,
    axis: int, epsilon: float, stash_type: int = 1,
) -> None:  # fmt: skip
    if any(value is not None for value in rest):
        raise NotMappedError("the mean or the deviation is an output")
    result = normalized(m, x, m.axes(x, range(axis % x.rank, x.rank)), epsilon)
    affine(m, result, m.operand(scale, y), None if bias is None else m.operand(bias, y), y)


@tflite_op("RMSNormalization", layout=alike)
def rms_normalization(
    m: TFLiteBuilder, x: Value, scale: Value, y: Value, *, axis: int, epsilon: float, stash_type: int = 1
) -> None:
    result = normalized(m, x, m.axes(x, range(axis % x.rank, x.rank)), epsilon, center=False)
    affine(m, result, m.operand(scale, y), None, y)


@tflite_op("MeanVarianceNormalization", layout=alike)
def mean_variance_normalization(m: TFLiteBuilder, x: Value, y: Value, *, axes: Ints = (0, 2, 3)) -> None:
    """The epsilon of 1e-9 is inside the root here; ONNX adds it after, which differs only where all are equal."""
    m.finish(normalized(m, x, m.axes(x, axes), 1e-18), y)


@tflite_op("LpNormalization", layout=alike)
def lp_normalization(m: TFLiteBuilder, x: Value, y: Value, *, axis: int, p: int) -> None:
    """x / |x|; zeros stay zeros, as in ONNX Runtime."""
    at = [m.axis(x, axis)]
    if p == 1:
        norm = reduced(m, "SUM", m.emit("ABS", x), at)
    else:
        norm = m.emit("SQRT", reduced(m, "SUM", m.emit("SQUARE", x), at))
    m.op("DIV", [x, m.emit("MAXIMUM", norm, 1e-30)], [y])


@tflite_op("LRN", layout=Side.LAST)
def lrn(m: TFLiteBuilder, x: Value, y: Value, *, alpha: float, beta: float, bias: float, size: int) -> None:
    """TFLite's alpha is not divided by the size, its window is `radius` to either side, over the last axis."""
    if size % 2 == 0 or x.rank > 4:
        raise NotMappedError("a window of even size, or more than two spatial axes")
    options = tfl.LocalResponseNormalizationOptionsT(radius=size // 2, bias=bias, alpha=alpha / size, beta=beta)
    source: Operand = x if x.rank == 4 else m.reshaped(x, (*m.shape(x)[:-1], *(1,) * (4 - x.rank), m.shape(x)[-1]))
    m.finish(m.emit("LOCAL_RESPONSE_NORMALIZATION", source, options=options), y)
