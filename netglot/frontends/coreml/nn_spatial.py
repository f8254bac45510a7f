"""Layers over images: convolution, pooling, padding, resizing, normalisation. Blobs are N C H W."""

from __future__ import annotations

from typing import Any

from netglot.errors import UnsupportedError
from netglot.frontends.coreml import windows
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, nn_layer
from netglot.frontends.coreml.mil_resize import linear, resized
from netglot.frontends.coreml.weights import Weights, shaped, stored
from netglot.frontends.coreml.windows import Pads
from netglot.ir.graph import Value

_ONES = (1, 1)


def borders(amounts: Any) -> Pads:
    """Begin and end of height and width in a BorderAmounts message."""
    found = [(int(item.startEdgeSize), int(item.endEdgeSize)) for item in amounts.borderAmounts]
    return found or [(0, 0), (0, 0)]


def _pads(valid: Any, same: Any, sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints = _ONES) -> Pads:
    """Of the one that is set; SamePadding has a mode with the odd pixel at the begin."""
    if same is not None:
        return windows.same(sizes, kernel, strides, dilations, lower=same.asymmetryMode == 1)
    return borders(valid.paddingAmounts) if valid is not None else [(0, 0), (0, 0)]


@nn_layer("convolution")
def convolution(
    g: CoreMLBuilder, x: Value, *, outputChannels: int, kernelChannels: int, nGroups: int, kernelSize: Ints,
    stride: Ints, dilationFactor: Ints, isDeconvolution: bool, hasBias: bool, weights: Weights, bias: Weights,
    outputShape: Ints, valid: Any | None = None, same: Any | None = None,
) -> Value:  # fmt: skip
    kernel, strides, dilations = kernelSize or (3, 3), stride or _ONES, dilationFactor or _ONES
    groups = max(nGroups, 1)
    channels = (kernelChannels, outputChannels // groups) if isDeconvolution else (outputChannels, kernelChannels)
    weight = stored(g, weights, (*channels, *kernel), axis=int(isDeconvolution))
    shift = g.constant(shaped(bias, (outputChannels,), g.origin)) if hasBias else None
    sizes = x.sizes[2:]
    if not isDeconvolution:
        pads = _pads(valid, same, sizes, kernel, strides, dilations)
        return windows.convolution(g, x, weight, shift, strides, pads, dilations, groups)
    full = windows.full_sizes(sizes, kernel, strides, dilations)
    if same is not None:
        wanted = outputShape or tuple(n * s for n, s in zip(sizes, strides, strict=True))
        begins = [max(0, f - n) // 2 for f, n in zip(full, wanted, strict=True)]
    else:
        pads = _pads(valid, None, sizes, kernel, strides)
        wanted = outputShape or tuple(f - a - b for f, (a, b) in zip(full, pads, strict=True))
        begins = [begin for begin, _ in pads]
    return windows.deconvolution(g, x, weight, shift, strides, dilations, groups, begins, wanted)


@nn_layer("pooling")
def pooling(
    g: CoreMLBuilder, x: Value, *, type: int, kernelSize: Ints, stride: Ints, avgPoolExcludePadding: bool,
    globalPooling: bool, valid: Any | None = None, same: Any | None = None, includeLastPixel: Any | None = None,
) -> Value:  # fmt: skip
    """includeLastPixel rounds up, as Caffe does: the last window begins inside the padded image."""
    kind = ("max", "avg", "l2")[type]
    if globalPooling:
        return windows.pooling(g, x, kind, x.sizes[2:], _ONES, [(0, 0)] * 2, ceil=False, exclude=False)
    kernel, strides = kernelSize or (3, 3), stride or _ONES
    pads = _pads(valid, same, x.sizes[2:], kernel, strides)
    if includeLastPixel is not None:
        pads = [(int(n), int(n)) for n in includeLastPixel.paddingAmounts] or [(0, 0)] * 2
    return windows.pooling(g, x, kind, kernel, strides, pads, includeLastPixel is not None, avgPoolExcludePadding)


# ------------------------------------------------------------ padding, cropping


@nn_layer("padding")
def padding(
    g: CoreMLBuilder, x: Value, *, paddingAmounts: Any, constant: Any | None = None, reflection: Any | None = None,
    replication: Any | None = None,
) -> Value:  # fmt: skip
    (top, bottom), (left, right) = borders(paddingAmounts)
    amounts = [0] * (x.rank - 2) + [top, left] + [0] * (x.rank - 2) + [bottom, right]
    if reflection is not None or replication is not None:
        return g.Pad(x, amounts, mode="reflect" if reflection is not None else "edge")
    return g.Pad(x, amounts, g.like(x, constant.value if constant is not None else 0.0))


@nn_layer("crop")
def crop(g: CoreMLBuilder, x: Value, like: Value | None = None, *, cropAmounts: Any, offset: Ints) -> Value:
    """By amounts, or to the size of a second input from an offset."""
    height, width = x.sizes[-2:]
    (top, bottom), (left, right) = borders(cropAmounts)
    ends = [height - bottom, width - right]
    if like is not None:
        top, left = offset or (0, 0)
        ends = [top + like.sizes[-2], left + like.sizes[-1]]
    return g.Slice(x, [top, left], ends, [-2, -1])


# -------------------------------------------------------------------- resizing


@nn_layer("upsample")
def upsample(
    g: CoreMLBuilder, x: Value, *, scalingFactor: Ints, fractionalScalingFactor: Any, mode: int, linearUpsampleMode: int
) -> Value:
    factors = list(fractionalScalingFactor) or scalingFactor or _ONES
    sizes = [int(n * factor) for n, factor in zip(x.sizes[-2:], factors, strict=True)]
    if mode == 0:
        return resized(g, x, sizes, "nearest", "asymmetric", "floor")
    return linear(g, x, sizes, ("DEFAULT", "STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS")[linearUpsampleMode])


@nn_layer("resizeBilinear")
def resize_bilinear(g: CoreMLBuilder, x: Value, *, targetSize: Ints, mode: Any) -> Value:
    names = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS")
    return linear(g, x, targetSize or _ONES, names[mode.samplingMethod])


@nn_layer("reorganizeData")
def reorganize_data(g: CoreMLBuilder, x: Value, *, mode: int, blockSize: int) -> Value:
    if mode == 0:
        return g.SpaceToDepth(x, blocksize=blockSize)
    return g.DepthToSpace(x, blocksize=blockSize, mode=("DCR", "CRD")[mode - 1])


# --------------------------------------------------------------- normalisation


@nn_layer("batchnorm")
def batchnorm(
    g: CoreMLBuilder, x: Value, *, channels: int, computeMeanVar: bool, instanceNormalization: bool, epsilon: float,
    gamma: Weights, beta: Weights, mean: Weights, variance: Weights,
) -> Value:  # fmt: skip
    scale, shift = (g.constant(shaped(item, (channels,), g.origin)) for item in (gamma, beta))
    epsilon = epsilon or 1e-5
    if computeMeanVar and not instanceNormalization:
        raise UnsupportedError("batchnorm that computes the statistics of its batch", g.origin)
    if computeMeanVar:
        return g.InstanceNormalization(x, scale, shift, epsilon=epsilon)
    centre, spread = (g.constant(shaped(item, (channels,), g.origin)) for item in (mean, variance))
    return g.BatchNormalization(x, scale, shift, centre, spread, epsilon=epsilon)


@nn_layer("mvn")
def mvn(g: CoreMLBuilder, x: Value, *, acrossChannels: bool, normalizeVariance: bool, epsilon: float) -> Value:
    axes = [1, 2, 3] if acrossChannels else [2, 3]
    return windows.normalized(g, x, axes, epsilon) if normalizeVariance else g.Sub(x, g.ReduceMean(x, axes))


@nn_layer("l2normalize")
def l2normalize(g: CoreMLBuilder, x: Value, *, epsilon: float) -> Value:
    return g.Div(x, g.Sqrt(g.Add(g.ReduceSumSquare(x, [-3, -2, -1]), g.like(x, epsilon))))


@nn_layer("lrn")
def lrn(g: CoreMLBuilder, x: Value, *, alpha: float, beta: float, localSize: int, k: float) -> Value:
    if localSize % 2 == 0:
        raise UnsupportedError("lrn of an even size", g.origin)
    return g.LRN(x, size=localSize, alpha=alpha, beta=beta, bias=k)
