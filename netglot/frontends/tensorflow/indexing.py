"""Parts of tensors by position: slices, gathering, scattering, partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.movement import FIRST, LAST, part
from netglot.frontends.tensorflow.shape import expanded, int64, wanted_sizes, with_sizes
from netglot.ir.graph import Value
from netglot.ir.types import Dim

Bound = int | Value  # a position that is known, or computed: int64, of the shape [1]

# ------------------------------------------------------------------ slices


@dataclass(frozen=True)
class Cut:
    """What is taken of one axis."""

    axis: int
    start: Bound
    end: Bound
    step: int = 1


def cut_out(g: TFBuilder, x: Value, cuts: Sequence[Cut]) -> Value:
    """All the cuts in one Slice."""
    if not cuts:
        return x
    starts, ends = (_joined(g, [getattr(cut, name) for cut in cuts]) for name in ("start", "end"))
    y: Value = g.Slice(x, starts, ends, [cut.axis for cut in cuts], [cut.step for cut in cuts])
    touched = {cut.axis for cut in cuts}
    return with_sizes(y, [None if axis in touched else dim for axis, dim in enumerate(x.shape or ())])


def _joined(g: TFBuilder, bounds: Sequence[Bound]) -> Value:
    if all(isinstance(item, int) for item in bounds):
        return g.constant(np.array(bounds, np.int64))
    parts = [item if isinstance(item, Value) else g.constant([item], np.int64) for item in bounds]
    return parts[0] if len(parts) == 1 else g.Concat(*parts, axis=0)


def _element(g: TFBuilder, x: Value, index: int) -> Bound:
    """Element `index` of a list of positions."""
    known = g.contents(x)
    dim = known[index] if known is not None else None
    return dim if isinstance(dim, int) else int64(g, part(g, x, 0, index, index + 1))


@tf_op("Slice")
def slice_(g: TFBuilder, x: Value, begin: Value, size: Value) -> Value:
    """A size of -1 is all that is left."""
    sizes = wanted_sizes(g, size) or (None,) * x.rank
    known = g.contents(begin) or (None,) * x.rank
    found = zip(known, sizes, x.shape or (), strict=True)
    is_whole = [at == 0 and (n == -1 or (n is not None and n == dim)) for at, n, dim in found]
    axes = [axis for axis in range(x.rank) if not is_whole[axis]]
    cuts = [_sized(g, axis, _element(g, begin, axis), _element(g, size, axis)) for axis in axes]
    return with_sizes(cut_out(g, x, cuts), sizes)


def _sized(g: TFBuilder, axis: int, start: Bound, size: Bound) -> Cut:
    if isinstance(start, int) and isinstance(size, int):
        return Cut(axis, start, LAST if size == -1 else start + size)
    if isinstance(size, int):
        return Cut(axis, start, LAST if size == -1 else g.Add(start, [size]))
    end = g.Add(size, start if isinstance(start, Value) else [start])
    return Cut(axis, start, g.Where(g.Equal(size, [-1]), [LAST], end))


@dataclass(frozen=True)
class Item:
    """One entry of a StridedSlice: which one, for which axis of the input; or a new axis before that one."""

    index: int
    axis: int
    is_single: bool = False
    is_new: bool = False


def _items(g: TFBuilder, x: Value, count: int, ellipsis: int, new_axis: int, shrink: int) -> Iterator[Item]:
    """The entries that say something. An ellipsis outweighs a new axis, which outweighs a single position."""
    axis = 0
    hidden = [i for i in range(count) if ellipsis >> i & 1]
    taken = sum(not (new_axis >> i & 1) for i in range(count) if i not in hidden)
    if taken > x.rank or len(hidden) > 1:
        raise g.unsupported(f"{taken} positions in a tensor of rank {x.rank}")
    for i in range(count):
        if i in hidden:
            axis += x.rank - taken
        elif new_axis >> i & 1:
            yield Item(i, axis, is_new=True)
        else:
            yield Item(i, axis, bool(shrink >> i & 1))
            axis += 1


@tf_op("StridedSlice")
def strided_slice(
    g: TFBuilder, x: Value, begin: Value, end: Value, strides: Value, *, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
) -> Value:  # fmt: skip
    """x[begin:end:strides] of NumPy; the masks have a bit for each entry (tensorflow/core/util/strided_slice_op.cc)."""
    steps = g.ints(strides, "the strides")
    items = list(_items(g, x, len(steps), ellipsis_mask, new_axis_mask, shrink_axis_mask))
    cuts, single = [], []
    for item in (item for item in items if not item.is_new):
        if item.is_single:
            cuts.append(_single(g, item.axis, _element(g, begin, item.index)))
            single.append(item.axis)
        else:
            start = None if begin_mask >> item.index & 1 else _element(g, begin, item.index)
            stop = None if end_mask >> item.index & 1 else _stop(g, x, item, end, steps[item.index])
            cuts += _range(g, x, item.axis, start, stop, steps[item.index])
    y = cut_out(g, x, cuts)
    y = g.Squeeze(y, single) if single else y
    new = _new_axes(items)
    return g.Unsqueeze(y, new) if new else y


def _new_axes(items: Sequence[Item]) -> list[int]:
    """Where in the result the new axes are: behind the axes that stay, and the new ones before."""
    found: list[int] = []
    single = 0
    for item in items:
        if item.is_new:
            found.append(item.axis - single + len(found))
        single += item.is_single
    return found


def _stop(g: TFBuilder, x: Value, item: Item, end: Value, step: int) -> Bound | None:
    """The end, or None where it is known to be that of the axis."""
    known, axis = g.contents(end), item.axis
    dim = known[item.index] if known is not None else None
    is_whole = isinstance(dim, str) and step > 0 and x.shape is not None and x.shape[axis] == dim
    return None if is_whole else _element(g, end, item.index)


def _single(g: TFBuilder, axis: int, start: Bound) -> Cut:
    """One position; the last is -1, whose end is no 0."""
    if isinstance(start, int):
        return Cut(axis, start, LAST if start == -1 else start + 1)
    return Cut(axis, start, g.Where(g.Equal(start, [-1]), [LAST], g.Add(start, [1])))


def _range(g: TFBuilder, x: Value, axis: int, start: Bound | None, end: Bound | None, step: int) -> list[Cut]:
    dim: Dim = (x.shape or ())[axis]
    if step > 0 and start in (None, 0) and (end is None or (isinstance(end, int) and end == dim)) and step == 1:
        return []
    if step > 0:
        return [Cut(axis, 0 if start is None else start, LAST if end is None else end, step)]
    if isinstance(start, int) and isinstance(dim, int) and start < -dim:  # ONNX would begin with the first element
        return [Cut(axis, 0, 0)]
    if start is not None and not (isinstance(start, int) and (start >= -1 or isinstance(dim, int))):
        raise g.unsupported("a slice that runs backwards from a position that is known only when it runs")
    return [Cut(axis, LAST if start is None else start, FIRST if end is None else end, step)]


@tf_op("TensorStridedSliceUpdate")
def strided_slice_update(
    g: TFBuilder, x: Value, begin: Value, end: Value, strides: Value, value: Value, *, begin_mask: int = 0,
    end_mask: int = 0, ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
) -> Value:  # fmt: skip
    """The slice of x's element numbers says where the values go."""
    count = int(np.prod(g.affordable(*x.sizes)))
    numbers = g.constant(np.arange(count, dtype=np.int64).reshape(x.sizes))
    where = strided_slice(
        g, numbers, begin, end, strides, begin_mask=begin_mask, end_mask=end_mask, ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask, shrink_axis_mask=shrink_axis_mask,
    )  # fmt: skip
    flat = g.Reshape(where, [-1])
    values = g.Reshape(g.Expand(value, g.Shape(where)), [-1])
    return g.reshaped(g.ScatterElements(g.Reshape(x, [-1]), flat, values, axis=0), x.sizes)


