"""Quantised graphs as TFLite: integer kernels in the file, and results one step from what ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as tfl

import netglot
from netglot.backends.tflite import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.passes import pipeline
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from netglot.verify import RTOL
from tests import oracles, quantised_models

NAMES = {code: name for name, code in vars(tfl.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {code: name.lower() for name, code in vars(tfl.TensorType).items() if isinstance(code, int)}
INT8, UINT8, INT16 = (np.dtype(name) for name in ("int8", "uint8", "int16"))


class Net:
    """A builder of quantised graphs: pairs on random grids, weights and biases as integers."""

    def __init__(self, kind: np.dtype = INT8, seed: int = 0, *, per_channel: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.g, self.kind, self.per_channel = Builder(Graph("net")), kind, per_channel
        self.feed: dict[str, np.ndarray] = {}
        self.scale = 1.0  # of the last pair
        self.first = (1.0, 0)  # the grid of the first

    def input(self, *shape: int, low: float = -2.0, high: float = 3.0) -> Any:
        name = f"x{len(self.feed)}"
        self.feed[name] = self.rng.uniform(low * 1.1, high * 1.1, shape).astype(np.float32)
        return self.pair(self.g.graph.add_input(name, np.dtype(np.float32), shape), low, high)

    def pair(self, x: Any, low: float, high: float) -> Any:
        return self.on_grid(x, *grid(low, high, self.kind))

    def on_grid(self, x: Any, scale: float, zero: int) -> Any:
        self.first = self.first if self.g.graph.nodes() else (scale, zero)
        self.scale = scale
        s, z = np.array(scale, np.float32), np.array(zero, self.kind)
        return self.g.DequantizeLinear(self.g.QuantizeLinear(x, s, z), s, z)

    def like_output(self, y: Any) -> Any:
        """y on a grid for the numbers that it has, a little narrower."""
        found = self.value(y)
        return self.pair(y, float(found.min()) * 0.95, float(found.max()) * 0.95)

    def value(self, y: Any) -> np.ndarray:
        graph = self.g.graph.copy()
        graph.outputs = [graph[y.name]]
        return next(iter(OnnxRuntime(graph).run(self.feed).values()))

    def weights(self, *shape: int, axis: int = 0, bits: int = 8) -> Any:
        """Around zero with a scale for each index of axis; of uint8 layers anywhere, with one scale."""
        if self.kind == UINT8 and not self.per_channel:
            q, zero = self.rng.integers(0, 256, shape).astype(np.uint8), np.array(self.rng.integers(60, 190), np.uint8)
            return self.g.DequantizeLinear(q, np.array(self.rng.uniform(0.002, 0.01), np.float32), zero)
        q = self.rng.integers(-127, 128, shape).astype(np.int8)
        if not self.per_channel:
            return self.g.DequantizeLinear(q, np.array(self.rng.uniform(0.002, 0.01), np.float32))
        scales = self.rng.uniform(0.002, 0.01, shape[axis]).astype(np.float32)
        return self.g.DequantizeLinear(q, scales, axis=axis)

    def bias(self, x_scale: float, w: Any) -> Any:
        """Integers of 32 bits whose steps are those of the products; beside int16 it stays float."""
        scale = self.g.graph.producer(w).inputs[1].array
        count = w.sizes[0] if scale.ndim == 0 else scale.size
        if self.kind == INT16:
            return self.rng.normal(size=count).astype(np.float32)
        steps = np.float32(x_scale) * scale
        levels = np.rint(self.rng.normal(size=count) / steps).astype(np.int32)
        return self.g.DequantizeLinear(levels, steps, axis=0) if steps.ndim else self.g.DequantizeLinear(levels, steps)

    def graph(self, *outputs: Value) -> Graph:
        self.g.graph.outputs = list(outputs)
        return self.g.graph


def grid(low: float, high: float, kind: np.dtype) -> tuple[float, int]:
    """Scale and zero point of numbers from `low` to `high` and zero."""
    low, high, limits = min(low, 0.0), max(high, 0.0), np.iinfo(kind)
    if kind == INT16:
        return float(np.float32(max(-low, high) / limits.max)), 0
    scale = float(np.float32((high - low) / (limits.max - limits.min) or 1.0))
    return scale, int(np.clip(np.rint(limits.min - low / scale), limits.min, limits.max))


# ------------------------------------------------------------------ what is in the file


def operators(path: Path) -> list[tuple[str, list[str], str]]:
    """Of each operator its name, the types of its inputs, and that of its output."""
    model = tfl.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    tensors = model.subgraphs[0].tensors
    return [
        (
            NAMES[model.operatorCodes[op.opcodeIndex].builtinCode],
            [TYPES[tensors[i].type] for i in op.inputs if i >= 0],
            TYPES[tensors[op.outputs[0]].type],
        )
        for op in model.subgraphs[0].operators
    ]


def floats(path: Path) -> list[str]:
    """Operators that compute with floats."""
    conversions = ("QUANTIZE", "DEQUANTIZE")
    return [name for name, types, y in operators(path) if name not in conversions and "float32" in (*types, y)]


# ------------------------------------------------------------------ operator by operator


@dataclass(frozen=True)
class Row:
    """One operator: how it is built from a Net (its float result), and which TFLite operator it must become.

    kinds: the types that LiteRT has kernels for. result: whether it is on a grid of its own, on that of the first
    input, or on the one that the kernel gives (of int8).
    """

    name: str
    build: Callable[[Net], Any]
    op: str
    kinds: tuple[np.dtype, ...] = (INT8, UINT8, INT16)
    result: tuple[float, int] | str = "own"

    def __str__(self) -> str:
        return self.name


def conv(*shape: int, filters: tuple[int, ...], **attributes: Any) -> Callable[[Net], Any]:
    def build(net: Net) -> Any:
        x = net.input(*shape)
        scale, w = net.scale, net.weights(*filters)
        return net.g.Conv(x, w, net.bias(scale, w), kernel_shape=filters[2:], **attributes)

    return build


def conv_transpose(net: Net) -> Any:
    x = net.input(1, 3, 5, 6)
    scale, w = net.scale, net.weights(3, 4, 3, 3, axis=1)
    bias = net.bias(scale, w) if net.per_channel else None
    return net.g.ConvTranspose(x, w, bias, strides=(2, 2), kernel_shape=(3, 3))


def gemm(net: Net) -> Any:
    x = net.input(3, 10)
    scale, w = net.scale, net.weights(7, 10)
    return net.g.Gemm(x, w, net.bias(scale, w), transB=1)


def matmul(net: Net) -> Any:
    return net.g.MatMul(net.input(2, 3, 10), net.weights(10, 7, axis=1))


def unary(op: str, **attributes: Any) -> Callable[[Net], Any]:
    return lambda net: getattr(net.g, op)(net.input(2, 5, 6, low=-4, high=5), **attributes)


def binary(op: str) -> Callable[[Net], Any]:
    return lambda net: getattr(net.g, op)(net.input(2, 5, 6), net.input(2, 5, 6, low=-1, high=4))


def relu6(g: Builder, x: Any) -> Any:
    return g.Clip(x, np.float32(0), np.float32(6))


_INTERPOLATED = ("TANH", "SOFTMAX")  # of int16, between entries of a table: two steps from the exact result
SAME = {"pads": (1, 1, 1, 1)}
FIXED = (1 / 256, -128)
NO_16 = (INT8, UINT8)
ROWS = [
    Row("conv", conv(1, 3, 8, 9, filters=(5, 3, 3, 3), **SAME), "CONV_2D"),
    Row("conv-strides", conv(2, 3, 9, 9, filters=(5, 3, 3, 3), strides=(2, 2)), "CONV_2D"),
    Row("conv-dilated", conv(1, 3, 9, 9, filters=(5, 3, 3, 3), dilations=(2, 2)), "CONV_2D"),
    Row("conv-groups", conv(1, 4, 8, 9, filters=(6, 2, 3, 3), group=2), "CONV_2D"),
    Row("conv-one-axis", conv(1, 3, 12, filters=(5, 3, 3)), "CONV_2D"),
    Row("depthwise", conv(1, 4, 8, 9, filters=(4, 1, 3, 3), group=4, **SAME), "DEPTHWISE_CONV_2D"),
    Row("depthwise-twice", conv(1, 4, 8, 9, filters=(8, 1, 3, 3), group=4), "DEPTHWISE_CONV_2D"),
    Row("depthwise-uneven", conv(1, 4, 8, 9, filters=(4, 1, 3, 3), group=4, strides=(2, 1)), "DEPTHWISE_CONV_2D"),
    Row("conv-transpose", conv_transpose, "TRANSPOSE_CONV"),
    Row("gemm", gemm, "FULLY_CONNECTED"),
    Row("matmul", matmul, "FULLY_CONNECTED"),
    Row("matmul-computed", lambda n: n.g.MatMul(n.input(2, 4, 5), n.input(2, 5, 3)), "BATCH_MATMUL", (INT8, INT16)),
    Row("conv-relu", lambda n: n.g.Relu(conv(1, 3, 8, 9, filters=(5, 3, 3, 3))(n)), "CONV_2D"),
    Row("conv-relu6", lambda n: relu6(n.g, conv(1, 3, 8, 9, filters=(5, 3, 3, 3))(n)), "CONV_2D"),
    Row("gemm-relu", lambda n: n.g.Relu(gemm(n)), "FULLY_CONNECTED"),
    Row("add", binary("Add"), "ADD"),
    Row("sub", binary("Sub"), "SUB"),
    Row("mul", binary("Mul"), "MUL"),
    Row("max", binary("Max"), "MAXIMUM"),
    Row("min", binary("Min"), "MINIMUM"),
    Row("add-relu", lambda n: n.g.Relu(binary("Add")(n)), "ADD"),
    Row("add-broadcast", lambda n: n.g.Add(n.input(2, 5, 6), n.input(1, 1, 6)), "ADD"),
    Row("mul-number", lambda n: n.g.Mul(n.input(2, 5, 6), np.float32(0.37)), "MUL"),
    Row("add-number", lambda n: n.g.Add(n.input(2, 5, 6), np.float32(-0.9)), "ADD"),
    Row("max-pool", lambda n: n.g.MaxPool(n.input(1, 3, 8, 9), kernel_shape=(3, 3), strides=(2, 2)), "MAX_POOL_2D"),
    Row("max-pool-pads", lambda n: n.g.MaxPool(n.input(1, 3, 8, 9), kernel_shape=(3, 3), **SAME), "MAX_POOL_2D"),
    Row("average-pool", lambda n: n.g.AveragePool(n.input(1, 3, 8, 8), kernel_shape=(2, 2), strides=(2, 2)),
        "AVERAGE_POOL_2D", result="same"),
    Row("average-pool-whole", lambda n: n.g.AveragePool(n.input(1, 3, 8, 8), kernel_shape=(8, 8)), "MEAN"),
    Row("global-average-pool", lambda n: n.g.GlobalAveragePool(n.input(1, 3, 8, 9)), "MEAN"),
    Row("reduce-mean", lambda n: n.g.ReduceMean(n.input(2, 5, 6), [1], keepdims=0), "MEAN"),
    Row("reduce-max", lambda n: n.g.ReduceMax(n.input(2, 5, 6), [1], keepdims=0), "REDUCE_MAX"),
    Row("relu", unary("Relu"), "RELU", result=(0.02, -100)),
    Row("leaky-relu", unary("LeakyRelu", alpha=0.2), "LEAKY_RELU"),
    Row("prelu", lambda n: n.g.PRelu(n.input(2, 5, 6), np.full((1, 1, 6), 0.3, np.float32)), "PRELU", NO_16),
    Row("hard-swish", unary("HardSwish"), "HARD_SWISH", NO_16),
    Row("hard-sigmoid", unary("HardSigmoid"), "ADD"),
    Row("hard-sigmoid-sixth", unary("HardSigmoid", alpha=1 / 6), "ADD"),
    Row("conv-times", lambda n: n.g.Mul(conv(1, 3, 8, 9, filters=(5, 3, 3, 3))(n), np.float32(0.3)), "CONV_2D"),
    Row("elu", unary("Elu"), "ELU", (INT8,)),
    Row("gelu", unary("Gelu"), "GELU", NO_16),
    Row("sigmoid", unary("Sigmoid"), "LOGISTIC", result=FIXED),
    Row("tanh", unary("Tanh"), "TANH", result=(1 / 128, 0)),
    Row("softmax", unary("Softmax", axis=-1), "SOFTMAX", result=FIXED),
    Row("softmax-255", unary("Softmax", axis=-1), "SOFTMAX", (INT8, UINT8), result=(1 / 255, -128)),
    Row("concat", lambda n: n.g.Concat(n.input(1, 3, 4, 5), n.input(1, 2, 4, 5, high=5), axis=1), "CONCATENATION"),
    Row("transpose", unary("Transpose", perm=(0, 2, 1)), "TRANSPOSE", result="same"),
    Row("slice", lambda n: n.g.Slice(n.input(2, 5, 6), [1], [4], [1]), "SLICE", result="same"),
    Row("slice-steps", lambda n: n.g.Slice(n.input(2, 5, 6), [0], [5], [1], [2]), "STRIDED_SLICE", result="same"),
    Row("split", lambda n: n.g.Split(n.input(2, 4, 6), axis=1, num_outputs=2, outputs=2)[1], "SPLIT", result="same"),
    Row("gather", lambda n: n.g.Gather(n.input(2, 5, 6), np.array([3, 1]), axis=1), "GATHER", result="same"),
    Row("pad", lambda n: n.g.Pad(n.input(2, 5, 6), [0, 1, 0, 0, 2, 1]), "PAD", result="same"),
    Row("pad-reflect", lambda n: n.g.Pad(n.input(2, 5, 6), [0, 1, 0, 0, 2, 1], mode="reflect"), "MIRROR_PAD",
        result="same"),
    Row("tile", lambda n: n.g.Tile(n.input(2, 5, 6), [1, 2, 1]), "TILE", NO_16, result="same"),
    Row("expand", lambda n: n.g.Expand(n.input(2, 1, 6), [2, 5, 6]), "BROADCAST_TO", result="same"),
    Row("nearest", lambda n: n.g.Resize(n.input(1, 3, 4, 5), None, [1.0, 1.0, 2.0, 2.0],
                                        coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        "RESIZE_NEAREST_NEIGHBOR", result="same"),
    Row("linear", lambda n: n.g.Resize(n.input(1, 3, 4, 5), None, [1.0, 1.0, 2.0, 2.0], mode="linear"),
        "RESIZE_BILINEAR", result="same"),
    Row("depth-to-space", lambda n: n.g.DepthToSpace(n.input(1, 8, 4, 5), blocksize=2), "DEPTH_TO_SPACE", NO_16,
        result="same"),
    Row("space-to-depth", lambda n: n.g.SpaceToDepth(n.input(1, 2, 4, 6), blocksize=2), "SPACE_TO_DEPTH", NO_16,
        result="same"),
    Row("where", lambda n: n.g.Where(n.rng.random((2, 5, 6)) < 0.5, n.input(2, 5, 6), n.input(2, 5, 6, high=5)),
        "SELECT_V2"),
    Row("clip", lambda n: n.g.Clip(n.input(2, 5, 6), np.float32(-0.5), np.float32(1.3)), "MINIMUM", result="same"),
]  # fmt: skip


def quantised(row: Row, kind: np.dtype, seed: int, per_channel: bool = True) -> tuple[Graph, Net]:
    net = Net(kind, seed, per_channel=per_channel)
    y = row.build(net)
    if row.result == "same":
        return net.graph(net.on_grid(y, *net.first)), net
    if row.result == "own":
        return net.graph(net.like_output(y)), net
    scale, zero = row.result  # type: ignore[misc]
    if kind == INT16:
        scale, zero = 1 / 32768, 0
    return net.graph(net.on_grid(y, scale, zero + 128 * (kind == UINT8))), net


CASES = [(row, kind) for row in ROWS for kind in row.kinds]


@pytest.mark.parametrize(("row", "kind"), CASES, ids=[f"{row}-{kind}" for row, kind in CASES])
def test_operator(row: Row, kind: np.dtype, tmp_path: Path) -> None:
    check(row, kind, 1, tmp_path / "a.tflite")


def check(row: Row, kind: np.dtype, seed: int, path: Path, per_channel: bool = True) -> None:
    graph, net = quantised(row, kind, seed, per_channel)
    expected = next(iter(OnnxRuntime(graph).run(net.feed).values()))
    save(graph, path)
    assert not floats(path), operators(path)
    assert row.op in [name for name, _, _ in operators(path)]
    for delegates in (True, False):
        actual = next(iter(LiteRT(path, delegates).run(net.feed).values()))
        assert actual.shape == expected.shape
        distance = np.abs(actual - expected).max() / net.scale
        steps = 2 if kind == INT16 and row.op in _INTERPOLATED else 1
        assert distance <= steps + 0.01, f"{distance} steps, delegates: {delegates}"


@pytest.mark.parametrize("kind", [INT8, UINT8, INT16], ids=str)
def test_one_scale_for_all_weights(kind: np.dtype, tmp_path: Path) -> None:
    """uint8 weights have their zero point anywhere, as the kernels of uint8 take them."""
    for row in ROWS:
        if row.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
            check(row, kind, 2, tmp_path / "a.tflite", per_channel=False)


@pytest.mark.parametrize("op", ["AveragePool", "Resize", "Softmax", "Sigmoid"])
def test_grids_that_the_kernel_does_not_have(op: str, tmp_path: Path) -> None:
    """The result is quantised once more, where that stays within a step; floats compute the others."""
    attributes: dict[str, Any] = {"kernel_shape": (2, 2)} if op == "AveragePool" else {}
    for high, becomes in ((1.2, False), (0.004, True)):
        net = Net()
        x = net.input(1, 3, 8, 8)
        y = (
            net.g.Resize(x, None, [1.0, 1.0, 2.0, 2.0], mode="linear")
            if op == "Resize"
            else getattr(net.g, op)(x, **attributes)
        )
        graph = net.graph(net.pair(y, 0, high * (1 if op in ("Softmax", "Sigmoid") else 3)))
        expected = next(iter(OnnxRuntime(graph).run(net.feed).values()))
        save(graph, tmp_path / "a.tflite")
        assert bool(floats(tmp_path / "a.tflite")) is becomes
        actual = next(iter(LiteRT(tmp_path / "a.tflite").run(net.feed).values()))
        assert np.abs(actual - expected).max() <= 1.01 * net.scale


@pytest.mark.parametrize("range_", [255, 270, 274, 284.5])
def test_pixels_between_two_steps(range_: float, tmp_path: Path) -> None:
    """LiteRT multiplies by 1 / scale: the scale is one by which that rounds as a division does."""
    net = Net()
    x = net.g.graph.add_input("x", np.dtype(np.float32), (1, 1023))
    graph = net.graph(net.on_grid(x, range_ / 255, 0))
    feed = {"x": np.arange(-511, 512, dtype=np.float32)[None] / 2}
    expected = next(iter(OnnxRuntime(graph).run(feed).values()))
    save(graph, tmp_path / "a.tflite")
    for delegates in (True, False):
        actual = next(iter(LiteRT(tmp_path / "a.tflite", delegates).run(feed).values()))
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_from_one_grid_to_another(tmp_path: Path) -> None:
    """A tenth of the numbers is a step away after XNNPACK's own QUANTIZE."""
    net = Net()
    x = net.input(1, 16, 32, 32)
    graph = net.graph(net.like_output(net.g.Concat(x, net.input(1, 16, 32, 32, high=5), axis=1)))
    expected = next(iter(OnnxRuntime(graph).run(net.feed).values()))
    save(graph, tmp_path / "a.tflite")
    for delegates in (True, False):
        actual = next(iter(LiteRT(tmp_path / "a.tflite", delegates).run(net.feed).values()))
        assert np.mean(np.abs(actual - expected) > 0.5 * net.scale) < 0.01


