"""Palette(indices, codebook), Sparse(mask, values) -> a dense constant; DequantizeLinear(constant), too, on request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from netglot.ir.evaluate import evaluate
from netglot.ir.extension import OPERATORS
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN
from netglot.passes.pipeline import apply

COMPRESSED = ("Palette", "Sparse")
Where = Callable[[Graph, Node], bool]  # the graph is the one that holds the node: a body, perhaps


def decompress(graph: Graph, *ops: str, where: Where | None = None) -> bool:
    """Makes dense constants of the stored weights that `ops` (Palette and Sparse, if none is named) decompress.

    For targets without such a form. In bodies too. A DequantizeLinear of what is computed stays. `where`: which nodes,
    for targets that have it for some.
    """
    return apply(partial(_decompress, ops=ops or COMPRESSED, where=where), graph)


def _decompress(graph: Graph, ops: tuple[str, ...], where: Where | None) -> bool:
    stored = [node for node in graph.nodes() if node.op in ops and _is_stored(node)]
    found = stored if where is None else [node for node in stored if where(graph, node)]
    return any([_fold(graph, node) for node in found])


def _is_stored(node: Node) -> bool:
    return all(value is None or value.is_constant for value in node.inputs)


def _fold(graph: Graph, node: Node) -> bool:
    data = _dense(node)
    if data is None:
        return False
    old, name, stored = node.output, node.output.name, node.inputs
    new = graph.add_constant(data, name)
    new.layout = old.layout
    if any(old is out for out in graph.outputs):
        _copy_to_output(graph, node, new)
    else:
        graph.replace_uses(old, new)
        graph.remove_node(node)
        graph.rename(new, name)
    _drop_unread(graph, stored)
    return True


def _copy_to_output(graph: Graph, node: Node, constant: Value) -> None:
    """An output of the graph keeps a node of its own."""
    node.op, node.domain, node.attributes = "Identity", "", {}
    graph.set_inputs(node, [constant])


def _dense(node: Node) -> np.ndarray | None:
    arrays = [value.array for value in node.inputs if value is not None]
    if node.domain == DOMAIN:
        return np.asarray(OPERATORS[node.op].run(*arrays, **node.attributes))
    results = evaluate(node)
    return None if results is None else results[0]


def _drop_unread(graph: Graph, values: tuple[Value | None, ...]) -> None:
    """Removes what held the weights, if nothing else reads it. (Constants of an outer graph are that graph's.)"""
    for value in dict.fromkeys(values):
        if value is not None and value.name in graph and graph[value.name] is value and not graph.uses(value):
            graph.remove_value(value)
