"""Loops whose bodies are recurrent cells, written in the ways of several frameworks, become ONNX's operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.passes.pipeline import COMMON, run
from netglot.runtimes.onnxruntime import OnnxRuntime

STEPS, BATCH, INPUT, HIDDEN = 5, 2, 3, 4
Cell = Callable[[Builder, Value, list[Value]], list[Value]]


def weights(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


W, R = weights(INPUT, 4 * HIDDEN, seed=1), weights(HIDDEN, 4 * HIDDEN, seed=2)
B, B2 = weights(4 * HIDDEN, seed=3), weights(4 * HIDDEN, seed=4)
GRU_W, GRU_R = W[:, : 3 * HIDDEN], R[:, : 3 * HIDDEN]


def columns(g: Builder, x: Value, at: int) -> Value:
    return g.Slice(x, [at * HIDDEN], [(at + 1) * HIDDEN], [1])


def lstm(g: Builder, i: Value, f: Value, c: Value, o: Value, state: Value) -> list[Value]:
    new_c = g.Add(g.Mul(g.Sigmoid(f), state), g.Mul(g.Sigmoid(i), g.Tanh(c)))
    return [g.Mul(g.Sigmoid(o), g.Tanh(new_c)), new_c]


def lstm_of_keras(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    z = g.Add(g.Add(g.MatMul(x, W), g.MatMul(state[0], R)), B)
    i, f, c, o = g.op("Split", [z], outputs=4, axis=1, num_outputs=4)
    return lstm(g, i, f, c, o, state[1])


def lstm_of_tf1(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    """One product of input and state together, gates i c f o, and a bias that is added to f alone."""
    z = g.Add(g.MatMul(g.Concat(x, state[0], axis=1), np.concatenate([W, R])), B)
    i, c, f, o = (columns(g, z, at) for at in range(4))
    return lstm(g, i, g.Add(f, 1.0), c, o, state[1])


def lstm_gate_by_gate(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    def gate(at: int) -> Value:
        part = slice(at * HIDDEN, (at + 1) * HIDDEN)
        of_x = g.Add(g.MatMul(x, np.ascontiguousarray(W[:, part])), B[part])
        return g.Add(g.MatMul(state[0], np.ascontiguousarray(R[:, part])), of_x)

    i, f, c, o = map(gate, range(4))
    return lstm(g, i, f, c, o, state[1])


def gru_of_keras(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    (h,) = state
    a, b = g.Add(g.MatMul(x, GRU_W), B[: 3 * HIDDEN]), g.Add(g.MatMul(h, GRU_R), B2[: 3 * HIDDEN])
    z, r = (g.Sigmoid(g.Add(columns(g, a, at), columns(g, b, at))) for at in (0, 1))
    new = g.Tanh(g.Add(columns(g, a, 2), g.Mul(r, columns(g, b, 2))))
    return [g.Add(g.Mul(z, h), g.Mul(g.Sub(1.0, z), new))]


def gru_of_tf1(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    """The reset gate before the product, and z the other way round."""
    (h,) = state
    gates = g.Sigmoid(g.Add(g.MatMul(g.Concat(x, h, axis=1), np.concatenate([W, R])[:, : 2 * HIDDEN]), B[: 2 * HIDDEN]))
    r, u = columns(g, gates, 0), columns(g, gates, 1)
    both = g.Concat(x, g.Mul(r, h), axis=1)
    new = g.Tanh(g.Add(g.MatMul(both, np.concatenate([W, R])[:, 2 * HIDDEN : 3 * HIDDEN]), B2[:HIDDEN]))
    return [g.Add(g.Mul(u, h), g.Mul(g.Sub(1.0, u), new))]


def gru_split_gates(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    (h,) = state

    def gate(at: int, h: Value) -> Value:
        part = slice(at * HIDDEN, (at + 1) * HIDDEN)
        return g.Add(
            g.Add(g.MatMul(x, np.ascontiguousarray(W[:, part])), g.MatMul(h, np.ascontiguousarray(R[:, part]))), B[part]
        )

    z, r = g.Sigmoid(gate(0, h)), g.Sigmoid(gate(1, h))
    return [g.Add(g.Mul(g.Sub(1.0, z), h), g.Mul(z, g.Tanh(gate(2, g.Mul(h, r)))))]


def rnn(g: Builder, x: Value, state: list[Value]) -> list[Value]:
    return [g.Relu(g.Add(g.MatMul(x, W[:, :HIDDEN]), g.Add(g.MatMul(state[0], R[:, :HIDDEN]), B[:HIDDEN])))]


def loop(cell: Cell, states: int, steps: int = STEPS, index: Callable[[Builder, Value], Value] | None = None) -> Graph:
    """The cell over a sequence: all of its h, then the last states."""
    g, inner = Builder(Graph("net")), Builder(Graph("body"))
    x = g.graph.add_input("x", np.dtype(np.float32), (STEPS, BATCH, INPUT))
    step = inner.graph.add_input("step", np.dtype(np.int64), ())
    again = inner.graph.add_input("again", np.dtype(bool), ())
    places = [inner.graph.add_input(f"s{i}", np.dtype(np.float32), (BATCH, HIDDEN)) for i in range(states)]
    now = inner.Gather(x, index(inner, step) if index else step, axis=0)
    results = cell(inner, now, places)
    inner.graph.outputs = [inner.Identity(again), *results, inner.Identity(results[0])]
    first = [weights(BATCH, HIDDEN, seed=9 + i) if i else np.zeros((BATCH, HIDDEN), np.float32) for i in range(states)]
    made = g.op("Loop", [np.array(steps), None, *first], outputs=states + 1, body=inner.graph)
    for value in made[:-1]:
        value.shape = (BATCH, HIDDEN)
    made[-1].shape = (steps, BATCH, HIDDEN)
    g.graph.outputs = list(made)
    return g.graph


def ops_after(graph: Graph) -> list[str]:
    """Operators after the passes, found equal to the graph before."""
    feed = {"x": weights(STEPS, BATCH, INPUT, seed=5)}
    expected = OnnxRuntime(graph.copy()).run(feed)
    run(graph, COMMON, check=True)
    found = OnnxRuntime(graph).run(feed)
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)
    return [node.op for node in graph.nodes()]


CELLS = [
    (lstm_of_keras, 2, "LSTM"), (lstm_of_tf1, 2, "LSTM"), (lstm_gate_by_gate, 2, "LSTM"), (gru_of_keras, 1, "GRU"),
    (gru_of_tf1, 1, "GRU"), (gru_split_gates, 1, "GRU"), (rnn, 1, "RNN"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "states", "op"), CELLS, ids=lambda item: getattr(item, "__name__", str(item)))
def test_cells(cell: Cell, states: int, op: str) -> None:
    found = ops_after(loop(cell, states))
    assert op in found
    assert "Loop" not in found


def test_a_loop_over_a_part_of_the_sequence_stays() -> None:
    assert "Loop" in ops_after(loop(rnn, 1, steps=STEPS - 1))


def test_another_order_of_steps_stays() -> None:
    assert "Loop" in ops_after(loop(rnn, 1, index=lambda g, step: g.Sub(STEPS - 1, step)))


def test_another_cell_stays() -> None:
    def cell(g: Builder, x: Value, state: list[Value]) -> list[Value]:
        return [g.Mul(rnn(g, x, state)[0], 0.5)]

    assert "Loop" in ops_after(loop(cell, 1))


def test_gates_of_two_activations_stay() -> None:
    def cell(g: Builder, x: Value, state: list[Value]) -> list[Value]:
        z = g.Add(g.Add(g.MatMul(x, W), g.MatMul(state[0], R)), B)
        i, f, c, o = (columns(g, z, at) for at in range(4))
        new_c = g.Add(g.Mul(g.Sigmoid(f), state[1]), g.Mul(g.HardSigmoid(i), g.Tanh(c)))
        return [g.Mul(g.Sigmoid(o), g.Tanh(new_c)), new_c]

    assert "Loop" in ops_after(loop(cell, 2))


def test_a_state_that_takes_part_elsewhere_stays() -> None:
    def cell(g: Builder, x: Value, state: list[Value]) -> list[Value]:
        h, c = lstm_of_keras(g, x, state)
        return [g.Add(h, state[1]), c]

    assert "Loop" in ops_after(loop(cell, 2))
