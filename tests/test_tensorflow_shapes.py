"""Shape arithmetic of TensorFlow disappears while the graph is read, also where the batch has no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.frontends.folding import FoldingBuilder
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime


def frozen(function: Callable[[Any], Any], shape: tuple[int | None, ...], feed: np.ndarray, folder: Path) -> Graph:
    """The function of one input "x" as it is read, proven on `feed`."""
    tf = pytest.importorskip("tensorflow")
    specs = [tf.TensorSpec(shape, feed.dtype, name="x")]
    concrete = tf.function(lambda x: tf.identity(function(x), name="y"), specs, autograph=False).get_concrete_function()
    (folder / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    graph = load(folder / "graph.pb", outputs=["y"])
    found = OnnxRuntime(graph).run({"x": feed})["y"]
    np.testing.assert_allclose(found, concrete(tf.constant(feed)).numpy(), rtol=1e-5, atol=1e-6)
    return graph


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, shape).astype(np.float32)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes() if node.op != "Identity"]


def heads(x: Any) -> Any:
    """As attention does it: the batch is read, two sizes are known, the last is computed."""
    import tensorflow as tf

    return tf.reshape(x, tf.stack([tf.shape(x)[0], -1, 7]))


def known(x: Any) -> Any:
    import tensorflow as tf

    return tf.reshape(x, [tf.shape(x)[0], tf.reduce_prod(tf.shape(x)[1:])])


def flattened_and_back(x: Any) -> Any:
    """As dense layers on sequences do it: the batch gets lost in -1 and comes back."""
    import tensorflow as tf

    flat = tf.nn.relu(tf.reshape(x, [-1, 15]))
    return tf.reshape(flat, [tf.shape(flat)[0], 3, 5])


def of_slices(x: Any) -> Any:
    import tensorflow as tf

    batch, rest = tf.split(tf.shape(x, out_type=tf.int64), [1, -1])
    return tf.reshape(x, tf.concat([batch, tf.reverse(rest, [0])], 0))


def computed(x: Any) -> Any:
    import tensorflow as tf

    height, width, channels = tf.unstack(tf.shape(x)[1:])
    return tf.reshape(x, [-1, height // 2, 2, width * channels])


@pytest.mark.parametrize(
    ("function", "shape", "feed"),
    [
        (heads, (None, 7, 4), image(3, 7, 4)),
        (known, (None, 3, 5), image(2, 3, 5)),
        (flattened_and_back, (None, 3, 5), image(2, 3, 5)),
        (of_slices, (None, 3, 5), image(2, 3, 5)),
        (computed, (None, 4, 3, 5), image(2, 4, 3, 5)),
    ],
    ids=lambda item: item.__name__ if callable(item) else "",
)
def test_shape_arithmetic_leaves_constant_reshapes(
    function: Callable[[Any], Any], shape: tuple[int | None, ...], feed: np.ndarray, tmp_path: Path
) -> None:
    graph = frozen(function, shape, feed, tmp_path)
    assert set(ops(graph)) <= {"Reshape", "Relu"}
    reshapes = [node for node in graph.nodes() if node.op == "Reshape"]
    assert all(value is not None and value.is_constant for node in reshapes for value in node.inputs[1:])
    assert graph.outputs[0].shape[0] == "batch"


def test_slices_and_ranges_follow_the_names_of_sizes(tmp_path: Path) -> None:
    import_tf = pytest.importorskip("tensorflow")

    def function(x: Any) -> Any:
        whole = import_tf.slice(x, [0, 1], [import_tf.shape(x)[0], 2])
        return whole + import_tf.cast(import_tf.range(import_tf.shape(x)[0]), "float32")[:, None]

    graph = frozen(function, (None, 3), image(5, 3), tmp_path)
    assert graph.outputs[0].shape == ("batch", 2)
    assert ops(graph).count("Slice") == 2  # of x, and of its shape for the range
    assert "Concat" not in ops(graph)


def test_two_unknown_sizes_are_taken_from_the_tensor(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    graph = frozen(lambda x: tf.reshape(x, tf.reverse(tf.shape(x), [0])), (None, None), image(3, 5), tmp_path)
    assert graph.outputs[0].shape == ("x_1", "batch")


def test_matrices_are_not_followed_as_lists() -> None:
    """Columns joined side by side are no list of all their elements."""
    g = FoldingBuilder()
    column = g.constant(np.array([[1], [2], [3]]))
    assert g.Concat(column, column, axis=1).array.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert g.Mul(column, np.array([[1, 10, 100]])).array.tolist() == [[1, 10, 100], [2, 20, 200], [3, 30, 300]]


def test_numbers_that_their_type_can_not_hold_wrap_around() -> None:
    g = FoldingBuilder()
    assert g.Cast(g.constant(np.array([300, -1])), to=2).array.tolist() == [44, 255]
    big = g.constant(np.array([2**30], np.int32))
    assert g.Mul(big, np.array([4], np.int32)).array.tolist() == [0]


def test_first_axes_of_two_inputs_need_not_be_equal(tmp_path: Path) -> None:
    """Steps and sequences, rows and boxes: the size of one may not be taken for that of the other."""
    tf = pytest.importorskip("tensorflow")

    def function(x: Any, y: Any) -> Any:
        return tf.reshape(y, [tf.shape(x)[0], -1], name="z"), tf.fill([tf.shape(y)[0]], tf.shape(x)[0], name="n")

    specs = [tf.TensorSpec((None, 3), tf.float32, "x"), tf.TensorSpec((None, 6), tf.float32, "y")]
    concrete = tf.function(function, specs, autograph=False).get_concrete_function()
    (tmp_path / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    runtime = OnnxRuntime(load(tmp_path / "graph.pb", outputs=["z", "n"]))
    for rows, others in ((2, 4), (3, 3), (6, 1)):
        feed = {"x": image(rows, 3), "y": image(others, 6)}
        found = runtime.run(feed)
        for actual, wanted in zip(found.values(), concrete(**feed), strict=True):
            np.testing.assert_array_equal(actual, np.asarray(wanted))


def test_parts_of_lists_are_those_that_are_computed() -> None:
    """Slices that begin or end outside of a list, lists of nothing, quotients of big and of negative numbers."""
    g, plain = FoldingBuilder(), np.arange(5)
    data = g.constant(plain)
    assert g.Slice(data, [0], [-9], [0]).array.tolist() == []
    assert g.Slice(data, [4], [-9], [0], [-2]).array.tolist() == [4, 2, 0]
    assert g.Slice(data, [-9], [3], [0]).array.tolist() == [0, 1, 2]
    assert g.Mul(np.empty(0, np.int64), np.empty(0, np.int64)).array.size == 0
    big = 2**60 + 1
    assert g.Div(np.array([-7, 7, big]), np.array([2, -2, 1])).array.tolist() == [-3, -3, big]


def test_an_upper_limit_of_a_size_and_something_above_it_is_that_size() -> None:
    g = FoldingBuilder()
    x = g.graph.add_input("x", np.dtype(np.float32), ("steps",))
    steps = g.Reshape(g.Shape(x), np.empty(0, np.int64))
    assert g.contents(g.Min(steps, g.Max(np.array(1), steps))) == ("steps",)
    assert g.contents(g.Max(np.array(1), steps)) is None
    assert g.contents(g.Min(steps, g.Max(np.array(1), np.array(7)))) is None


def sizes_of(tf: Any, rng: np.random.Generator, tensors: list[Any]) -> Any:
    """A number from the shapes of tensors, by a few random steps."""
    pick = tensors[rng.integers(len(tensors))]
    shape = tf.shape(pick, out_type=[tf.int32, tf.int64][rng.integers(2)])
    step = rng.integers(9)
    rank = len(pick.shape)
    at = int(rng.integers(rank))
    if step == 0:
        size = tf.reduce_prod(shape[at:])
    elif step == 1:
        size = tf.size(pick)
    elif step == 2:
        size = tf.gather(tf.reverse(shape, [0]), at)
    elif step == 3:
        size = tf.reduce_max(tf.concat([shape, shape[:1] + 1], 0))
    elif step == 4:
        size = tf.squeeze(tf.slice(shape, [at], [1]))
    elif step == 5:
        size = shape[at] * 2 // 2 - 1 + 1
    elif step == 6:
        size = tf.minimum(shape[at], tf.maximum(shape[0], shape[at]))
    elif step == 7:
        size = tf.unstack(shape)[at] % 3 + 1
    else:
        size = (shape[at] + 3) // 2
    return tf.cast(size, tf.int32)


def changed(tf: Any, rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    """x in another shape, which is computed from the shapes of all."""
    n, rank, step = sizes_of(tf, rng, tensors), len(x.shape), rng.integers(9)
    shape = tf.shape(x)
    if step == 0:
        return tf.reshape(x, tf.concat([shape[:1], [-1]], 0))
    if step == 1:
        return tf.reshape(x, tf.reverse(shape, [0]))
    if step == 2:
        return tf.tile(x, tf.concat([[n % 3 + 1], tf.ones([rank - 1], tf.int32)], 0))
    if step == 3:
        return tf.concat([x, tf.fill(shape, 0.5)], rank - 1)
    if step == 4:
        return tf.reshape(x, [-1])[: n + 1][None]
    if step == 5:
        return x[..., tf.newaxis] + tf.cast(tf.range(n % 7), tf.float32)
    if step == 6:
        return tf.reshape(x, tf.stack([tf.reduce_prod(shape[:-1]), shape[-1]]))
    if step == 7:
        return tf.transpose(x) * tf.cast(n, tf.float32)
    return tf.broadcast_to(x[:1], tf.concat([[n], shape[1:]], 0)) if rank > 1 else x


@pytest.mark.parametrize("seed", range(40))
def test_random_shape_arithmetic(seed: int, tmp_path: Path) -> None:
    """One file, several sizes of two inputs that need not agree; what is said of a shape holds."""
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(seed)

    def function(x: Any, y: Any) -> Any:
        tensors = [x, y]
        for _ in range(4):
            tensors.append(changed(tf, rng, tensors[rng.integers(len(tensors))], tensors))
        sizes = tf.stack([sizes_of(tf, rng, tensors) for _ in range(3)])
        return [tf.identity(item, f"z{k}") for k, item in enumerate([*tensors[2:], sizes])]

    specs = [tf.TensorSpec((None, 3), tf.float32, "x"), tf.TensorSpec((None, None, 2), tf.float32, "y")]
    concrete = tf.function(function, specs, autograph=False).get_concrete_function()
    (tmp_path / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    names = [f"z{k}" for k in range(5)]
    graph = load(tmp_path / "graph.pb", outputs=names)
    runtime = OnnxRuntime(graph)
    for rows, steps, others in ((1, 1, 1), (2, 5, 4), (4, 2, 3)):
        feed = {"x": image(rows, 3), "y": image(others, steps, 2)}
        known = {"batch": rows, "y_0": others, "y_1": steps}
        wanted = [np.asarray(item) for item in concrete(**feed)]
        found = runtime.run({value.name: feed[value.name] for value in graph.inputs})
        for value, expected in zip(graph.outputs, wanted, strict=True):
            np.testing.assert_allclose(found[value.name], expected, rtol=1e-5, atol=1e-6)
            said = [known.get(dim, dim) for dim in value.shape or ()]
            assert all(dim is None or dim == size for dim, size in zip(said, expected.shape, strict=False))
