"""Which layout an operator wants, where that depends on its axes and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.backends import lowering
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.flatten_layout import flattens_into_dense
from netglot.passes.layout import Ends, Side, dropping


def wanted(graph: Graph, node: Node, format: str) -> Ends:
    """How the function of `format` for `node` wants its images stored."""
    operator = lowering.find(node, format)
    layout: Any = operator.options["layout"] if operator else Side.FIRST
    if flattens_into_dense(graph, node):
        return Side.FREE, Side.FIRST
    return layout if isinstance(layout, (Side, tuple)) else layout(node)


def attribute(node: Node, name: str) -> int:
    """An attribute of type int, or its default."""
    return int(node.attributes.get(name, defaults(node.op, node.domain).get(name, 0)))


def alike(node: Node) -> Side:
    """FREE where every image has the same rank, and what is broadcast to it is constant: then axes can be renamed.

    What is made of constants alone (and was too large to be folded) has their order.
    """
    if all(value is None or value.is_constant for value in node.inputs):
        return Side.FIRST
    computed = [v for v in (*node.inputs, *node.outputs) if v is not None and not v.is_constant and not _single(v)]
    known = all(value.shape is not None for value in computed)
    return Side.FREE if known and len({value.rank for value in computed}) <= 1 else Side.FIRST


def _single(value: Value) -> bool:
    return value.shape is not None and len(value.shape) < 2 and all(dim == 1 for dim in value.shape)


def over_axis(node: Node) -> Side:
    """For a kernel over the last axis in memory: the side on which `axis` is that, if it is one of these two."""
    rank = node.output.rank
    axis = attribute(node, "axis") % rank
    if rank < 3 or axis not in (1, rank - 1):
        return alike(node)
    return Side.LAST if axis == 1 else Side.FIRST


def reduction(node: Node) -> Ends:
    """Reductions over the constant axes of input 1."""
    x = node.inputs[0]
    axes = node.input(1)
    if x is None or x.shape is None or (axes is not None and not axes.is_constant):
        return Side.FIRST
    dropped = axes.array.tolist() if axes is not None and axes.array.size else range(x.rank)
    return Side.FREE if attribute(node, "keepdims") else dropping(x.rank, [axis % x.rank for axis in dropped])


def reduction_of_one(node: Node) -> Ends:
    """Reductions over the attribute `axis`."""
    x = node.inputs[0]
    if x is None or x.shape is None:
        return Side.FIRST
    return Side.FREE if attribute(node, "keepdims") else dropping(x.rank, [attribute(node, "axis") % x.rank])


def gathering(node: Node) -> Ends:
    """Gather by one index drops the axis, by a list of them keeps it, by more adds axes."""
    x, indices = node.inputs[0], node.inputs[1]
    if x is None or indices is None or x.is_constant or indices.shape is None or len(indices.shape) > 1:
        return Side.FIRST
    return Side.FREE if indices.rank else dropping(x.rank, [attribute(node, "axis") % x.rank])


def reshaping(node: Node) -> Ends:
    """FREE where batch and channels stay: then only spatial axes are split or merged, in either layout."""
    x, y = node.inputs[0], node.output
    if x is None or x.shape is None or y.shape is None or x.is_constant:
        return Side.FIRST
    return Side.FREE if len(x.shape) >= 3 and len(y.shape) >= 3 and x.shape[:2] == y.shape[:2] else Side.FIRST


def const_ints(value: Value | None) -> list[int] | None:
    """The ints of a constant, or None where it is left out or computed."""
    return None if value is None or value.data is None else [int(i) for i in np.ravel(value.data)]
