"""Relu(Conv(x, W, B) + r) -> netglot.FusedConv(x, W, B, r), and Gelu(MatMul(a, W) + B) -> netglot.FusedMatMul(a, W, B).

What may follow a layer, each at most once and in this order: Add of a constant for each channel, Add of another value
of the same shape, a bound (Relu, Clip, Min or Max with a constant), an activation (also x Sigmoid(x), written out).
Nothing else may read what is in between. For targets whose kernels do this while the sums are in registers; a layer
that nothing follows stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import permutations
from math import inf
from typing import Any, NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.fused import ACTIVATIONS
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.activations import Range, bounded
from netglot.passes.match import nodes, number, only_reader, producer

_LAYERS = ("Conv", "Gemm", "MatMul")
_FLOAT = np.dtype(np.float32)
_NO_BOUNDS = Range(-inf, inf)


def fuse_finish(graph: Graph) -> bool:
    """Of two layers that are added, the later one takes the sum: the other is there by then."""
    done: set[Node] = set()
    return any([_fuse(graph, node, done) for node in nodes(graph, *_LAYERS)])


class Layer(NamedTuple):
    """A layer with constant weights, as the fused operators take it."""

    op: str
    x: Value
    weights: Value | np.ndarray
    bias: Value | np.ndarray | None
    channel_axis: int  # of its output
    attributes: dict[str, Any]


@dataclass
class Finish:
    """What follows a layer: the nodes, and what they do to `y`, its output so far."""

    y: Value
    chain: list[Node] = field(default_factory=list)
    bias: np.ndarray | None = None
    residual: Value | None = None
    bounds: Range = _NO_BOUNDS
    activation: dict[str, Any] = field(default_factory=dict)

    def take(self, *chain: Node) -> None:
        self.chain += chain
        self.y = chain[-1].output


def _fuse(graph: Graph, node: Node, done: set[Node]) -> bool:
    done.add(node)
    layer = _layer(node)
    if layer is None:
        return False
    finish = Finish(node.output)
    if layer.bias is None:
        _take_bias(graph, finish, layer.channel_axis)
    _take_residual(graph, finish, done)
    _take_bounds(graph, finish)
    _take_activation(graph, finish)
    if not finish.chain:
        return False
    _replace(graph, node, layer, finish)
    return True


def _replace(graph: Graph, node: Node, layer: Layer, finish: Finish) -> None:
    g, old = Builder(graph), finish.y
    bias = layer.bias if finish.bias is None else finish.bias
    low, high = map(float, finish.bounds)
    limits = {"low": None if low == -inf else low, "high": None if high == inf else high}
    if isinstance(bias, np.ndarray):
        bias = g.constant(bias, name=f"{node.name}/bias")
    with g.at(node.origin):
        inputs = [layer.x, layer.weights, bias, finish.residual]
        new = g.extension(layer.op, inputs, **layer.attributes, **limits, **finish.activation)
    new.dtype, new.shape = old.dtype, old.shape
    fused = graph.producer(new)
    if fused is not None and node.name != node.output.name:
        fused.name = node.name
    name = old.name
    graph.replace_uses(old, new)
    for one in reversed([node, *finish.chain]):
        graph.remove_node(one)
    graph.rename(new, name)


# ---------------------------------------------------------------------- layers


def _layer(node: Node) -> Layer | None:
    """`node`, if it is a layer on float32 with constant weights and bias."""
    x, w, bias = node.inputs[0], node.input(1), node.input(2)
    if x is None or x.is_constant or w is None or not w.is_constant or w.dtype != _FLOAT or x.dtype != _FLOAT:
        return None
    if not (bias is None or bias.is_constant) or node.output.shape is None:
        return None
    if node.op == "Conv":
        return Layer("FusedConv", x, w, bias, 1, node.attributes)
    return _matrix(node, x, w, bias)


def _matrix(node: Node, x: Value, w: Value, bias: Value | None) -> Layer | None:
    given = {**defaults(node.op), **node.attributes}
    if x.shape is None or x.rank < 2 or w.rank != 2 or given.get("transA") or given.get("alpha", 1) != 1:
        return None
    columns: np.ndarray | None = None
    if bias is not None:
        columns = along(bias, node.output, node.output.rank - 1)
        if columns is None:
            return None
        columns = columns if given["beta"] == 1 else (columns * given["beta"]).astype(_FLOAT)
    weights = w.array.T if given.get("transB") else w
    return Layer("FusedMatMul", x, weights, columns, node.output.rank - 1, {})


def along(value: Value, y: Value, axis: int) -> np.ndarray | None:
    """The numbers of a constant that adds one of them to each index of `axis` of `y`."""
    channels = y.shape[axis] if y.shape is not None else None
    if value.data is None or value.rank > y.rank or not isinstance(channels, int):
        return None
    shape = (1,) * (y.rank - value.rank) + value.sizes
    if any(size != 1 for i, size in enumerate(shape) if i != axis):
        return None
    return np.array(np.broadcast_to(value.data.ravel(), (channels,)))


# ---------------------------------------------------------------- what follows


def _reader(graph: Graph, value: Value) -> Node | None:
    """The only reader of `value`, if it is an ONNX node of float32 whose values have no layout yet."""
    node = only_reader(graph, value)
    if node is None or node.domain or node.output.dtype != _FLOAT:
        return None
    return node if all(v is None or v.layout is None for v in (*node.inputs, *node.outputs)) else None


def _sum(graph: Graph, y: Value) -> tuple[Node, Value] | None:
    """The node that adds one other value to `y`, and that value; the result has the shape of `y`."""
    node = _reader(graph, y)
    if node is None or node.op not in ("Add", "Sum") or len(node.inputs) != 2 or not _same_shape(node.output, y):
        return None
    a, b = node.inputs
    other = b if a is y else a
    return (node, other) if other is not None else None


def _same_shape(a: Value, b: Value) -> bool:
    return a.shape is not None and None not in a.shape and a.shape == b.shape


def _take_bias(graph: Graph, finish: Finish, axis: int) -> None:
    found = _sum(graph, finish.y)
    bias = along(found[1], finish.y, axis) if found else None
    if found and bias is not None:
        finish.bias = bias
        finish.take(found[0])


def _take_residual(graph: Graph, finish: Finish, done: Collection[Node]) -> None:
    found = _sum(graph, finish.y)
    if found is None or found[1].is_constant or not _same_shape(found[1], finish.y) or found[1].layout is not None:
        return
    maker = producer(graph, found[1], *_LAYERS)
    if maker is not None and maker not in done and _layer(maker) and only_reader(graph, found[1]) is found[0]:
        return  # that one takes it
    finish.residual = found[1]
    finish.take(found[0])


def _take_bounds(graph: Graph, finish: Finish) -> None:
    node = _reader(graph, finish.y)
    x, bounds = bounded(node) if node is not None and node.op in ("Relu", "Clip", "Min", "Max") else (None, None)
    if node is not None and bounds is not None and x is finish.y:
        finish.bounds = bounds
        finish.take(node)


def _take_activation(graph: Graph, finish: Finish) -> None:
    node = _reader(graph, finish.y)
    if node is not None and node.op in ACTIVATIONS:
        given = {**defaults(node.op), **node.attributes}
        finish.activation = {"activation": node.op, **{name: given[name] for name in ACTIVATIONS[node.op]}}
        finish.take(node)
        return
    for gate, product in permutations(graph.consumers(finish.y), 2):
        alpha = _swish(graph, finish.y, gate, product)
        if alpha is not None:
            chain = [gate, product] if gate.op == "Sigmoid" else [gate, graph.consumers(gate.output)[0], product]
            finish.activation = {"activation": "Swish", "alpha": alpha}
            finish.take(*chain)
            return


def _swish(graph: Graph, y: Value, gate: Node, product: Node) -> float | None:
    """alpha, if `product` is y Sigmoid(alpha y), where `gate` is the first node of that factor."""
    if graph.uses(y) != 2 or product.op != "Mul" or product.domain or y not in product.inputs or gate.domain:
        return None
    sigmoid, alpha = gate, 1.0
    if gate.op == "Mul":
        factors = [number(value) for value in gate.inputs if value is not y]
        reader = _reader(graph, gate.output)
        if len(factors) != 1 or factors[0] is None or reader is None or gate.output.shape != y.shape:
            return None
        sigmoid, alpha = reader, factors[0]
    known = sigmoid.op == "Sigmoid" and not sigmoid.domain and _reader(graph, sigmoid.output) is product
    return alpha if known and product.output.shape == y.shape else None
