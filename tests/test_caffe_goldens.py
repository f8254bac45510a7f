"""Every golden of tests/caffe through the Caffe frontend, against what Caffe itself computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.caffe import load
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph
from netglot.passes import pipeline
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.caffe.cases import CASES, Case

GOLDENS = Path(__file__).parent / "caffe" / "goldens"

# What can't be expressed, with a word of the reason that the error gives. It must really be refused.
REFUSED = {"filter": "a size known only when it runs", "detection_eta": "eta"}

Arrays = dict[str, np.ndarray]


def golden(case: Case) -> tuple[Arrays, Arrays]:
    with np.load(GOLDENS / f"{case.name}.npz") as file:
        inputs = {name.removeprefix("in:"): file[name] for name in file.files if name.startswith("in:")}
        outputs = {name.removeprefix("out:"): file[name] for name in file.files if name.startswith("out:")}
    return inputs, outputs


def load_case(case: Case, folder: Path, shapes: dict[str, tuple[int, ...]]) -> Graph:
    """The case's network. Its stages and level, which pycaffe takes as arguments, are written into it."""
    state = "".join(f' stage: "{stage}"' for stage in case.stages) + f" level: {case.level}"
    path = folder / f"{case.name}.prototxt"
    path.write_text((GOLDENS / path.name).read_text() + f"state {{{state} }}\n")
    weights = [GOLDENS / f"{case.name}{suffix}" for suffix in (".caffemodel", ".caffemodel.h5")]
    inputs = {name: TensorSpec(shape) for name, shape in shapes.items() if case.deploy}
    return load(path, next((file for file in weights if file.exists()), None), LoadOptions(inputs=inputs))


def expected_outputs(case: Case, inputs: Arrays, outputs: Arrays) -> Arrays:
    """Where we differ from Caffe on purpose: an input that nothing reads is no output, and an output that is written
    over the input has another name, since a graph can't have two values of one name."""
    kept = {name: value for name, value in outputs.items() if name not in inputs or value is not inputs[name]}
    if case.name == "net_in_place_on_input":
        return {"data/power": outputs["data"]}
    return {name: value for name, value in kept.items() if not (name in inputs and np.array_equal(value, inputs[name]))}


def compare(case: Case, actual: Arrays, wanted: Arrays) -> None:
    assert list(actual) == list(wanted)
    for name, value in wanted.items():
        found = actual[name]
        if case.reference == "detection_output":
            found, value = detections(found), detections(value)
        assert found.shape == value.shape
        assert not np.isnan(found).any()
        scale = max(1e-30, float(np.abs(value.astype(np.float64)).max(initial=0)))
        error = float(np.abs(found.astype(np.float64) - value).max(initial=0)) / scale
        assert error <= case.tolerance, f"{name} differs by {error:.2e} of its largest value"


def detections(rows: np.ndarray) -> np.ndarray:
    """Without the rows that stand for nothing; these come last."""
    rows = rows.reshape(-1, 7)
    real = rows[:, 1] >= 0
    assert not np.any(real[1:] & ~real[:-1])
    return rows[real]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Case, tmp_path: Path) -> None:
    inputs, outputs = golden(case)
    shapes = {name: value.shape for name, value in inputs.items()}
    if case.name in REFUSED:
        with pytest.raises(UnsupportedError, match=REFUSED[case.name]):
            load_case(case, tmp_path, shapes)
        return
    graph = load_case(case, tmp_path, shapes)
    graph.check()
    wanted = expected_outputs(case, inputs, outputs)
    assert {value.name: value.shape for value in graph.inputs} == shapes
    compare(case, OnnxRuntime(graph).run(inputs), wanted)
    pipeline.run(graph, pipeline.COMMON, check=True)
    compare(case, OnnxRuntime(graph).run(inputs), wanted)
