"""What Transposes and Reshapes in a row do to the elements of a tensor, as one Transpose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple


class Move(NamedTuple):
    """Reshape to `shape`, Transpose by `perm` and a Reshape to whatever is wanted; `perm` is empty if none moves."""

    shape: tuple[int, ...]
    perm: tuple[int, ...]


def one_move(x: Sequence[int], first: Sequence[int], between: Sequence[int], second: Sequence[int]) -> Move | None:
    """Transpose by `first`, Reshape to `between` and Transpose by `second` of a tensor of shape `x`, all sizes known.

    None where the Reshape cuts a size at places that no factors of both shapes have in common.
    """
    moved = [x[axis] for axis in first]
    factors = common_factors(moved, between)
    if factors is None:
        return None
    old, new = _parts(moved, factors), _parts(between, factors)
    places = [part for axis in sorted(range(len(x)), key=lambda axis: first[axis]) for part in old[axis]]
    order = [part for axis in second for part in new[axis]]
    return _merged([factors[part] for part in places], [places.index(part) for part in order])


def common_factors(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    """The shape of most axes, none of size one, from which both `a` and `b` are made by joining neighbours."""
    if 0 in (*a, *b) or prod(a) != prod(b):
        return None
    ends = sorted({prod(shape[:i]) for shape in (a, b) for i in range(len(shape) + 1)})
    if any(high % low for low, high in pairwise(ends)):
        return None
    return [high // low for low, high in pairwise(ends)]


def _parts(shape: Sequence[int], factors: Sequence[int]) -> list[list[int]]:
    """For each axis of `shape` the numbers of the factors that it is made of."""
    parts: list[list[int]] = []
    number = 0
    for size in shape:
        part: list[int] = []
        product = 1
        while product < size:
            product *= factors[number]
            part.append(number)
            number += 1
        parts.append(part)
    return parts


def _merged(shape: Sequence[int], perm: Sequence[int]) -> Move:
    """With as few axes as say it: those that stay neighbours move as one."""
    groups: list[list[int]] = []
    for axis in perm:
        if groups and groups[-1][-1] == axis - 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if len(groups) < 2:
        return Move(tuple(shape), ())
    ordered = sorted(groups)
    sizes = tuple(prod(shape[axis] for axis in group) for group in ordered)
    return Move(sizes, tuple(ordered.index(group) for group in groups))
