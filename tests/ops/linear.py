"""Matrix products."""

from tests.ops.table import In, Row, const

ROWS = [
    Row("Gemm", (In((3, 5)), const((5, 4)), const((4,)))),
    Row("Gemm", (In((3, 5)), const((4, 5)), const((4,))), {"transB": 1}, name="transposed"),
    Row("Gemm", (In((3, 5)), const((4, 5)), const((4,))), {"transB": 1, "alpha": 0.5, "beta": 2.0}, name="scaled"),
    Row("Gemm", (In((3, 5)), const((4, 5))), {"transB": 1}, name="no-bias"),
    Row("MatMul", (In((3, 5)), const((5, 4)))),
    Row("MatMul", (In((2, 3, 5)), const((5, 4))), name="batched"),
    Row("MatMul", (In((2, 3, 5)), In((2, 5, 4))), name="two-inputs"),
]
