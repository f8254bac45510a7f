"""Equal constants of few elements are one; others stay, and outputs keep their names."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.passes.shared_constants import share_constants
from netglot.runtimes.onnxruntime import OnnxRuntime

FLOAT = np.dtype(np.float32)


def test_equal_constants() -> None:
    g = Builder()
    x = g.graph.add_input("x", FLOAT, (3,))
    one, same, negative = (g.constant(np.array(n, FLOAT)) for n in (0.0, 0.0, -0.0))
    whole = g.constant(np.array(0, np.int64))
    first, second = (g.constant(np.arange(100, dtype=FLOAT)) for _ in range(2))
    picked = g.Add(g.Gather(first, whole), g.Gather(second, whole))
    y = g.Add(g.Div(g.Add(x, one), same), g.Add(g.Div(x, negative), picked))
    g.graph.outputs = [y]
    before = g.graph.copy()
    assert share_constants(g.graph)
    g.graph.check()
    names = {value.name for value in g.graph.constants()}
    assert same.name not in names
    assert {one.name, negative.name, whole.name, first.name, second.name} <= names
    feed = {"x": np.array([1, -2, 3], np.float32)}
    np.testing.assert_array_equal(OnnxRuntime(g.graph).run(feed)[y.name], OnnxRuntime(before).run(feed)[y.name])
    assert not share_constants(g.graph)


def test_outputs_keep_their_names() -> None:
    g = Builder()
    x = g.graph.add_input("x", FLOAT, (3,))
    one, same = (g.constant(np.ones(3, FLOAT)) for _ in range(2))
    y = g.Add(x, one)
    g.graph.outputs = [y, same]
    assert not share_constants(g.graph)
    assert [value.name for value in g.graph.outputs] == [y.name, same.name]
