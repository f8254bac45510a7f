"""A tensor with few values: one-dimensional k-means (Han et al., Deep Compression, 2016, section 3)."""

from __future__ import annotations

import numpy as np

from netglot.ir.extension.compressed import MOST_ENTRIES

POINTS = 4096  # bins of a histogram that stand for a larger tensor while centres are looked for
DRAWN = 4  # times that centres are drawn at random (k-means++), with a fixed seed
_SAMPLE = 1 << 16  # elements whose quantiles are edges of bins
ROUNDS = 2  # in which the centres are fitted to the elements themselves


def palettize(w: np.ndarray, bits: int) -> np.ndarray:
    """`w` rounded to at most 2^bits values, which minimise the squared error; as it is if it takes no more.

    w: finite, of any shape and floating-point type. Zero stays zero where that is worth an entry: where more elements
    are zero than would share an entry, as after pruning. Of 256 values, one is always kept for it: C++ fills its panels
    up with zeros, and a codebook holds no more.
    """
    entries = 1 << bits
    flat = np.ascontiguousarray(w, np.float32).reshape(-1)
    if _takes_at_most(flat, entries):
        return w
    others = flat[flat != 0]
    keeps_zero = entries == MOST_ENTRIES or (flat.size - others.size) * entries > flat.size
    centres = cluster(others if keeps_zero else flat, entries - keeps_zero).astype(w.dtype).astype(np.float32)
    rounded = centres[nearest(centres, flat)]
    if keeps_zero:
        rounded[flat == 0] = 0
    return rounded.astype(w.dtype).reshape(w.shape)


def cluster(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` centres, rising, of k-means on `values` (float32 [n], finite)."""
    points, heights = _weighted(values)
    tries = [_kmeans(points, heights, start, 1) for start in _starts(points, heights, count)]
    tries.append(_kmeans(points, heights, min(count, points.size), DRAWN))
    _, centres = min(tries, key=lambda item: item[0])
    for _ in range(ROUNDS):
        centres = _means(values, centres)
    return centres


def nearest(centres: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The index of the centre that is nearest to each value; `centres` rise."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)


def _takes_at_most(flat: np.ndarray, entries: int) -> bool:
    few = flat[: 64 * entries]  # most tensors show more values there already
    return np.unique(few).size <= entries and np.unique(flat).size <= entries


def _weighted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(points, how many values each stands for): the values, or the means of the bins of their histogram."""
    if values.size <= POINTS:
        return np.unique(values, return_counts=True)
    bins = np.searchsorted(_edges(values), values)
    counts, sums = np.bincount(bins), np.bincount(bins, weights=values)
    taken = counts > 0
    return (sums[taken] / counts[taken]).astype(np.float32), counts[taken]


def _edges(values: np.ndarray) -> np.ndarray:
    """Half of the bins are equally wide, for the few large values, and half hold equally many, for all others."""
    sample = values[:: -(-values.size // _SAMPLE)].astype(np.float64)
    wide = np.linspace(float(values.min()), float(values.max()), POINTS // 2 + 1)
    edges = np.concatenate([wide, np.quantile(sample, np.linspace(0, 1, POINTS // 2))])
    return np.unique(edges.astype(np.float32))


def _starts(points: np.ndarray, heights: np.ndarray, count: int) -> list[np.ndarray]:
    """Centres to start from: evenly spread over the range, which keeps the few large weights, and as dense as the cube
    root of the density of the weights, which is best for many centres (Panter and Dite, 1951)."""
    count = min(count, points.size)
    widths = np.gradient(points.astype(np.float64)) if points.size > 1 else np.ones(1)
    share = np.cumsum(np.cbrt(heights * widths**2))
    dense = np.searchsorted(share / share[-1], (np.arange(count) + 0.5) / count)
    return [np.linspace(points[0], points[-1], count), np.unique(points[dense])]


def _kmeans(points: np.ndarray, heights: np.ndarray, start: np.ndarray | int, tries: int) -> tuple[float, np.ndarray]:
    """(sum of squared errors, centres), from given centres, or the best of `tries` from so many that are drawn."""
    from sklearn.cluster import KMeans

    count, init = (start, "k-means++") if isinstance(start, int) else (start.size, start.reshape(-1, 1))
    model = KMeans(count, init=init, n_init=tries, max_iter=100, random_state=0)
    model.fit(points.reshape(-1, 1).astype(np.float64), sample_weight=heights)
    return float(model.inertia_), np.unique(model.cluster_centers_.astype(np.float32))


def _means(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """One round of Lloyd's algorithm on all values."""
    places = nearest(centres, values)
    counts = np.bincount(places, minlength=centres.size)
    sums = np.bincount(places, weights=values, minlength=centres.size)
    taken = counts > 0
    return np.unique((sums[taken] / counts[taken]).astype(np.float32))
