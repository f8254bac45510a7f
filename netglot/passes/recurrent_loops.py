"""Loop over the steps of a sequence -> LSTM, GRU or RNN, where its body is such a cell (see cells.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import Dim
from netglot.passes.bodies import goes_on, replace
from netglot.passes.cells import Body, Cell, NoCellError, gru, lstm, rnn
from netglot.passes.match import all_equal, nodes, number, producer

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def fuse_recurrent_loops(graph: Graph) -> bool:
    """A Loop that takes one element of a sequence [steps, batch, input] at each step, in order, and whose state is that
    of an LSTM, GRU or RNN cell, becomes that operator.

    It must run over the whole sequence: its trip count is the sequence's length, by number or by the same named size.
    """
    return any([_fuse(graph, node) for node in nodes(graph, "Loop")])


def _fuse(graph: Graph, node: Node) -> bool:
    try:
        loop = _Steps(graph, node)
        cell, order = loop.cell()
        results = loop.results(cell, order)
    except NoCellError:
        return False
    replace(graph, node, results)
    return True


@dataclass
class _Steps:
    """A Loop over the elements of a sequence."""

    graph: Graph
    node: Node

    def __post_init__(self) -> None:
        node, inner = self.node, self.node.attributes["body"]
        first = node.input(1)
        self.inner: Graph = inner
        self.body = Body(inner)
        if not (first is None or all_equal(first, 1)) or not goes_on(inner):
            raise NoCellError
        self.sequence, self.x = self._sequence()
        count = len(inner.inputs) - 2
        pairs = list(zip(inner.inputs[2:], inner.outputs[1:], strict=False))
        self.states = [(i, *pair) for i, pair in enumerate(pairs) if inner.uses(pair[0])]
        self.written = [*((i, value) for i, (place, value) in enumerate(pairs) if not inner.uses(place))]
        self.written += list(enumerate(inner.outputs[1 + count :], count))

    def _sequence(self) -> tuple[Value, Value]:
        """The tensor whose elements are taken, and the element of a step."""
        step = self.inner.inputs[0]
        reads = [node for node in nodes(self.inner, "Gather") if self._index(node.inputs[1]) is step]
        if len(reads) != 1 or reads[0].attributes.get("axis", 0) != 0:
            raise NoCellError
        sequence = reads[0].inputs[0]
        outer = sequence is not None and not (sequence.name in self.inner and self.inner[sequence.name] is sequence)
        if sequence is None or not outer or sequence.shape is None or len(sequence.shape) != 3:
            raise NoCellError
        length = sequence.shape[0]
        if length is None or length != _size(self.graph, self.node.inputs[0]):
            raise NoCellError
        return sequence, reads[0].output

    def _index(self, value: Value | None) -> Value | None:
        node = producer(self.inner, value, "Cast", "Identity")
        while node is not None:
            value = node.inputs[0]
            node = producer(self.inner, value, "Cast", "Identity")
        return value

    def cell(self) -> tuple[Cell, list[int]]:
        """The cell, and which states of the loop are its h (and c)."""
        for order, recognise in self._attempts():
            try:
                return recognise(), order
            except NoCellError:
                continue
        raise NoCellError

    def _attempts(self) -> Iterator[tuple[list[int], Callable[[], Cell]]]:
        body, x = self.body, self.x
        if len(self.states) == 1:
            ((i, h, new_h),) = self.states
            yield [i], lambda: gru(body, x, h, new_h)
            yield [i], lambda: rnn(body, x, h, new_h)
        elif len(self.states) == 2:
            for (i, h, new_h), (j, c, new_c) in (self.states, self.states[::-1]):
                yield [i, j], lambda h=h, c=c, a=new_h, b=new_c: lstm(body, x, h, c, a, b)  # type: ignore[misc]

    def results(self, cell: Cell, order: Sequence[int]) -> list[Value | None]:
        """What takes the place of the Loop's outputs."""
        new_h = next(new for i, _, new in self.states if i == order[0])
        kinds = {
            i: self._written_as(value, new_h) for i, value in self.written if self.graph.uses(self.node.outputs[i])
        }
        g = Builder(self.graph)
        with g.at(self.node.origin):
            y, *last = self._operator(g, cell, order)
            found: dict[int, Value] = {i: g.Squeeze(state, [0]) for i, state in zip(order, last, strict=True)}
            for i, kind in kinds.items():
                found[i] = g.Squeeze(y, [1]) if kind == "each" else last[0] if kind == "last" else found[order[0]]
        return [found.get(i) for i in range(len(self.node.outputs))]

    def _written_as(self, value: Value, new_h: Value) -> str:
        """A scan output that collects h is Y; a state that is only written is the last h, perhaps as a list of one."""
        scanned = self.inner.outputs.index(value) > len(self.inner.inputs) - 2
        source = self.body.source(value)
        if source is self.body.source(new_h):
            return "each" if scanned else "plain"
        node = self.body.node(value, "Unsqueeze")
        if scanned or node is None or self.body.source(node.inputs[0]) is not self.body.source(new_h):
            raise NoCellError
        if node.inputs[1] is None or number(node.inputs[1]) != 0:
            raise NoCellError
        return "last"

    def _operator(self, g: Builder, cell: Cell, order: Sequence[int]) -> tuple[Value, ...]:
        """Y [steps, 1, batch, hidden] and the last states [1, batch, hidden]."""
        starts = [self.node.inputs[2 + i] for i in order]
        initial = [None if _is_zero(self.graph, start) else g.Unsqueeze(start, [0]) for start in starts]
        weights = [np.ascontiguousarray(array[None], np.float32) for array in (cell.w, cell.r, cell.b)]
        attributes: dict[str, Any] = {"hidden_size": cell.hidden}
        if cell.op == "GRU" and cell.linear_before_reset:
            attributes["linear_before_reset"] = 1
        activations = None if cell.activations == _DEFAULTS[cell.op] else cell.activations
        inputs = [self.sequence, *weights, None, *initial]
        found: tuple[Value, ...] = g.op(cell.op, inputs, outputs=1 + len(order), activations=activations, **attributes)
        return found


