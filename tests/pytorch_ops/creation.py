"""Rows of netglot/frontends/pytorch/operators/creation.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.pytorch_ops.table import Row, T

_WINDOWS = ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")
_LIKE = ("zeros_like", "ones_like")

ROWS = [
    *(Row(op, [2, 3]) for op in ("zeros", "ones")),
    *(Row(op, [2, 0], dtype=np.int64, name="empty, int") for op in ("zeros", "ones")),
    *(Row(op, [], dtype=np.bool_, name="scalar, bool") for op in ("zeros", "ones")),
    Row("zeros", [50, 700], name="large"),
    Row("full", [2, 3], 2.5),
    Row("full", [2, 3], 2, name="int"),
    Row("full", [2, 3], True, name="bool"),
    Row("full", [2, 3], 2.7, dtype=np.int32, name="cast"),
    Row("full", [], -np.inf, dtype=np.float16, name="half"),
    Row("scalar_tensor", 2),
    Row("scalar_tensor", 2.5, dtype=np.float64, name="double"),
    Row("scalar_tensor", True, dtype=np.bool_, name="bool"),
    *(Row(op, T(2, 3), row_dynamic=True) for op in _LIKE),
    *(Row(op, T(2, 3, dtype="int16"), name="int16", row_dynamic=True) for op in _LIKE),
    *(Row(op, T(2), name="bfloat16", row_values=[np.ones(2, ml_dtypes.bfloat16)], row_dynamic=True) for op in _LIKE),
    *(Row(op, T(2, 3), dtype=np.int64, name="int", row_dynamic=True) for op in _LIKE),
    *(Row(op, T(), dtype=np.bool_, name="scalar") for op in _LIKE),
    Row("full_like", T(2, 3), 7, row_dynamic=True),
    Row("full_like", T(2, 3, dtype="int64"), 7.9, name="cast", row_dynamic=True),
    Row("full_like", T(2, 3), 7, dtype=np.float64, name="double"),
    Row("fill.Scalar", T(2, 3, dtype="int32"), 7.9, row_dynamic=True),
    Row("fill.Tensor", T(2, 3), T(dtype="int64"), row_dynamic=True),
    Row("zero", T(2, 3, dtype="bool"), row_dynamic=True),
    *(Row(op, T(2, 3, dtype="int32"), [4, 5]) for op in ("new_zeros", "new_ones")),
    *(Row(op, T(2, 3, dtype="int32"), [4, 5], dtype=np.float64, name="double") for op in ("new_zeros", "new_ones")),
    Row("new_full", T(2, 3, dtype="int32"), [4, 5], 7.5),
    Row("new_full", T(2, 3, dtype="int32"), [], 7.5, dtype=np.float32, name="float"),
    # What torch leaves uninitialised says only its type and shape; without elements that can be compared.
    Row("empty.memory_format", [0, 3]),
    Row("empty_strided", [0, 3], [3, 1], dtype=np.int64),
    Row("empty_permuted", [0, 3], [1, 0]),
    Row("empty_like", T(0, 3)),
    Row("new_empty", T(2, 3, dtype="int64"), [0, 3]),
    Row("new_empty_strided", T(2, 3), [0, 3], [3, 1], dtype=np.int64),
    # ------------------------------------------------------------------ ranges
    Row("arange", 5),
    Row("arange", 4.5, name="float"),
    Row("arange", 5, dtype=np.float32, name="cast"),
    Row("arange.start", 2, 9),
    Row("arange.start", -1.5, 3, name="float"),
    Row("arange.start", 5, 5, name="empty"),
    Row("arange.start_step", 1, 12, 3),
    Row("arange.start_step", 9, -3, -2, name="down"),
    Row("arange.start_step", 0, 1, 0.1, name="float"),
    Row("arange.start_step", 0, 7, 2, dtype=np.float64, name="double"),
    *(Row("linspace", -1, 2.5, steps, name=str(steps)) for steps in (0, 1, 2, 7, 100)),
    Row("linspace", 0, 10, 4, dtype=np.int64, name="int"),
    Row("linspace", -5, 10, 7, dtype=np.float64, name="double"),
    Row("linspace.Tensor_Tensor", T(), T(), 7),
    Row("linspace.Tensor_Scalar", T(), 3, 7),
    Row("linspace.Scalar_Tensor", 2, T(), 7),
    *(Row("logspace", -1, 2.5, steps, name=str(steps)) for steps in (0, 1, 7)),
    Row("logspace", 0, 5, 6, 2.0, name="base"),
    Row("logspace", -1, 1, 5, dtype=np.float64, name="double"),
    Row("logspace.Tensor_Tensor", T(), T(), 7),
    Row("logspace.Tensor_Scalar", T(), 3, 7, 2.5),
    Row("logspace.Scalar_Tensor", 2, T(), 7),
    # ---------------------------------------------------------------- matrices
    Row("eye", 4),
    Row("eye", 3, dtype=np.int64, name="int"),
    Row("eye.m", 3, 5, dtype=np.bool_),
    Row("eye.m", 5, 0),
    *(Row(op, 4, 6) for op in ("tril_indices", "triu_indices")),
    *(Row(op, 4, 6, offset, name=str(offset)) for op in ("tril_indices", "triu_indices") for offset in (-2, 3)),
    *(Row(op, 3, 3, dtype=np.int32, name="int32") for op in ("tril_indices", "triu_indices")),
    # ----------------------------------------------------------------- windows
    *(Row(op, length, name=str(length)) for op in _WINDOWS for length in (0, 1, 2, 9)),
    *(Row(f"{op}.periodic", 9, periodic, name=str(periodic)) for op in _WINDOWS for periodic in (True, False)),
    *(Row(f"{op}.periodic", 8, False, dtype=np.float64, name="double") for op in _WINDOWS),
    Row("hamming_window.periodic_alpha", 9, True, 0.6),
    Row("hamming_window.periodic_alpha_beta", 9, False, 0.6, 0.3),
    Row("kaiser_window.beta", 9, False, 7.0),
]  # fmt: skip
