"""A Caffe network: prototxt and weights to the graph, layer by layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.caffe import weights as weight_files
from netglot.frontends.caffe.attributes import read_attributes
from netglot.frontends.caffe.builder import CaffeBuilder
from netglot.frontends.caffe.layers import Layer, input_shapes, read_layers
from netglot.frontends.caffe.prototxt import Message, read
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text
from netglot.registry import Operator, SignatureError, registry

# Fields of a layer message that are not parameters of its type.
_COMMON = {
    "name", "type", "bottom", "top", "param", "blobs_lr", "weight_decay", "include", "exclude", "phase", "loss_weight",
    "propagate_down", "blob_share_mode", "transform_param", "blobs",
}  # fmt: skip


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (.prototxt) and `weights` (.caffemodel or .caffemodel.h5) into a Graph.

    Outputs are the blobs that no layer reads, in the order pycaffe lists them (by name).
    """
    net = read(path)
    layers = read_layers(net, str(path))
    if not layers:
        raise ConversionError("no layers in this file; is it a Caffe network?", Origin(str(path)))
    if weights is None and not options.placeholders and _needs_weights(layers):
        raise ConversionError("the network needs its weights: give the .caffemodel too", Origin(str(path)))
    blobs = weight_files.read(weights) if weights else {}
    return _Reader(net, layers, blobs, options, path).graph()


def _needs_weights(layers: Sequence[Layer]) -> bool:
    operators = [(layer, registry.find("caffe", layer.type)) for layer in layers]
    return any(operator and _required(operator) > len(layer.bottoms) for layer, operator in operators)


def _required(operator: Operator) -> int:
    return sum(p.default is p.empty for p in operator.positional)


