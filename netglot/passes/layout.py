"""Chooses how a channels-last target stores each value, as a minimum cut of the whole graph.

Operators always mean what ONNX says (channels first); `Value.layout` says how a value lies in memory. Each end of an
operator is LAST (convolutions: the target has only a channels-last kernel), FIRST (as the IR has it: reshapes), or FREE
(elementwise: whichever suits its neighbours). A value that crosses from one side to the other is moved once, which
costs its bytes; the minimum cut (networkx) finds the cheapest sides for everything FREE together. A Transpose between
the two orders has a side at each end, and costs nothing where they differ the right way.

The result is annotations, and an Identity node on each crossing (logically it does nothing; the target writes it as a
transposition). So the graph stays executable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import prod

import networkx as nx
from networkx.algorithms.flow import boykov_kolmogorov

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last, inverse


class Side(Enum):
    """How an operator wants its spatial values (rank 3 and more)."""

    LAST = "channels last"
    FIRST = "as the IR has it"
    FREE = "either"


Ends = Side | tuple[Side, Side]  # one for all values of an operator alike, or one for its inputs, one for its outputs
Vertex = object  # a pinned Side, or whatever is free to take one
Reader = tuple[Vertex, Node | None]  # None: the graph's own output


def choose_layout(graph: Graph, side: Callable[[Node], Ends], io_last: Callable[[Value], bool]) -> None:
    """Sets `layout` on the values of `graph` and puts an Identity on every crossing.

    `side` gives each node's side; `io_last` says which inputs and outputs of the graph are stored channels-last.
    """
    channels_last_nodes = [node for node in graph.nodes() if side(node) is Side.LAST]
    network = _network(graph, side, io_last)
    _, (last, _) = nx.minimum_cut(network.flow, Side.LAST, Side.FIRST, flow_func=boykov_kolmogorov)
    for value in [value for value in graph.values() if _spatial(value)]:
        _annotate(graph, network, value, last)
    for node in channels_last_nodes:
        _turn_constant(graph, node)


@dataclass
class _Network:
    """The flow network. What is pinned is the source or the sink itself, so only what is FREE makes it larger."""

    flow: nx.DiGraph[Vertex] = field(default_factory=nx.DiGraph)
    before: dict[Node | None, Vertex] = field(default_factory=dict)  # who reads a node's inputs
    after: dict[Node | None, Vertex] = field(default_factory=dict)  # who makes a node's outputs
    io: dict[Value, Side] = field(default_factory=dict)

    def maker(self, graph: Graph, value: Value) -> Vertex:
        node = graph.producer(value)
        return self.after[node] if node else self.io[value]

    def readers(self, graph: Graph, value: Value) -> Iterator[Reader]:
        yield from ((self.before[node], node) for node in graph.consumers(value))
        if value in self.io and graph.uses(value) > graph.nx.out_degree(value):
            yield self.io[value], None

    def edge(self, start: Vertex, end: Vertex, capacity: float) -> None:
        """Costs `capacity` if `start` is LAST and `end` is FIRST."""
        if start is end or start is Side.FIRST or end is Side.LAST:
            return
        known = self.flow.get_edge_data(start, end, {"capacity": 0})["capacity"]
        self.flow.add_edge(start, end, capacity=known + capacity)


def _network(graph: Graph, side: Callable[[Node], Ends], io_last: Callable[[Value], bool]) -> _Network:
    network, nodes = _Network(), graph.nodes()
    network.flow.add_nodes_from([Side.LAST, Side.FIRST])
    network.io = {v: Side.LAST if io_last(v) else Side.FIRST for v in (*graph.inputs, *graph.outputs)}
    for node in nodes:
        _add_node(network, node, side(node))
    for value in graph.values():
        if _spatial(value):
            readers = [vertex for vertex, _ in network.readers(graph, value)]
            _add_value(network, network.maker(graph, value), readers, _cost(value))
    for node, toward_last in _transposes(graph, nodes, network):
        _add_transpose(network, node, toward_last)
    return network


def _spatial(value: Value | None) -> bool:
    return value is not None and not value.is_constant and value.shape is not None and len(value.shape) >= 3


def _is_transpose(node: Node) -> bool:
    return node.op == "Transpose" and _spatial(node.inputs[0])


def _add_node(network: _Network, node: Node, side: Ends) -> None:
    """A FREE node is one vertex where its ends go together, and one for each end where they do not."""
    if _is_transpose(node) and isinstance(side, Side):
        side = Side.FREE, Side.FREE
    ends = (side, side) if isinstance(side, Side) else side
    free = (node, node) if isinstance(side, Side) else (("before", node), ("after", node))
    vertices = [vertex if end is Side.FREE else end for end, vertex in zip(ends, free, strict=True)]
    network.before[node], network.after[node] = vertices
    network.flow.add_nodes_from(vertices)


def _add_value(network: _Network, maker: Vertex, readers: list[Vertex], cost: int) -> None:
    """Costs its bytes once if any reader is on the other side than its maker."""
    others = [reader for reader in dict.fromkeys(readers) if reader is not maker]
    if Side.FIRST in others or len(others) == 1:
        network.edge(maker, Side.FIRST if Side.FIRST in others else others[0], cost)
    if Side.LAST in others or len(others) == 1:
        network.edge(Side.LAST if Side.LAST in others else others[0], maker, cost)
    free = [other for other in others if not isinstance(other, Side)]
    if len(others) > 1 and Side.FIRST not in others:
        _add_any(network, maker, free, cost, leaving=True)
    if len(others) > 1 and Side.LAST not in others:
        _add_any(network, maker, free, cost, leaving=False)


def _add_any(network: _Network, maker: Vertex, readers: list[Vertex], cost: int, *, leaving: bool) -> None:
    """`cost` once, however many readers are across, through a vertex that is across as soon as one of them is."""
    between = object()
    for start, end, capacity in [(maker, between, cost), *((between, reader, float("inf")) for reader in readers)]:
        network.edge(start, end, capacity) if leaving else network.edge(end, start, capacity)


def _cost(value: Value) -> int:
    """Bytes that a move touches; a move that changes nothing in memory is nearly free."""
    sizes = [dim if isinstance(dim, int) else 1 for dim in value.shape or ()]
    trivial = sizes[1] == 1 or prod(sizes[2:]) == 1
    return 1 if trivial else 1 + prod(sizes) * (value.dtype.itemsize if value.dtype else 4)


# ------------------------------------------------------------------ transposes


def _transposes(graph: Graph, nodes: list[Node], network: _Network) -> Iterator[tuple[Node, bool]]:
    """Each Transpose between the two orders, and whether it leads into the channels-first one of the source.

    With one spatial axis both directions are the same permutation; then it leads out of what it comes from.
    """
    side: dict[Node | None, Vertex] = {}
    for node in nodes:
        x = next((value for value in node.inputs if _spatial(value)), None)
        before = side.get(graph.producer(x), Side.FIRST) if x else Side.FIRST
        side[node] = network.after[node] if isinstance(network.after[node], Side) else before
        if _is_transpose(node):
            last, perm = channels_last(node.output.rank), tuple(node.attributes.get("perm", ()))
            toward_last = perm == inverse(last) and (perm != last or before is Side.FIRST)
            side[node] = Side.LAST if toward_last else Side.FIRST
            if perm in (last, inverse(last)):
                yield node, toward_last


def _add_transpose(network: _Network, node: Node, toward_last: bool) -> None:
    """Its ends are free of each other; each prefers the side on which the transposition is already done.

    (FIRST before and LAST after, or the reverse, costs two of them here and one in truth: no cut can say that.)
    """
    cost = _cost(node.output)
    if toward_last:
        network.edge(Side.LAST, network.after[node], cost)
        network.edge(network.before[node], Side.FIRST, cost)
    else:
        network.edge(Side.LAST, network.before[node], cost)
        network.edge(network.after[node], Side.FIRST, cost)


# ------------------------------------------------------------------- the result


def _annotate(graph: Graph, network: _Network, value: Value, last: set[Vertex]) -> None:
    is_last = network.maker(graph, value) in last
    value.layout = channels_last(value.rank) if is_last else None
    crossing = [node for vertex, node in network.readers(graph, value) if (vertex in last) != is_last]
    if crossing:
        _move(graph, value, crossing, not is_last)


def _turn_constant(graph: Graph, node: Node) -> None:
    """An image that is constant is no part of the cut: the node gets one of its own, stored as it wants it."""
    image = node.inputs[0]
    if image is None or image.data is None or len(image.data.shape) < 3:
        return
    turned = graph.add_constant(image.data, image.name)
    turned.layout = channels_last(turned.rank)
    graph.set_inputs(node, [turned, *node.inputs[1:]])
    if not graph.uses(image):
        graph.remove_value(image)


def _move(graph: Graph, value: Value, readers: list[Node | None], to_last: bool) -> None:
    """Puts one Identity between `value` and those of its readers that want it stored the other way."""
    moved = graph.add_value(f"{value.name}/{'nhwc' if to_last else 'nchw'}", value.dtype, value.shape)
    moved.layout = channels_last(value.rank) if to_last else None
    for node in readers:
        if node is not None:
            graph.set_inputs(node, [moved if x is value else x for x in node.inputs])
    graph.add_node(Node("Identity", [value], [moved]))
    if None in readers:
        graph.outputs = [moved if out is value else out for out in graph.outputs]
        graph.swap_names(value, moved)
