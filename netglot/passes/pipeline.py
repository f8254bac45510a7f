"""The passes, in order. Every pass takes a Graph, keeps it valid, and says whether it changed anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netglot.ir.graph import Graph
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.flatten_layout import flatten_channels_last
from netglot.passes.identity import remove_identities

Pass = Callable[[Graph], bool]

# For every target.
COMMON: list[Pass] = [
    remove_dead_code,  # first, so that nothing is done for nothing
    remove_identities,
    remove_dead_code,  # what the others left behind
]

# For targets whose images are channels-last, after their layout is chosen (see layout.py).
CHANNELS_LAST: list[Pass] = [
    flatten_channels_last,
    remove_dead_code,
]


def run(graph: Graph, passes: Sequence[Pass], *, check: bool = False) -> Graph:
    """Runs `passes` on `graph` in place. With `check` the invariants are proven after each (the tests do)."""
    for one in passes:
        one(graph)
        if check:
            graph.check()
    return graph
