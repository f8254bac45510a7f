"""x (1 + Erf(x / sqrt 2)) / 2 -> Gelu(x), and with Tanh its approximation; x Clip(x + 3, 0, 6) / 6 -> HardSwish(x).

Each is a polynomial of x and of t, one function of a polynomial of x. So it is not the spelling that is compared but
the coefficients, within the rounding of the constants: 0.5 x Erfc(-x 0.7071) is x/2 + x/2 t as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isclose, pi, sqrt

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import enclosed, nodes, number, only_reader, producer, supplant

Polynomial = dict[tuple[int, int], float]  # the coefficient of each x^i t^j
_X: Polynomial = {(1, 0): 1.0}
_T: Polynomial = {(0, 1): 1.0}
_DEGREE, _DEPTH = 3, 6  # of what is written out: x^3 is the highest power, six operators the longest way


def fuse_gelu(graph: Graph) -> bool:
    """Where nothing else reads what lies between x and the result."""
    return any([_fuse(graph, node) for node in nodes(graph, "Erf", "Tanh", "Clip")])


def _fuse(graph: Graph, function: Node) -> bool:
    u = function.inputs[0]
    if u is None or u.dtype is None or u.dtype.kind != "f":
        return False
    rounding = 8 * float(np.finfo(u.dtype).eps)
    for x in dict.fromkeys(_leaves(graph, u, _DEPTH)):
        argument = expand(graph, u, {x: _X})
        wanted = _wanted(function, argument, rounding) if argument is not None else None
        if wanted is not None and _replace(graph, function, x, *wanted, rounding):
            return True
    return False


def _leaves(graph: Graph, value: Value, depth: int) -> Iterator[Value]:
    """What `value` may be a polynomial of, nearest first."""
    if not value.is_constant:
        yield value
    node = producer(graph, value, *_ARITHMETIC)
    for x in node.inputs if node and depth else ():
        if x is not None:
            yield from _leaves(graph, x, depth - 1)


def _wanted(function: Node, u: Polynomial, rounding: float) -> tuple[str, Polynomial] | None:
    """The operator, and its polynomial if t is `function` of u."""
    slope, half = u.get((1, 0), 0.0), {(1, 0): 0.5}
    if function.op == "Erf" and _equal(u, {(1, 0): np.copysign(sqrt(0.5), slope)}, rounding):
        return "Gelu", {**half, (1, 1): float(np.copysign(0.5, slope))}
    if function.op == "Tanh" and _equal(u, {(1, 0): sqrt(2 / pi), (3, 0): sqrt(2 / pi) * 0.044715}, rounding):
        return "Gelu", {**half, (1, 1): 0.5}
    low, high = number(function.input(1)), number(function.input(2))
    if function.op == "Clip" and low == 0 and slope > 0 and _equal(u, {(1, 0): slope, (0, 0): 3 * slope}, rounding):
        return ("HardSwish", {(1, 1): 1 / high}) if high and isclose(high, 6 * slope, rel_tol=rounding) else None
    return None


def _replace(graph: Graph, function: Node, x: Value, op: str, wanted: Polynomial, rounding: float) -> bool:
    last = _result(graph, function, x, wanted, rounding)
    if last is None or not enclosed(graph, [x], last):
        return False
    g = Builder(graph)
    with g.at(last.origin):
        supplant(graph, last, g.op(op, [x], approximate="tanh" if function.op == "Tanh" else None))
    return True


def _result(graph: Graph, function: Node, x: Value, wanted: Polynomial, rounding: float) -> Node | None:
    """The node after `function` that computes the polynomial `wanted`."""
    known, node = {x: _X, function.output: _T}, only_reader(graph, function.output)
    for _ in range(_DEPTH):
        found = expand(graph, node.output, known) if node is not None and len(node.outputs) == 1 else None
        if node is None or found is None:
            return None
        if _equal(found, wanted, rounding):
            return node if (node.output.shape, node.output.dtype) == (x.shape, x.dtype) else None
        node = only_reader(graph, node.output)
    return None


# ----------------------------------------------------------------- polynomials


def expand(graph: Graph, value: Value | None, known: Mapping[Value, Polynomial], depth: int = 0) -> Polynomial | None:
    """`value` as a polynomial of what is `known`, computed in float64; None if it is none or too long a one."""
    constant = number(value)
    if constant is not None:
        return {(0, 0): constant}
    if value is not None and value in known:
        return known[value]
    node = producer(graph, value, *_ARITHMETIC) if depth < 2 * _DEPTH else None
    parts = [expand(graph, x, known, depth + 1) for x in node.inputs] if node else []
    if node is None or any(part is None for part in parts):
        return None
    return _ARITHMETIC[node.op](*parts)


def _equal(a: Polynomial, b: Polynomial, rounding: float) -> bool:
    return all(isclose(a.get(key, 0.0), b.get(key, 0.0), rel_tol=rounding) for key in {*a, *b})


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    return {key: a.get(key, 0.0) + b.get(key, 0.0) for key in {*a, *b}}


def _product(a: Polynomial, b: Polynomial) -> Polynomial | None:
    result: Polynomial = {}
    for (i, j), m in a.items():
        for (k, n), o in b.items():
            result[i + k, j + n] = result.get((i + k, j + n), 0.0) + m * o
    return result if all(sum(key) <= _DEGREE for key in result) else None


def _scaled(a: Polynomial, factor: float) -> Polynomial:
    return {key: coefficient * factor for key, coefficient in a.items()}


def _quotient(a: Polynomial, b: Polynomial) -> Polynomial | None:
    return _scaled(a, 1 / b[0, 0]) if set(b) == {(0, 0)} and b[0, 0] else None


def _power(a: Polynomial, b: Polynomial) -> Polynomial | None:
    if b not in ({(0, 0): 2.0}, {(0, 0): 3.0}):
        return None
    square = _product(a, a)
    return square if square is None or b[0, 0] == 2 else _product(square, a)


_ARITHMETIC: dict[str, Callable[..., Polynomial | None]] = {
    "Add": _sum,
    "Sub": lambda a, b: _sum(a, _scaled(b, -1)),
    "Mul": _product,
    "Div": _quotient,
    "Neg": lambda a: _scaled(a, -1),
    "Pow": _power,
}