def test_a_tensor_that_a_concat_takes_twice(tmp_path: Path) -> None:
    net = Net()
    y = conv(1, 3, 8, 9, filters=(5, 3, 3, 3))(net)
    graph = net.graph(net.like_output(net.g.Concat(y, y, axis=1)))
    save(graph, tmp_path / "a.tflite")
    assert not floats(tmp_path / "a.tflite")
    assert [name for name, _, _ in operators(tmp_path / "a.tflite")].count("CONV_2D") == 1


# ------------------------------------------------------------------ inputs and outputs


@pytest.mark.parametrize("outside", [INT8, UINT8], ids=str)
def test_integers_outside(outside: np.dtype, tmp_path: Path) -> None:
    """A file that takes and gives integers of the kind that it computes with converts nothing."""
    net = Net()
    g, shape = net.g, (1, 8, 9, 3)
    (scale, zero), q = grid(-2, 3, outside), g.graph.add_input("x", outside, shape)
    x = g.DequantizeLinear(q, np.array(scale, np.float32), np.array(zero, outside))
    w = net.weights(5, 3, 3, 3)
    y = g.Conv(g.Transpose(x, perm=(0, 3, 1, 2)), w, net.bias(scale, w), kernel_shape=(3, 3))
    y = g.Transpose(g.Relu(y), perm=(0, 2, 3, 1))
    y = g.QuantizeLinear(y, np.array(0.03, np.float32), np.array(np.iinfo(outside).min, outside))
    feed = {"x": net.rng.integers(np.iinfo(outside).min, np.iinfo(outside).max, shape).astype(outside)}
    graph = net.graph(y)
    expected = next(iter(OnnxRuntime(graph).run(feed).values()))
    save(graph, tmp_path / "a.tflite")
    actual = next(iter(LiteRT(tmp_path / "a.tflite").run(feed).values()))
    assert actual.dtype == outside
    assert np.abs(actual.astype(int) - expected).max() <= 1
    names = [name for name, _, _ in operators(tmp_path / "a.tflite")]
    assert names == (["CONV_2D"] if outside == INT8 else ["QUANTIZE", "CONV_2D", "QUANTIZE"])


