"""Conversions in a process in which importing a framework raises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "torch", "jax", "tf2onnx", "mxnet"):
            raise AssertionError("imports " + name)

sys.meta_path.insert(0, Forbidden())

from netglot.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stopped:
    sys.exit(stopped.code)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network in every form that Keras and TensorFlow save."""
    keras = pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("models")
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    # pixels of 0..255 as they are would close the LSTM's gates, and the outputs would be what sigmoids round to
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.LSTM(5)(layers.Reshape((16, 16))(layers.BatchNormalization()(x)))
    model = keras.Model(image, layers.Dense(2)(x))
    model.save(folder / "net.keras")
    model.save(folder / "net.h5")
    model.export(folder / "saved", verbose=False)
    (folder / "net.json").write_text(model.to_json())
    model.save_weights(folder / "net.weights.h5")
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "cpp"])
@pytest.mark.parametrize("source", ["net.keras", "net.h5", "net.json", "saved"])
def test_nothing_of_a_framework_is_imported(source: str, target: str, models: dict[str, Path], tmp_path: Path) -> None:
    weights = [models["net.weights.h5"]] if source == "net.json" else []
    check = ["--no-verify"] if target == "cpp" else []  # compiling it takes long, and is tested elsewhere
    command = ["convert", models[source], *weights, "--to", target, "-o", tmp_path / f"out_{target}", *check]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if target != "cpp":
        assert "equal within 1e-05" in done.stdout
