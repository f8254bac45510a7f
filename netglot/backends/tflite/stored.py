"""Weights that remember the integers which stand for them, until a kernel asks for these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.backends.tflite.grids import BYTES, INT4, INT8, INT16, SHIFT, UINT8, Grid, one_grid


class Stored(np.ndarray):
    """Real numbers (float32) that remember the integers they are stored as: scale (integers - zero), each of its own.

    `scale` and `zero` are broadcast to the same shape. Transposing, reshaping and slicing keep all of it together;
    anything else gives numbers that have forgotten it. `dynamic`: what they are multiplied with is quantised while
    the model runs.
    """

    integers: np.ndarray | None = None
    scale: np.ndarray
    zero: np.ndarray
    dynamic: bool = False

    def transpose(self, *axes: Any) -> np.ndarray:  # type: ignore[override]
        return self._alike(lambda a: a.transpose(*axes))

    def reshape(self, *shape: Any, **options: Any) -> np.ndarray:  # type: ignore[override]
        return self._alike(lambda a: a.reshape(*shape, **options))

    def __getitem__(self, key: Any) -> Any:
        return self._alike(lambda a: a[key])

    @property
    def T(self) -> np.ndarray:  # type: ignore[override]  # noqa: N802  (NumPy's name)
        return self.transpose()

    def _alike(self, move: Any) -> Any:
        real = move(np.asarray(self))
        if self.integers is None or not isinstance(real, np.ndarray):
            return real
        return stored(real, move(self.integers), move(self.scale), move(self.zero), self.dynamic)


def stored(
    real: np.ndarray, integers: np.ndarray, scale: np.ndarray, zero: np.ndarray, dynamic: bool = False
) -> Stored:
    """`real`, which is scale (integers - zero) rounded to float32, remembering what it was made of."""
    result = real.view(Stored)
    result.integers, result.scale, result.zero, result.dynamic = integers, scale, zero, dynamic
    return result


@dataclass(frozen=True)
class Weights:
    """Constant integers and the grid that a kernel knows them by."""

    data: np.ndarray
    grid: Grid


def weights(data: np.ndarray | None, axis: int) -> Weights | None:
    """What `data` is stored as, if one scale holds for all or for each index of `axis`."""
    if not isinstance(data, Stored) or data.integers is None or not data.size:
        return None
    columns = tuple(slice(None) if i == axis else slice(1) for i in range(data.ndim))
    scale, zero = data.scale[columns], data.zero[columns]
    if not (np.array_equal(data.scale, np.broadcast_to(scale, data.shape)) and
            np.array_equal(data.zero, np.broadcast_to(zero, data.shape))):  # fmt: skip
        return None
    pairs = list(zip(scale.ravel().tolist(), zero.ravel().tolist(), strict=True))
    if len(set(pairs)) == 1:
        return Weights(data.integers, one_grid(*pairs[0]))
    return Weights(data.integers, Grid(tuple(s for s, _ in pairs), tuple(int(z) for _, z in pairs), axis))


def shifted(w: Weights, dtype: np.dtype) -> Weights:
    """Bytes as the other type of bytes, whose integers are SHIFT apart."""
    if w.data.dtype == dtype or w.data.dtype not in BYTES or dtype not in BYTES:
        return w
    by = SHIFT if dtype == UINT8 else -SHIFT
    return Weights((w.data.astype(INT16) + by).astype(dtype), w.grid.shifted(by))


def symmetric(w: Weights | None) -> Weights | None:
    """As int8 or int4 around zero, which is how kernels for int8 and int16 take them; None if they are not."""
    w = shifted(w, INT8) if w else None
    fine = w is not None and w.data.dtype in (INT8, INT4) and not any(w.grid.zeros)
    return w if fine else None
