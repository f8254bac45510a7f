"""The cells of Keras' recurrent layers: what one step computes (keras/src/layers/rnn/*.py).

A cell sees time-major sequences [T, N, ...]. What does not depend on the state is computed for all steps at once, in
`project`; `step` is the rest.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder
from netglot.frontends.keras.config import is_for_training, value_of
from netglot.frontends.keras.timesteps import fold_time, known_sizes, unfold_time
from netglot.frontends.keras.weights import snake_case
from netglot.ir.graph import Graph, Value
from netglot.ir.types import channels_last, inverse

Maker = TypeVar("Maker", bound=Callable[..., Any])
CELLS: dict[str, Callable[..., Cell]] = {}  # makers of cells by class name; they read the cell's variables

# What ONNX's LSTM, GRU and RNN can compute inside, with the parameters each takes.
_INSIDE = {
    "Tanh": (), "Sigmoid": (), "Relu": (), "Softsign": (), "Softplus": (),
    "HardSigmoid": ("alpha", "beta"), "Elu": ("alpha",), "LeakyRelu": ("alpha",), "ThresholdedRelu": ("alpha",),
}  # fmt: skip
_DEFAULTS = {"HardSigmoid": {"alpha": 0.2, "beta": 0.5}, "LeakyRelu": {"alpha": 0.01}}


class Cell(Protocol):
    """One step of a recurrence. States are lists; the output of a step is also the state number `output`."""

    @property
    def states(self) -> int: ...

    @property
    def output(self) -> int: ...

    def project(self, g: KerasBuilder, x: Value) -> Value:
        """What steps get from their inputs x [..., N, features], one or all of them."""

    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        """The next states, of what `project` made of one input and the states before."""

    def zeros(self, g: KerasBuilder, projected: Value) -> list[Value]:
        """The states before the first step of a projected sequence [T, N, ...]."""

    def enter(self, g: KerasBuilder, x: Value, lead: int) -> Value:
        """A sequence or state of the layer in this cell's layout; `lead` axes (time, batch) come first."""

    def leave(self, g: KerasBuilder, y: Value, lead: int) -> Value:
        """The inverse of `enter`."""


def cell(*classes: str) -> Callable[[Maker], Maker]:
    """Registers the maker of cells: keyword-only parameters are the configuration of the cell's class."""

    def register(make: Maker) -> Maker:
        CELLS.update(dict.fromkeys(classes, make))
        return make

    return register


@dataclass(frozen=True)
class DenseCell:
    """What the cells with a kernel [I, G units], a recurrent kernel [units, G units] and a bias share."""

    units: int
    activations: tuple[Any, ...]  # the gates' if there are gates, then the output's
    kernel: Value
    recurrent: Value
    bias: Value | None

    states: ClassVar[int] = 1
    output: ClassVar[int] = 0
    op: ClassVar[str] = "RNN"
    order: ClassVar[tuple[int, ...]] = (0,)  # ONNX's gates among Keras'

    def project(self, g: KerasBuilder, x: Value) -> Value:
        y: Value = g.MatMul(x, self.kernel)
        return y if self.bias is None else g.Add(y, self._input_bias(g))

    def _input_bias(self, g: KerasBuilder) -> Value | None:
        return self.bias

    def zeros(self, g: KerasBuilder, projected: Value) -> list[Value]:
        return [zero_state(g, projected, (self.units,))] * self.states

    def enter(self, g: KerasBuilder, x: Value, lead: int) -> Value:
        return x

    leave = enter

    # ------------------------------------------------ as one of ONNX's operators

    def attributes(self) -> dict[str, int]:
        return {}

    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """W [1, G H, I], R [1, G H, H] and B [1, 2 G H] of ONNX."""
        bias = None if self.bias is None else self._both_biases(self.bias.array)
        return self._ordered(self.kernel.array), self._ordered(self.recurrent.array), bias

    def _ordered(self, kernel: np.ndarray) -> np.ndarray:
        gates = kernel.T.reshape(len(self.order), self.units, -1)
        return gates[list(self.order)].reshape(1, len(self.order) * self.units, -1)

    def _both_biases(self, bias: np.ndarray) -> np.ndarray:
        biases = bias.reshape(-1, len(self.order), self.units)[:, list(self.order)].reshape(1, -1)
        wanted = 2 * len(self.order) * self.units
        return np.pad(biases, ((0, 0), (0, wanted - biases.shape[1])))


class SimpleCell(DenseCell):
    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        return [g.activate(g.Add(x, g.MatMul(states[0], self.recurrent)), self.activations[0])]


class LSTMCell(DenseCell):
    states = 2
    op = "LSTM"
    order = (0, 3, 1, 2)

    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        return lstm_step(g, g.Add(x, g.MatMul(states[0], self.recurrent)), states[1], self.activations)


