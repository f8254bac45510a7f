"""Keras' preprocessing layers that are arithmetic, and the augmentation layers, of which inference has nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.normalization import along, axes_of, sizes_of
from netglot.frontends.keras.resize import KNOWN_SIZE, resize
from netglot.frontends.keras.weights import snake_case
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

MAX_SIZE = 1 << 16
Encoding = Literal["int", "one_hot", "multi_hot", "count", "binary"]


def floating(g: KerasBuilder, x: Value) -> Value:
    """`x` in the layer's compute dtype."""
    return x if x.dtype == g.compute_dtype else g.Cast(x, to=to_onnx(g.compute_dtype))


# ------------------------------------------------------------------ arithmetic


@keras_layer("Rescaling")
def rescaling(g: KerasBuilder, x: Value, *, scale: Any, offset: Any = 0.0) -> Value:
    """x * scale + offset; lists have a number for each channel."""
    x = floating(g, x)
    factor, shift = np.asarray(scale, x.dtype), np.asarray(offset, x.dtype)
    if g.era >= 3 and g.data_format == "channels_first" and factor.ndim:
        factor = factor.reshape(*factor.shape, *(1,) * (3 - factor.ndim))
    y = g.Mul(x, factor)
    return g.Add(y, shift) if shift.any() else y


@keras_layer("Normalization")
def normalization(
    g: KerasBuilder, x: Value, *, axis: int | Sequence[int] | None = -1, mean: Any = None, variance: Any = None,
    invert: bool = False,
) -> Value:  # fmt: skip
    """(x - mean) / max(sqrt(variance), 1e-7), or the inverse; the statistics are given, or learned by adapt()."""
    axes = axes_of(g, x, () if axis is None else axis)
    x = floating(g, x)
    if mean is None:
        centre, spread = (g.weight(*sizes_of(x, axes), trainable=False, name=n) for n in ("mean", "variance"))
        g.weight(trainable=False, name="count")
    else:
        centre, spread = (_given(g, x, axes, numbers) for numbers in (mean, variance))
    deviation = g.constant(np.maximum(np.sqrt(spread.array), np.asarray(1e-7, spread.dtype)), name=spread.name)
    shift, scale = along(g, centre, x, axes), along(g, deviation, x, axes)
    return g.Add(g.Mul(x, scale), shift) if invert else g.Div(g.Sub(x, shift), scale)


def _given(g: KerasBuilder, x: Value, axes: list[int], numbers: Any) -> Value:
    """Statistics of the configuration: one number, or an array over the last of `axes`."""
    array = np.asarray(numbers, x.dtype)
    if array.ndim > len(axes):
        array = array.reshape([n for n in array.shape if n != 1])
    if array.ndim > len(axes):
        raise ConversionError(f"{g.type}: statistics of {array.ndim} axes for the axes {axes}", g.origin)
    return g.constant(array.reshape((1,) * (len(axes) - array.ndim) + array.shape))


# --------------------------------------------------------------------- images


@keras_layer("Resizing", mask="drop")
def resizing(
    g: KerasBuilder, x: Value, *, height: int, width: int, interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, antialias: bool = False, data_format: str | None = None, bounding_box_format: Any = None,
) -> Value:  # fmt: skip
    """The result has the element type of the images (before Keras 3: the layer's own)."""
    if x.rank not in (3, 4):
        raise ConversionError(f"{g.type} takes images, not tensors of {x.rank} axes", g.origin)
    batch = x if x.rank == 4 else g.Unsqueeze(x, [0])
    image = g.to_first(batch, data_format)
    if crop_to_aspect_ratio:
        image = _cropped(g, image, height, width)
    elif pad_to_aspect_ratio:
        image = _padded(g, image, height, width, fill_value)
    if x.dtype is None or x.dtype.kind != "f":
        image = g.Cast(image, to=to_onnx(np.dtype(np.float32)))
    y = g.from_first(resize(g, image, (height, width), interpolation, antialias=antialias), data_format)
    y = y if x.rank == 4 else g.Squeeze(y, [0])
    return floating(g, y) if g.era < 3 else _as_stored(g, y, x.dtype)


def _as_stored(g: KerasBuilder, y: Value, dtype: np.dtype | None) -> Value:
    """Rounded to integers that `dtype` has, if it is an integer type."""
    if dtype is None or y.dtype == dtype:
        return y
    if dtype.kind not in "iu":
        return g.Cast(y, to=to_onnx(dtype))
    limits = np.iinfo(dtype)
    if limits.bits > 16:
        raise g.unsupported(f"images of {dtype}")
    return g.Cast(g.Clip(g.Round(y), float(limits.min), float(limits.max)), to=to_onnx(dtype))


