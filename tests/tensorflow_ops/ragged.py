"""Rows: ragged tensors."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.table import Row

SPLITS = np.array([0, 2, 2, 5, 6])
FED = {"row_partition_tensors_0": SPLITS, "rt_nested_splits_0": SPLITS}
VALUES = In((6,))


def to_tensor(name: str, shape: np.ndarray, values: In = VALUES, splits: object = SPLITS, dynamic: bool = False) -> Row:
    arguments = {
        "shape": shape, "values": values, "default_value": scalar(-7, values.dtype), "row_partition_tensors": [splits],
        "row_partition_types": ["ROW_SPLITS"],
    }  # fmt: skip
    return Row("RaggedTensorToTensor", arguments, name, values=FED, dynamic=dynamic)


ROWS = [
    Row("RaggedRange", {"starts": ints(2, 5, 7), "limits": In((3,), "int32"), "deltas": scalar(2)},
        values={"limits": ints(7, 5, 8)}),
    Row("RaggedRange", {"starts": In((3,), "int64"), "limits": In((3,), "int64"), "deltas": In((3,), "int64"),
                        "Tsplits": np.dtype(np.int32)}, "fed", dynamic=True,
        values={"starts": np.array([2, 9, 5]), "limits": np.array([7, 0, 1]), "deltas": np.array([3, -4, 1])}),
    Row("RaggedTensorToSparse", {"rt_nested_splits": [SPLITS], "rt_dense_values": VALUES}),
    Row("RaggedTensorToSparse", {"rt_nested_splits": [In((5,), "int64")], "rt_dense_values": In((6,), "int32", 0, 9)},
        "fed", values=FED, dynamic=True),
    to_tensor("longest", np.array([-1, -1])),
    to_tensor("unknown_rank", scalar(-1, "int64"), In((6,), "int32", 0, 9), In((5,), "int64"), dynamic=True),
    to_tensor("cut", np.array([-1, 2])),
    to_tensor("fixed", np.array([3, 5]), splits=In((5,), "int64")),
    to_tensor("vectors", np.array([-1, -1, 3]), In((6, 3), "float64")),
]  # fmt: skip
