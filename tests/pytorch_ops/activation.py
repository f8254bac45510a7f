"""Rows of netglot/frontends/pytorch/operators/activation.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")
EDGES = np.array([0.0, -0.0, 3.0, -3.0, 25.0, -25.0, 1e4, -1e4, np.nan], np.float32)
HALVES = (np.float16, ml_dtypes.bfloat16)

_FUNCTIONS = (
    "relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "elu", "celu", "selu", "gelu", "silu",
    "mish",
    "softplus", "softshrink", "hardshrink", "log_sigmoid",
)  # fmt: skip
_SOFTMAX = ("softmax.int", "log_softmax.int", "special_softmax", "special_log_softmax")

ROWS = [
    *(Row(name, T(2, 3, 5, low=-7, high=7), row_dynamic=True, row_targets=ALL) for name in _FUNCTIONS),
    *(Row(name, T(len(EDGES)), name="edges", row_values=[EDGES]) for name in _FUNCTIONS),
    *(Row(name, T(2, 3, dtype="float64"), name="double") for name in _FUNCTIONS),
    *(Row(name, T(6), name=np.dtype(half).name, row_values=[np.array([-4, -1, -0.25, 0, 0.75, 5], half)], row_rtol=2e-3)
      for name in _FUNCTIONS for half in HALVES),
    *(Row(name, T(), name="scalar") for name in _FUNCTIONS),
    *(Row(name, T(0, 3), name="empty") for name in ("relu", "gelu", "softplus")),
    *(Row("relu", T(2, 3, dtype=dtype), name=dtype) for dtype in ("int8", "int16", "int32", "int64", "uint8")),
    Row("hardtanh", T(2, 3), -0.5, 1.5, name="limits"),
    Row("hardtanh", T(2, 3, dtype="int64"), -1, 1, name="int"),
    Row("leaky_relu", T(2, 3), 0.3, name="slope"),
    Row("elu", T(2, 3), 0.7, name="alpha"),
    Row("elu", T(2, 3, 5), 0.7, 1.3, 0.4, name="scales", row_dynamic=True),
    Row("celu", T(2, 3), 0.3, name="alpha"),
    Row("gelu", T(2, 3, 5), approximate="tanh", name="tanh", row_dynamic=True, row_targets=ALL),
    Row("softplus", T(2, 3, low=-9, high=9), 2.5, 3, name="beta, threshold", row_dynamic=True),
    Row("softplus", T(2, 3), 0.5, name="beta"),
    Row("softshrink", T(2, 3), 0.25, name="lambda"),
    Row("softshrink", T(5), 1.0, name="ends", row_values=[np.float32([-1, 1, 1.5, -1.5, 0])]),
    Row("hardshrink", T(2, 3), 0.25, name="lambda"),
    Row("hardshrink", T(5), 1.0, name="ends", row_values=[np.float32([-1, 1, 1.5, -1.5, 0])]),
    Row("threshold", T(2, 3, 5), 0.5, -3, row_dynamic=True),
    Row("threshold", T(5), 1.0, 7, name="ends", row_values=[np.float32([-1, 1, 1.5, np.nan, 0])]),
    Row("threshold", T(2, 3, dtype="int64"), 0, 7, name="int"),
    Row("prelu", T(2, 3, 4, 5), np.float32([0.1, -0.2, 0.3]), row_dynamic=True, row_targets=ALL),
    Row("prelu", T(2, 3), np.float32([0.1, -0.2, 0.3]), name="rank 2"),
    Row("prelu", T(4), np.float32([0.25]), name="rank 1"),
    Row("prelu", T(), np.float32([0.25]), name="scalar"),
    Row("prelu", T(2, 3, 4), np.float32([0.25]), name="one slope", row_targets=ALL),
    Row("prelu", T(2, 3, 4), T(3), name="computed slope"),
    Row("_prelu_kernel", T(2, 3, 4), np.float32([[[0.1], [-0.2], [0.3]]])),
    Row("rrelu", T(2, 3), row_dynamic=True),
    Row("rrelu", T(2, 3), 0.2, 0.6, name="limits"),
    Row("rrelu_with_noise_functional", T(2, 3), T(2, 3), 0.2, 0.6),
    Row("glu", T(2, 6, 5), 1, row_dynamic=True, row_targets=ALL),
    Row("glu", T(2, 3, 4), name="last"),
    Row("log_sigmoid_forward", T(2, 3, 5, low=-9, high=9), row_outputs=[0], row_dynamic=True),
    *(Row(name, T(2, 3, 5), 1, row_dynamic=True, row_targets=ALL if name == "softmax.int" else ())
      for name in _SOFTMAX),
    *(Row(name, T(2, 3, 5), -3, name="from the back") for name in _SOFTMAX),
    *(Row(name, T(), 0, name="scalar") for name in _SOFTMAX),
    *(Row(name, T(2, 3, dtype="int64"), 1, dtype=np.float32, name="int") for name in _SOFTMAX),
    *(Row(name, T(2, 3), 1, dtype=np.float64, name="double") for name in _SOFTMAX),
    *(Row(name, T(2, 3, 5), 2, False, row_dynamic=True) for name in ("_softmax", "_log_softmax")),
    *(Row(name, T(), -1, False, name="scalar") for name in ("_softmax", "_log_softmax")),
]  # fmt: skip
