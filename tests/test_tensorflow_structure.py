"""Variables, lists of tensors, TF 1 arrays, and what computes nothing: operators that no single node can say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import ConversionError, UnsupportedError
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
ROWS = [tf.TensorSpec([4, 3], tf.float32, "x")]


def outputs_of(concrete: Any) -> list[str]:
    return [tensor.name.removesuffix(":0") for tensor in concrete.outputs]


def equal(graph: Graph, expected: Any, x: np.ndarray = X) -> None:
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    found = OnnxRuntime(graph).run({"x": x} if graph.inputs else {})
    assert len(found) == len(expected)
    for actual, wanted in zip(found.values(), (np.asarray(item) for item in expected), strict=True):
        assert actual.dtype == wanted.dtype
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)


def as_function(function: Callable[[Any], Any], path: Path, spec: Any = ROWS) -> Graph:
    concrete = tf.function(function, input_signature=spec, autograph=False).get_concrete_function()
    (path / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    graph = load(path / "graph.pb", outputs=outputs_of(concrete))
    equal(graph, concrete(tf.constant(X)))
    return graph


def saved(module: Any, path: Path) -> Path:
    tf.saved_model.save(module, str(path / "saved"), {"serving_default": module.serve})
    return path / "saved"


# ------------------------------------------------------------------------ variables


class Variables(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.v = tf.Variable(np.arange(24, dtype=np.float32).reshape(4, 3, 2))

    @tf.function(input_signature=[tf.TensorSpec([2, 2], tf.int32, "x")])
    def serve(self, x: Any) -> Any:
        handle = self.v.handle
        return {
            "a gather": raw.ResourceGather(resource=handle, indices=x, dtype=tf.float32),
            "b gather_nd": raw.ResourceGatherNd(resource=handle, indices=x, dtype=tf.float32),
            "c shape": raw.VariableShape(input=handle, out_type=tf.int64),
            "d read": raw.ReadVariableOp(resource=handle, dtype=tf.float32)[0],
            "e rows": tf.gather(self.v, tf.constant([3, 0])),
        }


def test_variables_are_read_in_every_way(tmp_path: Path) -> None:
    module, x = Variables(), np.array([[3, 1], [0, 2]], np.int32)
    graph = load(saved(module, tmp_path))
    expected = module.serve(tf.constant(x))
    equal(graph, [expected[value.name] for value in graph.outputs], x)


class Changed(tf.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.v, self.calls, self.way = tf.Variable(X), tf.Variable(0), way

    @tf.function
    def change(self, x: Any) -> None:
        self.v.assign(x)

    @tf.function(input_signature=ROWS)
    def serve(self, x: Any) -> Any:
        if self.way == "before":
            self.v.assign_add(x)
        elif self.way == "by a function":
            self.change(x)
        elif self.way == "in a loop":
            for _ in tf.range(3):
                self.v.assign_sub(x)
        elif self.way == "in a branch":
            if x[0, 0] > 0:
                self.v.assign(x)
        elif self.way == "rows":
            self.v.scatter_update(tf.IndexedSlices(x[:1], [1]))
        y = self.v * x
        if self.way == "after":
            self.v.assign(y)
        if self.way == "what is not read":
            self.calls.assign_add(1)
        return {"y": y}


@pytest.mark.parametrize("way", ["before", "after", "by a function", "in a loop", "in a branch", "rows"])
def test_a_network_that_changes_what_it_reads_is_refused(way: str, tmp_path: Path) -> None:
    path = saved(Changed(way), tmp_path)
    with pytest.raises(UnsupportedError, match=r"changes the variable 'Variable.*', which it reads") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_counter_of_calls_changes_no_result(tmp_path: Path) -> None:
    module = Changed("what is not read")
    equal(load(saved(module, tmp_path)), module.serve(tf.constant(X))["y"])


def test_a_checkpoint_of_another_model(tmp_path: Path) -> None:
    path = saved(Variables(), tmp_path)
    other = Variables()
    other.v = tf.Variable(X)
    there = saved(other, tmp_path / "other")
    for file in (there / "variables").iterdir():
        (path / "variables" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConversionError, match=r"is 4x3x2, the checkpoint holds 4x3"):
        load(path)


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_a_signature_that_names_what_is_not_there(kind: str, tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved(Variables(), tmp_path) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for info in getattr(model.meta_graphs[0].signature_def["serving_default"], kind).values():
        info.name = "nowhere:0"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConversionError, match=r"nowhere|serving_default_x"):
        load(path.parent)


def test_the_oldest_variables(tmp_path: Path) -> None:
    """Variable is VariableV2 before TensorFlow 1.0."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [4, 3], "x")
        tf.multiply(x, v1.get_variable("v", initializer=X, use_resource=False), name="y")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / "net"))
    meta = v1.MetaGraphDef.FromString((tmp_path / "net.meta").read_bytes())
    (node,) = [node for node in meta.graph_def.node if node.op == "VariableV2"]
    node.op = "Variable"
    (tmp_path / "net.meta").write_bytes(meta.SerializeToString())
    equal(load(tmp_path / "net.meta", outputs=["y"]), X * X)


