"""Loop nests over tensors of shapes known now: broadcasting and every kind of strided access in one form.

A nest is the text `netglot::nest<sizes>(body, walks...)` (runtime/nest.h): for each index of an iteration space the
body gets one element of each walked tensor. Axes that all walks cross alike are merged, so that the innermost loop is
as long as it can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from netglot.ir.graph import Value

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Walk:
    """One tensor of a nest: the body's parameter (`float& y`), where it starts, and its step along each axis."""

    parameter: str
    start: str
    steps: Ints


def strides(shape: Sequence[int]) -> Ints:
    """Elements from one index of an axis to the next, for a dense tensor."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def steps_of(value: Value) -> Ints:
    """Elements from one index of each axis to the next, as `value` is stored."""
    order = value.layout or tuple(range(value.rank))
    stored = strides([value.sizes[axis] for axis in order])
    return tuple(stored[order.index(axis)] for axis in range(value.rank))


def broadcast(shape: Sequence[int], target: Sequence[int], stored: Ints | None = None) -> Ints:
    """Steps along the axes of `target` in a tensor of `shape` that is broadcast to it (NumPy's rule).

    `stored`: its own steps, if it is not dense in C order.
    """
    steps = [0 if size == 1 else step for size, step in zip(shape, stored or strides(shape), strict=True)]
    return (0,) * (len(target) - len(shape)) + tuple(steps)


def nest(shape: Sequence[int], walks: Sequence[Walk], body: str, capture: str = "") -> str:
    """The statement that runs `body` over `shape`; a nest inside of a body says what it captures from there."""
    sizes, steps = merge(shape, [walk.steps for walk in walks])
    parameters = ", ".join(walk.parameter for walk in walks)
    starts = ", ".join(f"{over(s)}({walk.start})" for walk, s in zip(walks, steps, strict=True))
    return f"netglot::nest<{numbers(sizes)}>([{capture}]({parameters}) {{ {body} }},\n      {starts});"


def inner(shape: Sequence[int], walks: Sequence[Walk], body: str) -> str:
    """A nest inside of a body: its walks start from that body's parameters (`&x`)."""
    return nest(shape, walks, body, "&").replace("\n      ", " ")


def over(steps: Sequence[int]) -> str:
    return f"netglot::over<{numbers(steps)}>"


def numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def offset(start: str, elements: int) -> str:
    return f"{start} + {elements}" if elements else start


def merge(shape: Sequence[int], steps: Sequence[Ints]) -> tuple[list[int], list[list[int]]]:
    """Drops axes of size one and merges neighbours wherever every walk steps through both as through one."""
    sizes: list[int] = []
    merged: list[list[int]] = [[] for _ in steps]
    for axis in _as_stored(shape, steps):
        size = shape[axis]
        here = [walk[axis] for walk in steps]
        if sizes and all(walk[-1] == step * size for walk, step in zip(merged, here, strict=True)):
            sizes[-1] *= size
            merged = [[*walk[:-1], step] for walk, step in zip(merged, here, strict=True)]
        else:
            sizes.append(size)
            merged = [[*walk, step] for walk, step in zip(merged, here, strict=True)]
    return sizes, merged


def _as_stored(shape: Sequence[int], steps: Sequence[Ints]) -> list[int]:
    """The axes that are longer than one, in the order in which the first walk (what is written) has them in memory."""
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    if not steps or not all(steps[0][axis] for axis in axes):  # axes that it stands still on keep their order
        return axes
    return sorted(axes, key=lambda axis: -steps[0][axis])
