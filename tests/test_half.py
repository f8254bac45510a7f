"""fp16: what would overflow or vanish is known from ranges, stays float32, and is named with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from netglot.backends.coreml.writer import save as save_coreml
from netglot.backends.onnx.writer import save
from netglot.convert import load
from netglot.ir.builder import Builder
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Graph, Value
from netglot.ir.half import constant_misfit, range_misfit
from netglot.quantize.half import HalfPlan, half_plan
from netglot.quantize.observe import observe
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import evaluate_coreml

F = np.dtype(np.float32)
Feeds = list[dict[str, np.ndarray]]


class Given:
    """Samples in memory."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds = feeds

    def __len__(self) -> int:
        return len(self.feeds)

    def __iter__(self) -> Any:
        return iter(self.feeds)


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def plan_of(graph: Graph, feeds: Feeds) -> HalfPlan:
    floats = [value.name for value in graph.values() if value.dtype == F and value.data is None]
    return half_plan(graph, observe(graph, floats, Given(feeds)))


def planned(*inputs: np.ndarray, build: Any, names: str = "xyz") -> HalfPlan:
    """The plan of a graph that `build` makes of inputs, each seen once."""
    g = Builder(Graph("g"))
    values = [g.graph.add_input(name, F, array.shape) for name, array in zip(names, inputs, strict=False)]
    result = build(g, *values)
    g.graph.rename(result, "result")
    g.graph.outputs = [result]
    return plan_of(g.graph, [dict(zip(names, inputs, strict=False))])


# ------------------------------------------------------------------------------ ranges


@pytest.mark.parametrize(
    ("low", "high", "why"),
    [
        (-1.0, 81_234.0, "reaches 81,234, and float16 ends at 65,504"),
        (-70_000.0, 5.0, "reaches -70,000,"),
        (0.0, 3.4e38, "reaches 3.4e+38,"),
        (0.0, 65_504.0, ""),
        (0.0, 6.2e-5, ""),
        (-1.6e-5, 0.0, ""),
        (-1.2e-5, 1e-6, "1.2e-05 at most, which float16 rounds by up to 0.25%"),
        (0.0, 2e-8, "2e-08 at most, which float16 rounds by up to 100.00%"),
        (0.0, 0.0, ""),
    ],
)
def test_ranges(low: float, high: float, why: str) -> None:
    found = range_misfit(low, high)
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize("magnitude", 10.0 ** np.arange(-9, 6))
def test_ranges_agree_with_rounding(magnitude: float) -> None:
    """Against NumPy's own float16: a range fits if no number of that size is further off than 2^-9."""
    x = np.linspace(magnitude, 1.2 * magnitude, 999, dtype=np.float32).astype(np.float64)
    with np.errstate(over="ignore"):
        error = np.abs(x.astype(np.float16) - x).max() / magnitude
    assert (error > 2**-9) == bool(range_misfit(0.0, magnitude))


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (normal(100, 100), ""),
        (normal(100, 100, scale=1e-3), ""),
        (normal(100, 100, scale=1e-5), ""),
        (normal(100, 100, scale=4e-6), "rounds it by"),
        (normal(100, 100, scale=1e-9), "rounds it by 100.00%"),
        (np.concatenate([normal(1000), normal(10**6, scale=1e-9)]), ""),
        (np.array([1, -1e9], np.float32), "reaches 1,000,000,000, and float16 ends at 65,504"),
        (np.array([1, -np.inf, np.nan], np.float32), ""),
        (np.array(1e-12, np.float32), "rounds it by 100.00%"),
        (np.array(1e-5, np.float32), ""),
        (np.zeros((3, 0), np.float32), ""),
        (np.full(5, 1e-30, np.float32), "rounds it by 100.00%"),
    ],
    ids=str,
)
def test_constants(array: np.ndarray, why: str) -> None:
    found = constant_misfit(array)
    assert why in found
    assert bool(found) == bool(why)
    finite = array[np.isfinite(array)].astype(np.float64)
    with np.errstate(over="ignore"):
        noise = np.linalg.norm(finite - finite.astype(np.float16))
    assert bool(found) == bool(noise > 2**-9 * np.linalg.norm(finite))


# -------------------------------------------------------------------------------- plans


def test_large_values_are_kept_and_named() -> None:
    plan = planned(normal(4, 4), build=lambda g, x: g.Mul(g.Mul(x, 60_000.0, name="large"), 1e-4))
    assert list(plan.keep) == ["large"]
    assert plan.keep["large"].startswith("reaches ")
    assert not plan.inside


