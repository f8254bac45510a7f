"""Caffe layers of forks that change an image's size."""

from __future__ import annotations

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value


@caffe_layer("Interp")
def interp(
    g: CaffeBuilder, x: Value, *, height: int = 0, width: int = 0, zoom_factor: int = 0, shrink_factor: int = 0,
    pad_beg: int = 0, pad_end: int = 0,
) -> Value:  # fmt: skip
    """Bilinear with corners aligned, after cropping by the negative pads (DeepLab, PSPNet: interp_layer.cpp).

    One factor alone wins over height and width; these win over both factors.
    """
    if pad_beg > 0 or pad_end > 0:
        raise ConversionError("Interp only crops: its pads are negative or zero", g.origin)
    if pad_beg or pad_end:
        x = g.Slice(x, [-pad_beg] * 2, [size + pad_end for size in x.sizes[2:]], [2, 3])
    image = [_interp_size(size, zoom_factor, shrink_factor) for size in x.sizes[2:]]
    if height and width and bool(zoom_factor) == bool(shrink_factor):
        image = [height, width]
    return resize(g, x, image, mode="linear", coordinate_transformation_mode="align_corners")


def _interp_size(size: int, zoom_factor: int, shrink_factor: int) -> int:
    """Shrinking keeps every n-th sample, counted from the first; zooming puts n - 1 between each two."""
    small = (size - 1) // (shrink_factor or 1) + 1
    return small + (small - 1) * ((zoom_factor or 1) - 1)


def resize(g: CaffeBuilder, x: Value, image: list[int], **attributes: str) -> Value:
    return g.Resize(x, None, None, [*x.sizes[:2], *image], **attributes)


def nearest(g: CaffeBuilder, x: Value, scale: int) -> Value:
    """Every value becomes a square."""
    image = [size * scale for size in x.sizes[2:]]
    return resize(g, x, image, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


@caffe_layer("Upsample")
def upsample(
    g: CaffeBuilder, x: Value, mask: Value | None = None, *, scale: int = 2, upsample_h: int = 0, upsample_w: int = 0,
    pad_out_h: bool = False, pad_out_w: bool = False,
) -> Value:  # fmt: skip
    """Nearest neighbour (YOLO's fork), or with a second bottom max pooling undone (SegNet's fork)."""
    if mask is None:
        return nearest(g, x, scale)
    height = upsample_h or x.sizes[2] * scale - pad_out_h
    width = upsample_w or x.sizes[3] * scale - pad_out_w
    return unpool(g, x, mask, scale, height, width)


def unpool(g: CaffeBuilder, x: Value, mask: Value, scale: int, height: int, width: int) -> Value:
    """Each value goes to the place its mask names, zeros elsewhere.

    The windows do not overlap, so that place lies in the value's own square of the result: no scatter is needed, each
    element asks whether it is the one its square names.
    """
    made_by = g.windows.get(mask)
    if made_by is None:
        g.warn("the mask is taken to be of a max pooling whose kernel and stride are the scale, without pad")
    elif made_by != ((scale, scale), (scale, scale), (0, 0)):
        raise g.unsupported(f"Upsample's mask is of overlapping windows (kernel, stride, pad: {made_by})")
    values, chosen = (_cut(g, nearest(g, one, scale), height, width) for one in (x, mask))
    g.affordable(height, width)
    here = np.arange(height * width, dtype=np.float32).reshape(height, width)
    return g.Where(g.Equal(chosen, here), values, 0.0)


def _cut(g: CaffeBuilder, x: Value, height: int, width: int) -> Value:
    if height > x.sizes[2] or width > x.sizes[3]:
        raise g.unsupported(f"Upsample to {height}x{width} is more than its scale gives")
    return x if x.sizes[2:] == (height, width) else g.Slice(x, [0, 0], [height, width], [2, 3])


@caffe_layer("Reorg")
def reorg(g: CaffeBuilder, x: Value, *, stride: int = 2, reverse: bool = False) -> Value:
    """Darknet's reorg. Its forward loop runs over the input's own sizes, so it reads memory as [C / s^2, s H, s W]."""
    n, c, h, w = x.sizes
    if c % stride**2 or (not reverse and (h % stride or w % stride)):
        raise ConversionError(f"{c}x{h}x{w} does not divide by the stride {stride}", g.origin)
    if reverse:
        return g.DepthToSpace(x, blocksize=stride, mode="DCR")
    as_read = g.Reshape(x, [n, c // stride**2, h * stride, w * stride])
    return g.Reshape(g.SpaceToDepth(as_read, blocksize=stride), [n, c * stride**2, h // stride, w // stride])
