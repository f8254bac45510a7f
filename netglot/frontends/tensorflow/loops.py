"""Loops: While to Loop.

What the body hands on unchanged is no state but read from outside; where the condition only counts, it becomes the trip
count; a list that gets one element at each step becomes a scan output. So the loops of recurrent layers come out in the
form that ONNX has for them, whatever TensorFlow carries along in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.tensorflow import lists
from netglot.frontends.tensorflow.builder import Edge, Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.control import is_fixed, like, own, require_same, tensor
from netglot.frontends.tensorflow.messages import FunctionDef, FunctionName, NodeDef
from netglot.ir.graph import Value
from netglot.ir.types import Dim, Shape

_COPIES = {"Identity", "StopGradient", "Snapshot"}


@tf_op("While", "StatelessWhile", handles=True)
def while_(g: TFBuilder, *inputs: Edge, cond: FunctionName, body: FunctionName) -> tuple[Edge, ...]:
    """A Loop."""
    for function, count in ((cond, 1), (body, len(inputs))):
        definition = g.reader.functions.get(function.name)
        if definition is not None and len(definition.outputs) != count:
            what = (
                f"the function '{function.name}' of a loop with {len(inputs)} states returns {len(definition.outputs)}"
            )
            raise ConversionError(what, g.origin)
    loop = _analysed(g, inputs, cond, body)
    try:
        return _settled(g, loop)
    except lists.NotScannedError:
        if not loop.scanned:
            raise  # it is a list of the loop around this one
        return _settled(g, replace(loop, scanned=frozenset()))


def _settled(g: TFBuilder, loop: _Loop) -> tuple[Edge, ...]:
    """The loop with shapes of its state that hold before and after a step."""
    shapes: dict[int, Shape | None] = {}
    while True:
        results, found = _attempt(g, loop, shapes)
        loose = {k: _common(shape, shapes.get(k, shape)) for k, shape in found.items()}
        changed = {k: shape for k, shape in loose.items() if shape != _state_shape(loop, k, shapes)}
        if not changed:
            return results()
        shapes.update(changed)


@dataclass(frozen=True)
class _Loop:
    """A While, and what can be told of it before it is run."""

    inputs: tuple[Edge, ...]
    cond: FunctionName
    body: FunctionName
    unchanged: frozenset[int]
    counters: frozenset[int]  # what counts the steps from zero, in a loop whose steps are counted: no state either
    trips: Value | None  # how many steps, where the condition only counts
    scanned: frozenset[int]  # lists that get one element at each step

    @property
    def state(self) -> list[int]:
        """The inputs that a step changes."""
        fixed = self.unchanged | self.counters
        return [k for k, edge in enumerate(self.inputs) if k not in fixed and not is_fixed(edge)]


def _analysed(g: TFBuilder, inputs: tuple[Edge, ...], cond: FunctionName, body: FunctionName) -> _Loop:
    test, step = _Function.of(g, cond), _Function.of(g, body)
    if test is None or step is None:
        return _Loop(inputs, cond, body, frozenset(), frozenset(), None, frozenset())
    unchanged = frozenset(k for k in range(len(inputs)) if step.returned(k) == k)
    limits = _limits(g, test, step, inputs, unchanged)
    trips = _trips(g, inputs, limits)
    counters = frozenset(k for k in range(len(inputs)) if step.counts(k) and g.contents(_value(inputs[k])) == (0,))
    known = g.contents(trips)
    if trips is None:
        return _Loop(inputs, cond, body, unchanged, frozenset(), None, frozenset())
    scanned = frozenset(k for k, edge in enumerate(inputs) if _is_reserved(g, edge, known))
    return _Loop(inputs, cond, body, unchanged, counters, trips, scanned)


def _value(edge: Edge) -> Value | None:
    return edge if isinstance(edge, Value) else None


def _is_reserved(g: TFBuilder, edge: Edge, trips: tuple[Dim, ...] | None) -> bool:
    """Whether it is a list that was made for as many elements as the loop has steps, and holds none yet."""
    if not isinstance(edge, Handle) or edge.kind != "list" or trips is None or None in trips:
        return False
    tensors = lists.of(edge)
    return tensors.stacked is None and tensors.counter is None and g.contents(tensors.size) == trips


def _limits(
    g: TFBuilder, test: _Function, step: _Function, inputs: tuple[Edge, ...], unchanged: frozenset[int]
) -> dict[int, Value] | None:
    """Counters with the value that each must stay below; None if the condition says anything else."""
    found: dict[int, Value] = {}
    for node in test.conjuncts():
        if node is None or node.op != "Less":
            return None
        counter, limit = (test.argument(reference) for reference in node.inputs[:2])
        bound = test.constant(node.inputs[1]) if limit is None else None
        if counter is None or not step.counts(counter):
            return None
        value = g.constant(bound) if bound is not None else _value(inputs[limit]) if limit in unchanged else None
        if value is None:
            return None
        found[counter] = value
    return found or None


def _trips(g: TFBuilder, inputs: tuple[Edge, ...], limits: Mapping[int, Value] | None) -> Value | None:
    """The number of steps that the limits allow."""
    found: Value | None = None
    for counter, limit in (limits or {}).items():
        start = _value(inputs[counter])
        if start is None or start.dtype is None or start.dtype.kind not in "iu":
            return None
        steps = g.cast(limit if g.contents(start) == (0,) else g.Sub(limit, start), np.int64)
        known = g.contents(steps)
        same = found is not None and known is not None and None not in known and g.contents(found) == known
        found = steps if found is None or same else g.Min(found, steps)
    if found is None or found.shape == ():
        return found
    return g.reshaped(found, ())


# ---------------------------------------------------------------- one attempt


def _attempt(g: TFBuilder, loop: _Loop, shapes: Mapping[int, Shape | None]) -> Any:
    """Runs the body once. Returns what makes the Loop, and the shape that each state has after a step."""
    inner = g.inner("body")
    inner.graph.add_input("step", np.dtype(np.int64), ())
    inner.graph.add_input("again", np.dtype(np.bool_), ())
    places = {k: _place(g, inner, loop, k, shapes) for k in loop.state if k not in loop.scanned}
    arguments = [_argument(inner, loop, k, places) for k in range(len(loop.inputs))]
    results = inner.reader.call(loop.body, arguments, inner)
    for k in loop.state:
        require_same(g, loop.inputs[k], results[k], f"state {k} of the loop")
    found = {k: _after(results[k], value) for k, value in places.items()}
    return (lambda: _made(g, inner, loop, places, results)), found


def _state_shape(loop: _Loop, k: int, shapes: Mapping[int, Shape | None]) -> Shape | None:
    if k in shapes:
        return shapes[k]
    edge = loop.inputs[k]
    value = edge if isinstance(edge, Value) else lists.of(edge).stacked
    return value.shape if value is not None else _reserved_shape(lists.of(edge)) if isinstance(edge, Handle) else None


def _reserved_shape(tensors: lists.TensorList) -> Shape | None:
    return None if tensors.element is None else (None, *tensors.element)


def _place(g: TFBuilder, inner: TFBuilder, loop: _Loop, k: int, shapes: Mapping[int, Shape | None]) -> Value:
    """The body's input that holds the state `k`."""
    edge = loop.inputs[k]
    dtype = edge.dtype if isinstance(edge, Value) else lists.of(edge).dtype
    if not isinstance(dtype, np.dtype):
        raise g.unsupported("the state of the loop is no tensor")
    return inner.graph.add_input(f"state_{k}", dtype, _state_shape(loop, k, shapes))


