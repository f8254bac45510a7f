"""What the layers over images share: numbers per axis, inputs without a batch, open sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder
from netglot.ir.graph import Value

Ints = tuple[int, ...]

_AXES = re.compile(r"(\d)d")


def spread(item: Sequence[Size] | Size, rank: int, g: TorchBuilder, what: str) -> Ints:
    """torch writes one number where all axes have the same."""
    items = (item,) if isinstance(item, (int, Value)) else tuple(item)
    known = tuple(g.known(size, what) for size in items)
    return known * rank if len(known) == 1 else known


def batched(g: TorchBuilder, x: Value, spatial: int) -> tuple[Value, bool]:
    """`x` as [N, C, ...] with `spatial` axes, and whether the batch had to be added."""
    if x.rank == spatial + 2:
        return x, False
    if x.rank != spatial + 1:
        raise g.unsupported(f"an input of rank {x.rank}")
    return g.Unsqueeze(x, np.array([0], np.int64)), True


def unbatched(g: TorchBuilder, y: Value, added: bool) -> Value:
    return g.Squeeze(y, np.array([0], np.int64)) if added else y


def spatial_rank(g: TorchBuilder) -> int:
    """How many axes an image has, as the operator's name says (max_pool2d: 2)."""
    return int(_AXES.findall(g.target)[-1])


def static_sizes(x: Value, first: int) -> Ints | None:
    """The sizes of the axes from `first` on, if all are numbers."""
    sizes = (x.shape or ())[first:]
    known = tuple(size for size in sizes if isinstance(size, int))
    return known if len(known) == len(sizes) else None


def sizes_of(g: TorchBuilder, x: Value) -> list[Size]:
    return [g.size(x, axis) for axis in range(x.rank)]


def per_channel(g: TorchBuilder, vector: Value, rank: int) -> Value:
    """A vector of channels in the shape that broadcasts against [N, C, ...] of `rank` axes."""
    return g.view(vector, [-1, *[1] * (rank - 2)])
