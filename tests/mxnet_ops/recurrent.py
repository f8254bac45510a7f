"""Rows of fused recurrent layers: sequences of 5 steps, 2 of them, 3 features, 4 units."""

from __future__ import annotations

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
STEPS, BATCH, FEATURES, UNITS = 5, 2, 3, 4


def rnn(mode: str, layers: int = 1, both: bool = False, *, states: bool = False, targets: tuple[str, ...] = ()) -> Row:
    """`states`: they are fed and given back, else they are saved."""
    directions = 2 if both else 1
    rows = GATES[mode] * UNITS * directions
    count = sum(rows * (width + UNITS + 2) for width in (FEATURES, *[UNITS * directions] * (layers - 1)))
    kind = In if states else P
    state = kind((layers * directions, BATCH, UNITS))
    attributes = {"mode": mode, "num_layers": layers, "state_size": UNITS, "bidirectional": both, "p": 0.3}
    inputs = [In((STEPS, BATCH, FEATURES)), P((count,), low=-0.5, high=0.5), state, *[state] * (mode == "lstm")]
    outputs = (0, 1, 2)[: 3 if mode == "lstm" else 2] if states else (0,)
    name = f"{mode} {layers}{' both' * both}{' states' * states}"
    return Row("RNN", {**attributes, "state_outputs": states}, inputs, name, outputs=outputs, targets=targets)


ROWS = [
    *(rnn(mode, targets=ALL) for mode in GATES),
    *(rnn(mode, 2, True, states=True) for mode in GATES),
    *(rnn(mode, 3, states=True) for mode in ("lstm", "gru")),
    rnn("lstm", 2, True, targets=("coreml",)),
    rnn("gru", 1, True),
]
