"""Elements that move from one tensor to another: rows that lie together in both are copied whole (runtime/copy.h)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netglot.backends.cpp.nest import Walk, merge, nest

_SMALLEST = 4  # rows and columns of a matrix that is transposed in blocks


def move(shape: Sequence[int], write: Walk, read: Walk) -> str:
    """The statement for y = a over `shape`, where `write` is of the parameter y and `read` of a of the same type."""
    sizes, (y_steps, x_steps) = merge(shape, [write.steps, read.steps])
    if 0 in sizes or 1 not in y_steps or 1 not in x_steps:
        return nest(shape, [write, read], "y = a;")
    row, column = x_steps.index(1), y_steps.index(1)  # of a matrix that lies in y, and transposed in x
    y = replace(write, steps=tuple(y_steps))
    x = replace(read, steps=tuple(x_steps), parameter=f"const {write.parameter.replace('&', '').split()[0]}& a")
    if row == column:
        return nest(_without(sizes, column), [y, x], f"netglot::copy_row<{sizes[column]}>(&y, &a);")
    if min(sizes[row], sizes[column]) < _SMALLEST:
        return nest(shape, [write, read], "y = a;")
    numbers = f"{y_steps[row]}, &a, {x_steps[column]}, {sizes[row]}, {sizes[column]}"
    return nest(_without(sizes, row, column), [y, x], f"netglot::transpose(&y, {numbers});")


def _without(sizes: Sequence[int], *axes: int) -> list[int]:
    """Axes of size one are not walked."""
    return [1 if axis in axes else size for axis, size in enumerate(sizes)]
