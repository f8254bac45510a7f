"""Checkpoints of TensorFlow: the index (an SSTable) and the shards, memory-mapped. No value is copied or read early.

The messages are those of tensor_bundle.proto and, for the single-file format of TensorFlow before 1.0,
saved_tensor_slice.proto.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.paths import inside
from netglot.frontends.tensorflow import sstable
from netglot.frontends.tensorflow.objects import TrackedObjects, tracked_objects
from netglot.frontends.tensorflow.proto import Message
from netglot.frontends.tensorflow.tensors import (
    STRING,
    element_type,
    from_bytes,
    listed_values,
    packed_strings,
    static_shape,
    text_array,
    type_name,
)
from netglot.frontends.wire import map_file
from netglot.ir.types import text

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
MAX_SHARDS = 99_999  # a shard's number has five digits

_FILE = re.compile(r"(?P<prefix>.+?)(\.index|\.meta|\.data-\d{5}-of-\d{5})?")

Slice = tuple[tuple[int, int | None], ...]  # start and length along each axis; None is all
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index says of one tensor: its type, its shape, and the bytes of a shard or the slices that it is of."""

    dtype: np.dtype
    shape: tuple[int, ...]
    shard: int = 0
    offset: int = 0
    size: int = 0
    slices: tuple[Slice, ...] = ()


def prefix_of(path: Path) -> Path:
    """The name that the files of a checkpoint have in common, of that name or of any of the files."""
    match = _FILE.fullmatch(path.name)
    return path.with_name(match["prefix"]) if match else path


def exists(prefix: Path) -> bool:
    return prefix.with_name(prefix.name + ".index").is_file() or prefix.is_file()