@dataclass(frozen=True)
class GRUCell(DenseCell):
    reset_after: bool = False

    op = "GRU"
    order = (0, 1, 2)

    def attributes(self) -> dict[str, int]:
        return {"linear_before_reset": int(self.reset_after)}

    def _input_bias(self, g: KerasBuilder) -> Value | None:
        return g.constant(self.bias.array[0]) if self.bias is not None and self.reset_after else self.bias

    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        h, (gate, out) = states[0], self.activations
        zr, candidate = g.Split(x, [2 * self.units, self.units], axis=x.rank - 1, outputs=2)
        inner = self._inner(g, h)
        sizes = [2 * self.units, self.units]
        inner_zr, inner_h = g.Split(inner, sizes, axis=1, outputs=2) if self.reset_after else (inner, None)
        z, r = g.Split(g.activate(g.Add(zr, inner_zr), gate), [self.units] * 2, axis=1, outputs=2)
        kernel = self.recurrent.array[:, 2 * self.units :]
        remembered = g.Mul(r, inner_h) if self.reset_after else g.MatMul(g.Mul(r, h), g.constant(kernel))
        fresh = g.activate(g.Add(candidate, remembered), out)
        return [g.Add(g.Mul(z, h), g.Mul(g.Sub(1.0, z), fresh))]

    def _inner(self, g: KerasBuilder, h: Value) -> Value:
        """What the state gives to all three gates, or to the first two where the reset comes before the product."""
        if not self.reset_after:
            return g.MatMul(h, g.constant(self.recurrent.array[:, : 2 * self.units]))
        inner: Value = g.MatMul(h, self.recurrent)
        return inner if self.bias is None else g.Add(inner, g.constant(self.bias.array[1]))


def lstm_step(g: KerasBuilder, gates: Value, carry: Value, activations: Sequence[Any], axis: int = 1) -> list[Value]:
    """The next (hidden, carry) of gates in the order input, forget, candidate, output along `axis`."""
    inner, out = activations
    units = gates.shape[axis] // 4  # type: ignore[index, operator]
    i_f, candidate, o = g.Split(gates, [2 * units, units, units], axis=axis, outputs=3)
    i, f = g.Split(g.activate(i_f, inner), [units] * 2, axis=axis, outputs=2)
    carry = g.Add(g.Mul(f, carry), g.Mul(i, g.activate(candidate, out)))
    return [g.Mul(g.activate(o, inner), g.activate(carry, out)), carry]


def zero_state(g: KerasBuilder, projected: Value, sizes: Sequence[int]) -> Value:
    """Zeros [N, *sizes] for a sequence [T, N, ...]."""
    shape = g.Concat(g.Shape(projected, start=1, end=2), list(sizes), axis=0)
    batch = None if projected.shape is None else projected.shape[1]
    zeros: Value = g.ConstantOfShape(shape, value=np.zeros(1, projected.dtype))
    if not zeros.is_constant:
        zeros.shape = (batch, *sizes)
    return zeros


# --------------------------------------------------------------- the activations


@dataclass(frozen=True)
class Inside:
    """An activation of ONNX's recurrent operators."""

    op: str
    alpha: float | None = None
    beta: float | None = None


def inside(g: KerasBuilder, activation: Any) -> Inside | None:
    """The one ONNX operator that `activation` is, with its alpha and beta, if ONNX's recurrent operators know it.

    It is applied to a scratch value to see what it is made of: what activations mean is written elsewhere.
    """
    with scratch(g, "activation"):
        x = g.graph.add_value("x", np.dtype(np.float32), (1, 1))
        y = g.activate(x, activation)
        node, count = g.graph.producer(y), len(g.graph.nodes())
    if y is x:
        return Inside("Affine", 1.0, 0.0)
    if node is None or count != 1 or node.op not in _INSIDE or node.inputs != (x,):
        return None
    given = _DEFAULTS.get(node.op, {}) | node.attributes
    alpha, beta = (float(given.get(name, 1.0)) if name in _INSIDE[node.op] else None for name in ("alpha", "beta"))
    return Inside(node.op, alpha, beta)


@contextmanager
def scratch(g: KerasBuilder, name: str) -> Iterator[Graph]:
    """Inside, nodes are added to a graph of their own; what is outside may be read there."""
    outer, constants = g.graph, g.constants
    g.graph, g.constants = Graph(name), dict(constants)
    try:
        with g.at(replace(g.origin, layer=f"{g.origin.layer}/{name}")):
            yield g.graph
    finally:
        outer.warnings += g.graph.warnings
        g.graph, g.constants = outer, constants


