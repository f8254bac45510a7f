"""Weights of a Caffe network: binary .caffemodel (every era) and .caffemodel.h5.

Field numbers are those of caffe.proto. Only what holds weights is read; the network itself comes from the prototxt.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.caffe.hdf5 import read_hdf5
from netglot.frontends.wire import Field, fields, map_file

Blobs = dict[int, np.ndarray]  # by index: HDF5 files leave out blobs that an earlier layer shares
Weights = dict[str, Blobs]  # by layer name

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

# Where a layer message keeps its name and blobs: NetParameter field -> (name, blobs, nested V0 layer).
_LAYER, _V1_LAYER = 100, 2
_NAME_AND_BLOBS = {_LAYER: (1, 7, None), _V1_LAYER: (4, 6, 1)}
_V0_NAME_AND_BLOBS = (1, 50, None)

# BlobProto
_LEGACY_DIMS = (1, 2, 3, 4)  # num, channels, height, width
_DATA, _SHAPE, _DOUBLE_DATA = 5, 7, 8


def read(path: Path) -> Weights:
    """The blobs of every layer, as read-only views of the mapped file."""
    is_hdf5 = map_file(path)[: len(HDF5_MAGIC)] == HDF5_MAGIC
    weights = dict(read_hdf5(path) if is_hdf5 else _read_binary(path))
    if not weights:
        raise ConversionError("no layer in this file", Origin(str(path)))
    return weights


def _read_binary(path: Path) -> Iterator[tuple[str, Blobs]]:
    try:
        for field in fields(map_file(path)):
            if field.number in _NAME_AND_BLOBS:
                yield from _read_layer(field, *_NAME_AND_BLOBS[field.number])
    except ValueError as error:
        raise ConversionError(f"not a whole .caffemodel: {error}", Origin(str(path))) from None


def _read_layer(
    layer: Field, name_number: int, blobs_number: int, v0_number: int | None
) -> Iterator[tuple[str, Blobs]]:
    name, blobs = "", []
    for field in fields(layer.bytes):
        if field.number == v0_number:
            yield from _read_layer(field, *_V0_NAME_AND_BLOBS)
        elif field.number == name_number:
            name = field.text
        elif field.number == blobs_number:
            blobs.append(field.bytes)
    if v0_number is None or name or blobs:
        yield name, {i: read_blob(blob, f"a blob of layer '{name}'") for i, blob in enumerate(blobs)}


def read_blob(view: memoryview, what: str) -> np.ndarray:
    """The float32 array of a BlobProto; ValueError if it is malformed."""
    legacy: dict[int, int] = {}
    shape: tuple[int, ...] = ()  # Caffe writes no shape for a scalar
    parts = []
    for field in fields(view):
        if field.number in _LEGACY_DIMS:
            legacy[field.number] = field.varint
        elif field.number == _SHAPE:
            shape = tuple(_dims(field))
        elif field.number in (_DATA, _DOUBLE_DATA):
            parts.append(field.array("<f4" if field.number == _DATA else "<f8"))
    data = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float32), *parts])
    shape = tuple(legacy.get(number, 0) for number in _LEGACY_DIMS) if legacy else shape
    if prod(shape) != data.size or len(shape) > 32:
        raise ValueError(f"{what} has shape {'x'.join(map(str, shape))[:80]} but {data.size:,} numbers")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, as in Caffe
        return data.reshape(shape).astype(np.float32, copy=False)


def _dims(shape: Field) -> Iterator[int]:
    for field in fields(shape.bytes):
        if field.number == 1:
            yield from field.ints()
