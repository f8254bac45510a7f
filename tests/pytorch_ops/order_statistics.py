"""Rows of netglot/frontends/pytorch/operators/order_statistics.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.reduction import HOLES, TIES
from tests.pytorch_ops.table import Row, T

WHOLE = np.array([[1.5, 7, -2, 3, -4], [9, -8, 6, -5, 11], [0.5, -0.25, 4, 2, 12]], np.float32)

ROWS = [
    Row("median", T(3, 5), row_values=[WHOLE], row_dynamic=True),
    Row("median", T(2, 3), name="even"),
    Row("median", T(3, 4), row_values=[HOLES], name="nan"),
    Row("median.dim", T(3, 5), 1, row_values=[WHOLE], row_dynamic=True),
    Row("median.dim", T(3, 5), 0, True, row_values=[WHOLE], name="keep"),
    Row("median.dim", T(4, 3, dtype="int32"), 0, row_outputs=[0], name="ints"),
    Row("median.dim", T(3, 4), -1, row_values=[HOLES], name="nan"),
    Row("nanmedian", T(3, 4), row_values=[HOLES], row_dynamic=True),
    Row("nanmedian.dim", T(3, 4), 1, row_values=[HOLES], row_dynamic=True, row_outputs=[0]),
    Row("nanmedian.dim", T(2, 4), -1, row_values=[HOLES[[0, 2]]], name="index"),
    Row("nanmedian.dim", T(2, 3), 0, True, name="keep"),
    Row("mode", T(2, 5), row_values=[TIES]),
    Row("mode", T(2, 5), 0, True, row_values=[TIES], name="keep"),
    Row("mode", T(3, 7, dtype="int64", low=0, high=3), 1, name="ints"),
    Row("quantile", T(3, 5), T(2, low=0.1, high=0.9), 1, row_dynamic=True),
    Row("quantile", T(3, 5), np.array([0.3, 1.0], np.float32), 0, True, name="keep"),
    Row("quantile", T(3, 5), np.array(0.3, np.float32), name="all"),
    Row("quantile", T(2, 3, 5), np.array([0.3, 0.5, 0.6], np.float32), None, True, name="all_keep"),
    Row("quantile", T(3, 4), np.array([0.25], np.float32), -1, row_values=[HOLES], name="nan"),
    Row("quantile.scalar", T(3, 5), 0.3, 1, row_dynamic=True),
    Row("quantile.scalar", T(3, 5), 0.3, 1, interpolation="lower", name="lower"),
    Row("quantile.scalar", T(3, 5), 0.3, 1, interpolation="higher", name="higher"),
    Row("quantile.scalar", T(3, 5), 0.3, 1, interpolation="midpoint", name="midpoint"),
    Row("quantile.scalar", T(3, 5), 0.3, 1, True, interpolation="nearest", name="nearest"),
    Row("quantile.scalar", T(3, 5, dtype="float64"), 0.7, 0, name="double"),
    Row("nanquantile", T(3, 4), np.array([0.3, 0.5], np.float32), 1, row_values=[HOLES], row_dynamic=True),
    Row("nanquantile.scalar", T(3, 4), 0.4, 0, True, row_values=[HOLES], row_dynamic=True),
]  # fmt: skip
