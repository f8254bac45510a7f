"""Pooling. TFLite's kernels are channels-last, over two axes."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import Ints, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.window import Window, as_image, pad_spatial, padded, window, without_pads
from netglot.ir.graph import Value


@tflite_op("MaxPool", layout=Side.LAST)
def max_pool(
    m: TFLiteBuilder, x: Value, y: Value, indices: Value | None, *, auto_pad: str, kernel_shape: Ints,
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), ceil_mode: int = 0,
) -> None:  # fmt: skip
    if indices is not None or any(d != 1 for d in dilations):
        raise NotMappedError("no dilation and no indices")
    view = window(x, y, kernel_shape, strides, pads, dilations, auto_pad)
    m.finish(pool(m, "MAX_POOL_2D", x, view, -np.inf), y)


@tflite_op("AveragePool", layout=Side.LAST)
def average_pool(
    m: TFLiteBuilder, x: Value, y: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int, count_include_pad: int,
) -> None:  # fmt: skip
    """TFLite divides by what lies in the image under SAME, and by the whole window otherwise: that is corrected."""
    if any(d != 1 for d in dilations):
        raise NotMappedError("no dilation")
    view = window(x, y, kernel_shape, strides, pads, dilations, auto_pad)
    counted = _counted_padding(view, pads, auto_pad) if count_include_pad else ((0, 0),) * len(view.sizes)
    if x.rank < 5 and view.is_same and not any(map(any, counted)):
        m.finish(pool(m, "AVERAGE_POOL_2D", x, view, 0.0), y)
        return
    source = pad_spatial(m, m.tensor(x), view.pads)
    total = pool_over(m, "AVERAGE_POOL_2D", source, without_pads(view), 0.0)
    scale = _correction(view, counted)
    m.finish(total if np.all(scale == 1) else m.emit("MUL", total, m.constant(scale[..., None])), y)


def _counted_padding(view: Window, pads: Ints, auto_pad: str) -> tuple[tuple[int, int], ...]:
    """The padding that the divisor counts: what was asked for, not what rounding up adds."""
    if auto_pad != "NOTSET":
        return view.pads
    rank = len(view.sizes)
    return tuple(zip(pads[:rank], pads[rank:], strict=True)) if pads else ((0, 0),) * rank


def _correction(view: Window, counted: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Window size over what it counts, for each output: where a window hangs over the counted image it is above one."""
    result = np.ones(1, np.float32)
    for axis, (before, after) in enumerate(counted):
        start = np.arange(view.outputs[axis]) * view.strides[axis] - view.pads[axis][0]
        end = np.minimum(start + view.kernel[axis], view.sizes[axis] + after)
        inside = end - np.maximum(start, -before)
        result = result[..., None] * (view.kernel[axis] / inside).astype(np.float32)
    return result


def pool(m: TFLiteBuilder, name: str, x: Value, view: Window, fill: float) -> int:
    if x.rank > 4:
        return pool_over(m, name, pad_spatial(m, m.tensor(x), view.pads, fill), without_pads(view), fill)
    return pool_image(m, name, as_image(m, x), view.image(), fill)


def pool_image(m: TFLiteBuilder, name: str, x: int, view: Window, fill: float) -> int:
    source, padding = padded(m, x, view, fill)
    (h, w), (kernel_h, kernel_w) = view.strides, view.kernel
    options = tfl.Pool2DOptionsT(padding=padding, strideH=h, strideW=w, filterHeight=kernel_h, filterWidth=kernel_w)
    batch, *_, channels = m.shape(x)
    return m.emit(name, source, options=options, shape=(batch, *view.outputs, channels))


def pool_over(m: TFLiteBuilder, name: str, x: int, view: Window, fill: float) -> int:
    """Pools channels-last x over one, two or three axes; the depth of three comes after the other two."""
    batch, *sizes, channels = m.shape(x)
    if len(sizes) < 3:
        image = m.reshaped(x, (batch, *view.image().sizes, channels))
        return m.reshaped(pool_image(m, name, image, view.image(), fill), (batch, *view.outputs, channels))
    if len(sizes) > 3:
        raise NotMappedError("at most three spatial axes")
    depth, area = sizes[0], view.outputs[1] * view.outputs[2]
    slices = m.reshaped(x, (batch * depth, *sizes[1:], channels))
    flat = pool_image(m, name, slices, _axes(view, slice(1, 3)), fill)
    deep = _axes(view, slice(0, 1))
    outputs, kernel, strides = (deep.outputs[0], area), (deep.kernel[0], 1), (deep.strides[0], 1)
    column = Window((depth, area), outputs, kernel, strides, (1, 1), ((0, 0),) * 2)
    result = pool_image(m, name, m.reshaped(flat, (batch, depth, area, channels)), column, fill)
    return m.reshaped(result, (batch, *view.outputs, channels))


def _axes(view: Window, which: slice) -> Window:
    return Window(
        view.sizes[which], view.outputs[which], view.kernel[which], view.strides[which], view.dilations[which],
        view.pads[which],
    )  # fmt: skip
