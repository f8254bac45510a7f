"""TensorFlow's graphs in all their files, against what TensorFlow parses of them; and hostile ones."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netglot import formats
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends import textproto
from netglot.frontends.tensorflow import files, outputs, tensors, text
from netglot.frontends.tensorflow.messages import (
    Attributes,
    FunctionDef,
    FunctionName,
    GraphDef,
    NodeDef,
    Opaque,
    Placeholder,
    graph,
)
from netglot.frontends.wire import fields
from netglot.ir.protobuf import key, varint
from tests.oracles import model

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def field(number: int, content: bytes) -> bytes:
    return key(number, 2) + varint(len(content)) + content


def number(field_number: int, value: int) -> bytes:
    return key(field_number, 0) + varint(value % (1 << 64))


# ------------------------------------------------------------- what TensorFlow says


def wanted(tf: Any, value: Any) -> Any:
    """An AttrValue of TensorFlow as we decode it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "list":
        (found,) = [items for _, items in value.list.ListFields()] or [[]]
        names = [item.name for item, _ in value.list.ListFields()]
        return tuple(wanted_single(tf, names[0], item) for item in found)
    return wanted_single(tf, kind, getattr(value, kind))


def wanted_single(tf: Any, kind: str, value: Any) -> Any:
    if kind == "s":
        return text_of(value)
    if kind == "type":
        return wanted_type(tf, value)
    if kind == "shape":
        return None if value.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in value.dim)
    if kind == "tensor":
        return tf.make_ndarray(value)
    if kind == "func":
        return (value.name, {name: wanted(tf, item) for name, item in value.attr.items()})
    return ("placeholder", value) if kind == "placeholder" else value


