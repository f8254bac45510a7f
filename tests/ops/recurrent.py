"""Recurrence and control flow. Sizes: T = 3 steps, B = 2 samples, I = 4 inputs, H = 5 hidden; GATES by operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from tests.ops.table import In, Row, const

T, B, I, H = 3, 2, 4, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
X = In((T, B, I))
ONE_GATE = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


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
        recurrent(op, "full-lengths", lengths=np.array([T, T], np.int32)),
        recurrent(op, "one-step", x=In((1, B, I))),
        recurrent(op, "long", x=In((21, B, I))),
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

ROWS = [*LAYERS, *ACTIVATIONS, *MODES]
