"""Keras models for the tests: random weights, files of every kind, and what Keras itself computes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.frontends.keras import load
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime

RTOL = 1e-5  # of the output's largest value


def keras() -> Any:
    return pytest.importorskip("keras")


def tf_keras() -> Any:
    return pytest.importorskip("tf_keras")


def stir(model: Any, seed: int = 0) -> Any:
    """Gives every variable random values (variances positive ones), so that none can be taken for another."""
    rng = np.random.default_rng(seed)
    values = [_random(rng, variable.name, np.asarray(variable)) for variable in model.weights]
    model.set_weights(values)
    return model


def _random(rng: np.random.Generator, name: str, old: np.ndarray) -> np.ndarray:
    if old.dtype.kind != "f":
        return old
    if "variance" in name or name.endswith("_std"):
        return rng.uniform(0.5, 2, old.shape).astype(old.dtype)
    return rng.normal(0, 0.5, old.shape).astype(old.dtype)


def inputs_of(graph: Graph, seed: int = 1, unknown: int = 3) -> dict[str, np.ndarray]:
    """Random inputs; what the model leaves open has the size `unknown`."""
    rng = np.random.default_rng(seed)
    made = {}
    for value in graph.inputs:
        shape = [dim if isinstance(dim, int) else unknown for dim in value.shape or ()]
        is_float = value.dtype.kind == "f"
        made[value.name] = (rng.normal(0, 1, shape) if is_float else rng.integers(0, 4, shape)).astype(value.dtype)
    return made


def predicted(model: Any, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What Keras computes, flat, in its own order (dictionaries by key)."""
    arrays = list(inputs.values())
    given = arrays[0] if len(arrays) == 1 else dict(inputs) if isinstance(model.input, dict) else arrays
    return flat(model.predict(given, verbose=0))


def flat(item: Any) -> list[np.ndarray]:
    if isinstance(item, Mapping):
        return [array for key in sorted(item) for array in flat(item[key])]
    if isinstance(item, (list, tuple)):
        return [array for part in item for array in flat(part)]
    return [np.asarray(item)]


def assert_near(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], rtol: float = RTOL) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        assert a.dtype == e.dtype
        scale = float(np.abs(e.astype(np.float64)).max()) or 1.0
        assert float(np.abs(a.astype(np.float64) - e.astype(np.float64)).max()) <= rtol * scale


def run(graph: Graph, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    results = OnnxRuntime(graph).run(inputs)
    return [results[value.name] for value in graph.outputs]


def check(
    model: Any, path: Path, *more: Path, options: LoadOptions = LoadOptions(), rtol: float = RTOL, unknown: int = 3
) -> Graph:
    """Reads the file and compares with what the model in memory computes."""
    graph = load(path, *more, options=options) if more else load(path, options=options)
    graph.check()
    inputs = inputs_of(graph, unknown=unknown)
    assert_near(run(graph, inputs), predicted(model, inputs), rtol)
    return graph


def loaded_modules() -> set[str]:
    return set(sys.modules)
