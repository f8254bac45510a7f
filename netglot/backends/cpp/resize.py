"""Resize: which inputs each output is made of, and with what weights, is known here and written as tables.

So every mode of ONNX's Resize is the same kernel: for each axis a table of indices and one of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netglot.backends.cpp.context import CppBuilder, cpp_op, number
from netglot.backends.cpp.nest import nest, strides
from netglot.backends.cpp.shape import picked
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Mode:
    """The attributes of Resize that say how one axis is resampled."""

    mode: str
    coordinates: str
    nearest: str
    cubic_a: float
    exclude_outside: bool
    antialias: bool


@dataclass(frozen=True)
class Axis:
    """One axis: sizes, scale, and the part of the input that is asked for (tf_crop_and_resize)."""

    size: int
    out: int
    scale: float
    start: float = 0.0
    end: float = 1.0

    def sources(self, how: str) -> np.ndarray:
        """Where in the input each output lies, in single precision as ONNX Runtime computes it."""
        i = np.arange(self.out, dtype=np.float32)
        scale, last = np.float32(self.scale), self.size - 1
        half = (i + np.float32(0.5)) / scale - np.float32(0.5)
        if how == "align_corners":
            return i * np.float32(last) / np.float32(self.out - 1) if self.out > 1 else i * 0
        if how == "tf_crop_and_resize":
            return self._cropped(i)
        if how == "half_pixel_symmetric":
            adjustment = np.float32(self.out / (self.scale * self.size))
            return np.float32(self.size / 2) * (1 - adjustment) + half
        simple = {"half_pixel": half, "asymmetric": i / scale, "pytorch_half_pixel": half if self.out > 1 else i * 0}
        if how not in simple:
            raise NotMappedError(f"the coordinates {how} are not known")
        return simple[how]

    def _cropped(self, i: np.ndarray) -> np.ndarray:
        last = self.size - 1
        if self.out == 1:
            return i + np.float32(0.5 * (self.start + self.end) * last)
        return np.float32(self.start * last) + i * np.float32((self.end - self.start) * last / (self.out - 1))


def nearest(source: np.ndarray, how: str, size: int) -> np.ndarray:
    rounded = {
        "round_prefer_floor": np.ceil(source - np.float32(0.5)),
        "round_prefer_ceil": np.floor(source + np.float32(0.5)),
        "floor": np.floor(source),
        "ceil": np.ceil(source),
    }[how]
    return rounded.astype(np.int64).clip(0, size - 1)


def taps(axis: Axis, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights [out, taps] of linear and cubic interpolation."""
    source, reach = axis.sources(mode.coordinates).astype(np.float64), 1 if mode.mode == "linear" else 2
    shrink = min(1.0, axis.scale) if mode.antialias else 1.0
    count = int(np.ceil(reach / shrink))
    if mode.mode == "linear" and not mode.antialias:
        source = source.clip(0, axis.size - 1)
    places = np.floor(source).astype(np.int64)[:, None] + np.arange(1 - count, count + 1)
    distance = np.abs(places - source[:, None]) * shrink
    weights = np.maximum(0, 1 - distance) if mode.mode == "linear" else _cubic(distance, mode.cubic_a)
    if mode.exclude_outside:
        weights = np.where((places >= 0) & (places < axis.size), weights, 0)
    if mode.exclude_outside or mode.antialias:
        weights /= weights.sum(1, keepdims=True)
    return places.clip(0, axis.size - 1), weights


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981."""
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@cpp_op("Resize")
def resize(
    m: CppBuilder, x: Value, roi: Value | None, scales: Value | None, sizes: Value | None, y: Value, *,
    antialias: int, axes: tuple[int, ...] = (), coordinate_transformation_mode: str, cubic_coeff_a: float,
    exclude_outside: int, extrapolation_value: float, keep_aspect_ratio_policy: str, mode: str, nearest_mode: str,
) -> str:  # fmt: skip
    how = Mode(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(exclude_outside), bool(antialias)
    )
    lines = _axes(x, y, scales, roi, [axis % x.rank for axis in axes] or list(range(x.rank)), how)
    if mode == "nearest" and coordinate_transformation_mode != "tf_crop_and_resize":
        return picked(m, x, y, [_index(line, how) for line in lines])
    return _interpolate(m, x, y, lines, how, extrapolation_value)


def _index(axis: Axis, mode: Mode) -> np.ndarray:
    if axis.out == axis.size and axis.scale == 1:
        return np.arange(axis.size)
    return nearest(axis.sources(mode.coordinates), mode.nearest, axis.size)


def _axes(x: Value, y: Value, scales: Value | None, roi: Value | None, axes: list[int], mode: Mode) -> list[Axis]:
    """Every axis of x. A scale that is given counts, one that is not is the ratio of the sizes."""
    lines = [Axis(a, b, b / a) for a, b in zip(x.sizes, y.sizes, strict=True)]
    if scales is not None and scales.sizes != (0,):
        if not scales.is_constant:
            raise NotMappedError("the scales are computed")
        for axis, scale in zip(axes, scales.array.tolist(), strict=True):
            lines[axis] = Axis(x.sizes[axis], y.sizes[axis], scale)
    if mode.coordinates == "tf_crop_and_resize":
        if roi is None or not roi.is_constant:
            raise NotMappedError("the region of interest is computed")
        starts, ends = roi.array.reshape(2, -1).tolist()
        for axis, start, end in zip(axes, starts, ends, strict=True):
            lines[axis] = Axis(x.sizes[axis], y.sizes[axis], lines[axis].scale, start, end)
    return lines


def _interpolate(
    m: CppBuilder, x: Value, y: Value, lines: Sequence[Axis], mode: Mode, outside_value: float
) -> str:
    """Nests over the taps of each resized axis inside of a nest over y."""
    steps, walks, loops, weight, place, inside = list(strides(x.sizes)), [], "", "", "", ""
    for axis, line in enumerate(lines):
        if line.out == line.size and line.scale == 1 and mode.coordinates != "tf_crop_and_resize":
            continue
        index, weights = _taps_or_nearest(line, mode)
        if mode.coordinates == "tf_crop_and_resize":
            source = line.sources(mode.coordinates)
            walks.append(m.along((source >= 0) & (source <= line.size - 1), f"in{axis}", axis, y.rank))
            inside += f" && in{axis}"
        count = index.shape[1]
        walks += [m.along((index * steps[axis]).astype(np.int32), f"i{axis}", axis, y.rank, count),
                  m.along(weights.astype(x.dtype), f"w{axis}", axis, y.rank, count)]  # fmt: skip
        loops += f"for (int t{axis} = 0; t{axis} < {count}; ++t{axis}) "
        weight, place = f"{weight}(&w{axis})[t{axis}] * ", f"{place} + (&i{axis})[t{axis}]"
        steps[axis] = 0
    read = m.read(x, "x", steps=tuple(steps), by_address=True)
    body = f"{m.kind(y)} sum = 0; {loops}sum += {weight}(&x)[0{place}]; y = sum;"
    if inside:
        body = f"if (!(true{inside})) {{ y = {number(outside_value, y)}; return; }} {body}"
    return nest(y.sizes, [m.write(y), read, *walks], body)


def _taps_or_nearest(axis: Axis, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
    if mode.mode != "nearest":
        return taps(axis, mode)
    index = nearest(axis.sources(mode.coordinates), mode.nearest, axis.size)[:, None]
    return index, np.ones(index.shape)


