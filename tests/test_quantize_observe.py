"""What is observed, by whom and in what order, and the ranges that follow; oracles: NumPy, torch, ONNX Runtime."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.quantize import histogram as histograms
from netglot.quantize import ranges, run
from netglot.quantize.histogram import Histogram
from netglot.quantize.observe import METHODS, Observation, limits, observe
from netglot.quantize.run import CHUNK, open_executor, reduce_samples

F32 = np.dtype(np.float32)


def network() -> Graph:
    """Two convolutions; 'hidden' is the first's activation, 'y' the output, 'classes' its integer twin."""
    rng = np.random.default_rng(0)
    g = Builder()
    x = g.graph.add_input("x", F32, ("n", 3, 12, 12))
    hidden = g.Relu(g.Conv(x, rng.standard_normal((8, 3, 3, 3), np.float32), rng.standard_normal(8, np.float32)))
    y = g.ReduceMean(g.Conv(hidden, rng.standard_normal((5, 8, 3, 3), np.float32)), [2, 3], keepdims=0)
    classes = g.ArgMax(y, axis=1)
    for value, name in ((hidden, "hidden"), (y, "y"), (classes, "classes")):
        g.graph.rename(value, name)
    g.graph.outputs = [y]
    return g.graph


def samples(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 3, 12, 12), np.float32) * (1 + i)} for i in range(count)]


def all_bits(seen: Observation) -> dict[str, object]:
    """Every field, floats by their bits."""
    fields = dataclasses.asdict(seen)
    fields |= fields.pop("histogram") or {}
    arrays = {key: (item.dtype, item.tobytes()) for key, item in fields.items() if isinstance(item, np.ndarray)}
    return {key: item.hex() if isinstance(item, float) else item for key, item in fields.items()} | arrays


def everything(data: list[dict[str, np.ndarray]], executor: Executor | None = None) -> dict[str, object]:
    names = ["x", "hidden", "y"]
    seen = observe(network(), names, data, histograms=True, channels={"hidden": 1}, executor=executor)
    return {name: all_bits(item) for name, item in seen.items()}


# ------------------------------------------------------------------------ passes


def test_observations_are_those_of_all_samples_at_once() -> None:
    data = samples(21)
    seen = observe(network(), ["x", "hidden"], data, histograms=True, channels={"hidden": 1})
    (hidden,) = zip(*reduce_samples([network()], [["hidden"]], data, _tensors), strict=True)
    stacked = np.concatenate([array for chunk in hidden for array in chunk])
    found, counts = seen["hidden"], seen["hidden"].histogram
    assert (found.low, found.high, found.count) == (stacked.min(), stacked.max(), stacked.size)
    assert found.nonfinite == 0
    assert counts is not None
    assert np.array_equal(found.lows, stacked.min((1, 2, 3)))
    assert np.array_equal(found.highs, stacked.max((1, 2, 3)))
    assert np.array_equal(found.peaks, np.abs(stacked).max((0, 2, 3)))
    np.testing.assert_allclose(found.means, stacked.mean((0, 2, 3), dtype=np.float64), rtol=1e-12)
    wanted, _ = np.histogram(stacked, counts.width * (counts.start + np.arange(histograms.BINS + 1)))
    assert np.array_equal(counts.counts, wanted)
    assert (counts.low, counts.high) == (0, stacked.max())
    assert np.count_nonzero(np.histogram(stacked, counts.edges)[0]) == np.count_nonzero(wanted)
    assert histograms.BINS / 2 < (counts.high - counts.low) / counts.width <= histograms.BINS
    assert np.array_equal(seen["x"].lows, [item["x"].min() for item in data])


def _tensors(chunk: run.Chunk) -> tuple[list[np.ndarray]]:
    return ([sample["hidden"] for (sample,) in chunk],)


@pytest.mark.parametrize("text", ["threads:1", "threads:2", "threads:3", "processes:1", "processes:2"])
def test_every_executor_sees_the_same_bits(text: str) -> None:
    with open_executor(text) as executor:
        assert everything(samples(37), executor) == everything(samples(37))


