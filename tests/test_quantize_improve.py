"""What prepares a network for rounding (equalisation, SmoothQuant) keeps its function and pays, and so do corrected
biases: on networks that are made for it, and on real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import netglot
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import DEQUANTIZE
from netglot.passes.match import producer
from netglot.passes.pipeline import COMMON, run
from netglot.quantize import choose
from netglot.quantize.channels import LINEAR, NORMS, groups, rescale
from netglot.quantize.correct import correct_biases
from netglot.quantize.equalize import equalize
from netglot.quantize.insert import insert
from netglot.quantize.measure import agreement
from netglot.quantize.observe import limits, observe
from netglot.quantize.scheme import scheme
from netglot.quantize.smooth import channels_to_observe, smooth
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.graphs import graphs
from tests.oracles import model, photo
from tests.test_passes_random import assert_same_results

FLOAT = np.dtype(np.float32)


class Data(list[Mapping[str, np.ndarray]]):
    """Samples in memory."""


def data(graph: Graph, count: int, seed: int = 1) -> Data:
    rng = np.random.default_rng(seed)
    [x] = graph.inputs
    return Data({x.name: rng.normal(size=x.sizes).astype(np.float32)} for _ in range(count))


def quantised(graph: Graph, samples: Data, mode: str = "int8", target: str = "tflite", **changes: Any) -> Graph:
    """A copy with weights and activations on grids of all that was seen."""
    chosen = replace(scheme(mode, target), smallest=1, **changes)
    seen = observe(graph, choose.tensors(graph, chosen), samples)
    copy = graph.copy()
    insert(copy, choose.plan(graph, chosen, seen, partial(limits, method="minmax")))
    copy.check()
    return copy


def sqnr(reference: Graph, changed: Graph, samples: Data) -> float:
    return min(agreement(reference, changed, samples).sqnr.values())


# ------------------------------------------------------------------------ groups


class Net:
    """Builds small networks with random weights: x -> ... -> outputs."""

    def __init__(self, *shape: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.g = Builder(Graph())
        self.x = self.g.graph.add_input("x", FLOAT, shape)

    def array(self, *shape: int, low: float | None = None) -> np.ndarray:
        made = self.rng.normal(size=shape) if low is None else self.rng.uniform(low, 2, shape)
        return made.astype(np.float32)

    def conv(self, x: Value, out: int, kernel: int = 1, group: int = 1, bias: bool = True) -> Value:
        w = self.array(out, x.sizes[1] // group, kernel, kernel)
        pads = (kernel // 2,) * 4
        return self.g.Conv(x, w, self.array(out) if bias else None, group=group, pads=pads, kernel_shape=w.shape[2:])

    def done(self, *outputs: Value) -> Graph:
        self.g.graph.outputs = list(outputs)
        return self.g.graph


def between(shape: tuple[int, ...], maker: Callable[[Net], Value], *steps: Callable[[Net, Value], Any]) -> Graph:
    """maker, then the steps, then a layer that reads channels of the result."""
    net = Net(*shape)
    y = maker(net)
    for step in steps:
        y = step(net, y)
    if y.rank == 4:
        return net.done(net.conv(y, 3, 3))
    return net.done(net.g.MatMul(y, net.array(y.sizes[-1], 3)))


IMAGE = (2, 3, 6, 6)


def conv(net: Net) -> Value:
    return net.conv(net.x, 4, 3)


def simple(op: str, **attributes: Any) -> Callable[[Net, Value], Value]:
    return lambda net, y: net.g.op(op, [y], **attributes)


def reshape(*shape: int) -> Callable[[Net, Value], Value]:
    return lambda net, y: net.g.Reshape(y, list(shape))


def residual(net: Net, y: Value) -> Value:
    return net.g.Add(y, net.conv(net.g.Relu(y), y.sizes[1], 3))


def gemm(transposed: int) -> Callable[[Net, Value], Value]:
    def build(net: Net, y: Value) -> Value:
        n = y.sizes[1]
        return net.g.Gemm(y, net.array(*((5, n) if transposed else (n, 5))), net.array(5), transB=transposed)

    return build


COMMUTING: dict[str, Callable[[], Graph]] = {
    "relu": lambda: between(IMAGE, conv, simple("Relu")),
    "nothing": lambda: between(IMAGE, conv),
    "no bias": lambda: between(IMAGE, lambda net: net.conv(net.x, 4, 3, bias=False), simple("Relu")),
    "leaky, max pooling": lambda: between(
        IMAGE, conv, simple("LeakyRelu", alpha=0.2), simple("MaxPool", kernel_shape=(2, 2), pads=(1, 1, 0, 0))
    ),
    "prelu, mean pooling": lambda: between(
        IMAGE,
        conv,
        lambda net, y: net.g.PRelu(y, net.array(4, 1, 1)),
        simple("AveragePool", kernel_shape=(3, 3), pads=(1, 1, 1, 1), count_include_pad=1),
    ),
    "clip at 0": lambda: between(IMAGE, conv, lambda net, y: net.g.Clip(y, np.float32(0))),
    "depthwise": lambda: between(
        IMAGE, conv, simple("Relu"), lambda net, y: net.conv(y, 4, 3, group=4), simple("Relu")
    ),
    "multiplied depthwise": lambda: between(
        IMAGE, conv, simple("Relu"), lambda net, y: net.conv(y, 8, 3, group=4), simple("Relu")
    ),
    "grouped": lambda: between(IMAGE, conv, simple("Relu"), lambda net, y: net.conv(y, 6, 3, group=2), simple("Relu")),
    "transposed": lambda: between(
        IMAGE,
        lambda net: net.g.ConvTranspose(net.x, net.array(3, 4, 2, 2), net.array(4), strides=(2, 2)),
        simple("Relu"),
    ),
    "grouped transposed": lambda: between(
        (2, 4, 6, 6),
        lambda net: net.g.ConvTranspose(net.x, net.array(4, 3, 2, 2), net.array(6), group=2),
        simple("Relu"),
    ),
    "padded": lambda: between(IMAGE, conv, lambda net, y: net.g.Pad(y, [0, 0, 1, 1, 0, 0, 2, 0])),
    "resized": lambda: between(
        IMAGE, conv, lambda net, y: net.g.Resize(y, None, np.array([1, 1, 2, 2], np.float32), mode="linear")
    ),
    "global, flattened": lambda: between(IMAGE, conv, simple("Relu"), simple("GlobalAveragePool"), simple("Flatten")),
    "flattened places": lambda: between(IMAGE, conv, simple("Relu"), simple("Flatten")),
    "flattened places of all": lambda: between(IMAGE, conv, simple("Relu"), reshape(2, 144), gemm(1), simple("Relu")),
    "mean without places": lambda: between(IMAGE, conv, lambda net, y: net.g.ReduceMean(y, [2, 3], keepdims=0)),
    "mean with places": lambda: between(IMAGE, conv, lambda net, y: net.g.ReduceMean(y, [-1, -2], keepdims=1)),
    "channels last": lambda: between(IMAGE, conv, simple("Transpose", perm=(0, 2, 3, 1)), reshape(2, 36, 4)),
    "columns become images": lambda: between(
        (2, 5), lambda net: gemm(0)(net, net.x), simple("Relu"), reshape(2, 5, 1, 1)
    ),
    "residual": lambda: between(IMAGE, conv, residual, simple("Relu"), residual, simple("Relu")),
    "shift of channels": lambda: between(IMAGE, conv, lambda net, y: net.g.Add(y, net.array(4, 1, 1)), simple("Relu")),
    "shift of all": lambda: between(IMAGE, conv, lambda net, y: net.g.Sub(np.float32(0.7), y), simple("Relu")),
    "shift of places": lambda: between(
        IMAGE, conv, simple("Flatten"), lambda net, y: net.g.Add(net.array(144), y), simple("Relu")
    ),
    "scale on the way": lambda: between(IMAGE, conv, lambda net, y: net.g.Mul(y, net.array(4, 1, 1)), simple("Relu")),
    "products": lambda: between(
        (2, 3, 5),
        lambda net: net.g.MatMul(net.x, net.array(5, 4)),
        lambda net, y: net.g.Add(y, net.array(4)),
        simple("Relu"),
    ),
}


@pytest.mark.parametrize("name", COMMUTING)
def test_factors_of_channels_cancel(name: str) -> None:
    """Any positive factors: the outputs stay, and what the last layer reads is divided."""
    graph = COMMUTING[name]()
    after, rng = graph.copy(), np.random.default_rng(1)
    found = groups(after)
    assert found
    for group in found:
        changed = rescale(after, group, rng.uniform(0.2, 5, group.size))
        assert len(changed) >= 2
    after.check()
    assert_same_results(graph, after)
    last = graph.nodes()[-1].inputs[0]
    assert last is not None
    before, now = (OnnxRuntime(read(one, last.name)).run(data(graph, 1)[0])[last.name] for one in (graph, after))
    assert np.abs(before - now).max() > 0.1 * np.abs(before).max()


def read(graph: Graph, name: str) -> Graph:
    copy = graph.copy()
    copy.cut(outputs=[copy[name]])
    return copy


FIXED: dict[str, Callable[[], Graph]] = {
    "relu 6": lambda: between(IMAGE, conv, lambda net, y: net.g.Clip(y, np.float32(0), np.float32(6))),
    "curved": lambda: between(IMAGE, conv, simple("Sigmoid")),
    "gelu": lambda: between(IMAGE, conv, simple("Gelu")),
    "padded with ones": lambda: between(
        IMAGE, conv, lambda net, y: net.g.Pad(y, [0, 0, 1, 1, 0, 0, 1, 1], np.float32(1))
    ),
    "padded channels": lambda: between(IMAGE, conv, lambda net, y: net.g.Pad(y, [0, 1, 0, 0, 0, 0, 0, 0])),
    "mixed channels": lambda: between(IMAGE, conv, lambda net, y: net.g.ReduceMean(y, [1], keepdims=1)),
    "channels become places": lambda: between(IMAGE, conv, reshape(2, 2, 12, 6)),
    "sum with the input": lambda: between((2, 4, 6, 6), conv, lambda net, y: net.g.Add(y, net.x)),
    "broadcast sum": lambda: between(IMAGE, conv, lambda net, y: net.g.Add(y, net.g.ReduceMean(y, [2, 3], keepdims=1))),
    "joined": lambda: between(IMAGE, conv, lambda net, y: net.g.Concat(y, net.x, axis=1)),
    "read elsewhere": lambda: between(IMAGE, conv, lambda net, y: net.g.Add(net.g.Relu(y), net.g.Tanh(y))),
    "moved channels": lambda: between(IMAGE, conv, lambda net, y: net.g.Pad(y, [0, 1, 0, 0, 0, -1, 0, 0])),
    "places become channels": lambda: between(
        (2, 3, 4, 4), conv, lambda net, y: net.g.ReduceMean(y, [1], keepdims=0), reshape(2, 4, 4, 1)
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_what_does_not_commute_is_left_alone(name: str) -> None:
    graph = FIXED[name]()
    assert groups(graph) == []
    assert equalize(graph) == []


def test_an_output_keeps_its_channels() -> None:
    net = Net(*IMAGE)
    y = net.g.Relu(conv(net))
    assert groups(net.done(net.conv(y, 3), y)) == []


def test_shared_weights_stay_shared() -> None:
    """What is scaled for one layer would have to be stored once more for the other."""
    net = Net(2, 4, 6, 6)
    w = net.g.constant(net.array(4, 4, 1, 1))
    first, second = net.g.Conv(net.x, w), net.g.Conv(net.g.Tanh(net.x), w)
    assert groups(net.done(net.conv(first, 3), second)) == []


# ------------------------------------------------------------------ equalisation


def badly_scaled(factor: float = 100.0) -> Graph:
    """Three layers whose function needs nothing of it: channels of the first and second differ up to `factor`."""
    net = Net(1, 3, 12, 12, seed=4)
    y = net.g.Relu(net.conv(net.x, 16, 3, bias=False))
    y = net.g.Relu(net.conv(y, 16, 3, group=16))
    y = net.g.Relu(net.conv(y, 16))
    y = net.g.Flatten(net.g.GlobalAveragePool(y))
    graph = net.done(net.g.Gemm(y, net.array(16, 10), net.array(10)))
    for group in groups(graph):
        rescale(graph, group, factor ** net.rng.uniform(-1, 1, group.size))
    return graph


def test_equal_ranges() -> None:
    """Each channel's largest weight is the same where it is made and where it is read."""
    graph = badly_scaled()
    before = graph.copy()
    assert equalize(graph) == [node.name for node in graph.nodes() if node.op in LINEAR]
    graph.check()
    assert_same_results(before, graph)
    for group in groups(graph):
        [maker], [reader] = group.makers, group.readers
        made, used = (np.abs(node.inputs[1].array) for node in (maker, reader) if node.inputs[1] is not None)
        rows = made.reshape(16, -1).max(1)
        columns = used.max(1) if reader.op == "Gemm" else used.max((1, 2, 3) if used.shape[1] == 1 else (0, 2, 3))
        assert np.allclose(rows, columns, rtol=3e-2)


