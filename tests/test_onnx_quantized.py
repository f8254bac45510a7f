"""Quantised ONNX files, read and written: ONNX Runtime running the original is the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import netglot
from netglot.backends.onnx.writer import to_model
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.passes.pipeline import COMMON, run
from netglot.passes.quantised_constants import dequantise_last
from netglot.passes.quantised_moves import pair_moves
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import quantised_models as models

MS = "com.microsoft"
PAIRS = {"QuantizeLinear", "DequantizeLinear"}
I8, U8 = np.dtype(np.int8), np.dtype(np.uint8)


class File:
    """An ONNX model, node by node; constants are given as arrays."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.feeds: dict[str, np.ndarray] = {}

    def input(self, data: np.ndarray) -> str:
        name = f"x{len(self.feeds)}"
        self.feeds[name] = data
        return name

    def op(self, op: str, *inputs: Any, domain: str = "", outputs: int = 1, **attributes: Any) -> Any:
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        results = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, results, op + str(len(self.nodes)), domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def ms(self, op: str, *inputs: Any, **attributes: Any) -> Any:
        return self.op(op, *inputs, domain=MS, **attributes)

    def constant(self, data: Any) -> str:
        array = np.asarray(data, np.float32 if isinstance(data, float) else None)
        self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def integers(self, *shape: int, dtype: np.dtype = U8) -> np.ndarray:
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max, shape, dtype, endpoint=True)

    def scales(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(0.002, 0.01, shape).astype(np.float32)

    def save(self, path: Path, *outputs: str, opset: int = 17) -> Path:
        kinds = {name: helper.np_dtype_to_tensor_dtype(data.dtype) for name, data in self.feeds.items()}
        inputs = [helper.make_tensor_value_info(k, kinds[k], data.shape) for k, data in self.feeds.items()]
        results = [helper.make_value_info(name, onnx.TypeProto()) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", inputs, results, self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return path


def by_onnxruntime(path: Path | bytes, feeds: dict[str, np.ndarray], *, optimised: bool = False) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = path if isinstance(path, bytes) else str(path)
    found = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)
    return [np.asarray(array) for array in found]


def ops(graph: Graph) -> list[str]:
    return sorted(node.op for node in graph.nodes() if node.op not in PAIRS)


# ------------------------------------------------------- operators, one by one

Case = Callable[[File], Sequence[str]]


def _between(op: str, **attributes: Any) -> Case:
    """An operator of one tensor between two grids."""

    def case(f: File) -> list[str]:
        results = []
        for dtype, x_zero, y_zero in ((U8, 130, 20), (I8, -3, -100)):
            x = f.input(f.integers(2, 6, 5, 4, dtype=dtype))
            grids = 0.03, dtype.type(x_zero), 0.012, dtype.type(y_zero)
            results.append(f.ms(op, x, *grids, **attributes))
        return results

    return case


def _binary(op: str, scale: float) -> Case:
    def case(f: File) -> list[str]:
        a, b = f.input(f.integers(2, 3, 4)), f.input(f.integers(3, 1))
        first = f.ms(op, a, 0.01, np.uint8(120), b, 0.02, np.uint8(9), scale, np.uint8(100))
        c, d = (f.input(f.integers(7, dtype=I8)) for _ in range(2))
        return [first, f.ms(op, c, 0.01, np.int8(0), d, 0.02, np.int8(-9), scale, np.int8(3))]

    return case


def _conv(f: File, domain: str = "", **attributes: Any) -> str:
    shape = (1, 9, 8, 6) if attributes.get("channels_last") else (1, 6, 9, 8)
    x = f.input(f.integers(*shape))
    scale, bias = f.scales(4), f.integers(4, dtype=np.dtype(np.int16)).astype(np.int32) // 16
    w, zero = f.integers(4, 3, 3, 3, dtype=I8), np.zeros(4, np.int8)
    grids = x, 0.02, np.uint8(111), w, scale, zero, 0.15, np.uint8(128)
    return str(f.op("QLinearConv", *grids, bias, domain=domain, group=2, pads=[1, 1, 1, 1], **attributes))


def qlinear_conv(f: File) -> list[str]:
    x, w = f.input(f.integers(1, 2, 7)), f.integers(3, 2, 3)
    grids = np.float32([0.01]), np.uint8([127]), np.float32([0.3]), np.uint8([128])
    plain = f.op("QLinearConv", x, np.float32([0.02]), np.uint8([111]), w, *grids)
    return [_conv(f, strides=[2, 1]), plain]


def qlinear_matmul(f: File) -> list[str]:
    rows = f.op("QLinearMatMul", f.input(f.integers(2, 5, 8)), 0.02, np.uint8(3), f.integers(8, 4, dtype=I8),
                f.scales(4), np.zeros(4, np.int8), 0.4, np.uint8(127))  # fmt: skip
    return [rows, f.op("QLinearMatMul", f.input(f.integers(5, 8)), 0.02, np.uint8(130), f.input(f.integers(8, 3)),
                       0.01, np.uint8(120), 0.1, np.uint8(127))]  # fmt: skip


def qgemm(f: File) -> list[str]:
    bias = f.integers(5, dtype=np.dtype(np.int16)).astype(np.int32)
    b, scale, zero = f.integers(5, 9, dtype=I8), f.scales(5), np.zeros(5, np.int8)
    layer = f.input(f.integers(4, 9)), 0.02, np.uint8(100), b, scale, zero, bias
    real = f.ms("QGemm", *layer, transB=1, alpha=0.5)
    plain = f.ms("QGemm", f.input(f.integers(4, 9, dtype=I8)), 0.02, np.int8(5), b.T.copy(), 0.01, np.int8(0), "",
                 0.3, np.int8(7))  # fmt: skip
    return [f.ms("QGemm", *layer, 0.25, np.uint8(90), transB=1), real, plain]


def products(f: File) -> list[str]:
    w, scale, bias = f.integers(8, 4, dtype=I8), f.scales(4), f.scales(4)
    q = f.input(f.integers(3, 8))
    real = f.input(f.rng.normal(size=(2, 3, 8)).astype(np.float32))
    return [
        f.ms("MatMulIntegerToFloat", q, w, 0.02, scale, np.uint8(77), np.zeros(4, np.int8), bias),
        f.ms("MatMulIntegerToFloat", q, f.integers(8, 4), 0.02, 0.01, np.uint8(77), np.uint8(99)),
        f.ms("DynamicQuantizeMatMul", real, w, scale, np.zeros(4, np.int8), bias),
        f.ms("DynamicQuantizeMatMul", real, w, 0.003),
    ]


def concat(f: File) -> list[str]:
    threes = [(f.input(f.integers(2, n, 3)), 0.01 * n, np.uint8(100 + n)) for n in (1, 2, 4)]
    return [f.ms("QLinearConcat", 0.02, np.uint8(99), *(item for three in threes for item in three), axis=1)]


def where(f: File) -> list[str]:
    x, y = f.input(f.integers(3, 4)), f.input(f.integers(4))
    condition = f.input(f.rng.integers(0, 2, (3, 1)).astype(bool))
    grids = x, 0.01, np.uint8(5), y, 0.02, np.uint8(100), 0.02, np.uint8(90)
    return [f.ms("QLinearWhere", condition, *grids)]


def pairs(f: File) -> list[str]:
    x = f.input(f.rng.normal(size=(3, 4)).astype(np.float32))
    q = f.ms("QuantizeLinear", x, 0.0001, np.int16(3))
    each = f.ms("QuantizeLinear", x, f.scales(4), f.integers(4), axis=1)
    return [f.ms("DequantizeLinear", q, 0.0001, np.int16(3)), f.ms("DequantizeLinear", each, np.float32([0.1]))]


def channels_last(f: File) -> list[str]:
    x = f.input(f.integers(2, 6, 8, 5))
    grid = 0.02, np.uint8(7)
    pool = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}
    return [
        _conv(f, MS, channels_last=1),
        f.ms("NhwcMaxPool", x, **pool),
        f.ms("QLinearAveragePool", x, *grid, *grid, channels_last=1, **pool),
        f.ms("QLinearGlobalAveragePool", x, *grid, *grid, channels_last=1),
    ]


