"""The ONNX writer: the opset it chooses, the files it makes, float16."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from netglot.backends.onnx import save, to_model
from netglot.backends.onnx.opset import lowest_opset
from netglot.errors import UnsupportedError
from netglot.frontends.onnx import load
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes import onnxruntime
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import Row, all_rows

F = np.dtype(np.float32)
POOL = {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}


def one(op: str, *inputs: Any, dtype: str = "float32", **attributes: Any) -> Graph:
    """y = op(x, *inputs)."""
    g = Builder(Graph("one"))
    x = g.graph.add_input("x", np.dtype(dtype), (1, 4, 6, 6))
    g.graph.outputs = [g.op(op, (x, *inputs), **attributes)]
    return g.graph


def dense(count: int = 3, size: int = 64) -> Graph:
    """A chain of Gemms with weights of `size` x `size`."""
    g = Builder(Graph("dense"))
    x = g.graph.add_input("x", F, (2, size))
    rng = np.random.default_rng(0)
    for _ in range(count):
        x = g.Relu(g.Gemm(x, rng.normal(0, size**-0.5, (size, size)).astype(F), np.ones(size, F)))
    g.graph.outputs = [x]
    return g.graph


# -------------------------------------------------------------------------- opset


@pytest.mark.parametrize(("graph", "opset"), [
    (one("Relu"), 17),
    (one("Relu", dtype="int32"), 17),
    (one("Gelu"), 20),
    (one("ReduceMean", [2, 3]), 18),
    (one("ReduceSum", [2, 3]), 17),
    (one("Cast", to=onnx.TensorProto.FLOAT8E4M3FN), 19),
    (one("Cast", to=onnx.TensorProto.INT4), 21),
    (one("Pad", [0] * 8, mode="wrap"), 19),
    (one("Pad", [0] * 8, mode="edge"), 17),
    (one("MaxPool", **POOL), 17),  # no window can start in the padding
    (one("MaxPool", **POOL | {"pads": (0, 0, 1, 1)}), 22),
    (one("GroupNormalization", np.ones(4, F), np.ones(4, F), num_groups=2), 21),
    (one("Elu", dtype="bfloat16"), 22),
    (one("Mish"), 18),
    (one("GridSample", np.zeros((1, 3, 3, 2), F)), 20),
], ids=lambda item: item.nodes()[0].op if isinstance(item, Graph) else item)  # fmt: skip
def test_lowest_opset(graph: Graph, opset: int) -> None:
    assert lowest_opset(graph) == opset
    model = to_model(graph)
    assert model.opset_import[0].version == opset
    assert model.ir_version == {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10}[opset]


def test_an_opset_that_is_too_low_names_every_node(tmp_path: Path) -> None:
    g = Builder(Graph())
    x = g.graph.add_input("x", F, (2,))
    g.graph.outputs = [g.Gelu(g.Relu(g.Gelu(x)))]
    with pytest.raises(UnsupportedError) as caught:
        save(g.graph, tmp_path / "model.onnx", opset=17)
    assert [problem.what.split()[0] for problem in caught.value.problems] == ["Gelu", "Gelu"]
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("opset", [20, 22, 26])
def test_a_wanted_opset(tmp_path: Path, opset: int) -> None:
    save(one("Gelu"), tmp_path / "model.onnx", opset=opset)
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == opset


# -------------------------------------------------------------------------- files


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_the_checker_accepts_what_we_write(row: Row, tmp_path: Path) -> None:
    save(row.graph(), tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


WEIGHTS = np.arange(3001) % 3
STORED = {
    "float32": WEIGHTS.astype(F), "float16": WEIGHTS.astype(np.float16), "bool": WEIGHTS > 0, "int64": WEIGHTS,
    "bfloat16": WEIGHTS.astype(ml_dtypes.bfloat16), "int4": WEIGHTS.astype(ml_dtypes.int4),
    "uint2": WEIGHTS.astype(ml_dtypes.uint2), "float8": WEIGHTS.astype(ml_dtypes.float8_e5m2),
    "transposed": WEIGHTS[:3000].reshape(30, 100).T.astype(F, order="K"),
    "broadcast": np.broadcast_to(F.type(2), (40, 50)),
    "every other": np.arange(6000, dtype=F)[::2], "strings": np.array(["a", "ß"] * 400, object),
    "small": np.arange(3, dtype=F), "scalar": np.array(3, F),
}  # fmt: skip


@pytest.mark.parametrize("limit", [2**31, 0], ids=["inline", "external"])
@pytest.mark.parametrize("array", STORED.values(), ids=STORED)
def test_constants_come_back(tmp_path: Path, array: np.ndarray, limit: int) -> None:
    graph = Graph("constants")
    graph.outputs = [graph.add_constant(array, "w")]
    path = tmp_path / "model.onnx"
    save(graph, path, inline_limit=limit)
    onnx.checker.check_model(path)
    for found in (load(path)["w"].array, onnx.numpy_helper.to_array(onnx.load(path).graph.initializer[0])):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_a_large_model_has_a_data_file(tmp_path: Path) -> None:
    path, feed = tmp_path / "net.onnx", {"x": np.ones((2, 64), F)}
    wanted = OnnxRuntime(dense()).run(feed)
    save(dense(), path, inline_limit=20_000)
    places = [{entry.key: entry.value for entry in tensor.external_data}
              for tensor in onnx.load(path, load_external_data=False).graph.initializer]  # fmt: skip
    assert [place for place in places if place] == [
        {"location": "net.onnx.data", "offset": str(i * 16384), "length": "16384"} for i in range(3)
    ]
    onnx.checker.check_model(path, full_check=True)
    for runtime in (OnnxRuntime(path), OnnxRuntime(load(path))):
        np.testing.assert_array_equal(list(runtime.run(feed).values()), list(wanted.values()))
    assert not load(path).nodes()[0].inputs[1].array.flags.owndata  # type: ignore[union-attr]


def test_offsets_are_aligned(tmp_path: Path) -> None:
    save(dense(size=50), tmp_path / "net.onnx", inline_limit=0)
    model = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    offsets = [int(e.value) for t in model.graph.initializer for e in t.external_data if e.key == "offset"]
    assert offsets == [0, 12288, 24576]  # 10,000 bytes each, at multiples of 4,096


def test_writing_makes_no_copy_of_the_weights(tmp_path: Path) -> None:
    graph = dense(4, 1024)  # 16 MB
    tracemalloc.start()
    save(graph, tmp_path / "net.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_names_are_unique_across_bodies(tmp_path: Path) -> None:
    """Two bodies and the main graph each have a 'y'; a body's large constant goes to the main graph."""

    def body(shift: float) -> Graph:
        g = Builder(Graph("body"))
        g.graph.outputs = [g.Add(x, np.full((400,), shift, F), name="y")]
        return g.graph

    g = Builder(Graph("main"))
    c, x = g.graph.add_input("c", np.dtype(bool), ()), g.graph.add_input("x", F, (400,))
    g.graph.outputs = [g.If(c, then_branch=body(1), else_branch=body(2), name="y")]
    save(g.graph, tmp_path / "if.onnx")
    onnx.checker.check_model(tmp_path / "if.onnx", full_check=True)
    for runtime in (OnnxRuntime(tmp_path / "if.onnx"), OnnxRuntime(g.graph), OnnxRuntime(load(tmp_path / "if.onnx"))):
        assert runtime.run({"c": np.array(False), "x": np.zeros(400, F)})["y"].tolist() == [2] * 400


