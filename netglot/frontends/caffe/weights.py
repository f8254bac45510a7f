"""Weights of a Caffe network: binary .caffemodel (every era) and .caffemodel.h5.

Field numbers are those of caffe.proto. Only what holds weights is read; the network itself comes from the prototxt.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.wire import Field, fields, map_file

Weights = dict[str, list[np.ndarray]]  # layer name -> its blobs, in order

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

# Where a layer message keeps its name and blobs: NetParameter field -> (name, blobs, nested V0 layer).
_LAYER, _V1_LAYER = 100, 2
_NAME_AND_BLOBS = {_LAYER: (1, 7, None), _V1_LAYER: (4, 6, 1)}
_V0_NAME_AND_BLOBS = (1, 50, None)

# BlobProto
_LEGACY_DIMS = {1: 0, 2: 1, 3: 2, 4: 3}  # num, channels, height, width
_DATA, _SHAPE, _DOUBLE_DATA = 5, 7, 8


def read(path: Path) -> Weights:
    """The blobs of every layer that has any, as read-only views of the mapped file."""
    with path.open("rb") as file:
        is_hdf5 = file.read(8) == HDF5_MAGIC
    return _read_hdf5(path) if is_hdf5 else _read_binary(path)


def _read_binary(path: Path) -> Weights:
    weights: Weights = {}
    try:
        for field in fields(map_file(path)):
            if field.number in _NAME_AND_BLOBS:
                _read_layer(field, _NAME_AND_BLOBS[field.number], weights)
    except ValueError as error:
        raise ConversionError(f"not a whole .caffemodel: {error}", Origin(str(path))) from None
    if not weights:
        raise ConversionError("no layer with weights in this file", Origin(str(path)))
    return weights


def _read_layer(layer: Field, numbers: tuple[int, int, int | None], weights: Weights) -> None:
    name_number, blobs_number, v0_number = numbers
    name, blobs = "", []
    for field in fields(layer.bytes):
        if field.number == v0_number:
            _read_layer(field, _V0_NAME_AND_BLOBS, weights)
        elif field.number == name_number:
            name = field.text
        elif field.number == blobs_number:
            blobs.append(field.bytes)
    if blobs:
        weights[name] = [_blob(blob, name) for blob in blobs]


def _blob(view: memoryview, layer: str) -> np.ndarray:
    legacy: list[int] = []
    shape: tuple[int, ...] | None = None
    parts = [np.empty(0, np.float32)]
    for field in fields(view):
        if field.number in _LEGACY_DIMS:
            legacy.append(field.int)
        elif field.number == _SHAPE:
            shape = tuple(_dims(field))
        elif field.number in (_DATA, _DOUBLE_DATA):
            parts.append(field.array("<f4" if field.number == _DATA else "<f8"))
    data = parts[-1] if len(parts) <= 2 else np.concatenate(parts)
    shape = shape if shape is not None else tuple(legacy)
    if prod(shape) != data.size:
        text = "x".join(map(str, shape))
        raise ValueError(f"a blob of layer '{layer}' has shape {text} but {data.size:,} numbers")
    return data.reshape(shape).astype(np.float32, copy=False)


def _dims(shape: Field) -> Iterator[int]:
    for field in fields(shape.bytes):
        if field.number == 1:
            yield from field.ints()


def _read_hdf5(path: Path) -> Weights:
    """Caffe's HDF5 snapshot: /data/<layer>/<index>."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {name: list(_hdf5_blobs(group)) for name, group in file["data"].items() if len(group)}
    except (OSError, KeyError, RuntimeError) as error:
        raise ConversionError(f"not a whole Caffe HDF5 file: {error}", Origin(str(path))) from None


def _hdf5_blobs(group: object) -> Iterator[np.ndarray]:
    import h5py

    assert isinstance(group, h5py.Group)
    for index in sorted(group, key=int):
        dataset = group[index]
        yield np.asarray(dataset[()], np.float32)
