"""Products and parts of matrices. Semantics: MXNet's src/operator/tensor/dot-inl.h and la_op.h."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import isqrt, prod

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.elementwise import number
from netglot.frontends.mxnet.reduction import one_at_least
from netglot.ir.graph import Value
from netglot.ir.types import text


def _swapped(g: MXNetBuilder, x: Value) -> Value:
    """The transposed matrices."""
    return g.Transpose(x, perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _scaled(g: MXNetBuilder, x: Value, factor: float) -> Value:
    return x if factor == 1 else g.Mul(x, number(x, factor))


def _product(g: MXNetBuilder, a: Value, b: Value, transpose_a: bool, transpose_b: bool) -> Value:
    return g.MatMul(_swapped(g, a) if transpose_a else a, _swapped(g, b) if transpose_b else b)


# -------------------------------------------------------------------------- products


@mxnet_op("dot", "_sparse_dot")
def dot(
    g: MXNetBuilder, lhs: Value, rhs: Value, *, transpose_a: bool = False, transpose_b: bool = False,
    forward_stype: str | None = None,
) -> Value:  # fmt: skip
    """Over the last axis of lhs (the first with transpose_a) and the first of rhs (the last with transpose_b)."""
    if lhs.rank == 1 and rhs.rank == 1:
        return g.Reshape(g.MatMul(lhs, rhs), [1])
    a = g.Transpose(lhs, perm=[*range(1, lhs.rank), 0]) if transpose_a and lhs.rank > 1 else lhs
    b = g.Transpose(rhs, perm=[rhs.rank - 1, *range(rhs.rank - 1)]) if transpose_b and rhs.rank > 1 else rhs
    return contracted(g, a, b)


def contracted(g: MXNetBuilder, a: Value, b: Value) -> Value:
    """The sum over the last axis of a and the first of b."""
    if b.rank <= 2:
        return g.MatMul(a, b)
    rest = [size for size in (b.shape or ())[1:] if isinstance(size, int)]
    if len(rest) < b.rank - 1:
        raise g.unsupported(f"by a tensor of {text(b.shape)}, whose size must be known")
    y = g.MatMul(a, g.reshaped(b, [(b.shape or ())[0], prod(rest)]))
    return g.reshaped(y, [*(a.shape or ())[:-1], *rest])


@mxnet_op("batch_dot", "_npx_batch_dot")
def batch_dot(
    g: MXNetBuilder, lhs: Value, rhs: Value, *, transpose_a: bool = False, transpose_b: bool = False,
    forward_stype: str | None = None,
) -> Value:  # fmt: skip
    return _product(g, lhs, rhs, transpose_a, transpose_b)


@mxnet_op("linalg_gemm2", "_linalg_gemm2")
def gemm2(
    g: MXNetBuilder, A: Value, B: Value, *, transpose_a: bool = False, transpose_b: bool = False, alpha: float = 1.0,
    axis: int = -2,
) -> Value:  # fmt: skip
    """alpha A B; the matrices lie in `axis` and the last one."""
    a, b = _rows_at(g, A, axis), _rows_at(g, B, axis)
    return _rows_back(g, _scaled(g, _product(g, a, b, transpose_a, transpose_b), alpha), axis)


@mxnet_op("linalg_gemm", "_linalg_gemm")
def gemm(
    g: MXNetBuilder, A: Value, B: Value, C: Value, *, transpose_a: bool = False, transpose_b: bool = False,
    alpha: float = 1.0, beta: float = 1.0, axis: int = -2,
) -> Value:  # fmt: skip
    """alpha A B + beta C."""
    product = gemm2(g, A, B, transpose_a=transpose_a, transpose_b=transpose_b, alpha=alpha, axis=axis)
    return g.Add(product, _scaled(g, C, beta))


def _rows_at(g: MXNetBuilder, x: Value, axis: int) -> Value:
    """`x` with its axis `axis` as the last but one."""
    at = g.axis(x, axis)
    others = [i for i in range(x.rank - 1) if i != at]
    return x if at == x.rank - 2 else g.Transpose(x, perm=[*others, at, x.rank - 1])


def _rows_back(g: MXNetBuilder, x: Value, axis: int) -> Value:
    """What _rows_at did, undone."""
    at = g.axis(x, axis)
    if at == x.rank - 2:
        return x
    return g.Transpose(x, perm=[*range(at), x.rank - 2, *range(at, x.rank - 2), x.rank - 1])


@mxnet_op("linalg_syrk", "_linalg_syrk")
def syrk(g: MXNetBuilder, A: Value, *, transpose: bool = False, alpha: float = 1.0) -> Value:
    """alpha A Aᵀ, or Aᵀ A."""
    return _scaled(g, _product(g, A, A, transpose, not transpose), alpha)


@mxnet_op("linalg_trmm", "_linalg_trmm")
def trmm(
    g: MXNetBuilder, A: Value, B: Value, *, transpose: bool = False, rightside: bool = False, lower: bool = True,
    alpha: float = 1.0,
) -> Value:  # fmt: skip
    """alpha A B, or B A, of which only one triangle of A counts."""
    triangle = g.Trilu(A, upper=int(not lower))
    triangle = _swapped(g, triangle) if transpose else triangle
    return _scaled(g, g.MatMul(B, triangle) if rightside else g.MatMul(triangle, B), alpha)


@mxnet_op("khatri_rao")
def khatri_rao(g: MXNetBuilder, *args: Value) -> Value:
    """The Kronecker product of the columns, one by one."""
    return reduce(lambda a, b: _columns(g, a, b), args)


def _columns(g: MXNetBuilder, a: Value, b: Value) -> Value:
    products = g.Mul(g.Unsqueeze(a, [1]), g.Unsqueeze(b, [0]))
    return g.reshaped(products, [None, (b.shape or (None, None))[1]])


@mxnet_op("linalg_det", "_linalg_det", "_npi_det", outputs=("output0",))
def det(g: MXNetBuilder, A: Value) -> Value:
    """The determinants; of one matrix as a tensor of one element where there are no scalars."""
    found = g.Det(A)
    return found if g.np_shape else one_at_least(g, found)


@mxnet_op("linalg_sumlogdiag", "_linalg_sumlogdiag")
def sum_log_diagonal(g: MXNetBuilder, A: Value) -> Value:
    total = g.ReduceSum(g.Log(diagonal(g, A, 0, -2, -1)), [-1], keepdims=0)
    return g.Reshape(total, [1]) if A.rank == 2 else total


# ------------------------------------------------------------------ parts of matrices


def diagonal(g: MXNetBuilder, x: Value, offset: int, axis1: int, axis2: int) -> Value:
    """The diagonals of the matrices in two axes, along a new last axis."""
    rows, columns = g.axis(x, axis1), g.axis(x, axis2)
    others = [i for i in range(x.rank) if i not in (rows, columns)]
    moved = x if [*others, rows, columns] == list(range(x.rank)) else g.Transpose(x, perm=[*others, rows, columns])
    height, width = _matrix(g, moved)
    picked = np.arange(height * width).reshape(height, width).diagonal(offset)
    return _picked(g, moved, picked)


def _matrix(g: MXNetBuilder, x: Value) -> tuple[int, int]:
    """The sizes of the matrices, of which constants of that size are made."""
    height, width = (x.shape or (None, None))[-2:]
    if not isinstance(height, int) or not isinstance(width, int):
        raise g.unsupported(f"of matrices of {text(x.shape)}, whose size must be known")
    g.affordable(height, width)
    return height, width


def _picked(g: MXNetBuilder, x: Value, places: np.ndarray) -> Value:
    """The elements of each matrix that have these numbers."""
    if not places.size:
        raise ConversionError("there is no such diagonal", g.origin)
    height, width = _matrix(g, x)
    flat = g.reshaped(x, [*(x.shape or ())[:-2], height * width], dynamic=_joined(g, x, -2, [height * width]))
    return g.Gather(flat, places.astype(np.int64), axis=flat.rank - 1)


def _joined(g: MXNetBuilder, x: Value, end: int, sizes: Sequence[int]) -> Value | None:
    """The shape of x up to `end`, then `sizes`."""
    if x.rank + end < 1:
        return None
    return g.Concat(g.Shape(x, start=0, end=end), np.array(sizes, np.int64), axis=0)


def placed(g: MXNetBuilder, x: Value, places: np.ndarray) -> Value:
    """The last axis laid out in a matrix, where `places` has the numbers of the elements, and -1 for 0."""
    g.affordable(*places.shape)
    laid = g.Gather(x, np.maximum(places, 0).astype(np.int64), axis=x.rank - 1)
    return g.Where(places >= 0, laid, number(x, 0))


def made_diagonal(g: MXNetBuilder, x: Value, offset: int) -> Value:
    size = _last(g, x)
    side = g.affordable(size + abs(offset), size + abs(offset))[0]
    places = np.full((side, side), -1)
    places[np.arange(size) + max(0, -offset), np.arange(size) + max(0, offset)] = np.arange(size)
    return placed(g, x, places)


def _last(g: MXNetBuilder, x: Value) -> int:
    size = x.shape[-1] if x.shape else None
    if not isinstance(size, int):
        raise g.unsupported("of a vector whose size is not known")
    return size


@mxnet_op("diag")
def diag(g: MXNetBuilder, data: Value, *, k: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    return made_diagonal(g, data, k) if data.rank == 1 else diagonal(g, data, k, axis1, axis2)


@mxnet_op("linalg_extractdiag", "_linalg_extractdiag")
def extract_diagonal(g: MXNetBuilder, A: Value, *, offset: int = 0) -> Value:
    return diagonal(g, A, offset, -2, -1)


@mxnet_op("linalg_makediag", "_linalg_makediag")
def make_diagonal(g: MXNetBuilder, A: Value, *, offset: int = 0) -> Value:
    return made_diagonal(g, A, offset)


def _triangle(side: int, offset: int, lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the triangle's elements: the lower one row by row, the upper one column by column.

    An offset other than 0 says by its sign which one is meant.
    """
    longer, shorter = np.nonzero(np.tri(side, k=-abs(offset)))
    return (longer, shorter) if offset < 0 or (offset == 0 and lower) else (shorter, longer)


@mxnet_op("linalg_extracttrian", "_linalg_extracttrian")
def extract_triangle(g: MXNetBuilder, A: Value, *, offset: int = 0, lower: bool = True) -> Value:
    side, _ = _matrix(g, A)
    rows, columns = _triangle(side, offset, lower)
    return _picked(g, A, rows * side + columns)


@mxnet_op("linalg_maketrian", "_linalg_maketrian")
def make_triangle(g: MXNetBuilder, A: Value, *, offset: int = 0, lower: bool = True) -> Value:
    size = _last(g, A)
    side = (isqrt(8 * size + 1) - 1) // 2 + abs(offset)
    g.affordable(side, side)
    rows, columns = _triangle(side, offset, lower)
    if len(rows) != size:
        raise ConversionError(f"{size} elements make no triangle", g.origin)
    places = np.full((side, side), -1)
    places[rows, columns] = np.arange(size)
    return placed(g, A, places)
