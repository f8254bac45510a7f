"""Reshape(MatMul(x, W), [..., A, B]) + bias [A, B] -> Reshape(MatMul(x, W) + bias [A B]): attention's heads.

So a bias meets the layer that it belongs to. The same sums.
"""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import nodes, only_reader, producer, supplant


def add_before_splitting(graph: Graph) -> bool:
    """Where the Reshape only splits the last axis, and nothing else reads what is on the way."""
    return any([_move(graph, node) for node in nodes(graph, "Add")])


def _move(graph: Graph, node: Node) -> bool:
    a, b = node.inputs
    return a is not None and b is not None and (_swap(graph, node, a, b) or _swap(graph, node, b, a))


def _swap(graph: Graph, node: Node, y: Value, bias: Value) -> bool:
    reshape = producer(graph, y, "Reshape")
    product = producer(graph, reshape.inputs[0], "MatMul") if reshape else None
    if reshape is None or product is None or not bias.is_constant or y.shape != node.output.shape:
        return False
    row = _row(product.output, y, bias)
    if row is None or only_reader(graph, y) is not node or only_reader(graph, product.output) is not reshape:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        total = g.Add(product.output, g.constant(row, name=bias.name))
    graph.set_inputs(reshape, [total, *reshape.inputs[1:]])
    supplant(graph, node, y)
    return True


def _row(x: Value, y: Value, bias: Value) -> np.ndarray | None:
    """`bias` for each column of x, if y is x with its columns split in more axes."""
    if x.shape is None or y.shape is None or y.rank <= x.rank or bias.rank > y.rank:
        return None
    kept = x.rank - 1
    parts = [dim for dim in y.shape[kept:] if isinstance(dim, int)]
    columns = x.shape[-1]
    if x.shape[:kept] != y.shape[:kept] or len(parts) != y.rank - kept or columns != int(np.prod(parts)):
        return None
    own = bias.array.reshape((1,) * (y.rank - bias.rank) + bias.array.shape)
    return np.broadcast_to(own[(0,) * kept], parts).reshape(-1) if set(own.shape[:kept]) <= {1} else None