def text_of(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def wanted_type(tf: Any, code: int) -> Any:
    if code == 0:
        return None
    dtype = tf.as_dtype(code).base_dtype
    special = {tf.resource: Opaque.RESOURCE, tf.variant: Opaque.VARIANT, tf.string: np.dtype(object)}
    quantized = {tf.qint8: "i1", tf.quint8: "u1", tf.qint16: "i2", tf.quint16: "u2", tf.qint32: "i4"}
    return special.get(dtype) or np.dtype(quantized.get(dtype, dtype.as_numpy_dtype))


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, np.ndarray):
        if theirs.dtype == object:
            return ours.shape == theirs.shape and ours.ravel().tolist() == [text_of(item) for item in theirs.ravel()]
        if theirs.dtype.name == "int4":  # what the other half of the byte holds means nothing
            theirs, ours = theirs.astype(np.int8), ours.astype(np.int8)
        return (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype) and ours.tobytes() == theirs.tobytes()
    if isinstance(ours, FunctionName):
        name, attributes = theirs
        return ours.name == name and same_attributes(ours.attributes, attributes)
    if isinstance(ours, Placeholder):
        return theirs == ("placeholder", ours.name)
    if isinstance(ours, tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


def same_attributes(ours: Any, theirs: dict[str, Any]) -> bool:
    return set(ours) == set(theirs) and all(same(ours[name], value) for name, value in theirs.items())


def check_node(tf: Any, ours: NodeDef, theirs: Any) -> None:
    assert (ours.name, ours.op, ours.inputs) == (theirs.name, theirs.op, tuple(theirs.input))
    assert set(ours.attributes) == set(theirs.attr)
    for name, value in theirs.attr.items():
        assert same(ours.attributes[name], wanted(tf, value)), (ours.name, name)


def check_function(tf: Any, ours: FunctionDef, theirs: Any) -> None:
    for mine, yours in ((ours.inputs, theirs.signature.input_arg), (ours.outputs, theirs.signature.output_arg)):
        for one, other in zip(mine, yours, strict=True):
            assert (one.name, one.dtype, one.type_attr) == (other.name, wanted_type(tf, other.type), other.type_attr)
            assert (one.number_attr, one.type_list_attr) == (other.number_attr, other.type_list_attr)
    for node, other in zip(ours.nodes, theirs.node_def, strict=True):
        check_node(tf, node, other)
    assert (ours.returns, ours.control_returns) == (dict(theirs.ret), dict(theirs.control_ret))
    assert same_attributes(ours.attributes, {name: wanted(tf, value) for name, value in theirs.attr.items()})
    assert set(ours.argument_attributes) == set(theirs.arg_attr)
    for index, attributes in theirs.arg_attr.items():
        theirs_decoded = {name: wanted(tf, value) for name, value in attributes.attr.items()}
        assert same_attributes(ours.argument_attributes[index], theirs_decoded)


def check_graph(tf: Any, ours: GraphDef, theirs: Any) -> None:
    for node, other in zip(ours.nodes, theirs.node, strict=True):
        check_node(tf, node, other)
    assert list(ours.functions) == [function.signature.name for function in theirs.library.function]
    for function in theirs.library.function:
        check_function(tf, ours.functions[function.signature.name], function)
    assert ours.producer == theirs.versions.producer


# ------------------------------------------------------------------------- models


@pytest.fixture(scope="module")
def module(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with functions, a loop, a branch, an asset, several signatures, two variables of one name."""
    folder = tmp_path_factory.mktemp("module")
    vocabulary = folder / "words.txt"
    vocabulary.write_text("one\ntwo\n")

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = tf.Variable(np.arange(15, dtype=np.float32).reshape(5, 3), name="w")
            self.second = [tf.Variable(np.ones(3, np.float32) * 7, name="w"), tf.Variable(3.5, name="scale")]
            index = tf.lookup.TextFileIndex
            initializer = tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(initializer, -1)

        @tf.function(input_signature=[tf.TensorSpec((None, 5), tf.float32, "x")])
        def serve(self, x: Any) -> dict[str, Any]:
            y = x @ self.first + self.second[0]
            for _ in tf.range(3):
                y = y * self.second[1]
            values, indices = tf.math.top_k(y, 2)
            return {"values": tf.cond(tf.reduce_sum(y) > 0, lambda: values, lambda: -values), "indices": indices}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "word")])
        def look_up(self, word: Any) -> Any:
            return self.table.lookup(word)

    net = Model()
    path = folder / "saved"
    tf.saved_model.save(net, str(path), signatures={"serving_default": net.serve, "words": net.look_up})
    return path


@pytest.fixture(scope="module")
def recurrent(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What model.export writes of a Keras network with a loop and a batch normalisation."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    net = keras.Sequential(
        [keras.Input((7, 5)), layers.GRU(3, return_sequences=True), layers.BatchNormalization(), layers.LSTM(2)]
    )
    path = tmp_path_factory.mktemp("recurrent") / "saved"
    net.export(str(path), verbose=False)
    return path


@pytest.fixture(params=["module", "recurrent", "kws"])
def saved(request: pytest.FixtureRequest) -> Path:
    if request.param == "kws":
        return model("tf/kws_saved_model")
    found: Path = request.getfixturevalue(request.param)
    return found


def parsed(tf: Any, folder: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


def test_every_attribute_of_a_saved_model(tf: Any, saved: Path) -> None:
    ours = files.read(saved)
    theirs = parsed(tf, saved).meta_graphs[0]
    check_graph(tf, ours.graph, theirs.graph_def)
    for name, definition in ours.signatures.items():
        signature = theirs.signature_def[name]
        for mine, yours in ((definition.inputs, signature.inputs), (definition.outputs, signature.outputs)):
            assert {key: info.name for key, info in mine.items()} == {key: info.name for key, info in yours.items()}
            for key_, info in mine.items():
                assert info.dtype == wanted_type(tf, yours[key_].dtype)
                assert info.shape == wanted_single(tf, "shape", yours[key_].tensor_shape)
        assert definition.method == signature.method_name
    assert set(theirs.signature_def) - set(ours.signatures) == {"__saved_model_init_op"}
    assert ours.restore == theirs.saver_def.restore_op_name
    assert ours.saver is not None
    assert ours.saver.filename == theirs.saver_def.filename_tensor_name
    assert set(ours.operations) == {op.name for op in theirs.meta_info_def.stripped_op_list.op}


def test_text_equals_binary(tf: Any, saved: Path, tmp_path: Path) -> None:
    from google.protobuf import text_format

    (tmp_path / "saved_model.pbtxt").write_text(text_format.MessageToString(parsed(tf, saved)))
    ours = files.read(tmp_path)
    theirs = parsed(tf, saved).meta_graphs[0]
    check_graph(tf, ours.graph, theirs.graph_def)
    assert ours.signatures == files.read(saved).signatures
    assert ours.objects == files.read(saved).objects
    assert all(node.line for node in ours.graph.nodes)


def test_the_frozen_graph_of_the_shared_models(tf: Any) -> None:
    from tensorflow.core.framework import graph_pb2

    path = model("tf/kws_ds_cnn_s_frozen.pb")
    found = files.read(path)
    check_graph(tf, found.graph, graph_pb2.GraphDef.FromString(path.read_bytes()))
    assert (found.signature, found.checkpoint, found.restore) == (None, None, "")


def test_constants_are_views_of_the_file() -> None:
    data = np.frombuffer(model("tf/kws_ds_cnn_s_frozen.pb").read_bytes(), np.uint8)
    nodes = graph(memoryview(data)).nodes
    large = [node.attributes["value"] for node in nodes if node.op == "Const" and node.attributes["value"].size > 1000]
    assert large
    assert all(np.shares_memory(value, data) for value in large)


def test_variables_by_the_objects(tf: Any, module: Path) -> None:
    """Two variables are called w. The graph calls one of them otherwise, and what it passes on says which."""
    found = files.read(module)
    assert found.checkpoint is not None
    assert found.objects is not None
    keys = found.variable_keys()
    assert sorted(item.name for item in found.objects.variables().values()) == ["scale", "w", "w"]
    assert set(found.objects.variable_keys()) == {"scale"}
    assert keys["scale"] == "second/1/.ATTRIBUTES/VARIABLE_VALUE"
    shapes = {node.name: node.attributes["shape"] for node in found.graph.nodes if node.op == "VarHandleOp"}
    for name in ("scale", "w", "w_1"):
        assert found.checkpoint.array(keys[name]).shape == shapes[name]
    assert shapes["w"] != shapes["w_1"]


def test_keras_variables_by_the_objects(tf: Any) -> None:
    path = model("tf/kws_saved_model")
    found = files.read(path)
    assert found.checkpoint is not None
    assert found.objects is not None
    keys = found.variable_keys()
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    for variable in found.objects.variables().values():
        if variable.name in keys:
            assert reader.get_tensor(keys[variable.name]).shape == variable.shape
    assert keys["conv2d/kernel"] == "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"


def test_keys_need_no_objects_in_the_checkpoint() -> None:
    """The names on the way to a variable are its key."""
    found = files.read(model("tf/kws_saved_model"))
    assert found.objects is not None
    assert found.checkpoint is not None
    assert found.objects.variable_keys() == found.objects.variable_keys(found.checkpoint.objects())


def test_assets(tf: Any, module: Path) -> None:
    found = files.read(module)
    assert found.assets == module / "assets"
    assert list(found.asset_files.values()) == ["words.txt"]


# -------------------------------------------------------------- which file, which part


def test_the_file_of_a_saved_model_is_the_model(tf: Any, module: Path) -> None:
    found = files.read(module / "saved_model.pb")
    assert found.checkpoint is not None
    assert found.signature is not None
    assert sorted(found.signature.outputs) == ["indices", "values"]
    assert formats.detect(module).name == formats.detect(module / "saved_model.pb").name == "tensorflow"


def test_a_saved_model_under_another_name(tf: Any, module: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes((module / "saved_model.pb").read_bytes())
    assert files.read(path).signature is not None


def test_signatures_are_chosen_by_name(tf: Any, module: Path) -> None:
    chosen = files.read(module, signature="words").signature
    assert chosen is not None
    assert list(chosen.inputs) == ["word"]
    with pytest.raises(ConversionError, match=r"no signature 'speak': the model has serving_default, words"):
        files.read(module, signature="speak")


def test_a_signature_must_be_chosen_among_several(tf: Any, tmp_path: Path) -> None:
    net = tf.Module()
    spec = tf.TensorSpec((3,), tf.float32)
    both = {name: tf.function(lambda x: x + 1).get_concrete_function(spec) for name in ("one", "two")}
    tf.saved_model.save(net, str(tmp_path), signatures=both)
    with pytest.raises(ConversionError, match="not clear which signature is meant: the model has one, two"):
        files.read(tmp_path)
    tf.saved_model.save(net, str(tmp_path), signatures={"one": both["one"]})
    assert files.read(tmp_path).signature is not None


def test_tags(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    folder = tmp_path / "saved"
    builder = v1.saved_model.Builder(str(folder))
    with v1.Session(graph=tf.Graph()) as session:
        v1.get_variable("w", initializer=np.float32([1, 2]))
        session.run(v1.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, ["train"])
    with tf.Graph().as_default():
        v1.placeholder(tf.float32, (2,), name="only_here")
        builder.add_meta_graph(["slow", "gpu"])
    builder.save()
    assert any(node.name == "w" for node in files.read(folder, tag="train").graph.nodes)
    assert [node.name for node in files.read(folder, tag="slow,gpu").graph.nodes] == ["only_here"]
    assert [node.name for node in files.read(folder, tag="slow").graph.nodes] == ["only_here"]
    with pytest.raises(ConversionError, match="no graph is tagged 'fast': the SavedModel has graphs tagged train; "):
        files.read(folder, tag="fast")
    with pytest.raises(ConversionError, match="not clear which graph is meant"):
        files.read(folder)


def test_sparse_signatures_are_refused(tf: Any, tmp_path: Path) -> None:
    spec = tf.SparseTensorSpec((3, 4), tf.float32)
    function = tf.compat.v1.saved_model.signature_def_utils.build_signature_def
    graph_ = tf.Graph()
    with graph_.as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.sparse_placeholder(tf.float32, spec.shape)
        info = tf.compat.v1.saved_model.build_tensor_info(x)
        signature = function({"x": info}, {"x": info}, "identity")
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "saved"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    with pytest.raises(UnsupportedError, match="input 'x' of the signature 'serving_default' is a sparse"):
        files.read(tmp_path / "saved")


@pytest.fixture(scope="module")
def meta(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MetaGraph with its checkpoint, as TF 1's Saver writes them."""
    v1 = tf.compat.v1
    path = tmp_path_factory.mktemp("meta") / "net.ckpt"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 5), name="x")
        w = v1.get_variable("layer/w", initializer=np.arange(15, dtype=np.float32).reshape(5, 3), use_resource=False)
        tf.matmul(x, w, name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(path), global_step=7)
    return path.with_name("net.ckpt-7.meta")


