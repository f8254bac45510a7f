"""Rows of netglot/frontends/pytorch/operators/random.py: dropout. What is drawn is in tests/test_pytorch_random.py."""

from __future__ import annotations

from tests.pytorch_ops.table import Row, T

ROWS = [
    Row("dropout", T(2, 3), 0.5, False, row_dynamic=True),
    Row("dropout", T(2, 3), 0.0, True, name="none"),
    Row("feature_dropout", T(2, 3, 4), 0.5, False),
    Row("alpha_dropout", T(2, 3), 0.5, False),
    Row("feature_alpha_dropout", T(2, 3, 4), 0.5, False),
    Row("native_dropout", T(2, 3), 0.5, False, row_dynamic=True),
]
