"""Normalisations, softmax and losses. Semantics: TensorFlow's core/ops/nn_ops.cc."""

from __future__ import annotations

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Value
from netglot.ir.types import is_static


@tf_op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(
    g: TFBuilder, x: Value, scale: Value, offset: Value, mean: Value, variance: Value, *, epsilon: float = 1e-4,
    exponential_avg_factor: float = 1.0, data_format: str = "NHWC", is_training: bool = True,
) -> tuple[Value, ...]:  # fmt: skip
    """y, mean, variance, and what the gradient needs (the third value of V3 is an empty one on the CPU).

    Training uses the statistics of the batch itself.
    """
    image = g.to_first(x, data_format)
    if not is_training:
        y = g.BatchNormalization(image, scale, offset, mean, variance, epsilon=epsilon)
        return (g.from_first(y, data_format), mean, variance, mean, variance, g.constant(np.zeros(0, np.float32)))
    own, spread = _statistics(g, image)
    y = g.from_first(g.BatchNormalization(image, scale, offset, own, spread, epsilon=epsilon), data_format)
    unbiased = _unbiased(g, image, spread)
    running = _running(g, mean, own, exponential_avg_factor), _running(g, variance, unbiased, exponential_avg_factor)
    return (y, *running, own, spread, g.constant(np.zeros(0, np.float32)))


def _statistics(g: TFBuilder, image: Value) -> tuple[Value, Value]:
    """Mean and (biased) variance of each channel of the whole batch."""
    axes = [0, *range(2, image.rank)]
    mean = g.ReduceMean(image, axes, keepdims=1)
    centred = g.Sub(image, mean)
    return g.Reshape(mean, [-1]), g.ReduceMean(g.Mul(centred, centred), axes, keepdims=0)


def _unbiased(g: TFBuilder, image: Value, variance: Value) -> Value:
    """By Bessel's correction."""
    sizes = g.Gather(g.Shape(image), np.array([0, *range(2, image.rank)], np.int64))
    count = g.cast(g.ReduceProd(sizes, [0], keepdims=0), np.float32)
    one = scalar(g, 1, count)
    return g.Mul(variance, g.Div(count, g.Max(g.Sub(count, one), one)))


def _running(g: TFBuilder, old: Value, new: Value, factor: float) -> Value:
    if factor == 1:
        return new
    return g.Add(g.Mul(old, scalar(g, 1 - factor, old)), g.Mul(new, scalar(g, factor, new)))


@tf_op("BatchNormWithGlobalNormalization")
def batch_norm_with_global_normalization(
    g: TFBuilder, x: Value, mean: Value, variance: Value, beta: Value, gamma: Value, *, variance_epsilon: float,
    scale_after_normalization: bool,
) -> Value:  # fmt: skip
    """NHWC; gamma counts only if it is said to."""
    if not is_static(gamma.shape):
        raise g.unsupported("an unknown number of channels")
    scale = gamma if scale_after_normalization else g.constant(np.ones(gamma.sizes, gamma.dtype))
    y = g.BatchNormalization(g.to_first(x, "NHWC"), scale, beta, mean, variance, epsilon=variance_epsilon)
    return g.from_first(y, "NHWC")


@tf_op("LRN")
def lrn(
    g: TFBuilder, x: Value, *, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Value:
    """NHWC. TensorFlow's alpha is for each element of the window, ONNX's for all of them."""
    size = 2 * depth_radius + 1
    y = g.LRN(g.to_first(x, "NHWC"), size=size, alpha=alpha * size, beta=beta, bias=bias)
    return g.from_first(y, "NHWC")


@tf_op("Softmax")
def softmax(g: TFBuilder, x: Value) -> Value:
    return g.Softmax(x, axis=-1)


@tf_op("LogSoftmax")
def log_softmax(g: TFBuilder, x: Value) -> Value:
    return g.LogSoftmax(x, axis=-1)


@tf_op("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(g: TFBuilder, logits: Value, labels: Value) -> tuple[Value, Value]:
    """The loss of each row and its gradient."""
    loss = g.Neg(g.ReduceSum(g.Mul(labels, g.LogSoftmax(logits, axis=-1)), [-1], keepdims=0))
    return loss, g.Sub(g.Softmax(logits, axis=-1), labels)


@tf_op("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(g: TFBuilder, logits: Value, labels: Value) -> tuple[Value, Value]:
    """The same for the index of the right class."""
    index = g.cast(labels, np.int64)
    chosen = g.GatherElements(g.LogSoftmax(logits, axis=-1), g.Unsqueeze(index, [-1]), axis=-1)
    classes = g.Reshape(g.Shape(logits, start=-1), g.constant(np.zeros(0, np.int64)))
    right = g.OneHot(index, classes, g.constant([0, 1], logits.dtype), axis=-1)
    return g.Neg(g.Squeeze(chosen, [-1])), g.Sub(g.Softmax(logits, axis=-1), right)
