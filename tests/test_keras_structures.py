"""Ways to put layers together, in Keras 3 and in tf.keras, in both files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.keras_models import check, keras, stir, tf_keras


def _dense(k: Any, name: str) -> Any:
    i = k.Input((4,))
    return k.Model(i, k.layers.Dense(4, activation="relu")(i), name=name)


def at_three_depths(k: Any) -> Any:
    x, f = k.Input((4,), name="x"), _dense(k, "f")
    return k.Model(x, f(k.layers.Dense(4)(f(f(x)))))


def one_of_two_outputs(k: Any) -> Any:
    x, i = k.Input((4,), name="x"), k.Input((4,))
    return k.Model(x, k.Model(i, [k.layers.Dense(3)(i), k.layers.Dense(2)(i)], name="g")(x)[1])


def sequential_that_begins_with_a_model(k: Any) -> Any:
    return k.Sequential([_dense(k, "f"), k.layers.Dense(2)])


def sequential_built_by_its_call(k: Any) -> Any:
    x, s = k.Input((4,), name="x"), k.Sequential([k.layers.Dense(4), k.layers.BatchNormalization()])
    return k.Model(x, s(s(x)))


def tensors_by_keyword(k: Any) -> Any:
    q, v = k.Input((5, 4), name="q"), k.Input((3, 4), name="v")
    return k.Model([q, v], k.layers.MultiHeadAttention(2, 3)(query=q, value=v))


def initial_state(k: Any) -> Any:
    q, v = k.Input((5, 4), name="q"), k.Input((3, 4), name="v")
    _, h, c = k.layers.LSTM(4, return_state=True)(q)
    return k.Model([q, v], k.layers.LSTM(4)(v, initial_state=[h, c]))


def unused_input(k: Any) -> Any:
    x, q = k.Input((4,), name="x"), k.Input((5, 4), name="q")
    return k.Model([x, q], k.layers.Dense(2)(x))


def hard_sigmoid(k: Any) -> Any:
    """Another function since Keras 3."""
    x = k.Input((4,), name="x")
    return k.Model(x, k.layers.Dense(2, activation="hard_sigmoid")(x))


STRUCTURES = [
    at_three_depths, one_of_two_outputs, sequential_that_begins_with_a_model, sequential_built_by_its_call,
    tensors_by_keyword, initial_state, unused_input, hard_sigmoid,
]  # fmt: skip


@pytest.mark.parametrize("library", [keras, tf_keras])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", STRUCTURES)
def test_structure(tmp_path: Path, make: Callable[[Any], Any], suffix: str, library: Callable[[], Any]) -> None:
    model = stir(make(library()))
    model.save(tmp_path / f"m{suffix}")
    check(model, tmp_path / f"m{suffix}")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_names_with_slashes(tmp_path: Path, suffix: str) -> None:
    """Keras 3 refuses them, tf.keras makes groups of them."""
    k = tf_keras()
    x = k.Input((4,), name="x")
    model = stir(k.Model(x, k.layers.Dense(2, name="blk/a")(k.layers.Dense(3, name="blk/b")(x))))
    model.save(tmp_path / f"m{suffix}")
    assert check(model, tmp_path / f"m{suffix}").outputs[0].name == "blk/a"