# ------------------------------------------------------------------ weights only


def of_floats(net: Net, shape: tuple[int, ...], dynamic: bool) -> Any:
    net.feed["x"] = net.rng.normal(size=shape).astype(np.float32)
    x = net.g.graph.add_input("x", np.dtype(np.float32), shape)
    return net.g.DequantizeLinear(*net.g.op("DynamicQuantizeLinear", [x], outputs=3)) if dynamic else x


def layers(net: Net, dynamic: bool) -> Graph:
    """One layer of each kind, with enough weights to be worth an operator."""
    g = net.g
    x = of_floats(net, (1, 16, 6, 6), dynamic)
    a = g.Conv(x, net.weights(16, 16, 3, 3), kernel_shape=(3, 3))
    b = g.Conv(x, net.weights(16, 1, 5, 5), kernel_shape=(5, 5), group=16)
    c = g.ConvTranspose(x, net.weights(16, 16, 2, 2, axis=1), kernel_shape=(2, 2))
    d = g.MatMul(x, net.weights(6, 90, axis=1))
    return net.graph(a, b, c, d)


@pytest.mark.parametrize("per_channel", [True, False])
def test_dynamic_range(per_channel: bool, tmp_path: Path) -> None:
    """Hybrid kernels quantise their input by rows, not as a whole: apart by as much as either is from the floats.

    Where XNNPACK has none, the floats of the weights are computed once.
    """
    net = Net(per_channel=per_channel)
    graph = layers(net, dynamic=True)
    expected = OnnxRuntime(graph).run(net.feed)
    save(graph, tmp_path / "a.tflite")
    kinds = {name: types for name, types, _ in operators(tmp_path / "a.tflite") if "int8" in types}
    assert set(kinds) == {"CONV_2D", "FULLY_CONNECTED", "DEQUANTIZE"}
    for delegates in (True, False):
        actual = LiteRT(tmp_path / "a.tflite", delegates).run(net.feed)
        for name, values in expected.items():
            assert np.abs(actual[name] - values).max() <= 0.015 * np.abs(values).max(), name


