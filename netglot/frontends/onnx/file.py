"""An ONNX file: the model without its large tensors, which stay where they lie on the disk.

The protobuf library copies every tensor at least twice. So the message is first cut on the wire: the data of each large
TensorProto is taken out as a view of the mapped file, and only what is left is parsed. Field numbers are onnx.proto's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from netglot.errors import ConversionError, Origin
from netglot.frontends.paths import inside
from netglot.frontends.wire import BYTES, VARINT, Field, fields, map_file
from netglot.ir import types
from netglot.ir.protobuf import key, varint

LARGE = 1024  # bytes: messages below this are parsed as they are
DEPTH = 100  # nested messages, protobuf's own limit

_TENSOR = "TensorProto"
_NESTED: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR},
    "FunctionProto": {7: "NodeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {5: _TENSOR, 6: "GraphProto", 11: "GraphProto"},
}
_TENSOR_DATA = {4: "<f4", 9: "u1", 10: "<f8"}  # float_data, raw_data, double_data
_SEGMENT, _BEGIN = 3, 1  # `segment` was never used; here it holds the number of the data cut out


@dataclass
class OnnxFile:
    """The parsed model, with what it takes to find the data of its tensors."""

    path: Path
    model: onnx.ModelProto
    cut: list[np.ndarray]
    _maps: dict[Path, np.ndarray] = field(default_factory=dict)

    def array(self, tensor: onnx.TensorProto, where: Origin) -> np.ndarray:
        """The data of a tensor; a view of the file where that is possible. ConversionError where they don't fit."""
        try:
            return self._array(tensor)
        except (ValueError, TypeError, OverflowError, KeyError, NotImplementedError) as error:
            raise ConversionError(f"the tensor '{tensor.name}' can't be read: {error}", where) from None

    def _array(self, tensor: onnx.TensorProto) -> np.ndarray:
        shape = tuple(tensor.dims)
        if any(dim < 0 for dim in shape):
            raise ValueError(f"its shape is {types.text(shape)}")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return _shaped(self._external(tensor), tensor.data_type, shape)
        if tensor.HasField("segment"):
            return _shaped(self._cut_out(tensor.segment.begin), tensor.data_type, shape)
        return np.asarray(numpy_helper.to_array(tensor))

    def _cut_out(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self.cut):
            raise ValueError("it is stored in segments, which no ONNX version defines")
        return self.cut[index]

    def _external(self, tensor: onnx.TensorProto) -> np.ndarray:
        """The tensor's bytes in its data file."""
        place = {entry.key: entry.value for entry in tensor.external_data}
        data = self._data_file(place.get("location", ""))
        offset = int(place.get("offset", 0))
        length = int(place.get("length", len(data) - offset))
        if offset < 0 or length < 0 or offset + length > len(data):
            raise ValueError(f"its data is bytes {offset:,} to {offset + length:,} of a file of {len(data):,}")
        return data[offset : offset + length]

    def _data_file(self, location: str) -> np.ndarray:
        """A data file, mapped once. It must lie in the model's folder."""
        path = inside(self.path.parent, location)
        if path is None:
            raise ValueError(f"its data file '{location:.80}' is not there; keep it beside the model")
        if path not in self._maps:
            self._maps[path] = np.frombuffer(map_file(path), np.uint8)
        return self._maps[path]


def read(path: Path) -> OnnxFile:
    """Maps and parses `path`. ConversionError if it is not a whole ONNX model."""
    cut: list[np.ndarray] = []
    try:
        slim = _slim(map_file(path), "ModelProto", cut, DEPTH)
        model = onnx.ModelProto.FromString(slim)
    except (ValueError, DecodeError) as error:
        raise ConversionError(f"not a whole ONNX model: {error}", Origin(str(path))) from None
    if not model.HasField("graph"):
        raise ConversionError("not an ONNX model: it holds no graph", Origin(str(path)))
    return OnnxFile(path, model, cut)


def _shaped(data: np.ndarray, code: int, shape: tuple[int, ...]) -> np.ndarray:
    """Raw bytes, or elements already, as the tensor they are. ValueError where there are too many or too few."""
    dtype = types.from_onnx(code)
    if dtype.kind == "O":
        raise ValueError("strings have no raw data")
    if dtype.isbuiltin == 2 and dtype.itemsize == 1:  # a type of ml_dtypes, perhaps several elements a byte
        return np.asarray(numpy_helper.to_array(onnx.TensorProto(data_type=code, dims=shape, raw_data=data.tobytes())))
    if dtype.kind == "c" and data.dtype != np.uint8:  # pairs of floats
        data = np.ascontiguousarray(data).view(dtype)
    if data.dtype != np.uint8 and data.dtype != dtype:
        raise ValueError(f"it holds {data.dtype} where {dtype} was announced")
    expected = prod(shape) * dtype.itemsize
    if data.nbytes != expected:
        raise ValueError(f"{types.text(shape)} of {dtype} is {expected:,} bytes, found {data.nbytes:,}")
    little = dtype.newbyteorder("<") if dtype.isbuiltin != 2 else dtype
    return (data.view(little) if data.dtype == np.uint8 else data).reshape(shape)


def _slim(view: memoryview, kind: str, cut: list[np.ndarray], depth: int) -> bytes:
    """The message without the data of its large tensors, which are appended to `cut`."""
    if not depth:
        raise ValueError(f"messages are nested more than {DEPTH} deep")
    out = bytearray()
    for item in fields(view):
        nested = _NESTED[kind].get(item.number)
        if nested is None or item.wire != BYTES or len(item.bytes) <= LARGE:
            out += _encoded(item)
        else:
            slim = _slim_tensor(item.bytes, cut) if nested is _TENSOR else _slim(item.bytes, nested, cut, depth - 1)
            out += _encoded(Field(item.number, BYTES, memoryview(slim)))
    return bytes(out)


def _slim_tensor(view: memoryview, cut: list[np.ndarray]) -> bytes:
    out = bytearray()
    parts: list[np.ndarray] = []
    for item in fields(view):
        if item.number in _TENSOR_DATA and item.wire != VARINT:
            parts.append(item.array(_TENSOR_DATA[item.number]))
        elif item.number != _SEGMENT:
            out += _encoded(item)
    if len({part.dtype for part in parts}) > 1:
        raise ValueError("a tensor holds its data twice")
    if parts:
        segment = _encoded(Field(_BEGIN, VARINT, len(cut)))
        out += _encoded(Field(_SEGMENT, BYTES, memoryview(segment)))
        cut.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
    return bytes(out)


def _encoded(item: Field) -> bytes:
    """A field as it stood in the file."""
    start = key(item.number, item.wire)
    if isinstance(item.value, int):
        return start + varint(item.value)
    return start + (varint(len(item.value)) if item.wire == BYTES else b"") + bytes(item.value)