CASES: dict[str, Case] = {
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QGemm": qgemm,
    "products": products,
    "QLinearConcat": concat,
    "QLinearWhere": where,
    "pairs": pairs,
    "channels last": channels_last,
    "QLinearAdd": _binary("QLinearAdd", 0.03),
    "QLinearMul": _binary("QLinearMul", 0.06),
    "QLinearSigmoid": _between("QLinearSigmoid"),
    "QLinearLeakyRelu": _between("QLinearLeakyRelu", alpha=0.3),
    "QLinearSoftmax": _between("QLinearSoftmax", axis=1, opset=13),
    "QLinearSoftmax of old": _between("QLinearSoftmax", axis=2, opset=11),
    "QLinearAveragePool": _between("QLinearAveragePool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "QLinearGlobalAveragePool": _between("QLinearGlobalAveragePool"),
}
ROUNDED_APART = {
    "QLinearSoftmax",
    "QLinearSoftmax of old",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "channels last",
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    """The same integers, but for means and Softmax one step where ONNX Runtime rounds halves otherwise."""
    f = File()
    path = f.save(tmp_path / "model.onnx", *CASES[name](f))
    graph = run(netglot.load(path), COMMON, check=True)
    assert not [op for op in ops(graph) if "QLinear" in op or op in ("QGemm", "MatMulInteger")]
    for wanted, found in zip(by_onnxruntime(path, f.feeds), OnnxRuntime(graph).run(f.feeds).values(), strict=True):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert np.unique(wanted).size > 3, "the inputs are told apart"
        steps = int(name in ROUNDED_APART) if wanted.dtype.kind in "iu" else 2e-6 * np.abs(wanted).max()
        assert np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max() <= steps


def test_reduce_mean(tmp_path: Path) -> None:
    """ONNX Runtime has its schema but no kernel on the CPU."""
    f = File()
    x = f.integers(2, 3, 4, 5)
    y = f.ms("QLinearReduceMean", f.input(x), 0.02, np.uint8(7), 0.01, np.uint8(9), axes=[1, 3], keepdims=0)
    [found] = OnnxRuntime(netglot.load(f.save(tmp_path / "model.onnx", y))).run(f.feeds).values()
    mean = ((x.astype(np.float64) - 7) * 0.02).mean((1, 3)) / 0.01 + 9
    assert found.shape == (2, 4)
    assert np.abs(np.clip(mean, 0, 255) - found).max() <= 0.5001


def test_all_unknown_operators_are_named(tmp_path: Path) -> None:
    f = File()
    x = f.input(f.integers(2, 3))
    results = [f.ms(op, x) for op in ("QLinearFoo", "QLinearBar")]
    with pytest.raises(netglot.UnsupportedError) as caught:
        netglot.load(f.save(tmp_path / "model.onnx", *results))
    assert [problem.origin.layer for problem in caught.value.problems] == ["QLinearFoo0", "QLinearBar1"]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
def test_lstm(directions: int, per_channel: bool, tmp_path: Path) -> None:
    """ONNX Runtime also rounds what it reads, and its state, to 8 bits: the difference is that noise."""
    f = File()
    x = f.input(f.rng.normal(size=(6, 2, 5)).astype(np.float32))
    shape = (directions, 16) if per_channel else (directions,)
    zero = np.zeros(shape, np.int8) if per_channel else f.rng.integers(-5, 6, shape).astype(np.int8)
    weights = [f.integers(directions, size, 16, dtype=I8) for size in (5, 4)]
    bias = f.rng.normal(size=(directions, 32)).astype(np.float32)
    grids = [part for _ in weights for part in (f.scales(*shape), zero)]
    way = "bidirectional" if directions == 2 else "forward"
    y, *_ = f.ms("DynamicQuantizeLSTM", x, *weights, bias, *[""] * 4, *grids, outputs=3, hidden_size=4, direction=way)
    path = f.save(tmp_path / "model.onnx", y)
    graph = run(netglot.load(path), COMMON, check=True)
    assert {node.op for node in graph.nodes()} >= {"LSTM", "DequantizeLinear"}
    [wanted], [found] = by_onnxruntime(path, f.feeds), OnnxRuntime(graph).run(f.feeds).values()
    assert np.abs(found - wanted).max() <= 0.02 * np.ptp(wanted)


# ------------------------------------------------------- weights in blocks


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_matmul_nbits(bits: int, symmetric: bool, tmp_path: Path) -> None:
    """K is no multiple of the block, the number of blocks is odd: zero points are packed with a rest."""
    f = File()
    x = f.input(f.rng.normal(size=(3, 2, 72)).astype(np.float32))
    zero = "" if symmetric else f.integers(20, -(-3 * bits // 8))
    weights = f.integers(20, 3, 32 * bits // 8), f.scales(20, 3), zero
    path = f.save(tmp_path / "model.onnx", f.ms("MatMulNBits", x, *weights, K=72, N=20, block_size=32, bits=bits))
    graph = netglot.load(path)
    assert ops(graph) == ["MatMul"]
    [pair] = [node for node in graph.nodes() if node.op == "DequantizeLinear"]
    assert pair.attributes == {"axis": 0, "block_size": 32}
    assert len(pair.inputs) == (2 if symmetric else 3)
    [wanted], [found] = by_onnxruntime(path, f.feeds), OnnxRuntime(graph).run(f.feeds).values()
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


def test_float_zero_points_and_bias(tmp_path: Path) -> None:
    f = File()
    x = f.input(f.rng.normal(size=(2, 40)).astype(np.float32))
    parts = f.integers(6, 3, 8), f.scales(6, 3), f.rng.uniform(5, 9, (6, 3)).astype(np.float32)
    y = f.ms("MatMulNBits", x, *parts, "", f.scales(6), K=40, N=6, block_size=16, bits=4)
    path = f.save(tmp_path / "model.onnx", y)
    [wanted], [found] = by_onnxruntime(path, f.feeds), OnnxRuntime(netglot.load(path)).run(f.feeds).values()
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("packed", [True, False])
def test_gather_block_quantized(packed: bool, tmp_path: Path) -> None:
    import ml_dtypes

    f = File()
    indices = f.input(np.array([[3, 0], [2, 4]]))
    if packed:
        args = f.integers(5, 32), indices, f.scales(5, 4), f.integers(5, 2)
    else:
        args = f.rng.integers(-8, 8, (5, 64)).astype(ml_dtypes.int4), indices, f.scales(5, 4)
    y = f.ms("GatherBlockQuantized", *args, block_size=16, quantize_axis=1, gather_axis=0, bits=4)
    path = f.save(tmp_path / "model.onnx", y, opset=21)
    [wanted], [found] = by_onnxruntime(path, f.feeds), OnnxRuntime(netglot.load(path)).run(f.feeds).values()
    np.testing.assert_array_equal(found, wanted)


def test_packed_weights_that_do_not_fit(tmp_path: Path) -> None:
    """Sizes in a file are only claims."""
    f = File()
    x = f.input(np.zeros((2, 40), np.float32))
    y = f.ms("MatMulNBits", x, f.integers(6, 3, 8), f.scales(6, 3), K=2**40, N=2**20, block_size=16)
    with pytest.raises(netglot.ConversionError, match="elements instead of"):
        netglot.load(f.save(tmp_path / "model.onnx", y))


# ---------------------------------------------------------------- networks


def _dynamic(model: Callable[[], Graph], path: Path, kind: str) -> Path:
    quantization = pytest.importorskip("onnxruntime.quantization")
    source = path.with_name("float.onnx")
    onnx.save(to_model(model(), opset=21), source)
    quantization.quantize_dynamic(source, path, per_channel=True, weight_type=quantization.QuantType[kind])
    return path


def _static(model: Callable[[], Graph], path: Path, kind: str) -> Path:
    quantization = pytest.importorskip("onnxruntime.quantization")
    form = {"quant_format": quantization.QuantFormat.QOperator, "activation_type": quantization.QuantType[kind]}
    return models.quantised(model(), path, per_channel=True, **form)


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
@pytest.mark.parametrize("write", [_static, _dynamic])
@pytest.mark.parametrize("make", [models.resnet, models.mobilenet, models.attention], ids=lambda make: make.__name__)
def test_network(make: Callable[[], Graph], write: Callable[..., Path], kind: str, tmp_path: Path) -> None:
    """Everything is computed between pairs, weights stay the integers of the file, and it is the same network."""
    path = write(make, tmp_path / "model.onnx", kind)
    graph = run(netglot.load(path), COMMON, check=True)
    for node in graph.nodes():
        kinds = {value.dtype for value in (*node.inputs, *node.outputs) if value is not None}
        assert node.op in (*PAIRS, "DynamicQuantizeLinear") or not kinds & {I8, U8}, node.op
        assert node.op not in ("Conv", "Gemm") or not node.inputs[1].is_constant  # type: ignore[union-attr]
    [one] = models.inputs(1, seed=9)
    [wanted], [found] = by_onnxruntime(path, one), OnnxRuntime(graph).run(one).values()
    assert np.ptp(wanted) > 0
    assert np.abs(found - wanted).max() <= 1e-5 * np.ptp(wanted)


def test_what_onnxruntime_made_of_it(tmp_path: Path) -> None:
    """The file that it saves after its own optimisation: images channels last, com.microsoft's operators."""
    pytest.importorskip("onnxruntime.quantization")
    path = models.quantised(models.resnet(), tmp_path / "model.onnx")
    options = ort.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 3, str(tmp_path / "optimised.onnx")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert any(node.domain == MS for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    graph = run(netglot.load(tmp_path / "optimised.onnx"), COMMON, check=True)
    [one] = models.inputs(1, seed=9)
    [wanted], [found] = session.run(None, one), OnnxRuntime(graph).run(one).values()
    assert np.abs(found - wanted).max() <= 0.02 * np.ptp(wanted)


# ------------------------------------------------------------ common passes


def _weights(g: Builder, *shape: int, axis: int, block_size: int | None = None) -> Any:
    rng = np.random.default_rng(3)
    sizes = shape[axis : axis + 1] if block_size is None else list(shape)
    if block_size:
        sizes[axis] //= block_size  # type: ignore[index]
    scale = rng.uniform(0.01, 0.02, sizes).astype(np.float32)
    return g.DequantizeLinear(rng.integers(-127, 128, shape).astype(np.int8), scale, axis=axis, block_size=block_size)


MOVED: dict[str, Callable[[Builder, Any], Any]] = {
    "Transpose": lambda g, x: g.MatMul(x, g.Transpose(_weights(g, 4, 6, axis=0), perm=(1, 0))),
    "Transpose of blocks": lambda g, x: g.MatMul(x, g.Transpose(_weights(g, 4, 6, axis=1, block_size=3))),
    "Unsqueeze": lambda g, x: g.Conv(g.Unsqueeze(x, [0, 3]), g.Unsqueeze(_weights(g, 4, 5, 3, axis=0), [3])),
    "Reshape": lambda g, x: g.MatMul(x, g.Reshape(_weights(g, 2, 3, 4, axis=2), [6, 4])),
}


@pytest.mark.parametrize("name", MOVED)
def test_weights_are_moved_as_integers(name: str) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (5, 6))
    g.graph.outputs = [MOVED[name](g, x)]
    after = g.graph.copy()
    assert dequantise_last(after)
    after.check()
    [layer] = [node for node in after.nodes() if node.op in ("Conv", "MatMul")]
    maker = after.producer(layer.inputs[1])  # type: ignore[arg-type]
    assert maker is not None
    assert maker.op == "DequantizeLinear"
    feeds = {"x": np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)}
    [wanted], [found] = (OnnxRuntime(one).run(feeds).values() for one in (g.graph, after))
    np.testing.assert_array_equal(found, wanted)


def test_what_integers_are_padded_with_and_limited_to() -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3))
    grid = g.constant(0.1, np.float32), g.constant(20, np.uint8)
    q = g.QuantizeLinear(x, *grid)
    padded = [g.Pad(q, [0, 1, 0, 1], fill) for fill in (None, np.array(20, np.uint8), np.array(7, np.uint8))]
    limited = g.Clip(q, np.array(15, np.uint8), np.array(24, np.uint8))
    g.graph.outputs = [
        g.DequantizeLinear(y, *grid) for y in (*padded, limited, g.Clip(q, None, np.array(22, np.uint8)))
    ]
    after = g.graph.copy()
    assert pair_moves(after)
    kinds = {str(node.inputs[0].dtype) for node in after.nodes() if node.op in ("Clip", "Pad") and node.inputs[0]}
    assert kinds == {"float32"}
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)}
    for wanted, found in zip(*(OnnxRuntime(one).run(feeds).values() for one in (g.graph, after)), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("zero", [20, None])
def test_a_second_pair_of_the_same_grid_goes(zero: int | None) -> None:
    g = Builder(Graph("net"))
    y = g.graph.add_input("x", np.dtype(np.float32), (2, 3))
    ends = [] if zero is None else [g.constant(zero, np.uint8)]
    for grid in [(g.constant(scale, np.float32), *ends) for scale in (0.1, 0.1, 0.2)]:
        y = g.DequantizeLinear(g.QuantizeLinear(y, *grid), *grid)
    g.graph.outputs = [y]
    run(g.graph, COMMON, check=True)
    assert [node.op for node in g.graph.nodes()] == ["QuantizeLinear", "DequantizeLinear"] * 2


def _trained(g: Builder, x: Any, *, factor: float, axis: int = 0) -> Any:
    """A layer, its normalisation and a Relu, as training with quantisation has them."""
    rng = np.random.default_rng(1)
    scale, shift = (rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(2))
    scale[2] *= np.float32(factor)
    if x.rank == 4:
        y = g.Conv(x, _weights(g, 5, 6, 3, 3, axis=0), shift)
        y = g.BatchNormalization(y, scale, shift, shift, np.abs(shift))
    else:
        y = g.Add(g.Mul(g.MatMul(x, _weights(g, 6, 5, axis=1)), scale), shift)
    return g.Relu(y)


@pytest.mark.parametrize("factor", [1, -1])
@pytest.mark.parametrize("shape", [(2, 6, 5, 5), (4, 6), (2, 4, 6)], ids=str)
def test_normalisations_go_into_the_scales(shape: tuple[int, ...], factor: float) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), shape)
    grid = g.constant(0.02, np.float32), g.constant(-5, np.int8)
    y = _trained(g, g.DequantizeLinear(g.QuantizeLinear(x, *grid), *grid), factor=factor)
    g.graph.outputs = [y]
    after = run(g.graph.copy(), COMMON, check=True)
    left = {"Add"} if len(shape) == 3 else set()  # there is no bias for a product of more axes
    assert set(ops(after)) - {"Conv", "Gemm", "MatMul", "Relu"} == left
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    [wanted], [found] = (OnnxRuntime(one).run(feeds).values() for one in (g.graph, after))
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(wanted).max())


def test_every_operator_of_another_domain_is_tested() -> None:
    """By its name in this file: each is compared with ONNX Runtime's own, or with NumPy where that has none."""
    text = Path(__file__).read_text()
    assert [op for op in registry.ops("onnx") if "." in op and f'"{op.rpartition(".")[2]}' not in text] == []
