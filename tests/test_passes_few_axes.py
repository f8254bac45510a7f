"""Transposes of many axes: fewer axes, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.passes.few_axes import transpose_few_axes
from netglot.passes.pipeline import COMMON, run
from netglot.runtimes.onnxruntime import OnnxRuntime

WINDOWS = (0, 1, 3, 2, 4, 5)


def graph_of(shape: tuple[int | str, ...], inner: tuple[int, ...], perm: tuple[int, ...]) -> Graph:
    g = Builder(Graph("windows"))
    x = g.graph.add_input("x", np.dtype(np.float32), shape)
    y = g.Transpose(g.Reshape(x, np.array(inner)), perm=perm)
    g.graph.outputs = [g.Reshape(y, np.array([-1, inner[-1]]))]
    return g.graph


@pytest.mark.parametrize(
    ("shape", "inner", "perm", "axes"),
    [
        ((1, 6, 10, 3), (1, 3, 2, 2, 5, 3), WINDOWS, 4),
        ((4, 6, 10, 3), (4, 3, 2, 2, 5, 3), (0, 3, 4, 1, 2, 5), 4),
        ((2, 6, 10, 3), (2, 3, 2, 2, 5, 1, 3), (0, 1, 3, 2, 4, 5, 6), 4),
        ((2, 60), (2, 3, 2, 5, 2, 1), (5, 1, 2, 3, 4, 0), 2),
    ],
)
def test_fewer_axes(shape: tuple[int, ...], inner: tuple[int, ...], perm: tuple[int, ...], axes: int) -> None:
    graph = graph_of(shape, inner, perm)
    x = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    (before,) = OnnxRuntime(graph).run(x).values()
    assert transpose_few_axes(graph)
    graph.check()
    (after,) = OnnxRuntime(graph).run(x).values()
    np.testing.assert_array_equal(before, after)
    run(graph, COMMON, check=True)
    (transpose,) = (node for node in graph.nodes() if node.op == "Transpose")
    assert transpose.output.rank == axes
    assert len(graph.nodes()) <= 3
    (after,) = OnnxRuntime(graph).run(x).values()
    np.testing.assert_array_equal(before, after)


def test_what_can_not_be_said_with_fewer_stays() -> None:
    graph = graph_of((2, 6, 10, 3), (2, 3, 2, 2, 5, 3), (5, 4, 3, 2, 1, 0))
    assert not transpose_few_axes(graph)
    small = graph_of((6, 10), (3, 2, 10), (1, 0, 2))
    assert not transpose_few_axes(small)


def test_an_open_batch() -> None:
    graph = graph_of(("n", 6, 10, 3), (-1, 3, 2, 2, 5, 3), WINDOWS)
    x = {"x": np.random.default_rng(0).normal(size=(3, 6, 10, 3)).astype(np.float32)}
    (before,) = OnnxRuntime(graph).run(x).values()
    assert transpose_few_axes(graph)
    (after,) = OnnxRuntime(graph).run(x).values()
    np.testing.assert_array_equal(before, after)
