"""Reshape(Reshape(x)) -> Reshape(x), with Flatten, Squeeze and Unsqueeze as the Reshapes that they are, and Transposes
that move nothing but axes of size one.
"""

from __future__ import annotations

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.ir.types import Shape
from netglot.passes.layout import only_ones_move
from netglot.passes.match import leave_out, nodes, producer
from netglot.passes.transposes import permutation

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def merge_reshapes(graph: Graph) -> bool:
    """Only the last shape counts. The one before stays if others read it."""
    found = [node for node in nodes(graph, *_RESHAPES, "Transpose") if _reshapes(node)]
    return any([_merge(graph, node) for node in found if node in graph.nx])


def _reshapes(node: Node) -> bool:
    x = node.inputs[0]
    if node.op != "Transpose":
        return True
    return x is not None and x.shape is not None and only_ones_move(x, permutation(node))


def _merge(graph: Graph, node: Node) -> bool:
    inner = producer(graph, node.inputs[0], *_RESHAPES, "Transpose")
    shape = _said(node.output.shape)
    if inner is None or shape is None or not _reshapes(inner) or node.op == inner.op == "Transpose":
        return False
    node.op, node.attributes = "Reshape", {}
    graph.set_inputs(node, [node.inputs[0], graph.add_constant(shape, f"{node.name}/shape")])
    leave_out(graph, inner, node)
    return True


def _said(shape: Shape | None) -> np.ndarray | None:
    """A shape of at most one unknown size as Reshape takes it. Zeros would be copied from the input."""
    if shape is None or 0 in shape or sum(not isinstance(dim, int) for dim in shape) > 1:
        return None
    return np.array([dim if isinstance(dim, int) else -1 for dim in shape], np.int64)
