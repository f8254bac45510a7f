"""Recurrent layers as ONNX's LSTM, GRU and RNN, and their single steps as plain arithmetic.

Semantics: torch.nn.LSTM, GRU and RNN. ONNX has the gates in another order; the weights are put in that order here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.operators.linalg import dtype_of, linear
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Kind:
    """A kind of recurrence: ONNX's operator, the place of ONNX's gates among torch's, its attributes, its states."""

    op: str
    gates: tuple[int, ...]
    states: int = 1
    activation: str = ""

    def attributes(self, directions: int) -> dict[str, Any]:
        if self.op == "GRU":
            return {"linear_before_reset": 1}
        return {"activations": [self.activation] * directions} if self.activation else {}


LSTM = Kind("LSTM", (0, 3, 1, 2), states=2)  # torch: input, forget, cell, output; ONNX: input, output, forget, cell
GRU = Kind("GRU", (1, 0, 2))  # torch: reset, update, new; ONNX: update, reset, hidden
TANH = Kind("RNN", (0,))
RELU = Kind("RNN", (0,), activation="Relu")


@dataclass(frozen=True)
class Layers:
    """A stack of recurrent layers. `params`: for each layer and direction w_ih, w_hh, then b_ih and b_hh."""

    kind: Kind
    params: Sequence[Value]
    biases: bool
    count: int
    bidirectional: bool

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def run(
        self, g: TorchBuilder, x: Value, initial: Sequence[Value], lengths: Value | None = None
    ) -> list[Value]:  # fmt: skip
        """x [T, N, ...] and the states [layers * directions, N, H] to the output and the last states."""
        each = 4 if self.biases else 2
        if len(self.params) != each * self.count * self.directions:
            raise g.unsupported(
                "with projections (proj_size)", "ExportedProgram.run_decompositions() writes its steps out."
            )
        finals = []
        for layer in range(self.count):
            at = layer * self.directions
            params = self.params[each * at : each * (at + self.directions)]
            before = [self.state(g, state, at) for state in initial]
            x, *last = self.layer(g, x, [params[i : i + each] for i in range(0, len(params), each)], before, lengths)
            finals.append(last)
        return [x, *(g.Concat(*parts, axis=0) if self.count > 1 else parts[0] for parts in zip(*finals, strict=True))]

    def state(self, g: TorchBuilder, states: Value, at: int) -> Value | None:
        """The states of one layer; None where they are 0, which is what ONNX begins with."""
        if is_zero(g, states):
            return None
        if self.count == 1:
            return states
        y: Value = g.Slice(states, [at], [at + self.directions], [0])
        return y

    def layer(
        self, g: TorchBuilder, x: Value, params: Sequence[Sequence[Value]], before: Sequence[Value | None],
        lengths: Value | None,
    ) -> list[Value]:  # fmt: skip
        """One layer; `params` by direction."""
        hidden = params[0][1].sizes[1]
        weights = [stacked(g, [ordered(g, of_one[i], self.kind) for of_one in params]) for i in range(2)]
        biases = [
            joined(g, [ordered(g, bias, self.kind) for bias in of_one[2:]]) for of_one in params
        ] if self.biases else []  # fmt: skip
        inputs = [x, *weights, stacked(g, biases) if biases else None, lengths, *before]
        y, *last = g.op(
            self.kind.op, inputs, outputs=1 + self.kind.states, hidden_size=hidden,
            direction="bidirectional" if self.bidirectional else "forward", **self.kind.attributes(self.directions),
        )  # fmt: skip
        if self.bidirectional:
            return [g.Reshape(g.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, 2 * hidden]), *last]
        return [g.Squeeze(y, [1]), *last]


