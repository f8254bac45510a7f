"""Layers around a layer: Bidirectional and TimeDistributed (keras/src/layers/rnn/)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.cells import CELLS
from netglot.frontends.keras.recurrent import Layer, arguments, flat, read_layer, recur
from netglot.frontends.keras.timesteps import fold_time, unfold_time
from netglot.ir.graph import Value

_MERGES = {"concat", "sum", "mul", "ave", None}


@keras_layer("Bidirectional", mask="own")
def bidirectional(
    g: KerasBuilder, x: Value, *more: Any, layer: Mapping[str, Any], backward_layer: Mapping[str, Any] | None = None,
    merge_mode: str | None = "concat", initial_state: Any = None, mask: Any = None,
) -> Any:  # fmt: skip
    """Both directions on x [N, T, ...]; the backward one's outputs are turned round again."""
    if merge_mode not in _MERGES:
        raise g.unsupported(f"merge_mode {merge_mode!r}")
    forward = directed(g, layer, "forward_layer")
    backward = directed(g, backward_layer or opposite(layer), "backward_layer")
    states, mask = arguments(g, more, initial_state, mask, x)
    halves = [states[: len(states) // 2], states[len(states) // 2 :]]
    runs = recur(g, [forward, backward], forward.enter(g, x), halves, mask)
    y = forward.output(g, runs[0], flipped=forward.options.go_backwards)
    back = backward.output(g, runs[1], flipped=not backward.options.go_backwards)
    outputs = [y, back] if merge_mode is None else [merged(g, y, back, merge_mode)]
    for output in outputs if forward.options.return_sequences else ():
        g.set_mask(output, mask)
    outputs += [*forward.states(g, runs[0]), *backward.states(g, runs[1])]
    return outputs if len(outputs) > 1 else outputs[0]


def directed(g: KerasBuilder, serialized: Mapping[str, Any], part: str) -> Layer:
    """One of the two layers; it gives zeros for masked steps, whatever it says itself."""
    name = str(serialized.get("class_name"))
    if name != "RNN" and name not in CELLS:
        raise g.unsupported(f"the layer {name} inside")
    with g.part(part):
        layer = read_layer(g, name, serialized.get("config", {}))
    return replace(layer, options=replace(layer.options, zero_output_for_mask=layer.options.return_sequences))


def opposite(serialized: Mapping[str, Any]) -> Mapping[str, Any]:
    config = serialized.get("config", {})
    return {**serialized, "config": {**config, "go_backwards": not config.get("go_backwards", False)}}


def merged(g: KerasBuilder, y: Value, back: Value, mode: str) -> Value:
    if mode == "concat":
        return g.Concat(y, back, axis=y.rank - 1)
    if mode == "mul":
        return g.Mul(y, back)
    both: Value = g.Add(y, back)
    return both if mode == "sum" else g.Mul(both, 0.5)


@keras_layer("TimeDistributed", mask="own")
def time_distributed(g: KerasBuilder, *inputs: Any, layer: Mapping[str, Any], mask: Value | None = None) -> Any:
    """The layer on every time step of x [N, T, ...]: no layer mixes samples, so time is folded into the batch."""
    tensors = flat(inputs)
    if not tensors or any(x.shape is None or x.rank < 3 for x in tensors):
        raise ConversionError(f"{g.type} needs inputs with axes after batch and time", g.origin)
    mask = mask or g.mask_of(tensors[0])
    if mask is not None and mask.rank > 2:
        raise g.unsupported("a mask of more than batch and time")
    results = g.layer(layer, [fold_time(g, x) for x in tensors], part="layer")
    outputs = [unfold_time(g, y, tensors[0]) for y in flat(results)]
    for y in outputs:
        g.set_mask(y, mask)
    return outputs if isinstance(results, (list, tuple)) else outputs[0]
