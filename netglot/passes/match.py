"""What the passes share: finding nodes, and putting one value in the place of another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from netglot.ir.graph import Graph, Node, Value


def nodes(graph: Graph, *ops: str) -> Iterator[Node]:
    """ONNX nodes of these operators (all if none is named), in topological order.

    The graph may change meanwhile: nodes that are gone when their turn comes are skipped. So are nodes whose values
    have a layout already, since the rewrites here reason about values as ONNX has them.
    """
    for node in graph.nodes():
        if node in graph.nx and not node.domain and (not ops or node.op in ops) and _unplaced(node):
            yield node


def _unplaced(node: Node) -> bool:
    return all(value is None or value.layout is None for value in (*node.inputs, *node.outputs))


def producer(graph: Graph, value: Value | None, *ops: str) -> Node | None:
    """The ONNX node that computes `value`, if it is one of `ops`."""
    node = graph.producer(value) if value is not None and value in graph.nx else None
    return node if node and not node.domain and node.op in ops and _unplaced(node) else None


def only_reader(graph: Graph, value: Value) -> Node | None:
    """The node that reads `value`, if nothing else does: no other node, no output of the graph, no subgraph."""
    readers = graph.consumers(value)
    if len(readers) != 1 or graph.uses(value) != 1 or sum(value is x for x in readers[0].inputs) != 1:
        return None
    return None if any(value in body.captures() for body in readers[0].subgraphs()) else readers[0]


def bypass(graph: Graph, node: Node, x: Value) -> bool:
    """What reads the only output of `node` reads `x` instead, and the node goes.

    False where the names forbid it: an output of the graph can't take the place of an input, a constant, another
    output or (in a subgraph) an outer value.
    """
    y = node.output
    if any(graph.uses(value) for value in node.outputs[1:]):
        return False
    taken = x.is_constant or x in graph.inputs or x in graph.outputs or x.name not in graph or graph[x.name] is not x
    if y in graph.outputs and taken:
        return False
    graph.replace_uses(y, x)
    graph.remove_node(node)
    return True


def supplant(graph: Graph, node: Node, *new: Value) -> None:
    """`new`, which operators compute anew, take the places of the first outputs of `node`, with their names; it goes.

    A name always stands for the same numbers, before a pass and after it: that is what bisecting relies on.
    """
    names = [value.name for value in node.outputs]
    for old, value in zip(node.outputs, new, strict=False):
        graph.replace_uses(old, value)
    graph.remove_node(node)
    for name, value in zip(names, new, strict=False):
        graph.rename(value, name)


def absorb(graph: Graph, chain: Sequence[Node]) -> None:
    """The first of `chain`, each of which reads the one before it alone, computes what the last did, under its name."""
    first, last = chain[0].output, chain[-1].output
    name = last.name
    graph.replace_uses(last, first)
    for node in reversed(chain[1:]):
        graph.remove_node(node)
    graph.rename(first, name)


def leave_out(graph: Graph, inner: Node, node: Node, index: int = 0) -> None:
    """Input `index` of `node` becomes what `inner`, which computed it, reads; `inner` goes if nothing else needs it.

    Dead nodes are not left for later: they would count as readers.
    """
    x = inner.inputs[0]
    graph.set_inputs(node, [x if i == index else value for i, value in enumerate(node.inputs)])
    if not any(graph.uses(value) for value in inner.outputs):
        graph.remove_node(inner)


def enclosed(graph: Graph, sources: Collection[Value], last: Node) -> bool:
    """Whether only nodes between `sources` and `last` read what is computed between them, so that all can go."""
    inside, waiting = {last}, [last]
    while waiting:
        for value in waiting.pop().inputs:
            maker = graph.producer(value) if value is not None and value in graph.nx else None
            if value not in sources and maker is not None and maker not in inside:
                inside.add(maker)
                waiting.append(maker)
    return all(_read_inside(graph, value, inside) for node in inside - {last} for value in node.outputs)


def _read_inside(graph: Graph, value: Value, inside: Collection[Node]) -> bool:
    return value not in graph.outputs and all(reader in inside for reader in graph.consumers(value))


def number(value: Value | None) -> float | None:
    """The number that a constant of one element holds."""
    if value is None or value.data is None or value.data.size != 1 or value.data.dtype.kind in "OSU":
        return None
    return float(value.data.reshape(())[()])


def all_equal(value: Value | None, wanted: float) -> bool:
    """Whether a constant holds only `wanted`. Looks at one element before it looks at all."""
    if value is None or value.data is None or not value.data.size or value.data.dtype.kind in "OSU":
        return False
    return bool(value.data.flat[0] == wanted and np.all(value.data == wanted))
