"""The Core ML frontend, proven on what coremltools' own converters write, and against what hostile files claim."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.backends.coreml import save
from netglot.coreml_import import proto
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.coreml import load
from netglot.frontends.coreml.builder import MIL, CoreMLBuilder
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.oracles import model
from tests.targets import coreml_evaluator

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def error(actual: np.ndarray, wanted: np.ndarray) -> float:
    assert actual.shape == wanted.shape
    return float(np.abs(actual - wanted).max() / np.abs(wanted).max())


# ------------------------------------------------------- coremltools' converters

NETS = ("classifier", "mobile", "decoder", "attention", "shapes", "norms")
KINDS = {"iOS15": 1e-6, "iOS18": 1e-6, "fp16": 3e-3, "network": 1e-6}


@pytest.fixture(scope="session")
def from_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what tests/coreml_from_torch.py writes."""
    pytest.importorskip("torch", reason="coremltools' converters convert torch's networks")
    folder = tmp_path_factory.mktemp("from_torch")
    script = Path(__file__).with_name("coreml_from_torch.py")
    done = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", NETS)
def test_equals_torch(net: str, kind: str, from_torch: Path) -> None:
    data = np.load(from_torch / f"{net}.npz")
    graph = load(from_torch / f"{net}-{kind}.{'mlmodel' if kind == 'network' else 'mlpackage'}")
    graph.check()
    x = graph.inputs[0]
    results = OnnxRuntime(graph).run({x.name: data["x"].astype(x.dtype or np.float32)})
    assert set(results) == {name for name in data.files if name != "x"}
    for name, actual in results.items():
        assert error(actual.astype(np.float32), data[name]) <= KINDS[kind]


@pytest.mark.parametrize(("name", "size"), [("mnist", 10), ("tiny_drawing_embedding", 128)])
def test_other_peoples_models(name: str, size: int) -> None:
    path = model(f"coreml/{name}.mlmodel")
    graph = load(path)
    graph.check()
    image, output = graph.inputs[0], graph.outputs[0]
    assert (image.sizes, output.sizes) == ((1, 1, 28, 28), (size,))
    x = {image.name: np.random.default_rng(0).uniform(0, 255, image.sizes).astype(np.float32)}
    assert error(OnnxRuntime(graph).run(x)[output.name], coreml_evaluator(path).predict(x)[output.name]) < 1e-6


def test_other_peoples_model_reads_a_nine() -> None:
    """MNIST has white digits on black."""
    from PIL import Image

    graph, nine = load(model("coreml/mnist.mlmodel")), Image.open(model("inputs/mnist_nine.bmp")).convert("L")
    x = np.asarray(nine.resize((28, 28)), np.float32).reshape(1, 1, 28, 28)
    assert OnnxRuntime(graph).run({"image": x})["prediction"].argmax() == 9


# ------------------------------------------------------------- neural networks


def network(*layers: dict[str, Any], shape: tuple[int, ...] = (), outputs: tuple[int, ...] = ()) -> Any:
    """A network y = layers(x), for an array of `shape` or, without one, a 2x3 RGB image."""
    spec = proto("Model_pb2").Model(specificationVersion=1)
    x, y = spec.description.input.add(name="x"), spec.description.output.add(name="y")
    if shape:
        x.type.multiArrayType.shape.extend(shape)
    else:
        x.type.imageType.width, x.type.imageType.height, x.type.imageType.colorSpace = 3, 2, 20
    y.type.multiArrayType.shape.extend(outputs)
    for i, fields in enumerate(layers):
        last = i == len(layers) - 1
        source, result = f"v{i}" if i else "x", "y" if last else f"v{i + 1}"
        spec.neuralNetwork.layers.add(name=f"layer{i}", input=[source], output=[result], **fields)
    return spec


def loaded(spec: Any, folder: Path, options: LoadOptions = LoadOptions()) -> Graph:
    (folder / "net.mlmodel").write_bytes(spec.SerializeToString())
    return load(folder / "net.mlmodel", options=options)


def run(graph: Graph, x: np.ndarray) -> np.ndarray:
    return OnnxRuntime(graph).run({"x": x.astype(np.float32)})["y"]


