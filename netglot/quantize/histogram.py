"""How often the values of a tensor lie where: whole counts in bins whose edges are known beforehand.

As the edges are the same for everyone, histograms of parts of the data add up to that of all of it, exactly and in any
order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 8192  # enough to tell the bulk of the values apart where the range is a hundred times as wide


@dataclass(frozen=True, eq=False)
class Histogram:
    """`counts[i]` values lie in the i-th of equally wide bins from `low` to `high` (in the first if all are equal)."""

    low: float
    high: float
    counts: np.ndarray

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def edges(self) -> np.ndarray:
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centers(self) -> np.ndarray:
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2

    def below(self, values: np.ndarray) -> np.ndarray:
        """How many counts lie below each of `values`, those of a bin spread evenly over it."""
        return np.interp(values, self.edges, np.concatenate([[0], np.cumsum(self.counts)]))

    def quantile(self, share: float) -> float:
        """The value that `share` of the counts lie below, those of a bin spread evenly over it."""
        cumulative = np.concatenate([[0], np.cumsum(self.counts)])
        return float(np.interp(share * cumulative[-1], cumulative, self.edges))

    def magnitudes(self, bins: int) -> np.ndarray:
        """Counts (not whole ones) of the magnitudes, in `bins` bins from zero to the largest.

        Rounded, so that what running sums leave of an empty bin is nothing.
        """
        edges = np.linspace(0, max(-self.low, self.high), bins + 1)
        return np.diff(self.below(edges) - self.below(-edges)).round(4).clip(0)

    def points(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and their counts, at most `most`: the bins that are not empty, merged in pairs as long as needed.

        The bin that holds zero stands for zero, which an activation function gives often and exactly.
        """
        values, counts = self.centers, self.counts
        if self.low <= 0 <= self.high:
            values[np.searchsorted(self.edges, 0, "right").clip(1, len(values)) - 1] = 0
        while np.count_nonzero(counts) > most:
            merged = counts.reshape(-1, 2).sum(1)
            is_zero = (values.reshape(-1, 2) == 0).any(1)
            values, counts = np.where(is_zero, 0, values.reshape(-1, 2).mean(1)), merged
        used = np.flatnonzero(counts)
        return values[used], counts[used]


def count(array: np.ndarray, low: float, high: float, bins: int = BINS) -> np.ndarray:
    """int64 counts of finite floats in `bins` bins from `low` to `high`; what lies outside is in the outermost."""
    span = high - low
    dtype = np.float32 if 1e-30 < span < 1e30 and array.dtype == np.float32 else np.float64
    places = np.subtract(array, low, dtype=dtype).reshape(-1)
    places *= bins / span if span > 0 else 0
    np.clip(places, 0, bins - 1, out=places)
    return np.bincount(places.astype(np.intp), minlength=bins)
