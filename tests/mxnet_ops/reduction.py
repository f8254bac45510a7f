"""Rows of sums, means and extremes."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 4, 5))
WHOLE = In((3, 7), "int32", -9, 9)
NAN = np.array([[1.5, np.nan, -2.0], [np.nan, 0.5, 3.0]], np.float32)
TIES = np.array([[1, 3, 3], [6, 4, 6]], np.float32)
OPS = ["sum", "sum_axis", "_sparse_sum", "mean", "_sparse_mean", "prod", "nansum", "nanprod", "max", "max_axis", "min",
       "min_axis"]  # fmt: skip

ROWS = [
    *(Row(op, {"axis": (1, -1)}, [X], dynamic=True) for op in OPS),
    *(Row(op, {"axis": 2, "keepdims": True}, [X], "kept", targets=ALL) for op in OPS if op[0] != "_"),
    *(Row(op, {"axis": (0, 2), "exclude": True}, [X], "excluded") for op in OPS),
    *(Row(op, {}, [X], "all", dynamic=True) for op in OPS),
    *(Row(op, {"keepdims": True, "axis": ()}, [X], "all kept") for op in OPS),
    *(Row(op, {"axis": (0, 1)}, [In((3, 4))], "every axis") for op in OPS),
    *(Row(op, {"axis": 1}, [WHOLE], "whole") for op in ("sum", "mean", "max", "min")),
    *(Row(op, {"axis": 1}, [In((3, 7), "int8", -60, 60)], "bytes") for op in ("sum", "max")),
    *(Row(op, {"axis": 1}, [In((2, 3))], "nan", values={"data0": NAN}) for op in ("nansum", "nanprod", "sum")),
    *(Row("norm", {"ord": ord, "axis": axis}, [X], f"{ord} {axis}") for ord in (1, 2) for axis in (2, (1, 3), -1)),
    *(Row("norm", {"ord": ord}, [X], f"{ord} all", dynamic=True) for ord in (1, 2)),
    Row("_sparse_norm", {"axis": 1, "keepdims": True}, [X]),
    *(Row("moments", {"axes": (0, 2), "keepdims": keep}, [X], f"{keep}", outputs=(0, 1)) for keep in (True, False)),
    *(Row(op, {"axis": axis, "keepdims": keep}, [X], f"{axis} {keep}") for op in ("argmax", "argmin")
      for axis in (1, -1) for keep in (True, False)),
    *(Row(op, {"keepdims": keep}, [X], f"flat {keep}") for op in ("argmax", "argmin") for keep in (True, False)),
    *(Row(op, {"axis": 1}, [WHOLE], "whole") for op in ("argmax", "argmin")),
    Row("argmax", {"axis": 1}, [In((2, 3))], "ties", values={"data0": TIES}),
    Row("argmax", {"axis": 1}, [X], "targets", dynamic=True, targets=ALL),
    Row("argmax_channel", {}, [In((3, 7))], dynamic=True),
    Row("argmax_channel", {}, [In((3, 7, 4))], "rank 3"),
    *(Row(op, {"axis": 2}, [X], dynamic=True) for op in ("cumsum", "_np_cumsum")),
    Row("cumsum", {}, [X], "flat"),
    Row("cumsum", {"axis": 2, "dtype": "float64"}, [X], "double"),
]  # fmt: skip