def test_a_dask_cluster_sees_the_same_bits() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        with open_executor(f"dask://{address}") as executor:
            assert run._workers(executor) == 2
            assert everything(samples(37), executor) == everything(samples(37))


class Forgetful(Executor):
    """Computes elsewhere, as far as pickling tells, and in the reverse order; no worker ever has a model yet."""

    _max_workers = 2

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[object], bytes]] = []
        self.tasks: list[bytes] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future = Lazy(self)
        self.waiting.append((future, pickle.dumps(partial(fn, *args))))
        self.tasks.append(self.waiting[-1][1])
        return future

    def work(self) -> None:
        for future, task in reversed(self.waiting):
            run._open.clear()
            future.set_result(pickle.loads(pickle.dumps(pickle.loads(task)())))
        self.waiting.clear()


class Lazy(Future):  # type: ignore[type-arg]
    def __init__(self, executor: Forgetful) -> None:
        super().__init__()
        self.executor = executor

    def result(self, timeout: float | None = None) -> object:
        if not self.done():
            self.executor.work()
        return super().result()


def test_workers_without_the_model_get_it_and_the_order_of_work_does_not_count() -> None:
    executor = Forgetful()
    assert everything(samples(37), executor) == everything(samples(37))
    # Five chunks: the first two take the model along, one for a worker, the other three are sent again.
    assert [b"Conv" in task for task in executor.tasks].count(True) == 2 + 3
    assert len(executor.tasks) == 5 + 3


def test_few_chunks_are_in_flight() -> None:
    taken = 0

    class Counted:
        def __len__(self) -> int:
            return 400

        def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
            nonlocal taken
            for _ in range(400):
                taken += 1
                yield samples(1)[0]

    with ThreadPoolExecutor(2) as executor:
        results = reduce_samples([network()], [["y"]], Counted(), len, executor=executor)
        assert next(results) == CHUNK
        assert taken == 2 * 2 * CHUNK
        results.close()


