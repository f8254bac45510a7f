"""Resize: which inputs each output is made of, and with what weights, is known here and written as tables.

So every mode of ONNX's Resize is the same kernel: for each axis a table of indices and one of weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, Side, cpp_op, number, steps_of
from netglot.backends.cpp.lines import without
from netglot.backends.cpp.nest import nest
from netglot.backends.cpp.shape import ints, picked, row_axes
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value

_LONGEST_ROW = 512  # sums that are kept on the stack


@dataclass(frozen=True)
class Mode:
    """The attributes of Resize that say how one axis is resampled."""

    mode: str
    coordinates: str
    nearest: str
    cubic_a: float
    exclude_outside: bool
    antialias: bool

    @property
    def crops(self) -> bool:
        return self.coordinates == "tf_crop_and_resize"


@dataclass(frozen=True)
class Axis:
    """One axis: sizes, scale, and the part of the input that is asked for (tf_crop_and_resize)."""

    size: int
    out: int
    scale: float
    start: float = 0.0
    end: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether every output is the input at the same place."""
        return (self.out, self.scale, self.start, self.end) == (self.size, 1, 0, 1)

    def covers(self, how: str) -> np.ndarray:
        """Which outputs lie inside of the input."""
        source = self.sources(how)
        return (source >= 0) & (source <= self.size - 1)

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
    """Which elements [out, taps] each output is made of, and their weights."""
    if mode.mode == "nearest":
        index = nearest(axis.sources(mode.coordinates), mode.nearest, axis.size)[:, None]
        return index, np.ones(index.shape)
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


@cpp_op("Resize", layout=Side.FREE)
def resize(
    m: CppBuilder, x: Value, roi: Value | None, scales: Value | None, sizes: Value | None, y: Value, *,
    antialias: int, axes: tuple[int, ...] = (), coordinate_transformation_mode: str, cubic_coeff_a: float,
    exclude_outside: int, extrapolation_value: float, keep_aspect_ratio_policy: str, mode: str, nearest_mode: str,
) -> str:  # fmt: skip
    how = Mode(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(exclude_outside), bool(antialias)
    )
    chosen = [axis % x.rank for axis in axes] or list(range(x.rank))
    factors = _factors(x, chosen, scales, sizes, keep_aspect_ratio_policy)
    lines = [Axis(a, b, b / a) for a, b in zip(x.sizes, y.sizes, strict=True)]
    for axis, factor in factors.items():
        lines[axis] = replace(lines[axis], scale=factor)
    if how.crops:
        return _interpolate(m, x, y, _cropped(lines, chosen, roi), how, extrapolation_value)
    if mode == "nearest":
        return picked(m, x, y, [np.arange(a.size) if a.is_whole else taps(a, how)[0][:, 0] for a in lines])
    return _interpolate(m, x, y, lines, how, extrapolation_value)


def _factors(x: Value, axes: list[int], scales: Value | None, sizes: Value | None, policy: str) -> dict[int, float]:
    """The scales that are given, or the one that keeps the aspect ratio; others are the ratios of the sizes."""
    if scales is not None and scales.sizes != (0,):
        if not scales.is_constant:
            raise NotMappedError("the scales are computed")
        return dict(zip(axes, scales.array.tolist(), strict=True))
    if policy == "stretch" or sizes is None:
        return {}
    ratios = [wanted / x.sizes[axis] for axis, wanted in zip(axes, ints(sizes, "sizes"), strict=True)]
    return dict.fromkeys(axes, min(ratios) if policy == "not_larger" else max(ratios))


def _cropped(lines: list[Axis], axes: list[int], roi: Value | None) -> list[Axis]:
    if roi is None or not roi.is_constant:
        raise NotMappedError("the region of interest is computed")
    for axis, (start, end) in zip(axes, roi.array.reshape(2, -1).T.tolist(), strict=True):
        lines[axis] = replace(lines[axis], start=start, end=end)
    return lines


def _interpolate(m: CppBuilder, x: Value, y: Value, lines: list[Axis], mode: Mode, outside_value: float) -> str:
    """Inside of a nest over y, a loop over the taps of each resized axis: at t, index i and weight w of the axis.

    What lies together in both, such as the channels of a pixel, is summed as a row.
    """
    real = "double" if x.dtype == np.float64 else "float"
    tables = {axis: taps(line, mode) for axis, line in enumerate(lines) if not line.is_whole}
    if not tables:
        return m.elementwise(y, "a", x)
    steps, walks = steps_of(x), []
    for axis, (index, weights) in tables.items():
        walks.append(m.along((index * steps[axis]).astype(np.int32), f"i{axis}", axis, y.rank, index.shape[1]))
        walks.append(m.along(weights.astype(real), f"w{axis}", axis, y.rank, index.shape[1]))
        if mode.crops:
            walks.append(m.along(lines[axis].covers(mode.coordinates), f"in{axis}", axis, y.rank))
    loops = " ".join(f"for (int t{a} = 0; t{a} < {index.shape[1]}; ++t{a})" for a, (index, _) in tables.items())
    weight = " * ".join(f"(&w{a})[t{a}]" for a in tables)
    place = " + ".join(f"(&i{a})[t{a}]" for a in tables)
    start = tuple(0 if axis in tables else step for axis, step in enumerate(steps))
    walks = [m.write(y), m.read(x, "x", steps=start, by_address=True), *walks]
    row = row_axes(x, y, [axis in tables for axis in range(x.rank)])
    count = prod(y.sizes[axis] for axis in row)
    if 1 < count <= _LONGEST_ROW and not mode.crops:
        each = f"for (int c = 0; c < {count}; ++c)"
        add = f"{{ const {real} w = {weight}; const auto* from = &x + ({place}); {each} sum[c] += w * from[c]; }}"
        body = f"{real} sum[{count}] = {{}}; {loops} {add} {each} (&y)[c] = netglot::cast<{m.kind(y)}>(sum[c]);"
        return nest(without(y.sizes, tuple(row)), walks, body)
    term = f"{weight} * (&x)[{place}]"
    body = f"{real} sum = 0; {loops} sum += {term}; y = netglot::cast<{m.kind(y)}>(sum);"
    if mode.crops:
        body = f"if (!({' && '.join(f'in{a}' for a in tables)})) {{ y = {number(outside_value, y)}; return; }} {body}"
    return nest(y.sizes, walks, body)