# ------------------------------------------------------------------- lists of TF 2

SHAPE = np.array([3], np.int32)


def listed(x: Any) -> Any:
    return raw.TensorListFromTensor(tensor=x, element_shape=SHAPE)


def stacked(handle: Any, shape: Any = SHAPE) -> Any:
    return raw.TensorListStack(input_handle=handle, element_shape=shape, element_dtype=tf.float32)


def emptied(x: Any) -> Any:
    handle = raw.EmptyTensorList(element_shape=SHAPE, max_num_elements=-1, element_dtype=tf.float32)
    for row in range(2):
        handle = raw.TensorListPushBack(input_handle=handle, tensor=x[row])
    handle, last = raw.TensorListPopBack(input_handle=handle, element_shape=SHAPE, element_dtype=tf.float32)
    return stacked(handle), last, raw.TensorListLength(input_handle=handle)


def reserved(x: Any) -> Any:
    handle = raw.TensorListReserve(element_shape=SHAPE, num_elements=5, element_dtype=tf.float32)
    handle = raw.TensorListSetItem(input_handle=handle, index=2, item=x[0])
    item = raw.TensorListGetItem(input_handle=handle, index=2, element_shape=SHAPE, element_dtype=tf.float32)
    return stacked(handle), item, raw.TensorListLength(input_handle=handle)


def resized(x: Any) -> Any:
    more, less = (raw.TensorListResize(input_handle=listed(x), size=size) for size in (6, 2))
    return stacked(more), stacked(less), raw.TensorListLength(input_handle=more)


def gathered(x: Any) -> Any:
    return raw.TensorListGather(
        input_handle=listed(x), indices=[3, 0, 3], element_shape=SHAPE, element_dtype=tf.float32
    )


def scattered(x: Any) -> Any:
    new = raw.TensorListScatterV2(tensor=x, indices=[2, 0, 5, 1], element_shape=SHAPE, num_elements=-1)
    old = raw.TensorListScatterIntoExistingList(input_handle=listed(x), tensor=x[2:] * 2, indices=[3, 1])
    sized = raw.TensorListScatterV2(tensor=x, indices=[2, 0, 3, 1], element_shape=SHAPE, num_elements=7)
    return stacked(new), stacked(old), stacked(sized)


def concatenated(x: Any) -> Any:
    handle = raw.TensorListFromTensor(tensor=tf.reshape(x, [2, 2, 3]), element_shape=[2, 3])
    first = raw.TensorListConcat(input_handle=handle, element_dtype=tf.float32, element_shape=[None, 3])
    second = raw.TensorListConcatV2(
        input_handle=handle, element_dtype=tf.float32, element_shape=[-1, 3], leading_dims=tf.zeros([0], tf.int64)
    )
    return [*first, *second]


def shaped(x: Any) -> Any:
    both = [raw.TensorListElementShape(input_handle=listed(x), shape_type=kind) for kind in (tf.int32, tf.int64)]
    return [*both, raw.TensorListLength(input_handle=listed(x))]


def parted(x: Any) -> Any:
    handle = raw.TensorListSplit(tensor=x, element_shape=[2, 3], lengths=np.array([2, 2]))
    return stacked(handle, [2, 3]), raw.TensorListLength(input_handle=handle)


@pytest.mark.parametrize(
    "function",
    [parted, emptied, reserved, resized, gathered, scattered, concatenated, shaped],
    ids=lambda item: item.__name__,
)
def test_lists(function: Callable[[Any], Any], tmp_path: Path) -> None:
    as_function(function, tmp_path)


# ------------------------------------------------------------------- arrays of TF 1


def array(size: int, dtype: Any = tf.float32, **attributes: Any) -> Any:
    return raw.TensorArrayV3(size=size, dtype=dtype, **attributes)


