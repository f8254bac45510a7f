"""Rows of netglot/frontends/pytorch/operators/nn.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


ROWS = [
    Row("conv2d", T(2, 4, 7, 9), _w(6, 2, 3, 5), _w(6), [2, 1], [1, 2], [1, 1], 2, row_dynamic=True),
    Row("conv1d", T(2, 4, 9), _w(6, 4, 3)),
    Row("conv3d", T(1, 2, 5, 6, 7), _w(3, 2, 2, 3, 1), None, [1], [1]),
    Row("batch_norm", T(2, 3, 4, 5), _w(3), _w(3), _w(3), abs(_w(3)) + 0.5, False, 0.1, 1e-3, False),
    Row("batch_norm", T(2, 3), None, None, _w(3), abs(_w(3)) + 0.5, False, 0.1, 1e-3, False, name="plain"),
]
