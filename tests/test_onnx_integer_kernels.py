"""Quantised graphs as ONNX: ONNX Runtime, at its default optimisation, computes them with its integer kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest

import netglot
from netglot.backends.onnx import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.passes.pipeline import COMMON, run
from netglot.passes.quantised_limits import drop_implied_limits
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import quantised_models as models

I8, U8, I16 = np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16)
ENDS = {"QuantizeLinear", "DequantizeLinear", "Transpose"}  # Transposes: kernels store images channels last


class Net:
    """A graph of which every tensor has a grid; weights are random integers."""

    def __init__(self, shape: tuple[int, ...] = (1, 8, 6, 6), dtype: np.dtype = I8) -> None:
        self.g, self.rng, self.dtype = Builder(Graph("net")), np.random.default_rng(0), dtype
        self.x = self.pair(self.g.graph.add_input("x", np.dtype(np.float32), shape))

    def grid(self, scale: float, zero: int | None) -> tuple[Any, Any]:
        zero = zero if zero is not None else (128 if self.dtype == U8 else 0)
        return self.g.constant(scale, np.float32), self.g.constant(zero, self.dtype)

    def pair(self, x: Any, scale: float = 0.03, zero: int | None = None) -> Any:
        return self.g.DequantizeLinear(self.g.QuantizeLinear(x, *self.grid(scale, zero)), *self.grid(scale, zero))

    def relu(self, x: Any) -> Any:
        return self.pair(self.g.Relu(x), 0.02, np.iinfo(self.dtype).min)

    def weights(self, *shape: int, axis: int) -> Any:
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        return self.g.DequantizeLinear(data, self.scale(shape[axis]), axis=axis)

    def scale(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(0.001, 0.002, shape).astype(np.float32)

    def conv(self, x: Any, filters: int = 8, **attributes: Any) -> Any:
        """ONNX Runtime takes a bias only where its scale is the product of the others."""
        w = self.weights(filters, 8 // attributes.get("group", 1), 3, 3, axis=0)
        scales = [self.g.graph.producer(value).inputs[1].array for value in (x, w)]  # type: ignore[union-attr]
        bias = self.rng.integers(-2000, 2000, filters).astype(np.int32)
        real = self.g.DequantizeLinear(bias, scales[0] * scales[1], axis=0)
        return self.g.Conv(x, w, real, pads=(1,) * 4, **attributes)

    def dense(self, x: Any, axis: int, **attributes: Any) -> Any:
        return self.pair(self.g.Gemm(x, self.weights(8, 8, axis=axis), **attributes), 0.002)

    def constant(self, *shape: int) -> Any:
        info = np.iinfo(self.dtype)
        data = self.rng.integers(info.min, info.max, shape, self.dtype, endpoint=True)
        return self.g.DequantizeLinear(data, *self.grid(0.01, 3))

    def graph(self, *outputs: Any) -> Graph:
        self.g.graph.outputs = list(outputs)
        return self.g.graph


def optimised(path: Path) -> tuple[Counter[str], ort.InferenceSession]:
    """The operators that ONNX Runtime computes, and the session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node), session


def written(graph: Graph, path: Path) -> set[str]:
    """What ONNX Runtime computes besides the ends; checked against the graph before it was written."""
    feeds = {v.name: np.random.default_rng(1).normal(size=v.sizes).astype(np.float32) for v in graph.inputs}
    wanted = OnnxRuntime(graph).run(feeds)
    save(graph.copy(), path)
    model = onnx.load(path)
    assert {item.domain for item in model.opset_import} == {""}, "only ONNX's own operators are written"
    found, session = optimised(path)
    for (name, array), result in zip(wanted.items(), session.run(None, feeds), strict=True):
        step = np.diff(np.unique(array)).min()
        assert np.unique(array).size > 3, "the inputs are told apart"
        assert np.abs(result - array).max() <= 1.001 * step, name
    return set(found) - ENDS