# -------------------------------------------------------------------- the makers


def make_cell(g: KerasBuilder, serialized: Mapping[str, Any]) -> Cell:
    """The cell of a serialised one; `g.weight` gives its variables."""
    name = serialized.get("class_name")
    if name not in CELLS:
        raise g.unsupported(f"the cell {name}")
    make = CELLS[name]
    config = settings(g, name, serialized.get("config", {}), inspect.signature(make).parameters)
    try:
        made: Cell = make(g, **config)
    except TypeError as error:
        raise ConversionError(f"{name}: {error}", g.origin) from None
    return made


def settings(g: KerasBuilder, name: str, config: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """The `known` keys of the configuration of a part; another must be for training only or switched off."""
    for key, item in config.items():
        if key not in known and not is_for_training(key) and item is not None and item is not False:
            raise g.unsupported(f"the option {key} of {name}")
    return {key: value_of(item, g.origin) for key, item in config.items() if key in known}


def dense_variables(g: KerasBuilder, units: int, gates: int, use_bias: bool) -> tuple[Value, Value, Value | None]:
    kernel = g.weight(None, gates * units, name="kernel")
    recurrent = g.weight(units, gates * units, name="recurrent_kernel")
    return kernel, recurrent, g.weight(gates * units, name="bias") if use_bias else None


@cell("SimpleRNN", "SimpleRNNCell")
def simple_rnn_cell(g: KerasBuilder, *, units: int, activation: Any = "tanh", use_bias: bool = True) -> SimpleCell:
    return SimpleCell(units, (activation,), *dense_variables(g, units, 1, use_bias))


@cell("LSTM", "LSTMCell")
def lstm_cell(
    g: KerasBuilder, *, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    use_bias: bool = True, implementation: int = 2,
) -> LSTMCell:  # fmt: skip
    return LSTMCell(units, (recurrent_activation, activation), *dense_variables(g, units, 4, use_bias))


@cell("GRU", "GRUCell")
def gru_cell(
    g: KerasBuilder, *, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    use_bias: bool = True, reset_after: bool = False, implementation: int = 2,
) -> GRUCell:  # fmt: skip
    """Files that do not say `reset_after` are older than it."""
    kernel, recurrent, _ = dense_variables(g, units, 3, False)
    sizes = (2, 3 * units) if reset_after else (3 * units,)
    bias = g.weight(*sizes, name="bias") if use_bias else None
    return GRUCell(units, (recurrent_activation, activation), kernel, recurrent, bias, reset_after=reset_after)


@cell("CuDNNLSTM")
def cudnn_lstm_cell(g: KerasBuilder, *, units: int) -> LSTMCell:
    """Each gate's kernels lie transposed in the file, as cuDNN reads them; its two biases are added."""
    kernel, recurrent = cudnn_kernels(g, units, 4)
    bias = g.constant(g.weight(8 * units, name="bias").array.reshape(2, -1).sum(axis=0))
    return LSTMCell(units, ("sigmoid", "tanh"), kernel, recurrent, bias)


@cell("CuDNNGRU")
def cudnn_gru_cell(g: KerasBuilder, *, units: int) -> GRUCell:
    kernel, recurrent = cudnn_kernels(g, units, 3)
    bias = g.constant(g.weight(6 * units, name="bias").array.reshape(2, -1))
    return GRUCell(units, ("sigmoid", "tanh"), kernel, recurrent, bias, reset_after=True)


def cudnn_kernels(g: KerasBuilder, units: int, gates: int) -> list[Value]:
    kernels = [g.weight(rows, gates * units, name="kernel").array for rows in (None, units)]
    split = [np.split(kernel, gates, axis=1) for kernel in kernels]
    return [g.constant(np.hstack([gate.reshape(units, -1).T for gate in parts])) for parts in split]


# ---------------------------------------------------------------- several in one


def make_cells(g: KerasBuilder, cells: Sequence[Mapping[str, Any]]) -> StackedCell:
    """A list of serialised cells as one; Keras names the parts of a list after their classes."""
    taken: Counter[str] = Counter()
    made = []
    for one in cells:
        name = snake_case(str(one.get("class_name")))
        with g.part(f"{name}_{taken[name]}" if taken[name] else name):
            made.append(make_cell(g, one))
        taken[name] += 1
    return StackedCell(tuple(made))


@dataclass(frozen=True)
class StackedCell:
    """Cells one upon the other (StackedRNNCells)."""

    cells: tuple[Cell, ...]

    @property
    def states(self) -> int:
        return sum(one.states for one in self.cells)

    @property
    def output(self) -> int:
        return self.states - self.cells[-1].states + self.cells[-1].output

    def project(self, g: KerasBuilder, x: Value) -> Value:
        return self.cells[0].project(g, x)

    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        made: list[Value] = []
        for number, one in enumerate(self.cells):
            fed = one.project(g, x) if number else x
            after = one.step(g, fed, states[len(made) : len(made) + one.states])
            x = after[one.output]
            made += after
        return made

    def zeros(self, g: KerasBuilder, projected: Value) -> list[Value]:
        return [state for one in self.cells for state in one.zeros(g, projected)]

    def enter(self, g: KerasBuilder, x: Value, lead: int) -> Value:
        return x

    leave = enter


@cell("StackedRNNCells")
def stacked_cells(
    g: KerasBuilder, *, cells: Sequence[Mapping[str, Any]], reverse_state_order: bool = False
) -> StackedCell:
    if reverse_state_order:
        raise g.unsupported("reverse_state_order")
    if not cells:
        raise g.unsupported("no cells")
    with g.part("cells"):
        return make_cells(g, cells)


# ----------------------------------------------------------------- convolutional


@dataclass(frozen=True)
class ConvCell:
    """ConvLSTM's cell (conv_lstm.py), channels first inside: x [N, C, ...], states [N, filters, ...]."""

    activations: tuple[Any, ...]
    kernel: Value  # [4 filters, C, ...]
    recurrent: Value
    bias: Value | None
    last: bool  # whether the layer's tensors are channels last
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    same: bool

    states: ClassVar[int] = 2
    output: ClassVar[int] = 0

    def enter(self, g: KerasBuilder, x: Value, lead: int) -> Value:
        return self._moved(g, x, lead, inverse(channels_last(x.rank - lead + 1)))

    def leave(self, g: KerasBuilder, y: Value, lead: int) -> Value:
        return self._moved(g, y, lead, channels_last(y.rank - lead + 1))

    def _moved(self, g: KerasBuilder, x: Value, lead: int, perm: Sequence[int]) -> Value:
        return g.Transpose(x, perm=(*range(lead), *(lead - 1 + axis for axis in perm[1:]))) if self.last else x

    def project(self, g: KerasBuilder, x: Value) -> Value:
        images = fold_time(g, x)
        pads = same_pads(g, images, self.kernel.sizes[2:], self.strides, self.dilations) if self.same else None
        y = g.Conv(
            images, self.kernel, self.bias, strides=self.strides, dilations=self.dilations, pads=pads,
            kernel_shape=self.kernel.sizes[2:],
        )  # fmt: skip
        return unfold_time(g, y, x)

    def step(self, g: KerasBuilder, x: Value, states: Sequence[Value]) -> list[Value]:
        sizes, ones = self.recurrent.sizes[2:], (1,) * len(self.strides)
        pads = same_pads(g, states[0], sizes, ones, ones)
        remembered = g.Conv(states[0], self.recurrent, pads=pads, kernel_shape=sizes)
        return lstm_step(g, g.Add(x, remembered), states[1], self.activations)

    def zeros(self, g: KerasBuilder, projected: Value) -> list[Value]:
        sizes = (self.recurrent.sizes[1], *known_sizes(g, projected, 3))
        return [zero_state(g, projected, sizes)] * 2


def same_pads(
    g: KerasBuilder, x: Value, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """TensorFlow's SAME: the output has ceil(size / stride); of an odd padding more comes after."""
    pairs = []
    for size, k, stride, dilation in zip(known_sizes(g, x, 2), kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        pairs.append((total // 2, total - total // 2))
    return (*(before for before, _ in pairs), *(after for _, after in pairs))


@cell("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm_cell(
    g: KerasBuilder, *, filters: int, kernel_size: Sequence[int], strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1, activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid", use_bias: bool = True,
) -> ConvCell:  # fmt: skip
    rank = len(kernel_size)
    sizes, strides, dilations = (per_axis(item, rank) for item in (kernel_size, strides, dilation_rate))
    if padding not in ("same", "valid"):
        raise g.unsupported(f"padding {padding!r}")
    perm = (rank + 1, rank, *range(rank))
    kernel = g.weight(*sizes, None, 4 * filters, name="kernel").array.transpose(perm)
    recurrent = g.weight(*sizes, filters, 4 * filters, name="recurrent_kernel").array.transpose(perm)
    bias = g.weight(4 * filters, name="bias") if use_bias else None
    last = (data_format or g.data_format) == "channels_last"
    activations = (recurrent_activation, activation)
    constants = g.constant(kernel), g.constant(recurrent)
    return ConvCell(activations, *constants, bias, last, strides, dilations, padding == "same")


def per_axis(item: Any, rank: int) -> tuple[int, ...]:
    return (item,) * rank if isinstance(item, int) else tuple(item)