def test_a_sample_runs_when_it_is_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a chunk does not hold the tensors of all its samples at once."""
    ran: list[int] = []
    monkeypatch.setattr(run.Runner, "run", lambda self, sample: ran.append(1) or {})
    chunk = run.Chunk([run.Runner(None, [])], samples(3))
    for i, _ in enumerate(chunk):
        assert len(ran) == i + 1


def test_two_graphs_run_on_each_sample() -> None:
    g = Builder()
    g.graph.outputs = [g.Neg(g.graph.add_input("x", F32, ("n", 3, 12, 12)))]
    (found,) = reduce_samples([network(), g.graph], [["x"], [g.graph.outputs[0].name, "x"]], samples(3), list)
    for (first, second), sample in zip(found, samples(3), strict=True):
        assert np.array_equal(first["x"], sample["x"])
        assert np.array_equal(second["x"], sample["x"])
        assert np.array_equal(second[g.graph.outputs[0].name], -sample["x"])


def test_one_pass_is_enough() -> None:
    told: list[tuple[int, int]] = []
    observe(network(), ["y"], samples(11), histograms=True, progress=lambda done, total: told.append((done, total)))
    assert told == [(8, 11), (11, 11)]


@pytest.mark.parametrize("text", ["", "processes:1"])
def test_constants_and_operators_of_netglot_are_tensors_like_others(text: str) -> None:
    g = Builder()
    x = g.graph.add_input("x", F32, (600,))
    palette = g.extension("Palette", [np.arange(600, dtype=np.uint8) % 4, np.float32([-1, 0, 2, 3])])
    weight = g.constant(np.arange(600, dtype=np.float32), name="weight")
    g.graph.outputs = [g.Add(g.Mul(x, palette), weight)]
    data = [{"x": np.zeros(600, np.float32)}]
    with open_executor(text) if text else nullcontext() as executor:
        seen = observe(g.graph, [palette.name, "weight", g.graph.outputs[0].name], data, executor=executor)
    assert [(item.low, item.high) for item in seen.values()] == [(-1, 3), (0, 599), (0, 599)]


def test_a_graph_is_not_changed() -> None:
    graph = network()
    before = str(graph.nodes()), [value.name for value in graph.outputs]
    observe(graph, ["hidden"], samples(2))
    assert (str(graph.nodes()), [value.name for value in graph.outputs]) == before


# ------------------------------------------------------------------------- errors


def _die(chunk: run.Chunk) -> None:
    os._exit(1)


def test_a_dead_worker_is_an_error_of_ours() -> None:
    with open_executor("processes:1") as executor, pytest.raises(ConversionError, match=r"a worker .* is gone"):
        list(reduce_samples([network()], [["y"]], samples(2), _die, executor=executor))


def test_a_worker_that_a_cluster_gave_up_is_an_error_of_ours() -> None:
    killed = pytest.importorskip("distributed").KilledWorker("task", SimpleNamespace(address="tcp://host:1"), 3)

    class Cluster(Executor):
        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            future: Future[object] = Future()
            future.set_exception(killed)
            return future

    with pytest.raises(ConversionError, match="a worker of the executor is gone: KilledWorker"):
        list(reduce_samples([network()], [["y"]], samples(2), len, executor=Cluster()))


def test_an_error_in_a_worker_is_told_as_it_is() -> None:
    wrong = [{"x": np.zeros((1, 3, 12, 5), np.float32)}]
    for text in ("threads:1", "processes:1"):
        with open_executor(text) as executor, pytest.raises(ConversionError, match="ONNX Runtime can't run it"):
            observe(network(), ["y"], wrong, executor=executor)


@pytest.mark.parametrize("text", ["", "threads", "threads:0", "threads:x", "processes:-1", "dask:host:1", "dask://"])
def test_unknown_executors_are_refused(text: str) -> None:
    with pytest.raises(ConversionError, match="there is no executor"), open_executor(text):
        pass


def test_no_scheduler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("netglot.quantize.executors.CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(ConversionError, match=r"no Dask scheduler at 127\.0\.0\.1:9"),
        open_executor("dask://127.0.0.1:9"),
    ):
        pass


def test_tensors_that_can_not_be_observed() -> None:
    with pytest.raises(ConversionError, match="no tensor called nothing"):
        observe(network(), ["nothing"], samples(1))
    with pytest.raises(ConversionError, match="only tensors of floats have ranges: 'classes' int64"):
        observe(network(), ["classes"], samples(1))
    with pytest.raises(ConversionError, match="there is no axis 4"):
        observe(network(), ["hidden"], samples(1), channels={"hidden": 4})
    with pytest.raises(ConversionError, match="no samples"):
        observe(network(), ["hidden"], [])


# ------------------------------------------------------------- tensors out of the way


def identity(shape: tuple[int | str, ...], dtype: type = np.float32) -> Graph:
    g = Builder()
    y = g.Identity(g.graph.add_input("x", np.dtype(dtype), shape))
    g.graph.rename(y, "y")
    g.graph.outputs = [y]
    return g.graph


def of(values: np.ndarray, **keywords: object) -> Observation:
    """The observation of one sample."""
    return observe(identity(("a",) * values.ndim), ["y"], [{"x": values}], histograms=True, **keywords)["y"]  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_constant_zero_and_empty_tensors(method: str, symmetric: bool) -> None:
    zero, empty = of(np.zeros(9, np.float32)), of(np.zeros((0,), np.float32))
    assert limits(zero, method, symmetric=symmetric) == limits(empty, method, symmetric=symmetric) == (0, 0)
    assert (empty.count, empty.low, empty.lows.size) == (0, 0, 0)
    low, high = limits(of(np.full(9, 2.5, np.float32)), method, symmetric=symmetric)
    assert (low, high) == pytest.approx((-2.5 if symmetric else 0, 2.5), rel=1e-3)
    low, high = limits(of(np.full(9, -2.5, np.float32)), method, symmetric=symmetric)
    assert (low, high) == pytest.approx((-2.5, 2.5 if symmetric else 0), rel=1e-3)


def test_values_that_are_not_finite_are_counted_and_have_no_range() -> None:
    values = np.asarray([[1, np.inf, -3], [np.nan, 5, -np.inf]], np.float32)
    seen = of(values, channels={"y": 0})
    assert (seen.low, seen.high, seen.count, seen.nonfinite) == (-3, 5, 3, 3)
    assert seen.histogram is not None
    assert seen.histogram.total == 3
    assert seen.peaks is not None
    assert seen.peaks.tolist() == [3, 5]
    assert seen.means is not None
    assert seen.means.tolist() == [-1, 5]
    with pytest.raises(ConversionError, match="'y' holds NaN or infinity"):
        limits(seen, "minmax")


def test_half_precision_is_taken_as_float32() -> None:
    values = np.asarray([60000, -60000, 1], np.float16)
    seen = observe(identity(("a",), np.float16), ["y"], [{"x": values}], histograms=True, channels={"y": 0})["y"]
    assert (seen.low, seen.high) == (-60000, 60000)
    assert seen.peaks is not None
    assert seen.peaks.dtype == np.float32
    assert seen.histogram is not None
    assert seen.histogram.total == 3


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(scale, np.float32) for scale in (0, 1e-44, 1e-38, 1.0, 1e9, 1e38)]
    + [(scale, np.float64) for scale in (5e-324, 1e-300, 1e-44, 1.0, 1e38, 1e300)],
)
def test_histograms_of_extreme_ranges(scale: float, dtype: type) -> None:
    values = (np.linspace(-1, 2, 1000) * scale).astype(dtype)
    found = counted([values])
    assert found.total == 1000
    assert found.low == values.min()
    assert found.high == values.max()
    middle = float(np.median(values))
    assert abs(found.quantile(0.5) - middle) <= max(found.width, (values.max() - values.min()) / 900, 5e-324)


def test_only_the_last_ranges_are_kept() -> None:
    data = [{"x": np.float32([i])} for i in range(5000)]
    seen = observe(identity(("a",)), ["y"], data)["y"]
    assert (seen.low, seen.high, seen.count) == (0, 4999, 5000)
    assert seen.lows.tolist() == list(range(5000 - 4096, 5000))


def test_samples_of_other_sizes_and_channels() -> None:
    data = [{"x": np.full((1, size), size, np.float32)} for size in (1, 2, 5)]
    seen = observe(identity(("a", "b")), ["y"], data, channels={"y": 0})["y"]
    assert seen.means is not None
    assert seen.means.tolist() == [(1 + 2 * 2 + 5 * 5) / 8]
    with pytest.raises(ConversionError, match="1 channels with one sample and 2"):
        observe(identity(("a", "b")), ["y"], data, channels={"y": 1})


# ------------------------------------------------------------------------ limits


def distributions() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    normal = rng.standard_normal(200_000).astype(np.float32)
    outliers = normal.copy()
    outliers[:20] *= 40
    return {
        "normal": normal, "relu": np.maximum(normal, 0), "outliers": outliers, "shifted": normal * 2 + 3,
        "swish": normal / (1 + np.exp(-normal)), "laplace": rng.laplace(size=200_000).astype(np.float32),
        "bytes": rng.integers(0, 256, 200_000).astype(np.float32),
    }  # fmt: skip


@pytest.fixture(scope="module")
def observed() -> dict[str, tuple[np.ndarray, Observation]]:
    return {name: (values, of(values)) for name, values in distributions().items()}


Observed = dict[str, tuple[np.ndarray, Observation]]


def test_ranges_of_torch_observers() -> None:
    """The ends of moving averages differ by torch's float32."""
    torch = pytest.importorskip("torch")
    observers = torch.ao.quantization
    rng = np.random.default_rng(3)
    data = [{"x": (rng.standard_normal(50) * rng.uniform(0.1, 5)).astype(np.float32)} for _ in range(40)]
    seen = observe(identity((50,)), ["y"], data)["y"]
    plain, moving = observers.MinMaxObserver(), observers.MovingAverageMinMaxObserver(averaging_constant=0.1)
    for sample in data:
        plain(torch.from_numpy(sample["x"]))
        moving(torch.from_numpy(sample["x"]))
    assert limits(seen, "minmax") == (plain.min_val.item(), plain.max_val.item())
    assert limits(seen, "moving-average") == pytest.approx((moving.min_val.item(), moving.max_val.item()), rel=1e-6)
    assert limits(seen, "moving-average", decay=0.0) == (data[-1]["x"].min(), data[-1]["x"].max())


