"""Sparse tensors (indices, values, shape), where dense operators can say what is computed."""

from __future__ import annotations

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.movement import LAST, part
from netglot.frontends.tensorflow.shape import expanded, int64, with_sizes
from netglot.ir.graph import Value


def dense(g: TFBuilder, indices: Value, values: Value, shape: Value, *, add: bool = False) -> Value:
    """The tensor with 0 where nothing is; of values for one place the last stays, or all are added."""
    zeros = expanded(g, g.constant(np.zeros((), values.dtype)), shape)
    return g.ScatterND(zeros, int64(g, indices), values, reduction="add" if add else "none")


@tf_op("SparseToDense")
def sparse_to_dense(
    g: TFBuilder, indices: Value, shape: Value, values: Value, default_value: Value, *, validate_indices: bool = True
) -> Value:
    """Indices of a vector may be a vector or one number, the values one number for all."""
    axes = shape.sizes[0]
    rows = g.Reshape(int64(g, indices), [-1, axes])
    every = g.Expand(values, g.Shape(rows, start=0, end=1))
    return g.ScatterND(expanded(g, default_value, shape), rows, every)


@tf_op("SparseTensorDenseMatMul")
def sparse_tensor_dense_matmul(
    g: TFBuilder, indices: Value, values: Value, shape: Value, b: Value, *, adjoint_a: bool = False,
    adjoint_b: bool = False,
) -> Value:  # fmt: skip
    if values.dtype is not None and values.dtype.kind == "c":
        raise g.unsupported("complex numbers")
    a = dense(g, indices, values, shape, add=True)
    a = g.Transpose(a, perm=(1, 0)) if adjoint_a else a
    return g.MatMul(a, g.Transpose(b, perm=(1, 0)) if adjoint_b else b)


@tf_op("SparseTensorDenseAdd")
def sparse_tensor_dense_add(g: TFBuilder, indices: Value, values: Value, shape: Value, b: Value) -> Value:
    return g.ScatterND(b, int64(g, indices), values, reduction="add")


@tf_op("SparseReduceSum")
def sparse_reduce_sum(
    g: TFBuilder, indices: Value, values: Value, shape: Value, axes: Value, *, keep_dims: bool = False
) -> Value:
    """No axes: none of them (it is Python's tf.sparse.reduce_sum that then names all)."""
    found, chosen = dense(g, indices, values, shape, add=True), g.ints(axes, "the axes")
    return g.ReduceSum(found, chosen, keepdims=int(keep_dims)) if chosen else found


# ------------------------------------------------------------------ values against a dense tensor


def _there(g: TFBuilder, indices: Value, shape: Value, other: Value) -> Value:
    """What the dense tensor, broadcast to the sparse one's shape, has where the values are."""
    return g.GatherND(expanded(g, other, shape), int64(g, indices))


@tf_op("SparseDenseCwiseAdd")
def sparse_dense_add(g: TFBuilder, indices: Value, values: Value, shape: Value, other: Value) -> Value:
    return g.Add(values, _there(g, indices, shape, other))


@tf_op("SparseDenseCwiseMul")
def sparse_dense_mul(g: TFBuilder, indices: Value, values: Value, shape: Value, other: Value) -> Value:
    return g.Mul(values, _there(g, indices, shape, other))


@tf_op("SparseDenseCwiseDiv")
def sparse_dense_div(g: TFBuilder, indices: Value, values: Value, shape: Value, other: Value) -> Value:
    if values.dtype is None or values.dtype.kind != "f":
        raise g.unsupported(f"the quotient of {values.dtype}")
    return g.Div(values, _there(g, indices, shape, other))


# ------------------------------------------------------------------ other indices for the same values


def _products_after(g: TFBuilder, shape: Value) -> list[Value]:
    """For each axis how many elements one step in it passes over; each has the shape [1]."""
    found = [g.constant([1], np.int64)]
    for axis in range(shape.sizes[0] - 1, 0, -1):
        found.append(g.Mul(found[-1], part(g, shape, 0, axis, axis + 1)))
    return found[::-1]


def _numbers(g: TFBuilder, indices: Value, shape: Value) -> Value:
    """The place of each index in the flattened tensor."""
    strides = g.Concat(*_products_after(g, shape), axis=0)
    return g.ReduceSum(g.Mul(indices, strides), [1], keepdims=0)


@tf_op("SparseReshape")
def sparse_reshape(g: TFBuilder, indices: Value, shape: Value, new_shape: Value) -> tuple[Value, Value]:
    """One of the new sizes may be -1: what the others leave."""
    count, given = (g.ReduceProd(item, keepdims=1) for item in (shape, new_shape))
    new = g.Where(g.Equal(new_shape, [-1]), g.Div(count, g.Neg(given)), new_shape)
    with_sizes(new, new_shape.sizes)
    columns = _columns(g, _numbers(g, indices, shape), new)
    return g.Concat(*(g.Unsqueeze(column, [1]) for column in columns), axis=1), new


def _columns(g: TFBuilder, numbers: Value, shape: Value) -> list[Value]:
    """The index in each axis of what has these places in the flattened tensor."""
    sizes = [part(g, shape, 0, axis, axis + 1) for axis in range(shape.sizes[0])]
    return [g.Mod(g.Div(numbers, stride), size) for stride, size in zip(_products_after(g, shape), sizes, strict=True)]


