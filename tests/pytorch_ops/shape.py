"""Rows of netglot/frontends/pytorch/operators/shape.py."""

from __future__ import annotations

from tests.pytorch_ops.table import Row, T

ROWS = [
    Row("sym_size.int", T(2, 3, 4), 1),
    Row("flatten.using_ints", T(2, 3, 4, 5), 1, 2, row_dynamic=True),
    Row("view", T(2, 6), [3, -1]),
    Row("reshape", T(2, 6), [3, 4]),
    Row("_unsafe_view", T(2, 6), [12]),
    Row("transpose.int", T(2, 3, 4), -1, 0, row_dynamic=True),
]
