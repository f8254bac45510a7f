"""Recurrence and control flow. Sizes: T = 3 steps, B = 2 samples, four inputs, H = 5 hidden; GATES by operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from tests.ops.table import In, Row, const

T, B, H = 3, 2, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
X = In((T, B, 4))


def recurrent(
    op: str, name: str = "", *, bias: bool = True, lengths: Any = None, initial: bool = False, peepholes: bool = False,
    outputs: int = 0, x: In = X, **attributes: Any,
) -> Row:  # fmt: skip
    """One layer; `initial` feeds its states, `lengths` are constant or fed."""
    d = 2 if attributes.get("direction") == "bidirectional" else 1
    g = GATES[op] * H
    inputs: list[Any] = [x, const((d, g, x.shape[2]), seed=1), const((d, g, H), seed=2)]
    inputs += [const((d, 2 * g), seed=3) if bias else None, lengths]
    states = 2 if op == "LSTM" else 1
    inputs += [In((d, x.shape[1], H)) if initial else None] * states
    if peepholes:
        inputs.append(const((d, 3 * H), seed=4))
    return Row(op, tuple(inputs), {"hidden_size": H, **attributes}, name, outputs or states + 1)


BOTH = {"direction": "bidirectional"}
LENGTHS = np.array([2, 3], np.int32)

LAYERS = [
    row
    for op in GATES
    for row in (
        recurrent(op),
        recurrent(op, "no-bias", bias=False, outputs=1),
        recurrent(op, "reverse", direction="reverse"),
        recurrent(op, "bidirectional", **BOTH),
        recurrent(op, "initial", initial=True),
        recurrent(op, "bidirectional-initial", initial=True, **BOTH),
        recurrent(op, "lengths", lengths=LENGTHS),
        recurrent(op, "fed-lengths", lengths=In((B,), "int32", 1, T), initial=True),
        recurrent(op, "lengths-bidirectional", lengths=LENGTHS, initial=True, **BOTH),
        recurrent(op, "no-length", lengths=np.array([0, T], np.int32), initial=True, **BOTH),
        recurrent(op, "fed-no-length", lengths=In((B,), "int32", 0, 0), initial=True),
        recurrent(op, "full-lengths", lengths=np.array([T, T], np.int32)),
        recurrent(op, "one-step", x=In((1, B, 4))),
        recurrent(op, "long", x=In((21, B, 4))),
        recurrent(op, "clip", clip=0.4),
    )
]

ACTIVATIONS = [
    recurrent("RNN", "relu", activations=("Relu",)),
    recurrent("RNN", "leaky-relu", activations=("LeakyRelu",), activation_alpha=(0.3,)),
    recurrent("RNN", "affine", activations=("Affine",), activation_alpha=(0.3,), activation_beta=(0.1,)),
    recurrent("RNN", "scaled-tanh", activations=("ScaledTanh",), activation_alpha=(1.5,), activation_beta=(0.6,)),
    recurrent("RNN", "softsign", activations=("Softsign",)),
    recurrent("RNN", "softplus", activations=("Softplus",)),
    recurrent("RNN", "elu", activations=("Elu",), activation_alpha=(0.7,)),
    recurrent("RNN", "thresholded", activations=("ThresholdedRelu",), activation_alpha=(0.2,)),
    recurrent("RNN", "two", activations=("Relu", "Tanh"), **BOTH),
    recurrent("GRU", "hard", activations=("HardSigmoid", "Relu"), activation_alpha=(0.25,), activation_beta=(0.4,)),
    recurrent("GRU", "by-default", activations=("hardsigmoid", "elu")),
    recurrent("LSTM", "others", activations=("HardSigmoid", "Softsign", "LeakyRelu"), activation_alpha=(0.3, 0.2),
              activation_beta=(0.45,)),
    recurrent("LSTM", "six", activations=("Sigmoid", "Tanh", "Relu", "HardSigmoid", "Relu", "Tanh"), **BOTH),
]  # fmt: skip

MODES = [
    recurrent("GRU", "linear", linear_before_reset=1),
    recurrent("GRU", "linear-no-bias", linear_before_reset=1, bias=False),
    recurrent("GRU", "linear-bidirectional", linear_before_reset=1, initial=True, lengths=LENGTHS, **BOTH),
    recurrent("LSTM", "peepholes", peepholes=True, initial=True),
    recurrent("LSTM", "peepholes-bidirectional", peepholes=True, **BOTH),
    recurrent("LSTM", "coupled", input_forget=1),
    recurrent("LSTM", "peepholes-clip", peepholes=True, clip=0.3),
]

# ---------------------------------------------------------------- control flow

Build = Callable[..., Sequence[Any]]


def body(inputs: Sequence[In], build: Build, *outer: Value) -> Graph:
    """A body with these inputs, which are called a, b...; `build` gets a Builder, them and outer values."""
    g = Builder(Graph("body"))
    given = [g.graph.add_input(f"in_{i}", np.dtype(item.dtype), item.shape) for i, item in enumerate(inputs)]
    g.graph.outputs = list(build(g, *given, *outer))
    return g.graph


def scan(name: str, states: Sequence[In], scanned: Sequence[In], elements: Sequence[In], build: Build, outputs: int,
         **attributes: Any) -> Row:  # fmt: skip
    def made(*arguments: Value) -> Graph:
        return body([*states, *elements], build)

    return Row(
        "Scan", (*states, *scanned), {"body": made, "num_scan_inputs": len(scanned), **attributes}, name, outputs
    )


def loop(name: str, count: In | np.ndarray | None, condition: Any, states: Sequence[In], build: Build, outputs: int,
         **more: Any) -> Row:  # fmt: skip
    """The body reads, beside its inputs, what the node gets: trip count, condition and initial states."""

    def made(*arguments: Value) -> Graph:
        return body([In((), "int64"), In((), "bool"), *states], build, *arguments)

    return Row("Loop", (count, condition, *states), {"body": made}, name, outputs, **more)


def branches(name: str, condition: In | np.ndarray, then: Build, other: Build, outputs: int = 1) -> Row:
    """Branches can read only the condition and constants here: an If has no other arguments."""
    return Row(
        "If", (condition,),
        {"then_branch": lambda c: body([], then, c), "else_branch": lambda c: body([], other, c)}, name, outputs,
    )  # fmt: skip


S = In((2, 5))
IMAGE = In((1, 3, 5, 4))
KERNEL = const((3, 3, 3, 3), -0.3, 0.3)

W = const((3, 4))


def zero(g: Builder) -> Value:
    return g.constant(np.float32(0))


SCANS = [
    scan("sum", [S], [In((3, 2, 5))], [S], lambda g, s, x: [(y := g.Add(s, g.Tanh(x))), g.Mul(y, x)], 2),
    scan("reverse", [S], [In((3, 2, 5))], [S], lambda g, s, x: [(y := g.Add(g.Mul(s, 0.5), x)), g.Relu(y)], 2,
         scan_input_directions=(1,), scan_output_directions=(1,)),
    scan("out-reverse", [S], [In((3, 2, 5))], [S], lambda g, s, x: [(y := g.Add(g.Mul(s, 0.5), x)), g.Relu(y)], 2,
         scan_output_directions=(1,)),
    scan("axes", [S], [In((2, 3, 5)), In((2, 5, 3))], [S, S], lambda g, s, x, z: [(y := g.Add(s, x)), g.Mul(y, z), z],
         3, scan_input_axes=(1, -1), scan_output_axes=(1, -1), scan_input_directions=(0, 1)),
    scan("no-state", [], [In((3, 2, 5))], [S], lambda g, x: [g.Relu(x), g.ReduceSum(x, [1], keepdims=0)], 2),
    scan("no-output", [S], [In((3, 2, 5))], [S], lambda g, s, x: [g.Max(s, x)], 1),
    scan("long", [S], [In((19, 2, 5))], [S], lambda g, s, x: [(y := g.Tanh(g.Add(s, x))), y], 2),
    scan("images", [IMAGE], [In((11, *IMAGE.shape))], [IMAGE],
         lambda g, s, x: [(y := g.Relu(g.Conv(g.Add(s, x), KERNEL, pads=(1, 1, 1, 1)))), g.GlobalAveragePool(y)], 2),
]  # fmt: skip

N = np.array(3)  # int64
LOOPS = [
    loop("count", N, None, [S], lambda g, i, c, s, *_: [g.Identity(c), (y := g.Mul(s, 0.7)), g.Sin(y)], 2),
    loop("step", N, None, [S], lambda g, i, c, s, *_: [g.Identity(c), g.Add(s, g.Cast(i, to=1)), g.Identity(i)], 2),
    loop("outer", N, None, [S, In((5,))], lambda g, i, c, s, z, m, _, s0, z0: [g.Identity(c), g.Add(s, s0), z, z0], 3),
    loop("long", np.array(17), None, [S], lambda g, i, c, s, *_: [g.Identity(c), (y := g.Cos(s)), g.Mul(y, s)], 2),
    loop("swap", np.array(11), None, [S, S], lambda g, i, c, a, b, *_: [g.Identity(c), b, g.Mul(a, 0.5)], 2),
    loop("image", np.array(9), None, [IMAGE], lambda g, i, c, s, *outer: [
        g.Identity(c), g.Add(g.Conv(s, KERNEL, pads=(1, 1, 1, 1)), g.MaxPool(outer[-1], kernel_shape=(1, 1)))], 1),
    loop("never", np.array(5), np.array(False), [S], lambda g, i, c, s, *_: [g.Identity(c), g.Sin(s)], 1),
    loop("true", N, np.array(True), [S], lambda g, i, c, s, *_: [g.constant(np.array(True)), g.Sin(s)], 1),
]  # fmt: skip
DYNAMIC = [
    loop("fed-count", In((), "int64", 2, 9), None, [S], lambda g, i, c, s, *_: [g.Identity(c), g.Sin(s)], 1),
    loop("no-steps", In((), "int64", 0, 0), None, [S], lambda g, i, c, s, *_: [g.Identity(c), g.Sin(s)], 1),
    loop("while", None, np.array(True), [S],
         lambda g, i, c, s, *_: [g.Less(g.ReduceSum(y := g.Add(g.Abs(s), 0.1), keepdims=0), 90.0), y], 1),
    loop("while-count", np.array(99), In((), "bool", 1, 1), [S],
         lambda g, i, c, s, *_: [g.Less(g.ReduceSum(y := g.Add(g.Abs(s), 0.1), keepdims=0), 90.0), y], 1),
    loop("constant", np.array(9), None, [S, S],
         lambda g, i, c, s, t, *_: [g.Identity(c), g.Add(s, t), g.Reshape(const((10,)), [2, 5])], 2),
    loop("in-a-loop", np.array(10), None, [S], lambda g, i, c, s, *outer: [
        g.Identity(c), g.Loop(g.constant(np.array(9)), None, s, body=body(
            [In((), "int64"), In((), "bool"), S],
            lambda h, j, d, t, u: [h.Identity(d), h.Sin(h.Add(t, h.Mul(u, 0.1)))], outer[-1]))], 1),
]  # fmt: skip
IFS = [
    branches("constant", np.array(True), lambda g, c: [g.Neg(W)], lambda g, c: [g.Abs(W)]),
    branches("constant-else", np.array([False]), lambda g, c: [g.Neg(W)], lambda g, c: [g.Abs(W)]),
    branches("constants", In((), "bool"), lambda g, c: [g.constant(W)], lambda g, c: [g.constant(-W)]),
    branches("fed", In((), "bool"), lambda g, c: [g.Neg(W), g.Cast(c, to=1)], lambda g, c: [g.Abs(W), zero(g)], 2),
]  # fmt: skip

ROWS = [*LAYERS, *ACTIVATIONS, *MODES, *SCANS, *LOOPS, *IFS]
