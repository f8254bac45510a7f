"""Rows of netglot/frontends/pytorch/operators/elementwise.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ROWS = [
    Row("add.Tensor", T(2, 3, 5), T(3, 1), row_dynamic=True, row_targets=("tflite", "coreml", "cpp")),
    Row("add.Tensor", T(2, 3), T(2, 3, dtype="int64"), alpha=2, name="promoted"),
    Row("add.Tensor", T(2, 3, dtype="int32"), 2.5, name="number"),
    Row("add.Tensor", T(2, 3, dtype="bool"), np.array(True), name="bool"),
    Row("add.Scalar", T(2, 3), 2),
    Row("relu", T(2, 3)),
]
