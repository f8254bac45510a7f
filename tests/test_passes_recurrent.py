"""LSTM, GRU, RNN, Scan, Loop and If: lowered they compute what they computed, by ONNX Runtime alone."""

from __future__ import annotations

from typing import Any

import pytest

from netglot.passes.control import lower_control
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.recurrent import DYNAMIC, ROWS
from tests.ops.table import Row
from tests.test_targets import assert_close


def check(row: Row, most_steps: int) -> Any:
    graph = row.graph()
    wanted = OnnxRuntime(row.graph()).run(row.feed())
    assert lower_control(graph, most_steps)
    graph.check()
    actual = OnnxRuntime(graph).run(row.feed())
    assert list(actual) == list(wanted)
    for name in wanted:
        assert_close(actual[name], wanted[name], row.rtol)
    return {node.op for node in graph.nodes()}


@pytest.mark.parametrize("row", [*ROWS, *DYNAMIC], ids=lambda row: row.id)
def test_unrolled(row: Row) -> None:
    assert not check(row, most_steps=100) & {"LSTM", "GRU", "RNN", "Scan", *(["Loop"] if row.op != "Loop" else [])}


@pytest.mark.parametrize("row", [*ROWS, *DYNAMIC], ids=lambda row: row.id)
def test_as_loops(row: Row) -> None:
    assert not check(row, most_steps=0) & {"LSTM", "GRU", "RNN", "Scan"}
