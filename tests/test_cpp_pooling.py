"""Pooling by the C++ backend, many windows in one model, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from tests.targets import cpp_levels, run_cpp
from tests.test_cpp_conv import Net


def pool(net: Net, op: str, x: tuple[int, ...], kernel: tuple[int, ...], **attributes: Any) -> None:
    net.output(net.g.op(op, [net.input(*x)], kernel_shape=kernel, **attributes))


def known_layers(net: Net) -> None:
    """Windows that networks have, with fewer and more channels than a vector, and than four."""
    for channels in (1, 7, 16, 67, 129):
        pool(net, "MaxPool", (1, channels, 12, 13), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
        pool(net, "MaxPool", (2, channels, 8, 6), (2, 2), strides=(2, 2))
        pool(net, "AveragePool", (1, channels, 7, 9), (3, 3), pads=(1, 1, 1, 1), count_include_pad=channels % 2)
        pool(net, "AveragePool", (1, channels, 7, 7), (7, 7))
        pool(net, "LpPool", (1, channels, 7, 9), (3, 2), p=1 + channels % 2)
    pool(net, "MaxPool", (2, 20, 30), (5,), strides=(1,), pads=(2, 2))
    pool(net, "AveragePool", (2, 20, 30), (4,), strides=(3,), pads=(1, 2))
    pool(net, "MaxPool", (1, 5, 13, 9), (5, 3), auto_pad="SAME_LOWER", strides=(3, 2))


def random_windows(net: Net, count: int) -> None:
    """Any kernel, stride, dilation and padding; the last window may hang over where sizes are rounded up."""
    rng = net.rng
    for i in range(count):
        op = ("MaxPool", "AveragePool", "LpPool")[i % 3]
        kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
        pads = tuple(int(rng.integers(0, kernel[j % 2])) for j in range(4))
        strides = tuple(int(s) for s in rng.integers(1, 4, 2))
        dilations = tuple(int(d) for d in rng.integers(1, 3, 2)) if op == "MaxPool" else (1, 1)
        least = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        size = [int(n + rng.integers(0, 12)) for n in least]
        more: dict[str, Any] = {"p": int(rng.integers(1, 4))} if op == "LpPool" else {"ceil_mode": int(rng.integers(2))}
        if op == "AveragePool":
            more["count_include_pad"] = int(rng.integers(2))
        if op == "MaxPool":
            more["dilations"] = dilations
        x = (int(rng.integers(1, 3)), int(rng.integers(1, 90)), *size)
        pool(net, op, x, kernel, pads=pads, strides=strides, **more)


def whole(seed: int) -> Net:
    net = Net(seed)
    known_layers(net)
    random_windows(net, 45)
    return net


@pytest.mark.parametrize("level", cpp_levels())
def test_windows_of_all_shapes(level: int, tmp_path: Path) -> None:
    whole(level).check(tmp_path, level)


def test_a_layer_is_shared_by_threads(tmp_path: Path) -> None:
    whole(5).check(tmp_path, cpp_levels()[-1], threads=3)


def test_between_convolutions_nothing_is_moved(tmp_path: Path) -> None:
    net = Net()
    g, w = net.g, net.numbers(8, 8, 1, 1)
    x = g.AveragePool(g.MaxPool(g.Conv(net.input(1, 8, 9, 9), w), kernel_shape=(3, 3)), kernel_shape=(2, 2))
    net.output(g.Conv(x, w))
    net.check(tmp_path, cpp_levels()[-1])
    save(g.graph, tmp_path / "cpp")
    code = "".join(path.read_text() for path in (tmp_path / "cpp").glob("layers*"))
    assert code.count("netglot::pool_images<") == 2
    assert code.count("netglot::nest<") == 2  # the input and the output, which are channels-first


@pytest.mark.parametrize("channels", [5, 70])
def test_max_pooling_keeps_nan(channels: int, tmp_path: Path) -> None:
    """ONNX Runtime forgets some; ONNX says nothing. Here a window with NaN gives NaN, wherever it lies."""
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, channels, 4, 4))
    g.graph.outputs = [g.MaxPool(x, kernel_shape=(2, 2), strides=(2, 2))]
    image = np.random.default_rng(0).normal(size=(1, channels, 4, 4)).astype(np.float32)
    for i in range(4):
        image[0, i, i // 2, i % 2] = np.nan
    image[0, 4, 2, 2] = -np.inf
    (y,) = run_cpp(g.graph, {"x": image}, tmp_path).values()
    np.testing.assert_array_equal(y, image.reshape(1, channels, 2, 2, 2, 2).max((3, 5)))
