"""A Caffe network: prototxt and weights to the graph, layer by layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.caffe import mean as mean_images
from netglot.frontends.caffe import weights as weight_files
from netglot.frontends.caffe.attributes import read_attributes
from netglot.frontends.caffe.builder import WRONG_FILE, CaffeBuilder
from netglot.frontends.caffe.layer import Layer
from netglot.frontends.caffe.layers import Network, input_shapes, read_network
from netglot.frontends.caffe.sharing import Sharing
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.textproto import Message, read
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape, is_static, text
from netglot.registry import Operator, SignatureError, registry

# Fields of the network and of a layer that are not parameters of the layer's type.
_NET_FIELDS = {"name", "input", "input_dim", "input_shape", "layer", "layers", "state", "force_backward", "debug_info"}
_LAYER_FIELDS = {
    "name", "type", "bottom", "top", "param", "blobs_lr", "weight_decay", "include", "exclude", "phase", "loss_weight",
    "propagate_down", "blob_share_mode", "transform_param", "blobs",
}  # fmt: skip


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (.prototxt) and `weights` (.caffemodel or .caffemodel.h5) into a Graph.

    Outputs are the blobs that no layer reads, in the order pycaffe lists them (by name). Inputs keep their names; what
    a layer writes over its own bottom is called `blob/layer` until the last one.
    """
    net = read(path)
    network = read_network(net, str(path))
    if not network.layers:
        raise ConversionError("no layers in this file; is it a Caffe network?", Origin(str(path)))
    blobs = weight_files.read(weights) if weights else None
    return _Reader(net, network, blobs, options, path).graph()


