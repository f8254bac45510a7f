"""Convolutions and matrix products of the C++ backend, many in one model, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.backends.cpp.packing import Window, merged, pack, scratch_floats, to_halves
from netglot.ir.builder import Builder
from netglot.ir.extension.fused import ACTIVATIONS
from netglot.ir.graph import Graph, Value
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import cpp_levels
from tests.test_targets import assert_close

FLOAT = np.dtype(np.float32)
Shape = tuple[int, ...]


class Net:
    """A graph with many outputs, and what it is fed."""

    def __init__(self, seed: int = 0) -> None:
        self.g = Builder(Graph("net"))
        self.rng = np.random.default_rng(seed)
        self.feed: dict[str, np.ndarray] = {}
        self.weights: list[np.ndarray] = []

    def input(self, *shape: int) -> Value:
        name = f"x{len(self.feed)}"
        self.feed[name] = self.numbers(*shape)
        return self.g.graph.add_input(name, FLOAT, shape)

    def numbers(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(-1, 1, shape).astype(np.float32)

    def output(self, value: Value) -> None:
        self.g.graph.outputs = [*self.g.graph.outputs, value]

    def conv(self, x: Shape, out: int, kernel: Shape, *, group: int = 1, bias: bool = True, **attributes: Any) -> None:
        w = self.numbers(out, x[1] // group, *kernel)
        inputs = [self.input(*x), w, *([self.numbers(out)] if bias else [])]
        self.output(self.g.op("Conv", inputs, group=group, **attributes))

    def check(self, folder: Path, level: int, threads: int = 1, rtol: float = 1e-5) -> None:
        expected = OnnxRuntime(self.g.graph).run(self.feed)
        save(self.g.graph, folder / "cpp", threads=threads, exact=True)
        actual = built(folder, level).run(self.feed)
        for name, wanted in expected.items():
            assert_close(actual[name], wanted, rtol)


def built(folder: Path, level: int) -> CompiledCpp:
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", f"-DNETGLOT_ONLY={level}"]
    return CompiledCpp(folder / "cpp", flags, cache=folder)


def random_windows(net: Net, count: int) -> None:
    """Convolutions of any sizes, strides, dilations, padding and groups, in batches of one or two."""
    rng = net.rng
    for i in range(count):
        group = int(rng.choice([1, 1, 1, 2, 3, 5]))
        kernel = tuple(int(k) for k in rng.integers(1, 5, 2))
        dilations = tuple(int(d) for d in rng.choice([1, 1, 1, 2, 3], 2))
        pads = tuple(int(p) for p in rng.integers(0, 4, 4))
        least = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        size = [int(n + rng.integers(0, 14)) for n in least]
        channels, out = (group * int(c) for c in rng.integers(1, 41, 2) // (1 if group == 1 else 3) + 1)
        strides = tuple(int(s) for s in rng.integers(1, 4, 2))
        net.conv(
            (int(rng.integers(1, 3)), channels, *size), out, kernel, group=group, bias=i % 3 > 0, pads=pads,
            strides=strides, dilations=dilations,
        )  # fmt: skip


def special_windows(net: Net) -> None:
    net.conv((1, 3, 30, 30), 5, (11, 9), pads=(5, 4, 5, 4))  # more places than are looked up at a time
    net.conv((1, 1024, 6, 5), 33, (1, 1))  # pixels that compete for the same lines of the cache
    net.conv((2, 1024, 5, 6), 140, (1, 1), strides=(2, 1))
    net.conv((1, 130, 13, 11), 128, (3, 3), pads=(1, 1, 1, 1), bias=False)  # weights larger than half of L2
    net.conv((1, 16, 9, 9), 16, (3, 3), group=8, pads=(1, 1, 1, 1))  # groups that are merged
    net.conv((1, 12, 9, 9), 24, (3, 3), group=12, auto_pad="SAME_UPPER", strides=(2, 2))
    net.conv((1, 6, 9, 9), 6, (3, 3), group=6, pads=(1, 1, 1, 1))  # depthwise
    net.conv((2, 7, 20), 9, (3,), pads=(2, 0), dilations=(2,))  # one axis
    net.conv((1, 3, 4, 5, 6), 4, (2, 2, 2))  # three
    net.conv((1, 100, 1, 1), 200, (1, 1))  # one pixel


@pytest.mark.parametrize("level", cpp_levels())
def test_windows_of_all_shapes(level: int, tmp_path: Path) -> None:
    net = Net(level)
    random_windows(net, 30)
    special_windows(net)
    net.check(tmp_path, level)


def test_a_layer_is_shared_by_threads(tmp_path: Path) -> None:
    net = Net()
    random_windows(net, 8)
    special_windows(net)
    products(net)
    net.check(tmp_path, cpp_levels()[-1], threads=3)


def products(net: Net) -> None:
    g = net.g
    for rows, depth, columns in [(1, 70, 130), (1, 300, 33), (2, 5, 1), (9, 40, 17), (33, 65, 48)]:
        net.output(g.MatMul(net.input(rows, depth), net.numbers(depth, columns)))
        net.output(g.MatMul(net.input(rows, depth), net.input(depth, columns)))
    net.output(g.MatMul(net.input(2, 3, 9, 20), net.input(2, 3, 20, 18)))
    net.output(g.MatMul(net.input(2, 1, 9, 20), net.input(3, 20, 18)))
    net.output(g.MatMul(net.input(5, 9, 20), net.numbers(5, 20, 16)))
    net.output(g.MatMul(net.input(4, 6, 20), net.numbers(20)))
    for trans_a, trans_b in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        a = net.input(*((30, 7) if trans_a else (7, 30)))
        for b in (net.numbers(*((20, 30) if trans_b else (30, 20))), net.input(*((20, 30) if trans_b else (30, 20)))):
            for c in (net.numbers(20), net.input(7, 20), net.numbers(7, 1)):
                net.output(g.Gemm(a, b, c, transA=trans_a, transB=trans_b))
    net.output(g.Gemm(net.input(7, 30), net.numbers(30, 20), net.numbers(1, 20), alpha=0.5, beta=3.0))
    net.output(g.Gemm(net.input(7, 30), net.numbers(30, 20), net.input(7, 20), alpha=0.5, beta=3.0))


@pytest.mark.parametrize("level", cpp_levels())
def test_products_and_what_follows(level: int, tmp_path: Path) -> None:
    net = Net(level)
    products(net)
    followed_by(net)
    net.check(tmp_path, level)


def followed_by(net: Net) -> None:
    """Every activation, with and without residual, bounds and bias."""
    g = net.g
    x, w, b, rows = net.input(1, 5, 9, 8), net.numbers(20, 5, 3, 3), net.numbers(20), net.input(2, 6, 30)
    residual, other = net.input(1, 20, 7, 6), net.input(2, 6, 21)
    for i, (activation, names) in enumerate({"": (), **ACTIVATIONS}.items()):
        chosen = {name: "tanh" if name == "approximate" else 0.3 for name in names}
        limits = {"low": -0.4, "high": 0.7} if i % 2 else {}
        after = {"activation": activation, **chosen, **limits}
        added = [residual, other] if i % 3 else [None, None]
        net.output(g.extension("FusedConv", [x, w, b if i % 4 else None, added[0]], **after))
        net.output(g.extension("FusedMatMul", [rows, net.numbers(30, 21), net.numbers(21), added[1]], **after))
    volume, whole = net.input(1, 2, 4, 5, 6), net.input(1, 3, 3, 4, 5)
    net.output(g.extension("FusedConv", [volume, net.numbers(3, 2, 2, 2, 2), None, whole], low=0.0, activation="Tanh"))
    net.output(g.extension("FusedConv", [net.input(1, 5, 9), net.numbers(4, 5, 3), None, net.numbers(1, 4, 7)]))


@pytest.mark.parametrize("level", cpp_levels())
@pytest.mark.parametrize("quantize", ["fp16", "int8"])
def test_weights_of_fewer_bits(quantize: Literal["fp16", "int8"], level: int, tmp_path: Path) -> None:
    """They compute what ONNX Runtime computes with the same weights, rounded; and are smaller."""
    exact, rounded = Net(), Net()
    for net in (exact, rounded):
        few_layers(net, (lambda w: w) if net is exact else ROUNDED[quantize])
    expected = OnnxRuntime(rounded.g.graph).run(rounded.feed)
    save(exact.g.graph, tmp_path / "cpp", quantize=quantize, threads=2, exact=True)
    actual = built(tmp_path, level).run(exact.feed)
    for name, wanted in expected.items():
        assert_close(actual[name], wanted, 1e-5)
    floats = sum(w.nbytes for w in exact.weights)
    assert (tmp_path / "cpp" / "weights.bin").stat().st_size < floats * (0.75 if quantize == "fp16" else 0.5)


def few_layers(net: Net, stored: Callable[[np.ndarray], np.ndarray]) -> None:
    """Several blocks of tiles, one pixel, groups, subnormal halves, a channel of zeros, Gemm's transposed weights."""
    for x, shape, attributes in [
        ((1, 130, 13, 11), (128, 130, 3, 3), {"pads": (1, 1, 1, 1)}),
        ((2, 20, 9, 8), (50, 10, 2, 3), {"group": 2}),
        ((1, 16, 9, 9), (16, 2, 3, 3), {"group": 8, "pads": (1, 1, 1, 1)}),
        ((1, 1024, 6, 5), (70, 1024, 1, 1), {}),
    ]:
        w = net.numbers(*shape)
        w[1], w[2] = 0, w[2] * np.float32(1e-5)
        net.weights.append(w)
        net.output(net.g.Conv(net.input(*x), stored(w), net.numbers(shape[0]), **attributes))
    w = net.numbers(150, 300)
    net.weights.append(w)
    net.output(net.g.Gemm(net.input(1, 300), stored(w), net.numbers(150), transB=1))


