"""Networks as people write them, saved by TensorFlow, in several sizes through one ONNX file, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import convert, load, open_model
from netglot.ir.graph import Graph

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

Arrays = Mapping[str, np.ndarray]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def lengths(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def assert_equal(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    assert len(found) == len(wanted)
    for actual, expected in zip(found, wanted, strict=True):
        assert actual.shape == expected.shape
        if expected.dtype.kind != "f":
            np.testing.assert_array_equal(actual, expected)
            continue
        scale = float(np.abs(expected).max(initial=1e-6))
        np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=1e-5)


def through_onnx(path: Path, feeds: Sequence[Arrays], wanted: Sequence[Sequence[np.ndarray]], **options: Any) -> Graph:
    """The graph of the ONNX file, which was found equal for every feed."""
    out = path.parent / "converted.onnx"
    convert(path, out, verify=False, force=True, **options)
    runtime = open_model(out)
    names = [value.name for value in runtime.inputs]
    for feed, expected in zip(feeds, wanted, strict=True):
        assert_equal(list(runtime.run({name: feed[name] for name in names}).values()), expected)
    return load(out)


def through(path: Path, target: str, feed: Arrays, wanted: Sequence[np.ndarray]) -> None:
    """The file of `target`, made for the sizes of `feed`, is equal."""
    out = path.parent / f"converted.{target}"
    shapes = {name: array.shape for name, array in feed.items()}
    convert(path, out, inputs=shapes, verify=False, force=True)
    runtime = open_model(out)
    assert_equal(list(runtime.run({value.name: feed[value.name] for value in runtime.inputs}).values()), wanted)


def ops(graph: Graph) -> set[str]:
    return {node.op for node in graph.nodes()}


# ------------------------------------------------------------------------ of TF 1


def variable(name: str, *shape: int, seed: int = 0, scale: float = 0.5) -> Any:
    return v1.get_variable(name, initializer=tf.constant(random(*shape, seed=seed) * np.float32(scale)))


def batch_norm(x: Any, name: str, training: Any) -> Any:
    """As slim writes it: a fused operator in each branch of a condition on a placeholder."""
    channels = x.shape[-1]
    gamma, beta = variable(f"{name}/gamma", channels), variable(f"{name}/beta", channels, seed=1)
    mean = variable(f"{name}/mean", channels, seed=2)
    variance = v1.get_variable(f"{name}/variance", initializer=tf.constant(random(channels, seed=3) ** 2 + 0.5))
    norm = v1.nn.fused_batch_norm
    return v1.cond(
        training,
        lambda: norm(x, gamma, beta, is_training=True)[0],
        lambda: norm(x, gamma, beta, mean, variance, is_training=False)[0],
    )


def mobilenet(image: Any) -> Any:
    training = v1.placeholder_with_default(False, [], "is_training")
    x = tf.pad(image, [[0, 0], [0, 1], [0, 1], [0, 0]])
    x = tf.nn.conv2d(x, variable("conv", 3, 3, 3, 8), 2, "VALID")
    x = tf.nn.relu6(batch_norm(x, "bn0", training))
    expanded = tf.nn.relu6(batch_norm(tf.nn.conv2d(x, variable("expand", 1, 1, 8, 12), 1, "SAME"), "bn1", training))
    deep = tf.nn.depthwise_conv2d(expanded, variable("deep", 3, 3, 12, 1), [1, 1, 1, 1], "SAME")
    deep = tf.nn.relu6(batch_norm(deep, "bn2", training))
    x += batch_norm(tf.nn.conv2d(deep, variable("project", 1, 1, 12, 8), 1, "SAME"), "bn3", training)
    x = tf.reduce_mean(x, [1, 2], keepdims=True)
    x = tf.nn.bias_add(tf.nn.conv2d(x, variable("logits", 1, 1, 8, 5), 1, "SAME"), variable("bias", 5))
    return v1.nn.softmax(tf.squeeze(x, [1, 2]))


def cells() -> Any:
    return pytest.importorskip("tf_keras.src.layers.rnn.legacy_cells")


def dynamic(make: Callable[[Any], Any]) -> Callable[..., Any]:
    def build(x: Any, sizes: Any = None) -> Any:
        cell = make(cells())
        outputs, state = v1.nn.dynamic_rnn(cell, x, sequence_length=sizes, dtype=tf.float32)
        return [outputs, *tf.nest.flatten(state)]

    return build


def time_major(x: Any, sizes: Any) -> Any:
    """Two unknown first axes that differ: the steps, and the sequences."""
    cell = cells().GRUCell(4)
    outputs, state = v1.nn.dynamic_rnn(cell, x, sequence_length=sizes, dtype=tf.float32, time_major=True)
    return [outputs, state]


def both_ways(x: Any, sizes: Any) -> Any:
    make = cells().BasicLSTMCell
    outputs, _ = v1.nn.bidirectional_dynamic_rnn(make(4), make(3), x, sizes, dtype=tf.float32)
    return list(outputs)


def static(x: Any) -> Any:
    outputs, _ = v1.nn.static_rnn(cells().BasicLSTMCell(4), tf.unstack(x, axis=1), dtype=tf.float32)
    return [tf.stack(outputs, 1)]


def stacked(x: Any) -> Any:
    cell = cells().MultiRNNCell([cells().GRUCell(4), cells().BasicLSTMCell(3)])
    return [v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]]


def decoder(x: Any) -> Any:
    """Greedy: the best word of a step is the input of the next one, until all have ended."""
    words, start, weights = variable("words", 7, 4), variable("start", 3, 4), variable("weights", 8, 4, scale=2)
    head = variable("head", 4, 7, scale=2)
    state = tf.tanh(x @ start)
    batch = tf.shape(x)[0]

    def going_on(step: Any, state: Any, word: Any, ended: Any, said: Any) -> Any:
        return tf.logical_and(step < 6, tf.logical_not(tf.reduce_all(ended)))

    def next_word(step: Any, state: Any, word: Any, ended: Any, said: Any) -> Any:
        state = tf.tanh(tf.concat([tf.gather(words, word), state], 1) @ weights)
        best = tf.argmax(state @ head, 1, output_type=tf.int32)
        best = tf.where(ended, tf.zeros_like(best), best)
        said = tf.concat([said, best[:, None]], 1)
        return step + 1, state, best, tf.logical_or(ended, tf.equal(best, 0)), said

    first = [
        tf.constant(0),
        state,
        tf.ones([batch], tf.int32),
        tf.zeros([batch], tf.bool),
        tf.zeros([batch, 0], tf.int32),
    ]
    free = [tf.TensorShape(item) for item in ([], [None, 4], [None], [None], [None, None])]
    return [v1.while_loop(going_on, next_word, first, free)[4]]


def session_of(build: Callable[..., Any], places: Mapping[str, tuple[Any, Any]]) -> tuple[Any, Any, list[Any]]:
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(1)
        v1.disable_control_flow_v2()
        inputs = {name: v1.placeholder(dtype, shape, name) for name, (dtype, shape) in places.items()}
        with v1.variable_scope("", initializer=v1.random_uniform_initializer(-0.7, 0.7, seed=3), use_resource=False):
            results = build(**inputs)
        results = results if isinstance(results, list) else [results]
        results = [tf.identity(item, f"result_{k}") for k, item in enumerate(results)]
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
        v1.enable_control_flow_v2()
    return session, inputs, results


TWO_SIZES = [{"x": random(1, 6, 5)}, {"x": random(3, 2, 5)}]
X3 = (tf.float32, [None, None, 5])
SEQUENCES = {"x": X3, "sizes": (tf.int32, [None])}
OF_TF1: dict[str, tuple[Callable[..., Any], dict[str, Any], list[dict[str, np.ndarray]], str]] = {
    "mobilenet": (
        mobilenet, {"image": (tf.float32, [None, 16, 16, 3])},
        [{"image": random(1, 16, 16, 3)}, {"image": random(3, 16, 16, 3)}], "",
    ),
    "lstm": (dynamic(lambda c: c.BasicLSTMCell(4)), {"x": X3}, TWO_SIZES, "LSTM"),
    "lstm with lengths": (
        dynamic(lambda c: c.BasicLSTMCell(4, forget_bias=0.5)), SEQUENCES,
        [{"x": random(2, 6, 5), "sizes": lengths(6, 3)}, {"x": random(3, 4, 5), "sizes": lengths(1, 4, 2)}], "",
    ),
    "peepholes": (
        dynamic(lambda c: c.LSTMCell(4, use_peepholes=True)), {"x": X3}, TWO_SIZES, "",
    ),
    "projection": (dynamic(lambda c: c.LSTMCell(4, num_proj=3)), {"x": X3}, [{"x": random(3, 2, 5)}], ""),
    "gru": (dynamic(lambda c: c.GRUCell(4)), {"x": X3}, TWO_SIZES, "GRU"),
    "gru with lengths": (
        dynamic(lambda c: c.GRUCell(4)), SEQUENCES,
        [{"x": random(2, 6, 5), "sizes": lengths(6, 3)}, {"x": random(3, 4, 5), "sizes": lengths(1, 4, 2)}], "",
    ),
    "rnn": (dynamic(lambda c: c.BasicRNNCell(4)), {"x": X3}, TWO_SIZES, ""),
    "time major": (
        time_major, SEQUENCES,
        [{"x": random(6, 2, 5), "sizes": lengths(6, 3)}, {"x": random(4, 3, 5), "sizes": lengths(1, 4, 2)}], "",
    ),
    "bidirectional": (
        both_ways, SEQUENCES,
        [{"x": random(2, 6, 5), "sizes": lengths(6, 3)}, {"x": random(3, 4, 5), "sizes": lengths(1, 4, 2)}], "",
    ),
    "static": (static, {"x": (tf.float32, [None, 4, 5])}, [{"x": random(1, 4, 5)}, {"x": random(3, 4, 5)}], ""),
    "stacked": (stacked, {"x": X3}, TWO_SIZES, ""),
    "decoder": (decoder, {"x": (tf.float32, [None, 3])}, [{"x": random(2, 3)}, {"x": random(5, 3, seed=4)}], "Loop"),
}  # fmt: skip


NOT_IN_TFLITE = {"sizes"}  # a loop that ends before its list is full: tflite has no ScatterND


@pytest.mark.parametrize("saved", ["frozen", "saved"])
@pytest.mark.parametrize("name", OF_TF1)
def test_network_of_tf1(name: str, saved: str, tmp_path: Path) -> None:
    build, places, feeds, op = OF_TF1[name]
    session, inputs, results = session_of(build, places)
    wanted = [session.run(results, {inputs[key]: array for key, array in feed.items()}) for feed in feeds]
    names = [item.name.removesuffix(":0") for item in results]
    if saved == "frozen":
        graph = session.graph.as_graph_def()
        frozen = v1.graph_util.convert_variables_to_constants(session, graph, names)
        path = tmp_path / "frozen.pb"
        path.write_bytes(frozen.SerializeToString())
    else:
        path = tmp_path / "saved"
        with session.graph.as_default():
            v1.saved_model.simple_save(session, str(path), inputs, dict(zip(names, results, strict=True)))
    graph = through_onnx(path, feeds, wanted, outputs=tuple(names))
    assert not op or op in ops(graph)
    if saved == "frozen" and not NOT_IN_TFLITE & set(places) and name != "decoder":
        through(path, "tflite", feeds[-1], wanted[-1])


# ------------------------------------------------------------------------ of TF 2

ROWS = [tf.TensorSpec([None, 3], tf.float32, "x")]


def exits_early(x: Any) -> Any:
    total = tf.zeros_like(x[0])
    for row in x:
        if tf.reduce_sum(row) < -2.0:
            continue
        total += row
        if tf.reduce_sum(total) > 3.0:
            break
    return total


def until_small(x: Any) -> Any:
    steps = tf.constant(0)
    while tf.reduce_max(tf.abs(x)) > 0.3:
        x = x * 0.7 if steps % 2 == 0 else x - 0.1 * x
        steps += 1
    return x, steps


def mapped(x: Any) -> Any:
    return tf.map_fn(lambda row: tf.nn.softmax(row) * tf.reduce_max(row), x)


def scanned(x: Any) -> Any:
    return tf.scan(lambda a, row: 0.5 * a + row, x), tf.scan(lambda a, row: a + row, x, reverse=True)


def folded(x: Any) -> Any:
    return tf.foldl(lambda a, row: tf.sin(a) + row, x), tf.foldr(lambda a, row: tf.sin(a) + row, x)


def vectorized(x: Any) -> Any:
    return tf.vectorized_map(lambda row: tf.tensordot(row, row, 1) + row, x)


def boxes(x: Any) -> Any:
    """The end of a detector: centers and sizes to corners, the best that do not overlap, in order."""
    center, size = x * 2, tf.abs(x) + 0.5
    corners = tf.concat([center[:, :2] - size[:, :2], center[:, :2] + size[:, :2]], 1)
    scores = tf.sigmoid(x[:, 2])
    kept = tf.image.non_max_suppression(corners, scores, 4, 0.4, 0.3)
    return tf.gather(corners, kept), tf.gather(scores, kept), tf.size(kept)


def grown(x: Any) -> Any:
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=[3])
    for k in tf.range(tf.shape(x)[0] + 2):
        array = array.write(k, x[k % tf.shape(x)[0]] * tf.cast(k, tf.float32))
    return array.stack()


FUNCTIONS = [exits_early, until_small, mapped, scanned, folded, vectorized, boxes, grown]


@pytest.mark.parametrize("form", ["saved", "functional", "lowered"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda item: item.__name__)
def test_control_flow_of_python(function: Callable[[Any], Any], form: str, tmp_path: Path) -> None:
    """As a SavedModel; frozen with While and If; frozen with what TensorFlow runs, Switch and Merge."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    module = tf.Module()
    module.scale = tf.Variable([1.5, 0.5, 1.0])

    def serve(x: Any) -> dict[str, Any]:
        results = function(x * module.scale)
        return {f"y{k}": item for k, item in enumerate(results if isinstance(results, tuple) else (results,))}

    module.serve = tf.function(serve, input_signature=ROWS)
    feeds = [{"x": random(rows, 3, seed=rows)} for rows in (1, 4, 7)]
    answers = [module.serve(tf.constant(feed["x"])) for feed in feeds]
    wanted = [[np.asarray(answer[key]) for key in sorted(answer)] for answer in answers]
    if form == "saved":
        tf.saved_model.save(module, str(tmp_path / "saved"), module.serve)
        through_onnx(tmp_path / "saved", feeds, wanted)
        return
    concrete = module.serve.get_concrete_function()
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=form == "lowered")
    path = tmp_path / "frozen.pb"
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    through_onnx(path, feeds, wanted, outputs=tuple(item.name.removesuffix(":0") for item in frozen.outputs))