@tf_op("UnravelIndex")
def unravel_index(g: TFBuilder, indices: Value, dims: Value) -> Value:
    numbers = int64(g, indices)
    columns = _columns(g, numbers, int64(g, dims))
    rows = [g.Unsqueeze(column, [0]) for column in columns] if indices.rank else columns
    return g.cast(g.Concat(*rows, axis=0), indices.dtype)


@tf_op("SparseReorder")
def sparse_reorder(g: TFBuilder, indices: Value, values: Value, shape: Value) -> tuple[Value, Value]:
    """Row by row."""
    order = _sorted_places(g, _numbers(g, indices, shape))
    return g.Gather(indices, order, axis=0), g.Gather(values, order, axis=0)


def _sorted_places(g: TFBuilder, keys: Value) -> Value:
    """The places of the keys in ascending order; TopK keeps equal ones in their order."""
    return g.TopK(keys, g.Shape(keys), axis=0, largest=0, sorted=1, outputs=2)[1]


@tf_op("SparseFillEmptyRows")
def sparse_fill_empty_rows(
    g: TFBuilder, indices: Value, values: Value, shape: Value, default_value: Value
) -> tuple[Value, ...]:
    """Rows without a value get one, the default, in column 0; all is ordered by rows.

    Also says which rows were empty, and where each given value went.
    """
    rows = g.Squeeze(part(g, indices, 1, 0, 1), [1])
    count = part(g, shape, 0, 0, 1)
    ones = g.Expand(np.int64(1), g.Shape(rows))
    filled = g.ScatterND(g.Expand(np.int64(0), count), g.Unsqueeze(rows, [1]), ones, reduction="add")
    is_empty = g.Equal(filled, [0])
    added = g.Compress(g.Range(np.int64(0), g.Squeeze(count, [0]), np.int64(1)), is_empty, axis=0)
    new = g.Pad(g.Unsqueeze(added, [1]), [0, 0, 0, shape.sizes[0] - 1])
    order = _sorted_places(g, g.Concat(rows, added, axis=0))
    defaults = g.Expand(default_value, g.Shape(added))
    places = g.ScatterElements(order, order, g.Range(np.int64(0), g.Size(order), np.int64(1)), axis=0)
    return (
        g.Gather(g.Concat(indices, new, axis=0), order, axis=0),
        g.Gather(g.Concat(values, defaults, axis=0), order, axis=0),
        is_empty,
        g.Slice(places, [0], g.Shape(rows), [0]),
    )


@tf_op("SparseSlice")
def sparse_slice(
    g: TFBuilder, indices: Value, values: Value, shape: Value, start: Value, size: Value
) -> tuple[Value, Value, Value]:
    """What lies in the box that begins at `start`, counted from there; the box ends where the tensor does."""
    end = g.Min(g.Add(start, size), shape)
    is_inside = g.And(g.GreaterOrEqual(indices, start), g.Less(indices, end))
    count = g.ReduceSum(g.Cast(is_inside, to=6), [1], keepdims=0)
    kept = g.Equal(count, np.int32(shape.sizes[0]))
    moved = g.Sub(g.Compress(indices, kept, axis=0), start)
    return moved, g.Compress(values, kept, axis=0), g.Max(g.Sub(end, start), [0])


@tf_op("SparseConcat")
def sparse_concat(g: TFBuilder, *inputs: Value, concat_dim: int) -> tuple[Value, Value, Value]:
    """Row by row, like SparseReorder."""
    count = len(inputs) // 3
    indices, values, shapes = (inputs[i * count : (i + 1) * count] for i in range(3))
    rank = shapes[0].sizes[0]
    chosen = np.eye(rank, dtype=np.int64)[concat_dim % rank]
    moved, offset = [], g.constant(np.zeros(rank, np.int64))
    for index, shape in zip(indices, shapes, strict=True):
        moved.append(g.Add(index, offset))
        offset = g.Add(offset, g.Mul(shape, chosen))
    whole = g.Add(g.Mul(shapes[0], 1 - chosen), offset)
    return *sparse_reorder(g, g.Concat(*moved, axis=0), g.Concat(*values, axis=0), whole), whole


@tf_op("SparseSoftmax")
def sparse_softmax(g: TFBuilder, indices: Value, values: Value, shape: Value) -> Value:
    """Over what is there of each row of the last axis."""
    places = _numbers(g, indices, shape)
    width = part(g, shape, 0, -1, LAST)
    row = g.Div(places, width)
    count = g.Div(g.ReduceProd(shape, keepdims=1), width)
    lowest = g.Expand(np.array(np.finfo(values.dtype).min, values.dtype), count)
    largest = g.ScatterElements(lowest, row, values, axis=0, reduction="max")
    powers = g.Exp(g.Sub(values, g.Gather(largest, row, axis=0)))
    sums = g.ScatterElements(g.Expand(np.zeros((), values.dtype), count), row, powers, axis=0, reduction="add")
    return g.Div(powers, g.Gather(sums, row, axis=0))
