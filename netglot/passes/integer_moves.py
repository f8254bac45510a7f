"""Transpose(DequantizeLinear(q)) -> DequantizeLinear(Transpose(q)), and QuantizeLinear(Reshape(x)) ->
Reshape(QuantizeLinear(x)), QuantizeLinear(Concat(a, b)) -> Concat(QuantizeLinear(a), QuantizeLinear(b)).

What only moves numbers, or takes the largest, does so with integers as well: the same ones, since one scale (which is
positive) holds for all. So the pairs come to lie beside the layers that compute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import DEQUANTIZE, QUANTIZE, Grid, grid_of, tensor
from netglot.passes.match import nodes, number, only_reader, producer, supplant

_SAME_SIZE = (
    "DepthToSpace", "Expand", "Flatten", "Identity", "MaxPool", "Pad", "Reshape", "SpaceToDepth", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip
_MOVES = (*_SAME_SIZE, "Gather", "ReduceMax", "ReduceMin", "Resize", "Slice", "Split", "Tile")


def move_dequantisation_down(graph: Graph) -> bool:
    return any([_down(graph, node) for node in nodes(graph, *_MOVES)])


def _down(graph: Graph, node: Node) -> bool:
    x = tensor(graph, node.inputs[0])
    maker = producer(graph, node.inputs[0], DEQUANTIZE)
    if x is None or maker is None or (x.q.is_constant and node.op != "Gather") or not _moves(node):
        return False
    inputs = _integers(node, x.q, x.grid, exact=True)
    if inputs is None:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        made = g.op(node.op, inputs, outputs=len(node.outputs), **node.attributes)
        moved = [made] if len(node.outputs) == 1 else list(made)
        reals = [g.op(DEQUANTIZE, [q, *maker.inputs[1:]], **maker.attributes) for q in moved]
    for old, new in zip(node.outputs, reals, strict=True):
        new.shape = old.shape
    supplant(graph, node, *reals)
    discard(graph, maker)
    return True


def _moves(node: Node) -> bool:
    """Whether this node does nothing but move numbers, or choose among them."""
    if node.op == "Resize":
        kind = node.attributes.get("coordinate_transformation_mode", "half_pixel")
        return node.attributes.get("mode", "nearest") == "nearest" and kind != "tf_crop_and_resize"
    return len(node.outputs) == 1 or node.op == "Split"


def _integers(node: Node, q: Value, grid: Grid, *, exact: bool) -> Sequence[Value | np.ndarray | None] | None:
    """The inputs of `node` for integers. What Pad fills with has to be one of the numbers, if `exact`."""
    rest = list(node.inputs[1:])
    filling = node.input(2)
    if node.op != "Pad" or node.attributes.get("mode", "constant") != "constant":
        return [q, *rest]
    value = 0.0 if filling is None else number(filling)
    if value is None or value != value:
        return None
    level = grid.quantised(np.array(value, np.float32))
    if exact and grid.real(level) != np.float32(value):
        return None
    return [q, rest[0], level, *rest[2:]]


def move_quantisation_up(graph: Graph) -> bool:
    """Only where nothing else reads what is moved."""
    waiting = list(nodes(graph, QUANTIZE))
    changed = False
    while waiting:
        above = _up(graph, waiting.pop())
        changed = changed or bool(above)
        waiting += above
    return changed


def _up(graph: Graph, quantise: Node) -> list[Node]:
    """The nodes that quantise in its place, if it moved."""
    y, grid = quantise.inputs[0], grid_of(quantise)
    node = producer(graph, y, "Concat", *_SAME_SIZE)
    if y is None or node is None or grid is None or only_reader(graph, y) is not quantise or len(node.outputs) > 1:
        return []
    if node.inputs[0] is None or (node.op != "Concat" and node.inputs[0].is_constant):
        return []
    g = Builder(graph)
    with g.at(node.origin):
        sources = [value for value in node.inputs if value is not None] if node.op == "Concat" else [node.inputs[0]]
        below = [_quantised(g, value, quantise, grid) for value in sources]
        inputs = below if node.op == "Concat" else _integers(node, below[0], grid, exact=False)
        if inputs is None:
            return []
        new = g.op(node.op, inputs, **node.attributes)
    new.shape = quantise.output.shape
    supplant(graph, quantise, new)
    discard(graph, node)
    return [maker for value in below if (maker := producer(graph, value, QUANTIZE))]


def _quantised(g: Builder, value: Value, like: Node, grid: Grid) -> Value:
    if value.data is not None:
        return g.constant(grid.quantised(value.data), name=value.name)
    result: Value = g.op(QUANTIZE, [value, *like.inputs[1:]], **like.attributes)
    return result


def discard(graph: Graph, node: Node) -> None:
    """Removes `node` if nothing reads what it computes, and then what was computed only for it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in graph.nx or any(graph.uses(value) for value in one.outputs):
            continue
        makers = [graph.producer(value) for value in one.inputs if value is not None and value in graph.nx]
        graph.remove_node(one)
        waiting += [maker for maker in makers if maker is not None]
