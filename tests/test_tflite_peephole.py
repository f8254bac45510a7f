"""What becomes one TFLite operator of several, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.graph import Value
from tests.test_tflite import check

RNG = np.random.default_rng(0)
W = RNG.uniform(-1, 1, (5, 4)).astype(np.float32)
FILTERS = RNG.uniform(-1, 1, (3, 3, 2)).astype(np.float32)
Made = list[Value]


def root(g: Builder, x: Value) -> Value:
    return g.Sqrt(g.Add(g.Abs(x), 1.0))


def convolutions(g: Builder, x: Value) -> Made:
    return [g.Conv(g.Relu(g.Conv(x, FILTERS)), FILTERS)]


def read_twice(g: Builder, x: Value) -> Made:
    y = root(g, x)
    return [g.Reciprocal(y), g.Exp(y)]


CASES: dict[str, tuple[Callable[[Builder, Value], Made], dict[str, int]]] = {
    "RSQRT": (lambda g, x: [g.Reciprocal(root(g, x))], {"RSQRT": 1, "SQRT": 0, "DIV": 0}),
    "one by division": (lambda g, x: [g.Div(np.float32(1), root(g, x))], {"RSQRT": 1, "SQRT": 0, "DIV": 0}),
    "the root is an output": (read_twice, {"RSQRT": 0, "SQRT": 1, "DIV": 1}),
    "two by division": (lambda g, x: [g.Div(np.float32(2), root(g, x))], {"RSQRT": 0, "SQRT": 1, "DIV": 1}),
    "a bias": (lambda g, x: [g.Add(g.MatMul(x, W), W[0])], {"FULLY_CONNECTED": 1, "ADD": 0}),
    "one number for all": (lambda g, x: [g.Relu(g.Add(g.MatMul(x, W), 0.5))], {"FULLY_CONNECTED": 1, "ADD": 0}),
    "a bias for each row": (lambda g, x: [g.Add(g.MatMul(x, W), W[:3, :1])], {"FULLY_CONNECTED": 1, "ADD": 1}),
    "the product is an output": (
        lambda g, x: [y := g.MatMul(x, W), g.Add(y, W[0])],
        {"FULLY_CONNECTED": 1, "ADD": 1},
    ),
    "adj_y": (
        lambda g, x: [g.MatMul(g.Exp(x), g.Transpose(x, perm=[0, 2, 1]))],
        {"BATCH_MATMUL": 1, "TRANSPOSE": 0},
    ),
    "a reshape between transpositions": (
        lambda g, x: [g.Transpose(g.Reshape(g.Transpose(x, perm=[1, 0, 2]), [3, 10]), perm=[1, 0])],
        {"TRANSPOSE": 1},
    ),
    "transpositions that cancel through a reshape": (
        lambda g, x: [g.Transpose(g.Reshape(g.Transpose(x, perm=[2, 0, 1]), [5, 6]), perm=[1, 0])],
        {"TRANSPOSE": 0, "RESHAPE": 1},
    ),
    "a reshape that cuts across": (
        lambda g, x: [g.Transpose(g.Reshape(g.Transpose(x, perm=[0, 2, 1]), [5, 6]), perm=[1, 0])],
        {"TRANSPOSE": 2},
    ),
    "what lies between is an output": (
        lambda g, x: [y := g.Reshape(g.Transpose(x, perm=[1, 0, 2]), [3, 10]), g.Transpose(y, perm=[1, 0])],
        {"TRANSPOSE": 2},
    ),
    "another transposition": (
        lambda g, x: [g.MatMul(g.Transpose(g.Exp(x), perm=[0, 2, 1]), x)],
        {"BATCH_MATMUL": 1, "TRANSPOSE": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_peephole(name: str, tmp_path: Path) -> None:
    make, expected = CASES[name]
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3, 5))
    g.graph.outputs = make(g, x)
    counts = check(g.graph, tmp_path)
    assert {op: counts[op] for op in expected} == expected


def test_reshapes_around_an_activation(tmp_path: Path) -> None:
    """Each convolution over one axis is one of an image; between them the activation is part of the first."""
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3, 7))
    g.graph.outputs = convolutions(g, x)
    counts = check(g.graph, tmp_path)
    assert (counts["CONV_2D"], counts["RESHAPE"], counts["RELU"]) == (2, 2, 0)


@pytest.mark.parametrize(("shape", "left"), [((3, 1), 2), ((5,), 4), ((1,), 2), ((2, 1, 1), 4)])
def test_reshapes_around_channels(shape: tuple[int, ...], left: int, tmp_path: Path) -> None:
    """What is computed for each channel is so of the image too; what is for each row or place is not."""
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3, 7))
    scale = RNG.uniform(0.5, 1, shape).astype(np.float32)
    y = g.Mul(g.Tanh(g.Conv(x, np.stack([FILTERS[:, :, 0]] * 3, axis=2))), scale)
    g.graph.outputs = [g.Conv(g.Tanh(y), FILTERS)]
    assert check(g.graph, tmp_path)["RESHAPE"] == left
