"""Networks as people write them, in Keras 3 and in tf.keras, from their files to every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.ir.graph import Graph
from netglot.passes import pipeline
from tests.keras_models import assert_near, inputs_of, keras, predicted, run, stir, tf_keras
from tests.targets import TARGETS

BATCH = 2
Make = Callable[[Any], Any]


def lstm_classifier(k: Any) -> Any:
    i = k.Input((7,), dtype="int32", name="tokens")
    x = k.layers.Embedding(11, 5, mask_zero=True)(i)
    x = k.layers.LSTM(6, return_sequences=True, dropout=0.2)(x)
    x = k.layers.Dropout(0.4)(k.layers.LSTM(4)(x))
    return k.Model(i, k.layers.Dense(3, activation="softmax")(x))


def gru_tagger(k: Any) -> Any:
    i = k.Input((9,), dtype="int32", name="tokens")
    x = k.layers.Embedding(13, 6, mask_zero=True)(i)
    x = k.layers.Bidirectional(k.layers.GRU(5, return_sequences=True))(x)
    return k.Model(i, k.layers.TimeDistributed(k.layers.Dense(4, activation="softmax"))(x))


def conv_lstm(k: Any) -> Any:
    i = k.Input((4, 7, 6, 2), name="video")
    x = k.layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(i)
    x = k.layers.ConvLSTM2D(2, (3, 2), strides=(2, 1))(k.layers.BatchNormalization()(x))
    return k.Model(i, k.layers.Conv2D(1, 1, activation="sigmoid")(x))


def seq2seq(k: Any) -> Any:
    source, target = k.Input((6,), dtype="int32", name="source"), k.Input((5,), dtype="int32", name="target")
    encoded, h, c = k.layers.LSTM(7, return_sequences=True, return_state=True)(k.layers.Embedding(9, 4)(source))
    decoded = k.layers.LSTM(7, return_sequences=True)(k.layers.Embedding(8, 3)(target), initial_state=[h, c])
    context = k.layers.Attention()([decoded, encoded])
    return k.Model(
        [source, target], k.layers.Dense(8, activation="softmax")(k.layers.Concatenate()([decoded, context]))
    )


def _encoder_block(k: Any, x: Any, width: int, heads: int) -> Any:
    y = k.layers.LayerNormalization(epsilon=1e-6)(x)
    x = k.layers.Add()([x, k.layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(y, y)])
    y = k.layers.Dense(2 * width, activation="gelu")(k.layers.LayerNormalization(epsilon=1e-6)(x))
    return k.layers.Add()([x, k.layers.Dense(width)(y)])


def vision_transformer(k: Any) -> Any:
    i = k.Input((12, 8, 3), name="image")
    x = k.layers.Reshape((-1, 8))(k.layers.Conv2D(8, 4, strides=4)(i))
    x = x + k.layers.Embedding(6, 8)(np.arange(6))
    for _ in range(2):
        x = _encoder_block(k, x, 8, 2)
    x = k.layers.GlobalAveragePooling1D()(k.layers.LayerNormalization()(x))
    return k.Model(i, k.layers.Dense(5, activation="softmax")(x))


def _twice(k: Any, x: Any, filters: int) -> Any:
    for _ in range(2):
        x = k.layers.ReLU()(k.layers.BatchNormalization()(k.layers.Conv2D(filters, 3, padding="same")(x)))
    return x


def u_net(k: Any) -> Any:
    i = k.Input((16, 12, 3), name="image")
    first = _twice(k, i, 4)
    second = _twice(k, k.layers.MaxPooling2D()(first), 6)
    x = _twice(k, k.layers.MaxPooling2D()(second), 8)
    for skip, filters in ((second, 6), (first, 4)):
        x = k.layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = _twice(k, k.layers.Concatenate()([x, skip]), filters)
    return k.Model(i, k.layers.Conv2D(2, 1, activation="sigmoid")(x))


def wave_net(k: Any) -> Any:
    i = k.Input((23, 2), name="audio")
    x, skips = k.layers.Conv1D(5, 1)(i), []
    for dilation in (1, 2, 4):
        kinds = [k.layers.Conv1D(5, 2, padding="causal", dilation_rate=dilation, activation=a)(x)
                 for a in ("tanh", "sigmoid")]  # fmt: skip
        gated = k.layers.Multiply()(kinds)
        skips.append(k.layers.Conv1D(4, 1)(gated))
        x = k.layers.Add()([x, k.layers.Conv1D(5, 1)(gated)])
    return k.Model(i, k.layers.Conv1D(6, 1, activation="softmax")(k.layers.ReLU()(k.layers.Add()(skips))))


def mlp_mixer(k: Any) -> Any:
    i = k.Input((12, 9, 3), name="image")
    x = k.layers.Reshape((12, 6))(k.layers.Conv2D(6, 3, strides=3)(i))
    for _ in range(2):
        y = k.layers.Permute((2, 1))(k.layers.LayerNormalization()(x))
        y = k.layers.Dense(12)(k.layers.Dense(7, activation="gelu")(y))
        x = k.layers.Add()([x, k.layers.Permute((2, 1))(y)])
        y = k.layers.Dense(6)(k.layers.Dense(9, activation="gelu")(k.layers.LayerNormalization()(x)))
        x = k.layers.Add()([x, y])
    return k.Model(i, k.layers.Dense(4)(k.layers.GlobalAveragePooling1D()(x)))


def detector(k: Any) -> Any:
    """Boxes and classes of two scales."""
    i, boxes, classes = k.Input((20, 16, 3), name="image"), [], []
    x = i
    for filters in (6, 8):
        x = k.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(x))
        x = k.layers.DepthwiseConv2D(3, padding="same")(x)
        boxes.append(k.layers.Reshape((-1, 4))(k.layers.Conv2D(3 * 4, 3, padding="same")(x)))
        classes.append(k.layers.Reshape((-1, 5))(k.layers.Conv2D(3 * 5, 3, padding="same")(x)))
    scores = k.layers.Softmax(name="classes")(k.layers.Concatenate(axis=1)(classes))
    return k.Model(i, [k.layers.Concatenate(axis=1, name="boxes")(boxes), scores])


def siamese(k: Any) -> Any:
    i = k.Input((11, 9, 1))
    x = k.layers.MaxPooling2D()(k.layers.Conv2D(4, 3, activation="relu")(i))
    encoder = k.Model(i, k.layers.UnitNormalization()(k.layers.Dense(6)(k.layers.Flatten()(x))), name="encoder")
    a, b = k.Input((11, 9, 1), name="a"), k.Input((11, 9, 1), name="b")
    return k.Model([a, b], k.layers.Dot(axes=1, normalize=True)([encoder(a), encoder(b)]))


def frames(k: Any) -> Any:
    """A network for each frame, then an LSTM."""
    i = k.Input((10, 8, 3))
    x = k.layers.GlobalAveragePooling2D()(k.layers.SeparableConv2D(5, 3, activation="relu")(i))
    frame = k.Model(i, x, name="frame")
    video = k.Input((4, 10, 8, 3), name="video")
    return k.Model(video, k.layers.Dense(2)(k.layers.LSTM(6)(k.layers.TimeDistributed(frame)(video))))


def preprocessed(k: Any) -> Any:
    image, number = k.Input((13, 10, 3), name="image"), k.Input((4,), name="number")
    kind = k.Input((1,), dtype="int32", name="kind")
    x = k.layers.Resizing(8, 9)(k.layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    x = k.layers.GlobalMaxPooling2D()(k.layers.Conv2D(5, 3, activation="relu")(x))
    scaled = k.layers.Normalization(mean=[0.5, -1.0, 2.0, 0.1], variance=[1.5, 0.3, 2.0, 0.7])(number)
    hot = k.layers.CategoryEncoding(num_tokens=5, output_mode="one_hot")(kind)
    return k.Model([image, number, kind], k.layers.Dense(3)(k.layers.Concatenate()([x, scaled, hot])))


NETWORKS: list[Make] = [
    lstm_classifier, gru_tagger, conv_lstm, seq2seq, vision_transformer, u_net, wave_net, mlp_mixer, detector, siamese,
    frames, preprocessed,
]  # fmt: skip
IN_CPP = {wave_net, siamese}


def results(graph: Graph, target: str, folder: Path) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The inputs, and what the target makes of them in the model's order."""
    inputs, names = inputs_of(graph), [value.name for value in graph.outputs]
    pipeline.run(graph, pipeline.COMMON)
    folder.mkdir()
    found = TARGETS[target](graph, inputs, folder)
    return inputs, [found[name] for name in names]


