"""Every golden of the real Caffe through the whole tool: read, improved, written to each target, run there."""

from __future__ import annotations

from pathlib import Path

import pytest

from netglot.errors import UnsupportedError
from netglot.passes import pipeline
from tests.caffe.cases import CASES, Case
from tests.targets import TARGETS
from tests.test_caffe_goldens import REFUSED, compare, expected_outputs, golden, load_case

CONVERTED = [case for case in CASES if case.name not in REFUSED]

# (target, case) that the target can't express, with a word of its reason. It must really be refused.
CANNOT: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "onnx"])
@pytest.mark.parametrize("case", CONVERTED, ids=lambda case: case.name)
def test_golden_in_target(case: Case, target: str, tmp_path: Path) -> None:
    inputs, outputs = golden(case)
    graph = load_case(case, tmp_path, {name: value.shape for name, value in inputs.items()})
    fed = {value.name: inputs[value.name] for value in graph.inputs}
    pipeline.run(graph, pipeline.COMMON)
    if (target, case.name) in CANNOT:
        with pytest.raises(UnsupportedError, match=CANNOT[target, case.name]):
            TARGETS[target](graph, fed, tmp_path)
        return
    compare(case, TARGETS[target](graph, fed, tmp_path), expected_outputs(case, inputs, outputs))