def test_arrays(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [4, 3], "x")
        handle, flow = array(4)
        flow = raw.TensorArrayScatterV3(handle=handle, indices=[3, 1, 0, 2], value=x, flow_in=flow)
        kept, other = array(2, element_shape=[3], clear_after_read=False)
        other = raw.TensorArrayWriteV3(handle=kept, index=1, value=x[0], flow_in=other)
        other = raw.TensorArrayWriteV3(handle=kept, index=0, value=x[2], flow_in=other)
        pairs, both = array(2)
        both = raw.TensorArrayScatterV3(handle=pairs, indices=[0, 1], value=tf.reshape(x, [2, 2, 3]), flow_in=both)
        whole, lengths = raw.TensorArrayConcatV3(handle=pairs, flow_in=both, dtype=tf.float32)
        thirds, split = array(2)
        split = raw.TensorArraySplitV3(handle=thirds, value=x, lengths=np.array([2, 2]), flow_in=split)
        results = [
            raw.TensorArrayReadV3(handle=thirds, index=1, flow_in=split, dtype=tf.float32),
            raw.TensorArrayGatherV3(handle=handle, indices=[2, 0], flow_in=flow, dtype=tf.float32),
            raw.TensorArrayReadV3(handle=kept, index=1, flow_in=other, dtype=tf.float32),
            raw.TensorArraySizeV3(handle=kept, flow_in=other), whole, lengths,
        ]  # fmt: skip
        results = [tf.identity(item, f"result_{k}") for k, item in enumerate(results)]
        with tf.control_dependencies(results):
            raw.TensorArrayCloseV3(handle=handle)
        with v1.Session() as session:
            expected = session.run(results, {x: X})
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    equal(load(tmp_path / "graph.pb", outputs=[item.op.name for item in results]), expected)


# ----------------------------------------------------------- what computes nothing


def test_what_computes_nothing(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        a, b = raw.IdentityN(input=[x, x * 2])
        a = raw.CheckNumericsV2(tensor=raw.CheckNumerics(tensor=a, message="a"), message="b")
        b = raw.PreventGradient(input=raw.StopGradient(input=raw.Snapshot(input=b)))
        b = raw.EnsureShape(input=raw.Print(input=b, data=[a], message="b"), shape=[None, 3])
        with tf.control_dependencies([raw.Assert(condition=tf.constant(True), data=[a]), raw.NoOp()]):
            tf.print(a, output_stream="file:///dev/null")
            return a + b, raw.Identity(input=b)

    graph = as_function(function, tmp_path)
    assert {node.op for node in graph.nodes()} <= {"Add", "Mul", "Identity"}


def test_a_placeholder_with_a_default(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [4, 3], "x")
        scale = v1.placeholder_with_default(tf.constant(2.0), [], "scale")
        tf.multiply(x, scale, name="y")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    equal(load(tmp_path / "graph.pb"), X * 2)
    fed = load(tmp_path / "graph.pb", inputs={"x": (4, 3), "scale": ()}, outputs=["y"])
    assert [value.name for value in fed.inputs] == ["x", "scale"]
    found = OnnxRuntime(fed).run({"x": X, "scale": np.array(3, np.float32)})
    np.testing.assert_allclose(found["y"], X * 3)


def test_parts_of_several_lengths_are_refused(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        return stacked(raw.TensorListSplit(tensor=x, element_shape=[-1, 3], lengths=np.array([1, 3])), [-1, 3])

    concrete = tf.function(function, input_signature=ROWS, autograph=False).get_concrete_function()
    (tmp_path / "graph.pb").write_bytes(concrete.graph.as_graph_def().SerializeToString())
    with pytest.raises(UnsupportedError, match="several shapes"):
        load(tmp_path / "graph.pb", outputs=outputs_of(concrete))


@tf.function(autograph=False)
def doubled(x: Any) -> Any:
    return x * 2


def test_calls(tmp_path: Path) -> None:
    """By PartitionedCall and, with the name of a device in front, RemoteCall."""

    def function(x: Any) -> Any:
        f = doubled.get_concrete_function(ROWS[0])
        (called,) = raw.PartitionedCall(args=[x], Tout=[tf.float32], f=f)
        (again,) = raw.StatefulPartitionedCall(args=[called], Tout=[tf.float32], f=f)
        device = "/job:localhost/replica:0/task:0/device:CPU:0"
        return raw.RemoteCall(target=device, args=[again], Tout=[tf.float32], f=f)[0]

    as_function(function, tmp_path)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Identity", "Copy"), ("Identity", "CopyHost"), ("Identity", "_EagerConst"), ("Identity", "RefIdentity"),
        ("Const", "HostConst"), ("StatelessIf", "If"), ("StatelessCase", "Case"), ("StatelessWhile", "While"),
        ("Placeholder", "PlaceholderV2"),
    ],
)  # fmt: skip
def test_other_names(name: str, other: str, tmp_path: Path) -> None:
    """What TensorFlow calls an operator in another place or version is the same operator."""

    def function(x: Any) -> Any:
        y = tf.identity(tf.cond(x[0, 0] > 0, lambda: x + 1, lambda: x - 1))
        y = tf.switch_case(tf.cast(x[0, 0], tf.int32), [lambda: y * 2, lambda: y * 3])
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a)), [tf.constant(0), y])[1]

    concrete = tf.function(function, input_signature=ROWS, autograph=False).get_concrete_function()
    definition = concrete.graph.as_graph_def()
    found = [node for node in definition.node if node.op == name]
    for node in found:
        node.op = other
    path = tmp_path / "graph.pb"
    path.write_bytes(definition.SerializeToString())
    equal(load(path, inputs={"x": (4, 3)}, outputs=outputs_of(concrete)), concrete(tf.constant(X)))
    assert found
