"""Which integers stand for which real numbers: what QuantizeLinear and DequantizeLinear nodes say about it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.integer import quantise
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.activations import Range, bounded
from netglot.passes.match import number, only_reader, producer

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
FLOAT = np.dtype(np.float32)
BYTES = (np.dtype(np.int8), np.dtype(np.uint8))


class Grid(NamedTuple):
    """q stands for scale (q - zero); one scale for the whole tensor."""

    scale: float
    zero: int
    dtype: np.dtype

    def levels(self) -> np.ndarray:
        """All 256 integers, in the order of the bytes that they are stored as."""
        return np.arange(256, dtype=np.uint8).view(self.dtype)

    def real(self, q: np.ndarray) -> np.ndarray:
        centred = q.astype(np.float32) - np.float32(self.zero)
        return np.asarray(centred * np.float32(self.scale), np.float32)

    def quantised(self, t: np.ndarray) -> np.ndarray:
        return quantise(t, np.array(self.scale, np.float32), np.array(self.zero, self.dtype))

    def constants(self, g: Builder, sign: int = 1) -> list[Value]:
        """The scale and the zero point, as operators take them."""
        return [g.constant(sign * self.scale, np.float32), g.constant(self.zero, self.dtype)]


class Tensor(NamedTuple):
    """Integers, and what they stand for."""

    q: Value
    grid: Grid


class Weights(NamedTuple):
    """Constant integers, with one scale and zero point for all ([]) or for each index of `axis` ([n])."""

    data: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    axis: int


def grid_of(node: Node) -> Grid | None:
    """The grid of a node that quantises to 8 bits or dequantises them, if it is constant and one for all."""
    real, integer = (node.inputs[0], node.output) if node.op == QUANTIZE else (node.output, node.inputs[0])
    scale, zero = number(node.inputs[1]), 0.0 if node.input(2) is None else number(node.input(2))
    if real is None or integer is None or scale is None or zero is None or node.attributes.get("block_size"):
        return None
    known = real.dtype == FLOAT and integer.dtype in BYTES and 0 < scale < inf
    return Grid(scale, int(zero), integer.dtype) if known and integer.dtype else None


def tensor(graph: Graph, value: Value | None) -> Tensor | None:
    """The integers that `value` is dequantised from."""
    node = producer(graph, value, DEQUANTIZE)
    grid = grid_of(node) if node else None
    return Tensor(node.inputs[0], grid) if node and grid and node.inputs[0] else None


def weights(graph: Graph, value: Value | None, axis: int) -> Weights | None:
    """Constant 8-bit integers that `value` is dequantised from, as int8, with scales for all or along `axis`."""
    found = _weights(graph, value)
    if found is None or not np.all((found.scale > 0) & (found.scale < inf)) or found.axis not in (axis, -1):
        return None
    if found.data.dtype == np.int8:
        return found
    data, zero = ((part.astype(np.int16) - 128).astype(np.int8) for part in (found.data, found.zero))
    return found._replace(data=data, zero=zero)


def _weights(graph: Graph, value: Value | None) -> Weights | None:
    node = producer(graph, value, DEQUANTIZE, *_RESHAPING)
    if node is None:
        return None
    if node.op == DEQUANTIZE:
        return _dequantised(node)
    inner = _weights(graph, node.inputs[0])
    return _moved(node, inner) if inner and all(v is not None and v.is_constant for v in node.inputs[1:]) else None


_RESHAPING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def _moved(node: Node, w: Weights) -> Weights | None:
    """As `node` moves them. The axis of the scales is the one that the number of each scale is found along."""
    rest = [None if value is None else value.array for value in node.inputs[1:]]
    data = compute(node.op, w.data, *rest, **node.attributes)
    if w.axis < 0:
        return w._replace(data=data)
    numbers = np.broadcast_to(_along(w.scale.size, w.axis, w.data.ndim), w.data.shape)
    moved = compute(node.op, numbers, *rest, **node.attributes)
    axes = [axis for axis, size in enumerate(data.shape) if size == w.scale.size]
    found = [axis for axis in axes if np.all(moved == _along(w.scale.size, axis, data.ndim))]
    return w._replace(data=data, axis=found[0]) if found else None


def _along(size: int, axis: int, rank: int) -> np.ndarray:
    return np.arange(size).reshape([-1 if i == axis else 1 for i in range(rank)])


def _dequantised(node: Node) -> Weights | None:
    """One scale for all has the axis -1."""
    data, scale, zero = (value.data if value else None for value in (*node.inputs, None)[:3])
    if data is None or data.dtype not in BYTES or scale is None or scale.dtype != FLOAT:
        return None
    if node.attributes.get("block_size") or (zero is None and node.input(2) is not None):
        return None
    zeros = np.zeros(scale.shape, data.dtype) if zero is None else zero
    if scale.size == 1:
        return Weights(data, scale.reshape(()), zeros.reshape(()), -1)
    return Weights(data, scale, zeros, node.attributes.get("axis", 1) % data.ndim)


def real_constant(graph: Graph, value: Value | None) -> np.ndarray | None:
    """A constant of float32, or what constant integers of one or no axes stand for; in float64."""
    if value is not None and value.data is not None:
        return value.data.astype(np.float64) if value.dtype == FLOAT else None
    node = producer(graph, value, DEQUANTIZE)
    if (
        node is None
        or value is None
        or value.shape is None
        or value.rank > 1
        or not all(v is None or v.is_constant for v in node.inputs)
    ):
        return None
    q, scale, *zero = (np.asarray(v.data, np.float64) for v in node.inputs if v is not None)
    return np.asarray((q - zero[0] if zero else q) * scale)


class Target(NamedTuple):
    """The grid of a result (None: floats), and integers that limit it where its type does not."""

    grid: Grid | None = None
    low: int | None = None
    high: int | None = None

    @property
    def limits(self) -> dict[str, int]:
        return {name: value for name, value in (("low", self.low), ("high", self.high)) if value is not None}

    def constants(self, g: Builder) -> list[Value | None]:
        return list(self.grid.constants(g)) if self.grid else [None, None]


def what_follows(graph: Graph, y: Value) -> tuple[Node | None, Target]:
    """The node that quantises `y`, which nothing else reads, after bounds that become limits; or None, and floats."""
    bounds = Range(-inf, inf)
    while (node := only_reader(graph, y)) is not None and not node.domain and node.op in _BOUNDS:
        x, outer = bounded(node)
        if x is not y or outer is None:
            return None, Target()
        y, bounds = node.output, Range(outer.clip(bounds.low), outer.clip(bounds.high))
    if node is None or node.domain or node.op != QUANTIZE or node.inputs[0] is not y:
        return None, Target()
    grid = grid_of(node)
    if grid is None:
        return None, Target()
    kind = np.iinfo(grid.dtype)
    low, high = (int(grid.quantised(np.array(bound, np.float32))) for bound in bounds)
    return node, Target(grid, low if low > kind.min else None, high if high < kind.max else None)


_BOUNDS = ("Relu", "Clip", "Min", "Max")
