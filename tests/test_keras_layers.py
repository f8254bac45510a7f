"""Every Keras layer of the first families: built and saved by Keras itself, read by netglot, compared with Keras."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.passes.pipeline import COMMON, run
from tests.targets import run_onnx, run_tflite

BATCH = 2
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One layer class with its configuration, or a function that calls several; inputs without their batch.

    `below`: inputs are integers under it. `masked`: every input first goes through Masking, with some steps masked.
    """

    layer: str | Callable[..., Any]
    shapes: tuple[Shape, ...]
    config: dict[str, Any] = field(default_factory=dict)
    below: int = 0
    dtype: str = "float32"
    masked: bool = False
    rtol: float = 1e-5
    name: str = ""

    @property
    def id(self) -> str:
        name = self.layer if isinstance(self.layer, str) else self.name
        parts = [f"{key}={value}" for key, value in self.config.items() if not callable(value)]
        shapes = ("x".join(map(str, shape)) for shape in self.shapes)
        return "-".join([name, *shapes, *parts, *["masked"] * self.masked])

    def call(self, keras: ModuleType, inputs: list[Any]) -> Any:
        if self.masked:
            inputs = [keras.layers.Masking()(x) for x in inputs]
        if not isinstance(self.layer, str):
            return self.layer(keras.layers, *inputs)
        config = {key: value(keras) if callable(value) else value for key, value in self.config.items()}
        return getattr(keras.layers, self.layer)(**config)(inputs if len(inputs) > 1 else inputs[0])

    def model(self, keras: ModuleType) -> Any:
        kind = self.dtype if self.dtype != "float32" else "int32" if self.below else "float32"
        inputs = [keras.Input(shape, dtype=kind) for shape in self.shapes]
        model = keras.Model(inputs, self.call(keras, inputs))
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        for variable in model.weights:
            positive = "variance" in variable.name
            drawn = rng.uniform(0.5, 1.5, variable.shape) if positive else rng.normal(size=variable.shape)
            variable.assign(drawn.astype(getattr(variable.dtype, "name", variable.dtype)))
        for layer in model.layers:
            if hasattr(layer, "finalize_state"):  # Normalization computes with copies
                layer.finalize_state()
        return model

    def feed(self) -> list[np.ndarray]:
        rng = np.random.default_rng(3)
        return [self._numbers(rng, (BATCH, *shape)) for shape in self.shapes]

    def _numbers(self, rng: np.random.Generator, shape: Shape) -> np.ndarray:
        if self.below:
            return rng.integers(0, self.below, shape).astype(self.dtype if self.dtype != "float32" else np.int32)
        x = (rng.normal(size=shape) * 2).astype(np.float32)
        if self.masked:
            x[0, rng.integers(1, shape[1]) :] = 0
            x[1, :1] = 0
        return x


def row(kind: str, /, *shapes: Shape, **config: Any) -> Row:
    return Row(kind, shapes, config)


IMAGE, LINE, VOLUME = (9, 7, 4), (11, 4), (5, 7, 6, 3)
FIRST = {"data_format": "channels_first"}


def convolutions() -> Iterator[Row]:
    for rank, shape in ((1, LINE), (2, IMAGE), (3, VOLUME)):
        for more in ({}, {"padding": "same"}, {"padding": "same", "strides": 2}, {"strides": 3},
                     {"padding": "same", "dilation_rate": 2}, {"use_bias": False, "activation": "relu"}):  # fmt: skip
            yield row(f"Conv{rank}D", shape, filters=5, kernel_size=3, **more)
            yield row(f"Conv{rank}DTranspose", shape, filters=5, kernel_size=3, **more)
            if rank < 3:
                yield row(f"DepthwiseConv{rank}D", shape, kernel_size=3, **more)
                yield row(f"SeparableConv{rank}D", shape, filters=5, kernel_size=3, **more)
    yield row("Conv1D", LINE, filters=3, kernel_size=4, padding="causal", dilation_rate=2)
    yield row("Conv1D", LINE, filters=3, kernel_size=4, padding="causal", strides=2)
    yield row("Conv2D", IMAGE, filters=6, kernel_size=(3, 2), groups=2, padding="same", strides=(2, 1))
    yield row("Conv2D", IMAGE, filters=6, kernel_size=1, padding="same", strides=3)
    yield row("Conv2D", (4, 9, 7), filters=5, kernel_size=3, padding="same", strides=2, **FIRST)
    yield row("Conv2D", IMAGE, filters=6, kernel_size=3, activation="softmax")
    yield row("DepthwiseConv2D", IMAGE, kernel_size=(2, 3), depth_multiplier=3, padding="same")
    yield row("DepthwiseConv2D", IMAGE, kernel_size=3, strides=2, dilation_rate=2, padding="same")
    yield row("SeparableConv2D", IMAGE, filters=5, kernel_size=3, depth_multiplier=2, activation="tanh")
    yield row("SeparableConv1D", (4, 11), filters=5, kernel_size=3, depth_multiplier=2, **FIRST)
    yield row("Conv2DTranspose", (4, 9, 7), filters=5, kernel_size=3, strides=2, padding="same", **FIRST)
    for kernel, strides in ((2, 3), (4, 2), (5, 2), (1, 2)):
        for padding in ("same", "valid"):
            for extra in (None, 1):
                sizes = {"kernel_size": kernel, "strides": strides, "output_padding": extra}
                yield row("Conv2DTranspose", IMAGE, filters=2, padding=padding, **sizes)


