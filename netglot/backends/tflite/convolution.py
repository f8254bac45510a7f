"""Convolution. TFLite's kernels are channels-last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import Ints, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.window import Window, as_image, padded, window
from netglot.ir.graph import Value


@tflite_op("Conv", layout=Side.LAST)
def conv(
    m: TFLiteBuilder, x: Value, w: Value, b: Value | None, y: Value, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int,
) -> None:  # fmt: skip
    view = window(x, y, w.sizes[2:], strides, pads, dilations, auto_pad)
    bias = m.tensor(b) if b else zero_bias(m, w.sizes[0])
    if x.rank == 5:
        conv_3d(m, x, w, bias, y, view, group)
    elif x.rank > 5:
        raise NotMappedError(f"at most three spatial axes, not {x.rank - 2}")
    elif group == x.sizes[1] and group > 1:
        m.finish(depthwise(m, as_image(m, x), depthwise_filters(m, w), bias, view.image()), y)
    else:
        m.finish(conv_2d(m, as_image(m, x), filters(m, w), bias, view.image()), y)


def zero_bias(m: TFLiteBuilder, channels: int) -> int:
    """Kernels take a missing bias, but not every delegate does."""
    return m.constant(np.zeros(channels, np.float32), name="zero bias")


def filters(m: TFLiteBuilder, w: Value) -> int:
    """Filters as O H W I. Computed ones are stored so: Conv asks for its images channels-last."""
    if w.data is None:
        return as_image(m, w)
    return m.constant(image_weights(w.array).transpose(0, 2, 3, 1), name=w.name)


def depthwise_filters(m: TFLiteBuilder, w: Value) -> int:
    """Filters as 1 H W O, from O 1 H W."""
    if w.data is None:
        return m.transposed(as_image(m, w), (3, 1, 2, 0))
    return m.constant(image_weights(w.array).transpose(1, 2, 3, 0), name=w.name)


def image_weights(w: np.ndarray) -> np.ndarray:
    """O I W as O I 1 W."""
    return w[:, :, None] if w.ndim == 3 else w


def conv_2d(m: TFLiteBuilder, x: int, filters: int, bias: int, view: Window) -> int:
    """Groups are those that the filters' input channels imply (CONV_2D has them since version 6)."""
    source, padding = padded(m, x, view)
    options = tfl.Conv2DOptionsT(padding=padding, **_steps(view))
    return m.emit("CONV_2D", source, filters, bias, options=options, shape=_result(m, x, filters, 0, view))


def depthwise(m: TFLiteBuilder, x: int, filters: int, bias: int, view: Window) -> int:
    if view.strides[0] != view.strides[1]:
        return every_other(m, depthwise(m, x, filters, bias, at_stride_one(view)), view)
    source, padding = padded(m, x, view)
    multiplier = m.shape(filters)[3] // m.shape(x)[3]
    options = tfl.DepthwiseConv2DOptionsT(padding=padding, depthMultiplier=multiplier, **_steps(view))
    return m.emit("DEPTHWISE_CONV_2D", source, filters, bias, options=options, shape=_result(m, x, filters, 3, view))


def _steps(view: Window) -> dict[str, int]:
    (h, w), (dilation_h, dilation_w) = view.strides, view.dilations
    return {"strideH": h, "strideW": w, "dilationHFactor": dilation_h, "dilationWFactor": dilation_w}


def _result(m: TFLiteBuilder, x: int, filters: int, channel_axis: int, view: Window) -> Ints:
    return (m.shape(x)[0], *view.outputs, m.shape(filters)[channel_axis])


def conv_3d(m: TFLiteBuilder, x: Value, w: Value, bias: int, y: Value, view: Window, group: int) -> None:
    """CONV_3D takes filters as D H W I O and has no groups."""
    if w.data is None:
        raise NotMappedError("the weights of a convolution over three axes are computed")
    source, padding = padded(m, m.tensor(x), view)
    options = tfl.Conv3DOptionsT(padding=padding)
    options.strideD, options.strideH, options.strideW = view.strides
    options.dilationDFactor, options.dilationHFactor, options.dilationWFactor = view.dilations
    weights = w.data.transpose(2, 3, 4, 1, 0)

    def one(part: int, outputs: slice) -> int:
        shape = (x.sizes[0], *view.outputs, outputs.stop - outputs.start)
        some = m.constant(weights[..., outputs], name=w.name)
        return m.emit("CONV_3D", part, some, bias_part(m, bias, outputs), options=options, shape=shape)

    m.finish(by_groups(m, source, group, y.sizes[1], one), y)


def bias_part(m: TFLiteBuilder, bias: int, outputs: slice) -> int:
    data = m.data(bias)
    if data is None:
        raise NotMappedError("the bias of a grouped convolution is computed")
    return bias if len(data) == outputs.stop - outputs.start else m.constant(data[outputs])


def by_groups(m: TFLiteBuilder, x: int, group: int, channels: int, one: Callable[[int, slice], int]) -> int:
    """Concatenates `one(channels of the group, slice of its outputs)` over the groups of channels-last x."""
    if group == 1:
        return one(x, slice(0, channels))
    shape, axis, step = m.shape(x), len(m.shape(x)) - 1, channels // group
    parts = [m.temporary((*shape[:-1], shape[-1] // group), m.dtype(x)) for _ in range(group)]
    m.op("SPLIT", [m.ints(axis), x], parts, tfl.SplitOptionsT(numSplits=group))
    results = [one(part, slice(i * step, (i + 1) * step)) for i, part in enumerate(parts)]
    options = tfl.ConcatenationOptionsT(axis=axis)
    return m.emit("CONCATENATION", *results, options=options, shape=(*m.shape(results[0])[:-1], channels))


def at_stride_one(view: Window) -> Window:
    outputs = tuple((n - 1) * s + 1 for n, s in zip(view.outputs, view.strides, strict=True))
    return Window(view.sizes, outputs, view.kernel, (1, 1), view.dilations, view.pads)


def every_other(m: TFLiteBuilder, x: int, view: Window) -> int:
    """The outputs that a window with strides would have computed."""
    batch, height, width, channels = m.shape(x)
    shape = (batch, *view.outputs, channels)
    steps = m.ints([1, *view.strides, 1])
    return m.emit("STRIDED_SLICE", x, m.ints([0] * 4), m.ints((batch, height, width, channels)), steps, shape=shape)
