"""Element types, shapes and tensors of TensorFlow's messages (TensorProto, TensorShapeProto, DataType)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from netglot.frontends.tensorflow.proto import Message, text_or_bytes
from netglot.frontends.wire import VARINT, Field, varint
from netglot.ir.types import Shape, name_of, text

MAX_EXPANDED = 1 << 31  # bytes that a tensor given by fewer values than it has elements may come to
MAX_RANK = 254  # TensorFlow's own

STRING = np.dtype(object)


class Opaque(Enum):
    """Element types that are no numbers: a handle of a resource, any object."""

    RESOURCE = "resource"
    VARIANT = "variant"


ElementType = np.dtype | Opaque | None

_TYPES: Mapping[int, ElementType] = {
    0: None,
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    7: STRING,
    8: np.dtype(np.complex64),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    11: np.dtype(np.int8),  # this and the next two, 15 and 16: the quantised types
    12: np.dtype(np.uint8),
    13: np.dtype(np.int32),
    14: np.dtype(ml_dtypes.bfloat16),
    15: np.dtype(np.int16),
    16: np.dtype(np.uint16),
    17: np.dtype(np.uint16),
    18: np.dtype(np.complex128),
    19: np.dtype(np.float16),
    20: Opaque.RESOURCE,
    21: Opaque.VARIANT,
    22: np.dtype(np.uint32),
    23: np.dtype(np.uint64),
    24: np.dtype(ml_dtypes.float8_e5m2),
    25: np.dtype(ml_dtypes.float8_e4m3fn),
    26: np.dtype(ml_dtypes.float8_e4m3fnuz),
    27: np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    28: np.dtype(ml_dtypes.float8_e5m2fnuz),
    29: np.dtype(ml_dtypes.int4),
    30: np.dtype(ml_dtypes.uint4),
    31: np.dtype(ml_dtypes.int2),
    32: np.dtype(ml_dtypes.uint2),
    33: np.dtype(ml_dtypes.float4_e2m1fn),
}
_REF = 100  # the type of a reference to a TensorFlow 1 variable is its elements' plus this

# The fields of TensorProto that hold elements, and the types they may be elements of.
_FIXED_FIELDS: Mapping[int, str] = {5: "<f4", 6: "<f8", 9: "<c8", 12: "<c16"}
_FLOAT, _DOUBLE, _INT, _STRING, _COMPLEX64, _INT64, _BOOL, _COMPLEX128, _HALF, _UINT32, _UINT64, _FLOAT8 = (
    5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18
)  # fmt: skip
_FIELD: Mapping[int, int] = {
    1: _FLOAT, 2: _DOUBLE, 3: _INT, 4: _INT, 5: _INT, 6: _INT, 7: _STRING, 8: _COMPLEX64, 9: _INT64, 10: _BOOL,
    11: _INT, 12: _INT, 13: _INT, 14: _HALF, 15: _INT, 16: _INT, 17: _INT, 18: _COMPLEX128, 19: _HALF, 22: _UINT32,
    23: _UINT64, 24: _FLOAT8, 25: _FLOAT8, 26: _FLOAT8, 27: _FLOAT8, 28: _FLOAT8, 29: _INT, 30: _INT, 31: _INT,
    32: _INT, 33: _FLOAT8,
}  # fmt: skip


def element_type(code: int) -> ElementType:
    """The NumPy type of a DataType; None for DT_INVALID. A reference has its base's type. ValueError: no such type."""
    base = code - _REF if code > _REF else code
    if base not in _TYPES:
        raise ValueError(f"there is no element type {code}")
    return _TYPES[base]


def type_name(dtype: ElementType) -> str:
    return name_of(dtype) if isinstance(dtype, np.dtype) else dtype.value if dtype else "of no type"


def shape(view: memoryview) -> Shape | None:
    """The shape of a TensorShapeProto: None for an unknown size, and None instead of all for an unknown rank."""
    message = Message(view)
    if message.number(3):
        return None
    if len(message.all(2)) > MAX_RANK:
        raise ValueError(f"a shape has {len(message.all(2))} axes")
    return tuple(_size(dim.number(1)) for dim in message.messages(2))


def _size(size: int) -> int | None:
    if size < -1:
        raise ValueError(f"a shape has an axis of size {size}")
    return None if size == -1 else size


def static_shape(view: memoryview) -> tuple[int, ...]:
    """The shape of a tensor that exists. ValueError if any of it is unknown."""
    sizes = shape(view)
    if sizes is None or None in sizes:
        raise ValueError(f"a stored tensor has the shape {text(sizes)}")
    return tuple(int(size) for size in sizes if size is not None)


def tensor(view: memoryview) -> np.ndarray:
    """The array of a TensorProto, a view of the file where its bytes lie there as a whole.

    Fewer values than elements mean that the last one is repeated, none at all that they are zero. ValueError where the
    message contradicts itself.
    """
    message = Message(view)
    code = message.number(1)
    dtype = element_type(code)
    sizes = static_shape(message.view(2))
    if not isinstance(dtype, np.dtype):
        raise ValueError(f"a constant is {type_name(dtype)}")
    if 4 in message and len(message.view(4)):
        return from_bytes(message.view(4), dtype, sizes)
    return _expanded(_values(message.all(_FIELD[code % _REF]), _FIELD[code % _REF], dtype), sizes)


