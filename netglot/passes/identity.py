"""f(x) -> x, where f changes nothing."""

from __future__ import annotations

import numpy as np

from netglot.ir.graph import Graph, Node, Value


def remove_identities(graph: Graph) -> bool:
    """Identity(x), Dropout(x) at inference, Reshape/Expand/Cast/Transpose/Pad/Concat that change nothing -> x.

    An Identity between an input and an output of the graph stays: both keep their names.
    """
    return any([_bypass(graph, node) for node in graph.nodes() if _is_identity(graph, node)])


def _bypass(graph: Graph, node: Node) -> bool:
    x, y = node.inputs[0], node.output
    if x is None or graph.captures() or any(graph.uses(value) for value in node.outputs[1:]):
        return False
    if y in graph.outputs and (x in graph.inputs or x in graph.outputs or x.is_constant):
        return False
    graph.replace_uses(y, x)
    graph.remove_node(node)
    return True


def _is_identity(graph: Graph, node: Node) -> bool:
    x = node.input(0)
    if x is None or node.domain or x.layout != node.output.layout:
        return False
    if node.op in ("Identity", "Dropout"):
        return True
    same_shape = x.shape is not None and x.shape == node.output.shape and None not in x.shape
    if node.op in ("Reshape", "Flatten", "Expand", "Squeeze", "Unsqueeze", "Cast"):
        return same_shape and x.dtype == node.output.dtype
    if node.op == "Transpose":
        return list(node.attributes.get("perm", ())) == list(range(x.rank))
    if node.op == "Concat":
        return len(node.inputs) == 1
    return node.op == "Pad" and _all_zero(node.input(1))


def _all_zero(value: Value | None) -> bool:
    return value is not None and value.data is not None and not np.any(value.data)
