"""--max-drop for --compress: the fewest weights to store as they are, with which the network stays as good."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import cache
from math import inf

from netglot.ir.graph import Graph
from netglot.passes.stored_weights import weights
from netglot.quantize.budget import RANKING, Found, Progress, Words, within
from netglot.quantize.compress import compress, open_stored
from netglot.quantize.data import Few, Samples
from netglot.quantize.measure import agreement

AS_THEY_ARE = Words(
    "weights", "left as they are", "Ask --compress for less: a smaller share for prune, more bits for palettize."
)


def spare(
    graph: Graph, spec: str, budget: float, data: Samples, executor: Executor | None, progress: Progress | None
) -> Found:  # fmt: skip
    """The names of the weights that `compress` must keep as they are. `graph` itself is left as it is.

    They are ranked by what the outputs lose where one alone is compressed. ConversionError where the budget can't be
    met even with a single one compressed.
    """
    plain = graph.copy()
    open_stored(plain)
    compressed = plain.copy()
    names = [tensor.name for tensor in compress(compressed, spec, forms={}).tensors if tensor.sqnr < inf]

    def mixed(kept: frozenset[str]) -> Graph:
        copy = compressed.copy()
        for weight, before in zip(weights(copy), weights(plain), strict=True):
            if weight.value.name in kept:
                weight.value.data = before.value.data
        return copy

    def drop(kept: frozenset[str]) -> float:
        return agreement(graph, mixed(kept), data, executor=executor).drop

    few, everything = Few(data, RANKING), frozenset(names)

    @cache
    def alone(name: str) -> float:
        return min(agreement(graph, mixed(everything - {name}), few, executor=executor).sqnr.values(), default=inf)

    found = within(names, alone, drop, budget, AS_THEY_ARE, progress)
    found.why = {name: f"with it alone compressed the outputs are at {alone(name):.1f} dB" for name in found.floats}
    return found
