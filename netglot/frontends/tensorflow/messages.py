"""Graphs, nodes, attributes and functions as TensorFlow's messages hold them (GraphDef, NodeDef, FunctionDef, OpDef).

Field numbers are those of TensorFlow's own .proto files. An attribute is decoded when it is first read: a large graph
has many that nobody asks for, and its constants stay views of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.tensorflow.proto import MAX_DEPTH, Message, signed, text_or_bytes
from netglot.frontends.tensorflow.tensors import ElementType, Opaque, element_type, shape, tensor
from netglot.frontends.wire import Field, fields

__all__ = [
    "ArgDef",
    "Attributes",
    "FunctionDef",
    "FunctionName",
    "GraphDef",
    "NodeDef",
    "OpDef",
    "Opaque",
    "Placeholder",
]

LINE = (1 << 29) - 1  # the field of a NodeDef in which the text reader leaves the node's line; TensorFlow has none such


@dataclass(frozen=True, slots=True)
class FunctionName:
    """An attribute that names a function, with the attributes that it is to have."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An attribute whose value is an attribute of the function that the node stands in."""

    name: str


class Attributes(Mapping[str, Any]):
    """Attributes by name, decoded when they are read. ConversionError says where one can't be."""

    __slots__ = ("_depth", "_fields", "_origin", "_raw", "_values")

    def __init__(self, entries: list[Field], origin: Origin = Origin(), depth: int = 0) -> None:
        self._fields = entries
        self._origin = origin
        self._depth = depth
        self._raw: dict[str, memoryview] | None = None
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            view = self._entries()[name]
            self._values[name] = _reported(f"attribute '{name:.80}'", self._origin, _attribute, view, self)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def __repr__(self) -> str:
        return f"Attributes({', '.join(self)})"

    def nested(self, entries: list[Field]) -> Attributes:
        """The attributes of a function that one of these attributes names."""
        if self._depth >= MAX_DEPTH:
            raise ValueError(f"functions in attributes are nested more than {MAX_DEPTH} deep")
        return Attributes(entries, self._origin, self._depth + 1)

    def _entries(self) -> dict[str, memoryview]:
        if self._raw is None:
            self._raw = _reported("the attributes", self._origin, _entries, self._fields)
        return self._raw