def test_a_body_may_hand_on_what_it_captures(tmp_path: Path) -> None:
    g = Builder(Graph("main"))
    c, x = g.graph.add_input("c", np.dtype(bool), ()), g.graph.add_input("x", F, (2,))
    body = Builder(Graph("body"))
    body.graph.outputs = [body.Neg(x)]
    same = Graph("same")
    same.outputs = [x]
    g.graph.outputs = [g.If(c, then_branch=same, else_branch=body.graph, name="y")]
    g.graph.check()
    save(g.graph, tmp_path / "if.onnx")
    found = OnnxRuntime(tmp_path / "if.onnx").run({"c": np.array(True), "x": np.ones(2, F)})
    assert found["y"].tolist() == [1, 1]


# ------------------------------------------------------------------------ float16


def close(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], rtol: float) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=rtol * np.abs(array).max(initial=0))


def test_fp16(tmp_path: Path) -> None:
    path, feed = tmp_path / "half.onnx", {"x": np.ones((2, 64), F)}
    wanted = OnnxRuntime(dense()).run(feed)
    save(dense(), path, quantize="fp16")
    graph = load(path)
    graph.check()
    assert {value.dtype for value in graph.constants()} == {np.dtype(np.float16)}
    assert [node.op for node in graph.nodes()].count("Cast") == 2
    onnx.checker.check_model(path, full_check=True)
    close(OnnxRuntime(path).run(feed), wanted, 5e-3)


