"""Rows of arithmetic on each element."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((2, 3, 5))

ROWS = [
    *(Row(op, {}, [X, X]) for op in ("elemwise_add", "_plus", "_Plus", "_add")),
]
