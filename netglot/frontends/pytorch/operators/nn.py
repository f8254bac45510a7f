"""Layers: convolution, normalisation, linear maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder, aten
from netglot.ir.graph import Value


@aten("conv2d", "conv1d", "conv3d")
def conv(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None = None, *, stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,), dilation: Sequence[int] = (1,), groups: int = 1,
) -> Value:  # fmt: skip
    rank = weight.rank - 2
    strides, pads, dilations = (spread(item, rank) for item in (stride, padding, dilation))
    y: Value = g.Conv(x, weight, bias, strides=strides, pads=pads * 2, dilations=dilations, group=groups)
    return y


def spread(item: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """torch writes one number where all axes have the same."""
    items = (item,) if isinstance(item, int) else tuple(item)
    return items * rank if len(items) == 1 else items


@aten("batch_norm")
def batch_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, *, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Value:  # fmt: skip
    if training or running_mean is None or running_var is None:
        raise g.unsupported("with the statistics of the batch (training mode)", "Export the module after .eval().")
    dtype, channels = running_mean.dtype, running_mean.sizes
    ones, zeros = np.ones(channels, dtype), np.zeros(channels, dtype)
    scale, shift = ones if weight is None else weight, zeros if bias is None else bias
    y: Value = g.BatchNormalization(x, scale, shift, running_mean, running_var, epsilon=eps)
    return y
