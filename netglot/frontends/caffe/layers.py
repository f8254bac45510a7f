"""The layers of a network that inference runs, and the network's inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netglot.errors import ConversionError, Origin
from netglot.frontends.caffe.layer import Layer, dims, make_layer
from netglot.frontends.caffe.upgrade import merge_padding, old_layer
from netglot.frontends.textproto import Message
from netglot.registry import registry

Shape = tuple[int, ...]
Input = tuple[str, Shape | None, Origin]  # name, shape if the file says it, where

# Layers that judge a network; nothing of them remains in a deployed one.
TRAINING_LAYERS = {
    "Accuracy", "SoftmaxWithLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "ContrastiveLoss",
    "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "SmoothL1Loss", "MultiBoxLoss", "DetectionEvaluate",
    "HDF5Output", "Loss", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM",
}  # fmt: skip


@dataclass
class Network:
    """What is left of a prototxt for inference.

    `sources` are the blobs that data layers would make: their shape, if the file says it, and where.
    `dropped` are labels, results of training layers and all that is computed from these alone; `judged` is what the
    training layers read.
    """

    layers: list[Layer] = field(default_factory=list)
    sources: dict[str, tuple[Shape | None, Origin]] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    def add(self, layer: Layer) -> None:
        """Files one layer under what is kept, what feeds the network, or what goes."""
        if is_source(layer):
            shapes = _source_shapes(layer)
            self.sources.update({top: (shapes.get(i), layer.origin) for i, top in enumerate(layer.tops)})
            self.dropped.update(layer.tops[1:])
        elif layer.type in TRAINING_LAYERS or (layer.bottoms and self.dropped.issuperset(layer.bottoms)):
            self.dropped.update(top for top in layer.tops if top not in self.made)
            self.judged.update(layer.bottoms)
        else:
            self.layers.append(layer)
            self.made.update(layer.tops)
            self.dropped.difference_update(layer.tops)

    def unwanted(self) -> set[str]:
        """Blobs that only training layers read: the labels among the inputs."""
        return self.judged.difference(name for layer in self.layers for name in layer.bottoms)


def read_network(net: Message, file: str) -> Network:
    """The layers that `caffe test` would run, without what feeds and judges them, in order."""
    current = [make_layer(message, file) for message in net.messages("layer")]
    old = [old_layer(message, file) for message in net.messages("layers")]
    if current and old:
        raise ConversionError("the network mixes 'layer' and 'layers'", Origin(file, line=net.line_of("layers")))
    state = net.messages("state")[-1] if net.messages("state") else Message()
    kept = [layer for layer in current or old if is_included(layer, state)]
    network = Network()
    for layer in merge_padding(kept):
        network.add(layer)
    return network


def is_included(layer: Layer, state: Message) -> bool:
    """NetStateRule in the TEST phase (net.cpp, FilterNet): one `include` must meet, or else no `exclude` may."""
    include, exclude = layer.message.messages("include"), layer.message.messages("exclude")
    if include and exclude:
        raise ConversionError("a layer has either include or exclude rules", layer.origin)
    met = any(_meets(rule, state, layer.origin) for rule in include or exclude)
    return met if include else not met


def _meets(rule: Message, state: Message, origin: Origin) -> bool:
    stages = set(map(str, state.all("stage")))
    level = _level(state, "level", 0, origin)
    return (
        str(rule.get("phase", "TEST")) in ("TEST", "1")
        and _level(rule, "min_level", level, origin) <= level <= _level(rule, "max_level", level, origin)
        and stages.issuperset(map(str, rule.all("stage")))
        and stages.isdisjoint(map(str, rule.all("not_stage")))
    )


def _level(message: Message, name: str, default: int, origin: Origin) -> int:
    value = message.get(name, default)
    if not isinstance(value, int):
        raise ConversionError(f"{name}: expected a whole number, found {value}", origin)
    return value


def is_source(layer: Layer) -> bool:
    """Whether the layer brings data from outside: it reads nothing, and what it makes is not known here.

    A DummyData whose filler is constant makes a constant.
    """
    if layer.type == "DummyData":
        fillers = layer.param("dummy_data_param").messages("data_filler")
        return any(str(filler.get("type", "constant")) != "constant" for filler in fillers)
    return not layer.bottoms and layer.type != "Input" and registry.find("caffe", layer.type) is None


def _source_shapes(layer: Layer) -> dict[int, Shape]:
    """The shapes of a data layer's tops, as far as the prototxt says them."""
    if layer.type == "MemoryData":
        param = layer.param("memory_data_param")
        sizes = dims([param.get(name, 0) for name in ("batch_size", "channels", "height", "width")], layer.origin)
        return {0: sizes, 1: sizes[:1]}
    if layer.type == "DummyData":
        shapes = layer.param("dummy_data_param").messages("shape")
        return {i: dims(shapes[min(i, len(shapes) - 1)].all("dim"), layer.origin) for i in range(len(layer.tops))
                if shapes}  # fmt: skip
    return {}


def input_shapes(net: Message, layers: list[Layer], file: str) -> Iterator[Input]:
    """The network's inputs: legacy `input` fields first, then Input layers."""
    origin = Origin(file, line=net.line_of("input"))
    sizes = net.all("input_dim")
    shapes = [dims(shape.all("dim"), origin) for shape in net.messages("input_shape")]
    shapes += [dims(sizes[i : i + 4], origin) for i in range(0, len(sizes), 4)]
    for i, name in enumerate(net.all("input")):
        yield str(name), shapes[i] if i < len(shapes) else None, Origin(file, str(name), origin.line)
    for layer in layers:
        if layer.type == "Input":
            yield from _input_layer(layer)


def _input_layer(layer: Layer) -> Iterator[Input]:
    shapes = [dims(shape.all("dim"), layer.origin) for shape in layer.param("input_param").messages("shape")]
    for i, top in enumerate(layer.tops):
        yield top, shapes[min(i, len(shapes) - 1)] if shapes else None, layer.origin
