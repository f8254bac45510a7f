"""Rows of sorting."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((3, 5, 7))
TIES = np.array([[1, 3, 3, 2], [6, 4, 6, 4]], np.float32)

ROWS = [
    *(Row(op, {"k": 3, "axis": 1}, [X], dynamic=True) for op in ("topk", "_npx_topk")),
    *(
        Row("topk", {"k": 2, "ret_typ": kind, "axis": axis, "is_ascend": up}, [X], f"{kind} {axis} {up}",
            outputs=(0, 1) if kind == "both" else (0,))
        for kind in ("value", "indices", "mask", "both") for axis in (1, -1, None) for up in (True, False)
    ),
    Row("topk", {"k": 0, "ret_typ": "both", "dtype": "int32"}, [X], "all", outputs=(0, 1)),
    Row("topk", {"k": 3, "ret_typ": "mask"}, [X], "mask of a batch", dynamic=True),
    Row("topk", {"k": 3, "dtype": "int64"}, [X], "targets", targets=("tflite", "cpp", "coreml")),
    *(Row("topk", {"k": 3, "is_ascend": up}, [In((2, 4))], f"ties {up}", values={"data0": TIES})
      for up in (True, False)),
    *(Row(op, {"axis": 1}, [X], dynamic=True) for op in ("sort", "_npi_sort", "argsort", "_npi_argsort")),
    *(Row(op, {"axis": None, "is_ascend": False}, [X], "flat") for op in ("sort", "argsort")),
    *(Row("argsort", {"is_ascend": up, "dtype": "int64"}, [In((2, 4))], f"ties {up}", values={"data0": TIES})
      for up in (True, False)),
]  # fmt: skip
