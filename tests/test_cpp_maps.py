"""Elementwise operators, lines and normalisations of the C++ backend, channels-first and channels-last in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netglot.backends.cpp import writer
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.layout import Ends, Side
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import graphs
from tests.targets import run_cpp
from tests.test_targets import assert_close

FLOAT = np.dtype(np.float32)
SHAPE = (2, 12, 5, 9)
Net = Callable[[Builder, Value], list[Value]]


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(np.float32)


def unary(g: Builder, x: Value) -> list[Value]:
    positive = g.Abs(x)
    return [
        *(getattr(g, op)(x) for op in ("Relu", "Abs", "Neg", "Sigmoid", "Mish", "Softplus", "Softsign", "Exp", "Erf")),
        *(getattr(g, op)(x) for op in ("Tanh", "HardSwish", "HardSigmoid", "Elu", "Celu", "Selu", "Swish", "Gelu")),
        *(getattr(g, op)(positive) for op in ("Sqrt", "Log", "Reciprocal")),
        g.Gelu(x, approximate="tanh"), g.LeakyRelu(x, alpha=0.2), g.ThresholdedRelu(x, alpha=0.4),
        g.Clip(x, np.float32(-0.5), np.float32(0.7)), g.Clip(x, None, np.float32(0.7)), g.Clip(x, np.float32(0.1)),
        *(g.Pow(x, np.float32(power)) for power in (1, 2, 3)), g.Pow(positive, np.float32(0.5)),
    ]  # fmt: skip


def binary(g: Builder, x: Value) -> list[Value]:
    """An image with an image, a number, a number for each channel, for each pixel, for each image and channel."""
    channel, row = g.ReduceMean(x, np.array([2, 3])), g.ReduceMax(x, np.array([3]))
    others = [g.Abs(x), np.float32(0.3), weights(12, 1, 1), weights(1, 12, 5, 9), weights(9), weights(1, 1, 5, 1)]
    results = [getattr(g, op)(x, other) for op in ("Add", "Sub", "Mul", "Div", "PRelu") for other in others]
    results += [
        g.Mul(x, channel),
        g.Sub(channel, x),
        g.Mul(x, row),
        g.Add(row, channel),
        g.Div(np.float32(2), g.Exp(channel)),
    ]
    return [*results, g.Max(x, channel, weights(12, 1, 1)), g.Min(x, np.float32(0.5)), g.Sum(x, x, weights(9))]


def along(g: Builder, x: Value) -> list[Value]:
    reductions = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare")
    results = [getattr(g, op)(x, np.array([1])) for op in reductions]
    axes = [(2, 3), (0, 1), (1, 2), (1, 3), (3,), (0, 1, 2, 3)]
    results += [g.ReduceMean(x, np.array(each), keepdims=keep) for each in axes for keep in (0, 1)]
    results += [getattr(g, op)(x, axis=axis) for op in ("Softmax", "LogSoftmax") for axis in (1, 2, 3)]
    return [
        *results, g.Hardmax(x, axis=1), g.CumSum(x, np.int64(1)), g.ReduceLogSumExp(x, np.array([1])),
        g.ArgMax(x, axis=1), g.ArgMax(x, axis=3, keepdims=0), g.LpNormalization(x, axis=1), g.GlobalAveragePool(x),
        g.GlobalMaxPool(x), g.ReduceProd(x, np.array([2])), *g.TopK(x, np.array([3]), axis=1, outputs=2),
    ]  # fmt: skip


def normal(g: Builder, x: Value) -> list[Value]:
    scale, bias, lines, rows = weights(12), weights(12) - 1, weights(9), weights(5, 9)
    return [
        g.InstanceNormalization(x, scale, bias), g.InstanceNormalization(g.Relu(x), scale, g.ReduceMean(x, np.array([0,
        2, 3]), keepdims=0)), *(g.GroupNormalization(x, scale, bias, num_groups=n, epsilon=1e-3) for n in (1, 3, 12)),
        g.LayerNormalization(x, lines, lines - 1), g.LayerNormalization(x, rows, axis=2), g.RMSNormalization(x, lines),
        g.BatchNormalization(x, scale, bias, bias, scale), g.MeanVarianceNormalization(x),
    ]  # fmt: skip


def one_channel(g: Builder, x: Value) -> list[Value]:
    """Of one channel, the scale belongs to all pixels of an image also where it is stored channels-last."""
    y, scale, bias = g.Slice(x, [3], [4], [1]), weights(1), weights(1) - 1
    return [g.InstanceNormalization(y, scale, bias), g.GroupNormalization(g.Relu(y), scale, bias, num_groups=1)]


def graph(net: Net, shape: tuple[int, ...] = SHAPE) -> Graph:
    g = Builder(Graph(f"{net.__name__} net"))
    g.graph.outputs = net(g, g.graph.add_input("x", FLOAT, shape))
    return g.graph


def turned(graph: Graph, node: Node, format: str) -> Ends:
    """What takes any layout is given channels-last."""
    side = original(graph, node, format)
    first, last = side if isinstance(side, tuple) else (side, side)
    ends = [Side.LAST if end is Side.FREE else end for end in (first, last)]
    return ends[0] if ends[0] is ends[1] else (ends[0], ends[1])


original = writer.wanted


@pytest.mark.parametrize("is_last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("net", [unary, binary, along, normal, one_channel])
def test_operators_in_either_layout(net: Net, is_last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = graphs.feed(graph(net))
    wanted = OnnxRuntime(graph(net)).run(feed)
    if is_last:
        monkeypatch.setattr(writer, "wanted", turned)
    found = run_cpp(graph(net), feed, tmp_path)
    for name, value in wanted.items():
        assert_close(found[name], value, 1e-5)


@pytest.mark.parametrize("is_last", [False, True], ids=["first", "last"])
def test_float32_is_computed_on_vectors(is_last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a squeeze-and-excite block with its softmax is left to a nest but moves between the layouts."""

    def net(g: Builder, x: Value) -> list[Value]:
        gate = g.Sigmoid(g.Relu(g.ReduceMean(x, np.array([2, 3]))))
        return [g.Softmax(g.Clip(g.Add(g.Mul(x, gate), weights(12, 1, 1)), np.float32(0)), axis=1)]

    if is_last:
        monkeypatch.setattr(writer, "wanted", turned)
    writer.save(graph(net), tmp_path)
    layers = (tmp_path / "layers.h").read_text()
    assert layers.count("netglot::map") == 5
    assert layers.count("netglot::lines(") == 2
    assert layers.count("netglot::nest<") == (2 if is_last else 0)


@pytest.mark.parametrize("p", [1, 2])
def test_a_line_with_nan_has_no_norm(p: int, tmp_path: Path) -> None:
    def net(g: Builder, x: Value) -> list[Value]:
        return [g.LpNormalization(x, axis=2, p=p)]

    feed = graphs.feed(graph(net))
    feed["x"][1, 2, 3, 4] = np.nan
    feed["x"][0, 0, :, 0] = 0
    (wanted,) = OnnxRuntime(graph(net)).run(feed).values()
    (found,) = run_cpp(graph(net), feed, tmp_path).values()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert_close(np.nan_to_num(found), np.nan_to_num(wanted), 1e-5)
