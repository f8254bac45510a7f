"""Chooses how a channels-last target stores each value, as a minimum cut of the whole graph.

Operators always mean what ONNX says (channels first); `Value.layout` says how a value lies in memory. Every operator
is on one side: LAST (convolutions: the target has only a channels-last kernel), FIRST (as the IR has it: reshapes),
or FREE (elementwise: whichever suits its neighbours). A value that crosses from one side to the other is moved once,
which costs its bytes; the minimum cut (networkx) finds the cheapest sides for all FREE operators together. A Transpose
between the two orders has a side at each end, and costs nothing where they differ the right way.

The result is annotations, and an Identity node on each crossing (logically it does nothing; the target writes it as a
transposition). So the graph stays executable.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import prod

import networkx as nx

from netglot.ir.graph import Graph, Node, Value

Vertex = tuple[str, object]


class Side(Enum):
    """Where an operator wants its spatial values (rank 3 and more)."""

    LAST = "channels last"
    FIRST = "as the IR has it"
    FREE = "either, but all of them alike"


SOURCE: Vertex = ("all", Side.LAST)
SINK: Vertex = ("all", Side.FIRST)


def channels_last(rank: int) -> tuple[int, ...]:
    """The permutation from N C spatial... to N spatial... C."""
    return (0, *range(2, rank), 1)


def choose_layout(graph: Graph, side: Callable[[Node], Side], io_last: Callable[[Value], bool]) -> None:
    """Sets `layout` on the values of `graph` and puts an Identity on every crossing.

    `side` gives each node's side; `io_last` says which inputs and outputs of the graph are stored channels-last.
    """
    if not any(side(node) is Side.LAST for node in graph.nodes()) and not any(map(io_last, graph.inputs)):
        return
    flow = _flow_network(graph, side, io_last)
    _, (last, _) = nx.minimum_cut(flow, SOURCE, SINK)
    _annotate(graph, last)


def _spatial(value: Value | None) -> bool:
    return value is not None and not value.is_constant and value.shape is not None and len(value.shape) >= 3


def _maker(graph: Graph, value: Value) -> Vertex:
    node = graph.producer(value)
    return ("output of", node) if node else ("input", value)


def _readers(graph: Graph, value: Value) -> list[Vertex]:
    readers: list[Vertex] = [("input of", node) for node in graph.consumers(value)]
    return [*readers, ("output", value)] if value in graph.outputs else readers


def _flow_network(graph: Graph, side: Callable[[Node], Side], io_last: Callable[[Value], bool]) -> nx.DiGraph:
    flow: nx.DiGraph[Vertex] = nx.DiGraph()
    flow.add_nodes_from([SOURCE, SINK])
    for node in graph.nodes():
        _add_node(flow, node, side(node))
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for value in values:
            _pin(flow, (kind, value), Side.LAST if io_last(value) else Side.FIRST)
    for value in graph.values():
        if _spatial(value):
            _add_value(flow, _maker(graph, value), _readers(graph, value), value)
    return flow


def _add_node(flow: nx.DiGraph, node: Node, side: Side) -> None:
    before, after = ("input of", node), ("output of", node)
    if node.op == "Transpose" and _spatial(node.inputs[0]):
        _add_transpose(flow, node)
        return
    flow.add_edge(before, after)  # no capacity: infinite, so both ends are on one side
    flow.add_edge(after, before)
    _pin(flow, before, side)


def _add_transpose(flow: nx.DiGraph, node: Node) -> None:
    """The two ends are free of each other; each prefers the side on which the transposition is already done."""
    before, after, perm = ("input of", node), ("output of", node), node.attributes.get("perm")
    flow.add_nodes_from([before, after])
    last, cost = channels_last(node.output.rank), _cost(node.output)
    if perm == last:
        flow.add_edge(SOURCE, before, capacity=cost)
        flow.add_edge(after, SINK, capacity=cost)
    elif perm == tuple(last.index(axis) for axis in range(len(last))):
        flow.add_edge(before, SINK, capacity=cost)
        flow.add_edge(SOURCE, after, capacity=cost)


def _pin(flow: nx.DiGraph, vertex: Vertex, side: Side) -> None:
    flow.add_node(vertex)
    if side is Side.LAST:
        flow.add_edge(SOURCE, vertex)
    elif side is Side.FIRST:
        flow.add_edge(vertex, SINK)


def _add_value(flow: nx.DiGraph, maker: Vertex, readers: list[Vertex], value: Value) -> None:
    """Costs its bytes once if any reader is on the other side than its maker."""
    leaving, entering, cost = ("leaves", value), ("enters", value), _cost(value)
    flow.add_edge(maker, leaving, capacity=cost)
    flow.add_edge(entering, maker, capacity=cost)
    for reader in readers:
        flow.add_edge(leaving, reader)
        flow.add_edge(reader, entering)


def _cost(value: Value) -> int:
    """Bytes that a move touches; a move that changes nothing in memory is nearly free."""
    sizes = [dim if isinstance(dim, int) else 1 for dim in value.shape or ()]
    trivial = sizes[1] == 1 or prod(sizes[2:]) == 1
    return 1 if trivial else 1 + prod(sizes) * (value.dtype.itemsize if value.dtype else 4)


def _annotate(graph: Graph, last: set[Vertex]) -> None:
    for value in [value for value in graph.values() if _spatial(value)]:
        is_last = _maker(graph, value) in last
        value.layout = channels_last(value.rank) if is_last else None
        crossing = [reader for reader in _readers(graph, value) if (reader in last) != is_last]
        if crossing:
            _move(graph, value, crossing, not is_last)


def _move(graph: Graph, value: Value, readers: list[Vertex], to_last: bool) -> None:
    """Puts one Identity between `value` and those of its readers that want it stored the other way."""
    is_output = ("output", value) in readers
    moved = graph.add_value(f"{value.name}/{'nhwc' if to_last else 'nchw'}", value.dtype, value.shape)
    moved.layout = channels_last(value.rank) if to_last else None
    for kind, node in readers:
        if kind == "input of" and isinstance(node, Node):
            graph.set_inputs(node, [moved if x is value else x for x in node.inputs])
    graph.add_node(Node("Identity", [value], [moved]))
    if is_output:
        graph.outputs = [moved if out is value else out for out in graph.outputs]
        graph._swap_names(value, moved)