def _is_zero(graph: Graph, value: Value | None) -> bool:
    if value is None or value.is_constant:
        return all_equal(value, 0)
    node = producer(graph, value, "Expand", "ConstantOfShape")
    if node is None:
        return False
    filled = node.attributes.get("value", np.zeros(1)) if node.op == "ConstantOfShape" else None
    return bool((filled == 0).all()) if filled is not None else all_equal(node.inputs[0], 0)


def _size(graph: Graph, value: Value | None) -> Dim:
    """The size that a tensor of one element holds: a number, or the name of a size of a tensor."""
    known = number(value)
    if known is not None:
        return int(known)
    node = producer(graph, value, "Cast", "Squeeze", "Unsqueeze", "Reshape", "Identity")
    while node is not None:
        value = node.inputs[0]
        node = producer(graph, value, "Cast", "Squeeze", "Unsqueeze", "Reshape", "Identity")
    return _element(graph, value)


def _element(graph: Graph, value: Value | None) -> Dim:
    """The one size that a Shape, a Slice or a Gather of a shape yields."""
    node = producer(graph, value, "Shape", "Slice", "Gather")
    if node is None:
        return None
    if node.op == "Shape":
        x = node.inputs[0]
        sizes = x.shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))] if x and x.shape else ()
        return sizes[0] if len(sizes) == 1 else None
    at = number(node.inputs[1])
    if at is None or (value is not None and value.shape not in ((), (1,))):
        return None
    source = producer(graph, node.inputs[0], "Cast", "Identity")
    shape = producer(graph, source.inputs[0] if source is not None else node.inputs[0], "Shape")
    x = shape.inputs[0] if shape is not None else None
    if x is None or x.shape is None or shape is None or shape.attributes.get("start", 0) or "end" in shape.attributes:
        return None
    return x.shape[int(at)] if -len(x.shape) <= at < len(x.shape) else None
