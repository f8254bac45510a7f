"""The layout pass: nothing changes what a graph computes, and no transposition is there that need not be."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given, settings
from hypothesis import strategies as st

import netglot
from netglot.backends import lowering
from netglot.backends.sides import wanted
from netglot.backends.tflite.context import Op, TFLiteBuilder
from netglot.backends.tflite.peephole import peephole
from netglot.backends.tflite.writer import prepare, save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.text import parse
from netglot.ir.types import channels_last, inverse
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.duplicates import merge_duplicates
from netglot.passes.flatten_layout import flatten_channels_last
from netglot.passes.identity import remove_identities
from netglot.passes.io_layout import change_io_layout
from netglot.passes.layout import Ends, Side, choose_layout
from netglot.passes.pipeline import COMMON, run
from netglot.passes.shuffle_layout import shuffle_channels_last
from netglot.passes.transposes import merge_transposes
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import const
from tests.oracles import model
from tests.test_targets import assert_close

CHANNELS = 3
IMAGE = (1, CHANNELS, 4, 5)
STEPS = ["conv", "relu", "add", "concat", "last", "first", "merge", "softmax", "mean"]


def random_graph(steps: list[tuple[str, int, int]], sensible: bool = False) -> Graph:
    """Applies each (step, pick, pick) to values made so far; what nothing reads becomes an output.

    In a `sensible` one channels are never taken for rows: Transposes lead from one of the two orders to the other.
    """
    g = Builder(Graph("random"))
    values = [g.graph.add_input("x", np.dtype(np.float32), IMAGE)]
    for step, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        is_first = a.rank == 4 and a.sizes[2:] == IMAGE[2:]
        if sensible and step in ("conv", "last", "first", "softmax", "concat") and is_first is (step == "first"):
            continue
        made = _step(g, step, a, b)
        values += [] if made is None else [made]
    g.graph.outputs = [value for value in values[1:] if not g.graph.consumers(value)] or [g.Relu(values[0])]
    return g.graph


def _step(g: Builder, step: str, a: Value, b: Value) -> Value | None:
    """None where the step does not fit its operands."""
    if step in ("add", "concat") and a.shape != b.shape:
        return None
    if step == "merge":
        return g.Reshape(a, [a.sizes[0], a.sizes[1], -1]) if a.rank == 4 else None
    if a.rank != 4:
        return g.Relu(a) if step == "relu" else None
    steps: dict[str, Callable[[], Value]] = {
        "conv": lambda: g.Conv(a, const((CHANNELS, a.sizes[1], 1, 1)), const((CHANNELS,))),
        "relu": lambda: g.Relu(a),
        "add": lambda: g.Add(a, b),
        "concat": lambda: g.Concat(a, b, axis=1),
        "last": lambda: g.Transpose(a, perm=channels_last(4)),
        "first": lambda: g.Transpose(a, perm=inverse(channels_last(4))),
        "softmax": lambda: g.Softmax(a, axis=1),
        "mean": lambda: g.ReduceMean(a, [2], keepdims=1),
    }
    return steps[step]()


def steps(most: int, names: list[str] = STEPS) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    picks = st.integers(0, 20)
    return st.lists(st.tuples(st.sampled_from(names), picks, picks), min_size=1, max_size=most)


@settings(max_examples=60)
@given(steps(12))
def test_any_graph_computes_the_same_before_and_after_and_on_litert(recipe: list[tuple[str, int, int]]) -> None:
    graph = random_graph(recipe)
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, IMAGE).astype(np.float32)}
    expected = OnnxRuntime(graph).run(feed)
    laid_out = prepare(graph.copy())
    laid_out.check()
    results = [OnnxRuntime(laid_out).run(feed)]
    with TemporaryDirectory() as folder:
        save(graph, Path(folder) / "a.tflite")
        results.append(LiteRT(Path(folder) / "a.tflite").run(feed))
    for actual in results:
        assert list(actual) == list(expected)
        for name, value in expected.items():
            assert_close(actual[name], value, 1e-5)


# ----------------------------------------------------------------- it is minimal


def own(graph: Graph, node: Node) -> Ends:
    return wanted(graph, node, "tflite")


def lowered(graph: Graph, sides: Callable[[Graph, Node], Ends] = own) -> TFLiteBuilder:
    """The TFLite operators of `graph`, which is changed, with the given sides."""
    choose_layout(graph, lambda node: sides(graph, node), lambda value: False)
    flatten_channels_last(graph)
    m = TFLiteBuilder()
    lowering.lower(graph, "tflite", lambda op, node, arguments, attributes: op.function(m, *arguments, **attributes))
    peephole(m, [m.tensor(value) for value in graph.outputs])
    return m


def transposes(m: TFLiteBuilder) -> list[Op]:
    return [op for op in m.ops if op.code == tfl.BuiltinOperator.TRANSPOSE]


def moved(m: TFLiteBuilder) -> int:
    """Elements that the TRANSPOSEs move."""
    return sum(int(np.prod(m.shape(op.outputs[0]))) for op in transposes(m))


def least_moved(graph: Graph) -> int:
    """The least that any choice for every free operator moves."""
    nodes = graph.nodes()
    choices = itertools.product(*(_choices(graph, node) for node in nodes))
    picks = (dict(zip((node.name for node in nodes), choice, strict=True)) for choice in choices)
    return min(moved(lowered(graph.copy(), lambda graph, node, pick=pick: pick[node.name])) for pick in picks)


def _choices(graph: Graph, node: Node) -> list[Ends]:
    both = (Side.LAST, Side.FIRST)
    if node.op == "Transpose":
        return list(itertools.product(both, both))
    fixed = own(graph, node)
    if isinstance(fixed, tuple):
        return [(end, fixed[1]) for end in (both if fixed[0] is Side.FREE else fixed[:1])]
    return list(both) if fixed is Side.FREE else [fixed]


@settings(max_examples=40)
@given(steps(5, ["conv", "relu", "add", "last", "first", "merge", "softmax"]))
def test_no_choice_of_layouts_moves_less(recipe: list[tuple[str, int, int]]) -> None:
    graph = random_graph(recipe, sensible=True)
    run(graph, [merge_transposes, remove_identities, merge_duplicates, remove_dead_code])
    assert moved(lowered(graph.copy())) == least_moved(graph)


def image(g: Builder, *sizes: int) -> Value:
    return g.graph.add_input("x", np.dtype(np.float32), sizes)


def conv(g: Builder, x: Value, channels: int = CHANNELS) -> Value:
    return g.Conv(x, const((channels, x.sizes[1], 1, 1)), const((channels,)))


def count(g: Builder, *outputs: Value) -> int:
    """How many TRANSPOSEs the graph with these outputs becomes."""
    g.graph.outputs = list(outputs)
    return len(transposes(lowered(g.graph)))


Body = Callable[[Builder, Value], Value]

# What stands between convolutions in real networks, and need not break a channels-last region.
FREE: dict[str, Body] = {
    "gate": lambda g, x: g.Mul(x, g.Sigmoid(conv(g, g.GlobalAveragePool(x)))),
    "halves": lambda g, x: g.Concat(*g.Split(g.Concat(x, x, axis=1), axis=1, num_outputs=2, outputs=2), axis=2),
    "slice and pad": lambda g, x: g.Pad(g.Slice(x, [1], [4], [2]), [0, 0, 1, 0, 0, 0, 0, 0]),
    "constants": lambda g, x: g.Add(g.Mul(x, const((CHANNELS, 1, 1))), const((1,))),
    "prelu": lambda g, x: g.PRelu(x, const((CHANNELS, 1, 1))),
    "normalised": lambda g, x: g.Div(x, g.Sqrt(g.ReduceSumSquare(x, [1], keepdims=1))),
    "instance norm": lambda g, x: g.InstanceNormalization(x, const((CHANNELS,)), const((CHANNELS,))),
    "resized": lambda g, x: g.Resize(x, None, np.array([1, 1, 2, 2], np.float32), mode="linear"),
    "softmax of channels": lambda g, x: g.Softmax(x, axis=1),
    "there and back": lambda g, x: g.Transpose(
        g.Softmax(g.Transpose(x, perm=channels_last(4)), axis=3), perm=inverse(channels_last(4))
    ),
    "merged rows": lambda g, x: g.Reshape(g.Relu(g.Reshape(x, [0, 0, -1])), [0, 0, 8, 9]),
    "gathered": lambda g, x: g.Gather(x, np.array([2, 1, 0]), axis=1),
    "mirrored": lambda g, x: g.Slice(x, [-1], [-100], [3], [-1]),
    "tiled": lambda g, x: g.Tile(x, [1, 2, 1, 1]),
}


@pytest.mark.parametrize("body", FREE)
def test_nothing_moves_between_two_convolutions(body: str) -> None:
    g = Builder()
    assert count(g, g.GlobalAveragePool(conv(g, FREE[body](g, conv(g, image(g, 2, 1, 8, 9)))))) == 0


# What ends a network, and can take its input channels-last.
HEADS: dict[str, Body] = {
    "SSD": lambda g, x: g.Reshape(g.Transpose(x, perm=channels_last(4)), [0, -1, 1]),
    "dense": lambda g, x: g.Gemm(g.Flatten(x), const((CHANNELS * 72, 4))),
    "matmul": lambda g, x: g.MatMul(g.Reshape(x, [0, -1]), const((CHANNELS * 72, 4))),
    "vector": lambda g, x: g.Flatten(g.GlobalAveragePool(x)),
    "squeezed": lambda g, x: g.Squeeze(g.GlobalMaxPool(x), [2, 3]),
    "mean of axes": lambda g, x: g.ReduceMean(x, [2, 3], keepdims=0),
    "class of each pixel": lambda g, x: g.ArgMax(x, axis=1, keepdims=0),
    "largest of channels": lambda g, x: g.ReduceMax(x, [1], keepdims=0),
    "one channel": lambda g, x: g.Gather(x, np.array(1), axis=1),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_moves_nothing(head: str) -> None:
    g = Builder()
    assert count(g, HEADS[head](g, conv(g, image(g, 2, 1, 8, 9)))) == 0


def test_flattened_input_of_a_dense_network_is_not_moved() -> None:
    g = Builder()
    assert count(g, g.Gemm(g.Flatten(image(g, 2, 3, 8, 9)), const((3 * 72, 4)))) == 0


def test_a_value_is_moved_once_for_all_its_readers() -> None:
    g = Builder()
    x = image(g, 2, 3, 8, 9)
    assert count(g, *(g.GlobalAveragePool(conv(g, x)) for _ in range(3))) == 1


def test_a_region_without_convolutions_stays_as_it_is() -> None:
    g = Builder()
    x = g.Softmax(g.Add(image(g, 2, 3, 8, 9), const((9,))), axis=3)
    assert count(g, g.MatMul(x, const((9, 4)))) == 0


@pytest.mark.parametrize("body", [*FREE, *HEADS])
def test_bodies_and_heads_compute_the_same(body: str, tmp_path: Path) -> None:
    g = Builder()
    y = {**FREE, **HEADS}[body](g, conv(g, image(g, 2, 2, 8, 9)))
    g.graph.outputs = [y]
    feed = {"x": np.random.default_rng(1).uniform(-1, 1, (2, 2, 8, 9)).astype(np.float32)}
    expected = OnnxRuntime(g.graph).run(feed)
    save(g.graph, tmp_path / "a.tflite")
    actual = LiteRT(tmp_path / "a.tflite").run(feed)
    assert list(actual) == list(expected)
    assert_close(*actual.values(), *expected.values(), 1e-5)


def shuffled(g: Builder, x: Value) -> Value:
    n, c, h, w = x.sizes
    return g.Reshape(g.Transpose(g.Reshape(x, [n, 3, c // 3, h, w]), perm=(0, 2, 1, 3, 4)), [n, c, h, w])


def test_a_channel_shuffle_is_one_transpose(tmp_path: Path) -> None:
    g = Builder()
    x = image(g, 2, 1, 8, 9)
    y = conv(g, shuffled(g, conv(g, x, 6)))
    g.graph.outputs = [g.GlobalAveragePool(y)]
    feed = {"x": np.random.default_rng(1).uniform(-1, 1, x.sizes).astype(np.float32)}
    expected = OnnxRuntime(g.graph).run(feed)
    assert shuffle_channels_last(g.graph)
    g.graph.check()
    assert_close(*OnnxRuntime(g.graph).run(feed).values(), *expected.values(), 1e-5)
    assert len(transposes(lowered(g.graph.copy()))) == 1
    save(g.graph, tmp_path / "a.tflite")
    assert_close(*LiteRT(tmp_path / "a.tflite").run(feed).values(), *expected.values(), 1e-5)


def test_a_transposition_of_rows_is_not_a_shuffle() -> None:
    g = Builder()
    x = image(g, 2, 4, 3, 6)
    y = g.Transpose(g.Reshape(x, [2, 2, 2, 3, 6]), perm=(0, 1, 3, 2, 4))
    g.graph.outputs = [g.Reshape(y, [2, 4, 3, 6])]
    assert not shuffle_channels_last(g.graph)


def test_an_output_that_is_an_input_keeps_its_name() -> None:
    graph = parse("""
        graph g(x: float32[1x2x3x4]) -> x, y {
          y: float32[1x2x3x4] = Relu(x)
        }""")
    change_io_layout(graph, "nhwc")
    graph.check()
    assert [value.name for value in graph.inputs] == ["x"]
    assert [(value.name, value.shape) for value in graph.outputs] == [("x", (1, 3, 4, 2)), ("y", (1, 3, 4, 2))]


@pytest.mark.parametrize("io_layout", ["keep", "nhwc"])
@pytest.mark.parametrize("name", ["squeezenet_v1.0", "ultraface_rfb320", "mtcnn_det1", "mtcnn_det2"])
def test_real_networks_move_nothing_but_their_input(name: str, io_layout: str) -> None:
    graph = netglot.load(model(f"caffe/{name}.prototxt"))
    run(graph, COMMON)
    change_io_layout(graph, io_layout)
    found = transposes(lowered(graph))
    inputs = [value.name for value in graph.inputs]
    assert len(found) == (len(inputs) if io_layout == "keep" else 0)


@pytest.mark.parametrize("pinned", [0.005, 0.05, 0.5])
def test_two_thousand_nodes_take_under_half_a_second(pinned: float) -> None:
    rng = np.random.default_rng(0)
    graph = Graph("large")
    values = [graph.add_input("x", np.dtype(np.float32), IMAGE)]
    sides = {"Conv": Side.LAST, "Reshape": Side.FIRST}
    for i in range(2000):
        op = "Conv" if rng.random() < pinned / 2 else "Reshape" if rng.random() < pinned / 2 else "Add"
        a, b = (values[-int(rng.integers(1, min(30, len(values)) + 1))] for _ in range(2))
        values.append(graph.add_value(f"v{i}", np.dtype(np.float32), (1, int(rng.integers(2, 64)), 4, 5)))
        graph.add_node(Node(op, [a, b] if op == "Add" else [a], [values[-1]]))
    graph.outputs = [value for value in values if not graph.consumers(value)]
    seconds = []
    gc.disable()  # it would walk all that other tests of this process have left, which is TensorFlow
    try:
        for _ in range(3):
            copy = graph.copy()
            start = time.process_time()
            choose_layout(copy, lambda node: sides.get(node.op, Side.FREE), lambda value: False)
            seconds.append(time.process_time() - start)
            assert any(node.op == "Identity" for node in copy.nodes())
    finally:
        gc.enable()
    assert min(seconds) < 0.5


def test_a_tiled_constant_is_added_to_an_image(tmp_path: Path) -> None:
    """Hiera's places: large enough not to be folded, and as square as the image, so that a mistake could hide."""
    from tests.test_tflite import check

    rng = np.random.default_rng(0)
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 96, 96))
    image = g.Conv(x, rng.uniform(-1, 1, (96, 3, 1, 1)).astype(np.float32))
    window = g.constant(rng.uniform(-1, 1, (1, 96, 8, 8)).astype(np.float32))
    sums = g.Add(image, g.Tile(window, [1, 1, 12, 12]))
    g.graph.outputs = [g.GlobalAveragePool(g.Mul(sums, sums)), g.ReduceMax(sums, [0, 2], keepdims=0)]
    assert check(g.graph, tmp_path)["TILE"] == 1
