"""From prototxt messages to the layers that inference runs: upgrades old forms, drops what only training needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from netglot.errors import ConversionError, Origin
from netglot.frontends.caffe.prototxt import Message

# V1LayerParameter.LayerType -> today's name, where CamelCase of the parts is not already it.
_V1_NAMES = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "ELTWISE": "Eltwise", "EUCLIDEAN_LOSS": "EuclideanLoss",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "IM2COL": "Im2col", "LRN": "LRN", "MVN": "MVN",
    "RELU": "ReLU", "SOFTMAX_LOSS": "SoftmaxWithLoss", "TANH": "TanH",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
}  # fmt: skip

# Layers that feed or judge a network; nothing of them remains in a deployed one.
DATA_LAYERS = {
    "Data", "ImageData", "MemoryData", "HDF5Data", "WindowData", "DummyData", "AnnotatedData", "Python",
}  # fmt: skip
TRAINING_LAYERS = {
    "Accuracy", "SoftmaxWithLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "ContrastiveLoss",
    "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "SmoothL1Loss", "MultiBoxLoss", "DetectionEvaluate",
    "HDF5Output", "Loss", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM",
}  # fmt: skip


@dataclass
class Layer:
    """One layer as the prototxt has it, in today's form."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    origin: Origin
    blobs: list[str] = field(default_factory=list)  # names of shared parameters, "" where not shared


def read_layers(net: Message, file: str) -> list[Layer]:
    """The layers that `caffe test` would run, in order."""
    current = [_layer(message, file) for message in net.messages("layer")]
    old = [_v1_layer(message, file) for message in net.messages("layers")]
    if current and old:
        raise ConversionError("the network mixes 'layer' and 'layers'", Origin(file, line=net.line_of("layers")))
    kept = [layer for layer in current or old if _is_included(layer.message)]
    return [layer for layer in kept if layer.type not in TRAINING_LAYERS and layer.type not in DATA_LAYERS]


def _layer(message: Message, file: str) -> Layer:
    name = str(message.get("name", ""))
    return Layer(
        name, str(message.get("type", "")), message.all("bottom"), message.all("top"), message,
        Origin(file, name, message.line), [str(param.get("name", "")) for param in message.messages("param")],
    )  # fmt: skip


def _v1_layer(message: Message, file: str) -> Layer:
    layer = _layer(message, file)
    layer.type = _v1_type(layer.type)
    layer.blobs = [param for param in message.all("param") if isinstance(param, str)]
    return layer


def _v1_type(name: str) -> str:
    return _V1_NAMES.get(name, re.sub(r"(?:^|_)([A-Z])([A-Z]*)", lambda m: m[1] + m[2].lower(), name))


def _is_included(message: Message) -> bool:
    """NetStateRule of the TEST phase, level 0, no stage: included if any rule meets, or if no `exclude` does."""
    include, exclude = message.messages("include"), message.messages("exclude")
    if include:
        return any(_meets(rule) for rule in include)
    return not any(_meets(rule) for rule in exclude)


def _meets(rule: Message) -> bool:
    phase = str(rule.get("phase", "TEST"))
    level_fits = rule.get("min_level", 0) <= 0 <= rule.get("max_level", 0)
    return phase in ("TEST", "1") and level_fits and not rule.all("stage")


def input_shapes(net: Message, layers: list[Layer]) -> Iterator[tuple[str, tuple[int, ...], Origin]]:
    """The network's inputs: legacy `input` fields first, then Input layers."""
    names, dims = net.all("input"), net.all("input_dim")
    shapes = [tuple(shape.all("dim")) for shape in net.messages("input_shape")]
    shapes += [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
    for i, name in enumerate(names):
        yield name, shapes[i] if i < len(shapes) else (), Origin(layer=name, line=net.line_of("input"))
    for layer in layers:
        if layer.type == "Input":
            yield from _input_layer(layer)


def _input_layer(layer: Layer) -> Iterator[tuple[str, tuple[int, ...], Origin]]:
    param = layer.message.get("input_param", Message())
    shapes = [tuple(shape.all("dim")) for shape in param.messages("shape")]
    for i, top in enumerate(layer.tops):
        yield top, shapes[min(i, len(shapes) - 1)] if shapes else (), layer.origin
