"""One layer of a prototxt, with the types of its common fields checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from netglot.errors import ConversionError, Origin
from netglot.frontends.textproto import Message

MAX_DIM = 2**31 - 1


@dataclass(frozen=True)
class Layer:
    """One layer in today's form. `shared` names its learned blobs, "" where one is its own."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    origin: Origin
    shared: list[str] = field(default_factory=list)
    permissive: list[bool] = field(default_factory=list)  # the sharer's shape may differ, only the count may not

    def param(self, name: str) -> Message:
        """The parameter message called `name`, empty if there is none."""
        value = self.message.get(name, Message(self.origin.line))
        if not isinstance(value, Message):
            raise ConversionError(f"{name} is a message, found {value}", self.origin)
        return value


def make_layer(message: Message, file: str) -> Layer:
    """The Layer of a `layer` entry."""
    name = str(message.get("name", ""))
    origin = Origin(file, name, message.line)
    specs = message.messages("param")
    return Layer(
        name, str(message.get("type", "")), _texts(message, "bottom", origin), _texts(message, "top", origin), message,
        origin, [str(spec.get("name", "")) for spec in specs],
        [str(spec.get("share_mode", "STRICT")) in ("PERMISSIVE", "1") for spec in specs],
    )  # fmt: skip


def _texts(message: Message, name: str, origin: Origin) -> list[str]:
    values = message.all(name)
    if any(isinstance(value, Message) for value in values):
        raise ConversionError(f"{name} is a name, found a message", origin)
    return [str(value) for value in values]


def dims(values: Sequence[Any], origin: Origin) -> tuple[int, ...]:
    """Sizes of axes as they stand in the prototxt; ConversionError where one is none."""
    wrong = [value for value in values if not isinstance(value, int) or not 0 < value <= MAX_DIM]
    if wrong:
        raise ConversionError(f"{wrong[0]} is no size of an axis", origin)
    return tuple(values)
