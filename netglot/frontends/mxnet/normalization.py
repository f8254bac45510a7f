"""Layers that normalise."""

from __future__ import annotations

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import inverse


@mxnet_op("BatchNorm", "BatchNorm_v1", outputs=("output", "mean", "var"))
def batch_norm(
    g: MXNetBuilder, data: Value, gamma: Value, beta: Value, moving_mean: Value, moving_var: Value, *,
    eps: float = 1e-3, momentum: float = 0.9, fix_gamma: bool = True, use_global_stats: bool = False,
    output_mean_var: bool = False, axis: int = 1, min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Value:  # fmt: skip
    """batch_norm.cc at inference: the moving statistics; gamma counts as 1 where it is fixed, whatever the file holds.

    The calibration ranges are for a later quantisation. Data of half precision has statistics of single precision, in
    which MXNet computes; so do we.
    """
    axis = g.axis(data, axis)
    channels = data.shape[axis] if data.shape else None
    scale, shift, mean, var = (g.parameter(item, channels) for item in (gamma, beta, moving_mean, moving_var))
    if fix_gamma:
        scale = g.constant(np.ones(mean.sizes, mean.dtype))
    perm = (0, axis, *(i for i in range(1, data.rank) if i != axis))
    x = g.cast(data, mean.dtype)
    x = x if axis == 1 else g.Transpose(x, perm=perm)
    y = g.BatchNormalization(x, scale, shift, mean, var, epsilon=eps)
    return g.cast(y if axis == 1 else g.Transpose(y, perm=inverse(perm)), data.dtype)
