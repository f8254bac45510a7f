"""Reading and writing by index. Semantics: MXNet's src/operator/tensor/indexing_op.h and sequence_*-inl.h."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.creation import FLOAT, filled
from netglot.frontends.mxnet.elementwise import number, truth
from netglot.frontends.mxnet.shape import slice_
from netglot.ir.graph import Value
from netglot.ir.types import text

Ints = tuple[int, ...]
Bounds = tuple[int | None, ...]


def whole(g: MXNetBuilder, indices: Value) -> Value:
    """Indices as int64; MXNet's are mostly floating point, and cut off."""
    return indices if indices.dtype == np.int32 else g.cast(indices, np.int64)


def within(g: MXNetBuilder, indices: Value, data: Value, axis: int, mode: str) -> Value:
    """Indices as `mode` takes those beyond the axis: "clip" the nearest, "wrap" around, "raise" are errors."""
    at = whole(g, indices)
    if mode == "raise":
        return at
    size = data.shape[axis] if data.shape else None
    count = np.array(size, at.dtype) if isinstance(size, int) else _size(g, data, axis, at.dtype)
    if mode == "wrap":
        return g.Mod(at, count)
    last = count - 1 if isinstance(count, np.ndarray) else g.Sub(count, np.array(1, at.dtype))
    return g.Max(g.Min(at, np.asarray(last) if isinstance(size, int) else last), np.array(0, at.dtype))


def _size(g: MXNetBuilder, data: Value, axis: int, dtype: np.dtype | None) -> Value:
    return g.cast(g.Squeeze(g.Shape(data, start=axis, end=axis + 1), [0]), dtype)


# -------------------------------------------------------------------------- reading


@mxnet_op("take", "_npi_take")
def take(
    g: MXNetBuilder, a: Value, indices: Value, *, axis: int = 0, mode: Literal["clip", "wrap", "raise"] = "clip"
) -> Value:
    at = g.axis(a, axis)
    return g.Gather(a, within(g, indices, a, at, mode), axis=at)


@mxnet_op("Embedding", "_npx_embedding", "_sparse_Embedding", "_contrib_SparseEmbedding")
def embedding(
    g: MXNetBuilder, data: Value, weight: Value, *, input_dim: int, output_dim: int, dtype: np.dtype = FLOAT,
    deterministic: bool = False,
) -> Value:  # fmt: skip
    """The rows of the weight; what is no row is the nearest one. dtype is that of the weight."""
    rows = g.parameter(weight, input_dim, output_dim)
    return g.Gather(rows, within(g, data, rows, 0, "clip"), axis=0)


@mxnet_op("pick", "_npx_pick", "choose_element_0index")
def pick(
    g: MXNetBuilder, data: Value, index: Value, *, axis: int | None = -1, keepdims: bool = False,
    mode: Literal["clip", "wrap"] = "clip",
) -> Value:  # fmt: skip
    """One element along the axis for each of the other positions."""
    if axis is None:
        raise g.unsupported("without axis")
    at = g.axis(data, axis)
    column = index if index.rank == data.rank else g.Unsqueeze(index, [at])
    y = g.GatherElements(data, within(g, column, data, at, mode), axis=at)
    return y if keepdims else g.Squeeze(y, [at])


@mxnet_op("batch_take")
def batch_take(g: MXNetBuilder, a: Value, indices: Value) -> Value:
    """One element of each row."""
    return pick(g, a, indices, axis=1)


@mxnet_op("one_hot", "_npx_one_hot")
def one_hot(
    g: MXNetBuilder, indices: Value, *, depth: int, on_value: float = 1.0, off_value: float = 0.0,
    dtype: np.dtype = FLOAT,
) -> Value:  # fmt: skip
    """An index beyond the depth is nowhere (ONNX's OneHot counts negative ones from the end)."""
    at = whole(g, indices)
    g.affordable(depth)
    hit = g.Equal(g.Unsqueeze(at, [-1]), np.arange(depth, dtype=at.dtype))
    return g.Where(hit, np.array(on_value).astype(dtype), np.array(off_value).astype(dtype))


