"""Files of a Core ML model: the package folder, the model message, and the weights file of an ML Program.

Everything in them is somebody else's claim: paths must stay inside the package, and offsets and sizes inside the file.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from netglot.coreml_import import proto
from netglot.errors import ConversionError, Origin
from netglot.frontends.paths import inside

_RECORD = struct.Struct("<IIQQ")  # blob_metadata of MIL's blob storage, version 2: sentinel, type, bytes, offset
_SENTINEL = 0xDEADBEEF
_VERSION = 2


def read_model(path: Path) -> tuple[Any, Path]:
    """The Model message of a package or an .mlmodel file, and the folder that its weight files are relative to."""
    file = _root_model(path) if path.is_dir() else path
    model = proto("Model_pb2").Model()
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as error:  # DecodeError: its place differs between versions of protobuf
        raise ConversionError(f"not a Core ML model: {error}", Origin(str(file))) from None
    return model, file.parent


def _root_model(package: Path) -> Path:
    where = Origin(str(package / "Manifest.json"))
    try:
        manifest = json.loads((package / "Manifest.json").read_bytes())
        name = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConversionError(f"the package has no readable manifest: {error!r}", where) from None
    file = _inside(package / "Data", str(name), where)
    if file is None:
        raise ConversionError(f"the package's model '{name!s:.80}' is not there", where)
    return file


def _inside(folder: Path, name: str, where: Origin) -> Path | None:
    """The file `name` of `folder`, if there is one; ConversionError if the name leaves the folder."""
    try:
        return inside(folder, name)
    except ValueError as error:
        hint = "The file is broken or hostile."
        raise ConversionError(f"the path leaves the package: {error}", where, hint) from None


class Blobs:
    """The weight files of one model, memory-mapped."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, np.ndarray] = {}

    def array(self, name: str, offset: int, dtype: np.dtype, shape: tuple[int, ...], where: Origin) -> np.ndarray:
        """The tensor whose record is at `offset` of the file `name`, as a view of the file."""
        data = self._file(name, where)
        if offset % 64 or offset < 64 or offset + _RECORD.size > data.size:
            raise ConversionError(f"no weights can begin at byte {offset} of '{name}' ({data.size:,} bytes)", where)
        sentinel, _, size, start = _RECORD.unpack(data[offset : offset + _RECORD.size].tobytes())
        if sentinel != _SENTINEL:
            raise ConversionError(f"no weights begin at byte {offset} of '{name}'", where)
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size != needed or start % dtype.itemsize or start + size > data.size:
            claim = f"claim {size:,} bytes from {start:,} of {data.size:,}"
            raise ConversionError(f"the weights at byte {offset} of '{name}' need {needed:,} bytes and {claim}", where)
        return data[start : start + size].view(dtype).reshape(shape)

    def _file(self, name: str, where: Origin) -> np.ndarray:
        if name not in self._files:
            path = _inside(self.root, name.removeprefix("@model_path/"), where)
            if path is None or path.stat().st_size < 64:
                raise ConversionError(f"the weights file '{name:.80}' is missing or empty", where)
            data = np.memmap(path, np.uint8, "r")
            version = int(data[4:8].view("<u4")[0])
            if version != _VERSION:
                raise ConversionError(f"'{name}' is a weights file of version {version}, not {_VERSION}", where)
            self._files[name] = data
        return self._files[name]
