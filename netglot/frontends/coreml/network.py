"""A neural network (.mlmodel) to the graph, layer by layer (NeuralNetwork.proto of coremltools is the specification).

Networks of specification 1 to 3 (the "rank 5" mapping) hold every blob as [sequence, batch, channel, height, width].
In the graph these are four axes, N C H W, N being sequence times batch: an image is 1xCxHxW, a vector 1xCx1x1. Networks
with the exact mapping keep the ranks they have.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.coreml.builder import NN, NONSENSE, CoreMLBuilder, Ints
from netglot.frontends.coreml.weights import Weights, numbers
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text
from netglot.registry import Operator, SignatureError, registry

if TYPE_CHECKING:
    from netglot.frontends.coreml.interface import Interface

_RANK5 = 0  # NeuralNetworkMultiArrayShapeMapping and NeuralNetworkImageShapeMapping
_GRAY, _RGB, _BGR = 10, 20, 30  # ImageFeatureType.ColorSpace
_CHANNELS = {_GRAY: 1, _RGB: 3, _BGR: 3}


def read_network(model: Any, network: Any, options: LoadOptions, interface: Interface) -> Graph:
    return _Network(model, network, options, interface).read()


class _Network:
    """Blobs by name while the layers are walked in order."""

    def __init__(self, model: Any, network: Any, options: LoadOptions, interface: Interface) -> None:
        self.description, self.network, self.options, self.interface = model.description, network, options, interface
        self.legacy = network.arrayInputShapeMapping == _RANK5
        self.g = CoreMLBuilder(Graph("coreml"))
        self.blobs: dict[str, Value | None] = {}  # None: made by an unsupported layer
        self.named: set[Value] = set()  # what has a blob's name already
        self.problems: list[Problem] = []

    def read(self) -> Graph:
        for feature in self.description.input:
            with self.g.at(self.origin(feature.name)):
                value = self.blobs[feature.name] = self.add_input(feature)
                self.named |= {value, *self.g.graph.inputs}
        for layer in self.network.layers:
            with self.g.at(self.origin(layer.name)):
                self.add_layer(layer)
        if self.problems:
            raise UnsupportedError(self.problems)
        for name, shape in self.outputs():
            with self.g.at(self.origin(name)):
                self.add_output(name, shape)
        return self.g.graph

    # ------------------------------------------------------------------ inputs

    def add_input(self, feature: Any) -> Value:
        if feature.type.WhichOneof("Type") == "imageType":
            return self.add_image(feature.name, feature.type.imageType)
        array = feature.type.multiArrayType
        shape = self.options.shape(feature.name, tuple(int(n) for n in array.shape))
        if not shape or not all(isinstance(n, int) for n in shape):
            hint = f"Give it: --input {feature.name}:3x224x224"
            raise ConversionError(f"the input '{feature.name}' has no shape", self.g.origin, hint=hint)
        value = self.g.graph.add_input(feature.name, np.dtype(np.float32), shape)
        return self.g.reshape(value, legacy_shape(value.sizes)) if self.legacy else value

    def add_image(self, name: str, image: Any) -> Value:
        if image.colorSpace not in _CHANNELS:
            raise UnsupportedError(f"the image '{name}' has the colour space {image.colorSpace}", self.g.origin)
        declared = (1, _CHANNELS[image.colorSpace], int(image.height), int(image.width))
        value = self.g.graph.add_input(name, np.dtype(np.float32), self.options.shape(name, declared))
        x = value
        for step in self.network.preprocessing:
            if not step.featureName or step.featureName == name:
                x = self.preprocessed(x, step, image.colorSpace)
        return x if self.legacy or self.network.imageInputShapeMapping != _RANK5 else self.g.Unsqueeze(x, [0])

    def preprocessed(self, x: Value, step: Any, color_space: int) -> Value:
        """channelScale * image + bias, or the image minus the mean image."""
        if step.WhichOneof("preprocessor") == "meanImage":
            return self.g.Sub(x, np.array(step.meanImage.meanImage, np.float32).reshape(x.sizes[1:]))
        scaler = step.scaler
        colors = [scaler.redBias, scaler.greenBias, scaler.blueBias]
        biases = [scaler.grayBias] if color_space == _GRAY else colors if color_space == _RGB else colors[::-1]
        if scaler.channelScale != 1:
            x = self.g.Mul(x, self.g.like(x, scaler.channelScale))
        return self.g.Add(x, self.g.vector(np.array(biases, np.float32), 4, 1)) if any(biases) else x

    # ----------------------------------------------------------------- outputs

    def outputs(self) -> Sequence[tuple[str, Ints]]:
        """Name and declared shape (() where there is none); of a classifier, its probabilities."""
        label, probabilities = self.description.predictedFeatureName, self.description.predictedProbabilitiesName
        if label:
            self.g.warn(f"the label '{label}' is left out; the probabilities are the output")
        return [
            (item.name, () if item.name == probabilities else tuple(int(n) for n in item.type.multiArrayType.shape))
            for item in self.description.output
            if item.name != label
        ]

    def add_output(self, name: str, shape: Ints) -> None:
        source = name
        if name == self.description.predictedProbabilitiesName:
            source = getattr(self.network, "labelProbabilityLayerName", "") or self.network.layers[-1].output[0]
        value = self.blob(source)
        assert value is not None  # there were no problems
        if self.legacy:
            wanted = shape if int(np.prod(shape)) == int(np.prod(value.sizes)) and shape else _without_ones(value.sizes)
            value = self.g.reshape(value, wanted)
        self.g.add_output(value, name)

    # ------------------------------------------------------------------ layers

    def add_layer(self, layer: Any) -> None:
        kind = layer.WhichOneof("layer") or "none"
        inputs = [self.blob(name) for name in layer.input]
        operator = registry.find(NN, kind)
        if operator is None:
            self.problems.append(self.unsupported(kind, inputs))
        results: list[Value | None] = [None] * len(layer.output)
        if operator is not None and None not in inputs:
            results = self.call(operator, inputs, getattr(layer, kind))
        if len(results) < len(layer.output):
            raise ConversionError(f"{kind} has {len(results)} outputs, the layer names more", self.g.origin)
        for name, value in zip(layer.output, results, strict=False):
            self.blobs[name] = self.under(name, value)

    def under(self, name: str, value: Value | None) -> Value | None:
        """`value` under the name of its blob, unless it has one already."""
        if value is None or value.is_constant or value in self.named:
            return value
        self.named.add(value)
        return self.g.rename(value, name)

    def call(self, operator: Operator, inputs: Sequence[Value | None], params: Any) -> list[Value | None]:
        given = [field.name for field, _ in params.ListFields()]
        arguments = {name: getattr(params, name) for name in given if name not in operator.attributes}
        for name, parameter in operator.attributes.items():
            if name in given or not _is_message(params, name) or type(None) not in get_args(parameter.annotation):
                arguments[name] = convert(parameter, getattr(params, name), self.g.origin)
        try:
            result = operator(self.g, inputs, arguments)
        except SignatureError as error:
            raise UnsupportedError(f"the layer {error}", self.g.origin) from None
        except NONSENSE as error:
            raise ConversionError(f"the parameters of {operator.op} make no sense: {error}", self.g.origin) from None
        return list(result) if isinstance(result, tuple | list) else [result]

    def blob(self, name: str) -> Value | None:
        if name not in self.blobs:
            raise ConversionError(f"the blob '{name}' is read, and no layer before makes it", self.g.origin)
        return self.blobs[name]

    def origin(self, name: str) -> Origin:
        return Origin(self.interface.file, name)

    def unsupported(self, kind: str, inputs: Sequence[Value | None]) -> Problem:
        near = registry.near(NN, kind)
        shapes = ", ".join(text(value.shape) if value else "?" for value in inputs)
        hint = f"Near: {', '.join(near)}." if near else ""
        return Problem(f"the neural network layer '{kind}' is not supported", self.g.origin, shapes, hint)


def legacy_shape(shape: Ints) -> Ints:
    """N C H W of an array input: [C], [N, C], [C, H, W], [N, C, H, W] or [sequence, N, C, H, W]."""
    if len(shape) > 5:
        raise ConversionError(f"a network of this version has at most five axes, not {len(shape)}")
    if len(shape) == 5:
        return (shape[0] * shape[1], *shape[2:])
    return {1: (1, *shape, 1, 1), 2: (*shape, 1, 1), 3: (1, *shape)}.get(len(shape), shape)


def _without_ones(shape: Ints) -> Ints:
    """[C] of 1xCx1x1, [N, C] of NxCx1x1, [C, H, W] of 1xCxHxW."""
    inner = shape[1:2] if shape[2:] == (1, 1) else shape[1:]
    return inner if shape[0] == 1 else (shape[0], *inner)


def _is_message(params: Any, name: str) -> bool:
    field = params.DESCRIPTOR.fields_by_name.get(name)
    return field is not None and field.message_type is not None


def convert(parameter: inspect.Parameter, value: Any, origin: Origin) -> Any:
    """A field of a layer's message as the parameter's annotation wants it."""
    if parameter.annotation == Weights:
        return numbers(value, origin)
    kinds = get_args(parameter.annotation)
    kind = parameter.annotation if type(None) not in kinds else next(k for k in kinds if k is not type(None))
    if kind is Any:
        return value
    return tuple(int(item) for item in value) if kind == tuple[int, ...] else kind(value)
