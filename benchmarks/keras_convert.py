"""Keras MobileNetV2 and ResNet50 to TFLite and to ONNX, whole process, beside TFLiteConverter and tf2onnx.

    python benchmarks/keras_convert.py [--models MobileNetV2 ResNet50] [--repeats 5]

All start from files that are there: netglot and TFLiteConverter from the .keras file, tf2onnx from the SavedModel that
Keras exports (it does not read .keras files), netglot from that, too. Without verification, on a warm disk; the runs
take turns, and the first of each does not count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from keras_applications import randomise
from processes import interleaved, show

TFLITE_CONVERTER = """
import sys, keras, tensorflow as tf
model = keras.models.load_model(sys.argv[1])
open(sys.argv[2], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["MobileNetV2", "ResNet50"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--make", nargs=2, metavar=("MODEL", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if options.make:
        make(options.make[0], Path(options.make[1]))
        return
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            os.spawnl(os.P_WAIT, sys.executable, sys.executable, __file__, "--make", model, folder)
            print(f"{model}, {(Path(folder) / 'model.keras').stat().st_size / 1e6:.0f} MB")
            show(interleaved(to_tflite(folder), options.repeats), "TFLiteConverter")
            show(interleaved(to_onnx(folder), options.repeats), "tf2onnx")


def make(name: str, folder: Path) -> None:
    """In a process of its own, so that TensorFlow's memory is not ours."""
    import keras

    model: Any = getattr(keras.applications, name)(weights=None)
    randomise(model)
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)


def netglot(source: str, target: str) -> list[str]:
    return [sys.executable, "-m", "netglot", "convert", source, "-o", target, "--no-verify", "--force"]


def to_tflite(folder: str) -> dict[str, list[str]]:
    return {
        "TFLiteConverter": [sys.executable, "-c", TFLITE_CONVERTER, f"{folder}/model.keras", f"{folder}/theirs.tflite"],
        "netglot": netglot(f"{folder}/model.keras", f"{folder}/ours.tflite"),
        "netglot, SavedModel": netglot(f"{folder}/saved", f"{folder}/ours.tflite"),
    }


def to_onnx(folder: str) -> dict[str, list[str]]:
    peer = ["-m", "tf2onnx.convert", "--saved-model", f"{folder}/saved", "--output", f"{folder}/theirs.onnx"]
    return {
        "tf2onnx": [sys.executable, *peer],
        "netglot": netglot(f"{folder}/model.keras", f"{folder}/ours.onnx"),
        "netglot, SavedModel": netglot(f"{folder}/saved", f"{folder}/ours.onnx"),
    }


if __name__ == "__main__":
    main()