def coordinates(g: MXNetBuilder, indices: Value) -> Value:
    """MXNet's coordinates are along the first axis, ONNX's along the last."""
    at = g.cast(indices, np.int64)
    return g.Transpose(at, perm=[*range(1, at.rank), 0])


@mxnet_op("gather_nd", "_npi_gather_nd", "_npx_gather_nd")
def gather_nd(g: MXNetBuilder, data: Value, indices: Value) -> Value:
    return g.GatherND(data, coordinates(g, indices))


@mxnet_op("where", "_sparse_where")
def where(g: MXNetBuilder, condition: Value, x: Value, y: Value) -> Value:
    """A vector of conditions is one for each row."""
    chosen = truth(g, condition)
    if condition.rank == 1 and x.rank > 1:
        chosen = g.Reshape(chosen, [-1] + [1] * (x.rank - 1))
    return g.Where(chosen, x, y)


@mxnet_op("_contrib_boolean_mask", "_npi_boolean_mask")
def boolean_mask(g: MXNetBuilder, data: Value, index: Value, *, axis: int = 0) -> Value:
    return g.Compress(data, truth(g, index), axis=g.axis(data, axis))


@mxnet_op("_contrib_index_array")
def index_array(g: MXNetBuilder, data: Value, *, axes: Ints | None = None) -> Value:
    """For each element its coordinates along the axes."""
    wanted = list(range(data.rank)) if axes is None else [g.axis(data, axis) for axis in axes]
    parts = [g.Unsqueeze(_coordinate(g, data, axis), [data.rank]) for axis in wanted]
    return g.Concat(*parts, axis=data.rank) if len(parts) > 1 else parts[0]


def _coordinate(g: MXNetBuilder, data: Value, axis: int) -> Value:
    along = g.Range(np.int64(0), _size(g, data, axis, np.dtype(np.int64)), np.int64(1))
    return g.Expand(g.Reshape(along, [-1] + [1] * (data.rank - 1 - axis)), g.Shape(data))


# -------------------------------------------------------------------------- writing


@mxnet_op("scatter_nd")
def scatter_nd(g: MXNetBuilder, data: Value, indices: Value, *, shape: Ints) -> Value:
    """Into zeros; which one stays of several for one place is as open as in ONNX."""
    assert data.dtype is not None
    return g.ScatterND(filled(g, shape, 0, data.dtype), coordinates(g, indices), data)


@mxnet_op("_contrib_index_copy")
def index_copy(g: MXNetBuilder, old_tensor: Value, index_vector: Value, new_tensor: Value) -> Value:
    """Rows of new_tensor take the places of rows of old_tensor."""
    return g.ScatterND(old_tensor, g.Unsqueeze(g.cast(index_vector, np.int64), [1]), new_tensor)


