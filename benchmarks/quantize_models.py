"""The networks that benchmarks/quantize.py quantises, and what they are calibrated and judged on.

    python benchmarks/quantize_models.py NETWORK FOLDER

writes into FOLDER: model.keras (what TFLiteConverter reads), float.tflite and float.onnx (what the other peers read),
calibration.npz and evaluation.npz with `x` ([samples, height, width, channels] as the Keras model takes them), for the
digits `labels`, and in evaluation.npz `expected`, what the Keras model computes. Three networks see random crops of the
shared photos, other ones to judge than to calibrate; the digits are scikit-learn's. It needs TensorFlow and takes a
process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parent.parent.parent / "shared" / "models"
CALIBRATION, EVALUATION = 256, 512  # crops
DIGITS = 32  # pixels along each side of a digit, drawn larger
EPOCHS = 20


@dataclass(frozen=True)
class Network:
    """name: of its folder. source: what netglot reads, below the shared models ("" where the Keras model is the
    source), with its weights. side: of its square images. bgr, mean, scale: (pixel - mean) * scale, pixels 0 to 255.
    """

    name: str
    source: str = ""
    weights: str = ""
    side: int = 32
    bgr: bool = False
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    def files(self, folder: Path) -> tuple[Path, Path | None]:
        """The model and its weights."""
        source = MODELS / self.source if self.source else folder / "model.keras"
        return source, MODELS / self.weights if self.weights else None

    @property
    def channels_first(self) -> bool:
        """Whether the source's images are; those of its Keras model are not."""
        return self.source.endswith(".prototxt")


NETWORKS = {
    network.name: network
    for network in (
        Network("resnet8_cifar10", "keras/resnet8_cifar10.h5"),
        Network("vww_mobilenet_96", "keras/vww_mobilenet_96.h5", side=96, scale=1 / 255),
        Network(
            "squeezenet_v1.0", "caffe/squeezenet_v1.0.prototxt", "caffe/squeezenet_v1.0.caffemodel", 227, True,
            (104.0, 117.0, 123.0),
        ),
        Network("mobilenetv2_digits", side=DIGITS),
    )
}  # fmt: skip


def main() -> None:
    network, folder = NETWORKS[sys.argv[1]], Path(sys.argv[2])
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    folder.mkdir(parents=True, exist_ok=True)
    model = MAKERS[network.name](network)
    seen, judged = digits() if not network.source else photos(network)
    judged["expected"] = np.asarray(model.predict(judged["x"], verbose=0)).reshape(len(judged["x"]), -1)
    np.savez(folder / "calibration.npz", **seen)
    np.savez(folder / "evaluation.npz", **judged)
    model.save(folder / "model.keras")
    write_float(network, model, folder)


