"""Keras layers that add or cut off borders, or enlarge by whole factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.resize import KNOWN_SIZE, resize
from netglot.frontends.keras.windows import MAX_SIZE, Ints, Sizes, per_axis, spatial_axes
from netglot.ir.graph import Value

Pairs = list[tuple[int, int]]


def borders(g: KerasBuilder, what: str, given: Any, rank: int) -> Pairs:
    """(before, after) for each spatial axis, from one number, one for each axis, or a pair for each axis."""
    pairs = list(given) if isinstance(given, (list, tuple)) else [given] * rank
    if rank == 1 and len(pairs) == 2:
        pairs = [pairs]
    pairs = [tuple(pair) if isinstance(pair, (list, tuple)) else (pair, pair) for pair in pairs]
    sizes = [n for pair in pairs for n in pair]
    if (
        len(pairs) != rank
        or len(sizes) != 2 * rank
        or not all(isinstance(n, int) and 0 <= n <= MAX_SIZE for n in sizes)
    ):
        raise ConversionError(f"{g.type}: {what} is {given}", g.origin)
    return pairs


@keras_layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", mask="drop")
def zero_padding(g: KerasBuilder, x: Value, *, padding: Any = 1, data_format: str | None = None) -> Value:
    axes = spatial_axes(g, x, data_format)
    around = dict(zip(axes, borders(g, "padding", padding, len(axes)), strict=True))
    pads = [around.get(axis, (0, 0))[end] for end in (0, 1) for axis in range(x.rank)]
    return g.Pad(x, pads)


@keras_layer("Cropping1D", "Cropping2D", "Cropping3D", mask="drop")
def cropping(g: KerasBuilder, x: Value, *, cropping: Any = None, data_format: str | None = None) -> Value:
    """By default 1D and 3D lose an element at each end, 2D loses none."""
    axes = spatial_axes(g, x, data_format)
    cut = borders(g, "cropping", (0 if x.rank == 4 else 1) if cropping is None else cropping, len(axes))
    _require_rest(g, x, axes, cut)
    starts = [before for before, _ in cut]
    ends = [-after if after else np.iinfo(np.int64).max for _, after in cut]
    return g.Slice(x, starts, ends, axes)


def _require_rest(g: KerasBuilder, x: Value, axes: list[int], cut: Pairs) -> None:
    assert x.shape is not None
    for axis, pair in zip(axes, cut, strict=True):
        size = x.shape[axis]
        if isinstance(size, int) and sum(pair) >= size:
            raise ConversionError(f"{g.type} leaves nothing of axis {axis}, which has {size} elements", g.origin)


@keras_layer("UpSampling1D", "UpSampling2D", "UpSampling3D", mask="drop")
def up_sampling(
    g: KerasBuilder, x: Value, *, size: Sizes = 2, data_format: str | None = None, interpolation: str = "nearest"
) -> Value:
    """Every element repeated; over two axes also interpolated, as `resize` does."""
    data_format = data_format or ("channels_last" if x.rank == 3 else None)
    image = g.to_first(x, data_format)
    factors = per_axis(g, "size", size, image.rank - 2)
    if interpolation.lower() == "nearest":
        return g.from_first(_repeated(g, image, factors), data_format)
    if image.rank != 4:
        raise g.unsupported(f"interpolation='{interpolation}' over {image.rank - 2} axes")
    return g.from_first(_enlarged(g, image, factors, interpolation), data_format)


def _repeated(g: KerasBuilder, x: Value, factors: Ints) -> Value:
    scales = np.array([1, 1, *factors], np.float32)
    mode = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.Resize(x, None, scales, mode="nearest", **mode)


def _enlarged(g: KerasBuilder, x: Value, factors: Ints, interpolation: str) -> Value:
    assert x.shape is not None
    sizes = [n * factor if isinstance(n, int) else None for n, factor in zip(x.shape[2:], factors, strict=True)]
    if None in sizes and interpolation.lower() == "bilinear":
        scales = np.array([1, 1, *factors], np.float32)
        return g.Resize(x, None, scales, mode="linear", coordinate_transformation_mode="half_pixel")
    known = [n for n in sizes if n is not None]
    if len(known) < len(sizes):
        raise g.unsupported(f"interpolation='{interpolation}' of an image of unknown size", KNOWN_SIZE)
    return resize(g, x, known, interpolation)
