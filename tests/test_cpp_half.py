"""float16 in C++: a type of ours at the ends, float32 between them, and weights that stay halves."""

from __future__ import annotations

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import netglot
from netglot.backends.cpp import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.ir.types import to_onnx
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import oracles
from tests.ops.table import const
from tests.targets import cpp_levels, run_cpp
from tests.test_targets import assert_close

HALF = np.dtype(np.float16)
FLAGS = ["-O1", "-Wall", "-Wextra", "-Werror"]
BEST = [*FLAGS, f"-DNETGLOT_ONLY={cpp_levels()[-1]}"]
HALVES = np.arange(1 << 16, dtype=np.uint16).view(HALF)
POSITIVE = np.sort(HALVES[(HALVES >= 0) & np.isfinite(HALVES) & ~np.signbit(HALVES)]).astype(np.float64)


def cast_by_cpp(x: np.ndarray, to: np.dtype, folder: Path) -> np.ndarray:
    g = Builder(Graph(f"cast-{x.dtype}-{to}"))
    g.graph.outputs = [g.Cast(g.graph.add_input("x", x.dtype, x.shape), to=to_onnx(to))]
    (found,) = run_cpp(g.graph, {"x": x}, folder).values()
    assert found.dtype == to
    return found


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    """But for the payload of NaNs."""
    assert found.dtype == wanted.dtype
    nan = np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found[~nan].view(np.uint8), wanted[~nan].view(np.uint8))


# ------------------------------------------------------------------------ casts


def test_every_half_is_a_float_and_back(tmp_path: Path) -> None:
    for folder in ("there", "back"):
        (tmp_path / folder).mkdir()
    wide = cast_by_cpp(HALVES, np.dtype(np.float32), tmp_path / "there")
    assert_same_bits(wide, HALVES.astype(np.float32))
    assert_same_bits(cast_by_cpp(wide, HALF, tmp_path / "back"), HALVES)


def between() -> np.ndarray:
    """What lies in the middle of two neighbouring halves, with both signs; the last would be infinity's."""
    middles = (POSITIVE + np.append(POSITIVE[1:], 65536.0)) / 2
    assert middles[0] == 2.0**-25
    assert middles[-1] == 65520
    return np.concatenate([middles, -middles])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_floats_are_rounded_to_the_nearest_half(tmp_path: Path) -> None:
    ties = between().astype(np.float32)
    assert (ties == between()).all()  # floats hold them all
    near = [np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)]
    anything = np.random.default_rng(0).integers(0, 1 << 32, 1 << 16, np.uint32).view(np.float32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-45, -1e-45, 65504, 65519.996], np.float32)
    x = np.concatenate([ties, *near, anything, special])
    assert_same_bits(cast_by_cpp(x, HALF, tmp_path), x.astype(HALF))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_doubles_are_rounded_once(tmp_path: Path) -> None:
    """By way of a float, what is just beside the middle would become the middle, and then the even one."""
    ties = between()
    x = np.concatenate([ties, *(np.nextafter(ties, end) for end in (-np.inf, np.inf)), [1e300, 5e-324, np.nan]])
    assert (x.astype(np.float32).astype(HALF) != x.astype(HALF)).sum() > 60000
    assert_same_bits(cast_by_cpp(x, HALF, tmp_path), x.astype(HALF))


INTEGERS = ["bool", "int8", "int16", "int32", "int64"]
NUMBERS = [-(2**62) - 1, -65521, -65520, -65519, -2049, -1, 0, 1, 2047, 2049, 2051, 65519, 65520, 2**31 - 1, 2**63 - 1]


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_integers_become_halves(tmp_path: Path) -> None:
    given = {name: np.array(NUMBERS).astype(name) for name in [*INTEGERS, "uint8", "uint16", "uint32", "uint64"]}
    g = Builder(Graph("half-from-integers"))
    g.graph.outputs = [g.Cast(g.graph.add_input(name, x.dtype, x.shape), to=10) for name, x in given.items()]
    for found, x in zip(run_cpp(g.graph, given, tmp_path).values(), given.values(), strict=True):
        assert_same_bits(found, x.astype(HALF))


