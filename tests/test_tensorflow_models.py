"""Whole TensorFlow models, as TensorFlow saves them, to ONNX and TFLite against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import convert, load, open_model
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.options import TensorSpec
from tests.oracles import model

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
v1 = tf.compat.v1

Arrays = Mapping[str, np.ndarray]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_close(actual: np.ndarray, wanted: np.ndarray, rtol: float = 1e-5) -> None:
    assert actual.shape == wanted.shape
    scale = float(np.abs(wanted).max(initial=0))
    assert scale > 1e-6, "an output that vanishes shows nothing"
    error = float(np.abs(actual.astype(np.float64) - wanted).max(initial=0)) / scale
    assert error <= rtol, f"differs by {error:.2e} of the largest value"


def check(path: Path, feed: Arrays, expected: list[np.ndarray], targets: tuple[str, ...] = ("onnx", "tflite")) -> None:
    """Converts `path` and compares every output, in order, on every target."""
    for target in targets:
        out = path.parent / f"converted.{target}"
        shapes = {name: array.shape for name, array in feed.items()} if target == "tflite" else None
        convert(path, out, inputs=shapes, verify=False, force=True)
        found = open_model(out).run(feed)
        for actual, wanted in zip(found.values(), expected, strict=True):
            assert_close(actual, wanted)


def randomised(network: Any) -> Any:
    """Every variable gets a value that shows: biases and statistics are 0 and 1 by default."""
    rng = np.random.default_rng(1)
    for weight in network.weights:
        if "seed" in weight.path:
            continue
        low, high = (0.5, 1.5) if "variance" in weight.path or "gamma" in weight.path else (-0.5, 0.5)
        weight.assign(rng.uniform(low, high, weight.shape))
    return network


# ---------------------------------------------------- Keras models that are exported

layers = keras.layers


def classifier(layer: Any, length: int | None = 9) -> Any:
    return keras.Sequential([keras.Input((length, 5)), layer, layers.Dense(4, activation="softmax")])


def transformer() -> Any:
    tokens = keras.Input((8,), dtype="int32")
    x = layers.Embedding(20, 12)(tokens) + layers.Embedding(8, 12)(keras.ops.arange(8))
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(3, 4)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(12)(layers.Dense(24, activation="gelu")(x)))
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def unet() -> Any:
    image = keras.Input((16, 24, 3))
    a = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    b = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", strides=2)(a))
    c = layers.Conv2D(10, 3, padding="same", activation="relu")(layers.MaxPooling2D()(b))
    d = layers.Concatenate()([layers.Conv2DTranspose(8, 3, strides=2, padding="same")(c), b])
    e = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(d), a])
    return keras.Model(image, layers.Conv2D(2, 1, activation="sigmoid")(e))


def wavenet() -> Any:
    x = sound = keras.Input((40, 2))
    for rate in (1, 2, 4):
        gate = layers.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)
        signal = layers.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="tanh")(x)
        x = layers.Add()([layers.Conv1D(4, 1)(layers.Multiply()([gate, signal])), layers.Conv1D(4, 1)(x)])
    return keras.Model(sound, layers.Conv1D(3, 1)(x))


EXPORTED: dict[str, tuple[Callable[[], Any], Callable[[], np.ndarray]]] = {
    "lstm": (lambda: classifier(layers.LSTM(6)), lambda: random(1, 9, 5)),
    "gru": (lambda: classifier(layers.GRU(6)), lambda: random(1, 9, 5)),
    "gru reset before": (lambda: classifier(layers.GRU(6, reset_after=False)), lambda: random(1, 9, 5)),
    "bidirectional gru": (lambda: classifier(layers.Bidirectional(layers.GRU(6))), lambda: random(1, 9, 5)),
    "sequence lstm": (lambda: classifier(layers.LSTM(6, return_sequences=True)), lambda: random(1, 9, 5)),
    "transformer": (transformer, lambda: np.random.default_rng(0).integers(0, 20, (1, 8)).astype(np.int32)),
    "unet": (unet, lambda: random(1, 16, 24, 3)),
    "wavenet": (wavenet, lambda: random(1, 40, 2)),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_keras_models(name: str, tmp_path: Path) -> None:
    build, data = EXPORTED[name]
    network = randomised(build())
    network.export(tmp_path / "saved", verbose=False)
    feed = data()
    graph = load(tmp_path / "saved")
    expected = np.asarray(network(feed))
    check(tmp_path / "saved", {graph.inputs[0].name: feed}, [expected])


@pytest.mark.parametrize("name", ["lstm", "gru", "bidirectional gru", "sequence lstm"])
def test_recurrent_loops_become_recurrent_operators(name: str, tmp_path: Path) -> None:
    randomised(EXPORTED[name][0]()).export(tmp_path / "saved", verbose=False)
    convert(tmp_path / "saved", tmp_path / "net.onnx", verify=False)
    ops = [node.op for node in load(tmp_path / "net.onnx").nodes()]
    assert "Loop" not in ops
    assert {"LSTM", "GRU"} & set(ops)


def test_dynamic_batch_and_length(tmp_path: Path) -> None:
    """One ONNX file computes every size."""
    network = randomised(classifier(layers.Bidirectional(layers.LSTM(6)), length=None))
    network.export(tmp_path / "saved", verbose=False)
    convert(tmp_path / "saved", tmp_path / "net.onnx", verify=False)
    runtime = open_model(tmp_path / "net.onnx")
    for batch, length in ((1, 1), (3, 7), (2, 30)):
        feed = random(batch, length, 5, seed=length)
        (found,) = runtime.run({runtime.inputs[0].name: feed}).values()
        assert_close(found, np.asarray(network(feed)))


# -------------------------------------------------------------------- other models


class Module(tf.Module):
    """Variables of one name, two signatures, a function in a function."""

    def __init__(self) -> None:
        super().__init__()
        self.w = [tf.Variable(random(4, 4, seed=i), name="w") for i in range(3)]
        self.offset = tf.Variable(random(4, seed=7), name="offset")

    @tf.function
    def inner(self, x: Any) -> Any:
        for w in self.w:
            x = tf.tanh(x @ w)
        return x

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def first(self, x: Any) -> Any:
        return {"y": self.inner(x) + self.offset, "squares": tf.reduce_sum(x * x, 1)}

    @tf.function(input_signature=[tf.TensorSpec([2, 4], tf.float32, "a"), tf.TensorSpec([4], tf.float32, "b")])
    def second(self, a: Any, b: Any) -> Any:
        return {"z": tf.maximum(a, b) - self.offset}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("module")
    made = Module()
    tf.saved_model.save(made, str(folder / "saved"), {"serving_default": made.first, "other": made.second})
    return made, folder / "saved"


def test_module(module: tuple[Any, Path]) -> None:
    made, path = module
    x = random(1, 4)
    wanted = made.first(tf.constant(x))
    graph = load(path)
    assert [value.name for value in graph.inputs] == ["x"]
    check(path, {"x": x}, [wanted[value.name].numpy() for value in graph.outputs])


def test_signature(module: tuple[Any, Path]) -> None:
    path = module[1]
    graph = load(path, signature="other")
    assert ([v.name for v in graph.inputs], [v.name for v in graph.outputs]) == (["a", "b"], ["z"])
    with pytest.raises(ConversionError, match=r"no signature 'third'.*other, serving_default"):
        load(path, signature="third")


def test_tag(module: tuple[Any, Path]) -> None:
    assert load(module[1], tag="serve").outputs
    with pytest.raises(ConversionError, match=r"no graph is tagged 'train'"):
        load(module[1], tag="train")


def network_of_tf1(x: Any) -> Any:
    """Conv, batch norm, dynamic branches: as TF 1's layers wrote them, with reference variables."""
    w = v1.get_variable("w", initializer=tf.constant(random(3, 3, 3, 5)), use_resource=False)
    gamma = v1.get_variable("gamma", initializer=tf.constant(random(5, seed=1)), use_resource=False)
    dense = v1.get_variable(
        "dense", initializer=tf.constant(random(80, 6, seed=2)), use_resource=False,
        partitioner=v1.fixed_size_partitioner(3, axis=0),
    )  # fmt: skip
    y = tf.nn.conv2d(x, w, 2, "SAME")
    y = v1.nn.fused_batch_norm(y, gamma, gamma * 0.5, gamma * 0.1, tf.abs(gamma) + 0.5, is_training=False)[0]
    training = v1.placeholder_with_default(False, [], "training")
    y = v1.cond(training, lambda: y * 0.0, lambda: tf.nn.relu6(y))
    return v1.nn.softmax(tf.reshape(y, [-1, 80]) @ tf.convert_to_tensor(dense), name="result")


