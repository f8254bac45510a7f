"""ONNX's own node suite through Core ML: whatever is written must compute what the suite expects."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from netglot.backends.coreml import save
from netglot.errors import ConversionError
from netglot.frontends.onnx import load
from netglot.passes.pipeline import COMMON, run
from tests.targets import run_coreml, run_coreml_evaluated
from tests.test_onnx_nodes import array, cases, close

# What Core ML has; other types, sequences and optionals are refused anyway.
_TYPES = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}
# ONNX Runtime computes something else than the suite expects here, and so do we.
_NOT_THE_SUITE = ["resize_downsample_scales_linear_align_corners", "resize_downsample_scales_cubic_align_corners"]


@pytest.mark.parametrize("how", [run_coreml, run_coreml_evaluated])
def test_node_suite(how: Callable[..., dict[str, np.ndarray]], tmp_path: Path) -> None:
    found: dict[str, list[str]] = {"equal": [], "different": [], "refused": []}
    for case in cases():
        name = case.name.removeprefix("test_")
        if case.data_sets and has_types(case.model.graph) and not name.endswith("_expanded"):
            found[outcome(case, how, tmp_path)].append(name)
    assert found["different"] == _NOT_THE_SUITE
    assert len(found["equal"]) > 550


def has_types(graph: onnx.GraphProto) -> bool:
    return all(item.type.tensor_type.elem_type in _TYPES for item in (*graph.input, *graph.output))


def outcome(case: Any, how: Callable[..., dict[str, np.ndarray]], folder: Path) -> str:
    """With every input fed; if that is refused, with shapes, axes, indices and weights as constants."""
    names = [item.name for item in case.model.graph.input]
    inputs, expected = ([array(item) for item in items] for items in case.data_sets[0])
    feeds = dict(zip(names, inputs, strict=True))
    for names_of_constants in ([], [name for name in names[1:] if name not in ("x2", "y", "b")]):
        actual = attempt(frozen(case.model, feeds, names_of_constants), feeds, how, folder)
        if actual is not None:
            shutil.rmtree(folder / "model.mlpackage")
            equal = [close(a, b, case) for a, b in zip(actual, expected, strict=True)]
            return "equal" if all(equal) else "different"
    return "refused"


def frozen(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], constants: list[str]) -> onnx.ModelProto:
    """A copy of the model in which some inputs are constants."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for item in [item for item in copy.graph.input if item.name in constants and len(copy.graph.input) > 1]:
        copy.graph.input.remove(item)
        copy.graph.initializer.append(numpy_helper.from_array(feeds[item.name], item.name))
    return copy


def attempt(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], how: Any, folder: Path) -> list[np.ndarray] | None:
    """The outputs, or None where the case can't be written; what is written must be readable."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    try:
        graph = run(load(folder / "model.onnx"), COMMON)
        save(graph, folder / "model.mlpackage")
    except ConversionError:
        return None
    finally:
        shutil.rmtree(folder / "model.mlpackage", ignore_errors=True)
    return list(how(graph, {value.name: feeds[value.name] for value in graph.inputs}, folder).values())