def test_a_meta_graph_finds_its_checkpoint(tf: Any, meta: Path, tmp_path: Path) -> None:
    found = files.read(meta)
    assert found.restore == "save/restore_all"
    assert found.signature is None
    assert found.checkpoint is not None
    assert np.array_equal(found.checkpoint.array("layer/w"), np.arange(15, dtype=np.float32).reshape(5, 3))
    alone = tmp_path / "alone.meta"
    alone.write_bytes(meta.read_bytes())
    assert files.read(alone).checkpoint is None
    for name in ("net.ckpt-7", "net.ckpt-7.index", "net.ckpt-7.data-00000-of-00001"):
        checkpoint = files.read(alone, meta.with_name(name)).checkpoint
        assert checkpoint is not None
        assert "layer/w" in checkpoint


def test_a_meta_graph_as_text(tf: Any, meta: Path, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorflow.core.protobuf import meta_graph_pb2

    theirs = meta_graph_pb2.MetaGraphDef.FromString(meta.read_bytes())
    path = tmp_path / "net.meta"
    path.write_text(text_format.MessageToString(theirs))
    found = files.read(path)
    check_graph(tf, found.graph, theirs.graph_def)
    assert found.restore == "save/restore_all"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"no saved_model\.pb or saved_model\.pbtxt"):
        files.read(tmp_path)


