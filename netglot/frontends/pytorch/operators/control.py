"""Branches and loops: torch.cond, while_loop, map and scan to If, Loop and Scan; wrappers that compute as they are.

Semantics: torch/_higher_order_ops. The arguments have no names, and what a body reads from outside is an argument too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.pytorch.builder import Complex, TorchBuilder, torch_op
from netglot.frontends.pytorch.program import Body, Meta
from netglot.ir.graph import Value
from netglot.ir.types import Shape

Item = Any  # a tensor, or a number that may be open


@torch_op("higher_order.cond")
def cond(g: TorchBuilder, pred: Item, true_graph: Body, false_graph: Body, operands: Sequence[Item]) -> Sequence[Item]:
    """A predicate that is known by now picks its branch."""
    known = _truth(g, pred)
    if known is not None:
        return _inlined(g, true_graph if known else false_graph, operands)
    branches = [_branch(g, body, operands) for body in (true_graph, false_graph)]
    then, otherwise = (branch.graph for branch in branches)
    _require_same(g, then.outputs, otherwise.outputs, "a result of the branches")
    condition = g.view(pred, []) if pred.rank else pred
    return _results(
        g.op("If", [condition], outputs=len(then.outputs), then_branch=then, else_branch=otherwise), g.metas
    )


def _truth(g: TorchBuilder, pred: Item) -> bool | None:
    if not isinstance(pred, Value):
        return bool(pred)
    if pred.is_constant:
        return bool(pred.array.any())
    known = g.contents(pred)
    return bool(known[0]) if known and isinstance(known[0], int) else None


def _branch(g: TorchBuilder, body: Body, operands: Sequence[Item]) -> TorchBuilder:
    inner = g.inner("branch")
    _give_out(inner, g.reader.invoke_body(inner, body, operands))
    return inner


def _results(made: Any, metas: Sequence[Meta | None]) -> list[Value]:
    """What a node with bodies gives out. Where torch says the shape and ONNX can't, torch is believed."""
    values = list(made) if isinstance(made, tuple) else [made]
    for value, meta in zip(values, metas, strict=False):
        if value.shape is None and meta is not None:
            value.shape = (None,) * len(meta.shape)
    return values


def _require_same(g: TorchBuilder, ones: Sequence[Value], others: Sequence[Value], what: str) -> None:
    if len(ones) != len(others):
        raise ConversionError(f"{what} is missing on one side", g.origin)
    for one, other in zip(ones, others, strict=True):
        if one.dtype != other.dtype:
            raise ConversionError(f"{what} is once {one.dtype}, once {other.dtype}", g.origin)


# ------------------------------------------------------------------------ bodies


def _give_out(inner: TorchBuilder, results: Sequence[Item]) -> None:
    """Adds outputs to a body: each a value of its own, made there."""
    for result in results:
        value = _tensor(inner, result)
        made_here = value.name in inner.graph and inner.graph[value.name] is value
        own = made_here and inner.graph.producer(value) is not None and value not in inner.graph.outputs
        inner.graph.outputs.append(value if own else inner.plain("Identity", value))


def _tensor(g: TorchBuilder, item: Item) -> Value:
    """A number as a tensor."""
    if isinstance(item, Value):
        return item
    if isinstance(item, (bool, int, float)):
        return g.constant(np.array(item, np.float64 if isinstance(item, float) else None))
    raise g.unsupported("complex numbers" if isinstance(item, Complex) else "a result that is no tensor")


def _fed(inner: TorchBuilder, name: str, start: Item, shape: Shape | None) -> Value:
    """An input of a body, of the type of what it starts with."""
    if not isinstance(start, Value) or start.dtype is None:
        raise inner.unsupported("something else than tensors in a loop")
    return inner.graph.add_input(name, start.dtype, shape)


# ------------------------------------------------------------------------- loops


@torch_op("higher_order.while_loop")
def while_loop(
    g: TorchBuilder, cond_fn: Body, body_fn: Body, carried: Sequence[Item], additional: Sequence[Item] = ()
) -> Sequence[Item]:
    """The condition is computed before the first step and at the end of each."""
    first = [_tensor(g, item) for item in carried]
    inner = g.inner("loop")
    inner.graph.add_input("step", np.dtype(np.int64), ())
    inner.graph.add_input("going_on", np.dtype(np.bool_), ())
    state = [_fed(inner, f"state_{k}", value, _kept_shape(value, body_fn, k)) for k, value in enumerate(first)]
    results = g.reader.invoke_body(inner, body_fn, [*_as_before(inner, carried, state), *additional])
    results = [_tensor(inner, result) for result in results]
    _require_same(g, first, results, "what the loop carries")
    going_on = _condition(inner, cond_fn, [*_as_before(inner, carried, results), *additional])
    _give_out(inner, [going_on, *results])
    start = _condition(g, cond_fn, [*carried, *additional])
    made = g.op("Loop", [None, start, *first], outputs=len(first), body=inner.graph)
    values = _results(made, g.metas)
    for value, entry in zip(values, state, strict=True):
        value.shape = entry.shape
    return _as_before(g, carried, values)


