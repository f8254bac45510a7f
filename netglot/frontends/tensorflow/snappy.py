"""Snappy, which may compress a checkpoint's index (google/snappy, format_description.txt)."""

from __future__ import annotations

from netglot.frontends.wire import varint

MAX_SIZE = 1 << 28  # bytes of one block; TensorFlow's have 256 KB


def decompressed(view: memoryview) -> bytes:
    """The content of a compressed block. ValueError where it is damaged or claims too much."""
    size, at = varint(view, 0)
    if size > MAX_SIZE:
        raise ValueError(f"a compressed block claims {size:,} bytes")
    out = bytearray()
    while at < len(view) and len(out) <= size:
        at = _literal(view, at, out) if view[at] & 3 == 0 else _copy(view, at, out)
    if len(out) != size or at != len(view):
        raise ValueError(f"a compressed block claims {size:,} bytes and holds another number")
    return bytes(out)


def _literal(view: memoryview, at: int, out: bytearray) -> int:
    """Bytes as they are. A length above 60 stands in the next 1 to 4 bytes."""
    length, at = view[at] >> 2, at + 1
    if length >= 60:
        width = length - 59
        length, at = int.from_bytes(view[at : at + width], "little"), at + width
    if at + length + 1 > len(view):
        raise ValueError("a compressed block is cut off")
    out += view[at : at + length + 1]
    return at + length + 1


def _copy(view: memoryview, at: int, out: bytearray) -> int:
    """Bytes that were there before; they may overlap those that are written."""
    tag = view[at]
    width = (0, 1, 2, 4)[tag & 3]
    offset = int.from_bytes(view[at + 1 : at + 1 + width], "little")
    length = (tag >> 2) + 1
    if tag & 3 == 1:
        length, offset = (tag >> 2 & 7) + 4, offset | tag >> 5 << 8
    if not 0 < offset <= len(out):
        raise ValueError("a compressed block repeats what is not there")
    pattern = out[-offset:][:length]
    out += (pattern * (length // len(pattern) + 1))[:length]
    return at + 1 + width