# ------------------------------------------------------------------------ tensors

TYPES = (
    "float32 float64 int32 uint8 int16 int8 complex64 int64 bool bfloat16 uint16 complex128 half uint32 uint64 "
    "float8_e5m2 float8_e4m3fn int4 uint4"
)


def samples(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.default_rng(3)
    return np.asarray(generator.normal(size=shape) * 3).astype(np.int8 if dtype.itemsize == 1 else dtype).astype(dtype)


@pytest.mark.parametrize("name", TYPES.split())
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 4)])
def test_tensors_as_bytes(tf: Any, name: str, shape: tuple[int, ...]) -> None:
    values = samples(np.dtype(tf.as_dtype(name).as_numpy_dtype), shape)
    data = tf.make_tensor_proto(values).SerializeToString()
    assert same(tensors.tensor(memoryview(data)), values)


@pytest.mark.parametrize("name", TYPES.split())
@pytest.mark.parametrize("given", [0, 1, 4, 15])
def test_tensors_as_values(tf: Any, name: str, given: int) -> None:
    """Fewer values than elements: the last is repeated; TensorFlow's kernels say what that is."""
    from tensorflow.core.framework import tensor_pb2

    dtype = tf.as_dtype(name)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    proto.tensor_shape.dim.add(size=3)
    proto.tensor_shape.dim.add(size=5)
    fill(proto, samples(np.dtype(dtype.as_numpy_dtype), (given,)))
    data = proto.SerializeToString()
    theirs = tf.io.parse_tensor(data, dtype).numpy()
    assert same(tensors.tensor(memoryview(data)), theirs)