def test_equalisation_pays_where_channels_are_badly_scaled() -> None:
    graph = badly_scaled()
    samples = data(graph, 12)
    before = sqnr(graph, quantised(graph, samples, per_channel=False), samples)
    after = graph.copy()
    equalize(after)
    now = sqnr(graph, quantised(after, samples, per_channel=False), samples)
    assert before < 15
    assert now > before + 10


def test_dead_channels_do_not_blow_up() -> None:
    """Weight decay leaves channels of 1e-30 with a bias: scaled to the others, that bias would take the whole range."""
    graph = badly_scaled(1.0)
    conv_ = next(node for node in graph.nodes() if node.op == "Conv" and node.input(2) is not None)
    w = conv_.inputs[1]
    assert w is not None
    data_ = w.array.copy()
    data_[3] = 1e-30
    w.data = data_
    before = graph.copy()
    equalize(graph)
    assert_same_results(before, graph)
    biases = [node.inputs[2] for node in graph.nodes() if node.op == "Conv" and node.input(2) is not None]
    assert max(float(np.abs(bias.array).max()) for bias in biases if bias is not None) < 50


@settings(max_examples=40)
@given(graph=graphs(max_steps=14))
def test_random_graphs_keep_their_function(graph: Graph) -> None:
    before = run(graph, COMMON)
    after = before.copy()
    equalize(after)
    after.check()
    assert_same_results(before, after)


