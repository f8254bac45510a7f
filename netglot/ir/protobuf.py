"""The pieces of the protobuf wire format that reading and writing ONNX files around the protobuf library need."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A whole number, seven bits a byte, lowest first (protobuf.dev, "Encoding")."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def key(number: int, wire: int) -> bytes:
    """What stands before a field's value."""
    return varint(number << 3 | wire)