def test_a_range_near_the_end_has_no_room() -> None:
    """Other data than was seen may go beyond it."""
    plan = planned(np.array([40_000], np.float32), build=lambda g, x: g.Neg(x))
    assert plan.keep["x"] == "reaches 40,000, and float16 ends at 65,504, with no factor of 2 to spare"


def test_a_divisor_must_not_become_zero() -> None:
    small = np.array([3e-8, 1], np.float32)
    for build in (lambda g, x: g.Div(1.0, x), lambda g, x: g.Reciprocal(x), lambda g, x: g.Log(x)):
        assert "falls to 3e-08" in planned(small, build=build).keep["x"]
    assert "x" not in planned(small, build=lambda g, x: g.Div(x, 2.0)).keep
    assert "falls to 3e-08" in planned(-small, build=lambda g, x: g.Reciprocal(x)).keep["x"]
    assert "x" not in planned(small - 1, build=lambda g, x: g.Sqrt(g.Abs(x))).keep


@pytest.mark.parametrize(
    ("build", "shape", "what"),
    [
        (lambda g, x: g.GlobalAveragePool(x), (1, 2, 100, 100), "the sum that it averages reaches"),
        (lambda g, x: g.ReduceMean(x, [2, 3]), (1, 2, 100, 100), "the sum that it averages reaches"),
        (lambda g, x: g.AveragePool(x, kernel_shape=(90, 90)), (1, 2, 100, 100), "the sum that it averages"),
        (lambda g, x: g.ReduceL2(x, [2, 3]), (1, 2, 60, 60), "the sum of powers whose root it takes"),
        (lambda g, x: g.ReduceLogSumExp(x, [2, 3]), (1, 2, 60, 60), "the sum whose logarithm it takes"),
        (lambda g, x: g.LayerNormalization(x, np.ones(10_000, np.float32)), (1, 2, 10_000), "the sum of squares"),
        (lambda g, x: g.InstanceNormalization(x, *[np.ones(2, np.float32)] * 2), (1, 2, 99, 99), "the sum of squares"),
        (lambda g, x: g.LpNormalization(x), (2, 9_999), "the sum of squares that it normalises by"),
        (lambda g, x: g.MeanVarianceNormalization(x), (2, 2, 60, 60), "the sum of squares"),
        (lambda g, x: g.Softmax(x), (1, 70_000), "the sum of exponentials that it divides by reaches 70,000"),
    ],
    ids=lambda item: "" if callable(item) else str(item),
)
def test_sums_inside(build: Any, shape: tuple[int, ...], what: str) -> None:
    """The result fits, and what is added for it does not: so its maker alone stays float32."""
    plan = planned(8 + normal(*shape), build=build)
    assert list(plan.keep) == ["result"]
    assert plan.keep["result"].startswith(what)
    assert plan.inside == {"result"}
    little = (*shape[:-1], 3) if len(shape) == 2 else shape
    if what.startswith("the sum that"):
        assert not planned(1 + normal(1, 2, 90, 90) / 100, build=build).keep
    elif len(shape) == 2:
        assert not planned(normal(*little), build=build).keep


def test_squares_that_vanish() -> None:
    build = lambda g, x: g.LayerNormalization(x, np.ones(50, np.float32), epsilon=1e-12)  # noqa: E731
    assert "mean of squares" in planned(normal(3, 50, scale=1e-3), build=build).keep["result"]
    assert not planned(normal(3, 50, scale=0.1), build=build).keep


def test_constants_of_formulas_and_stored_weights() -> None:
    """An epsilon that would be zero, and a palette of weights beyond the range."""
    w = np.where(normal(20, 20) > 0, 1e5, 2).astype(np.float32)
    parts = palette_of(w)
    assert parts is not None

    def build(g: Builder, x: Value) -> Value:
        y = g.Sqrt(g.Add(x, g.constant(1e-12, F, name="epsilon")))
        table, other = g.extension("Palette", parts), g.extension("Sparse", sparse_of(w / 1e9 * (w > 2)), shape=w.shape)
        g.graph.rename(table, "table")
        g.graph.rename(other, "other")
        return g.Add(g.MatMul(y, g.Mul(table, 1e-6)), g.MatMul(y, other))

    plan = planned(np.abs(normal(2, 20)), build=build)
    assert {"epsilon", "table"} <= set(plan.keep)
    assert "other" not in plan.keep
    assert "1e-06" not in plan.keep.get("result", "")


# -------------------------------------------------------------------------------- files


