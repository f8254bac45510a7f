"""Rows of reading and writing by index."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((3, 4, 5))
BEYOND = In((2, 6), low=-9, high=9)
LENGTHS = np.array([2, 5, 1], np.float32)
LENGTH = In((3,))
SEQUENCE = In((5, 3, 4))
COORDINATES = np.array([[0, 2, 1], [3, 1, 0]], np.float32)
LAST_MASKED = {"use_sequence_length": True}
STEPS = {"begin": (1, None, 4), "end": (3, None, 0), "step": (1, 2, -2)}


def on_lengths(op: str, name: str = "", **attributes: object) -> Row:
    item = In((3, 5, 4)) if attributes.get("axis") else SEQUENCE
    given = {"use_sequence_length": True, **attributes}
    targets = ALL if "Mask" in op and not name else ("cpp", "coreml")
    return Row(op, given, [item, LENGTH], name, values={"data1": LENGTHS}, targets=targets)


ROWS = [
    *(Row(op, {}, [X, BEYOND], dynamic=True) for op in ("take", "_npi_take")),
    *(Row("take", {"axis": axis, "mode": mode}, [X, BEYOND], f"{axis} {mode}") for axis in (0, 1, -1)
      for mode in ("clip", "wrap")),
    Row("take", {"axis": 1, "mode": "raise"}, [X, In((2, 6), "int32", 0, 3)], "raise"),
    Row("take", {"axis": 1}, [X, In((2,), low=0, high=3)], "targets", targets=ALL),
    *(
        Row(op, {"input_dim": 7, "output_dim": 5}, [In((2, 3), low=-3, high=9), P((7, 5))], dynamic=True)
        for op in ("Embedding", "_npx_embedding", "_sparse_Embedding", "_contrib_SparseEmbedding")
    ),
    Row("Embedding", {"input_dim": 7, "output_dim": 5}, [In((2, 3), low=0, high=6), P((7, 5))], "targets", targets=ALL),
    Row("Embedding", {"input_dim": 7, "output_dim": 5}, [In((2, 3), "int32", 0, 6), P((7, 5))], "whole"),
    *(Row(op, {}, [X, In((3, 4), low=-9, high=9)], dynamic=True)
      for op in ("pick", "_npx_pick", "choose_element_0index")),
    *(
        Row("pick", {"axis": 1, "mode": mode, "keepdims": keep}, [X, In((3, 5), low=-9, high=9)], f"{mode} {keep}")
        for mode in ("clip", "wrap") for keep in (True, False)
    ),
    Row("pick", {"axis": 1}, [X, In((3, 1, 5), low=0, high=3)], "kept", targets=("cpp", "coreml")),
    Row("batch_take", {}, [In((4, 5)), In((4,), "int32", -3, 9)], dynamic=True),
    *(Row(op, {"depth": 4}, [In((3, 5), low=-2, high=6)], dynamic=True) for op in ("one_hot", "_npx_one_hot")),
    Row("one_hot", {"depth": 4, "on_value": 2, "dtype": "int32"}, [In((3, 5), "int32", -2, 6)], "whole"),
    Row("one_hot", {"depth": 4}, [In((3, 5), low=0, high=3)], "targets", targets=ALL),
    *(
        Row(op, {}, [X, In((2, 3))], values={"data1": COORDINATES})
        for op in ("gather_nd", "_npi_gather_nd", "_npx_gather_nd")
    ),
    Row("gather_nd", {}, [X, In((1, 2, 3), "int32", -3, 2)], "from the end"),
    Row("scatter_nd", {"shape": (3, 4, 5)}, [In((3, 5)), In((2, 3))], values={"data1": COORDINATES}),
    *(Row(op, {}, [In((3, 4)), In((3, 4)), In((3, 4))], values={"data0": np.eye(3, 4, dtype=np.float32)})
      for op in ("where", "_sparse_where")),
    Row("where", {}, [In((3,)), X, X], "rows", values={"data0": np.array([0, -1, 0.5], np.float32)}),
    Row("_contrib_boolean_mask", {}, [X, In((3,), "int32")], "rows", values={"data1": np.array([1, 0, 1], np.int32)}),
    Row("_npi_boolean_mask", {}, [X, In((3,), "int32")], values={"data1": np.array([1, 0, 1], np.int32)}),
    Row("_contrib_index_array", {}, [X], dynamic=True),
    Row("_contrib_index_array", {"axes": (2, 0)}, [X], "axes"),
    Row("_contrib_index_copy", {}, [X, In((2,), "int32"), In((2, 4, 5))], values={"data1": np.array([2, 0], np.int32)}),
    *(Row(op, STEPS, [X, In((2, 2, 2))]) for op in ("_slice_assign", "_crop_assign", "_npi_slice_assign")),
    *(Row(op, {**STEPS, "scalar": 1.5}, [X])
      for op in ("_slice_assign_scalar", "_crop_assign_scalar", "_npi_slice_assign_scalar")),
    *(Row(op, {"shape": (3, 4, 5)}, [In((3, 7), low=0, high=2)]) for op in ("ravel_multi_index", "_ravel_multi_index")),
    Row("ravel_multi_index", {"shape": (-1, 4, 5)}, [In((3, 7), "int64", 0, 2)], "open"),
    *(Row(op, {"shape": (3, 4, 5)}, [In((7,), "int32", 0, 59)]) for op in ("unravel_index", "_unravel_index")),
    Row("unravel_index", {"shape": (-1, 4, 5)}, [In((7,), "int64", 0, 59)], "open"),
    *(on_lengths(op) for op in ("SequenceMask", "_npx_sequence_mask", "SequenceLast", "SequenceReverse")),
    *(on_lengths(op, "by rows", axis=1) for op in ("SequenceMask", "SequenceLast")),
    on_lengths("SequenceMask", "value", value=-3.5, axis=1),
    *(Row(op, {}, [SEQUENCE], "whole") for op in ("SequenceMask", "SequenceLast", "SequenceReverse")),
    Row("SequenceLast", {"axis": 1}, [SEQUENCE], "whole rows"),
]  # fmt: skip