# ------------------------------------------------------------------- SmoothQuant


def attention(outliers: float = 200.0) -> Graph:
    """A block of a transformer: LayerNormalization -> q, k, v -> softmax(q k') v -> + -> RMSNormalization -> Gelu MLP.
    The normalisations magnify two of 32 channels, as those of large language models do."""
    net, c = Net(1, 12, 32, seed=5), 32
    g = net.g

    def product(x: Value, columns: int, name: str) -> Value:
        y: Value = g.op("MatMul", [x, net.array(x.sizes[-1], columns) / 6], name=name)
        return g.Add(y, net.array(columns) / 10)

    scale = net.array(c, low=0.5)
    scale[[3, 17]] *= outliers
    x = g.LayerNormalization(net.x, scale, net.array(c))
    q, k, v = (product(x, c, name) for name in "qkv")
    mixed = g.MatMul(g.Softmax(g.Mul(g.MatMul(q, g.Transpose(k, perm=(0, 2, 1))), np.float32(0.002))), v)
    y = g.Add(net.x, g.Mul(product(mixed, c, "out"), np.float32(0.1)))
    hidden = g.Gelu(product(g.RMSNormalization(y, scale[::-1].copy()), 64, "wide"))
    return net.done(g.Add(y, g.Mul(product(hidden, c, "narrow"), np.float32(0.1))))


