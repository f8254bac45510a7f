"""Reshape(Reshape(x)) -> Reshape(x), with Flatten, Squeeze and Unsqueeze as the Reshapes that they are, and Transposes
that move nothing but axes of size one; Reshape(ReduceMean(x)) -> ReduceMean(x) with the other keepdims.
"""

from __future__ import annotations

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.ir.schema import defaults
from netglot.ir.types import Shape
from netglot.passes.layout import only_ones_move
from netglot.passes.match import leave_out, nodes, only_reader, producer, supplant
from netglot.passes.transposes import permutation

_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def merge_reshapes(graph: Graph) -> bool:
    """Only the last shape counts. The one before stays if others read it."""
    found = [node for node in nodes(graph, *_RESHAPES, "Transpose") if _reshapes(node)]
    return any([_merge(graph, node) or _into_reduction(graph, node) for node in found if node in graph.nx])


def _reshapes(node: Node) -> bool:
    x = node.inputs[0]
    if node.op != "Transpose":
        return True
    return x is not None and x.shape is not None and only_ones_move(x, permutation(node))


def _merge(graph: Graph, node: Node) -> bool:
    inner = producer(graph, node.inputs[0], *_RESHAPES, "Transpose")
    shape = said(node.output.shape)
    if inner is None or shape is None or not _reshapes(inner) or node.op == inner.op == "Transpose":
        return False
    node.op, node.attributes = "Reshape", {}
    graph.set_inputs(node, [node.inputs[0], graph.add_constant(shape, f"{node.name}/shape")])
    leave_out(graph, inner, node)
    return True


def said(shape: Shape | None) -> np.ndarray | None:
    """A shape of at most one unknown size as Reshape takes it. Zeros would be copied from the input."""
    if shape is None or 0 in shape or sum(not isinstance(dim, int) for dim in shape) > 1:
        return None
    return np.array([dim if isinstance(dim, int) else -1 for dim in shape], np.int64)


def _into_reduction(graph: Graph, node: Node) -> bool:
    """Where the shape is that of the reduction with its axes kept as ones, or without them."""
    reduce = producer(graph, node.inputs[0], *_REDUCTIONS)
    if reduce is None or only_reader(graph, reduce.output) is not node or node.output.shape is None:
        return False
    keep = 1 - int(reduce.attributes.get("keepdims", defaults(reduce.op)["keepdims"]))
    wanted = _reduced_shape(reduce, keep)
    if wanted is None or not same_sizes(wanted, node.output.shape):
        return False
    reduce.attributes["keepdims"] = keep
    reduce.output.shape = node.output.shape
    supplant(graph, node, reduce.output)
    return True


def _reduced_shape(reduce: Node, keepdims: int) -> Shape | None:
    x, axes = reduce.inputs[0], reduce.input(1)
    if x is None or x.shape is None or axes is None or not axes.is_constant or not axes.array.size:
        return None
    gone = {int(axis) % x.rank for axis in axes.array.ravel()}
    if keepdims:
        return tuple(1 if axis in gone else size for axis, size in enumerate(x.shape))
    return tuple(size for axis, size in enumerate(x.shape) if axis not in gone)


def same_sizes(a: Shape, b: Shape) -> bool:
    """Whether two shapes of as many elements are equal. One size may be unknown: the others say what it is."""
    if len(a) != len(b) or 0 in (*a, *b):
        return False
    known = [pair for pair in zip(a, b, strict=True) if all(isinstance(dim, int) for dim in pair)]
    return all(m == n for m, n in known) and len(a) - len(known) <= 1
