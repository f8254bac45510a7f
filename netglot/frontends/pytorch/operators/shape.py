"""Operators that move elements and change none."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.ir.graph import Value


@aten("sym_size.int")
def sym_size(g: TorchBuilder, x: Value, *, dim: int) -> Size:
    return g.size(x, dim)


@aten("flatten.using_ints")
def flatten(g: TorchBuilder, x: Value, *, start_dim: int = 0, end_dim: int = -1) -> Value:
    if x.rank == 0:
        return g.view(x, [1])
    start, end = g.axis(start_dim, x.rank), g.axis(end_dim, x.rank)
    sizes: list[Size] = [g.size(x, axis) for axis in range(x.rank)]
    return g.view(x, [*sizes[:start], -1, *sizes[end + 1 :]]) if end > start else x


@aten("view", "_unsafe_view")
def view(g: TorchBuilder, x: Value, *, size: Sequence[Size]) -> Value:
    return g.view(x, size)


@aten("reshape")
def reshape(g: TorchBuilder, x: Value, *, shape: Sequence[Size]) -> Value:
    return g.view(x, shape)


@aten("transpose.int")
def transpose(g: TorchBuilder, x: Value, *, dim0: int, dim1: int) -> Value:
    perm = list(range(x.rank))
    a, b = g.axis(dim0, x.rank), g.axis(dim1, x.rank)
    perm[a], perm[b] = perm[b], perm[a]
    return g.Transpose(x, perm=perm)
