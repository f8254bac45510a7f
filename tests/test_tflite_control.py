"""TFLite: recurrence and control flow as subgraphs of the file, which must start afresh each time they are run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.backends.tflite import save
from netglot.errors import ConversionError, UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.recurrent import DYNAMIC, ROWS, body, loop, recurrent
from tests.ops.table import In, Row, const
from tests.test_targets import assert_close
from tests.test_tflite import operators, read

LONG = [row for row in ROWS if row.name in ("long", "swap", "image", "images")]


def runs(graph: Graph, folder: Path, delegates: bool = True, times: int = 3, rtol: float = 1e-5, **options: Any) -> Any:
    """Runs several samples through one interpreter; each must be right. Returns the file as its object API has it."""
    oracle = OnnxRuntime(graph.copy())
    save(graph.copy(), folder / "a.tflite", **options)
    model = LiteRT(folder / "a.tflite", delegates)
    rng = np.random.default_rng(0)
    for _ in range(times):
        feed = {value.name: sample(rng, value) for value in graph.inputs}
        wanted, actual = oracle.run(feed), model.run(feed)
        assert list(actual) == list(wanted)
        for name in wanted:
            assert actual[name].dtype == wanted[name].dtype
            assert_close(actual[name], wanted[name], rtol)
    return read(folder / "a.tflite")


def sample(rng: np.random.Generator, value: Value) -> np.ndarray:
    if value.dtype == np.bool_:
        return rng.integers(0, 2, value.sizes).astype(bool)
    if value.dtype is not None and value.dtype.kind == "i":
        return rng.integers(1, 4, value.sizes).astype(value.dtype)
    return rng.uniform(-2, 2, value.sizes).astype(value.dtype)


@pytest.mark.parametrize("delegates", [True, False])
@pytest.mark.parametrize("row", [*LONG, *DYNAMIC], ids=lambda row: row.id)
def test_each_run_starts_afresh(row: Row, delegates: bool, tmp_path: Path) -> None:
    assert len(runs(row.graph(), tmp_path, delegates).subgraphs) > 1


def test_a_short_recurrence_is_written_out(tmp_path: Path) -> None:
    runs(recurrent("LSTM", x=In((8, 2, 4))).graph(), tmp_path)
    assert "WHILE" not in operators(tmp_path / "a.tflite")
    runs(recurrent("LSTM", x=In((9, 2, 4))).graph(), tmp_path)
    assert operators(tmp_path / "a.tflite")["WHILE"] == 1


def test_float16_weights_in_a_body(tmp_path: Path) -> None:
    file = runs(recurrent("LSTM", "long", x=In((21, 2, 4))).graph(), tmp_path, rtol=2e-3, quantize="fp16")
    assert any(tensor.type == 1 for part in file.subgraphs[1:] for tensor in part.tensors)


def test_weights_that_bodies_share_are_stored_once(tmp_path: Path) -> None:
    weights = const((256, 256), -0.05, 0.05)

    def graph() -> Graph:
        g = Builder()
        x = g.graph.add_input("x", np.dtype(np.float32), (2, 256))
        w, c = g.constant(weights), g.graph.add_input("c", np.dtype(bool), ())
        then = body([], lambda g, x, w: [g.Relu(g.MatMul(x, w))], x, w)
        other = body([], lambda g, x, w: [g.MatMul(x, w)], x, w)
        g.graph.outputs = [g.If(c, then_branch=then, else_branch=other)]
        return g.graph

    runs(graph(), tmp_path, times=4)
    assert (tmp_path / "a.tflite").stat().st_size < 2 * weights.nbytes


@pytest.mark.parametrize("delegates", [True, False])
def test_a_body_that_reads_an_image_stored_channels_last(delegates: bool, tmp_path: Path) -> None:
    def graph(op: str) -> Graph:
        g = Builder()
        x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 6, 7))
        image = g.Relu(g.Conv(x, const((4, 3, 3, 3)), pads=(1, 1, 1, 1)))
        w = const((4, 4, 3, 3), -0.3, 0.3)
        if op == "If":
            condition = g.Greater(g.ReduceMean(x, keepdims=0), 0.0)
            then = body([], lambda g, image: [g.Conv(image, w)], image)
            other = body([], lambda g, image: [g.Slice(image, [1, 0], [5, 5], [2, 3])], image)
            y = g.If(condition, then_branch=then, else_branch=other)
        else:
            inside = body(
                [In((), "int64"), In((), "bool"), In((1, 4, 6, 7))],
                lambda g, i, c, s, image: [g.Identity(c), g.Add(g.Conv(s, w, pads=(1, 1, 1, 1)), g.Tanh(image))], image,
            )  # fmt: skip
            y = g.Loop(g.constant(np.array(9)), None, g.Neg(image), body=inside)
        z = g.Conv(image, const((2, 4, 1, 1)))
        g.graph.outputs = [y, z]
        return g.graph

    for op in ("If", "Loop"):
        runs(graph(op), tmp_path, delegates, times=4)


def test_what_a_loop_stacks_while_its_condition_holds_is_refused(tmp_path: Path) -> None:
    row = loop("stack", np.array(9), np.array(True), [In((2,))], lambda g, i, c, s, *_: [
        g.Less(g.ReduceSum(s, keepdims=0), 3.0), g.Add(s, 1.0), s], 2)  # fmt: skip
    with pytest.raises(ConversionError, match="sizes that are not known"):
        save(row.graph(), tmp_path / "a.tflite")


def test_a_state_that_grows_is_refused(tmp_path: Path) -> None:
    row = loop("grows", np.array(9), None, [In((2, 3))], lambda g, i, c, s, *_: [c, g.Concat(s, s, axis=0)], 1)
    with pytest.raises(ConversionError, match="sizes that are not known"):
        save(row.graph(), tmp_path / "a.tflite")


def test_a_loop_without_an_end_is_refused(tmp_path: Path) -> None:
    row = loop("endless", None, np.array(True), [In((2,))], lambda g, i, c, s, *_: [g.Identity(c), g.Sin(s)], 1)
    with pytest.raises(UnsupportedError, match="it never ends"):
        save(row.graph(), tmp_path / "a.tflite")


def test_an_unknown_activation_is_refused_by_name(tmp_path: Path) -> None:
    row = recurrent("RNN", activations=("Swish",))
    with pytest.raises(UnsupportedError, match="there is no activation function 'Swish'"):
        save(row.graph(), tmp_path / "a.tflite")


def test_what_a_body_can_not_do_is_told(tmp_path: Path) -> None:
    row = loop("det", np.array(9), None, [In((3, 3))], lambda g, i, c, s, *_: [
        g.Identity(c), g.Add(s, g.Det(s))], 1)  # fmt: skip
    with pytest.raises(UnsupportedError, match="no mapping for the operator Det"):
        save(row.graph(), tmp_path / "a.tflite")


def test_sizes_that_are_known_only_inside_when_it_runs_are_refused(tmp_path: Path) -> None:
    row = loop("slice", np.array(9), None, [In((1,))], lambda g, i, c, s, *_: [
        g.Identity(c), g.Add(s, g.Slice(const((9,)), j := g.Unsqueeze(i, [0]), g.Add(j, 1)))], 1)  # fmt: skip
    graph = row.graph()
    graph.outputs[0].shape = (1,)  # as a file may say
    with pytest.raises(UnsupportedError, match="which is inside of it, are not known"):
        save(graph, tmp_path / "a.tflite")
