"""x * a + b * c - d ... -> Mul and Add, once each; BatchNormalization(x) -> Add(Mul(x, s), t).

All are affine maps of each channel, y = s x + t. What they come to is computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.match import nodes, only_reader, supplant


class Affine(NamedTuple):
    """y = scale * x + shift along `axis` of x: float64 vectors of its size, or of size 1 where axis is None."""

    scale: np.ndarray
    shift: np.ndarray
    axis: int | None

    def fits(self, other: Affine) -> bool:
        return self.axis is None or other.axis is None or self.axis == other.axis

    def then(self, other: Affine) -> Affine:
        axis = other.axis if self.axis is None else self.axis
        return Affine(self.scale * other.scale, self.shift * other.scale + other.shift, axis)

    @property
    def scales(self) -> bool:
        return bool(np.any(self.scale != 1))

    @property
    def shifts(self) -> bool:
        return bool(np.any(self.shift != 0))


_ARITHMETIC = ("Mul", "Add", "Sub", "Div")


def affine_of(node: Node) -> tuple[Value, Affine] | None:
    """The input and the map, if `node` adds or multiplies constants of one number or of one for each channel."""
    if node.op not in _ARITHMETIC or node.domain or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    if a is None or b is None or a.is_constant == b.is_constant:
        return None
    x, c = (b, a) if a.is_constant else (a, b)
    found = _vector(c, x)
    if found is None or node.output.layout is not None or x.layout is not None:
        return None
    vector, axis = found
    scale, shift = _map(node.op, vector, a is c)
    return (x, Affine(scale, shift, axis)) if np.isfinite(scale).all() and np.isfinite(shift).all() else None


def _map(op: str, c: np.ndarray, first: bool) -> tuple[np.ndarray, np.ndarray]:
    one, zero = np.ones(1), np.zeros(1)
    if op == "Mul":
        return c, zero
    if op == "Add":
        return one, c
    if op == "Sub":
        return (-one, c) if first else (one, -c)
    with np.errstate(divide="ignore"):
        return (np.full(1, np.nan), zero) if first else (1 / c, zero)


def _vector(c: Value, x: Value) -> tuple[np.ndarray, int | None] | None:
    """The constant along its only axis of more than one element, counted in x; None if x is broadcast to it."""
    if x.shape is None or x.dtype is None or x.dtype.kind != "f" or c.dtype != x.dtype or c.rank > x.rank:
        return None
    long = [axis for axis in range(c.rank) if c.sizes[axis] != 1]
    if not long:
        return c.array.reshape(1).astype(np.float64), None
    axis = long[0] + x.rank - c.rank
    if len(long) > 1 or c.sizes[long[0]] != x.shape[axis]:
        return None
    return c.array.reshape(-1).astype(np.float64), axis


def rounded(vector: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """`vector` as `dtype`, or None if that overflows or makes zero of what is not."""
    with np.errstate(over="ignore", under="ignore"):
        found = vector.astype(dtype)
    return found if np.isfinite(found).all() and bool(np.all((found != 0) | (vector == 0))) else None


def write(graph: Graph, x: Value, affine: Affine, like: Node) -> Value | None:
    """Mul(x), Add(x) or both (an Identity for neither), as part of the layer of `like`; None if it can't be rounded."""
    assert x.dtype is not None
    shape = () if affine.axis is None else (-1, *(1,) * (x.rank - affine.axis - 1))
    scale, shift = rounded(affine.scale, x.dtype), rounded(affine.shift, x.dtype)
    if scale is None or shift is None:
        return None
    g, y = Builder(graph), x
    with g.at(like.origin):
        for op, wanted, vector in (("Mul", affine.scales, scale), ("Add", affine.shifts, shift)):
            if wanted:
                part = vector if vector.size > 1 else vector.reshape(-1)[:1]
                y = g.op(op, [y, g.constant(part.reshape(shape if part.size > 1 else ()), name=f"{like.name}/{op}")])
        return g.Identity(x) if y is x else y


# --------------------------------------------------------------- normalisation


def lower_batchnorm(graph: Graph) -> bool:
    """BatchNormalization(x) -> Add(Mul(x, s), t), s = scale / sqrt(var + epsilon), t = B - s mean, all constants [C].

    So targets need no BatchNormalization; where a layer with weights stands before it, fuse_affine takes both in.
    """
    return any([_lower(graph, node) for node in nodes(graph, "BatchNormalization")])


def _lower(graph: Graph, node: Node) -> bool:
    x, *given = node.inputs
    if x is None or x.shape is None or x.rank < 2 or len(node.outputs) > 1 or node.attributes.get("training_mode"):
        return False
    statistics = [value.array for value in given if value is not None and value.is_constant]
    if len(statistics) != 4:
        return False
    affine = statistics_map(statistics, _epsilon(node))
    y = write(graph, x, affine, node) if np.isfinite(affine.scale).all() and np.isfinite(affine.shift).all() else None
    if y is None:
        return False
    supplant(graph, node, y)
    return True


def _epsilon(node: Node) -> float:
    return float(node.attributes.get("epsilon", defaults("BatchNormalization")["epsilon"]))


def statistics_map(statistics: Sequence[np.ndarray], epsilon: float) -> Affine:
    """BatchNormalization-15 of ONNX (scale, B, mean, var) as the affine map that it is."""
    gamma, beta, mean, variance = (vector.astype(np.float64) for vector in statistics)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = gamma / np.sqrt(variance + epsilon)
        return Affine(scale, beta - mean * scale, 1)


# --------------------------------------------------------------------- chains


def merge_affine(graph: Graph) -> bool:
    """Chains of Mul, Add, Sub and Div by constants -> one Mul and one Add (as few of them as it takes)."""
    seen: set[Node] = set()
    return any([_merge(graph, node, seen) for node in nodes(graph, *_ARITHMETIC)])


def _merge(graph: Graph, node: Node, seen: set[Node]) -> bool:
    start = affine_of(node) if node not in seen else None
    if start is None:
        return False
    x, affine = start
    chain = [node]
    while (longer := following(graph, chain[-1], affine)) is not None:
        affine = longer[1]
        chain.append(longer[0])
    seen.update(chain)
    if len(chain) < 2 or [one.op for one in chain] == ["Mul", "Add"]:
        return False
    y = write(graph, x, affine, chain[-1])
    if y is None:
        return False
    supplant(graph, chain[-1], y)
    for one in reversed(chain[:-1]):
        graph.remove_node(one)
    return True


def following(graph: Graph, node: Node, affine: Affine) -> tuple[Node, Affine] | None:
    """The affine node that alone reads the output of `node`, and `affine` with it at the end."""
    reader = only_reader(graph, node.output)
    found = affine_of(reader) if reader else None
    if reader is None or found is None or not affine.fits(found[1]):
        return None
    return reader, affine.then(found[1])