def peaks(graph: Graph, samples: Data) -> dict[str, Any]:
    wanted = channels_to_observe(graph)
    return observe(graph, list(wanted), samples, channels=wanted)


def test_what_normalisations_feed_is_observed() -> None:
    graph = attention()
    norms = [node.output.name for node in graph.nodes() if node.op in NORMS]
    assert len(norms) == 2
    assert channels_to_observe(graph) == dict.fromkeys(norms, 2)


def test_smoothing_keeps_the_function_and_shares_one_scale() -> None:
    graph = attention()
    before, samples = graph.copy(), data(graph, 8)
    seen = peaks(graph, samples)
    changed = smooth(graph, seen)
    graph.check()
    assert_same_results(before, graph)
    assert {"q", "k", "v", "wide"} <= set(changed)
    assert len(changed) == 6
    weights = {name: np.abs(graph[name].array) for name in weights_of(graph, "q", "k", "v")}
    [norm, _] = channels_to_observe(graph)
    now = peaks(graph, samples)[norm].peaks
    assert np.allclose(now, np.max([w.max(1) for w in weights.values()], axis=0), rtol=1e-4)  # the two meet half way


def weights_of(graph: Graph, *names: str) -> list[str]:
    nodes = [node for node in graph.nodes() if node.name in names]
    return [node.inputs[1].name for node in nodes if node.inputs[1] is not None]


