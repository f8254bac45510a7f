"""Pooling. Semantics: TensorFlow's core/ops/nn_ops.cc."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.window import padding, spatial
from netglot.ir.graph import Value

Ints = tuple[int, ...]


@tf_op("MaxPool")
def max_pool(
    g: TFBuilder, x: Value, *, ksize: Ints, strides: Ints, padding: str, explicit_paddings: Ints = (),
    data_format: str = "NHWC",
) -> Value:  # fmt: skip
    return _pool(g, "MaxPool", x, ksize, strides, padding, explicit_paddings, data_format)


@tf_op("MaxPoolV2")
def max_pool_v2(
    g: TFBuilder, x: Value, ksize: Value, strides: Value, *, padding: str, data_format: str = "NHWC"
) -> Value:
    kernel, steps = g.ints(ksize, "the size of the window"), g.ints(strides, "the strides")
    return _pool(g, "MaxPool", x, tuple(kernel), tuple(steps), padding, (), data_format)


@tf_op("MaxPool3D")
def max_pool_3d(
    g: TFBuilder, x: Value, *, ksize: Ints, strides: Ints, padding: str, data_format: str = "NDHWC"
) -> Value:
    return _pool(g, "MaxPool", x, ksize, strides, padding, (), data_format)


@tf_op("AvgPool")
def average_pool(
    g: TFBuilder, x: Value, *, ksize: Ints, strides: Ints, padding: str, data_format: str = "NHWC"
) -> Value:
    """The padding does not count."""
    return _pool(g, "AveragePool", x, ksize, strides, padding, (), data_format)


@tf_op("AvgPool3D")
def average_pool_3d(
    g: TFBuilder, x: Value, *, ksize: Ints, strides: Ints, padding: str, data_format: str = "NDHWC"
) -> Value:
    return _pool(g, "AveragePool", x, ksize, strides, padding, (), data_format)


def _pool(
    g: TFBuilder, onnx: str, x: Value, ksize: Ints, strides: Ints, mode: str, explicit: Ints, layout: str
) -> Value:
    return g.from_first(
        g.op(onnx, [g.to_first(x, layout)], **_window(g, x, ksize, strides, mode, explicit, layout)), layout
    )


def _window(
    g: TFBuilder, x: Value, ksize: Ints, strides: Ints, mode: str, explicit: Ints, layout: str
) -> dict[str, Any]:
    """ONNX's attributes of the window."""
    kernel, steps = spatial(g, "a window", ksize, layout), spatial(g, "strides", strides, layout)
    sizes = x.shape or ()
    image = sizes[2:] if layout.startswith("NC") else sizes[1:-1]
    pads = padding(g, mode, image, kernel, steps, (1,) * len(kernel), explicit, layout)
    return {"kernel_shape": kernel, "strides": steps, **pads}


@tf_op("MaxPoolWithArgmax")
def max_pool_with_argmax(
    g: TFBuilder, x: Value, *, ksize: Ints, strides: Ints, padding: str, include_batch_in_index: bool = False,
    Targmax: Any = np.int64,
) -> tuple[Value, Value]:  # fmt: skip
    """Places count the elements of NHWC, of one image or of the whole batch; ONNX's those of NCHW."""
    _, height, width, channels = x.shape or (None,) * 4
    if not isinstance(height, int) or not isinstance(width, int) or not isinstance(channels, int):
        raise g.unsupported("an image of unknown size")
    window = _window(g, x, ksize, strides, padding, (), "NHWC")
    y, places = g.op("MaxPool", [g.to_first(x, "NHWC")], outputs=2, **window)
    plane = g.constant(height * width, np.int64)
    where = g.Add(g.Mul(g.Mod(places, plane), g.constant(channels, np.int64)), np.arange(channels).reshape(-1, 1, 1))
    if include_batch_in_index:
        image = g.Div(places, g.constant(height * width * channels, np.int64))
        where = g.Add(where, g.Mul(image, g.constant(height * width * channels, np.int64)))
    return g.from_first(y, "NHWC"), g.cast(g.from_first(where, "NHWC"), Targmax)
