"""A MetaGraph: a graph with its signatures, and how its variables are restored (meta_graph.proto, saver.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netglot.frontends.tensorflow.messages import GraphDef, OpDef, graph, op_def
from netglot.frontends.tensorflow.objects import SavedObjects, saved_objects
from netglot.frontends.tensorflow.proto import Message
from netglot.frontends.tensorflow.tensors import ElementType, element_type, shape
from netglot.ir.types import Shape


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of the graph, "node:0". The name is empty where it is not one tensor (sparse, ragged)."""

    name: str
    dtype: ElementType
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model offers to its users: inputs and outputs by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method: str = ""


@dataclass(frozen=True, slots=True)
class Saver:
    """The part of the graph that restores variables: the tensor with the checkpoint's name, the node to run."""

    filename: str
    restore: str


@dataclass(frozen=True, slots=True, eq=False)
class MetaGraph:
    """A graph and what is said of it. `assets` maps a tensor's name to the file, in the assets folder, that it names.

    `operations` are the definitions of the operations that the graph has, where the file holds them.
    """

    tags: tuple[str, ...]
    graph: GraphDef
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    saver: Saver | None = None
    objects: SavedObjects | None = None
    assets: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, OpDef] = field(default_factory=dict)


def tags(view: memoryview) -> tuple[str, ...]:
    """The tags of a MetaGraphDef, without reading the rest."""
    return Message(view).message(1).texts(4)


def meta_graph(view: memoryview, file: str = "") -> MetaGraph:
    """The content of a MetaGraphDef. ValueError where it is none."""
    message = Message(view)
    info = message.message(1)
    operations = [op_def(item.bytes, file) for item in info.message(2).all(1)]
    return MetaGraph(
        info.texts(4),
        graph(message.view(2), file),
        {name: _signature(Message(value)) for name, value in sorted(message.map(5).items())},
        _saver(message.message(3)) if 3 in message else None,
        saved_objects(message.view(7)) if 7 in message else None,
        {item.message(1).text(1): item.text(2) for item in message.messages(6)},
        {item.name: item for item in operations},
    )


def _signature(message: Message) -> Signature:
    inputs, outputs = (
        {name: _tensor_info(Message(value)) for name, value in sorted(message.map(number).items())} for number in (1, 2)
    )
    return Signature(inputs, outputs, message.text(3))


def _tensor_info(message: Message) -> TensorInfo:
    known = shape(message.view(3)) if 3 in message else None
    return TensorInfo(message.text(1), element_type(message.number(2)), known)


def _saver(message: Message) -> Saver:
    return Saver(message.text(1), message.text(3))
