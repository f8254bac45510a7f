"""Operators of detection networks."""

import numpy as np

from tests.ops.table import In, Row, const, ints

BOXES, SCORES = In((1, 20, 4), low=0, high=1), In((1, 1, 20), low=0, high=1)
ONE = (BOXES, SCORES)


def number(value: float) -> np.ndarray:
    return np.array([value], np.float32)


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
    *(
        Row("NonMaxSuppression", (*boxes, *limits), {"center_point_box": centred}, name=name)
        for name, boxes, limits, centred in [
            ("one", ONE, (ints(2**40), number(0.3)), 0),
            ("centred", ONE, (ints(2**40), number(0.3), number(0.2)), 1),
            ("ties", (BOXES, const((1, 1, 20), 0, 4).round() / 4), (ints(12), number(0.3), number(0.25)), 0),
            ("corners", (In((1, 20, 4), low=-1, high=1), SCORES), (ints(12), number(0.1)), 0),
            ("bare", ONE, (ints(9),), 0),
            ("best", ONE, (ints(1), number(0.3)), 0),
            ("nothing", ONE, (ints(1), number(0.3), number(2)), 0),
            ("classes", (In((2, 20, 4), low=0, high=1), In((2, 3, 20))), (ints(4), number(0.3), number(0.5)), 0),
        ]
    ),
]
