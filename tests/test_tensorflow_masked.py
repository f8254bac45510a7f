"""Recurrent layers of tf.keras saved as SavedModels: their loops write a list whose elements have sizes of no name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.keras_models import assert_near, stir, tf_keras

NETWORKS: dict[str, Callable[[Any], list[Any]]] = {
    "masked lstm": lambda k: [k.Input((None, 5)), k.layers.Masking(), k.layers.LSTM(4)],
    "masked gru": lambda k: [k.Input((None, 5)), k.layers.Masking(), k.layers.Bidirectional(k.layers.GRU(4))],
    "masked sequence": lambda k: [k.Input((None, 5)), k.layers.Masking(), k.layers.LSTM(4, return_sequences=True)],
    "plain lstm": lambda k: [k.Input((None, 5)), k.layers.LSTM(4)],
    "lstm that forgets inputs": lambda k: [k.Input((7, 5)), k.layers.LSTM(4, recurrent_dropout=0.5)],
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_recurrent_layers(name: str, tmp_path: Path) -> None:
    keras = tf_keras()
    network = stir(keras.Sequential(NETWORKS[name](keras)))
    network.save(tmp_path / "saved", save_format="tf")
    runtime = OnnxRuntime(load(tmp_path / "saved"))
    for batch, steps in ((3, 7), (1, 7), (2, 4 if network.input_shape[1] is None else 7)):
        x = np.random.default_rng(steps).normal(size=(batch, steps, 5)).astype(np.float32)
        x[0, 2:4] = 0  # masked steps
        (found,) = runtime.run({runtime.inputs[0].name: x}).values()
        assert_near([found], [np.asarray(network(x))])


def test_convolutional_lstm(tmp_path: Path) -> None:
    keras = tf_keras()
    network = stir(keras.Sequential([keras.Input((4, 6, 7, 2)), keras.layers.ConvLSTM2D(3, 3)]))
    network.save(tmp_path / "saved", save_format="tf")
    runtime = OnnxRuntime(load(tmp_path / "saved"))
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 7, 2)).astype(np.float32)
    (found,) = runtime.run({runtime.inputs[0].name: x}).values()
    assert_near([found], [np.asarray(network(x))])