@mxnet_op("_slice_assign", "_crop_assign", "_npi_slice_assign")
def slice_assign(g: MXNetBuilder, lhs: Value, rhs: Value, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> Value:
    """The slice of lhs becomes rhs."""
    places = _places(g, lhs, begin, end, step)
    flat = g.Reshape(g.Expand(rhs, g.Shape(places)), [-1])
    return _assigned(g, lhs, places, flat)


@mxnet_op("_slice_assign_scalar", "_crop_assign_scalar", "_npi_slice_assign_scalar")
def slice_assign_scalar(
    g: MXNetBuilder, data: Value, *, begin: Bounds, end: Bounds, step: Bounds = (), scalar: float = 0.0
) -> Value:
    places = _places(g, data, begin, end, step)
    return _assigned(g, data, places, g.Expand(number(data, scalar), g.Size(g.Reshape(places, [-1]))))


def _places(g: MXNetBuilder, x: Value, begin: Bounds, end: Bounds, step: Bounds) -> Value:
    """The numbers of the elements of x that are in the slice."""
    if x.shape is None or not all(isinstance(size, int) for size in x.shape):
        raise g.unsupported(f"into a tensor of {text(x.shape)}, whose size must be known")
    count = int(np.prod(g.affordable(*x.sizes)))
    numbers = g.constant(np.arange(count, dtype=np.int64).reshape(x.sizes))
    return slice_(g, numbers, begin=begin, end=end, step=step)


def _assigned(g: MXNetBuilder, x: Value, places: Value, values: Value) -> Value:
    flat = g.ScatterElements(g.Reshape(x, [-1]), g.Reshape(places, [-1]), values, axis=0)
    return g.reshaped(flat, x.sizes)


# ------------------------------------------------------------------- numbers of elements


@mxnet_op("_ravel_multi_index", "ravel_multi_index")
def ravel_multi_index(g: MXNetBuilder, data: Value, *, shape: Ints) -> Value:
    """The number of the element at the coordinates, which are along the first axis."""
    strides = _strides(shape).reshape(-1, *[1] * (data.rank - 1))
    if data.shape is not None and isinstance(data.shape[0], int) and data.shape[0] != len(shape):
        raise ConversionError(f"{data.shape[0]} coordinates in a tensor of rank {len(shape)}", g.origin)
    total = g.ReduceSum(g.Mul(whole(g, data), strides.astype(whole(g, data).dtype)), [0], keepdims=0)
    return g.cast(total, data.dtype)


@mxnet_op("_unravel_index", "unravel_index")
def unravel_index(g: MXNetBuilder, data: Value, *, shape: Ints) -> Value:
    """The coordinates of the element of that number, along a new first axis."""
    if data.rank != 1:
        raise g.unsupported(f"of a tensor of rank {data.rank}: MXNet keeps only its first column")
    at = g.Unsqueeze(whole(g, data), [0])
    form = (-1, *[1] * data.rank)
    quotients = g.Div(at, _strides(shape).reshape(form).astype(at.dtype))
    sizes = np.array([np.iinfo(np.int32).max, *shape[1:]])  # the first size sets no limit
    return g.cast(g.Mod(quotients, sizes.reshape(form).astype(at.dtype)), data.dtype)


def _strides(shape: Ints) -> np.ndarray:
    return np.array([int(np.prod(shape[i + 1 :])) for i in range(len(shape))], np.int64)


# ------------------------------------------------------------------------- sequences


def _lengths(g: MXNetBuilder, length: Value | None) -> Value:
    if length is None:
        raise ConversionError("use_sequence_length without the lengths", g.origin)
    return g.cast(length, np.int64)


@mxnet_op("SequenceMask", "_npx_sequence_mask")
def sequence_mask(
    g: MXNetBuilder, data: Value, sequence_length: Value | None = None, *, use_sequence_length: bool = False,
    value: float = 0.0, axis: int = 0,
) -> Value:  # fmt: skip
    """What comes after the end of each sequence becomes `value`. The axis is that of time; 1 - axis is the batch."""
    if not use_sequence_length:
        return data
    steps = g.Range(np.int64(0), _size(g, data, axis, np.dtype(np.int64)), np.int64(1))
    inside = g.Less(g.Unsqueeze(steps, [1 - axis]), g.Unsqueeze(_lengths(g, sequence_length), [axis]))
    inside = g.Unsqueeze(inside, list(range(2, data.rank))) if data.rank > 2 else inside
    return g.Where(inside, data, number(data, value))


@mxnet_op("SequenceLast")
def sequence_last(
    g: MXNetBuilder, data: Value, sequence_length: Value | None = None, *, use_sequence_length: bool = False,
    axis: int = 0,
) -> Value:  # fmt: skip
    if not use_sequence_length:
        return g.Gather(data, np.array(-1, np.int64), axis=axis)
    rows = data if axis else g.Transpose(data, perm=[1, 0, *range(2, data.rank)])
    last = g.Sub(_lengths(g, sequence_length), np.array(1, np.int64))
    return g.GatherND(rows, g.Unsqueeze(last, [1]), batch_dims=1)


@mxnet_op("SequenceReverse")
def sequence_reverse(
    g: MXNetBuilder, data: Value, sequence_length: Value | None = None, *, use_sequence_length: bool = False,
    axis: int = 0,
) -> Value:  # fmt: skip
    if axis != 0:
        raise g.unsupported("along another axis than the first")
    if not use_sequence_length:
        return slice_(g, data, begin=(None,), end=(None,), step=(-1,))
    return g.ReverseSequence(data, _lengths(g, sequence_length), batch_axis=1, time_axis=0)
