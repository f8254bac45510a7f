"""Caffe layers that normalise."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value


def centred(g: CaffeBuilder, x: Value, axes: list[int]) -> tuple[Value, Value]:
    """x minus its mean over `axes`, and the variance."""
    difference = g.Sub(x, g.ReduceMean(x, axes, keepdims=1))
    return difference, g.ReduceMean(g.Mul(difference, difference), axes, keepdims=1)


def by_statistics(g: CaffeBuilder, x: Value, eps: float) -> Value:
    """Each channel normalised by the mean and variance of the batch itself."""
    difference, variance = centred(g, x, [axis for axis in range(x.rank) if axis != 1])
    return g.Div(difference, g.Sqrt(g.Add(variance, eps)))


@caffe_layer("BatchNorm")
def batch_norm(
    g: CaffeBuilder, x: Value, mean: Value | None = None, variance: Value | None = None, factor: Value | None = None, *,
    use_global_stats: bool = True, eps: float = 1e-5, moving_average_fraction: float = 0.999,
) -> Value:  # fmt: skip
    """(x - mean) / sqrt(variance + eps); the file's are still multiplied by `factor` (batch_norm_layer.cpp)."""
    channels = x.sizes[1] if x.rank > 1 else 1
    total = float(g.numbers(factor, 1)[0])
    by = 1 / total if total else 0.0
    centre, spread = ((g.numbers(blob, channels) * np.float32(by)) for blob in (mean, variance))
    if not use_global_stats:
        return by_statistics(g, x, eps)
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return g.BatchNormalization(x, one, zero, centre, spread, epsilon=eps)


@caffe_layer("BN")
def bn(
    g: CaffeBuilder, x: Value, scale: Value | None = None, shift: Value | None = None, mean: Value | None = None,
    variance: Value | None = None, *, eps: float = 1e-5, var_eps: float = 1e-9,
    bn_mode: Literal["LEARN", "INFERENCE"] = "LEARN", momentum: float = 0.9, frozen: bool = False,
) -> Value:  # fmt: skip
    """BN of two forks: PSPNet's has four blobs; SegNet's two, and then LEARN takes the batch's own statistics."""
    channels = x.sizes[1]
    by, plus = g.weight(scale, channels, 1, 1), g.weight(shift, channels, 1, 1)
    if mean is not None:
        return g.BatchNormalization(
            x, *(g.weight(blob, channels) for blob in (scale, shift, mean, variance)), epsilon=eps
        )
    return g.Add(g.Mul(x if bn_mode == "INFERENCE" else by_statistics(g, x, var_eps), by), plus)


@caffe_layer("LRN")
def lrn(
    g: CaffeBuilder, x: Value, *, local_size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0,
    norm_region: Literal["ACROSS_CHANNELS", "WITHIN_CHANNEL"] = "ACROSS_CHANNELS",
) -> Value:  # fmt: skip
    """Local response normalisation (lrn_layer.cpp); within a channel k is not used, and 1 stands in its place."""
    if local_size % 2 == 0:
        raise ConversionError(f"local_size is {local_size}, Caffe takes odd ones only", g.origin)
    if norm_region == "ACROSS_CHANNELS":
        return g.LRN(x, size=local_size, alpha=alpha, beta=beta, bias=k)
    size, pads = (local_size,) * 2, (local_size // 2,) * 4
    mean = g.AveragePool(g.Mul(x, x), kernel_shape=size, strides=(1, 1), pads=pads, count_include_pad=1)
    return g.Mul(x, g.Pow(g.Add(g.Mul(mean, alpha), 1.0), -beta))


@caffe_layer("MVN")
def mvn(
    g: CaffeBuilder, x: Value, *, normalize_variance: bool = True, across_channels: bool = False, eps: float = 1e-9
) -> Value:
    """Mean-variance normalisation of each image, or each channel; eps is added to the deviation (mvn_layer.cpp).

    The result has four axes, whatever x has.
    """
    if x.rank > 4:
        raise ConversionError("MVN takes up to four axes", g.origin)
    x = x if x.rank == 4 else g.Reshape(x, [*x.sizes, *(1,) * (4 - x.rank)])
    difference, variance = centred(g, x, [1, 2, 3] if across_channels else [2, 3])
    return g.Div(difference, g.Add(g.Sqrt(variance), eps)) if normalize_variance else difference


@caffe_layer("Normalize", param="norm_param")
def normalize(
    g: CaffeBuilder, x: Value, scale: Value | None = None, *, across_spatial: bool = True, channel_shared: bool = True,
    eps: float = 1e-10,
) -> Value:  # fmt: skip
    """x / sqrt(sum of squares + eps) * scale, of the SSD fork; the sum is over channels, and over the image too."""
    one = channel_shared if scale is None else np.prod(scale.sizes) == 1
    by = g.weight(scale, *((1,) if one else (x.sizes[1], *(1,) * (x.rank - 2))))
    squares = g.ReduceSumSquare(x, list(range(1, x.rank)) if across_spatial else [1], keepdims=1)
    return g.Mul(g.Div(x, g.Sqrt(g.Add(squares, eps))), by)
