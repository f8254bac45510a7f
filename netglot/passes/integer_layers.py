"""QuantizeLinear(Relu(Add(Conv(DequantizeLinear(x), DequantizeLinear(w)), b))) -> netglot.IntegerConv(x, w, b), and so
for Gemm and MatMul.

Multiplying and adding for each channel (a BatchNormalization) goes into the scales and the bias. A layer on integers
whose result is not quantised gives floats. A layer stays as it is where its sums could leave int32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.affine import Affine, following
from netglot.passes.integer_grids import (
    FLOAT,
    Target,
    Tensor,
    Weights,
    real_constant,
    tensor,
    weights,
    what_follows,
)
from netglot.passes.integer_moves import discard
from netglot.passes.match import nodes, supplant

_SUMS = 2**31  # what int32 does not hold


class Layer(NamedTuple):
    """A layer with constant weights: its integer operator, and along which axis of `w` its output channels are."""

    op: str
    x: Tensor
    w: Weights
    axis: int
    bias: np.ndarray | None  # float64, of one element or [channels]
    attributes: dict[str, Any]
    channel_axis: int  # of its output

    @property
    def channels(self) -> int:
        return int(self.w.data.shape[self.axis])

    def then(self, affine: Affine) -> Layer | None:
        """With each channel multiplied and moved; None where the weights would not be 8-bit integers."""
        w = _scaled(self.w, self.axis, affine.scale) if affine.scales else self.w
        bias = (0 if self.bias is None else self.bias) * affine.scale + affine.shift
        return None if w is None else self._replace(w=w, bias=np.asarray(bias) if np.any(bias) else None)


def layers_on_integers(graph: Graph) -> bool:
    return any([_convert(graph, node) for node in nodes(graph, "Conv", "Gemm", "MatMul")])


def _convert(graph: Graph, node: Node) -> bool:
    layer = _layer(graph, node)
    if layer is None:
        return node.op == "MatMul" and _product(graph, node)
    chain, layer = _take_affine(graph, node, layer)
    quantise, target = what_follows(graph, chain[-1].output)
    g = Builder(graph)
    with g.at(node.origin):
        new = _written(g, layer, node.name, target)
    if new is None:
        return False
    _replace(graph, quantise or chain[-1], new)
    return True


def _replace(graph: Graph, last: Node, new: Value) -> None:
    makers = [graph.producer(value) for value in last.inputs if value is not None and value in graph.nx]
    new.shape = last.output.shape
    supplant(graph, last, new)
    for maker in makers:
        if maker is not None:
            discard(graph, maker)


def _product(graph: Graph, node: Node) -> bool:
    """MatMul of two tensors that are computed."""
    a, b = (tensor(graph, value) for value in node.inputs)
    if a is None or b is None or a.q.shape is None or b.q.shape is None or min(a.q.rank, b.q.rank) < 2:
        return False
    quantise, target = what_follows(graph, node.output)
    g = Builder(graph)
    with g.at(node.origin):
        inputs = [a.q, *a.grid.constants(g), b.q, *b.grid.constants(g), *target.constants(g)]
        new = g.extension("IntegerMatMul", inputs, **target.limits)
    _replace(graph, quantise or node, new)
    return True


# ------------------------------------------------------------------------ layers


def _layer(graph: Graph, node: Node) -> Layer | None:
    x, bias = tensor(graph, node.inputs[0]), real_constant(graph, node.input(2))
    unknown_bias = node.input(2) is not None and bias is None
    if x is None or x.q.shape is None or x.q.is_constant or x.q.rank < 2 or unknown_bias or node.output.dtype != FLOAT:
        return None
    axis = 0 if node.op == "Conv" or node.attributes.get("transB") else 1
    w = weights(graph, node.inputs[1], axis)
    if w is None or (node.op != "Conv" and w.data.ndim != 2):
        return None
    if node.op == "Conv":
        layer = Layer("IntegerConv", x, w, 0, bias, node.attributes, 1)
    elif node.attributes.get("transA") or node.attributes.get("alpha", 1) != 1:
        return None
    else:
        columns = w._replace(data=w.data.T) if axis == 0 else w
        shift = None if bias is None else bias * node.attributes.get("beta", 1.0)
        layer = Layer("IntegerMatMul", x, columns, 1, shift, {}, x.q.rank - 1)
    return layer if bias is None or _is_vector(bias, layer.channels) else None


def _is_vector(bias: np.ndarray, channels: int) -> bool:
    """Whether it is one number, or one for each index of the last axis."""
    return bias.size == 1 or (bias.size == channels and bias.shape[-1] == channels)


def _take_affine(graph: Graph, node: Node, layer: Layer) -> tuple[list[Node], Layer]:
    """What multiplies or adds after `node`, with `node` in front, and the layer that does that too."""
    chain, affine, longest = [node], Affine(np.ones(1), np.zeros(1), layer.channel_axis), layer
    while (longer := following(graph, chain[-1], affine)) is not None:
        affine, found = longer[1], layer.then(longer[1])
        if found is None or not _fits(found):
            break
        chain.append(longer[0])
        longest = found
    return chain, longest


def _scaled(w: Weights, axis: int, scale: np.ndarray) -> Weights | None:
    """The weights times `scale`; scales stay positive, so integers may change their sign."""
    channels = w.data.shape[axis]
    factors = np.broadcast_to(np.abs(scale) * w.scale.astype(np.float64), (channels,)).astype(np.float32)
    signs = np.broadcast_to(np.sign(scale), (channels,)).astype(np.int16)
    along = [-1 if i == axis else 1 for i in range(w.data.ndim)]
    data = w.data.astype(np.int16) * signs.reshape(along)
    zero = np.broadcast_to(w.zero, (channels,)).astype(np.int16) * signs
    if not np.all((factors > 0) & np.isfinite(factors)) or max(data.max(initial=0), zero.max(initial=0)) > 127:
        return None
    return Weights(data.astype(np.int8), factors, zero.astype(np.int8), axis)


def _steps(layer: Layer) -> np.ndarray | None:
    """The bias in steps of the sums, in float64 [channels]."""
    if layer.bias is None:
        return None
    scale = layer.x.grid.scale * layer.w.scale.astype(np.float64)
    steps: np.ndarray = np.round(np.broadcast_to(layer.bias.ravel(), (layer.channels,)) / scale)
    return steps


def _fits(layer: Layer) -> bool:
    """Whether int32 holds all sums."""
    w, grid, steps = layer.w, layer.x.grid, _steps(layer)
    kind = np.iinfo(grid.dtype)
    reach = max(grid.zero - kind.min, kind.max - grid.zero)
    rows = np.moveaxis(w.data, layer.axis, 0).reshape(layer.channels, -1).astype(np.int32)
    sums = np.abs(rows - w.zero.astype(np.int32).reshape(-1, 1)).sum(1, dtype=np.int64) * reach
    return bool(np.all((sums if steps is None else sums + np.abs(steps)) < _SUMS))


def _written(g: Builder, layer: Layer, name: str, target: Target) -> Value | None:
    if not _fits(layer):
        return None
    steps, parts = _steps(layer), zip(layer.w[:3], ("weights", "scale", "zero"), strict=True)
    constants = [g.constant(part, name=f"{name}/{what}") for part, what in parts]
    bias = None if steps is None else g.constant(steps.astype(np.int32), name=f"{name}/bias")
    inputs = [layer.x.q, *layer.x.grid.constants(g), *constants, *target.constants(g), bias]
    result: Value = g.extension(layer.op, inputs, **layer.attributes, **target.limits)
    return result
