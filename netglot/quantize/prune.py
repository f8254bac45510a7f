"""Which weights become zero: those of the smallest magnitude, with each layer's share found by what it can spare.

The weights of a layer are scored by LAMP (Lee et al., Layer-adaptive Sparsity for the Magnitude-based Pruning, ICLR
2021): w^2 over the sum of the squares that are not smaller in the layer, which is the part of what is left of the layer
that goes with w. One threshold then holds for all layers. An equal share of every layer is simpler and far worse, since
small layers can't spare what large ones can: with 60 % of the weights gone a LeNet trained on digits is right on 80 %
of them if every layer loses as many, and on 98.7 %, as before, if the share is spread so
(benchmarks/compress_trained.py). The largest weight of a layer always stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def shares(tensors: Sequence[np.ndarray], share: float) -> list[int]:
    """How many weights of each tensor become zero, so that `share` (0 <= share < 1) of all are."""
    wanted = round(share * sum(w.size for w in tensors))
    if not wanted:
        return [0 for _ in tensors]
    scores = [_scores(w) for w in tensors]
    threshold = np.partition(np.concatenate(scores), wanted - 1)[wanted - 1]
    return [int(np.searchsorted(one, min(threshold, _BELOW_ONE), side="right")) for one in scores]


def without_smallest(w: np.ndarray, count: int) -> np.ndarray:
    """A copy of `w` with its `count` elements of the smallest magnitude zero."""
    flat = w.reshape(-1).copy()
    if count:
        flat[np.argpartition(np.abs(flat, dtype=np.float32), count - 1)[:count]] = 0
    return flat.reshape(w.shape)


_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))  # the score of the largest weight is 1


def _scores(w: np.ndarray) -> np.ndarray:
    """In rising order, as the magnitudes are."""
    squares = np.sort(np.square(w.reshape(-1), dtype=np.float64))
    rest = np.cumsum(squares[::-1])[::-1]
    return np.divide(squares, rest, out=np.zeros_like(rest), where=rest > 0).astype(np.float32)
