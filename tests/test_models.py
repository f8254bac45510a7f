"""Real networks, made and trained by others, in all four targets against the source's own runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.convert import SAMPLES, open_model
from tests.oracles import caffe, model, photo

TARGETS = {"onnx": "net.onnx", "tflite": "net.tflite", "cpp": "net_cpp", "coreml": "net.mlpackage"}
RTOL = 1e-5  # of the output's largest value


@dataclass(frozen=True)
class Net:
    """A Caffe network of the shared folder and how to feed it."""

    name: str
    weights: str = ".caffemodel"
    input: str = "data"
    shape: tuple[int, ...] = (1, 3, 32, 32)
    low: float = -1.0
    high: float = 1.0

    @property
    def files(self) -> tuple[Path, Path]:
        return model(f"caffe/{self.name}.prototxt"), model(f"caffe/{self.name}{self.weights}")

    def inputs(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {self.input: rng.uniform(self.low, self.high, self.shape).astype(np.float32)}


NETS = [
    Net("squeezenet_v1.0", shape=(1, 3, 227, 227), low=-120, high=150),
    Net("mtcnn_det1", shape=(1, 3, 12, 12)),
    Net("mtcnn_det2", shape=(1, 3, 24, 24)),
    Net("lenet_v1layers_2014", shape=(64, 1, 28, 28), low=0),
    Net("cifar10_quick", weights=".caffemodel.h5", low=-15, high=15),  # larger ones saturate its softmax
    Net("ultraface_rfb320", shape=(1, 3, 240, 320), input="input"),
]


def run_file(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the file computes: by the target's runtime, or read back where there is none (Core ML off macOS)."""
    return open_model(path).run(inputs)


def opencv(
    prototxt: Path, weights: Path, inputs: Mapping[str, np.ndarray], outputs: list[str]
) -> dict[str, np.ndarray]:
    import cv2

    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    for name, array in inputs.items():
        net.setInput(array, name)
    return dict(zip(outputs, net.forward(outputs), strict=True))


@cache
def expected(net: Net, folder: Path) -> dict[str, np.ndarray]:
    prototxt, weights = net.files
    if net.name.startswith("ultraface"):  # the SSD fork's layers: real Caffe 1.0 has no Permute
        return opencv(prototxt, weights, net.inputs(), ["boxes", "scores"])
    return caffe(prototxt, weights, net.inputs(), folder)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_equals_the_source(net: Net, target: str, tmp_path: Path) -> None:
    prototxt, weights = net.files
    wanted = expected(net, tmp_path)
    report = netglot.convert(prototxt, tmp_path / TARGETS[target], weights=weights)
    assert report.ok, report.to_json()
    assert report.samples == SAMPLES
    found = run_file(tmp_path / TARGETS[target], net.inputs())
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert np.abs(found[name] - value).max() <= RTOL * np.abs(value).max(), name


PHOTOS = {"parrot.jpg": 88, "hot_dog.jpg": 934, "cat_720p.jpg": 282, "dragonfly.bmp": 319, "sunflower.bmp": 985}


@pytest.mark.parametrize("target", TARGETS)
def test_squeezenet_sees_what_is_on_the_photos(target: str, tmp_path: Path) -> None:
    prototxt, weights = NETS[0].files
    netglot.convert(prototxt, tmp_path / TARGETS[target], weights=weights, verify=False)
    for name, label in PHOTOS.items():
        pixels = photo(name, 227, bgr=True, mean=(104, 117, 123))
        (scores,) = run_file(tmp_path / TARGETS[target], {"data": pixels}).values()
        assert int(scores.argmax()) == label, name


@pytest.mark.parametrize(("io_layout", "transposes"), [("keep", 1), ("nhwc", 0)])
def test_squeezenet_tflite_has_no_needless_transpose(io_layout: str, transposes: int, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    prototxt, weights = NETS[0].files
    report = netglot.convert(prototxt, tmp_path / "net.tflite", weights=weights, io_layout=io_layout)
    assert report.ok, report.to_json()
    ops = Interpreter(str(tmp_path / "net.tflite"), experimental_op_resolver_type=_plain())._get_ops_details()
    assert sum(op["op_name"] == "TRANSPOSE" for op in ops) == transposes


def _plain() -> object:
    """No delegate, so that the operators are listed as they stand in the file."""
    from ai_edge_litert.interpreter import OpResolverType

    return OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def test_det1_takes_any_size(tmp_path: Path) -> None:
    """mtcnn_det1 is fully convolutional: --input gives it another size, and real Caffe agrees."""
    prototxt, weights = NETS[1].files
    inputs = {"data": np.random.default_rng(1).uniform(-1, 1, (1, 3, 37, 29)).astype(np.float32)}
    wanted = caffe(prototxt, weights, inputs, tmp_path)
    report = netglot.convert(prototxt, tmp_path / "net.tflite", weights=weights, inputs={"data": (1, 3, 37, 29)})
    assert report.ok
    found = run_file(tmp_path / "net.tflite", inputs)
    for name, value in wanted.items():
        assert np.abs(found[name] - value).max() <= RTOL * np.abs(value).max(), name


def test_the_twins_agree(tmp_path: Path) -> None:
    """The same weights reached us as Caffe, ONNX and TFLite: what we make of the Caffe files equals the ONNX twin."""
    from netglot.runtimes.onnxruntime import OnnxRuntime

    net = NETS[5]
    prototxt, weights = net.files
    netglot.convert(prototxt, tmp_path / "net.tflite", weights=weights, verify=False)
    ours = run_file(tmp_path / "net.tflite", net.inputs())
    theirs = OnnxRuntime(model("onnx/ultraface_rfb320.onnx")).run(net.inputs())
    for name in ("scores", "boxes"):
        assert np.abs(ours[name] - theirs[name]).max() <= 2e-5, name


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["ultraface_rfb320", "mnist_cntk", "squeezenet_fp16_opset7"])
def test_onnx_sources_convert(name: str, target: str, tmp_path: Path) -> None:
    """Expected: ONNX Runtime on the original file."""
    report = netglot.convert(model(f"onnx/{name}.onnx"), tmp_path / TARGETS[target])
    assert report.ok, report.to_json()


@pytest.mark.parametrize("target", TARGETS)
def test_io_layout_in_every_target(target: str, tmp_path: Path) -> None:
    """Channels-last inputs and outputs: fed and read so, mtcnn_det1 equals what real Caffe computes channels-first."""
    net = NETS[1]
    prototxt, weights = net.files
    report = netglot.convert(prototxt, tmp_path / TARGETS[target], weights=weights, io_layout="nhwc")
    assert report.ok, report.to_json()
    fed = {net.input: np.ascontiguousarray(net.inputs()[net.input].transpose(0, 2, 3, 1))}
    found = run_file(tmp_path / TARGETS[target], fed)
    for name, value in expected(net, tmp_path).items():
        last = value.transpose(0, 2, 3, 1)
        assert found[name].shape == last.shape
        assert np.abs(found[name] - last).max() <= RTOL * np.abs(last).max(), name