def check_targets(model: Any, path: Path, make: Make, rtol: float = 1e-5) -> None:
    for target in ("onnx", "tflite", "coreml", *["cpp"] * (make in IN_CPP)):
        inputs, found = results(netglot.load(path, batch=BATCH), target, path.parent / target)
        assert_near(found, predicted(model, inputs), rtol)


@pytest.mark.parametrize("make", NETWORKS)
def test_network(tmp_path: Path, make: Make) -> None:
    model = stir(make(keras()))
    model.save(tmp_path / "model.keras")
    check_targets(model, tmp_path / "model.keras", make)


@pytest.mark.parametrize("make", NETWORKS)
def test_network_as_h5(tmp_path: Path, make: Make) -> None:
    model = stir(make(keras()))
    model.save(tmp_path / "model.h5")
    inputs, found = results(netglot.load(tmp_path / "model.h5", batch=BATCH), "onnx", tmp_path / "onnx")
    assert_near(found, predicted(model, inputs))


def test_half_precision(tmp_path: Path) -> None:
    """Layers that compute in float16, to the precision of that."""
    k = keras()
    half = {"dtype": k.mixed_precision.Policy("mixed_float16")} if hasattr(k, "mixed_precision") else {}
    i = k.Input((11, 9, 3), name="image")
    x = k.layers.Conv2D(5, 3, activation="relu", **half)(i)
    x = k.layers.GlobalAveragePooling2D(**half)(k.layers.BatchNormalization(**half)(x))
    model = stir(k.Model(i, k.layers.Dense(3, dtype="float32")(x)))
    model.save(tmp_path / "model.keras")
    check_targets(model, tmp_path / "model.keras", test_half_precision, rtol=5e-3)


