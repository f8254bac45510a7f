"""Rows of netglot/frontends/pytorch/operators/casts.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.pytorch_ops.table import Row, T

TYPES = (np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_)
# Fractions of either sign, and what uint8 does not hold: torch goes by way of int64.
FLOATS = np.array([-2.9, -1.0, -0.5, -0.0, 0.3, 0.99, 1.5, 100.7], np.float32)
UNSIGNED = np.array([-3.7, -1.0, 254.9, 255.0, 256.0, 300.5], np.float32)
INTS = np.array([-129, -128, -1, 0, 1, 255, 256, 70000, 2**33], np.int64)

ROWS = [
    *(Row("to.dtype", T(8), to, name=f"float to {to.__name__}", row_dynamic=True,
          row_values=[abs(FLOATS) if to is np.uint8 else FLOATS]) for to in TYPES),
    *(Row("to.dtype", T(9, dtype="int64"), to, name=f"int to {to.__name__}", row_values=[INTS]) for to in TYPES[:5]),
    *(Row("to.dtype", T(9, dtype="int64"), to, name=f"int to {to.__name__}",
          row_values=[INTS[:7]]) for to in TYPES[5:]),
    *(Row("to.dtype", T(2, 3, dtype="bool"), to, name=f"bool to {to.__name__}") for to in TYPES),
    *(Row("to.dtype", T(8, dtype="float16"), to, name=f"half to {to.__name__}",
          row_values=[abs(FLOATS).astype(np.float16)]) for to in TYPES),
    *(Row("to.dtype", T(8), to, name=f"bfloat16 to {to.__name__}",
          row_values=[abs(FLOATS).astype(ml_dtypes.bfloat16)]) for to in TYPES),
    Row("to.dtype", T(6), np.uint8, name="out of uint8", row_values=[UNSIGNED]),
    Row("to.dtype", T(3), np.bool_, name="nan to bool", row_values=[np.float32([np.nan, np.inf, 1e-30])]),
    Row("to.dtype", T(2, 3), np.float32, False, True, name="copy"),
    Row("to.dtype_layout", T(2, 3), dtype=np.int32),
    Row("to.dtype_layout", T(2, 3), name="same"),
    Row("to.device", T(2, 3), "cpu", np.float64),
    Row("to.other", T(2, 3), T(4, dtype="int32")),
    Row("_to_copy", T(2, 3), dtype=np.float64, row_dynamic=True, name="double"),
    Row("_to_copy", T(2, 3)),
    Row("type_as", T(2, 3, dtype="int64"), T(4)),
    Row("clone", T(2, 3), row_dynamic=True),
    Row("contiguous", T(2, 3), row_dynamic=True),
    Row("lift_fresh", T(2, 3)),
    Row("lift_fresh_copy", np.float32([1, 2])),
    Row("lift", T(2, 3)),
    Row("copy", T(2, 3), T(2, 3), row_dynamic=True),
    Row("copy", T(2, 3, dtype="int32"), T(3), name="broadcast, cast"),
]  # fmt: skip
