"""Conv(Reshape(x [N C L], [N C 1 L]), W [O I 1 K]) -> Reshape(Conv(x, W [O I K]), [N O 1 M]), and pooling likewise.

TensorFlow has convolutions over two axes only, and gives an image of one a height of one. The Reshapes then meet those
of the next layer, and biases meet the convolution. The same sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import Shape
from netglot.passes.match import nodes, producer, supplant
from netglot.passes.reshapes import said, same_sizes


def drop_axis_of_one(graph: Graph) -> bool:
    """In topological order, so that a row of layers is done in one walk."""
    return any([_drop(graph, node) for node in nodes(graph, "Conv", "MaxPool", "AveragePool")])


def _drop(graph: Graph, node: Node) -> bool:
    reshape = producer(graph, node.inputs[0], "Reshape", "Unsqueeze")
    source = reshape.inputs[0] if reshape else None
    axis = _axis_of_one(node, source) if source is not None else None
    shape = said(node.output.shape)
    if reshape is None or source is None or axis is None or shape is None or len(node.outputs) > 1:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        inputs = [source, *(_without(graph, value, axis) for value in node.inputs[1:])]
        y = g.op(node.op, inputs, name=f"{node.name}/1d", **_attributes(node, axis))
        again = g.Reshape(y, shape)
    again.shape = node.output.shape
    supplant(graph, node, again)
    if not graph.uses(reshape.output):
        graph.remove_node(reshape)
    return True


def _axis_of_one(node: Node, source: Value) -> int | None:
    """The spatial axis of x and y that `source` lacks, and along which the window has one element."""
    x, y, w = node.inputs[0], node.output, node.input(1)
    assert x is not None
    if x.shape is None or y.shape is None or source.shape is None or (x.rank, source.rank) != (4, 3):
        return None
    if node.op == "Conv" and (w is None or not w.is_constant):
        return None
    kernel = w.sizes[2:] if w is not None else node.attributes["kernel_shape"]
    pads = node.attributes.get("pads", (0,) * 4)
    for axis in (2, 3):
        flat = kernel[axis - 2] == x.shape[axis] == y.shape[axis] == 1 and not pads[axis - 2] and not pads[axis]
        if flat and same_sizes(_less(x.shape, axis), source.shape):
            return axis
    return None


def _less(items: Shape, axis: int) -> Shape:
    return (*items[:axis], *items[axis + 1 :])


def _without(graph: Graph, value: Value | None, axis: int) -> Value | None:
    """Weights without the axis; a bias has none."""
    if value is None or value.rank < 4:
        return value
    return graph.add_constant(np.squeeze(value.array, axis), value.name)


def _attributes(node: Node, axis: int) -> dict[str, Any]:
    """Of what has an item for each spatial axis (pads: two) the other axis' is left."""
    other = 3 - axis  # counted among the spatial ones
    result = dict(node.attributes)
    for name in ("kernel_shape", "strides", "dilations", "pads"):
        if result.get(name):
            result[name] = tuple(result[name])[other::2]
    return result
