"""Rows of fake quantisation."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.table import Row

X = In((2, 5, 7, 3))

ROWS = [
    Row("QuantizeAndDequantizeV2", {"input": X, "input_min": np.float32(0), "input_max": np.float32(0)}),
    *(
        Row(
            "QuantizeAndDequantizeV2",
            {"input": X, "input_min": np.float32(-1), "input_max": np.float32(1.7), "range_given": True, **more},
            name,
        )
        for name, more in (
            ("given", {}),
            ("unsigned", {"signed_input": False}),
            ("narrow", {"narrow_range": True}),
            ("four", {"num_bits": 4, "round_mode": "HALF_UP"}),
        )
    ),
    Row(
        "QuantizeAndDequantizeV2",
        {"input": X, "input_min": np.zeros(3, np.float32), "input_max": np.zeros(3, np.float32), "axis": 3},
        "axis",
    ),
    Row(
        "QuantizeAndDequantizeV3",
        {"input": X, "input_min": np.float32(-1), "input_max": np.float32(1.2), "num_bits": np.int32(7)},
    ),
    Row(
        "QuantizeAndDequantizeV4",
        {"input": X, "input_min": np.float32(-1.5), "input_max": np.float32(1.2), "range_given": True},
    ),
    *(
        Row("FakeQuantWithMinMaxArgs", {"inputs": In((3, 50), low=-8, high=8), "min": low, "max": high, **more}, name)
        for name, low, high, more in (
            ("symmetric", -6.0, 6.0, {}),
            ("narrow", -3.1, 5.3, {"narrow_range": True}),
            ("positive", 0.0, 5.0, {"num_bits": 4}),
            ("beyond", 1.0, 5.0, {}),
            ("long", -2.0, 7.0, {"num_bits": 16}),
        )
    ),
    Row(
        "FakeQuantWithMinMaxVars",
        {"inputs": In((3, 50), low=-8, high=8), "min": np.float32(-5.1), "max": np.float32(3.3)},
    ),
    Row("FakeQuantWithMinMaxVars", {"inputs": In((3, 50)), "min": np.float32(0), "max": np.float32(0)}, "nothing"),
    *(
        Row(
            "FakeQuantWithMinMaxVarsPerChannel",
            {
                "inputs": In((3, 40, 3), low=-8, high=8),
                "min": np.array([-1, -5, 0], np.float32),
                "max": np.array([2.2, 1, 7], np.float32),
                **more,
            },
            name,
        )
        for name, more in (("plain", {}), ("narrow", {"narrow_range": True}))
    ),
]
