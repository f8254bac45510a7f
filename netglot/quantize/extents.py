"""The range, histogram, and peaks and means of the channels, of a tensor over many samples: what is merged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from netglot.errors import ConversionError
from netglot.ir import types
from netglot.quantize.histogram import Histogram

KEPT = 4096  # samples whose own ranges are remembered: the last ones


@dataclass
class Extent:
    """What some samples say of a tensor; sums and counts are those of channels."""

    low: float
    high: float
    count: int
    nonfinite: int
    lows: list[float]
    highs: list[float]
    peaks: np.ndarray | None = None
    sums: np.ndarray | None = None
    counts: np.ndarray | None = None
    histogram: Histogram | None = None


def as_float(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind in "biuO":
        raise ConversionError(f"only tensors of floats have ranges: '{name}' {types.name_of(array.dtype)}")
    return array.astype(np.float32)


def add_sample(
    extents: dict[str, Extent], name: str, array: np.ndarray, axis: int | None, is_counted: bool
) -> None:  # fmt: skip
    """What one more sample says of a tensor: its range, the channels along `axis`, and counts where asked for."""
    array = as_float(name, array)
    part = extent(name, array, axis)
    if is_counted and name not in extents:
        part.histogram = Histogram()
    merge(extents, {name: part})
    if (histogram := extents[name].histogram) is not None:
        histogram.add(array[np.isfinite(array)] if part.nonfinite else array, part.low, part.high)


def extent(name: str, array: np.ndarray, axis: int | None) -> Extent:
    """Of one sample. The ends of the range tell whether all is finite, so that no mask is needed as a rule."""
    low, high = _ends(array)
    is_finite = None
    if not (math.isfinite(low) and math.isfinite(high)):
        is_finite = np.isfinite(array)
        low, high = _ends(array[is_finite])
    count = array.size if is_finite is None else int(np.count_nonzero(is_finite))
    part = Extent(low, high, count, array.size - count, [low][:count], [high][:count])
    if axis is not None:
        part.peaks, part.sums, part.counts = _channels(name, array, axis, is_finite)
    return part


def _ends(array: np.ndarray) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)


def _channels(
    name: str, array: np.ndarray, axis: int, is_finite: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Largest magnitude, float64 sum and number of the finite values of each channel."""
    if not -array.ndim <= axis < array.ndim:
        raise ConversionError(f"'{name}' has the shape {types.text(array.shape)}: there is no axis {axis}")
    others = tuple(i for i in range(array.ndim) if i != axis % array.ndim)
    size = array.shape[axis]
    if is_finite is None:
        counts = np.full(size, array.size // max(size, 1))
    else:
        array, counts = np.where(is_finite, array, 0), np.count_nonzero(is_finite, axis=others)
    peaks = np.maximum(array.max(others, initial=0), -array.min(others, initial=0))
    return peaks, array.sum(others, dtype=np.float64), counts


def merge(extents: dict[str, Extent], found: Mapping[str, Extent]) -> None:
    """Adds what later samples say."""
    for name, part in found.items():
        if name in extents:
            _add(name, extents[name], part)
        else:
            extents[name] = part


def _add(name: str, part: Extent, other: Extent) -> None:
    ends = [(item.low, item.high) for item in (part, other) if item.count] or [(0.0, 0.0)]
    part.low, part.high = min(low for low, _ in ends), max(high for _, high in ends)
    part.count += other.count
    part.nonfinite += other.nonfinite
    part.lows, part.highs = (part.lows + other.lows)[-KEPT:], (part.highs + other.highs)[-KEPT:]
    if part.histogram is not None and other.histogram is not None:
        part.histogram.merge(other.histogram)
    if part.peaks is None or part.sums is None or part.counts is None:
        return
    assert other.peaks is not None and other.sums is not None and other.counts is not None  # noqa: PT018
    if part.peaks.shape != other.peaks.shape:
        what = f"'{name}' has {part.peaks.size} channels with one sample and {other.peaks.size} with another"
        raise ConversionError(what)
    part.peaks = np.maximum(part.peaks, other.peaks)
    part.sums, part.counts = part.sums + other.sums, part.counts + other.counts
