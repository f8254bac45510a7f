"""Which values need memory, and when: views need none, and in-place operators take over that of an input."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from netglot.backends import lowering
from netglot.backends.cpp.arena import Buffer
from netglot.backends.cpp.nest import steps_of
from netglot.ir.graph import Graph, Node, Value


class Memory:
    """The buffers of the values that a graph computes on its way; a step is a node's place in graph.nodes().

    Inputs, outputs and constants of the graph lie in memory of their own and have no buffer here.
    """

    def __init__(self, graph: Graph) -> None:
        nodes = graph.nodes()
        self.steps = {node: step for step, node in enumerate(nodes)}
        self.buffers: dict[Value, Buffer] = {}
        self._elsewhere = {*graph.inputs, *graph.outputs}
        self._roots: dict[Value, Value] = {}
        for node in nodes:
            if self._can_be_view(graph, node):
                self._roots[node.output] = self.root(node.inputs[0])
        self._last = {self.root(x): step for node, step in self.steps.items() for x in node.inputs if x is not None}
        for node in nodes:
            for value in () if self.is_view(node) else node.outputs:
                if value not in self._elsewhere:
                    self.buffers[value] = self._taken_over(node, value) or self._new(node, value)

    def root(self, value: Value | None) -> Value:
        """The value whose memory `value` is."""
        assert value is not None
        return self._roots.get(value, value)

    def is_view(self, node: Node) -> bool:
        return node.output in self._roots

    def scratch(self, node: Node, size: int) -> Buffer:
        """Memory that only `node` uses."""
        return Buffer(size, self.steps[node], self.steps[node])

    def _can_be_view(self, graph: Graph, node: Node) -> bool:
        """A node that gives its first input another shape, and whose result is not to be written to an output."""
        operator = lowering.find(node, "cpp")
        if operator is None or not operator.options["view"] or not node.inputs or node.output in self._elsewhere:
            return False
        x = node.inputs[0]
        return x is not None and _is_in_place(node, x) and not any(graph.uses(y) for y in node.outputs[1:])

    def _new(self, node: Node, value: Value) -> Buffer:
        step = self.steps[node]
        return Buffer(_bytes(value), step, self._last.get(value, step))

    def _taken_over(self, node: Node, y: Value) -> Buffer | None:
        """The buffer of an input of y's size that no later node reads, where the operator may overwrite it."""
        step = self.steps[node]
        for given in _overwritable(node, self.root):
            x = self.root(given)
            if x in self.buffers and self._last[x] == step and x.sizes and _fits(x, y) and given.layout == y.layout:
                buffer = self.buffers[x]
                buffer.last = self._last.get(y, step)
                return buffer
        return None


def _overwritable(node: Node, root: Callable[[Value], Value]) -> list[Value]:
    """The inputs whose memory the operator says it may overwrite, as no other input is the same."""
    operator = lowering.find(node, "cpp")
    which: bool | tuple[int, ...] = operator.options["in_place"] if operator else False
    chosen = range(len(node.inputs)) if which is True else which or ()
    kept = {root(x) for i, x in enumerate(node.inputs) if x is not None and i not in chosen}
    return [x for i, x in enumerate(node.inputs) if x is not None and i in chosen and root(x) not in kept]


def _is_in_place(node: Node, x: Value) -> bool:
    """Whether the elements of a view lie where those of `x` lie (under other axes: where both are dense)."""
    y = node.output
    if node.op != "Transpose" and x.sizes != y.sizes:
        return x.layout is None and y.layout is None
    perm = node.attributes.get("perm") or range(x.rank)[::-1] if node.op == "Transpose" else range(x.rank)
    before, after = steps_of(x), steps_of(y)
    return all(size == 1 or after[i] == before[axis] for i, (axis, size) in enumerate(zip(perm, y.sizes, strict=True)))


def _fits(x: Value, y: Value) -> bool:
    return prod(x.sizes) == prod(y.sizes) and _bytes(x) == _bytes(y)


def _bytes(value: Value) -> int:
    return prod(value.sizes) * (value.dtype.itemsize if value.dtype else 0)
