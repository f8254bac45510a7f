"""Reshape(MatMul(Reshape(x, [rows, K]), W)) -> MatMul(x, W), where W is a matrix and x has K columns itself.

TensorFlow multiplies only matrices, so what has more axes is flattened before and restored after; the same products.
"""

from __future__ import annotations

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import nodes, only_reader, producer, supplant
from netglot.passes.reshapes import same_sizes


def keep_axes_in_products(graph: Graph) -> bool:
    """Where nothing else reads the product as a matrix."""
    return any([_fuse(graph, node) for node in nodes(graph, "Reshape")])


def _fuse(graph: Graph, node: Node) -> bool:
    product = producer(graph, node.inputs[0], "MatMul")
    flat = producer(graph, product.inputs[0], "Reshape") if product else None
    if product is None or flat is None or only_reader(graph, product.output) is not node:
        return False
    x, w = flat.inputs[0], product.inputs[1]
    if x is None or w is None or not _multiplies(x, w, node.output):
        return False
    g = Builder(graph)
    with g.at(product.origin):
        y = g.MatMul(x, w)
    y.shape = node.output.shape
    supplant(graph, node, y)
    graph.remove_node(product)
    if not graph.uses(flat.output):
        graph.remove_node(flat)
    return True


def _multiplies(x: Value, w: Value, y: Value) -> bool:
    """Whether MatMul(x, w) has the shape of y."""
    if x.shape is None or y.shape is None or x.rank < 2 or not w.is_constant or w.rank != 2:
        return False
    return x.shape[-1] == w.sizes[0] and same_sizes((*x.shape[:-1], w.sizes[1]), y.shape)
