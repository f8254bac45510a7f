"""The protobuf wire format over a memory-mapped file, without copying (specification: protobuf.dev, "Encoding").

The protobuf library copies every `bytes` field at least twice and allocates before it checks. Here a field's value is a
view of the file, so a weight blob becomes a NumPy array that still lies on the disk, and every length is checked
against what is left before anything is touched. See docs/decisions/0002-wire-reader.md.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
_FIXED = {FIXED64: 8, FIXED32: 4}
_OF_SIZE = {size: wire for wire, size in _FIXED.items()}


_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def map_file(path: Path) -> memoryview:
    """The file as a read-only view, mapped and not read."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            _maps.add(mapped)
            return memoryview(mapped)
    except (OSError, ValueError) as error:  # mmap says ValueError of an empty file
        raise ConversionError(f"can't read it: {error}", Origin(str(path))) from None


def release_pages() -> None:
    """Lets the system take back what it holds of mapped files in memory. What is read again is mapped again."""
    for mapped in _maps:
        if hasattr(mapped, "madvise"):  # not on Windows
            mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it stands in the file: an int for a varint, otherwise a view of the bytes.

    A run of unpacked fixed-size elements under one number comes as one field whose `stride` is the distance between
    its elements (tag included). The bytes of a group (an old form of a nested message) include its end tag.
    """

    number: int
    wire: int
    value: int | memoryview
    stride: int = 0

    @property
    def bytes(self) -> memoryview:
        if not isinstance(self.value, memoryview):
            raise ValueError(f"field {self.number} holds a number where bytes were expected")
        return self.value

    @property
    def varint(self) -> int:
        if not isinstance(self.value, int):
            raise ValueError(f"field {self.number} holds bytes where a number was expected")
        return self.value

    @property
    def text(self) -> str:
        return str(self.bytes, "utf-8", "replace")

    def array(self, dtype: str) -> np.ndarray:
        """The elements of a packed field, or of an unpacked run, as a view of the file (unpacked: strided)."""
        size = np.dtype(dtype).itemsize
        if self.wire not in (BYTES, _OF_SIZE.get(size)):
            raise ValueError(f"field {self.number} does not hold elements of {size} bytes")
        if not self.stride:
            if len(self.bytes) % size:
                raise ValueError(f"field {self.number} has {len(self.bytes)} bytes, no multiple of {size}")
            return np.frombuffer(self.bytes, dtype)
        count = (len(self.bytes) + self.stride - size) // self.stride
        return np.ndarray((count,), dtype, self.bytes, strides=(self.stride,))

    def ints(self) -> list[int]:
        """The elements of a `repeated int` field, packed or not."""
        return [self.value] if isinstance(self.value, int) else list(_varints(self.value))


def fields(view: memoryview) -> Iterator[Field]:
    """The fields of one message, in order. ValueError says where the bytes are not a message."""
    at = 0
    while at < len(view):
        field, at = _field(view, at)
        yield field


def _field(view: memoryview, start: int) -> tuple[Field, int]:
    """The field that begins at `start`, and where it ends."""
    number, wire, at = _tag(view, start)
    if wire == VARINT:
        value, end = varint(view, at)
        return Field(number, wire, value), end
    if wire == BYTES:
        size, at = varint(view, at)
        return Field(number, wire, _take(view, at, size)), at + size
    if wire in _FIXED:
        size = _FIXED[wire]
        _take(view, at, size)
        end = _run_end(view, start, at - start, size)
        return Field(number, wire, view[at:end], size + at - start), end
    if wire == START_GROUP:
        end = _group_end(view, at)
        return Field(number, wire, view[at:end]), end
    raise ValueError(f"byte {start} starts no protobuf field (wire type {wire})")


def _tag(view: memoryview, at: int) -> tuple[int, int, int]:
    """(field number, wire type, where the value begins)."""
    tag, end = varint(view, at)
    if not 0 < tag >> 3 < 1 << 29:
        raise ValueError(f"byte {at} starts no protobuf field (number {tag >> 3})")
    return tag >> 3, tag & 7, end


def _group_end(view: memoryview, at: int) -> int:
    """Where the group whose content begins at `at` ends. Groups nest; this does not recurse."""
    depth = 1
    while at < len(view):
        start = at
        _, wire, at = _tag(view, at)
        if wire == VARINT:
            _, at = varint(view, at)
        elif wire == BYTES:
            size, at = varint(view, at)
            at += len(_take(view, at, size))
        elif wire in _FIXED:
            at += len(_take(view, at, _FIXED[wire]))
        elif wire in (START_GROUP, END_GROUP):
            depth += 1 if wire == START_GROUP else -1
        else:
            raise ValueError(f"byte {start} starts no protobuf field (wire type {wire})")
        if not depth:
            return at
    raise ValueError("the bytes end inside of a group (truncated file?)")


def _take(view: memoryview, at: int, size: int) -> memoryview:
    if size > len(view) - at:
        raise ValueError(f"a field claims {size:,} bytes where only {len(view) - at:,} are left (truncated file?)")
    return view[at : at + size]


def varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, of at most 64 bits, and where it ends."""
    result = shift = 0
    while at < len(view) and shift < 64:
        byte = view[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise ValueError("the bytes end in the middle of a number (truncated file?)")


def _varints(view: memoryview) -> Iterator[int]:
    at = 0
    while at < len(view):
        value, at = varint(view, at)
        yield value


def _run_end(view: memoryview, start: int, tag_size: int, size: int) -> int:
    """Where the run of equal tags that begins at `start` ends; grows by doubling, so a run costs linear time."""
    stride = tag_size + size
    tag = bytes(view[start : start + tag_size])
    count, step = 1, 1
    while True:
        chunk = view[start + count * stride : start + (count + step) * stride]
        rows = np.frombuffer(chunk, np.uint8)[: len(chunk) // stride * stride].reshape(-1, stride)
        same = (rows[:, :tag_size] == np.frombuffer(tag, np.uint8)).all(axis=1)
        equal = len(same) if same.all() else int(same.argmin())
        count += equal
        if equal < step:
            return start + count * stride
        step *= 2
