"""Operators of detection networks."""

import numpy as np

from tests.ops.table import In, Row

ROWS = [
    Row(
        "BoxNms",
        (In((20, 4), low=0, high=1), In((20,), low=0, high=1)),
        {"max_boxes": 8, "iou_threshold": 0.3},
        domain="netglot",
    ),
    Row(
        "MaxRoiPool",
        (In((1, 3, 9, 11)), np.array([[0, 0, 0, 5, 6], [0, 2, 3, 8, 8]], np.float32)),
        {"pooled_shape": (2, 3)},
    ),
]
