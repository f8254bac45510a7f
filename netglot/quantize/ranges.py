"""Which range of an observed tensor the numbers of a quantised one should cover."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from netglot.quantize.histogram import BINS, Histogram, quantile

POINTS = 4096  # of a histogram that errors are summed over
KL_BINS, KL_STEP = 2048, 4  # of TensorRT's calibration, and the distance of the thresholds that are tried

Range = tuple[float, float]


def moving_average(lows: np.ndarray, highs: np.ndarray, decay: float) -> Range:
    """Of the ends of each sample's range, in order: x = decay * x + (1 - decay) * next, from the first on.

    As torch.ao.quantization.MovingAverageMinMaxObserver has it (averaging_constant = 1 - decay).
    """
    if not lows.size:
        return 0.0, 0.0
    weights = (1 - decay) * decay ** np.arange(lows.size - 1, -1, -1, dtype=np.float64)
    weights[0] = decay ** (lows.size - 1)
    return float(weights @ lows), float(weights @ highs)


def percentile(histogram: Histogram, share: float, symmetric: bool) -> Range:
    """What leaves out all but `share` percent: of the magnitudes where symmetric, else half of it at either end."""
    if symmetric:
        bound = quantile(*histogram.magnitudes(BINS), share / 100)
        return -bound, bound
    beyond = (100 - share) / 200
    return histogram.quantile(beyond), histogram.quantile(1 - beyond)


# --------------------------------------------------------------- least squared error


def least_squares(histogram: Histogram, bits: int, symmetric: bool) -> Range:
    """The range whose grid is closest to the values: least expected squared error of rounding and of clipping.

    Both ends are sought at once, on a coarse grid of factors of the observed range and twice on a finer one around the
    best. Grids finer than the histogram keep the observed range: there is nothing that clipping could win.
    """
    low, high = histogram.low, histogram.high
    if symmetric:
        low, high = min(low, -high), max(-low, high)
    unit = max(-low, high)
    if unit == 0 or 2**bits > POINTS:
        return low, high
    values, counts = histogram.points(POINTS)
    values, weights = (values / unit).astype(np.float32), (counts / counts.sum()).astype(np.float32)

    def error(ranges: np.ndarray) -> np.ndarray:
        return squared_errors(values, weights, ranges, bits, symmetric)

    best = _search(error, low / unit, high / unit, symmetric)
    return float(best[0] * unit), float(best[1] * unit)


def squared_errors(
    values: np.ndarray, weights: np.ndarray, ranges: np.ndarray, bits: int, symmetric: bool
) -> np.ndarray:  # fmt: skip
    """Sum of weights * (value - quantised value)^2 for every (low, high) of `ranges` [n, 2]."""
    least, most = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)
    low, high = ranges[:, :1].astype(values.dtype), ranges[:, 1:].astype(values.dtype)
    step = (high - low) / (most - least)
    zero = 0 if symmetric else np.rint(-low / step)
    found = values / step
    np.rint(found, out=found)
    np.clip(found, least - zero, most - zero, out=found)
    found *= step
    found -= values
    found *= found
    return found @ weights


def _search(error: Callable[[np.ndarray], np.ndarray], low: float, high: float, symmetric: bool) -> np.ndarray:
    """The (low, high) with the least error, both scaled down by factors of their own (by one where symmetric)."""
    ends = np.asarray([low, high])
    is_single = symmetric or low == 0 or high == 0
    coarse, fine, ratio = (64, 16, 2**-0.125) if is_single else (16, 4, 2**-0.5)
    powers: np.ndarray = np.arange(coarse)
    center = np.ones(2)
    for _ in range(3):
        factors = ratio**powers
        pairs = np.stack([factors, factors], 1) if is_single else np.asarray(list(product(factors, factors)))
        scales = np.minimum(center * pairs, 1)
        center = scales[np.argmin(error(ends * scales))]
        powers = np.arange(-fine, fine + 1)
        ratio = ratio ** (1 / fine)
    return ends * center


# --------------------------------------------------------------------- divergence


def least_divergence(histogram: Histogram, bits: int, symmetric: bool) -> Range:
    """The observed range within +-t, t being the threshold of TensorRT's calibration: least KL divergence.

    S. Migacz, "8-bit Inference with TensorRT" (GTC 2017). P: the histogram of magnitudes up to t, its last bin with all
    that lies beyond; Q: that histogram without what lies beyond, in as many levels as the numbers have, each level
    spread evenly over its bins that P fills. As in NVIDIA's pytorch-quantization the first bin, where zeros are, counts
    as much as the second. The talk has symmetric ranges only; the other end of an asymmetric one is kept if it lies
    within +-t.
    """
    low, high = histogram.low, histogram.high
    unsigned = not symmetric and (low == 0 or high == 0)
    levels = 2 ** (bits - 1 + unsigned)
    if low == high or levels >= KL_BINS:
        return low, high
    _, counts = histogram.magnitudes(KL_BINS)
    counts[0] = counts[1]
    kept = np.arange(levels, KL_BINS + 1, KL_STEP)
    divergences = _divergences(counts, kept, levels)
    bound = float(kept[np.argmin(divergences)] / KL_BINS * max(-low, high))
    return (-bound, bound) if symmetric else (max(low, -bound), min(high, bound))


def _divergences(counts: np.ndarray, kept: np.ndarray, levels: int) -> np.ndarray:
    """KL(P || Q) for each number of bins in `kept`, from running sums: no distribution is ever built.

    Q is constant within a level, so that sum(p log q) needs only sums over levels.
    """
    total, beyond = counts.sum(), counts.sum() - np.cumsum(counts)[kept - 1]
    if not total:
        return np.zeros(len(kept))
    edges = np.rint(np.linspace(0, kept, levels + 1, axis=1)).astype(np.intp)
    inside = np.diff(_running(counts)[edges], axis=1)
    filled = np.diff(_running(counts > 0)[edges], axis=1)
    filled[:, -1] += (counts[kept - 1] == 0) & (beyond > 0)
    p = inside.copy()
    p[:, -1] += beyond
    q = inside / np.maximum(filled, 1) / np.maximum(total - beyond, 1e-300)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = np.where(p > 0, p * np.log(q), 0).sum(1)
    last = counts[kept - 1]
    own = _running(_n_log_n(counts))[kept] - _n_log_n(last) + _n_log_n(last + beyond)
    return (own - cross) / total - np.log(total)


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(values, dtype=np.float64)])


def _n_log_n(values: np.ndarray) -> np.ndarray:
    return values * np.log(np.maximum(values, 1e-300))
