"""Rows of random numbers, of which only the distribution can be compared (tests/test_mxnet_control.py)."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

SHAPE = {"shape": (40, 50)}
VECTORS = [In((3,), low=0.5), In((3,), low=0.5)]
DRAWN = [
    *(Row(op, {**SHAPE, "low": 2.0, "high": 5.0}, []) for op in ("_random_uniform", "random_uniform", "uniform")),
    *(Row(op, {**SHAPE, "loc": 2.0, "scale": 0.5}, []) for op in ("_random_normal", "random_normal", "normal")),
    *(Row(op, {**SHAPE, "lam": 2.0}, []) for op in ("_random_exponential", "random_exponential")),
    *(Row(op, {**SHAPE, "low": 3, "high": 9}, [])
      for op in ("_random_randint", "random_randint", "_npi_random_randint")),
    Row("_random_uniform_like", {"low": 2.0, "high": 5.0}, [In((40, 50))]),
    Row("_random_normal_like", {"loc": 2.0, "scale": 0.5}, [In((40, 50))]),
    *(Row(op, {"shape": (30, 40)}, VECTORS, values={"data0": np.float32([1, 2, 3]), "data1": np.float32([4, 3, 5])})
      for op in ("_sample_uniform", "sample_uniform", "_sample_normal", "sample_normal")),
    *(Row(op, {"shape": (700,)}, [In((2, 3))], values={"data0": np.float32([[0.2, 0.5, 0.3], [0.9, 0, 0.1]])})
      for op in ("_sample_multinomial", "sample_multinomial")),
    *(Row(op, {}, [In((400,))]) for op in ("_shuffle", "shuffle", "_npi_shuffle")),
]  # fmt: skip
