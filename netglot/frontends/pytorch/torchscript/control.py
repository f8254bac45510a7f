"""Conditions and loops that the content of tensors decides: ONNX's If and Loop.

Both branches, or the body, are run in a graph of their own. What they leave different (names, and the memory of
tensors that they change in place) becomes outputs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder
from netglot.frontends.pytorch.torchscript.tensors import Memory, Scope, Tensor
from netglot.frontends.pytorch.torchscript.values import (
    Dict,
    List,
    NamedTuple,
    RaisedError,
    Uninitialised,
    tensors,
)  # fmt: skip
from netglot.ir.graph import Value
from netglot.ir.types import Shape

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Frame, Interpreter, Returned

_MISSING = object()


@dataclass
class Branch:
    """A branch that was run: its graph, the names after it, the content of the tensors then, the memory it changed."""

    g: TorchBuilder
    names: dict[str, Any]
    contents: dict[Tensor, Any] = field(default_factory=dict)
    memory: dict[Memory, Any] = field(default_factory=dict)
    raised: bool = False


# ---------------------------------------------------------------------------- If


def branches(run: Interpreter, statement: ast.If, condition: Value, frame: Frame) -> Returned | None:
    """Both branches; one that raises is taken not to happen, as torch.export takes it."""
    outer, before = run.g, dict(frame.names)
    then, other = (_branch(run, body, frame) for body in (statement.body, statement.orelse))
    run.g = outer
    if then.raised or other.raised:
        if then.raised and other.raised:
            raise RaisedError("whatever the condition is")
        run.g.warn("a check of the content of tensors is left out; the network is taken to pass it")
        return run.block(statement.orelse if then.raised else statement.body, frame)
    merge = _Merge(run, then, other)
    changes = {memory: merge.memory(memory) for memory in dict.fromkeys([*then.memory, *other.memory])}
    results = {}
    for name in dict.fromkeys([*then.names, *other.names]):
        one, two = then.names.get(name, _MISSING), other.names.get(name, _MISSING)
        if one is _MISSING or two is _MISSING:
            frame.names.pop(name, None)
        elif not (one is two and one is before.get(name, _MISSING)):
            results[name] = merge.value(one, two, f"'{name}'")
    merge.finish(condition)
    for memory, content in changes.items():
        run.tensors.change(run.g, Tensor(memory), content().root.value)
    frame.names.update({name: result() for name, result in results.items()})
    return None


def _branch(run: Interpreter, body: Sequence[ast.stmt], frame: Frame) -> Branch:
    outer, origin = run.g, run.g.origin
    inner = replace(frame, names=dict(frame.names))
    branch = Branch(run.g.inner("branch"), inner.names)
    scope = Scope()
    run.g = branch.g
    run.tensors.scopes.append(scope)
    try:
        if run.block(body, inner) is not None:
            raise run.g.unsupported("a function returns under a condition that the network computes")
        changed = [item for name, item in inner.names.items() if frame.names.get(name, _MISSING) is not item]
        _look(run, branch, [*changed, *_touched(frame.names.values(), scope)])
    except RaisedError:
        branch.raised = True
    finally:
        run.tensors.scopes.pop()
        branch.memory = scope.leave()
        run.g = outer
        run.g.origin = origin
    return branch


def _touched(items: Iterable[Any], scope: Scope) -> list[Tensor]:
    return [tensor for tensor in tensors(list(items)) if tensor.root in scope.before]


def _look(run: Interpreter, branch: Branch, items: Any) -> None:
    """Reads tensors while the branch is the one that is run: a view may have to be made again."""
    for tensor in tensors(items):
        if not tensor.root.doubt:
            branch.contents[tensor] = run.tensors.read(run.g, tensor)


Result = Callable[[], Any]  # a value of the program, once the If is made


@dataclass
class _Merge:
    """One value of two: what differs is an output of both branches."""

    run: Interpreter
    then: Branch
    other: Branch
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    made: Sequence[Value] = ()

    def value(self, one: Any, two: Any, what: str) -> Result:
        if isinstance(one, Uninitialised) or isinstance(two, Uninitialised):
            return self.with_nothing(one, two)
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            return self.tensor(one, two, what)
        if isinstance(one, _NUMBERS) and isinstance(two, _NUMBERS):
            return self.number(one, two)
        if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)) and len(one) == len(two):
            parts = [self.value(a, b, what) for a, b in zip(one, two, strict=True)]
            return lambda: one if one is two else _like(one, [part() for part in parts], self.run.depth)
        if isinstance(one, dict) and isinstance(two, dict) and list(one) == list(two):
            items = {key: self.value(one[key], two[key], what) for key in one}
            return lambda: one if one is two else Dict({key: item() for key, item in items.items()}, self.run.depth)
        if one is two or (isinstance(one, str) and one == two):
            return lambda: one
        what = f"what {what} is (a tensor, None, a list of some length) depends on what is computed"
        raise self.run.g.unsupported(what)

    def with_nothing(self, one: Any, two: Any) -> Result:
        """A name that one branch leaves unset: the code reads it only where the other was taken."""
        given, branch = (two, self.other) if isinstance(one, Uninitialised) else (one, self.then)
        if isinstance(given, (bool, int, float)) or not isinstance(given, (Tensor, Value)):
            return lambda: given
        content = branch.contents[given] if isinstance(given, Tensor) else given
        nothing = np.zeros([dim if isinstance(dim, int) else 1 for dim in content.shape or ()], content.dtype)
        slot = self.slot(*((nothing, content) if given is two else (content, nothing)))
        return self.as_tensor(slot) if isinstance(given, Tensor) else self.as_number(slot)

    def tensor(self, one: Tensor, two: Tensor, what: str) -> Result:
        if one is two and one.root not in self.then.memory and one.root not in self.other.memory:
            return lambda: one
        if one is two and one.memory is not None:
            return lambda: one  # its memory is merged
        if one not in self.then.contents or two not in self.other.contents:
            raise self.run.g.unsupported(f"what {what} holds after a branch is not known")
        return self.as_tensor(self.slot(self.then.contents[one], self.other.contents[two]))

    def number(self, one: Any, two: Any) -> Result:
        if one is two or (type(one) is type(two) and not isinstance(one, Value) and one == two):
            return lambda: one
        dtype = _number_type(one, two)
        return self.as_number(self.slot(_scalar(self.then.g, one, dtype), _scalar(self.other.g, two, dtype)))

    def memory(self, memory: Memory) -> Result:
        contents = [branch.memory.get(memory, memory.value) for branch in (self.then, self.other)]
        return self.as_tensor(self.slot(*contents))

    def as_tensor(self, slot: int) -> Result:
        return lambda: Tensor(Memory(self.made[slot]))

    def as_number(self, slot: int) -> Result:
        return lambda: self.run.g.as_number(self.made[slot])

    def slot(self, one: Any, two: Any) -> int:
        """The number of a new output."""
        if not all(isinstance(value, (Value, np.ndarray)) for value in (one, two)):
            raise self.run.g.unsupported("a complex tensor depends on a condition that the network computes")
        if one.dtype != two.dtype:
            raise self.run.g.unsupported(f"a tensor is {one.dtype} or {two.dtype}, depending on what is computed")
        self.pairs.append((one, two))
        return len(self.pairs) - 1

    def finish(self, condition: Value) -> None:
        """Adds the If, now that all its outputs are known."""
        if not self.pairs:
            return
        for one, two in self.pairs:
            self.then.g.graph.outputs.append(own(self.then.g, one))
            self.other.g.graph.outputs.append(own(self.other.g, two))
        graphs = self.then.g.graph, self.other.g.graph
        made = self.run.g.op("If", [condition], outputs=len(self.pairs), then_branch=graphs[0], else_branch=graphs[1])
        self.made = made if isinstance(made, tuple) else (made,)


_NUMBERS = (bool, int, float, Value)


def own(g: TorchBuilder, item: Any) -> Value:
    """`item` as an output of a body: made there, and no output yet."""
    value = item if isinstance(item, Value) else g.constant(item)
    made_here = value.name in g.graph and g.graph[value.name] is value and g.graph.producer(value) is not None
    if made_here and value not in g.graph.outputs:
        return value
    result: Value = g.plain("Identity", value)
    return result


def _number_type(*numbers: Any) -> np.dtype:
    kinds = {number.dtype if isinstance(number, Value) else np.array(number).dtype for number in numbers}
    if kinds == {np.dtype(np.bool_)}:
        return np.dtype(np.bool_)
    return np.dtype(np.float64) if np.dtype(np.float64) in kinds else np.dtype(np.int64)


def _scalar(g: TorchBuilder, number: Any, dtype: np.dtype) -> Value:
    return g.cast(number, dtype) if isinstance(number, Value) else g.constant(np.array(number, dtype))


def _like(tree: Any, parts: list[Any], depth: int) -> Any:
    if isinstance(tree, NamedTuple):
        return NamedTuple.of(parts, tree.fields)
    return tuple(parts) if isinstance(tree, tuple) else List(parts, depth)


# -------------------------------------------------------------------------- Loop

_ATTEMPTS = 8  # to find shapes that hold before and after a step


def loop(
    run: Interpreter, statement: ast.While | ast.For, frame: Frame, *, condition: Value | None = None,
    trips: Value | None = None,
) -> None:  # fmt: skip
    """A Loop. What the body changes is its state: names that exist before it, and memory."""
    assigned = {node.id for part in statement.body for node in ast.walk(part)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    states = _States(run, frame, [name for name in frame.names if name in assigned])
    for _ in range(_ATTEMPTS):
        body = _body(run, statement, frame, states)
        if not states.widened(body):
            states.finish(body, condition, trips)
            return
    raise run.g.unsupported("the shapes of what a loop carries along do not settle")


@dataclass
class _Body:
    branch: Branch
    places: list[Value]
    ends: list[Value]
    again: Value
    memory: list[Memory]


@dataclass
class _States:
    """What a loop carries along. `shapes`: those that hold at every step, where they are not the first ones."""

    run: Interpreter
    frame: Frame
    names: list[str]
    memory: list[Memory] = field(default_factory=list)
    shapes: dict[int, Shape | None] = field(default_factory=dict)
    types: dict[int, np.dtype] = field(default_factory=dict)

    def first(self) -> list[Value]:
        """The state before the loop, as tensors of the graph."""
        g = self.run.g
        leaves = [leaf for name in self.names for leaf in _leaves(self.run, self.frame.names[name])]
        values = [_as_value(self.run, leaf, self.types.get(i)) for i, leaf in enumerate(leaves)]
        for memory in self.memory:
            if not isinstance(memory.value, Value):
                raise g.unsupported("a complex tensor is changed in a loop")
            values.append(memory.value)
        return values

    def widened(self, body: _Body) -> bool:
        """Takes note of what the body leaves otherwise than it was given: shapes, kinds of numbers, more memory."""
        before = len(self.memory), dict(self.shapes), dict(self.types)
        self.memory += [memory for memory in body.memory if memory not in self.memory]
        for i, (place, end) in enumerate(zip(body.places, body.ends, strict=True)):
            if end.dtype != place.dtype and end.dtype is not None and end.shape == () == place.shape:
                self.types[i] = end.dtype
            if place.shape != end.shape:
                self.shapes[i] = _common(place.shape, end.shape)
        return before != (len(self.memory), self.shapes, self.types)

    def finish(self, body: _Body, condition: Value | None, trips: Value | None) -> None:
        g, inner = self.run.g, body.branch.g
        for value in [body.again, *body.ends]:
            inner.graph.outputs.append(own(inner, value))
        first = self.first()
        start = condition if condition is not None else np.array(True)
        made = g.op("Loop", [trips, start, *first], outputs=len(first), body=inner.graph)
        results = list(made if isinstance(made, tuple) else (made,))
        for value, place in zip(results, body.places, strict=True):
            value.shape = place.shape  # which holds after every step, and before the first
        for memory in self.memory[::-1]:
            self.run.tensors.change(g, Tensor(memory), results.pop())
        given = iter(results)
        for name in self.names:
            self.frame.names[name] = _filled(self.run, self.frame.names[name], given)
        for name in set(body.branch.names) - set(self.frame.names):
            self.frame.names.pop(name, None)


def _body(run: Interpreter, statement: ast.While | ast.For, frame: Frame, states: _States) -> _Body:
    """Runs the body once, on places for the state."""
    outer, origin, first = run.g, run.g.origin, states.first()
    inner = replace(frame, names=dict(frame.names))
    branch = Branch(outer.inner("body"), inner.names)
    graph = branch.g.graph
    step = branch.g.as_number(graph.add_input("step", np.dtype(np.int64), ()))
    graph.add_input("again", np.dtype(np.bool_), ())
    places = [graph.add_input(f"state_{i}", value.dtype, states.shapes.get(i, value.shape))
              for i, value in enumerate(first) if value.dtype is not None]  # fmt: skip
    scope = Scope()
    run.g = branch.g
    run.tensors.scopes.append(scope)
    try:
        given = iter(places)
        for name in states.names:
            inner.names[name] = _filled(run, frame.names[name], given)
        for memory in states.memory:
            run.tensors.change(run.g, Tensor(memory), next(given))
        if isinstance(statement, ast.For):
            run.bind(statement.target, step, inner)
        if run.block(statement.body, inner) is not None:
            raise run.g.unsupported("a function returns in a loop whose length the network computes")
        again = run.truth(run.value(statement.test, inner)) if isinstance(statement, ast.While) else True
        leaves = [leaf for name in states.names
                  for leaf in _leaves(run, inner.names[name], like=frame.names[name])]  # fmt: skip
        ends = [_as_value(run, leaf, states.types.get(i)) for i, leaf in enumerate(leaves)]
        ends += [memory.value for memory in states.memory]
        end = again if isinstance(again, Value) else run.g.constant(np.array(again))
        if any(memory.doubt for memory in scope.before):
            raise run.g.unsupported("a loop changes memory that may be shared")
        return _Body(branch, places, ends, end, list(scope.before))
    except RaisedError as error:
        raise run.g.unsupported(f"a loop raises an exception: {error}") from None
    finally:
        run.tensors.scopes.pop()
        scope.leave()
        run.g = outer
        run.g.origin = origin


def _leaves(run: Interpreter, tree: Any, like: Any = _MISSING) -> list[Any]:
    """The tensors and numbers in what a loop carries along; `like` says what it was before the step."""
    if isinstance(tree, (Tensor, bool, int, float, Value)):
        return [tree]
    if isinstance(tree, (list, tuple)):
        if like is not _MISSING and (not isinstance(like, (list, tuple)) or len(like) != len(tree)):
            raise run.g.unsupported("a loop changes the length of a list, and how often is computed by the network")
        inner = like if isinstance(like, (list, tuple)) else [_MISSING] * len(tree)
        return [leaf for part, was in zip(tree, inner, strict=True) for leaf in _leaves(run, part, was)]
    if like is _MISSING or tree is like or (isinstance(tree, str) and tree == like):
        return []
    raise run.g.unsupported("a loop, whose length the network computes, changes what is neither a tensor nor a number")


def _filled(run: Interpreter, tree: Any, given: Iterator[Value]) -> Any:
    """`tree` with other tensors and numbers."""
    if isinstance(tree, Tensor):
        return Tensor(Memory(next(given)))
    if isinstance(tree, _NUMBERS):
        return run.g.as_number(next(given))
    if isinstance(tree, (list, tuple)):
        return _like(tree, [_filled(run, part, given) for part in tree], run.depth)
    return tree


def _as_value(run: Interpreter, leaf: Any, dtype: np.dtype | None) -> Value:
    if isinstance(leaf, Tensor):
        value = run.tensors.read(run.g, leaf)
        if not isinstance(value, Value):
            raise run.g.unsupported("a complex tensor is carried along by a loop")
        return value
    return _scalar(run.g, leaf, dtype or _number_type(leaf))


def _common(a: Shape | None, b: Shape | None) -> Shape | None:
    """What two shapes agree on."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(one if one == other else None for one, other in zip(a, b, strict=True))