def ordered(g: TorchBuilder, weight: Value, kind: Kind) -> Value:
    """A weight or bias of all gates, with the gates in ONNX's order."""
    if len(kind.gates) == 1:
        return weight
    count = len(kind.gates)
    if weight.is_constant:
        return g.constant(np.concatenate([np.split(weight.array, count)[gate] for gate in kind.gates]))
    parts = g.Split(weight, [weight.sizes[0] // count] * count, axis=0, outputs=count)
    y: Value = g.Concat(*(parts[gate] for gate in kind.gates), axis=0)
    return y


def stacked(g: TorchBuilder, items: Sequence[Value]) -> Value:
    """One item of each direction, along a new first axis."""
    if all(item.is_constant for item in items):
        return g.constant(np.stack([item.array for item in items]))
    parts = [g.Unsqueeze(item, [0]) for item in items]
    y: Value = g.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]
    return y


def joined(g: TorchBuilder, items: Sequence[Value]) -> Value:
    if all(item.is_constant for item in items):
        return g.constant(np.concatenate([item.array for item in items]))
    y: Value = g.Concat(*items, axis=0)
    return y


def is_zero(g: TorchBuilder, x: Value) -> bool:
    """Whether `x` is known to hold nothing but zeros, however many."""
    if x.is_constant:
        return not x.array.any()
    node = g.graph.producer(x) if x in g.graph.nx else None
    if node is None:
        return False
    if node.op == "ConstantOfShape":
        value = node.attributes.get("value")
        return value is None or not np.asarray(value).any()
    source = node.inputs[0] if node.inputs else None
    return (
        node.op in ("Expand", "Identity", "Cast", "Reshape", "Unsqueeze") and source is not None and is_zero(g, source)
    )


# -------------------------------------------------------------------------- layers


def whole(
    g: TorchBuilder, layers: Layers, x: Value, initial: Sequence[Value], *, dropout: float, train: bool,
    batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """A stack of layers on sequences that are all equally long."""
    check_dropout(g, layers, dropout, train)
    dtype = dtype_of(x)
    x, *initial = (item if dtype.kind == "f" else g.cast(item, np.float32) for item in (x, *initial))
    if dtype.kind != "f":
        weights = [g.cast(item, np.float32) for item in layers.params]
        layers = Layers(layers.kind, weights, layers.biases, layers.count, layers.bidirectional)
    y, *last = layers.run(g, g.Transpose(x, perm=[1, 0, 2]) if batch_first else x, initial)
    y = g.Transpose(y, perm=[1, 0, 2]) if batch_first else y
    return tuple(g.cast(item, dtype) for item in (y, *last))


def check_dropout(g: TorchBuilder, layers: Layers, dropout: float, train: bool) -> None:
    if train and dropout and layers.count > 1:
        raise g.unsupported("with dropout (training mode)", "Export the module after .eval().")


@aten("lstm.input")
def lstm(
    g: TorchBuilder, x: Value, hx: Sequence[Value], params: Sequence[Value], *, has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(LSTM, params, has_biases, num_layers, bidirectional)
    return whole(g, layers, x, hx, dropout=dropout, train=train, batch_first=batch_first)


@aten("gru.input")
def gru(
    g: TorchBuilder, x: Value, hx: Value, params: Sequence[Value], *, has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(GRU, params, has_biases, num_layers, bidirectional)
    return whole(g, layers, x, [hx], dropout=dropout, train=train, batch_first=batch_first)


@aten("rnn_tanh.input")
def rnn_tanh(
    g: TorchBuilder, x: Value, hx: Value, params: Sequence[Value], *, has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(TANH, params, has_biases, num_layers, bidirectional)
    return whole(g, layers, x, [hx], dropout=dropout, train=train, batch_first=batch_first)


@aten("rnn_relu.input")
def rnn_relu(
    g: TorchBuilder, x: Value, hx: Value, params: Sequence[Value], *, has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(RELU, params, has_biases, num_layers, bidirectional)
    return whole(g, layers, x, [hx], dropout=dropout, train=train, batch_first=batch_first)


# ------------------------------------------------------------- packed sequences


@dataclass(frozen=True)
class Packing:
    """How sequences of falling lengths lie in one packed tensor: step by step, each of those that are not over."""

    batch_sizes: np.ndarray

    @staticmethod
    def known(g: TorchBuilder, batch_sizes: Value) -> Packing:
        if not batch_sizes.is_constant:
            raise g.unsupported("of packed sequences whose lengths the network computes", "Pad them, and mask.")
        return Packing(batch_sizes.array)

    @property
    def lengths(self) -> np.ndarray:
        """Of every sequence."""
        return (self.batch_sizes[:, None] > np.arange(self.batch_sizes[0])).sum(axis=0)

    @property
    def inside(self) -> np.ndarray:
        """Whether a place of [T, N] belongs to a sequence."""
        inside: np.ndarray = np.arange(self.batch_sizes[0]) < self.batch_sizes[:, None]
        return inside

    def padded(self, g: TorchBuilder, data: Value) -> Value:
        """Packed data [sum of lengths, ...] as [T, N, ...]; what is in the places beyond the ends does not matter."""
        rows = np.where(self.inside, np.cumsum(self.inside).reshape(self.inside.shape) - 1, 0)
        y: Value = g.Gather(data, rows, axis=0)
        return y

    def packed(self, g: TorchBuilder, x: Value) -> Value:
        """The inverse of `padded`."""
        places = np.flatnonzero(self.inside)
        y: Value = g.Gather(g.Reshape(x, [-1, *self._rest(x)]), places, axis=0)
        return y

    def _rest(self, x: Value) -> list[int]:
        return list(x.sizes[2:])


def packed(
    g: TorchBuilder, layers: Layers, data: Value, batch_sizes: Value, initial: Sequence[Value], *, dropout: float,
    train: bool,
) -> tuple[Value, ...]:  # fmt: skip
    check_dropout(g, layers, dropout, train)
    packing = Packing.known(g, batch_sizes)
    lengths = g.constant(packing.lengths, np.int32)
    y, *last = layers.run(g, packing.padded(g, data), initial, lengths)
    return packing.packed(g, y), *last


@aten("lstm.data")
def lstm_packed(
    g: TorchBuilder, data: Value, batch_sizes: Value, hx: Sequence[Value], params: Sequence[Value], *,
    has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(LSTM, params, has_biases, num_layers, bidirectional)
    return packed(g, layers, data, batch_sizes, hx, dropout=dropout, train=train)


@aten("gru.data")
def gru_packed(
    g: TorchBuilder, data: Value, batch_sizes: Value, hx: Value, params: Sequence[Value], *, has_biases: bool,
    num_layers: int, dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(GRU, params, has_biases, num_layers, bidirectional)
    return packed(g, layers, data, batch_sizes, [hx], dropout=dropout, train=train)


@aten("rnn_tanh.data")
def rnn_tanh_packed(
    g: TorchBuilder, data: Value, batch_sizes: Value, hx: Value, params: Sequence[Value], *, has_biases: bool,
    num_layers: int, dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(TANH, params, has_biases, num_layers, bidirectional)
    return packed(g, layers, data, batch_sizes, [hx], dropout=dropout, train=train)


@aten("rnn_relu.data")
def rnn_relu_packed(
    g: TorchBuilder, data: Value, batch_sizes: Value, hx: Value, params: Sequence[Value], *, has_biases: bool,
    num_layers: int, dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    layers = Layers(RELU, params, has_biases, num_layers, bidirectional)
    return packed(g, layers, data, batch_sizes, [hx], dropout=dropout, train=train)


@aten("_pack_padded_sequence")
def pack_padded_sequence(g: TorchBuilder, x: Value, lengths: Value, *, batch_first: bool) -> tuple[Value, Value]:
    """(packed data, how many sequences go on at each step), of sequences of known, falling lengths."""
    known = g.static(lengths, "the lengths of the sequences")
    if (np.diff(known) > 0).any():
        raise g.unsupported("of sequences that are not sorted by length")
    batch_sizes = (np.arange(known.max())[:, None] < known).sum(axis=1)
    x = g.Transpose(x, perm=[1, 0, *range(2, x.rank)]) if batch_first else x
    x = g.Slice(x, [0], [len(batch_sizes)], [0])
    return Packing(batch_sizes).packed(g, x), g.constant(batch_sizes, np.int64)


@aten("_pad_packed_sequence")
def pad_packed_sequence(
    g: TorchBuilder, data: Value, batch_sizes: Value, *, batch_first: bool, padding_value: Number, total_length: int
) -> tuple[Value, Value]:
    """(the sequences [T, N, ...], their lengths), with `padding_value` after their ends."""
    packing = Packing.known(g, batch_sizes)
    y = packing.padded(g, data)
    inside = packing.inside.reshape(*packing.inside.shape, *([1] * (y.rank - 2)))
    y = g.Where(inside, y, g.number(padding_value, y.dtype))
    more = total_length - len(packing.batch_sizes)
    if more > 0:
        ends = np.zeros(2 * y.rank, np.int64)
        ends[y.rank] = more
        y = g.Pad(y, ends, g.number(padding_value, y.dtype))
    y = g.Transpose(y, perm=[1, 0, *range(2, y.rank)]) if batch_first else y
    return y, g.constant(packing.lengths, np.int64)


# ------------------------------------------------------------------- single steps


def gates(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None, count: int
) -> list[Value]:  # fmt: skip
    parts = g.Split(linear(g, x, weight, bias), axis=-1, num_outputs=count, outputs=count)
    return list(parts)


@aten("lstm_cell")
def lstm_cell(
    g: TorchBuilder, x: Value, hx: Sequence[Value], w_ih: Value, w_hh: Value, b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, Value]:  # fmt: skip
    hidden, cell = hx
    total = g.Add(linear(g, x, w_ih, b_ih), linear(g, hidden, w_hh, b_hh))
    into, forget, new, out = g.Split(total, axis=-1, num_outputs=4, outputs=4)
    cell = g.Add(g.Mul(g.Sigmoid(forget), cell), g.Mul(g.Sigmoid(into), g.Tanh(new)))
    return g.Mul(g.Sigmoid(out), g.Tanh(cell)), cell


@aten("gru_cell")
def gru_cell(
    g: TorchBuilder, x: Value, hx: Value, w_ih: Value, w_hh: Value, b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:  # fmt: skip
    of_x, of_h = gates(g, x, w_ih, b_ih, 3), gates(g, hx, w_hh, b_hh, 3)
    reset, update = (g.Sigmoid(g.Add(a, b)) for a, b in zip(of_x[:2], of_h[:2], strict=True))
    new = g.Tanh(g.Add(of_x[2], g.Mul(reset, of_h[2])))
    y: Value = g.Add(new, g.Mul(update, g.Sub(hx, new)))
    return y


@aten("rnn_tanh_cell")
def rnn_tanh_cell(
    g: TorchBuilder, x: Value, hx: Value, w_ih: Value, w_hh: Value, b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:  # fmt: skip
    y: Value = g.Tanh(g.Add(linear(g, x, w_ih, b_ih), linear(g, hx, w_hh, b_hh)))
    return y


@aten("rnn_relu_cell")
def rnn_relu_cell(
    g: TorchBuilder, x: Value, hx: Value, w_ih: Value, w_hh: Value, b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:  # fmt: skip
    y: Value = g.Relu(g.Add(linear(g, x, w_ih, b_ih), linear(g, hx, w_hh, b_hh)))
    return y
