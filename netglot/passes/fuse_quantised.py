"""Add(Mul(Conv(x, DequantizeLinear(W)), s), t) -> Conv(x, DequantizeLinear'(W), t), and so for Gemm and MatMul: what
training with quantisation leaves behind a layer (a normalisation) goes into the scales of its weights and its bias.

The integers stay, but for their signs where a factor is negative; each scale is rounded once more.
"""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.passes.affine import Affine, following
from netglot.passes.integer_grids import BYTES, DEQUANTIZE, FLOAT, real_constant
from netglot.passes.match import absorb, nodes, only_reader, producer


def fuse_quantised(graph: Graph) -> bool:
    """Weights of 8 bits that one layer reads. (fuse_affine does the same for weights that are floats.)"""
    return any([_fuse(graph, node) for node in nodes(graph, "Conv", "Gemm", "MatMul")])


def _fuse(graph: Graph, node: Node) -> bool:
    weights, bias = _weights(graph, node), real_constant(graph, node.input(2))
    if weights is None or (node.input(2) is not None and bias is None) or node.output.shape is None:
        return False
    chain, affine = _chain(graph, node)
    if len(chain) == 1:
        return False
    moved = _scaled(weights, _output_axis(node), affine.scale)
    offset = (0 if bias is None else bias * node.attributes.get("beta", 1.0)) * affine.scale + affine.shift
    if moved is None or not np.isfinite(np.asarray(offset, np.float32)).all():
        return False
    _write(graph, node, weights, moved, offset if bias is not None or affine.shifts else None)
    absorb(graph, chain)
    return True


def _weights(graph: Graph, node: Node) -> Node | None:
    """The DequantizeLinear of constant weights that `node` alone reads, with scales for all or for its outputs."""
    w = node.inputs[1]
    found = producer(graph, w, DEQUANTIZE)
    if found is None or w is None or only_reader(graph, w) is not node or found.attributes.get("block_size"):
        return None
    q, scale = found.inputs[:2]
    if q is None or scale is None or q.dtype not in BYTES or scale.dtype != FLOAT or node.attributes.get("transA"):
        return None
    if not all(value is None or value.is_constant for value in found.inputs) or (node.op != "Conv" and q.rank != 2):
        return None
    along = scale.shape == () or found.attributes.get("axis", 1) % q.rank == _output_axis(node)
    return found if along and node.attributes.get("alpha", 1.0) == 1.0 else None


def _output_axis(node: Node) -> int:
    return 0 if node.op == "Conv" or node.attributes.get("transB") else 1


def _chain(graph: Graph, node: Node) -> tuple[list[Node], Affine]:
    """`node` and what multiplies or adds to its channels; a MatMul of more axes has no bias."""
    rank = node.output.rank
    chain, affine = [node], Affine(np.ones(1), np.zeros(1), 1 if node.op == "Conv" else rank - 1)
    while (longer := following(graph, chain[-1], affine)) is not None:
        if longer[1].shifts and node.op == "MatMul" and rank != 2:
            break
        chain.append(longer[0])
        affine = longer[1]
    return chain, affine


def _scaled(weights: Node, axis: int, factor: np.ndarray) -> list[np.ndarray] | None:
    """Integers, scales and zero points of `weights` times `factor`; None where they leave their types."""
    q, scale, zero = (value.array if value is not None else None for value in (*weights.inputs, None)[:3])
    assert q is not None
    assert scale is not None
    negative = bool(np.any(factor < 0))
    if negative and (q.dtype != np.int8 or zero is not None or q.min(initial=0) == -128):
        return None
    with np.errstate(over="ignore", under="ignore"):
        scales = (np.abs(factor) * scale.astype(np.float64)).astype(np.float32)
    if not np.all((scales > 0) & np.isfinite(scales)):
        return None
    along = [-1 if i == axis else 1 for i in range(q.ndim)]
    data = q * np.sign(factor).astype(np.int8).reshape(along) if negative else q
    scales = scales.reshape(()) if scale.ndim == 0 and scales.size == 1 else scales
    return [data, scales, *([] if zero is None else [np.array(np.broadcast_to(zero, scales.shape))])]


def _write(graph: Graph, node: Node, weights: Node, moved: list[np.ndarray], offset: np.ndarray | None) -> None:
    g, axis = Builder(graph), _output_axis(node)
    with g.at(weights.origin):
        names = [value.name for value in weights.inputs if value is not None]
        old = weights.inputs[0]
        data = old if old is not None and moved[0] is old.data else g.constant(moved[0], name=names[0])
        rest = [g.constant(part, name=name) for part, name in zip(moved[1:], names[1:], strict=True)]
        inputs = [node.inputs[0], g.op(DEQUANTIZE, [data, *rest], axis=axis if moved[1].ndim else None)]
    if offset is not None:
        channels = moved[0].shape[axis]
        bias = np.array(np.broadcast_to(offset, (*offset.shape[:-1], channels)), np.float32)
        inputs.append(graph.add_constant(bias, f"{node.name}/bias"))
        node.attributes.pop("beta", None)
        node.op = "Gemm" if node.op == "MatMul" else node.op
    graph.set_inputs(node, inputs)
    graph.remove_node(weights)
