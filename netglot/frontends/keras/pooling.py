"""Keras' pooling layers."""

from __future__ import annotations

import numpy as np

from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.windows import Sizes, padding_of, per_axis, spatial_axes, window
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx


def _names(*patterns: str) -> list[str]:
    return [f"{pattern}{rank}D" for pattern in patterns for rank in (1, 2, 3)]


def pool(
    g: KerasBuilder, op: str, x: Value, pool_size: Sizes, strides: Sizes | None, padding: str, data_format: str | None
) -> Value:
    """Padding is never the maximum and never counts in an average."""
    image = g.to_first(x, data_format)
    over = window(g, image, pool_size, pool_size if strides is None else strides)
    pads = padding_of(g, image, over, padding)
    y = g.op(op, [image], kernel_shape=over.kernel, strides=over.strides, **pads)
    return g.from_first(y, data_format)


@keras_layer(*_names("MaxPooling", "MaxPool"), mask="drop")
def max_pooling(
    g: KerasBuilder, x: Value, *, pool_size: Sizes = 2, strides: Sizes | None = None, padding: str = "valid",
    data_format: str | None = None,
) -> Value:  # fmt: skip
    return pool(g, "MaxPool", x, pool_size, strides, padding, data_format)


@keras_layer(*_names("AveragePooling", "AvgPool"), mask="drop")
def average_pooling(
    g: KerasBuilder, x: Value, *, pool_size: Sizes = 2, strides: Sizes | None = None, padding: str = "valid",
    data_format: str | None = None,
) -> Value:  # fmt: skip
    return pool(g, "AveragePool", x, pool_size, strides, padding, data_format)


# ---------------------------------------------------------------------- global


@keras_layer(*_names("GlobalMaxPooling", "GlobalMaxPool"), mask="drop")
def global_max_pooling(g: KerasBuilder, x: Value, *, data_format: str | None = None, keepdims: bool = False) -> Value:
    """The mask is not looked at, as in Keras."""
    return g.ReduceMax(x, spatial_axes(g, x, data_format), keepdims=int(keepdims))


@keras_layer(*_names("GlobalAveragePooling", "GlobalAvgPool"), mask="drop")
def global_average_pooling(
    g: KerasBuilder, x: Value, *, data_format: str | None = None, keepdims: bool = False
) -> Value:
    """Over one axis the mask says which steps count; over more Keras does not look at it."""
    axes, mask = spatial_axes(g, x, data_format), g.mask_of(x)
    if mask is None or x.rank != 3:
        return g.ReduceMean(x, axes, keepdims=int(keepdims))
    assert x.dtype is not None
    real = g.Unsqueeze(mask, [3 - axes[0]])
    kept, ones = g.Where(real, x, 0.0), g.Cast(real, to=to_onnx(x.dtype))
    return g.Div(g.ReduceSum(kept, axes, keepdims=int(keepdims)), g.ReduceSum(ones, axes, keepdims=int(keepdims)))


# -------------------------------------------------------------------- adaptive


@keras_layer(*_names("AdaptiveMaxPooling"), mask="drop")
def adaptive_max_pooling(g: KerasBuilder, x: Value, *, output_size: Sizes, data_format: str | None = None) -> Value:
    return adaptive(g, "MaxPool", x, output_size, data_format)


@keras_layer(*_names("AdaptiveAveragePooling"), mask="drop")
def adaptive_average_pooling(g: KerasBuilder, x: Value, *, output_size: Sizes, data_format: str | None = None) -> Value:
    return adaptive(g, "AveragePool", x, output_size, data_format)


def adaptive(g: KerasBuilder, op: str, x: Value, output_size: Sizes, data_format: str | None) -> Value:
    """An axis at a time (keras/src/backend/tensorflow/nn.py)."""
    image = g.to_first(x, data_format)
    wanted = per_axis(g, "output_size", output_size, image.rank - 2)
    for axis, count in enumerate(wanted):
        image = _adaptive_axis(g, op, image, axis + 2, count)
    return g.from_first(image, data_format)


def _adaptive_axis(g: KerasBuilder, op: str, x: Value, axis: int, count: int) -> Value:
    """Bin i of n is from floor(i size / n) to ceil((i + 1) size / n), so bins have one of two sizes.

    Evenly spaced bins of one size are one pooling; others are picked from windows at every place.
    """
    size = x.shape[axis] if x.shape is not None else None
    if not isinstance(size, int):
        raise g.unsupported("adaptive pooling over an axis of unknown size", "Give the input's shape: --input-shape.")
    g.affordable(count)
    starts = [i * size // count for i in range(count)]
    lengths = [-(-(i + 1) * size // count) - start for i, start in enumerate(starts)]
    kinds, steps = sorted(set(lengths)), set(np.diff(starts).tolist())
    step = steps.pop() if len(steps) == 1 else 1
    if len(kinds) == 1 and not steps and step > 0 and (size - kinds[0]) // step + 1 == count:
        return _along(g, op, x, axis, kinds[0], step)
    offsets = dict(zip(kinds, np.cumsum([0, *(size - kind + 1 for kind in kinds)]).tolist(), strict=False))
    parts = [_along(g, op, x, axis, kind, 1) for kind in kinds]
    windows = parts[0] if len(parts) == 1 else g.Concat(*parts, axis=axis)
    return g.Gather(windows, [start + offsets[n] for start, n in zip(starts, lengths, strict=True)], axis=axis)


def _along(g: KerasBuilder, op: str, x: Value, axis: int, length: int, step: int) -> Value:
    """Windows of `length` along one axis."""
    kernel, strides = ([n if i == axis else 1 for i in range(2, x.rank)] for n in (length, step))
    return g.op(op, [x], kernel_shape=kernel, strides=strides)
