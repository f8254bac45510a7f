"""Recurrent layers whose steps are one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import text

Mode = Literal["rnn_relu", "rnn_tanh", "lstm", "gru"]

# For each mode, where ONNX's gates are among MXNet's: LSTM has i f g o (ONNX i o f g), GRU r z n (ONNX z r n).
_GATES: dict[str, tuple[int, ...]] = {"rnn_relu": (0,), "rnn_tanh": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}


@dataclass(frozen=True)
class Stack:
    """What an RNN says of its layers."""

    mode: Mode
    hidden: int
    layers: int
    directions: int

    @property
    def rows(self) -> int:
        return len(_GATES[self.mode]) * self.hidden

    def count(self, features: int) -> int:
        """How many parameters all layers have (GetRnnParamSize)."""
        widths = [features, *[self.hidden * self.directions] * (self.layers - 1)]
        return sum((width + self.hidden + 2) * self.rows * self.directions for width in widths)


@mxnet_op("RNN", outputs=("output", "state_output", "statecell_output"))
def rnn(
    g: MXNetBuilder, data: Value, parameters: Value, state: Value, *more: Value, state_size: int, num_layers: int,
    mode: Mode, bidirectional: bool = False, p: float = 0.0, state_outputs: bool = False,
    projection_size: int | None = None, lstm_state_clip_min: float | None = None,
    lstm_state_clip_max: float | None = None, lstm_state_clip_nan: bool = False, use_sequence_length: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """rnn-inl.h: sequences [T, N, I] to [T, N, D H]; states are [layers D, N, H].

    `more` is the state of an LSTM's cells, then the lengths of the sequences if they are used (by cuDNN alone: what
    lies behind the end is 0). The dropout p is for the training.
    """
    if projection_size is not None or lstm_state_clip_min is not None or lstm_state_clip_max is not None:
        raise g.unsupported("projection_size and the clipping of states are not supported")
    if min(state_size, num_layers) < 1:
        raise ConversionError(f"{num_layers} layers of {state_size} make no sense", g.origin)
    stack = Stack(mode, state_size, num_layers, 2 if bidirectional else 1)
    expected = (mode == "lstm") + use_sequence_length
    if len(more) != expected:
        raise ConversionError(f"{mode} takes {3 + expected} inputs and got {3 + len(more)}", g.origin)
    lengths = g.cast(more[-1], np.int32) if use_sequence_length else None
    return _stacked(g, data, parameters, [state, *more[: int(mode == "lstm")]], lengths, stack)


def _stacked(
    g: MXNetBuilder, data: Value, parameters: Value, states: list[Value], lengths: Value | None, stack: Stack
) -> tuple[Value, ...]:
    features = data.shape[2] if data.shape and len(data.shape) == 3 else None
    if not isinstance(features, int):
        raise g.unsupported("the number of features is not known")
    vector = _flat(g, parameters, stack.count(features))
    starts = [_begin(g, state, data, stack) for state in states]
    results: list[list[Value]] = []
    x, at, bias_at = data, 0, vector.size - 2 * stack.rows * stack.directions * stack.layers
    for layer in range(stack.layers):
        width = features if layer == 0 else stack.hidden * stack.directions
        end = at + (width + stack.hidden) * stack.rows * stack.directions
        bias_end = bias_at + 2 * stack.rows * stack.directions
        tensors = _tensors(g, vector[at:end], vector[bias_at:bias_end], width, stack)
        first = layer * stack.directions
        initial = [None if start is None else _part(g, start, first, stack) for start in starts]
        x, *ends = _layer(g, x, tensors, lengths, initial, stack)
        results.append(ends)
        at, bias_at = end, bias_end
    return x, *(_joined(g, list(ends)) for ends in zip(*results, strict=True))


def _flat(g: MXNetBuilder, parameters: Value, count: int) -> np.ndarray:
    """The vector of all parameters: the weights of all layers and directions, then their biases."""
    parameters = g.parameter(parameters, count)
    known = _known(g, parameters)
    if known is None:
        raise g.unsupported(f"its parameters '{parameters.name}' are computed by the network")
    if known.size != count:
        raise ConversionError(f"it has {known.size} parameters, and {count} were expected", g.origin)
    return known


def _known(g: MXNetBuilder, value: Value) -> np.ndarray | None:
    """The data of a vector that is a constant, or constants reshaped and joined (as Gluon's layers are)."""
    if value.is_constant:
        return value.array.ravel()
    node = g.graph.producer(value) if value in g.graph.nx else None
    if node is None or node.op not in ("Reshape", "Flatten", "Identity", "Concat"):
        return None
    if node.op == "Concat" and node.attributes["axis"] != 0:
        return None  # its elements are not those of its parts one after the other
    sources = node.inputs if node.op == "Concat" else node.inputs[:1]
    parts = [None if source is None else _known(g, source) for source in sources]
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if len(found) == len(parts) else None


def _tensors(g: MXNetBuilder, weights: np.ndarray, biases: np.ndarray, width: int, stack: Stack) -> list[Value]:
    """W [D, gates H, width], R [D, gates H, H] and B [D, 2 gates H] of one layer."""
    each = weights.reshape(stack.directions, -1)
    split = stack.rows * width
    inputs, recurrent = each[:, :split].reshape(-1, stack.rows, width), each[:, split:]
    recurrent = recurrent.reshape(-1, stack.rows, stack.hidden)
    halves = biases.reshape(stack.directions, 2, stack.rows)
    bias = np.concatenate([_ordered(halves[:, half], stack) for half in (0, 1)], axis=1)
    return [g.constant(array) for array in (_ordered(inputs, stack), _ordered(recurrent, stack), bias)]


def _ordered(array: np.ndarray, stack: Stack) -> np.ndarray:
    """`array` [D, gates H, ...] with the gates in ONNX's order."""
    gates = np.split(array, len(_GATES[stack.mode]), axis=1)
    return np.concatenate([gates[gate] for gate in _GATES[stack.mode]], axis=1)


def _begin(g: MXNetBuilder, state: Value, data: Value, stack: Stack) -> Value | None:
    """The state at the start; None for zeros, also for those that were made before the batch was known."""
    if state.is_constant and not state.array.any():
        return None
    wanted = (stack.layers * stack.directions, data.shape[1] if data.shape else None, stack.hidden)
    if state.shape is not None and len(state.shape) != 3:
        raise ConversionError(f"a state is {text(state.shape)}, {text(wanted)} was expected", g.origin)
    return state


def _part(g: MXNetBuilder, state: Value, first: int, stack: Stack) -> Value:
    """The states of one layer."""
    if stack.layers == 1:
        return state
    return g.Slice(state, [first], [first + stack.directions], [0])


def _layer(
    g: MXNetBuilder, x: Value, tensors: list[Value], lengths: Value | None, initial: list[Value | None], stack: Stack
) -> tuple[Value, ...]:
    """[T, N, D H], then the states at the end, each [D, N, H]."""
    direction = "bidirectional" if stack.directions == 2 else "forward"
    common: dict[str, Any] = {"hidden_size": stack.hidden, "direction": direction}
    inputs = [x, *tensors, lengths, *initial]
    if stack.mode == "lstm":
        y, *ends = g.op("LSTM", inputs, outputs=3, **common)
    elif stack.mode == "gru":
        y, *ends = g.op("GRU", inputs, outputs=2, linear_before_reset=1, **common)
    else:
        name = "Relu" if stack.mode == "rnn_relu" else "Tanh"
        y, *ends = g.op("RNN", inputs, outputs=2, activations=(name,) * stack.directions, **common)
    if stack.directions == 1:
        return g.Squeeze(y, [1]), *ends
    return g.Reshape(g.Transpose(y, perm=(0, 2, 1, 3)), [0, 0, 2 * stack.hidden]), *ends


def _joined(g: MXNetBuilder, ends: list[Value]) -> Value:
    return ends[0] if len(ends) == 1 else g.Concat(*ends, axis=0)