def fill(proto: Any, values: np.ndarray) -> None:
    """The values in the field that TensorProto has for their type."""
    name = values.dtype.name
    if name in ("float16", "bfloat16"):
        proto.half_val.extend(values.view(np.uint16).tolist())
    elif name.startswith("float8"):
        proto.float8_val = values.tobytes()
    elif values.dtype.kind == "c":
        parts = values.view(np.float32 if name == "complex64" else np.float64)
        getattr(proto, "scomplex_val" if name == "complex64" else "dcomplex_val").extend(parts.tolist())
    else:
        special = {"float32": "float_val", "float64": "double_val", "bool": "bool_val", "int64": "int64_val"}
        special |= {"uint32": "uint32_val", "uint64": "uint64_val"}
        items = values.tolist() if values.dtype.isbuiltin == 1 else map(int, values)
        getattr(proto, special.get(name, "int_val")).extend(items)


def test_one_value_is_stored_once(tf: Any) -> None:
    data = tf.make_tensor_proto(1.5, tf.float32, (1000, 1000)).SerializeToString()
    found = tensors.tensor(memoryview(data))
    assert found.shape == (1000, 1000)
    assert found.strides == (0, 0)
    assert found[9, 9] == 1.5


@pytest.mark.parametrize("values", [["a", "bc"], [b"\xff\0", "\u00e9"], []])
def test_text_tensors(tf: Any, values: list[Any]) -> None:
    array = np.array(values, object)
    data = tf.make_tensor_proto(array, tf.string).SerializeToString()
    assert tensors.tensor(memoryview(data)).tolist() == values
    packed = tf.io.serialize_tensor(tf.constant(array, tf.string)).numpy()
    assert tensors.tensor(memoryview(packed)).tolist() == values