def test_what_float16_can_not_hold_stays_float32(tmp_path: Path) -> None:
    g = Builder(Graph())
    x = g.graph.add_input("x", F, (4,))
    hidden = g.Mul(g.Add(g.Mul(x, 2.0), np.array([0, -1e9, 0, 0], F)), 0.5)
    g.graph.outputs = [g.Softmax(hidden, axis=0, name="y")]
    wanted = OnnxRuntime(g.graph).run({"x": np.arange(4, dtype=F)})
    save(g.graph, tmp_path / "half.onnx", quantize="fp16")
    close(OnnxRuntime(tmp_path / "half.onnx").run({"x": np.arange(4, dtype=F)}), wanted, 5e-3)


@pytest.mark.parametrize("row", [row for row in all_rows() if not row.domain], ids=lambda row: row.id)
def test_fp16_of_every_operator(row: Row, tmp_path: Path) -> None:
    """It loads and computes about the same; operators that jump may differ where float16 falls on the other side."""
    jumps = {"ArgMax", "ArgMin", "Round", "Floor", "Ceil", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "TopK",
             "Cast"}  # fmt: skip
    wanted = OnnxRuntime(row.graph()).run(row.feed())
    save(row.graph(), tmp_path / "half.onnx", quantize="fp16")
    found = OnnxRuntime(tmp_path / "half.onnx").run(row.feed())
    assert [(a.dtype, a.shape) for a in found.values()] == [(a.dtype, a.shape) for a in wanted.values()]
    if row.op not in jumps:
        close(found, wanted, 2e-2)


# ------------------------------------------------------------------------ runtime


def test_the_runtime_hands_constants_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With any size of weights the model's own message stays small, and the graph may go away."""
    sizes: list[int] = []
    session = onnxruntime._session
    measured = lambda model, options: sizes.append(len(model)) or session(model, options)  # noqa: E731
    monkeypatch.setattr(onnxruntime, "_session", measured)
    wanted = OnnxRuntime(dense(3, 256)).run({"x": np.ones((2, 256), F)})
    monkeypatch.setattr(onnxruntime, "EXTERNAL_BYTES", 2**31)
    inside = OnnxRuntime(dense(3, 256)).run({"x": np.ones((2, 256), F)})
    np.testing.assert_array_equal(list(wanted.values()), list(inside.values()))
    assert sizes[0] < 8192 < 3 * 256 * 256 * 4 < sizes[1]


def test_the_runtime_names_what_is_missing() -> None:
    with pytest.raises(Exception, match="no value for the input x"):
        OnnxRuntime(dense()).run({})
    with pytest.raises(Exception, match="ONNX Runtime can't run it"):
        OnnxRuntime(dense()).run({"x": np.ones((2, 3), F)})