def halves(w: np.ndarray) -> np.ndarray:
    return w.astype(np.float16).astype(np.float32)


def bytes_of_channels(w: np.ndarray) -> np.ndarray:
    scale = np.abs(w).max(axis=tuple(range(1, w.ndim)), keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    return np.round(w / scale) * scale


ROUNDED = {"fp16": halves, "int8": bytes_of_channels}


def test_weights_beyond_the_range_of_halves_stay() -> None:
    assert to_halves(np.array([1e5, 1], np.float32)) is None
    assert to_halves(np.array([1e-9, 2e-9], np.float32)) is None


def test_weights_lie_in_panels() -> None:
    w = np.arange(2 * 18 * 3 * 2 * 2, dtype=np.float32).reshape(36, 3, 2, 2)
    packed = pack(w, groups=2)
    assert packed.shape == (2, 2, 2, 2, 3, 16)
    assert packed[1, 1, 0, 1, 2, 1] == w[18 + 17, 2, 0, 1]
    assert not packed[:, 1, ..., 2:].any()


def test_small_groups_are_merged_into_panels() -> None:
    w = np.random.default_rng(0).normal(size=(24, 2, 1, 1)).astype(np.float32)  # 8 groups of 3
    wide, groups = merged(w, 8)
    assert (wide.shape, groups) == ((24, 8, 1, 1), 2)
    x = np.random.default_rng(1).normal(size=16).astype(np.float32)
    each = np.concatenate([w[3 * g : 3 * g + 3, :, 0, 0] @ x[2 * g : 2 * g + 2] for g in range(8)])
    both = np.concatenate([wide[12 * g : 12 * g + 12, :, 0, 0] @ x[8 * g : 8 * g + 8] for g in range(2)])
    np.testing.assert_allclose(both, each, rtol=1e-6)
    assert merged(w, 1)[1] == 1


def test_windows_are_copied_where_that_pays() -> None:
    assert scratch_floats(Window(1, 14, 14, 256, 14, 14, 256)) == 0
    assert scratch_floats(Window(1, 14, 14, 1024, 14, 14, 256)) >= 14 * 1024
    assert scratch_floats(Window(1, 8, 8, 3, 8, 8, 9, 3, 3, 1, 1, 1, 1)) >= 14 * 27
