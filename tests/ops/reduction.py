"""Operators that reduce axes."""

from tests.ops.table import IMAGE, In, Row, ints

REDUCTIONS = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceProd",
]

ROWS = [
    *(Row(op, (IMAGE, ints(2, 3)), {"keepdims": 1}) for op in REDUCTIONS),
    *(Row(op, (IMAGE, ints(1)), {"keepdims": 0}, name="channels") for op in REDUCTIONS),
    Row("ReduceMean", (IMAGE, ints(-1)), {"keepdims": 0}, name="last"),
    Row("ReduceSum", (IMAGE,), {"keepdims": 0}, name="all"),
    Row("ArgMax", (IMAGE,), {"axis": 1, "keepdims": 1}),
    Row("ArgMax", (In((3, 10)),), {"axis": 1, "keepdims": 0}, name="flat"),
    Row("ArgMin", (In((3, 10)),), {"axis": 1, "keepdims": 0}),
    Row("TopK", (In((3, 10)), ints(4)), {"axis": 1}, outputs=2),
    Row("TopK", (IMAGE, ints(3)), {"axis": 1}, name="channels", outputs=2),
    # modes that Caffe's layers produce
    Row("ArgMax", (IMAGE,), {"axis": 2, "keepdims": 0}, name="height"),
    Row("ArgMax", (In((3, 10)),), {"axis": 1, "keepdims": 1}, name="flat-kept"),
    Row("ReduceMax", (In((3, 10)), ints(1)), {"keepdims": 1}, name="flat-kept"),
    Row("TopK", (In((10,)), ints(10)), {"axis": 0}, name="1d", outputs=2),
]