def pooling() -> Iterator[Row]:
    for rank, shape in ((1, LINE), (2, IMAGE), (3, VOLUME)):
        for kind in ("Max", "Average"):
            for more in ({}, {"padding": "same", "strides": 2, "pool_size": 3}, {"strides": 1, "padding": "same"}):
                yield row(f"{kind}Pooling{rank}D", shape, **{"pool_size": 2, **more})
            yield row(f"{kind}Pooling{rank}D", (shape[-1], *shape[:-1]), pool_size=3, padding="same", **FIRST)
            yield row(f"Global{kind}Pooling{rank}D", shape)
            yield row(f"Global{kind}Pooling{rank}D", shape, keepdims=True)
            yield row(f"Global{kind}Pooling{rank}D", (shape[-1], *shape[:-1]), **FIRST)
            for size in (2, 3, 4, 8) if rank < 3 else (2, 4):  # of one bin TensorFlow divides by zero
                yield row(f"Adaptive{kind}Pooling{rank}D", shape, output_size=size)
        yield row(f"AdaptiveMaxPooling{rank}D", (shape[-1], *shape[:-1]), output_size=2, **FIRST)
    yield Row("GlobalAveragePooling1D", (LINE,), {}, masked=True)
    yield Row("GlobalAveragePooling1D", (LINE,), {"keepdims": True}, masked=True)
    yield Row("GlobalMaxPooling1D", (LINE,), {}, masked=True)
    yield row("AveragePooling2D", IMAGE, pool_size=(2, 3), strides=(3, 1))


def padding() -> Iterator[Row]:
    for rank, shape in ((1, LINE), (2, IMAGE), (3, VOLUME)):
        pairs = [[1, 2], [0, 3], [2, 0]][:rank]
        for name, key in (("ZeroPadding", "padding"), ("Cropping", "cropping")):
            yield row(f"{name}{rank}D", shape)
            yield row(f"{name}{rank}D", shape, **{key: 2})
            yield row(f"{name}{rank}D", shape, **{key: tuple(pairs[0]) if rank == 1 else pairs})
            if rank > 1:
                yield row(f"{name}{rank}D", (shape[-1], *shape[:-1]), **{key: pairs}, **FIRST)
        yield row(f"UpSampling{rank}D", shape, size=3 if rank == 1 else (2, 3, 1)[:rank])
    yield row("ZeroPadding2D", IMAGE, padding=(1, 3))
    yield row("UpSampling2D", (4, 9, 7), size=(3, 2), **FIRST)
    for how in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        yield row("UpSampling2D", IMAGE, size=(2, 3), interpolation=how)


def normalization() -> Iterator[Row]:
    for shape in ((5,), LINE, IMAGE, VOLUME):
        yield row("BatchNormalization", shape)
    yield row("BatchNormalization", IMAGE, axis=1, epsilon=0.1)
    yield row("BatchNormalization", IMAGE, axis=2)
    yield row("BatchNormalization", IMAGE, axis=3, center=False)
    yield row("BatchNormalization", IMAGE, scale=False, renorm=True)
    for more in ({}, {"axis": -2}, {"axis": [1, 2]}, {"axis": [3, 2]}, {"axis": [1, 3], "epsilon": 0.1},
                 {"scale": False, "center": False}, {"rms_scaling": True}):  # fmt: skip
        yield row("LayerNormalization", IMAGE, **more)
    for axis in (-1, [2, 3]):
        yield row("RMSNormalization", IMAGE, axis=axis)
    for axis in (-1, 1, [2, 3], [1, 2]):
        yield row("UnitNormalization", IMAGE, axis=axis)
    for groups in (1, 2, 4, -1):
        yield row("GroupNormalization", IMAGE, groups=groups)
    yield row("GroupNormalization", (6, 5, 7), groups=3, axis=1, scale=False)
    yield row("GroupNormalization", (5, 6, 7), groups=3, axis=2, center=False)
    yield row("GroupNormalization", (6,), groups=2)
    yield row("SpectralNormalization", IMAGE, layer=lambda keras: keras.layers.Conv2D(3, 2))
    yield row("SpectralNormalization", (6,), layer=lambda keras: keras.layers.Dense(3))
    yield row("Normalization", (5,))
    yield row("Normalization", IMAGE, axis=(1, 3), invert=True)
    yield row("Normalization", IMAGE, mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 0.0, 4.0])
    yield row("Normalization", IMAGE, axis=None, mean=1.5, variance=2.5)
    yield Row("Normalization", (IMAGE,), {"axis": -1}, below=9)


