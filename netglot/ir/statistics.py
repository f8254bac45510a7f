"""What a network costs: parameters, multiply-accumulates, memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value


@dataclass(frozen=True)
class Statistics:
    """Of one graph. macs, parameters: counts. weight_bytes, peak_bytes: of the constants, and of the largest sum of
    computed values that are alive at once (in the graph's own order). An unknown size counts as one (a batch of one),
    an unknown rank as nothing."""

    ops: dict[str, int]
    parameters: int
    macs: int
    weight_bytes: int
    peak_bytes: int


def statistics(graph: Graph) -> Statistics:
    nodes = graph.nodes()
    constants = list(graph.constants())
    return Statistics(
        dict(Counter(node.op for node in nodes).most_common()),
        sum(value.array.size for value in constants if value.array.dtype.kind == "f"),
        sum(macs(node) for node in nodes),
        sum(value.array.nbytes for value in constants),
        peak_bytes(graph, nodes),
    )


def macs(node: Node) -> int:
    """Multiply-accumulates of a convolution or a matrix product; 0 for anything else."""
    x, weight, out = node.input(0), node.input(1), _elements(node.output)
    if x is None or weight is None or not types.is_static(weight.shape):
        return 0
    if node.op == "Conv":
        return out * prod(weight.sizes[1:])
    if node.op == "ConvTranspose":
        return _elements(x) * prod(weight.sizes[1:])
    if node.op == "Gemm":
        return out * weight.sizes[1 if node.attributes.get("transB") else 0]
    return out * weight.sizes[-2] if node.op == "MatMul" and weight.rank > 1 else 0


def _elements(value: Value) -> int:
    """How many elements, at least."""
    return 0 if value.shape is None else prod(dim if isinstance(dim, int) else 1 for dim in value.shape)


def peak_bytes(graph: Graph, nodes: list[Node]) -> int:
    """The largest sum of values that are alive at once, when the nodes run in order."""
    last_use = {value: step for step, node in enumerate(nodes) for value in node.inputs if value is not None}
    last_use |= {value: len(nodes) for value in graph.outputs}
    ends: dict[int, int] = {}
    alive = peak = 0
    for value in graph.inputs:
        alive += _start(value, last_use.get(value, 0), ends)
    for step, node in enumerate(nodes):
        alive += sum(_start(value, last_use.get(value, step), ends) for value in node.outputs)
        peak = max(peak, alive)
        alive -= ends.get(step, 0)
    return peak


def _start(value: Value, end: int, ends: dict[int, int]) -> int:
    """Bytes of `value`, noted to be freed after step `end`."""
    size = _elements(value) * value.dtype.itemsize if value.dtype is not None else 0
    ends[end] = ends.get(end, 0) + size
    return size
