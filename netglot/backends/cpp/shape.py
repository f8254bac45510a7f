"""Operators that move elements or only rename axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, Side, cpp_op
from netglot.backends.cpp.literals import literal
from netglot.backends.cpp.moves import move
from netglot.backends.cpp.nest import Ints, Walk, nest, offset, steps_of, strides
from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike
from netglot.ir.graph import Value


@cpp_op("Identity", layout=Side.FREE, view=True)
def identity(m: CppBuilder, x: Value, y: Value) -> str:
    """Where the two are stored in different orders, the elements move."""
    return move(y.sizes, m.write(y), m.read(x, "a"))


@cpp_op("Reshape", "Flatten", "Squeeze", "Unsqueeze", view=True)
def renamed_axes(m: CppBuilder, x: Value, *rest: Value, axis: int = 0, allowzero: int = 0) -> str:
    """The same elements in the same order."""
    return m.copy(x, rest[-1])


@cpp_op("Dropout", view=True)
def dropout(
    m: CppBuilder, x: Value, ratio: Value | None, training: Value | None, y: Value, mask: Value | None, *, seed: int = 0
) -> str:
    if mask is not None:
        raise NotMappedError("only without the mask")
    return m.copy(x, y)


@cpp_op("Transpose", layout=(Side.FREE, Side.FREE), view=True)
def transpose(m: CppBuilder, x: Value, y: Value, *, perm: Ints = ()) -> str:
    steps = tuple(steps_of(x)[axis] for axis in perm or range(x.rank)[::-1])
    return move(y.sizes, m.write(y), m.read(x, "a", steps=steps))


@cpp_op("DepthToSpace", layout=Side.FREE)
def depth_to_space(m: CppBuilder, x: Value, y: Value, *, blocksize: int, mode: str) -> str:
    """Of each block of channels (two axes of it and the depth) the spatial ones get the first two."""
    return _blocks(m, y, x, blocksize, depth_first=mode == "CRD", into=False)


@cpp_op("SpaceToDepth", layout=Side.FREE)
def space_to_depth(m: CppBuilder, x: Value, y: Value, *, blocksize: int, mode: str = "DCR") -> str:
    return _blocks(m, x, y, blocksize, depth_first=mode == "CRD", into=True)


def _blocks(m: CppBuilder, wide: Value, deep: Value, b: int, *, depth_first: bool, into: bool) -> str:
    """Copies between `wide` [n, c, h b, w b] and `deep` [n, b b c, h, w] (or c b b), as (n, c, h, b, w, b)."""
    (n, c, rows, columns), (batch, channel, row, column) = wide.sizes, steps_of(deep)
    inner = (b * b, b, 1) if depth_first else (1, b * c, c)
    depth, down, right = (step * channel for step in inner)
    deep_steps = (batch, depth, row, down, column, right)
    batch, depth, row, column = steps_of(wide)
    wide_steps = (batch, depth, row * b, row, column * b, column)
    y, x, y_steps, x_steps = (deep, wide, deep_steps, wide_steps) if into else (wide, deep, wide_steps, deep_steps)
    return move((n, c, rows // b, b, columns // b, b), m.write(y, y_steps), m.read(x, "a", steps=x_steps))


@cpp_op("Concat", layout=alike)
def concat(m: CppBuilder, inputs: list[Value], y: Value, *, axis: int) -> str:
    return _parts(m, inputs, y, axis, into=True)


@cpp_op("Split", layout=alike)
def split(
    m: CppBuilder, x: Value, sizes: Value | None, outputs: list[Value], *, axis: int, num_outputs: int = 0
) -> str:
    return _parts(m, outputs, x, axis, into=False)


def _parts(m: CppBuilder, parts: Sequence[Value], whole: Value, axis: int, *, into: bool) -> str:
    starts = accumulate((part.sizes[axis] for part in parts[:-1]), initial=0)
    return "\n  ".join(_part(m, part, whole, at, axis, into=into) for part, at in zip(parts, starts, strict=True))


def _part(m: CppBuilder, part: Value, whole: Value, at: int, axis: int, *, into: bool) -> str:
    """Copies between `part` and where it lies in `whole`: from index `at` of `axis`."""
    x, y = (part, whole) if into else (whole, part)
    read, write = m.read(x, "a", steps=steps_of(x)), m.write(y)
    first = at * steps_of(whole)[axis]
    moved = replace(write, start=offset(write.start, first)) if into else replace(read, start=offset(read.start, first))
    return move(part.sizes, moved, read) if into else move(part.sizes, write, moved)


@cpp_op("Slice", layout=alike)
def slice_(
    m: CppBuilder, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None, y: Value
) -> str:
    first, by = [0] * x.rank, [1] * x.rank
    begin, end = ints(starts, "starts"), ints(ends, "ends")
    where = ints(axes, "axes") if axes else range(len(begin))
    for i, axis in enumerate(where):
        by[axis] = ints(steps, "steps")[i] if steps else 1
        first[axis] = slice(begin[i], end[i], by[axis]).indices(x.sizes[axis])[0]
    stored = steps_of(x)
    start = sum(at * step for at, step in zip(first, stored, strict=True)) if prod(y.sizes) else 0
    read = m.read(x, "a", steps=tuple(k * step for k, step in zip(by, stored, strict=True)))
    return move(y.sizes, m.write(y), replace(read, start=offset(read.start, start)))


def ints(value: Value, what: str) -> list[int]:
    """The numbers of a constant input."""
    if not value.is_constant:
        raise NotMappedError(f"the {what} are computed")
    return [int(number) for number in value.array.reshape(-1)]


@cpp_op("Expand", layout=alike)
def expand(m: CppBuilder, x: Value, shape: Value, y: Value) -> str:
    return move(y.sizes, m.write(y), m.read(x, "a", y.sizes))


@cpp_op("Tile")
def tile(m: CppBuilder, x: Value, repeats: Value, y: Value) -> str:
    """Every axis is walked as (repeats, size), and x stands still along the repeats."""
    times = [size // max(1, old) for size, old in zip(y.sizes, x.sizes, strict=True)]
    sizes = tuple(n for pair in zip(times, x.sizes, strict=True) for n in pair)
    steps = tuple(n for step in strides(x.sizes) for n in (0, step))
    return move(sizes, m.write(y, strides(sizes)), m.read(x, "a", steps=steps))


@cpp_op("Pad", layout=alike)
def pad(m: CppBuilder, x: Value, pads: Value, fill: Value | None, axes: Value | None, y: Value, *, mode: str) -> str:
    amounts, where = ints(pads, "pads"), ints(axes, "axes") if axes else list(range(x.rank))
    before = dict.fromkeys(range(x.rank), 0) | {axis % x.rank: n for axis, n in zip(where, amounts, strict=False)}
    if mode == "constant":
        return _pad_constant(m, x, fill, y, [before[axis] for axis in range(x.rank)])
    places = [np.arange(size) - before[axis] for axis, size in enumerate(y.sizes)]
    return picked(m, x, y, [_MODES[mode](at, n) for at, n in zip(places, x.sizes, strict=True)])


def _reflect(at: np.ndarray, size: int) -> np.ndarray:
    period = max(1, 2 * (size - 1))
    return (size - 1) - np.abs((at % period) - (size - 1))


_MODES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "reflect": _reflect,
    "edge": lambda at, size: at.clip(0, size - 1),
    "wrap": lambda at, size: at % size,
}


def _pad_constant(m: CppBuilder, x: Value, fill: Value | None, y: Value, before: list[int]) -> str:
    """Fills y, then copies the part of x that lies in it (negative padding cuts off)."""
    filled = m.elementwise(y, "a", fill) if fill is not None else nest(y.sizes, [m.write(y)], "y = 0;")
    skip = [max(0, -n) for n in before]
    at = [max(0, n) for n in before]
    sizes = [max(0, min(n - s, size - a)) for n, s, size, a in zip(x.sizes, skip, y.sizes, at, strict=True)]
    write, read = m.write(y), m.read(x, "a", steps=steps_of(x))
    write = replace(write, start=offset(write.start, sum(a * b for a, b in zip(at, write.steps, strict=True))))
    read = replace(read, start=offset(read.start, sum(a * b for a, b in zip(skip, read.steps, strict=True))))
    return f"{filled}\n  {move(sizes, write, read)}" if prod(sizes) else filled


def picked(m: CppBuilder, x: Value, y: Value, indices: Sequence[np.ndarray]) -> str:
    """y[i, j...] = x[indices[0][i], indices[1][j]...]: a table for each axis that is not taken as it is.

    Axes that lie together in both, such as the channels of a pixel, are copied as one row.
    """
    steps = list(steps_of(x))
    chosen = [not np.array_equal(index, np.arange(size)) for index, size in zip(indices, x.sizes, strict=True)]
    tables = []
    for axis in np.flatnonzero(chosen).tolist():
        tables.append(m.along((indices[axis] * steps[axis]).astype(np.int32), f"i{axis}", axis, y.rank))
        steps[axis] = 0
    place = " + ".join(table.parameter.split()[-1].strip("&") for table in tables) or "0"
    row = row_axes(x, y, chosen)
    sizes = [1 if axis in row else size for axis, size in enumerate(y.sizes)]
    read = m.read(x, "x", steps=tuple(steps), by_address=True)
    count = prod(y.sizes[axis] for axis in row)
    body = f"netglot::copy_row<{count}>(&y, &x + ({place}));" if count > 1 else f"y = (&x)[{place}];"
    return nest(sizes, [m.write(y), read, *tables], body)


def row_axes(x: Value, y: Value, chosen: Sequence[bool]) -> list[int]:
    """The axes that come last in memory of both, and are not `chosen`: their elements lie together in both alike."""
    before, after = steps_of(x), steps_of(y)
    row: list[int] = []
    for axis in reversed(y.layout or range(y.rank)):
        if chosen[axis] or (y.sizes[axis] != 1 and before[axis] != after[axis]):
            break
        row.append(axis)
    return row


# --------------------------------------------------- what is known before running


@cpp_op("Shape")
def shape(m: CppBuilder, x: Value, y: Value, *, start: int, end: int | None = None) -> str:
    return _known(m, y, x.sizes[start:end])


@cpp_op("Size")
def size(m: CppBuilder, x: Value, y: Value) -> str:
    return _known(m, y, prod(x.sizes))


@cpp_op("ConstantOfShape")
def constant_of_shape(m: CppBuilder, sizes: Value, y: Value, *, value: np.ndarray | None = None) -> str:
    return nest(y.sizes, [m.write(y)], f"y = {literal(0 if value is None else value.item(), y.dtype)};")


@cpp_op("EyeLike")
def eye_like(m: CppBuilder, x: Value, y: Value, *, dtype: int = 0, k: int) -> str:
    return _known(m, y, np.eye(y.sizes[0], y.sizes[1], k))


def _known(m: CppBuilder, y: Value, data: object) -> str:
    table = Walk(f"{m.kind(y)} a", m.table(np.asarray(data, y.dtype), "table"), (1,))
    return nest([prod(y.sizes)], [Walk(f"{m.kind(y)}& y", m.ref(y), (1,)), table], "y = a;")
