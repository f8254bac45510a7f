"""ONNX files written by streaming: large constants go from their arrays (often a mapped file) straight to the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from onnx import numpy_helper

from netglot.ir import types
from netglot.ir.graph import Value
from netglot.ir.protobuf import key, varint

PROTOBUF_LIMIT = 2**31 - 1  # bytes: what protobuf libraries read as one message
LARGE = 1024  # bytes: constants above this are streamed
ALIGNMENT = 4096  # bytes: offsets in the data file can be mapped on any system (onnx.proto, external_data)
CHUNK = 2**20  # bytes copied at a time where an array is not contiguous

Named = Sequence[tuple[str, Value]]

# Field numbers of onnx.proto; all of them are length-delimited.
_BYTES = 2
_GRAPH_OF_MODEL, _INITIALIZER_OF_GRAPH, _RAW_DATA_OF_TENSOR = 7, 5, 9


def is_large(value: Value) -> bool:
    return value.array.nbytes > LARGE and value.array.dtype.kind != "O"


def size(value: Value) -> int:
    """Bytes that the constant takes in a file."""
    return -(-_bits(value.array.dtype) * value.array.size // 8)


def write_inline(model: onnx.ModelProto, large: Named, path: Path) -> None:
    """One file. The large constants become the last initializers of the graph."""
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = [_field(_INITIALIZER_OF_GRAPH, _tensor_head(name, value), size(value)) for name, value in large]
    total = len(graph) + sum(len(head) + size(value) for head, (_, value) in zip(heads, large, strict=True))
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        file.write(key(_GRAPH_OF_MODEL, _BYTES) + varint(total))
        file.write(graph)
        for head, (_, value) in zip(heads, large, strict=True):
            file.write(head)
            _write(file, value.array)


def write_external(model: onnx.ModelProto, large: Named, path: Path) -> None:
    """The model, and beside it one file of the large constants, which it refers to by name relative to itself."""
    location = path.name + ".data"
    with (path.parent / location).open("wb") as file:
        for name, value in large:
            file.seek(-file.tell() % ALIGNMENT, 1)
            place = {"location": location, "offset": file.tell(), "length": size(value)}
            model.graph.initializer.append(_external(name, value, place))
            _write(file, value.array)
    path.write_bytes(model.SerializeToString())


def given_in_memory(value: Value, name: str) -> onnx.TensorProto:
    """An initializer whose data the runtime is handed by name."""
    return _external(name, value, {"location": "given-in-memory"})


def _external(name: str, value: Value, place: dict[str, object]) -> onnx.TensorProto:
    tensor = _header(name, value)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for name_of_entry, item in place.items():
        tensor.external_data.add(key=name_of_entry, value=str(item))
    return tensor


def _header(name: str, value: Value) -> onnx.TensorProto:
    return onnx.TensorProto(name=name, dims=value.array.shape, data_type=types.to_onnx(value.array.dtype))


def _tensor_head(name: str, value: Value) -> bytes:
    return bytes(_header(name, value).SerializeToString()) + key(_RAW_DATA_OF_TENSOR, _BYTES) + varint(size(value))


def _field(number: int, head: bytes, rest: int) -> bytes:
    """A field's key and length and the beginning of its content, of which `rest` bytes are still to come."""
    return key(number, _BYTES) + varint(len(head) + rest) + head


@cache
def _bits(dtype: np.dtype) -> int:
    """Bits of one element in a file (eight elements are so many bytes); NumPy gives an int4 a whole byte."""
    return len(numpy_helper.from_array(np.zeros(8, dtype)).raw_data)


def _write(file: BinaryIO, array: np.ndarray) -> None:
    if _bits(array.dtype) < 8:
        file.write(numpy_helper.from_array(np.ascontiguousarray(array)).raw_data)
        return
    for piece in _contiguous_pieces(array):
        file.write(_little_endian(piece).reshape(-1).view(np.uint8).data)


def _little_endian(array: np.ndarray) -> np.ndarray:
    """The array itself on nearly every machine. (Types of ml_dtypes know no byte order.)"""
    return array.astype(array.dtype.newbyteorder("<"), copy=False) if array.dtype.isbuiltin != 2 else array


def _contiguous_pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array in order: as it is, or copied row by row where it is not contiguous."""
    if array.flags.c_contiguous:
        yield array
        return
    rows = max(1, CHUNK // (array[:1].nbytes or 1))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows])
