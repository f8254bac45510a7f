"""Transpose(f(Transpose(Conv(x)))) -> f'(Conv(x)): what a channels-last source computes between its convolutions is
computed on channels-first values.

Such a source wraps each of its spatial operators in a pair of Transposes, because those of the IR are channels-first.
Which values are better moved is the question that layout.py answers for a target's memory, asked of the logical axes:
every operator is as the source has it (FIRST), or FREE where it can work on moved axes (moved_axes.py); a crossing
costs the bytes that a Transpose moves; a Transpose of the source costs nothing between a value that is moved and one
that is not. The graph as it is is one of the solutions, so what the cut finds never moves more.

The answer is carried out: axes and constants of the operators are moved, and what crosses becomes a Transpose.
"""

from __future__ import annotations

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last, inverse
from netglot.passes.layout import Ends, Side, choose_layout, is_reordering
from netglot.passes.moved_axes import RULES


def compute_channels_first(graph: Graph) -> bool:
    """Inputs and outputs keep their axes. Values that lose theirs get another name: a name stands for its numbers."""
    if not any(is_reordering(node) for node in graph.nodes()):
        return False
    choose_layout(graph, lambda node: _side(graph, node), lambda value: False, _order)
    moved = [value for value in graph.values() if value.layout is not None]
    for node in _touching(graph, moved):
        _rewrite(graph, node)
    for value in moved:
        _turn(graph, value)
    return bool(moved)


def _order(rank: int) -> tuple[int, ...]:
    """From N spatial... C to N C spatial..."""
    return inverse(channels_last(rank))


def _side(graph: Graph, node: Node) -> Ends:
    if is_reordering(node):
        return Side.FREE, Side.FREE
    rule = RULES.get(node.op) if not node.domain else None
    if rule is None or node.op == "Transpose" or not all(_is_own(graph, value) for value in node.inputs):
        return Side.FIRST, Side.FIRST
    return rule.ends(node, _order)


def _is_own(graph: Graph, value: Value | None) -> bool:
    """Not captured from an outer graph, whose values stay as they are."""
    return value is None or (value.name in graph and graph[value.name] is value)


def _touching(graph: Graph, moved: list[Value]) -> list[Node]:
    nodes = (node for value in moved for node in (graph.producer(value), *graph.consumers(value)) if node)
    return list(dict.fromkeys(nodes))


def _rewrite(graph: Graph, node: Node) -> None:
    x, y = node.inputs[0], node.output
    assert x is not None
    if node.op == "Transpose":
        node.attributes["perm"] = _between(x, y, node.attributes["perm"])
    elif node.op == "Identity" and x.layout != y.layout:
        node.op, node.attributes = "Transpose", {"perm": _between(x, y, tuple(range(x.rank)))}
    else:
        RULES[node.op].move(graph, node)


def _between(x: Value, y: Value, perm: tuple[int, ...]) -> tuple[int, ...]:
    """The perm that leads from x, as it will lie, to y, as it will lie, where logically y = Transpose(x, perm)."""
    source, target = (value.layout or tuple(range(value.rank)) for value in (x, y))
    return tuple(source.index(perm[axis]) for axis in target)


def _turn(graph: Graph, value: Value) -> None:
    assert value.shape is not None
    assert value.layout is not None
    value.shape = tuple(value.shape[axis] for axis in value.layout)
    value.layout = None
    graph.rename(value, graph.unique_name(f"{value.name.removesuffix('/moved')}/nchw"))
