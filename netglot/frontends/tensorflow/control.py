"""Branches: If and Case to If."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.tensorflow import lists
from netglot.frontends.tensorflow.builder import Edge, Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.messages import FunctionName
from netglot.ir.graph import Value

Branch = tuple[TFBuilder, Sequence[Edge]]  # what was added, and its results


@tf_op("If", "StatelessIf", handles=True)
def if_(g: TFBuilder, cond: Value, *inputs: Edge, then_branch: FunctionName, else_branch: FunctionName) -> Any:
    known = g.contents(cond) if not cond.is_constant else (int(cond.array.any()),)
    if known is not None and isinstance(known[0], int):
        return g.reader.call(then_branch if known[0] else else_branch, inputs)
    return _branches(g, _as_condition(g, cond), inputs, [then_branch, else_branch])


@tf_op("Case", "StatelessCase", handles=True)
def case(g: TFBuilder, branch_index: Value, *inputs: Edge, branches: tuple[FunctionName, ...]) -> Any:
    """A chain of Ifs; an index outside of the branches means the last one."""
    if branch_index.is_constant:
        index = int(branch_index.array)
        return g.reader.call(branches[index if 0 <= index < len(branches) else -1], inputs)
    return _cases(g, branch_index, inputs, branches, 0)


def _cases(g: TFBuilder, index: Value, inputs: Sequence[Edge], branches: tuple[FunctionName, ...], at: int) -> Any:
    if at == len(branches) - 1:
        return g.reader.call(branches[at], inputs, g)
    one = _run(g, _caller(branches[at], inputs))
    rest = _run(g, lambda inner: _cases(inner, index, inputs, branches, at + 1))
    return _choose(g, g.Equal(index, np.array(at, index.dtype)), one, rest)


def _branches(g: TFBuilder, cond: Value, inputs: Sequence[Edge], branches: Sequence[FunctionName]) -> Any:
    then, otherwise = (_run(g, _caller(branch, inputs)) for branch in branches)
    return _choose(g, cond, then, otherwise)


def _caller(branch: FunctionName, inputs: Sequence[Edge]) -> Callable[[TFBuilder], Sequence[Edge]]:
    return lambda inner: inner.reader.call(branch, inputs, inner)


def _run(g: TFBuilder, body: Callable[[TFBuilder], Sequence[Edge]]) -> Branch:
    inner = g.inner("branch")
    return inner, tuple(body(inner))


def _choose(g: TFBuilder, cond: Value, then: Branch, otherwise: Branch) -> tuple[Edge, ...]:
    """The If of two branches that were run; lists go as the tensors that they are."""
    if len(then[1]) != len(otherwise[1]):
        raise ConversionError(f"one branch returns {len(then[1])}, the other {len(otherwise[1])}", g.origin)
    for k, (one, other) in enumerate(zip(then[1], otherwise[1], strict=True)):
        require_same(g, one, other, f"result {k} of the branches")
    for builder, edges in (then, otherwise):
        for edge in edges:
            if not is_fixed(edge):
                builder.graph.outputs.append(own(builder, tensor(builder, edge)))
    graphs = then[0].graph, otherwise[0].graph
    results = g.op("If", [cond], outputs=len(graphs[0].outputs), then_branch=graphs[0], else_branch=graphs[1])
    values = iter(results if isinstance(results, tuple) else (results,))
    return tuple(edge if is_fixed(edge) else like(edge, next(values)) for edge in then[1])


def _as_condition(g: TFBuilder, x: Value) -> Value:
    """TensorFlow takes any tensor: numbers are true unless zero, others if they hold anything."""
    if x.dtype == np.bool_ and x.shape == ():
        return x
    if x.shape == () and x.dtype is not None and x.dtype.kind in "iuf":
        return g.cast(x, np.bool_)
    if x.dtype == np.bool_ and x.shape == (1,):
        flat: Value = g.Reshape(x, np.empty(0, np.int64))
        return flat
    raise g.unsupported("a condition that is no scalar")


def require_same(g: TFBuilder, one: Edge, other: Edge, what: str) -> None:
    """ConversionError where two edges that are to be one can't be: tensors of two types, a tensor and a handle.

    Which variable (or table, or array) it is may not depend on the data: UnsupportedError.
    """
    kinds = [edge.kind if isinstance(edge, Handle) else "tensor" for edge in (one, other)]
    if kinds[0] != kinds[1]:
        raise ConversionError(f"{what} is once a {kinds[0]}, once a {kinds[1]}", g.origin)
    if kinds[0] == "tensor" and one.dtype != other.dtype:
        raise ConversionError(f"{what} is once {one.dtype}, once {other.dtype}", g.origin)
    if (
        isinstance(one, Handle)
        and isinstance(other, Handle)
        and is_fixed(one)
        and (one.name, one.state) != (other.name, other.state)
    ):
        raise g.unsupported(f"{what} is once the {kinds[0]} '{one.name}', once '{other.name}'")


def is_fixed(edge: Edge) -> bool:
    """Whether it is a handle that stays what it is: a variable, a table, the name of an array."""
    return isinstance(edge, Handle) and edge.kind != "list"


def tensor(g: TFBuilder, edge: Edge) -> Value:
    """An edge as the tensor that stands for it."""
    return lists.stacked(g, lists.of(edge)) if isinstance(edge, Handle) else edge


def like(edge: Edge, value: Value) -> Edge:
    """`value` as what `edge` is: a tensor, or a list of tensors."""
    return value if isinstance(edge, Value) else lists.handle(replace(lists.of(edge), stacked=value))


def own(g: TFBuilder, value: Value) -> Value:
    """`value` as an output of a body: made there, and no output yet."""
    made_here = value.name in g.graph and g.graph[value.name] is value and g.graph.producer(value) is not None
    return value if made_here and value not in g.graph.outputs else g.plain("Identity", value)