FLOAT_OF_3 = number(1, 1) + field(2, field(2, number(1, 3)))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (FLOAT_OF_3 + field(4, b"\0" * 11), "is 12 bytes, found 11"),
        (FLOAT_OF_3 + field(5, b"\0" * 16), "4 values are given"),
        (FLOAT_OF_3 + field(5, b"\0" * 7), "no multiple of 4"),
        (number(1, 1) + field(2, field(2, number(1, 10**12))) + field(5, b"\0" * 4), "is given by 1 values"),
        (number(1, 1) + field(2, field(2, number(1, 10**12))) + field(4, b"\0" * 4), "found 4"),
        (number(1, 7) + field(2, field(2, number(1, 10**12))) + field(4, b"\0" * 4), "in the middle of a number"),
        (number(1, 7) + field(2, field(2, number(1, 1))) + field(4, b"\x50" * 4), "1 strings claim 80 bytes, found 3"),
        (number(1, 1) + field(2, field(2, number(1, -1))), "a stored tensor has the shape"),
        (number(1, 1) + field(2, field(2, number(1, -7))), "an axis of size -7"),
        (number(1, 1) + field(2, number(3, 1)), "a stored tensor has the shape"),
        (number(1, 1) + field(2, field(2, b"") * 300), "a shape has 300 axes"),
        (number(1, 77), "no element type 77"),
        (number(1, 234), "no element type 234"),
        (number(1, 20), "a constant is resource"),
        (number(1, 8) + field(2, field(2, number(1, 2))) + field(9, b"\0" * 12), "cut in two"),
        (number(1, 3) + field(2, field(2, number(1, 2))) + field(7, b"\xff\xff"), "in the middle of a number"),
        (number(1, 3) + field(2, field(2, number(1, 2))) + field(7, b"\xff" * 12 + b"\1"), "longer than 64 bits"),
    ],
)
def test_tensors_that_contradict_themselves(message: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tensors.tensor(memoryview(message))
    node = field(1, field(1, b"c") + field(5, field(1, b"value") + field(2, field(8, message))))
    (found,) = graph(memoryview(node), "net.pb").nodes
    with pytest.raises(ConversionError, match=r"net\.pb layer 'c': attribute 'value' can't be read: .*" + reason):
        found.attributes["value"]


# --------------------------------------------------------------------- attributes


def test_attributes_that_no_graph_above_has(tf: Any) -> None:
    from tensorflow.core.framework import node_def_pb2

    node = node_def_pb2.NodeDef(name="n", op="Op", input=["a", "b:1", "^c"])
    node.attr["bytes"].s = b"\xff\0"
    node.attr["negative"].i = -5
    node.attr["zero"].f = 0
    node.attr["reference"].type = 101
    node.attr["placeholder"].placeholder = "T"
    node.attr["nothing"].SetInParent()
    node.attr["ints"].list.i.extend([-1, 0, 1 << 62])
    node.attr["floats"].list.f.extend([0.5, -2])
    node.attr["bools"].list.b.extend([True, False])
    node.attr["texts"].list.s.extend([b"a", b""])
    node.attr["types"].list.type.extend([0, 20, 21, 7, 14, 11])
    node.attr["shapes"].list.shape.add(unknown_rank=True)
    node.attr["shapes"].list.shape.add().dim.add(size=-1)
    node.attr["tensors"].list.tensor.append(tf.make_tensor_proto([1, 2]))
    node.attr["functions"].list.func.add(name="f").attr["T"].type = 1
    node.attr["empty"].list.SetInParent()
    (found,) = graph(memoryview(field(1, node.SerializeToString()))).nodes
    check_node(tf, found, node)
    assert "other" not in found.attributes
    assert found.attributes.get("other") is None


def nested(depth: int) -> bytes:
    """An attribute that is a function whose attribute is a function..."""
    value = b""
    for _ in range(depth):
        value = field(10, field(1, b"f") + field(2, field(1, b"f") + field(2, value)))
    return field(1, b"f") + field(2, value)


def test_functions_nested_too_deep() -> None:
    found: Any = Attributes(list(fields(memoryview(field(5, nested(5000))))))
    for _ in range(100):
        found = found["f"].attributes
    with pytest.raises(ConversionError, match="nested more than 100 deep"):
        found["f"]


# ----------------------------------------------------------------- outputs by name


def test_the_table_of_outputs_is_tensorflows(tf: Any) -> None:
    """Every operation of the table, and every other one with several outputs that inference could meet."""
    from tensorflow.python.framework import op_def_registry

    for op, ours in outputs.OUTPUTS.items():
        theirs = op_def_registry.get(op).output_arg
        assert [(item.name, item.number_attr, item.type_list_attr) for item in ours] == [
            (item.name, item.number_attr, item.type_list_attr) for item in theirs
        ], op
    raw = [name for name in dir(tf.raw_ops) if op_def_registry.get(name) and not name.startswith("_")]
    several = {name for name in raw if len(op_def_registry.get(name).output_arg) > 1}
    missing = several - set(outputs.OUTPUTS)
    rest = ("Grad", "TPU", "Xla", "BoostedTrees", "Backprop", "Sampler", "Reader", "Sdca", "ParseSequence", "Params")
    rest += ("Anonymous", "Barrier", "ParseSingleSequence", "Rpc", "SparseCore", "Minibatch", "Unstage", "Collective")
    assert {name for name in missing if not any(part in name for part in rest)} <= NOT_OF_INFERENCE


NOT_OF_INFERENCE = {
    *("Batch", "ComputeAccidentalHits", "ConvertToCooTensor", "CustomAggregator", "DecodeProtoV2"),
    *("GenerateVocabRemapping", "Skipgram", "SplitDedupData", "TakeManySparseFromTensorsMap"),
}


@pytest.mark.parametrize(
    ("op", "attributes", "reference", "expected"),
    [
        ("TopKV2", {}, ("indices", 0), 1),
        ("Split", {"num_split": 3}, ("output", 2), 2),
        ("FusedBatchNormV3", {}, ("reserve_space_1", 0), 3),
        ("SparseSplit", {"num_split": 3}, ("output_shape", 1), 7),
        ("ParseExample", {"Nsparse": 1, "sparse_types": (None,), "Tdense": (None, None)}, ("dense_values", 1), 4),
        ("While", {}, ("output", 4), 4),
    ],
)
def test_flat_index(op: str, attributes: dict[str, Any], reference: tuple[str, int], expected: int) -> None:
    assert outputs.flat_index(NodeDef("n", op, (), attributes), *reference) == expected


def test_what_a_file_says_of_an_operation_goes_first() -> None:
    node = NodeDef("n", "Own", (), {"N": 2})
    own = [outputs.ArgDef("many", number_attr="N"), outputs.ArgDef("one")]
    assert outputs.flat_index(node, "one", 0, own) == 2
    with pytest.raises(ConversionError, match="layer 'n': Own has no output 'two', only many, one"):
        outputs.flat_index(node, "two", 0, own)
    for attributes in ({}, {"N": "many"}, {"N": -1}, {"N": np.ones(3)}):
        with pytest.raises(ConversionError, match="layer 'n': Own doesn't say its 'N'"):
            outputs.flat_index(NodeDef("n", "Own", (), attributes), "one", 0, own)


# ------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "can't read it"),
        (b"\0" * 100, "starts no protobuf field"),
        (b"\x0a\xff\xff\xff\xff\x0f", "claims .* bytes where only 0 are left"),
        (b"\x0a\x05\x0a\x09abc", "claims 9 bytes"),
        (number(1, 1), "holds no graph"),
        (field(4, b""), "the graph has no nodes"),
        (b"\x89PNG\r\n\x1a\n" * 5, "not a whole TensorFlow model"),
        (number(1, 1) + field(2, field(7, field(1, field(1, number(1, 7))))), "a child that is not there"),
        (number(1, 1) + field(2, field(7, field(1, field(1, number(1, -1))))), "a child that is not there"),
    ],
)
def test_hostile_binary_files(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=r"net\.pb.*" + reason):
        files.read(path)


