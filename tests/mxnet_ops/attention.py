"""Rows of attention with interleaved projections: 2 heads of 3 numbers."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
HEADS = {"heads": 2}
SELF = In((5, 3, 18))
PAIRS = In((7, 3, 12))

ROWS = [
    Row("_contrib_interleaved_matmul_selfatt_qk", HEADS, [SELF], targets=ALL),
    Row("_contrib_interleaved_matmul_selfatt_valatt", HEADS, [SELF, In((6, 5, 5))], targets=ALL),
    Row("_contrib_interleaved_matmul_encdec_qk", HEADS, [In((5, 3, 6)), PAIRS], targets=ALL),
    Row("_contrib_interleaved_matmul_encdec_valatt", HEADS, [PAIRS, In((6, 5, 7))], targets=ALL),
]