def test_nodes_are_called_as_what_they_compute(tmp_path: Path) -> None:
    """And after that is renamed, too: in half precision, a Cast takes the output's name. No two may have one."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 4))
    g.graph.outputs = [g.MatMul(x, np.eye(4, dtype=np.float32), name="y")]
    save(g.graph, tmp_path / "net.mlpackage")
    assert netglot.convert(tmp_path / "net.mlpackage", tmp_path / "net.onnx", quantize="fp16").ok


@pytest.mark.parametrize(("color_space", "biases"), [(20, [1, 2, 3]), (30, [3, 2, 1])])
def test_image_preprocessing(color_space: int, biases: list[int], tmp_path: Path) -> None:
    """Biases are named by colour; the channels come in the order of the colour space."""
    spec = network({"activation": {"linear": {"alpha": 1}}})
    spec.description.input[0].type.imageType.colorSpace = color_space
    scaler = spec.neuralNetwork.preprocessing.add().scaler
    scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias = 0.5, 1, 2, 3
    x = np.arange(18.0).reshape(1, 3, 2, 3)
    wanted = x[0] * 0.5 + np.array(biases).reshape(3, 1, 1)
    np.testing.assert_allclose(run(loaded(spec, tmp_path), x), wanted)


def test_mean_image(tmp_path: Path) -> None:
    spec = network({"activation": {"ReLU": {}}})
    spec.neuralNetwork.preprocessing.add().meanImage.meanImage.extend(range(18))
    x = np.arange(18.0).reshape(1, 3, 2, 3) + 1
    np.testing.assert_allclose(run(loaded(spec, tmp_path), x), np.ones((3, 2, 3)))


@pytest.mark.parametrize("shape", [(4,), (2, 4), (4, 2, 3), (2, 4, 2, 3)])
def test_ranks_of_old_networks(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Channels are the axis that softmax sums over."""
    y = run(loaded(network({"softmax": {}}, shape=shape), tmp_path), np.random.default_rng(0).normal(size=shape))
    axis = -3 if len(shape) >= 3 else -1
    np.testing.assert_allclose(y.sum(axis), np.ones_like(y.sum(axis)), rtol=1e-6)
    assert y.shape == shape


def test_flatten_of_channels_last(tmp_path: Path) -> None:
    spec = network({"flatten": {"mode": 1}}, outputs=(18,))
    x = np.arange(18.0).reshape(1, 3, 2, 3)
    np.testing.assert_array_equal(run(loaded(spec, tmp_path), x), x.transpose(0, 2, 3, 1).ravel())


def test_unsupported_layers_are_listed_at_once(tmp_path: Path) -> None:
    spec = network({"custom": {}}, {"activation": {"ReLU": {}}}, {"gru": {}})
    with pytest.raises(UnsupportedError) as refused:
        loaded(spec, tmp_path)
    assert [problem.origin.layer for problem in refused.value.problems] == ["layer0", "layer2"]


def test_weights_of_the_wrong_size(tmp_path: Path) -> None:
    dense = {"inputChannels": 18, "outputChannels": 2, "weights": {"floatValue": [1.0] * 35}}
    with pytest.raises(ConversionError, match="2x18, found 35"):
        loaded(network({"innerProduct": dense}), tmp_path)


def test_an_input_gets_another_size(tmp_path: Path) -> None:
    options = LoadOptions(inputs={"x": TensorSpec((1, 3, 5, 7))})
    assert loaded(network({"softmax": {}}), tmp_path, options).outputs[0].sizes == (3, 5, 7)


