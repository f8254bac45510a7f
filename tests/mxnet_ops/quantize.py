"""Rows of quantisation, which is exact."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((4, 7))
LOW, HIGH = np.array([-2.5], np.float32), np.array([1.9], np.float32)
SUMS = (np.random.default_rng(0).uniform(-1, 1, (4, 7)) * 2**31 * 0.6).astype(np.int32)
BYTES = np.arange(-128, 124, 9, dtype=np.int8).reshape(4, 7)


def v2(name: str, **attributes: object) -> Row:
    return Row("_contrib_quantize_v2", attributes, [X], name, outputs=(0, 1, 2))


ROWS = [
    v2("dynamic"),
    v2("calibrated", min_calib_range=-1.3, max_calib_range=1.7),
    v2("unsigned", out_type="uint8", min_calib_range=0.0, max_calib_range=1.7),
    v2("unsigned dynamic", out_type="uint8"),
    v2("auto", out_type="auto", min_calib_range=-1.3, max_calib_range=1.7),
    v2("auto positive", out_type="auto", min_calib_range=0.0, max_calib_range=1.7),
    *(
        Row("_contrib_quantize", {"out_type": kind}, [X, LOW, HIGH], kind, outputs=(0, 1, 2))
        for kind in ("int8", "uint8")
    ),
    Row("_contrib_dequantize", {}, [In((4, 7), "int8"), LOW, HIGH], "int8", values={"data0": BYTES}),
    Row(
        "_contrib_dequantize", {}, [In((4, 7), "uint8"), np.zeros(1, np.float32), HIGH], "uint8",
        values={"data0": BYTES.view(np.uint8)},
    ),
    *(
        Row(
            "_contrib_requantize", {"out_type": kind, "min_calib_range": low, "max_calib_range": 0.9},
            [In((4, 7), "int32"), LOW, HIGH], kind, outputs=(0, 1, 2), values={"data0": SUMS},
        )
        for kind, low in (("int8", -1.1), ("uint8", 0.0))
    ),
]  # fmt: skip