ACTIVATIONS = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "hard_silu", "hard_swish",
    "hard_sigmoid", "sigmoid", "log_sigmoid", "tanh", "hard_tanh", "tanh_shrink", "soft_shrink", "hard_shrink",
    "squareplus", "glu", "sparse_plus", "sparse_sigmoid", "sparsemax", "softmax", "log_softmax", "softplus",
    "softsign", "mish", "exponential", "linear",
]  # fmt: skip


def core() -> Iterator[Row]:
    for name in ACTIVATIONS:
        yield row("Activation", (5, 6), activation=name)
    for more in ({}, {"max_value": 6}, {"max_value": 2.5, "negative_slope": 0.3}, {"threshold": 0.7},
                 {"threshold": 0.7, "negative_slope": 0.3, "max_value": 2.0}, {"negative_slope": 0.2}):  # fmt: skip
        yield row("ReLU", (5, 6), **more)
    yield row("LeakyReLU", (5, 6))
    yield row("ELU", (5, 6), alpha=0.7)
    yield row("PReLU", IMAGE)
    yield row("PReLU", IMAGE, shared_axes=[1, 2])
    for axis in (-1, 1, [1, 2], [-1]):
        yield row("Softmax", IMAGE, axis=axis)
    yield row("Dense", (6,), units=3, activation="relu")
    yield row("Dense", (5, 6), units=3, use_bias=False)
    yield row("Dense", (5, 6), units=3, activation="gelu")
    yield row("Dense", (4, 5, 6), units=3)
    yield row("Dense", (6,), units=3, activation=lambda keras: keras.layers.LeakyReLU(0.2))
    for equation, output, bias in (
        ("abc,cd->abd", (None, 3), "d"), ("abc,cde->abde", (None, 3, 2), "de"), ("...x,xy->...y", 3, "y"),
        ("abc,cd->abd", (5, 3), "bd"), ("abc,bcd->ad", 3, None), ("abc,cd->adb", (3, 5), "d"),
        ("abc,bde->acde", (6, 3, 2), "ce"), ("ab...,bc->ac...", 3, "c"), ("abc,bcd->abd", (5, 3), None),
    ):  # fmt: skip
        yield row("EinsumDense", (5, 6), equation=equation, output_shape=output, bias_axes=bias)
    yield row("EinsumDense", (4, 5, 6), equation="abcd,cde->abe", output_shape=(None, 7), bias_axes="e")
    yield row("EinsumDense", (4, 5, 6), equation="...x,xy->...y", output_shape=3, bias_axes="y")
    yield Row("Embedding", ((7,),), {"input_dim": 9, "output_dim": 4}, below=9)
    yield Row("ReversibleEmbedding", ((7,),), {"input_dim": 9, "output_dim": 4}, below=9)
    yield Row("ReversibleEmbedding", ((7,),), {"input_dim": 9, "output_dim": 4, "mask_zero": True}, below=9)
    yield row("Identity", (5, 6))
    yield Row("Activation", (LINE,), {"activation": "tanh"}, masked=True)
    yield row("Dropout", (5, 6), rate=0.5)
    yield row("AlphaDropout", (5, 6), rate=0.5)
    yield row("GaussianDropout", (5, 6), rate=0.5)
    yield row("GaussianNoise", (5, 6), stddev=0.5)
    yield row("SpatialDropout1D", (5, 6), rate=0.5)
    yield row("SpatialDropout2D", IMAGE, rate=0.5)
    yield row("SpatialDropout3D", VOLUME, rate=0.5)
    yield row("ActivityRegularization", (5, 6), l1=0.1)
    yield row("Reshape", (6, 4), target_shape=(3, 8))
    yield row("Reshape", (6, 4), target_shape=(-1, 2))
    yield row("Reshape", (6, 4), target_shape=(24,))
    for shape in ((), (5,), (5, 6), IMAGE, VOLUME):
        yield row("Flatten", shape)
    yield row("Flatten", IMAGE, **FIRST)
    yield row("Permute", IMAGE, dims=(2, 3, 1))
    yield row("RepeatVector", (5,), n=3)


