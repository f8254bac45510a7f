"""MaxPool(q) -> QuantizeLinear(MaxPool(DequantizeLinear(q))) for integers q of one grid, and so whatever only moves,
chooses or limits elements: files that compute on integers (QLinearConv...) leave it between them and say no grid.
QuantizeLinear(DequantizeLinear(q)) of one grid -> q.

Exact, but for a linear Resize: that of floats is rounded once, that of integers is cut off; one step apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import bypass, nodes, producer, supplant
from netglot.passes.quantised_constants import DEQUANTIZE, QUANTIZE

_MOVES = (
    "Clip", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "Identity", "MaxPool", "Pad", "Reshape",
    "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip


class Grid(NamedTuple):
    """Of one scale for the whole tensor, both constants; a zero point that the node leaves out is an array."""

    scale: Value
    zero: Value | np.ndarray

    @property
    def level(self) -> np.ndarray:
        """The integer that stands for 0."""
        return self.zero if isinstance(self.zero, np.ndarray) else self.zero.array

    def equals(self, other: Grid) -> bool:
        pairs = (self.level, other.level), (self.scale.array, other.scale.array)
        return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def grid_of(node: Node | None) -> Grid | None:
    """The grid of a QuantizeLinear or DequantizeLinear that says it in constants without axes."""
    if node is None or node.inputs[0] is None:
        return None
    scale, zero = node.inputs[1], node.input(2)
    kind = node.output.dtype if node.op == QUANTIZE else node.inputs[0].dtype
    if scale is None or scale.shape != () or not scale.is_constant or kind is None:
        return None
    if zero is None:
        return Grid(scale, np.zeros((), kind))
    return Grid(scale, zero) if zero.is_constant and zero.shape == () else None


def pair_moves(graph: Graph) -> bool:
    """In topological order, so that a row of them is done in one walk."""
    moved = [_pair(graph, node) for node in nodes(graph, *_MOVES)]
    return any([_join(graph, node) for node in nodes(graph, QUANTIZE)]) or any(moved)


def _pair(graph: Graph, node: Node) -> bool:
    x = node.inputs[0]
    grid = grid_of(producer(graph, x, QUANTIZE))
    if x is None or grid is None or (node.op == "MaxPool" and len(node.outputs) > 1):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        rest = _real_rest(g, node, grid) if node.op in ("Clip", "Pad") else node.inputs[1:]
        if rest is None:
            return False
        inputs = [g.op(DEQUANTIZE, [x, *grid]), *rest]
        found = g.op(node.op, inputs, outputs=len(node.outputs), **node.attributes)
        results = found if isinstance(found, tuple) else (found,)
        new = [g.op(QUANTIZE, [y, *grid]) for y in results]
    _supplant(graph, node, new)
    return True


def _real_rest(g: Builder, node: Node, grid: Grid) -> Sequence[Any] | None:
    """The inputs but for the first: what is added, or the limits, stand for real numbers."""
    if node.op == "Clip":
        levels = [None if value is None else value.data for value in node.inputs[1:]]
        known = all(value is None or value.is_constant for value in node.inputs[1:])
        return [None if level is None else _real(g, level, grid) for level in levels] if known else None
    fill = node.input(2)
    if node.attributes.get("mode", "constant") != "constant":
        return node.inputs[1:]
    if fill is not None and not fill.is_constant:
        return None
    level = np.zeros(()) if fill is None else fill.array
    return [node.inputs[1], _real(g, level, grid), *node.inputs[3:]]


def _real(g: Builder, level: np.ndarray, grid: Grid) -> Value:
    scale = grid.scale.array
    return g.constant((int(level.reshape(())[()]) - int(grid.level)) * scale, scale.dtype)


def _supplant(graph: Graph, node: Node, new: Sequence[Value]) -> None:
    for old, value in zip(node.outputs, new, strict=True):
        value.shape = old.shape
    supplant(graph, node, *new)


def _join(graph: Graph, node: Node) -> bool:
    dequantise = producer(graph, node.inputs[0], DEQUANTIZE)
    inner, outer = grid_of(dequantise), grid_of(node)
    if dequantise is None or inner is None or outer is None or not inner.equals(outer):
        return False
    q = dequantise.inputs[0]
    return q is not None and bypass(graph, node, q)
