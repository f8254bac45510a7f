"""LSTM, GRU and RNN (runtime/recurrent.h)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from math import inf, prod
from typing import Any

import numpy as np

from netglot.backends.cpp.context import CppBuilder, cpp_op, number
from netglot.backends.cpp.convolution import FLOAT
from netglot.backends.cpp.nest import numbers, offset
from netglot.backends.cpp.packing import Window, pack, pack_channels
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value
from netglot.passes.recurrent import Activation, activations, why_not

# Activation functions of x, by name; A and B stand for alpha and beta, T for the type.
_FUNCTIONS: dict[str, str] = {
    "relu": "netglot::maximum(x, T(0))",
    "tanh": "std::tanh(x)",
    "sigmoid": "netglot::sigmoid(x)",
    "softsign": "x / (1 + std::abs(x))",
    "softplus": "netglot::softplus(x)",
    "elu": "x < 0 ? A * std::expm1(x) : x",
    "leakyrelu": "x < 0 ? A * x : x",
    "thresholdedrelu": "x > A ? x : T(0)",
    "hardsigmoid": "netglot::maximum(T(0), netglot::minimum(T(1), A * x + B))",
    "affine": "A * x + B",
    "scaledtanh": "A * std::tanh(B * x)",
}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _layer(op: str, switch: str) -> Any:
    """The function for `op`; the attribute `switch` chooses between two forms of its kernel."""

    def function(
        m: CppBuilder, *values: Value | None, activations: Sequence[str] = (), activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (), clip: float | None = None, direction: str = "forward",
        hidden_size: int | None = None, input_forget: int = 0, layout: int = 0, linear_before_reset: int = 0,
    ) -> str:  # fmt: skip
        chosen = {"input_forget": input_forget, "linear_before_reset": linear_before_reset}.get(switch)
        given = {"activations": activations, "activation_alpha": activation_alpha, "activation_beta": activation_beta}
        return _write(
            m, op, values, {**given, "clip": clip, "direction": direction, "layout": layout, "switch": chosen}
        )

    return function


for _op, _switch in {"LSTM": "input_forget", "GRU": "linear_before_reset", "RNN": ""}.items():
    cpp_op(_op)(_layer(_op, _switch))


def _write(m: CppBuilder, op: str, values: Sequence[Value | None], attributes: Mapping[str, Any]) -> str:
    """One call of the kernel for each direction."""
    x, _, recurrent, _, lengths = values[:5]
    assert x is not None
    assert recurrent is not None
    if m.kind(x) not in ("float", "double"):
        raise NotMappedError(f"it computes with {m.kind(x)}")
    if lengths is not None and m.kind(lengths) != "std::int32_t":
        raise NotMappedError(f"the lengths of its sequences are {m.kind(lengths)}")
    if reason := why_not(op, x.shape, attributes):
        raise NotMappedError(reason)
    if op == "LSTM" and _is_fast(values, attributes):
        return "\n  ".join(_fast_lstm(m, values, attributes, i) for i in range(recurrent.sizes[0]))
    scratch = m.scratch(x.dtype, (2 + _GATES[op]) * recurrent.sizes[2])
    calls = [_call(m, op, values, attributes, i, scratch) for i in range(recurrent.sizes[0])]
    return "\n  ".join(calls)


def _call(
    m: CppBuilder, op: str, values: Sequence[Value | None], attributes: Mapping[str, Any], index: int, scratch: str
) -> str:
    if op == "LSTM":
        x, w, r, bias, lengths, h, c, peepholes, y, last_h, last_c = values
    else:
        (x, w, r, bias, lengths, h, y, last_h), (c, peepholes, last_c) = values, (None,) * 3
    assert x is not None
    assert r is not None
    steps, batch = x.sizes[1::-1] if attributes["layout"] else x.sizes[:2]
    reverse = index == 1 or attributes["direction"] == "reverse"
    flags = ", ".join(str(bool(flag)).lower() for flag in (reverse, attributes["layout"]))
    sequence = f"netglot::Sequence<{numbers([steps, batch, x.sizes[2], r.sizes[2], r.sizes[0], index])}, {flags}>"
    parts = [m.ref(x), *(_part(m, value, index) for value in (w, r, bias)), m.optional(lengths)]
    parts += [m.optional(h), m.optional(c), _part(m, peepholes, index)]
    parts += [*(m.optional(value) for value in (y, last_h, last_c)), scratch]
    functions = [_function(m, x, item, attributes["clip"]) for item in activations(op, attributes)[index]]
    switch = "" if attributes["switch"] is None else f", {str(bool(attributes['switch'])).lower()}"
    tensors = f"netglot::Recurrent<{m.kind(x)}>{{{', '.join(parts)}}}"
    return f"netglot::{op.lower()}<{sequence}{switch}>(\n      {tensors},\n      {', '.join(functions)});"


def _is_fast(values: Sequence[Value | None], attributes: Mapping[str, Any]) -> bool:
    """Whether the kernel on vectors has this LSTM: known weights, the usual functions, sequences of one length."""
    x, w, r, bias, lengths, _, _, peepholes = values[:8]
    known = all(v is None or v.is_constant for v in (w, r, bias)) and lengths is None and peepholes is None
    usual = all([name for name, _ in each] == ["sigmoid", "tanh", "tanh"] for each in activations("LSTM", attributes))
    plain = attributes["clip"] is None and not attributes["switch"] and not attributes["layout"]
    return known and usual and plain and x is not None and x.dtype == FLOAT and prod(x.sizes) > 0


def _fast_lstm(m: CppBuilder, values: Sequence[Value | None], attributes: Mapping[str, Any], index: int) -> str:
    """What the inputs give to the gates of all steps is one product; then the steps follow one another."""
    x, w, r, bias, _, first_h, first_c, _, y, last_h, last_c = values
    assert x is not None
    assert w is not None
    assert r is not None
    (steps, batch, inputs), (directions, gates, hidden) = x.sizes, r.sizes
    given, scratch = (m.scratch(FLOAT, count * batch * hidden) for count in (4 * steps, 6))
    biases = np.zeros(gates, FLOAT) if bias is None else bias.array[index].reshape(2, gates).sum(0)
    window = Window(1, 1, steps * batch, inputs, 1, steps * batch, gates)
    weights, states = (m.table(pack(v.array[index][:, :, None, None], 1), "weights") for v in (w, r))
    finish = f"{{{m.table(pack_channels(biases), 'bias')}, nullptr, {number(-inf, x)}, {number(inf, x)}}}"
    reverse = str(index == 1 or attributes["direction"] == "reverse").lower()
    ends = ", ".join([*map(m.optional, (first_h, first_c, y, last_h, last_c)), scratch])
    return (
        f"netglot::conv({{{numbers(astuple(window))}}}, {finish},\n"
        f"      {m.ref(x)}, {weights}, nullptr, {{nullptr, 0, 0}}, {given}, parallel);\n"
        f"  netglot::lstm({{{numbers((steps, batch, hidden, directions, index))}, {reverse}}},\n"
        f"      {given}, {states}, {ends}, parallel);"
    )


def _part(m: CppBuilder, value: Value | None, index: int) -> str:
    """A pointer to what `value` holds for one direction."""
    return "nullptr" if value is None else offset(m.ref(value), index * (value.sizes[1] * _width(value)))


def _width(value: Value) -> int:
    return value.sizes[2] if value.rank > 2 else 1


def _function(m: CppBuilder, x: Value, activation: Activation, clip: float | None) -> str:
    name, parameters = activation
    names = dict(zip("AB", (number(value, x) for value in parameters), strict=False)) | {"T": m.kind(x)}
    text = re.sub(r"\b[ABT]\b", lambda match: names[match[0]], _FUNCTIONS[name])
    bound = "" if clip is None else _clipped(number(clip, x))
    return f"[]({m.kind(x)} x) -> {m.kind(x)} {{ {bound}return {text}; }}"


def _clipped(most: str) -> str:
    return f"x = netglot::maximum(-{most}, netglot::minimum({most}, x)); "
