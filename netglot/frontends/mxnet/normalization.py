"""Layers that normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import inverse

_WITH_STATISTICS = ("output", "mean", "var")


@mxnet_op("BatchNorm", outputs=_WITH_STATISTICS)
def batch_norm(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, moving_mean: Value, moving_var: Value, *,
    eps: float = 1e-3, momentum: float = 0.9, fix_gamma: bool = True, use_global_stats: bool = False,
    output_mean_var: bool = False, axis: int = 1, min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    """batch_norm.cc at inference: the moving statistics; gamma counts as 1 where it is fixed, whatever the file holds.

    The output that is called the variance is 1 / sqrt(variance + eps). The calibration ranges are for a later
    quantisation.
    """
    y = _normalized(g, data, (gamma, beta, moving_mean, moving_var), eps, fix_gamma, g.axis(data, axis))
    if g.read <= {0}:
        return (y,)
    return y, g.Identity(moving_mean), g.Reciprocal(g.Sqrt(g.Add(moving_var, eps)))


@mxnet_op("BatchNorm_v1", "CuDNNBatchNorm", outputs=_WITH_STATISTICS)
def batch_norm_v1(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, moving_mean: Value, moving_var: Value, *,
    eps: float = 1e-3, momentum: float = 0.9, fix_gamma: bool = True, use_global_stats: bool = False,
    output_mean_var: bool = False,
) -> Value:  # fmt: skip
    """batch_norm_v1-inl.h, which leaves its other outputs as they are at inference."""
    return _normalized(g, data, (gamma, beta, moving_mean, moving_var), eps, fix_gamma, 1)


@mxnet_op("_contrib_BatchNormWithReLU", outputs=_WITH_STATISTICS)
def batch_norm_with_relu(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, moving_mean: Value, moving_var: Value, *,
    eps: float = 1e-3, momentum: float = 0.9, fix_gamma: bool = True, use_global_stats: bool = False,
    output_mean_var: bool = False, axis: int = 1, min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    y, *statistics = batch_norm(g, data, gamma, beta, moving_mean, moving_var, eps=eps, fix_gamma=fix_gamma, axis=axis)
    return g.Relu(y), *statistics


@mxnet_op("_contrib_SyncBatchNorm", outputs=_WITH_STATISTICS)
def sync_batch_norm(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, moving_mean: Value, moving_var: Value, *,
    eps: float = 1e-3, momentum: float = 0.9, fix_gamma: bool = True, use_global_stats: bool = False,
    output_mean_var: bool = False, ndev: int = 1, key: str = "",
) -> Value:  # fmt: skip
    """contrib/sync_batch_norm-inl.h, which leaves its other outputs as they are at inference."""
    return _normalized(g, data, (gamma, beta, moving_mean, moving_var), eps, fix_gamma, 1)


def _normalized(
    g: MXNetBuilder, data: Value, parameters: Sequence[Value], eps: float, fix_gamma: bool, axis: int
) -> Value:
    """Data of half precision has statistics of single precision, in which MXNet computes; so do we."""
    channels = data.shape[axis] if data.shape else None
    scale, shift, mean, var = (g.parameter(item, channels) for item in parameters)
    if fix_gamma:
        scale = g.constant(np.ones(mean.sizes, mean.dtype))
    perm = (0, axis, *(i for i in range(1, data.rank) if i != axis))
    x = g.cast(data, mean.dtype)
    x = x if axis == 1 else g.Transpose(x, perm=perm)
    y = g.BatchNormalization(x, scale, shift, mean, var, epsilon=eps)
    return g.cast(y if axis == 1 else g.Transpose(y, perm=inverse(perm)), data.dtype)


@mxnet_op("InstanceNorm")
def instance_norm(g: MXNetBuilder, data: Value, gamma: Value, beta: Value, *, eps: float = 1e-3) -> Value:
    channels = data.shape[1] if data.shape else None
    y: Value = g.InstanceNormalization(data, g.parameter(gamma, channels), g.parameter(beta, channels), epsilon=eps)
    return y


@mxnet_op("LayerNorm", outputs=("output", "mean", "std"))
def layer_norm(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, *, axis: int = -1, eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """layer_norm-inl.h: along one axis, wherever it is."""
    axis = g.axis(data, axis)
    size = data.shape[axis] if data.shape else None
    gamma, beta = g.parameter(gamma, size), g.parameter(beta, size)
    perm = (*(i for i in range(data.rank) if i != axis), axis)
    is_last = axis == data.rank - 1
    x = data if is_last else g.Transpose(data, perm=perm)
    y = g.LayerNormalization(x, gamma, beta, axis=-1, epsilon=eps)
    y = y if is_last else g.Transpose(y, perm=inverse(perm))
    return (y,) if g.read <= {0} else (y, *_statistics(g, data, [axis], eps, keepdims=1))


def _statistics(g: MXNetBuilder, x: Value, axes: Sequence[int], eps: float, keepdims: int) -> tuple[Value, Value]:
    """The mean, and sqrt(variance + eps)."""
    mean = g.ReduceMean(x, list(axes), keepdims=1)
    offset = g.Sub(x, mean)
    variance = g.ReduceMean(g.Mul(offset, offset), list(axes), keepdims=keepdims)
    return mean if keepdims else g.Squeeze(mean, list(axes)), g.Sqrt(g.Add(variance, eps))


@mxnet_op("GroupNorm", outputs=("output", "mean", "std"))
def group_norm(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, *, num_groups: int = 1, eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """group_norm-inl.h: gamma and beta are one for each group, not for each channel as its page says."""
    channels = data.shape[1] if data.shape else None
    if not isinstance(channels, int):
        raise g.unsupported("the number of channels is not known")
    if num_groups < 1 or channels % num_groups:
        raise ConversionError(f"{channels} channels do not make {num_groups} groups", g.origin)
    each = channels // num_groups
    gamma, beta = (g.parameter(item, num_groups) for item in (gamma, beta))
    scale, shift = (g.constant(np.repeat(_data(g, item), each)) for item in (gamma, beta))
    y = g.GroupNormalization(data, scale, shift, num_groups=num_groups, epsilon=eps)
    if g.read <= {0}:
        return (y,)
    groups = g.Reshape(data, [0, num_groups, -1])
    return y, *_statistics(g, groups, [2], eps, keepdims=0)


def _data(g: MXNetBuilder, value: Value) -> np.ndarray:
    return g.static(value, f"'{value.name}'")


@mxnet_op("L2Normalization")
def l2_normalization(
    g: MXNetBuilder, data: Value, *, eps: float = 1e-10, mode: Literal["channel", "instance", "spatial"] = "instance"
) -> Value:
    """l2_normalization-inl.h: over all of an instance, over its channels, or over all places of a channel."""
    first = 2 if mode == "spatial" else 1
    axes = [1] if mode == "channel" else list(range(first, data.rank))
    squares = g.ReduceSum(g.Mul(data, data), axes)
    return g.Div(data, g.Sqrt(g.Add(squares, eps)))


@mxnet_op("LRN")
def lrn(
    g: MXNetBuilder, data: Value, *, nsize: int, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2.0
) -> Value:
    """lrn-inl.h (Krizhevsky et al., 2012): across channels, alpha is divided by nsize."""
    if nsize % 2 == 0:
        raise g.unsupported(f"an even nsize ({nsize}) has no middle")
    return g.LRN(data, size=nsize, alpha=alpha, beta=beta, bias=knorm)
