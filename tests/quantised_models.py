"""Small networks, quantised by onnxruntime.quantization with random calibration, for the tests of integer layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from netglot.backends.onnx.writer import to_model
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value

IMAGE = (1, 3, 16, 16)


class Net:
    """A builder with random weights."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.g = Builder(Graph("net"))
        self.x = self.g.graph.add_input("x", np.dtype(np.float32), IMAGE)

    def weights(self, *shape: int) -> np.ndarray:
        return (self.rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def conv(self, x: Value, channels: int, kernel: int = 3, stride: int = 1, group: int = 1) -> Any:
        w = self.weights(channels, x.sizes[1] // group, kernel, kernel)
        bias = self.rng.normal(size=channels).astype(np.float32) * np.float32(0.2)
        sizes = {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": (kernel // 2,) * 4}
        return self.g.Conv(x, w, bias, group=group, **sizes)

    def dense(self, x: Value, units: int) -> Any:
        return self.g.Gemm(x, self.weights(units, x.sizes[1]), self.weights(units), transB=1)

    def graph(self, *outputs: Value) -> Graph:
        self.g.graph.outputs = list(outputs)
        return self.g.graph


def resnet() -> Graph:
    net = Net()
    g = net.g
    x = g.MaxPool(g.Relu(net.conv(net.x, 8, 5, 2)), kernel_shape=(3, 3), strides=(2, 2), pads=(1,) * 4)
    y = net.conv(g.Relu(net.conv(x, 8)), 8)
    x = g.Relu(g.Add(y, x))
    y = net.conv(g.Relu(net.conv(x, 16, stride=2)), 16)
    x = g.Relu(g.Add(y, net.conv(x, 16, 1, 2)))
    return net.graph(net.dense(g.Flatten(g.GlobalAveragePool(x)), 10))


def mobilenet() -> Graph:
    """Clips, HardSwish and a gate written as exporters do, branches that meet in a Concat."""
    net = Net(1)
    g = net.g
    x = _relu6(g, net.conv(net.x, 8, 3, 2))
    y = _relu6(g, net.conv(_relu6(g, net.conv(x, 24, 1)), 24, group=24))
    x = g.Add(x, net.conv(y, 8, 1))
    x = g.HardSwish(net.conv(x, 16, 1))
    gate = g.HardSigmoid(net.conv(g.Relu(net.conv(g.ReduceMean(x, [2, 3]), 4, 1)), 16, 1))
    x = g.Mul(x, gate)
    a, b = g.Relu(net.conv(x, 8, 1)), g.Sigmoid(net.conv(x, 8))
    x = g.Concat(a, b, g.AveragePool(x, kernel_shape=(3, 3), strides=(1, 1), pads=(1,) * 4), axis=1)
    x = g.Reshape(g.Transpose(g.Resize(x, None, [1.0, 1.0, 0.5, 0.5]), perm=(0, 2, 3, 1)), [1, -1])
    x = net.dense(x, 6)
    return net.graph(g.Softmax(x))


def _relu6(g: Builder, x: Value) -> Any:
    return g.Clip(x, g.constant(0, np.float32), g.constant(6, np.float32))


def attention() -> Graph:
    """Products of two computed tensors, and biases that are added."""
    net = Net(2)
    g = net.g
    tokens = g.Transpose(g.Reshape(net.conv(net.x, 12, 4, 4), [1, 12, -1]), perm=(0, 2, 1))
    q, k, v = (g.Add(g.MatMul(tokens, net.weights(12, 12)), net.weights(12)) for _ in range(3))
    scores = g.Softmax(g.Mul(g.MatMul(q, g.Transpose(k, perm=(0, 2, 1))), np.float32(0.3)))
    x = g.Add(tokens, g.MatMul(scores, v))
    return net.graph(g.MatMul(g.Gelu(g.Add(g.MatMul(x, net.weights(12, 20)), net.weights(20))), net.weights(20, 5)))


def inputs(count: int = 1, seed: int = 5) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield {"x": rng.normal(size=IMAGE).astype(np.float32)}


def quantised(graph: Graph, path: Path, opset: int = 21, **options: Any) -> Path:
    """The file `path`: `graph` after quantize_static."""
    import onnxruntime.quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.items = inputs(8)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.items, None)

    model = path.with_suffix(".float.onnx")
    onnx.save(to_model(graph.copy(), opset=opset), model)
    ort.quantize_static(model, path, Reader(), **options)
    return path