def _as_before(g: TorchBuilder, carried: Sequence[Item], values: Sequence[Value]) -> list[Item]:
    """A number that is carried stays one."""
    pairs = zip(carried, values, strict=True)
    return [g.as_number(value) if g.is_number(item) else value for item, value in pairs]


def _condition(g: TorchBuilder, body: Body, arguments: Sequence[Item]) -> Value:
    (found,) = g.reader.invoke_body(g, body, arguments)
    value = _tensor(g, found)
    if value.dtype != np.bool_:
        raise g.unsupported("a condition that is no boolean")
    return g.view(value, []) if value.rank else value


def _kept_shape(first: Value, body: Body, k: int) -> Shape | None:
    """The sizes that the state has in every step: those that torch says are numbers, or of the same name outside."""
    name = getattr(body.inputs[k], "name", "") if k < len(body.inputs) else ""
    meta = body.metas.get(name)
    if meta is None or first.shape is None or len(meta.shape) != len(first.shape):
        return first.shape if meta is None else (None,) * len(meta.shape)
    pairs = zip(first.shape, meta.shape, strict=True)
    return tuple(size if isinstance(said, int) or size == said else None for size, said in pairs)


@torch_op("higher_order.map_impl")
def map_(g: TorchBuilder, body: Body, xs: Sequence[Value], additional: Sequence[Item] = ()) -> Sequence[Item]:
    """A body for every slice along the first axis, whose results are stacked."""
    return _scan(g, body, [], xs, additional)


@torch_op("higher_order.scan")
def scan(
    g: TorchBuilder, combine_fn: Body, init: Sequence[Value], xs: Sequence[Value], additional: Sequence[Item] = ()
) -> Sequence[Item]:
    """As map, with a state that goes from slice to slice and is given out first."""
    return _scan(g, combine_fn, init, xs, additional)


def _scan(
    g: TorchBuilder, body: Body, init: Sequence[Value], xs: Sequence[Value], additional: Sequence[Item]
) -> Sequence[Item]:
    inner = g.inner("scan")
    state = [_fed(inner, f"state_{k}", value, _kept_shape(value, body, k)) for k, value in enumerate(init)]
    parts = [_fed(inner, f"slice_{k}", x, None if x.shape is None else x.shape[1:]) for k, x in enumerate(xs)]
    _give_out(inner, g.reader.invoke_body(inner, body, [*state, *parts, *additional]))
    _require_same(g, init, inner.graph.outputs[: len(init)], "what the scan carries")
    outputs = len(inner.graph.outputs)
    made = g.op("Scan", [*init, *xs], outputs=outputs, body=inner.graph, num_scan_inputs=len(xs))
    return _results(made, g.metas)


# ---------------------------------------------------------------------- wrappers


@torch_op("higher_order.wrap_with_set_grad_enabled")
def wrap_with_set_grad_enabled(g: TorchBuilder, enabled: bool, body: Body, *arguments: Item) -> Sequence[Item]:
    return _inlined(g, body, arguments)


@torch_op("higher_order.wrap_with_autocast")
def wrap_with_autocast(
    g: TorchBuilder, device: str, dtype: Any, enabled: bool, cached: Any, body: Body, *arguments: Item
) -> Sequence[Item]:
    """Where it is enabled, torch's decompositions write its casts out (see decompose.py)."""
    if enabled:
        raise g.unsupported(f"autocast on {device}, whose casts the program does not record")
    return _inlined(g, body, arguments)


@torch_op("higher_order.hints_wrapper")
def hints_wrapper(
    g: TorchBuilder, body: Body, arguments: Sequence[Item], kwargs: Any = None, *, hints: Any = None
) -> Sequence[Item]:
    if kwargs:
        raise g.unsupported("arguments by keyword")
    return _inlined(g, body, arguments)


@torch_op("higher_order.strict_mode")
def strict_mode(g: TorchBuilder, body: Body, arguments: Sequence[Item]) -> Sequence[Item]:
    return _inlined(g, body, arguments)


def _inlined(g: TorchBuilder, body: Body, arguments: Sequence[Item]) -> Sequence[Item]:
    results: Sequence[Item] = g.reader.invoke_body(g, body, arguments)
    return results
