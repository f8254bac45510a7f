"""The same network from its Keras file and from its SavedModel: no more TFLite operators than the converter's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.convert import open_model
from tests.test_tflite import operators

IMAGE = (9, 7, 6)


@pytest.fixture(scope="module")
def keras() -> Any:
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def row(keras: Any, shape: tuple[int, ...], *layers: Any) -> Any:
    x = y = keras.Input(shape, batch_size=1)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def encoder(keras: Any) -> Any:
    layer = keras.layers
    x = keras.Input((7, 12), batch_size=1)
    y = layer.LayerNormalization()(x)
    y = layer.Add()([x, layer.MultiHeadAttention(3, 4)(y, y)])
    z = layer.Dense(20, activation="gelu")(layer.LayerNormalization()(y))
    y = layer.Add()([y, layer.Dense(12)(z)])
    return keras.Model(x, layer.Dense(5, activation="softmax")(layer.GlobalAveragePooling1D()(y)))


def attention(keras: Any) -> Any:
    x = keras.Input((7, 5), batch_size=1)
    y = keras.layers.Attention()([keras.layers.Dense(4)(x), keras.layers.Dense(4)(x)])
    return keras.Model(x, y)


def separable(keras: Any) -> Any:
    first = keras.layers.SeparableConv1D(8, 3, activation="relu")
    return row(keras, (11, 5), first, keras.layers.SeparableConv1D(4, 3, padding="same"))


def dilated(keras: Any) -> Any:
    layer = keras.layers.Conv1D
    rows = [layer(8, 3, padding="causal", dilation_rate=2, activation="relu"), layer(4, 3, dilation_rate=2)]
    return row(keras, (12, 5), *rows)


def groups(keras: Any) -> Any:
    layer = keras.layers
    return row(keras, IMAGE, layer.Conv2D(6, 3), layer.GroupNormalization(3), layer.Conv2D(4, 3))


def others(keras: Any) -> Any:
    layer = keras.layers
    rows = [layer.Conv2D(6, 3, activation="hard_swish"), layer.PReLU(), layer.LayerNormalization(axis=(2, 3))]
    return row(keras, IMAGE, *rows, layer.Conv2D(4, 1), layer.UnitNormalization())


def words(keras: Any) -> Any:
    x = keras.Input((7,), batch_size=1, dtype="int32")
    y = keras.layers.Dense(3)(keras.layers.LayerNormalization()(keras.layers.Embedding(11, 6)(x)))
    return keras.Model(x, y)


def randomise(model: Any) -> None:
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-1, 1, weight.shape).astype(weight.dtype) for weight in model.get_weights()])


def converted(model: Any, folder: Path, source: str, x: np.ndarray) -> tuple[Counter[str], np.ndarray]:
    if source == "saved":
        model.export(folder / source, verbose=False)
    else:
        model.save(folder / source)
    out = folder / f"{source}.tflite"
    netglot.convert(folder / source, out, verify=False)
    runtime = open_model(out)
    (y,) = runtime.run({runtime.inputs[0].name: x}).values()
    return operators(out), y


def theirs(model: Any, folder: Path) -> Counter[str]:
    import tensorflow as tf

    (folder / "theirs.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return operators(folder / "theirs.tflite")


@pytest.mark.parametrize("make", [encoder, attention, separable, dilated, groups, others, words])
def test_as_lean(keras: Any, tmp_path: Path, make: Callable[[Any], Any]) -> None:
    keras.utils.set_random_seed(0)
    model = make(keras)
    randomise(model)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 11, (1, 7), np.int32) if make is words else rng.uniform(-1, 1, model.inputs[0].shape)
    x = x.astype(model.inputs[0].dtype)
    wanted, most = model.predict(x, verbose=0), theirs(model, tmp_path)
    for source in ("model.keras", "saved"):
        counts, found = converted(model, tmp_path, source, x)
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
        assert counts.total() <= most.total(), (source, counts - most, most - counts)
        assert counts["TRANSPOSE"] <= most["TRANSPOSE"], source