def merging() -> Iterator[Row]:
    for name in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
        yield row(name, (5, 6), (5, 6), (5, 6))
        yield row(name, (4, 5, 6), (5, 6))
        yield row(name, (4, 1, 6), (1, 5, 6))
        yield Row(name, (LINE, LINE), {}, masked=True)
    yield row("Subtract", (5, 6), (5, 6))
    yield row("Subtract", (6,), (5, 6))
    for axis in (-1, 1, 2):
        yield row("Concatenate", *[(5, 6, 3)] * 3, axis=axis)
    for a, b, axes in (((5,), (5,), 1), ((5, 6), (5, 6), 2), ((5, 6), (6, 5), (1, 2)), ((4, 5, 6), (3, 5), (2, 2)),
                       ((6,), (5, 6), (1, 2)), ((5, 6), (6,), -1), ((4, 5, 6), (6, 7, 3), (3, 1)),
                       ((4, 5, 6), (6,), (3, 1)), ((6,), (6, 4, 3), (1, 1))):  # fmt: skip
        for normalize in (False, True):
            yield row("Dot", a, b, axes=axes, normalize=normalize)


def preprocessing() -> Iterator[Row]:
    yield row("Rescaling", IMAGE, scale=0.5, offset=-1.0)
    yield row("Rescaling", IMAGE, scale=[0.5, 1.0, 2.0, 3.0], offset=[1.0, 2.0, 3.0, 4.0])
    yield Row("Rescaling", (IMAGE,), {"scale": 1 / 255}, below=256, dtype="uint8")
    for how in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"):
        for size in ((4, 5), (12, 21), (18, 10)):
            yield row("Resizing", IMAGE, height=size[0], width=size[1], interpolation=how)
        if how != "nearest":
            yield row("Resizing", IMAGE, height=4, width=5, interpolation=how, antialias=True)
    yield row("Resizing", (4, 9, 7), height=5, width=8, **FIRST)
    for more in ({"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5}):
        yield row("Resizing", IMAGE, height=4, width=6, **more)
        yield row("Resizing", IMAGE, height=8, width=3, **more)
    yield Row("Resizing", (IMAGE,), {"height": 18, "width": 14}, below=256, dtype="uint8")
    yield row("CenterCrop", IMAGE, height=4, width=5)
    yield row("CenterCrop", IMAGE, height=12, width=5)
    yield row("CenterCrop", (4, 9, 7), height=4, width=5, **FIRST)
    yield row("AutoContrast", IMAGE, value_range=(-3, 5))
    yield row("AutoContrast", IMAGE)
    for mode in ("multi_hot", "count"):
        yield Row("CategoryEncoding", ((7,),), {"num_tokens": 6, "output_mode": mode}, below=6)
    yield Row("CategoryEncoding", ((1,),), {"num_tokens": 6, "output_mode": "one_hot"}, below=6)
    yield Row("CategoryEncoding", ((4,),), {"num_tokens": 6, "output_mode": "one_hot"}, below=6)
    for mode in ("int", "one_hot", "multi_hot", "count"):
        yield row("Discretization", (5,), bin_boundaries=[-1.0, 0.0, 0.5, 2.0], output_mode=mode)
    yield row("Pipeline", IMAGE, layers=lambda keras: pipeline_of(keras.layers))
    augmentations = {
        "RandomBrightness": {"factor": 0.3}, "RandomContrast": {"factor": 0.3}, "RandomFlip": {},
        "RandomRotation": {"factor": 0.3}, "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.1},
        "RandomZoom": {"height_factor": 0.2}, "RandomCrop": {"height": 4, "width": 5}, "RandomHue": {"factor": 0.1},
        "RandomColorDegeneration": {"factor": 0.2}, "RandomColorJitter": {"hue_factor": 0.2}, "MixUp": {}, "CutMix": {},
        "RandomElasticTransform": {}, "RandomErasing": {}, "RandomGaussianBlur": {}, "RandomGrayscale": {},
        "RandomInvert": {}, "RandomPerspective": {}, "RandomPosterization": {"factor": 4, "value_range": (0, 255)},
        "RandomSaturation": {"factor": 0.2}, "RandomSharpness": {"factor": 0.2}, "RandomShear": {"x_factor": 0.2},
        "AugMix": {}, "RandAugment": {}, "Solarization": {},
    }  # fmt: skip
    for name, config in augmentations.items():
        yield row(name, (9, 7, 3), **config)
        yield Row(name, ((9, 7, 3),), config, below=256, dtype="uint8")


def pipeline_of(layers: Any) -> list[Any]:
    return [layers.Rescaling(0.5), layers.Dense(3), layers.CenterCrop(5, 6), layers.RandomFlip(), layers.Dense(2)]


def several() -> Iterator[Row]:
    """Masks that travel, and layers that meet."""

    def rows(name: str, call: Callable[..., Any], *shapes: Shape, **more: Any) -> Row:
        return Row(call, shapes, name=name, **more)

    def embedded(layers: Any, ids: Any) -> Any:
        x = layers.Embedding(9, 4, mask_zero=True)(ids)
        return layers.GlobalAveragePooling1D()(layers.Dense(3, activation="tanh")(layers.Dropout(0.5)(x)))

    def dropped(layers: Any, x: Any) -> Any:
        return layers.GlobalAveragePooling1D()(layers.Conv1D(3, 2, padding="same")(x))

    def mean_of(merge: str, **config: Any) -> Callable[..., Any]:
        def call(layers: Any, *inputs: Any) -> Any:
            return layers.GlobalAveragePooling1D()(getattr(layers, merge)(**config)(list(inputs)))

        return call

    def half_masked(merge: str, **config: Any) -> Callable[..., Any]:
        def call(layers: Any, a: Any, b: Any) -> Any:
            merged = getattr(layers, merge)(**config)([layers.Masking()(a), b])
            return layers.GlobalAveragePooling1D()(merged)

        return call

    def block(layers: Any, x: Any) -> Any:
        y = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
        y = layers.ReLU(6)(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = layers.Activation("hard_silu")(layers.BatchNormalization()(y))
        z = layers.Conv2D(6, 1)(y)
        return layers.Dense(4, activation="softmax")(layers.Flatten()(layers.Add()([y, z])))

    def squeezed(layers: Any, x: Any) -> Any:
        gate = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(6, 3, padding="same")(x))
        gate = layers.Dense(6, activation="hard_sigmoid")(layers.Reshape((1, 1, 6))(gate))
        return layers.Multiply()([layers.Conv2D(6, 1)(x), gate])

    def tied(layers: Any, ids: Any) -> Any:
        table = layers.ReversibleEmbedding(9, 4, tie_weights=False, logit_soft_cap=2.0)
        return table(layers.Dense(4)(table(ids)), reverse=True)

    def shared(layers: Any, a: Any, b: Any) -> Any:
        layer = layers.Conv2D(3, 2)
        return layers.Concatenate()([layer(a), layer(b)])

    def of_applications(layers: Any, x: Any) -> Any:
        from keras.src.applications.convnext import LayerScale, StochasticDepth
        from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

        return CustomScaleLayer(0.3)([x, StochasticDepth(0.2)(LayerScale(0.5, 4)(x))])

    yield rows("of-applications", of_applications, IMAGE)
    yield rows("embedded", embedded, (7,), below=9)
    yield rows("conv-drops-mask", dropped, LINE, masked=True)
    for merge in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"):
        yield rows(f"mean-{merge}", mean_of(merge), LINE, LINE, masked=True)
        yield rows(f"half-{merge}", half_masked(merge), LINE, LINE)
    for axis in (1, 2):
        yield rows(f"mean-Concatenate-{axis}", mean_of("Concatenate", axis=axis), LINE, LINE, masked=True)
        yield rows(f"half-Concatenate-{axis}", half_masked("Concatenate", axis=axis), LINE, LINE)
    yield rows("block", block, (9, 7, 3))
    yield rows("squeezed", squeezed, (9, 7, 3))
    yield rows("tied", tied, (7,), below=9)
    yield rows("shared", shared, IMAGE, IMAGE)
    yield rows("softmax-mask", lambda layers, x, m: layers.Softmax()(x, mask=layers.ReLU()(m)), (5, 6), (5, 6))


FAMILIES = (convolutions, pooling, padding, normalization, core, merging, preprocessing, several)
ROWS = [one for family in FAMILIES for one in family()]


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def assert_close(actual: np.ndarray, expected: np.ndarray, rtol: float) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = max(1e-30, float(np.abs(expected.astype(np.float64)).max()))
    difference = float(np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max()) / scale
    assert difference <= rtol, difference


def saved(model: Any, folder: Path) -> Path:
    path = folder / "model.keras"
    model.save(path)
    return path


def run_both(model: Any, path: Path, feed: list[np.ndarray], folder: Path, rtol: float) -> None:
    from netglot.frontends.keras import load

    expected = np.asarray(model(feed if len(feed) > 1 else feed[0], training=False))
    graph = load(path)
    inputs = {value.name: array for value, array in zip(graph.inputs, feed, strict=True)}
    (found,) = run_onnx(graph, inputs, folder).values()
    assert_close(found, expected, rtol)
    fixed = run(load(path, options=LoadOptions(batch=BATCH)), COMMON, check=True)
    (found,) = run_tflite(fixed, inputs, folder).values()
    assert_close(found, expected, max(rtol, 2e-5))


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.id)
def test_row(keras: ModuleType, one: Row, tmp_path: Path) -> None:
    model = one.model(keras)
    run_both(model, saved(model, tmp_path), one.feed(), tmp_path, one.rtol)


# --------------------------------------------------------------- fused operators


def sequential(*layers: tuple[str, dict[str, Any]]) -> Callable[..., Any]:
    def call(keras_layers: Any, x: Any) -> Any:
        for name, config in layers:
            x = getattr(keras_layers, name)(**config)(x)
        return x

    return call


def _conv(**more: Any) -> tuple[str, dict[str, Any]]:
    return "Conv2D", {"filters": 5, "kernel_size": 3, **more}


BN: tuple[str, dict[str, Any]] = ("BatchNormalization", {})

# What TFLiteConverter writes too: the same operators in the same number.
FUSED: dict[str, tuple[Callable[..., Any], Shape, list[str]]] = {
    "same": (sequential(_conv(padding="same", strides=2, activation="relu")), IMAGE, ["CONV_2D"]),
    "bn-relu6": (sequential(_conv(padding="same", use_bias=False), BN, ("ReLU", {"max_value": 6})), IMAGE, ["CONV_2D"]),
    "bn-before": (sequential(BN, _conv()), IMAGE, ["CONV_2D"]),
    "separable": (
        sequential(("SeparableConv2D", {"filters": 5, "kernel_size": 3, "padding": "same"}), BN), IMAGE,
        ["DEPTHWISE_CONV_2D", "CONV_2D"],
    ),
    "pools": (
        sequential(
            ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}), ("AveragePooling2D", {"pool_size": 2}),
        ), IMAGE, ["MAX_POOL_2D", "AVERAGE_POOL_2D"],
    ),
    "head": (
        sequential(_conv(), ("GlobalAveragePooling2D", {}), ("Dense", {"units": 3, "activation": "softmax"})), IMAGE,
        ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"],
    ),
    "flatten": (
        sequential(_conv(), ("Flatten", {}), ("Dense", {"units": 3, "activation": "relu"})), IMAGE,
        ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "up": (sequential(("UpSampling2D", {"size": 2}), _conv()), IMAGE, ["RESIZE_NEAREST_NEIGHBOR", "CONV_2D"]),
    "bilinear": (
        sequential(("UpSampling2D", {"size": 2, "interpolation": "bilinear"})), IMAGE, ["RESIZE_BILINEAR"],
    ),
    "transposed": (
        sequential(("Conv2DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"})), IMAGE,
        ["TRANSPOSE_CONV"],
    ),
    "padded": (sequential(("ZeroPadding2D", {}), _conv(strides=2)), IMAGE, ["CONV_2D"]),
    "hard_silu": (sequential(_conv(), ("Activation", {"activation": "hard_silu"})), IMAGE, ["CONV_2D", "HARD_SWISH"]),
    "gelu": (sequential(("Activation", {"activation": "gelu"})), IMAGE, ["GELU"]),
    "prelu": (sequential(_conv(), ("PReLU", {"shared_axes": [1, 2]})), IMAGE, ["CONV_2D", "PRELU"]),
}  # fmt: skip


