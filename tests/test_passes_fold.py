"""What fold_constants computes is what ONNX Runtime computes, for every foldable row of the op table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.evaluate import FOLDABLE
from netglot.ir.graph import Graph, Value
from netglot.passes.fold_constants import fold_constants
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import In, Row, all_rows

ROWS = [row for row in all_rows() if row.op in FOLDABLE and not row.domain]


def constant_graph(row: Row) -> Graph:
    """The row with its inputs as constants; each output goes through an Identity, for outputs are never folded."""
    feed = row.feed()
    given = [feed[f"x{i}"] if isinstance(item, In) else item for i, item in enumerate(row.inputs)]
    graph = dataclasses.replace(row, inputs=tuple(given)).graph()
    graph.outputs = [_observed(graph, value) for value in graph.outputs]
    return graph


def _observed(graph: Graph, value: Value) -> Value:
    observed: Value = Builder(graph).Identity(value)
    return observed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_folds_as_onnx_runtime_computes(row: Row) -> None:
    graph = constant_graph(row)
    expected = OnnxRuntime(graph).run({})
    assert fold_constants(graph)
    graph.check()
    assert {node.op for node in graph.nodes()} == {"Identity"}
    for value, wanted in zip(graph.outputs, expected.values(), strict=True):
        maker = graph.producer(value)
        assert maker
        found = maker.inputs[0]
        assert found
        assert (found.array.dtype, found.array.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(found.array, wanted, rtol=1e-5, atol=1e-6)


def test_a_large_result_of_large_inputs_is_folded() -> None:
    g = Builder()
    g.graph.outputs = [g.Identity(g.Neg(np.ones(600_000, np.float32), name="c"))]
    assert fold_constants(g.graph)
    assert np.all(g.graph["c"].array == -1)


def test_a_broadcast_constant_is_no_licence_for_a_large_one() -> None:
    """One number that stands for 4 GB must not become 4 GB."""
    g = Builder()
    zeros = g.graph.add_constant(np.broadcast_to(np.float32(0), (1024, 1024, 1024)), "zeros")
    g.graph.outputs = [g.Neg(zeros, name="y")]
    assert not fold_constants(g.graph)


@pytest.mark.parametrize(
    ("data", "indices", "axis"), [((1, 64), (1, 7), 1), ((40, 3), (5, 2), 0), ((2, 3, 50), (2, 1, 4), -1)]
)
def test_gather_elements_of_more_than_the_reference_can_choose_from(
    data: tuple[int, ...], indices: tuple[int, ...], axis: int
) -> None:
    size = data[axis]
    row = Row("GatherElements", (In(data), In(indices, "int64", -size, size)), {"axis": axis})
    test_folds_as_onnx_runtime_computes(row)
