"""Queues and iterators of TensorFlow 1 become inputs; operators that no CPU kernel can tell about are compared
with their equals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import ConversionError
from netglot.runtimes.onnxruntime import OnnxRuntime

IMAGE = np.random.default_rng(3).uniform(-1, 1, (2, 3, 5)).astype(np.float32)
LABEL = np.array([4, -1], np.int64)


@pytest.fixture
def v1() -> Any:
    return pytest.importorskip("tensorflow").compat.v1


def from_iterator(v1: Any, kind: str) -> Any:
    data = v1.data.Dataset.from_tensor_slices((IMAGE, LABEL)).batch(2)
    make = v1.data.make_one_shot_iterator if kind == "OneShotIterator" else v1.data.make_initializable_iterator
    return make(data).get_next()


def from_queue(v1: Any, kind: str) -> Any:
    types, shapes = [v1.float32, v1.int64], [[3, 5], []]
    if kind == "RandomShuffleQueueV2":
        return v1.RandomShuffleQueue(9, 1, types, shapes).dequeue_up_to(2)
    make = v1.PaddingFIFOQueue if kind == "PaddingFIFOQueueV2" else v1.FIFOQueue
    return make(9, types, shapes).dequeue_many(2)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (from_iterator, "IteratorV2"),
        (from_iterator, "OneShotIterator"),
        (from_queue, "FIFOQueueV2"),
        (from_queue, "PaddingFIFOQueueV2"),
        (from_queue, "RandomShuffleQueueV2"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_is_read_from_a_source_is_an_input(v1: Any, make: Any, kind: str, tmp_path: Path) -> None:
    with v1.Graph().as_default() as graph, v1.Session() as session:
        image, label = make(v1, kind)
        v1.identity(v1.transpose(image, [0, 2, 1]), name="y")
        v1.identity(v1.expand_dims(label, 1), name="z")
        expected = session.run(["y:0", "z:0"], {image: IMAGE, label: LABEL})
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert kind in {node.op for node in graph.as_graph_def().node}
    read = load(tmp_path / "graph.pb", outputs=["y", "z"])
    assert [value.name for value in read.inputs] == [image.op.name, f"{image.op.name}:1"]
    assert read.inputs[0].shape == ("batch", 3, 5)
    given = {image.op.name: IMAGE, f"{image.op.name}:1": LABEL}
    found = OnnxRuntime(read).run(given)
    for name, wanted in zip("yz", expected, strict=True):
        np.testing.assert_array_equal(found[name], wanted)


@pytest.mark.parametrize(
    ("source", "reading", "shape"),
    [
        ("FIFOQueue", "QueueDequeue", (3,)),
        ("FIFOQueueV2", "QueueDequeueV2", (3,)),
        ("PaddingFIFOQueue", "QueueDequeueMany", ("batch", 3)),
        ("RandomShuffleQueue", "QueueDequeueUpTo", ("batch", 3)),
        ("Iterator", "IteratorGetNextSync", (3,)),
    ],
)
def test_older_names(v1: Any, source: str, reading: str, shape: tuple[Any, ...], tmp_path: Path) -> None:
    types, shapes = ("output_types", "output_shapes") if source == "Iterator" else ("component_types", "shapes")
    definition = v1.GraphDef()
    made = definition.node.add(name="source", op=source)
    read = definition.node.add(name="x", op=reading, input=["source"])
    for node in (made, read):
        node.attr[types].list.type.append(v1.float32.as_datatype_enum)
    (read if source == "Iterator" else made).attr[shapes].list.shape.add().dim.add(size=3)
    if shape[0] == "batch":
        number = definition.node.add(name="number", op="Const")
        number.attr["dtype"].type = v1.int32.as_datatype_enum
        number.attr["value"].tensor.CopyFrom(v1.make_tensor_proto(2))
        read.input.append("number")
    definition.node.add(name="y", op="Snapshot", input=["x"]).attr["T"].type = v1.float32.as_datatype_enum
    (tmp_path / "graph.pb").write_bytes(definition.SerializeToString())
    graph = load(tmp_path / "graph.pb", outputs=["y"])
    assert [(value.name, value.shape) for value in graph.inputs] == [("x", shape)]
    given = IMAGE[:, :, 0] if len(shape) == 2 else IMAGE[0, :, 0]
    np.testing.assert_array_equal(OnnxRuntime(graph).run({"x": given.copy()})["y"], given)


def test_a_queue_that_does_not_say_its_shapes(v1: Any, tmp_path: Path) -> None:
    with v1.Graph().as_default() as graph:
        v1.identity(v1.FIFOQueue(9, [v1.float32]).dequeue(), name="y")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ConversionError, match="not in the graph"):
        load(tmp_path / "graph.pb", outputs=["y"])


@pytest.mark.parametrize("kind", ["IsVariableInitialized", "VarIsInitializedOp"])
def test_variables_are_initialized(v1: Any, kind: str, tmp_path: Path) -> None:
    with v1.Graph().as_default() as graph, v1.Session() as session:
        variable = v1.Variable(IMAGE, use_resource=kind == "VarIsInitializedOp")
        v1.identity(v1.is_variable_initialized(variable), name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model"))
    assert kind in {node.op for node in graph.as_graph_def().node}
    read = load(tmp_path / "model.meta", outputs=["y"])
    assert OnnxRuntime(read).run({})["y"].tolist() is True


@pytest.mark.parametrize("kind", ["Sum", "Prod", "Min", "Max"])
def test_sorted_segments_with_their_number(v1: Any, kind: str, tmp_path: Path) -> None:
    """TensorFlow has no CPU kernel for them; for sorted ids the unsorted ones are defined to be the same."""
    ids = np.array([0, 0, 3], np.int32)
    arguments = {"data": IMAGE[0], "segment_ids": ids, "num_segments": 5}
    with v1.Graph().as_default() as graph:
        data = v1.placeholder(v1.float32, [3, 5], name="x")
        segments = getattr(v1.raw_ops, f"Segment{kind}V2")(data=data, segment_ids=ids, num_segments=5)
        v1.identity(segments, name="y")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    found = OnnxRuntime(load(tmp_path / "graph.pb", outputs=["y"])).run({"x": IMAGE[0]})["y"]
    import tensorflow as tf

    wanted = getattr(tf.raw_ops, f"UnsortedSegment{kind}")(**arguments).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
