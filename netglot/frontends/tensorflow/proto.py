"""A protobuf message by field numbers, with protobuf's rules for what is missing or given twice."""

from __future__ import annotations

from collections.abc import Iterator

from netglot.frontends.wire import Field, fields

MAX_DEPTH = 100  # nested messages, protobuf's own limit


class Message:
    """One message. Nested ones stay views of the file until they are asked for. ValueError: these are no message."""

    __slots__ = ("_fields",)

    def __init__(self, view: memoryview) -> None:
        self._fields: dict[int, list[Field]] = {}
        for item in fields(view):
            self._fields.setdefault(item.number, []).append(item)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def all(self, number: int) -> list[Field]:
        return self._fields.get(number, [])

    def text(self, number: int) -> str:
        return self._fields[number][-1].text if number in self._fields else ""

    def texts(self, number: int) -> tuple[str, ...]:
        return tuple(item.text for item in self.all(number))

    def number(self, number: int) -> int:
        return signed(self._fields[number][-1].varint) if number in self._fields else 0

    def numbers(self, number: int) -> Iterator[int]:
        """The elements of a repeated field, packed or not."""
        for item in self.all(number):
            yield from map(signed, item.ints())

    def view(self, number: int) -> memoryview:
        """The bytes of a nested message: all that were given, one after the other, as protobuf merges them."""
        found = self.all(number)
        return found[0].bytes if len(found) == 1 else memoryview(b"".join(item.bytes for item in found))

    def message(self, number: int) -> Message:
        """A nested message; an empty one where there is none."""
        return Message(self.view(number))

    def messages(self, number: int) -> Iterator[Message]:
        return (Message(item.bytes) for item in self.all(number))

    def map(self, number: int) -> dict[str, memoryview]:
        """A map from text to messages: the last of equal keys counts."""
        return {entry.text(1): entry.view(2) for entry in self.messages(number)}

    def texts_by_name(self, number: int) -> dict[str, str]:
        """A map from text to text."""
        return {entry.text(1): entry.text(2) for entry in self.messages(number)}


def signed(value: int) -> int:
    """An int32 or int64 as it is stored: in two's complement of 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def text_or_bytes(view: memoryview) -> str | bytes:
    """TensorFlow's strings are bytes, which nearly always are UTF-8."""
    try:
        return str(view, "utf-8")
    except UnicodeDecodeError:
        return bytes(view)
