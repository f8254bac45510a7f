"""ONNX's own node suite for recurrence and control flow, through every target. It has layouts that no runtime has."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from netglot.errors import ConversionError
from netglot.frontends.onnx import load
from netglot.passes.pipeline import COMMON, run
from tests.targets import TARGETS
from tests.test_coreml_nodes import frozen
from tests.test_onnx_nodes import array, cases, close

NAMES = ["gru_*", "if", "loop11", "lstm_*", "rnn_*", "scan_sum", "scan9_*", "simple_rnn_*"]


def chosen() -> list[Any]:
    return [case for case in cases() if any(fnmatch(case.name, f"test_{name}") for name in NAMES) and case.data_sets]


@pytest.mark.parametrize("target", ["tflite", "cpp", "coreml", "coreml-evaluated"])
def test_node_suite(target: str, tmp_path: Path) -> None:
    found = {case.name.removeprefix("test_"): outcome(case, target, tmp_path / case.name) for case in chosen()}
    assert [name for name, what in found.items() if what == "different"] == []
    refused = [name for name, what in found.items() if what == "refused"]
    assert refused == ["loop11"]  # its slices have sizes that are known only when it runs
    assert Counter(found.values())["equal"] == 23


def outcome(case: Any, target: str, folder: Path) -> str:
    folder.mkdir()
    names = [item.name for item in case.model.graph.input]
    inputs, expected = ([array(item) for item in items] for items in case.data_sets[0])
    feeds = dict(zip(names, inputs, strict=True))
    (folder / "model.onnx").write_bytes(frozen(case.model, feeds, []).SerializeToString())
    try:
        graph = run(load(folder / "model.onnx"), COMMON)
        actual = TARGETS[target](graph, {value.name: feeds[value.name] for value in graph.inputs}, folder)
    except ConversionError:
        return "refused"
    return "equal" if all(close(a, b, case) for a, b in zip(actual.values(), expected, strict=True)) else "different"
