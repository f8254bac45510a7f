"""Operators that move elements and change none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.movement import MOVES, broadcast, expanded, reckon, sizes_of, through, where
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

LAST = np.iinfo(np.int64).max  # the end of a slice that goes to the end
_FRONT = np.iinfo(np.int64).min


# ------------------------------------------------------------------------- views


@aten("view", "_unsafe_view", "view_copy")
def view(g: TorchBuilder, x: Value, *, size: Sequence[Size]) -> Value:
    return g.view(x, size)


@aten("reshape")
def reshape(g: TorchBuilder, x: Value, *, shape: Sequence[Size]) -> Value:
    return g.view(x, shape)


@aten("_reshape_alias", "_reshape_alias_copy")
def reshape_alias(g: TorchBuilder, x: Value, *, size: Sequence[Size], stride: Sequence[Size]) -> Value:
    """The strides are those that a view of this size has; they say nothing of the elements."""
    return g.view(x, size)


@aten("view_as", "reshape_as")
def view_as(g: TorchBuilder, x: Value, other: Value) -> Value:
    return g.view(x, sizes_of(g, other))


@aten("view.dtype", "view_copy.dtype")
def view_dtype(g: TorchBuilder, x: Value, *, dtype: np.dtype) -> Value:
    """The same bits read as another type; torch splits or joins elements where the sizes differ."""
    if x.dtype == dtype:
        return x
    if x.dtype is None or x.dtype.itemsize != dtype.itemsize:
        raise g.unsupported(f"{x.dtype} seen as {dtype}, whose elements have another size")
    if np.dtype(np.bool_) in (x.dtype, dtype):
        raise g.unsupported(f"{x.dtype} seen as {dtype}: the bits of truth values are torch's own")
    return g.BitCast(x, to=to_onnx(dtype))


@aten("alias", "alias_copy", "detach", "detach_copy")
def alias(g: TorchBuilder, x: Value) -> Value:
    return x


@aten("flatten.using_ints")
def flatten(g: TorchBuilder, x: Value, *, start_dim: int = 0, end_dim: int = -1) -> Value:
    if x.rank == 0:
        return g.view(x, [1])
    start, end = g.axis(start_dim, x.rank), g.axis(end_dim, x.rank)
    if end <= start:
        return x
    sizes = sizes_of(g, x)
    return g.view(x, [*sizes[:start], _product(sizes[start : end + 1]), *sizes[end + 1 :]])


def _product(sizes: Sequence[Size]) -> int:
    """The number of elements; -1 where it is open."""
    known = [size for size in sizes if isinstance(size, int)]
    return prod(known) if len(known) == len(sizes) else -1


@aten("unflatten.int")
def unflatten(g: TorchBuilder, x: Value, *, dim: int, sizes: Sequence[Size]) -> Value:
    axis, before = g.axis(dim, x.rank), sizes_of(g, x)
    return g.view(x, [*before[:axis], *sizes, *before[axis + 1 :]])


@aten("ravel")
def ravel(g: TorchBuilder, x: Value) -> Value:
    return x if x.rank == 1 else g.view(x, [-1])


@aten("squeeze", "squeeze_copy")
def squeeze(g: TorchBuilder, x: Value) -> Value:
    return _squeezed(g, x, range(x.rank))


@aten("squeeze.dim", "squeeze_copy.dim", "squeeze.dims", "squeeze_copy.dims")
def squeeze_dim(g: TorchBuilder, x: Value, *, dim: int | Sequence[int]) -> Value:
    dims = [dim] if isinstance(dim, int) else dim
    return _squeezed(g, x, [g.axis(axis, x.rank) for axis in dims] if x.rank else [])


def _squeezed(g: TorchBuilder, x: Value, axes: Sequence[int]) -> Value:
    """Without those axes that have size 1. Whether an open size was 1, only what torch recorded can say."""
    shape = x.shape or ()
    ones = [axis for axis in axes if shape[axis] == 1]
    opened = [axis for axis in axes if not isinstance(shape[axis], int)]
    if opened:
        meta = g.metas[0] if g.metas else None
        gone = None if meta is None else x.rank - len(meta.shape) - len(ones)
        if gone not in (0, len(opened)):
            raise g.unsupported(f"whether the axes {opened} have size 1 is not known")
        ones += opened if gone else []
    return g.Squeeze(x, np.array(sorted(ones), np.int64)) if ones else x


@aten("unsqueeze", "unsqueeze_copy")
def unsqueeze(g: TorchBuilder, x: Value, *, dim: int) -> Value:
    return g.Unsqueeze(x, np.array([g.axis(dim, x.rank + 1)], np.int64))


@aten("atleast_1d", "atleast_1d.Sequence")
def atleast_1d(g: TorchBuilder, tensors: Any) -> Any:
    return _each(tensors, lambda x: g.view(x, [1]) if x.rank == 0 else x)


@aten("atleast_2d", "atleast_2d.Sequence")
def atleast_2d(g: TorchBuilder, tensors: Any) -> Any:
    return _each(tensors, lambda x: _with_axes(g, x, {0: [0, 1], 1: [0]}))


@aten("atleast_3d", "atleast_3d.Sequence")
def atleast_3d(g: TorchBuilder, tensors: Any) -> Any:
    return _each(tensors, lambda x: _with_axes(g, x, {0: [0, 1, 2], 1: [0, 2], 2: [2]}))


def _each(tensors: Any, function: Any) -> Any:
    return [function(x) for x in tensors] if isinstance(tensors, list) else function(tensors)


def _with_axes(g: TorchBuilder, x: Value, added: dict[int, list[int]]) -> Value:
    return g.Unsqueeze(x, np.array(added[x.rank], np.int64)) if x.rank in added else x


# ------------------------------------------------------------------- permutations


def permuted(g: TorchBuilder, x: Value, perm: Sequence[int]) -> Value:
    """The axes of `x` in the order `perm`; itself where that is theirs."""
    return x if list(perm) == list(range(x.rank)) else g.Transpose(x, perm=list(perm))


@aten("permute", "permute_copy")
def permute(g: TorchBuilder, x: Value, *, dims: Sequence[int]) -> Value:
    return permuted(g, x, [g.axis(dim, x.rank) for dim in dims] if x.rank else [])


@aten("transpose.int", "transpose_copy.int", "swapdims")
def transpose(g: TorchBuilder, x: Value, *, dim0: int, dim1: int) -> Value:
    perm = list(range(x.rank))
    if perm:
        a, b = g.axis(dim0, x.rank), g.axis(dim1, x.rank)
        perm[a], perm[b] = perm[b], perm[a]
    return permuted(g, x, perm)


@aten("swapaxes")
def swapaxes(g: TorchBuilder, x: Value, *, axis0: int, axis1: int) -> Value:
    return transpose(g, x, dim0=axis0, dim1=axis1)


@aten("t", "t_copy", "numpy_T")
def reversed_axes(g: TorchBuilder, x: Value) -> Value:
    return permuted(g, x, list(reversed(range(x.rank))))


@aten("mT", "mH", "adjoint", "matrix_H")
def matrix_transpose(g: TorchBuilder, x: Value) -> Value:
    """Of real numbers, which are their own conjugates."""
    return transpose(g, x, dim0=-2, dim1=-1) if x.rank > 1 else x


@aten("movedim.int", "moveaxis.int", "movedim.intlist", "moveaxis.intlist")
def movedim(
    g: TorchBuilder, x: Value, *, source: int | Sequence[int], destination: int | Sequence[int]
) -> Value:  # fmt: skip
    if not x.rank:
        return x
    places = dict(zip(g.axes(destination, x.rank), g.axes(source, x.rank), strict=True))
    rest = iter([axis for axis in range(x.rank) if axis not in places.values()])
    return permuted(g, x, [places[axis] if axis in places else next(rest) for axis in range(x.rank)])


# ------------------------------------------------------------------- repetition


@aten("expand", "expand_copy")
def expand(g: TorchBuilder, x: Value, *, size: Sequence[Size], implicit: bool = False) -> Value:
    return expanded(g, x, size)


@aten("broadcast_to")
def broadcast_to(g: TorchBuilder, x: Value, *, size: Sequence[Size]) -> Value:
    return expanded(g, x, size)


@aten("expand_as")
def expand_as(g: TorchBuilder, x: Value, other: Value) -> Value:
    return expanded(g, x, sizes_of(g, other))


@aten("broadcast_tensors")
def broadcast_tensors(g: TorchBuilder, tensors: list[Value]) -> list[Value]:
    return broadcast(g, *tensors)


@aten("repeat")
def repeat(g: TorchBuilder, x: Value, *, repeats: Sequence[Size]) -> Value:
    lead = list(range(len(repeats) - x.rank))
    y = g.Unsqueeze(x, np.array(lead, np.int64)) if lead else x
    if all(isinstance(count, int) and count == 1 for count in repeats):
        return y
    return through(g, MOVES, lambda value: g.Tile(value, g.shape(repeats)), y)


@aten("tile")
def tile(g: TorchBuilder, x: Value, *, dims: Sequence[Size]) -> Value:
    return repeat(g, x, repeats=[*[1] * (x.rank - len(dims)), *dims])


@aten("repeat_interleave.self_int")
def repeat_interleave(
    g: TorchBuilder, x: Value, *, repeats: Size, dim: int | None = None, output_size: Size | None = None
) -> Value:
    x, axis = _along(g, x, dim)
    sizes = sizes_of(g, x)
    copies = expanded(g, unsqueeze(g, x, dim=axis + 1), [*sizes[: axis + 1], repeats, *sizes[axis + 1 :]])
    return g.view(copies, [*sizes[:axis], reckon(g, "Mul", sizes[axis], repeats), *sizes[axis + 1 :]])


@aten("repeat_interleave.Tensor", order="repeats *")
def repeat_interleave_indices(g: TorchBuilder, repeats: Value, *, output_size: Size | None = None) -> Value:
    """Every index as often as `repeats` says: how many runs have ended at each place of the result."""
    if repeats.is_constant:
        return g.constant(np.repeat(np.arange(repeats.array.size), repeats.array).astype(repeats.array.dtype))
    ends = g.CumSum(g.cast(repeats, np.int64), np.array(0, np.int64))
    total = output_size if output_size is not None else g.ReduceSum(g.cast(repeats, np.int64), keepdims=0)
    count = g.Add(g.Reshape(total, [1]) if isinstance(total, Value) else np.array([total], np.int64), 1)
    ended = g.ScatterElements(
        g.Expand(np.array([0], np.int64), count), ends, g.Expand(np.array([1], np.int64), g.Shape(ends)),
        axis=0, reduction="add",
    )  # fmt: skip
    return g.cast(g.CumSum(g.Slice(ended, [0], [-1], [0]), np.array(0, np.int64)), repeats.dtype)


@aten("repeat_interleave.self_Tensor")
def repeat_interleave_each(
    g: TorchBuilder, x: Value, repeats: Value, *, dim: int | None = None, output_size: Size | None = None
) -> Value:
    x, axis = _along(g, x, dim)
    if repeats.rank == 0 or repeats.shape == (1,):
        repeats = expanded(g, g.view(repeats, [1]), [g.size(x, axis)])
    return g.Gather(x, repeat_interleave_indices(g, repeats, output_size=output_size), axis=axis)


def _along(g: TorchBuilder, x: Value, dim: int | None) -> tuple[Value, int]:
    """`x` and the axis; flattened where none is said."""
    if dim is None or x.rank == 0:
        return ravel(g, x), 0
    return x, g.axis(dim, x.rank)


@aten("meshgrid")
def meshgrid(g: TorchBuilder, tensors: list[Value]) -> list[Value]:
    flat = [ravel(g, x) for x in tensors]
    sizes = [g.size(x, 0) for x in flat]
    return [expanded(g, g.view(x, _at(i, len(flat))), sizes) for i, x in enumerate(flat)]


def _at(axis: int, rank: int) -> list[int]:
    return [-1 if i == axis else 1 for i in range(rank)]


@aten("meshgrid.indexing")
def meshgrid_indexing(g: TorchBuilder, tensors: list[Value], *, indexing: str) -> list[Value]:
    if indexing == "ij" or len(tensors) < 2:
        return meshgrid(g, tensors)
    grids = meshgrid(g, [tensors[1], tensors[0], *tensors[2:]])
    return [transpose(g, grid, dim0=0, dim1=1) for grid in _swapped(
        [transpose(g, grid, dim0=0, dim1=1) for grid in grids])]  # fmt: skip


def _swapped(items: list[Value]) -> list[Value]:
    return [items[1], items[0], *items[2:]]


@aten("cartesian_prod")
def cartesian_prod(g: TorchBuilder, tensors: list[Value]) -> Value:
    if len(tensors) == 1:
        return tensors[0]
    columns = [g.view(grid, [-1, 1]) for grid in meshgrid(g, g.promoted(*tensors))]
    return g.Concat(*columns, axis=1)


@aten("combinations")
def combinations(g: TorchBuilder, x: Value, *, r: int = 2, with_replacement: bool = False) -> Value:
    count = g.known(g.size(x, 0), "the number of elements")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    if prod([count] * min(r, 8)) > 1 << 24:
        raise g.unsupported(f"{r} of {count} elements: too many")
    if r == 0:
        return g.constant(np.empty(0, x.dtype))
    chosen = np.array(list(choose(range(count), r)), np.int64).reshape(-1, r)
    return g.Gather(x, chosen, axis=0)


# ------------------------------------------------------------------- order


@aten("flip")
def flip(g: TorchBuilder, x: Value, *, dims: Sequence[int]) -> Value:
    axes = [g.axis(dim, x.rank) for dim in dims] if x.rank else []
    if not axes:
        return x
    n = len(axes)
    ends = np.array([_FRONT] * n, np.int64)
    return g.Slice(x, np.array([-1] * n, np.int64), ends, np.array(axes, np.int64), np.array([-1] * n, np.int64))


@aten("fliplr")
def fliplr(g: TorchBuilder, x: Value) -> Value:
    return flip(g, x, dims=[1])


@aten("flipud")
def flipud(g: TorchBuilder, x: Value) -> Value:
    return flip(g, x, dims=[0])


@aten("roll")
def roll(g: TorchBuilder, x: Value, *, shifts: Size | Sequence[Size], dims: int | Sequence[int] = ()) -> Value:
    amounts = list(shifts) if isinstance(shifts, (list, tuple)) else [shifts]
    axes = [dims] if isinstance(dims, int) else list(dims)
    if x.rank == 0:
        return x
    if not axes:
        return g.view(_rolled(g, ravel(g, x), amounts[0], 0), sizes_of(g, x))
    for shift, axis in zip(amounts, axes, strict=True):
        x = _rolled(g, x, shift, g.axis(axis, x.rank))
    return x


def _rolled(g: TorchBuilder, x: Value, shift: Any, axis: int) -> Value:
    """What was pushed out at the end comes in at the front."""
    size = g.size(x, axis)
    if isinstance(size, int) and isinstance(shift, int):
        if not size or shift % size == 0:
            return x
        split: Size = size - shift % size
    else:
        split = reckon(g, "Sub", size, g.Mod(shift, reckon(g, "Max", size, 1)))
    at = g.shape([split])
    end = np.array([LAST], np.int64)
    return g.Concat(g.Slice(x, at, end, [axis]), g.Slice(x, [0], at, [axis]), axis=axis)


@aten("rot90")
def rot90(g: TorchBuilder, x: Value, *, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    a, b = dims
    turns = k % 4
    if turns == 2:
        return flip(g, x, dims=[a, b])
    if turns == 0:
        return x
    return transpose(g, flip(g, x, dims=[b if turns == 1 else a]), dim0=a, dim1=b)


# ------------------------------------------------------------------- triangles and diagonals


_TRIANGLES = {"bfloat16": np.float32, "int16": np.int32, "int8": np.int32, "uint8": np.int32}


@aten("tril")
def tril(g: TorchBuilder, x: Value, *, diagonal: Size = 0) -> Value:
    return through(g, _TRIANGLES, lambda value: g.Trilu(value, diagonal, upper=0), x)


@aten("triu")
def triu(g: TorchBuilder, x: Value, *, diagonal: Size = 0) -> Value:
    return through(g, _TRIANGLES, lambda value: g.Trilu(value, diagonal, upper=1), x)


@aten("diagonal", "diagonal_copy")
def diagonal(g: TorchBuilder, x: Value, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    a, b = g.axis(dim1, x.rank), g.axis(dim2, x.rank)
    rest = [axis for axis in range(x.rank) if axis not in (a, b)]
    sizes = sizes_of(g, x)
    places = _on_diagonal(g, sizes[a], sizes[b], offset)
    matrices = permuted(g, x, [*rest, a, b])
    return g.Gather(
        g.view(matrices, [*[sizes[axis] for axis in rest], _product([sizes[a], sizes[b]])]), places, axis=-1
    )


def _on_diagonal(g: TorchBuilder, rows: Size, columns: Size, offset: int) -> Value:
    """Where the elements of a diagonal lie in a flattened matrix."""
    down, right = max(-offset, 0), max(offset, 0)
    count = reckon(g, "Max", reckon(g, "Min", reckon(g, "Sub", rows, down), reckon(g, "Sub", columns, right)), 0)
    start = reckon(g, "Add", reckon(g, "Mul", columns, down), right)
    step = reckon(g, "Add", columns, 1)
    if isinstance(start, int) and isinstance(step, int) and isinstance(count, int):
        return g.constant(start + step * np.arange(count, dtype=np.int64))
    return g.Range(start, reckon(g, "Add", start, reckon(g, "Mul", count, step)), step)


@aten("linalg_diagonal")
def linalg_diagonal(g: TorchBuilder, a: Value, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    return diagonal(g, a, offset=offset, dim1=dim1, dim2=dim2)


@aten("diag_embed")
def diag_embed(g: TorchBuilder, x: Value, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """The last axis on a diagonal of matrices. An offset below the main diagonal is one above it, transposed."""
    rank = x.rank + 1
    a, b = g.axis(dim1, rank), g.axis(dim2, rank)
    y = _on_upper(g, x, abs(offset))
    if offset < 0:
        y = transpose(g, y, dim0=-2, dim1=-1)
    return movedim(g, y, source=[-2, -1], destination=[a, b])


def _on_upper(g: TorchBuilder, x: Value, offset: int) -> Value:
    """[..., n] to [..., n + offset, n + offset], with the elements `offset` places right of the main diagonal."""
    if offset:
        pads = np.array([0] * (2 * x.rank - 1) + [offset], np.int64)
        x = through(g, {"bfloat16": np.float32, "int16": np.int32}, lambda value: g.Pad(value, pads), x)
    size = g.size(x, -1)
    at = np.arange(size, dtype=np.int64) if isinstance(size, int) else g.Range(np.int64(0), size, np.int64(1))
    is_there = g.Equal(g.Unsqueeze(g.Add(at, offset), [1]), g.Unsqueeze(at, [0]))
    return where(g, is_there, g.Unsqueeze(x, [-1]), g.constant(np.zeros((), x.dtype)))


@aten("diagflat")
def diagflat(g: TorchBuilder, x: Value, *, offset: int = 0) -> Value:
    return diag_embed(g, ravel(g, x), offset=offset)


@aten("diag")
def diag(g: TorchBuilder, x: Value, *, diagonal: int = 0) -> Value:
    return diag_embed(g, x, offset=diagonal) if x.rank == 1 else linalg_diagonal(g, x, offset=diagonal)


@aten("block_diag")
def block_diag(g: TorchBuilder, tensors: list[Value]) -> Value:
    blocks = atleast_2d(g, g.promoted(*tensors))
    columns = [g.known(g.size(block, 1), "the number of columns of a block") for block in blocks]
    rows = []
    for i, block in enumerate(blocks):
        pads = np.array([0, sum(columns[:i]), 0, sum(columns[i + 1 :])], np.int64)
        rows.append(through(g, {"bfloat16": np.float32, "int16": np.int32}, lambda x, p=pads: g.Pad(x, p), block))
    return g.Concat(*rows, axis=0) if len(rows) > 1 else rows[0]


# ------------------------------------------------------------------- strides


@aten("as_strided", "as_strided_copy")
def as_strided(
    g: TorchBuilder, x: Value, *, size: Sequence[Size], stride: Sequence[Size], storage_offset: Size | None = None
) -> Value:
    """Elements by their places in memory, which must be those of `x` in order."""
    places = memory_places(g, x, size, stride, storage_offset)
    return g.Gather(ravel(g, x), places, axis=0)


def memory_places(
    g: TorchBuilder, x: Value, size: Sequence[Size], stride: Sequence[Size], storage_offset: Size | None
) -> np.ndarray:
    """Where the elements of a strided view lie in the flattened `x`; UnsupportedError where that is not known."""
    if not g.is_dense:
        raise g.unsupported("of a tensor that may not lie in memory element after element")
    sizes = [g.known(item, "a size") for item in size]
    strides = [g.known(item, "a stride") for item in stride]
    places = np.full(g.affordable(*sizes), g.known(storage_offset or 0, "the offset"), np.int64)
    for axis, (count, step) in enumerate(zip(sizes, strides, strict=True)):
        places += (step * np.arange(count, dtype=np.int64)).reshape(_at(axis, len(sizes)))
    total = prod(g.known(item, "a size of the tensor") for item in sizes_of(g, x))
    if places.size and not 0 <= places.min() <= places.max() < total:
        raise g.unsupported("elements outside the tensor")
    return places
