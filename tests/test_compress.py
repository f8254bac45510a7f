"""Weights with zeros and with few values: what is asked for, what comes out, and that it is the best of its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.backends.tflite.writer import save as save_tflite
from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Graph
from netglot.passes.decompress import decompress
from netglot.passes.stored_weights import store_smaller
from netglot.quantize.compress import Spec, compress, parse, stored_bytes
from netglot.quantize.palette import cluster, nearest, palettize
from netglot.quantize.prune import shares, without_smallest
from netglot.quantize.request import Request
from netglot.quantize.shrink import shrink
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import evaluate_coreml


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


# ------------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("lossless", Spec()),
        ("prune:0.6", Spec(prune=0.6)),
        ("palettize:4", Spec(bits=4)),
        ("prune:0.6+palettize:4", Spec(prune=0.6, bits=4)),
        ("palettize:8 + prune:0", Spec(bits=8)),
    ],
)
def test_specs(text: str, spec: Spec) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "what is ''"),
        ("zip", "what is 'zip'"),
        ("prune", "share of the weights"),
        ("prune:1", "0 to below 1, not '1'"),
        ("prune:nan", "not 'nan'"),
        ("prune:-0.1", "not '-0.1'"),
        ("palettize:9", "1 to 8, not '9'"),
        ("palettize:0", "not '0'"),
        ("palettize:4.5", "not '4.5'"),
        ("prune:0.5+prune:0.6", "prune stands there twice"),
        ("lossless+prune:0.5", "goes with nothing else"),
        ("palettize:4+", "what is ''"),
    ],
)
def test_specs_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(ConversionError, match=why):
        parse(text)


def test_nothing_is_no_way_to_compress(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="does not say how"):
        netglot.save(network(), tmp_path / "a.onnx", compress="")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------- pruning


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 0.99])
def test_the_share_that_is_pruned(share: float) -> None:
    """Of all layers together; the smallest go, and no layer goes as a whole."""
    tensors = [normal(40, 30), normal(8, 5, scale=100, seed=1), normal(300, 7, scale=1e-3, seed=2)]
    counts = shares(tensors, share)
    total = sum(w.size for w in tensors)
    assert abs(sum(counts) - share * total) <= 1
    for w, count in zip(tensors, counts, strict=True):
        left = without_smallest(w, count)
        assert np.count_nonzero(left) == w.size - count > 0
        np.testing.assert_array_equal(left[left != 0], w[left != 0])
        assert np.abs(w[left == 0]).max(initial=0) <= np.abs(left[left != 0]).min()


def test_layers_are_compared_by_what_they_can_spare() -> None:
    """Whatever the scale of a layer; one with a few large weights spares more than one of equal ones."""
    flat, peaked = 1 + 0.1 * normal(1000), normal(1000, seed=1) ** 5
    [of_flat, of_peaked] = shares([flat, peaked], 0.5)
    assert of_peaked > 3 * of_flat
    assert shares([1e-4 * flat, 1e5 * peaked], 0.5) == pytest.approx([of_flat, of_peaked], abs=2)


def test_zeros_that_are_there_count() -> None:
    w = np.where(np.arange(1000) < 700, 0, normal(1000)).astype(np.float32)
    [count] = shares([w], 0.5)
    np.testing.assert_array_equal(without_smallest(w, count), w)
    assert shares([np.zeros(100, np.float32)], 0.5) == [100]


# ------------------------------------------------------------------------ palettising


def best_error(values: np.ndarray, count: int) -> float:
    """The least sum of squared errors of `count` centres, by dynamic programming over the sorted values."""
    x = np.sort(values.astype(np.float64))
    sums, squares = (np.concatenate([[0], np.cumsum(part)]) for part in (x, x * x))
    i, j = np.meshgrid(np.arange(x.size + 1), np.arange(x.size + 1), indexing="ij")
    length = np.maximum(j - i, 1)
    cost = np.where(j > i, squares[j] - squares[i] - (sums[j] - sums[i]) ** 2 / length, np.where(j == i, 0, np.inf))
    best = cost[0]
    for _ in range(count - 1):
        best = np.min(best[:, None] + cost, axis=0)
    return float(best[-1])


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["normal", "uniform", "two heaps"])
def test_palettes_are_near_the_best(kind: str, bits: int) -> None:
    """k-means finds a local minimum; the best of all is found by dynamic programming."""
    values = normal(400) if kind == "normal" else np.linspace(-3, 1, 400, dtype=np.float32)
    values = np.concatenate([values[:200] / 100 - 1, values[200:] + 4]) if kind == "two heaps" else values
    found = palettize(values, bits)
    assert np.unique(found).size <= 1 << bits
    error = float(np.sum(np.square(found.astype(np.float64) - values)))
    assert error <= 1.1 * best_error(values, 1 << bits)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_large_tensors_with_outliers(bits: int) -> None:
    """A histogram stands for the tensor. Outliers do not make the bins of all others coarse, and stay themselves.

    The best quantiser of 2^n levels has an error of sqrt(3) pi / 2 * 4^-n on a normal distribution (Panter and Dite,
    1951); outliers take some of the levels.
    """
    w = normal(500, 400)
    w[3, :5] = [20, -30, 25, 15, -18]
    found = palettize(w, bits)
    assert np.unique(np.append(found, 0)).size <= (256 if bits == 8 else 1 + (1 << bits))  # zeros that fill panels up
    assert np.unique(found).size <= 1 << bits
    is_outlier = np.abs(w) > 10
    error = float(np.mean(np.square((found - w)[~is_outlier])))
    assert error <= 1.25 * np.sqrt(3) * np.pi / 2 * 4.0**-bits
    np.testing.assert_allclose(found[is_outlier], w[is_outlier], rtol=0.5)


def test_each_element_takes_its_nearest_entry() -> None:
    values = normal(5000)
    centres = cluster(values, 13)
    assert (np.diff(centres) > 0).all()
    distances = np.abs(values[:, None] - centres)
    np.testing.assert_allclose(distances[np.arange(5000), nearest(centres, values)], distances.min(axis=1))


def test_few_values_stay_exact() -> None:
    w = np.random.default_rng(0).choice(normal(16), (70, 50))
    np.testing.assert_array_equal(palettize(w, 4), w)
    assert np.unique(palettize(w, 3)).size <= 8


def test_zeros_stay_zeros() -> None:
    """Pruned weights do not come back, and take one entry of the palette."""
    w = without_smallest(normal(60, 50), 1800)
    found = palettize(w, 2)
    np.testing.assert_array_equal(found == 0, w == 0)
    assert np.unique(found).size == 4


def test_halves_have_a_palette_of_halves() -> None:
    found = palettize(normal(60, 50).astype(np.float16), 3)
    assert found.dtype == np.float16
    assert np.unique(found.astype(np.float32)).size == 8


# --------------------------------------------------------------------------- networks


def network() -> Graph:
    """A convolution, a product, a table that two products share, and what is no weight."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 4, 6, 6))
    y = g.Relu(g.Conv(x, normal(16, 4, 3, 3, scale=0.2), normal(16, scale=0.1, seed=3)))
    y = g.Add(g.Flatten(y), normal(1, 256, scale=0.01, seed=4))
    y = g.MatMul(y, g.constant(normal(256, 30, scale=0.1, seed=5), name="fc"))
    table = g.constant(normal(30, 30, scale=0.2, seed=6), name="table")
    g.graph.outputs = [g.MatMul(g.Relu(g.MatMul(y, table)), table)]
    return g.graph


