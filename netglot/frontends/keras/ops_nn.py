"""Products, convolutions, normalisations and images of keras.ops (keras/src/ops/nn.py, numpy.py, image.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.einsum import einsum as contract
from netglot.frontends.keras.attention import boolean, both, masked_softmax, positions, repeated, swap_last
from netglot.frontends.keras.builder import KerasBuilder, keras_op
from netglot.frontends.keras.convolution import channels_of, filters_first
from netglot.frontends.keras.operands import FLOATX, INT, axes_of, axis_of, cast, floating, is_float, operands, tensor
from netglot.frontends.keras.ops_reduction import reduced
from netglot.frontends.keras.ops_shape import pad, picked
from netglot.frontends.keras.pooling import adaptive, pool
from netglot.frontends.keras.resize import resize
from netglot.frontends.keras.timesteps import known_sizes
from netglot.frontends.keras.windows import Sizes, padding_of, window
from netglot.ir.graph import Value

Axis = int | Sequence[int] | None
EPSILON = 1e-7  # keras.config.epsilon()


# --------------------------------------------------------------------- products


@keras_op("Matmul")
def matmul(g: KerasBuilder, x1: Any, x2: Any) -> Value:
    a, b = operands(g, x1, x2)
    if a.dtype == np.int8:
        a, b = cast(g, a, INT), cast(g, b, INT)
    return g.MatMul(a, b)


@keras_op("Dot")
def dot(g: KerasBuilder, x1: Any, x2: Any) -> Value:
    """The last axis of the first with the last but one of the second."""
    a, b = operands(g, x1, x2)
    if not a.rank or not b.rank:
        return g.Mul(a, b)
    return g.MatMul(a, b) if b.rank <= 2 else contracted(g, a, b, [a.rank - 1], [b.rank - 2])


@keras_op("Tensordot")
def tensordot(g: KerasBuilder, x1: Any, x2: Any, *, axes: Any = 2) -> Value:
    a, b = operands(g, x1, x2)
    if isinstance(axes, int):
        return contracted(g, a, b, list(range(a.rank - axes, a.rank)), list(range(axes)))
    of_a, of_b = ([one] if isinstance(one, int) else list(one) for one in axes)
    return contracted(g, a, b, axes_of(g, of_a, a.rank), axes_of(g, of_b, b.rank))


def contracted(g: KerasBuilder, a: Value, b: Value, of_a: Sequence[int], of_b: Sequence[int]) -> Value:
    """Sums of products over pairs of axes: one MatMul of matrices."""
    if len(of_a) != len(of_b):
        raise ConversionError(f"{g.type}: {len(of_a)} axes with {len(of_b)}", g.origin)
    free_a, free_b = ([i for i in range(x.rank) if i not in used] for x, used in ((a, of_a), (b, of_b)))
    a, b = g.Transpose(a, perm=[*free_a, *of_a]), g.Transpose(b, perm=[*of_b, *free_b])
    shape = (b.shape or ())[: len(of_b)]
    known = [n for n in shape if isinstance(n, int)]
    inner = math.prod(known if len(known) == len(of_b) else known_sizes(g, a, len(free_a)))
    product = g.MatMul(g.Reshape(a, [-1, inner]), g.Reshape(b, [inner, -1]))
    shapes = [g.Shape(a, end=len(free_a))] if free_a else []
    shapes += [g.Shape(b, start=len(of_b))] if free_b else []
    if not shapes:
        return g.Reshape(product, [])
    sizes = (*(a.shape or ())[: len(free_a)], *(b.shape or ())[len(of_b) :])
    return g.reshaped(product, sizes, dynamic=g.Concat(*shapes, axis=0))


@keras_op("Inner")
def inner(g: KerasBuilder, x1: Any, x2: Any) -> Value:
    a, b = operands(g, x1, x2)
    return contracted(g, a, b, [a.rank - 1], [b.rank - 1]) if a.rank and b.rank else g.Mul(a, b)


@keras_op("Outer")
def outer(g: KerasBuilder, x1: Any, x2: Any) -> Value:
    a, b = operands(g, x1, x2)
    return g.Mul(g.Reshape(a, [-1, 1]), g.Reshape(b, [1, -1]))


@keras_op("Vdot")
def vdot(g: KerasBuilder, x1: Any, x2: Any) -> Value:
    a, b = operands(g, x1, x2)
    return g.ReduceSum(g.Mul(g.Reshape(a, [-1]), g.Reshape(b, [-1])), [0], keepdims=0)


@keras_op("Cross")
def cross(
    g: KerasBuilder, x1: Any, x2: Any, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Value:
    """Of vectors of three along the last axis."""
    a, b = operands(g, x1, x2)
    given = [axisa, axisb, axisc] if axis is None else [axis] * 3
    if any(axis_of(g, one, x.rank) != x.rank - 1 for one, x in zip(given, (a, b, a), strict=True)):
        raise g.unsupported("a cross product along another axis than the last")
    if (known_sizes(g, a, -1), known_sizes(g, b, -1)) != ((3,), (3,)):
        raise g.unsupported("a cross product of vectors that have not three elements")
    ahead, behind = [1, 2, 0], [2, 0, 1]
    parts = [[g.Gather(x, order, axis=x.rank - 1) for order in (ahead, behind)] for x in (a, b)]
    return g.Sub(g.Mul(parts[0][0], parts[1][1]), g.Mul(parts[0][1], parts[1][0]))


@keras_op("Einsum")
def einsum(g: KerasBuilder, *inputs: Any, subscripts: str) -> Value:
    """As numpy.einsum."""
    return contract(g, operands(g, *inputs), subscripts)


@keras_op("DotProductAttention")
def dot_product_attention(
    g: KerasBuilder, query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
    *, is_causal: bool = False, flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None,
) -> Value:  # fmt: skip
    """Of tensors [B, T, heads, features]; fewer heads of keys and values are shared."""
    if attn_logits_soft_cap is not None:
        raise g.unsupported("attn_logits_soft_cap")
    q, k, v = operands(g, query, key, value)
    heads, shared = known_sizes(g, q, 2)[0], known_sizes(g, k, 2)[0]
    k, v = (repeated(g, x, heads // shared) if heads > shared > 1 else x for x in (k, v))
    q, k, v = (g.Transpose(x, perm=[0, 2, 1, 3]) for x in (q, k, v))
    factor = known_sizes(g, q, 3)[0] ** -0.5 if scale is None else scale
    logits = g.Mul(g.MatMul(q, swap_last(g, k)), tensor(g, factor, q.dtype))
    logits = logits if bias is None else g.Add(logits, tensor(g, bias, q.dtype))
    allowed = [] if mask is None else [boolean(g, tensor(g, mask))]
    allowed += [g.GreaterOrEqual(positions(g, q, 2, 1), positions(g, k, 2, 0))] if is_causal else []
    weights = masked_softmax(g, logits, both(g, allowed), zeros=False)
    return g.Transpose(g.MatMul(weights, v), perm=[0, 2, 1, 3])


# ----------------------------------------------------------------- convolutions


def kernel_first(g: KerasBuilder, kernel: Any, dtype: np.dtype | None) -> Value:
    """A kernel spatial... I O as ONNX's O I spatial..."""
    k = tensor(g, kernel, dtype)
    perm = filters_first(k.rank)
    return g.constant(np.transpose(k.array, perm)) if k.is_constant else g.Transpose(k, perm=perm)