def test_percentiles_are_numpys_to_a_bin(observed: Observed) -> None:
    for name, (values, seen) in observed.items():
        assert seen.histogram is not None
        width = seen.histogram.width * 1.001
        for share in (99.999, 99.9, 90.0):
            low, high = limits(seen, "percentile", percentile=share)
            bound = limits(seen, "percentile", percentile=share, symmetric=True)[1]
            assert is_percentile(values, low, (100 - share) / 2, width) or low == 0 <= values.min(), name
            assert is_percentile(values, high, (100 + share) / 2, width), name
            assert is_percentile(np.abs(values), bound, share, 2 * width), name


def is_percentile(values: np.ndarray, found: float, share: float, width: float) -> bool:
    """Between the two values at that place, to a bin; how to interpolate between them is a matter of taste."""
    lower, higher = (np.percentile(values, share, method=method) for method in ("lower", "higher"))
    return bool(lower - width <= found <= higher + width)


def errors(values: np.ndarray, tried: list[tuple[float, float]], symmetric: bool) -> list[float]:
    """Mean squared errors that ONNX Runtime's QuantizeLinear and DequantizeLinear leave with each range."""
    dtype, steps = (np.int8, 254) if symmetric else (np.uint8, 255)
    g = Builder()
    x, scale = g.graph.add_input("x", F32, (values.size,)), g.graph.add_input("scale", F32, ())
    zero = g.graph.add_input("zero", np.dtype(dtype), ())
    y = g.DequantizeLinear(g.QuantizeLinear(x, scale, zero), scale, zero)
    feeds = []
    for low, high in tried:
        step = np.asarray((high - low) / steps, np.float32)
        feeds.append({"x": values, "scale": step, "zero": np.asarray(0 if symmetric else np.rint(-low / step), dtype)})
    return [error for chunk in reduce_samples([g.graph], [["x", y.name]], feeds, _errors) for error in chunk]