def run(graph: Graph) -> np.ndarray:
    graph.check()
    [found] = OnnxRuntime(graph).run({"x": normal(1, 4, 6, 6)}).values()
    return found


def stored_ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes() if node.domain]


@pytest.mark.parametrize(
    ("spec", "ops"),
    [
        ("lossless", []),
        ("prune:0.6", ["Sparse"] * 3),
        ("palettize:4", ["Palette"] * 3),
        ("prune:0.6+palettize:4", ["Palette"] * 3),
    ],
)
def test_networks(spec: str, ops: list[str]) -> None:
    """The graph computes the same with the weights stored and dense, and the figures are those of its weights."""
    graph, original = network(), network()
    found = compress(graph, spec)
    assert stored_ops(graph) == ops
    before = run(graph)
    decompress(graph)
    np.testing.assert_allclose(run(graph), before, rtol=1e-4, atol=1e-5)
    assert [tensor.shape for tensor in found.tensors] == [(16, 4, 3, 3), (256, 30), (30, 30)]
    assert sum(tensor.before for tensor in found.tensors) == found.before == 4 * (576 + 7680 + 900)
    for tensor in found.tensors:
        w, old = graph[tensor.name].array, original[tensor.name].array
        assert (tensor.values, tensor.after) == (np.unique(w).size, stored_bytes(w)[0])
        assert tensor.zeros == pytest.approx(np.mean(w == 0))
        noise = np.mean(np.square(w.astype(np.float64) - old))
        expected = 10 * np.log10(np.mean(np.square(old)) / noise) if noise else np.inf
        assert tensor.sqnr == pytest.approx(expected, rel=1e-4)
    zeros = np.mean(np.concatenate([graph[tensor.name].array.reshape(-1) == 0 for tensor in found.tensors]))
    assert zeros == pytest.approx(0.6 if "prune" in spec else 0, abs=0.001)
    least = {"lossless": 1.0, "prune:0.6": 2.2, "palettize:4": 7.0, "prune:0.6+palettize:4": 10.0}[spec]
    assert found.ratio >= least
    assert (found.ratio == 1) == (spec == "lossless")


