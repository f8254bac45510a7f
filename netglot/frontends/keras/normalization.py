"""Keras layers that normalise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.ir.graph import Value
from netglot.ir.types import inverse, text, to_onnx

Axis = int | Sequence[int]


def axes_of(g: KerasBuilder, x: Value, axis: Axis) -> list[int]:
    """`axis` as ascending axes counted from the front; ConversionError where x has no such axis."""
    given = [axis] if isinstance(axis, int) else list(axis)
    if not all(isinstance(a, int) and -x.rank <= a < x.rank for a in given):
        raise ConversionError(f"{g.type}: there is no axis {axis} in {text(x.shape)}", g.origin)
    return sorted({a % x.rank for a in given})


def sizes_of(x: Value, axes: Sequence[int]) -> list[int | None]:
    """The sizes of `axes` as far as they are known: the shape of variables along them."""
    sizes = x.shape or ()
    return [size if isinstance(size, int) else None for size in (sizes[axis] for axis in axes)]


def along(g: KerasBuilder, vector: Value, x: Value, axes: Sequence[int]) -> Value:
    """A variable over `axes` of x, shaped to be broadcast with x."""
    if list(axes) == list(range(x.rank - len(axes), x.rank)):
        return vector
    sizes = iter(vector.sizes)
    return g.constant(vector.array.reshape([next(sizes) if a in axes else 1 for a in range(x.rank)]), name=vector.name)


def scaled_and_shifted(
    g: KerasBuilder, x: Value, gamma: Value | None, beta: Value | None, axes: Sequence[int]
) -> Value:
    y = x if gamma is None else g.Mul(x, along(g, gamma, x, axes))
    return y if beta is None else g.Add(y, along(g, beta, x, axes))


def widened(g: KerasBuilder, x: Value) -> Value:
    """Half precision as float32, in which Keras normalises."""
    return g.Cast(x, to=to_onnx(np.dtype(np.float32))) if x.dtype == np.float16 else x


def narrowed(g: KerasBuilder, y: Value) -> Value:
    """`y` in the layer's compute dtype."""
    return y if y.dtype == g.compute_dtype else g.Cast(y, to=to_onnx(g.compute_dtype))


# ----------------------------------------------------------------------- batch


@keras_layer("BatchNormalization", "SyncBatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2")
def batch_normalization(
    g: KerasBuilder, x: Value, *, axis: Axis = -1, momentum: float = 0.99, epsilon: float = 0.001, center: bool = True,
    scale: bool = True, renorm: bool = False, renorm_clipping: Any = None, renorm_momentum: float = 0.99,
    synchronized: bool = False, fused: bool | None = None, virtual_batch_size: int | None = None,
    adjustment: Any = None,
) -> Value:  # fmt: skip
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta along one axis, with the moving statistics."""
    axes = axes_of(g, x, axis)
    if len(axes) != 1 or virtual_batch_size is not None:
        raise g.unsupported("more than one axis, or virtual batches")
    (size,) = sizes_of(x, axes)
    gamma = g.weight(size, name="gamma", autocast=False) if scale else None
    beta = g.weight(size, name="beta", autocast=False) if center else None
    mean = g.weight(size, trainable=False, name="moving_mean", autocast=False)
    variance = g.weight(size, trainable=False, name="moving_variance", autocast=False)
    for name in ("moving_stddev", "renorm_mean", "renorm_stddev") if renorm else ():
        g.weight(size, trainable=False, name=name)  # of training only
    gamma = gamma or g.constant(np.ones(mean.sizes, mean.dtype))
    beta = beta or g.constant(np.zeros(mean.sizes, mean.dtype))
    return narrowed(g, _statistics(g, widened(g, x), axes[0], [gamma, beta, mean, variance], epsilon))


def _statistics(g: KerasBuilder, x: Value, axis: int, variables: list[Value], epsilon: float) -> Value:
    """ONNX's is over axis 1: images stand between two Transposes, which cancel with those of their neighbours."""
    last = axis == x.rank - 1
    if axis == 1 or (last and (x.rank > 3 or _stored_first(g, x))):
        image = x if axis == 1 else g.to_first(x, "channels_last")
        y = g.BatchNormalization(image, *variables, epsilon=epsilon)
        return y if axis == 1 else g.from_first(y, "channels_last")
    gamma, beta, mean, variance = (variable.array.astype(np.float64) for variable in variables)
    scale = gamma / np.sqrt(variance + epsilon)
    factor, shift = (g.constant(v.astype(x.dtype)) for v in (scale, beta - mean * scale))
    return scaled_and_shifted(g, x, factor, shift, [axis])


def _stored_first(g: KerasBuilder, x: Value) -> bool:
    """Whether x comes from an operator that has its channels first."""
    producer = g.graph.producer(x)
    return producer is not None and producer.op == "Transpose"


# ----------------------------------------------------------------------- others