def _errors(chunk: run.Chunk) -> list[float]:
    pairs = (tuple(sample.values()) for (sample,) in chunk)
    return [float(np.square(a.astype(np.float64) - b).mean()) for a, b in pairs]


@pytest.mark.parametrize("symmetric", [False, True])
def test_mse_finds_the_best_of_all_ranges(observed: Observed, symmetric: bool) -> None:
    """The error that the range really leaves against the best of many ranges, tried one by one."""
    for name in ("normal", "relu", "outliers", "swish", "laplace"):
        values = observed[name][0][:20_000]  # with all the outliers
        seen = of(values)
        low, high = limits(seen, "minmax", symmetric=symmetric)
        factors = np.concatenate([np.geomspace(0.02, 0.2, 5), np.linspace(0.25, 1, 11)])
        tried = [(low * a, high * b) for a in factors for b in (factors if low and not symmetric else (a,))]
        (found,) = errors(values, [limits(seen, "mse", symmetric=symmetric)], symmetric)
        assert found <= min(errors(values, tried, symmetric)) * 1.01, name


def test_mse_is_at_least_as_close_as_torchs_histogram_observer(observed: Observed) -> None:
    torch = pytest.importorskip("torch")
    for name, (values, seen) in observed.items():
        observer = torch.ao.quantization.HistogramObserver(dtype=torch.quint8)
        observer(torch.from_numpy(values))
        scale, zero = (float(item) for item in observer.calculate_qparams())
        ours, theirs = errors(values, [limits(seen, "mse"), (-zero * scale, (255 - zero) * scale)], False)
        assert ours <= theirs * 1.001, name


def divergence(counts: np.ndarray, kept: int, levels: int) -> float:
    """As the talk has it, distribution by distribution."""
    from scipy.stats import entropy

    p = counts[:kept].copy()
    p[-1] += counts[kept:].sum()
    q = np.zeros(kept)
    edges = np.rint(np.linspace(0, kept, levels + 1)).astype(int)
    for start, end in itertools.pairwise(edges):
        filled = p[start:end] > 0
        q[start:end][filled] = counts[start:end].sum() / max(filled.sum(), 1)
    return float(entropy(p, q))


