"""Layers of tf.keras that need a GPU, or that other tests have from Keras 3 only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.frontends.keras import load
from tests.keras_models import assert_near, check, inputs_of, predicted, run, stir, tf_keras

UNITS = 5
h5py = pytest.importorskip("h5py")


def as_cudnn(path: Path, kind: str, seed: int = 4) -> list[np.ndarray]:
    """Makes the only LSTM or GRU of an .h5 its CuDNN variant, with random variables; returns these."""
    gates = {"LSTM": 4, "GRU": 3}[kind]
    rng = np.random.default_rng(seed)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = next(item for item in config["config"]["layers"] if item["class_name"] == kind)
        keep = {"name", "trainable", "dtype", "units", "return_sequences", "return_state", "go_backwards", "stateful"}
        layer["class_name"] = f"CuDNN{kind}"
        layer["config"] = {key: item for key, item in layer["config"].items() if key in keep}
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights"][layer["config"]["name"]]
        names = [name if isinstance(name, str) else name.decode() for name in group.attrs["weight_names"]]
        shapes = [group[name].shape for name in names[:2]] + [(2 * gates * UNITS,)]
        arrays = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]
        for name, array in zip(names, arrays, strict=True):
            del group[name]
            group[name] = array
    return arrays


@pytest.mark.parametrize("more", [{}, {"go_backwards": True}, {"return_sequences": True}])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cudnn(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    """tf.keras' own conversion to the layers that run on a CPU says what the variables mean."""
    k = tf_keras()
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    x = k.Input((6, 3), name="x")
    layer = getattr(k.layers, kind)(UNITS, **more)
    model = stir(k.Model(x, layer(x)))
    model.save(tmp_path / "model.h5")
    arrays = as_cudnn(tmp_path / "model.h5", kind)
    layer.set_weights(preprocess_weights_for_loading(layer, arrays))
    graph = load(tmp_path / "model.h5")
    inputs = inputs_of(graph)
    assert_near(run(graph, inputs), predicted(model, inputs))


def _datasets(file: Any) -> list[str]:
    paths: list[str] = []
    file.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
    return paths


def test_cudnn_with_the_wrong_bias(tmp_path: Path) -> None:
    """A bias of the layer that runs on a CPU has half the size."""
    k = tf_keras()
    x = k.Input((6, 3), name="x")
    k.Model(x, k.layers.LSTM(UNITS)(x)).save(tmp_path / "model.h5")
    as_cudnn(tmp_path / "model.h5", "LSTM")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        path = next(path for path in _datasets(file) if np.shape(file[path]) == (8 * UNITS,))
        del file[path]
        file[path] = np.zeros(4 * UNITS, np.float32)
    with pytest.raises(ConversionError, match="a variable has 20, not 40"):
        load(tmp_path / "model.h5")


# ------------------------------------------------------------------- attention


def dot_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention()([q, v])


def scaled_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention(use_scale=True, dropout=0.2)([q, v, v])


def concat_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention(score_mode="concat", use_scale=True)([q, v])


def attention_scores(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention()([q, v], return_attention_scores=True)


def causal_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention()([q, q], use_causal_mask=True)


def masked_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.Attention()([q, k.layers.Masking(0.0)(k.layers.ReLU(threshold=0.9)(v))])


def additive_attention(k: Any, q: Any, v: Any) -> Any:
    return k.layers.AdditiveAttention()([q, v])


def additive_attention_without_scale(k: Any, q: Any, v: Any) -> Any:
    return k.layers.AdditiveAttention(use_scale=False)([q, v], use_causal_mask=True)


def multi_head(k: Any, q: Any, v: Any) -> Any:
    return k.layers.MultiHeadAttention(3, 2, value_dim=5)(q, v)


def multi_head_scores(k: Any, q: Any, v: Any) -> Any:
    return k.layers.MultiHeadAttention(2, 3, output_shape=7, use_bias=False)(q, v, return_attention_scores=True)


def multi_head_causal(k: Any, q: Any, v: Any) -> Any:
    return k.layers.MultiHeadAttention(2, 3)(q, q, use_causal_mask=True)


def multi_head_of_two_axes(k: Any, q: Any, v: Any) -> Any:
    x = k.layers.Reshape((2, 3, 4))(q)
    return k.layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x)


ATTENTIONS = [
    dot_attention, scaled_attention, concat_attention, attention_scores, causal_attention, masked_attention,
    additive_attention, additive_attention_without_scale, multi_head, multi_head_scores, multi_head_causal,
    multi_head_of_two_axes,
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("call", ATTENTIONS)
def test_attention(tmp_path: Path, call: Callable[..., Any], suffix: str) -> None:
    k = tf_keras()
    q, v = k.Input((6, 4), name="q"), k.Input((3, 4), name="v")
    model = stir(k.Model([q, v], call(k, q, v)))
    model.save(tmp_path / f"model{suffix}")
    check(model, tmp_path / f"model{suffix}")
