"""Rows of netglot/frontends/pytorch/operators/moments.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")

ROWS = [
    Row("var", T(2, 3, 5), row_dynamic=True),
    Row("var", T(2, 3), False, name="biased"),
    Row("var", T(1), name="of_one"),
    Row("var.dim", T(2, 3, 5), [0, -1], True, True, row_dynamic=True, row_targets=ALL),
    Row("var.dim", T(2, 3, 5), [1], False, name="biased"),
    Row("var.correction", T(2, 3, 5), [1], correction=0, keepdim=True, row_dynamic=True, row_targets=ALL),
    Row("var.correction", T(2, 3, 5), name="all"),
    Row("var.correction", T(2, 3, 5), [2], correction=2.5, name="broken"),
    Row("var.correction", T(2, 3, 5, dtype="float64"), [-2], correction=2, name="double"),
    Row("std", T(2, 3, 5), row_dynamic=True),
    Row("std", T(2, 9, dtype="float16"), False, name="half", row_rtol=2e-3),
    Row("std.dim", T(2, 3, 5), [-1], row_dynamic=True, row_targets=ALL),
    Row("std.correction", T(2, 3, 5), [0, 1], correction=0, row_dynamic=True),
    Row("std.correction", T(2, 3), None, keepdim=True, name="all"),
    Row("var_mean", T(2, 3), row_dynamic=True),
    Row("var_mean.dim", T(2, 3, 5), [1], False, row_dynamic=True),
    Row("var_mean.correction", T(2, 3, 5), [2], correction=0, keepdim=True, row_dynamic=True, row_targets=ALL),
    Row("std_mean", T(2, 3), False),
    Row("std_mean.dim", T(2, 3, 5), [0, 2], True, True, row_dynamic=True),
    Row("std_mean.correction", T(2, 3, 5), [-1], correction=1, row_dynamic=True),
    Row("cov", T(3, 7), row_dynamic=True),
    Row("cov", T(7), name="one", correction=0),
    Row("cov", T(3, 4, dtype="int32"), name="ints"),
    Row("cov", T(3, 5), name="times", fweights=np.array([1, 3, 0, 2, 4])),
    Row("cov", T(3, 5), name="weights", aweights=np.array([0.5, 3, 0.1, 2, 4], np.float32)),
    Row("cov", T(2, 4), name="both", fweights=np.array([1, 3, 1, 2]),
        aweights=np.array([0.5, 3, 0.1, 2], np.float32)),
    Row("corrcoef", T(3, 7), row_dynamic=True),
]  # fmt: skip
