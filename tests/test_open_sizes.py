"""Sizes that the data decide, in the targets that can carry them: what chooses elements, and what may come after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.coreml import save as save_coreml
from netglot.backends.tflite import save as save_tflite
from netglot.convert import convert
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.coreml import load as load_coreml
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import TARGETS, run_onnx

DYNAMIC = ("tflite", "coreml", "coreml-evaluated")
FAR = 2**63 - 1

# Of a float tensor [3, ?, 7].
AFTER: dict[str, Callable[[Builder, Value], Value | tuple[Value, ...]]] = {
    "first": lambda g, x: g.Slice(x, [0], [2], [1]),
    "up to more than there are": lambda g, x: g.Slice(x, [0], [300], [1]),
    "from beyond": lambda g, x: g.Slice(x, [9], [FAR], [1]),
    "last": lambda g, x: g.Slice(x, [-2], [FAR], [1]),
    "all but the last": lambda g, x: g.Slice(x, [0], [-1], [1]),
    "every other of a known axis": lambda g, x: g.Slice(x, [1], [6], [2], [2]),
    "every other": lambda g, x: g.Slice(x, [1, 0], [FAR, -2], [1, 2], [2, 3]),
    "concat": lambda g, x: g.Concat(x, x, axis=1),
    "concat of another axis": lambda g, x: g.Concat(x, x, axis=0),
    "split": lambda g, x: g.op("Split", [x, np.array([3, 4])], outputs=2, axis=2),
    "add": lambda g, x: g.Add(x, g.Mul(x, 1.5)),
    "row": lambda g, x: g.Sub(x, np.arange(7, dtype=np.float32)),
    "column": lambda g, x: g.Div(x, np.array([1, 2, 3], np.float32).reshape(3, 1, 1)),
    "unary": lambda g, x: g.Sigmoid(g.Neg(g.Sqrt(g.Relu(x)))),
    "power": lambda g, x: g.Pow(x, 2.0),
    "clip": lambda g, x: g.Clip(x, 0.2, 0.6),
    "comparison": lambda g, x: g.Not(g.Greater(x, 0.5)),
    "integers": lambda g, x: g.Max(g.Cast(g.Mul(x, 9.0), to=7), 3),
    "reshape": lambda g, x: g.Reshape(x, [-1, 7]),
    "unsqueeze": lambda g, x: g.Unsqueeze(x, [0]),
    "transpose": lambda g, x: g.Transpose(x, perm=(1, 2, 0)),
    "gather": lambda g, x: g.Gather(x, [-1, 0], axis=2),
    "gather one": lambda g, x: g.Gather(x, g.constant(np.array(1)), axis=0),
    "shape": lambda g, x: (g.Shape(x), g.Shape(x, start=1, end=2)),
}


def chosen(after: Callable[[Builder, Value], Any]) -> Graph:
    """`after` what a mask [5] leaves of an input [3, 5, 7]."""
    g = Builder(Graph("chosen"))
    x, mask = g.graph.add_input("x", np.dtype(np.float32), (3, 5, 7)), g.graph.add_input("mask", np.dtype(bool), (5,))
    found = after(g, g.Compress(x, mask, axis=1))
    g.graph.outputs = list(found) if isinstance(found, tuple) else [found]
    return g.graph


def feed(*kept: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).random((3, 5, 7)).astype(np.float32), "mask": np.isin(np.arange(5), kept)}


@pytest.mark.parametrize("kept", [(0, 1, 3), (2,), ()], ids=len)
@pytest.mark.parametrize("name", AFTER)
@pytest.mark.parametrize("target", DYNAMIC)
def test_after_a_choice(target: str, name: str, kept: tuple[int, ...], tmp_path: Path) -> None:
    graph = chosen(AFTER[name])
    expected = OnnxRuntime(graph).run(feed(*kept))
    actual = TARGETS[target](graph, feed(*kept), tmp_path)
    assert list(actual) == list(expected)
    for key, wanted in expected.items():
        np.testing.assert_allclose(actual[key], wanted, rtol=1e-5, strict=True)


@pytest.mark.parametrize("delegates", [True, False])
def test_one_interpreter_gives_other_sizes_each_time(delegates: bool, tmp_path: Path) -> None:
    graph = chosen(AFTER["add"])
    save_tflite(graph.copy(), tmp_path / "a.tflite")
    runtime, oracle = LiteRT(tmp_path / "a.tflite", delegates), OnnxRuntime(graph)
    for kept in [(1, 2), (0, 1, 2, 3, 4), (), (3,)]:
        (wanted,), (found,) = oracle.run(feed(*kept)).values(), runtime.run(feed(*kept)).values()
        np.testing.assert_allclose(found, wanted, rtol=1e-5, strict=True)


def test_a_tflite_file_says_which_sizes_are_open(tmp_path: Path) -> None:
    save_tflite(chosen(AFTER["reshape"]), tmp_path / "a.tflite")
    model = tfl.ModelT.InitFromPackedBuf((tmp_path / "a.tflite").read_bytes())
    (part,) = model.subgraphs
    assert list(part.tensors[part.outputs[0]].shapeSignature) == [-1, 7]
    assert part.tensors[part.inputs[0]].shapeSignature is None
    assert [tensor.shape for tensor in LiteRT(tmp_path / "a.tflite").outputs] == [(None, 7)]


def as_file(graph: Graph, folder: Path) -> Path:
    run_onnx(graph, feed(1), folder)
    return folder / "model.onnx"


def test_core_ml_is_warned_of_nothing_found(tmp_path: Path) -> None:
    source = as_file(chosen(AFTER["add"]), tmp_path)
    report = convert(source, tmp_path / "a.mlpackage")
    assert report.ok
    assert ["may fail where that is nothing" in str(warning) for warning in report.warnings] == [True]
    assert not convert(source, tmp_path / "a.tflite").warnings


def test_half_precision_chooses_alike(tmp_path: Path) -> None:
    g = Builder(Graph("nms"))
    boxes, scores = (g.graph.add_input(name, np.dtype(np.float32), shape)
                     for name, shape in [("boxes", (1, 9, 4)), ("scores", (1, 1, 9))])  # fmt: skip
    g.graph.outputs = [g.NonMaxSuppression(boxes, scores, [9], np.array([0.5], np.float32))]
    corners = np.arange(9)[None, :, None] * np.array([0.25, 0.5, 0.25, 0.5]) + np.array([0, 0, 2, 3])
    inputs = {"boxes": corners.astype(np.float32), "scores": np.float32([5, 2, 8, 1, 9, 3, 7, 4, 6]).reshape(1, 1, 9)}
    expected = OnnxRuntime(g.graph).run(inputs)
    save_coreml(g.graph.copy(), tmp_path / "a.mlpackage", quantize="fp16")
    save_tflite(g.graph.copy(), tmp_path / "a.tflite", quantize="fp16")
    for found in (OnnxRuntime(load_coreml(tmp_path / "a.mlpackage")), LiteRT(tmp_path / "a.tflite")):
        np.testing.assert_array_equal(*[next(iter(item.values())) for item in (found.run(inputs), expected)])
    assert 1 < len(next(iter(expected.values()))) < 9


REFUSED = {
    "from the end": (lambda g, x: g.Gather(x, [-1], axis=1), "count from the end"),
    "two open sizes": (lambda g, x: g.Reshape(x, g.Shape(g.NonZero(x))), ""),
    "a product": (lambda g, x: g.MatMul(x, np.ones((7, 2), np.float32)), ""),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("target", ["tflite", "coreml"])
def test_what_needs_the_size_is_refused(target: str, name: str, tmp_path: Path) -> None:
    after, reason = REFUSED[name]
    expected = reason or "(not known|known only when the model runs)"
    with pytest.raises(ConversionError, match=expected):
        TARGETS[target](chosen(after), feed(1), tmp_path)


SUPPRESSION = {
    "a computed threshold": ([5], "iou", [0.1], "iou_threshold"),
    "no boxes wanted": ([0], [0.5], [0.1], "it finds nothing"),
}


@pytest.mark.parametrize("name", SUPPRESSION)
@pytest.mark.parametrize("target", ["tflite", "coreml"])
def test_suppression_that_is_refused(target: str, name: str, tmp_path: Path) -> None:
    most, overlap, least, reason = SUPPRESSION[name]
    g = Builder(Graph("nms"))
    boxes, scores = (g.graph.add_input(name, np.dtype(np.float32), shape)
                     for name, shape in [("boxes", (1, 9, 4)), ("scores", (1, 1, 9))])  # fmt: skip
    limit = g.graph.add_input("iou", np.dtype(np.float32), (1,)) if overlap == "iou" else np.array(overlap, np.float32)
    g.graph.outputs = [g.NonMaxSuppression(boxes, scores, most, limit, np.array(least, np.float32))]
    with pytest.raises(UnsupportedError, match=reason):
        TARGETS[target](g.graph, {}, tmp_path)


@pytest.mark.parametrize("target", ["tflite", "coreml"])
def test_too_many_classes_are_refused(target: str, tmp_path: Path) -> None:
    g = Builder(Graph("nms"))
    boxes, scores = (g.graph.add_input(name, np.dtype(np.float32), shape)
                     for name, shape in [("boxes", (1, 9, 4)), ("scores", (1, 300, 9))])  # fmt: skip
    g.graph.outputs = [g.NonMaxSuppression(boxes, scores, [5])]
    with pytest.raises(UnsupportedError, match="300 classes"):
        TARGETS[target](g.graph, {}, tmp_path)
