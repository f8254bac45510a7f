"""Transposes of many axes with fewer: Transpose(x) -> Reshape(Transpose(Reshape(x))).

Axes that stay neighbours move as one, and axes of size one do not move at all. Windows of an image are taken by a
Reshape to six axes, a Transpose and a Reshape back (Swin); Core ML has tensors of five axes at most, and TFLite moves
no more than six.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.ir.types import Dim, Shape
from netglot.passes.match import nodes, supplant
from netglot.passes.reshapes import said
from netglot.passes.transposes import permutation

MOST = 5  # what every target has


def transpose_few_axes(graph: Graph) -> bool:
    """Where a Transpose has more axes than every target has. The Reshapes around it merge with their neighbours."""
    found = [node for node in nodes(graph, "Transpose") if node.output.shape is not None and node.output.rank > MOST]
    return any([_rewrite(graph, node) for node in found])


def _rewrite(graph: Graph, node: Node) -> bool:
    x, last = node.inputs[0], said(node.output.shape)
    if x is None or x.shape is None or last is None:
        return False
    groups = _groups(x.shape, permutation(node))
    first = said(tuple(_size(x.shape, group) for group in sorted(groups)))
    if first is None or len(groups) > MOST:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        order = [sorted(groups).index(group) for group in groups]
        y = g.Reshape(g.Transpose(g.Reshape(x, first), perm=order), np.array(last))
    y.shape = node.output.shape
    supplant(graph, node, y)
    return True


def _groups(shape: Shape, perm: Sequence[int]) -> list[list[int]]:
    """The input's axes in the order of the output: each group one after another in both, none of size one."""
    groups: list[list[int]] = []
    kept = [axis for axis, size in enumerate(shape) if size != 1]
    for axis in (axis for axis in perm if axis in kept):
        before = kept.index(axis) - 1
        if groups and before >= 0 and groups[-1][-1] == kept[before]:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _size(shape: Shape, group: Sequence[int]) -> Dim:
    sizes = [size for axis in group if isinstance(size := shape[axis], int)]
    return prod(sizes) if len(sizes) == len(group) else None