def test_smoothing_pays_where_channels_stand_out() -> None:
    graph = attention()
    samples = data(graph, 8)
    after = graph.copy()
    smooth(after, peaks(graph, samples))
    before, now = (sqnr(graph, quantised(one, samples), samples) for one in (graph, after))
    assert now > before + 3


def test_what_was_not_observed_is_not_smoothed() -> None:
    graph = attention()
    seen = peaks(graph, data(graph, 2))
    first, second = seen
    assert len(smooth(graph, {first: seen[first], second: replace(seen[second], peaks=None)})) == 4
    assert smooth(graph, {}) == []


def test_products_behind_products_are_smoothed() -> None:
    graph = COMMUTING["products"]()
    before = graph.copy()
    assert len(smooth(graph, peaks(graph, data(graph, 4)))) == 2
    assert_same_results(before, graph)
    images = COMMUTING["relu"]()
    assert channels_to_observe(images) == {}


# ------------------------------------------------------------------ bias correction


def depthwise(bias: bool = True) -> Graph:
    """Inputs that are not centred, and few weights a channel: what rounding them adds does not average out."""
    net = Net(1, 8, 10, 10, seed=7)
    y = net.g.Relu(net.conv(net.x, 8, 3, group=8, bias=bias))
    y = net.g.Relu(net.conv(y, 8, bias=bias))
    y = net.g.Relu(net.conv(y, 8, 3, group=8, bias=bias))
    y = net.g.Flatten(net.g.GlobalAveragePool(y))
    return net.done(net.g.Gemm(y, net.array(8, 5), net.array(5) if bias else None))


def bright(graph: Graph, count: int, seed: int = 1) -> Data:
    """All positive, as after Relu."""
    return Data({name: np.abs(array) + 1 for name, array in sample.items()} for sample in data(graph, count, seed))


def mean_errors(reference: Graph, changed: Graph, name: str, samples: Data, axis: int = 1) -> np.ndarray:
    wanted, found = (
        np.array([OnnxRuntime(read(graph, tensor)).run(s)[tensor] for s in samples], np.float64)
        for graph, tensor in ((reference, name), (changed, unrounded(changed, name)))
    )
    return np.moveaxis(wanted - found, 1 + axis, 0).reshape(wanted.shape[1 + axis], -1).mean(axis=1)


def unrounded(graph: Graph, name: str) -> str:
    return f"{name}/unquantized" if f"{name}/unquantized" in graph else name


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mode", ["int8", "int16x8", "int8-dynamic"])
def test_mean_errors_go(mode: str, bias: bool) -> None:
    """Of the first layer, whose input is the same as in float but for rounding, all that the bias' steps can take."""
    graph = depthwise(bias)
    samples = bright(graph, 12)
    changed = quantised(graph, samples, mode)
    name = next(node for node in graph.nodes() if node.op == "Conv").output.name
    before = mean_errors(graph, changed, name, samples)
    found = correct_biases(graph, changed, samples)
    changed.check()
    after = mean_errors(graph, changed, name, samples)
    assert np.abs(after).max() < 0.15 * np.abs(before).max()
    assert [one.layer for one in found] == [node.name for node in graph.nodes() if node.op in LINEAR]
    assert found[0].before == pytest.approx(np.sqrt(np.mean(before**2)), rel=1e-3)
    assert all(one.after <= one.before for one in found)


@pytest.mark.parametrize(
    ("mode", "changes", "gain"),
    [("int8", {}, 1), ("int8", {"per_channel": False}, 3), ("int16x8", {}, 4), ("int4", {}, 2)],
)
def test_correction_pays_with_biased_weights(mode: str, changes: dict[str, Any], gain: float) -> None:
    """On samples that it has not seen."""
    graph = depthwise()
    changed = quantised(graph, bright(graph, 12), mode, **changes)
    held_out = bright(graph, 24, seed=2)
    before = sqnr(graph, changed, held_out)
    correct_biases(graph, changed, bright(graph, 12))
    assert sqnr(graph, changed, held_out) > before + gain


@pytest.mark.parametrize("bias", [True, False])
def test_biases_stay_on_their_grid(bias: bool) -> None:
    """int32 in steps of the input's scale times the weights'."""
    graph = depthwise(bias)
    samples = bright(graph, 4)
    changed = quantised(graph, samples)
    correct_biases(graph, changed, samples)
    layers = [node for node in changed.nodes() if node.op in LINEAR]
    assert len(layers) == 4
    for node in layers:
        x, w, b = (producer(changed, value, DEQUANTIZE) for value in node.inputs)
        assert x is not None
        assert w is not None
        assert b is not None
        steps, step = (value.array for value in b.inputs if value is not None)
        assert steps.dtype == np.int32
        assert step.tobytes() == (scale_of(x) * scale_of(w)).tobytes()


