"""Caffe's convolutions: everything that has a convolution_param."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.textproto import Message
from netglot.ir.graph import Value
from netglot.ir.types import text

Ints = tuple[int, ...]

_DEPTHWISE = ("ConvolutionDepthwise", "ConvolutionDepthWise", "DepthwiseConvolution")  # as three forks spell it


@dataclass(frozen=True)
class Window:
    """A sliding window; one entry for each spatial axis."""

    kernel: Ints
    strides: Ints
    pads: Ints
    dilations: Ints

    @property
    def attributes(self) -> dict[str, Any]:
        """As ONNX's Conv and ConvTranspose take it."""
        around = self.pads * 2
        return {"kernel_shape": self.kernel, "strides": self.strides, "pads": around, "dilations": self.dilations}


def window(g: CaffeBuilder, name: str, repeated: Ints, h: int, w: int, rank: int, default: int | None) -> Ints:
    """One of kernel, stride, pad, dilation for every spatial axis, from its repeated and its _h/_w form."""
    values = repeated or (() if default is None else (default,))
    values = values * rank if len(values) == 1 else values
    values = (h, w) if (h or w) and rank == 2 else values
    if len(values) != rank:
        raise ConversionError(f"{name} has {len(values)} values for {rank} spatial axes", g.origin)
    if min(values) < (name != "pad"):
        raise ConversionError(f"{name} is {values}", g.origin)
    return values


@caffe_layer("Convolution", "Deconvolution", "Im2col", *_DEPTHWISE, param="convolution_param", each_bottom=True)
def convolution(
    g: CaffeBuilder, x: Value, weight: Value | None = None, bias: Value | None = None, *,
    num_output: int = 0, bias_term: bool = True, kernel_size: Ints = (), kernel_h: int = 0, kernel_w: int = 0,
    stride: Ints = (), stride_h: int = 0, stride_w: int = 0, pad: Ints = (), pad_h: int = 0, pad_w: int = 0,
    dilation: Ints = (), group: int = 1, axis: int = 1, weight_filler: Message | None = None,
) -> Value:  # fmt: skip
    """Cross-correlation over the axes after `axis` (base_conv_layer.cpp) and its kin; output sizes round down."""
    channels_at = g.axis(x, axis)
    rank = x.rank - channels_at - 1
    if rank < 1:
        raise ConversionError(f"{g.type} has no spatial axes after axis {channels_at} of {text(x.shape)}", g.origin)
    over = Window(
        window(g, "kernel_size", kernel_size, kernel_h, kernel_w, rank, None),
        window(g, "stride", stride, stride_h, stride_w, rank, 1),
        window(g, "pad", pad, pad_h, pad_w, rank, 0),
        window(g, "dilation", dilation, 0, 0, rank, 1),
    )
    lead, image = x.sizes[:channels_at], x.sizes[channels_at:]
    if g.type != "Deconvolution":
        _require_fit(g, image[1:], over)
    images = x if channels_at == 1 else g.Reshape(x, [prod(lead), *image])
    if g.type == "Im2col":
        return im2col(g, images, over)
    groups = image[0] if g.type in _DEPTHWISE else group
    outputs = image[0] if g.type in _DEPTHWISE else num_output
    if groups < 1 or image[0] % groups or outputs % groups:
        raise ConversionError(f"{image[0]} channels in, {outputs} out do not divide into {groups} groups", g.origin)
    op, shape = _learned(g.type, image[0], outputs, groups, over.kernel)
    w = bilinear(g, weight, weight_filler, shape)
    y = g.op(op, [images, w, g.weight(bias, outputs) if bias_term else None], group=groups, **over.attributes)
    return y if channels_at == 1 else g.Reshape(y, [*lead, *y.sizes[1:]])


def _require_fit(g: CaffeBuilder, image: Ints, over: Window) -> None:
    """Caffe's division of a negative size rounds towards zero: it goes on with a window that lies partly outside."""
    spans = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(over.kernel, over.dilations, strict=True)]
    if any(span > size + 2 * pad for span, size, pad in zip(spans, image, over.pads, strict=True)):
        raise ConversionError(f"the kernel {tuple(spans)} is larger than the image {image}", g.origin)


def _learned(kind: str, inputs: int, outputs: int, groups: int, kernel: Ints) -> tuple[str, Ints]:
    """The ONNX operator and the shape of its weights, which is Caffe's too."""
    if kind == "Deconvolution":
        return "ConvTranspose", (inputs, outputs // groups, *kernel)
    return "Conv", (outputs, inputs // groups, *kernel)


def bilinear(g: CaffeBuilder, weight: Value | None, filler: Message | None, shape: Ints) -> Value:
    """The learned weights, or those of a bilinear filler, which nobody trains (filler.hpp, BilinearFiller)."""
    if weight is not None or filler is None or filler.get("type") != "bilinear" or shape[-1] != shape[-2]:
        return g.weight(weight, *shape)
    half = ceil(shape[-1] / 2)
    centre = (shape[-1] - 1) / (2 * half)
    slope = 1 - np.abs(np.arange(*g.affordable(shape[-1])) / half - centre)
    return g.constant(np.broadcast_to(np.outer(slope, slope).astype(np.float32), shape))


def im2col(g: CaffeBuilder, x: Value, over: Window) -> Value:
    """Every window as a column, channel by channel (im2col.cpp): a convolution that picks one element each."""
    channels, taps = x.sizes[1], prod(over.kernel)
    g.affordable(channels, taps, taps)
    pick = np.tile(np.eye(taps, dtype=np.float32), (channels, 1)).reshape(-1, 1, *over.kernel)
    return g.Conv(x, pick, group=channels, **over.attributes)