def test_weights_only(tmp_path: Path) -> None:
    """The floats that the integers stand for, which a DEQUANTIZE computes once."""
    net = Net()
    graph = layers(net, dynamic=False)
    expected = OnnxRuntime(graph).run(net.feed)
    save(graph, tmp_path / "a.tflite")
    assert [types for name, types, _ in operators(tmp_path / "a.tflite") if name == "DEQUANTIZE"] == [["int8"]] * 4
    for delegates in (True, False):
        for name, values in LiteRT(tmp_path / "a.tflite", delegates).run(net.feed).items():
            np.testing.assert_allclose(values, expected[name], atol=1e-5 * np.abs(expected[name]).max())


@pytest.mark.parametrize(("columns", "block"), [(64, 0), (63, 0), (96, 32)])
def test_four_bits(columns: int, block: int, tmp_path: Path) -> None:
    """Two to a byte, with a scale for each row or for each block of one."""
    net = Net()
    q = net.rng.integers(-8, 8, (40, columns)).astype(ml_dtypes.int4)
    scale = net.rng.uniform(0.01, 0.1, (40, columns // block) if block else (40,)).astype(np.float32)
    w = net.g.DequantizeLinear(q, scale, axis=1 if block else 0, block_size=block)
    graph = net.graph(net.g.Gemm(of_floats(net, (3, columns), dynamic=False), w, transB=1))
    expected = next(iter(OnnxRuntime(graph).run(net.feed).values()))
    save(graph, tmp_path / "a.tflite")
    assert ["int4"] in [types for name, types, _ in operators(tmp_path / "a.tflite") if name == "DEQUANTIZE"]
    for delegates in (True, False):
        actual = next(iter(LiteRT(tmp_path / "a.tflite", delegates).run(net.feed).values()))
        np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


# ------------------------------------------------------------------ whole networks


def converted(source: Path, target: Path) -> Graph:
    """The graph read from `source`, as it was before it was written to `target`."""
    graph = netglot.load(source)
    pipeline.run(graph, pipeline.COMMON)
    save(graph.copy(), target)
    return graph


def stored(path: Path) -> set[bytes]:
    return {bytes(buffer.data) for buffer in tfl.ModelT.InitFromPackedBuf(path.read_bytes(), 0).buffers
            if buffer.data is not None}  # fmt: skip


def filters(path: Path) -> list[bytes]:
    """The integers of an ONNX file's convolutions, channels last."""
    arrays = [onnx.numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer]
    return [a.transpose(0, 2, 3, 1).tobytes() for a in arrays if a.ndim == 4 and a.dtype.itemsize == 1]


def kinds_of_onnxruntime() -> dict[str, dict[str, Any]]:
    from onnxruntime.quantization import QuantType

    return {
        "int8": {"per_channel": True},
        "uint8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
        "mixed": {"activation_type": QuantType.QUInt8, "per_channel": True},
    }


@pytest.mark.parametrize("kind", ["int8", "uint8", "mixed"])
def test_network_of_onnxruntime(kind: str, tmp_path: Path) -> None:
    """quantize_static's pairs; activations of uint8 beside weights with a scale for each channel become int8."""
    path = quantised_models.quantised(quantised_models.resnet(), tmp_path / "a.onnx", **kinds_of_onnxruntime()[kind])
    expected, actual = OnnxRuntime(converted(path, tmp_path / "a.tflite")), LiteRT
    assert not floats(tmp_path / "a.tflite")
    assert set(filters(path)) <= stored(tmp_path / "a.tflite")
    runtime = actual(tmp_path / "a.tflite")
    for feed in quantised_models.inputs(4, seed=9):
        a, b = (next(iter(item.run(feed).values())) for item in (expected, runtime))
        assert a.argmax() == b.argmax()
        assert np.abs(a - b).max() <= 1.01 * last_scale(path)


def test_a_step_of_a_quantised_source_is_no_departure(tmp_path: Path) -> None:
    """LiteRT's TANH has another grid than the source asks for, so that some numbers become the step beside."""
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 256))

    def on_grid(value: Value, scale: float) -> Value:
        grid = g.constant(np.float32(scale)), g.constant(np.int8(0))
        found: Value = g.DequantizeLinear(g.QuantizeLinear(value, *grid), *grid)
        return found

    g.graph.outputs = [on_grid(g.Tanh(on_grid(x, 4 / 255)), 2 / 255)]
    netglot.save(g.graph, tmp_path / "a.onnx")
    report = netglot.convert(tmp_path / "a.onnx", tmp_path / "a.tflite")
    assert report.ok
    assert report.rtol == RTOL["steps"] < 0.016
    assert 1e-3 < report.max_error < 2 * 2 / 255
    assert netglot.convert(tmp_path / "a.onnx", tmp_path / "b.onnx").rtol == RTOL["float32"]