def _image_size(g: KerasBuilder, x: Value, last: bool = False) -> tuple[int, int]:
    sizes = (x.shape or ())[-3:-1] if last else (x.shape or ())[-2:]
    if len(sizes) != 2 or not all(isinstance(n, int) for n in sizes):
        raise g.unsupported("an image of unknown size", KNOWN_SIZE)
    return sizes[0], sizes[1]  # type: ignore[return-value]


def _cropped(g: KerasBuilder, x: Value, height: int, width: int) -> Value:
    """The middle of channels-first `x`, as high and wide as the ratio allows."""
    rows, columns = _image_size(g, x)
    kept = [max(min(n, _ratio(m, a, b)), 1) for n, m, a, b in ((rows, columns, height, width),
                                                               (columns, rows, width, height))]  # fmt: skip
    starts = [(n - k) // 2 for n, k in zip((rows, columns), kept, strict=True)]
    return g.Slice(x, starts, [start + k for start, k in zip(starts, kept, strict=True)], [2, 3])


def _padded(g: KerasBuilder, x: Value, height: int, width: int, fill: float) -> Value:
    """Channels-first `x` with as much on both sides as the ratio needs (rounded down on each)."""
    rows, columns = _image_size(g, x)
    above, left = ((max(n, _ratio(m, a, b)) - n) // 2 for n, m, a, b in ((rows, columns, height, width),
                                                                         (columns, rows, width, height)))  # fmt: skip
    around = [0, 0, above, left] * 2
    return g.Pad(x, around, g.constant(fill, x.dtype)) if any(around) else x


def _ratio(size: int, wanted: int, per: int) -> int:
    """size * wanted / per, rounded down in float32 as TensorFlow computes it."""
    return int(np.float32(size * wanted) / np.float32(per))


