"""Constants and types of MIL programs as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from netglot.coreml_import import proto
from netglot.errors import ConversionError, Origin
from netglot.frontends.coreml.package import Blobs

# MIL's DataType -> NumPy's.
DTYPES = {
    "BOOL": "bool", "FLOAT16": "float16", "FLOAT32": "float32", "FLOAT64": "float64", "INT8": "int8", "INT16": "int16",
    "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
}  # fmt: skip
# Of fewer than 8 bits: NumPy's type, a byte each, and how many bits are stored.
PACKED = {
    "INT4": (np.dtype(ml_dtypes.int4), 4), "UINT4": (np.dtype(ml_dtypes.uint4), 4), "UINT1": (np.dtype(np.uint8), 1),
    "UINT2": (np.dtype(np.uint8), 2), "UINT3": (np.dtype(np.uint8), 3), "UINT6": (np.dtype(np.uint8), 6),
}  # fmt: skip
_NUMBERS = ("floats", "ints", "bools", "longInts", "doubles")  # fields of MIL's TensorValue
MAX_ELEMENTS = 2**40  # a shape with more is no claim to take seriously


def tensor_type(value_type: Any, where: Origin) -> tuple[np.dtype, tuple[int | None, ...]]:
    """Element type and shape (None: unknown) of a MIL ValueType."""
    tensor, name = value_type.tensorType, _type_name(value_type)
    kind = value_type.WhichOneof("type")
    if kind != "tensorType" or (name not in DTYPES and name not in PACKED):
        raise ConversionError(f"a value is of the type {kind} {name}, not a known tensor", where)
    shape = tuple(_size(dimension) for dimension in tensor.dimensions)
    if int(np.prod([n or 1 for n in shape], dtype=object)) > MAX_ELEMENTS:
        raise ConversionError(f"a tensor of {shape} is beyond all sizes", where)
    return PACKED[name][0] if name in PACKED else np.dtype(DTYPES[name]), shape


def _type_name(value_type: Any) -> str:
    known, kind = proto("MIL_pb2").DataType, value_type.tensorType.dataType
    return str(known.Name(kind)) if kind in known.values() else str(kind)


def _size(dimension: Any) -> int | None:
    return int(dimension.constant.size) if dimension.WhichOneof("dimension") == "constant" else None


def constant(value: Any, blobs: Blobs, where: Origin) -> Any:
    """The array, string, or list that a MIL Value holds; big arrays stay in their file."""
    kind = value.type.WhichOneof("type")
    if kind == "listType":
        return [constant(item, blobs, where) for item in value.immediateValue.list.values]
    if kind == "tupleType":
        return [constant(item, blobs, where) for item in value.immediateValue.tuple.values]
    if kind == "tensorType" and value.type.tensorType.dataType == proto("MIL_pb2").DataType.Value("STRING"):
        strings = list(value.immediateValue.tensor.strings.values)
        return strings if value.type.tensorType.dimensions else "".join(strings)
    dtype, shape = tensor_type(value.type, where)
    if None in shape:
        raise ConversionError(f"a constant has the unknown shape {shape}", where)
    sizes = tuple(int(n) for n in shape if n is not None)
    bits = PACKED.get(_type_name(value.type), (dtype, 0))[1]
    if value.WhichOneof("value") == "blobFileValue":
        blob = value.blobFileValue
        if not bits:
            return blobs.array(blob.fileName, blob.offset, dtype, sizes, where)
        data = blobs.array(blob.fileName, blob.offset, np.dtype(np.uint8), (_bytes(sizes, bits),), where)
        return unpacked(data, bits, sizes, dtype)
    if bits:
        data = np.frombuffer(value.immediateValue.tensor.bytes.values, np.uint8)
        if data.size != _bytes(sizes, bits):
            raise ConversionError(f"a constant of shape {sizes} holds {data.size} bytes of {bits}-bit numbers", where)
        return unpacked(data, bits, sizes, dtype)
    return _immediate(value.immediateValue.tensor, dtype, sizes, where)


def _bytes(shape: tuple[int, ...], bits: int) -> int:
    return -(-int(np.prod(shape, dtype=object)) * bits // 8)


def unpacked(data: np.ndarray, bits: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The numbers of `bits` bits that `data` (bytes) holds one after the other, from the least significant bit on."""
    count = int(np.prod(shape, dtype=object))
    groups = np.pad(data, (0, -data.size % bits)).reshape(-1, bits)  # eight numbers each
    words = np.pad(groups, ((0, 0), (0, 8 - bits))).view("<u8").reshape(-1)
    found = np.stack([words >> np.uint64(bits * i) & np.uint64((1 << bits) - 1) for i in range(8)], 1)
    numbers = found.astype(np.uint8).reshape(-1)[:count].reshape(shape)
    if dtype != np.dtype(ml_dtypes.int4):
        return numbers.astype(dtype)
    return ((numbers ^ 8).astype(np.int8) - np.int8(8)).astype(dtype)


def _immediate(tensor: Any, dtype: np.dtype, shape: tuple[int, ...], where: Origin) -> np.ndarray:
    field = tensor.WhichOneof("value")
    if field == "bytes" and len(tensor.bytes.values) % dtype.itemsize == 0:
        data = np.frombuffer(tensor.bytes.values, dtype)
    elif field in _NUMBERS:
        data = _array(getattr(tensor, field).values, dtype, where)
    else:
        data = np.zeros(0, dtype)
    if data.size != int(np.prod(shape, dtype=object)):
        raise ConversionError(f"a constant of shape {shape} holds {data.size} elements", where)
    return data.reshape(shape)


def _array(values: Any, dtype: np.dtype, where: Origin) -> np.ndarray:
    try:
        return np.array(values, dtype)
    except (OverflowError, ValueError) as error:
        raise ConversionError(f"a constant does not fit its type: {error}", where) from None


def _numbers(value: Any) -> np.ndarray:
    if isinstance(value, str | list):
        raise ValueError(f"expected numbers, found {value!r}")
    return np.asarray(value)


def _whole(value: Any) -> tuple[int, ...]:
    return tuple(int(item) for item in _numbers(value).reshape(-1))


# How a constant becomes an argument, by the annotation of the parameter.
CONVERT: dict[Any, Callable[[Any], Any]] = {
    int: lambda value: int(_numbers(value).item()),
    float: lambda value: float(_numbers(value).item()),
    bool: lambda value: bool(_numbers(value).item()),
    str: str,
    tuple[int, ...]: _whole,
    np.ndarray: _numbers,
    Any: lambda value: value,
}