def last_scale(path: Path) -> float:
    """Of the last pair of an ONNX file."""
    model = onnx.load(path)
    name = [node for node in model.graph.node if node.op_type == "DequantizeLinear"][-1].input[1]
    return float(next(onnx.numpy_helper.to_array(item) for item in model.graph.initializer if item.name == name))


PHOTOS = ("cat_720p.jpg", "dragonfly.bmp", "grace_hopper.bmp", "hot_dog.jpg", "parrot.jpg", "sunflower.bmp")


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("network", ["squeezenet", "resnet8"])
def test_real_network(network: str, kind: str, tmp_path: Path) -> None:
    """Against ONNX Runtime as it is used, with its own integer kernels (and up to four steps from that without them).

    Where one number of a first layer lies between two steps, some numbers of the twenty-sixth are two steps away.
    """
    import onnxruntime as ort
    import onnxruntime.quantization as quantization

    source, size, mean, steps = {
        "squeezenet": ("caffe/squeezenet_v1.0.prototxt", 227, (104.0, 117.0, 123.0), 2),
        "resnet8": ("keras/resnet8_cifar10.h5", 32, (0.0, 0.0, 0.0), 1),
    }[network]
    netglot.convert(oracles.model(source), tmp_path / "float.onnx", batch=1, verify=False)
    images = [oracles.photo(name, size, bgr=network == "squeezenet", mean=mean) for name in PHOTOS]
    images = images if network == "squeezenet" else [image.transpose(0, 2, 3, 1) for image in images]
    name = onnx.load(tmp_path / "float.onnx").graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        feeds = iter([{name: image} for image in images])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    path = tmp_path / "a.onnx"
    quantization.quantize_static(tmp_path / "float.onnx", path, Reader(), **kinds_of_onnxruntime()[kind])
    converted(path, tmp_path / "a.tflite")
    assert not floats(tmp_path / "a.tflite")
    assert set(filters(path)) <= stored(tmp_path / "a.tflite")
    expected, actual = ort.InferenceSession(path), LiteRT(tmp_path / "a.tflite")
    for image in images:
        a, b = expected.run(None, {name: image})[0], next(iter(actual.run({actual.inputs[0].name: image}).values()))
        assert a.argmax() == b.argmax()
        assert np.abs(a - b).max() <= (steps + 0.01) * last_scale(path)
