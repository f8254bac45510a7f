"""Matrices. Semantics: TensorFlow's core/ops/{math,linalg,array}_ops.cc."""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar, wide
from netglot.ir.graph import Value
from netglot.ir.types import is_static


@tf_op("MatMul")
def matmul(
    g: TFBuilder, a: Value, b: Value, *, transpose_a: bool = False, transpose_b: bool = False,
    a_is_sparse: bool = False, b_is_sparse: bool = False,
) -> Value:  # fmt: skip
    return _product(g, a, b, transpose_a, transpose_b)


tf_op("SparseMatMul")(matmul)  # the same: only a hint that there are many zeros


@tf_op("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(g: TFBuilder, a: Value, b: Value, *, adj_x: bool = False, adj_y: bool = False) -> Value:
    """An adjoint is a transposed matrix: there are no complex numbers here."""
    return _product(g, a, b, adj_x, adj_y)


def _product(g: TFBuilder, a: Value, b: Value, transpose_a: bool, transpose_b: bool) -> Value:
    a, b = (_transposed(g, m) if swap else m for m, swap in ((a, transpose_a), (b, transpose_b)))
    return g.cast(g.MatMul(wide(g, a), wide(g, b)), a.dtype)


def _transposed(g: TFBuilder, x: Value) -> Value:
    axes = list(range(x.rank))
    y: Value = g.Transpose(x, perm=[*axes[:-2], axes[-1], axes[-2]])
    return y


@tf_op("Cross")
def cross(g: TFBuilder, a: Value, b: Value) -> Value:
    """Of vectors of three along the last axis."""
    after, before = np.array([1, 2, 0], np.int64), np.array([2, 0, 1], np.int64)
    one = g.Mul(g.Gather(a, after, axis=-1), g.Gather(b, before, axis=-1))
    return g.Sub(one, g.Mul(g.Gather(a, before, axis=-1), g.Gather(b, after, axis=-1)))


@tf_op("MatrixDeterminant")
def determinant(g: TFBuilder, x: Value) -> Value:
    return g.Det(x)


@tf_op("MatrixBandPart")
def band_part(g: TFBuilder, x: Value, num_lower: Value, num_upper: Value) -> Value:
    """A negative number keeps the whole triangle."""
    lower, upper = g.ints(num_lower, "num_lower")[0], g.ints(num_upper, "num_upper")[0]
    y = x if x.dtype in (np.float32, np.float64, np.int64, np.bool_) else g.cast(wide(g, x), np.int64)
    if lower >= 0:
        y = g.Trilu(y, g.constant(-lower, np.int64), upper=1)
    if upper >= 0:
        y = g.Trilu(y, g.constant(upper, np.int64), upper=0)
    return g.cast(y, x.dtype)


# ------------------------------------------------------------------- diagonals
#
# What goes where is known from the sizes: every result is a Gather of flattened matrices by a table of places, -1 where
# there is nothing to take.


def _taken(g: TFBuilder, x: Value, axes: int, places: np.ndarray, fill: Value | float) -> Value:
    """The elements of the last `axes` axes of x (flattened) at `places`; `fill` where a place is -1."""
    lead = list((x.shape or ())[: x.rank - axes])
    flat = g.reshaped(x, [*lead, prod(_last(g, x, axes))]) if axes != 1 else x
    y = g.Gather(flat, np.maximum(places, 0).astype(np.int64), axis=len(lead))
    if (places >= 0).all():
        return y
    return g.Where(places >= 0, y, fill if isinstance(fill, Value) else scalar(g, fill, x))


def _last(g: TFBuilder, x: Value, axes: int) -> tuple[int, ...]:
    sizes = (x.shape or ())[x.rank - axes :]
    if not is_static(sizes):
        raise g.unsupported("a matrix of unknown size")
    g.affordable(*(int(n or 0) for n in sizes))
    return tuple(int(n or 0) for n in sizes)


def _band(g: TFBuilder, k: Value) -> tuple[int, int]:
    """The lowest and the highest of the diagonals."""
    found = g.ints(k, "the diagonals")
    return found[0], found[-1]


def _layout(rows: int, columns: int, band: tuple[int, int], align: str) -> np.ndarray:
    """Where in a flattened [rows, columns] matrix each element of its packed diagonals lies: [diagonals, longest].

    The highest diagonal is the first one. -1 is a filler; `align` says at which end it is, for the diagonals above the
    main one and for those below.
    """
    low, high = band
    lengths = {d: _length(rows, columns, d) for d in range(low, high + 1)}
    places = np.full((high - low + 1, max(lengths.values())), -1, np.int64)
    for d, length in lengths.items():
        side = align.split("_")[0 if d >= 0 else 1]
        start = places.shape[1] - length if side == "RIGHT" else 0
        at = np.arange(length)
        places[high - d, start : start + length] = (at + max(0, -d)) * columns + at + max(0, d)
    return places


def _length(rows: int, columns: int, diagonal: int) -> int:
    return max(0, min(rows + min(0, diagonal), columns - max(0, diagonal)))


def _unpacked(rows: int, columns: int, layout: np.ndarray) -> np.ndarray:
    """The inverse of a layout: where in the packed diagonals each element of the matrix is."""
    table = np.full(rows * columns, -1, np.int64)
    places = layout.ravel()
    table[places[places >= 0]] = np.flatnonzero(places >= 0)
    return table.reshape(rows, columns)


@tf_op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(g: TFBuilder, diagonal: Value) -> Value:
    (size,) = _last(g, diagonal, 1)
    g.affordable(size, size)
    return _taken(g, diagonal, 1, np.where(np.eye(size, dtype=bool), np.arange(size), -1), 0)


@tf_op("MatrixDiagV2")
def matrix_diag_v2(
    g: TFBuilder, diagonal: Value, k: Value, num_rows: Value, num_cols: Value, padding_value: Value
) -> Value:
    return matrix_diag_v3(g, diagonal, k, num_rows, num_cols, padding_value, align="LEFT_LEFT")


@tf_op("MatrixDiagV3")
def matrix_diag_v3(
    g: TFBuilder, diagonal: Value, k: Value, num_rows: Value, num_cols: Value, padding_value: Value, *,
    align: str = "RIGHT_LEFT",
) -> Value:  # fmt: skip
    """-1 rows or columns mean as few as hold the diagonals."""
    band = _band(g, k)
    axes = 1 if band[0] == band[1] else 2
    longest = _last(g, diagonal, axes)[-1]
    rows, columns = g.ints(num_rows, "the number of rows")[0], g.ints(num_cols, "the number of columns")[0]
    rows, columns = _matrix_size(band, longest, rows, columns)
    g.affordable(rows, columns)
    layout = _layout(rows, columns, band, align)
    return _taken(g, diagonal, axes, _unpacked(rows, columns, layout), padding_value)


def _matrix_size(band: tuple[int, int], longest: int, rows: int, columns: int) -> tuple[int, int]:
    """As TensorFlow's matrix_diag_op.cc: square if neither is given, else the least that holds the diagonals."""
    least_rows, least_columns = longest - min(band[1], 0), longest + max(band[0], 0)
    if rows == columns == -1:
        size = max(least_rows, least_columns)
        return size, size
    return (least_rows if rows == -1 else rows), (least_columns if columns == -1 else columns)


@tf_op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(g: TFBuilder, x: Value) -> Value:
    rows, columns = _last(g, x, 2)
    return _taken(g, x, 2, _layout(rows, columns, (0, 0), "LEFT_LEFT")[0], 0)


@tf_op("MatrixDiagPartV2")
def matrix_diag_part_v2(g: TFBuilder, x: Value, k: Value, padding_value: Value) -> Value:
    return matrix_diag_part_v3(g, x, k, padding_value, align="LEFT_LEFT")


@tf_op("MatrixDiagPartV3")
def matrix_diag_part_v3(
    g: TFBuilder, x: Value, k: Value, padding_value: Value, *, align: str = "RIGHT_LEFT"
) -> Value:  # fmt: skip
    band, (rows, columns) = _band(g, k), _last(g, x, 2)
    layout = _layout(rows, columns, band, align)
    return _taken(g, x, 2, layout[0] if band[0] == band[1] else layout, padding_value)


@tf_op("MatrixSetDiag", "BatchMatrixSetDiag")
def matrix_set_diag(g: TFBuilder, x: Value, diagonal: Value) -> Value:
    return matrix_set_diag_v3(g, x, diagonal, g.constant(0, np.int32), align="LEFT_LEFT")


@tf_op("MatrixSetDiagV2")
def matrix_set_diag_v2(g: TFBuilder, x: Value, diagonal: Value, k: Value) -> Value:
    return matrix_set_diag_v3(g, x, diagonal, k, align="LEFT_LEFT")


@tf_op("MatrixSetDiagV3")
def matrix_set_diag_v3(
    g: TFBuilder, x: Value, diagonal: Value, k: Value, *, align: str = "RIGHT_LEFT"
) -> Value:  # fmt: skip
    """x with the band `k` of its diagonals replaced."""
    band, (rows, columns) = _band(g, k), _last(g, x, 2)
    table = _unpacked(rows, columns, _layout(rows, columns, band, align))
    return _taken(g, diagonal, 1 if band[0] == band[1] else 2, table, x)


@tf_op("Diag")
def diag(g: TFBuilder, diagonal: Value) -> Value:
    """The tensor [*shape, *shape] with `diagonal` where both halves of the index are the same."""
    shape = diagonal.sizes
    return g.Reshape(matrix_diag(g, g.Reshape(diagonal, [prod(shape)])), [*shape, *shape])


@tf_op("DiagPart")
def diag_part(g: TFBuilder, x: Value) -> Value:
    half = x.sizes[: x.rank // 2]
    return g.Reshape(matrix_diag_part(g, g.Reshape(x, [prod(half), prod(half)])), [*half])
