"""Plans the memory of all intermediate values in one arena, before anything runs.

A buffer lives from the step that makes it to the last step that reads it. Largest first, each is put into the smallest
gap that fits between the buffers that live at the same time (greedy by size, best fit: Pisarchyk and Lee, "Efficient
Memory Management for Deep Neural Net Inference", 2020). No plan can need less than the largest sum of sizes alive at
one step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ALIGNMENT = 64  # bytes: a cache line, and more than any vector instruction asks for


@dataclass
class Buffer:
    """`size` bytes needed at the steps `first` to `last`; `offset` is where they are put."""

    size: int
    first: int
    last: int
    offset: int = 0

    def __post_init__(self) -> None:
        self.size = max(ALIGNMENT, -(-self.size // ALIGNMENT) * ALIGNMENT)


def plan(buffers: Sequence[Buffer]) -> int:
    """Sets the offset of each buffer; returns the size of the arena in bytes."""
    alive: dict[int, list[Buffer]] = defaultdict(list)
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):
        steps = range(buffer.first, buffer.last + 1)
        neighbours = {id(other): other for step in steps for other in alive[step]}
        buffer.offset = _best_gap(buffer.size, neighbours.values())
        for step in steps:
            alive[step].append(buffer)
    return max((b.offset + b.size for b in buffers), default=0)


def _best_gap(size: int, neighbours: Iterable[Buffer]) -> int:
    """The offset of the smallest gap of at least `size` bytes between buffers, or their end."""
    best, tightest, end = None, 0, 0
    for other in sorted(neighbours, key=lambda b: b.offset):
        gap = other.offset - end
        if gap >= size and (best is None or gap < tightest):
            best, tightest = end, gap
        end = max(end, other.offset + other.size)
    return end if best is None else best


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of the sizes of buffers that live at one step."""
    changes: dict[int, int] = defaultdict(int)
    for buffer in buffers:
        changes[buffer.first] += buffer.size
        changes[buffer.last + 1] -= buffer.size
    total = largest = 0
    for step in sorted(changes):
        total += changes[step]
        largest = max(largest, total)
    return largest
