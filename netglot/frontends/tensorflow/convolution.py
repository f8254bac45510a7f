"""Convolutions. Semantics: TensorFlow's core/ops/nn_ops.cc; filters are spatial axes, inputs, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.frontends.tensorflow.window import padding, same, spatial
from netglot.ir.graph import Value
from netglot.ir.types import is_static, text

Ints = tuple[int, ...]

MAX_TAPS = 1024  # of a window that is written out


@tf_op("Conv2D")
def conv(
    g: TFBuilder, x: Value, filter: Value, *, strides: Ints, padding: str, explicit_paddings: Ints = (),
    data_format: str = "NHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    """Filters with fewer inputs than the image has channels mean that there are groups."""
    image = g.to_first(x, data_format)
    weights, groups = _outputs_first(g, filter), _groups(g, image, filter)
    y = _convolved(g, image, weights, groups, data_format, strides, padding, explicit_paddings, dilations)
    return g.from_first(y, data_format)


@tf_op("Conv3D")
def conv_3d(
    g: TFBuilder, x: Value, filter: Value, *, strides: Ints, padding: str, data_format: str = "NDHWC",
    dilations: Ints = (),
) -> Value:  # fmt: skip
    return conv(g, x, filter, strides=strides, padding=padding, data_format=data_format, dilations=dilations)


@tf_op("DepthwiseConv2dNative")
def depthwise_conv(
    g: TFBuilder, x: Value, filter: Value, *, strides: Ints, padding: str, explicit_paddings: Ints = (),
    data_format: str = "NHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    """Filters [height, width, channels, multiplier]: each channel gives `multiplier` outputs."""
    height, width, channels, multiplier = filter.sizes
    weights = g.Reshape(g.Transpose(filter, perm=[2, 3, 0, 1]), [channels * multiplier, 1, height, width])
    image = g.to_first(x, data_format)
    y = _convolved(g, image, weights, channels, data_format, strides, padding, explicit_paddings, dilations)
    return g.from_first(y, data_format)


def _convolved(
    g: TFBuilder, image: Value, weights: Value, groups: int, layout: str, strides: Ints, mode: str, explicit: Ints,
    dilations: Ints,
) -> Value:  # fmt: skip
    kernel = weights.sizes[2:]
    steps = spatial(g, "strides", strides, layout)
    rates = spatial(g, "dilations", dilations, layout) if dilations else (1,) * len(kernel)
    pads = padding(g, mode, (image.shape or ())[2:], kernel, steps, rates, explicit, layout)
    y: Value = g.Conv(
        image,
        weights,
        kernel_shape=kernel,
        strides=steps,
        dilations=rates,
        group=groups if groups > 1 else None,
        **pads,
    )
    return y


def _outputs_first(g: TFBuilder, filter: Value) -> Value:
    """[spatial..., inputs, outputs] as [outputs, inputs, spatial...]."""
    rank = filter.rank
    y: Value = g.Transpose(filter, perm=[rank - 1, rank - 2, *range(rank - 2)])
    return y


def _groups(g: TFBuilder, image: Value, filter: Value) -> int:
    channels, inputs = (image.shape or ())[1], (filter.shape or ())[-2]
    if not isinstance(channels, int) or not isinstance(inputs, int):
        return 1
    if inputs == 0 or channels % inputs:
        raise g.unsupported(f"filters of {inputs} channels on an image of {channels}")
    return channels // inputs


# ------------------------------------------------------------------ transposed


@tf_op("Conv2DBackpropInput")
def conv_transposed(
    g: TFBuilder, input_sizes: Value, filter: Value, x: Value, *, strides: Ints, padding: str,
    explicit_paddings: Ints = (), data_format: str = "NHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    """The gradient of a convolution by its input of `input_sizes`: a transposed convolution."""
    return _transposed(g, input_sizes, filter, x, strides, padding, explicit_paddings, data_format, dilations)


@tf_op("Conv2DBackpropInputV2")
def conv_transposed_v2(
    g: TFBuilder, like: Value, filter: Value, x: Value, *, strides: Ints, padding: str,
    explicit_paddings: Ints = (), data_format: str = "NHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    """As Conv2DBackpropInput, with a tensor of the size that the result has."""
    return _transposed(g, g.Shape(like), filter, x, strides, padding, explicit_paddings, data_format, dilations)


@tf_op("Conv3DBackpropInputV2")
def conv_transposed_3d(
    g: TFBuilder, input_sizes: Value, filter: Value, x: Value, *, strides: Ints, padding: str,
    data_format: str = "NDHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    return _transposed(g, input_sizes, filter, x, strides, padding, (), data_format, dilations)


@tf_op("DepthwiseConv2dNativeBackpropInput")
def depthwise_transposed(
    g: TFBuilder, input_sizes: Value, filter: Value, x: Value, *, strides: Ints, padding: str,
    explicit_paddings: Ints = (), data_format: str = "NHWC", dilations: Ints = (),
) -> Value:  # fmt: skip
    """The gradient of a depthwise convolution: every channel has a group of its own."""
    height, width, channels, multiplier = filter.sizes
    weights = g.Reshape(g.Transpose(filter, perm=[2, 3, 0, 1]), [channels * multiplier, 1, height, width])
    arguments = (strides, padding, explicit_paddings, data_format, dilations)
    return _of_weights(g, input_sizes, weights, channels, x, *arguments)


def _transposed(
    g: TFBuilder, input_sizes: Value, filter: Value, x: Value, strides: Ints, mode: str, explicit: Ints, layout: str,
    dilations: Ints,
) -> Value:  # fmt: skip
    wanted = g.contents(input_sizes)
    channels = wanted[1 if layout.startswith("NC") else -1] if wanted and len(wanted) == x.rank else None
    inputs = (filter.shape or ())[-2]
    groups = channels // inputs if isinstance(channels, int) and isinstance(inputs, int) and inputs else 1
    return _of_weights(g, input_sizes, _outputs_first(g, filter), groups, x, strides, mode, explicit, layout, dilations)


def _of_weights(
    g: TFBuilder, input_sizes: Value, weights: Value, groups: int, x: Value, strides: Ints, mode: str, explicit: Ints,
    layout: str, dilations: Ints,
) -> Value:  # fmt: skip
    """Where the size of the result is known, its padding is; otherwise the whole is computed, then cut."""
    kernel, image = weights.sizes[2:], g.to_first(x, layout)
    steps = spatial(g, "strides", strides, layout)
    rates = spatial(g, "dilations", dilations, layout) if dilations else (1,) * len(kernel)
    axes = slice(2, None) if layout.startswith("NC") else slice(1, -1)
    wanted = (g.contents(input_sizes) or ())[axes]
    if len(wanted) != len(kernel) and input_sizes.shape == (len(kernel),):
        wanted = g.contents(input_sizes) or ()  # only the spatial sizes are given
        axes = slice(None)
    sizes = (image.shape or (None,) * 3)[2:]
    if not is_static(wanted) or not is_static(sizes) or len(wanted) != len(kernel):
        return _cut(g, input_sizes, axes, weights, groups, image, steps, mode, layout, rates)
    whole = [int(n or 0) for n in wanted]
    pads = _pads(g, mode, whole, kernel, steps, rates, explicit, layout)
    made = [
        (int(n or 0) - 1) * s + (k - 1) * d + 1 - sum(pair)
        for n, s, k, d, pair in zip(sizes, steps, kernel, rates, pads, strict=True)
    ]
    more = [n - m for n, m in zip(whole, made, strict=True)]
    if not all(0 <= m < s for m, s in zip(more, steps, strict=True)):
        raise g.unsupported(f"a result of {text(tuple(whole))} from an image of {text(sizes)}")
    around = tuple(pair[side] for side in (0, 1) for pair in pads)
    y = g.ConvTranspose(
        image, weights, kernel_shape=kernel, strides=steps, dilations=rates, group=groups if groups > 1 else None,
        pads=around if any(around) else None, output_padding=tuple(more) if any(more) else None,
    )  # fmt: skip
    return g.from_first(y, layout)


def _pads(
    g: TFBuilder, mode: str, sizes: Sequence[int], kernel: Ints, strides: Ints, dilations: Ints, explicit: Ints,
    layout: str,
) -> list[tuple[int, int]]:  # fmt: skip
    """(begin, end) of the convolution whose gradient is wanted."""
    found = padding(g, mode, sizes, kernel, strides, dilations, explicit, layout).get("pads", (0,) * 2 * len(kernel))
    return list(zip(found[: len(kernel)], found[len(kernel) :], strict=True))


def _cut(
    g: TFBuilder, input_sizes: Value, axes: slice, weights: Value, groups: int, image: Value, strides: Ints, mode: str,
    layout: str, dilations: Ints,
) -> Value:  # fmt: skip
    """The unpadded result, cut (SAME: half of the overhang at each end) or filled with zeros to the size."""
    if mode == "EXPLICIT":
        raise g.unsupported("explicit paddings around an image of unknown size")
    count = len(strides)
    y = g.ConvTranspose(
        image, weights, kernel_shape=weights.sizes[2:], strides=strides, dilations=dilations,
        group=groups if groups > 1 else None,
    )  # fmt: skip
    sizes = g.cast(input_sizes, np.int64)
    if axes != slice(None):
        sizes = g.Slice(sizes, [axes.start], [axes.start + count], [0])
    made = g.Shape(y, start=2)
    none = g.constant(np.zeros(count + 2, np.int64))
    missing = g.Max(g.Sub(sizes, made), g.constant(0, np.int64))
    begin = g.Div(g.Max(g.Sub(made, sizes), g.constant(0, np.int64)), g.constant(2, np.int64))
    y = g.Pad(y, g.Concat(none, g.constant(np.zeros(2, np.int64)), missing, axis=0))
    start = begin if mode == "SAME" else g.constant(np.zeros(count, np.int64))
    y = g.Slice(y, start, g.Add(start, sizes), list(range(2, count + 2)))
    return g.from_first(y, layout)


# --------------------------------------------------------------------- windows


@tf_op("Dilation2D")
def dilation(g: TFBuilder, x: Value, filter: Value, *, strides: Ints, rates: Ints, padding: str) -> Value:
    """Grayscale dilation of NHWC: the maximum of image plus filter [height, width, channels] over each window."""
    if x.dtype is None or x.dtype.kind != "f":
        raise g.unsupported("integers")
    steps, gaps = spatial(g, "strides", strides, "NHWC"), spatial(g, "rates", rates, "NHWC")
    taps = windows(g, x, filter.sizes[:2], steps, gaps, padding, lowest=True)
    return reduce(g.Max, [g.Add(tap, _level(g, filter, place)) for place, tap in taps])


def _level(g: TFBuilder, filter: Value, place: Ints) -> Value:
    """What the filter adds at one place of the window: [channels]."""
    y: Value = g.Reshape(g.Slice(filter, list(place), [at + 1 for at in place], [0, 1]), [-1])
    return y


def windows(
    g: TFBuilder, x: Value, kernel: Ints, strides: Ints, rates: Ints, mode: str, *, lowest: bool = False
) -> list[tuple[Ints, Value]]:
    """Channels-last x as seen by each element of a sliding window: strided slices of the padded image.

    All arguments have an entry for each spatial axis. Padding is 0, or the lowest number.
    """
    if prod(kernel) > MAX_TAPS:
        raise g.unsupported(f"a window of {text(kernel)}")
    image = (x.shape or ())[1:-1]
    if not is_static(image):
        raise g.unsupported("an image of unknown size")
    axes = list(zip((int(n or 0) for n in image), kernel, strides, rates, strict=True))
    totals = [same(*axis) or 0 if mode == "SAME" else 0 for axis in axes]
    counts = [(n + total - (k - 1) * d - 1) // s + 1 for total, (n, k, s, d) in zip(totals, axes, strict=True)]
    if min(counts) < 1:
        raise g.unsupported(f"a window of {text(kernel)} on an image of {text(image)}")
    x = _around(g, x, totals, lowest)
    return [(place, _tap(g, x, place, counts, strides, rates)) for place in np.ndindex(*kernel)]


def _around(g: TFBuilder, x: Value, totals: Sequence[int], lowest: bool) -> Value:
    """`x` with half of `totals` of padding at each end, the odd element at the end."""
    if not any(totals):
        return x
    begin, end = [t // 2 for t in totals], [t - t // 2 for t in totals]
    number = np.finfo(x.dtype).min if lowest else 0
    y: Value = g.Pad(x, [0, *begin, 0, 0, *end, 0], scalar(g, number, x))
    return y


def _tap(g: TFBuilder, x: Value, place: Ints, counts: Sequence[int], strides: Ints, rates: Ints) -> Value:
    start = [at * rate for at, rate in zip(place, rates, strict=True)]
    stop = [at + (count - 1) * step + 1 for at, count, step in zip(start, counts, strides, strict=True)]
    y: Value = g.Slice(x, start, stop, list(range(1, len(start) + 1)), list(strides))
    return y