class _Reader:
    """Blobs by name while the layers are walked in order."""

    def __init__(
        self, net: Message, network: Network, weights: weight_files.Weights | None, options: LoadOptions, path: Path
    ) -> None:
        self.net, self.network, self.layers, self.options, self.file = net, network, network.layers, options, str(path)
        self.weights = weights or {}
        name = str(net.get("name") or path.stem)
        self.g = CaffeBuilder(Graph(name), placeholders=options.placeholders, has_weights=weights is not None)
        self.blobs: dict[str, Value | None] = {}  # None: made by an unsupported layer
        self.named: set[Value] = set()  # what has a blob's name already
        self.shared: dict[str, Value] = {}
        self.unread: dict[str, None] = {}
        self.writers = Counter(top for layer in self.layers for top in layer.tops)
        self.problems: list[Problem] = []

    def graph(self) -> Graph:
        for name in self.net.names():
            if name not in _NET_FIELDS:
                self.g.warn(f"the network has an unknown field {name}; it was ignored")
        self.add_inputs()
        sharing = Sharing(self.layers)
        for i, layer in enumerate(self.layers):
            if layer.type != "Input":
                self.add_layer(layer)
                self.warn_of_sharing(layer, sharing.overwritten(i, layer))
        if self.problems:
            raise UnsupportedError(self.problems)
        self.g.graph.outputs = [value for name in sorted(self.unread) if (value := self.blobs[name]) is not None]
        return self.g.graph

    # ------------------------------------------------------------------- inputs

    def add_inputs(self) -> None:
        unwanted = self.network.unwanted()
        for name, shape, origin in input_shapes(self.net, self.layers, self.file):
            if name in self.blobs:
                raise ConversionError(f"two inputs are called '{name}'", origin)
            if name in unwanted:
                self.g.warn(f"the input '{name}' is read by training layers only; it was dropped")
            else:
                self.add_input(name, shape, origin)

    def add_input(self, name: str, shape: Shape | None, origin: Origin) -> None:
        wanted = self.options.shape(name, shape)
        if not is_static(wanted):
            size = f" fixed shape (it is {text(wanted)})" if wanted else " shape"
            raise ConversionError(f"the input '{name}' has no{size}", origin, f"Give it: --input {name}:1x3x224x224")
        dtype = self.options.inputs.get(name, TensorSpec()).dtype or np.dtype(np.float32)
        value = self.g.graph.add_input(name, dtype, wanted)
        self.named.add(value)
        with self.g.at(Origin(origin.file, name, origin.line)):
            self.blobs[name] = self.prepared(value, origin)

    def prepared(self, value: Value, origin: Origin) -> Value:
        """The input as float32, and the first one without the mean image."""
        if value.dtype != np.float32:
            value = self.g.Cast(value, to=1)
        if self.options.mean is None or len(self.g.graph.inputs) > 1:
            return value
        mean = mean_images.fitted(mean_images.read_mean(self.options.mean), value.sizes, origin)
        return self.g.Sub(value, self.g.constant(mean))

    # ------------------------------------------------------------------- layers

    def add_layer(self, layer: Layer) -> None:
        bottoms = [self.read_blob(name, layer) for name in layer.bottoms]
        operator = registry.find("caffe", layer.type)
        tops: Sequence[Value | None] = [None] * len(layer.tops)
        if operator is None:
            self.problems.append(self.unsupported(layer, bottoms))
        elif None not in bottoms:
            try:
                tops = self.call(operator, layer, [value for value in bottoms if value is not None])
            except UnsupportedError as error:
                self.problems += error.problems
        for name, value in zip(layer.tops, tops, strict=True):
            self.name_top(name, value, layer)

    def warn_of_sharing(self, layer: Layer, overwritten: list[str]) -> None:
        if overwritten:
            with self.g.at(layer.origin):
                self.g.warn(
                    f"Caffe would change {', '.join(overwritten)} too, which share memory with '{layer.tops[0]}'",
                    "Here they keep their values, as the prototxt says. Give this layer a top of its own.",
                )

    def call(self, operator: Operator, layer: Layer, bottoms: list[Value]) -> Sequence[Value]:
        self.g.type, self.g.bottoms, self.g.tops, self.g.used = layer.type, len(bottoms), len(layer.tops), set()
        self.g.in_place = layer.bottoms[:1] == layer.tops[:1]
        with self.g.at(layer.origin):
            attributes = self.attributes(operator, layer)
            blobs = self.layer_blobs(layer)
            groups = [[bottom] for bottom in bottoms] if operator.options["each_bottom"] else [bottoms]
            tops: list[Value] = []
            for group in groups:
                tops += self.call_once(operator, layer, [*group, *blobs], attributes)
        if len(tops) < len(layer.tops):
            what = f"{layer.type} has {len(tops)} tops, the prototxt names {len(layer.tops)}"
            raise ConversionError(what, layer.origin)
        self.check_blobs(layer, blobs)
        return tops[: len(layer.tops)]

    def call_once(
        self, operator: Operator, layer: Layer, inputs: list[Value | None], attributes: dict[str, Any]
    ) -> list[Value]:
        try:
            result = operator(self.g, inputs, attributes)
        except SignatureError as error:
            raise ConversionError(str(error), layer.origin) from None
        except (ValueError, ArithmeticError, IndexError, MemoryError) as error:  # numbers that make no sense together
            raise ConversionError(f"{layer.type} with these parameters: {error}", layer.origin) from None
        return list(result) if isinstance(result, (tuple, list)) else [] if result is None else [result]

    def attributes(self, operator: Operator, layer: Layer) -> dict[str, Any]:
        param = operator.options["param"] or _snake(layer.type) + "_param"
        attributes, unknown = read_attributes(operator, layer.param(param), layer.origin)
        unknown = [f"{param}.{name}" for name in unknown]
        unknown += [name for name in layer.message.names() if name not in _LAYER_FIELDS and name != param]
        for name in unknown:
            self.g.warn(f"{layer.type} does not know the field {name}; it was ignored")
        return attributes

    # ------------------------------------------------------------ learned blobs

    def layer_blobs(self, layer: Layer) -> list[Value | None]:
        """The layer's learned blobs; a parameter that is shared by name is one constant."""
        arrays = self.weights.get(layer.name, {})
        names = dict(enumerate(layer.shared))
        known = [i for i, name in names.items() if name in self.shared]
        return [self.blob(layer, i, arrays.get(i), names.get(i, "")) for i in range(max([-1, *arrays, *known]) + 1)]

    def blob(self, layer: Layer, index: int, array: np.ndarray | None, shared: str) -> Value | None:
        value = self.shared.get(shared)
        if value is None and array is not None:
            value = self.g.constant(array, name=f"{layer.name}/{index}")
        if shared and value is not None:
            self.shared[shared] = value
            self.g.permissive |= {value} if index < len(layer.permissive) and layer.permissive[index] else set()
        return value

    def check_blobs(self, layer: Layer, blobs: list[Value | None]) -> None:
        """Blobs that the layer did not ask for are of another network; those that became attributes are let go."""
        given = [blob for blob in blobs if blob is not None]
        if not self.g.used.issuperset(given):
            what = f"{layer.type} has {len(self.g.used)} learned blobs here, found {len(given)}"
            raise ConversionError(f"the weights do not fit the prototxt: {what}", layer.origin, WRONG_FILE)
        for blob in given:
            if not self.g.graph.uses(blob) and blob not in self.shared.values():
                self.g.graph.remove_value(blob)

    # --------------------------------------------------------------- blob names

    def read_blob(self, name: str, layer: Layer) -> Value | None:
        if name not in self.blobs:
            self.add_source(name, layer)
        self.unread.pop(name, None)
        return self.blobs[name]

    def add_source(self, name: str, layer: Layer) -> None:
        """Makes an input of a blob that a data layer would bring, or that the user gives a shape."""
        shape, origin = self.network.sources.get(name, (None, layer.origin))
        if self.options.shape(name, shape) is None:
            raise ConversionError(f"the bottom '{name}' is not there", layer.origin, hint=self.why_missing(name))
        self.add_input(name, shape, origin)

    def why_missing(self, name: str) -> str:
        later = next((layer for layer in self.layers if name in layer.tops), None)
        if later:
            return f"'{later.name}' makes it only at line {later.origin.line}: a cycle, or layers out of order."
        if name in self.network.sources:
            return f"A data layer brings it; give its shape: --input {name}:1x3x224x224"
        return f"No layer makes it. If it is an input, give its shape: --input {name}:1x3x224x224"

    def name_top(self, name: str, value: Value | None, layer: Layer) -> None:
        """The last writer of a blob gives it its name; earlier ones (in-place layers) are `blob/layer`."""
        if name in self.blobs and name not in layer.bottoms:
            raise ConversionError(f"the blob '{name}' is made by another layer already", layer.origin)
        if value is not None and (value.is_constant or value in self.named):
            with self.g.at(layer.origin):
                value = self.g.Identity(value)
        if value is not None:
            self.check_size(value, layer)
            self.g.graph.rename(value, self.blob_name(name, layer.name))
            self.named.add(value)
        self.blobs[name] = value
        self.unread[name] = None

    def check_size(self, value: Value, layer: Layer) -> None:
        if not is_static(value.shape) or min(value.sizes, default=1) < 1:
            raise ConversionError(f"the output of {layer.type} would have the shape {text(value.shape)}", layer.origin)

    def blob_name(self, name: str, layer: str) -> str:
        """An input keeps its name, whatever is written over it."""
        self.writers[name] -= 1
        return self.g.graph.unique_name(f"{name}/{layer}" if self.writers[name] > 0 or name in self.g.graph else name)

    def unsupported(self, layer: Layer, bottoms: Sequence[Value | None]) -> Problem:
        near = registry.near("caffe", layer.type)
        shapes = ", ".join(text(value.shape) if value else "?" for value in bottoms)
        hint = f"Near: {', '.join(near)}. " if near else ""
        what = f"the layer type '{layer.type}' is not supported"
        return Problem(what, layer.origin, shapes, hint + "Map it in a file of your own: --plugin FILE.py")


def _snake(name: str) -> str:
    """InnerProduct -> inner_product, PReLU -> prelu, ArgMax -> arg_max."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()
