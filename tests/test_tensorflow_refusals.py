"""What operators that move and look up elements can't do is refused, with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import UnsupportedError
from tests.ops.table import In
from tests.tensorflow_ops.indexing import X
from tests.tensorflow_ops.shape import ints, scalar
from tests.tensorflow_ops.strings import fed, words
from tests.tensorflow_ops.table import Row, build

PERM = ints(2, 0, 1)
BACKWARDS = {"input": X, "begin": In((1,), "int32"), "end": ints(0), "strides": ints(-1)}
TO_TENSOR = {
    "shape": np.array([-1, -1]), "values": In((6,)), "default_value": scalar(0, "float32"),
    "row_partition_tensors": [scalar(2, "int64"), np.array([0, 0, 0, 1, 1, 1])],
    "row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS"],
}  # fmt: skip

REFUSED = [
    (Row("Transpose", {"x": X, "perm": In((3,), "int32")}, values={"perm": PERM}), "the permutation is computed"),
    (Row("ConcatV2", {"values": [X, X], "axis": In((), "int32", 0, 0)}), "the axis is computed"),
    (Row("MirrorPad", {"input": X, "paddings": In((3, 2), "int32", 0, 0), "mode": "REFLECT"}), "the padding is"),
    (Row("StridedSlice", BACKWARDS, values={"begin": ints(1)}), "runs backwards from a position"),
    (Row("StridedSlice", {**BACKWARDS, "begin": ints(-2)}, dynamic=True), "runs backwards from a position"),
    (Row("GatherNd", {"params": X, "indices": ints(1, 2), "bad_indices_policy": "IGNORE"}), "the policy IGNORE"),
    (Row("DynamicStitch", {"indices": [ints(0, 3)], "data": [In((2, 3))]}), "are given no data"),
    (Row("SegmentMean", {"data": In((3,), "int32", 0, 9), "segment_ids": ints(0, 0, 1)}), "the mean of int32"),
    (Row("AsString", {"input": X}), "float32 as text"),
    (Row("AsString", {"input": In((3,), "int32"), "width": 5}), "of 5 letters"),
    (fed("StringLower", "input", ("É",), encoding="utf-8"), "locale"),
    (fed("StringSplit", "input", ("a b",), delimiter=words(", ").reshape(())), "one delimiting letter"),
    (fed("StringSplitV2", "input", ("a b",), sep=words("").reshape(()), maxsplit=1), "maxsplit 1"),
    (fed("ReduceJoin", "inputs", ("a", "b"), dynamic=True, reduction_indices=ints(0)), "known only when it runs"),
    (Row("RaggedTensorToTensor", TO_TENSOR), "FIRST_DIM_SIZE, VALUE_ROWIDS"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), REFUSED, ids=[f"{row.op}-{reason}" for row, reason in REFUSED])
def test_refused(row: Row, reason: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    names, _ = build(row, row.feed(), tmp_path / "row.pb")
    with pytest.raises(UnsupportedError, match=reason) as raised:
        load(tmp_path / "row.pb", outputs=names)
    assert raised.value.exit_code == 3
