"""Mul(Cast(MatMulInteger(q, w)), s_q s_w) -> MatMul(DequantizeLinear(q), DequantizeLinear(w)), and ConvInteger likewise
with a bias that is added: how exporters write layers that quantise what they read as it comes (DynamicQuantizeLinear).

The same sums of integers; the float product of the two scales rounds once more, or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import to_onnx
from netglot.passes.match import nodes, only_reader, producer, supplant
from netglot.passes.quantised_constants import DEQUANTIZE, QUANTIZE

_FLOAT = np.dtype(np.float32)
_LAYERS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}


def dequantise_products(graph: Graph) -> bool:
    """Where nothing else reads the integers of the product. Others stay integer operators."""
    return any([_rewrite(graph, node) for node in nodes(graph, *_LAYERS)])


class Scaled(NamedTuple):
    """A product made real: the last node, its computed scale if it has one, and the constant rest of the factor."""

    last: Node
    computed: Value | None
    constant: np.ndarray


def _rewrite(graph: Graph, node: Node) -> bool:
    q, w = node.inputs[0], node.inputs[1]
    scaled = _scaled(graph, node)
    if q is None or w is None or not w.is_constant or scaled is None or not _is_scalar(node.input(2)):
        return False
    scale, zero = _along_channels(node, scaled.constant, w), _zeros(node.input(3))
    if scale is None or zero is None:
        return False
    y, bias = scaled.last.output, _bias(graph, node, scaled.last, w)
    g = Builder(graph)
    with g.at(node.origin):
        ours, theirs = _split(g, q, scaled.computed, scale)
        axis = 0 if node.op == "ConvInteger" else w.rank - 1
        inputs = [
            g.op(DEQUANTIZE, [q, ours, node.input(2)]),
            g.op(DEQUANTIZE, [w, *_grid(g, theirs, zero)], axis=axis),
            *([g.constant(bias[1], name=f"{node.name}/bias")] if bias else []),
        ]
        new = g.op(_LAYERS[node.op], inputs, **node.attributes)
    new.shape = y.shape
    supplant(graph, bias[0] if bias else scaled.last, new)
    return True


def _is_scalar(zero: Value | None) -> bool:
    return zero is None or zero.shape == ()


def _zeros(value: Value | None) -> np.ndarray | None:
    return np.zeros((), np.int8) if value is None else value.data


def _scaled(graph: Graph, node: Node) -> Scaled | None:
    cast = only_reader(graph, node.output)
    if cast is None or cast.domain or cast.op != "Cast" or cast.attributes["to"] != to_onnx(_FLOAT):
        return None
    last, computed, constant = cast, [], np.ones((), np.float32)
    while (reader := only_reader(graph, last.output)) is not None and not reader.domain and reader.op == "Mul":
        factors = list(_factors(graph, next(v for v in reader.inputs if v is not last.output)))
        if not all(v.is_constant or _is_scale_of(graph, v, node.inputs[0]) for v in factors):
            break
        computed += [v for v in factors if not v.is_constant]
        for value in factors:
            constant = constant * value.array if value.is_constant else constant
        last = reader
    if last is cast or len(computed) > 1 or constant.dtype != _FLOAT:
        return None
    return Scaled(last, computed[0] if computed else None, constant)


def _factors(graph: Graph, value: Value | None) -> Iterator[Value]:
    node = producer(graph, value, "Mul") if value is not None and not value.is_constant else None
    for factor in node.inputs if node else (value,):
        if factor is not None:
            yield factor


def _is_scale_of(graph: Graph, scale: Value, q: Value | None) -> bool:
    """Whether both come from the same DynamicQuantizeLinear."""
    node = producer(graph, q, "DynamicQuantizeLinear")
    return node is not None and scale is node.outputs[1]


def _along_channels(node: Node, factor: np.ndarray, w: Value) -> np.ndarray | None:
    """[channels] or []: `factor` broadcasts to the product along its channels only."""
    if factor.size == 1:
        return factor.reshape(())
    channels = w.sizes[0] if node.op == "ConvInteger" else w.sizes[-1]
    tail = w.rank - 2 if node.op == "ConvInteger" else 0
    if factor.size != channels or factor.ndim <= tail or factor.shape[factor.ndim - 1 - tail] != channels:
        return None
    return factor.reshape(-1)


def _split(g: Builder, q: Value, computed: Value | None, scale: np.ndarray) -> tuple[Value, np.ndarray]:
    """The scale of q and that of the weights, whose product is known."""
    if computed is not None:
        return computed, scale
    quantise = producer(g.graph, q, QUANTIZE)
    own = quantise.inputs[1] if quantise else None
    if own is None or not own.is_constant or own.array.size != 1:
        return g.constant(1.0, _FLOAT), scale
    return g.constant(own.array.reshape(())), (scale / own.array.reshape(())).astype(np.float32)


def _grid(g: Builder, scale: np.ndarray, zero: np.ndarray) -> list[Value]:
    """Scale and zero point of constant weights, in one shape; zeros are left out."""
    scale, zero = np.broadcast_arrays(scale, zero.reshape(()) if zero.size == 1 else zero.ravel())
    return [g.constant(np.array(part)) for part in ((scale, zero) if zero.any() else (scale,))]


def _bias(graph: Graph, node: Node, last: Node, w: Value) -> tuple[Node, np.ndarray] | None:
    """Of a convolution: the Add that follows, and what it adds to each channel."""
    add = only_reader(graph, last.output) if node.op == "ConvInteger" else None
    if add is None or add.domain or add.op != "Add":
        return None
    other = next(value for value in add.inputs if value is not last.output)
    if other is None or not other.is_constant or other.dtype != _FLOAT:
        return None
    bias = _along_channels(node, other.array, w)
    return None if bias is None else (add, np.array(np.broadcast_to(bias, w.sizes[:1])))
