"""Corners of Keras' files that networks seldom reach, and what the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.keras import load
from netglot.frontends.options import LoadOptions
from tests.keras_models import check, keras, stir

EQUATIONS = [
    "...ij,...kj->...ik", "bhwc,bhwd->bcd", "bhwc,bhwd->bdc", "bhwc,bhwc->bhw", "bhwc,bhwc->b", "bhwc,bkwc->whkb",
    "bhwc,bhvd->bwcvd", "...c,...d->...cd", "abcd,abce",
]  # fmt: skip


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_of_two(tmp_path: Path, equation: str) -> None:
    k = keras()
    x, y = k.Input((5, 3, 4), name="x"), k.Input((5, 3, 4), name="y")
    model = k.Model([x, y], k.ops.einsum(equation, x, y))
    model.save(tmp_path / "model.keras")
    check(model, tmp_path / "model.keras")


@pytest.mark.parametrize("equation", EQUATIONS[:3])
def test_contractions_are_matrix_products(tmp_path: Path, equation: str) -> None:
    """TFLite has no Einsum."""
    k = keras()
    x, y = k.Input((5, 3, 4), name="x"), k.Input((5, 3, 4), name="y")
    k.Model([x, y], k.ops.einsum(equation, x, y)).save(tmp_path / "model.keras")
    graph = load(tmp_path / "model.keras", options=LoadOptions(batch=2))
    assert "Einsum" not in {node.op for node in graph.nodes()}


def silent_layers(k: Any) -> Any:
    """Layers whose descriptions say no more than operations do."""
    line, image = k.Input((6, 3), name="line"), k.Input((5, 6, 3), name="image")
    steps = k.layers.Discretization(bin_boundaries=[-0.5, 0.2, 1.0])(k.layers.SpatialDropout1D(0.3)(line))
    return k.Model([line, image], [steps, k.layers.SpatialDropout2D(0.2)(image)])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_that_look_like_operations(tmp_path: Path, suffix: str) -> None:
    model = silent_layers(keras())
    model.save(tmp_path / f"model{suffix}")
    check(model, tmp_path / f"model{suffix}")


PLAIN = ["x", "first", "second", "third", "flat", "y"]
ODD = ["вход 1", "x" * 300, "a b", "a.b", "Conv2D", '输出 "q" <b> $(x)']


def named_network(k: Any, names: list[str]) -> Any:
    x = k.Input((7, 6, 3), name=names[0])
    y = k.layers.Conv2D(4, 3, name=names[1])(x)
    z = k.layers.Conv2D(2, 1, name=names[2])(k.layers.Conv2D(3, 1, name=names[3])(y))
    z = k.layers.Dense(2, name=names[5])(k.layers.Flatten(name=names[4])(z))
    return stir(k.Model(x, [z, y, x, z]))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_names(tmp_path: Path, suffix: str) -> None:
    """Of any letters and any length, one like a layer's class; outputs that are inputs or come twice.

    TensorFlow can't run such a network: its twin is one with plain names.
    """
    k = keras()
    named_network(k, ODD).save(tmp_path / f"model{suffix}")
    graph = check(named_network(k, PLAIN), tmp_path / f"model{suffix}")
    assert graph.outputs[0].name == ODD[-1]


# -------------------------------------------------------------------- messages


def _dense(k: Any, units: int = 2) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(units, name="head")])


def test_a_description_without_weights(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(_dense(keras()).to_json())
    with pytest.raises(ConversionError, match=r"layer 'head'.*4x2(?s:.)*netglot convert m.json WEIGHTS.h5"):
        netglot.load(tmp_path / "m.json")


def test_the_weights_of_another_model(tmp_path: Path) -> None:
    k = keras()
    (tmp_path / "m.json").write_text(_dense(k).to_json())
    _dense(k, 3).save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ConversionError, match=r"has 4x3, not 4x2(?s:.)*belong to this model"):
        netglot.load(tmp_path / "m.json", tmp_path / "w.weights.h5")


def test_a_subclassed_model(tmp_path: Path) -> None:
    k = keras()

    class Own(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = k.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(np.zeros((2, 4), np.float32))
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"'Own' is a subclassed model(?s:.)*model.export"):
        netglot.load(tmp_path / "m.keras")