def hot_network() -> Graph:
    """Activations pass 65504 between two convolutions, as a mean does inside, and come back to what is usual."""
    g = Builder(Graph("hot"))
    x = g.graph.add_input("x", F, (1, 3, 24, 24))
    y = g.Relu(g.Conv(x, normal(8, 3, 3, 3, scale=0.3), normal(8, scale=0.1), name="first"))
    y = g.Conv(y, normal(8, 8, 3, 3, scale=8_000.0, seed=1), name="hot")
    y = g.Relu(y, name="hot_relu")
    y = g.Mul(g.Conv(y, normal(8, 8, 3, 3, scale=5e-5, seed=2), name="cooled"), 0.05)
    pooled = g.GlobalAveragePool(g.Mul(y, 100.0, name="summed"), name="pooled")
    last = g.Softmax(g.MatMul(g.Reshape(pooled, [1, 8]), normal(8, 5, scale=0.01, seed=3)), name="y")
    g.graph.outputs = [last, g.Tanh(y, name="z")]
    return g.graph


def by_reference(path: Path) -> Any:
    """The onnx package's evaluator, which rounds every result to its type; ONNX Runtime computes in float32 between."""
    model = onnx.load(path)
    names = [output.name for output in model.graph.output]
    return lambda feed: dict(zip(names, ReferenceEvaluator(model).run(None, feed), strict=True))


def feeds(count: int, seed: int = 0) -> Feeds:
    return [{"x": normal(1, 3, 24, 24, seed=seed + i)} for i in range(count)]


def test_activations_beyond_float16(tmp_path: Path) -> None:
    """Written without looking they are infinite; with the plan they are as they were, on data not seen before, too."""
    graph, path = hot_network(), tmp_path / "half.onnx"
    plan = plan_of(graph, feeds(8))
    assert set(plan.keep) == {"hot", "hot_relu", "pooled"}
    assert plan.keep["hot"].startswith("reaches ")
    assert plan.inside == {"pooled"}
    save(graph.copy(), tmp_path / "blind.onnx", quantize="fp16")
    save(graph.copy(), path, quantize="fp16", keep=frozenset(plan.keep), inside=plan.inside)
    blind, careful, exact = by_reference(tmp_path / "blind.onnx"), by_reference(path), OnnxRuntime(graph)
    for feed in feeds(3, seed=100):
        wanted = exact.run(feed)
        with np.errstate(all="ignore"):
            assert not all(np.isfinite(array).all() for array in blind(feed).values())
        for found in (careful(feed), OnnxRuntime(path).run(feed)):
            for name, array in wanted.items():
                np.testing.assert_allclose(found[name], array, atol=1e-2)
    written = load(path)
    kinds = {name: written[name].dtype for name in ("hot", "hot_relu", "pooled", "first")}
    assert kinds == {"hot": F, "hot_relu": F, "pooled": F, "first": np.float16}
    constants = [value for value in written.constants() if value.array.ndim == 4]
    assert sorted(value.array.dtype.name for value in constants) == ["float16", "float32", "float32"]
    assert next(value for value in constants if value.array.shape[1] == 3).dtype == np.float16
    product = next(node for node in written.nodes() if node.op == "MatMul")
    assert product.output.dtype == np.float16  # which reads what is only computed in float32


def test_activations_beyond_float16_in_core_ml(tmp_path: Path) -> None:
    """By the independent evaluator of Core ML files, which computes in float16 where the file says so."""
    graph, feed = hot_network(), feeds(1, seed=100)[0]
    plan, wanted = plan_of(graph, feeds(8)), OnnxRuntime(graph).run(feed)
    save_coreml(graph.copy(), tmp_path / "blind.mlpackage", quantize="fp16")
    save_coreml(graph, tmp_path / "half.mlpackage", quantize="fp16", keep=plan.keep, inside=plan.inside)
    blind, found = (evaluate_coreml(tmp_path / name, feed) for name in ("blind.mlpackage", "half.mlpackage"))
    assert not all(np.isfinite(array).all() for array in blind.values())
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=1e-2)