# ------------------------------------------------------------------ gathering


def _indices(g: TFBuilder, indices: Value) -> Value:
    return indices if indices.dtype in (np.dtype(np.int32), np.dtype(np.int64)) else int64(g, indices)


@tf_op("Gather")
def gather(g: TFBuilder, params: Value, indices: Value, *, validate_indices: bool = True) -> Value:
    return g.Gather(params, _indices(g, indices), axis=0)


@tf_op("GatherV2")
def gather_v2(g: TFBuilder, params: Value, indices: Value, axis: Value, *, batch_dims: int = 0) -> Value:
    at = g.axis(params, g.ints(axis, "the axis")[0])
    batch = batch_dims + indices.rank if batch_dims < 0 else batch_dims
    if batch == 0:
        return g.Gather(params, _indices(g, indices), axis=at)
    return _gathered_in_batches(g, params, indices, at, batch)


def _gathered_in_batches(g: TFBuilder, params: Value, indices: Value, axis: int, batch: int) -> Value:
    """GatherND, for which the axis must follow the batch axes; what stood between goes back to where it was."""
    if axis != batch:
        rest = [other for other in range(batch, params.rank) if other != axis]
        params = g.Transpose(params, perm=[*range(batch), axis, *rest])
    y: Value = g.GatherND(params, g.Unsqueeze(int64(g, indices), [indices.rank]), batch_dims=batch)
    if axis == batch:
        return y
    first, between = indices.rank, axis - batch  # the axes of y: those of indices, those between, those behind
    rank = params.rank + indices.rank - batch - 1
    perm = [*range(batch), *range(first, first + between), *range(batch, first), *range(first + between, rank)]
    return g.Transpose(with_sizes(y, (None,) * rank), perm=perm)