def session_of_tf1(build: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    with tf.Graph().as_default() as graph:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, 8, 8, 3], "x")
        y = build(x)
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
        v1.enable_control_flow_v2()
    return session, x, y


@pytest.mark.parametrize("kind", ["frozen.pb", "frozen.pbtxt", "net.meta", "saved"])
def test_models_of_tf1(kind: str, tmp_path: Path) -> None:
    session, x, y = session_of_tf1(network_of_tf1)
    feed = random(1, 8, 8, 3, seed=5)
    expected = session.run(y, {x: feed})
    with session.graph.as_default():
        if kind.startswith("frozen"):
            frozen = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["result"])
            tf.io.write_graph(frozen, str(tmp_path), kind, as_text=kind.endswith("txt"))
        elif kind == "net.meta":
            v1.train.Saver().save(session, str(tmp_path / "net"))
        else:
            v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"x": x}, {"y": y})
    if kind == "net.meta":
        graph = load(tmp_path / kind, outputs=["result"])
        assert "training" in [v.name for v in graph.inputs] or len(graph.inputs) == 1
    check(tmp_path / kind, {"x": feed}, [expected])


def test_what_can_not_be_read_is_told_at_once(tmp_path: Path) -> None:
    def build(x: Any) -> Any:
        files = v1.py_func(lambda a: a, [x], tf.float32) + tf.strings.to_number(tf.io.read_file("secret"))
        tf.io.write_file("written", "x")
        return tf.identity(tf.raw_ops.BesselI0e(x=files), "result")

    session, _, _ = session_of_tf1(build)
    tf.io.write_graph(session.graph.as_graph_def(), str(tmp_path), "bad.pb", as_text=False)
    with pytest.raises(UnsupportedError) as caught:
        load(tmp_path / "bad.pb", outputs=["result"])
    assert any("PyFunc" in str(problem) for problem in caught.value.problems)
    assert any("ReadFile" in str(problem) for problem in caught.value.problems)


