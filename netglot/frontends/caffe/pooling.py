"""Caffe layers that pool."""

from __future__ import annotations

from math import ceil
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.caffe.spatial import Window, im2col, window
from netglot.ir.graph import Value

Ints = tuple[int, ...]
Pool = Literal["MAX", "AVE", "STOCHASTIC"]

MAX_LEVELS = 16
LOWEST = float(np.finfo(np.float32).min)


@caffe_layer("Pooling")
def pooling(
    g: CaffeBuilder, x: Value, *, pool: Pool = "MAX", kernel_size: int = 0, kernel_h: int = 0, kernel_w: int = 0,
    stride: int = 1, stride_h: int = 0, stride_w: int = 0, pad: int = 0, pad_h: int = 0, pad_w: int = 0,
    global_pooling: bool = False, round_mode: Literal["CEIL", "FLOOR"] = "CEIL", ceil_mode: bool = True,
) -> Value | tuple[Value, Value]:  # fmt: skip
    """Pooling (pooling_layer.cpp): rounds up, but no window starts in the padding at the end.

    A second top of MAX is the place of each maximum in its plane, as a float. `ceil_mode` is how several forks spell
    `round_mode`.
    """
    image = x.sizes[2:]
    if len(image) != 2:
        raise ConversionError(f"Pooling takes four axes, not {x.rank}", g.origin)
    if global_pooling and g.tops < 2 and pool != "STOCHASTIC":
        return g.GlobalMaxPool(x) if pool == "MAX" else g.GlobalAveragePool(x)
    kernel = image if global_pooling else window(g, "kernel_size", (kernel_size,), kernel_h, kernel_w, 2, None)
    strides = window(g, "stride", (stride,), stride_h, stride_w, 2, 1)
    pads = window(g, "pad", (pad,), pad_h, pad_w, 2, 0)
    y = pool_windows(g, x, pool, kernel, strides, pads, round_mode if ceil_mode else "FLOOR")
    if g.tops < 2 or pool != "MAX":
        return y
    mask = places(g, x, Window(kernel, strides, pads, (1, 1)), y.sizes[2:])
    g.windows[mask] = (kernel, strides, pads)
    return y, mask


def pool_windows(
    g: CaffeBuilder, x: Value, pool: Pool, kernel: Ints, strides: Ints, pads: Ints, round_mode: str = "CEIL"
) -> Value:
    """The overhang of the last window is written out as padding at the end: no target has to know Caffe's rounding.

    AVE divides by the window clipped to the *padded* image: its padding is real zeros, its overhang does not count.
    """
    if pool == "STOCHASTIC":
        raise g.unsupported("stochastic pooling is random", "Use MAX or AVE.")
    axes = list(zip(x.sizes[2:], kernel, strides, pads, strict=True))
    if any(size + 2 * pad < k for size, k, _, pad in axes):
        raise ConversionError(f"the kernel {kernel} is larger than the image {x.sizes[2:]}", g.origin)
    over = [overhang(*axis, round_mode, padded=any(pads)) for axis in axes]
    empty = [int(o >= k) for o, k in zip(over, kernel, strict=True)]
    over = [max(0, o - s) if e else o for o, s, e in zip(over, strides, empty, strict=True)]
    if pool == "AVE" and any(pads) and any(over):
        x, pads = g.Pad(x, [0, 0, *pads, 0, 0, *pads]), (0, 0)
    around = [*pads, *(p + o for p, o in zip(pads, over, strict=True))]
    if pool == "MAX":
        y = g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=around)
    else:
        y = g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=around, count_include_pad=int(any(pads)))
    return g.Pad(y, [0] * 6 + empty, LOWEST if pool == "MAX" else float("nan")) if any(empty) else y


def overhang(size: int, kernel: int, stride: int, pad: int, round_mode: str, *, padded: bool) -> int:
    """How far the last window reaches beyond the padded image.

    If any axis is padded, a last window that would begin in the padding at the end is left out. Where the result is no
    less than the kernel that window is empty: Caffe has it, and gives -FLT_MAX or 0 / 0.
    """
    span = size + 2 * pad - kernel
    steps = -(-span // stride) if round_mode == "CEIL" else span // stride
    if padded and steps * stride >= size + pad:
        steps -= 1
    return max(0, steps * stride - span)


def places(g: CaffeBuilder, x: Value, over: Window, size: Ints) -> Value:
    """Where in its plane each window's maximum is: the arg max over the window's elements, then a table."""
    n, channels, height, width = x.sizes
    g.affordable(*size)
    starts = [np.arange(count) * stride - pad for count, stride, pad in zip(size, over.strides, over.pads, strict=True)]
    ends = [max(0, int(s[-1]) + k - full) for s, k, full in zip(starts, over.kernel, (height, width), strict=True)]
    padded = g.Pad(x, [0, 0, *over.pads, 0, 0, *ends], LOWEST)
    columns = im2col(g, padded, Window(over.kernel, over.strides, (0, 0), (1, 1)))
    columns = g.Slice(columns, [0, 0], [*size], [2, 3])
    taps = over.kernel[0] * over.kernel[1]
    which = g.ArgMax(g.Reshape(columns, [n, channels, taps, size[0] * size[1]]), axis=2, keepdims=0)
    offsets = np.add.outer(np.arange(over.kernel[0]) * width, np.arange(over.kernel[1])).astype(np.float32)
    origin = np.add.outer(starts[0] * width, starts[1]).astype(np.float32)
    return g.Reshape(g.Add(g.Gather(offsets.ravel(), which), origin.ravel()), [n, channels, *size])


@caffe_layer("SPP")
def spp(g: CaffeBuilder, x: Value, *, pyramid_height: int, pool: Pool = "MAX") -> Value:
    """Spatial pyramid pooling (spp_layer.cpp): level i has 2^i x 2^i bins; all are flattened and joined."""
    if not 0 < pyramid_height <= MAX_LEVELS:
        raise ConversionError(f"pyramid_height is {pyramid_height}", g.origin)
    levels = [pool_windows(g, x, pool, *_bins(x.sizes[2:], 2**level)) for level in range(pyramid_height)]
    return g.Concat(*(g.Flatten(level, axis=1) for level in levels), axis=1) if pyramid_height > 1 else levels[0]


def _bins(image: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """(kernel, strides, pads) of `count` bins along each axis."""
    kernel = tuple(ceil(size / count) for size in image)
    return kernel, kernel, tuple((k * count - size + 1) // 2 for k, size in zip(kernel, image, strict=True))


@caffe_layer("ROIPooling", param="roi_pooling_param")
def roi_pooling(
    g: CaffeBuilder, x: Value, rois: Value, *, pooled_h: int, pooled_w: int, spatial_scale: float = 1.0
) -> Value:
    """Max pooling of regions [R, 5] = (image, x1, y1, x2, y2) into a grid (Fast R-CNN's fork)."""
    regions = rois if rois.rank == 2 else g.Reshape(rois, [-1, 5])
    return g.MaxRoiPool(x, regions, pooled_shape=(pooled_h, pooled_w), spatial_scale=spatial_scale)
