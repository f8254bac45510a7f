"""Gemm(Flatten(x), W) -> Gemm(Flatten(Transpose(x, channels last)), W'), W' being W with its columns in that order."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value


def flatten_channels_last(graph: Graph) -> bool:
    """For channels-last targets: moves the reordering of a flattened image out of the activations into the weights.

    The Transpose that is left in the graph costs nothing where its input is stored channels-last (see layout.py).
    Rewrites only where every reader of the flattened value is a Gemm with constant weights.
    """
    return any([_rewrite(graph, node) for node in graph.nodes() if _matches(graph, node)])


def _matches(graph: Graph, node: Node) -> bool:
    x = node.input(0)
    if node.op not in ("Flatten", "Reshape") or x is None or x.shape is None or x.rank < 3:
        return False
    y, sizes = node.output, x.shape[1:]
    if y.shape is None or len(y.shape) != 2 or not all(isinstance(n, int) for n in sizes):
        return False
    return y.shape == (x.shape[0], int(np.prod([n for n in sizes if isinstance(n, int)]))) and _feeds_gemms(graph, y)


def _feeds_gemms(graph: Graph, y: Value) -> bool:
    readers = graph.consumers(y)
    return y not in graph.outputs and bool(readers) and all(_is_dense(reader, y) for reader in readers)


def _is_dense(node: Node, x: Value) -> bool:
    weight = node.input(1)
    return node.op == "Gemm" and node.inputs[0] is x and weight is not None and weight.is_constant and not (
        node.attributes.get("transA")
    )


def _rewrite(graph: Graph, node: Node) -> bool:
    x = node.inputs[0]
    assert x is not None
    order = (0, *range(2, x.rank), 1)
    g = Builder(graph)
    with g.at(node.origin):
        last = g.Transpose(x, perm=order)
    for reader in graph.consumers(node.output):
        _permute_columns(graph, reader, x.sizes[1:] if isinstance(x.shape[0], int) else x.shape[1:])  # type: ignore[index,arg-type]
    graph.set_inputs(node, [last, *node.inputs[1:]])
    return True


def _permute_columns(graph: Graph, gemm: Node, sizes: tuple[int, ...]) -> None:
    weight = gemm.inputs[1]
    assert weight is not None
    columns = np.arange(int(np.prod(sizes))).reshape(sizes)
    order = np.moveaxis(columns, 0, -1).ravel()
    data = weight.array[:, order] if gemm.attributes.get("transB") else weight.array[order]
    permuted = graph.add_constant(data, weight.name)
    graph.set_inputs(gemm, [gemm.inputs[0], permuted, *gemm.inputs[2:]])
