"""Normalisation. Semantics: ATen/native/Normalization.cpp, layer_norm.cpp, group_norm.cpp, WeightNorm.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Number, Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import kernel
from netglot.frontends.pytorch.operators.spatial import Ints, per_channel, sizes_of
from netglot.ir.graph import Value

_EVAL = "Export the module after .eval()."


# ------------------------------------------------------------------------------------------------------------- batch


@aten("batch_norm")
def batch_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, *, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Value:  # fmt: skip
    if running_mean is None or running_var is None:
        return _of_batch(g, x, weight, bias, eps)[0]
    if training:
        raise g.unsupported("with the statistics of the batch, which updates the running ones (training mode)", _EVAL)
    return _by_statistics(g, x, weight, bias, running_mean, running_var, eps)


@aten("_native_batch_norm_legit_no_training")
def batch_norm_no_training(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value, running_var: Value, *,
    momentum: float, eps: float,
) -> tuple[Value, Value, Value]:  # fmt: skip
    none = g.constant(np.empty(0, running_mean.dtype))
    return _by_statistics(g, x, weight, bias, running_mean, running_var, eps), none, none


@aten("native_batch_norm", "_native_batch_norm_legit")
def native_batch_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, *, training: bool, momentum: float, eps: float,
) -> tuple[Value, Value, Value]:  # fmt: skip
    if running_mean is None or running_var is None:
        return _of_batch(g, x, weight, bias, eps)
    if training:
        raise g.unsupported("with the statistics of the batch, which updates the running ones (training mode)", _EVAL)
    none = g.constant(np.empty(0, running_mean.dtype))
    return _by_statistics(g, x, weight, bias, running_mean, running_var, eps), none, none


@aten("_native_batch_norm_legit.no_stats")
def batch_norm_no_stats(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, *, training: bool, momentum: float, eps: float
) -> tuple[Value, Value, Value]:
    """By the statistics of the batch; also its mean and 1 / standard deviation."""
    return _of_batch(g, x, weight, bias, eps)


@aten("_batch_norm_no_update")
def batch_norm_no_update(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, *, momentum: float, eps: float,
) -> tuple[Value, Value, Value, Value]:  # fmt: skip
    """The last output is what a kernel keeps for the backward pass; on the CPU it is empty."""
    reserve = g.constant(np.empty(0, np.uint8))
    results = native_batch_norm(
        g, x, weight, bias, running_mean, running_var, training=False, momentum=momentum, eps=eps
    )
    return (*results, reserve)


def _by_statistics(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, mean: Value, variance: Value, eps: float
) -> Value:
    scale, shift = _affine(g, x, weight, bias, mean)
    return kernel(g, "BatchNormalization", x, scale, shift, mean, variance, epsilon=eps)


def _affine(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, like: Value | None = None
) -> tuple[Value, Value]:
    """A factor and a summand for every channel, where torch may have none."""
    if weight is not None and bias is not None:
        return weight, bias
    given = next((value for value in (weight, bias, like) if value is not None), None)
    count = g.size(x, 1) if given is None else g.size(given, 0)
    dtype = x.dtype if given is None else given.dtype
    ones, zeros = (g.Expand(g.number(number, dtype), g.shape([count])) for number in (1, 0))
    return (ones if weight is None else weight), (zeros if bias is None else bias)


def _of_batch(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, eps: float
) -> tuple[Value, Value, Value]:
    """By mean and variance over all axes but the channels."""
    axes = [axis for axis in range(x.rank) if axis != 1]
    centred, mean, rstd = _moments(g, x, axes, eps)
    y = g.Mul(centred, rstd)
    if weight is not None:
        y = g.Mul(y, per_channel(g, weight, x.rank))
    if bias is not None:
        y = g.Add(y, per_channel(g, bias, x.rank))
    flat = np.array([-1], np.int64)
    return y, g.Reshape(mean, flat), g.Reshape(rstd, flat)


def _moments(g: TorchBuilder, x: Value, axes: Sequence[int], eps: float) -> tuple[Value, Value, Value]:
    """x without its mean, the mean, and 1 / standard deviation, over axes that are kept."""
    mean = g.ReduceMean(x, list(axes), keepdims=1)
    centred = g.Sub(x, mean)
    variance = g.ReduceMean(g.Mul(centred, centred), list(axes), keepdims=1)
    return centred, mean, g.Reciprocal(g.Sqrt(g.Add(variance, g.number(eps, x.dtype))))


@aten("instance_norm")
def instance_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, *, use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Value:  # fmt: skip
    """By the statistics of each plane, or by running ones, as batch_norm."""
    if use_input_stats and running_mean is not None:
        raise g.unsupported("with the statistics of the input, which updates the running ones (training mode)", _EVAL)
    if running_mean is not None and running_var is not None:
        return _by_statistics(g, x, weight, bias, running_mean, running_var, eps)
    scale, shift = _affine(g, x, weight, bias)
    return kernel(g, "InstanceNormalization", x, scale, shift, epsilon=eps)


# ------------------------------------------------------------------------------------------------------------- layer


@aten("layer_norm", order="input normalized_shape weight bias eps cudnn_enable")
def layer_norm(
    g: TorchBuilder, x: Value, weight: Value | None = None, bias: Value | None = None, *,
    normalized_shape: Sequence[Size], eps: float = 1e-5, cudnn_enable: bool = True,
) -> Value:  # fmt: skip
    scale = _ones(g, normalized_shape, x) if weight is None else weight
    y: Value = g.LayerNormalization(x, scale, bias, axis=-len(normalized_shape), epsilon=eps)
    return y


def _ones(g: TorchBuilder, shape: Sequence[Size], like: Value) -> Value:
    known = [size for size in shape if isinstance(size, int)]
    if len(known) == len(shape):
        g.affordable(*known)
    return g.Expand(g.number(1, like.dtype), g.shape(shape))


@aten("native_layer_norm", order="input normalized_shape weight bias eps")
def native_layer_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, *, normalized_shape: Sequence[Size],
    eps: float,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """Also the mean and 1 / standard deviation, which only a backward pass reads: they are nodes of their own."""
    _, mean, rstd = _moments(g, x, range(x.rank - len(normalized_shape), x.rank), eps)
    return layer_norm(g, x, weight, bias, normalized_shape=normalized_shape, eps=eps), mean, rstd


@aten("rms_norm", order="input normalized_shape weight eps")
def rms_norm(
    g: TorchBuilder, x: Value, weight: Value | None = None, *, normalized_shape: Sequence[Size],
    eps: float | None = None,
) -> Value:  # fmt: skip
    scale = _ones(g, normalized_shape, x) if weight is None else weight
    y: Value = g.RMSNormalization(x, scale, axis=-len(normalized_shape), epsilon=_epsilon(eps, x))
    return y


@aten("_fused_rms_norm", order="input normalized_shape weight eps")
def fused_rms_norm(
    g: TorchBuilder, x: Value, weight: Value | None, *, normalized_shape: Sequence[Size], eps: float | None
) -> tuple[Value, Value]:
    """Also 1 / the root of the mean square."""
    axes = list(range(x.rank - len(normalized_shape), x.rank))
    mean = g.ReduceMean(g.Mul(x, x), axes, keepdims=1)
    rstd = g.Reciprocal(g.Sqrt(g.Add(mean, g.number(_epsilon(eps, x), x.dtype))))
    return rms_norm(g, x, weight, normalized_shape=normalized_shape, eps=eps), rstd


def _epsilon(eps: float | None, x: Value) -> float:
    """Left out it is the machine epsilon of the type that is computed in."""
    if eps is not None:
        return eps
    return float(np.finfo(np.float64 if x.dtype == np.float64 else np.float32).eps)


# ------------------------------------------------------------------------------------------------------------- group


@aten("group_norm", order="input num_groups weight bias eps cudnn_enabled")
def group_norm(
    g: TorchBuilder, x: Value, weight: Value | None = None, bias: Value | None = None, *, num_groups: int,
    eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Value:  # fmt: skip
    scale, shift = _affine(g, x, weight, bias)
    return kernel(g, "GroupNormalization", x, scale, shift, num_groups=num_groups, epsilon=eps)


@aten("native_group_norm")
def native_group_norm(
    g: TorchBuilder, x: Value, weight: Value | None, bias: Value | None, *, N: Size, C: Size, HxW: Size,
    group: int, eps: float,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """Also each group's mean and 1 / standard deviation, [N, groups]."""
    grouped = g.view(x, [sizes_of(g, x)[0], group, -1])
    _, mean, rstd = _moments(g, grouped, [2], eps)
    y = group_norm(g, x, weight, bias, num_groups=group, eps=eps)
    return y, g.Squeeze(mean, [2]), g.Squeeze(rstd, [2])


