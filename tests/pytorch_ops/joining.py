"""Rows of netglot/frontends/pytorch/operators/joining.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")

ROWS = [
    Row("cat", [T(2, 3), T(2, 1), T(2, 4)], -1, row_dynamic=True, row_targets=ALL),
    Row("cat", [T(2, 3, dtype="int32"), T(1, 3), T(1, 3, dtype="bool")], name="mixed types"),
    Row("cat", [T(2, 3, dtype="float16"), T(1, 3, dtype="int64")], name="half and whole"),
    Row("cat", [np.zeros(0, np.float32), T(2, 3), T(1, 3)], name="the old empty tensor", row_dynamic=True),
    Row("cat", [np.zeros(0, np.float64), T(2, 3)], 1, name="its type counts"),
    Row("cat", [T(0), T(0)], name="of nothing"),
    Row("cat", [T(3), T(0), T(2)], name="an empty one", row_dynamic=True),
    Row("cat", [T(3)], name="of one"),
    Row("cat", [T(2, dtype="bool"), T(1, dtype="bool")], name="bool"),
    Row("concat", [T(2, 3), T(1, 3)]),
    Row("concatenate", [T(2, 3), T(2, 2)], 1),
    Row("stack", [T(2, 3), T(2, 3)], -1, row_dynamic=True, row_targets=ALL),
    Row("stack", [T(), T(), T()], name="scalars"),
    Row("stack", [T(2), T(2, dtype="int64")], 1, name="mixed types"),
    Row("_stack", [T(2, 3), T(2, 3)], 1),
    Row("hstack", [T(2, 3), T(2, 1)], row_dynamic=True),
    Row("hstack", [T(2), T(), T(3)], name="vectors"),
    Row("vstack", [T(3), T(2, 3)], row_dynamic=True),
    Row("row_stack", [T(3), T(3)]),
    Row("dstack", [T(2, 3), T(2, 3, 2)], row_dynamic=True),
    Row("dstack", [T(3), T(3)], name="vectors"),
    Row("column_stack", [T(3), T(3, 2), T(3)], row_dynamic=True),
    Row("column_stack", [T(), T()], name="scalars"),
    Row("split.Tensor", T(2, 7), 3, -1, row_dynamic=True, row_targets=ALL),
    Row("split.Tensor", T(4, 2), 9, name="one piece", row_dynamic=True),
    Row("split.Tensor", T(6, 2), 2, name="even", row_dynamic=True),
    Row("split.Tensor", T(0, 2), 2, name="empty"),
    Row("split_copy.Tensor", T(5), 2),
    Row("unsafe_split.Tensor", T(5), 2),
    Row("split.sizes", T(2, 7), [3, 0, 4], 1, row_dynamic=True),
    Row("split_with_sizes", T(2, 7), [3, 4], -1, row_dynamic=True, row_targets=ALL),
    Row("split_with_sizes_copy", T(7), [3, 4]),
    Row("unsafe_split_with_sizes", T(7), [5, 2]),
    Row("chunk", T(2, 7), 3, 1, row_dynamic=True, row_targets=ALL),
    Row("chunk", T(5), 4, name="fewer than asked for", row_dynamic=True),
    Row("chunk", T(0, 2), 3, name="empty"),
    Row("unsafe_chunk", T(6), 2),
    Row("tensor_split.sections", T(2, 7), 3, 1, row_dynamic=True),
    Row("tensor_split.sections", T(2), 3, name="more than elements", row_dynamic=True),
    Row("tensor_split.indices", T(2, 7), [2, 5], 1, row_dynamic=True),
    Row("tensor_split.indices", T(7), [-2, 9], name="from the end", row_dynamic=True),
    Row("tensor_split.indices", T(7), [4, 2], name="backwards", row_dynamic=True),
    Row("tensor_split.tensor_indices_or_sections", T(7), np.array([2, 3])),
    Row("tensor_split.tensor_indices_or_sections", T(7), np.array(3), name="sections"),
    Row("hsplit.int", T(2, 6), 3),
    Row("hsplit.int", T(6), 3, name="vector"),
    Row("hsplit.array", T(2, 6), [1, 4], row_dynamic=True),
    Row("vsplit.int", T(4, 3), 2),
    Row("vsplit.array", T(4, 3), [1]),
    Row("dsplit.int", T(2, 3, 4), 2),
    Row("dsplit.array", T(2, 3, 4), [3]),
]