def operators(path: Path) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), experimental_default_delegate_latest_features=False)
    return [detail["op_name"] for detail in interpreter._get_ops_details() if detail["op_name"] != "DELEGATE"]


@pytest.mark.parametrize("name", FUSED)
def test_fused(keras: ModuleType, name: str, tmp_path: Path) -> None:
    from netglot.frontends.keras import load

    call, shape, wanted = FUSED[name]
    one = Row(call, (shape,), name=name)
    path = saved(one.model(keras), tmp_path)
    (source,) = one.feed()
    graph = run(load(path, options=LoadOptions(batch=BATCH)), COMMON)
    run_tflite(graph, {graph.inputs[0].name: source}, tmp_path)
    assert operators(tmp_path / "model.tflite") == wanted


# ------------------------------------------------------------------------ Keras 2


def legacy() -> Iterator[Row]:
    """What Keras 2 names or computes differently, written by tf_keras."""
    for name in ("hard_sigmoid", "relu", "elu", "selu", "gelu", "swish", "mish", "exponential", "softmax"):
        yield row("Activation", (5, 6), activation=name)
    yield row("LeakyReLU", (5, 6), alpha=0.2)
    yield row("ThresholdedReLU", (5, 6), theta=0.7)
    yield row("ReLU", (5, 6), max_value=2.5, negative_slope=0.3, threshold=0.5)
    yield row("PReLU", IMAGE, shared_axes=[1, 2])
    yield row("Conv2D", IMAGE, filters=6, kernel_size=3, padding="same", strides=2, activation="relu")
    yield row("Conv1D", LINE, filters=3, kernel_size=4, padding="causal", dilation_rate=2)
    yield row("DepthwiseConv2D", IMAGE, kernel_size=3, depth_multiplier=2)
    yield row("SeparableConv2D", IMAGE, filters=5, kernel_size=3)
    yield row("LocallyConnected1D", LINE, filters=5, kernel_size=3, strides=2, activation="tanh")
    yield row("LocallyConnected2D", IMAGE, filters=5, kernel_size=(3, 2), strides=(2, 1))
    yield row("LocallyConnected2D", IMAGE, filters=5, kernel_size=2, use_bias=False)
    for extra in (None, 1):
        for padding in ("same", "valid"):
            sizes = {"kernel_size": 4, "strides": 2, "output_padding": extra, "padding": padding}
            yield row("Conv2DTranspose", IMAGE, filters=5, **sizes)
    yield row("Conv3DTranspose", VOLUME, filters=2, kernel_size=3, strides=2)
    yield row("BatchNormalization", IMAGE, axis=-1)
    yield row("BatchNormalization", IMAGE, renorm=True)
    yield row("LayerNormalization", IMAGE, axis=[2, 3])
    yield row("GroupNormalization", IMAGE, groups=2)
    yield row("UnitNormalization", IMAGE)
    yield row("Normalization", IMAGE, mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 0.0, 4.0])
    yield row("Rescaling", IMAGE, scale=0.5, offset=-1.0)
    yield row("Resizing", IMAGE, height=5, width=8)
    yield row("Resizing", IMAGE, height=8, width=3, crop_to_aspect_ratio=True)
    for how in ("nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
        yield row("Resizing", IMAGE, height=5, width=9, interpolation=how)
    yield row("CenterCrop", IMAGE, height=4, width=5)
    yield row("CenterCrop", IMAGE, height=12, width=5)
    yield row("RandomCrop", IMAGE, height=4, width=5)
    yield row("RandomFlip", IMAGE)
    yield row("RandomHeight", IMAGE, factor=0.2)
    for mode in ("int", "count"):
        yield row("Discretization", (5,), bin_boundaries=[-1.0, 0.0, 0.5, 2.0], output_mode=mode)
    yield Row("CategoryEncoding", ((7,),), {"num_tokens": 6}, below=6)
    yield Row("Embedding", ((7,),), {"input_dim": 9, "output_dim": 4, "input_length": 7}, below=9)
    yield row("Dense", (5, 6), units=3, activation="relu")
    yield row("EinsumDense", (5, 6), equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d")
    yield row("UpSampling2D", IMAGE, size=2, interpolation="bilinear")
    yield row("Dropout", (5, 6), rate=0.5)
    yield row("SpatialDropout2D", IMAGE, rate=0.5)
    yield row("Dot", (5, 6), (5, 6), axes=2, normalize=True)
    yield row("Flatten", IMAGE, **FIRST)
    for merge in ("Add", "Multiply", "Maximum", "Average"):
        yield Row(merge, (LINE, LINE), {}, masked=True)
    for one in several():
        if one.name.startswith(("mean", "half", "embedded", "shared")) and one.name != "half-Concatenate-1":
            yield one  # that one Keras 2 can't join


@pytest.fixture(scope="module")
def tf_keras() -> ModuleType:
    pytest.importorskip("tensorflow")
    return pytest.importorskip("tf_keras")


@pytest.mark.parametrize("form", ["model.h5", "model.keras"])
@pytest.mark.parametrize("one", legacy(), ids=lambda one: one.id)
def test_legacy(tf_keras: ModuleType, one: Row, form: str, tmp_path: Path) -> None:
    model = one.model(tf_keras)
    model.save(tmp_path / form)
    run_both(model, tmp_path / form, one.feed(), tmp_path, one.rtol)


# ---------------------------------------------------------------------- refused

REFUSED: dict[str, tuple[Row, str]] = {
    "quantised": (row("Dense", (6,), units=3, dtype="int8_from_float32"), "quantised"),
    "unknown-size": (row("Resizing", (None, None, 3), height=4, width=5, interpolation="bicubic"), "unknown size"),
    "adaptive": (row("AdaptiveMaxPooling1D", (11, 4), output_size=3), "unknown size"),
    "custom": (row("Activation", (5,), activation=lambda keras: custom(keras)), "--plugin"),
    "histogram": (row("ContrastLimitedAdaptiveHistogramEqualization", (9, 7, 3)), "not supported"),
}


def custom(keras: ModuleType) -> Callable[[Any], Any]:
    @keras.saving.register_keras_serializable("mine")
    def twice(x: Any) -> Any:
        return x * 2

    return twice


@pytest.mark.parametrize("name", REFUSED)
def test_refused(keras: ModuleType, name: str, tmp_path: Path) -> None:
    """With the reason; the layer is named."""
    from netglot.frontends.keras import load

    one, reason = REFUSED[name]
    path = saved(one.model(keras), tmp_path)
    first = keras.saving.load_model(path).inputs[0].name if name == "adaptive" else ""
    options = LoadOptions(inputs={first: TensorSpec(("batch", "time", 4))} if first else {})
    with pytest.raises(UnsupportedError, match=reason) as caught:
        load(path, options=options)
    assert "layer '" in str(caught.value)


DYNAMIC: dict[str, tuple[Callable[..., Any], Shape]] = {
    "same": (sequential(_conv(padding="same", strides=2), ("MaxPooling2D", {"padding": "same"})), IMAGE),
    "pool-up": (sequential(("AveragePooling2D", {"pool_size": 2}), ("UpSampling2D", {"size": 3})), IMAGE),
    "bilinear": (sequential(("UpSampling2D", {"size": 2, "interpolation": "bilinear"})), IMAGE),
    "transposed": (
        sequential(("Conv2DTranspose", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"})), IMAGE,
    ),
    "normalised": (sequential(BN, ("LayerNormalization", {}), ("GroupNormalization", {"groups": 2})), IMAGE),
    "einsum": (sequential(("EinsumDense", {"equation": "abcd,cde->abe", "output_shape": (None, 7)})), (9, 3, 4)),
    "heads": (sequential(("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 3, 2)})), (9, 4)),
    "cut": (sequential(("Cropping2D", {"cropping": 1}), ("ZeroPadding2D", {"padding": 2})), IMAGE),
    "causal": (
        sequential(("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal"}), ("Dense", {"units": 2})), (9, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DYNAMIC)
def test_unknown_sizes(keras: ModuleType, name: str, tmp_path: Path) -> None:
    """Spatial sizes that are not known until the model runs."""
    from netglot.frontends.keras import load

    call, shape = DYNAMIC[name]
    open_shape = tuple(None if axis < len(shape) - 1 and n > 4 else n for axis, n in enumerate(shape))
    model = Row(call, (open_shape,), name=name).model(keras)
    (source,) = Row(call, (shape,), name=name).feed()
    graph = load(saved(model, tmp_path))
    (found,) = run_onnx(graph, {graph.inputs[0].name: source}, tmp_path).values()
    assert_close(found, np.asarray(model(source, training=False)), 1e-5)


# Built-in layers that are refused, as those that no function maps.
WITHOUT_FUNCTION = {
    "AbstractRNNCell": "the base of custom cells", "Layer": "the base of custom layers", "Wrapper": "likewise",
    "InputLayer": "read by the reader", "Lambda": "code", "FlaxLayer": "code", "JaxLayer": "code", "TFSMLayer": "code",
    "TorchModuleWrapper": "code", "Hashing": "strings", "HashedCrossing": "strings", "StringLookup": "strings",
    "TextVectorization": "strings", "IntegerLookup": "a table", "MelSpectrogram": "complex numbers",
    "STFTSpectrogram": "complex numbers", "MaxNumBoundingBoxes": "boxes", "DenseFeatures": "feature columns",
    "ContrastLimitedAdaptiveHistogramEqualization": "histograms", "GRUCell": "in an RNN only",
    "LSTMCell": "in an RNN only", "SimpleRNNCell": "in an RNN only", "StackedRNNCells": "in an RNN only",
}  # fmt: skip


def test_every_layer_is_mapped(keras: ModuleType, tf_keras: ModuleType) -> None:
    """What Keras 3 and tf.keras have is mapped, or named above; and nothing named above is mapped."""
    import netglot.frontends.keras  # noqa: F401
    from netglot.registry import registry

    there = {name for one in (keras.layers, tf_keras.layers) for name in dir(one) if is_layer(one, name)}
    assert {name for name in there if registry.find("keras", name) is None} == set(WITHOUT_FUNCTION)


def is_layer(layers: Any, name: str) -> bool:
    item = getattr(layers, name)
    return isinstance(item, type) and issubclass(item, layers.Layer)


def test_half_precision(keras: ModuleType, tmp_path: Path) -> None:
    """mixed_float16: variables stay float32 in the file, layers compute in float16, normalisation in float32."""
    from netglot.frontends.keras import load

    policy = {"dtype": "mixed_float16"}
    call = sequential(
        _conv(padding="same", activation="relu", **policy), ("BatchNormalization", policy),
        ("LayerNormalization", policy), ("GlobalAveragePooling2D", policy), ("Dense", {"units": 3, **policy}),
    )  # fmt: skip
    one = Row(call, (IMAGE,), name="half")
    model = one.model(keras)
    graph = load(saved(model, tmp_path))
    (source,) = one.feed()
    (found,) = run_onnx(graph, {graph.inputs[0].name: source}, tmp_path).values()
    assert_close(found, np.asarray(model(source, training=False)), 5e-3)