# ------------------------------------------------------------------------------------------------------------- weights


@aten("_weight_norm")
def weight_norm(builder: TorchBuilder, v: Value, g: Value, *, dim: int = 0) -> Value:
    """v / ||v|| * g, the norm over all axes but `dim`; of the whole for -1."""
    return weight_norm_interface(builder, v, g, dim=dim)[0]


@aten("_weight_norm_interface")
def weight_norm_interface(builder: TorchBuilder, v: Value, g: Value, *, dim: int = 0) -> tuple[Value, Value]:
    """Also the norm itself."""
    norm = _norm_except(builder, v, dim)
    return builder.Mul(v, builder.Div(g, norm)), norm


def _norm_except(g: TorchBuilder, v: Value, dim: int) -> Value:
    axes = [axis for axis in range(v.rank) if axis != dim]
    y: Value = g.ReduceL2(v, axes, keepdims=int(dim != -1))
    return y


@aten("renorm")
def renorm(g: TorchBuilder, x: Value, *, p: Number, dim: int, maxnorm: Number) -> Value:
    """Slices along `dim` whose p-norm is above maxnorm are scaled down to it; torch adds 1e-7 to that norm."""
    axes: Ints = tuple(axis for axis in range(x.rank) if axis != g.axis(dim, x.rank))
    norm = _p_norm(g, x, p, axes)
    limit = g.number(maxnorm, x.dtype)
    factor = g.Div(limit, g.Add(norm, g.number(1e-7, x.dtype)))
    return g.Mul(x, g.Where(g.Greater(norm, limit), factor, g.number(1, x.dtype)))


def _p_norm(g: TorchBuilder, x: Value, p: Number, axes: Ints) -> Value:
    if p in (1, 2):
        return g.op(f"ReduceL{p:g}", [x, list(axes)], keepdims=1)
    if p == float("inf"):
        return g.ReduceMax(g.Abs(x), list(axes), keepdims=1)
    powers = g.ReduceSum(g.Pow(g.Abs(x), g.number(p, x.dtype)), list(axes), keepdims=1)
    return g.Pow(powers, g.number(1 / p, x.dtype))