def _argument(inner: TFBuilder, loop: _Loop, k: int, places: Mapping[int, Value]) -> Edge:
    """What the body gets for the input `k`."""
    edge, step = loop.inputs[k], inner.graph.inputs[0]
    if k in places:
        return like(edge, places[k])
    if k in loop.counters and isinstance(edge, Value):
        return inner.cast(step, edge.dtype)
    if k in loop.scanned and k not in loop.unchanged and isinstance(edge, Handle):
        return lists.handle(replace(lists.of(edge), counter=step))
    return edge


def _after(edge: Edge, place: Value) -> Shape | None:
    value = edge if isinstance(edge, Value) else lists.of(edge).stacked
    return place.shape if value is None else value.shape


def _common(a: Shape | None, b: Shape | None) -> Shape | None:
    """What two shapes agree on."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(one if one == other else None for one, other in zip(a, b, strict=True))


def _made(
    g: TFBuilder, inner: TFBuilder, loop: _Loop, places: Mapping[int, Value], results: Sequence[Edge]
) -> tuple[Edge, ...]:
    """The Loop of a body that was run, and its results."""
    scans = [k for k in loop.state if k in loop.scanned and lists.of(_list(results[k])).scan is not None]
    graph, again = inner.graph, inner.graph.inputs[1]
    going_on = again if loop.trips is not None else _condition(g, inner.reader.call(loop.cond, results, inner))
    outgoing = [going_on, *(tensor(inner, results[k]) for k in places)]
    outgoing += [value for k in scans if (value := lists.of(_list(results[k])).scan) is not None]
    for value in outgoing:
        graph.outputs.append(own(inner, value))
    start = g.constant(np.array(True)) if not places else None  # ONNX wants a second input
    start = start if loop.trips is not None else _condition(g, g.reader.call(loop.cond, loop.inputs, g))
    first = [tensor(g, _known_element(inner, loop, results, k)) for k in places]
    made = g.op("Loop", [loop.trips, start, *first], outputs=len(places) + len(scans), body=graph)
    values = dict(zip([*places, *scans], made if isinstance(made, tuple) else (made,), strict=True))
    for k, value in values.items():
        value.shape = (
            places[k].shape if k in places else _stacked_shape(g, loop, graph.outputs, [*places, *scans].index(k))
        )
    for k in loop.counters:
        start = _value(loop.inputs[k])
        assert start is not None
        values[k] = g.cast(g.Max(loop.trips, np.array(0, np.int64)), start.dtype)
    return tuple(_result(edge, values.get(k), loop.inputs[k], k in scans) for k, edge in enumerate(results))


def _list(edge: Edge) -> Handle:
    assert isinstance(edge, Handle)
    return edge


def _known_element(inner: TFBuilder, loop: _Loop, results: Sequence[Edge], k: int) -> Edge:
    """A list that is empty before the loop has elements of the shape that the body writes.

    Where that has no name, it is the shape of the state that is what the body writes, too: a recurrent layer's output.
    """
    before, after = loop.inputs[k], results[k]
    if isinstance(before, Value) or isinstance(after, Value):
        return before
    written = lists.of(after).stacked
    node = inner.graph.producer(written) if written is not None and written in inner.graph.nx else None
    item = node.inputs[0] if node is not None and node.op == "Unsqueeze" else None
    twins = [edge for edge, result in zip(loop.inputs, results, strict=True) if result is item]
    like = _value(twins[0]) if twins else None
    return lists.handle(replace(lists.of(before), element=lists.of(after).element, like=like))


def _stacked_shape(g: TFBuilder, loop: _Loop, outputs: Sequence[Value], index: int) -> Shape | None:
    element, trips = outputs[1 + index].shape, g.contents(loop.trips)
    return None if element is None else (trips[0] if trips else None, *element)


def _result(edge: Edge, value: Value | None, given: Edge, is_scan: bool) -> Edge:
    if value is None:
        return given
    if is_scan:
        tensors = replace(lists.of(_list(edge)), scan=None, counter=None)
        return lists.handle(replace(tensors, stacked=value, size=None))
    return like(edge, value)


def _condition(g: TFBuilder, results: Sequence[Edge]) -> Value:
    (found,) = results
    if not isinstance(found, Value) or found.dtype != np.bool_:
        raise g.unsupported("the condition of the loop is no boolean")
    return found


# ------------------------------------------------- what a function's nodes say


class _Function:
    """A function's body as far as it can be understood without running it."""

    def __init__(self, definition: FunctionDef) -> None:
        self.definition = definition
        self.nodes = {node.name: node for node in definition.nodes}
        self.arguments = {argument.name: k for k, argument in enumerate(definition.inputs)}

    @staticmethod
    def of(g: TFBuilder, function: FunctionName) -> _Function | None:
        definition = g.reader.functions.get(function.name)
        return None if definition is None else _Function(definition)

    def follow(self, reference: str) -> str:
        """Back through copies."""
        for _ in range(len(self.nodes) + 1):
            node = self.nodes.get(reference.partition(":")[0])
            if node is None or reference in self.arguments or node.op not in _COPIES:
                break
            reference = node.inputs[0]
        return reference

    def argument(self, reference: str) -> int | None:
        """Which argument it is a copy of."""
        return self.arguments.get(self.follow(reference).removesuffix(":0"))

    def node(self, reference: str) -> NodeDef | None:
        reference = self.follow(reference)
        return None if reference in self.arguments else self.nodes.get(reference.partition(":")[0])

    def constant(self, reference: str) -> np.ndarray | None:
        node = self.node(reference)
        return node.attributes["value"] if node is not None and node.op == "Const" else None

    def result(self, k: int) -> str:
        return self.definition.returns[self.definition.outputs[k].name]

    def returned(self, k: int) -> int | None:
        """The argument that is returned as result `k`, if it is one."""
        return self.argument(self.result(k))

    def counts(self, k: int) -> bool:
        """Whether result `k` is argument `k` plus one."""
        node = self.node(self.result(k))
        if node is None or node.op not in ("AddV2", "Add"):
            return False
        one = [self.constant(item) for item in node.inputs[:2] if self.argument(item) != k]
        return (
            len(one) == 1 and one[0] is not None and one[0].dtype.kind in "iu" and np.array_equal(one[0].ravel(), [1])
        )

    def conjuncts(self) -> list[NodeDef | None]:
        """The conditions that must all hold for the first result."""
        found: list[NodeDef | None] = []
        stack = [self.result(0)]
        while stack:
            node = self.node(stack.pop())
            if node is not None and node.op == "LogicalAnd" and len(found) + len(stack) < len(self.nodes):
                stack += node.inputs[:2]
            else:
                found.append(node)
        return found