@tf_op("GatherNd")
def gather_nd(g: TFBuilder, params: Value, indices: Value, *, bad_indices_policy: str = "") -> Value:
    _require_strict(g, bad_indices_policy)
    if indices.shape is not None and indices.shape[-1] == 0:
        raise g.unsupported("indices of no axes")
    return g.GatherND(params, int64(g, indices))


def _require_strict(g: TFBuilder, policy: str) -> None:
    if policy not in ("", "DEFAULT", "ERROR"):
        raise g.unsupported(f"the policy {policy} for indices outside of the tensor")


# ------------------------------------------------------------------ scattering


@tf_op("ScatterNd")
def scatter_nd(g: TFBuilder, indices: Value, updates: Value, shape: Value, *, bad_indices_policy: str = "") -> Value:
    """Updates of one place add up."""
    _require_strict(g, bad_indices_policy)
    zeros = expanded(g, g.constant(np.zeros((), updates.dtype)), shape)
    return g.ScatterND(zeros, int64(g, indices), updates, reduction="add")


@tf_op("TensorScatterUpdate")
def tensor_scatter_update(
    g: TFBuilder, x: Value, indices: Value, updates: Value, *, bad_indices_policy: str = ""
) -> Value:
    return _scattered(g, x, indices, updates, "none", bad_indices_policy)


@tf_op("TensorScatterAdd", "ScatterNdNonAliasingAdd")
def tensor_scatter_add(
    g: TFBuilder, x: Value, indices: Value, updates: Value, *, bad_indices_policy: str = ""
) -> Value:
    return _scattered(g, x, indices, updates, "add", bad_indices_policy)


@tf_op("TensorScatterSub")
def tensor_scatter_sub(
    g: TFBuilder, x: Value, indices: Value, updates: Value, *, bad_indices_policy: str = ""
) -> Value:
    return _scattered(g, x, indices, g.Neg(updates), "add", bad_indices_policy)


@tf_op("TensorScatterMax")
def tensor_scatter_max(
    g: TFBuilder, x: Value, indices: Value, updates: Value, *, bad_indices_policy: str = ""
) -> Value:
    return _scattered(g, x, indices, updates, "max", bad_indices_policy)