def test_torn_files(tmp_path: Path) -> None:
    """Wherever a file is cut, it is one error or a graph that ends there; reading all of it included."""
    content = model("tf/kws_ds_cnn_s_frozen.pb").read_bytes()
    path = tmp_path / "net.pb"
    for size in np.random.default_rng(5).integers(1, len(content), 40).tolist():
        path.write_bytes(content[:size])
        try:
            for node in files.read(path).graph.nodes:
                dict(node.attributes)
        except ConversionError:
            continue


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files(tmp_path: Path, seed: int) -> None:
    """Bytes that are changed anywhere in the structure: nothing but a ConversionError ever comes out."""
    original = np.frombuffer(model("tf/kws_saved_model/saved_model.pb").read_bytes(), np.uint8)
    path = tmp_path / "net.pb"
    for again in range(4):
        generator = np.random.default_rng((seed, again))
        content = original.copy()
        content[generator.integers(0, content.size, 6)] = generator.integers(0, 256, 6)
        path.write_bytes(content.tobytes())
        with contextlib.suppress(ConversionError):
            found = files.read(path).graph
            for node in [*found.nodes, *(node for function in found.functions.values() for node in function.nodes)]:
                read_all(node)


def read_all(node: NodeDef) -> None:
    with contextlib.suppress(ConversionError):
        for name in node.attributes:
            read_one(node, name)


