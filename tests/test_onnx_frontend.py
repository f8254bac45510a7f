"""The ONNX frontend: what lies in the file stays there, what is wrong is one clear error."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from netglot.backends.onnx import save
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.onnx import load
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import oracles

WEIGHT = np.arange(4096, dtype=np.float32).reshape(16, 256)


def parse(text: str, folder: Path, opset: int = 17) -> Path:
    """A model in onnx's text form, as a file."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}, "own": 1]>\n{text}')
    return store(model, folder)


def store(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def with_weight(tensor: TensorProto) -> onnx.ModelProto:
    """y = x + w."""
    x, y = (helper.make_tensor_value_info(name, 1, (16, 256)) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"], "sum")], "g", [x], [y], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def external(folder: Path, **place: object) -> Path:
    """A model whose weight lies where `place` says."""
    tensor = TensorProto(name="w", data_type=1, dims=WEIGHT.shape, data_location=TensorProto.EXTERNAL)
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return store(with_weight(tensor), folder)


# ------------------------------------------------------------------------ weights


@pytest.mark.parametrize("field", ["raw_data", "float_data"])
def test_weights_stay_in_the_file(tmp_path: Path, field: str) -> None:
    tensor = numpy_helper.from_array(WEIGHT, "w")
    if field == "float_data":
        tensor = helper.make_tensor("w", TensorProto.FLOAT, WEIGHT.shape, WEIGHT.ravel())
    data = load(store(with_weight(tensor), tmp_path))["w"].array
    np.testing.assert_array_equal(data, WEIGHT)
    assert not data.flags.owndata
    assert not data.flags.writeable


def test_a_constant_node_stays_in_the_file(tmp_path: Path) -> None:
    model = with_weight(numpy_helper.from_array(WEIGHT, "w"))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=model.graph.initializer.pop()))
    data = load(store(model, tmp_path))["w"].array
    np.testing.assert_array_equal(data, WEIGHT)
    assert not data.flags.writeable


@pytest.mark.parametrize("dtype", ["bool", "float16", "int64", "complex64", "bfloat16", "int4", "uint2", "float8_e5m2"])
def test_every_element_type(tmp_path: Path, dtype: str) -> None:
    import ml_dtypes

    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    array = (np.arange(3001) % 3).astype(kind)
    x, y = (helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), None) for name in "xy")
    graph = helper.make_graph(
        [helper.make_node("Concat", ["x", "w"], ["y"], axis=0)], "g", [x], [y], [numpy_helper.from_array(array, "w")]
    )
    path = store(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=13), tmp_path)
    if dtype in ("int4", "uint2", "float8_e5m2"):  # Concat does not take them
        with pytest.raises(ConversionError, match="does not accept its inputs"):
            load(path)
        return
    again = tmp_path / "again.onnx"
    save(load(path), again)
    np.testing.assert_array_equal(load(again)["w"].array, array)


def test_external_data_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"head" + WEIGHT.tobytes() + b"tail")
    data = load(external(tmp_path, location="w.bin", offset=4, length=WEIGHT.nbytes))["w"].array
    np.testing.assert_array_equal(data, WEIGHT)
    assert not data.flags.owndata


@pytest.mark.parametrize(("place", "message"), [
    ({"location": "w.bin", "offset": 8}, "is 16,384 bytes, found 16,376"),
    ({"location": "w.bin", "length": 99999}, "of a file of 16,384"),
    ({"location": "w.bin", "offset": -4}, "of a file of 16,384"),
    ({"location": "w.bin", "offset": "four"}, "invalid literal"),
    ({"location": "none.bin"}, "is not there"),
    ({"location": "n" * 5000}, "is not there"),
    ({"location": "loop.bin"}, "is not there"),
    ({}, "outside the model's folder"),
    ({"location": "../secret.bin"}, "outside the model's folder"),
    ({"location": "/etc/hostname"}, "outside the model's folder"),
    ({"location": "link.bin"}, "outside the model's folder"),
])  # fmt: skip
def test_bad_external_data(tmp_path: Path, place: dict[str, object], message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").write_bytes(WEIGHT.tobytes())
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "loop.bin").symlink_to("loop.bin")
    with pytest.raises(ConversionError, match=message):
        load(external(folder, **place))


@pytest.mark.parametrize(("change", "message"), [
    ({"dims": (16, 255)}, "16x255 of float32 is 16,320 bytes, found 16,384"),
    ({"dims": (-16, -256)}, "its shape is -16x-256"),
    ({"dims": (2**40, 2**40)}, "found 16,384"),
    ({"data_type": 99}, "can't be read"),
    ({"data_type": TensorProto.STRING}, "strings have no raw data"),
])  # fmt: skip
def test_bad_tensors(tmp_path: Path, change: dict[str, object], message: str) -> None:
    tensor = numpy_helper.from_array(WEIGHT, "w")
    for key in change:
        tensor.ClearField(key)
    tensor.MergeFrom(TensorProto(**change))
    with pytest.raises(ConversionError, match=message):
        load(store(with_weight(tensor), tmp_path))


