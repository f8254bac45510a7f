"""Calls of the fast kernels for float32 (runtime/map.h, runtime/rows.h), where values lie in memory as those need it.

Each function gives None where they do not: then a nest does it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, steps_of
from netglot.backends.cpp.nest import Ints, broadcast, merge, numbers, strides
from netglot.ir.graph import Value

SHORT = 8  # rows of fewer elements are not worth a call
MOST_AXES = 3  # of runtime/map.h's Broadcast, beside the row itself


def is_float(*values: Value) -> bool:
    return all(value.dtype == np.float32 for value in values)


def is_alike(x: Value, y: Value) -> bool:
    """Whether two values are of one size and lie in memory in the same order."""
    longer = [axis for axis, size in enumerate(y.sizes) if size != 1]
    return x.sizes == y.sizes and all(steps_of(x)[axis] == steps_of(y)[axis] for axis in longer)


# ----------------------------------------------------------------- runtime/map.h


def unary(m: CppBuilder, x: Value, y: Value, operation: str) -> str | None:
    """y = operation(x); the operation with its parameters, as `Relu{}`."""
    if not is_float(x, y) or not is_alike(x, y):
        return None
    return f"netglot::map(parallel, {m.ref(x)}, {m.ref(y)}, {prod(y.sizes)}, netglot::{operation});"


def binary(m: CppBuilder, a: Value, b: Value, y: Value, operation: str) -> str | None:
    """y = operation(a, b), broadcast by NumPy's rule."""
    if not is_float(a, b, y) or not prod(y.sizes):
        return None
    steps = [broadcast(_padded(x, y), y.sizes, _stored_steps(x, y)) for x in (a, b)]
    sizes, (_, *merged) = merge(y.sizes, [steps_of(y), *steps])
    if not sizes:
        sizes, merged = [1], [[1], [1]]
    *outer, count = sizes
    if any(walk[-1] > 1 for walk in merged) or not any(walk[-1] for walk in merged):
        return None
    if len(outer) > MOST_AXES or (outer and count < SHORT):
        return None
    rows = [_filled(outer, 1), *(_filled(walk[:-1], 0) for walk in merged)]
    over = ", ".join([f"{count}, {merged[0][-1]}, {merged[1][-1]}", *(f"{{{numbers(each)}}}" for each in rows)])
    left, right = (_stored(m, x, y) for x in (a, b))
    return f"netglot::map<netglot::{operation}>(parallel, {left}, {right}, {m.ref(y)}, {{{over}}});"


def _padded(x: Value, y: Value) -> Ints:
    return (1,) * (y.rank - x.rank) + x.sizes


def _is_turned(x: Value, y: Value) -> bool:
    """Whether `x` is a constant that can be stored in y's order instead of its own."""
    return x.is_constant and x.layout is None and y.layout is not None and x.rank <= y.rank


def _stored_steps(x: Value, y: Value) -> Ints:
    """The steps along y's axes of what `_stored` points to."""
    if not _is_turned(x, y):
        return (0,) * (y.rank - x.rank) + steps_of(x)
    assert y.layout is not None
    sizes = _padded(x, y)
    steps = strides([sizes[axis] for axis in y.layout])
    return tuple(steps[y.layout.index(axis)] for axis in range(y.rank))


def _stored(m: CppBuilder, x: Value, y: Value) -> str:
    if not _is_turned(x, y) or prod(x.sizes) == max(x.sizes, default=1):
        return m.ref(x)
    assert y.layout is not None
    return m.table(x.array.reshape(_padded(x, y)).transpose(y.layout), x.name)


def _filled(values: Sequence[int], with_: int) -> list[int]:
    """`values`, preceded by as many others as make MOST_AXES of them."""
    return [with_] * (MOST_AXES - len(values)) + list(values)


# ---------------------------------------------------------------- runtime/rows.h


def lines_of(x: Value, axes: Collection[int]) -> Ints | None:
    """`x` as outer, count, inner, where `axes` are those of the count, if they lie side by side in memory."""
    order = x.layout or tuple(range(x.rank))
    longer = [axis for axis in order if x.sizes[axis] != 1]
    places = [place for place, axis in enumerate(longer) if axis in axes]
    if not is_float(x) or not prod(x.sizes):
        return None
    if not places:
        return 1, 1, prod(x.sizes)
    if places[-1] - places[0] + 1 != len(places):
        return None
    sizes = [x.sizes[axis] for axis in longer]
    first, end = places[0], places[-1] + 1
    return prod(sizes[:first]), prod(sizes[first:end]), prod(sizes[end:])


def lines(m: CppBuilder, x: Value, y: Value, sizes: Ints, operation: str) -> str:
    """The operation along all lines of x, as lines_of gives them."""
    return f"netglot::lines(parallel, {m.ref(x)}, {m.ref(y)}, {{{numbers(sizes)}}}, netglot::{operation});"
