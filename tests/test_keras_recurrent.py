"""Keras' recurrent layers, cells and wrappers against Keras 3 and tf.keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import ConversionError, UnsupportedError
from tests.keras_checks import check, flat, randomize

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
L = keras.layers

STEPS, FEATURES = 6, 5


def model(layer: Any, *, keras: Any = keras, steps: int | None = STEPS, masked: bool = False) -> Any:
    """The layer on a sequence, which may have masked steps at both ends and in between."""
    x = keras.Input((steps, FEATURES))
    y = keras.layers.Masking(0.0)(x) if masked else x
    return randomize(keras.Model(x, flat(layer(y))))


def sequence(masked: bool = False, steps: int = STEPS) -> list[np.ndarray]:
    x = np.random.default_rng(5).normal(size=(4, steps, FEATURES)).astype(np.float32)
    if masked:
        x[0, -2:] = x[1, :2] = x[2, 2] = x[3, :1] = x[3, -1:] = 0
    return [x]


SUFFIXES = (".keras", ".h5")
FUSED: dict[str, Callable[[], Any]] = {
    "lstm": lambda: L.LSTM(7),
    "lstm-sequences": lambda: L.LSTM(7, return_sequences=True),
    "lstm-state": lambda: L.LSTM(7, return_sequences=True, return_state=True),
    "lstm-backwards": lambda: L.LSTM(7, return_sequences=True, go_backwards=True, return_state=True),
    "lstm-last-backwards": lambda: L.LSTM(7, go_backwards=True),
    "lstm-no-bias": lambda: L.LSTM(7, use_bias=False),
    "lstm-hard": lambda: L.LSTM(7, recurrent_activation="hard_sigmoid"),
    "lstm-relu": lambda: L.LSTM(7, activation="relu", recurrent_activation="softsign"),
    "lstm-linear": lambda: L.LSTM(7, activation="linear"),
    "lstm-elu": lambda: L.LSTM(7, activation="elu", dropout=0.3, recurrent_dropout=0.2, unroll=True),
    "gru": lambda: L.GRU(7),
    "gru-before": lambda: L.GRU(7, reset_after=False, return_sequences=True, return_state=True),
    "gru-backwards": lambda: L.GRU(7, return_sequences=True, go_backwards=True),
    "gru-no-bias": lambda: L.GRU(7, use_bias=False, implementation=1),
    "gru-softplus": lambda: L.GRU(7, activation="softplus", reset_after=False),
    "rnn": lambda: L.SimpleRNN(7, return_sequences=True),
    "rnn-relu": lambda: L.SimpleRNN(7, activation="relu", return_state=True),
    "rnn-cell": lambda: L.RNN(L.LSTMCell(7), return_sequences=True, return_state=True),
    "rnn-gru-cell": lambda: L.RNN(L.GRUCell(7, reset_after=False), go_backwards=True),
    "rnn-simple-cell": lambda: L.RNN(L.SimpleRNNCell(7)),
    "bi-lstm": lambda: L.Bidirectional(L.LSTM(7)),
    "bi-lstm-sequences": lambda: L.Bidirectional(L.LSTM(7, return_sequences=True)),
    "bi-lstm-state": lambda: L.Bidirectional(L.LSTM(7, return_sequences=True, return_state=True), merge_mode="sum"),
    "bi-gru": lambda: L.Bidirectional(L.GRU(7, return_sequences=True), merge_mode="mul"),
    "bi-ave": lambda: L.Bidirectional(L.SimpleRNN(7), merge_mode="ave"),
    "bi-none": lambda: L.Bidirectional(L.LSTM(7, return_sequences=True), merge_mode=None),
    "bi-hard": lambda: L.Bidirectional(L.GRU(7, recurrent_activation="hard_sigmoid", return_sequences=True)),
    "bi-cell": lambda: L.Bidirectional(L.RNN(L.GRUCell(7), return_sequences=True)),
}
SCANNED: dict[str, Callable[[], Any]] = {
    "lstm-mish": lambda: L.LSTM(7, activation="gelu", return_sequences=True, return_state=True),
    "lstm-two-alphas": lambda: L.LSTM(7, activation="elu", recurrent_activation="hard_sigmoid", go_backwards=True),
    "gru-silu": lambda: L.GRU(7, activation="silu", return_sequences=True, go_backwards=True),
    "gru-before-relu6": lambda: L.GRU(7, activation="relu6", reset_after=False),
    "rnn-gelu": lambda: L.SimpleRNN(7, activation="gelu", use_bias=False),
    "stacked": lambda: L.RNN([L.LSTMCell(7), L.GRUCell(4), L.SimpleRNNCell(3)], return_sequences=True,
                             return_state=True),
    "stacked-twice": lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(7), L.LSTMCell(4)]), go_backwards=True),
    "bi-stacked": lambda: L.Bidirectional(L.RNN([L.GRUCell(7), L.GRUCell(4)], return_sequences=True)),
}  # fmt: skip
UNEVEN: dict[str, Callable[[], Any]] = {
    "bi-own": lambda: L.Bidirectional(
        L.LSTM(7, return_sequences=True), backward_layer=L.GRU(4, return_sequences=True, go_backwards=True)
    ),
    "bi-swapped": lambda: L.Bidirectional(
        L.GRU(7, return_sequences=True, go_backwards=True), backward_layer=L.GRU(7, return_sequences=True)
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused(name: str, tmp_path: Path) -> None:
    graph = check(model(FUSED[name]()), tmp_path / "m.keras", sequence())
    ops = [node.op for node in graph.nodes()]
    assert sum(op in ("LSTM", "GRU", "RNN") for op in ops) == 1
    assert "Scan" not in ops


@pytest.mark.parametrize("name", ["lstm", "gru-before", "rnn", "bi-lstm-state", "rnn-cell"])
def test_legacy_file(name: str, tmp_path: Path) -> None:
    check(model(FUSED[name]()), tmp_path / "m.h5", sequence())


@pytest.mark.parametrize("name", SCANNED)
def test_scanned(name: str, tmp_path: Path) -> None:
    graph = check(model(SCANNED[name]()), tmp_path / "m.keras", sequence())
    assert "Scan" in [node.op for node in graph.nodes()]


@pytest.mark.parametrize("name", UNEVEN)
def test_two_directions_that_differ(name: str, tmp_path: Path) -> None:
    graph = check(model(UNEVEN[name]()), tmp_path / "m.keras", sequence())
    assert sum(node.op in ("LSTM", "GRU") for node in graph.nodes()) == 2


@pytest.mark.parametrize("name", [name for name in [*FUSED, *SCANNED, *UNEVEN] if "none" not in name])
def test_masked(name: str, tmp_path: Path) -> None:
    make = {**FUSED, **SCANNED, **UNEVEN}[name]
    check(model(make(), masked=True), tmp_path / "m.keras", sequence(masked=True))


MASKED_ONLY: dict[str, Callable[[], Any]] = {
    "zero-output": lambda: L.RNN(L.LSTMCell(7), return_sequences=True, return_state=True, zero_output_for_mask=True),
    "zero-last": lambda: L.RNN(L.GRUCell(7), zero_output_for_mask=True),
    "zero-last-backwards": lambda: L.RNN(L.GRUCell(7), zero_output_for_mask=True, go_backwards=True),
    "unrolled": lambda: L.GRU(7, unroll=True, return_sequences=True),
}


@pytest.mark.parametrize("name", MASKED_ONLY)
def test_masked_only(name: str, tmp_path: Path) -> None:
    check(model(MASKED_ONLY[name](), masked=True), tmp_path / "m.keras", sequence(masked=True))


@pytest.mark.parametrize("name", ["lstm-sequences", "gru-backwards", "bi-lstm-sequences", "stacked"])
@pytest.mark.parametrize("masked", [False, True])
def test_unknown_number_of_steps(name: str, masked: bool, tmp_path: Path) -> None:
    make = {**FUSED, **SCANNED}[name]
    check(model(make(), steps=None, masked=masked), tmp_path / "m.keras", sequence(masked, steps=9))


def test_the_mask_goes_on_through_layers(tmp_path: Path) -> None:
    ids = keras.Input((STEPS,), dtype="int32")
    x = L.Embedding(5, FEATURES, mask_zero=True)(ids)
    x = L.Bidirectional(L.LSTM(7, return_sequences=True))(x)
    x = L.GRU(4, return_sequences=True, go_backwards=True)(x)
    x = L.TimeDistributed(L.Dense(3))(x)
    check(randomize(keras.Model(ids, L.SimpleRNN(2)(x))), tmp_path / "m.keras")


def test_mask_by_keyword(tmp_path: Path) -> None:
    x, mask = keras.Input((STEPS, FEATURES)), keras.Input((STEPS,), dtype="bool")
    check(randomize(keras.Model([x, mask], L.LSTM(7)(x, mask=mask))), tmp_path / "m.keras")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("wrap", [lambda layer: layer, L.Bidirectional])
def test_initial_state(wrap: Callable[[Any], Any], masked: bool, tmp_path: Path) -> None:
    x = keras.Input((STEPS, FEATURES))
    states = [keras.Input((7,)) for _ in range(2 if wrap is not L.Bidirectional else 4)]
    layer = wrap(L.LSTM(7, return_sequences=True, return_state=True))
    y = layer(L.Masking()(x) if masked else x, initial_state=states)
    inputs = [
        *sequence(masked),
        *(np.random.default_rng(i).normal(size=(4, 7)).astype("f") for i in range(len(states))),
    ]
    check(randomize(keras.Model([x, *states], flat(y))), tmp_path / "m.keras", inputs)


def test_initial_state_of_stacked_cells_by_position(tmp_path: Path) -> None:
    x, h = keras.Input((STEPS, FEATURES)), keras.Input((7,))
    check(randomize(keras.Model([x, h], L.GRU(7)(x, [h]))), tmp_path / "m.keras")


def test_stateful_begins_at_zero(tmp_path: Path) -> None:
    x = keras.Input(batch_shape=(4, STEPS, FEATURES))
    graph = check(randomize(keras.Model(x, L.LSTM(7, stateful=True)(x))), tmp_path / "m.keras", sequence())
    assert any("stateful" in str(problem) for problem in graph.warnings)


def test_a_layer_called_twice(tmp_path: Path) -> None:
    a, b, layer = keras.Input((STEPS, FEATURES)), keras.Input((4, FEATURES)), L.GRU(7)
    check(randomize(keras.Model([a, b], [layer(a), layer(b)])), tmp_path / "m.keras")


CONV: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "1d": (lambda: L.ConvLSTM1D(3, 4, padding="same", return_sequences=True), (5, 9, 2)),
    "1d-strides": (lambda: L.ConvLSTM1D(3, 4, strides=2, padding="same", return_state=True), (5, 9, 2)),
    "2d": (lambda: L.ConvLSTM2D(3, (3, 2)), (4, 7, 6, 2)),
    "2d-backwards": (lambda: L.ConvLSTM2D(3, 3, padding="same", go_backwards=True, return_sequences=True,
                                          use_bias=False), (4, 7, 6, 2)),
    "2d-dilated": (lambda: L.ConvLSTM2D(3, 2, dilation_rate=2, activation="relu", return_sequences=True),
                   (4, 7, 6, 2)),
    "3d": (lambda: L.ConvLSTM3D(2, 2, recurrent_activation="hard_sigmoid"), (3, 5, 4, 3, 2)),
    "bi": (lambda: L.Bidirectional(L.ConvLSTM2D(3, 2, return_sequences=True)), (4, 7, 6, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONV)
def test_convolutional(name: str, tmp_path: Path) -> None:
    make, shape = CONV[name]
    x = keras.Input(shape)
    check(randomize(keras.Model(x, flat(make()(x)))), tmp_path / "m.keras")


def test_convolutional_with_unknown_steps(tmp_path: Path) -> None:
    x = keras.Input((None, 7, 6, 2))
    check(randomize(keras.Model(x, L.ConvLSTM2D(3, 3, return_sequences=True)(x))), tmp_path / "m.keras")


DISTRIBUTED: dict[str, tuple[Callable[[], Any], tuple[int | None, ...]]] = {
    "dense": (lambda: L.Dense(4), (STEPS, FEATURES)),
    "unknown-steps": (lambda: L.Dense(4), (None, FEATURES)),
    "conv": (lambda: L.Conv2D(3, 2, strides=2, padding="same"), (5, 7, 6, 2)),
    "flatten": (lambda: L.Flatten(), (5, 4, 3)),
    "lstm": (lambda: L.LSTM(4), (5, 4, 3)),
    "norm": (lambda: L.BatchNormalization(), (5, 4, 3)),
    "nested": (lambda: L.TimeDistributed(L.Dense(2)), (5, 4, 3)),
    "model": (lambda: keras.Sequential([keras.Input((7, 6, 2)), L.Conv2D(3, 2), L.GlobalAveragePooling2D(),
                                        L.Dense(4)]), (5, 7, 6, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_time_distributed(name: str, tmp_path: Path) -> None:
    make, shape = DISTRIBUTED[name]
    x = keras.Input(shape)
    check(randomize(keras.Model(x, L.TimeDistributed(make())(x))), tmp_path / "m.keras")


class Custom(L.SimpleRNNCell):
    """A cell that no file explains."""


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="Custom"):
        check(model(L.RNN(Custom(3))), tmp_path / "m.keras", sequence())


def test_a_file_without_the_variables(tmp_path: Path) -> None:
    made = model(L.LSTM(7))
    made.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(model(L.LSTM(8)).to_json())
    from netglot.frontends.keras import load

    with pytest.raises(ConversionError, match="5x28"):
        load(tmp_path / "m.json", tmp_path / "m.weights.h5")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["lstm", "gru", "gru-before", "rnn", "bi", "stacked", "hard", "td"])
def test_of_tf_keras(name: str, suffix: str, masked: bool, tmp_path: Path) -> None:
    keras2 = pytest.importorskip("tf_keras")
    layers = keras2.layers
    layer = {
        "lstm": lambda: layers.LSTM(7, return_sequences=True, return_state=True),
        "gru": lambda: layers.GRU(7, go_backwards=True),
        "gru-before": lambda: layers.GRU(7, reset_after=False, return_sequences=True),
        "rnn": lambda: layers.SimpleRNN(7, return_sequences=True, go_backwards=True),
        "bi": lambda: layers.Bidirectional(layers.LSTM(7, return_sequences=True)),
        "stacked": lambda: layers.RNN([layers.LSTMCell(7), layers.LSTMCell(4)]),
        "hard": lambda: layers.LSTM(7, recurrent_activation="hard_sigmoid"),
        "td": lambda: layers.TimeDistributed(layers.Dense(4)),
    }[name]()
    check(model(layer, keras=keras2, masked=masked), tmp_path / f"m{suffix}", sequence(masked))
