"""Joining and splitting tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.movement import reckon
from netglot.frontends.pytorch.operators.shape import LAST, atleast_1d, atleast_2d, atleast_3d, unsqueeze
from netglot.ir.graph import Value


@aten("cat", "concat", "concatenate")
def cat(g: TorchBuilder, tensors: list[Value], *, dim: int = 0) -> Value:
    """Along one axis. An empty tensor of rank 1 goes with any others, by an old rule of torch's."""
    values = g.promoted(*tensors)
    rank = max(x.rank for x in values)
    joined = [x for x in values if x.shape != (0,) and x.rank == rank] or values[:1]
    return g.Concat(*joined, axis=g.axis(dim, joined[0].rank)) if len(joined) > 1 else joined[0]


@aten("stack", "_stack")
def stack(g: TorchBuilder, tensors: list[Value], *, dim: int = 0) -> Value:
    axis = g.axis(dim, tensors[0].rank + 1)
    return g.Concat(*[unsqueeze(g, x, dim=axis) for x in g.promoted(*tensors)], axis=axis)


@aten("hstack")
def hstack(g: TorchBuilder, tensors: list[Value]) -> Value:
    values = atleast_1d(g, tensors)
    return cat(g, values, dim=0 if values[0].rank == 1 else 1)


@aten("vstack", "row_stack")
def vstack(g: TorchBuilder, tensors: list[Value]) -> Value:
    return cat(g, atleast_2d(g, tensors), dim=0)


@aten("dstack")
def dstack(g: TorchBuilder, tensors: list[Value]) -> Value:
    return cat(g, atleast_3d(g, tensors), dim=2)


@aten("column_stack")
def column_stack(g: TorchBuilder, tensors: list[Value]) -> Value:
    return cat(g, [x if x.rank > 1 else g.view(x, [-1, 1]) for x in tensors], dim=1)


# ------------------------------------------------------------------------- splitting


def _pieces(g: TorchBuilder, x: Value, sizes: Sequence[Size], axis: int) -> list[Value]:
    """`x` cut into pieces of these sizes, which add up to that of the axis."""
    if len(sizes) == 1:
        return [x]
    parts = g.Split(x, g.shape(sizes), axis=axis, outputs=len(sizes))
    for part, size in zip(parts, g.dims(sizes), strict=True):
        if not part.is_constant and part.shape is not None:
            known = part.shape[axis]
            part.shape = (*part.shape[:axis], size if known is None else known, *part.shape[axis + 1 :])
    return list(parts)


def _count(g: TorchBuilder, what: str) -> int:
    """The number of pieces where the size of the axis is open: torch recorded it with its outputs."""
    if not any(meta is not None for meta in g.metas):
        raise g.unsupported(f"{what} along an axis of open size: into how many pieces is not known")
    return len(g.metas)


@aten("split.Tensor", "split_copy.Tensor", "unsafe_split.Tensor")
def split(g: TorchBuilder, x: Value, *, split_size: Size, dim: int = 0) -> list[Value]:
    axis = g.axis(dim, x.rank)
    return _pieces(g, x, _equal_sizes(g, g.size(x, axis), split_size), axis)


