"""Loops, branches and lists of tensors, of TensorFlow 1 and 2, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import UnsupportedError
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

Arrays = Mapping[str, np.ndarray]


def of_function(function: Callable[..., Any], feed: Arrays, path: Path, shapes: Mapping[str, Any] = {}) -> Graph:
    """The graph of a function of TF 2, read from a file, after it was found equal."""
    specs = [tf.TensorSpec(shapes.get(name, array.shape), array.dtype, name=name) for name, array in feed.items()]
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    (path / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    expected = concrete(**{name: tf.constant(array) for name, array in feed.items()})
    expected = [expected] if tf.is_tensor(expected) else list(expected)
    names = [tensor.name.removesuffix(":0") for tensor in concrete.outputs]
    return compared(path / "graph.pb", names, [np.asarray(item) for item in expected], feed)


def of_session(build: Callable[..., Any], feed: Arrays, path: Path) -> Graph:
    """The graph that `build` makes in TF 1's way, read from a file, after it was found equal."""
    with tf.Graph().as_default() as graph:
        v1.disable_control_flow_v2()
        places = {name: v1.placeholder(array.dtype, array.shape, name) for name, array in feed.items()}
        results = build(**places)
        results = [tf.identity(item) for item in (results if isinstance(results, (list, tuple)) else [results])]
        v1.enable_control_flow_v2()
        with v1.Session() as session:
            expected = session.run(results, {places[name]: array for name, array in feed.items()})
    (path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    ops = {node.op for node in graph.as_graph_def().node}
    assert ops & {"Merge", "TensorArrayV3"}, "this is not the control flow of TF 1"
    return compared(path / "graph.pb", [item.name.removesuffix(":0") for item in results], expected, feed)


def compared(path: Path, names: list[str], expected: list[np.ndarray], feed: Arrays) -> Graph:
    graph = load(path, outputs=names)
    graph.check()
    found = OnnxRuntime(graph).run({value.name: feed[value.name] for value in graph.inputs})
    for name, wanted in zip(names, expected, strict=True):
        assert found[name].dtype == wanted.dtype
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)
    return graph


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes()]


X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
POSITIVE, NEGATIVE = np.float32(2.5), np.float32(-1.5)


# ------------------------------------------------------------------------ branches


@pytest.mark.parametrize("p", [POSITIVE, NEGATIVE])
def test_cond(p: np.float32, tmp_path: Path) -> None:
    def function(x: Any, p: Any) -> Any:
        return tf.cond(p > 0, lambda: (x * p, x + 1.0), lambda: (x - p, x * x))

    assert "If" in ops(of_function(function, {"x": X, "p": np.array(p)}, tmp_path))


@pytest.mark.parametrize("p", [POSITIVE, NEGATIVE])
def test_cond_of_tf1(p: np.float32, tmp_path: Path) -> None:
    def build(x: Any, p: Any) -> Any:
        return v1.cond(p > 0, lambda: (x * p, x + 1.0), lambda: (x - p, tf.ones([5, 3])))

    assert "If" in ops(of_session(build, {"x": X, "p": np.array(p)}, tmp_path))


@pytest.mark.parametrize("p", [np.float32(-1), np.float32(0.5), np.float32(3)])
def test_nested_cond_of_tf1(p: np.float32, tmp_path: Path) -> None:
    def build(x: Any, p: Any) -> Any:
        return v1.cond(p > 0, lambda: v1.cond(p > 1, lambda: x * 2.0, lambda: x * p) + 1.0, lambda: -x)

    of_session(build, {"x": X, "p": np.array(p)}, tmp_path)


@pytest.mark.parametrize("index", [-1, 0, 1, 2, 7])
def test_switch_case(index: int, tmp_path: Path) -> None:
    def function(x: Any, index: Any) -> Any:
        return tf.switch_case(index, [lambda: x, lambda: x * 2.0, lambda: x - 1.0])

    of_function(function, {"x": X, "index": np.array(index, np.int32)}, tmp_path)


def test_a_constant_condition_leaves_one_branch(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        return tf.raw_ops.If(
            cond=tf.constant(True), input=[x], Tout=[tf.float32],
            then_branch=tf.function(lambda x: (x + 1.0,), autograph=False).get_concrete_function(x),
            else_branch=tf.function(lambda x: (x - 1.0,), autograph=False).get_concrete_function(x),
        )[0]  # fmt: skip

    assert "If" not in ops(of_function(function, {"x": X}, tmp_path))


# --------------------------------------------------------------------------- loops


def test_a_counting_loop_has_a_trip_count_and_no_condition(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        _, y = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y * 0.5 + x), [tf.constant(0), x])
        return y

    graph = of_function(function, {"x": X}, tmp_path)
    loop = next(node for node in graph.nodes() if node.op == "Loop")
    trips, condition = loop.inputs[:2]
    assert trips is not None
    assert int(trips.array) == 4
    assert condition is None