def test_what_a_target_has() -> None:
    """One without forms gets dense weights with the new values, and biases and small tensors stay as they are."""
    graph, original = network(), network()
    compress(graph, "prune:0.5+palettize:3", forms={})
    assert not stored_ops(graph)
    assert np.unique(graph["fc"].array).size <= 8
    assert {value.name for value in graph.values()} == {value.name for value in original.values()}
    for name in (value.name for value in original.constants() if value.array.shape in ((16,), (1, 256))):
        np.testing.assert_array_equal(graph[name].array, original[name].array)
    graph = network()
    compress(graph, "prune:0.9+palettize:3", forms={"Sparse": 256})
    assert stored_ops(graph) == ["Sparse"] * 3


def test_lossless_takes_what_is_there() -> None:
    """Tensors of few values become palettes, those of many zeros sparse, and others stay, all to the bit."""
    graph = network()
    graph["fc"].data = without_smallest(graph["fc"].array, 6000)
    graph["table"].data = palettize(graph["table"].array, 3)
    before, data = run(graph), {name: graph[name].array for name in ("fc", "table")}
    [conv, fc, table] = compress(graph, "lossless").tensors
    assert [conv.form, fc.form, table.form] == ["", "Sparse", "Palette"]
    assert (fc.sqnr, table.values) == (np.inf, 8)
    assert not store_smaller(graph)
    np.testing.assert_allclose(run(graph), before, rtol=1e-4, atol=1e-5)  # sums of constants have another order
    decompress(graph)
    assert all(graph[name].array.tobytes() == w.tobytes() for name, w in data.items())


@pytest.mark.parametrize("spec", ["prune:0.7", "palettize:3"])
def test_targets_without_a_form_get_dense_weights(spec: str, tmp_path: Path) -> None:
    """Stored weights of a graph (a Core ML source has them, too) become constants again, also behind a Transpose."""
    graph = network()
    compress(graph, spec)
    wanted = run(graph)
    [fc] = [node for node in graph.consumers(graph["fc"]) if node.op == "MatMul"]
    turned = Builder(graph).Transpose(Builder(graph).Transpose(graph["fc"], perm=(1, 0)), perm=(1, 0))
    graph.set_inputs(fc, [fc.input(0), turned])
    save_tflite(graph, tmp_path / "a.tflite")
    [found] = LiteRT(tmp_path / "a.tflite").run({"x": normal(1, 4, 6, 6)}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_would_not_be_smaller_stays() -> None:
    """A codebook of 256 values is no gain for 300, and infinities can't be clustered."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 10))
    odd = normal(30, 30)
    odd[3, 4] = np.inf
    g.graph.outputs = [g.MatMul(g.MatMul(x, g.constant(normal(10, 30), name="small")), g.constant(odd, name="odd"))]
    [small] = compress(g.graph, "palettize:8").tensors
    assert (small.name, small.form, small.after, small.sqnr) == ("small", "", 1200, np.inf)
    assert np.unique(g.graph["small"].array).size == 300
    assert g.graph["odd"].array is odd


def branches() -> tuple[Builder, Builder, Builder]:
    """An If, and its branches: the first reads a weight of the graph around it, the other one of its own."""
    g, one, other = Builder(Graph("g")), Builder(Graph("then")), Builder(Graph("else"))
    x, c = g.graph.add_input("x", np.dtype(np.float32), (2, 40)), g.graph.add_input("c", np.dtype(bool), ())
    w = g.constant(normal(40, 40), name="outer")
    one.graph.outputs = [one.MatMul(x, w)]
    other.graph.outputs = [other.MatMul(x, other.constant(normal(40, 40, seed=1), name="inner"))]
    g.graph.outputs = [g.If(c, then_branch=one.graph, else_branch=other.graph)]
    return g, one, other


def test_bodies_read_what_is_around_them() -> None:
    """A captured weight is stored where it lies; one of a body in that body."""
    g, one, other = branches()
    found = compress(g.graph, "palettize:2")
    g.graph.check()
    assert sorted(tensor.name for tensor in found.tensors) == ["inner", "outer"]
    assert (stored_ops(g.graph), stored_ops(one.graph), stored_ops(other.graph)) == (["Palette"], [], ["Palette"])
    data = normal(2, 40)
    for flag, graph, name in ((True, g.graph, "outer"), (False, other.graph, "inner")):
        node = graph.producer(graph[name])
        assert node is not None
        [indices, codebook] = [value.array for value in node.inputs if value is not None]
        [y] = OnnxRuntime(g.graph).run({"x": data, "c": np.array(flag)}).values()
        np.testing.assert_allclose(y, data @ codebook[indices], rtol=1e-4, atol=1e-5)


def test_recurrences_and_tables() -> None:
    g = Builder(Graph("g"))
    ids = g.graph.add_input("ids", np.dtype(np.int64), (5, 1))
    rows = g.Gather(g.constant(normal(50, 12), name="rows"), ids, axis=0)
    x = g.Reshape(rows, [5, 1, 12])
    w, r = g.constant(normal(1, 32, 12), name="w"), g.constant(normal(1, 32, 8), name="r")
    _, y, _ = g.LSTM(x, w, r, hidden_size=8, outputs=3)
    g.graph.outputs = [y]
    assert {tensor.name for tensor in compress(g.graph, "palettize:2").tensors} == {"rows", "w", "r"}
    g.graph.check()
    [found] = OnnxRuntime(g.graph).run({"ids": np.arange(5).reshape(5, 1)}).values()
    assert np.isfinite(found).all()


# ------------------------------------------------------- what comes stored, and where it goes


def packed() -> Graph:
    """x times a palette, times sparse weights, times integers."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 48))
    sparse = without_smallest(normal(48, 48, seed=1), 1500)
    integers = np.random.default_rng(2).integers(-127, 127, (48, 48)).astype(np.int8)
    palette = list(palette_of(palettize(normal(48, 48), 4)) or ())
    y = g.MatMul(x, g.extension("Palette", palette))
    y = g.MatMul(y, g.extension("Sparse", list(sparse_of(sparse)), shape=sparse.shape))
    g.graph.outputs = [g.MatMul(y, g.DequantizeLinear(integers, np.float32(0.01)))]
    return g.graph


def test_stored_weights_are_compressed_anew() -> None:
    graph = packed()
    found = compress(graph, "palettize:2").tensors
    assert [(tensor.values, tensor.form) for tensor in found] == [(4, "Palette")] * 2
    [warning] = graph.warnings
    assert "1 weights are quantised already and stay as they are" in warning.what
    graph = packed()
    compress(graph, "lossless")
    assert (stored_ops(graph), graph.warnings) == (["Palette", "Sparse"], [])


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml"])
def test_stored_weights_are_quantised(target: str) -> None:
    """They are no more of a reason to stay float than dense ones."""
    shrunk = shrink(packed(), target, Request("int8-dynamic"))
    kinds = [value.array.dtype for value in shrunk.graph.constants() if value.array.size == 48 * 48]
    assert kinds == [np.int8] * 3
    assert not stored_ops(shrunk.graph)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6])
