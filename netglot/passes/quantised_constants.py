"""QuantizeLinear(constant) -> a constant of integers; Transpose(DequantizeLinear(constant)) -> DequantizeLinear of the
integers transposed, and likewise what else only moves them.

So weights stay integers, right in front of the layer that reads them, where targets look for them. Exact: the scales
move along.
"""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node
from netglot.passes.fold_constants import fold_constants
from netglot.passes.match import nodes, only_reader, producer, supplant

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_MOVES = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def quantise_constants(graph: Graph) -> bool:
    """Weights that are quantised in the graph, as training that knows of it leaves them; and what moves them then."""
    folded = any([_fold(graph, node) for node in nodes(graph, QUANTIZE)])
    return folded and (fold_constants(graph) or folded)


def _fold(graph: Graph, node: Node) -> bool:
    if node.output in graph.outputs or not all(value is None or value.is_constant for value in node.inputs):
        return False
    data = compute(QUANTIZE, *(None if v is None else v.array for v in node.inputs), **node.attributes)
    name = node.output.name
    constant = graph.add_constant(data, name)
    graph.replace_uses(node.output, constant)
    graph.remove_node(node)
    graph.rename(constant, name)
    return True


def dequantise_last(graph: Graph) -> bool:
    """Where nothing else reads the weights: those that two layers share in two orders are stored once."""
    return any([_move(graph, node) for node in nodes(graph, *_MOVES)])


def _move(graph: Graph, node: Node) -> bool:
    x = node.inputs[0]
    dequantise = producer(graph, x, DEQUANTIZE)
    if x is None or dequantise is None or only_reader(graph, x) is not node:
        return False
    if not all(value is None or value.is_constant for value in (*dequantise.inputs, *node.inputs[1:])):
        return False
    parts = _moved(dequantise, node)
    if parts is None:
        return False
    g = Builder(graph)
    with g.at(dequantise.origin):
        names = [value.name for value in dequantise.inputs if value is not None]
        constants = [g.constant(part, name=name) for part, name in zip(parts[0], names, strict=True)]
        new = g.op(DEQUANTIZE, constants, **(dequantise.attributes | parts[1]))
    supplant(graph, node, new)
    graph.remove_node(dequantise)
    return True


def _moved(dequantise: Node, node: Node) -> tuple[list[np.ndarray], dict[str, int]] | None:
    """The constants of `dequantise` as `node` moves them, and the axis that its scales belong to then."""
    q, *grid = (value.array for value in dequantise.inputs if value is not None)
    axis = dequantise.attributes.get("axis", 1)
    if not grid[0].ndim:
        return [_applied(node, q), *grid], {}
    if dequantise.attributes.get("block_size"):
        if node.op != "Transpose":
            return None
        return [_applied(node, part) for part in (q, *grid)], {"axis": _axis_after(node, q.shape, axis % q.ndim) or 0}
    after = _axis_after(node, q.shape, axis % q.ndim)
    return None if after is None else ([_applied(node, q), *grid], {"axis": after})


def _applied(node: Node, data: np.ndarray) -> np.ndarray:
    """Views where NumPy can: the small types of ml_dtypes are unknown to the reference."""
    if node.op == "Transpose":
        return data.transpose(node.attributes.get("perm"))
    return data.reshape(node.output.sizes)


def _axis_after(node: Node, shape: tuple[int, ...], axis: int) -> int | None:
    """Where the indices of `axis` are found after `node`."""
    if node.op == "Transpose":
        perm = node.attributes.get("perm") or tuple(reversed(range(len(shape))))
        return list(perm).index(axis)
    sizes = node.output.sizes
    before = prod(shape[:axis])
    places = [i for i, size in enumerate(sizes) if size == shape[axis] and prod(sizes[:i]) == before]
    return places[0] if places else None
