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