def test_onnx_files_do_not_grow(share: float, tmp_path: Path) -> None:
    """What makes sparse weights dense again takes a kilobyte there."""
    plain, pruned = tmp_path / "plain.onnx", tmp_path / "pruned.onnx"
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 20))
    g.graph.outputs = [g.MatMul(g.Relu(g.MatMul(x, normal(20, 20))), normal(20, 20, seed=1))]
    netglot.save(g.graph, plain)
    netglot.save(g.graph, pruned, compress=f"prune:{share}")
    assert pruned.stat().st_size <= plain.stat().st_size


@pytest.mark.parametrize("spec", ["prune:0.5", "palettize:3"])
def test_branches_in_core_ml(spec: str, tmp_path: Path) -> None:
    """Weights in the branches of an If, both of which Core ML computes."""
    g, _, _ = branches()
    netglot.save(g.graph, tmp_path / "net.mlpackage", compress=spec)
    stored = netglot.load(tmp_path / "net.mlpackage")
    assert stored_ops(stored) == [{"prune:0.5": "Sparse", "palettize:3": "Palette"}[spec]] * 2
    compress(g.graph, spec, forms={})
    for flag in (True, False):
        feed = {"x": normal(2, 40), "c": np.array(flag)}
        [wanted], [found] = (
            OnnxRuntime(g.graph).run(feed).values(),
            evaluate_coreml(tmp_path / "net.mlpackage", feed).values(),
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------- size


def test_the_least_that_is_stored() -> None:
    """Entropies by hand: a fair coin is a bit, zeros at known places cost their places."""
    coin = np.tile(np.array([1, 2], np.float32), 4000)
    assert stored_bytes(coin) == (8000 // 8 + 2 * 4, 2)
    assert stored_bytes(normal(1000)) == (4000, 1000)
    half = np.where(np.arange(1000) % 2, 0, normal(1000)).astype(np.float32)
    assert stored_bytes(half) == (500 * 4 + 1000 // 8, 501)