# ------------------------------------------------------------------------- graphs


@pytest.mark.parametrize(("text", "message"), [
    ("g (float[2] x) => (float[2] y) { y = Add (x, z) }", "nothing computes the input 'z'"),
    ("g (float[2] x) => (float[2] z) { y = Relu (x) }", "nothing computes the input 'z'"),
    ("g (float[2] x) => (float[2] y) { y = Relu (x) y = Abs (x) }", "'y' is made twice"),
    ("g (float[2] x, float[3] x) => (float[2] y) { y = Relu (x) }", "two inputs 'x'"),
    ("g (float[2] x) => (float[2] y) { a = Add (x, b) b = Relu (a) y = Abs (b) }", "has a cycle"),
    ("g (float[2] x) => (float[2] y, float[2] y) { y = Relu (x) }", "'y' is there twice"),
    ("g (float[2] x) => (float[2] y) { y = Relu (x, x) }", "does not accept its inputs"),
    ("g (float[2] x) => (float[2] y) { y = Add (x) }", "does not accept its inputs"),
    ("g (float[2] x, float[3] z) => (float[2] y) { y = Add (x, z) }", r"does not accept its inputs \(2, 3\)"),
    ("g (float[2] x) => (float[2] y) { y = Relu <alpha = 1.0> (x) }", "Relu has no attribute alpha"),
    ("g (float[2] x) => (float[2] y) { y = Elu <alpha = 1> (x) }", "alpha is of the wrong kind"),
    ("g (float[2] x) => (float[2] y) { y = Concat (x, x) }", "Concat needs axis"),
    ("g (float[2] x) => (float[2] y) { y = Einsum <equation = \"i.,i->i\"> (x, x) }", "is no equation"),
    ("g (seq(float[2]) x) => (float[2] y) { y = ConcatFromSequence <axis = 0> (x) }", "'x' is a seq"),
])  # fmt: skip
def test_bad_graphs(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        load(parse(text, tmp_path))


def test_every_unsupported_node_is_listed(tmp_path: Path) -> None:
    path = parse(
        """g (float[2, 3] x) => (float[2, 3] y) { a = Relu (x)
        [one] b = own.Thing (a)  [two] c = own.Relus (a, x)  d = Sigmoid (b)  y = Add (c, d) }""",
        tmp_path,
    )
    with pytest.raises(UnsupportedError) as caught:
        load(path)
    assert [(p.what, p.origin.layer, p.shapes) for p in caught.value.problems] == [
        ("the operator 'own.Thing' is not supported", "one", "2x3"),
        ("the operator 'own.Relus' is not supported", "two", "2x3, 2x3"),
    ]


def test_nodes_out_of_order_are_sorted(tmp_path: Path) -> None:
    path = parse("g (float[2] x) => (float[2] y) { y = Abs (a) a = Neg (x) }", tmp_path)
    assert [node.op for node in load(path).nodes()] == ["Neg", "Abs"]


@pytest.mark.parametrize(("opset", "message"), [(6, "opset 6 is not one of 7 to"), (99, "opset 99 is not one of 7")])
def test_opsets_out_of_range(tmp_path: Path, opset: int, message: str) -> None:
    model = with_weight(numpy_helper.from_array(WEIGHT, "w"))
    model.opset_import[0].version = opset
    with pytest.raises(ConversionError, match=message):
        load(store(model, tmp_path))


def test_symbolic_dimensions_and_batch(tmp_path: Path) -> None:
    text = "g (float[N, 3, H] x) => (float[N, H, 3] y) { y = Transpose <perm = [0, 2, 1]> (x) }"
    path = parse(text, tmp_path)
    assert load(path)["y"].shape == ("N", "H", 3)
    assert load(path, options=LoadOptions(batch=4))["y"].shape == (4, "H", 3)
    spec = TensorSpec((2, 3, 5), np.dtype(np.uint8))
    graph = load(path, options=LoadOptions({"x": spec}))
    assert (graph.inputs[0].dtype, graph["y"].dtype, graph["y"].shape) == (np.uint8, np.float32, (2, 5, 3))


def test_an_initializer_is_an_input_only_on_request(tmp_path: Path) -> None:
    model = with_weight(numpy_helper.from_array(WEIGHT, "w"))
    model.graph.input.append(helper.make_tensor_value_info("w", 1, WEIGHT.shape))
    path = store(model, tmp_path)
    assert [value.name for value in load(path).inputs] == ["x"]
    assert [value.name for value in load(path, options=LoadOptions({"w": TensorSpec()})).inputs] == ["x", "w"]


FUNCTIONS = """g (float[2] x) => (float[2] y, float[2] z) {
    a = own.Twice <slope = 0.5> (x)
    y = own.Twice (a)
    z = own.Optional (x)
}
<domain: "own", opset_import: ["": 17]> Twice <slope: float = 0.25> (v) => (w) {
    t = LeakyRelu <alpha: float = @slope> (v)
    w = Add (t, t)
}
<domain: "own", opset_import: ["": 17]> Optional (v, low) => (w) { w = Clip (v, low) }
"""


def test_functions_are_inlined(tmp_path: Path) -> None:
    graph = load(parse(FUNCTIONS, tmp_path))
    graph.check()
    x = np.array([-4, 3], np.float32)
    found = OnnxRuntime(graph).run({"x": x})
    np.testing.assert_allclose(found["y"], [-2, 12])
    np.testing.assert_array_equal(found["z"], x)


def test_a_function_that_calls_itself(tmp_path: Path) -> None:
    text = FUNCTIONS.replace("t = LeakyRelu <alpha: float = @slope> (v)", "t = own.Twice (v)")
    text = text.replace('["": 17]> Twice', '["": 17, "own": 1]> Twice')
    with pytest.raises(ConversionError, match="the function 'Twice' calls itself"):
        load(parse(text, tmp_path))


def test_bodies_capture_and_have_their_own_weights(tmp_path: Path) -> None:
    path = parse(
        """g (bool c, float[2] x) => (float[2] y) {
        s = Neg (x)
        y = If (c) <
            then_branch = yes () => (float[2] r) <float[2] k = {1, 2}> { r = Add (s, k) },
            else_branch = no () => (float[2] r) { r = Mul (s, x) }>
    }""",
        tmp_path,
    )
    x = np.array([3, 4], np.float32)
    for graph in (load(path), _written(load(path), tmp_path)):
        graph.check()
        runtime = OnnxRuntime(graph)
        np.testing.assert_array_equal(runtime.run({"c": np.array(True), "x": x})["y"], -x + [1, 2])
        np.testing.assert_array_equal(runtime.run({"c": np.array(False), "x": x})["y"], -x * x)


def _written(graph, folder: Path):  # type: ignore[no-untyped-def]
    save(graph, folder / "written.onnx")
    onnx.checker.check_model(folder / "written.onnx", full_check=True)
    return load(folder / "written.onnx")


# ------------------------------------------------------------------ damaged files


def damaged(model: bytes, rnd: random.Random) -> bytes:
    if rnd.random() < 0.3:
        return model[: rnd.randrange(len(model))]
    data = bytearray(model)
    for _ in range(rnd.choice([1, 2, 5])):
        data[rnd.randrange(rnd.choice([60, len(data)]))] = rnd.randrange(256)
    return bytes(data)


def test_damage_is_always_a_clear_error(tmp_path: Path) -> None:
    """Truncations and flipped bytes: a graph that checks, or a ConversionError; nothing else."""
    rnd = random.Random(0)
    sources = [parse(FUNCTIONS, tmp_path).read_bytes()]
    sources.append(with_weight(numpy_helper.from_array(WEIGHT, "w")).SerializeToString())
    refused = 0
    for i in range(1500):
        path = tmp_path / "damaged.onnx"
        path.write_bytes(damaged(sources[i % 2], rnd))
        try:
            load(path).check()
        except ConversionError:
            refused += 1
    assert 500 < refused < 1500


# ------------------------------------------------------------------------ real files


@pytest.mark.parametrize("name", ["mnist_cntk", "squeezenet_fp16_opset7", "ultraface_rfb320"])
def test_real_models(name: str, tmp_path: Path) -> None:
    """ONNX Runtime on the file, on our graph, and on what we write."""
    path, written = oracles.model(f"onnx/{name}.onnx"), tmp_path / "written.onnx"
    graph = load(path)
    graph.check()
    save(load(path), written)
    onnx.checker.check_model(written, full_check=True)
    original = OnnxRuntime(path)
    rng = np.random.default_rng(0)
    feed = {tensor.name: rng.uniform(0, 1, tensor.shape).astype(tensor.dtype) for tensor in original.inputs}
    wanted = original.run(feed)
    for runtime in (OnnxRuntime(graph), OnnxRuntime(written)):
        found = runtime.run(feed)
        assert list(found) == list(wanted)
        for key, array in wanted.items():
            tolerance = 1e-3 if array.dtype == np.float16 else 1e-6
            assert np.abs(found[key].astype(np.float64) - array).max() <= tolerance * np.abs(array).max()
