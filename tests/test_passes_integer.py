"""Quantised networks compute on integers: what ONNX Runtime makes of their floats, within one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netglot
from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Value
from netglot.ir.text import to_text
from netglot.passes.integer import to_integer
from netglot.passes.pipeline import COMMON, apply, run
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import quantised_models as models
from tests.graphs import feed, graphs

I8, U8 = np.dtype(np.int8), np.dtype(np.uint8)
SHAPE = (1, 4, 6, 6)


class Net:
    """A graph with quantised values: `q` puts a pair behind a value."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.g = Builder(Graph("net"))
        self.rng = np.random.default_rng(3)
        self.inputs = [
            self.g.graph.add_input(f"x{i}", np.dtype(np.float32), s) for i, s in enumerate(shapes or [SHAPE])
        ]

    @property
    def x(self) -> Any:
        """The first input, quantised to int8."""
        return self.q(self.inputs[0], 0.02, -7)

    @property
    def u(self) -> Any:
        """The second input, quantised to uint8."""
        return self.q(self.inputs[1], 0.016, 120, U8)

    def q(self, x: Any, scale: float, zero: int = 0, dtype: np.dtype = I8) -> Any:
        parts = np.float32(scale), np.array(zero, dtype)
        return self.g.DequantizeLinear(self.g.QuantizeLinear(x, *parts), *parts)

    def weights(self, *shape: int, axis: int | None = None, dtype: np.dtype = I8, zero: int = 0) -> Any:
        """Constant integers with one scale, or one for each index of `axis`."""
        info = np.iinfo(dtype)
        data = self.rng.integers(info.min + 1, info.max, shape, endpoint=True).astype(dtype)
        size = () if axis is None else (shape[axis],)
        scale = self.rng.uniform(0.002, 0.004, size).astype(np.float32)
        return self.g.DequantizeLinear(data, scale, np.full(size, zero, dtype), axis=axis)

    def floats(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(np.float32) * np.float32(0.5)

    def factors(self, *shape: int) -> np.ndarray:
        """Of both signs, and none near 0."""
        return (self.rng.choice([-1, 1], shape) * self.rng.uniform(0.5, 1.5, shape)).astype(np.float32)

    def conv(self, x: Any, **attributes: Any) -> Any:
        return self.g.Conv(x, self.weights(5, 4, 3, 3, axis=0), self.floats(5), pads=(1, 1, 1, 1), **attributes)


def computed(graph: Graph, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The first output by the NumPy references: integers where ONNX Runtime, on what they expand to, has floats."""
    known: dict[Value | None, Any] = {value: value.data for value in graph.constants()} | {None: None}
    known |= {value: inputs[value.name] for value in graph.inputs}
    for node in graph.nodes():
        arguments = [known[value] for value in node.inputs]
        if node.domain:
            known[node.output] = OPERATORS[node.op].run(*arguments, **node.attributes)
        elif node.op == "MaxPool":  # onnx's reference pads integers with NaN
            found = compute("MaxPool", arguments[0].astype(np.float32), **node.attributes)
            known[node.output] = found.astype(arguments[0].dtype)
        else:
            known[node.output] = compute(node.op, *arguments, **node.attributes)
    return np.asarray(known[graph.outputs[0]])


def rewritten(graph: Graph) -> Graph:
    after = graph.copy()
    assert apply(to_integer, after), "nothing was rewritten"
    after.check()
    assert [(v.name, v.dtype, v.shape) for v in after.outputs] == [(v.name, v.dtype, v.shape) for v in graph.outputs]
    settled = after.copy()
    apply(to_integer, settled)
    assert Counter(map(str, ops(settled))) == Counter(map(str, ops(after))), "more is found when it is asked again"
    return after


def ops(graph: Graph) -> list[str]:
    """The operators, without the pairs at the ends."""
    return sorted(node.op for node in graph.nodes() if node.op not in ("QuantizeLinear", "DequantizeLinear"))


def step(graph: Graph) -> float:
    """The largest scale of the outputs (of floats: what rounding a bias can make)."""
    makers = [graph.producer(value) for value in graph.outputs]
    scales = [
        node.inputs[1].array.item() for node in makers if node and node.op == "DequantizeLinear" and node.inputs[1]
    ]
    return max(scales, default=1e-3)


def assert_close(before: Graph, after: Graph, inputs: dict[str, np.ndarray]) -> None:
    wanted, found = OnnxRuntime(before).run(inputs), OnnxRuntime(after).run(inputs)
    for name, array in wanted.items():
        assert np.unique(array).size > 3, "the inputs are told apart"
        assert np.abs(found[name] - array).max() <= 1.001 * step(before)


# --------------------------------------------------------------------- networks


def _options() -> list[dict[str, Any]]:
    quantization = pytest.importorskip("onnxruntime.quantization")
    int8, uint8 = quantization.QuantType.QInt8, quantization.QuantType.QUInt8
    symmetric = {"per_channel": True, "extra_options": {"ActivationSymmetric": True}}
    pairs = [(False, int8, int8), (False, uint8, uint8), (True, int8, int8), (True, uint8, int8)]
    return [symmetric, *({"per_channel": p, "activation_type": a, "weight_type": w} for p, a, w in pairs)]


@pytest.mark.parametrize("common", [False, True], ids=["raw", "common passes"])
@pytest.mark.parametrize("option", range(5))
@pytest.mark.parametrize("make", [models.resnet, models.mobilenet, models.attention], ids=lambda make: make.__name__)
def test_networks(make: Callable[[], Graph], option: int, common: bool, tmp_path: Path) -> None:
    before = netglot.load(models.quantised(make(), tmp_path / "model.onnx", **_options()[option]))
    if common:
        run(before, COMMON)
    after = rewritten(before)
    assert not {"Conv", "Gemm", "MatMul", "Relu", "Clip", "Add", "Mul", "GlobalAveragePool"} & set(ops(after))
    [one] = models.inputs(1, seed=9)
    assert_close(before, after, one)
    [wanted] = OnnxRuntime(before).run(one).values()
    assert np.abs(computed(after, one) - wanted).max() <= 1.001 * step(before)


def test_layers_of_onnx(tmp_path: Path) -> None:
    """QLinearConv and QLinearMatMul, as the other format of onnxruntime.quantization has them."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    form = {"quant_format": quantization.QuantFormat.QOperator, "op_types_to_quantize": ["Conv", "MatMul"]}
    for make in (models.resnet, models.attention):
        before = netglot.load(models.quantised(make(), tmp_path / "model.onnx", **form, per_channel=True))
        assert "QLinearConv" in ops(before)
        after = rewritten(before)
        assert not {"QLinearConv", "QLinearMatMul", "Conv", "MatMul"} & set(ops(after))
        [one] = models.inputs(1, seed=9)
        [wanted], [found] = (OnnxRuntime(graph).run(one).values() for graph in (before, after))
        assert np.abs(found - wanted).max() <= 0.02 * np.ptp(wanted)


def test_of_pytorch() -> None:
    """PT2E: the weights of a linear layer are transposed after they are dequantised, or in Gemm."""
    torch = pytest.importorskip("torch")
    from netglot.frontends.pytorch import load
    from tests.test_pytorch_quantized import STEP, _network

    x = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    before = load(torch.export.export(_network(), (x,)))
    for graph in (before, run(before.copy(), COMMON)):
        after = rewritten(graph)
        assert {"IntegerConv", "IntegerMatMul", "IntegerMean"} <= set(ops(after))
        assert not {"Conv", "Gemm", "MatMul"} & set(ops(after))
        inputs = {graph.inputs[0].name: x.numpy()}
        [wanted], [found] = (OnnxRuntime(one).run(inputs).values() for one in (graph, after))
        assert np.abs(found - wanted).max() <= 1.001 * STEP


# --------------------------------------------------------------------- patterns

Case = Callable[[Net], Any]
CASES: dict[str, tuple[Case, list[str]]] = {
    "Conv": (lambda n: n.q(n.conv(n.x), 0.03, 5), ["IntegerConv"]),
    "Conv, Relu": (lambda n: n.q(n.g.Relu(n.conv(n.x)), 0.03, -100), ["IntegerConv"]),
    "Conv, Clip": (lambda n: n.q(n.g.Clip(n.conv(n.x), -0.5, 0.9), 0.03, 3), ["IntegerConv"]),
    "Conv, Relu, Min": (lambda n: n.q(n.g.Min(n.g.Relu(n.conv(n.x)), np.float32(0.4)), 0.03), ["IntegerConv"]),
    "Conv of uint8 to int8": (lambda n: n.q(n.conv(n.u), 0.03), ["IntegerConv"]),
    "Conv, Relu quantised alike": (lambda n: n.q(n.g.Relu(n.q(n.conv(n.x), 0.03)), 0.03), ["IntegerConv"]),
    "Conv that is not quantised": (lambda n: n.conv(n.x), ["IntegerConv"]),
    "Conv, Relu of two readers": (
        lambda n: (lambda r: n.g.Sub(n.q(r, 0.03), n.g.Exp(r)))(n.g.Relu(n.conv(n.x))),
        ["Exp", "IntegerConv", "Relu", "Sub"],
    ),
    "Conv, Add": (lambda n: n.q(n.g.Add(n.conv(n.x), n.conv(n.u)), 0.05), ["Add", "IntegerConv", "IntegerConv"]),
    "Conv without bias": (lambda n: n.q(n.g.Conv(n.x, n.weights(4, 2, 3, 3), group=2), 0.03), ["IntegerConv"]),
    "weights of uint8": (
        lambda n: n.q(n.g.Conv(n.x, n.weights(4, 4, 1, 1, dtype=U8, zero=130)), 0.03),
        ["IntegerConv"],
    ),
    "weights that are quantised in the graph": (
        lambda n: n.q(n.g.Conv(n.x, n.q(n.g.constant(n.floats(3, 4, 2, 2)), 0.01)), 0.05),
        ["IntegerConv"],
    ),
    "a bias of integers": (
        lambda n: n.q(
            n.g.Conv(
                n.x, n.weights(3, 4, 1, 1), n.g.DequantizeLinear(np.array([9, -500, 4000], np.int32), np.float32(6e-5))
            ),
            0.03,
        ),
        ["IntegerConv"],
    ),
    "Conv, BatchNormalization, Relu": (
        lambda n: n.q(n.g.Relu(n.g.Add(n.g.Mul(n.conv(n.x), n.factors(5, 1, 1)), n.floats(5, 1, 1))), 0.03),
        ["IntegerConv"],
    ),
    "Conv, BatchNormalization, Add": (
        lambda n: n.q(n.g.Add(n.g.Add(n.g.Mul(n.conv(n.x), n.factors(5, 1, 1)), n.floats(5, 1, 1)), n.conv(n.u)), 0.06),
        ["Add", "IntegerConv", "IntegerConv"],
    ),
    "a factor of zero": (
        lambda n: n.q(n.g.Mul(n.conv(n.x), np.array([1, 0, 2, 1, 1], np.float32).reshape(5, 1, 1)), 0.03),
        ["IntegerConv", "Mul"],
    ),
    "weights that are reshaped": (
        lambda n: n.q(
            n.g.Conv(
                n.x, n.g.Reshape(n.g.Transpose(n.weights(3, 2, 4, axis=2), perm=(2, 1, 0)), [4, 1, 2, 3]), group=4
            ),
            0.02,
        ),
        ["IntegerConv"],
    ),
    "Gemm": (
        lambda n: n.q(n.g.Gemm(n.g.Flatten(n.x), n.weights(144, 7, axis=1), n.floats(7)), 0.1),
        ["Flatten", "IntegerMatMul"],
    ),
    "Gemm, transposed": (
        lambda n: n.q(n.g.Gemm(n.g.Flatten(n.x), n.weights(7, 144, axis=0), n.floats(7), transB=1, beta=2.0), 0.1),
        ["Flatten", "IntegerMatMul"],
    ),
    "MatMul, Add, Relu": (
        lambda n: n.q(n.g.Relu(n.g.Add(n.floats(7), n.g.MatMul(n.x, n.weights(6, 7, axis=1)))), 0.03),
        ["IntegerMatMul"],
    ),
    "MatMul by transposed weights": (
        lambda n: n.q(n.g.MatMul(n.x, n.g.Transpose(n.weights(7, 6, axis=0), perm=(1, 0))), 0.03),
        ["IntegerMatMul"],
    ),
    "MatMul of two": (lambda n: n.q(n.g.MatMul(n.x, n.u), 0.1), ["IntegerMatMul"]),
    "Add": (lambda n: n.q(n.g.Add(n.x, n.u), 0.03, 9, U8), ["IntegerAdd"]),
    "Add, Relu": (lambda n: n.q(n.g.Relu(n.g.Add(n.x, n.u)), 0.03), ["IntegerAdd"]),
    "Sub": (lambda n: n.q(n.g.Sub(n.x, n.u), 0.03), ["IntegerAdd"]),
    "Mul": (lambda n: n.q(n.g.Mul(n.x, n.u), 0.03), ["IntegerMul"]),
    "Mul by constants": (lambda n: n.q(n.g.Mul(n.x, n.weights(4, 1, 1)), 0.01), ["IntegerMul"]),
    "AveragePool": (
        lambda n: n.q(
            n.g.AveragePool(n.x, kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1), count_include_pad=1), 0.01
        ),
        ["IntegerAveragePool"],
    ),
    "GlobalAveragePool": (lambda n: n.q(n.g.GlobalAveragePool(n.x), 0.002), ["IntegerMean"]),
    "ReduceMean": (lambda n: n.q(n.g.ReduceMean(n.x, [-1, 1], keepdims=0), 0.004), ["IntegerMean"]),
    "ReduceMean of all": (
        lambda n: n.q(n.g.Add(n.x, n.q(n.g.ReduceMean(n.x), 0.001)), 0.03),
        ["IntegerAdd", "IntegerMean"],
    ),
    "another scale": (lambda n: n.q(n.x, 0.013, 20, U8), ["Lookup8"]),
    "Relu": (lambda n: n.q(n.g.Relu(n.x), 0.02, -7), ["Clip"]),
    "LeakyRelu": (lambda n: n.q(n.g.LeakyRelu(n.x), 0.02, -7), ["Lookup8"]),
    "Gelu": (lambda n: n.q(n.g.Gelu(n.x, approximate="tanh"), 0.02), ["Lookup8"]),
    "x Sigmoid(x)": (lambda n: (lambda x: n.q(n.g.Mul(x, n.g.Sigmoid(x)), 0.02))(n.x), ["Lookup8"]),
    "x Sigmoid(x), each quantised": (
        lambda n: (lambda x: n.q(n.g.Mul(x, n.q(n.g.Sigmoid(x), 1 / 256, -128)), 0.02))(n.x),
        ["Lookup8"],
    ),
    "x Relu(x), each quantised": (
        lambda n: (lambda x: n.q(n.g.Mul(x, n.q(n.g.Relu(x), 0.02, -7)), 0.02))(n.x),
        ["Lookup8"],
    ),
    "LeakyRelu, then Relu": (lambda n: n.q(n.g.Relu(n.q(n.g.LeakyRelu(n.x), 0.01)), 0.01), ["Lookup8"]),
    "with numbers": (lambda n: n.q(n.g.Div(n.g.Sub(np.float32(1), n.x), np.float32(3)), 0.01), ["Lookup8"]),
    "MaxPool": (lambda n: n.q(n.g.MaxPool(n.x, kernel_shape=(2, 2)), 0.02, -7), ["MaxPool"]),
    "shapes": (
        lambda n: n.q(n.g.Transpose(n.g.Reshape(n.g.Unsqueeze(n.x, [0]), [2, -1]), perm=(1, 0)), 0.02, -7),
        ["Reshape", "Transpose", "Unsqueeze"],
    ),
    "Slice, not quantised": (lambda n: n.g.Slice(n.x, [1], [3], [1]), ["Slice"]),
    "Split": (
        lambda n: n.q(n.g.Add(*n.g.Split(n.x, [2, 2], axis=1, outputs=2)), 0.04),
        ["IntegerAdd", "Split"],
    ),
    "Pad": (lambda n: n.q(n.g.Pad(n.x, [0, 0, 1, 1, 0, 0, 1, 1]), 0.02, -7), ["Pad"]),
    "Pad by a number of the grid": (
        lambda n: n.q(n.g.Pad(n.x, [0, 0, 1, 1, 0, 0, 1, 1], n.g.constant(np.float32(0.02) * np.float32(3))), 0.02, -7),
        ["Pad"],
    ),
    "Pad by reflection": (lambda n: n.g.Pad(n.x, [0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"), ["Pad"]),
    "Resize": (lambda n: n.q(n.g.Resize(n.x, None, [1.0, 1.0, 2.0, 2.0]), 0.02, -7), ["Resize"]),
    "Concat": (lambda n: n.q(n.g.Concat(n.x, n.x, axis=1), 0.02, -7), ["Concat"]),
    "Concat of two scales": (lambda n: n.q(n.g.Concat(n.x, n.u, axis=1), 0.02, -7), ["Concat", "Lookup8"]),
    "layers in front of moves": (
        lambda n: n.q(n.g.Reshape(n.g.MaxPool(n.g.Relu(n.conv(n.x)), kernel_shape=(2, 2)), [5, -1]), 0.02),
        ["IntegerConv", "MaxPool", "Reshape"],
    ),
    "layers in front of Concat": (
        lambda n: n.q(n.g.Concat(n.g.Relu(n.conv(n.x)), n.conv(n.u), n.floats(1, 5, 6, 6), axis=1), 0.03),
        ["Concat", "IntegerConv", "IntegerConv"],
    ),
    "Softmax": (lambda n: n.q(n.g.Softmax(n.q(n.conv(n.x), 0.03)), 1 / 256, -128), ["IntegerConv", "Softmax"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_patterns(name: str) -> None:
    case, expected = CASES[name]
    net = Net(SHAPE, SHAPE)
    net.g.graph.outputs = [case(net)]
    before = net.g.graph
    after = rewritten(before)
    assert ops(after) == expected
    inputs = feed(before)
    assert_close(before, after, inputs)
    if all(len(node.outputs) == 1 for node in after.nodes()):
        [wanted] = OnnxRuntime(before).run(inputs).values()
        assert np.abs(computed(after, inputs) - wanted).max() <= 1.001 * step(before)


def test_channels_last() -> None:
    """Of a source that wraps its layers in Transposes, after the common passes: one is left, at the input."""
    net = Net((1, 6, 6, 4))
    g, x = net.g, net.x
    y = g.Transpose(net.conv(g.Transpose(x, perm=(0, 3, 1, 2))), perm=(0, 2, 3, 1))
    y = net.q(g.Relu(g.Add(y, net.floats(5))), 0.03)
    w = net.weights(3, 5, 1, 1, axis=0)
    z = g.Transpose(g.Conv(g.Transpose(y, perm=(0, 3, 1, 2)), w), perm=(0, 2, 3, 1))
    g.graph.outputs = [net.q(g.ReduceMean(net.q(g.Add(z, net.floats(3)), 0.02), [1, 2], keepdims=0), 0.01)]
    before = g.graph.copy()
    after = rewritten(run(g.graph, COMMON))
    assert ops(after) == ["IntegerConv", "IntegerConv", "IntegerMean", "Transpose"]
    [wanted], [found] = (OnnxRuntime(one).run(feed(before)).values() for one in (before, after))
    assert np.abs(found - wanted).max() <= 0.01001


def test_limits() -> None:
    """They are what the bounds are quantised to; those of the type need not be said."""
    for bounds, scale, zero, expected in [
        ((0.0, None), 0.1, -128, {}),
        ((0.0, None), 0.1, 3, {"low": 3}),
        ((0.0, 6.0), 0.1, -128, {"high": -68}),
        ((-1.0, 6.0), 0.05, 10, {"low": -10}),
    ]:
        net = Net()
        limits = [None if bound is None else net.g.constant(bound, np.float32) for bound in bounds]
        net.g.graph.outputs = [net.q(net.g.Clip(net.conv(net.x), *limits), scale, zero)]
        [node] = [node for node in rewritten(net.g.graph).nodes() if node.op == "IntegerConv"]
        assert {name: node.attributes[name] for name in ("low", "high") if name in node.attributes} == expected


# --------------------------------------------------------------------- refusals

REFUSALS: dict[str, Case] = {
    "activations of 16 bits": lambda n: n.q(n.conv(n.q(n.inputs[0], 0.001, 0, np.dtype(np.int16))), 0.03),
    "activations that are not quantised": lambda n: n.q(n.conv(n.inputs[0]), 0.03),
    "one scale for each channel": lambda n: n.conv(
        n.g.DequantizeLinear(
            n.g.QuantizeLinear(n.inputs[0], np.full(4, 0.02, np.float32), np.zeros(4, np.int8), axis=1),
            np.full(4, 0.02, np.float32), np.zeros(4, np.int8), axis=1,
        )
    ),
    "a scale that is computed": lambda n: (
        lambda s: n.conv(n.g.DequantizeLinear(n.g.QuantizeLinear(n.inputs[0], s, np.int8(0)), s, np.int8(0)))
    )(n.g.Add(n.g.Abs(n.g.ReduceMax(n.inputs[0], keepdims=0)), np.float32(0.001))),
    "weights that are not quantised": lambda n: n.q(n.g.Conv(n.x, n.floats(5, 4, 3, 3)), 0.03),
    "weights scaled along the inputs": lambda n: n.q(n.g.Conv(n.x, n.weights(5, 4, 3, 3, axis=1)), 0.03),
    "a bias that leaves int32": lambda n: n.q(
        n.g.Conv(n.x, n.weights(1, 4, 1, 1), np.full(1, 3e5, np.float32)), 1e4
    ),
    "a factor that is not quantised": lambda n: n.q(n.g.Mul(n.x, n.floats(4, 1, 1)), 0.03),
    "linear Resize": lambda n: n.q(n.g.Resize(n.x, None, [1.0, 1.0, 2.0, 2.0], mode="linear"), 0.02, -7),
    "what has no integer form": lambda n: n.q(n.g.Softmax(n.x), 0.01),
    "a bias that is computed": lambda n: n.q(
        n.g.Conv(n.x, n.weights(4, 4, 1, 1), n.g.ReduceMax(n.inputs[0], [0, 2, 3], keepdims=0)), 0.03
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    net = Net()
    net.g.graph.outputs = [REFUSALS[name](net)]
    before = to_text(net.g.graph)
    assert not apply(to_integer, net.g.graph)
    assert to_text(net.g.graph) == before


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"transA": 1}], ids=str)
def test_not_every_gemm(attributes: dict[str, Any]) -> None:
    net = Net((6, 6))
    net.g.graph.outputs = [net.q(net.g.Gemm(net.x, net.weights(6, 6), **attributes), 0.03)]
    assert not apply(to_integer, net.g.graph)


def test_outputs_keep_their_floats() -> None:
    """What the graph gives, and integers that it gives, under their names."""
    net = Net()
    relu = net.g.Relu(net.conv(net.x))
    pair = net.q(relu, 0.03)
    integers = net.g.QuantizeLinear(net.x, np.float32(0.02), np.int8(-7))
    net.g.graph.outputs = [relu, pair, integers]
    after = rewritten(net.g.graph)
    one = feed(net.g.graph)
    wanted, found = OnnxRuntime(net.g.graph).run(one), OnnxRuntime(after).run(one)
    for name in wanted:
        assert np.abs(wanted[name].astype(float) - found[name]).max() <= 0.031


def test_names() -> None:
    """A value that is quantised keeps its name; the layer's place is the layer's."""
    net = Net()
    net.g.graph.outputs = [net.q(net.g.Relu(net.conv(net.x)), 0.03)]
    before = net.g.graph
    last = before.producer(before.outputs[0])
    assert last is not None
    [integer] = [node for node in rewritten(before).nodes() if node.op == "IntegerConv"]
    assert integer.output.name == last.inputs[0].name  # type: ignore[union-attr]


# ---------------------------------------------------------------- random graphs


def with_pairs(graph: Graph, seed: int) -> Graph:
    """`graph` with pairs behind most of its floats, of few scales, so that some meet their like."""
    rng, g = np.random.default_rng(seed), Builder(graph)
    names = {value: value.name for value in graph.outputs}
    for value in [value for value in graph.values() if value.dtype == np.float32 and graph.uses(value)]:
        if rng.random() < 0.2 or (value.data is not None and value.data.size < 2):
            continue
        before = graph.consumers(value)
        dtype = I8 if value.data is not None or rng.random() < 0.5 else U8
        parts = np.float32(rng.choice([0.01, 0.03])), np.array(rng.choice([0, 60]), dtype)
        real = g.DequantizeLinear(g.QuantizeLinear(value, *parts), *parts)
        for node in before:
            bodies = any(value in body.captures() for body in node.subgraphs())
            if not bodies:
                graph.set_inputs(node, [real if part is value else part for part in node.inputs])
    assert {value: value.name for value in graph.outputs} == names
    return graph


@settings(max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 2**16))
def test_random_graphs(graph: Graph, seed: int) -> None:
    """Valid, and equal but where a bias or a factor was rounded, which can move what is just between two integers."""
    for prepare in ([], COMMON):
        before = run(with_pairs(graph.copy(), seed), prepare)
        after = before.copy()
        changed = apply(to_integer, after)
        after.check()
        assert changed or to_text(after) == to_text(before)
        inputs = feed(before)
        wanted, found = OnnxRuntime(before).run(inputs), OnnxRuntime(after).run(inputs)
        for name, array in wanted.items():
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            far = ~np.isclose(found[name], array, rtol=1e-3, atol=1e-3, equal_nan=True)
            assert far.mean() <= 0.2, name
