"""What every target can compute with: a detour through a wider type where ONNX Runtime has no kernel for one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder
from netglot.ir.graph import Value

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Max": max, "Min": min,
}  # fmt: skip

# Types that the kernels of ONNX Runtime do without, and a type that holds all their numbers.
MOVES = {"bfloat16": np.float32}
SELECTS = {"bfloat16": np.float32, "int16": np.int32, "bool": np.uint8}


def through(g: TorchBuilder, wider: Mapping[str, Any], compute: Callable[..., Value], *xs: Value) -> Value:
    """`compute(*xs)`, all of one type; by way of another type where `wider` names one."""
    dtype = xs[0].dtype
    if dtype is None or dtype.name not in wider:
        return compute(*xs)
    return g.cast(compute(*[g.cast(x, wider[dtype.name]) for x in xs]), dtype)


def where(g: TorchBuilder, condition: Value, x: Value, y: Value) -> Value:
    """Elementwise choice between two tensors of one type."""
    return through(g, SELECTS, lambda a, b: g.Where(condition, a, b), x, y)


def reckon(g: TorchBuilder, op: str, a: Size, b: Size) -> Size:
    """Add, Sub, Mul, Max or Min of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return _ARITHMETIC[op](a, b)
    return g.as_size(g.op(op, [a, b]))


def expanded(g: TorchBuilder, x: Value, sizes: Sequence[Size]) -> Value:
    """`x` broadcast to `sizes`, where -1 keeps an axis."""
    lead = len(sizes) - x.rank
    wanted: list[Size] = [1 if isinstance(size, int) and size == -1 else size for size in sizes]
    before = (1,) * lead + tuple(x.shape or ())
    dims = [old if new in (1, old) and new is not None else new
            for old, new in zip(before, g.dims(wanted), strict=True)]  # fmt: skip
    if not lead and all(new is not None and old == new for old, new in zip(before, dims, strict=True)):
        return x
    y = through(g, MOVES, lambda value: g.Expand(value, g.shape(wanted)), x)
    if not y.is_constant:
        y.shape = tuple(
            old if isinstance(old, int) else new for old, new in zip(y.shape or dims, dims, strict=True)
        )  # fmt: skip
    return y


def sizes_of(g: TorchBuilder, x: Value) -> list[Size]:
    return [g.size(x, axis) for axis in range(x.rank)]


def broadcast_sizes(g: TorchBuilder, *xs: Value) -> list[Size]:
    """The sizes that tensors have after broadcasting."""
    rank = max(x.rank for x in xs)
    return [_common(g, [(x, axis - rank + x.rank) for x in xs if axis - rank + x.rank >= 0]) for axis in range(rank)]


def _common(g: TorchBuilder, places: Sequence[tuple[Value, int]]) -> Size:
    """The size that these axes are broadcast to."""
    dims = [(x.shape or ())[axis] for x, axis in places]
    known = [dim for dim in dims if isinstance(dim, int) and dim != 1]
    if known:
        return known[0]
    opened = {dim: place for dim, place in zip(dims, places, strict=True) if dim != 1}
    if not opened:
        return 1
    if None not in opened and len(opened) == 1:
        return g.size(*next(iter(opened.values())))
    result: Size = 1
    for place, dim in zip(places, dims, strict=True):  # 1 gives way, even to 0
        if dim != 1:
            size = g.size(*place)
            result = g.as_size(g.Where(g.Equal(size, 1), result, size)) if result != 1 else size
    return result


def broadcast(g: TorchBuilder, *xs: Value) -> list[Value]:
    """Tensors expanded to one shape; those that have it are left alone."""
    if len({x.shape for x in xs}) == 1 and all(dim is not None for dim in xs[0].shape or (None,)):
        return list(xs)
    sizes = broadcast_sizes(g, *xs)
    return [expanded(g, x, sizes) for x in xs]
