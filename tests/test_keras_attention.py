"""Keras' attention layers against Keras 3."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.keras_checks import check, flat, randomize

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
L = keras.layers

Q, S, D = 6, 5, 7  # queries, keys, features


def tensors(query: tuple[int | None, ...] = (Q, D), value: tuple[int | None, ...] = (S, 4)) -> list[Any]:
    return [keras.Input(query), keras.Input(value)]


def run(layer: Any, inputs: list[Any], path: Path, *args: Any, masks: bool = False, **kwargs: Any) -> Any:
    """The layer on the inputs; `masks`: some rows of each are masked, in one sample all keys."""
    seen = [L.Masking(0.0)(x) for x in inputs] if masks else inputs
    model = randomize(keras.Model([*inputs, *flat(kwargs.pop("more", []))], flat(layer(*seen, *args, **kwargs))))
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=[3, *(n or 4 for n in x.shape[1:])]).astype("f") for x in inputs]
    if masks:
        arrays[0][0, -2:] = arrays[0][1, :1] = arrays[1][0, 2:] = arrays[1][1, 1] = 0
    arrays += [rng.integers(0, 2, [3, *extra.shape[1:]]).astype(bool) for extra in model.inputs[len(inputs) :]]
    return check(model, path, arrays)


HEADS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "plain": (lambda: L.MultiHeadAttention(3, 4), {}),
    "value-dim": (lambda: L.MultiHeadAttention(3, 4, value_dim=2), {}),
    "output": (lambda: L.MultiHeadAttention(3, 4, output_shape=9), {}),
    "output-two": (lambda: L.MultiHeadAttention(3, 4, output_shape=(2, 3)), {}),
    "no-bias": (lambda: L.MultiHeadAttention(3, 4, use_bias=False, dropout=0.1), {}),
    "scores": (lambda: L.MultiHeadAttention(3, 4), {"return_attention_scores": True}),
    "causal": (lambda: L.MultiHeadAttention(3, 4), {"use_causal_mask": True}),
    "window": (lambda: L.MultiHeadAttention(3, 4, sliding_window=2), {}),
    "gate": (lambda: L.MultiHeadAttention(3, 4, use_gate=True), {}),
    "causal-scores": (lambda: L.MultiHeadAttention(2, 4), {"use_causal_mask": True, "return_attention_scores": True}),
    "grouped": (lambda: L.GroupQueryAttention(4, 6, 3), {}),
    "grouped-causal": (lambda: L.GroupQueryAttention(4, 6, 2, use_bias=False), {"use_causal_mask": True}),
    "grouped-scores": (lambda: L.GroupQueryAttention(4, 2, 1), {"return_attention_scores": True}),
}


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, masks: bool, tmp_path: Path) -> None:
    make, kwargs = HEADS[name]
    inputs = tensors((Q, D), (S, D)) if "grouped" in name else tensors()
    run(make(), inputs, tmp_path / "m.keras", masks=masks, **kwargs)


@pytest.mark.parametrize("name", ["plain", "gate", "grouped"])
def test_legacy_file(name: str, tmp_path: Path) -> None:
    inputs = tensors((Q, D), (S, D)) if "grouped" in name else tensors()
    run(HEADS[name][0](), inputs, tmp_path / "m.h5")


def test_unknown_lengths(tmp_path: Path) -> None:
    inputs = tensors((None, D), (None, 4))
    run(L.MultiHeadAttention(3, 4), inputs, tmp_path / "m.keras", use_causal_mask=True)


def test_self_attention_with_a_key_of_its_own(tmp_path: Path) -> None:
    x, key = keras.Input((Q, D)), keras.Input((Q, 3))
    run(lambda a, b: L.MultiHeadAttention(3, 4)(a, a, b), [x, key], tmp_path / "m.keras")


@pytest.mark.parametrize("shape", [(Q, S), (3, Q, S), (1, Q, S)])
@pytest.mark.parametrize("scores", [False, True])
def test_attention_mask(shape: tuple[int, ...], scores: bool, tmp_path: Path) -> None:
    mask = keras.Input(shape, dtype="bool")
    run(L.MultiHeadAttention(3, 4), tensors(), tmp_path / "m.keras", more=[mask], attention_mask=mask,
        return_attention_scores=scores)  # fmt: skip


@pytest.mark.parametrize("axes", [1, 2, (1, 2), (-2,)])
def test_attention_axes(axes: Any, tmp_path: Path) -> None:
    inputs = tensors((4, 3, D), (4, 3, 5))
    run(L.MultiHeadAttention(2, 4, attention_axes=axes), inputs, tmp_path / "m.keras", return_attention_scores=True)


def test_attention_over_images(tmp_path: Path) -> None:
    run(L.MultiHeadAttention(2, 4), tensors((4, 3, D), (5, 2, 6)), tmp_path / "m.keras")


def test_a_mask_over_two_axes(tmp_path: Path) -> None:
    mask = keras.Input((4, 3, 5, 2), dtype="bool")
    run(L.MultiHeadAttention(2, 4), tensors((4, 3, D), (5, 2, 6)), tmp_path / "m.keras", more=[mask],
        attention_mask=mask)  # fmt: skip


LISTS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "dot": (lambda: L.Attention(), {}),
    "scale": (lambda: L.Attention(use_scale=True), {"return_attention_scores": True}),
    "concat": (lambda: L.Attention(score_mode="concat"), {}),
    "concat-scale": (lambda: L.Attention(score_mode="concat", use_scale=True), {}),
    "causal": (lambda: L.Attention(), {"use_causal_mask": True, "return_attention_scores": True}),
    "additive": (lambda: L.AdditiveAttention(), {}),
    "additive-plain": (lambda: L.AdditiveAttention(use_scale=False), {"use_causal_mask": True}),
}


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lists(name: str, masks: bool, suffix: str, tmp_path: Path) -> None:
    make, kwargs = LISTS[name]
    layer = make()
    run(lambda q, v: layer([q, v], **kwargs), tensors((Q, D), (S, D)), tmp_path / f"m{suffix}", masks=masks)


def test_three_tensors(tmp_path: Path) -> None:
    inputs = [*tensors((Q, D), (S, 3)), keras.Input((S, D))]
    layer = L.Attention()
    run(lambda q, v, k: layer([q, v, k]), inputs, tmp_path / "m.keras")
