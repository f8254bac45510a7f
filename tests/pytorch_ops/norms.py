"""Rows of netglot/frontends/pytorch/operators/norms.py."""

from __future__ import annotations

import math

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")

ROWS = [
    Row("norm.Scalar", T(2, 3), 3, row_dynamic=True),
    Row("norm.Scalar", T(2, 3), name="two"),
    Row("norm.ScalarOpt_dim", T(2, 3, 5), 2, [1], True, row_dynamic=True, row_targets=ALL),
    Row("norm.ScalarOpt_dim", T(2, 3, 5), None, [0, 2], name="none"),
    Row("norm.ScalarOpt_dim", T(2, 3, 5), 1, [-1], name="one"),
    Row("norm.ScalarOpt_dim", T(2, 3, 5), math.inf, [-1], name="inf"),
    Row("norm.ScalarOpt_dim", T(2, 3, 5), 0.5, [-1], name="half"),
    Row("norm.ScalarOpt_dim_dtype", T(2, 3), 2, [1], False, dtype=np.float64),
    Row("norm.ScalarOpt_dtype", T(2, 3), 1, dtype=np.float64),
    Row("frobenius_norm.dim", T(2, 3, 5), [-2, -1], row_dynamic=True),
    Row("linalg_vector_norm", T(2, 3, 5), 2, [-1], True, row_dynamic=True, row_targets=ALL),
    Row("linalg_vector_norm", T(2, 3, 5), name="all"),
    Row("linalg_vector_norm", T(3, 4), 0, [1], name="zero"),
    Row("linalg_vector_norm", T(2, 3), -math.inf, [0], name="minus_inf"),
    Row("linalg_vector_norm", T(2, 3), math.inf, [0, 1], name="inf"),
    Row("linalg_vector_norm", T(2, 3), 1, dtype=np.float64, name="dtype"),
    Row("linalg_vector_norm", T(2, 3, low=0.5), -1.5, [1], name="negative"),
    Row("linalg_vector_norm", T(2, 300, dtype="float16"), 2, [1], name="half_precision", row_rtol=1e-3),
    Row("linalg_norm", T(2, 3, 5), row_dynamic=True),
    Row("linalg_norm", T(2, 3, 5), 1, [0, -1], name="one"),
    Row("linalg_norm", T(2, 3, 5), 3, [1], True, name="vector"),
    Row("linalg_norm.ord_str", T(3, 5), "fro"),
    Row("linalg_matrix_norm", T(2, 3, 5), 1, row_dynamic=True),
    Row("linalg_matrix_norm", T(2, 3, 5), math.inf, [2, 0], True, name="inf"),
    Row("linalg_matrix_norm", T(2, 3, 5), -1, [0, 1], name="smallest"),
    Row("linalg_matrix_norm.str_ord", T(2, 3, 5)),
]  # fmt: skip
