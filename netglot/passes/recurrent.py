"""LSTM, GRU and RNN -> Scan over one step of plain operators. The semantics are those of the ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import Shape, is_static
from netglot.passes.bodies import BOOL, replace, type_bodies, unhide
from netglot.passes.match import all_equal, nodes

Function = Callable[[Builder, Value], Value]
Activation = tuple[str, tuple[float, ...]]


def lower_recurrent(graph: Graph) -> bool:
    """Every LSTM, GRU and RNN over an input of known sizes becomes a Scan for each direction.

    What does not depend on the step before, X W + B, is computed outside of it, in one product for all steps.
    """
    return any([_lower(graph, node) for node in nodes(graph, *CELLS) if not _refusal(node)])


def _refusal(node: Node) -> str:
    x = node.inputs[0]
    return why_not(node.op, x.shape if x is not None else None, node.attributes)


def why_not(op: str, shape: Shape | None, attributes: Mapping[str, Any]) -> str:
    """Why this pass leaves a node with an input of this shape as it is; "" if it does not."""
    if shape is None or not is_static(shape):
        return "the sizes of its input must be known"
    if 0 in shape:
        return "its input is empty"
    try:
        activations(op, attributes)
    except LookupError as error:
        return str(error.args[0])
    return ""


def _lower(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        results = _layer(g, node)
    unhide(graph)
    type_bodies(graph)
    replace(graph, node, results[: len(node.outputs)])
    return True


def _layer(g: Builder, node: Node) -> list[Value]:
    """Y [T, D, B, H], then the last states [D, B, H]; with layout 1 the batch comes first in all of them."""
    batch_first = bool(node.attributes.get("layout"))
    x = node.inputs[0]
    assert x is not None
    x = g.Transpose(x, perm=(1, 0, 2)) if batch_first else x
    found = [_scan(g, _Direction.of(g, node, x, i)) for i in range(_count(node))]
    y, *states = [_join(g, values, axis=0 if i else 1) for i, values in enumerate(zip(*found, strict=True))]
    if not batch_first:
        return [y, *states]
    return [g.Transpose(y, perm=(2, 0, 1, 3)), *(g.Transpose(state, perm=(1, 0, 2)) for state in states)]


def _count(node: Node) -> int:
    return 2 if node.attributes.get("direction") == "bidirectional" else 1


def _join(g: Builder, values: Sequence[Value], axis: int) -> Value:
    """The values of both directions along a new axis."""
    result: Value = g.Concat(*(g.Unsqueeze(value, [axis]) for value in values), axis=axis)
    return result


def _scan(g: Builder, d: _Direction) -> list[Value]:
    """What the steps of one direction give: [T, B, H], then the last states [B, H]."""
    body, dtype = Builder(Graph(f"{d.node.name}/step")), d.dtype
    states = [body.graph.add_input(name, dtype, state.shape) for name, state in zip("hc", d.states, strict=False)]
    given = body.graph.add_input("x", dtype, (d.inputs.sizes[1], d.inputs.sizes[2]))
    new = [*CELLS[d.node.op](body, d, given, *states)]
    y = new[0]
    if d.valid is not None:  # beyond the end of its sequence a sample keeps its state, and gives zeros
        valid = body.graph.add_input("valid", BOOL, d.valid.sizes[1:])
        y = body.Where(valid, y, 0.0)
        new = [body.Where(valid, after, before) for after, before in zip(new, states, strict=True)]
    body.graph.outputs = [*new, body.Identity(y)]
    unhide(body.graph)
    scanned = [d.inputs, *([d.valid] if d.valid is not None else [])]
    turned = (int(d.reverse),) * len(scanned)
    *last, ys = g.op(
        "Scan", [*d.states, *scanned], outputs=len(new) + 1, body=body.graph, num_scan_inputs=len(scanned),
        scan_input_directions=turned, scan_output_directions=turned[:1],
    )  # fmt: skip
    ys.shape, ys.dtype = (*d.inputs.sizes[:2], d.size), dtype
    for state, initial in zip(last, d.states, strict=True):
        state.shape, state.dtype = initial.shape, dtype
    if d.lengths is not None and not (d.lengths.is_constant and (d.lengths.array > 0).all()):
        some = g.Unsqueeze(g.Greater(d.lengths, np.array(0, np.int32)), [1])
        last = [g.Where(some, state, 0.0) for state in last]  # so ONNX Runtime: what ends before it begins has no state
    return [ys, *last]


# --------------------------------------------------------------- one direction


@dataclass
class _Direction:
    """One direction of a layer: what its steps read, all made outside of them."""

    node: Node
    reverse: bool
    size: int  # H
    inputs: Value  # [T, B, gates * H]: X W + B
    states: list[Value]  # [B, H]: before the first step
    weights: Value  # [H, gates * H]: R
    bias: Value | None  # [gates * H]: what GRU multiplies by the reset gate
    peepholes: Value | None
    lengths: Value | None  # int32 [B]
    valid: Value | None  # bool [T, B, 1]: whether the sequence goes on
    functions: list[Function]

    @classmethod
    def of(cls, g: Builder, node: Node, x: Value, index: int) -> _Direction:
        inner = bool(node.attributes.get("linear_before_reset"))
        weights, recurrent, biases = (_part(g, node.input(i), index) for i in (1, 2, 3))
        assert weights is not None
        assert recurrent is not None
        inputs, bias = g.MatMul(x, g.Transpose(weights)), None
        if biases is not None:
            outer, bias = g.Split(biases, axis=0, num_outputs=2, outputs=2)
            inputs = g.Add(inputs, outer if inner else g.Add(outer, bias))
        hidden, batch = recurrent.sizes[1], x.sizes[1]
        direction = node.attributes.get("direction", "forward")
        count = 2 if node.op == "LSTM" else 1
        return cls(
            node, direction == "reverse" or index == 1, hidden, inputs,
            [_state(g, node, i, index, (batch, hidden), x) for i in (5, 6)[:count]],
            g.Transpose(recurrent), bias if inner else None, _part(g, node.input(7), index),
            node.input(4), _valid(g, node.input(4), x.sizes[0]), _of_direction(node, index),
        )  # fmt: skip

    @property
    def dtype(self) -> np.dtype:
        assert self.inputs.dtype is not None
        return self.inputs.dtype

    def call(self, g: Builder, index: int, x: Value) -> Value:
        """The activation function `index`, of its clipped argument."""
        clip = self.node.attributes.get("clip")
        if clip is not None:
            x = g.Clip(x, g.constant(-clip, x.dtype), g.constant(clip, x.dtype))
        return self.functions[index](g, x)


def _part(g: Builder, value: Value | None, index: int, axis: int = 0) -> Value | None:
    """What `value` holds for one direction."""
    return None if value is None else g.Gather(value, g.constant(np.int64(index)), axis=axis)


def _state(g: Builder, node: Node, at: int, index: int, shape: tuple[int, int], x: Value) -> Value:
    given = _part(g, node.input(at), index, axis=1 if node.attributes.get("layout") else 0)
    return given if given is not None else g.constant(np.zeros(shape, x.dtype))


def _valid(g: Builder, lengths: Value | None, steps: int) -> Value | None:
    if lengths is None or all_equal(lengths, steps):
        return None
    numbers = np.arange(steps, dtype=np.int32).reshape(-1, 1, 1)
    valid: Value = g.Less(g.constant(numbers), g.Unsqueeze(lengths, [0, 2]))
    return valid


# ----------------------------------------------------------------------- cells


def _rnn(g: Builder, d: _Direction, x: Value, h: Value) -> tuple[Value, ...]:
    return (d.call(g, 0, g.Add(x, g.MatMul(h, d.weights))),)


def _lstm(g: Builder, d: _Direction, x: Value, h: Value, c: Value) -> tuple[Value, ...]:
    i, o, f, new = _split(g, g.Add(x, g.MatMul(h, d.weights)), 4)
    if d.peepholes is not None:
        at_i, at_o, at_f = _split(g, d.peepholes, 3)
        i, f = g.Add(i, g.Mul(at_i, c)), g.Add(f, g.Mul(at_f, c))
    i = d.call(g, 0, i)
    f = g.Sub(1.0, i) if d.node.attributes.get("input_forget") else d.call(g, 0, f)
    c = g.Add(g.Mul(f, c), g.Mul(i, d.call(g, 1, new)))
    o = o if d.peepholes is None else g.Add(o, g.Mul(at_o, c))
    return g.Mul(d.call(g, 0, o), d.call(g, 2, c)), c


def _gru(g: Builder, d: _Direction, x: Value, h: Value) -> tuple[Value, ...]:
    if d.node.attributes.get("linear_before_reset"):
        product = g.MatMul(h, d.weights)
        at_z, at_r, at_n = _split(g, product if d.bias is None else g.Add(product, d.bias), 3)
        x_z, x_r, x_n = _split(g, x, 3)
        z, r = d.call(g, 0, g.Add(x_z, at_z)), d.call(g, 0, g.Add(x_r, at_r))
        new = d.call(g, 1, g.Add(x_n, g.Mul(r, at_n)))
    else:
        sizes = [2 * d.size, d.size]
        both, of_n = g.Split(d.weights, sizes, axis=1, outputs=2)
        x_both, x_n = g.Split(x, sizes, axis=1, outputs=2)
        z, r = _split(g, d.call(g, 0, g.Add(x_both, g.MatMul(h, both))), 2)
        new = d.call(g, 1, g.Add(x_n, g.MatMul(g.Mul(r, h), of_n)))
    return (g.Add(g.Mul(g.Sub(1.0, z), new), g.Mul(z, h)),)


def _split(g: Builder, x: Value, count: int) -> tuple[Value, ...]:
    parts: tuple[Value, ...] = g.Split(x, axis=-1, num_outputs=count, outputs=count)
    return parts


CELLS: dict[str, Callable[..., tuple[Value, ...]]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}

# ----------------------------------------------------------------- activations

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}

# By name: what makes the function of alpha and beta, and the defaults of those (None: it must be given).
_FUNCTIONS: dict[str, tuple[Callable[..., Function], tuple[float | None, ...]]] = {
    "relu": (lambda: lambda g, x: g.Relu(x), ()),
    "tanh": (lambda: lambda g, x: g.Tanh(x), ()),
    "sigmoid": (lambda: lambda g, x: g.Sigmoid(x), ()),
    "softsign": (lambda: lambda g, x: g.Softsign(x), ()),
    "softplus": (lambda: lambda g, x: g.Softplus(x), ()),
    "elu": (lambda a: lambda g, x: g.Elu(x, alpha=a), (1.0,)),
    "leakyrelu": (lambda a: lambda g, x: g.LeakyRelu(x, alpha=a), (0.01,)),
    "thresholdedrelu": (lambda a: lambda g, x: g.ThresholdedRelu(x, alpha=a), (1.0,)),
    "hardsigmoid": (lambda a, b: lambda g, x: g.HardSigmoid(x, alpha=a, beta=b), (0.2, 0.5)),
    "affine": (lambda a, b: lambda g, x: g.Add(g.Mul(x, a), b), (None, None)),
    "scaledtanh": (lambda a, b: lambda g, x: g.Mul(g.Tanh(g.Mul(x, b)), a), (None, None)),
}


def _of_direction(node: Node, index: int) -> list[Function]:
    return [_FUNCTIONS[name][0](*numbers) for name, numbers in activations(node.op, node.attributes)[index]]


def activations(op: str, attributes: Mapping[str, Any]) -> list[list[Activation]]:
    """The activation functions of each direction, named in lower case, with their alpha and beta as far as they have
    them. LookupError, with the reason, for what is unknown.
    """
    count = 2 if attributes.get("direction") == "bidirectional" else 1
    found = list(_parse(attributes.get("activations") or _DEFAULTS[op] * count, attributes))
    each = len(_DEFAULTS[op])
    if len(found) < each * count:  # more are usual: an RNN's default are those of both directions
        raise LookupError(f"it has {len(found)} activation functions, not {each * count}")
    return [found[each * i : each * (i + 1)] for i in range(count)]


def _parse(names: Sequence[str], attributes: Mapping[str, Any]) -> Iterator[Activation]:
    """Each name takes from alpha and beta what it needs, in order."""
    left = [list(attributes.get(f"activation_{name}") or ()) for name in ("alpha", "beta")]
    for name in names:
        if name.lower() not in _FUNCTIONS:
            raise LookupError(f"there is no activation function '{name}'")
        _, defaults = _FUNCTIONS[name.lower()]
        numbers = [queue.pop(0) if queue else default for queue, default in zip(left, defaults, strict=False)]
        if None in numbers:
            raise LookupError(f"its activation function {name} must be given alpha and beta")
        yield name.lower(), tuple(number for number in numbers if number is not None)
