"""A writer of Caffe's weights files in each encoding that Caffe ever used, at the level of protobuf's wire.

Field numbers are caffe.proto's. Python 3.9 (Caffe's) runs this too.
"""

from __future__ import annotations

import numpy as np

VARINT, BYTES, FIXED32 = 0, 2, 5
V1_TYPES = {"Convolution": 4, "InnerProduct": 14}
V0_TYPES = {"Convolution": b"conv", "InnerProduct": b"innerproduct"}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def key(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def message(number: int, data: bytes) -> bytes:
    """A length-delimited field: a string, a message or a packed list."""
    return key(number, BYTES) + varint(len(data)) + data


def integer(number: int, value: int) -> bytes:
    return key(number, VARINT) + varint(value)


def shape(array: np.ndarray) -> bytes:
    """BlobProto.shape: a BlobShape with packed dims."""
    return message(7, message(1, b"".join(varint(size) for size in array.shape)))


def legacy_shape(array: np.ndarray) -> bytes:
    """num, channels, height, width: ones are put before a shorter shape."""
    four = (1,) * (4 - array.ndim) + array.shape
    return b"".join(integer(number, size) for number, size in enumerate(four, 1))


def packed(array: np.ndarray) -> bytes:
    return message(5, array.astype("<f4").tobytes())


def unpacked(array: np.ndarray) -> bytes:
    """A key before every number, as writers before packed fields did."""
    return b"".join(key(5, FIXED32) + number.tobytes() for number in array.astype("<f4").ravel())


def double(array: np.ndarray) -> bytes:
    return message(8, array.astype("<f8").tobytes())


def modern_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    return message(100, text(1, name) + text(2, kind) + b"".join(message(7, blob) for blob in blobs))


def v1_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    return message(2, text(4, name) + integer(5, V1_TYPES[kind]) + b"".join(message(6, blob) for blob in blobs))


def v0_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    inner = text(1, name) + message(2, V0_TYPES[kind]) + b"".join(message(50, blob) for blob in blobs)
    return message(2, message(1, inner))


def foreign_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    """A modern layer as a fork writes it, with fields that caffe.proto does not have, in the layer and its blobs."""
    unknown = integer(2001, 300) + message(2002, text(1, "of a fork")) + key(2003, FIXED32) + b"\0\0\x80\x3f"
    fields = b"".join(message(7, blob + unknown) for blob in blobs)
    return message(100, unknown + text(1, name) + text(2, kind) + fields)


def text(number: int, value: str) -> bytes:
    return message(number, value.encode())


# encoding: (the layer's message, the blob's shape, the blob's numbers)
ENCODINGS = {
    "packed": (modern_layer, shape, packed),
    "unpacked": (modern_layer, shape, unpacked),
    "legacy_shape": (modern_layer, legacy_shape, packed),
    "double": (modern_layer, shape, double),
    "foreign": (foreign_layer, shape, packed),
    "reversed": (modern_layer, shape, packed),
    "v1": (v1_layer, legacy_shape, packed),
    "v0": (v0_layer, legacy_shape, unpacked),
}


def caffemodel(name: str, layers: dict[str, tuple[str, list[np.ndarray]]], encoding: str = "packed") -> bytes:
    """A NetParameter with the weights of `layers`: name -> (type, blobs)."""
    write_layer, write_shape, write_data = ENCODINGS[encoding]
    out = text(1, name)
    if encoding == "reversed":
        # layers in another order, and one that the network does not have: Caffe goes by the names
        layers = dict(reversed([*layers.items(), ("loss", ("InnerProduct", [np.ones((2, 3), np.float32)]))]))
    for title, (kind, arrays) in layers.items():
        out += write_layer(title, kind, [write_shape(array) + write_data(array) for array in arrays])
    return out
