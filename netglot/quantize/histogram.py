"""How often the values of a tensor lie where, counted in one pass over data whose range shows only at its end.

Bins are as wide as a power of two, and zero is an edge. Where values turn up that lie beyond what BINS such bins hold,
bins are joined two by two: that is exact, so that the counts of parts of the data add up to those of all of it, bit for
bit, in whatever parts and order it comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, frexp, ldexp

import numpy as np

BINS = 16384  # at least half of them are in use: enough to tell the bulk of the values apart in a range much wider
ALIGNED = 64  # the first bin is a multiple of it, so that zero stays an edge when bins are merged for a coarser look
FINEST = -1074 - BINS.bit_length()  # the power of two of the bins of what has been zero so far
PLAIN = range(-100, 1)  # powers of two by which every float32 can be divided without loss in float32


@dataclass(eq=False)
class Histogram:
    """`counts[i]` values lie in [start + i, start + i + 1) * 2**power.

    low, high: the ends of all values and zero.
    """

    low: float = 0.0
    high: float = 0.0
    power: int = FINEST
    start: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))

    # ---------------------------------------------------------------- counting

    def add(self, array: np.ndarray, low: float, high: float) -> None:
        """Counts the values of `array`, all finite, between its own ends `low` and `high`."""
        self._reach(low, high)
        self.counts += np.bincount(self._places(array.reshape(-1)), minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Adds what another counted."""
        self._reach(other.low, other.high)
        self.counts += _joined(other, self.power, self.start)

    def _reach(self, low: float, high: float) -> None:
        """Makes room for values from `low` to `high`."""
        self.low, self.high = min(self.low, low), max(self.high, high)
        power = _power(self.low, self.high)
        start = _start(self.low, power)
        if (power, start) != (self.power, self.start):
            self.counts = _joined(self, power, start)
            self.power, self.start = power, start

    def _places(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value: scaling by a power of two is exact."""
        if values.dtype == np.float32 and self.power in PLAIN:
            places = values * np.float32(ldexp(1.0, -self.power))
        else:
            places = np.ldexp(values.astype(np.float64), -self.power)
        np.floor(places, out=places)
        places -= self.start
        return places.astype(np.intp)

    # ----------------------------------------------------------------- reading

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def width(self) -> float:
        """Of a bin."""
        return ldexp(1.0, self.power)

    @property
    def edges(self) -> np.ndarray:
        """Of the bins, as far as values can lie in them."""
        edges = np.ldexp(np.arange(self.start, self.start + BINS + 1, dtype=np.float64), self.power)
        return edges.clip(self.low, self.high)

    def below(self, values: np.ndarray) -> np.ndarray:
        """How many counts lie below each of `values`, those of a bin spread evenly over it."""
        return np.interp(values, self.edges, np.concatenate([[0], np.cumsum(self.counts)]))

    def quantile(self, share: float) -> float:
        """The value that `share` of the counts lie below, those of a bin spread evenly over it."""
        return quantile(self.edges, self.counts, share)

    def magnitudes(self, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Edges of `bins` bins from zero to the largest magnitude, and counts (not whole ones) of the magnitudes.

        Rounded, so that what running sums leave of an empty bin is nothing.
        """
        edges = np.linspace(0, max(-self.low, self.high), bins + 1)
        return edges, np.diff(self.below(edges) - self.below(-edges)).round(4).clip(0)

    def points(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and their counts, at most `most`: the bins that are not empty, merged in pairs as long as needed.

        The bin from zero on stands for zero, which an activation function gives often and exactly; the others for
        their middles, as far as there are such values.
        """
        start, counts, width = self.start, self.counts, self.width
        while np.count_nonzero(counts) > most:
            start, counts, width = start // 2, counts.reshape(-1, 2).sum(1), width * 2
        used = np.flatnonzero(counts)
        places = start + used
        values = np.where(places == 0, 0, (places + 0.5) * width)
        return values.clip(self.low, self.high), counts[used]


def quantile(edges: np.ndarray, counts: np.ndarray, share: float) -> float:
    """The value that `share` of the counts lie below, those of a bin spread evenly over it."""
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    return float(np.interp(share * cumulative[-1], cumulative, edges))


def _power(low: float, high: float) -> int:
    """The least power of two as which bins can be wide to hold what lies between the ends, zero among it."""
    if low == high:
        return FINEST
    power = frexp(max(-low, high))[1] - BINS.bit_length()
    while _place(high, power) - _start(low, power) >= BINS:
        power += 1
    return power


def _start(low: float, power: int) -> int:
    return _place(low, power) // ALIGNED * ALIGNED


def _place(value: float, power: int) -> int:
    return floor(ldexp(value, -power))


def _joined(histogram: Histogram, power: int, start: int) -> np.ndarray:
    """The counts in wider bins (or in the same, from another one on)."""
    used = np.flatnonzero(histogram.counts)
    places = (histogram.start + used) >> min(power - histogram.power, 62)
    joined = np.zeros(BINS, np.int64)
    np.add.at(joined, places - start, histogram.counts[used])
    return joined