@tf_op("TensorScatterMin")
def tensor_scatter_min(
    g: TFBuilder, x: Value, indices: Value, updates: Value, *, bad_indices_policy: str = ""
) -> Value:
    return _scattered(g, x, indices, updates, "min", bad_indices_policy)


def _scattered(g: TFBuilder, x: Value, indices: Value, updates: Value, reduction: str, policy: str) -> Value:
    _require_strict(g, policy)
    return g.ScatterND(x, int64(g, indices), updates, reduction=reduction)


@tf_op("InplaceUpdate")
def inplace_update(g: TFBuilder, x: Value, rows: Value, values: Value) -> Value:
    return g.ScatterND(x, g.Unsqueeze(int64(g, rows), [1]), values)


@tf_op("InplaceAdd")
def inplace_add(g: TFBuilder, x: Value, rows: Value, values: Value) -> Value:
    return g.ScatterND(x, g.Unsqueeze(int64(g, rows), [1]), values, reduction="add")


@tf_op("InplaceSub")
def inplace_sub(g: TFBuilder, x: Value, rows: Value, values: Value) -> Value:
    return inplace_add(g, x, rows, g.Neg(values))


# ------------------------------------------------------------------ partitions


@tf_op("Where")
def where(g: TFBuilder, condition: Value) -> Value:
    """The indices of what is true or not 0, one a row."""
    is_true = g.cast(condition, np.bool_)
    return with_sizes(g.Transpose(g.NonZero(is_true), perm=(1, 0)), (None, condition.rank))


@tf_op("DynamicPartition")
def dynamic_partition(g: TFBuilder, data: Value, partitions: Value, *, num_partitions: int) -> tuple[Value, ...]:
    flat, rows = g.Reshape(partitions, [-1]), flat_rows(g, data, partitions.rank)
    return tuple(g.Compress(rows, g.Equal(flat, np.int32(i)), axis=0) for i in range(num_partitions))


def flat_rows(g: TFBuilder, data: Value, count: int) -> Value:
    """`data` with its first `count` axes as one."""
    if count == 1:
        return data
    if count == 0:
        return g.Unsqueeze(data, [0])
    rest = (data.shape or ())[count:]
    if all(isinstance(dim, int) for dim in rest):
        return g.reshaped(data, [None, *rest])
    y = g.Reshape(data, g.Concat(np.array([-1], np.int64), g.Shape(data, start=count), axis=0), allowzero=1)
    return with_sizes(y, (None, *rest))


@tf_op("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(g: TFBuilder, *inputs: Value) -> Value:
    """Rows of all the data, each to its index; of several for one index the last one stays.

    What no row goes to is not defined in TensorFlow; where the indices are computed it is the first row here.
    """
    indices, data = inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]
    flat = [g.Reshape(index, [-1]) for index in indices]
    rows = [flat_rows(g, item, index.rank) for item, index in zip(data, indices, strict=True)]
    all_rows = g.Concat(*rows, axis=0) if len(rows) > 1 else rows[0]
    return g.Gather(all_rows, _winners(g, g.Concat(*flat, axis=0) if len(flat) > 1 else flat[0]), axis=0)


def _winners(g: TFBuilder, index: Value) -> Value:
    """For each place the number of the last row that goes there."""
    if not index.is_constant:
        index = int64(g, index)
        count = g.Add(g.ReduceMax(index, keepdims=1), [1])
        numbers = g.Range(np.int64(0), g.Size(index), np.int64(1))
        return g.ScatterElements(g.Expand(np.int64(0), count), index, numbers, axis=0, reduction="max")
    places = index.array.tolist()
    g.affordable(max(places, default=-1) + 1)
    last = {place: row for row, place in enumerate(places)}
    if sorted(last) != list(range(len(last))):
        raise g.unsupported("some rows of the result are given no data")
    return g.constant([last[place] for place in range(len(last))], np.int64)