def test_divergences_are_those_of_the_distributions() -> None:
    rng = np.random.default_rng(4)
    counts = np.bincount(np.minimum(np.abs(rng.standard_normal(3000)) * 60, 255).astype(int), minlength=256) * 1.0
    counts[rng.integers(0, 256, 40)] = 0
    kept = np.arange(16, 257, 5)
    found = ranges._divergences(counts, kept, 16)
    np.testing.assert_allclose(found, [divergence(counts, int(n), 16) for n in kept], rtol=1e-9, atol=1e-12)


def test_kl_is_near_onnx_runtimes(observed: Observed) -> None:
    """Theirs has another binning, merges bins otherwise and smooths zeros; the thresholds come within a quarter."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    for name in ("normal", "laplace", "outliers"):
        values, seen = observed[name]
        collector = HistogramCollector("entropy", True, 1024, 128, 99.999, "same")
        collector.collect({"y": [values]})
        theirs = float(collector.compute_collection_result()["y"][1])
        ours = limits(seen, "kl", symmetric=True)[1]
        assert theirs / 1.25 < ours < theirs * 1.25, name


def test_kl_clips_outliers_and_keeps_the_short_end(observed: Observed) -> None:
    _, outliers = observed["outliers"]
    assert limits(outliers, "kl", symmetric=True)[1] < outliers.high / 2
    _, swish = observed["swish"]
    low, high = limits(swish, "kl")
    assert low == swish.low
    assert 1 < high <= swish.high


def test_fine_grids_keep_the_whole_range(observed: Observed) -> None:
    _, seen = observed["laplace"]
    for method in ("mse", "kl"):
        assert limits(seen, method, bits=16) == (seen.low, seen.high)


def test_limits_that_can_not_be_told() -> None:
    seen = observe(identity((3,)), ["y"], [{"x": np.float32([1, 2, 3])}])["y"]
    with pytest.raises(ConversionError, match="there is no calibration method 'max'"):
        limits(seen, "max")
    with pytest.raises(ConversionError, match="there is no histogram of 'y'"):
        limits(seen, "kl")


def counted(parts: list[np.ndarray]) -> Histogram:
    found = Histogram()
    for part in parts:
        found.add(part, float(part.min(initial=0)), float(part.max(initial=0)))
    return found


PARTS = {
    "one range": np.random.default_rng(0).normal(size=7000),
    "growing": np.random.default_rng(1).normal(size=7000) * np.geomspace(1e-12, 1e12, 7000),
    "zeros first": np.r_[np.zeros(3000), -np.random.default_rng(2).random(4000)],
    "from the least to the largest": np.r_[1e-45, -1e-45, np.zeros(5000), 3e38, -3e38],
    "integers": np.random.default_rng(3).integers(-70_000, 3, 7000),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_histogram_is_that_of_its_parts(name: str) -> None:
    """In whatever order and groups they come."""
    values = PARTS[name].astype(np.float32)
    whole = counted([values])
    wanted, _ = np.histogram(values.astype(np.float64), whole.width * (whole.start + np.arange(histograms.BINS + 1.0)))
    assert np.array_equal(whole.counts, wanted)
    parts = np.array_split(values, 7)
    for order in (parts, parts[::-1], [*parts[3:], *parts[:3]]):
        merged = Histogram()
        for group in (order[:2], order[2:6], order[6:]):
            merged.merge(counted(group))
        assert dataclasses.asdict(merged) | {"counts": 0} == dataclasses.asdict(whole) | {"counts": 0}
        assert np.array_equal(merged.counts, whole.counts)


def test_points_of_a_histogram() -> None:
    values = distributions()["swish"]
    whole = counted([values])
    points, counts = whole.points(512)
    assert 256 < len(points) <= 512
    assert counts.sum() == values.size
    assert 0 in points
    assert np.all((points >= values.min()) & (points <= values.max()))
    assert np.abs(np.average(points, weights=counts) - values.mean()) < whole.width * 16


def test_observing_from_threads_at_once() -> None:
    """Sessions are shared by threads; the caller may be one of several, too."""
    found: list[dict[str, object]] = []
    threads = [threading.Thread(target=lambda: found.append(everything(samples(10)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [everything(samples(10))] * 3