def by_channel(g: KerasBuilder, kernel: Any, dtype: np.dtype | None) -> Value:
    """A depthwise kernel spatial... C M as C M, 1, spatial..."""
    k = kernel_first(g, kernel, dtype)
    many, channels, *spatial = known_sizes(g, k, 0)
    moved = g.Transpose(k, perm=[1, 0, *range(2, k.rank)])
    y: Value = g.Reshape(moved, [many * channels, 1, *spatial])
    return y


@keras_op("Conv")
def conv(
    g: KerasBuilder, inputs: Any, kernel: Any, *, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Sizes = 1,
) -> Value:  # fmt: skip
    """In as many groups as the kernel has too few channels."""
    image = g.to_first(tensor(g, inputs), data_format)
    w = kernel_first(g, kernel, image.dtype)
    over = window(g, image, known_sizes(g, w, 2), strides, dilation_rate)
    group = channels_of(g, image) // known_sizes(g, w, 1)[0]
    y = g.Conv(image, w, group=group, **over.attributes, **padding_of(g, image, over, padding))
    return g.from_first(y, data_format)


@keras_op("DepthwiseConv")
def depthwise_conv(
    g: KerasBuilder, inputs: Any, kernel: Any, *, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Sizes = 1,
) -> Value:  # fmt: skip
    image = g.to_first(tensor(g, inputs), data_format)
    return g.from_first(deep(g, image, kernel, strides, padding, dilation_rate), data_format)