@pytest.mark.parametrize("start", [1, 7, 27])
def test_a_loop_with_a_condition_on_its_state(start: int, tmp_path: Path) -> None:
    def function(n: Any) -> Any:
        def step(n: Any, steps: Any) -> Any:
            return tf.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

        return tf.while_loop(lambda n, steps: n != 1, step, [n, tf.constant(0)])

    of_function(function, {"n": np.array(start, np.int64)}, tmp_path)


def test_a_loop_that_never_runs(tmp_path: Path) -> None:
    def function(x: Any, n: Any) -> Any:
        return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2.0), [tf.constant(3), x])[1]

    of_function(function, {"x": X, "n": np.array(2, np.int32)}, tmp_path)


def test_a_loop_in_a_loop(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        def outer(i: Any, y: Any) -> Any:
            _, z = tf.while_loop(lambda j, z: j <= i, lambda j, z: (j + 1, z + x), [tf.constant(0), y])
            return i + 1, z * 0.5

        return tf.while_loop(lambda i, y: i < 3, outer, [tf.constant(0), x])[1]

    of_function(function, {"x": X}, tmp_path)


@pytest.mark.parametrize("n", [0, 3])
def test_loops_of_tf1(n: int, tmp_path: Path) -> None:
    def build(x: Any, n: Any) -> Any:
        def outer(i: Any, y: Any) -> Any:
            _, z = v1.while_loop(lambda j, z: j <= i, lambda j, z: (j + 1, z + x), [tf.constant(0), y])
            return i + 1, v1.cond(i > 0, lambda: z * 0.5, lambda: z - 1.0)

        return v1.while_loop(lambda i, y: i < n, outer, [tf.constant(0), x])

    of_session(build, {"x": X, "n": np.array(n, np.int32)}, tmp_path)


def test_state_whose_shape_grows(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        shapes = [tf.TensorShape([]), tf.TensorShape([None, 3])]
        return tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, tf.concat([y, x[:1]], 0)), [tf.constant(0), x], shapes
        )[1]

    of_function(function, {"x": X}, tmp_path)


# --------------------------------------------------------------------------- lists


def test_an_array_written_at_each_step_is_a_scan_output(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 5)
        _, y, array = tf.while_loop(
            lambda i, y, a: i < 5,
            lambda i, y, a: (i + 1, y + x[i], a.write(i, y * x[i])),
            [tf.constant(0), tf.zeros(3), array],
        )
        return array.stack(), y

    graph = of_function(function, {"x": X}, tmp_path)
    loop = next(node for node in graph.nodes() if node.op == "Loop")
    assert not any(node.op == "ScatterND" for node in loop.attributes["body"].nodes())


def test_an_array_written_in_another_order(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 5, element_shape=[3])
        loop = tf.while_loop(lambda i, a: i < 5, lambda i, a: (i + 1, a.write(4 - i, x[i])), [tf.constant(0), array])
        return loop[1].stack()

    of_function(function, {"x": X}, tmp_path)


def test_an_array_that_is_not_filled(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 6, element_shape=[3])
        loop = tf.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, a.write(i, x[i])), [tf.constant(0), array])
        return loop[1].stack()

    of_function(function, {"x": X}, tmp_path)


def test_an_array_that_is_read_and_written(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 5, clear_after_read=False).unstack(x)
        loop = tf.while_loop(
            lambda i, a: i < 5, lambda i, a: (i + 1, a.write(i, a.read(i - 1) + x[i])), [tf.constant(1), array]
        )
        return loop[1].stack(), loop[1].gather([3, 1])

    of_function(function, {"x": X}, tmp_path)


def test_a_list_that_grows_and_shrinks(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        tensors = tf.raw_ops.EmptyTensorList(element_shape=[3], max_num_elements=-1, element_dtype=tf.float32)
        for i in range(4):
            tensors = tf.raw_ops.TensorListPushBack(input_handle=tensors, tensor=x[i])
        tensors, last = tf.raw_ops.TensorListPopBack(input_handle=tensors, element_shape=[3], element_dtype=tf.float32)
        stacked = tf.raw_ops.TensorListStack(input_handle=tensors, element_shape=[3], element_dtype=tf.float32)
        return stacked, last, tf.raw_ops.TensorListLength(input_handle=tensors)

    of_function(function, {"x": X}, tmp_path)


def test_arrays_of_tf1(tmp_path: Path) -> None:
    def build(x: Any) -> Any:
        source = v1.TensorArray(tf.float32, 5).unstack(x)
        target = v1.TensorArray(tf.float32, 5)
        _, y, target = v1.while_loop(
            lambda i, y, a: i < 5,
            lambda i, y, a: (i + 1, y + source.read(i), a.write(i, y)),
            [tf.constant(0), tf.zeros(3), target],
        )
        return target.stack(), y, target.size()

    graph = of_session(build, {"x": X}, tmp_path)
    loop = next(node for node in graph.nodes() if node.op == "Loop")
    assert not any(node.op == "ScatterND" for node in loop.attributes["body"].nodes())


def test_what_is_not_supported_in_a_body_is_reported_with_its_place(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        return tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, tf.math.bessel_i0e(y)), [tf.constant(0), x])[1]

    with pytest.raises(UnsupportedError, match=r"while.*BesselI0e"):
        of_function(function, {"x": X}, tmp_path)
