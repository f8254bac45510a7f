"""What one step of a recurrent layer computes, read from the body of its loop.

Frameworks write the same cell in many ways: one product for all gates that is split, or one for each; the input and the
state joined before it, or not; a bias here or there. So what feeds a gate is gathered as a sum of products with
constants, whatever nodes it is made of, and only the few nonlinear steps around the gates are matched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import number, producer

ACTIVATIONS = {"Sigmoid", "Tanh", "Relu", "Softsign", "Softplus"}  # what ONNX's cells have under the same names
_DEPTH = 64  # nodes in a row: more are no cell


class NoCellError(Exception):
    """The body computes something else."""


@dataclass(frozen=True)
class Sum:
    """bias + the sum of value @ matrix over some values; a matrix of None is the identity. All have `size` columns."""

    size: int
    terms: Mapping[Value, np.ndarray | None] = field(default_factory=dict)
    bias: np.ndarray | None = None

    def columns(self, start: int, end: int) -> Sum:
        terms = {
            v: (np.eye(self.size, dtype=np.float32) if m is None else m)[:, start:end] for v, m in self.terms.items()
        }
        return Sum(end - start, terms, None if self.bias is None else self.bias[start:end])

    def plus(self, other: Sum) -> Sum:
        if self.size != other.size:
            raise NoCellError
        terms = dict(self.terms)
        for value, matrix in other.terms.items():
            terms[value] = _added(terms[value], matrix, self.size) if value in terms else matrix
        bias = other.bias if self.bias is None else self.bias if other.bias is None else self.bias + other.bias
        return Sum(self.size, terms, bias)

    def negative(self) -> Sum:
        """The sum of which this is the negative: 1 - sigmoid(x) is sigmoid(-x)."""
        terms = {v: -(np.eye(self.size, dtype=np.float32) if m is None else m) for v, m in self.terms.items()}
        return Sum(self.size, terms, None if self.bias is None else -self.bias)

    def matrix(self, value: Value, rows: int) -> np.ndarray:
        """What `value`, of `rows` columns, is multiplied with; zeros if it is no part."""
        if value not in self.terms:
            return np.zeros((rows, self.size), np.float32)
        found = self.terms[value]
        return np.eye(rows, dtype=np.float32) if found is None else found

    def offset(self) -> np.ndarray:
        return np.zeros(self.size, np.float32) if self.bias is None else self.bias

    def only(self, *values: Value) -> Sum:
        """Itself, where nothing else takes part."""
        if not set(self.terms) <= set(values):
            raise NoCellError
        return self


def _added(a: np.ndarray | None, b: np.ndarray | None, size: int) -> np.ndarray:
    eye = np.eye(size, dtype=np.float32)
    return (eye if a is None else a) + (eye if b is None else b)


class Body:
    """The body of a loop, whose values are read as sums or as activations of sums."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def node(self, value: Value | None, *ops: str) -> Node | None:
        """The node that makes `value`, copies left out."""
        value = self.source(value)
        return producer(self.graph, value, *ops)

    def source(self, value: Value | None) -> Value | None:
        node = producer(self.graph, value, "Identity", "Dropout")
        while node is not None:
            value = node.inputs[0]
            node = producer(self.graph, value, "Identity", "Dropout")
        return value

    # --------------------------------------------------------------------- sums

    def sum(self, value: Value | None, depth: int = _DEPTH) -> Sum:
        """`value` as a sum of products with constants; it is its own only term where it is none."""
        value = self.source(value)
        size = _columns(value)
        if value is None or size is None or not depth:
            raise NoCellError
        if value.is_constant:
            return Sum(size, {}, _row(value, size))
        node = producer(self.graph, value, "Add", "MatMul", "Split", "Slice", "Gemm")
        found = getattr(self, f"_{node.op.lower()}")(node, value, depth - 1) if node is not None else None
        return found if found is not None else Sum(size, {value: None})

    def _add(self, node: Node, value: Value, depth: int) -> Sum | None:
        a, b = node.inputs
        size = _columns(value)
        constant = next((x for x in (a, b) if x is not None and x.is_constant), None)
        if constant is None:
            return self.sum(a, depth).plus(self.sum(b, depth))
        other = b if constant is a else a
        found = self.sum(other, depth)
        return found.plus(Sum(found.size, {}, _row(constant, found.size))) if found.size == size else None

    def _matmul(self, node: Node, value: Value, depth: int) -> Sum | None:
        x, w = node.inputs
        if x is None or w is None or w.data is None or w.data.ndim != 2 or w.data.dtype != np.float32:
            return None
        return self._product(x, w.data, depth)

    def _gemm(self, node: Node, value: Value, depth: int) -> Sum | None:
        x, w, b = (*node.inputs, None)[:3]
        attributes = node.attributes
        plain = not attributes.get("transA") and attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
        if not plain or x is None or w is None or w.data is None or (b is not None and b.data is None):
            return None
        found = self._product(x, w.data.T if attributes.get("transB") else w.data, depth)
        return found if b is None else found.plus(Sum(found.size, {}, _row(b, found.size)))

    def _product(self, x: Value, w: np.ndarray, depth: int) -> Sum:
        """x @ w; where x is joined of several, each has its rows of w."""
        joined = self.node(x, "Concat")
        if joined is None or joined.attributes.get("axis") not in (1, -1):
            source = self.source(x)
            assert source is not None
            return Sum(w.shape[1], {source: w})
        found, row = Sum(w.shape[1]), 0
        for part in joined.inputs:
            size, source = _columns(part), self.source(part)
            if size is None or source is None:
                raise NoCellError
            found = found.plus(Sum(w.shape[1], {source: w[row : row + size]}))
            row += size
        return found

    def _split(self, node: Node, value: Value, depth: int) -> Sum | None:
        cut = _cut(node, value)
        return None if cut is None else self.sum(node.inputs[0], depth).columns(*cut)

    _slice = _split

    # ----------------------------------------------------------------- nonlinear

    def activation(self, value: Value | None, *ops: str) -> tuple[str, Sum]:
        """The activation that makes `value`, and the sum that it is of; perhaps some columns of both."""
        node = self.node(value, *(ops or ACTIVATIONS))
        if node is not None:
            return node.op, self.sum(node.inputs[0])
        node, value = self.node(value, "Split", "Slice"), self.source(value)
        cut = _cut(node, value) if node is not None and value is not None else None
        if node is None or cut is None:
            raise NoCellError
        op, found = self.activation(node.inputs[0], *ops)
        return op, found.columns(*cut)

    def is_activation(self, value: Value | None, *ops: str) -> bool:
        try:
            return bool(self.activation(value, *ops))
        except NoCellError:
            return False

    def operands(self, value: Value | None, op: str) -> list[tuple[Value | None, Value | None]]:
        """Both orders of what the Mul or Add `value` is of."""
        node = self.node(value, op)
        if node is None:
            raise NoCellError
        a, b = (self.source(x) for x in node.inputs)
        return [(a, b), (b, a)]

    def complement(self, value: Value | None) -> Value | None:
        """x of 1 - x."""
        node = self.node(value, "Sub")
        return self.source(node.inputs[1]) if node is not None and number(node.inputs[0]) == 1.0 else None