NETS: dict[str, tuple[Callable[[Net], Any], set[str]]] = {
    "Conv": (lambda n: n.pair(n.conv(n.x)), {"QLinearConv"}),
    "depthwise": (lambda n: n.pair(n.conv(n.x, group=8)), {"QLinearConv"}),
    "limits": (lambda n: n.pair(n.conv(n.relu(n.conv(n.x)))), {"QLinearConv"}),
    "limits inside the grid": (
        lambda n: n.pair(n.conv(n.pair(n.g.Clip(n.conv(n.x), np.float32(-0.5), np.float32(1))))),
        {"QLinearConv", "Clip"}),
    "Relu inside the grid": (lambda n: n.pair(n.g.Relu(n.g.Add(n.x, n.x))), {"QLinearAdd", "Clip"}),
    "branches": (lambda n: n.relu(n.g.Add(n.pair(n.conv(n.x)), n.x)), {"QLinearConv", "QLinearAdd"}),
    "constants": (
        lambda n: n.pair(n.g.Mul(n.pair(n.g.Add(n.x, n.constant(8, 1, 1))), n.constant())),
        {"QLinearAdd", "QLinearMul"}),
    "Concat": (lambda n: n.pair(n.g.Concat(n.pair(n.conv(n.x)), n.x, axis=1)), {"QLinearConv", "QLinearConcat"}),
    "mean": (
        lambda n: n.dense(n.pair(n.g.Flatten(n.pair(n.g.GlobalAveragePool(n.x), 0.005)), 0.005), 0, transB=1),
        {"QLinearGlobalAveragePool", "Flatten", "QGemm"}),
    "ReduceMean": (
        lambda n: n.dense(n.pair(n.g.ReduceMean(n.x, [2, 3], keepdims=0), 0.005), 1),
        {"QLinearGlobalAveragePool", "Flatten", "QGemm"}),
    "Pad": (lambda n: n.pair(n.conv(n.pair(n.g.Pad(n.x, [0, 0, 1, 0, 0, 0, 0, 2])))), {"Pad", "QLinearConv"}),
    "MatMul": (
        lambda n: n.pair(n.g.Add(n.pair(n.g.MatMul(n.x, n.weights(6, 4, axis=1))), n.constant(4))),
        {"QLinearMatMul", "QLinearAdd"}),
    "a constant first": (lambda n: n.pair(n.g.MatMul(n.constant(4, 6), n.x)), {"QLinearMatMul"}),
    "two tensors": (lambda n: n.pair(n.g.MatMul(n.x, n.relu(n.x))), {"QLinearMatMul"}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [I8, U8], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_kernels(name: str, dtype: np.dtype, tmp_path: Path) -> None:
    make, wanted = NETS[name]
    net = Net(dtype=dtype)
    assert written(net.graph(make(net)), tmp_path / "net.onnx") <= wanted


def test_16_bits_run_in_floats(tmp_path: Path) -> None:
    """There are no kernels; weights of 8 bits, biases real."""
    net = Net(dtype=I16)
    x = net.pair(net.g.Pad(net.x, [0, 0, 1, 1, 0, 0, 1, 1]))
    y = net.g.Conv(x, net.weights(8, 8, 3, 3, axis=0), np.ones(8, np.float32))
    graph = net.graph(net.pair(y, 0.0002))
    assert "Conv" in "".join(written(graph, tmp_path / "net.onnx"))
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == 21


def test_8_bits_need_no_new_opset(tmp_path: Path) -> None:
    net = Net()
    save(net.graph(net.pair(net.conv(net.x))), tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == 17


def test_zero_points_that_are_left_out(tmp_path: Path) -> None:
    """QuantizeLinear says its type by an attribute then."""
    net = Net()
    g, scale = net.g, net.g.constant(0.03, np.float32)
    g.graph.outputs = [g.DequantizeLinear(g.QuantizeLinear(net.conv(net.x), scale, output_dtype=3), scale)]
    assert written(g.graph, tmp_path / "net.onnx") == {"QLinearConv"}


def test_int8_ends_keep_their_type(tmp_path: Path) -> None:
    """What the graph takes and gives stays int8, and the layer between is an integer kernel all the same."""
    net = Net()
    q = net.g.graph.add_input("q", I8, (1, 8, 6, 6))
    grid = net.grid(0.03, -7)
    y = net.g.QuantizeLinear(net.conv(net.g.DequantizeLinear(q, *grid)), *grid)
    graph = net.graph(y)
    graph.drop_unneeded()
    graph.inputs = [q]
    feeds = {"q": np.random.default_rng(1).integers(-128, 128, (1, 8, 6, 6)).astype(np.int8)}
    [wanted] = OnnxRuntime(graph).run(feeds).values()
    save(graph, tmp_path / "net.onnx")
    found, session = optimised(tmp_path / "net.onnx")
    assert set(found) - ENDS == {"QLinearConv"}
    [result] = session.run(None, feeds)
    assert result.dtype == np.int8
    assert np.abs(result.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("op", ["Conv", "Gemm"])
def test_biases_of_another_scale(op: str, tmp_path: Path) -> None:
    """As they are, ONNX Runtime leaves the Conv to floats, and computes the Gemm wrongly."""
    net = Net((1, 8, 6, 6) if op == "Conv" else (5, 8))
    w = net.weights(*((8, 8, 3, 3) if op == "Conv" else (8, 8)), axis=0)
    bias = net.g.DequantizeLinear(np.arange(-400, 400, 100, dtype=np.int32), np.float32(1e-3))
    y = net.g.op(op, [net.x, w, bias], **({"transB": 1} if op == "Gemm" else {}))
    assert written(net.graph(net.pair(y, 0.005)), tmp_path / "net.onnx") == {"QLinearConv" if op == "Conv" else "QGemm"}


@pytest.mark.parametrize("filters", [8, 64])
def test_many_scales_of_biases_are_not_stored(filters: int, tmp_path: Path) -> None:
    net = Net()
    path = tmp_path / "net.onnx"
    assert written(net.graph(net.pair(net.conv(net.x, filters))), path) == {"QLinearConv"}
    model = onnx.load(path).graph
    assert ("Mul" in [node.op_type for node in model.node]) == (filters == 64)
    vectors = [item for item in model.initializer if list(item.dims) == [filters]]
    assert len(vectors) == (2 if filters == 64 else 3), "biases, scales of weights and, if few, scales of biases"
    again = run(netglot.load(path), COMMON)
    assert "Mul" not in [node.op for node in again.nodes()], "they are known again when the file is read"


@pytest.mark.parametrize("make", [models.resnet, models.attention], ids=lambda make: make.__name__)
def test_networks_of_onnxruntime(make: Callable[[], Graph], tmp_path: Path) -> None:
    """The other format of onnxruntime.quantization: no layer is left to floats; weights are those of the file."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    form = {"quant_format": quantization.QuantFormat.QOperator, "activation_type": quantization.QuantType.QInt8}
    path = models.quantised(make(), tmp_path / "theirs.onnx", per_channel=True, **form)
    graph = run(netglot.load(path), COMMON)
    save(graph, tmp_path / "ours.onnx")
    ours, session = optimised(tmp_path / "ours.onnx")
    assert not {"Conv", "FusedConv", "MatMul", "Gemm"} & set(ours)
    [one] = models.inputs(1, seed=9)
    [wanted] = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, one)
    assert np.abs(session.run(None, one)[0] - wanted).max() <= 0.02 * np.ptp(wanted)
    assert _stored(path) == _stored(tmp_path / "ours.onnx") != set()


def _stored(path: Path) -> set[bytes]:
    """The weights of 8 bits."""
    arrays = map(onnx.numpy_helper.to_array, onnx.load(path).graph.initializer)
    return {array.tobytes() for array in arrays if array.dtype == I8 and array.size > 64}


# ------------------------------------------------------------- other forms


def _dynamic(op: str, **attributes: Any) -> Graph:
    net = Net()
    g = net.g
    shape = (1, 8, 6, 6) if op == "Conv" else (5, 8)
    x = g.graph.add_input("real", np.dtype(np.float32), shape)
    x = g.DequantizeLinear(*g.op("DynamicQuantizeLinear", [x], outputs=3))
    axis = 0 if op == "Conv" or attributes else 1
    w = net.weights(*((8, 8, 3, 3) if op == "Conv" else (8, 8)), axis=axis)
    bias = [np.linspace(-1, 1, 8).astype(np.float32)] if op != "MatMul" else []
    graph = net.graph(g.op(op, [x, w, *bias], **attributes))
    graph.drop_unneeded()
    graph.inputs = [graph["real"]]
    return graph


@pytest.mark.parametrize(
    ("graph", "kernel"),
    [
        (_dynamic("MatMul"), "DynamicQuantizeMatMul"), (_dynamic("Gemm"), "DynamicQuantizeMatMul"),
        (_dynamic("Gemm", transB=1), "DynamicQuantizeMatMul"), (_dynamic("Conv"), "ConvInteger"),
    ],
    ids=["MatMul", "Gemm", "Gemm of rows", "Conv"],
)  # fmt: skip
def test_dynamic(graph: Graph, kernel: str, tmp_path: Path) -> None:
    feeds = {"real": np.random.default_rng(1).normal(size=graph.inputs[0].sizes).astype(np.float32)}
    [wanted] = OnnxRuntime(graph).run(feeds).values()
    save(graph, tmp_path / "net.onnx")
    found, session = optimised(tmp_path / "net.onnx")
    assert kernel in found
    assert not {"Conv", "MatMul", "Gemm"} & set(found)
    np.testing.assert_allclose(session.run(None, feeds)[0], wanted, atol=2e-6 * np.abs(wanted).max())
    [again] = OnnxRuntime(run(netglot.load(tmp_path / "net.onnx"), COMMON)).run(feeds).values()
    np.testing.assert_allclose(again, wanted, atol=2e-6 * np.abs(wanted).max())


def _of_4_bits(op: str) -> Graph:
    net = Net()
    g = net.g
    shapes = {"Conv": (8, 32, 3, 3), "Gather": (10, 64), "Gemm": (16, 64), "MatMul": (64, 16)}
    axis = {"Conv": 1, "Gather": 1, "Gemm": 1, "MatMul": 0}[op]
    data = net.rng.integers(-8, 8, shapes[op]).astype(ml_dtypes.int4)
    blocks = [size // 32 if i == axis else size for i, size in enumerate(shapes[op])]
    w = g.DequantizeLinear(data, net.scale(*blocks), axis=axis, block_size=32)
    x = g.graph.add_input("real", np.dtype(np.float32), (1, 32, 5, 5) if op == "Conv" else (3, 64))
    if op == "Gather":
        y = g.Add(g.Gather(w, np.array([3, 1, 7])), x)
    else:
        y = g.op(op, [x, w], **({"transB": 1} if op == "Gemm" else {}))
    graph = net.graph(y)
    graph.drop_unneeded()
    graph.inputs = [graph["real"]]
    return graph


@pytest.mark.parametrize("op", ["Conv", "Gather", "Gemm", "MatMul"])
def test_4_bits(op: str, tmp_path: Path) -> None:
    """Two weights a byte; products are computed by MatMulNBits, which rounds what it reads to 8 bits by default."""
    graph = _of_4_bits(op)
    feeds = {"real": np.random.default_rng(1).normal(size=graph.inputs[0].sizes).astype(np.float32)}
    [wanted] = OnnxRuntime(graph).run(feeds).values()
    save(graph, tmp_path / "net.onnx")
    found, session = optimised(tmp_path / "net.onnx")
    is_product = op in ("Gemm", "MatMul")
    assert ("MatMulNBits" in found) == is_product
    tolerance = 0.02 if is_product else 1e-6
    np.testing.assert_allclose(session.run(None, feeds)[0], wanted, atol=tolerance * np.abs(wanted).max())
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == 21


@pytest.mark.parametrize(("entries", "bits"), [(16, 4), (256, 8)])
def test_palettes(entries: int, bits: int, tmp_path: Path) -> None:
    """As small on disk as it is stored, and plain weights once it is loaded."""
    rng = np.random.default_rng(0)
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 32, 8, 8))
    indices = rng.integers(0, entries, (32, 32, 3, 3)).astype(np.uint8)
    w = g.extension("Palette", [g.constant(indices), g.constant(rng.normal(size=entries).astype(np.float32))])
    g.graph.outputs = [g.Conv(x, w)]
    feeds = {"x": rng.normal(size=x.sizes).astype(np.float32)}
    [wanted] = OnnxRuntime(g.graph).run(feeds).values()
    for opset in (None, 17):
        path = tmp_path / f"{opset}.onnx"
        save(g.graph.copy(), path, opset=opset)
        found, session = optimised(path)
        assert not {"Cast", "Gather"} & set(found)
        np.testing.assert_allclose(session.run(None, feeds)[0], wanted, atol=1e-5 * np.abs(wanted).max())
    assert (tmp_path / "None.onnx").stat().st_size < indices.size * bits / 8 + 2500


# -------------------------------------------------------------- the rewrites


@pytest.mark.parametrize(
    ("zero", "scale", "limits", "implied"),
    [
        (0, 0.1, (0, None), True), (1, 0.1, (0, None), False), (0, 0.02, (0, 6), True), (0, 0.03, (0, 6), False),
        (10, 0.1, (-1, None), True), (10, 0.1, (-0.96, None), True), (10, 0.1, (-0.94, None), False),
        (0, 0.1, (0.06, None), False),
    ],
)  # fmt: skip
def test_limits_go_where_the_grid_implies_them(zero: int, scale: float, limits: Any, implied: bool) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (400,))
    bounds = [None if limit is None else g.constant(limit, np.float32) for limit in limits]
    grid = g.constant(scale, np.float32), g.constant(zero, U8)
    g.graph.outputs = [g.QuantizeLinear(g.Clip(x, *bounds), *grid)]
    after = g.graph.copy()
    assert drop_implied_limits(after) == implied
    feeds = {"x": np.linspace(-5, 30, 400, dtype=np.float32)}
    [wanted] = OnnxRuntime(g.graph).run(feeds).values()
    np.testing.assert_array_equal(*OnnxRuntime(after).run(feeds).values(), wanted)
    bare = g.graph.copy()
    clip = next(node for node in bare.nodes() if node.op == "Clip")
    bare.replace_uses(clip.output, bare["x"])
    bare.remove_node(clip)
    assert np.array_equal(*OnnxRuntime(bare).run(feeds).values(), wanted) == implied
