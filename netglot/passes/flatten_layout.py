"""Gemm(Flatten(x), W) -> Gemm(Flatten(Transpose(x, channels last)), W'), W' being W with its rows in that order."""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last


def flatten_channels_last(graph: Graph) -> bool:
    """After the layout is chosen: moves the reordering of a flattened channels-last image into the weights.

    The Transpose that is left in the graph does nothing in memory. The layout pass may take the input of whatever
    `flattens_into_dense` as free.
    """
    found = [node for node in graph.nodes() if _stored_last(node.input(0)) and flattens_into_dense(graph, node)]
    return any([_rewrite(graph, node) for node in found])


def flattens_into_dense(graph: Graph, node: Node) -> bool:
    """Whether `node` makes rows of images, and every reader of the rows multiplies them with constant weights."""
    x = node.input(0)
    if node.op not in ("Flatten", "Reshape", "Squeeze") or x is None or x.shape is None or x.rank < 3:
        return False
    y, sizes = node.output, [dim for dim in x.shape[1:] if isinstance(dim, int)]
    if len(sizes) != x.rank - 1 or y.shape != (x.shape[0], prod(sizes)) or y in graph.outputs:
        return False
    readers = graph.consumers(y)
    return bool(readers) and all(_is_dense(reader, y) for reader in readers)


def _stored_last(x: Value | None) -> bool:
    return x is not None and x.shape is not None and x.rank > 2 and x.layout == channels_last(x.rank)


def _is_dense(node: Node, x: Value) -> bool:
    weight = node.input(1)
    if node.op not in ("Gemm", "MatMul") or node.inputs[0] is not x or node.attributes.get("transA"):
        return False
    return weight is not None and weight.is_constant and weight.rank == 2


def _rewrite(graph: Graph, node: Node) -> bool:
    x = node.inputs[0]
    assert x is not None
    g = Builder(graph)
    with g.at(node.origin):
        last = g.Transpose(x, perm=channels_last(x.rank))
    order = np.moveaxis(np.arange(prod(x.sizes[1:])).reshape(x.sizes[1:]), 0, -1).ravel()
    for reader in graph.consumers(node.output):
        _permute(graph, reader, order)
    shape = g.constant(np.array(node.output.sizes, np.int64))
    graph.set_inputs(node, [last, shape])
    node.op, node.attributes = "Reshape", {}
    graph.rename(node.output, graph.unique_name(f"{node.output.name}/nhwc"))  # a name stands for the same numbers
    return True


def _permute(graph: Graph, gemm: Node, order: np.ndarray) -> None:
    """Puts the rows (columns, where transposed) of the weights in `order`; none are copied if it is their own."""
    weight = gemm.inputs[1]
    assert weight is not None
    if np.array_equal(order, np.arange(len(order))):
        return
    data = weight.array[:, order] if gemm.attributes.get("transB") else weight.array[order]
    graph.set_inputs(gemm, [gemm.inputs[0], graph.add_constant(data, weight.name), *gemm.inputs[2:]])
