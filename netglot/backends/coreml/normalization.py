"""Normalisation: by given statistics, by those of the image, of the row, or of neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, constant, coreml_op
from netglot.backends.coreml.reduction import lp_norm
from netglot.backends.coreml.shape import reshaped
from netglot.backends.lowering import NotMappedError


@coreml_op("BatchNormalization")
def batch_normalization(
    m: CoreMLBuilder, x: Var, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float
) -> Var:
    """A matrix gets a multiplication and an addition: MIL's batch_norm wants a spatial axis."""
    parts = [constant(item, "the statistics") for item in (scale, bias, mean, variance)]
    if x.rank >= 3:
        gamma, beta, mean, variance = parts
        return m.batch_norm(x=x, gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon)
    gamma, beta, mean, variance = (item.astype(np.float64) for item in parts)
    factor = gamma / np.sqrt(variance + epsilon)
    kind = parts[0].dtype
    return m.add(x=m.mul(x=x, y=factor.astype(kind)), y=(beta - mean * factor).astype(kind))


@coreml_op("InstanceNormalization")
def instance_normalization(m: CoreMLBuilder, x: Var, scale: Tensor, bias: Tensor, *, epsilon: float) -> Var:
    gamma, beta = constant(scale, "the scale"), constant(bias, "the bias")
    return m.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=epsilon)


@coreml_op("LRN")
def lrn(m: CoreMLBuilder, x: Var, *, size: int, alpha: float, beta: float, bias: float) -> Var:
    if size % 2 == 0:
        raise NotMappedError("Core ML's window is centred, so only odd sizes")
    return m.local_response_norm(x=x, size=size, alpha=alpha, beta=beta, k=bias)


@coreml_op("LpNormalization")
def lp_normalization(m: CoreMLBuilder, x: Var, *, axis: int, p: int) -> Var:
    """A zero norm gives zeros (as ONNX Runtime), not NaN."""
    return m.real_div(x=x, y=m.maximum(x=lp_norm(m, x, [axis], p), y=1e-30))


@coreml_op("LayerNormalization")
def layer_normalization(
    m: CoreMLBuilder, x: Var, scale: Tensor, bias: Tensor | None = None, *, axis: int, epsilon: float, stash_type: int
) -> Var:
    axes = list(range(axis % x.rank, x.rank))
    shape = tuple(x.shape[axes[0] :])
    gamma = np.broadcast_to(constant(scale, "the scale"), shape)
    beta = None if bias is None else np.broadcast_to(constant(bias, "the bias"), shape)
    return m.layer_norm(x=x, axes=axes, gamma=gamma, beta=beta, epsilon=epsilon)


@coreml_op("RMSNormalization")
def rms_normalization(m: CoreMLBuilder, x: Var, scale: Tensor, *, axis: int, epsilon: float, stash_type: int) -> Var:
    mean = m.reduce_mean(x=m.square(x=x), axes=list(range(axis % x.rank, x.rank)), keep_dims=True)
    return m.mul(x=m.real_div(x=x, y=m.sqrt(x=m.add(x=mean, y=epsilon))), y=scale)


@coreml_op("GroupNormalization")
def group_normalization(
    m: CoreMLBuilder, x: Var, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float, stash_type: int
) -> Var:
    grouped = reshaped(m, x, (x.shape[0], num_groups, int(np.prod(x.shape[1:])) // num_groups))
    y = reshaped(m, m.layer_norm(x=grouped, axes=[2], epsilon=epsilon), x.shape)
    factor, shift = (_channels(constant(item, "the scale and the bias"), x.rank) for item in (scale, bias))
    return m.add(x=m.mul(x=y, y=factor), y=shift)


def _channels(vector: np.ndarray, rank: int) -> np.ndarray:
    return vector.reshape(-1, *(1,) * (rank - 2))


@coreml_op("MeanVarianceNormalization")
def mean_variance_normalization(m: CoreMLBuilder, x: Var, *, axes: Sequence[int] = (0, 2, 3)) -> Var:
    """(x - mean) / (deviation + 1e-9), the constant being ONNX's."""
    centred = m.sub(x=x, y=m.reduce_mean(x=x, axes=list(axes), keep_dims=True))
    deviation = m.sqrt(x=m.reduce_mean(x=m.square(x=centred), axes=list(axes), keep_dims=True))
    return m.real_div(x=centred, y=m.add(x=deviation, y=1e-9))
