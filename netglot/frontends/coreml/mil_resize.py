"""MIL operations that resize images: the last two axes, or the last `resized_dims`."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, mil_op
from netglot.ir.graph import Value

# MIL's sampling_mode -> ONNX's coordinates, for linear interpolation (the documentation of resize_bilinear).
LINEAR = {"STRICT_ALIGN_CORNERS": "align_corners", "DEFAULT": "asymmetric", "UNALIGN_CORNERS": "half_pixel"}


def resized(
    g: CoreMLBuilder, x: Value, sizes: Sequence[int], mode: str, coordinates: str, rounding: str | None = None
) -> Value:
    """x with its last axes made `sizes`."""
    shape = np.array([*x.sizes[: x.rank - len(sizes)], *sizes], np.int64)
    kind = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    return g.Resize(x, None, None, shape, **kind)


def linear(g: CoreMLBuilder, x: Value, sizes: Sequence[int], sampling: str) -> Value:
    aligned = sampling == "ALIGN_CORNERS" and not any(n == 1 for n in sizes)  # a single one would be in the middle
    if sampling not in LINEAR and not aligned:
        raise UnsupportedError(f"resizing by {sampling}", g.origin)
    return resized(g, x, sizes, "linear", LINEAR.get(sampling, "align_corners"))


def scaled(x: Value, height: float, width: float) -> tuple[int, int]:
    return floor(x.sizes[-2] * height), floor(x.sizes[-1] * width)


@mil_op("upsample_nearest_neighbor")
def upsample_nearest_neighbor(
    g: CoreMLBuilder, *, x: Value, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Value:
    return resized(g, x, scaled(x, scale_factor_height, scale_factor_width), "nearest", "asymmetric", "floor")


@mil_op("resize_nearest_neighbor")
def resize_nearest_neighbor(g: CoreMLBuilder, *, x: Value, target_size_height: int, target_size_width: int) -> Value:
    """Half-pixel centres, rounded half up."""
    return resized(g, x, (target_size_height, target_size_width), "nearest", "half_pixel", "round_prefer_ceil")


@mil_op("upsample_bilinear")
def upsample_bilinear(
    g: CoreMLBuilder, *, x: Value, scale_factor_height: float = 1, scale_factor_width: float = 1,
    align_corners: bool = True, half_pixel_centers: bool | None = None,
) -> Value:  # fmt: skip
    half = not align_corners if half_pixel_centers is None else half_pixel_centers
    sampling = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half else "DEFAULT"
    return linear(g, x, scaled(x, scale_factor_height, scale_factor_width), sampling)


@mil_op("resize_bilinear")
def resize_bilinear(
    g: CoreMLBuilder, *, x: Value, target_size_height: int = 1, target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Value:  # fmt: skip
    return linear(g, x, (target_size_height, target_size_width), sampling_mode)


@mil_op("resample")
def resample(
    g: CoreMLBuilder, *, x: Value, coordinates: Value, sampling_mode: str, padding_mode: str, padding_value: float,
    coordinates_mode: str, align_corners: bool,
) -> Value:  # fmt: skip
    """Samples x at coordinates from -1 to 1 (ONNX has no others, and pads with zeros or by the image)."""
    reflected = "reflection" if align_corners else "symmetric"
    padding = {"constant": "zeros", "border": "border", reflected: "reflection"}.get(padding_mode)
    mode = {"bilinear": "linear", "nearest": "nearest"}.get(sampling_mode)
    if not padding or not mode or padding_value or coordinates_mode != "normalized_minus_one_to_one":
        what = f"resample by {sampling_mode}, {padding_mode} {padding_value}, {coordinates_mode}"
        raise UnsupportedError(what, g.origin)
    return g.GridSample(x, coordinates, mode=mode, padding_mode=padding, align_corners=int(align_corners))


@mil_op("resize")
def resize(
    g: CoreMLBuilder, *, x: Value, shape: Ints, resized_dims: int, interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Value:  # fmt: skip
    sizes = [n or have for n, have in zip(shape[-resized_dims:], x.sizes[-resized_dims:], strict=True)]
    if interpolation_mode == "LINEAR":
        return linear(g, x, sizes, sampling_mode)
    if sampling_mode not in ("DEFAULT", "UNALIGN_CORNERS"):
        raise UnsupportedError(f"nearest resizing by {sampling_mode}", g.origin)
    return resized(g, x, sizes, "nearest", "half_pixel", "round_prefer_ceil")
