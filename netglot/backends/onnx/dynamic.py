"""MatMul(DequantizeLinear(DynamicQuantizeLinear(x)), DequantizeLinear(w)) -> MatMulInteger, a Cast, a Mul with both
scales and an Add of the bias; Conv -> ConvInteger likewise: the form that ONNX Runtime has kernels for, and fuses.

The sums of products are the same integers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import to_onnx
from netglot.passes.integer_grids import BYTES, DEQUANTIZE, FLOAT
from netglot.passes.match import nodes, producer, supplant

_DYNAMIC = "DynamicQuantizeLinear"


def multiply_integers(graph: Graph) -> bool:
    """Layers of constant weights of one zero point (matrices: one for each column) whose bias is not quantised."""
    changed = any([_rewrite(graph, node) for node in nodes(graph, "Conv", "Gemm", "MatMul")])
    if changed:
        graph.drop_unneeded()
    return changed


class _Weights(NamedTuple):
    data: np.ndarray
    scale: np.ndarray  # [] or [output channels]
    zero: np.ndarray | None
    name: str


def _rewrite(graph: Graph, node: Node) -> bool:
    dequantise = producer(graph, node.inputs[0], DEQUANTIZE)
    dynamic = producer(graph, dequantise.inputs[0], _DYNAMIC) if dequantise else None
    weights = _weights(graph, node)
    if dynamic is None or dequantise is None or weights is None or dequantise.inputs != tuple(dynamic.outputs):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        new = _convolved(g, node, dynamic, weights) if node.op == "Conv" else _multiplied(g, node, dynamic, weights)
    new.shape = node.output.shape
    supplant(graph, node, new)
    return True


def _weights(graph: Graph, node: Node) -> _Weights | None:
    dequantise = producer(graph, node.inputs[1], DEQUANTIZE)
    if dequantise is None or dequantise.attributes.get("block_size") or not _is_plain(node):
        return None
    q, scale, zero = (dequantise.input(i) for i in range(3))
    if q is None or scale is None or not q.is_constant or not scale.is_constant or q.dtype not in BYTES:
        return None
    if scale.dtype != FLOAT or (zero is not None and not zero.is_constant):
        return None
    turned = bool(node.attributes.get("transB"))
    channels = 0 if node.op == "Conv" or turned else q.rank - 1
    if scale.rank and dequantise.attributes.get("axis", 1) % q.rank != channels:
        return None
    shift = None if zero is None or not zero.array.any() else zero.array
    if shift is not None and shift.ndim and node.op == "Conv":
        return None
    return _Weights(q.array.T if turned else q.array, scale.array, shift, q.name)


def _is_plain(node: Node) -> bool:
    factors = all(node.attributes.get(name, 1.0) == 1.0 for name in ("alpha", "beta"))
    bias = node.input(2)
    return factors and not node.attributes.get("transA") and (bias is None or bias.is_constant)


def _multiplied(g: Builder, node: Node, dynamic: Node, w: _Weights) -> Any:
    q, _, zero = dynamic.outputs
    y = _real(g, g.MatMulInteger(q, g.constant(w.data, name=w.name), zero, w.zero), dynamic, w.scale)
    return y if node.input(2) is None else g.Add(y, node.inputs[2])


def _convolved(g: Builder, node: Node, dynamic: Node, w: _Weights) -> Any:
    q, _, zero = dynamic.outputs
    along = (-1, *(1,) * (w.data.ndim - 2))
    scale = w.scale.reshape(along) if w.scale.ndim else w.scale
    product = g.op("ConvInteger", [q, g.constant(w.data, name=w.name), zero, w.zero], **node.attributes)
    y, bias = _real(g, product, dynamic, scale), node.input(2)
    return y if bias is None else g.Add(y, bias.array.reshape(along))


def _real(g: Builder, product: Value, dynamic: Node, scale: np.ndarray) -> Any:
    return g.Mul(g.Cast(product, to=to_onnx(FLOAT)), g.Mul(dynamic.outputs[1], g.constant(scale)))
