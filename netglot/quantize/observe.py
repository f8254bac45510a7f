"""What the tensors of a graph hold on the calibration data: ranges, histograms and channels, in one streaming pass.

Samples are reduced in chunks that are the same whoever computes them and merged in their order (see run.py), so that
every number, bit for bit, does not depend on the executor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from netglot.errors import ConversionError
from netglot.ir import types
from netglot.ir.graph import Graph
from netglot.quantize import ranges
from netglot.quantize.extents import Extent, add_sample, merge
from netglot.quantize.histogram import Histogram
from netglot.quantize.run import Chunk, Progress, SampleSet, reduce_samples

PERCENTILE = 99.999
DECAY = 0.9

METHODS = ("minmax", "moving-average", "percentile", "mse", "kl")
COUNTING = ("percentile", "mse", "kl")  # of these, what needs histograms


@dataclass(frozen=True, eq=False)
class Observation:
    """What a tensor held. All but `nonfinite` is about its finite values.

    low, high: the least and largest value; 0 where there is none. count: how many there were. lows, highs: those of
    each sample (of the last 4096 that held any). nonfinite: how many values were NaN or infinite. histogram: of all
    values. peaks: the largest magnitude, and means: the mean, of every channel.
    """

    name: str
    low: float
    high: float
    count: int
    lows: np.ndarray
    highs: np.ndarray
    nonfinite: int = 0
    histogram: Histogram | None = None
    peaks: np.ndarray | None = None
    means: np.ndarray | None = None


def observe(
    graph: Graph,
    tensors: Sequence[str],
    samples: SampleSet,
    *,
    histograms: bool = False,
    channels: Mapping[str, int] = {},
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Observation]:
    """What each of `tensors` (inner ones too) holds when `graph` runs on `samples`.

    channels: for tensors whose channels count, the axis of these. Half-precision values are taken as float32.
    progress: is told how many samples are done, of how many. ConversionError for tensors that are not
    there or not of floats, and for what reduce_samples raises.
    """
    names = list(dict.fromkeys(tensors))
    _require_floats(graph, names)
    if not names:
        return {}
    parts: dict[str, Extent] = {}
    step = partial(_extents, channels=dict(channels), is_counted=histograms)
    for found in reduce_samples([graph], [names], samples, step, executor=executor, progress=progress):
        merge(parts, found)
    if not parts:
        raise ConversionError("there are no samples to observe")
    return {name: _observation(name, parts[name]) for name in names}


def limits(
    observation: Observation, method: str, *, bits: int = 8, symmetric: bool = False, percentile: float = PERCENTILE,
    decay: float = DECAY,
) -> tuple[float, float]:  # fmt: skip
    """The range (low <= 0 <= high) that the 2**bits numbers of the quantised tensor should cover.

    method: one of METHODS. minmax: all that was seen; moving-average: of the samples' ranges, with `decay`;
    percentile: all but the outermost 100 - `percentile` percent; mse: least squared error; kl: TensorRT's, least
    divergence (see ranges.py). symmetric: low == -high. A tensor that was always zero, or empty, has the range (0, 0).
    ConversionError for NaN or infinities, an unknown method, or a method that needs the histogram where there is none.
    """
    if method not in METHODS:
        raise ConversionError(f"there is no calibration method '{method}'", hint=f"There are {', '.join(METHODS)}.")
    if observation.nonfinite:
        what = f"'{observation.name}' holds NaN or infinity ({observation.nonfinite} times): it has no range"
        raise ConversionError(what, hint="Leave it in float.")
    if observation.low == observation.high == 0:
        return 0.0, 0.0
    low, high = _range(observation, method, bits, symmetric, percentile, decay)
    low, high = min(low, 0.0), max(high, 0.0)
    return (min(low, -high), max(-low, high)) if symmetric else (low, high)


def _range(
    seen: Observation, method: str, bits: int, symmetric: bool, percentile: float, decay: float
) -> tuple[float, float]:  # fmt: skip
    if method == "minmax":
        return seen.low, seen.high
    if method == "moving-average":
        return ranges.moving_average(seen.lows, seen.highs, decay)
    histogram = _histogram(seen)
    if method == "percentile":
        return ranges.percentile(histogram, percentile, symmetric)
    if method == "mse":
        return ranges.least_squares(histogram, bits, symmetric)
    return ranges.least_divergence(histogram, bits, symmetric)


def _histogram(seen: Observation) -> Histogram:
    if seen.histogram is None:
        raise ConversionError(f"there is no histogram of '{seen.name}'; observe it with histograms=True")
    return seen.histogram


def _require_floats(graph: Graph, names: Iterable[str]) -> None:
    """Names that are not in the graph are told about where it is cut."""
    dtypes = {name: graph[name].dtype for name in names if name in graph}
    wrong = [f"'{name}' {types.name_of(dtype)}" for name, dtype in dtypes.items() if dtype and dtype.kind in "biuO"]
    if wrong:
        raise ConversionError(f"only tensors of floats have ranges: {', '.join(wrong)}")


# ------------------------------------------------------------------------ a chunk


def _extents(chunk: Chunk, channels: Mapping[str, int], is_counted: bool) -> dict[str, Extent]:
    parts: dict[str, Extent] = {}
    for (sample,) in chunk:
        for name, array in sample.items():
            add_sample(parts, name, array, channels.get(name), is_counted)
    return parts


def _observation(name: str, part: Extent) -> Observation:
    lows, highs = np.asarray(part.lows), np.asarray(part.highs)
    means = None
    if part.sums is not None and part.counts is not None:
        means = part.sums / np.maximum(part.counts, 1)
    return Observation(
        name, part.low, part.high, part.count, lows, highs, part.nonfinite, part.histogram, part.peaks, means
    )  # fmt: skip
