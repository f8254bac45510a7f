"""Recurrent cells that TensorFlow computes in one operator. Semantics: TensorFlow's core/kernels/rnn/*_ops.h."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Graph, Value


@tf_op("GRUBlockCell")
def gru_block_cell(
    g: TFBuilder, x: Value, h_prev: Value, w_ru: Value, w_c: Value, b_ru: Value, b_c: Value
) -> tuple[Value, ...]:  # fmt: skip
    """r, u, c, h of one step. The reset gate acts on the state before it is multiplied."""
    gates = g.Sigmoid(g.Add(g.MatMul(g.Concat(x, h_prev, axis=1), w_ru), b_ru))
    r, u = g.op("Split", [gates], outputs=2, axis=1, num_outputs=2)
    c = g.Tanh(g.Add(g.MatMul(g.Concat(x, g.Mul(h_prev, r), axis=1), w_c), b_c))
    h = g.Add(c, g.Mul(u, g.Sub(h_prev, c)))
    return r, u, c, h


@tf_op("LSTMBlockCell")
def lstm_block_cell(
    g: TFBuilder, x: Value, cs_prev: Value, h_prev: Value, w: Value, wci: Value, wcf: Value, wco: Value, b: Value, *,
    forget_bias: float = 1.0, cell_clip: float = 3.0, use_peephole: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """i, cs, f, o, ci, co, h of one step. The gates lie in the order i, ci, f, o."""
    peepholes = (wci, wcf, wco) if use_peephole else None
    return _lstm_step(g, x, cs_prev, h_prev, w, b, peepholes, "icfo", forget_bias, cell_clip)


def _lstm_step(
    g: TFBuilder, x: Value, cs_prev: Value, h_prev: Value, w: Value, b: Value,
    peepholes: Sequence[Value] | None, order: str, forget_bias: float, cell_clip: float,
) -> tuple[Value, ...]:  # fmt: skip
    """One step; the peepholes are those of i, f and o. A cell_clip that is not positive does not clip."""
    all_gates = g.Add(g.MatMul(g.Concat(x, h_prev, axis=1), w), b)
    gates = dict(zip(order, g.op("Split", [all_gates], outputs=4, axis=1, num_outputs=4), strict=True))
    i, f, o = (gates[name] for name in "ifo")
    f = g.Add(f, scalar(g, forget_bias, f)) if forget_bias else f
    if peepholes:
        i, f = g.Add(i, g.Mul(cs_prev, peepholes[0])), g.Add(f, g.Mul(cs_prev, peepholes[1]))
    i, f, ci = g.Sigmoid(i), g.Sigmoid(f), g.Tanh(gates["c"])
    cs = g.Add(g.Mul(ci, i), g.Mul(cs_prev, f))
    if cell_clip > 0:
        cs = g.Clip(cs, scalar(g, -cell_clip, cs), scalar(g, cell_clip, cs))
    o = g.Sigmoid(g.Add(o, g.Mul(cs, peepholes[2])) if peepholes else o)
    co = g.Tanh(cs)
    return i, cs, f, o, ci, co, g.Mul(co, o)


@tf_op("BlockLSTM")
def block_lstm(
    g: TFBuilder, seq_len_max: Value, x: Value, cs_prev: Value, h_prev: Value, w: Value, wci: Value, wcf: Value,
    wco: Value, b: Value, *, forget_bias: float = 1.0, cell_clip: float = 3.0, use_peephole: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """What LSTMBlockCell gives, for each step of x [time, batch, inputs]; zeros from seq_len_max on."""
    peepholes = (wci, wcf, wco) if use_peephole else None
    return _scanned(g, seq_len_max, x, cs_prev, h_prev, w, b, peepholes, "icfo", forget_bias, cell_clip)


@tf_op("BlockLSTMV2")
def block_lstm_v2(
    g: TFBuilder, seq_len_max: Value, x: Value, cs_prev: Value, h_prev: Value, w: Value, wci: Value, wcf: Value,
    wco: Value, b: Value, *, cell_clip: float = 0.0, use_peephole: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """The same with the gates in the order i, f, ci, o, and no bias for the forget gate."""
    peepholes = (wci, wcf, wco) if use_peephole else None
    return _scanned(g, seq_len_max, x, cs_prev, h_prev, w, b, peepholes, "ifco", 0.0, cell_clip)


def _scanned(
    g: TFBuilder, seq_len_max: Value, x: Value, cs_prev: Value, h_prev: Value, w: Value, b: Value,
    peepholes: Sequence[Value] | None, order: str, forget_bias: float, cell_clip: float,
) -> tuple[Value, ...]:  # fmt: skip
    """A Scan of steps, because TensorFlow gives all that a step computes, and ONNX's LSTM only h."""
    inner = g.inner("step")
    dtype = x.dtype or np.dtype(np.float32)
    cs = inner.graph.add_input("cs", dtype, cs_prev.shape)
    h = inner.graph.add_input("h", dtype, h_prev.shape)
    now = inner.graph.add_input("x", dtype, (x.shape or ())[1:])
    results = _lstm_step(inner, now, cs, h, w, b, peepholes, order, forget_bias, cell_clip)
    inner.graph.outputs = [*(inner.plain("Identity", results[k]) for k in (1, 6)), *results]
    states = _scan(g, [cs_prev, h_prev, x], inner.graph)
    time = g.Range(g.constant(0, np.int64), _steps(g, x), g.constant(1, np.int64))
    run = g.Reshape(g.Less(time, g.cast(seq_len_max, np.int64)), [-1, 1, 1])
    if seq_len_max.is_constant and x.shape and isinstance(x.shape[0], int) and int(seq_len_max.array) >= x.shape[0]:
        return states
    return tuple(g.Where(run, state, scalar(g, 0, state)) for state in states)


def _steps(g: TFBuilder, x: Value) -> Value:
    count: Value = g.Reshape(g.Shape(x, start=0, end=1), g.constant(np.zeros(0, np.int64)))
    return count


def _scan(g: TFBuilder, inputs: Sequence[Value], body: Graph) -> tuple[Value, ...]:
    """The seven stacked results, typed: those of the body with the steps before."""
    found = g.op("Scan", inputs, outputs=9, body=body, num_scan_inputs=1)[2:]
    steps = (inputs[-1].shape or (None,))[0]
    for value, inner in zip(found, body.outputs[2:], strict=True):
        value.dtype, value.shape = inner.dtype, (steps, *(inner.shape or ()))
    results: tuple[Value, ...] = found
    return results
