"""Quantised programs, as PT2E makes them: they stay quantised, with the weights that the file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netglot.frontends.pytorch import load
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime

Q, D = "QuantizeLinear", "DequantizeLinear"
STEP = 0.05


def _network() -> Any:
    """A convolution and a linear layer as convert_pt2e leaves them, with folded weights (torchao makes these calls)."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    ops = torch.ops.quantized_decomposed

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.register_buffer("kernel", torch.randint(-127, 128, (6, 3, 3, 3), generator=generator).to(torch.int8))
            self.register_buffer("scales", torch.rand(6, generator=generator) * 0.01 + 0.002)
            self.register_buffer("zeros", torch.zeros(6, dtype=torch.int64))
            self.register_buffer("matrix", torch.randint(-127, 128, (4, 6), generator=generator).to(torch.int8))
            self.register_buffer("bias", torch.randint(-400, 400, (4,), generator=generator).to(torch.int32))

        def grid(self, x: Any, scale: float = STEP, zero: int = 3) -> Any:
            q = ops.quantize_per_tensor(x, scale, zero, -128, 127, torch.int8)
            return ops.dequantize_per_tensor(q, scale, zero, -128, 127, torch.int8)

        def forward(self, x: Any) -> Any:
            kernel = ops.dequantize_per_channel(self.kernel, self.scales, self.zeros, 0, -127, 127, torch.int8)
            x = torch.relu(torch.nn.functional.conv2d(self.grid(x), kernel, padding=1))
            x = self.grid(self.grid(x).mean((2, 3)))
            matrix = ops.dequantize_per_tensor(self.matrix, 0.004, 0, -127, 127, torch.int8)
            bias = ops.dequantize_per_tensor(self.bias, 0.004 * STEP, 0, -(2**31), 2**31 - 1, torch.int32)
            return self.grid(torch.nn.functional.linear(x, matrix, bias))

    return Network().eval()


@pytest.fixture(scope="module")
def converted() -> tuple[Any, Any, Graph]:
    torch = pytest.importorskip("torch")
    network, x = _network(), torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    return network, x, load(torch.export.export(network, (x,)))


def test_pairs_stay_pairs(converted: tuple[Any, Any, Graph]) -> None:
    graph = converted[2]
    quantised = [node for node in graph.nodes() if node.op == Q]
    assert len(quantised) == 4
    for node in quantised:
        assert [user.op for user in graph.consumers(node.outputs[0])] == [D]


def test_weights_are_those_of_the_file(converted: tuple[Any, Any, Graph]) -> None:
    network, _, graph = converted
    held = {name: graph[name].array for name in ("kernel", "matrix", "bias")}
    for name, array in held.items():
        wanted = getattr(network, name).numpy()
        assert array.dtype == wanted.dtype
        assert array.tobytes() == wanted.tobytes()
        assert [user.op for user in graph.consumers(graph[name])] == [D]


def test_results_are_equal_within_a_step(converted: tuple[Any, Any, Graph]) -> None:
    network, x, graph = converted
    (found,) = OnnxRuntime(graph).run({graph.inputs[0].name: x.numpy()}).values()
    wanted = network(x).numpy()
    assert np.unique(wanted).size > 4  # the network does tell its inputs apart
    assert np.abs(found - wanted).max() <= STEP * 1.001
    assert (found == wanted).mean() > 0.9


def test_a_range_that_is_not_that_of_the_type_is_kept() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    ops = torch.ops.quantized_decomposed

    class Narrow(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return ops.dequantize_per_tensor(
                ops.quantize_per_tensor(x, 0.1, 2, -8, 7, torch.int8), 0.1, 2, -8, 7, torch.int8
            )

    x = torch.linspace(-2, 2, 101)
    graph = load(torch.export.export(Narrow(), (x,)))
    (found,) = OnnxRuntime(graph).run({graph.inputs[0].name: x.numpy()}).values()
    np.testing.assert_allclose(found, Narrow()(x).numpy(), atol=1e-6)
    assert found.min() == pytest.approx(-1.0)
    assert found.max() == pytest.approx(0.5)
