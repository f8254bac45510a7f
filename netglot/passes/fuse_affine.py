"""Add(Mul(Conv(x, W, B), s), t) -> Conv(x, W', B'), and Conv(Add(Mul(x, s), t), W, B) likewise; so for ConvTranspose,
Gemm and MatMul.

Multiplying a channel goes into the weights always. Adding after a layer goes into its bias. Adding before it does so
only without padding (a padded zero is not shifted); with padding Conv(s x + t, W) -> Conv'(x + t/s, s W).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.affine import Affine, affine_of, following, rounded, write
from netglot.passes.match import absorb, nodes, only_reader

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def fuse_affine(graph: Graph) -> bool:
    """Weights become new constants; those that several nodes share stay as they are for the others."""
    return any([_fuse(graph, node) for node in nodes(graph, *_LAYERS)])


def _fuse(graph: Graph, node: Node) -> bool:
    blocks = blocks_of(node)
    if blocks is None:
        return False
    after = _fuse_after(graph, node, blocks)
    return _fuse_before(graph, node, blocks) or after


class Blocks(NamedTuple):
    """Weights seen as [groups, a, b, rest]: `outputs` says whether a (1) or b (2) counts output channels."""

    groups: int
    a: int
    b: int
    rest: int
    outputs: int

    @property
    def inputs(self) -> int:
        return 3 - self.outputs

    def channels(self, axis: int) -> int:
        return self.groups * self[axis]

    def scaled(self, w: np.ndarray, scale: np.ndarray, axis: int) -> np.ndarray:
        """`w` with each of its channels of `axis` multiplied, in float64 and rounded once (NumPy does it in pieces)."""
        shape = [self.groups, 1, 1, 1]
        shape[axis] = self[axis]
        factors: np.ndarray = np.broadcast_to(scale, self.channels(axis)).astype(np.float64).reshape(shape)
        result = np.empty(self[:4], w.dtype)
        with np.errstate(over="ignore"):  # _set refuses what is not finite
            np.multiply(w.reshape(self[:4]), factors, out=result, casting="same_kind")
        return result.reshape(w.shape)

    def reached(self, w: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """What each output channel gets from `shift` [input channels] at every place of the window."""
        given = np.broadcast_to(shift, self.channels(self.inputs)).reshape(self.groups, -1)
        rule = "gabr,gb->ga" if self.outputs == 1 else "gabr,ga->gb"
        return np.einsum(rule, w.reshape(self[:4]), given, dtype=np.float64, casting="same_kind").ravel()


def blocks_of(node: Node) -> Blocks | None:
    """How the constant weights of `node` lie, or None if its weights and bias are not constants."""
    w, bias = node.input(1), node.input(2)
    if w is None or not w.is_constant or w.array.dtype.kind != "f" or not (bias is None or bias.is_constant):
        return None
    if node.op in ("Conv", "ConvTranspose"):
        groups = node.attributes.get("group", 1)
        first, second, *kernel = w.sizes
        return Blocks(groups, first // groups, second, int(np.prod(kernel)), 1 if node.op == "Conv" else 2)
    if w.rank != 2 or node.output.shape is None or node.attributes.get("transA") or node.inputs[0] is None:
        return None
    first, second = w.sizes
    return Blocks(1, first, second, 1, 1 if node.attributes.get("transB") else 2)


def _channel_axis(node: Node, value: Value) -> int:
    return 1 if node.op in ("Conv", "ConvTranspose") else value.rank - 1


# ----------------------------------------------------------------------- after


def _fuse_after(graph: Graph, node: Node, blocks: Blocks) -> bool:
    chain, affine = [node], Affine(np.ones(1), np.zeros(1), _axis(node, node.output))
    while (longer := following(graph, chain[-1], affine)) is not None and _has_bias(node, longer[1]):
        chain.append(longer[0])
        affine = longer[1]
    if len(chain) == 1 or not _rescale(graph, node, blocks, affine):
        return False
    absorb(graph, chain)
    return True


def _axis(node: Node, value: Value) -> int | None:
    return None if value.shape is None else _channel_axis(node, value)


def _has_bias(node: Node, affine: Affine) -> bool:
    """MatMul has none, but one of two matrices can become a Gemm."""
    return node.op != "MatMul" or not affine.shifts or node.output.rank == 2


def _rescale(graph: Graph, node: Node, blocks: Blocks, affine: Affine) -> bool:
    """y -> scale y + shift, in the weights and the bias of `node`."""
    w, bias = node.inputs[1], node.input(2)
    assert w is not None
    assert w.dtype is not None
    data = blocks.scaled(w.array, affine.scale, blocks.outputs) if affine.scales else w.array
    offset = _offset(node) * affine.scale + affine.shift
    return _set(graph, node, blocks, data, None if bias is None and not affine.shifts else offset)


def _offset(node: Node) -> np.ndarray:
    """What `node` adds to its product, in float64: [C], or for Gemm whatever broadcasts to its output."""
    bias = node.input(2)
    return np.zeros(1) if bias is None else bias.array.astype(np.float64) * node.attributes.get("beta", 1.0)


def _set(graph: Graph, node: Node, blocks: Blocks, weights: np.ndarray, offset: np.ndarray | None) -> bool:
    """Gives `node` these weights and this bias, as new constants where they differ. False if they overflow."""
    w = node.inputs[1]
    assert w is not None
    bias = None if offset is None else rounded(_as_bias(offset, blocks.channels(blocks.outputs)), weights.dtype)
    if not np.isfinite(weights).all() or (offset is not None and bias is None):
        return False
    inputs = [node.inputs[0], w if weights is w.array else graph.add_constant(weights, w.name)]
    if bias is not None:
        inputs.append(graph.add_constant(bias, f"{node.name}/bias"))
        node.attributes.pop("beta", None)
        node.op = "Gemm" if node.op == "MatMul" else node.op
    graph.set_inputs(node, inputs)
    return True


def _as_bias(offset: np.ndarray, channels: int) -> np.ndarray:
    """One number for each output channel (Gemm also takes a whole matrix)."""
    return np.array(np.broadcast_to(offset, (*offset.shape[:-1], channels)))


# ---------------------------------------------------------------------- before


def _fuse_before(graph: Graph, node: Node, blocks: Blocks) -> bool:
    x = node.inputs[0]
    assert x is not None
    chain, source, affine = _preceding(graph, node, x)
    if not chain:
        return False
    exact = not affine.shifts or _shift_is_exact(node)
    if exact:
        return _absorb(graph, node, blocks, affine) and _unplug(graph, node, source, chain)
    return len(chain) > 1 and _absorb_scale(graph, node, blocks, affine, source, chain)


def _preceding(graph: Graph, node: Node, x: Value) -> tuple[list[Node], Value, Affine]:
    """The affine nodes in front of `node` that nothing else reads, nearest first; what they read; what they compute."""
    chain: list[Node] = []
    affine, reader = Affine(np.ones(1), np.zeros(1), _axis(node, x)), node
    while x in graph.nx and (maker := graph.producer(x)) is not None and only_reader(graph, x) is reader:
        found = affine_of(maker)
        if found is None or not found[1].fits(affine):
            break
        chain.append(maker)
        x, affine, reader = found[0], found[1].then(affine), maker
    return chain, x, affine


def _shift_is_exact(node: Node) -> bool:
    """Whether every place of the output sees every place of the window."""
    if node.op == "MatMul":
        return node.output.rank == 2
    unpadded = not any(node.attributes.get("pads", ()))
    known = node.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return node.op == "Gemm" or (node.op == "Conv" and unpadded and known)


def _absorb(graph: Graph, node: Node, blocks: Blocks, affine: Affine) -> bool:
    w, bias = node.inputs[1], node.input(2)
    assert w is not None
    data = blocks.scaled(w.array, affine.scale, blocks.inputs) if affine.scales else w.array
    offset = _offset(node)
    if affine.shifts:
        offset = offset + blocks.reached(w.array, affine.shift) * node.attributes.get("alpha", 1.0)
    return _set(graph, node, blocks, data, None if bias is None and not affine.shifts else offset)


def _absorb_scale(graph: Graph, node: Node, blocks: Blocks, affine: Affine, source: Value, chain: list[Node]) -> bool:
    """Conv(s x + t, W) -> Conv(x + t/s, s W)."""
    if not affine.scales or not np.all(affine.scale):
        return False
    ahead = affine._replace(scale=np.ones(1), shift=affine.shift / affine.scale)
    x = write(graph, source, ahead, chain[0])
    return (
        x is not None
        and _absorb(graph, node, blocks, affine._replace(shift=np.zeros(1)))
        and _unplug(graph, node, x, chain)
    )


def _unplug(graph: Graph, node: Node, x: Value, chain: list[Node]) -> bool:
    """`node` reads `x`; the chain that was in between goes."""
    graph.set_inputs(node, [x, *node.inputs[1:]])
    for one in chain:
        graph.remove_node(one)
    return True
