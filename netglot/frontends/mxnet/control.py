"""Control flow: _foreach to Scan, _while_loop to Loop, _cond to If. Semantics: MXNet's src/operator/control_flow.cc.

A body's variables are filled from the node's inputs; where they come from is said by lists of positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.symbol import Symbol
from netglot.ir.graph import Value
from netglot.ir.types import Dim, Shape

Ints = tuple[int, ...]


def _body(g: MXNetBuilder, index: int) -> Symbol:
    if index >= len(g.layer.subgraphs):
        raise ConversionError(f"{g.layer.op} has no body {index}", g.origin)
    return g.layer.subgraphs[index]


def _picked(g: MXNetBuilder, values: Sequence[Value], places: Ints) -> list[Value]:
    if any(not 0 <= place < len(values) for place in places):
        raise ConversionError(f"there is no input {max(places)} among {len(values)}", g.origin)
    return [values[place] for place in places]


def _own(g: MXNetBuilder, value: Value) -> Value:
    """`value` as an output of a body: made there, and no output yet."""
    made_here = value.name in g.graph and g.graph[value.name] is value and g.graph.producer(value) is not None
    return value if made_here and value not in g.graph.outputs else g.plain("Identity", value)


def _return(g: MXNetBuilder, values: Sequence[Value]) -> None:
    for value in values:
        g.graph.outputs.append(_own(g, value))


def _input(inner: MXNetBuilder, name: str, like: Value, shape: Shape | None) -> Value:
    assert like.dtype is not None
    return inner.graph.add_input(name, like.dtype, shape)


def _tuple(found: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    return found if isinstance(found, tuple) else (found,)


@mxnet_op("_foreach")
def foreach(
    g: MXNetBuilder, *data: Value, num_args: int, num_outputs: int, num_out_data: int, in_state_locs: Ints,
    in_data_locs: Ints, remain_locs: Ints,
) -> tuple[Value, ...]:  # fmt: skip
    """The body for each slice along the first axis. The inputs are what is sliced, the states, and what stays.

    The body returns a slice of each output, then the new states.
    """
    _require(g, num_args, len(data) + 1)
    sliced, states = data[: len(in_data_locs)], data[len(in_data_locs) :][: len(in_state_locs)]
    inner = g.inner("body")
    held = [_input(inner, f"state{i}", x, x.shape) for i, x in enumerate(states)]
    items = [_input(inner, f"item{i}", x, (x.shape or ())[1:]) for i, x in enumerate(sliced)]
    places = [*in_data_locs, *in_state_locs, *remain_locs]
    arguments = _arguments(g, _body(g, 0), places, [*items, *held, *data[len(sliced) + len(states) :]])
    found = g.reader.body(_body(g, 0), arguments, inner)
    made, after = found[:num_out_data], found[num_out_data:]
    _require_same_types(g, states, after)
    _return(inner, [*after, *made])
    results = _tuple(
        g.op("Scan", [*states, *sliced], outputs=len(found), body=inner.graph, num_scan_inputs=len(sliced))
    )
    steps = sliced[0].shape[0] if sliced and sliced[0].shape else None
    for value, step in zip(results[len(after) :], made, strict=True):
        value.shape = None if step.shape is None else (steps, *step.shape)
    for value, before in zip(results, states, strict=False):
        value.shape = before.shape
    return (*results[len(after) :], *results[: len(after)])


def _require(g: MXNetBuilder, said: int, found: int) -> None:
    if said != found:
        raise ConversionError(f"{g.layer.op} has {found} arguments, not {said}", g.origin)


def _arguments(g: MXNetBuilder, body: Symbol, places: Sequence[int], values: Sequence[Value]) -> list[Value]:
    """The values in the order of the body's variables: `places` says which one each of them fills."""
    if sorted(places) != list(range(len(body.variables))) or len(places) != len(values):
        raise ConversionError(f"{g.layer.op} does not fill the variables of its body", g.origin)
    filled = dict(zip(places, values, strict=True))
    return [filled[i] for i in range(len(values))]


def _require_same_types(g: MXNetBuilder, before: Sequence[Value], after: Sequence[Value]) -> None:
    if [x.dtype for x in before] != [x.dtype for x in after]:
        raise ConversionError(f"{g.layer.op}: the states have other types after a step", g.origin)
    if any(_differ(x.shape, y.shape) for x, y in zip(before, after, strict=True)):
        raise ConversionError(f"{g.layer.op}: the states have other shapes after a step", g.origin)


def _differ(a: Shape | None, b: Shape | None) -> bool:
    if a is None or b is None:
        return False
    pairs = zip(a, b, strict=False)
    return len(a) != len(b) or any(isinstance(x, int) and isinstance(y, int) and x != y for x, y in pairs)


