"""Rows of netglot/frontends/pytorch/operators/cumulative.py."""

from __future__ import annotations

import math

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")
TIES = np.array([[3, 1, 3, 7, 2], [2, 2, -math.inf, 5, 0]], np.float32)
LOW = np.array([[-math.inf, -math.inf, 1], [800, 1, -800]], np.float32)

ROWS = [
    Row("cumsum", T(2, 3, 5), 1, row_dynamic=True, row_targets=ALL),
    Row("cumsum", T(2, 3, dtype="int32"), -1, name="ints"),
    Row("cumsum", T(2, 3, dtype="bool"), 0, name="bools"),
    Row("cumsum", T(), 0, name="scalar"),
    Row("cumsum", T(2, 9, dtype="int16"), 1, dtype=np.float32, name="dtype"),
    Row("cumsum", T(2, 9, dtype="float64"), 1, name="double"),
    Row("cumprod", T(2, 3, 5), -1, row_dynamic=True, row_targets=("cpp",)),
    Row("cumprod", T(2, 3, dtype="int32"), 0, name="ints"),
    Row("cumprod", T(2, 3, dtype="int32"), 0, dtype=np.float64, name="dtype"),
    Row("cummax", T(2, 5, 3), 1, row_targets=("tflite", "cpp")),
    Row("cummax", T(2, 5), -1, row_values=[TIES], name="ties"),
    Row("cummax", T(4, 3, dtype="int64"), 0, name="ints"),
    Row("cummax", T(4, dtype="int32"), 0, row_values=[np.full(4, np.iinfo(np.int32).min, np.int32)], name="least"),
    Row("cummin", T(2, 5, 3), 0),
    Row("cummin", T(2, 5), 1, row_values=[-TIES], name="ties"),
    Row("cummin", T(2, 5, dtype="uint8"), 1, name="bytes"),
    Row("logcumsumexp", T(2, 5, 3), 1),
    Row("logcumsumexp", T(2, 3), 1, row_values=[LOW], name="wide"),
    Row("_logcumsumexp", T(2, 5), -1),
    Row("diff", T(2, 5, 3), 1, 1, row_dynamic=True, row_targets=ALL),
    Row("diff", T(2, 5), 2, -1, T(2, 1), T(2, 2), row_dynamic=True, name="both"),
    Row("diff", T(2, 5, dtype="bool"), name="bools"),
    Row("diff", T(3, dtype="int64"), 5, name="none_left"),
    Row("diff", T(4, dtype="uint8"), name="bytes"),
    Row("trapezoid.dx", T(2, 5, 3), dx=0.5, dim=1, row_dynamic=True),
    Row("trapezoid.dx", T(2, 5, dtype="int64"), name="ints"),
    Row("trapezoid.x", T(2, 5, 3), np.array([0, 0.5, 2, 3, 7], np.float32), dim=1, row_dynamic=True),
    Row("trapezoid.x", T(2, 5), T(2, 5), name="each"),
    Row("trapz.dx", T(2, 5), dx=2.0),
    Row("trapz.x", T(2, 5), T(5), row_dynamic=True),
    Row("cumulative_trapezoid.dx", T(2, 5, 3), dx=0.5, dim=-2, row_dynamic=True),
    Row("cumulative_trapezoid.x", T(2, 5), T(5), row_dynamic=True),
]  # fmt: skip
