"""How noise and agreement are measured: against NumPy on what ONNX Runtime computes, whoever computes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from math import inf, log10
from multiprocessing import get_context

import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.quantize.measure import Noise, agreement, holds, measure, noise_of
from netglot.runtimes.onnxruntime import OnnxRuntime

FLOAT = np.dtype(np.float32)


@dataclass
class Data:
    """Samples in memory."""

    items: list[Mapping[str, np.ndarray]]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]:
        return iter(self.items)


def data(count: int, *shape: int, seed: int = 1, labels: np.ndarray | None = None) -> Data:
    rng = np.random.default_rng(seed)
    return Data([{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(count)], labels)


def layer(*, quantised: bool = False, scale: float = 0.05) -> Graph:
    """y = Relu(x W), hidden -> z = y V: 6 inputs, 5 hidden, 3 outputs; or the same with `y` and `x` on grids."""
    rng = np.random.default_rng(0)
    w, v = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 5), (5, 3)))
    g = Builder(Graph())
    x = g.graph.add_input("x", FLOAT, (2, 6))
    inside = pair(g, x, scale, 0, np.int8) if quantised else x
    if quantised:
        g.graph.rename(inside, "x/dequantized")
    y = g.Relu(g.MatMul(inside, w))
    if quantised:
        y = pair(g, y, scale, -128, np.int8)
    z = g.MatMul(y, v)
    g.graph.rename(y, "y")
    g.graph.rename(z, "z")
    g.graph.outputs = [z]
    return g.graph


def pair(g: Builder, x: object, scale: float, zero: int, dtype: type) -> object:
    grid = [g.constant(scale, np.float32), g.constant(zero, dtype)]
    return g.DequantizeLinear(g.QuantizeLinear(x, *grid), *grid)


def run_all(graph: Graph, name: str, samples: Data) -> np.ndarray:
    graph = graph.copy()
    graph.cut(outputs=[graph[name]])
    runtime = OnnxRuntime(graph)
    return np.array([runtime.run(sample)[name] for sample in samples], np.float64)


def test_noise_is_that_of_numpy() -> None:
    samples, reference, changed = data(19, 2, 6), layer(), layer(quantised=True)
    found = measure(reference, changed, ["x", "y", "z"], samples)
    assert list(found) == ["x", "y", "z"]
    for name, twin in (("x", "x/dequantized"), ("y", "y"), ("z", "z")):
        a = np.array([s["x"] for s in samples], np.float64) if name == "x" else run_all(reference, name, samples)
        b = run_all(changed, twin, samples)
        noise = found[name]
        assert noise.count == a.size
        assert (noise.low, noise.high) == (a.min(), a.max())
        assert noise.signal == pytest.approx((a**2).sum(), rel=1e-12)
        assert noise.noise == pytest.approx(((a - b) ** 2).sum(), rel=1e-12)
        assert noise.sqnr == pytest.approx(10 * log10((a**2).sum() / ((a - b) ** 2).sum()))
    assert 25 < found["y"].sqnr < 45


def test_what_a_grid_cuts_off_is_counted() -> None:
    samples, reference, changed = data(16, 2, 6), layer(), layer(quantised=True, scale=0.01)
    found = measure(reference, changed, ["x", "y", "z"], samples)
    y = run_all(reference, "y", samples)
    assert found["y"].saturated == np.count_nonzero(y > 2.555) > 10  # 255 steps of 0.01, and the half that is rounding
    assert found["x"].saturated == sum(np.count_nonzero((s["x"] > 1.275) | (s["x"] < -1.285)) for s in samples) > 5
    assert found["z"].saturated == 0


def test_the_largest_number_of_a_grid_is_not_saturated() -> None:
    """Min-max ranges have it at the last step or, as the zero point is rounded, less than half a step beyond."""
    changed = layer(quantised=True, scale=0.01)
    limits = holds(changed, changed["y"])
    assert limits == pytest.approx((-0.005, 2.555))
    assert noise_of(np.array([0, 2.55, 2.554]), np.array([0, 2.55, 2.55]), limits).saturated == 0
    assert holds(changed, changed["z"]) is None


def test_the_same_whoever_computes_it() -> None:
    samples, reference, changed = data(21, 2, 6), layer(), layer(quantised=True)
    alone = measure(reference, changed, ["y", "z"], samples)
    before = agreement(reference, changed, samples)
    pools = (ThreadPoolExecutor(2), ProcessPoolExecutor(2, mp_context=get_context("spawn")))
    for pool in pools:
        with pool:
            assert measure(reference, changed, ["y", "z"], samples, executor=pool) == alone
            assert agreement(reference, changed, samples, executor=pool) == before


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    measure(layer(), layer(), ["z"], data(19, 2, 6), progress=lambda *step: told.append(step))
    assert told == [(8, 19), (16, 19), (19, 19)]


def test_equal_graphs_lose_nothing() -> None:
    found = measure(layer(), layer(), ["y"], data(3, 2, 6))["y"]
    assert (found.sqnr, found.relative) == (inf, 0.0)
    both = agreement(layer(), layer(), data(3, 2, 6))
    assert (both.drop, both.top1, both.sqnr) == (0.0, 1.0, {"z": inf})


@pytest.mark.parametrize(
    ("wanted", "found", "noise"),
    [
        ([1, np.inf], [1, np.inf], 0),
        ([1, np.nan], [1, np.nan], 0),
        ([1, 2], [1, np.inf], inf),
        ([1, 2], [np.nan, 2], inf),
        ([1, np.nan], [1, 2], inf),
        ([1, np.inf], [1, -np.inf], inf),
    ],
)
def test_what_is_not_finite_must_be_the_same(wanted: list[float], found: list[float], noise: float) -> None:
    measured = noise_of(np.array(wanted), np.array(found))
    assert measured.noise == noise
    assert measured.sqnr == (-inf if noise else inf)


def test_nothing_where_there_was_nothing() -> None:
    assert (Noise().sqnr, Noise().relative) == (inf, 0.0)
    assert noise_of(np.zeros(2), np.ones(2)).sqnr == -inf
    assert noise_of(np.zeros(2), np.ones(2)).relative == inf


def test_a_tensor_that_is_not_there() -> None:
    with pytest.raises(ConversionError, match="no tensor called nowhere"):
        measure(layer(), layer(), ["nowhere"], data(1, 2, 6))


# ------------------------------------------------------------------ agreement


def outputs(*shapes: tuple[int, ...], change: float = 0.0, softmax: bool = False) -> Graph:
    """x [2, 6] times a matrix in each of these shapes; `change` moves the weights of the first."""
    rng = np.random.default_rng(2)
    g = Builder(Graph())
    x = g.graph.add_input("x", FLOAT, (2, 6))
    for i, shape in enumerate(shapes):
        w = rng.normal(size=(6, int(np.prod(shape)) // 2))
        noise = rng.normal(size=w.shape) * (change if i == 0 else 0)
        y = g.Reshape(g.MatMul(x, (w + noise).astype(np.float32)), list(shape))
        g.graph.outputs.append(g.Softmax(y, axis=1) if softmax and i == 0 else y)
    return g.graph


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1, 1), (2, 1, 1, 5)])
def test_the_classes_of_a_classifier(shape: tuple[int, ...]) -> None:
    reference, changed, samples = outputs(shape), outputs(shape, change=0.5), data(40, 2, 6)
    [name] = [value.name for value in reference.outputs]
    a, b = (run_all(graph, name, samples).reshape(-1, 5).argmax(1) for graph in (reference, changed))
    found = agreement(reference, changed, samples)
    assert found.top1 == pytest.approx(np.mean(a == b))
    assert 0.5 < found.top1 < 0.95
    assert found.drop == 1 - found.top1
    assert found.accuracy is None
    assert found.samples == 40


@pytest.mark.parametrize("shape", [(2, 1), (2, 5, 3), (2, 5, 2, 1), (2, 1, 4, 4)])
def test_what_does_not_classify_drops_by_its_error(shape: tuple[int, ...]) -> None:
    reference, changed, samples = outputs(shape), outputs(shape, change=0.1), data(20, 2, 6)
    [name] = [value.name for value in reference.outputs]
    a, b = (run_all(graph, name, samples) for graph in (reference, changed))
    found = agreement(reference, changed, samples)
    assert found.top1 is None
    assert found.drop == pytest.approx(np.sqrt(((a - b) ** 2).sum() / (a**2).sum()))
    assert 0.02 < found.drop < 0.2


def test_labels_say_what_is_lost() -> None:
    reference, changed, samples = outputs((2, 5)), outputs((2, 5), change=0.5), data(40, 2, 6)
    a, b = (run_all(graph, graph.outputs[0].name, samples).reshape(-1, 5).argmax(1) for graph in (reference, changed))
    labels = np.where(np.arange(80) % 4 == 0, (a + 1) % 5, a)
    found = agreement(reference, changed, Data(samples.items, labels))
    assert found.accuracy == (np.mean(a == labels), np.mean(b == labels))
    assert found.drop == pytest.approx(0.75 - np.mean(b == labels))
    assert found.drop != 1 - (found.top1 or 0)


def test_labels_that_do_not_fit() -> None:
    samples = data(4, 2, 6, labels=np.zeros(4, np.int64))
    with pytest.raises(ConversionError, match=r"4 labels, but .* gives 8 classes"):
        agreement(outputs((2, 5)), outputs((2, 5)), samples)
    beyond = data(4, 2, 6, labels=np.arange(8) % 5 + 1)
    with pytest.raises(ConversionError, match=r"a label 5, but .* tells 5 classes apart"):
        agreement(outputs((2, 5)), outputs((2, 5)), beyond)


def test_boxes_beside_probabilities_are_no_classes() -> None:
    """As of MTCNN: [N, 2] from a Softmax, and [N, 4] that are coordinates."""
    reference, changed = outputs((2, 4), (2, 2)), outputs((2, 4), (2, 2), change=0.05)
    assert [output.top1 is None for output in agreement(reference, changed, data(9, 2, 6)).outputs] == [False, False]
    reference, changed = (outputs((2, 2), (2, 4), softmax=True, change=c) for c in (0.0, 0.05))
    assert [output.top1 is None for output in agreement(reference, changed, data(9, 2, 6)).outputs] == [False, True]


def test_the_worst_output_counts() -> None:
    reference, changed = outputs((2, 5), (2, 3)), outputs((2, 5), (2, 3), change=0.5)
    found = agreement(reference, changed, data(20, 2, 6))
    first, second = found.outputs
    assert (second.drop, second.sqnr) == (0.0, inf)
    assert (found.drop, found.top1) == (first.drop, first.top1)
    assert found.drop > 0.05


def test_outputs_that_collapsed_do_not_agree() -> None:
    """All classes tie: the first is taken, as ArgMax does, which the reference seldom wanted."""
    reference, changed, samples = outputs((2, 5)), outputs((2, 5)), data(20, 2, 6)
    name = changed.outputs[0].name
    g = Builder(changed)
    changed.outputs = [g.Mul(changed.outputs[0], np.float32(0))]
    first = np.mean(run_all(reference, name, samples).reshape(-1, 5).argmax(1) == 0)
    assert agreement(reference, changed, samples).top1 == pytest.approx(first)
    assert first < 0.5


def test_nan_agrees_with_no_class() -> None:
    reference, changed, samples = outputs((2, 2)), outputs((2, 2)), data(20, 2, 6)
    changed.outputs = [Builder(changed).Sqrt(changed.outputs[0])]
    a, b = (run_all(graph, graph.outputs[0].name, samples).reshape(-1, 2) for graph in (reference, changed))
    found = agreement(reference, changed, samples)
    whole = ~np.isnan(b).any(axis=1)
    assert found.top1 == pytest.approx(np.mean(whole & (a.argmax(1) == b.argmax(1))))
    assert found.top1 < np.mean(a.argmax(1) == b.argmax(1))
    assert list(found.sqnr.values()) == [-inf]
