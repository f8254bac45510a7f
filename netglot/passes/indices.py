"""Gather(x, Where(i < 0, i + n, i)) -> Gather(x, i), n being the size: Gather counts from the end too."""

from __future__ import annotations

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.match import all_equal, nodes, producer


def count_from_the_end(graph: Graph) -> bool:
    """What Keras writes before TensorFlow's gather, which takes no negative indices."""
    return any([_simplify(graph, node) for node in nodes(graph, "Gather")])


def _simplify(graph: Graph, node: Node) -> bool:
    x, indices = node.inputs
    where = producer(graph, indices, "Where")
    axis = int(node.attributes.get("axis", defaults("Gather")["axis"]))
    size = x.shape[axis] if x is not None and x.shape is not None else None
    source = _wrapped(graph, where, size) if where is not None and isinstance(size, int) else None
    if where is None or source is None or source.shape != where.output.shape or source.dtype != where.output.dtype:
        return False
    graph.set_inputs(node, [x, source])
    return True


def _wrapped(graph: Graph, where: Node, size: int) -> Value | None:
    """i, if the Where adds `size` to what is negative of it."""
    less, total = producer(graph, where.inputs[0], "Less"), producer(graph, where.inputs[1], "Add")
    source = where.inputs[2]
    if less is None or total is None or less.inputs[0] is not source or not all_equal(less.inputs[1], 0):
        return None
    added = [value for value in total.inputs if value is not source]
    return source if len(added) == 1 and all_equal(added[0], size) else None
