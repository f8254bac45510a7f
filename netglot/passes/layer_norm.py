"""x s - mean s + b -> (x - mean) s + b, where mean = ReduceMean(x);
(x - mean) / Sqrt(variance + epsilon) gamma + beta over the last axes -> LayerNormalization(x, gamma, beta).

Both are the same numbers but for rounding: the difference of x and its mean is taken before the products, not after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.ir.types import is_static
from netglot.passes.match import enclosed, nodes, number, only_reader, producer, supplant

# ---------------------------------------------------------------------- centre


def centre_first(graph: Graph) -> bool:
    """What TensorFlow's and Keras' normalisations write, over whichever axes."""
    return any([_centre(graph, node) for node in nodes(graph, "Add", "Sub")])


class Term(NamedTuple):
    sign: int
    value: Value


def _centre(graph: Graph, node: Node) -> bool:
    terms = list(_terms(graph, node))
    for first in terms:
        for second in terms:
            found = _difference(graph, first, second)
            if found is not None:
                _write(graph, node, *found, [term for term in terms if term not in (first, second)])
                return True
    return False


def _terms(graph: Graph, node: Node, sign: int = 1) -> Iterator[Term]:
    """Of the sum that `node` ends, through sums that nothing else reads."""
    for value, side in zip(node.inputs, (sign, -sign if node.op == "Sub" else sign), strict=True):
        inner = producer(graph, value, "Add", "Sub")
        if value is not None and inner is not None and only_reader(graph, value) is node:
            yield from _terms(graph, inner, side)
        elif value is not None:
            yield Term(side, value)


def _difference(graph: Graph, first: Term, second: Term) -> tuple[Value, Value, Value] | None:
    """x, its mean and s, if the terms are x s and -mean s."""
    for x, scale in _factors(graph, first):
        for other, factor in _factors(graph, second):
            negative = producer(graph, other, "Neg")
            mean = negative.inputs[0] if negative else other
            sign = -second.sign if negative else second.sign
            if factor is scale and first.sign == 1 and sign == -1 and mean and _axes_of_mean(graph, mean, x):
                return x, mean, scale
    return None


def _factors(graph: Graph, term: Term) -> Iterator[tuple[Value, Value]]:
    product = producer(graph, term.value, "Mul") if term.value in graph.nx else None
    if product is None or only_reader(graph, term.value) is None:
        return
    a, b = product.inputs
    if a is not None and b is not None:
        yield from ((a, b), (b, a))


def _write(graph: Graph, node: Node, x: Value, mean: Value, scale: Value, rest: list[Term]) -> None:
    g = Builder(graph)
    with g.at(node.origin):
        y = g.Mul(_subtraction(graph, x, mean) or g.Sub(x, mean), scale)
        for term in rest:
            y = g.Add(y, term.value) if term.sign == 1 else g.Sub(y, term.value)
    supplant(graph, node, y)


def _subtraction(graph: Graph, x: Value, mean: Value) -> Value | None:
    """x - mean, where that is computed already."""
    found = (node.output for node in graph.consumers(mean) if node.op == "Sub" and tuple(node.inputs) == (x, mean))
    return next(found, None)


# -------------------------------------------------------------- normalisation


def fuse_layer_norm(graph: Graph) -> bool:
    """Where nothing else reads the statistics, and the constants are of the axes that are normalised."""
    return any([_fuse(graph, node) for node in nodes(graph, "Mul", "Div")])


class Norm(NamedTuple):
    x: Value
    axis: int
    epsilon: float

    def fits(self, constant: Value) -> bool:
        """Whether a constant is one number, or of the normalised axes."""
        sizes = constant.sizes[: max(constant.rank - self.x.rank + self.axis, 0)]
        return constant.is_constant and constant.rank <= self.x.rank and set(sizes) <= {1}

    def part(self, constant: Value | None, neutral: float) -> np.ndarray:
        assert self.x.shape is not None
        shape = tuple(dim for dim in self.x.shape[self.axis :] if isinstance(dim, int))
        if constant is None:
            return np.full(shape, neutral, self.x.dtype)
        own = constant.sizes[max(constant.rank - len(shape), 0) :]
        return np.array(np.broadcast_to(constant.array.reshape(own), shape))


def _fuse(graph: Graph, node: Node) -> bool:
    for difference, gamma, root in _quotients(graph, node):
        norm = _norm(graph, difference, root)
        if norm is not None and (gamma is None or norm.fits(gamma)):
            return _replace(graph, node, norm, gamma)
    return False


def _quotients(graph: Graph, node: Node) -> Iterator[tuple[Value, Value | None, Node]]:
    """x, gamma and the Sqrt, if `node` computes x gamma / Sqrt."""
    a, b = node.inputs
    root = producer(graph, b, "Sqrt")
    if node.op == "Div" and root is not None and a is not None:
        yield a, None, root
    for x, scale in ((a, b), (b, a)) if node.op == "Mul" else ():
        for inverse, gamma in _scales(graph, scale):
            root = _inverted(graph, inverse)
            if x is not None and root is not None:
                yield x, gamma, root


def _scales(graph: Graph, scale: Value | None) -> Iterator[tuple[Value | None, Value | None]]:
    yield scale, None
    product = producer(graph, scale, "Mul")
    if product is not None:
        a, b = product.inputs
        yield from ((x, c) for x, c in ((a, b), (b, a)) if c is not None and c.is_constant)


def _inverted(graph: Graph, value: Value | None) -> Node | None:
    """The Sqrt that `value` is one divided by."""
    node = producer(graph, value, "Reciprocal", "Div")
    if node is None or (node.op == "Div" and number(node.inputs[0]) != 1):
        return None
    return producer(graph, node.inputs[-1], "Sqrt")


def _norm(graph: Graph, difference: Value, root: Node) -> Norm | None:
    """If `root` is the deviation of x, and `difference` what x differs from its mean."""
    x, axes = _centred(graph, difference)
    total = producer(graph, root.inputs[0], "Add")
    if x is None or total is None or x.shape is None or x.dtype is None or x.dtype.kind != "f":
        return None
    for variance, epsilon in (total.inputs, total.inputs[::-1]):
        square = _squared(graph, _mean_of(graph, variance, axes))
        same = square is difference or (square is not None and _centred(graph, square) == (x, axes))
        added = number(epsilon)
        if same and added is not None and added >= 0 and list(axes) == list(range(axes[0], x.rank)):
            return Norm(x, axes[0], added) if is_static(x.shape[axes[0] :]) else None
    return None


def _centred(graph: Graph, difference: Value) -> tuple[Value | None, tuple[int, ...]]:
    """x and the axes, if `difference` is x - ReduceMean(x, axes)."""
    node = producer(graph, difference, "Sub")
    x, mean = node.inputs if node else (None, None)
    axes = _axes_of_mean(graph, mean, x) if x is not None else ()
    return (x, axes) if axes else (None, ())


def _axes_of_mean(graph: Graph, mean: Value | None, x: Value) -> tuple[int, ...]:
    """The axes over which `mean` is the mean of x, which stay with size one; none if it is not."""
    node = producer(graph, mean, "ReduceMean")
    return _axes(node) if node is not None and node.inputs[0] is x else ()


def _axes(node: Node) -> tuple[int, ...]:
    x, axes = node.inputs[0], node.input(1)
    keeps = node.attributes.get("keepdims", defaults("ReduceMean")["keepdims"])
    if not keeps or x is None or x.shape is None or axes is None or not axes.is_constant:
        return ()
    return tuple(sorted(int(axis) % x.rank for axis in axes.array.ravel()))


def _mean_of(graph: Graph, value: Value | None, axes: tuple[int, ...]) -> Value | None:
    node = producer(graph, value, "ReduceMean")
    return node.inputs[0] if node is not None and axes and _axes(node) == axes else None


def _squared(graph: Graph, value: Value | None) -> Value | None:
    node = producer(graph, value, "Mul", "Pow")
    if node is None:
        return None
    a, b = node.inputs
    return a if (a is b if node.op == "Mul" else number(b) == 2) else None


def _replace(graph: Graph, node: Node, norm: Norm, gamma: Value | None) -> bool:
    last = node
    if gamma is None:
        last, gamma = _absorbed(graph, last, norm, "Mul")
    last, beta = _absorbed(graph, last, norm, "Add")
    if not enclosed(graph, [norm.x], last) or last.output.shape != norm.x.shape:
        return False
    g = Builder(graph)
    with g.at(last.origin):
        scale = g.constant(norm.part(gamma, 1), name=f"{node.name}/scale")
        bias = None if beta is None else g.constant(norm.part(beta, 0), name=f"{node.name}/bias")
        supplant(graph, last, g.LayerNormalization(norm.x, scale, bias, axis=norm.axis, epsilon=norm.epsilon))
    return True


def _absorbed(graph: Graph, node: Node, norm: Norm, op: str) -> tuple[Node, Value | None]:
    """The `op` of a fitting constant that alone reads the output of `node`, and that constant; else `node` itself."""
    reader = only_reader(graph, node.output)
    if reader is None or reader.op != op or reader.domain or reader.output.shape != norm.x.shape:
        return node, None
    constants = [value for value in reader.inputs if value is not None and value.is_constant and norm.fits(value)]
    return (reader, constants[0]) if constants else (node, None)