def from_bytes(view: memoryview, dtype: np.dtype, sizes: tuple[int, ...]) -> np.ndarray:
    """Raw little-endian elements as an array that is a view. ValueError where there are too many or too few."""
    if dtype == STRING:
        return text_array(packed_strings(view, prod(sizes))).reshape(sizes)
    expected = prod(sizes) * dtype.itemsize
    if len(view) != expected:
        raise ValueError(f"{text(sizes)} of {dtype} is {expected:,} bytes, found {len(view):,}")
    return np.frombuffer(view, little(dtype)).reshape(sizes)


def little(dtype: np.dtype) -> np.dtype:
    """The type as it is stored. (Types of ml_dtypes know no byte order.)"""
    return dtype if dtype.isbuiltin == 2 else dtype.newbyteorder("<")


def packed_strings(view: memoryview, count: int, gap: int = 0) -> list[memoryview]:
    """`count` strings that lie one after the other behind their `count` lengths and `gap` bytes."""
    lengths: list[int] = []
    at = 0
    while len(lengths) < count:
        length, at = varint(view, at)
        lengths.append(length)
    at += gap
    if sum(lengths) != len(view) - at:
        raise ValueError(f"{count} strings claim {sum(lengths):,} bytes, found {len(view) - at:,}")
    ends = np.cumsum([at, *lengths]).tolist()
    return [view[begin:end] for begin, end in pairwise(ends)]


def listed_values(view: memoryview, dtype: np.dtype) -> np.ndarray:
    """The elements that a TensorProto lists which is known to be of `dtype`."""
    number = next(_FIELD[code] for code, known in _TYPES.items() if isinstance(known, np.dtype) and known == dtype)
    return _values(Message(view).all(number), number, dtype)


def _values(found: list[Field], number: int, dtype: np.dtype) -> np.ndarray:
    """The elements that a TensorProto lists in its field `number`, as one flat array of `dtype`."""
    if number == _STRING:
        return text_array([item.bytes for item in found])
    if number == _FLOAT8:
        return _joined([np.frombuffer(item.bytes, np.uint8).view(dtype) for item in found], dtype)
    if number in _FIXED_FIELDS:
        return _joined(_fixed(found, number), dtype)
    stored = _joined([_varints(item) for item in found], np.dtype(np.uint64))
    if number == _HALF:
        return stored.astype(np.uint16).view(dtype)
    return stored.astype(np.int8).astype(dtype) if dtype.isbuiltin == 2 else stored.astype(dtype)


def _fixed(found: list[Field], number: int) -> list[np.ndarray]:
    """Runs of floats; two of them are one complex number."""
    dtype = np.dtype(_FIXED_FIELDS[number])
    if dtype.kind == "f":
        return [item.array(dtype.str) for item in found]
    parts = _joined([item.array(f"<f{dtype.itemsize // 2}") for item in found], np.dtype(f"<f{dtype.itemsize // 2}"))
    if parts.size % 2:
        raise ValueError("a complex number is cut in two")
    return [np.ascontiguousarray(parts).view(dtype)]


def _varints(item: Field) -> np.ndarray:
    """The varints of a field, packed or not, all decoded at once."""
    if item.wire == VARINT:
        return np.array([item.varint], np.uint64)
    data = np.frombuffer(item.bytes, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if data.size and (not ends.size or ends[-1] != data.size - 1):
        raise ValueError("the bytes end in the middle of a number (truncated file?)")
    starts = np.concatenate(([0], ends[:-1] + 1))[: ends.size]
    if ends.size and (ends - starts).max() > 9:
        raise ValueError("a number is longer than 64 bits")
    place = np.arange(data.size) - np.repeat(starts, ends - starts + 1)
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(bits, starts) if ends.size else np.empty(0, np.uint64)


def _joined(parts: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


def text_array(values: list[memoryview]) -> np.ndarray:
    """Text as the elements of an array: str, or bytes where it is no UTF-8."""
    result = np.empty(len(values), object)
    result[:] = [text_or_bytes(value) for value in values]
    return result


def _expanded(values: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The values with the last one repeated up to the number of elements. One value is stored once (stride 0)."""
    count = prod(sizes)
    if values.size == count:
        return values.reshape(sizes)
    if values.size > count:
        raise ValueError(f"{values.size} values are given for a tensor of the shape {text(sizes)}")
    if count * values.itemsize > MAX_EXPANDED:
        raise ValueError(f"a tensor of the shape {text(sizes)} is given by {values.size} values")
    if values.size <= 1:
        fill: Any = values[0] if values.size else "" if values.dtype == STRING else values.dtype.type(0)
        return np.broadcast_to(np.array(fill, values.dtype), sizes)
    return np.concatenate([values, np.repeat(values[-1:], count - values.size)]).reshape(sizes)
