"""Transposed convolution. TFLite's kernel is channels-last, without groups, dilation and uneven cropping."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import Ints, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.convolution import bias_part, by_groups, depthwise, image_weights, zero_bias
from netglot.backends.tflite.window import Window, as_image, pad_spatial, without_pads
from netglot.ir.graph import Value


@tflite_op("ConvTranspose", layout=Side.LAST)
def conv_transpose(
    m: TFLiteBuilder, x: Value, w: Value, b: Value | None, y: Value, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int, output_padding: Ints = (),
    output_shape: Ints = (),
) -> None:  # fmt: skip
    if w.data is None or x.rank > 5 or (b is not None and b.data is None):
        raise NotMappedError("only constant weights and at most three spatial axes")
    rank = x.rank - 2
    weights = dilated(w.data, dilations or (1,) * rank)
    begins = _begins(x, y, weights.shape[2:], strides or (1,) * rank, pads, output_padding, auto_pad)
    view = _view(x, y, weights.shape[2:], strides or (1,) * rank, begins).image()
    weights, bias = image_weights(weights), m.tensor(b) if b else zero_bias(m, y.sizes[1])
    if group == x.sizes[1] and group > 1 and x.rank < 5:
        m.finish(depthwise_transposed(m, as_image(m, x), weights, bias, view), y)
        return

    def one(part: int, outputs: slice) -> int:
        inputs = m.shape(part)[-1]
        first = outputs.start * inputs // (outputs.stop - outputs.start)
        return transpose_conv(m, part, weights[first : first + inputs], bias_part(m, bias, outputs), view)

    m.finish(by_groups(m, as_image(m, x), group, y.sizes[1], one), y)


def _view(x: Value, y: Value, kernel: Ints, strides: Ints, begins: list[int]) -> Window:
    """The window of the convolution that would take y to x: its padding is what is cut off here."""
    axes = zip(x.sizes[2:], strides, kernel, y.sizes[2:], begins, strict=True)
    crop = tuple((begin, max(0, (n - 1) * s + k - out - begin)) for n, s, k, out, begin in axes)
    return Window(y.sizes[2:], x.sizes[2:], kernel, strides, (1,) * len(kernel), crop)


def dilated(w: np.ndarray, dilations: Ints) -> np.ndarray:
    """The kernels with dilations - 1 zeros between their elements."""
    if all(d == 1 for d in dilations):
        return w
    sizes = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    spread = np.zeros((*w.shape[:2], *sizes), w.dtype)
    spread[:, :, *(slice(None, None, d) for d in dilations)] = w
    return spread


def _begins(
    x: Value, y: Value, kernel: Ints, strides: Ints, pads: Ints, output_padding: Ints, auto_pad: str
) -> list[int]:
    """How much is cut off at the beginning of each axis (ConvTranspose-22: the pads, or by the output's size)."""
    rank = x.rank - 2
    if auto_pad == "NOTSET" and pads:
        return list(pads[:rank])
    if auto_pad in ("NOTSET", "VALID"):
        return [0] * rank
    extra = output_padding or (0,) * rank
    axes = zip(x.sizes[2:], strides, kernel, extra, y.sizes[2:], strict=True)
    total = [max(0, (n - 1) * s + k + e - out) for n, s, k, e, out in axes]
    return [t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in total]


def transpose_conv(m: TFLiteBuilder, x: int, w: np.ndarray, bias: int, view: Window) -> int:
    """Takes I O spatial... weights. Uneven cropping is a slice of the whole result."""
    padding = tfl.Padding.SAME if view.is_same else tfl.Padding.VALID
    shape = (m.shape(x)[0], *(view if view.is_same else without_pads(view)).sizes, w.shape[1])
    if len(shape) == 5:
        name, filters, options = "CONV_3D_TRANSPOSE", w.transpose(2, 3, 4, 1, 0), tfl.Conv3DOptionsT(padding=padding)
        options.strideD, options.strideH, options.strideW = view.strides
    else:
        name, filters, options = "TRANSPOSE_CONV", w.transpose(1, 2, 3, 0), tfl.TransposeConvOptionsT(padding=padding)
        options.strideH, options.strideW = view.strides
    inputs = [m.ints(shape), m.constant(filters), x, bias]
    y = m.emit(name, *inputs, options=options, shape=shape, dtype=m.dtype(x))
    return y if shape[1:-1] == view.sizes else cropped(m, y, [begin for begin, _ in view.pads], view.sizes)


def cropped(m: TFLiteBuilder, x: int, begins: list[int], sizes: Ints) -> int:
    """The spatial part of channels-last x that begins at `begins`."""
    shape = (m.shape(x)[0], *sizes, m.shape(x)[-1])
    return m.emit("SLICE", x, m.ints([0, *begins, 0]), m.ints(shape), shape=shape)


def depthwise_transposed(m: TFLiteBuilder, x: int, w: np.ndarray, bias: int, view: Window) -> int:
    """TRANSPOSE_CONV has no groups: a convolution by the mirrored kernels over x with zeros between its elements."""
    spread = zeros_between(m, x, view.strides)
    sizes, kernel = m.shape(spread)[1:3], view.kernel
    mirrored = w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1).reshape(1, *kernel, -1)
    begins = [k - 1 - begin for k, (begin, _) in zip(kernel, view.pads, strict=True)]
    if min(begins) < 0:
        raise NotMappedError("more padding than the kernel spans")
    axes = zip(sizes, kernel, view.sizes, begins, strict=True)
    ends = [out + k - 1 - n - begin for n, k, out, begin in axes]
    kept = tuple(n + min(0, end) for n, end in zip(sizes, ends, strict=True))
    source = spread if kept == sizes else cropped(m, spread, [0, 0], kept)
    pads = tuple((begin, max(0, end)) for begin, end in zip(begins, ends, strict=True))
    return depthwise(m, source, m.constant(mirrored), bias, Window(kept, view.sizes, kernel, (1, 1), (1, 1), pads))


def zeros_between(m: TFLiteBuilder, x: int, strides: Ints) -> int:
    """Channels-last x with strides - 1 zeros after each row and column."""
    batch, height, width, channels = m.shape(x)
    if strides[1] > 1:
        columns = pad_spatial(m, m.reshaped(x, (batch * height, width, 1, channels)), [(0, 0), (0, strides[1] - 1)])
        width *= strides[1]
        x = m.reshaped(columns, (batch, height, width, channels))
    if strides[0] > 1:
        rows = pad_spatial(m, m.reshaped(x, (batch, height, 1, width * channels)), [(0, 0), (0, strides[0] - 1)])
        x = m.reshaped(rows, (batch, height * strides[0], width, channels))
    return x