@dataclass(frozen=True, slots=True, eq=False)
class NodeDef:
    """One operation. `inputs` are "node", "node:1" or "^node" (control); in a function "argument" or "node:name:0"."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    line: int = 0  # of a text file


@dataclass(frozen=True, slots=True)
class ArgDef:
    """An input or output of an operation or a function: of one type, or as many as an attribute says.

    `dtype` or `type_attr` is the elements' type; `number_attr` names the attribute that is the number of tensors,
    `type_list_attr` the one that lists their types.
    """

    name: str
    dtype: ElementType = None
    type_attr: str = ""
    number_attr: str = ""
    type_list_attr: str = ""


@dataclass(frozen=True, slots=True)
class OpDef:
    """What a file says of an operation: its inputs and outputs, and the defaults of its attributes."""

    name: str
    inputs: tuple[ArgDef, ...]
    outputs: tuple[ArgDef, ...]
    defaults: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class FunctionDef:
    """A function of a graph. `returns` maps each output to "argument" or "node:name:index" of the body."""

    name: str
    inputs: tuple[ArgDef, ...]
    outputs: tuple[ArgDef, ...]
    nodes: tuple[NodeDef, ...]
    returns: Mapping[str, str]
    attributes: Mapping[str, Any]
    control_returns: Mapping[str, str] = field(default_factory=dict)
    argument_attributes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


class Functions(Mapping[str, FunctionDef]):
    """Functions by name, read when they are asked for: most models bring those of their training, too."""

    def __init__(self, found: list[Field], file: str = "") -> None:
        self._raw = {Message(item.bytes).message(1).text(1): item.bytes for item in found}
        self._functions: dict[str, FunctionDef] = {}
        self._file = file

    def __getitem__(self, name: str) -> FunctionDef:
        if name not in self._functions:
            view, origin = self._raw[name], Origin(self._file, name)
            self._functions[name] = _reported("the function", origin, function, view, self._file)
        return self._functions[name]

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True, slots=True, eq=False)
class GraphDef:
    """The nodes of a graph, its functions by name, and the version of the TensorFlow graph that wrote it."""

    nodes: tuple[NodeDef, ...]
    functions: Mapping[str, FunctionDef]
    producer: int = 0


def graph(view: memoryview, file: str = "") -> GraphDef:
    """The graph of a GraphDef message. ValueError where the bytes are no such message."""
    message = Message(view)
    nodes = tuple(node(item.bytes, file) for item in message.all(1))
    return GraphDef(nodes, Functions(message.message(2).all(1), file), message.message(4).number(1))


def node(view: memoryview, file: str = "") -> NodeDef:
    message = Message(view)
    name, line = message.text(1), message.number(LINE)
    attributes = Attributes(message.all(5), Origin(file, name, line))
    return NodeDef(name, message.text(2), message.texts(3), attributes, line)


def function(view: memoryview, file: str = "") -> FunctionDef:
    message = Message(view)
    signature = op_def(message.view(1), file)
    origin = Origin(file, signature.name)
    return FunctionDef(
        signature.name,
        signature.inputs,
        signature.outputs,
        tuple(node(item.bytes, file) for item in message.all(3)),
        message.texts_by_name(4),
        Attributes(message.all(5), origin),
        message.texts_by_name(6),
        {entry.number(1): Attributes(entry.message(2).all(1), origin) for entry in message.messages(7)},
    )


def op_def(view: memoryview, file: str = "") -> OpDef:
    message = Message(view)
    inputs, outputs = (tuple(_argument(item) for item in message.messages(number)) for number in (2, 3))
    name = message.text(1)
    defaults = [item for item in message.all(4) if 3 in Message(item.bytes)]
    return OpDef(name, inputs, outputs, _Defaults(defaults, Origin(file, name)))


def _argument(message: Message) -> ArgDef:
    return ArgDef(message.text(1), element_type(message.number(3)), message.text(4), message.text(5), message.text(6))


class _Defaults(Attributes):
    """The defaults of attributes: their AttrValue is another field than in an entry of a map."""

    __slots__ = ()

    def _entries(self) -> dict[str, memoryview]:
        messages = [Message(item.bytes) for item in self._fields]
        return {message.text(1): message.view(3) for message in messages}


def _entries(found: list[Field]) -> dict[str, memoryview]:
    messages = [Message(item.bytes) for item in found]
    return {message.text(1): message.view(2) for message in messages}


def _reported(what: str, origin: Origin, decode: Any, *arguments: Any) -> Any:
    try:
        return decode(*arguments)
    except (ValueError, OverflowError) as error:
        raise ConversionError(f"{what} can't be read: {error}", origin) from None


def _attribute(view: memoryview, owner: Attributes) -> Any:
    """The value of an AttrValue; None if it holds none. Of several the last one counts, as for every oneof."""
    found = list(fields(view))
    if not found:
        return None
    last = found[-1]
    if last.number == _LIST:
        return _list([item for item in found if item.number == _LIST], owner)
    if last.number == _FUNCTION:
        return _function_name(last, owner)
    if last.number == _PLACEHOLDER:
        return Placeholder(last.text)
    if last.number not in _SCALARS:
        raise ValueError(f"a value of an unknown kind ({last.number})")
    return _elements(last, last.number)[-1]


def _list(found: list[Field], owner: Attributes) -> tuple[Any, ...]:
    parts = [part for item in found for part in fields(item.bytes)]
    if len({part.number for part in parts}) > 1:
        raise ValueError("a list of values of several kinds")
    if parts and parts[0].number == _LIST_FUNCTION:
        return tuple(_function_name(part, owner) for part in parts)
    return tuple(element for part in parts for element in _elements(part, part.number))


_LIST, _FUNCTION, _PLACEHOLDER, _LIST_FUNCTION = 1, 10, 9, 9
_TEXT, _INT, _FLOAT, _BOOL, _TYPE, _SHAPE, _TENSOR = _SCALARS = range(2, 9)


def _elements(item: Field, kind: int) -> list[Any]:
    """The values that a field holds; several, where it is a packed list."""
    if kind == _TEXT:
        return [text_or_bytes(item.bytes)]
    if kind == _INT:
        return [signed(value) for value in item.ints()]
    if kind == _FLOAT:
        return [float(value) for value in item.array("<f4")]
    if kind == _BOOL:
        return [bool(value) for value in item.ints()]
    if kind == _TYPE:
        return [element_type(value) for value in item.ints()]
    if kind == _SHAPE:
        return [shape(item.bytes)]
    if kind == _TENSOR:
        return [_constant(item)]
    raise ValueError(f"a value of an unknown kind ({kind})")


def _constant(item: Field) -> np.ndarray:
    return tensor(item.bytes)


def _function_name(item: Field, owner: Attributes) -> FunctionName:
    message = Message(item.bytes)
    return FunctionName(message.text(1), owner.nested(message.all(2)))
