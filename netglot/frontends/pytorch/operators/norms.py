"""Norms of vectors and matrices. Semantics: torch's documentation of each function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.operators.reduction import Dims, over, reduced, single
from netglot.ir.graph import Value


@aten("norm.Scalar")
def norm(g: TorchBuilder, x: Value, *, p: Number = 2) -> Value:
    return _norm(g, x, p, list(range(x.rank)), False)


@aten("norm.ScalarOpt_dim", "norm.ScalarOpt_dim_dtype", "norm.ScalarOpt_dtype")
def norm_dim(
    g: TorchBuilder, x: Value, *, p: Number | None, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _norm(g, x, 2 if p is None else p, over(g, x, dim), keepdim)


@aten("frobenius_norm.dim")
def frobenius_norm(g: TorchBuilder, x: Value, *, dim: Dims, keepdim: bool = False) -> Value:
    return _norm(g, x, 2, over(g, x, dim), keepdim)


@aten("linalg_vector_norm")
def linalg_vector_norm(
    g: TorchBuilder, x: Value, *, ord: Number = 2, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _norm(g, x, ord, over(g, x, dim), keepdim)


@aten("linalg_norm")
def linalg_norm(
    g: TorchBuilder, x: Value, *, ord: Number | None = None, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    """Of a vector, or with an order and two axes of a matrix."""
    x = x if dtype is None else g.cast(x, dtype)
    axes = g.axes(dim, x.rank)
    if ord is None or len(axes) == 1:
        return _norm(g, x, 2 if ord is None else ord, sorted(axes), keepdim)
    return _matrix_norm(g, x, ord, axes, keepdim)


@aten("linalg_norm.ord_str")
def linalg_norm_str(
    g: TorchBuilder, x: Value, *, ord: str, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


@aten("linalg_matrix_norm")
def linalg_matrix_norm(
    g: TorchBuilder, x: Value, *, ord: Number, dim: Sequence[int] = (-2, -1), keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


@aten("linalg_matrix_norm.str_ord")
def linalg_matrix_norm_str(
    g: TorchBuilder, x: Value, *, ord: str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


def _matrix_norm(g: TorchBuilder, x: Value, ord: Number | str, axes: Sequence[int], keep: bool) -> Value:
    """1: the largest sum of a column; inf: of a row; negative: the smallest. `axes`: those of rows and columns."""
    if ord == "fro":
        return _norm(g, x, 2, sorted(axes), keep)
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise g.unsupported(f"the norm {ord!r} of matrices, which needs their singular values")
    summed, compared = axes if abs(ord) == 1 else (axes[1], axes[0])
    sums = reduced(g, "ReduceL1", x, [summed], True)
    both = reduced(g, "ReduceMax" if ord > 0 else "ReduceMin", sums, [compared], True)
    return both if keep else g.Squeeze(both, sorted(axes))


def _norm(g: TorchBuilder, x: Value, p: Number, axes: Sequence[int], keep: bool) -> Value:
    """The p-norm of all elements along `axes`; the power 0 counts those that are not zero."""
    to, x = x.dtype, single(g, x)
    return g.cast(_norms(p)(g, x, p, axes, keep), to)


Norm = Callable[[TorchBuilder, Value, Number, Sequence[int], bool], Value]


def _norms(p: Number) -> Norm:
    onnx = {1.0: "ReduceL1", 2.0: "ReduceL2"}.get(float(p))
    if onnx is not None:
        return lambda g, x, _, axes, keep: reduced(g, onnx, x, axes, keep)
    if math.isinf(p):
        extreme = "ReduceMax" if p > 0 else "ReduceMin"
        return lambda g, x, _, axes, keep: reduced(g, extreme, g.Abs(x), axes, keep)
    return _nonzero if p == 0 else _power


def _nonzero(g: TorchBuilder, x: Value, _: Number, axes: Sequence[int], keep: bool) -> Value:
    return reduced(g, "ReduceSum", g.cast(g.cast(x, np.bool_), x.dtype), axes, keep)


def _power(g: TorchBuilder, x: Value, p: Number, axes: Sequence[int], keep: bool) -> Value:
    powers = g.Pow(g.Abs(x), g.number(p, x.dtype))
    root: Value = g.Pow(reduced(g, "ReduceSum", powers, axes, keep), g.number(1 / p, x.dtype))
    return root