# ----------------------------------------------------------------- ML Programs


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small ML Program with weights in a file."""
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 6, 7))
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    g.graph.outputs = [g.Softmax(g.MaxPool(g.Relu(g.Conv(x, weight)), kernel_shape=(2, 2)), axis=1)]
    save(g.graph, tmp_path / "net.mlpackage")
    return tmp_path / "net.mlpackage"


def change(package: Path, edit: Any) -> None:
    """Applies `edit` to the operations of the program, by type."""
    spec = proto("Model_pb2").Model()
    spec.ParseFromString((package / MODEL).read_bytes())
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    edit({op.type: op for op in operations} | {f"const {op.outputs[0].name}": op for op in operations})
    (package / MODEL).write_bytes(spec.SerializeToString())


def blob(operations: dict[str, Any]) -> Any:
    """Where the weights of the convolution are said to be."""
    name = operations["conv"].inputs["weight"].arguments[0].name
    return operations[f"const {name}"].attributes["val"].blobFileValue


def refuse(package: Path, match: str, kind: type[ConversionError] = ConversionError) -> None:
    with pytest.raises(kind, match=match) as refused:
        load(package)
    assert type(refused.value) is kind


def test_weights_stay_in_the_file(package: Path) -> None:
    weights = next(value.array for value in load(package).constants() if value.rank == 4)
    while isinstance(weights.base, np.ndarray) and not isinstance(weights, np.memmap):
        weights = weights.base
    assert isinstance(weights, np.memmap)


def test_unsupported_operations_are_listed_at_once(package: Path) -> None:
    def edit(operations: dict[str, Any]) -> None:
        operations["relu"].type, operations["softmax"].type = "relv", "hardmax"

    change(package, edit)
    refuse(package, "(?s)'relv'.*Near: relu.*'hardmax'", UnsupportedError)


def test_unknown_parameters_are_refused(package: Path) -> None:
    change(package, lambda ops: ops["relu"].inputs["slope"].CopyFrom(ops["relu"].inputs["x"]))
    refuse(package, "slope", UnsupportedError)


def test_a_value_that_nothing_computes(package: Path) -> None:
    change(package, lambda ops: setattr(ops["relu"].inputs["x"].arguments[0], "name", "ghost"))
    refuse(package, "'ghost' is read")


def test_a_wrong_declared_shape(package: Path) -> None:
    def edit(operations: dict[str, Any]) -> None:
        operations["relu"].outputs[0].type.tensorType.dimensions[1].constant.size = 5

    change(package, edit)
    refuse(package, "declared 1x5x4x5 and computed 1x4x4x5")


@pytest.mark.parametrize("name", ["../../../secret", "@model_path/../../../secret", "/etc/passwd", "weights/link.bin"])
def test_weights_outside_the_package(name: str, package: Path) -> None:
    secret = package.parent / "secret"
    secret.write_bytes(b"\0" * 4096)
    (package / WEIGHTS).with_name("link.bin").symlink_to(secret)
    change(package, lambda ops: setattr(blob(ops), "fileName", name))
    refuse(package, "leaves the package")


@pytest.mark.parametrize("offset", [0, 1, 63, 128, 2**62, 2**64 - 64])
def test_weights_at_a_wrong_offset(offset: int, package: Path) -> None:
    change(package, lambda ops: setattr(blob(ops), "offset", offset))
    refuse(package, "byte")


def test_more_weights_than_the_file_has(package: Path) -> None:
    weights = package / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:256])
    refuse(package, "bytes")


def test_a_missing_weights_file(package: Path) -> None:
    (package / WEIGHTS).unlink()
    refuse(package, "missing")


@pytest.mark.parametrize("path", ["../outside.mlmodel", "/etc/passwd", "nothing.mlmodel", "a\0b", "n" * 5000, "loop"])
def test_a_manifest_that_leads_elsewhere(path: str, package: Path) -> None:
    (package / "Data" / "loop").symlink_to("loop")
    manifest = json.loads((package / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = path
    (package / "Manifest.json").write_text(json.dumps(manifest))
    refuse(package, "leaves the package|is not there")


HUGE = {
    "fill": {"shape": (2**20, 2**20), "value": np.float32(1)},
    "range_1d": {"start": np.float32(0), "end": np.float32(1e12), "step": np.float32(1)},
    "one_hot": {"one_hot_vector_size": 2**31 - 1},
    "sliding_windows": {"axis": 0, "size": 2**20},
    "instance_norm": {},
}


@pytest.mark.parametrize("op", HUGE)
def test_a_constant_that_the_file_only_claims(op: str) -> None:
    g = CoreMLBuilder(Graph())
    x = g.graph.add_input("x", np.dtype(np.float32), (2**40, 2**40, 8))
    operator = registry.find(MIL, op)
    assert operator
    given = {name: x for name in ("x", "indices") if name in operator.attributes}
    with pytest.raises(ConversionError, match="need a constant of"):
        operator(g, (), given | HUGE[op])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rootModelIdentifier": "x", "itemInfoEntries": {"x": 1}}'])
def test_a_broken_manifest(text: str, package: Path) -> None:
    (package / "Manifest.json").write_text(text)
    refuse(package, "manifest")


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """`whole` with a few other bytes, or cut off."""
    data = np.frombuffer(whole, np.uint8).copy()
    places = rng.integers(0, len(data), rng.integers(1, 4))
    data[places] = rng.integers(0, 256, len(places))
    return data[: rng.integers(1, len(data))].tobytes() if rng.random() < 0.2 else data.tobytes()


def test_damaged_models_give_errors_or_graphs(package: Path, tmp_path: Path) -> None:
    """Whatever a byte becomes: one clear error, or a graph that holds together. Never a traceback."""
    pool = {"type": 1, "kernelSize": [2, 2], "stride": [1, 1], "includeLastPixel": {"paddingAmounts": [1, 1]}}
    dense = {"inputChannels": 18, "outputChannels": 2, "weights": {"floatValue": [1.0] * 36}}
    layers = {"unary": {"type": 3, "alpha": 2}, "pooling": pool, "upsample": {"scalingFactor": [2, 2]},
              "slice": {"startIndex": 1, "endIndex": 2, "axis": 2}, "innerProduct": dense}  # fmt: skip
    spec = network(*({kind: fields} for kind, fields in layers.items()))
    (tmp_path / "net.mlmodel").write_bytes(spec.SerializeToString())
    rng = np.random.default_rng(0)
    for path, file in ((package, package / MODEL), (tmp_path / "net.mlmodel", tmp_path / "net.mlmodel")):
        load(path).check()
        whole, refused = file.read_bytes(), 0
        for _ in range(300):
            file.write_bytes(damaged(whole, rng))
            try:
                load(path).check()
            except ConversionError:
                refused += 1
        assert 30 < refused < 300
