"""Rows of products and parts of matrices."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
A, B, C = In((2, 3, 4)), In((2, 4, 5)), In((2, 3, 5))
SQUARE = In((2, 4, 4), low=0.1)
FLAGS = [(a, b) for a in (False, True) for b in (False, True)]


def flipped(item: In, flip: bool) -> In:
    return In((*item.shape[:-2], item.shape[-1], item.shape[-2])) if flip else item


ROWS = [
    *(
        Row(op, {"transpose_a": a, "transpose_b": b}, [flipped(In((3, 4)), a), flipped(In((4, 5)), b)], f"{a} {b}",
            targets=ALL)
        for op in ("dot", "_sparse_dot") for a, b in FLAGS
    ),
    Row("dot", {}, [In((4,)), In((4,))], "vectors"),
    Row("dot", {}, [In((2, 3, 4)), In((4, 5))], "batch", dynamic=True),
    Row("dot", {}, [In((2, 3, 4)), In((4, 5, 6))], "tensors"),
    Row("dot", {"transpose_b": True}, [In((2, 3, 4)), In((5, 6, 4))], "tensors transposed"),
    *(
        Row(op, {"transpose_a": a, "transpose_b": b}, [flipped(A, a), flipped(B, b)], f"{a} {b}", dynamic=True,
            targets=ALL)
        for op in ("batch_dot", "_npx_batch_dot") for a, b in FLAGS
    ),
    *(
        Row(op, {"transpose_a": a, "transpose_b": b, "alpha": 0.5}, [flipped(A, a), flipped(B, b)], f"{a} {b}")
        for op in ("linalg_gemm2", "_linalg_gemm2") for a, b in FLAGS
    ),
    *(
        Row(op, {"transpose_b": True, "alpha": 0.5, "beta": -2.0}, [A, flipped(B, True), C], dynamic=True)
        for op in ("linalg_gemm", "_linalg_gemm")
    ),
    Row("linalg_gemm2", {"axis": 1}, [In((2, 3, 6, 4)), In((2, 4, 6, 5))], "axis"),
    Row("linalg_gemm2", {"axis": 0}, [In((3, 2, 6, 4)), In((4, 2, 6, 5))], "first axis"),
    *(Row(op, {"transpose": flag, "alpha": 0.5}, [A], f"{flag}") for op in ("linalg_syrk", "_linalg_syrk")
      for flag in (True, False)),
    *(
        Row(op, {"transpose": t, "rightside": r, "lower": low, "alpha": 0.5}, [SQUARE, flipped(In((2, 4, 3)), r)],
            f"{t} {r} {low}")
        for op in ("linalg_trmm", "_linalg_trmm") for t in (True, False) for r in (True, False) for low in (True, False)
    ),
    Row("khatri_rao", {"num_args": 3}, [In((2, 5)), In((3, 5)), In((4, 5))]),
    *(Row(op, {}, [SQUARE], rtol=1e-4) for op in ("linalg_det", "_linalg_det")),
    Row("_npi_det", {}, [SQUARE], np_shape=True, rtol=1e-4),
    Row("linalg_det", {}, [In((3, 3))], "one", rtol=1e-4),
    Row("_npi_det", {}, [In((3, 3))], "one", np_shape=True, rtol=1e-4),
    *(Row(op, {}, [SQUARE], dynamic=True) for op in ("linalg_sumlogdiag", "_linalg_sumlogdiag")),
    Row("linalg_sumlogdiag", {}, [In((3, 3), low=0.1)], "one"),
    *(Row("diag", {"k": k}, [In((3, 5))], f"{k}") for k in (0, 1, -2)),
    *(Row("diag", {"k": k}, [In((4,))], f"vector {k}") for k in (0, 2, -1)),
    Row("diag", {"k": 1, "axis1": 2, "axis2": 0}, [In((3, 4, 5))], "axes"),
    *(Row(op, {"offset": 1}, [In((2, 4, 4))], dynamic=True) for op in ("linalg_extractdiag", "_linalg_extractdiag")),
    *(Row(op, {"offset": -1}, [In((2, 3))], dynamic=True) for op in ("linalg_makediag", "_linalg_makediag")),
    *(
        Row(f"{prefix}linalg_{op}", {"offset": offset, "lower": low}, [item], f"{offset} {low}")
        for prefix in ("", "_") for op, item in (("extracttrian", In((2, 4, 4))), ("maketrian", In((2, 6))))
        for offset, low in ((0, True), (0, False), (1, True), (-1, True), (-2, False))
    ),
]  # fmt: skip
