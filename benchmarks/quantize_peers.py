"""What others quantise, each in a process of its own: `python quantize_peers.py PEER FOLDER [LAYOUT]`.

PEER: one of PEERS; FOLDER: as benchmarks/quantize_models.py leaves it, where the results are written, too; LAYOUT:
nchw where float.onnx takes images so. ai-edge-quantizer may be in another environment than the rest, so nothing but
NumPy is imported before its turn.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def images(folder: Path, layout: str = "nhwc") -> Iterator[np.ndarray]:
    """One after the other, each a batch of one."""
    with np.load(folder / "calibration.npz") as file:
        x = file["x"].astype(np.float32)
    for image in x:
        yield np.ascontiguousarray(image.transpose(2, 0, 1) if layout == "nchw" else image)[None]


def tflite_converter(folder: Path, _layout: str) -> None:
    """Full integer with float inputs and outputs, as TensorFlow's guide of post-training quantisation says."""
    import keras
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(folder / "model.keras"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images(folder))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (folder / "TFLiteConverter.tflite").write_bytes(converter.convert())


def ai_edge_quantizer(folder: Path, _layout: str) -> None:
    """Its recipe for int8 weights and activations; inputs and outputs stay float, as the others'."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    model = folder / "float.tflite"
    ((signature, names),) = Interpreter(str(model)).get_signature_list().items()
    one = quantizer.Quantizer(str(model), recipe.static_wi8_ai8())
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        one.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    (name,) = names["inputs"]
    found = one.calibrate({signature: [{name: image} for image in images(folder)]})
    one.quantize(found).export_model(str(folder / "ai-edge-quantizer.tflite"), overwrite=True)


# Whether its own preparation comes first, and what is said beside its defaults. Its guide has unsigned activations as
# the faster ones where a processor lacks products of signed bytes.
ONNXRUNTIME: dict[str, tuple[bool, dict[str, Any]]] = {
    "onnxruntime": (False, {}),
    "onnxruntime per-channel": (False, {"per_channel": True}),
    "onnxruntime prepared": (True, {}),
    "onnxruntime prepared per-channel": (True, {"per_channel": True}),
    "onnxruntime prepared per-channel uint8": (True, {"per_channel": True, "activation_type": "QUInt8"}),
}


def onnxruntime(folder: Path, layout: str) -> None:
    """QDQ in each of the ways of ONNXRUNTIME."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model, prepared = folder / "float.onnx", folder / "prepared.onnx"
    quant_pre_process(str(model), str(prepared))
    for title, (first, options) in ONNXRUNTIME.items():
        source, how = prepared if first else model, dict(options)
        if "activation_type" in how:
            how["activation_type"] = QuantType[how["activation_type"]]
        data = Reader(source, folder, layout)
        quantize_static(source, folder / f"{title}.onnx", data, quant_format=QuantFormat.QDQ, **how)


class Reader:
    """What onnxruntime's CalibrationDataReader is to be."""

    def __init__(self, model: Path, folder: Path, layout: str) -> None:
        from onnxruntime import InferenceSession

        self.name = InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].name
        self.images = images(folder, layout)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self.images, None)
        return None if image is None else {self.name: image}


PEERS = {"TFLiteConverter": tflite_converter, "ai-edge-quantizer": ai_edge_quantizer, "onnxruntime": onnxruntime}

if __name__ == "__main__":
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    PEERS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "nhwc")