@mxnet_op("_while_loop")
def while_loop(
    g: MXNetBuilder, *data: Value, num_args: int, num_outputs: int, num_out_data: int, max_iterations: int,
    cond_input_locs: Ints, func_input_locs: Ints, func_var_locs: Ints,
) -> tuple[Value, ...]:  # fmt: skip
    """func while cond holds, max_iterations at most. Outputs have max_iterations rows: what is not written is 0 here.

    func_input_locs and cond_input_locs say which input fills each variable of the bodies, func_var_locs which of
    func's variables are the states that it returns after its outputs.
    """
    _require(g, num_args, len(data) + 2)
    places = _picked_places(g, func_input_locs, func_var_locs)
    states = _picked(g, data, places)
    inner = g.inner("body")
    inner.graph.add_input("step", np.dtype(np.int64), ())
    inner.graph.add_input("again", np.dtype(np.bool_), ())
    held = [_input(inner, f"state{i}", x, x.shape) for i, x in enumerate(states)]
    seen = _replaced(data, places, held)
    found = g.reader.body(_body(g, 1), _picked(g, seen, func_input_locs), inner)
    made, after = found[:num_out_data], found[num_out_data:]
    _require_same_types(g, states, after)
    going_on = _condition(g, inner, _picked(g, _replaced(data, places, after), cond_input_locs))
    _return(inner, [going_on, *after, *made])
    start = _condition(g, g, _picked(g, data, cond_input_locs))
    trips = g.constant(np.array(max_iterations, np.int64))
    results = _tuple(g.op("Loop", [trips, start, *states], outputs=len(found), body=inner.graph))
    for value, before in zip(results, states, strict=False):
        value.shape = before.shape
    rows = [_filled_up(g, value, step, max_iterations) for value, step in zip(results[len(after) :], made, strict=True)]
    return (*rows, *results[: len(after)])


def _picked_places(g: MXNetBuilder, inputs: Ints, variables: Ints) -> Ints:
    """Which inputs of the node the states are."""
    if any(not 0 <= variable < len(inputs) for variable in variables):
        raise ConversionError(f"{g.layer.op}: func has no variable {max(variables)}", g.origin)
    return tuple(inputs[variable] for variable in variables)


def _replaced(data: Sequence[Value], places: Ints, values: Sequence[Value]) -> list[Value]:
    """The inputs with the states of a step in their places."""
    now = dict(zip(places, values, strict=True))
    return [now.get(i, value) for i, value in enumerate(data)]


def _condition(g: MXNetBuilder, inner: MXNetBuilder, arguments: Sequence[Value]) -> Value:
    """What the first body says, as a scalar: MXNet has a tensor of one element."""
    found = g.reader.body(_body(g, 0), arguments, inner)
    if len(found) != 1:
        raise ConversionError(f"{g.layer.op}: the condition has {len(found)} results", g.origin)
    return inner.Reshape(inner.cast(found[0], np.bool_), np.empty(0, np.int64))


def _filled_up(g: MXNetBuilder, rows: Value, step: Value, count: int) -> Value:
    """`rows` with zeros behind them, `count` in all."""
    if step.shape is None:
        raise g.unsupported("with outputs of unknown rank")
    rank = len(step.shape)
    rows.shape = (None, *step.shape)
    missing = g.Sub(np.array([count], np.int64), g.Shape(rows, start=0, end=1))
    zeros = np.zeros(rank, np.int64)
    pads = g.Concat(np.zeros(1 + rank, np.int64), missing, zeros, axis=0) if rank else g.Concat([0], missing, axis=0)
    y: Value = g.Pad(rows, pads)
    y.shape = (count, *step.shape)
    return y


@mxnet_op("_cond")
def cond(
    g: MXNetBuilder, *data: Value, num_args: int, num_outputs: int, cond_input_locs: Ints, then_input_locs: Ints,
    else_input_locs: Ints,
) -> tuple[Value, ...]:  # fmt: skip
    """One of two bodies. The inputs are shared; the lists say which one fills each variable of a body."""
    _require(g, num_args, len(data) + 3)
    condition = _condition(g, g, _picked(g, data, cond_input_locs))
    then, otherwise = (
        _branch(g, index, _picked(g, data, places)) for index, places in ((1, then_input_locs), (2, else_input_locs))
    )
    results = _tuple(g.op("If", [condition], outputs=num_outputs, then_branch=then.graph, else_branch=otherwise.graph))
    _require_same_types(g, then.graph.outputs, otherwise.graph.outputs)
    for value, one, other in zip(results, then.graph.outputs, otherwise.graph.outputs, strict=True):
        value.shape = _common(one.shape, other.shape)
    return results


def _branch(g: MXNetBuilder, index: int, arguments: Sequence[Value]) -> MXNetBuilder:
    inner = g.inner("branch")
    _return(inner, g.reader.body(_body(g, index), arguments, inner))
    return inner


def _common(a: Shape | None, b: Shape | None) -> Shape | None:
    """What two shapes agree on."""
    if a is None or b is None or len(a) != len(b):
        return None
    sizes: list[Dim] = [one if one == other else None for one, other in zip(a, b, strict=True)]
    return tuple(sizes)