def deep(g: KerasBuilder, image: Value, kernel: Any, strides: Sizes, padding: str, dilation_rate: Sizes) -> Value:
    w = by_channel(g, kernel, image.dtype)
    over = window(g, image, known_sizes(g, w, 2), strides, dilation_rate)
    pads = padding_of(g, image, over, padding)
    y: Value = g.Conv(image, w, group=channels_of(g, image), **over.attributes, **pads)
    return y


@keras_op("SeparableConv")
def separable_conv(
    g: KerasBuilder, inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, *, strides: Sizes = 1,
    padding: str = "valid", data_format: str | None = None, dilation_rate: Sizes = 1,
) -> Value:  # fmt: skip
    image = g.to_first(tensor(g, inputs), data_format)
    y = deep(g, image, depthwise_kernel, strides, padding, dilation_rate)
    w = kernel_first(g, pointwise_kernel, image.dtype)
    return g.from_first(g.Conv(y, w, kernel_shape=known_sizes(g, w, 2)), data_format)


@keras_op("MaxPool")
def max_pool(
    g: KerasBuilder, inputs: Value, *, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid",
    data_format: str | None = None,
) -> Value:  # fmt: skip
    return pool(g, "MaxPool", inputs, pool_size, strides, padding, data_format)


@keras_op("AveragePool")
def average_pool(
    g: KerasBuilder, inputs: Value, *, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid",
    data_format: str | None = None,
) -> Value:  # fmt: skip
    return pool(g, "AveragePool", inputs, pool_size, strides, padding, data_format)


@keras_op("AdaptiveMaxPool")
def adaptive_max_pool(g: KerasBuilder, inputs: Value, *, output_size: Sizes, data_format: str | None = None) -> Value:
    return adaptive(g, "MaxPool", inputs, output_size, data_format)


@keras_op("AdaptiveAveragePool")
def adaptive_average_pool(
    g: KerasBuilder, inputs: Value, *, output_size: Sizes, data_format: str | None = None
) -> Value:
    return adaptive(g, "AveragePool", inputs, output_size, data_format)


# ---------------------------------------------------------------- normalisation


@keras_op("BatchNorm")
def batch_norm(
    g: KerasBuilder, x: Any, mean: Any, variance: Any, offset: Any = None, scale: Any = None, *, axis: int,
    epsilon: float = 1e-3,
) -> Value:  # fmt: skip
    x = tensor(g, x)
    mean, variance, offset, scale = (None if one is None else along(g, one, x, axis) for one in
                                     (mean, variance, offset, scale))  # fmt: skip
    y = g.Div(g.Sub(x, mean), g.Sqrt(g.Add(variance, epsilon)))
    y = y if scale is None else g.Mul(y, scale)
    return y if offset is None else g.Add(y, offset)


def along(g: KerasBuilder, vector: Any, x: Value, axis: int) -> Value:
    """A vector that goes along one axis of x."""
    shape = [-1 if i == axis_of(g, axis, x.rank) else 1 for i in range(x.rank)]
    y: Value = g.Reshape(tensor(g, vector, x.dtype), shape)
    return y


