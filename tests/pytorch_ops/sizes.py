"""Rows of netglot/frontends/pytorch/operators/sizes.py; most of it is in tests/test_pytorch_sizes.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ROWS = [
    Row("sym_size.int", T(2, 3, 4), 1),
    Row("sym_size.int", T(2, 3, 4), -1, name="open", row_dynamic=True),
    Row("sym_numel", T(2, 3, 4), row_dynamic=True),
    Row("sym_stride.int", T(2, 3, 4), 0, row_dynamic=True),
    Row("sym_stride.int", T(2, 3, 4), -1, name="last", row_dynamic=True),
    Row("sym_storage_offset", T(2, 3)),
    Row("item", T(1, 1, dtype="int64")),
    Row("item", T(dtype="bool"), name="bool"),
    Row("item", T(dtype="float64"), name="float"),
    Row("_local_scalar_dense", T(dtype="int64")),
    Row("_local_scalar_dense", np.array(5), name="known"),
]