class _Reader:
    """Blobs by name while the layers are walked in order."""

    def __init__(
        self, net: Message, layers: list[Layer], weights: weight_files.Weights, options: LoadOptions, path: Path
    ) -> None:
        self.net, self.layers, self.weights, self.options, self.file = net, layers, weights, options, str(path)
        self.g = CaffeBuilder(Graph(str(net.get("name", path.stem))))
        self.blobs: dict[str, Value | None] = {}  # None: made by an unsupported layer
        self.shared: dict[str, Value] = {}
        self.unread: dict[str, None] = {}
        self.writers = Counter(top for layer in layers for top in layer.tops)
        self.problems: list[Problem] = []

    def graph(self) -> Graph:
        for name, shape, origin in input_shapes(self.net, self.layers):
            self.add_input(name, shape, origin)
        for layer in self.layers:
            if layer.type != "Input":
                self.add_layer(layer)
        if self.problems:
            raise UnsupportedError(self.problems)
        self.g.graph.outputs = [value for name in sorted(self.unread) if (value := self.blobs[name]) is not None]
        return self.g.graph

    def add_input(self, name: str, shape: tuple[int, ...], origin: Origin) -> None:
        wanted = self.options.shape(name, shape)
        if not wanted:
            where = Origin(self.file, origin.layer, origin.line)
            raise ConversionError(f"the input '{name}' has no shape", where, hint=f"Give it: --input {name}:1x3x224x224")
        self.writers[name] += not any(name in layer.tops for layer in self.layers if layer.type == "Input")
        self.set_blob(name, self.g.graph.add_input(self.blob_name(name, "input"), np.dtype(np.float32), wanted))

    def add_layer(self, layer: Layer) -> None:
        bottoms = [self.read_blob(name, layer) for name in layer.bottoms]
        operator = registry.find("caffe", layer.type)
        if operator is None:
            self.problems.append(self.unsupported(layer, bottoms))
        if operator is None or None in bottoms:
            tops: Sequence[Value | None] = [None] * len(layer.tops)
        else:
            tops = self.call(operator, layer, [value for value in bottoms if value is not None])
        for name, value in zip(layer.tops, tops, strict=True):
            self.name_top(name, value, layer)

    def call(self, operator: Operator, layer: Layer, bottoms: list[Value]) -> Sequence[Value]:
        with self.g.at(layer.origin):
            attributes = self.attributes(operator, layer)
            blobs = self.layer_blobs(layer)
            groups = [[bottom] for bottom in bottoms] if operator.options["each_bottom"] else [bottoms]
            tops: list[Value] = []
            for group in groups:
                tops += self.call_once(operator, layer, [*group, *blobs], attributes)
        if len(tops) < len(layer.tops):
            raise ConversionError(f"{layer.type} has {len(tops)} tops, the prototxt names {len(layer.tops)}", layer.origin)
        return tops[: len(layer.tops)]

    def call_once(
        self, operator: Operator, layer: Layer, inputs: list[Value | None], attributes: dict[str, Any]
    ) -> list[Value]:
        if self.options.placeholders and not self.weights:
            inputs += [None] * (_required(operator) - len(inputs))
        try:
            result = operator(self.g, inputs, attributes)
        except SignatureError as error:
            hint = "" if layer.name in self.weights else "The weights file has no blobs for this layer."
            raise ConversionError(str(error), layer.origin, hint) from None
        return list(result) if isinstance(result, (tuple, list)) else [] if result is None else [result]

    def attributes(self, operator: Operator, layer: Layer) -> dict[str, Any]:
        param = operator.options["param"] or _snake(layer.type) + "_param"
        message = layer.message.get(param, Message(layer.origin.line))
        attributes, unknown = read_attributes(operator, message, layer.origin)
        unknown = [f"{param}.{name}" for name in unknown]
        unknown += [name for name in layer.message.names() if name not in _COMMON and name != param]
        for name in unknown:
            self.g.warn(f"{layer.type} does not know the field {name}; it was ignored")
        return attributes

    def layer_blobs(self, layer: Layer) -> list[Value | None]:
        """The layer's learned blobs; a parameter that is shared by name is one constant."""
        arrays = self.weights.get(layer.name, [])
        names = layer.blobs + [""] * (len(arrays) - len(layer.blobs))
        return [self.blob(layer, i, array, name) for i, (array, name) in enumerate(zip(arrays, names, strict=False))]

    def blob(self, layer: Layer, index: int, array: np.ndarray, shared: str) -> Value:
        if shared in self.shared:
            return self.shared[shared]
        value = self.g.constant(array, name=f"{layer.name}/{index}")
        if shared:
            self.shared[shared] = value
        return value

    # --------------------------------------------------------------- blob names

    def read_blob(self, name: str, layer: Layer) -> Value | None:
        if name not in self.blobs and name in self.options.inputs:
            self.add_input(name, (), layer.origin)
        if name not in self.blobs:
            raise ConversionError(f"the bottom '{name}' is not there", layer.origin, hint=self.why_missing(name))
        self.unread.pop(name, None)
        return self.blobs[name]

    def why_missing(self, name: str) -> str:
        later = next((layer for layer in self.layers if name in layer.tops), None)
        if later:
            return f"'{later.name}' makes it only at line {later.origin.line}: a cycle, or layers out of order."
        return f"If it comes from a data layer, give its shape: --input {name}:1x3x224x224"

    def name_top(self, name: str, value: Value | None, layer: Layer) -> None:
        """The last writer of a blob gives it its name; earlier ones (in-place layers) are `blob/layer`."""
        if value is not None and value.is_constant or value in self.g.graph.inputs or value in self.blobs.values():
            value = self.g.Identity(value)
        if value is not None:
            self.g.graph.rename(value, self.blob_name(name, layer.name))
        self.set_blob(name, value)

    def blob_name(self, name: str, layer: str) -> str:
        self.writers[name] -= 1
        return self.g.graph.unique_name(f"{name}/{layer}" if self.writers[name] > 0 else name)

    def set_blob(self, name: str, value: Value | None) -> None:
        self.blobs[name] = value
        self.unread[name] = None

    def unsupported(self, layer: Layer, bottoms: Sequence[Value | None]) -> Problem:
        near = registry.near("caffe", layer.type)
        shapes = ", ".join(text(value.shape) if value else "?" for value in bottoms)
        hint = f"Near: {', '.join(near)}. " if near else ""
        what = f"the layer type '{layer.type}' is not supported"
        return Problem(what, layer.origin, shapes, hint + "Map it in a file of your own: --plugin FILE.py")


def _snake(name: str) -> str:
    """InnerProduct -> inner_product, PReLU -> prelu, ArgMax -> arg_max."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()
