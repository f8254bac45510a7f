"""Layers on 8-bit integers in C++: many in one model against the operators' references, and networks quantised by
ONNX Runtime against what that computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.backends.cpp import save
from netglot.backends.cpp.quantized import pack, pack_depthwise
from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Value
from netglot.passes.integer import to_integer
from netglot.passes.pipeline import COMMON, apply, run
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import quantised_models as models
from tests.targets import cpp_levels

I8, U8 = np.dtype(np.int8), np.dtype(np.uint8)
FLOAT = np.dtype(np.float32)
FLAGS = ["-O1", "-Wall", "-Wextra", "-Werror"]
Shape = tuple[int, ...]


class Net:
    """A graph with many outputs, what it is fed, and what its operators' references make of that."""

    def __init__(self, seed: int = 0) -> None:
        self.g = Builder(Graph("net"))
        self.rng = np.random.default_rng(seed)
        self.feed: dict[str, np.ndarray] = {}
        self.wanted: dict[str, np.ndarray] = {}

    def integers(self, dtype: np.dtype, *shape: int) -> np.ndarray:
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max, shape, dtype, endpoint=True)

    def input(self, array: np.ndarray) -> Value:
        name = f"x{len(self.feed)}"
        self.feed[name] = array
        return self.g.graph.add_input(name, array.dtype, array.shape)

    def grid(self, dtype: np.dtype, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """A scale near `scale`, and a zero point near the middle."""
        middle = 128 if dtype == U8 else 0
        return np.float32(scale * self.rng.uniform(0.7, 1.4)), np.array(middle + self.rng.integers(-40, 41), dtype)

    def layer(self, op: str, arrays: list[Any], given: tuple[int, ...] = (0,), **attributes: Any) -> None:
        """An operator of which the arguments `given` are inputs of the model."""
        inputs = [self.input(a) if i in given else a for i, a in enumerate(arrays)]
        y = self.g.extension(op, inputs, **attributes)
        self.g.graph.outputs = [*self.g.graph.outputs, y]
        self.wanted[y.name] = OPERATORS[op].run(*arrays, **attributes)

    def conv(
        self, x: Shape, out: int, kernel: Shape, kinds: str = "bb", *, group: int = 1, w_zero: int = 0,
        bias: bool = True, **window: Any,
    ) -> None:  # fmt: skip
        """`kinds`: the types of x and y, as NumPy's letters; no second one for floats."""
        kind, *to = (np.dtype(letter) for letter in kinds)
        depth = x[1] // group * int(np.prod(kernel))
        w, w_scale = self.integers(I8, out, x[1] // group, *kernel), self.rng.uniform(0.5, 1.5, out).astype(np.float32)
        y = self.grid(to[0], 60 * depth**0.5) if to else (None, None)
        steps = self.rng.integers(-5000, 5000, out, np.int32) if bias else None
        arrays = [self.integers(kind, *x), *self.grid(kind, 1.0), w, w_scale, np.full(out, w_zero, I8), *y, steps]
        self.layer("IntegerConv", arrays, group=group, **window)

    def check(self, folder: Path, level: int, *, dot: bool = True) -> None:
        self.g.graph.check()
        save(self.g.graph, folder / "cpp")
        if not dot:
            forget_dot_products(folder / "cpp")
        found = CompiledCpp(folder / "cpp", [*FLAGS, f"-DNETGLOT_ONLY={level}"], cache=folder).run(self.feed)
        for name, wanted in self.wanted.items():
            assert_equal(found[name], wanted, name)


def forget_dot_products(folder: Path) -> None:
    """The model takes the processor for one without them."""
    text = (folder / "model.cpp").read_text()
    assert text.count("netglot::has_dot_products()") == 1
    (folder / "model.cpp").write_text(text.replace("netglot::has_dot_products()", "false"))


def assert_equal(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Integers but for few that are rounded the other way, by one; floats within 1e-6 of the largest."""
    assert found.dtype == wanted.dtype, name
    assert found.shape == wanted.shape, name
    off = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    if wanted.dtype == FLOAT:
        assert off.max() <= 1e-6 * np.abs(wanted).max(), name
        return
    assert wanted.size < 30 or np.unique(wanted).size > 10, f"{name} is nearly constant"
    assert off.max(initial=0) <= 1, f"{name}: {off.max()} off, {(off > 0).mean():.1%} differ"
    assert (off > 0).sum() <= 1 + 0.002 * off.size, f"{name}: {(off > 0).mean():.1%} differ"


def convolutions(net: Net) -> None:
    for kinds in ("bb", "BB", "bB", "b", "B"):
        net.conv((1, 3, 9, 11), 5, (3, 3), kinds, pads=(1, 1, 1, 1), strides=(2, 1))
        net.conv((2, 20, 7, 5), 37, (1, 1), kinds)
        net.conv((1, 6, 8, 9), 18, (3, 2), kinds, dilations=(2, 1), group=3, bias=False)
        net.conv((1, 70, 9, 8), 70, (3, 3), kinds, group=70, pads=(1, 1, 1, 1))
    net.conv((1, 16, 9, 9), 48, (3, 3), pads=(1, 1, 1, 1), low=-20, high=50)
    net.conv((1, 12, 6, 5), 20, (3, 3), auto_pad="SAME_UPPER", strides=(2, 2))
    net.conv((1, 8, 40), 24, (5,), pads=(2, 2))
    net.conv((1, 33, 17), 33, (3,), "BB", group=33, pads=(2, 0))
    net.conv((1, 5, 1, 1), 3, (3, 3), "BB", pads=(1, 1, 1, 1))
    net.conv((1, 1, 3, 1), 16, (1, 1))
    net.conv((1, 16, 6, 6), 17, (3, 3), w_zero=-9, pads=(1, 1, 1, 1))
    net.conv((1, 7, 6, 6), 7, (3, 3), "BB", group=7, w_zero=31)


def depthwise(net: Net) -> None:
    for channels in (1, 16, 32, 64, 80, 131):
        net.conv((1, channels, 9, 10), channels, (3, 3), group=channels, pads=(1, 1, 1, 1))
    net.conv((2, 48, 9, 8), 48, (3, 3), "BB", group=48, strides=(2, 2), pads=(0, 0, 1, 1))
    net.conv((1, 24, 9, 8), 24, (3, 3), group=24, strides=(1, 3), dilations=(2, 1))
    net.conv((1, 65, 8, 8), 65, (5, 5), group=65, pads=(2, 2, 2, 2), low=-100)
    net.conv((1, 64, 6, 7), 64, (2, 4), "BB", group=64, strides=(2, 1))
    net.conv((1, 3, 2, 2), 3, (3, 3), group=3, pads=(2, 2, 2, 2))


def products(net: Net) -> None:
    for shape, columns, kind in (((1, 130), 77, I8), ((3, 5, 16), 40, U8), ((2, 7), 3, I8), ((1, 5, 8), 100, I8)):
        depth = shape[-1]
        scale = net.rng.uniform(0.5, 1.5, columns).astype(np.float32)
        arrays = [net.integers(kind, *shape), *net.grid(kind, 1.0), net.integers(I8, depth, columns), scale]
        rest = [*net.grid(U8, 60 * depth**0.5), net.rng.integers(-999, 999, columns, np.int32)]
        net.layer("IntegerMatMul", [*arrays, np.zeros(columns, I8), *rest])
        net.layer("IntegerMatMul", [*arrays, np.full(columns, 5, I8), None, None, rest[2]])


def pools(net: Net) -> None:
    for kind, to in ((I8, I8), (U8, I8)):
        x, scales = net.integers(kind, 2, 21, 7, 9), [*net.grid(kind, 1.0), *net.grid(to, 0.4)]
        net.layer("IntegerMean", [x, *scales], axes=(2, 3))
        net.layer("IntegerMean", [x, *scales], axes=(2, 3), keepdims=0)
        net.layer("IntegerMean", [x, *scales], axes=(1,), high=60)
        for include in (0, 1):
            window = {"kernel_shape": (3, 2), "pads": (1, 1, 0, 1), "strides": (2, 2), "count_include_pad": include}
            net.layer("IntegerAveragePool", [x, *scales], **window)
        net.layer("IntegerAveragePool", [x, *scales], kernel_shape=(3, 3), strides=(2, 2), ceil_mode=1)


def elementwise(net: Net) -> None:
    full, pixel = (2, 19, 5, 6), (1, 19, 1, 1)
    for op, scale in (("IntegerAdd", 1.5), ("IntegerMul", 90.0)):
        for kinds in ((I8, I8, I8), (U8, U8, U8), (U8, I8, U8)):
            for shape in (full, pixel):
                a, b = net.integers(kinds[0], *full), net.integers(kinds[1], *shape)
                grids = [net.grid(kind, 1.0) for kind in kinds[:2]]
                net.layer(op, [a, *grids[0], b, *grids[1], *net.grid(kinds[2], scale)], (0, 3), high=100)
    a, b = net.integers(I8, 9000), net.integers(I8, 9000)
    net.layer(
        "IntegerAdd", [a, np.float32(1), I8.type(3), b, np.float32(-1), I8.type(-9), np.float32(2), I8.type(0)], (0, 3)
    )
    table = net.rng.normal(size=256).astype(np.float32)
    net.layer("Lookup8", [net.integers(I8, *full), table])
    net.layer("Lookup8", [net.integers(U8, *full), net.integers(I8, 256)])


def conversions(net: Net) -> None:
    for name in ("int8", "uint8", "int16", "uint16"):
        kind, scale = np.dtype(name), np.float32(0.37)
        info = np.iinfo(kind)
        zero = np.array((info.max + info.min) // 2 + 7, kind)
        reals = (net.rng.uniform(-0.6, 0.6, (3, 11, 4, 5)) * (int(info.max) - int(info.min)) * 0.37).astype(np.float32)
        reals.ravel()[:40] = scale * (np.arange(40) - 20 + np.float32(0.5))  # halves are rounded to even
        for op, x in (("QuantizeLinear", reals), ("DequantizeLinear", net.integers(kind, 3, 11, 4, 5))):
            y = net.g.op(op, [net.input(x), scale, zero])
            net.g.graph.outputs = [*net.g.graph.outputs, y]
            net.wanted[y.name] = compute(op, x, scale, zero)


CASES = [convolutions, depthwise, products, pools, elementwise, conversions]


@pytest.mark.parametrize("level", cpp_levels())
def test_layers(level: int, tmp_path: Path) -> None:
    net = Net(level)
    for case in CASES:
        case(net)
    net.check(tmp_path, level)


def test_without_dot_products(tmp_path: Path) -> None:
    """The highest level of a processor without VNNI."""
    net = Net(7)
    convolutions(net)
    depthwise(net)
    net.check(tmp_path, cpp_levels()[-1], dot=False)


NETWORKS: list[tuple[Callable[[], Graph], dict[str, Any]]] = [
    (models.resnet, {"per_channel": True}),
    (models.mobilenet, {"per_channel": True}),
    (models.attention, {}),
]


@pytest.mark.parametrize("types", ["int8", "uint8"])
@pytest.mark.parametrize(("make", "options"), NETWORKS, ids=lambda value: getattr(value, "__name__", ""))
def test_networks(make: Callable[[], Graph], options: dict[str, Any], types: str, tmp_path: Path) -> None:
    """ONNX Runtime rounds between the layers as we do, but for a few numbers of which the next layers make more."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    kind = quantization.QuantType.QInt8 if types == "int8" else quantization.QuantType.QUInt8
    path = models.quantised(make(), tmp_path / "model.onnx", activation_type=kind, **options)
    graph = run(netglot.load(path), COMMON)
    assert apply(to_integer, graph.copy())
    step = max(node.inputs[1].array.max() for node in graph.nodes() if node.op == "DequantizeLinear")
    save(graph, tmp_path / "cpp")
    flags = ["-O0", *FLAGS[1:], f"-DNETGLOT_ONLY={cpp_levels()[-1]}"]
    text = (tmp_path / "cpp" / "layers.h").read_text()
    assert "netglot::quantized_conv(" in text, "the layers compute on integers"
    assert "netglot::conv(" not in text, "no layer computes on floats"
    compiled = CompiledCpp(tmp_path / "cpp", flags, cache=tmp_path)
    [one] = models.inputs(1, seed=9)
    [wanted], [found] = OnnxRuntime(path).run(one).values(), compiled.run(one).values()
    assert np.unique(wanted).size > 5
    assert np.abs(found - wanted).max() <= 1.001 * step
    assert (np.abs(found - wanted) > 0.5 * step).mean() <= 0.05


def test_packed_weights() -> None:
    """Every weight is where the kernels look for it."""
    w = np.random.default_rng(1).integers(-200, 200, (6, 5, 2, 3))
    packed = pack(w, 2)
    assert packed.shape == (2, 1, 2, 8, 16, 4)
    for m, c, ky, kx in np.ndindex(*w.shape):
        depth = (ky * 3 + kx) * 5 + c
        assert packed[m // 3, 0, :, depth // 4, m % 3, depth % 4].sum() == w[m, c, ky, kx]
    assert pack(np.clip(w, -128, 127), 2).shape[2] == 1
    w = np.arange(-50, 76).reshape(14, 1, 3, 3)
    rows = pack_depthwise(w)
    assert rows.shape == (1, 3, 64, 4)
    for c, _, ky, kx in np.ndindex(*w.shape):
        assert rows[0, kx, c // 4 * 16 + c % 4, ky] == w[c, 0, ky, kx]