class Checkpoint:
    """The tensors of a checkpoint by key. ConversionError, with the file, where it is broken."""

    def __init__(self, path: Path) -> None:
        self.prefix = prefix_of(path)
        index = self.prefix.with_name(self.prefix.name + ".index")
        self.file = index if index.is_file() or not self.prefix.is_file() else self.prefix
        self._shards: dict[int, memoryview] = {}
        self._checked("the index", self._open)

    def _open(self) -> None:
        self._table = sstable.table(map_file(self.file))
        header = Message(self._table.pop(b"", memoryview(b"")))
        self.shards = 0 if self.file == self.prefix else header.number(1)
        if self.file == self.prefix:
            self._entries = _old_entries(header)
            return
        if not 0 < self.shards <= MAX_SHARDS:
            raise ValueError(f"it claims {self.shards:,} shards")
        if header.number(2):
            raise ValueError("it was written on a big-endian machine")
        self._entries = {str(key, "utf-8", "replace"): value for key, value in self._table.items() if key[:1] != b"\0"}

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        return list(self._entries)

    def entry(self, key: str) -> Entry:
        """The type and shape of a tensor. ConversionError if there is no such key."""
        if key not in self._entries:
            raise ConversionError(f"the checkpoint holds no '{key:.200}'", Origin(str(self.file)))
        found = self._entries[key]
        return found if isinstance(found, Entry) else self._checked(f"'{key:.200}'", lambda: _entry(found))

    def array(self, key: str) -> np.ndarray:
        """A tensor: a view of its shard, but for one that was saved in slices and for text (str; else bytes)."""
        entry = self.entry(key)
        return self._checked(f"'{key:.200}'", lambda: self._array(key, entry))

    def objects(self) -> TrackedObjects | None:
        """The objects that were saved, if it was objects (tf.train.Checkpoint) and not a list of variables."""
        if OBJECT_GRAPH not in self:
            return None
        entry = self.entry(OBJECT_GRAPH)
        return self._checked("the object graph", lambda: tracked_objects(self._strings(entry)[0]))

    def _checked(self, what: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except (ValueError, OverflowError, IndexError) as error:
            raise ConversionError(f"{what} of the checkpoint can't be read: {error}", Origin(str(self.file))) from None

    def _array(self, key: str, entry: Entry) -> np.ndarray:
        if entry.slices:
            return self._assembled(key, entry)
        if entry.dtype == STRING:
            return text_array(self._strings(entry)).reshape(entry.shape)
        return from_bytes(self._bytes(entry), entry.dtype, entry.shape)

    def _bytes(self, entry: Entry) -> memoryview:
        shard = self._shard(entry.shard)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > len(shard):
            claim = f"bytes {entry.offset:,} to {entry.offset + entry.size:,}"
            raise ValueError(f"it claims {claim} of a shard of {len(shard):,}")
        return shard[entry.offset : entry.offset + entry.size]

    def _strings(self, entry: Entry) -> list[memoryview]:
        """The elements of a text tensor: lengths, a checksum of them, then the texts."""
        if entry.dtype != STRING:
            raise ValueError(f"it is {type_name(entry.dtype)} where text was expected")
        return packed_strings(self._bytes(entry), prod(entry.shape), gap=4)

    def _shard(self, number: int) -> memoryview:
        if number not in self._shards:
            if not 0 <= number < self.shards:
                raise ValueError(f"it is in shard {number}, where there are {self.shards}")
            name = f"{self.prefix.name}.data-{number:05d}-of-{self.shards:05d}"
            path = inside(self.prefix.parent, name)
            if path is None:
                raise ValueError(f"its shard '{name}' is not there")
            self._shards[number] = map_file(path) if path.stat().st_size else memoryview(b"")
        return self._shards[number]

    def _assembled(self, key: str, entry: Entry) -> np.ndarray:
        """A tensor that was saved in slices. Nothing is allocated before every slice is known to be there."""
        parts = [(_place(one, entry.shape), self._slice(key, entry, one)) for one in entry.slices]
        if len(parts) == 1 and parts[0][1].shape == entry.shape:
            return parts[0][1]
        if sum(part.size for _, part in parts) != prod(entry.shape):
            raise ValueError(f"its slices don't make up {text(entry.shape)}")
        if prod(entry.shape) * entry.dtype.itemsize > sum(map(len, self._sources())):
            raise ValueError("its slices share their bytes")
        result, seen = np.empty(entry.shape, entry.dtype), np.zeros(entry.shape, np.bool_)
        for place, part in parts:
            result[place], seen[place] = part, True
        if not seen.all():
            raise ValueError("its slices overlap")
        return result

    def _sources(self) -> list[memoryview]:
        return list(self._shards.values()) or list(self._table.values())

    def _slice(self, key: str, entry: Entry, one: Slice) -> np.ndarray:
        shape = tuple(place.stop - place.start for place in _place(one, entry.shape))
        stored = self._table.get(slice_key(key, one))
        if stored is None:
            raise ValueError(f"a slice of it is not there ({one})")
        if self.file == self.prefix:
            return _old_slice(stored, entry.dtype, shape)
        found = _entry(stored)
        if (found.dtype, found.shape) != (entry.dtype, shape) or found.slices:
            raise ValueError(f"a slice of {text(shape)} is stored as {text(found.shape)} of {type_name(found.dtype)}")
        return self._array(key, found)


def _entry(view: memoryview) -> Entry:
    """A BundleEntryProto."""
    message = Message(view)
    dtype = element_type(message.number(1))
    if not isinstance(dtype, np.dtype):
        raise ValueError(f"its elements are {type_name(dtype)}")
    slices = tuple(_extents(item) for item in message.messages(7))
    shape = static_shape(message.view(2))
    return Entry(dtype, shape, message.number(3), message.number(4), message.number(5), slices)


def _extents(message: Message) -> Slice:
    """A TensorSliceProto; an extent without a length is the whole axis."""
    return tuple((axis.number(1), axis.number(2) if 2 in axis else None) for axis in message.messages(1))


def _place(one: Slice, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a slice lies in its tensor. ValueError where it leaves it."""
    if len(one) != len(shape):
        raise ValueError(f"a slice of {len(one)} axes of a tensor of {len(shape)}")
    places = tuple(
        slice(start, size if length is None else start + length)
        for (start, length), size in zip(one, shape, strict=True)
    )
    if any(not 0 <= place.start <= place.stop <= size for place, size in zip(places, shape, strict=True)):
        raise ValueError(f"a slice leaves its tensor of {text(shape)}")
    return places


def slice_key(name: str, one: Slice) -> bytes:
    """The key under which a slice is stored (tensorflow/core/util/saved_tensor_slice_util and ordered_code)."""
    escaped = name.encode().replace(b"\0", b"\0\xff")
    rank = bytes([1, len(one)]) if one else b"\0"
    numbers = (number for start, length in one for number in (start, -1 if length is None else length))
    return b"\0" + escaped + b"\0\1" + rank + b"".join(map(_ordered, numbers))


def _ordered(number: int) -> bytes:
    """A signed number so that the order of the bytes is that of the numbers: its length in ones, then its bits."""
    size = (~number if number < 0 else number).bit_length() // 7 + 1
    return (number % (1 << 8 * size) ^ ((1 << size) - 1) << 7 * size).to_bytes(size, "big")


# ------------------------------------------------------- the format before 1.0


def _old_entries(header: Message) -> Mapping[str, Any]:
    """The tensors that a SavedTensorSliceMeta lists."""
    found = {message.text(1): _old_entry(message) for message in header.message(1).messages(1)}
    if not found:
        raise ValueError("it lists no tensors")
    return found


def _old_entry(message: Message) -> Entry:
    dtype = element_type(message.number(3))
    if not isinstance(dtype, np.dtype):
        raise ValueError(f"'{message.text(1)}' is {type_name(dtype)}")
    slices = tuple(_extents(item) for item in message.messages(4))
    return Entry(dtype, static_shape(message.view(2)), slices=slices)


def _old_slice(view: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The data of a SavedSlice, a TensorProto that says neither its type nor its shape."""
    values = listed_values(Message(view).message(2).view(3), dtype)
    if values.size != prod(shape):
        raise ValueError(f"a slice of {text(shape)} has {values.size:,} elements")
    return values.reshape(shape)