def _equal_sizes(g: TorchBuilder, size: Size, of_piece: Size) -> list[Size]:
    """Pieces of one size but for the last, which is what is left."""
    if isinstance(size, int) and isinstance(of_piece, int):
        if size and not of_piece:
            raise g.unsupported("pieces of no elements")
        count = max(1, -(-size // of_piece)) if of_piece else 1
    else:
        count = _count(g, "a split")
    most: list[Size] = [of_piece] * (count - 1)
    return [*most, reckon(g, "Sub", size, reckon(g, "Mul", of_piece, count - 1))]


@aten("split.sizes")
def split_sizes(g: TorchBuilder, x: Value, *, split_size: Sequence[Size], dim: int = 0) -> list[Value]:
    return _pieces(g, x, split_size, g.axis(dim, x.rank))


@aten("split_with_sizes", "split_with_sizes_copy", "unsafe_split_with_sizes")
def split_with_sizes(g: TorchBuilder, x: Value, *, split_sizes: Sequence[Size], dim: int = 0) -> list[Value]:
    return _pieces(g, x, split_sizes, g.axis(dim, x.rank))


@aten("chunk", "unsafe_chunk")
def chunk(g: TorchBuilder, x: Value, *, chunks: int, dim: int = 0) -> list[Value]:
    """At most `chunks` pieces of one size, rounded up, but for the last."""
    axis = g.axis(dim, x.rank)
    size = g.size(x, axis)
    if isinstance(size, int) and size == 0:
        return _pieces(g, x, [0] * chunks, axis)
    of_piece = -(-size // chunks) if isinstance(size, int) else g.as_size(g.Div(g.Add(size, chunks - 1), chunks))
    return _pieces(g, x, _equal_sizes(g, size, of_piece), axis)


@aten("tensor_split.sections")
def tensor_split(g: TorchBuilder, x: Value, *, sections: Size, dim: int = 0) -> list[Value]:
    """The first pieces are one element longer where the size can't be divided."""
    axis, count = g.axis(dim, x.rank), g.known(sections, "the number of sections")
    if count < 1:
        raise g.unsupported(f"{count} sections")
    size = g.size(x, axis)
    return _pieces(g, x, [_section(g, size, count, i) for i in range(count)], axis)


def _section(g: TorchBuilder, size: Size, count: int, i: int) -> Size:
    if isinstance(size, int):
        return (size + count - 1 - i) // count
    return g.as_size(g.Div(g.Add(size, count - 1 - i), count))


@aten("tensor_split.indices")
def tensor_split_indices(g: TorchBuilder, x: Value, *, indices: Sequence[Size], dim: int = 0) -> list[Value]:
    """Slices from each index to the next, as Python's: indices beyond the end are the end."""
    axis = g.axis(dim, x.rank)
    limits: list[Size] = [0, *indices, LAST]
    return [_between(g, x, start, end, axis) for start, end in itertools.pairwise(limits)]


def _between(g: TorchBuilder, x: Value, start: Size, end: Size, axis: int) -> Value:
    return g.Slice(x, g.shape([start]), g.shape([end]), np.array([axis], np.int64))


@aten("tensor_split.tensor_indices_or_sections")
def tensor_split_tensor(
    g: TorchBuilder, x: Value, tensor_indices_or_sections: Value, *, dim: int = 0
) -> list[Value]:  # fmt: skip
    numbers = g.ints(tensor_indices_or_sections, "where to split")
    if tensor_indices_or_sections.rank == 0:
        return tensor_split(g, x, sections=numbers[0], dim=dim)
    return tensor_split_indices(g, x, indices=numbers, dim=dim)


@aten("hsplit.int")
def hsplit(g: TorchBuilder, x: Value, *, sections: int) -> list[Value]:
    return tensor_split(g, x, sections=sections, dim=0 if x.rank == 1 else 1)


@aten("hsplit.array")
def hsplit_indices(g: TorchBuilder, x: Value, *, indices: Sequence[int]) -> list[Value]:
    return tensor_split_indices(g, x, indices=indices, dim=0 if x.rank == 1 else 1)


@aten("vsplit.int")
def vsplit(g: TorchBuilder, x: Value, *, sections: int) -> list[Value]:
    return tensor_split(g, x, sections=sections, dim=0)


@aten("vsplit.array")
def vsplit_indices(g: TorchBuilder, x: Value, *, indices: Sequence[int]) -> list[Value]:
    return tensor_split_indices(g, x, indices=indices, dim=0)


@aten("dsplit.int")
def dsplit(g: TorchBuilder, x: Value, *, sections: int) -> list[Value]:
    return tensor_split(g, x, sections=sections, dim=2)


@aten("dsplit.array")
def dsplit_indices(g: TorchBuilder, x: Value, *, indices: Sequence[int]) -> list[Value]:
    return tensor_split_indices(g, x, indices=indices, dim=2)