def _cut(node: Node, value: Value) -> tuple[int, int] | None:
    """The columns, from and to, of the input of a Split or Slice that `value` is; None if it is not that."""
    if node.op == "Split":
        sizes = [_columns(out) for out in node.outputs]
        if node.attributes.get("axis", 0) not in (1, -1) or None in sizes:
            return None
        start = sum(size for size in sizes[: node.outputs.index(value)] if size is not None)
        return start, start + (_columns(value) or 0)
    size, parameters = _columns(node.inputs[0]), [None if x is None else x.data for x in node.inputs[1:]]
    if size is None or len(parameters) < 3 or any(x is None or x.size != 1 for x in parameters[:3]):
        return None
    start, end, axis, step = (int(x.item()) if x is not None else 1 for x in [*parameters, None][:4])
    if axis not in (1, -1) or step != 1:
        return None
    start, end, _ = slice(start, end).indices(size)
    return start, end


def _columns(value: Value | None) -> int | None:
    """The last size of a row or matrix."""
    if value is None or not value.shape or len(value.shape) > 2 or not isinstance(value.shape[-1], int):
        return None
    return value.shape[-1]


def _row(value: Value, size: int) -> np.ndarray:
    """A constant that is added to every row."""
    array = value.array
    if array.dtype != np.float32 or array.size not in (1, size) or (array.ndim and array.shape[-1] != array.size):
        raise NoCellError
    return np.broadcast_to(array.reshape(-1), (size,))


# ------------------------------------------------------------------------ the cells


@dataclass(frozen=True)
class Cell:
    """An ONNX operator with its weights for one direction, gates in ONNX's order; biases of input and state apart."""

    op: str
    hidden: int
    w: np.ndarray  # [gates * hidden, input]
    r: np.ndarray  # [gates * hidden, hidden]
    b: np.ndarray  # [2 * gates * hidden]
    activations: tuple[str, ...]
    linear_before_reset: int = 0


