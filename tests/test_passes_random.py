"""The common passes on random graphs: valid after each, equal results, same interface, and nothing left to do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from netglot.ir.graph import Graph
from netglot.ir.text import to_text
from netglot.passes.casts import merge_casts
from netglot.passes.identity import remove_identities
from netglot.passes.pipeline import COMMON, Pass, apply, run
from netglot.passes.reshapes import merge_reshapes
from netglot.passes.transposes import merge_transposes
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.graphs import feed, graphs


def interface(graph: Graph) -> list[tuple[object, ...]]:
    return [(value.name, value.dtype, value.shape) for value in (*graph.inputs, *graph.outputs)]


def assert_same_results(before: Graph, after: Graph) -> None:
    """Every output within 1e-5 of its largest value."""
    assert interface(before) == interface(after)
    inputs = feed(before)
    expected, actual = OnnxRuntime(before).run(inputs), OnnxRuntime(after).run(inputs)
    for name, wanted in expected.items():
        scale = max(float(np.abs(wanted).max(initial=0)), 1e-6)
        assert np.abs(actual[name] - wanted).max(initial=0) <= 1e-5 * scale, name


@given(graphs())
def test_common(graph: Graph) -> None:
    after = run(graph.copy(), COMMON, check=True)
    assert_same_results(graph, after)


EACH: list[Pass] = list(dict.fromkeys([*COMMON, merge_casts, merge_reshapes, merge_transposes, remove_identities]))


@pytest.mark.parametrize("one", EACH, ids=lambda one: one.__name__)
@settings(max_examples=40)
@given(graph=graphs())
def test_each_alone(one: Pass, graph: Graph) -> None:
    """Equal results, and it says truly whether it changed anything."""
    after, twin = graph.copy(), graph.copy()
    changed = apply(one, after)
    after.check()
    assert_same_results(graph, after)
    assert changed or to_text(after) == to_text(twin)


@given(graphs())
def test_it_comes_to_rest(graph: Graph) -> None:
    """No two passes undo each other. One round does nearly all; a second may find what the first laid bare."""
    counts = [len(run(graph, COMMON).nodes()) for _ in range(4)]
    assert counts == sorted(counts, reverse=True)
    rested = to_text(graph)
    assert not [one.__name__ for one in COMMON if apply(one, graph)]
    assert to_text(graph) == rested