@pytest.mark.parametrize("layer", ["GRU", "Conv1D", "MultiHeadAttention"])
def test_any_length(tmp_path: Path, layer: str) -> None:
    """One ONNX file for sequences of every length."""
    k = keras()
    i = k.Input((None, 4), name="x")
    x = k.layers.Dense(6, activation="tanh")(i)
    x = {
        "GRU": lambda: k.layers.Bidirectional(k.layers.GRU(5, return_sequences=True))(x),
        "Conv1D": lambda: k.layers.Conv1D(5, 3, padding="causal", dilation_rate=2)(x),
        "MultiHeadAttention": lambda: k.layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    }[layer]()
    model = stir(k.Model(i, [x, k.layers.GlobalAveragePooling1D()(x), k.ops.softmax(x, axis=1)]))
    model.save(tmp_path / "model.keras")
    netglot.convert(tmp_path / "model.keras", tmp_path / "model.onnx", verify=False)
    graph = netglot.load(tmp_path / "model.onnx")
    for batch, length in ((1, 1), (2, 7), (5, 12)):
        inputs = {"x": np.random.default_rng(length).normal(size=(batch, length, 4)).astype(np.float32)}
        assert_near(run(graph, inputs), predicted(model, inputs))


# -------------------------------------------------------------------- tf.keras

OLDER: list[Make] = [lstm_classifier, gru_tagger, u_net, detector]


@pytest.mark.parametrize("make", OLDER)
def test_network_of_tf_keras(tmp_path: Path, make: Make) -> None:
    model = stir(make(tf_keras()))
    model.save(tmp_path / "model.h5")
    check_targets(model, tmp_path / "model.h5", make)
