"""Rows of netglot/frontends/pytorch/operators/complex_numbers.py, and of other operators on complex tensors."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)
C, D = T(2, 3, 4, dtype="complex64"), T(3, 4, dtype="complex64")
R = T(2, 3, 4)
FREQUENCIES = np.exp(1j * _rng.standard_normal((3, 4))).astype(np.complex64)
ALL = ("tflite", "coreml", "cpp")


def _complex(op: str, *args: object, **more: object) -> Row:
    """A row of an operator that also has a function for real tensors."""
    return Row(op, *args, **{"name": f"complex {more.pop('name', '')}".rstrip(), **more})


ROWS = [
    Row("view_as_complex", T(3, 2), row_dynamic=True),
    Row("view_as_real", C, row_dynamic=True),
    Row("complex", R, T(2, 3, 4), row_dynamic=True),
    Row("polar", T(2, 3), T(2, 3), row_dynamic=True),
    Row("real", C, row_dynamic=True),
    Row("real", R, name="of real numbers"),
    Row("imag", C, row_dynamic=True),
    *(Row(op, C) for op in ("conj", "_conj", "conj_physical", "_conj_physical", "resolve_conj", "resolve_neg")),
    Row("conj_physical", R, name="of real numbers"),
    _complex("add.Tensor", C, D, alpha=2, row_dynamic=True),
    _complex("add.Tensor", R, D, name="to real"),
    _complex("sub.Tensor", C, R),
    _complex("sub.Tensor", C, D, alpha=0.5, row_dynamic=True, name="alpha"),
    _complex("mul.Tensor", C, D, row_dynamic=True, row_targets=ALL),
    _complex("mul.Tensor", C, FREQUENCIES, row_dynamic=True, row_targets=ALL, name="rotary"),
    _complex("mul.Tensor", C, T(4), name="by real"),
    _complex("mul.Tensor", T(4), C, name="real by complex"),
    _complex("mul.Scalar", C, 2.5),
    _complex("div.Tensor", C, D, row_rtol=2e-5),
    _complex("div.Tensor", C, T(3, 4, low=1), name="by real"),
    _complex("div.Tensor", R, D, name="of real", row_rtol=2e-5),
    _complex("div.Scalar", C, 4),
    _complex("neg", C),
    _complex("abs", C, row_dynamic=True),
    _complex("angle", C),
    _complex("exp", C),
    _complex("reciprocal", C, row_rtol=2e-5),
    _complex("pow.Tensor_Scalar", C, 3),
    _complex("square", C),
    _complex("matmul", T(2, 3, 4, dtype="complex64"), T(4, 5, dtype="complex64"), row_dynamic=True),
    _complex("mm", T(3, 4, dtype="complex64"), T(4, 5, dtype="complex64")),
    _complex("bmm", T(2, 3, 4, dtype="complex64"), T(2, 4, 5, dtype="complex64")),
    _complex("where.self", T(3, 1, dtype="bool"), C, C),
    _complex("sum", C),
    _complex("sum.dim_IntList", C, [-1, 0]),
    _complex("mean", C),
    _complex("mean.dim", C, [1], True),
    _complex("clone", C),
    _complex("contiguous", C),
    *(_complex(op, C) for op in ("alias", "detach", "lift_fresh_copy")),
    _complex("add.Scalar", C, 2.5),
    _complex("sub.Scalar", C, 2.5),
    _complex("to.dtype", C, np.complex128),
    _complex("_to_copy", C, dtype=np.complex128),
    _complex("view", C, [-1, 4], row_dynamic=True),
    _complex("_unsafe_view", C, [6, 4]),
    _complex("reshape", C, [2, -1], row_dynamic=True),
    _complex("expand", T(3, 1, dtype="complex64"), [2, -1, 4]),
    _complex("repeat", T(3, 4, dtype="complex64"), [2, 1, 3]),
    _complex("sym_size.int", C, -1),
    _complex("flatten.using_ints", C, 1),
    _complex("unflatten.int", C, -1, [2, 2]),
    _complex("squeeze.dim", T(2, 1, 3, dtype="complex64"), -2),
    _complex("squeeze.dims", T(2, 1, 1, dtype="complex64"), [-2, -1]),
    _complex("unsqueeze", C, -1),
    _complex("permute", C, [-1, 0, 1]),
    _complex("transpose.int", C, -1, 0, row_dynamic=True),
    _complex("select.int", C, -1, 2),
    _complex("slice.Tensor", C, -1, 1, 3),
    _complex("slice.Tensor", C, name="default"),
    _complex("narrow", C, -2, 1, 2),
    _complex("flip", C, [-1]),
    _complex("index_select", C, -1, np.array([2, 0])),
    _complex("cat", [C, C], -1),
    _complex("stack", [D, D], -1),
    _complex("split.Tensor", C, 3, -1),
    _complex("split_with_sizes", C, [1, 3], -1),
    _complex("chunk", C, 2, -1),
    _complex("unbind.int", D, -1),
    _complex("movedim.int", C, -1, 0),
]  # fmt: skip