def test_halves_become_others(tmp_path: Path) -> None:
    """Of integers, those that fit."""
    x = np.array([-127.5, -1.999, -0.5, -0.0, 0.0, 2.0**-24, 0.999, 1, 1.5, 2.5, 100, 127.9], HALF)
    g = Builder(Graph("half-to-others"))
    value = add_input(g, "x", len(x))
    g.graph.outputs = [g.Cast(value, to=to_onnx(np.dtype(name))) for name in [*INTEGERS, "float64"]]
    for found in run_cpp(g.graph, {"x": x}, tmp_path).values():
        np.testing.assert_array_equal(found, x.astype(found.dtype))


def add_input(g: Builder, name: str, *shape: int) -> Value:
    return g.graph.add_input(name, HALF, shape)


# --------------------------------------------------------------------- networks


def halves(*shape: int, scale: float = 0.3) -> np.ndarray:
    return const(shape, -scale, scale).astype(HALF)


def feed(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {x.name: rng.uniform(-1, 1, x.sizes).astype(x.dtype) for x in graph.inputs}


def network() -> Graph:
    """Layers with and without kernels on vectors; an image as it came in, and as a layer made it."""
    g = Builder(Graph("half-network"))
    x = add_input(g, "x", 1, 3, 12, 10)
    image = g.Relu(g.Conv(x, halves(16, 3, 3, 3), halves(16), pads=(1, 1, 1, 1)))
    image = g.Conv(image, halves(16, 1, 3, 3), group=16, strides=(2, 2))
    pooled = g.AveragePool(image, kernel_shape=(2, 2))
    flat = g.Flatten(pooled)
    scores = g.Softmax(g.Gemm(flat, halves(flat.sizes[1], 10), halves(10)))
    g.graph.outputs = [scores, image, g.Transpose(x, perm=(0, 2, 3, 1)), g.Floor(pooled)]
    return g.graph


def test_a_network(tmp_path: Path) -> None:
    graph = network()
    wanted = OnnxRuntime(graph).run(feed(graph))
    found = run_cpp(graph, feed(graph), tmp_path)
    assert list(found) == list(wanted)
    for (name, value), rtol in zip(wanted.items(), (1e-2, 1e-2, 0, 1), strict=True):
        assert found[name].dtype == value.dtype == HALF
        assert_close(found[name], value, rtol)


@pytest.mark.parametrize("level", cpp_levels())
def test_it_is_computed_in_float32(level: int, tmp_path: Path) -> None:
    """The same graph in float32 and rounded once, at its end, is what comes out."""

    def made(dtype: np.dtype) -> Graph:
        g = Builder(Graph("half-products"))
        x = g.Cast(add_input(g, "x", 5, 64), to=to_onnx(dtype))
        for _ in range(4):
            x = g.Tanh(g.MatMul(x, halves(64, 64).astype(dtype)))
        g.graph.outputs = [g.Cast(x, to=10)]
        return g.graph

    wanted = OnnxRuntime(made(np.dtype(np.float32))).run(feed(made(HALF)))
    save(made(HALF), tmp_path / "model")
    model = CompiledCpp(tmp_path / "model", [*FLAGS, f"-DNETGLOT_ONLY={level}"], cache=tmp_path)
    for found, value in zip(model.run(feed(made(HALF))).values(), wanted.values(), strict=True):
        assert (found != value).mean() < 0.01  # float32's own errors may cross a tie
        assert_close(found, value, 1e-3)


def test_what_is_only_handed_on_keeps_its_bits(tmp_path: Path) -> None:
    """An input that is an output, a constant, and moved elements; NaNs and infinities among them."""
    g = Builder(Graph("half-moves"))
    x, y = add_input(g, "x", 256, 256), add_input(g, "y", 2, 3)
    constant = g.graph.add_constant(halves(2, 3), "c")
    moved = g.Reshape(g.Transpose(x), np.array([1, -1]))
    g.graph.outputs = [moved, y, constant, g.Identity(g.Unsqueeze(y, np.array([0])))]
    given = {"x": HALVES.reshape(256, 256), "y": halves(2, 3)}
    wanted = [given["x"].T.reshape(1, -1), given["y"], constant.array, given["y"][None]]
    found = run_cpp(g.graph, given, tmp_path)
    for array, value in zip(found.values(), wanted, strict=True):
        assert array.shape == value.shape
        assert_same_bits(np.ascontiguousarray(array), np.ascontiguousarray(value))


def test_bfloat16_inside_is_computed_as_float32(tmp_path: Path) -> None:
    g = Builder(Graph("brain"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3))
    weights = const((3,)).astype(ml_dtypes.bfloat16)
    g.graph.outputs = [g.Add(x, g.Cast(weights, to=1)), g.Cast(g.Cast(x, to=to_onnx(weights.dtype)), to=1)]
    given = feed(g.graph)
    total, same = run_cpp(g.graph, given, tmp_path).values()
    assert_close(total, given["x"] + weights.astype(np.float32), 1e-6)
    assert_close(same, given["x"], 1e-2)


# ---------------------------------------------------------------------- weights


def product(weights: np.ndarray, more: np.ndarray) -> Graph:
    g = Builder(Graph("half-weights"))
    y = g.MatMul(g.graph.add_input("x", weights.dtype, (8, weights.shape[0])), weights)
    g.graph.outputs = [g.MatMul(g.Cast(y, to=to_onnx(more.dtype)), more)]
    return g.graph


def weight_bytes(graph: Graph, folder: Path) -> int:
    save(graph, folder)
    return (folder / "weights.bin").stat().st_size


def test_weights_that_were_halves_stay_so(tmp_path: Path) -> None:
    first, second = halves(64, 64), halves(64, 64, scale=0.5)
    full = weight_bytes(product(first.astype(np.float32), second.astype(np.float32)), tmp_path / "full")
    assert full == 4 * 64 * 64 * 2
    assert weight_bytes(product(first, second), tmp_path / "half") * 2 == full


def test_weights_that_were_floats_are_not_rounded(tmp_path: Path) -> None:
    weights, floats = halves(64, 64), const((64, 64), -1, 1)
    graph = product(weights, floats)
    given = feed(graph)
    wanted = given["x"].astype(np.float32) @ weights.astype(np.float32) @ floats
    save(graph, tmp_path / "model")
    assert (tmp_path / "model" / "weights.bin").stat().st_size == (2 + 4) * 64 * 64
    (found,) = CompiledCpp(tmp_path / "model", BEST, cache=tmp_path).run(given).values()
    assert_close(found, wanted, 1e-6)


def test_embeddings_that_were_halves_stay_so(tmp_path: Path) -> None:
    g = Builder(Graph("half-embedding"))
    words, scale = g.graph.add_input("words", np.dtype(np.int64), (2, 7)), halves(32)
    table = halves(50, 32)
    g.graph.outputs = [g.Mul(g.Gather(table, words, axis=0), scale)]
    given = {"words": np.random.default_rng(0).integers(-50, 50, (2, 7))}
    (found,) = run_cpp(g.graph, given, tmp_path).values()
    assert_close(found, (table[given["words"]].astype(np.float32) * scale).astype(HALF), 1e-3)
    assert (tmp_path / "cpp" / "weights.bin").stat().st_size == 2 * 50 * 32 + 4 * 32


# ------------------------------------------------------------------- the folder


def test_headers_declare_halves(tmp_path: Path) -> None:
    save(network(), tmp_path / "model")
    text = (tmp_path / "model" / "model.h").read_text()
    assert '#include "half.h"' in text
    assert re.search(r"const netglot::Half\* x;", text)
    assert '"<f2"' in text
    assert re.search(r"_INPUT_0_BYTES 720 /\* x: Half 1x3x12x10 \*/", (tmp_path / "model" / "model_c.h").read_text())


def test_protected_it_computes_the_same(tmp_path: Path) -> None:
    save(network(), tmp_path / "plain")
    save(network(), tmp_path / "hidden", protect=True, salt="a salt", map_file=tmp_path / "map.json")
    texts = [path.read_bytes() for path in (tmp_path / "hidden").iterdir() if path.suffix in (".h", ".cpp")]
    assert not any(b"Half" in text for text in texts)
    given = feed(network())
    plain = CompiledCpp(tmp_path / "plain", BEST, cache=tmp_path).run(given)
    hidden = CompiledCpp(tmp_path / "hidden", FLAGS, cache=tmp_path, names=tmp_path / "map.json").run(given)
    for name, value in plain.items():
        assert_same_bits(hidden[name], value)


def test_squeezenet(tmp_path: Path) -> None:
    """The report compares with ONNX Runtime on the original file; the weights are as large as there."""
    source = oracles.model("onnx/squeezenet_fp16_opset7.onnx")
    report = netglot.convert(source, tmp_path / "net_cpp", batch=1)
    assert report.ok, report.to_json()
    size = (tmp_path / "net_cpp" / "weights.bin").stat().st_size
    assert size < 1.01 * source.stat().st_size
