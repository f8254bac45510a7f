"""Chooses how a channels-last target stores each value, as a minimum cut of the whole graph.

Operators always mean what ONNX says (channels first); `Value.layout` says how a value lies in memory. Each end of an
operator is LAST (convolutions: the target has only a channels-last kernel), FIRST (as the IR has it: reshapes), or FREE
(elementwise: whichever suits its neighbours). A value that crosses from one side to the other is moved once, which
costs its bytes; the minimum cut (networkx) finds the cheapest sides for everything FREE together. A Transpose between
the two orders has a side at each end, and costs nothing where they differ the right way.

The same cut serves the other way round: where values mean N spatial... C and LAST stands for their channels-first form
(see channels_first.py), `order` is that of the other side.

The result is annotations, and an Identity node on each crossing (logically it does nothing; the target writes it as a
transposition). So the graph stays executable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import prod

import networkx as nx
from networkx.algorithms.flow import boykov_kolmogorov

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last, inverse


class Side(Enum):
    """How an operator wants its spatial values (rank 3 and more)."""

    LAST = "channels last"  # or whatever `order` is
    FIRST = "as the IR has it"
    FREE = "either"


Ends = Side | tuple[Side, Side]  # one for all values of an operator alike, or one for its inputs, one for its outputs
Vertex = object  # a pinned Side, or whatever is free to take one
Reader = tuple[Vertex, Node | None]  # None: the graph's own output
Order = Callable[[int], tuple[int, ...]]  # of a rank: the permutation from logical axes to those of the side LAST


def choose_layout(
    graph: Graph, side: Callable[[Node], Ends], io_last: Callable[[Value], bool], order: Order = channels_last
) -> None:
    """Sets `layout` on the values of `graph` and puts an Identity on every crossing.

    `side` gives each node's side; `io_last` says which inputs and outputs of the graph are stored in `order`.
    """
    channels_last_nodes = [node for node in graph.nodes() if side(node) is Side.LAST]
    network = _network(graph, side, io_last, order)
    _, (last, _) = nx.minimum_cut(network.flow, Side.LAST, Side.FIRST, flow_func=boykov_kolmogorov)
    last -= _undecided(network.flow)
    for value in [value for value in graph.values() if _spatial(value)]:
        _annotate(graph, network, value, last)
    for node in channels_last_nodes:
        _turn_constant(graph, node)


def _undecided(flow: nx.DiGraph[Vertex]) -> set[Vertex]:
    """What nothing ties to either side: it costs the same on both, and stays as it is."""
    parts = nx.weakly_connected_components(flow)
    return {vertex for part in parts if part.isdisjoint((Side.LAST, Side.FIRST)) for vertex in part}


@dataclass
class _Network:
    """The flow network. What is pinned is the source or the sink itself, so only what is FREE makes it larger."""

    flow: nx.DiGraph[Vertex] = field(default_factory=nx.DiGraph)
    before: dict[Node | None, Vertex] = field(default_factory=dict)  # who reads a node's inputs
    after: dict[Node | None, Vertex] = field(default_factory=dict)  # who makes a node's outputs
    io: dict[Value, Side] = field(default_factory=dict)
    order: Order = channels_last

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


def _network(graph: Graph, side: Callable[[Node], Ends], io_last: Callable[[Value], bool], order: Order) -> _Network:
    network, nodes = _Network(order=order), graph.nodes()
    network.flow.add_nodes_from([Side.LAST, Side.FIRST])
    network.io = {v: Side.LAST if io_last(v) else Side.FIRST for v in (*graph.inputs, *graph.outputs)}
    for node in nodes:
        _add_node(network, node, side(node))
    for value in graph.values():
        if _spatial(value):
            readers = [vertex for vertex, _ in network.readers(graph, value)]
            cost = _cost(value, order(value.rank)) + _beside_transpose(graph, value)
            _add_value(network, network.maker(graph, value), readers, cost)
    for node, toward_last in _transposes(graph, nodes, order):
        _add_transpose(network, node, toward_last)
    return network


def _beside_transpose(graph: Graph, value: Value) -> bool:
    """Moving this costs a little more than the Transpose that makes or reads it, which it would only replace."""
    return any(node is not None and is_reordering(node) for node in (graph.producer(value), *graph.consumers(value)))


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


def _cost(value: Value, perm: tuple[int, ...]) -> int:
    """Bytes that moving `value` touches; a move that changes nothing in memory is nearly free."""
    assert value.shape is not None
    sizes = [dim if isinstance(dim, int) else 1 for dim in value.shape]
    return 1 if only_ones_move(value, perm) else 1 + prod(sizes) * (value.dtype.itemsize if value.dtype else 4)


def only_ones_move(value: Value, perm: tuple[int, ...]) -> bool:
    """Whether `perm` moves only axes of size one, so that the elements of `value` stay in their order."""
    assert value.shape is not None
    moving = [axis for axis in perm if value.shape[axis] != 1]
    return moving == sorted(moving)


def dropping(rank: int, axes: Collection[int], order: Order = channels_last) -> Ends:
    """The sides of an operator that takes `axes` away, so that what remains of memory is in one of the two orders."""
    left = rank - len(axes)
    if left < 3:
        return Side.FREE, Side.FIRST
    remaining = natural_order(order(rank), axes)
    if remaining == tuple(range(left)):
        return Side.FREE, Side.FIRST
    return Side.FREE if remaining == order(left) else Side.FIRST


def natural_order(layout: tuple[int, ...], dropped: Collection[int]) -> tuple[int, ...]:
    """How the axes that remain lie in memory when `dropped` are taken from a value stored as `layout`."""
    remaining = sorted(axis for axis in layout if axis not in dropped)
    return tuple(remaining.index(axis) for axis in layout if axis not in dropped)


# ------------------------------------------------------------------ transposes


# Operators whose axis 1 counts channels.
_CHANNELS_FIRST = {
    "Conv", "ConvTranspose", "DeformConv", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool",
    "GlobalLpPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace",
    "SpaceToDepth", "FusedConv",
}  # fmt: skip


def _transposes(graph: Graph, nodes: list[Node], order: Order) -> Iterator[tuple[Node, bool]]:
    """Each Transpose between the two orders, and whether it does nothing from FIRST to LAST (else from LAST to FIRST).

    With one spatial axis both directions are the same permutation; then what is around it says where it leads.
    """
    rows = _channels_first_rows(graph, nodes)
    for node in filter(is_reordering, nodes):
        x, perm = node.inputs[0], tuple(node.attributes["perm"])
        assert x is not None
        if x.rank > 3:
            yield node, perm == inverse(order(x.rank))
        elif x in rows:
            yield node, rows[x] is not (order is channels_last)


def is_reordering(node: Node) -> bool:
    """Whether `node` leads from N C spatial... to N spatial... C, or back."""
    x = node.input(0)
    if node.op != "Transpose" or node.domain or x is None or not _spatial(x):
        return False
    last = channels_last(x.rank)
    return tuple(node.attributes.get("perm", ())) in (last, inverse(last))


def _channels_first_rows(graph: Graph, nodes: list[Node]) -> dict[Value, bool]:
    """Whether a value of rank 3 is N C W (or else N W C), for all that come from or lead to a spatial operator."""
    known: dict[Value, bool] = {}
    ends = ((value, node) for node in nodes if node.op in _CHANNELS_FIRST for value in (node.inputs[0], node.output))
    found = deque((value, True) for value, _ in ends if value is not None)
    while found:
        value, first = found.popleft()
        if value in known or not _spatial(value) or value.rank != 3:
            continue
        known[value] = first
        for node in filter(None, (graph.producer(value), *graph.consumers(value))):
            flips = is_reordering(node)
            others = (*node.inputs, *node.outputs) if flips or node.op not in _CHANNELS_FIRST else ()
            found += [(other, first is not flips) for other in others if other is not None and other is not value]
    return known


def _add_transpose(network: _Network, node: Node, toward_last: bool) -> None:
    """Its ends are free of each other; each prefers the side on which the transposition is already done.

    (FIRST before and LAST after, or the reverse, costs two of them here and one in truth: no cut can say that.)
    """
    x = node.inputs[0]
    assert x is not None
    cost = _cost(x, node.attributes["perm"])
    if toward_last:
        network.edge(Side.LAST, network.after[node], cost)
        network.edge(network.before[node], Side.FIRST, cost)
    else:
        network.edge(Side.LAST, network.before[node], cost)
        network.edge(network.after[node], Side.FIRST, cost)


# ------------------------------------------------------------------- the result


def _annotate(graph: Graph, network: _Network, value: Value, last: set[Vertex]) -> None:
    is_last = network.maker(graph, value) in last
    value.layout = network.order(value.rank) if is_last else None
    crossing = [node for vertex, node in network.readers(graph, value) if (vertex in last) != is_last]
    if crossing:
        _move(graph, value, crossing, None if is_last else network.order(value.rank))


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


def _move(graph: Graph, value: Value, readers: list[Node | None], layout: tuple[int, ...] | None) -> None:
    """Puts one Identity between `value` and those of its readers that want it stored the other way, as `layout`."""
    moved = graph.add_value(f"{value.name}/moved", value.dtype, value.shape)
    moved.layout = layout
    for node in readers:
        if node is not None:
            for body in node.subgraphs():
                body.replace_uses(value, moved)
            graph.set_inputs(node, [moved if x is value else x for x in node.inputs])
    graph.add_node(Node("Identity", [value], [moved]))
    if None in readers:
        graph.outputs = [moved if out is value else out for out in graph.outputs]
        graph.swap_names(value, moved)