def read_one(node: NodeDef, name: str) -> None:
    with contextlib.suppress(ConversionError):
        node.attributes[name]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('node {\n  name: "a"\n  wrong: 1\n}', 3, "a NodeDef has no field 'wrong'"),
        ("node {\n" + "attr { value { func { attr { value { func {" * 20, 2, "nest more than 50 deep"),
        ("node { name: 'a\0' }", 1, "NUL byte"),
        ("node: 3", 1, "'node' holds no message"),
        ("node { name: 3 }", 1, "'name' can't be 3"),
        ("\nnode { attr { value { type: DT_FLOT } } }", 2, "'type' can't be DT_FLOT"),
        ("node { attr { value { i: 36893488147419103232 } } }", 1, "'i' can't be"),
        ("node { attr { value { i: 1.5 } } }", 1, r"'i' can't be 1\.5"),
        ("node { attr { value { f: 1e300 } } }", 1, "'f' can't be 1e"),
        ("node { attr { value { f: " + "9" * 5000 + " } } }", 1, "a number of 5000 characters"),
        ("node { name: 'a' ", 1, "expected|not a whole|ends"),
    ],
)
def test_hostile_text(tmp_path: Path, content: str, line: int, reason: str) -> None:
    path = tmp_path / "net.pbtxt"
    path.write_text(content)
    with pytest.raises(ConversionError, match=reason) as error:
        files.read(path)
    assert error.value.problems[0].origin.line == line


@given(st.binary(max_size=60), st.booleans())
def test_escapes_of_the_text_form(content: bytes, as_utf8: bool) -> None:
    from google.protobuf import text_encoding

    escaped = text_encoding.CEscape(content, as_utf8)
    (value,) = textproto.parse(f'a: "{escaped}"').all("a")
    assert textproto.bytes_of(value) == content


def test_escapes_that_others_write() -> None:
    (value,) = textproto.parse(r'a: "\x41\X4a\u00e9\U0001F600\a\q\101" "\7"').all("a")
    assert value == "AJ\u00e9\U0001f600\aqA\a"


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "net.pbtxt").write_bytes(b"node { name: '\xff' }")
    with pytest.raises(ConversionError, match="not a text file"):
        files.read(tmp_path / "net.pbtxt")


def test_binary_is_not_taken_for_text() -> None:
    assert not text.is_text(memoryview(model("tf/kws_ds_cnn_s_frozen.pb").read_bytes()))
    assert text.is_text(memoryview(b"# a comment\n node {"))