def scale_of(node: Node) -> np.ndarray:
    assert node.inputs[1] is not None
    return node.inputs[1].array


def test_the_constant_behind_a_product_takes_the_correction() -> None:
    """A MatMul without one is left alone."""
    net = Net(1, 6, 8, seed=8)
    y = net.g.Relu(net.g.Add(net.g.MatMul(net.x, net.array(8, 8)), net.array(8)))
    graph = net.done(net.g.MatMul(y, net.array(8, 4)))
    samples = bright(graph, 8)
    changed = quantised(graph, samples, "int8-dynamic")
    [name, _] = [node.output.name for node in graph.nodes() if node.op == "MatMul"]
    sums = next(node for node in graph.nodes() if node.op == "Add").output.name
    before = mean_errors(graph, changed, sums, samples, axis=2)
    assert [one.layer for one in correct_biases(graph, changed, samples)] == [name]
    changed.check()
    assert np.abs(mean_errors(graph, changed, sums, samples, axis=2)).max() < 0.01 * np.abs(before).max()


def test_layers_in_float_are_left_alone() -> None:
    graph = depthwise()
    samples = bright(graph, 2)
    same = graph.copy()
    assert correct_biases(graph, same, samples) == []
    assert sqnr(graph, same, samples) == np.inf


def test_correction_is_the_same_whoever_computes_it() -> None:
    graph = depthwise()
    samples = bright(graph, 20)
    changed = quantised(graph, samples)
    alone, shared_out = changed.copy(), changed.copy()
    found = correct_biases(graph, alone, samples)
    told: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as pool:
        progress = lambda *step: told.append(step)  # noqa: E731
        assert correct_biases(graph, shared_out, samples, executor=pool, progress=progress) == found
    assert told[-1] == (20, 20)
    assert sqnr(alone, shared_out, samples) == np.inf


# ------------------------------------------------------------------- a real network

PHOTOS = ["cat_720p.jpg", "dragonfly.bmp", "grace_hopper.bmp", "hot_dog.jpg", "parrot.jpg", "sunflower.bmp"]


@pytest.fixture(scope="module")
def mobilenet() -> tuple[Graph, Data, Data]:
    """MLPerf Tiny's person detector (Relu, depthwise, hundreds of dead channels), with crops of photos."""
    graph = run(netglot.load(model("keras/vww_mobilenet_96.h5"), batch=1), COMMON)
    crops = Data(crop for name in PHOTOS for crop in crops_of(graph.inputs[0], name))
    return graph, Data(crops[::2]), Data(crops[1::2])


def crops_of(x: Value, name: str) -> Iterator[Mapping[str, np.ndarray]]:
    image = photo(name, 160, bgr=False, mean=(0, 0, 0), scale=1 / 255)
    for top, left in ((0, 0), (32, 32), (64, 64), (0, 64), (64, 0), (20, 40)):
        part = image[:, :, top : top + 96, left : left + 96]
        yield {x.name: np.ascontiguousarray(part.transpose(0, 2, 3, 1))}


def test_a_mobilenet_gains(mobilenet: tuple[Graph, Data, Data]) -> None:
    """One scale for all weights of a layer, as TFLite's uint8 has it."""
    graph, samples, held_out = mobilenet
    equalised = graph.copy()
    assert len(equalize(equalised)) == 28
    assert sqnr(graph, equalised, held_out) > 100
    plain, better = (quantised(one, samples, per_channel=False) for one in (graph, equalised))
    before, now = (sqnr(graph, one, held_out) for one in (plain, better))
    assert now > before + 3
    correct_biases(graph, plain, samples)
    assert sqnr(graph, plain, held_out) > before + 3


def test_a_mobilenet_gains_with_scales_of_channels(mobilenet: tuple[Graph, Data, Data]) -> None:
    graph, samples, held_out = mobilenet
    changed = quantised(graph, samples)
    before = sqnr(graph, changed, held_out)
    correct_biases(graph, changed, samples)
    assert sqnr(graph, changed, held_out) > before + 1
