"""Protobuf text format without a schema (specification: protobuf.dev, "Text Format Language").

Caffe's forks add fields that no schema of ours could list. Every field is kept, with its line, so that an error can
point at it; what a field means is the frontend's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin

MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""(?P<skip>[\s]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?|inf(?:inity)?\b|nan\b))
      | (?P<name>-?[A-Za-z_][\w./]*)
      | (?P<mark>[:{}<>\[\],;])""",
    re.VERBOSE,
)


@dataclass(slots=True)
class Message:
    """A message: its fields in order, each name with its values and the line of each."""

    line: int = 0
    fields: list[tuple[str, Any, int]] = field(default_factory=list)

    def all(self, name: str) -> list[Any]:
        return [value for key, value, _ in self.fields if key == name]

    def get(self, name: str, default: Any = None) -> Any:
        """The last value of `name` (as protobuf does for a field given twice)."""
        values = self.all(name)
        return values[-1] if values else default

    def messages(self, name: str) -> list[Message]:
        return [value for value in self.all(name) if isinstance(value, Message)]

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _, _ in self.fields))

    def line_of(self, name: str) -> int:
        return next((line for key, _, line in self.fields if key == name), self.line)


class Name(str):
    """A bare word: an enum value, true or false."""

    __slots__ = ()


class Binary(str):
    """A quoted value whose bytes are not text: `raw` are the bytes."""

    raw: bytes


def bytes_of(value: str) -> bytes:
    """The bytes of a quoted value. TypeError of anything else."""
    if not isinstance(value, str) or isinstance(value, Name):
        raise TypeError("not a quoted value")
    return value.raw if isinstance(value, Binary) else value.encode()


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    line: int


class _Tokens:
    """The tokens of a text with one token of look-ahead."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._tokens = self._scan(text)
        self.next = next(self._tokens)

    def _scan(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error(f"unexpected character {text[at]!r}", line)
            kind = str(match.lastgroup)
            if kind != "skip":
                yield _Token(kind, match.group(), line)
            line += match.group().count("\n")
            at = match.end()
        yield _Token("end", "the end of the file", line)

    def take(self) -> _Token:
        token, self.next = self.next, self.next
        if token.kind != "end":
            self.next = next(self._tokens)
        return token

    def skip(self, *marks: str) -> bool:
        if self.next.kind == "mark" and self.next.text in marks:
            self.take()
            return True
        return False

    def error(self, what: str, line: int) -> ConversionError:
        return ConversionError(what, Origin(self.file, line=line))


def parse(text: str, file: str = "") -> Message:
    """The message that `text` holds; ConversionError names the line where it is malformed."""
    if "\0" in text:
        raise ConversionError(
            "a NUL byte: this is no text file", Origin(file, line=text[: text.index("\0")].count("\n") + 1)
        )
    return _message(_Tokens(text, file), "end", Message(1), 0)


def read(path: Path) -> Message:
    """Parses a text file."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise ConversionError(f"can't read it: {error.strerror}", Origin(str(path))) from None
    except UnicodeDecodeError as error:
        raise ConversionError(f"not a text file: {error.reason} at byte {error.start}", Origin(str(path))) from None


def _message(tokens: _Tokens, end: str, message: Message, depth: int) -> Message:
    if depth > MAX_DEPTH:
        raise tokens.error(f"messages nest more than {MAX_DEPTH} deep", message.line)
    while tokens.next.text != end and tokens.next.kind != end:
        _field(tokens, message, depth)
    tokens.take()
    return message


def _field(tokens: _Tokens, message: Message, depth: int) -> None:
    extension = tokens.skip("[")
    token = tokens.take()
    if extension and not tokens.skip("]"):
        raise tokens.error(f"expected ']' after '{token.text}', found {tokens.next.text}", tokens.next.line)
    if token.kind not in ("name", "number") or token.text.startswith("-"):
        raise tokens.error(f"expected a field name, found {token.text}", token.line)
    colon = tokens.skip(":")
    if not colon and tokens.next.text not in ("{", "<"):
        raise tokens.error(f"expected ':' or '{{' after '{token.text}', found {tokens.next.text}", tokens.next.line)
    for value in _values(tokens, depth):
        message.fields.append((token.text, value, token.line))
    tokens.skip(",", ";")


def _values(tokens: _Tokens, depth: int) -> Iterator[Any]:
    if not tokens.skip("["):
        yield _value(tokens, depth)
        return
    while not tokens.skip("]"):
        yield _value(tokens, depth)
        tokens.skip(",")


def _value(tokens: _Tokens, depth: int) -> Any:
    token = tokens.take()
    if token.text in ("{", "<") and token.kind == "mark":
        return _message(tokens, "}" if token.text == "{" else ">", Message(token.line), depth + 1)
    if token.kind == "string":
        return _strings(tokens, token)
    if token.kind == "number":
        return _number(tokens, token)
    if token.kind == "name":
        return Name(token.text)
    raise tokens.error(f"expected a value, found {token.text}", token.line)


def _strings(tokens: _Tokens, token: _Token) -> str:
    parts = [_unescape(token.text[1:-1])]
    while tokens.next.kind == "string":
        parts.append(_unescape(tokens.take().text[1:-1]))
    raw = b"".join(parts)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        value = Binary(raw.decode(errors="replace"))
        value.raw = raw
        return value


_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _unescape(text: str) -> bytes:
    return _ESCAPE.sub(_escaped, text.encode()) if "\\" in text else text.encode()


def _escaped(match: re.Match[bytes]) -> bytes:
    octal, byte, short, long, other = match.groups()
    if octal or byte:
        return bytes([int(octal, 8) & 0xFF if octal else int(byte, 16)])
    if short or long:
        return _character(int(short or long, 16))
    return _ESCAPES.get(other, other)


def _character(code: int) -> bytes:
    """A character by its number; the replacement character where no such one can be written."""
    return chr(code).encode(errors="replace") if code < 0x110000 else b"\xef\xbf\xbd"


MAX_DIGITS = 40


def _number(tokens: _Tokens, token: _Token) -> int | float:
    text = re.sub(r"\s", "", token.text)
    if len(text) > MAX_DIGITS:
        raise tokens.error(f"a number of {len(text)} characters", token.line)
    if "x" in text.lower():
        return int(text, 16)
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text.rstrip("fF") if "inf" not in text else text)
