"""Reshape(Reshape(x)) -> Reshape(x), with Flatten, Squeeze and Unsqueeze as the Reshapes that they are."""

from __future__ import annotations

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.ir.types import is_static
from netglot.passes.match import leave_out, nodes, producer

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def merge_reshapes(graph: Graph) -> bool:
    """Only the last shape counts. The one before stays if others read it."""
    return any([_merge(graph, node) for node in nodes(graph, *_RESHAPES)])


def _merge(graph: Graph, node: Node) -> bool:
    inner = producer(graph, node.inputs[0], *_RESHAPES)
    if inner is None or not is_static(node.output.shape) or 0 in node.output.sizes:
        return False
    shape = graph.add_constant(np.array(node.output.sizes, np.int64), f"{node.name}/shape")
    node.op, node.attributes = "Reshape", {}
    graph.set_inputs(node, [node.inputs[0], shape])
    leave_out(graph, inner, node)
    return True
