"""Keras' convolutions. Kernels are stored H W I O; they reach ONNX in its order as views of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.windows import Ints, Sizes, Window, padding_of, per_axis, window
from netglot.ir.graph import Value


def turned(g: KerasBuilder, w: Value, perm: Ints, shape: Ints | None = None) -> Value:
    """The variable `w`, seen as `shape`, with its axes in another order: a view, nothing is copied."""
    data = w.array if shape is None else w.array.reshape(shape)
    return g.constant(np.transpose(data, perm), name=w.name)


def filters_first(rank: int) -> Ints:
    """The permutation from spatial... I O to O I spatial..."""
    return (rank - 1, rank - 2, *range(rank - 2))


def channels_of(g: KerasBuilder, x: Value) -> int:
    """The channels of channels-first `x`, which Keras needs too to make the layer's variables."""
    channels = x.shape[1] if x.shape is not None else None
    if not isinstance(channels, int):
        raise ConversionError(f"{g.type} needs an input with a known number of channels", g.origin)
    return channels


def biased(g: KerasBuilder, channels: int, use_bias: bool) -> Value | None:
    return g.weight(channels, name="bias") if use_bias else None


def refuse_lora(g: KerasBuilder, lora_rank: int | None) -> None:
    """Saving adds LoRA's matrices to the kernel (save_own_variables); where they are kept apart they would be lost.

    To be called when all variables of the layer were read.
    """
    if lora_rank and g.weights is not None and g.weights.left():
        raise g.unsupported("LoRA matrices that are not merged into the kernel", "Save the model as .keras.")


@keras_layer("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D", mask="drop")
def convolution(
    g: KerasBuilder, x: Value, *, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Sizes = 1, groups: int = 1, activation: Any = None,
    use_bias: bool = True, lora_rank: int | None = None, lora_alpha: float | None = None,
) -> Value:  # fmt: skip
    image = g.to_first(x, data_format)
    over = window(g, image, kernel_size, strides, dilation_rate)
    channels = channels_of(g, image)
    if groups < 1 or channels % groups or filters % groups:
        raise ConversionError(f"{channels} channels in, {filters} out do not divide into {groups} groups", g.origin)
    kernel = g.weight(*over.kernel, channels // groups, filters, name="kernel")
    bias = biased(g, filters, use_bias)
    refuse_lora(g, lora_rank)
    w = turned(g, kernel, filters_first(kernel.rank))
    y = g.Conv(image, w, bias, group=groups, **over.attributes, **padding_of(g, image, over, padding))
    return g.activate(g.from_first(y, data_format), activation)


def depthwise(g: KerasBuilder, x: Value, over: Window, depth_multiplier: int, padding: str, bias: bool) -> Value:
    """Each channel of channels-first `x` by its own `depth_multiplier` filters; variables: the kernel, the bias."""
    channels = channels_of(g, x)
    kernel = g.weight(*over.kernel, channels, depth_multiplier, name="depthwise_kernel")
    outputs = channels * depth_multiplier
    w = turned(g, kernel, filters_first(kernel.rank), (*over.kernel, 1, outputs))
    b = biased(g, outputs, bias)
    return g.Conv(x, w, b, group=channels, **over.attributes, **padding_of(g, x, over, padding))


@keras_layer("DepthwiseConv1D", "DepthwiseConv2D", mask="drop")
def depthwise_convolution(
    g: KerasBuilder, x: Value, *, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
    depth_multiplier: int = 1, data_format: str | None = None, dilation_rate: Sizes = 1, activation: Any = None,
    use_bias: bool = True, groups: int = 1,
) -> Value:  # fmt: skip
    """`groups` is in the configurations of Keras 2, and always 1."""
    image = g.to_first(x, data_format)
    over = window(g, image, kernel_size, strides, dilation_rate)
    y = depthwise(g, image, over, depth_multiplier, padding, use_bias)
    return g.activate(g.from_first(y, data_format), activation)


@keras_layer(
    "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D", mask="drop"
)  # fmt: skip
def separable_convolution(
    g: KerasBuilder, x: Value, *, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Sizes = 1, depth_multiplier: int = 1, activation: Any = None,
    use_bias: bool = True, groups: int = 1,
) -> Value:  # fmt: skip
    """Depthwise, then pointwise. `groups` as in `depthwise_convolution`."""
    image = g.to_first(x, data_format)
    over = window(g, image, kernel_size, strides, dilation_rate)
    deep = depthwise(g, image, over, depth_multiplier, padding, False)
    ones = (1,) * len(over.kernel)
    kernel = g.weight(*ones, channels_of(g, deep), filters, name="pointwise_kernel")
    y = g.Conv(deep, turned(g, kernel, filters_first(kernel.rank)), biased(g, filters, use_bias), kernel_shape=ones)
    return g.activate(g.from_first(y, data_format), activation)


# ---------------------------------------------------------------- transposed


@keras_layer(
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose", "Convolution2DTranspose",
    "Convolution3DTranspose", "Deconvolution2D", "Deconvolution3D", mask="drop",
)  # fmt: skip
def transposed_convolution(
    g: KerasBuilder, x: Value, *, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
    output_padding: Sizes | None = None, data_format: str | None = None, dilation_rate: Sizes = 1,
    activation: Any = None, use_bias: bool = True, groups: int = 1,
) -> Value:  # fmt: skip
    """The kernel is stored H W O I. `groups` is in the configurations of Keras 2, and always 1."""
    image = g.to_first(x, data_format)
    over = window(g, image, kernel_size, strides, dilation_rate)
    kernel = g.weight(*over.kernel, filters, channels_of(g, image), name="kernel")
    w, b = turned(g, kernel, filters_first(kernel.rank)), biased(g, filters, use_bias)
    y = g.ConvTranspose(image, w, b, **over.attributes, **transposed_options(g, over, padding, output_padding))
    return g.activate(g.from_first(y, data_format), activation)


def transposed_options(g: KerasBuilder, over: Window, padding: str, output_padding: Sizes | None) -> dict[str, Ints]:
    """What is cut off the full result, and what is added at its end, so that it gets Keras' size.

    The size is compute_conv_transpose_output_shape's (keras/src/backend/common/backend_utils.py); where it is smaller
    than the full one, tf.nn.conv_transpose cuts half of the difference off each end, the odd element off the last.
    """
    if padding.lower() not in ("valid", "same"):
        raise g.unsupported(f"padding='{padding}'")
    rank = len(over.reach)
    extra: Sequence[int | None] = (None,) * rank
    if output_padding is not None:
        extra = per_axis(g, "output_padding", output_padding, rank, least=0)
    axes = zip(over.reach, over.strides, extra, strict=True)
    growth = [_growth(padding.lower() == "same", reach, stride, more) for reach, stride, more in axes]
    cut = [max(0, -n) for n in growth]
    pads = (*(n // 2 for n in cut), *(n - n // 2 for n in cut))
    return {"pads": pads, "output_padding": tuple(max(0, n) for n in growth)}


def _growth(same: bool, reach: int, stride: int, extra: int | None) -> int:
    """Keras' size minus the full one, (size - 1) * stride + reach, along one axis."""
    if same:
        return stride - reach if extra is None else reach % 2 + extra - reach
    return max(reach, stride) - reach if extra is None else extra
