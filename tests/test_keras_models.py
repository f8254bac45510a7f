"""The Keras networks of the shared folder, trained by others, against what is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.convert import convert, load, open_model
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.oracles import model, photo
from tests.targets import TARGETS


def test_resnet8_equals_its_tflite_twin() -> None:
    """MLCommons ships one network as .h5 and as .tflite."""
    ours = OnnxRuntime(load(model("keras/resnet8_cifar10.h5")))
    twin = open_model(model("tflite/resnet8_cifar10_float.tflite"))
    for seed in range(3):
        image = np.random.default_rng(seed).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
        (found,) = ours.run({ours.inputs[0].name: image}).values()
        (wanted,) = twin.run({twin.inputs[0].name: image}).values()
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["resnet8_cifar10", "vww_mobilenet_96"])
def test_every_target_equals_keras(name: str, target: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    path = model(f"keras/{name}.h5")
    network = keras.models.load_model(path, compile=False)
    size = network.input_shape[1]
    image = np.random.default_rng(0).uniform(0, 1, (1, size, size, 3)).astype(np.float32)
    expected = network.predict(image, verbose=0)
    graph = load(path, batch=1)
    (found,) = TARGETS[target](graph, {graph.inputs[0].name: image}, tmp_path).values()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("out", ["net.onnx", "net.tflite"])
def test_a_person_is_seen(out: str, tmp_path: Path) -> None:
    pixels = photo("ultraface_1.jpg", 96, bgr=False, mean=(0, 0, 0), scale=1 / 255).transpose(0, 2, 3, 1)
    convert(model("keras/vww_mobilenet_96.h5"), tmp_path / out, verify=False)
    runtime = open_model(tmp_path / out)
    ((nobody, person),) = next(iter(runtime.run({runtime.inputs[0].name: pixels}).values()))
    assert person > 0.98
    assert nobody < 0.02
