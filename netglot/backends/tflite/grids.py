"""Which integers stand for which real numbers: the quantisation parameters of tensors."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

INT8, UINT8, INT16, INT32, INT64 = (np.dtype(name) for name in ("int8", "uint8", "int16", "int32", "int64"))
INT4 = np.dtype(ml_dtypes.int4)
BYTES = (INT8, UINT8)
ACTIVATIONS = (INT8, UINT8, INT16)  # the types that integer kernels compute with
SHIFT = 128  # between the uint8 and the int8 that stand for the same number


@dataclass(frozen=True)
class Grid:
    """q stands for scale (q - zero); one for the whole tensor, or one for each index of `axis`."""

    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int = 0

    @property
    def scale(self) -> float:
        """Of a grid for the whole tensor."""
        return self.scales[0]

    @property
    def zero(self) -> int:
        return self.zeros[0]

    def quantised(self, data: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The nearest integers (to even between two), as QuantizeLinear-21 has them; NaN becomes zero."""
        kind = np.iinfo(dtype)
        steps = np.rint(np.nan_to_num(data, posinf=np.inf, neginf=-np.inf) / np.float32(self.scale))
        return np.asarray(np.clip(steps + self.zero, kind.min, kind.max), dtype)

    def real(self, q: np.ndarray) -> np.ndarray:
        return (q.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)

    def shifted(self, by: int) -> Grid:
        return Grid(self.scales, tuple(zero + by for zero in self.zeros), self.axis)


def one_grid(scale: float, zero: int = 0) -> Grid:
    return Grid((float(np.float32(scale)),), (int(zero),))