def write_float(network: Network, model: Any, folder: Path) -> None:
    """TensorFlow Lite by TensorFlow; ONNX by netglot, for none of the others reads all of these."""
    import tensorflow as tf

    import netglot

    (folder / "float.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    source, weights = network.files(folder)
    netglot.convert(source, folder / "float.onnx", weights=weights, verify=False, force=True)


# --------------------------------------------------------------------- networks


def from_h5(network: Network) -> Any:
    """An .h5 of Keras 2, whose DepthwiseConv2D says `groups`, which Keras 3 does not know."""
    import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
        def __init__(self, *, groups: int = 1, **arguments: Any) -> None:
            super().__init__(**arguments)

    def plain(layer: Any) -> Any:
        kind = keras.layers.DepthwiseConv2D if isinstance(layer, DepthwiseConv2D) else type(layer)
        return kind.from_config(layer.get_config())

    objects = {"DepthwiseConv2D": DepthwiseConv2D}
    loaded = keras.models.load_model(MODELS / network.source, compile=False, custom_objects=objects)
    model = keras.models.clone_model(loaded, clone_function=plain)
    model.set_weights(loaded.get_weights())
    return model


def squeezenet(network: Network) -> Any:
    """The same network in Keras, for TensorFlow reads no Caffe; its outputs are compared with netglot's graph."""
    import keras

    import netglot
    from netglot.passes import pipeline

    source, weights = network.files(Path())
    graph = netglot.load(source, weights=weights)
    pipeline.run(graph, pipeline.COMMON)
    (entry,), (exit_,) = graph.inputs, graph.outputs
    tensors: dict[str, Any] = {entry.name: keras.Input((network.side, network.side, 3), name="data")}
    model_weights: list[tuple[Any, list[np.ndarray]]] = []
    for node in graph.nodes():
        values = [tensors[value.name] for value in node.inputs if value is not None and not value.is_constant]
        layer = keras_layer(node)
        tensors[node.output.name] = layer(values if len(values) > 1 else values[0])
        if node.op == "Conv":
            kernel, bias = (np.asarray(value.data) for value in node.inputs[1:])
            model_weights.append((layer, [kernel.transpose(2, 3, 1, 0), bias]))
    for layer, arrays in model_weights:
        (layer.layers[-1] if isinstance(layer, keras.Sequential) else layer).set_weights(arrays)
    model = keras.Model(tensors[entry.name], tensors[exit_.name])
    require_equal(graph, model, network)
    return model


def keras_layer(node: Any) -> Any:
    """Of the operators of SqueezeNet 1.0; anything else is a KeyError."""
    import keras

    attributes = node.attributes
    window = {"pool_size": attributes.get("kernel_shape"), "strides": attributes.get("strides")}
    if node.op == "Conv" and any(attributes.get("pads", ())):
        top, left, bottom, right = attributes["pads"]
        return keras.Sequential([keras.layers.ZeroPadding2D(((top, bottom), (left, right))), _convolution(node)])
    makers = {
        "Conv": lambda: _convolution(node),
        "Relu": keras.layers.ReLU,
        "MaxPool": lambda: keras.layers.MaxPooling2D(**window),
        "Concat": keras.layers.Concatenate,
        "GlobalAveragePool": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
        "Softmax": keras.layers.Softmax,
    }
    return makers[node.op]()


def _convolution(node: Any) -> Any:
    import keras

    kernel = node.inputs[1].shape
    return keras.layers.Conv2D(kernel[0], kernel[2:], strides=node.attributes.get("strides", (1, 1)))


def require_equal(graph: Any, model: Any, network: Network) -> None:
    from netglot.runtimes.onnxruntime import OnnxRuntime

    images = np.stack([next(crops(network, seed)) for seed in range(4)])
    (wanted,) = zip(*(OnnxRuntime(graph).run(_as_input(graph, image)).values() for image in images), strict=True)
    found = np.asarray(model.predict(images, verbose=0))
    error = float(np.abs(found.ravel() - np.concatenate([item.ravel() for item in wanted])).max())
    if not error < 1e-5:
        raise SystemExit(f"the Keras model of {network.name} differs from its source by {error}")


def _as_input(graph: Any, image: np.ndarray) -> dict[str, np.ndarray]:
    return {graph.inputs[0].name: np.ascontiguousarray(image.transpose(2, 0, 1)[None])}


def trained_digits(network: Network) -> Any:
    """MobileNetV2's blocks with strides for small images, trained from nothing on three quarters of the digits."""
    import keras

    keras.utils.set_random_seed(0)
    model = mobilenet_v2(network.side)
    seen, judged = digits(calibration=None)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, EPOCHS * len(seen["x"]) // 32)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(seen["x"], seen["labels"], batch_size=32, epochs=EPOCHS, verbose=0)
    print(f"digits: accuracy {model.evaluate(judged['x'], judged['labels'], verbose=0)[1]:.4f}")
    return model


# Of each group of blocks, as in table 2 of Sandler et al. 2018: expansion, channels, blocks, stride of the first.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 3, 1), (6, 96, 2, 1))


def mobilenet_v2(side: int) -> Any:
    import keras

    entry = keras.Input((side, side, 1))
    x = _normalised(keras.layers.Conv2D(16, 3, 2, "same", use_bias=False), entry)
    for expansion, channels, blocks, stride in BLOCKS:
        for i in range(blocks):
            x = _inverted_residual(x, expansion, channels, stride if i == 0 else 1)
    x = _normalised(keras.layers.Conv2D(320, 1, use_bias=False), x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(entry, keras.layers.Dense(10, "softmax")(x))


def _inverted_residual(x: Any, expansion: int, channels: int, stride: int) -> Any:
    import keras

    before = x.shape[-1]
    y = x if expansion == 1 else _normalised(keras.layers.Conv2D(expansion * before, 1, use_bias=False), x)
    y = _normalised(keras.layers.DepthwiseConv2D(3, stride, "same", use_bias=False), y)
    y = _normalised(keras.layers.Conv2D(channels, 1, use_bias=False), y, clipped=False)
    return keras.layers.Add()([x, y]) if stride == 1 and before == channels else y


def _normalised(layer: Any, x: Any, clipped: bool = True) -> Any:
    import keras

    y = keras.layers.BatchNormalization(momentum=0.9)(layer(x))
    return keras.layers.ReLU(6.0)(y) if clipped else y


MAKERS = {
    "resnet8_cifar10": from_h5,
    "vww_mobilenet_96": from_h5,
    "squeezenet_v1.0": squeezenet,
    "mobilenetv2_digits": trained_digits,
}


# ------------------------------------------------------------------------- data


def photos(network: Network) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """To calibrate and to judge."""
    seen, judged = (crops(network, seed) for seed in (1, 2))
    return (
        {"x": np.stack([next(seen) for _ in range(CALIBRATION)])},
        {"x": np.stack([next(judged) for _ in range(EVALUATION)])},
    )


def crops(network: Network, seed: int) -> Iterator[np.ndarray]:
    """Squares of 30 to 100 % of the shorter side, anywhere in one photo after the other, half of them mirrored."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    images = [Image.open(path).convert("RGB") for path in sorted((MODELS / "photos").iterdir())]
    while True:
        for image in images:
            side = int(min(image.size) * rng.uniform(0.3, 1.0))
            left, top = (int(rng.integers(0, full - side + 1)) for full in image.size)
            box = (left, top, left + side, top + side)
            square = np.asarray(image.resize((network.side, network.side), Image.Resampling.BILINEAR, box), np.float32)
            square = square[:, ::-1] if rng.integers(2) else square
            square = square[:, :, ::-1] if network.bgr else square
            yield (square - np.float32(network.mean)) * np.float32(network.scale)


def digits(calibration: int | None = CALIBRATION) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Three quarters to train on (of which the first so many calibrate), the rest to judge; -1 to 1."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    large = [
        Image.fromarray(np.float32(item.reshape(8, 8))).resize((DIGITS, DIGITS), Image.Resampling.BILINEAR)
        for item in images
    ]
    x = np.stack([np.asarray(item)[:, :, None] for item in large]) / 8 - 1
    train, test, y_train, y_test = train_test_split(x, labels, test_size=0.25, random_state=0, stratify=labels)
    return {"x": train[:calibration], "labels": y_train[:calibration]}, {"x": test, "labels": y_test}


if __name__ == "__main__":
    main()
