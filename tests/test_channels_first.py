"""Models from channels-last sources: no Transpose is left that need not be, and nothing else changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given, settings
from hypothesis import strategies as st

from netglot.backends.tflite.writer import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.ir.text import parse, to_text
from netglot.ir.types import channels_last, inverse
from netglot.passes.channels_first import compute_channels_first
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.fuse_pads import fuse_pads
from netglot.passes.identity import remove_identities
from netglot.passes.layout import only_ones_move
from netglot.passes.pipeline import COMMON, apply, run
from netglot.passes.reshapes import merge_reshapes
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import const
from tests.test_targets import assert_close

FLOAT = np.dtype(np.float32)
NAMES = {code: name for name, code in vars(tfl.BuiltinOperator).items() if isinstance(code, int)}


class Last:
    """Layers as a channels-last source writes them: each spatial operator between two Transposes."""

    def __init__(self, *sizes: int | str) -> None:
        self.g = Builder(Graph("last"))
        self.x = self.g.graph.add_input("x", FLOAT, sizes)

    def first(self, x: Value) -> Value:
        return self.g.Transpose(x, perm=inverse(channels_last(x.rank)))

    def last(self, y: Value) -> Value:
        return self.g.Transpose(y, perm=channels_last(y.rank))

    def conv(self, x: Value, channels: int, kernel: int = 3, group: int = 1, same: bool = True, **more) -> Value:
        spatial = x.rank - 2
        w = const((channels, x.shape[-1] // group, *(kernel,) * spatial)) * np.float32(0.3)
        pads = [kernel // 2] * 2 * spatial if same else [0] * 2 * spatial
        y = self.last(self.g.Conv(self.first(x), w, pads=more.pop("pads", pads), group=group, **more))
        return self.g.Add(y, const((channels,)))  # the bias, as TensorFlow adds it

    def norm(self, x: Value) -> Value:
        c = x.shape[-1]
        statistics = [const((c,)), const((c,)), const((c,)), np.abs(const((c,))) + np.float32(0.5)]
        return self.last(self.g.BatchNormalization(self.first(x), *statistics, epsilon=1e-3))

    def conv_bn(self, x: Value, channels: int, act: str = "Relu", **more: object) -> Value:
        y = self.norm(self.conv(x, channels, **more))
        return y if not act else self.g.Clip(y, 0.0, 6.0) if act == "Relu6" else self.g.op(act, [y])

    def max_pool(self, x: Value, size: int = 2) -> Value:
        window = [size] * (x.rank - 2)
        return self.last(self.g.MaxPool(self.first(x), kernel_shape=window, strides=window))

    def resize(self, x: Value, factor: int = 2) -> Value:
        scales = np.array([1, 1, *[factor] * (x.rank - 2)], np.float32)
        return self.last(self.g.Resize(self.first(x), None, scales, mode="nearest", nearest_mode="floor",
                                       coordinate_transformation_mode="asymmetric"))  # fmt: skip

    def mean(self, x: Value, keepdims: int = 0) -> Value:
        return self.g.ReduceMean(x, list(range(1, x.rank - 1)), keepdims=keepdims)

    def dense(self, x: Value, channels: int) -> Value:
        return self.g.Add(self.g.MatMul(x, const((x.shape[-1], channels)) * np.float32(0.1)), const((channels,)))


Net = Callable[[Last], Value]


def residual(m: Last) -> Value:
    x = m.conv_bn(m.x, 6)
    y = m.g.Relu(m.g.Add(m.conv_bn(m.conv_bn(x, 6), 6, act=""), x))
    return m.g.Softmax(m.dense(m.mean(y), 5), axis=-1)


def squeeze_excite(m: Last) -> Value:
    x = m.conv_bn(m.x, 6, act="Relu6")
    s = m.g.Reshape(m.mean(x), [x.shape[0], 1, 1, 6])
    gate = m.g.Sigmoid(m.conv(m.g.Relu(m.conv(s, 2, kernel=1)), 6, kernel=1))
    return m.mean(m.conv_bn(m.g.Mul(x, gate), 7))


def squeeze_excite_kept(m: Last) -> Value:
    x = m.conv_bn(m.x, 6)
    gate = m.g.HardSigmoid(m.conv(m.mean(x, keepdims=1), 6, kernel=1), alpha=1 / 6)
    return m.mean(m.conv_bn(m.g.Mul(gate, x), 7))


def inception(m: Last) -> Value:
    x = m.conv_bn(m.x, 4)
    parts = [m.conv_bn(x, 3, kernel=1), m.conv_bn(x, 5), m.conv_bn(m.conv_bn(x, 2, kernel=1), 4, kernel=5)]
    return m.mean(m.conv_bn(m.g.Concat(*parts, axis=3), 5))


def depthwise_padded(m: Last) -> Value:
    x = m.g.Pad(m.conv_bn(m.x, 6, act="Relu6"), [0, 0, 0, 0, 0, 1, 1, 0])
    return m.mean(m.conv_bn(x, 6, group=6, strides=(2, 2), same=False, act="Relu6"))


def u_net(m: Last) -> Value:
    a = m.conv_bn(m.x, 4)
    b = m.conv_bn(m.max_pool(a), 6)
    up = m.g.Concat(m.resize(b), a, axis=-1)
    return m.g.Sigmoid(m.conv(m.conv_bn(up, 5), 3, kernel=1))


def dense_net(m: Last) -> Value:
    x = m.conv(m.x, 4)
    for _ in range(3):
        y = m.conv(m.g.Relu(m.norm(x)), 3)
        x = m.g.Concat(x, y, axis=3)
    return m.dense(m.mean(m.g.Relu(m.norm(x))), 5)


def flattened(m: Last) -> Value:
    x = m.max_pool(m.conv_bn(m.x, 4))
    n = int(np.prod(x.shape[1:]))
    return m.dense(m.g.Reshape(x, [-1 if isinstance(x.shape[0], str) else x.shape[0], n]), 6)


def swish(m: Last) -> Value:
    x = m.conv_bn(m.g.Sub(m.g.Mul(m.x, 1 / 255), const((3,))), 4, act="")
    y = m.conv_bn(m.g.Mul(x, m.g.Sigmoid(x)), 5, act="")
    return m.mean(m.g.Mul(m.g.Add(y, 0.5), const((5,))))


def segmentation(m: Last) -> Value:
    return m.g.Softmax(m.conv(m.conv_bn(m.x, 4), 5, kernel=1), axis=-1)


def sliced(m: Last) -> Value:
    x = m.conv(m.x, 6)
    a, b = m.g.Split(x, axis=-1, num_outputs=2, outputs=2)
    c = m.g.Slice(m.g.Where(m.g.Greater(a, 0.0), a, b), [1, 1], [4, -1], [1, 2], [2, 1])
    d = m.g.Gather(c, np.array([2, 0, 1]), axis=3)
    return m.mean(m.conv(m.g.Max(d, m.g.ReduceMax(c, [3], keepdims=1)), 5))


NETS_2D: dict[str, Net] = {
    net.__name__: net
    for net in (residual, squeeze_excite, squeeze_excite_kept, inception, depthwise_padded, u_net, dense_net,
                flattened, swish, segmentation, sliced)
}  # fmt: skip


def wavenet(m: Last) -> Value:
    x = m.conv(m.x, 6, kernel=1)
    for dilation in (1, 2, 4):
        padded = m.g.Pad(x, [0, 2 * dilation, 0, 0, 0, 0])
        h = m.conv(padded, 12, same=False, dilations=(dilation,))
        a, b = m.g.Split(h, axis=2, num_outputs=2, outputs=2)
        x = m.g.Add(m.conv(m.g.Mul(m.g.Tanh(a), m.g.Sigmoid(b)), 6, kernel=1), x)
    return m.mean(m.g.Relu(x))


def conv_3d(m: Last) -> Value:
    x = m.conv_bn(m.conv_bn(m.x, 4), 5)
    return m.dense(m.mean(m.g.Add(x, m.conv(x, 5, kernel=1))), 3)


NETS: dict[str, tuple[tuple[int, ...], Net]] = {
    **{name: ((2, 10, 8, 3), net) for name, net in NETS_2D.items()},
    "wavenet": ((2, 11, 3), wavenet),
    "conv_3d": ((1, 5, 6, 7, 3), conv_3d),
}


def build(name: str) -> tuple[Graph, dict[str, np.ndarray]]:
    sizes, net = NETS[name]
    m = Last(*sizes)
    m.g.graph.outputs = [net(m)]
    return m.g.graph, {"x": np.random.default_rng(0).uniform(-1, 1, sizes).astype(np.float32)}


def tflite_ops(path: Path) -> Counter[str]:
    model = tfl.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return Counter(NAMES[codes[op.opcodeIndex]] for op in model.subgraphs[0].operators)


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes())


@pytest.mark.parametrize("name", NETS)
def test_a_channels_last_target_moves_nothing(name: str, tmp_path: Path) -> None:
    graph, feed = build(name)
    expected = OnnxRuntime(graph).run(feed)
    run(graph, COMMON, check=True)
    save(graph, tmp_path / "a.tflite")
    actual = LiteRT(tmp_path / "a.tflite").run(feed)
    for key, value in expected.items():
        assert_close(actual[key], value, 1e-5)
    found = tflite_ops(tmp_path / "a.tflite")
    assert found["TRANSPOSE"] == 0, found


@pytest.mark.parametrize("name", NETS)
def test_a_channels_first_target_moves_inputs_and_outputs_only(name: str) -> None:
    graph, feed = build(name)
    expected = OnnxRuntime(graph).run(feed)
    run(graph, COMMON, check=True)
    for key, value in OnnxRuntime(graph).run(feed).items():
        assert_close(value, expected[key], 1e-5)
    images = sum(value.rank > 2 for value in (*graph.inputs, *graph.outputs))
    assert ops(graph)["Transpose"] == images, ops(graph)
    assert ops(graph)["BatchNormalization"] == 0


# What a network comes to: batch normalisation and biases are in the convolutions, activations in TFLite's operators.
COUNTS: dict[str, dict[str, int]] = {
    "residual": {"CONV_2D": 3, "ADD": 1, "MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1},
    "inception": {"CONV_2D": 6, "CONCATENATION": 1, "MEAN": 1},
    "depthwise_padded": {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "MEAN": 1},
    "flattened": {"CONV_2D": 1, "MAX_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1},
    "conv_3d": {"CONV_3D": 3, "ADD": 1, "MEAN": 1, "FULLY_CONNECTED": 1},
}


@pytest.mark.parametrize("name", COUNTS)
def test_fusions_happen_across_transposes(name: str, tmp_path: Path) -> None:
    graph, _ = build(name)
    run(graph, COMMON)
    save(graph, tmp_path / "a.tflite")
    found = tflite_ops(tmp_path / "a.tflite")
    assert {key: n for key, n in found.items() if key in COUNTS[name] or key in ("ADD", "MUL", "RELU")} == COUNTS[name]


# --------------------------------------------------------------- what stays as it is

STEPS = ["conv", "relu", "add", "bias", "concat", "softmax", "mean", "reduce", "pad", "slice", "gather", "squeeze",
         "merge", "tile", "unsqueeze", "shape", "argmax", "resize", "turn"]  # fmt: skip


def random_net(recipe: list[tuple[str, int, int]], batch: int | str = 2) -> Graph:
    """Applies each (step, pick, pick) to values made so far; what nothing reads becomes an output."""
    m = Last(batch, 4, 5, 3)
    values = [m.x]
    for step, i, j in recipe:
        made = _step(m, step, values[i % len(values)], values[j % len(values)])
        values += [] if made is None else [made]
    graph = m.g.graph
    graph.outputs = [value for value in values[1:] if not graph.consumers(value)] or [m.g.Relu(m.x)]
    return graph


def _step(m: Last, step: str, a: Value, b: Value) -> Value | None:
    """None where the step does not fit its operands."""
    g, rank = m.g, a.rank
    if step in ("add", "concat") and a.shape != b.shape:
        return None
    if (rank < 3 and step != "relu") or (rank != 4 and step in ("slice", "merge", "unsqueeze", "resize", "turn")):
        return None
    static = all(isinstance(dim, int) for dim in a.shape[1:])
    if a.dtype != FLOAT or not static or not 0 < np.prod(a.shape[1:]) < 3000:
        return None
    steps: dict[str, Callable[[], Value]] = {
        "conv": lambda: m.conv(a, 3),
        "relu": lambda: g.Relu(a),
        "add": lambda: g.Add(a, b),
        "bias": lambda: g.Mul(const((a.shape[-1],)), a),
        "concat": lambda: g.Concat(a, b, axis=-1),
        "softmax": lambda: g.Softmax(a, axis=[1, -1][len(b.name) % 2]),
        "mean": lambda: g.ReduceMean(a, [1], keepdims=1),
        "reduce": lambda: g.ReduceMax(a, [-1] if rank == 4 else [1, 2], keepdims=0),
        "pad": lambda: g.Pad(a, [0, 1, *[0] * (rank - 2), 0, 0, *[2] * (rank - 2)], 0.5),
        "slice": lambda: g.Slice(a, [1, -1], [3, -9], [2, 3], [1, -1]),
        "gather": lambda: g.Gather(a, np.array([0, 0]), axis=1),
        "squeeze": lambda: g.Squeeze(g.ReduceMean(a, [1, 2], keepdims=1), [1, 2]),
        "merge": lambda: g.Reshape(a, [0, -1, a.shape[-1]]),
        "tile": lambda: g.Tile(a, [1, *range(1, rank)]),
        "unsqueeze": lambda: g.Unsqueeze(g.ReduceMean(a, [1, 2], keepdims=0), [1, -2]),
        "shape": lambda: g.Mul(a, g.Cast(g.Gather(g.Shape(a, start=1), np.array([1]), axis=0), to=1)),
        "argmax": lambda: g.Cast(g.ArgMax(a, axis=-1, keepdims=1), to=1),
        "resize": lambda: g.Resize(a, None, np.array([1, 2, 1, 1], np.float32)),
        "turn": lambda: g.Transpose(a, perm=(0, 2, 1, 3)),
    }
    return steps[step]()


def moved(graph: Graph) -> int:
    """Elements that Transposes move, where they move more than axes of size one (one of unknown size is one)."""
    nodes = [node for node in graph.nodes() if node.op == "Transpose"]
    real = [node.output for node in nodes if not only_ones_move(node.inputs[0], node.attributes["perm"])]
    return sum(int(np.prod([d if isinstance(d, int) else 1 for d in value.shape])) for value in real)


picks = st.integers(0, 20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), picks, picks), min_size=1, max_size=12), st.booleans())
def test_any_net_computes_the_same_and_moves_no_more(recipe: list[tuple[str, int, int]], static: bool) -> None:
    graph = random_net(recipe, 2 if static else "batch")
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 3)).astype(np.float32)}
    before, expected = moved(graph), OnnxRuntime(graph).run(feed)
    interface = [(value.name, value.shape) for value in (*graph.inputs, *graph.outputs)]
    apply(compute_channels_first, graph)
    graph.check()
    assert [(value.name, value.shape) for value in (*graph.inputs, *graph.outputs)] == interface
    run(graph, [remove_identities, remove_dead_code])
    assert moved(graph) <= before
    run(graph, [compute_channels_first, remove_identities])
    assert not apply(compute_channels_first, graph)
    for name, actual in OnnxRuntime(graph).run(feed).items():
        assert_close(actual, expected[name], 1e-5)


def test_a_batch_without_a_size_stays_so() -> None:
    m = Last("batch", 9, 8, 3)
    m.g.graph.outputs = [flattened(m)]
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (3, 9, 8, 3)).astype(np.float32)}
    expected = OnnxRuntime(m.g.graph).run(feed)
    run(m.g.graph, COMMON, check=True)
    assert ops(m.g.graph)["Transpose"] == 1
    for name, actual in OnnxRuntime(m.g.graph).run(feed).items():
        assert_close(actual, expected[name], 1e-5)


def test_a_transformer_is_left_alone() -> None:
    """Keys are turned by the permutation that a channels-last source uses; nothing there has channels."""
    m = Last(2, 7, 6)
    q, k = m.dense(m.x, 6), m.dense(m.x, 6)
    scores = m.g.Softmax(m.g.Mul(m.g.MatMul(q, m.g.Transpose(k, perm=(0, 2, 1))), 0.4), axis=-1)
    m.g.graph.outputs = [m.g.MatMul(scores, m.x)]
    before = to_text(m.g.graph)
    assert not compute_channels_first(m.g.graph)
    assert to_text(m.g.graph) == before


def test_what_a_body_captures_keeps_its_axes() -> None:
    graph = parse("""
        graph g(c: bool[], x: float32[2x3x4x5]) -> y {
          a: float32[2x4x5x3] = Transpose(x) {perm: [0, 2, 3, 1]}
          b: float32[2x4x5x3] = Relu(a)
          y: float32[2x4x5x3] = If(c) {then_branch: graph t() -> p {
            p: float32[2x4x5x3] = Neg(b)
          }, else_branch: graph e() -> q {
            q: float32[2x4x5x3] = Abs(b)
          }}
          d: float32[2x3x4x5] = Transpose(b) {perm: [0, 3, 1, 2]}
        }""")
    graph.outputs.append(graph["d"])
    feed = {"c": np.array(True), "x": np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)}
    expected = OnnxRuntime(graph).run(feed)
    run(graph, [compute_channels_first, remove_identities], check=True)
    assert ops(graph)["Transpose"] == 1
    for name, actual in OnnxRuntime(graph).run(feed).items():
        assert_close(actual, expected[name], 0)


# ----------------------------------------------------------------------------- pads

PADS: dict[str, tuple[Callable[[Builder, Value], Value], int]] = {  # and how many Pads are left
    "zeros": (lambda g, x: g.Pad(x, [0, 0, 1, 2, 0, 0, 0, 3]), 0),
    "of listed axes": (lambda g, x: g.Pad(x, [1, 2], None, [-1]), 0),
    "of another number": (lambda g, x: g.Pad(x, [0, 0, 1, 2, 0, 0, 0, 3], 1.0), 1),
    "of channels": (lambda g, x: g.Pad(x, [0, 1, 1, 2, 0, 0, 0, 3]), 1),
    "that cut": (lambda g, x: g.Pad(x, [0, 0, 1, -1, 0, 0, 0, 3]), 1),
    "that reflect": (lambda g, x: g.Pad(x, [0, 0, 1, 2, 0, 0, 0, 3], mode="reflect"), 1),
}


@pytest.mark.parametrize("case", PADS)
def test_zeros_around_an_image_are_pads_of_the_convolution(case: str) -> None:
    g = Builder(Graph("pads"))
    x = g.graph.add_input("x", FLOAT, (2, 3, 6, 7))
    pad, left = PADS[case]
    y = pad(g, x)
    g.graph.outputs = [g.Conv(y, const((4, y.shape[1], 3, 3)), pads=[0, 1, 1, 0], strides=[2, 1])]
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (2, 3, 6, 7)).astype(np.float32)}
    expected = OnnxRuntime(g.graph).run(feed)
    run(g.graph, [fuse_pads, remove_dead_code], check=True)
    assert ops(g.graph)["Pad"] == left
    for name, actual in OnnxRuntime(g.graph).run(feed).items():
        assert_close(actual, expected[name], 1e-5)


def test_a_pad_that_others_read_stays() -> None:
    g = Builder(Graph("pads"))
    x = g.graph.add_input("x", FLOAT, (1, 3, 6, 7))
    y = g.Pad(x, [0, 0, 1, 1, 0, 0, 1, 1])
    g.graph.outputs = [g.Conv(y, const((4, 3, 3, 3))), g.Relu(y)]
    assert not fuse_pads(g.graph)


def test_convolutions_of_one_padded_image_share_the_pad(tmp_path: Path) -> None:
    m = Last(1, 9, 8, 3)
    x = m.g.Pad(m.x, [0, 2, 1, 0, 0, 0, 1, 0])
    m.g.graph.outputs = [m.mean(m.conv(x, channels, same=False)) for channels in (4, 5)]
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (1, 9, 8, 3)).astype(np.float32)}
    expected = OnnxRuntime(m.g.graph).run(feed)
    run(m.g.graph, COMMON)
    save(m.g.graph, tmp_path / "a.tflite")
    assert tflite_ops(tmp_path / "a.tflite") == {"PAD": 1, "CONV_2D": 2, "MEAN": 2}
    actual = LiteRT(tmp_path / "a.tflite").run(feed)
    for name, value in expected.items():
        assert_close(actual[name], value, 1e-5)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("is_output", [False, True])
def test_a_reduction_takes_in_the_reshape_of_its_axes(keepdims: int, batch: int | str, is_output: bool) -> None:
    g = Builder(Graph("reduced"))
    x = g.graph.add_input("x", FLOAT, (batch, 3, 4, 5))
    y = g.Reshape(g.ReduceMean(x, [-1, 2], keepdims=keepdims), [-1, 3] if keepdims else [-1, 3, 1, 1])
    g.graph.outputs = [y] if is_output else [g.Relu(y)]
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)}
    expected = OnnxRuntime(g.graph).run(feed)
    assert run(g.graph, [merge_reshapes], check=True)
    assert ops(g.graph)["Reshape"] == 0
    for name, actual in OnnxRuntime(g.graph).run(feed).items():
        assert_close(actual, expected[name], 0)


def test_a_reshape_that_orders_axes_otherwise_stays() -> None:
    g = Builder(Graph("reduced"))
    x = g.graph.add_input("x", FLOAT, (2, 3, 4, 5))
    g.graph.outputs = [g.Reshape(g.ReduceMean(x, [2, 3], keepdims=0), [2, 1, 1, 3])]
    assert not merge_reshapes(g.graph)


@pytest.mark.parametrize("read_twice", [False, True])
def test_the_addition_of_a_hard_sigmoid_is_in_the_bias(read_twice: bool, tmp_path: Path) -> None:
    m = Last(2, 9, 8, 3)
    x = m.conv(m.x, 4)
    y = m.g.HardSigmoid(x, alpha=1 / 6, beta=0.5)
    m.g.graph.outputs = [y, m.g.Neg(x)] if read_twice else [y]
    feed = {"x": np.random.default_rng(0).uniform(-9, 9, (2, 9, 8, 3)).astype(np.float32)}
    expected = OnnxRuntime(m.g.graph).run(feed)
    run(m.g.graph, COMMON)
    save(m.g.graph, tmp_path / "a.tflite")
    wanted = {"CONV_2D": 1, "ADD": 1, "MUL": 1, "NEG": 1} if read_twice else {"CONV_2D": 1, "MUL": 1}
    assert tflite_ops(tmp_path / "a.tflite") == wanted
    actual = LiteRT(tmp_path / "a.tflite").run(feed)
    for name, value in expected.items():
        assert_close(actual[name], value, 1e-5)


def test_an_activation_of_rows_is_in_the_convolution(tmp_path: Path) -> None:
    m = Last(2, 9, 3)
    m.g.graph.outputs = [m.g.Relu(m.conv(m.x, 4))]
    feed = {"x": np.random.default_rng(0).uniform(-1, 1, (2, 9, 3)).astype(np.float32)}
    expected = OnnxRuntime(m.g.graph).run(feed)
    run(m.g.graph, COMMON)
    save(m.g.graph, tmp_path / "a.tflite")
    assert tflite_ops(tmp_path / "a.tflite") == {"RESHAPE": 2, "CONV_2D": 1}
    assert_close(*LiteRT(tmp_path / "a.tflite").run(feed).values(), *expected.values(), 1e-5)
