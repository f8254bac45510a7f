"""Reading elements: slices, selections, advanced indexing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.movement import MOVES, broadcast, broadcast_sizes, expanded, reckon, sizes_of, through
from netglot.frontends.pytorch.operators.shape import LAST, diagonal, memory_places, permuted, ravel, unsqueeze
from netglot.ir.graph import Value

# ------------------------------------------------------------------------- slices


@aten("slice.Tensor", "slice_copy.Tensor")
def slice_tensor(
    g: TorchBuilder, x: Value, *, dim: int = 0, start: Size | None = None, end: Size | None = None, step: Size = 1
) -> Value:
    axis = g.axis(dim, x.rank)
    first, last = 0 if start is None else start, LAST if end is None else end
    if _is_all(g.size(x, axis), first, last, step):
        return x
    steps = g.shape([step])
    return g.Slice(x, g.shape([first]), g.shape([last]), np.array([axis], np.int64), steps)


def _is_all(size: Size, start: Size, end: Size, step: Size) -> bool:
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int)):
        return False
    return start == 0 and step == 1 and (end == LAST or (isinstance(size, int) and end >= size))


@aten("select.int", "select_copy.int")
def select(g: TorchBuilder, x: Value, *, dim: int, index: Size) -> Value:
    axis = g.axis(dim, x.rank)
    return g.Gather(x, g.constant(np.array(index, np.int64)) if isinstance(index, int) else index, axis=axis)


@aten("unbind.int", "unbind_copy.int")
def unbind(g: TorchBuilder, x: Value, *, dim: int = 0) -> list[Value]:
    size = g.size(x, dim)
    if not isinstance(size, int):
        if not any(meta is not None for meta in g.metas):
            raise g.unsupported("an axis of open size: into how many tensors is not known")
        size = len(g.metas)
    return [select(g, x, dim=dim, index=i) for i in range(size)]


@aten("narrow", "narrow_copy")
def narrow(g: TorchBuilder, x: Value, *, dim: int, start: Size, length: Size) -> Value:
    size = g.size(x, dim)
    if isinstance(start, int):
        first = start if start >= 0 else reckon(g, "Add", size, start)
    else:
        first = g.as_size(g.Where(g.Less(start, 0), reckon(g, "Add", start, size), start))
    return slice_tensor(g, x, dim=dim, start=first, end=reckon(g, "Add", first, length))


@aten("narrow.Tensor", order="self dim start length")
def narrow_tensor(g: TorchBuilder, x: Value, start: Value, *, dim: int, length: Size) -> Value:
    return narrow(g, x, dim=dim, start=g.as_size(start), length=length)


# ------------------------------------------------------------------------- by one index


def one_axis(g: TorchBuilder, x: Value) -> Value:
    """`x` with at least one axis."""
    return g.view(x, [1]) if x.rank == 0 else x


@aten("index_select", order="self dim index")
def index_select(g: TorchBuilder, x: Value, index: Value, *, dim: int) -> Value:
    y = g.Gather(one_axis(g, x), whole(g, one_axis(g, index)), axis=g.axis(dim, x.rank))
    return g.view(y, []) if x.rank == 0 else y


def whole(g: TorchBuilder, index: Value) -> Value:
    """Indices of a type that ONNX takes."""
    return index if index.dtype == np.int32 else g.cast(index, np.int64)


@aten("take")
def take(g: TorchBuilder, x: Value, index: Value) -> Value:
    return g.Gather(ravel(g, one_axis(g, x)), whole(g, index), axis=0)


@aten("gather", order="self dim index")
def gather(g: TorchBuilder, x: Value, index: Value, *, dim: int, sparse_grad: bool = False) -> Value:
    axis = g.axis(dim, x.rank)
    y = g.GatherElements(one_axis(g, x), whole(g, one_axis(g, index)), axis=axis)
    return y if index.rank else g.view(y, [])


@aten("take_along_dim")
def take_along_dim(g: TorchBuilder, x: Value, indices: Value, *, dim: int | None = None) -> Value:
    if dim is None:
        return gather(g, ravel(g, one_axis(g, x)), ravel(g, one_axis(g, indices)), dim=0)
    axis = g.axis(dim, x.rank)
    sizes = broadcast_sizes(g, _first_of(g, x, axis), _first_of(g, indices, axis))
    x, indices = (expanded(g, t, [*sizes[:axis], -1, *sizes[axis + 1 :]]) for t in (x, indices))
    return gather(g, x, indices, dim=axis)


def _first_of(g: TorchBuilder, x: Value, axis: int) -> Value:
    """What has the sizes of `x` but 1 along the axis, which does not take part in broadcasting."""
    return x if (x.shape or ())[axis] == 1 else g.Slice(x, [0], [1], [axis])


# ------------------------------------------------------------------------- by truth values


@aten("nonzero", "argwhere")
def nonzero(g: TorchBuilder, x: Value) -> Value:
    """One row of coordinates for each element that is not zero."""
    if x.rank == 0:
        count = g.Reshape(g.Cast(g.cast(x, np.bool_), to=7), np.array([1], np.int64))
        return g.ConstantOfShape(g.Concat(count, np.array([0], np.int64), axis=0), value=np.zeros(1, np.int64))
    return g.Transpose(_places(g, x), perm=[1, 0])


def _places(g: TorchBuilder, mask: Value) -> Value:
    return g.NonZero(mask if mask.dtype in (np.float32, np.int32, np.int64) else g.cast(mask, np.bool_))


@aten("nonzero_numpy", "where")
def nonzero_numpy(g: TorchBuilder, x: Value) -> list[Value]:
    """The coordinates axis by axis."""
    return _rows(g, _places(g, one_axis(g, x)), max(x.rank, 1))


def _rows(g: TorchBuilder, places: Value, count: int) -> list[Value]:
    return [g.Gather(places, np.array(i), axis=0) for i in range(count)]


@aten("nonzero_static")
def nonzero_static(g: TorchBuilder, x: Value, *, size: Size, fill_value: int = -1) -> Value:
    """As nonzero, cut or filled up to `size` rows."""
    fill = g.Expand(np.array(fill_value, np.int64), g.shape([size, x.rank]))
    return g.Slice(g.Concat(nonzero(g, x), fill, axis=0), [0], g.shape([size]), [0])


@aten("masked_select")
def masked_select(g: TorchBuilder, x: Value, mask: Value) -> Value:
    x, mask = broadcast(g, one_axis(g, x), one_axis(g, mask))
    return through(g, MOVES, lambda value: g.Compress(value, ravel(g, mask), axis=0), ravel(g, x))


# ------------------------------------------------------------------------- advanced indexing


@dataclass(frozen=True)
class Places:
    """What an index of tensors means: `index` int64 [..., k] holds coordinates along the k `axes` of the tensor.

    `front`: at which axis of the result (or of the values that are written) the axes of the index stand.
    """

    axes: list[int]
    index: Value
    front: int

    def order(self, rank: int) -> list[int]:
        """The axes of the tensor, the indexed ones first."""
        return [*self.axes, *(axis for axis in range(rank) if axis not in self.axes)]


def is_mask(index: Value | None) -> bool:
    return index is not None and index.dtype in (np.bool_, np.uint8)


def places(g: TorchBuilder, indices: Sequence[Value | None]) -> Places:
    """Advanced indices: masks become coordinates, and all are broadcast to one shape.

    As in NumPy, the axes of the index replace the indexed ones where these are neighbours, otherwise they go first.
    """
    axes: list[int] = []
    coordinates: list[Value] = []
    axis = 0
    for index in indices:
        if index is None:
            axis += 1
            continue
        found = _rows_of_mask(g, index) if is_mask(index) else [index]
        axes += range(axis, axis + len(found))
        coordinates += found
        axis += len(found)
    neighbours = axes == list(range(axes[0], axes[0] + len(axes)))
    return Places(axes, _stacked(g, indices, coordinates), axes[0] if neighbours else 0)


def _rows_of_mask(g: TorchBuilder, mask: Value) -> list[Value]:
    if mask.rank == 0:
        raise g.unsupported("an index that is a single truth value")
    return _rows(g, _places(g, mask), mask.rank)


def _stacked(g: TorchBuilder, indices: Sequence[Value | None], coordinates: list[Value]) -> Value:
    given = [index for index in indices if index is not None]
    if len(given) == 1 and is_mask(given[0]):
        return nonzero(g, given[0])
    whole = [g.cast(index, np.int64) for index in coordinates]
    if len(whole) == 1:
        return g.Unsqueeze(whole[0], [-1])
    return g.Concat(*[g.Unsqueeze(index, [-1]) for index in broadcast(g, *whole)], axis=-1)


@aten("index.Tensor", "_unsafe_index.Tensor")
def index_tensor(g: TorchBuilder, x: Value, indices: list[Value | None]) -> Value:
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if not given:
        return x
    axis, only = given[0]
    if len(given) == 1 and not is_mask(only):
        return g.Gather(x, whole(g, only), axis=axis)
    if len(given) == 1 and only.rank == 1:
        return through(g, MOVES, lambda value: g.Compress(value, g.cast(only, np.bool_), axis=axis), x)
    at = places(g, indices)
    y = g.GatherND(permuted(g, x, at.order(x.rank)), at.index)
    return permuted(g, y, _back(at.index.rank - 1, at.front, y.rank))


def _back(count: int, front: int, rank: int) -> list[int]:
    """The permutation that moves the first `count` axes behind the `front` axes that follow them."""
    return [*range(count, count + front), *range(count), *range(count + front, rank)]


# ------------------------------------------------------------------------- a part replaced


@aten("slice_scatter")
def slice_scatter(
    g: TorchBuilder, x: Value, src: Value, *, dim: int = 0, start: Size | None = None, end: Size | None = None,
    step: Size = 1,
) -> Value:  # fmt: skip
    """`x` with `src` in the place of a slice."""
    axis, src = g.axis(dim, x.rank), g.cast(src, x.dtype)
    size, first, last = g.size(x, axis), 0 if start is None else start, LAST if end is None else end
    if _is_all(size, first, last, step):
        return expanded(g, src, sizes_of(g, x))
    if isinstance(size, int) and isinstance(first, int) and isinstance(last, int) and isinstance(step, int):
        return _replaced(g, x, src, np.arange(size)[first:last:step], axis)
    every = g.Range(0, size, 1)
    places = g.Slice(every, g.shape([first]), g.shape([last]), [0], g.shape([step]))
    return _written(g, x, src, places, axis)


@aten("select_scatter")
def select_scatter(g: TorchBuilder, x: Value, src: Value, *, dim: int, index: Size) -> Value:
    axis, size = g.axis(dim, x.rank), g.size(x, dim)
    src = unsqueeze(g, g.cast(src, x.dtype), dim=axis)
    if isinstance(size, int) and isinstance(index, int):
        return _replaced(g, x, src, np.array([index % size]), axis)
    return _written(g, x, src, g.shape([index]), axis)


def _replaced(g: TorchBuilder, x: Value, src: Value, places: np.ndarray, axis: int) -> Value:
    """`x` with the slices of `src` at `places` along the axis: a choice among those of both."""
    size = g.known(g.size(x, axis), "the size of the axis")
    if not places.size:
        return x
    if places.size == size and np.array_equal(places, np.arange(size)):
        return expanded(g, src, sizes_of(g, x))
    order = np.arange(size, dtype=np.int64)
    order[places] = size + np.arange(places.size)
    return g.Gather(g.Concat(x, src, axis=axis), order, axis=axis)


def _written(g: TorchBuilder, x: Value, src: Value, places: Value, axis: int) -> Value:
    """As _replaced, with places [n] that the network computes."""
    column = g.Reshape(places, [-1 if i == axis else 1 for i in range(x.rank)])
    sizes = [*sizes_of(g, x)[:axis], -1, *sizes_of(g, x)[axis + 1 :]]
    return g.ScatterElements(x, expanded(g, column, sizes), expanded(g, src, sizes), axis=axis)


@aten("diagonal_scatter")
def diagonal_scatter(
    g: TorchBuilder, x: Value, src: Value, *, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:  # fmt: skip
    sizes = [g.known(size, "a size") for size in sizes_of(g, x)]
    every = g.constant(np.arange(np.prod(g.affordable(*sizes)), dtype=np.int64).reshape(sizes))
    return _in_memory(g, x, src, g.static(diagonal(g, every, offset=offset, dim1=dim1, dim2=dim2), "the diagonal"))


@aten("as_strided_scatter")
def as_strided_scatter(
    g: TorchBuilder, x: Value, src: Value, *, size: Sequence[Size], stride: Sequence[Size],
    storage_offset: Size | None = None,
) -> Value:  # fmt: skip
    places = memory_places(g, x, size, stride, storage_offset)
    if np.unique(places).size != places.size:
        raise g.unsupported("places that overlap")
    return _in_memory(g, x, src, places)


def _in_memory(g: TorchBuilder, x: Value, src: Value, places: np.ndarray) -> Value:
    """`src` written to places of the flattened `x`."""
    flat = _replaced(g, ravel(g, x), ravel(g, g.cast(src, x.dtype)), places.ravel(), 0)
    return g.view(flat, sizes_of(g, x))
