"""Floats that a target lacks become float32; what goes in and comes out stays as it was."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.ir.types import to_onnx
from netglot.passes.widen import BRAIN, DOUBLE, FLOAT, HALF, widen
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.recurrent import loop
from tests.ops.table import In, const
from tests.test_targets import assert_close

X = np.random.default_rng(0).uniform(-1, 1, (2, 3)).astype(np.float32)


def dense(dtype: np.dtype) -> Graph:
    g = Builder()
    x = g.graph.add_input("x", dtype, (2, 3))
    g.graph.outputs = [g.Relu(g.Add(x, const((3,)).astype(dtype))), g.Cast(x, to=to_onnx(DOUBLE))]
    return g.graph


@pytest.mark.parametrize("dtype", [HALF, DOUBLE], ids=str)
def test_it_computes_the_same(dtype: np.dtype) -> None:
    graph, given = dense(dtype), {"x": X.astype(dtype)}
    wanted = OnnxRuntime(graph).run(given)
    assert widen(graph, (dtype,))
    graph.check()
    inside = {y.dtype for node in graph.nodes() if node.op != "Cast" for y in (*node.inputs, *node.outputs) if y}
    assert inside == {FLOAT}
    found = OnnxRuntime(graph).run(given)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        assert_close(found[name], value, 2e-3 if dtype == HALF else 1e-6)


def test_other_types_stay() -> None:
    graph = dense(DOUBLE)
    before = [value.dtype for value in graph.values()]
    assert not widen(graph, (HALF, BRAIN))
    assert [value.dtype for value in graph.values()] == before


def test_an_input_that_is_an_output() -> None:
    g = Builder()
    x = g.graph.add_input("x", HALF, (2, 3))
    y = g.Neg(x)
    g.graph.outputs = [x, y]
    widen(g.graph, (HALF,))
    g.graph.check()
    assert g.graph.inputs == g.graph.outputs[:1]
    assert [value.dtype for value in g.graph.outputs] == [HALF] * 2


def test_a_constant_output() -> None:
    g = Builder()
    g.graph.outputs = [g.graph.add_constant(X.astype(HALF), "c")]
    widen(g.graph, (HALF,))
    g.graph.check()
    (found,) = OnnxRuntime(g.graph).run({}).items()
    assert found[0] == "c"
    np.testing.assert_array_equal(found[1], X.astype(HALF))


def test_a_cast_at_the_end_rounds_once() -> None:
    """1 + 2^-11 + 2^-40 lies above the middle of two halves; as a float it would lie on it."""
    g = Builder()
    x = g.graph.add_input("x", DOUBLE, (1,))
    g.graph.outputs = [g.Cast(x, to=to_onnx(HALF))]
    widen(g.graph, (HALF,))
    g.graph.drop_unneeded()
    assert [node.op for node in g.graph.nodes()] == ["Cast"]
    assert g.graph.nodes()[0].inputs == (x,)


def test_attributes_that_name_a_type() -> None:
    g = Builder()
    x = g.graph.add_input("x", FLOAT, (3, 3))
    ones = g.ConstantOfShape(g.Shape(x), value=np.array([1], HALF))
    eye = g.EyeLike(x, dtype=to_onnx(HALF))
    g.graph.outputs = [g.Add(x, g.Cast(g.Mul(ones, eye), to=to_onnx(FLOAT)))]
    widen(g.graph, (HALF,))
    g.graph.check()
    given = np.arange(9, dtype=np.float32).reshape(3, 3)
    (found,) = OnnxRuntime(g.graph).run({"x": given}).values()
    np.testing.assert_array_equal(found, given + np.eye(3))


def test_brain_floats() -> None:
    g = Builder()
    x = g.graph.add_input("x", FLOAT, (2, 3))
    weights = const((3,)).astype(ml_dtypes.bfloat16)
    g.graph.outputs = [g.Add(x, g.Cast(weights, to=to_onnx(FLOAT)))]
    assert widen(g.graph, (BRAIN,))
    (found,) = OnnxRuntime(g.graph).run({"x": X}).values()
    np.testing.assert_array_equal(found, X + weights.astype(np.float32))


def test_bodies_are_widened_with_their_ends() -> None:
    row = loop("half", np.array(3), None, [In((2,), "float16")], lambda g, i, c, s, *_: [g.Identity(c), g.Mul(s, s)], 1)
    graph = row.graph()
    wanted = OnnxRuntime(graph).run(row.feed())
    widen(graph, (HALF,))
    graph.check()
    for body in (body for node in graph.nodes() for body in node.subgraphs()):
        assert HALF not in {value.dtype for value in body.values()}
    for found, value in zip(OnnxRuntime(graph).run(row.feed()).values(), wanted.values(), strict=True):
        assert_close(found, value, 1e-2)