@keras_layer("LayerNormalization")
def layer_normalization(
    g: KerasBuilder, x: Value, *, axis: Axis = -1, epsilon: float = 0.001, center: bool = True, scale: bool = True,
    rms_scaling: bool = False,
) -> Value:  # fmt: skip
    """By mean and variance over `axis`; `rms_scaling` leaves the mean where it is (and no beta)."""
    x, axes = widened(g, x), axes_of(g, x, axis)
    sizes = sizes_of(x, axes)
    gamma = g.weight(*sizes, name="gamma", autocast=False) if scale or rms_scaling else None
    beta = g.weight(*sizes, name="beta", autocast=False) if center and not rms_scaling else None
    if axes == list(range(axes[0], x.rank)) and not rms_scaling:
        ones = gamma or g.constant(np.ones(_known(g, sizes), x.dtype))
        return narrowed(g, g.LayerNormalization(x, ones, beta, axis=axes[0], epsilon=epsilon))
    difference = g.Sub(x, g.ReduceMean(x, axes))
    variance = g.ReduceMean(g.Mul(difference, difference), axes)
    y = g.Div(x if rms_scaling else difference, g.Sqrt(g.Add(variance, epsilon)))
    return narrowed(g, scaled_and_shifted(g, y, gamma, beta, axes))


def _known(g: KerasBuilder, sizes: Sequence[int | None]) -> tuple[int, ...]:
    known = [size for size in sizes if size is not None]
    if len(known) != len(sizes):
        raise ConversionError(f"{g.type} over an axis of unknown size", g.origin)
    return g.affordable(*known)


@keras_layer("RMSNormalization", mask="drop")
def rms_normalization(g: KerasBuilder, x: Value, *, axis: Axis = -1, epsilon: float = 1e-6) -> Value:
    x, axes = widened(g, x), axes_of(g, x, axis)
    scale = widened(g, g.weight(*sizes_of(x, axes), name="scale"))
    if axes != list(range(axes[0], x.rank)):
        raise g.unsupported(f"axis={axis}", "Keras itself multiplies the last axes by the scale, whichever it is of.")
    return narrowed(g, g.RMSNormalization(x, scale, axis=axes[0], epsilon=epsilon))


@keras_layer("GroupNormalization")
def group_normalization(
    g: KerasBuilder, x: Value, *, groups: int = 32, axis: int = -1, epsilon: float = 0.001, center: bool = True,
    scale: bool = True,
) -> Value:  # fmt: skip
    """Over all axes but the batch, and within groups of `axis`; -1 groups: each channel is one."""
    if not isinstance(axis, int) or axis < -1 or axis == 0:
        raise g.unsupported(f"axis={axis}", "Keras itself counts a negative axis other than -1 wrongly.")
    (at,) = axes_of(g, x, axis)
    (channels,) = _known(g, sizes_of(x, [at]))
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        raise ConversionError(f"{channels} channels do not divide into {groups} groups", g.origin)
    image = widened(g, x if x.rank > 2 else g.Unsqueeze(x, [2]))
    gamma = g.weight(channels, name="gamma", autocast=False) if scale else _filled(g, 1, channels, image)
    beta = g.weight(channels, name="beta", autocast=False) if center else _filled(g, 0, channels, image)
    order = (0, at, *(i for i in range(1, image.rank) if i != at))
    first = image if at == 1 else g.Transpose(image, perm=order)
    y = _grouped(g, first, groups, gamma, beta, epsilon)
    y = narrowed(g, y if at == 1 else g.Transpose(y, perm=inverse(order)))
    return y if x.rank > 2 else g.Squeeze(y, [2])


def _filled(g: KerasBuilder, number: int, size: int, like: Value) -> Value:
    return g.constant(np.full(size, number, like.dtype))


def _grouped(g: KerasBuilder, x: Value, groups: int, gamma: Value, beta: Value, epsilon: float) -> Value:
    if groups == gamma.sizes[0]:
        return g.InstanceNormalization(x, gamma, beta, epsilon=epsilon)
    return g.GroupNormalization(x, gamma, beta, num_groups=groups, epsilon=epsilon)


@keras_layer("UnitNormalization")
def unit_normalization(g: KerasBuilder, x: Value, *, axis: Axis = -1) -> Value:
    return unit_length(g, x, axes_of(g, x, axis), 1e-12)


def unit_length(g: KerasBuilder, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """x / max(|x|, epsilon); before Keras 3 tf.math.l2_normalize: x / sqrt(max(|x|^2, 1e-12))."""
    if g.era >= 3:
        return g.Div(x, g.Max(g.ReduceL2(x, list(axes)), epsilon))
    return g.Div(x, g.Sqrt(g.Max(g.ReduceSumSquare(x, list(axes)), 1e-12)))


@keras_layer("SpectralNormalization", mask="drop")
def spectral_normalization(g: KerasBuilder, x: Value, *, layer: Mapping[str, Any], power_iterations: int = 1) -> Value:
    """Training stores the kernel normalised: at inference it is the layer alone.

    Of its own it has the vector of the power iteration, and (in .keras) the same kernel once more.
    """
    y: Value = g.layer(layer, [x], part="layer")
    while g.weights is not None and g.weights.next(False) is not None:
        pass
    return y
