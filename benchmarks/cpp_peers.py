"""What benchmarks/cpp_speed.py measures with: the networks as files, and the peers' time on one core.

    python benchmarks/cpp_peers.py make MobileNetV2 FOLDER      # source.*, fp32.onnx, fp32.tflite, for some int8.*
    python benchmarks/cpp_peers.py time litert FILE --repeat 30
    python benchmarks/cpp_peers.py time onnxruntime FILE --repeat 30

Each in a process of its own: importing TensorFlow changes what else a process does and how fast.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

KERAS = ("MobileNetV2", "ResNet50")
QUANTIZED = ("MobileNetV2",)
CALIBRATION = 8  # images; what they are does not matter for the time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "time"])
    parser.add_argument("name")
    parser.add_argument("path", type=Path)
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    if options.what == "make":
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # tests.torch_models
        make(options.name, options.path)
        return
    run = {"litert": litert, "onnxruntime": onnxruntime}[options.name](options.path)
    times = measured(run, options.repeat)
    print(f"min {min(times):.3f} ms, median {statistics.median(times):.3f} ms of {options.repeat} runs")


def images(count: int = 1) -> Iterator[np.ndarray]:
    """Channels-last, between -1 and 1."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)


# ------------------------------------------------------------------------- make


def make(name: str, folder: Path) -> None:
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    folder.mkdir(parents=True, exist_ok=True)
    (make_keras if name in KERAS else make_torch)(name, folder)
    if name in QUANTIZED:
        quantize_onnx(folder / "fp32.onnx", folder / "int8.onnx")


def make_keras(name: str, folder: Path) -> None:
    """LiteRT gets what TFLiteConverter makes of the network, ONNX Runtime our ONNX, with the input as it likes it."""
    import keras
    import tensorflow as tf
    from keras_applications import settle

    import netglot

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    settle(model, next(images()))
    model.save(folder / "source.keras")
    netglot.convert(folder / "source.keras", folder / "fp32.onnx", verify=False, batch=1, force=True)
    feed_channels_first(folder / "fp32.onnx")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "fp32.tflite").write_bytes(converter.convert())
    if name in QUANTIZED:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in images(CALIBRATION))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        (folder / "int8.tflite").write_bytes(converter.convert())


def make_torch(name: str, folder: Path) -> None:
    """LiteRT gets our TFLite: it is what litert-torch writes, operator by operator."""
    import torch

    import netglot
    from tests.torch_models import randomised, torchvision

    torch.manual_seed(0)
    module = randomised(getattr(torchvision().models, name.lower())(weights=None), 224)
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 224, 224),)), folder / "source.pt2")
    netglot.convert(folder / "source.pt2", folder / "fp32.onnx", verify=False, force=True)
    netglot.convert(folder / "source.pt2", folder / "fp32.tflite", io_layout="nhwc", verify=False, force=True)


def feed_channels_first(path: Path) -> None:
    """Takes the Transpose off the image of a Keras network: ONNX Runtime is not to be timed with it."""
    import onnx

    model = onnx.load(path)
    (image,) = model.graph.input
    node = next(node for node in model.graph.node if image.name in node.input)
    if node.op_type != "Transpose":
        raise SystemExit(f"expected the image of {path} to be transposed first, not {node.op_type}")
    model.graph.node.remove(node)
    image.name = node.output[0]
    sizes = image.type.tensor_type.shape.dim
    for size, value in zip(sizes, (1, 3, 224, 224), strict=True):
        size.dim_value = value
    onnx.save(model, path)


def quantize_onnx(source: Path, target: Path) -> None:
    """QuantizeLinear and DequantizeLinear around every layer; weights by channel."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    name = onnx.load(source).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = ({name: image.transpose(0, 3, 1, 2).copy()} for image in images(CALIBRATION))

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quantize_static(
        source, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


# ------------------------------------------------------------------------- time


def measured(run: Callable[[], None], repeat: int) -> list[float]:
    """Milliseconds of each run after one that does not count."""
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def litert(path: Path) -> Callable[[], None]:
    """With XNNPACK, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (item,) = interpreter.get_input_details()
    interpreter.set_tensor(item["index"], made_up(item["shape"], item["dtype"]))
    return interpreter.invoke


def onnxruntime(path: Path) -> Callable[[], None]:
    """All optimisations of the graph, on one thread."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (item,) = session.get_inputs()
    feed = {item.name: made_up(item.shape, np.float32)}
    return lambda: session.run(None, feed)


def made_up(shape: Any, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    if np.dtype(dtype) == np.int8:
        return rng.integers(-128, 128, shape, np.int8)
    return rng.uniform(-1, 1, shape).astype(dtype)


if __name__ == "__main__":
    main()
