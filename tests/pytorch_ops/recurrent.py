"""Rows of netglot/frontends/pytorch/operators/recurrent.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return (0.5 * _rng.standard_normal(shape)).astype(np.float32)


def _params(
    gates: int, features: int, hidden: int, layers: int = 1, directions: int = 1, *, biases: bool = True
) -> Any:
    found = []
    for layer in range(layers):
        size = features if layer == 0 else hidden * directions
        for _ in range(directions):
            found += [_w(gates * hidden, size), _w(gates * hidden, hidden)]
            found += [_w(gates * hidden), _w(gates * hidden)] if biases else []
    return found


def _row(op: str, x: Any, hx: Any, gates: int, *, layers: int = 1, both: bool = False, biases: bool = True,
         first: bool = False, hidden: int = 5, **more: Any) -> Row:  # fmt: skip
    params = _params(gates, x.shape[-1], hidden, layers, 2 if both else 1, biases=biases)
    return Row(op, x, hx, params, biases, layers, 0.0, False, both, first, **more)


def _packed(op: str, hx: Any, gates: int, *, layers: int = 1, both: bool = False, **more: Any) -> Row:
    params = _params(gates, 3, 5, layers, 2 if both else 1)
    return Row(op, T(9, 3), np.array([3, 3, 2, 1]), hx, params, True, layers, 0.0, False, both, **more)


ZEROS = np.zeros((1, 2, 5), np.float32)
ALL = ("tflite", "coreml", "cpp")
X, H = T(7, 2, 3), T(1, 2, 5)
LENGTHS = np.array([4, 3, 2])
ROWS = [
    _row("lstm.input", X, [H, H], 4, row_dynamic=True),
    _row("lstm.input", X, [ZEROS, ZEROS], 4, row_targets=ALL, name="from zeros"),
    _row("lstm.input", T(2, 7, 3), [T(4, 2, 5)] * 2, 4, layers=2, both=True, first=True, name="all", row_dynamic=True),
    _row("lstm.input", X, [H, H], 4, biases=False, name="no biases"),
    _row("gru.input", X, H, 3, row_dynamic=True),
    _row("gru.input", X, ZEROS, 3, row_targets=ALL, name="from zeros"),
    _row("gru.input", T(2, 7, 3), T(6, 2, 5), 3, layers=3, both=True, first=True, name="all", row_dynamic=True),
    _row("rnn_tanh.input", X, H, 1, row_dynamic=True),
    _row("rnn_tanh.input", T(2, 7, 3), T(4, 2, 5), 1, layers=2, both=True, first=True, biases=False, name="all"),
    _row("rnn_relu.input", X, ZEROS, 1, row_targets=ALL, name="from zeros"),
    _row("rnn_relu.input", X, T(4, 2, 5), 1, layers=2, both=True, row_dynamic=True, name="both ways"),
    Row("lstm.input", X, [ZEROS, ZEROS], [T(20, 3), T(20, 5), T(20), T(20)], True, 1, 0.0, False, False, False,
        name="computed weights"),
    _packed("lstm.data", [T(4, 3, 5)] * 2, 4, layers=2, both=True),
    _packed("gru.data", T(2, 3, 5), 3, both=True),
    _packed("rnn_tanh.data", T(1, 3, 5), 1),
    _packed("rnn_relu.data", T(2, 3, 5), 1, layers=2),
    Row("_pack_padded_sequence", T(6, 3, 2), LENGTHS, False),
    Row("_pack_padded_sequence", T(3, 4, 2), LENGTHS, True, name="batch first"),
    Row("_pad_packed_sequence", T(9, 2), np.array([3, 3, 2, 1]), False, 0.5, -1),
    Row("_pad_packed_sequence", T(9, 2), np.array([3, 3, 2, 1]), True, -2.0, 6, name="longer"),
    Row("lstm_cell", T(2, 3), [T(2, 5), T(2, 5)], *_params(4, 3, 5), row_dynamic=True, row_targets=ALL),
    Row("lstm_cell", T(2, 3), [T(2, 5), T(2, 5)], _w(20, 3), _w(20, 5), name="no biases"),
    Row("gru_cell", T(2, 3), T(2, 5), *_params(3, 3, 5), row_dynamic=True, row_targets=ALL),
    Row("rnn_tanh_cell", T(2, 3), T(2, 5), *_params(1, 3, 5), row_dynamic=True, row_targets=ALL),
    Row("rnn_relu_cell", T(2, 3), T(2, 5), *_params(1, 3, 5), row_dynamic=True),
]  # fmt: skip
