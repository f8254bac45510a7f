"""Control flow: bodies become subgraphs of the file, and what they read from outside becomes an argument of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends import lowering
from netglot.backends.lowering import NotMappedError
from netglot.backends.refusals import refuse_recurrent, refuse_scan
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.ir.graph import Graph, Value
from netglot.ir.types import is_static
from netglot.passes.bodies import FOREVER, goes_on, trip_count
from netglot.passes.match import all_equal, number
from netglot.passes.recurrent import CELLS


@tflite_op("If")
def if_(m: TFLiteBuilder, condition: Value, outputs: list[Value], *, then_branch: Graph, else_branch: Graph) -> None:
    """IF: both branches get what either of them reads, and the condition."""
    if np.prod(condition.sizes) != 1:
        raise NotMappedError("its condition is not a single one")
    outer = _outer(then_branch, else_branch)
    branches = [_branch(m, branch, outer, outputs) for branch in (then_branch, else_branch)]
    options = tfl.IfOptionsT(thenSubgraphIndex=branches[0], elseSubgraphIndex=branches[1])
    test = m.reshaped(condition, ())
    m.op("IF", [test, test, *outer], outputs, options)


def _outer(*bodies: Graph) -> list[Value]:
    """Values, not constants, that the bodies read from outside."""
    return [value for value in dict.fromkeys(v for body in bodies for v in body.captures()) if not value.is_constant]


def _branch(m: TFLiteBuilder, body: Graph, outer: Sequence[Value], outputs: Sequence[Value]) -> int:
    sub = m.nested()
    inputs = [sub.temporary((), bool), *(sub.tensor(value) for value in outer)]
    _require_sizes(body)
    _require_alike(body.outputs, outputs)
    _lower(sub, body)
    return sub.close(body.name, inputs, _results(sub, inputs, body.outputs, inputs[0]))


def _require_sizes(body: Graph) -> None:
    unknown = [value for value in body.values() if not is_static(value.shape) or value.dtype is None]
    if unknown:
        raise NotMappedError(f"the sizes of '{unknown[0].name}', which is inside of it, are not known")


def _lower(sub: TFLiteBuilder, body: Graph) -> None:
    lowering.lower(body, "tflite", lambda operator, node, arguments, given: operator.function(sub, *arguments, **given))


def _require_alike(inside: Sequence[Value], outside: Sequence[Value]) -> None:
    for a, b in zip(inside, outside, strict=True):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            raise NotMappedError(f"'{a.name}' has another type or size inside of it than outside")


def _results(sub: TFLiteBuilder, inputs: Sequence[int], values: Sequence[Value], any_bool: int) -> list[int]:
    """The tensors that a body yields, each one of its own that is computed when it runs.

    LiteRT copies them one by one, and must not meet one of the inputs that it is about to overwrite. What depends on
    constants alone it may compute ahead, and then lose. SELECT(c, x, x) with a c known only at run time prevents both.
    """
    live = set(inputs)
    for op in sub.ops:
        live.update(op.outputs if live.intersection(op.inputs) else ())
    own: list[int] = []
    for x in map(sub.tensor, values):
        fresh = x in live and x not in inputs and x not in own
        own.append(x if fresh else sub.emit("SELECT_V2", any_bool, x, x, shape=sub.shape(x), dtype=sub.dtype(x)))
    return own


# ----------------------------------------------------------------------- Loop


@dataclass
class _Variable:
    """What a WHILE carries: its first value, and inside of the body the one that enters a step and the one after it."""

    first: int
    inside: int
    after: int
    result: Value | None = None


@tflite_op("Loop")
def loop(
    m: TFLiteBuilder, count: Value | None, condition: Value | None, states: list[Value], outputs: list[Value], *,
    body: Graph,
) -> None:  # fmt: skip
    """WHILE. It carries the number of the step, ONNX's condition and states, what is stacked and what the body reads.

    What a body only reads leaves it as it entered. What is stacked needs room from the start, and so a number of steps
    that is known.
    """
    _require_sizes(body)
    _require_alike(states, body.inputs[2:])
    _require_alike(states, body.outputs[1 : 1 + len(states)])
    _require_alike(states, outputs[: len(states)])
    may_end = not (goes_on(body) and (condition is None or all_equal(condition, 1)))
    limit = None if number(count) == FOREVER else count
    if limit is None and not may_end:
        raise NotMappedError("it never ends")
    sub = m.nested()
    if not may_end:
        sub.define(body.inputs[1], sub.constant(np.ones(body.inputs[1].sizes, bool)))
    step = sub.tensor(body.inputs[0])
    entered = [sub.tensor(value) for value in body.inputs[2:]]
    read = [(m.tensor(value), sub.tensor(value)) for value in _outer(body)]
    _lower(sub, body)

    left = [*body.outputs[1 : 1 + len(states)], *([body.outputs[0]] if may_end else [])]
    inputs = [step, *entered, *(inside for _, inside in read), *([sub.tensor(body.inputs[1])] if may_end else [])]
    any_bool = sub.emit("EQUAL", sub.reshaped(step, ()), sub.constant(np.zeros((), np.int64)), dtype=bool)
    after = _results(sub, inputs, left, any_bool)
    one = sub.constant(np.ones(sub.shape(step), np.int64))
    variables = [_Variable(m.constant(np.zeros(sub.shape(step), np.int64)), step, sub.emit("ADD", step, one))]
    if may_end:
        variables.append(_condition(m, sub, condition, body.inputs[1], after[-1]))
    for x, inside, new, y in zip(states, entered, after, outputs, strict=False):
        variables.append(_Variable(m.tensor(x), inside, new, y))
    for element, y in zip(body.outputs[1 + len(states) :], outputs[len(states) :], strict=True):
        variables.append(_stacked(m, sub, step, element, y, trip_count(count, condition, body)))
    variables += [_Variable(x, inside, inside) for x, inside in read]
    if limit is not None and not limit.is_constant:
        inside = sub.temporary(limit.sizes, limit.dtype)
        variables.append(_Variable(m.tensor(limit), inside, inside))
    _while(m, sub, body.name, variables, limit, may_end)


def _condition(m: TFLiteBuilder, sub: TFLiteBuilder, condition: Value | None, inside: Value, after: int) -> _Variable:
    shape = inside.sizes
    first = m.constant(np.ones(shape, bool)) if condition is None else m.reshaped(condition, shape)
    return _Variable(first, sub.tensor(inside), sub.reshaped(after, shape))


def _stacked(m: TFLiteBuilder, sub: TFLiteBuilder, step: int, element: Value, y: Value, steps: int | None) -> _Variable:
    """Zeros, of which each step writes one row."""
    if not steps:
        raise NotMappedError(f"how large '{y.name}' becomes is known only when it has run")
    shape = (steps, *element.sizes)
    if shape != y.sizes:
        raise NotMappedError(f"'{y.name}' is not what {steps} steps give")
    inside = sub.temporary(shape, element.dtype)
    place = sub.emit("MUL", sub.cast(sub.reshaped(step, (1,)), np.int32), sub.ints([1] + [0] * element.rank))
    row = sub.reshaped(element, (1, *element.sizes))
    after = sub.emit("DYNAMIC_UPDATE_SLICE", inside, row, place, shape=shape)
    first = m.emit("FILL", m.ints(shape), m.constant(np.zeros((), element.dtype)), shape=shape, dtype=element.dtype)
    return _Variable(first, inside, after, y)


def _while(
    m: TFLiteBuilder, sub: TFLiteBuilder, name: str, variables: Sequence[_Variable], limit: Value | None, may_end: bool
) -> None:
    test = m.nested()
    given = [test.temporary(sub.shape(v.inside), sub.dtype(v.inside)) for v in variables]
    parts = [given[1]] if may_end else []
    if limit is not None:
        most = test.constant(limit.array) if limit.is_constant else given[-1]
        parts.append(test.emit("LESS", given[0], most, dtype=bool))
    go_on = test.emit("LOGICAL_AND", parts[0], parts[-1])
    options = tfl.WhileOptionsT(
        condSubgraphIndex=test.close(f"{name}/condition", given, [go_on]),
        bodySubgraphIndex=sub.close(name, [v.inside for v in variables], [v.after for v in variables]),
    )
    results = [
        m.temporary(sub.shape(v.inside), sub.dtype(v.inside)) if v.result is None else v.result for v in variables
    ]
    m.op("WHILE", [v.first for v in variables], results, options)


# ------------------------------------------------- what passes/control.py leaves

for _op in CELLS:
    tflite_op(_op)(refuse_recurrent(_op))

tflite_op("Scan")(refuse_scan)