@keras_op("LayerNorm")
def layer_norm(
    g: KerasBuilder, x: Any, gamma: Any = None, beta: Any = None, *, axis: Axis = -1, epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Value:  # fmt: skip
    if rms_scaling:
        raise g.unsupported("rms_scaling", "Keras has RMSNormalization for it.")
    x = floating(g, x)
    axes = axes_of(g, axis, x.rank)
    away = g.Sub(x, g.ReduceMean(x, axes))
    y = g.Div(away, g.Sqrt(g.Add(g.ReduceMean(g.Mul(away, away), axes), EPSILON if epsilon is None else epsilon)))
    y = y if gamma is None else g.Mul(y, over_axes(g, gamma, x, axes))
    return y if beta is None else g.Add(y, over_axes(g, beta, x, axes))


def over_axes(g: KerasBuilder, item: Any, x: Value, axes: Sequence[int]) -> Value:
    """Parameters with the sizes of `axes` of x, or such that broadcast already."""
    value = tensor(g, item, x.dtype)
    if value.rank == x.rank or sorted(axes) == [x.rank - 1]:
        return value
    y: Value = g.Reshape(value, [n if i in axes else 1 for i, n in enumerate(x.shape or ())])
    return y


@keras_op("RMSNorm")
def rms_norm(g: KerasBuilder, x: Any, scale: Any = None, *, axis: Axis = -1, epsilon: float | None = None) -> Value:
    x = floating(g, x)
    squares = g.ReduceMean(g.Mul(x, x), axes_of(g, axis, x.rank))
    y = g.Div(x, g.Sqrt(g.Add(squares, EPSILON if epsilon is None else epsilon)))
    return y if scale is None else g.Mul(y, tensor(g, scale, x.dtype))


@keras_op("Normalize")
def normalize(g: KerasBuilder, x: Any, *, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Value:
    x = floating(g, x)
    axes = axes_of(g, axis, x.rank)
    least = EPSILON if epsilon is None else epsilon
    if order == 2:
        return g.Div(x, g.Max(g.ReduceL2(x, axes), least))
    powers = g.Pow(g.Abs(x), float(order))
    return g.Div(x, g.Max(g.Pow(g.ReduceSum(powers, axes), 1 / order), least))


@keras_op("PSNR")
def psnr(g: KerasBuilder, x1: Any, x2: Any, *, max_val: float) -> Value:
    a, b = operands(g, x1, x2, floating=True)
    away = g.Sub(a, b)
    error = reduced(g, "ReduceMean", g.Mul(away, away), None, False)
    return g.Sub(20 * math.log10(max_val), g.Mul(g.Log(error), 10 / math.log(10)))


# --------------------------------------------------------------------- segments


def segments(g: KerasBuilder, data: Any, ids: Any, count: Any, reduction: str, empty: float) -> Value:
    """Rows of one segment reduced to one; numbers that are no segment go to one more row, which is cut off."""
    x, at = tensor(g, data), picked(g, ids)
    if not isinstance(count, int) or count < 1:
        raise g.unsupported("segments without their number", "Give num_segments.")
    at = g.Where(g.Or(g.Less(at, 0), g.GreaterOrEqual(at, count)), np.int64(count), at)
    rest = g.Shape(x, start=1) if x.rank > 1 else None
    shape = [count + 1] if rest is None else g.Concat([count + 1], rest, axis=0)
    start = g.Expand(g.constant(empty, x.dtype), shape)
    return g.Slice(g.ScatterND(start, g.Unsqueeze(at, [-1]), x, reduction=reduction), [0], [count], [0])


def lowest(x: Any, sign: int) -> Any:
    limits = np.finfo(x.dtype) if is_float(x.dtype) else np.iinfo(x.dtype)
    return limits.min if sign < 0 else limits.max


@keras_op("SegmentSum")
def segment_sum(
    g: KerasBuilder, data: Any, segment_ids: Any, *, num_segments: int | None = None, sorted: bool = False
) -> Value:
    return segments(g, data, segment_ids, num_segments, "add", 0)


@keras_op("SegmentProd")
def segment_prod(
    g: KerasBuilder, data: Any, segment_ids: Any, *, num_segments: int | None = None, sorted: bool = False
) -> Value:
    return segments(g, data, segment_ids, num_segments, "mul", 1)


@keras_op("SegmentMax")
def segment_max(
    g: KerasBuilder, data: Any, segment_ids: Any, *, num_segments: int | None = None, sorted: bool = False
) -> Value:
    return segments(g, data, segment_ids, num_segments, "max", lowest(tensor(g, data), -1))


@keras_op("SegmentMin")
def segment_min(
    g: KerasBuilder, data: Any, segment_ids: Any, *, num_segments: int | None = None, sorted: bool = False
) -> Value:
    return segments(g, data, segment_ids, num_segments, "min", lowest(tensor(g, data), 1))


@keras_op("ExtractSequences")
def extract_sequences(g: KerasBuilder, x: Any, *, sequence_length: int, sequence_stride: int) -> Value:
    """Windows of the last axis."""
    x = tensor(g, x)
    size = known_sizes(g, x, -1)[0]
    count = 1 + (size - sequence_length) // sequence_stride
    g.affordable(count, sequence_length)
    places = np.arange(count)[:, None] * sequence_stride + np.arange(sequence_length)
    return g.Gather(x, places, axis=x.rank - 1)


# ----------------------------------------------------------------------- images


@keras_op("DepthToSpace")
def depth_to_space(g: KerasBuilder, x: Value, *, block_size: int, data_format: str | None = "channels_last") -> Value:
    return g.from_first(g.DepthToSpace(g.to_first(x, data_format), blocksize=block_size), data_format)


@keras_op("SpaceToDepth")
def space_to_depth(g: KerasBuilder, x: Value, *, block_size: int, data_format: str | None = "channels_last") -> Value:
    return g.from_first(g.SpaceToDepth(g.to_first(x, data_format), blocksize=block_size), data_format)


@keras_op("RGBToGrayscale")
def rgb_to_grayscale(g: KerasBuilder, images: Value, *, data_format: str | None = None) -> Value:
    first = (data_format or g.data_format) == "channels_first"
    axis = images.rank - 3 if first else images.rank - 1
    if known_sizes(g, images, axis)[0] == 1:
        return images
    x = floating(g, images)
    weights = np.array([0.2989, 0.587, 0.114], x.dtype)
    weights = weights.reshape([3 if i == axis else 1 for i in range(x.rank)])
    return cast(g, g.ReduceSum(g.Mul(x, weights), [axis]), images.dtype)


@keras_op("Resize")
def resize_images(
    g: KerasBuilder, images: Value, *, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, data_format: str | None = None,
) -> Value:  # fmt: skip
    """One image or a batch; integers are rounded and keep their type."""
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        raise g.unsupported("crop_to_aspect_ratio and pad_to_aspect_ratio")
    batch = g.Unsqueeze(images, [0]) if images.rank == 3 else images
    x = batch if interpolation == "nearest" else cast(g, batch, batch.dtype if is_float(batch.dtype) else FLOATX)
    y = g.from_first(resize(g, g.to_first(x, data_format), size, interpolation, antialias=antialias), data_format)
    if y.dtype != images.dtype:
        limits = np.iinfo(images.dtype)
        y = cast(g, g.Clip(g.Round(y), float(limits.min), float(limits.max)), images.dtype)
    return g.Squeeze(y, [0]) if images.rank == 3 else y


@keras_op("PadImages")
def pad_images(
    g: KerasBuilder, images: Value, *, top_padding: int | None = None, left_padding: int | None = None,
    bottom_padding: int | None = None, right_padding: int | None = None, target_height: int | None = None,
    target_width: int | None = None, data_format: str | None = None,
) -> Value:  # fmt: skip
    height, width = spatial(images, g, data_format)
    vertical = _ends(g, images, height, top_padding, bottom_padding, target_height, 1)
    horizontal = _ends(g, images, width, left_padding, right_padding, target_width, 1)
    ends = [vertical if i == height else horizontal if i == width else (0, 0) for i in range(images.rank)]
    return pad(g, images, pad_width=ends)


@keras_op("CropImages")
def crop_images(
    g: KerasBuilder, images: Value, *, top_cropping: int | None = None, left_cropping: int | None = None,
    bottom_cropping: int | None = None, right_cropping: int | None = None, target_height: int | None = None,
    target_width: int | None = None, data_format: str | None = None,
) -> Value:  # fmt: skip
    height, width = spatial(images, g, data_format)
    top, bottom = _ends(g, images, height, top_cropping, bottom_cropping, target_height, -1)
    left, right = _ends(g, images, width, left_cropping, right_cropping, target_width, -1)
    ends = [-n if n else np.iinfo(np.int64).max for n in (bottom, right)]
    return g.Slice(images, [top, left], ends, [height, width])


def spatial(images: Value, g: KerasBuilder, data_format: str | None) -> tuple[int, int]:
    """The axes of height and width."""
    first = (data_format or g.data_format) == "channels_first"
    return (images.rank - 2, images.rank - 1) if first else (images.rank - 3, images.rank - 2)


def _ends(
    g: KerasBuilder, images: Value, axis: int, before: int | None, after: int | None, target: int | None, sign: int
) -> tuple[int, int]:
    """How much is added (sign 1) or cut off (-1) at both ends, of which one may follow from the target size."""
    if before is not None and after is not None:
        return before, after
    size = images.shape[axis] if images.shape is not None else None
    given = after if before is None else before
    if not isinstance(size, int) or target is None or given is None:
        raise g.unsupported("a target size for an image of unknown size, or without one of its ends")
    rest = sign * (target - size) - given
    return (rest, given) if before is None else (given, rest)
