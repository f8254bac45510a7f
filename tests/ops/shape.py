"""Operators that move elements."""

import numpy as np

from tests.ops.table import IMAGE, In, Row, const, ints

ROWS = [
    Row("Concat", (IMAGE, In((2, 3, 7, 9))), {"axis": 1}),
    Row("Concat", (IMAGE, IMAGE), {"axis": -1}, name="last"),
    Row("Concat", (IMAGE, const((2, 3, 7, 9))), {"axis": 1}, name="constant"),
    Row("Split", (IMAGE, ints(2, 1, 3)), {"axis": 1}, outputs=3),
    Row("Split", (IMAGE,), {"axis": 1, "num_outputs": 2}, name="even", outputs=2),
    Row("Slice", (IMAGE, ints(1), ints(5), ints(1))),
    Row("Slice", (IMAGE, ints(1, -6), ints(2**31, -1), ints(2, 3), ints(2, 2)), name="steps"),
    Row("Slice", (IMAGE, ints(-1), ints(-10), ints(2), ints(-1)), name="backwards"),
    Row("Reshape", (IMAGE, ints(0, 3, -1))),
    Row("Reshape", (IMAGE, ints(2, -1)), name="flat"),
    Row("Flatten", (IMAGE,), {"axis": 1}),
    Row("Flatten", (IMAGE,), {"axis": 2}, name="axis"),
    Row("Squeeze", (In((2, 1, 5, 1)), ints(1, 3))),
    Row("Unsqueeze", (In((2, 5)), ints(0, 3))),
    Row("Transpose", (IMAGE,), {"perm": (0, 2, 3, 1)}),
    Row("Transpose", (IMAGE,), {"perm": (3, 0, 2, 1)}, name="any"),
    Row("Pad", (IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0))),
    Row("Pad", (IMAGE, ints(0, 1, 0, 0, 0, 2, 0, 0), const((), 1.5, 1.5)), name="value"),
    Row("Pad", (IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)), {"mode": "reflect"}, name="reflect"),
    Row("Pad", (IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)), {"mode": "edge"}, name="edge"),
    Row("Tile", (IMAGE, ints(1, 2, 1, 3))),
    Row("Expand", (In((2, 6, 1, 1)), ints(2, 6, 3, 4))),
    Row("Gather", (IMAGE, np.array([2, 0, 2], np.int64)), {"axis": 1}),
    Row("Gather", (const((10, 4)), In((3, 5), "int64", 0, 9)), name="embedding"),
    Row("Gather", (IMAGE, np.array(1, np.int64)), {"axis": 2}, name="scalar"),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 14, 18)),
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        name="nearest",
    ),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 13, 5)),
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        name="align-corners",
    ),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 14, 18)),
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        name="half-pixel",
    ),
    Row(
        "Resize",
        (IMAGE, None, None, ints(2, 6, 14, 18)),
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        name="asymmetric",
    ),
    Row(
        "Resize",
        (IMAGE, np.array([1, 1, 2, 3], np.float32)[:0], np.array([1, 1, 2, 3], np.float32)),
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        name="scales",
    ),
]