# ------------------------------------------------------------------ shared models


def test_kws_saved_model() -> None:
    path = model("tf/kws_saved_model")
    feed = random(1, 49, 10, 1)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    (expected,) = served(tf.constant(feed)).values()
    graph = load(path)
    converted(path, {graph.inputs[0].name: feed}, expected.numpy())


def test_kws_frozen_graph() -> None:
    """It takes the text of a wav file; from the first tensor after the feature extraction it is a network."""
    path = model("tf/kws_ds_cnn_s_frozen.pb")
    definition = v1.GraphDef.FromString(path.read_bytes())
    mfcc = next(node for node in definition.node if node.op == "Mfcc").name
    reader = next(node for node in definition.node if any(item.startswith(mfcc) for item in node.input))
    feed = random(1, 49, 10) if reader.op == "Reshape" else random(1, 490)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with v1.Session(graph=graph) as session:
            expected = session.run("labels_softmax:0", {f"{mfcc}:0": feed})
    converted(path, {mfcc: feed}, expected)


def converted(path: Path, feed: Arrays, expected: np.ndarray) -> None:
    import tempfile

    inputs = {name: TensorSpec(array.shape) for name, array in feed.items()}
    for target in ("onnx", "tflite"):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"out.{target}"
            convert(path, out, inputs=inputs, verify=False)
            (found,) = open_model(out).run(feed).values()
            assert_close(found, expected)