def test_what_core_ml_composes_is_kept_as_a_whole(tmp_path: Path) -> None:
    """It has no such pooling by L2: the squares are computed in float32, and what reads the result in float16."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", F, (1, 2, 30, 30))
    y = g.LpPool(x, kernel_shape=(30, 30), p=2, ceil_mode=1, name="result")
    g.graph.outputs = [g.Tanh(g.Mul(y, 0.00003))]
    feed = {"x": normal(1, 2, 30, 30, scale=600)}
    plan, wanted = plan_of(g.graph, [feed]), OnnxRuntime(g.graph).run(feed)
    assert plan.inside == {"result"}
    save_coreml(g.graph.copy(), tmp_path / "blind.mlpackage", quantize="fp16")
    save_coreml(g.graph, tmp_path / "half.mlpackage", quantize="fp16", keep=plan.keep, inside=plan.inside)
    [blind], [found], [array] = (
        evaluate_coreml(tmp_path / "blind.mlpackage", feed).values(),
        evaluate_coreml(tmp_path / "half.mlpackage", feed).values(),
        wanted.values(),
    )
    assert np.abs(blind - array).max() > 0.1 or not np.isfinite(blind).all()
    np.testing.assert_allclose(found, array, atol=5e-3)
    assert np.abs(found - array).max() > 0


def test_palettes_of_halves(tmp_path: Path) -> None:
    """The codebook is float16, and the weights are still stored as bytes."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", F, (2, 64))
    w = np.random.default_rng(0).choice(normal(16), (64, 64)).astype(np.float32)
    parts = palette_of(w)
    assert parts is not None
    g.graph.outputs = [g.MatMul(x, g.extension("Palette", parts))]
    save(g.graph, tmp_path / "half.onnx", quantize="fp16")
    graph = load(tmp_path / "half.onnx")
    assert {value.dtype.name for value in graph.constants() if value.array.size >= 16} >= {"float16"}
    assert (tmp_path / "half.onnx").stat().st_size < 64 * 64 + 1000
    data = normal(2, 64)
    [found] = OnnxRuntime(tmp_path / "half.onnx").run({"x": data}).values()
    np.testing.assert_allclose(found, data @ w, atol=0.05)


def looped(weights: np.ndarray) -> Graph:
    """x = tanh(x w) three times, with w from around the body, then x w of one of two weights."""
    g, body = Builder(Graph("g")), Builder(Graph("body"))
    x, c = g.graph.add_input("x", F, (2, 8)), g.graph.add_input("c", np.dtype(bool), ())
    w = g.Identity(g.constant(weights, name="w"), name="w_read")
    body.graph.add_input("i", np.dtype(np.int64), ())
    body.graph.add_input("going", np.dtype(bool), ())
    state = body.graph.add_input("state", F, (2, 8))
    step = body.Tanh(body.Add(body.MatMul(state, w), normal(8, scale=0.1, seed=5)))
    body.graph.outputs = [body.graph["going"], step]
    y = g.Loop(np.array(3), np.array(True), x, body=body.graph)
    branches = [Builder(Graph("then")), Builder(Graph("else"))]
    branches[0].graph.outputs = [branches[0].MatMul(x, w)]
    branches[1].graph.outputs = [w]
    y = g.Concat(y, g.If(c, then_branch=branches[0].graph, else_branch=branches[1].graph), axis=0)
    g.graph.outputs = [g.Mul(y, 2.0, name="y")]
    return g.graph


@pytest.mark.parametrize("c", [True, False])
def test_bodies(c: bool, tmp_path: Path) -> None:
    """They compute in float16 between inputs and outputs of float32, and read halves from around them."""
    w = normal(8, 8, scale=0.3)
    graph = looped(w)
    wanted = OnnxRuntime(graph).run({"x": normal(2, 8), "c": np.array(c)})["y"]
    save(graph, tmp_path / "half.onnx", quantize="fp16")
    graph.check()
    found = OnnxRuntime(tmp_path / "half.onnx").run({"x": normal(2, 8), "c": np.array(c)})["y"]
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.01
    loop = next(node for node in graph.nodes() if node.op == "Loop")
    [body] = loop.subgraphs()
    assert next(node for node in body.nodes() if node.op == "MatMul").output.dtype == np.float16
    assert {value.dtype.name for value in body.constants() if value.array.dtype.kind == "f"} == {"float16"}


def test_bodies_keep_what_they_must(tmp_path: Path) -> None:
    """A weight beyond float16 in a body."""
    g, one, other = Builder(Graph("g")), Builder(Graph("then")), Builder(Graph("else"))
    x, c = g.graph.add_input("x", F, (2, 8)), g.graph.add_input("c", np.dtype(bool), ())
    one.graph.outputs = [one.Mul(one.Mul(x, 1e6), 1e-6)]
    other.graph.outputs = [other.Mul(x, 3.0)]
    g.graph.outputs = [g.If(c, then_branch=one.graph, else_branch=other.graph)]
    assert {"reaches 1,000,000, and float16 ends at 65,504"} <= set(half_plan(g.graph, {}).keep.values())
    save(g.graph, tmp_path / "half.onnx", quantize="fp16")
    data = normal(2, 8)
    [y] = OnnxRuntime(tmp_path / "half.onnx").run({"x": data, "c": np.array(True)}).values()
    np.testing.assert_allclose(y, data, rtol=2e-3)
