"""Keras' recurrent layers (keras/src/layers/rnn/rnn.py and its subclasses).

A layer whose activations ONNX's LSTM, GRU and RNN know, called without a mask, becomes that operator; any other becomes
a Scan over the cell's own arithmetic. A masked step keeps the states, and repeats the output before it or gives zeros.

Stateful layers begin at zero: a file has no memory of the last batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.cells import CELLS, Cell, DenseCell, inside, make_cell, scratch, settings
from netglot.frontends.keras.config import value_of
from netglot.ir.graph import Value

BEGIN = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Options:
    """What all recurrent layers have in their configuration."""

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False  # the same result: how it is computed is the target's choice
    time_major: bool = False
    zero_output_for_mask: bool = False
    use_cudnn: Any = "auto"


@dataclass(frozen=True)
class Run:
    """What a recurrence gives: all outputs [T, N, ...] in the order of time, that of the step done last, the states."""

    sequence: Value
    last: Value
    states: Sequence[Value]


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: how it is called and its cell."""

    options: Options
    cell: Cell

    def enter(self, g: KerasBuilder, x: Value) -> Value:
        """A sequence of the layer as [T, N, ...] in the cell's layout."""
        return self.cell.enter(g, x if self.options.time_major else swap_first(g, x), 2)

    def output(self, g: KerasBuilder, run: Run, *, flipped: bool) -> Value:
        """The layer's first output; `flipped` if its steps are to come in the reversed order of time."""
        if not self.options.return_sequences:
            return self.cell.leave(g, run.last, 1)
        y = self.cell.leave(g, flip(g, run.sequence, 0) if flipped else run.sequence, 2)
        return y if self.options.time_major else swap_first(g, y)

    def states(self, g: KerasBuilder, run: Run) -> list[Value]:
        return [self.cell.leave(g, state, 1) for state in run.states] if self.options.return_state else []


def read_layer(g: KerasBuilder, name: str, config: Mapping[str, Any]) -> Layer:
    """The layer of class `name`, its variables taken from `g.weight`."""
    own = {field.name for field in fields(Options)}
    options = Options(**{key: value_of(value, g.origin) for key, value in config.items() if key in own})
    rest = {key: value for key, value in config.items() if key not in own}
    if options.stateful:
        g.warn(f"{name} is stateful; the converted model begins at zero each time", "Return and feed its states.")
    with g.part("cell"):
        if name != "RNN":
            return Layer(options, make_cell(g, {"class_name": name, "config": rest}))
        return Layer(options, make_cell(g, settings(g, name, rest, {"cell"}).get("cell", {})))


# ------------------------------------------------------------------- the layers


def define(*classes: str) -> None:
    """Registers layers of the cell of the same name; their configuration is the cell's and that of Options."""
    for name in classes:
        keras_layer(name, mask="own")(_layer_function(name))


