"""--max-drop for --compress: the fewest weights to store as they are, with which the network stays as good."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from math import inf

from netglot.errors import ConversionError
from netglot.ir.graph import Graph
from netglot.passes.stored_weights import weights
from netglot.quantize.budget import RANKING, Found, search
from netglot.quantize.compress import compress, open_stored
from netglot.quantize.data import Few, Samples
from netglot.quantize.measure import agreement

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


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

    if (worst := drop(frozenset())) <= budget:
        return Found([], [worst])
    few, damage = Few(data, RANKING), dict.fromkeys(names, inf)
    for done, name in enumerate(names):
        alone = agreement(graph, mixed(frozenset(names) - {name}), few, executor=executor)
        damage[name] = min(alone.sqnr.values(), default=inf)
        if progress:
            progress("ranking weights", done + 1, len(names))
    found = search(sorted(names, key=lambda name: damage[name]), drop, budget)
    if not found.met:
        raise ConversionError(
            f"the budget of {budget:g} can't be met: the best drop is {found.drops[-1]:.4g}, with {len(found.floats)} "
            f"of {len(names)} weights left as they are ({found.drops[0]:.4g} with none)",
            hint="Ask --compress for less: a smaller share for prune, more bits for palettize.",
        )
    found.why = {name: f"with it alone compressed the outputs are at {damage[name]:.1f} dB" for name in found.floats}
    return found