@keras_layer("CenterCrop", mask="drop")
def center_crop(
    g: KerasBuilder, x: Value, *, height: int, width: int, data_format: str | None = None,
    bounding_box_format: Any = None,
) -> Value:  # fmt: skip
    """The middle; an image that is too small is resized, cropped to the aspect ratio first (smart_resize)."""
    x = floating(g, x)
    last = (data_format or g.data_format) == "channels_last"
    rows, columns = _image_size(g, x, last)
    if rows < height or columns < width:
        small = g.Unsqueeze(x, [0]) if x.rank == 3 else x
        image = _cropped(g, g.to_first(small, data_format), height, width)
        y = g.from_first(resize(g, image, (height, width), "bilinear"), data_format)
        return g.Squeeze(y, [0]) if x.rank == 3 else y
    starts = [(rows - height) // 2, (columns - width) // 2]
    axes = [x.rank - 3, x.rank - 2] if last else [x.rank - 2, x.rank - 1]
    return g.Slice(x, starts, [starts[0] + height, starts[1] + width], axes)


@keras_layer(
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom", "AugMix", "CutMix", "MixUp",
    "RandAugment", "Solarization", "Equalization", mask="drop",
)  # fmt: skip
def augmentation(
    g: KerasBuilder, x: Value, *, factor: Any = None, mode: Any = None, height_factor: Any = None,
    width_factor: Any = None, x_factor: Any = None, y_factor: Any = None, hue_factor: Any = None,
    brightness_factor: Any = None, contrast_factor: Any = None, saturation_factor: Any = None,
    addition_factor: Any = None, threshold_factor: Any = None, value_range: Any = None, fill_mode: Any = None,
    fill_value: Any = None, interpolation: Any = None, scale: Any = None, alpha: Any = None, sigma: Any = None,
    kernel_size: Any = None, bins: Any = None, num_ops: Any = None, num_chains: Any = None, chain_depth: Any = None,
    all_ops: Any = None, rng_type: Any = None, data_format: Any = None, bounding_box_format: Any = None,
) -> Value:  # fmt: skip
    """At inference nothing remains."""
    return x if g.era >= 3 and g.type in KEEP_TYPE else floating(g, x)


# Of Keras 3: their transform_images does nothing to integers while not training; the others make them floats.
KEEP_TYPE = {
    "Equalization", "MixUp", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPosterization", "RandomSaturation",
}  # fmt: skip


@keras_layer("RandomCrop", mask="drop")
def random_crop(
    g: KerasBuilder, x: Value, *, height: int, width: int, data_format: str | None = None, rng_type: Any = None,
    bounding_box_format: Any = None,
) -> Value:  # fmt: skip
    """At inference nothing remains; before Keras 3 the image is cropped to the aspect ratio and resized."""
    if g.era >= 3:
        return x
    image = _cropped(g, g.to_first(floating(g, x), "channels_last"), height, width)
    return g.from_first(resize(g, image, (height, width), "bilinear"), "channels_last")


@keras_layer("AutoContrast", mask="drop")
def auto_contrast(
    g: KerasBuilder, x: Value, *, value_range: Sequence[float] = (0, 255), data_format: str | None = None,
    bounding_box_format: Any = None,
) -> Value:  # fmt: skip
    """Each line of the last axis stretched over the whole range; one that is all the same stays.

    The minimum is taken over axes 1 and 2 of a batch, whatever the data format is.
    """
    bottom, top = (float(bound) for bound in value_range)
    image = floating(g, x)
    axes = [1, 2] if x.rank == 4 else [0, 1]
    low, high = g.ReduceMin(image, axes), g.ReduceMax(image, axes)
    stretched = g.Mul(g.Sub(image, low), g.Div(top - bottom, g.Sub(high, low)))
    return g.Where(g.Equal(high, low), image, g.Add(stretched, bottom) if bottom else stretched)


@keras_layer("Pipeline", mask="own")
def pipeline(g: KerasBuilder, x: Value, *, layers: Sequence[Any]) -> Value:
    """One layer after another; their variables are numbered by class, as those of a model's layers."""
    seen: Counter[str] = Counter()
    for layer in layers:
        name = snake_case(str(layer["class_name"]))
        with g.part("layers"):
            x = g.layer(layer, [x], part=f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return x


# ------------------------------------------------------------------ categories


@keras_layer("CategoryEncoding", mask="drop")
def category_encoding(
    g: KerasBuilder, x: Value, *, num_tokens: int, output_mode: Encoding = "multi_hot", sparse: bool = False,
    count_weights: Value | None = None,
) -> Value:  # fmt: skip
    if sparse:
        raise g.unsupported("sparse tensors")
    if count_weights is not None and output_mode != "count":
        raise ConversionError("count_weights are of output_mode='count' only", g.origin)
    return _encoded(g, x, output_mode, num_tokens, count_weights)


@keras_layer("Discretization", mask="drop")
def discretization(
    g: KerasBuilder, x: Value, *, bin_boundaries: Sequence[float] | None = None, num_bins: int | None = None,
    epsilon: float = 0.01, output_mode: Encoding = "int", sparse: bool = False,
) -> Value:  # fmt: skip
    """How many boundaries are not above x."""
    if not bin_boundaries or sparse:
        raise g.unsupported("sparse tensors" if sparse else "bins that adapt() has not computed")
    bounds = np.sort(np.asarray(bin_boundaries, np.float32))
    as_float = x if x.dtype == np.float32 else g.Cast(x, to=to_onnx(np.dtype(np.float32)))
    above = g.GreaterOrEqual(g.Unsqueeze(as_float, [x.rank]), bounds)
    index = g.ReduceSum(g.Cast(above, to=to_onnx(np.dtype(np.int32))), [x.rank], keepdims=0)
    if output_mode == "int":
        return index if g.era >= 3 else g.Cast(index, to=to_onnx(np.dtype(np.int64)))
    return _encoded(g, index, output_mode, len(bounds) + 1, None)


def _encoded(g: KerasBuilder, x: Value, mode: Encoding, depth: int, weights: Value | None) -> Value:
    """Indices as vectors of `depth`: one for each, or for each row what occurs in it, or how often."""
    assert x.shape is not None
    if not 0 < depth <= MAX_SIZE:
        raise ConversionError(f"{g.type} into {depth} categories", g.origin)
    rows = x
    if mode == "one_hot" and x.rank > 1 and x.shape[-1] == 1:
        rows = g.Squeeze(x, [x.rank - 1])
    numbers = np.arange(depth).astype(rows.dtype)
    hits = g.Cast(g.Equal(g.Unsqueeze(rows, [rows.rank]), numbers), to=to_onnx(g.compute_dtype))
    if mode == "one_hot":
        return hits
    if weights is not None:
        hits = g.Mul(hits, g.Unsqueeze(floating(g, weights), [weights.rank]))
    axis = 1 if x.rank > 1 else 0
    return g.ReduceSum(hits, [axis], keepdims=0) if mode == "count" else g.ReduceMax(hits, [axis], keepdims=0)
