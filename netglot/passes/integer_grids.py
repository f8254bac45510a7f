"""Which integers stand for which real numbers: what QuantizeLinear and DequantizeLinear nodes say about it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.integer import quantise
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import number, producer

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
    node = producer(graph, value, DEQUANTIZE, "Transpose")
    if node is None:
        return None
    if node.op == DEQUANTIZE:
        return _dequantised(graph, node)
    inner = _weights(graph, node.inputs[0])
    if inner is None:
        return None
    perm = node.attributes.get("perm", tuple(range(inner.data.ndim))[::-1])
    return inner._replace(data=inner.data.transpose(perm), axis=perm.index(inner.axis) if inner.axis >= 0 else -1)


def _dequantised(graph: Graph, node: Node) -> Weights | None:
    """One scale for all has the axis -1."""
    data, scale, zero = _integers(graph, node.inputs[0]), node.inputs[1], node.input(2)
    if data is None or data.dtype not in BYTES or scale is None or scale.data is None or scale.dtype != FLOAT:
        return None
    if node.attributes.get("block_size") or not (zero is None or zero.is_constant):
        return None
    zeros = np.zeros(scale.sizes, data.dtype) if zero is None else zero.array
    if scale.data.size == 1:
        return Weights(data, scale.data.reshape(()), zeros.reshape(()), -1)
    return Weights(data, scale.data, zeros, node.attributes.get("axis", 1) % data.ndim)


def _integers(graph: Graph, value: Value | None) -> np.ndarray | None:
    """A constant, or what a constant is quantised to (as training that knows of it leaves it)."""
    if value is None or value.data is not None:
        return None if value is None else value.data
    node = producer(graph, value, QUANTIZE)
    if node is None or not all(given is None or given.is_constant for given in node.inputs):
        return None
    return compute(QUANTIZE, *(None if v is None else v.array for v in node.inputs), **node.attributes)


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
