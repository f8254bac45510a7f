"""The zip archives that torch writes, read without torch: what is in them, and their tensors where they lie.

torch.export.save stores its program as JSON and every weight as raw bytes, uncompressed, so that a weight is a view of
the file. torch.export.load would unpickle what is beside them (the sample inputs); here no pickle is ever opened but
by torch's weights-only loader, and that only where a weight itself was pickled.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.pytorch.arguments import scalar_type
from netglot.frontends.wire import map_file

LARGEST_JSON = 1 << 30
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class Archive:
    """An open zip file. `names`: its entries, without the folder that torch puts all of them in."""

    def __init__(self, path: Path) -> None:
        self.path, self.origin = path, Origin(str(path))
        self.view = map_file(path)
        try:
            with zipfile.ZipFile(path) as file:
                entries = file.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ConversionError(f"not a zip archive: {error}", self.origin) from None
        self.entries = {_inner(entry.filename): entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def under(self, folder: str, suffix: str = "") -> list[str]:
        return sorted(name for name in self.entries if name.startswith(folder) and name.endswith(suffix))

    def bytes(self, name: str, largest: int = LARGEST_JSON) -> bytes:
        """A whole entry, decompressed where it must be."""
        entry = self._entry(name)
        if entry.file_size > largest:
            raise ConversionError(f"'{name}' claims {entry.file_size} bytes", self.origin)
        if entry.compress_type == zipfile.ZIP_STORED:
            return bytes(self.stored(name))
        try:
            with zipfile.ZipFile(self.path) as file, file.open(entry) as stream:
                return stream.read(largest + 1)[: entry.file_size]
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise ConversionError(f"'{name}' in it can't be read: {error}", self.origin) from None

    def stored(self, name: str) -> memoryview:
        """An uncompressed entry as a view of the file."""
        entry = self._entry(name)
        start = entry.header_offset
        header = bytes(self.view[start : start + _LOCAL_HEADER.size])
        if entry.compress_type != zipfile.ZIP_STORED or len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
            raise ConversionError(f"'{name}' in it is not stored as it is", self.origin)
        *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        start += _LOCAL_HEADER.size + name_size + extra_size
        found = self.view[start : start + entry.file_size]
        if len(found) != entry.file_size:
            raise ConversionError(f"'{name}' is cut short", self.origin)
        return found

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.bytes(name))
        except (ValueError, RecursionError) as error:
            raise ConversionError(f"'{name}' in it is no JSON: {error}", self.origin) from None

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self.entries:
            raise ConversionError(f"'{name}' is missing from it", self.origin)
        return self.entries[name]


def _inner(name: str) -> str:
    """torch puts everything into one folder, named after the file; older archives have none."""
    head, _, rest = name.partition("/")
    return rest if rest and head not in ("data", "models", "extra", "code") else name


class Weights(Mapping[str, np.ndarray]):
    """The tensors of an archive by their names in the module, each made into an array when it is asked for."""

    def __init__(self, archive: Archive, model: str) -> None:
        self.archive = archive
        self._arrays: dict[str, np.ndarray] = {}
        self._entries: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for folder, kind in (("data/weights/", "weights"), ("data/constants/", "constants")):
            config = f"{folder}{model}_{kind}_config.json"
            if config in archive:
                self._add(folder, archive.json(config))
            elif f"{folder}{model}.pt" in archive:  # torch 2.7 and 2.8
                self._arrays |= saved(archive, f"{folder}{model}.pt")

    def _add(self, folder: str, config: Any) -> None:
        entries = config.get("config") if isinstance(config, dict) else None
        if not isinstance(entries, dict):
            raise ConversionError("the list of weights in it is no list", self.archive.origin)
        self._entries |= {str(name): (folder, entry) for name, entry in entries.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            folder, entry = self._entries[name]
            self._arrays[name] = self._read(name, folder, entry)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._arrays, *self._entries]))

    def __len__(self) -> int:
        return len({*self._arrays, *self._entries})

    def _read(self, name: str, folder: str, entry: Mapping[str, Any]) -> np.ndarray:
        try:
            path = folder + str(entry["path_name"])
            if entry.get("use_pickle"):
                return pickled(self.archive.bytes(path, 1 << 40), name, self.archive.origin)
            return _strided(self.archive.stored(path), entry["tensor_meta"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConversionError(f"the weight '{name}' can't be read: {error}", self.archive.origin) from None


def _strided(data: memoryview, meta: Mapping[str, Any]) -> np.ndarray:
    offset = int(meta["storage_offset"]["as_int"])
    return strided(data, scalar_type(int(meta["dtype"])), _ints(meta["sizes"]), _ints(meta["strides"]), offset)


def strided(data: memoryview, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int], offset: int) -> np.ndarray:
    """A view of `data`; ValueError where the tensor would reach beyond it. `strides` and `offset` count elements."""
    if min([*shape, *strides, offset], default=0) < 0 or len(shape) != len(strides):
        raise ValueError("its sizes make no sense")
    if prod(shape) == 0:
        return np.empty(shape, dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if (last + 1) * dtype.itemsize > len(data):
        raise ValueError(f"it needs {(last + 1) * dtype.itemsize} bytes, the archive holds {len(data)}")
    flat = np.frombuffer(data, dtype, last + 1 - offset, offset * dtype.itemsize)
    steps = tuple(stride * dtype.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False)


def _ints(items: Any) -> list[int]:
    return [int(item["as_int"]) for item in items]


# ------------------------------------------------------------- by torch's own loader


def pickled(data: bytes, name: str, origin: Origin) -> np.ndarray:
    """A tensor that torch.save wrote, by torch's weights-only loader."""
    return array(_loaded(data, origin), name, origin)


def saved(archive: Archive, entry: str) -> dict[str, np.ndarray]:
    """The table of tensors that torch.save wrote as `entry`; ConversionError if it is none."""
    found = _loaded(archive.bytes(entry, 1 << 40), archive.origin)
    if not isinstance(found, dict):
        raise ConversionError(f"'{entry}' in it is no table of tensors", archive.origin)
    return {str(name): array(tensor, str(name), archive.origin) for name, tensor in found.items()}


def _loaded(data: bytes, origin: Origin) -> Any:
    try:
        import torch
    except ImportError:
        raise ConversionError("its weights were pickled; to read them, torch must be installed", origin) from None
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle.UnpicklingError, RuntimeError, EOFError...: whatever is in the file
        what = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ConversionError(f"torch's weights-only loader refuses it: {what}", origin) from None


def array(tensor: Any, name: str = "", origin: Origin = Origin()) -> np.ndarray:
    """A tensor of torch as an array over the same memory."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.is_sparse or tensor.is_quantized or tensor.is_mkldnn:
        raise ConversionError(f"'{name}' is no plain tensor", origin)
    if tensor.device.type == "meta":
        raise ConversionError(f"'{name}' has no data (it is on torch's meta device)", origin)
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    dtype = _numpy_dtype(tensor.dtype)
    if dtype.isbuiltin == 2:  # NumPy itself does not have bfloat16 and the 8-bit floats
        bits: np.ndarray = tensor.view({1: torch.uint8, 2: torch.int16}[dtype.itemsize]).numpy().view(dtype)
        return bits
    return np.asarray(tensor.numpy())


def _numpy_dtype(dtype: Any) -> np.dtype:
    import ml_dtypes

    name = str(dtype).removeprefix("torch.")
    return np.dtype(getattr(ml_dtypes, name)) if name.startswith(("bfloat16", "float8")) else np.dtype(name)
