"""Rows: sparse tensors."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.table import Row

INDICES = np.array([[0, 1], [0, 4], [2, 0], [3, 3]])
SHAPE = np.array([5, 6])
VALUES = In((4,))
FED = {"indices": INDICES, "a_indices": INDICES, "sp_indices": INDICES, "input_indices": INDICES}
FED |= {"shape": SHAPE, "a_shape": SHAPE, "sp_shape": SHAPE, "input_shape": SHAPE, "dense_shape": SHAPE}
UNORDERED = np.array([[3, 3], [0, 4], [2, 0], [0, 1], [2, 5]])


def rows(op: str, prefix: str, rest: dict, **more: object) -> list[Row]:
    """The sparse tensor constant, and fed."""
    known = {f"{prefix}indices": INDICES, f"{prefix}values": VALUES, f"{prefix}shape": SHAPE}
    fed = {f"{prefix}indices": In((4, 2), "int64"), f"{prefix}values": VALUES, f"{prefix}shape": In((2,), "int64")}
    return [Row(op, known | rest, **more), Row(op, fed | rest, "fed", values=FED, **more)]


ROWS = [
    Row("SparseToDense", {"sparse_indices": INDICES, "output_shape": SHAPE, "sparse_values": VALUES,
                          "default_value": scalar(0, "float32")}),
    Row("SparseToDense", {"sparse_indices": In((4, 2), "int64"), "output_shape": In((2,), "int64"),
                          "sparse_values": In((4,), "int32", 0, 9), "default_value": scalar(-1)}, "fed",
        values={"sparse_indices": INDICES, "output_shape": SHAPE}),
    Row("SparseToDense", {"sparse_indices": ints(1, 3), "output_shape": ints(5),
                          "sparse_values": scalar(2.5, "float32"),
                          "default_value": In(())}, "vector"),
    Row("SparseToDense", {"sparse_indices": In((), "int32", 0, 4), "output_shape": ints(5), "sparse_values": In(()),
                          "default_value": scalar(9, "float32")}, "one"),
    *rows("SparseTensorDenseMatMul", "a_", {"b": In((6, 3))}),
    Row("SparseTensorDenseMatMul", {"a_indices": INDICES, "a_values": VALUES, "a_shape": SHAPE, "b": In((3, 5)),
                                    "adjoint_a": True, "adjoint_b": True}, "adjoint"),
    *rows("SparseTensorDenseAdd", "a_", {"b": In((5, 6))}),
    *rows("SparseDenseCwiseAdd", "sp_", {"dense": In((6,))}),
    *rows("SparseDenseCwiseMul", "sp_", {"dense": In((5, 1))}),
    *rows("SparseDenseCwiseDiv", "sp_", {"dense": In((5, 6), low=1, high=3)}),
    *rows("SparseReduceSum", "input_", {"reduction_axes": ints(1), "keep_dims": True}),
    Row("SparseReduceSum", {"input_indices": INDICES, "input_values": VALUES, "input_shape": SHAPE,
                            "reduction_axes": ints(-2)}, "negative"),
    Row("SparseReduceSum", {"input_indices": INDICES, "input_values": VALUES, "input_shape": SHAPE,
                            "reduction_axes": np.zeros(0, np.int32)}, "none"),
    Row("SparseReshape", {"input_indices": INDICES, "input_shape": SHAPE, "new_shape": np.array([3, -1, 2])}),
    Row("SparseReshape", {"input_indices": In((4, 2), "int64"), "input_shape": In((2,), "int64"),
                          "new_shape": np.array([2, 15])}, "fed", values=FED),
    Row("SparseReorder", {"input_indices": UNORDERED, "input_values": In((5,)), "input_shape": SHAPE}),
    Row("SparseReorder", {"input_indices": In((5, 2), "int64"), "input_values": In((5,), "int32", 0, 9),
                          "input_shape": In((2,), "int64")}, "fed",
        values={"input_indices": UNORDERED, "input_shape": SHAPE}),
    Row("SparseFillEmptyRows", {"indices": INDICES, "values": VALUES, "dense_shape": SHAPE,
                                "default_value": scalar(-7, "float32")}),
    Row("SparseFillEmptyRows", {"indices": In((5, 2), "int64"), "values": In((5,), "int64", 1, 9),
                                "dense_shape": In((2,), "int64"), "default_value": In((), "int64", 0, 9)}, "unordered",
        values={"indices": UNORDERED, "dense_shape": SHAPE}),
    Row("SparseFillEmptyRows", {"indices": In((2, 2), "int64"), "values": In((2,), "int32", 1, 9),
                                "dense_shape": np.array([2, 4]), "default_value": scalar(0)}, "none_empty",
        values={"indices": np.array([[0, 3], [1, 1]])}),
    Row("SparseSlice", {"indices": INDICES, "values": VALUES, "shape": SHAPE, "start": np.array([0, 1]),
                        "size": np.array([3, 9])}),
    Row("SparseSlice", {"indices": In((4, 2), "int64"), "values": VALUES, "shape": In((2,), "int64"),
                        "start": np.array([2, 0]), "size": np.array([3, 4])}, "fed", values=FED),
    Row("SparseConcat", {"indices": [INDICES, INDICES], "values": [VALUES, VALUES], "shapes": [SHAPE, SHAPE],
                         "concat_dim": -1}),
    Row("SparseConcat", {"indices": [INDICES, In((4, 2), "int64")], "values": [VALUES, VALUES],
                         "shapes": [SHAPE, In((2,), "int64")], "concat_dim": 0}, "fed",
        values={"indices_1": INDICES, "shapes_1": np.array([4, 6])}),
    *rows("SparseSoftmax", "sp_", {}),
    Row("SparseSoftmax", {"sp_indices": np.array([[0, 1, 1], [0, 1, 4], [2, 0, 0], [2, 0, 1], [2, 0, 3]]),
                          "sp_values": In((5,), "float64", -9, 9), "sp_shape": np.array([3, 2, 5])}, "cube"),
    Row("UnravelIndex", {"indices": In((7,), "int32", 0, 29), "dims": ints(2, 3, 5)}),
    Row("UnravelIndex", {"indices": In((), "int64", 0, 29), "dims": In((2,), "int64")}, "one",
        values={"dims": np.array([5, 6])}),
]  # fmt: skip