def lstm(body: Body, x: Value, h: Value, c: Value, new_h: Value, new_c: Value) -> Cell:
    """c' = f * c + i * g; h' = o * tanh(c')."""
    output, act_h = _first(_lstm_output(body, new_h, new_c))
    forget, gate_in, candidate = _first(_lstm_state(body, c, new_c))
    gates = [body.activation(gate) for gate in (gate_in, output, forget)]
    act_g, g = body.activation(candidate)
    if len({name for name, _ in gates}) != 1:
        raise NoCellError
    sums = [*(found for _, found in gates), g]
    return _cell("LSTM", x, h, sums, [], (gates[0][0], act_g, act_h))


def _lstm_output(body: Body, new_h: Value, new_c: Value) -> Iterator[tuple[Value | None, str]]:
    for gate, squashed in body.operands(new_h, "Mul"):
        node = body.node(squashed, *ACTIVATIONS)
        if node is not None and body.source(node.inputs[0]) is body.source(new_c):
            yield gate, node.op


def _lstm_state(body: Body, c: Value, new_c: Value) -> Iterator[tuple[Value | None, Value | None, Value | None]]:
    for kept, added in body.operands(new_c, "Add"):
        if body.node(kept, "Mul") is None or body.node(added, "Mul") is None:
            continue
        for forget, old in body.operands(kept, "Mul"):
            if old is c:
                for gate, candidate in body.operands(added, "Mul"):
                    if not (body.is_activation(gate, "Tanh") and body.is_activation(candidate, "Sigmoid")):
                        yield forget, gate, candidate


def gru(body: Body, x: Value, h: Value, new_h: Value) -> Cell:
    """h' = z * h + (1 - z) * g, where r * h, or r * (h R + b), is a part of what g is of."""
    kept, candidate, update = _first(_gru_update(body, h, new_h))
    act_f, z = body.activation(update)
    z = z if kept else z.negative()
    if not kept and act_f != "Sigmoid":
        raise NoCellError
    act_g, g = body.activation(candidate)
    reset = next((value for value in g.terms if value not in (x, h)), None)
    if reset is None or set(g.terms) - {x, reset} or body.node(reset, "Mul") is None:
        raise NoCellError
    for gate, inner in body.operands(reset, "Mul"):
        if not body.is_activation(gate, act_f):
            continue
        _, r = body.activation(gate, act_f)
        of_h = body.sum(inner)
        whole = Sum(g.size, {v: m for v, m in g.terms.items() if v is not reset}, g.bias)
        if inner is h:  # reset before the product
            return _cell("GRU", x, h, [z, r, whole], [g.matrix(reset, g.size)], (act_f, act_g))
        if g.terms[reset] is None and set(of_h.terms) <= {h}:
            return _cell("GRU", x, h, [z, r, whole], [of_h.matrix(h, g.size)], (act_f, act_g), of_h.offset())
    raise NoCellError


def _gru_update(body: Body, h: Value, new_h: Value) -> Iterator[tuple[bool, Value | None, Value | None]]:
    """Whether z keeps the old state (or the new one), the new state, and z."""
    for a, b in body.operands(new_h, "Add"):
        if body.node(a, "Mul") is None or body.node(b, "Mul") is None:
            continue
        for gate, old in body.operands(a, "Mul"):
            for other, candidate in body.operands(b, "Mul"):
                if old is h and body.complement(other) is gate:
                    yield True, candidate, gate
                elif old is h and body.complement(gate) is other:
                    yield False, candidate, other


def rnn(body: Body, x: Value, h: Value, new_h: Value) -> Cell:
    """h' = act(x W + h R + b)."""
    act, found = body.activation(new_h)
    return _cell("RNN", x, h, [found], [], (act,))


def _first(found: Iterator[tuple]) -> tuple:  # type: ignore[type-arg]
    try:
        return next(found)
    except StopIteration:
        raise NoCellError from None


def _cell(
    op: str, x: Value, h: Value, sums: Sequence[Sum], last: Sequence[np.ndarray], activations: tuple[str, ...],
    last_bias: np.ndarray | None = None,
) -> Cell:  # fmt: skip
    """`last`: the state's matrix of the last gate where it is not in its sum, `last_bias` a bias that goes with it."""
    hidden, size = sums[0].size, _columns(x)
    if size is None or any(found.size != hidden for found in sums) or _columns(h) != hidden:
        raise NoCellError
    w = np.concatenate([found.only(x, h).matrix(x, size).T for found in sums])
    of_state = [found.matrix(h, hidden) for found in sums[: len(sums) - len(last)]] + list(last)
    r = np.concatenate([matrix.T for matrix in of_state])
    of_input = np.concatenate([found.offset() for found in sums])
    rest = np.zeros_like(of_input)
    if last_bias is not None:
        rest[-hidden:] = last_bias
    bias = np.concatenate([of_input, rest])
    return Cell(op, hidden, w, r, bias, activations, int(last_bias is not None))