def _layer_function(name: str) -> Callable[..., Any]:
    def layer(g: KerasBuilder, x: Value, *more: Any, initial_state: Any = None, mask: Any = None, **config: Any) -> Any:
        return call(g, read_layer(g, name, config), x, *arguments(g, more, initial_state, mask, x))

    own = [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default) for f in fields(Options)]
    of_cell = [p for p in inspect.signature(CELLS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    of_call = [p for p in inspect.signature(layer).parameters.values() if p.kind is not p.VAR_KEYWORD]
    layer.__signature__ = inspect.Signature([*of_call, *own, *of_cell])  # type: ignore[attr-defined]
    return layer


define("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CuDNNLSTM", "CuDNNGRU")


@keras_layer("RNN", mask="own")
def rnn(
    g: KerasBuilder, x: Value, *more: Any, cell: Mapping[str, Any], return_sequences: bool = False,
    return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
    time_major: bool = False, zero_output_for_mask: bool = False, initial_state: Any = None, mask: Any = None,
) -> Any:  # fmt: skip
    config = {
        "cell": cell, "return_sequences": return_sequences, "return_state": return_state,
        "go_backwards": go_backwards, "stateful": stateful, "time_major": time_major,
        "zero_output_for_mask": zero_output_for_mask,
    }  # fmt: skip
    return call(g, read_layer(g, "RNN", config), x, *arguments(g, more, initial_state, mask, x))


def arguments(
    g: KerasBuilder, more: Sequence[Any], initial_state: Any, mask: Any, x: Value
) -> tuple[list[Value], Value | None]:
    """(states before the first step, mask): a call gives them by position, by keyword, or the mask comes with x.

    Keras 3 does not look at the mask of x where the call has other tensors too (Layer.__call__).
    """
    given = [*flat(more), *flat(initial_state)]
    masks = [value for value in [*given, *flat(mask)] if value.dtype == np.bool_]
    states = [value for value in given if value.dtype != np.bool_]
    own = None if states and g.era >= 3 else g.mask_of(x)
    return states, masks[0] if masks else own


def flat(item: Any) -> list[Value]:
    """The tensors of a nested list."""
    if isinstance(item, (list, tuple)):
        return [value for part in item for value in flat(part)]
    return [] if item is None else [item]


def call(g: KerasBuilder, layer: Layer, x: Value, states: Sequence[Value], mask: Value | None) -> Any:
    """One recurrent layer on x [N, T, ...]."""
    run = recur(g, [layer], layer.enter(g, x), [states], mask)[0]
    y = layer.output(g, run, flipped=layer.options.go_backwards)
    if layer.options.return_sequences:
        g.set_mask(y, mask)
    return [y, *layer.states(g, run)] if layer.options.return_state else y


def recur(
    g: KerasBuilder, layers: Sequence[Layer], x: Value, states: Sequence[Sequence[Value]], mask: Value | None
) -> list[Run]:
    """The runs of one layer, or of two in opposite directions, on x [T, N, ...]."""
    for layer, given in zip(layers, states, strict=True):
        if len(given) not in (0, layer.cell.states):
            raise g.unsupported(f"{len(given)} initial states; it has {layer.cell.states}")
    entered = [[layer.cell.enter(g, s, 1) for s in given] for layer, given in zip(layers, states, strict=True)]
    attributes = fused_attributes(g, layers) if mask is None else None
    if attributes is not None:
        return fused(g, layers, x, entered, attributes)
    if len(layers) == 1:
        return [scan(g, layers[0], x, entered[0], mask)]
    pairs = zip(layers, states, strict=True)
    return [run for layer, given in pairs for run in recur(g, [layer], x, [given], mask)]


# ------------------------------------------------ as one of ONNX's operators


def fused_attributes(g: KerasBuilder, layers: Sequence[Layer]) -> dict[str, Any] | None:
    """The attributes of the one ONNX operator that computes `layers`; None if there is none."""
    cells = [layer.cell for layer in layers if isinstance(layer.cell, DenseCell)]
    backwards = [layer.options.go_backwards for layer in layers]
    if len(cells) < len(layers) or (len(layers) == 2 and backwards != [False, True]):
        return None
    if any((c.op, c.units, c.attributes()) != (cells[0].op, cells[0].units, cells[0].attributes()) for c in cells):
        return None
    direction = "bidirectional" if len(cells) == 2 else "reverse" if backwards[0] else "forward"
    activations = fused_activations(g, cells)
    if activations is None:
        return None
    return {"hidden_size": cells[0].units, "direction": direction, **cells[0].attributes(), **activations}


def fused_activations(g: KerasBuilder, cells: Sequence[DenseCell]) -> dict[str, Any] | None:
    """ONNX's attributes for the activations of the cells: None where they can't be said.

    The specification leaves open whether functions without an alpha have a place in the list of alphas. So there is
    one number for all of them.
    """
    found = [inside(g, activation) for one in cells for activation in _in_order(one)]
    functions = [function for function in found if function is not None]
    if len(functions) < len(found):
        return None
    names = [function.op for function in functions]
    alphas = {function.alpha for function in functions if function.alpha is not None}
    betas = {function.beta for function in functions if function.beta is not None}
    if len(alphas) > 1 or len(betas) > 1:
        return None
    if set(names) <= {"Sigmoid", "Tanh"} and names == _DEFAULTS[cells[0].op] * len(cells):
        return {}
    lists = {"activation_alpha": [*alphas] * len(names), "activation_beta": [*betas] * len(names)}
    return {"activations": names, **{name: numbers for name, numbers in lists.items() if numbers}}


_DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def _in_order(cell: DenseCell) -> tuple[Any, ...]:
    """The activations as ONNX counts them: LSTM names the output's twice."""
    return (*cell.activations, cell.activations[-1]) if cell.op == "LSTM" else cell.activations


def fused(
    g: KerasBuilder, layers: Sequence[Layer], x: Value, states: Sequence[Sequence[Value]], attributes: Mapping[str, Any]
) -> list[Run]:
    """One LSTM, GRU or RNN for all `layers`."""
    cells = [layer.cell for layer in layers if isinstance(layer.cell, DenseCell)]
    weights, recurrents, biases = zip(*(one.operands() for one in cells), strict=True)
    given = [b for b in biases if b is not None]
    filled = [np.zeros_like(given[0]) if b is None else b for b in biases] if given else []
    initial = [by_direction(g, parts) for parts in zip(*states, strict=True)] if all(states) else []
    inputs = [x, np.vstack(weights), np.vstack(recurrents), np.vstack(filled) if filled else None, None, *initial]
    y, *last = g.op(cells[0].op, inputs, outputs=1 + cells[0].states, **attributes)
    split = [directions(g, y, 1, len(cells)), *(directions(g, state, 0, len(cells)) for state in last)]
    return [Run(sequence, finals[0], finals) for sequence, *finals in zip(*split, strict=True)]


def by_direction(g: KerasBuilder, states: Sequence[Value]) -> Value:
    """States [N, H], one for each direction, as [D, N, H]."""
    parts = [g.Unsqueeze(state, [0]) for state in states]
    return g.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]


def directions(g: KerasBuilder, y: Value, axis: int, count: int) -> list[Value]:
    """The inverse of `by_direction`."""
    parts = g.Split(y, [1] * count, axis=axis, outputs=count) if count > 1 else [y]
    return [g.Squeeze(part, [axis]) for part in parts]


# ---------------------------------------------------------------------- as Scan


def scan(g: KerasBuilder, layer: Layer, x: Value, given: Sequence[Value], mask: Value | None) -> Run:
    """A Scan over the steps of x [T, N, ...]; its body has the states, the output before if need be, x and the mask."""
    cell, fed = layer.cell, layer.cell.project(g, x)
    zeros = cell.zeros(g, fed) if not given or mask is not None else []
    states = [*(given or zeros)]
    repeats = mask is not None and not layer.options.zero_output_for_mask
    carried = [*states, zeros[cell.output]] if repeats else states
    scanned = [fed] if mask is None else [fed, time_mask(g, layer, mask, states[cell.output].rank)]
    with scratch(g, "step") as body:
        before = [body.add_input(f"{g.origin.layer}/state", np.dtype(v.dtype), v.shape) for v in carried]
        now = [body.add_input(f"{g.origin.layer}/input", np.dtype(v.dtype), v.shape and v.shape[1:]) for v in scanned]
        body.outputs = step(g, cell, now, before, repeats)
    ways = (int(layer.options.go_backwards),)
    made = g.op(
        "Scan", [*carried, *scanned], outputs=len(carried) + 1, body=body, num_scan_inputs=len(scanned),
        scan_input_directions=ways * len(scanned), scan_output_directions=ways,
    )  # fmt: skip
    for value, like in zip(made, carried, strict=False):
        value.shape = like.shape
    made[-1].shape = (fed.shape and fed.shape[0], *(states[cell.output].shape or ()))
    return Run(made[-1], last_output(g, layer, made, repeats, mask), made[: cell.states])


def last_output(g: KerasBuilder, layer: Layer, made: Sequence[Value], repeats: bool, mask: Value | None) -> Value:
    """The output of the step done last."""
    if repeats:
        return made[layer.cell.states]
    if mask is None:
        return made[layer.cell.output]
    last: Value = g.Gather(made[-1], 0 if layer.options.go_backwards else -1, axis=0)
    return last


def time_mask(g: KerasBuilder, layer: Layer, mask: Value, rank: int) -> Value:
    """A mask [N, T] as [T, N, 1...], to go with outputs of `rank`."""
    mask = mask if mask.dtype == np.bool_ else g.Cast(mask, to=9)
    mask = mask if layer.options.time_major else swap_first(g, mask)
    return g.Unsqueeze(mask, list(range(mask.rank, rank + 1))) if rank + 1 > mask.rank else mask


def step(g: KerasBuilder, cell: Cell, now: Sequence[Value], before: Sequence[Value], repeats: bool) -> list[Value]:
    """The outputs of the body: next states, then the output, twice if the next step wants to know it."""
    after = cell.step(g, now[0], before[: cell.states])
    if len(now) == 1:
        return [*after, g.Identity(after[cell.output])]
    mask, output = now[1], after[cell.output]
    kept = [g.Where(mask, new, old) for new, old in zip(after, before, strict=False)]
    if not repeats:
        return [*kept, g.Where(mask, output, 0.0)]
    output = g.Where(mask, output, before[-1])
    return [*kept, output, g.Identity(output)]


# ----------------------------------------------------------------------- shapes


def swap_first(g: KerasBuilder, x: Value) -> Value:
    """[A, B, ...] as [B, A, ...]."""
    y: Value = g.Transpose(x, perm=(1, 0, *range(2, x.rank)))
    return y


def flip(g: KerasBuilder, x: Value, axis: int) -> Value:
    y: Value = g.Slice(x, [-1], [BEGIN], [axis], [-1])
    return y
