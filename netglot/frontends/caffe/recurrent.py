"""Caffe's recurrent layers, unrolled over time as Caffe itself does (recurrent_layer.cpp).

Bottoms: x [T, N, ...], cont [T, N] (0 where a sequence begins; the state is multiplied by it), then a static input
[N, ...] if there is one, then the state before the first step if `expose_hidden`. Without it the state begins at zero:
Caffe would go on from its last forward pass, a file has no such memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value

MAX_STEPS = 4096

State = tuple[Value | None, ...]
Step = Callable[[Value, Value, State], tuple[Value, State]]  # (input, cont, state) -> (output, next state)


@caffe_layer("LSTM", param="recurrent_param")
def lstm(
    g: CaffeBuilder, x: Value, cont: Value, *more: Value | None, num_output: int, expose_hidden: bool = False,
    debug_info: bool = False,
) -> list[Value]:  # fmt: skip
    """Long short-term memory (lstm_layer.cpp); gates in the order input, forget, output, candidate."""
    static, start, blobs = arguments(g, more, 2 if expose_hidden else 0, (3, 4))
    gates = inputs_to(g, x, static, blobs, 4 * num_output)
    recurrent = g.constant(g.numbers(blobs[-1], 4 * num_output, num_output).T)

    def step(gate: Value, flag: Value, state: State) -> tuple[Value, State]:
        hidden, cell = state
        if hidden is not None:
            gate = g.Add(g.MatMul(g.Mul(hidden, flag), recurrent), gate)
        cell, hidden = lstm_cell(g, cell, gate, flag)
        return hidden, (hidden, cell)

    return unroll(g, gates, cont, step, start or (None, None))


def lstm_cell(g: CaffeBuilder, cell: Value | None, gates: Value, flag: Value) -> tuple[Value, Value]:
    """The next (cell, hidden) from gates [..., 4 D]: lstm_unit_layer.cpp."""
    size = gates.sizes[-1] // 4
    logistic, candidate = g.Split(gates, [3 * size, size], axis=gates.rank - 1, outputs=2)
    i, f, o = g.Split(g.Sigmoid(logistic), [size] * 3, axis=gates.rank - 1, outputs=3)
    fresh = g.Mul(i, g.Tanh(candidate))
    cell = fresh if cell is None else g.Add(g.Mul(g.Mul(f, flag), cell), fresh)
    return cell, g.Mul(o, g.Tanh(cell))


@caffe_layer("LSTMUnit")
def lstm_unit(g: CaffeBuilder, cell: Value, gates: Value, cont: Value) -> tuple[Value, Value]:
    """One step by itself: cell [1, N, D], gates [1, N, 4 D], cont [1, N]."""
    return lstm_cell(g, cell, gates, g.Unsqueeze(cont, [2]))


@caffe_layer("RNN", param="recurrent_param")
def rnn(
    g: CaffeBuilder, x: Value, cont: Value, *more: Value | None, num_output: int, expose_hidden: bool = False,
    debug_info: bool = False,
) -> list[Value]:  # fmt: skip
    """h = tanh(W_hh h + W_xh x + b_h), o = tanh(W_ho h + b_o) (rnn_layer.cpp)."""
    static, start, blobs = arguments(g, more, 1 if expose_hidden else 0, (5, 6))
    inputs = inputs_to(g, x, static, blobs, num_output)
    recurrent, out = (g.constant(g.numbers(blob, num_output, num_output).T) for blob in blobs[-3:-1])
    bias = g.weight(blobs[-1], num_output)

    def step(fed: Value, flag: Value, state: State) -> tuple[Value, State]:
        hidden = state[0]
        if hidden is not None:
            fed = g.Add(g.MatMul(g.Mul(hidden, flag), recurrent), fed)
        hidden = g.Tanh(fed)
        return g.Tanh(g.Add(g.MatMul(hidden, out), bias)), (hidden,)

    return unroll(g, inputs, cont, step, start or (None,))


def arguments(
    g: CaffeBuilder, more: Sequence[Value | None], states: int, blob_counts: tuple[int, int]
) -> tuple[Value | None, State, Sequence[Value | None]]:
    """(static input, state before the first step, learned blobs): the last one is there only with a static input."""
    extra = g.bottoms - 2
    if extra not in (states, states + 1):
        raise ConversionError(f"{g.type} takes {2 + states} or {3 + states} bottoms and got {g.bottoms}", g.origin)
    bottoms, blobs = list(more[:extra]), list(more[extra:])
    static = bottoms.pop(0) if extra > states else None
    blobs += [None] * (blob_counts[static is not None] - len(blobs))
    if len(blobs) != blob_counts[static is not None]:
        raise ConversionError(f"{g.type} has {len(blobs)} learned blobs", g.origin)
    return static, tuple(g.Squeeze(state, [0]) for state in bottoms), blobs


def inputs_to(g: CaffeBuilder, x: Value, static: Value | None, blobs: Sequence[Value | None], size: int) -> list[Value]:
    """What each step gets from x and the static input, [N, size]: one product for all steps."""
    steps, streams, *features = x.sizes
    if steps > MAX_STEPS:
        raise g.unsupported(f"{g.type} over {steps} steps: each is written out, up to {MAX_STEPS}")
    weight, bias = g.weight(blobs[0], size, prod(features)), g.weight(blobs[1], size)
    all_steps = g.Gemm(g.Reshape(x, [steps * streams, prod(features)]), weight, bias, transB=1)
    parts = g.Split(all_steps, [streams] * steps, axis=0, outputs=steps) if steps > 1 else all_steps
    if static is not None:
        flat = g.Reshape(static, [streams, prod(static.sizes[1:])])
        same = g.Gemm(flat, g.weight(blobs[2], size, flat.sizes[1]), transB=1)
    parts = list(parts) if isinstance(parts, tuple) else [parts]
    return parts if static is None else [g.Add(part, same) for part in parts]


def unroll(g: CaffeBuilder, inputs: list[Value], cont: Value, step: Step, state: State) -> list[Value]:
    """The outputs of all steps as [T, N, D], then each final state as [1, N, D]."""
    streams = cont.sizes[1]
    outputs = []
    for time, fed in enumerate(inputs):
        flag = g.Reshape(g.Slice(cont, [time], [time + 1], [0]), [streams, 1])
        output, state = step(fed, flag, state)
        outputs.append(g.Unsqueeze(output, [0]))
    finals = [g.Unsqueeze(one, [0]) for one in state[: g.tops - 1]]
    return [g.Concat(*outputs, axis=0), *finals]
