"""Relu(x) - slope Relu(-x) -> PRelu(x, slope): one of the two is always zero."""

from __future__ import annotations

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import enclosed, nodes, producer, supplant


def fuse_prelu(graph: Graph) -> bool:
    """Where the slope is constant, and nothing else reads what lies between."""
    return any([_fuse(graph, node) for node in nodes(graph, "Add", "Sub")])


def _fuse(graph: Graph, node: Node) -> bool:
    a, b = node.inputs
    orders = ((a, b), (b, a)) if node.op == "Add" else ((a, b),)
    return any(_replace(graph, node, positive, scaled) for positive, scaled in orders)


def _replace(graph: Graph, node: Node, positive: Value | None, scaled: Value | None) -> bool:
    relu, product = producer(graph, positive, "Relu"), producer(graph, scaled, "Mul")
    x = relu.inputs[0] if relu else None
    slope = _slope(graph, product, x) if product is not None and x is not None else None
    if x is None or slope is None or node.output.shape != x.shape or not enclosed(graph, [x], node):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        data = -slope.array if node.op == "Add" else slope.array
        supplant(graph, node, g.PRelu(x, g.constant(data, name=slope.name)))
    return True


def _slope(graph: Graph, product: Node, x: Value) -> Value | None:
    """The constant that Relu(-x) is multiplied by."""
    for slope, negative in (product.inputs, product.inputs[::-1]):
        relu = producer(graph, negative, "Relu")
        minus = producer(graph, relu.inputs[0], "Neg") if relu else None
        if minus is not None and minus.inputs[0] is x and slope is not None and slope.is_constant:
            return slope if slope.dtype is not None and slope.dtype.kind == "f" else None
    return None
