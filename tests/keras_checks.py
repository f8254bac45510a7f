"""Real Keras models against what netglot reads of their files. Not a test module: imports no framework itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netglot.frontends.keras import load
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime

BATCH = 3
TOLERANCE = 1e-5  # of the largest magnitude of an output


def randomize(model: Any, seed: int = 0) -> Any:
    """The model with random variables: none stays at the zero that Keras begins biases with."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(rng.normal(0, 0.4, tuple(variable.shape)).astype(np.float32))
    return model


def feeds(model: Any, seed: int = 1, integers: int = 5) -> list[np.ndarray]:
    """Random arrays for the inputs: numbers, or 0 to `integers` - 1. Unknown sizes are 4, the batch is BATCH."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape = [BATCH, *(4 if size is None else size for size in tensor.shape[1:])]
        kind = getattr(tensor.dtype, "name", str(tensor.dtype))
        if "float" in kind:
            arrays.append(rng.normal(size=shape).astype(kind))
        else:
            arrays.append(rng.integers(0, 2 if kind == "bool" else integers, shape).astype(kind))
    return arrays


def check(model: Any, path: Path, inputs: list[np.ndarray] | None = None, tolerance: float = TOLERANCE) -> Graph:
    """The graph of the saved model, which computes what Keras computes."""
    inputs = feeds(model) if inputs is None else inputs
    results = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    model.save(path)
    graph = load(path, None, LoadOptions())
    graph.check()
    assert len(graph.inputs) == len(inputs)
    feed = {value.name: array for value, array in zip(graph.inputs, inputs, strict=True)}
    found = OnnxRuntime(graph).run(feed)
    same(list(found.values()), [np.asarray(item) for item in flat(results)], tolerance)
    for value, array in zip(graph.outputs, found.values(), strict=True):
        assert value.shape is None or len(value.shape) == array.ndim
    return graph


def flat(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [part for key in sorted(item) for part in flat(item[key])]
    return [part for one in item for part in flat(one)] if isinstance(item, (list, tuple)) else [item]


def same(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float = TOLERANCE) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype.kind == theirs.dtype.kind
        scale = max(1e-3, float(np.abs(np.nan_to_num(theirs.astype(np.float64), posinf=0, neginf=0)).max(initial=0)))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)
