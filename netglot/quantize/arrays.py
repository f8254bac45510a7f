"""Samples in .npy and .npz files and in arrays: the first axis counts them.

Files are somebody else's claim: nothing is unpickled, sizes are checked against the file before memory is taken, and an
.npz is read member by member, item by item.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.lib import format as npy

from netglot.errors import ConversionError, Origin
from netglot.ir import types

LABELS = "labels"
T = TypeVar("T")
ITEM_BYTES = 1 << 30  # of one item; more is taken for a mistake, or malice
SUFFIXES = (".npy", ".npz")


def open_file(path: Path, inputs: Sequence[str]) -> ArrayItems | ArchiveItems:
    """Items of an .npy (of the only input) or an .npz (arrays named as the inputs)."""
    if path.suffix.lower() not in SUFFIXES:
        hint = "Expected a folder of images, an image, an .npz or an .npy."
        raise ConversionError("it is not known how to read samples from it", Origin(str(path)), hint)
    try:
        return ArchiveItems(path, inputs) if path.suffix.lower() == ".npz" else _mapped(path, inputs)
    except (OSError, ValueError, OverflowError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        what = f"not an {path.suffix.lower()} file of arrays: {error}"
        raise ConversionError(what, Origin(str(path))) from None


def _mapped(path: Path, inputs: Sequence[str]) -> ArrayItems:
    """NumPy itself compares the size in the header with that of the file before it maps it."""
    return of_arrays(np.load(path, mmap_mode="r", allow_pickle=False), inputs, Origin(str(path)))


def of_arrays(
    given: np.ndarray | Mapping[str, np.ndarray], inputs: Sequence[str], origin: Origin = Origin()
) -> ArrayItems:  # fmt: skip
    """Items of arrays in memory or mapped."""
    if isinstance(given, Mapping):
        arrays = _named({name: np.asarray(array) for name, array in given.items()}, inputs)
    elif len(inputs) == 1:
        arrays = {inputs[0]: given}
    else:
        what = f"one array for the {len(inputs)} inputs {', '.join(inputs)}"
        raise ConversionError(what, origin, "Give an .npz, or a dict, with an array for each.")
    count, has_labels = _count({name: array.shape for name, array in arrays.items()}, inputs, origin)
    labels = _labels(arrays[LABELS], origin) if has_labels else None
    return ArrayItems({name: arrays[name] for name in inputs}, count, labels, origin)


def _named(given: Mapping[str, T], inputs: Sequence[str]) -> dict[str, T]:
    """The only array beside the labels is that of the only input, whatever it is called."""
    others = [name for name in given if name != LABELS]
    if len(inputs) != 1 or len(others) != 1 or inputs[0] in given:
        return dict(given)
    return {inputs[0] if name == others[0] else name: item for name, item in given.items()}


def _count(shapes: Mapping[str, Sequence[int]], inputs: Sequence[str], origin: Origin) -> tuple[int, bool]:
    """Number of items, the same for every input, and whether there are labels."""
    _require_all(shapes, inputs, origin)
    has_labels = LABELS in shapes and LABELS not in inputs
    counted = [*inputs, LABELS] if has_labels else inputs
    if any(not shapes[name] for name in counted) or len({shapes[name][0] for name in counted}) > 1:
        text = ", ".join(f"'{name}' {types.text(shapes[name])}" for name in counted)
        raise ConversionError(f"the first axes, which count the samples, differ: {text}", origin)
    return shapes[inputs[0]][0], has_labels


def _require_all(given: Collection[str], inputs: Sequence[str], origin: Origin) -> None:
    missing = [name for name in inputs if name not in given]
    if missing:
        hint = f"There are: {', '.join(given) or 'none'}."
        raise ConversionError(f"there is no array for the input {', '.join(missing)}", origin, hint)


def _labels(array: np.ndarray, origin: Origin) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        what = f"'{LABELS}' is {array.dtype}[{types.text(array.shape)}]; expected one integer per sample"
        raise ConversionError(what, origin)
    if array.size and array.min() < 0:
        raise ConversionError(f"'{LABELS}' holds {array.min()}; classes are counted from 0", origin)
    return array.astype(np.int64)


class ArrayItems:
    """Items of arrays that are there, or mapped."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], count: int, labels: np.ndarray | None, origin: Origin
    ) -> None:  # fmt: skip
        self._arrays, self._count, self.labels, self._origin = arrays, count, labels, origin

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for i in range(self._count):
            yield {name: array[i] for name, array in self._arrays.items()}

    def first(self) -> dict[str, np.ndarray]:
        return {name: array[0] for name, array in self._arrays.items()}

    def origin(self, index: int) -> Origin:
        return self._origin


# ------------------------------------------------------------------------- .npz


@dataclass(frozen=True)
class _Member:
    """An array in an .npz as its header has it."""

    file: str
    shape: tuple[int, ...]
    dtype: np.dtype


class ArchiveItems:
    """Items of an .npz, decompressed as they are asked for."""

    def __init__(self, path: Path, inputs: Sequence[str]) -> None:
        self._path = path
        self.labels: np.ndarray | None = None
        with zipfile.ZipFile(path) as archive:
            files = {name.removesuffix(".npy"): name for name in archive.namelist()}
            files = _named(files, inputs)
            _require_all(files, inputs, Origin(str(path)))
            members = {name: _member(archive, file) for name, file in files.items() if name in (*inputs, LABELS)}
            shapes = {name: member.shape for name, member in members.items()}
            self._count, has_labels = _count(shapes, inputs, Origin(str(path)))
            if has_labels:
                self.labels = _labels(_read_whole(archive, members[LABELS]), Origin(str(path)))
        self._members = {name: members[name] for name in inputs}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        try:
            with ExitStack() as stack:
                archive = stack.enter_context(zipfile.ZipFile(self._path))
                streams = {
                    name: stack.enter_context(_past_header(archive, item.file)) for name, item in self._members.items()
                }
                for _ in range(self._count):
                    yield {name: _read(streams[name], item, item.shape[1:]) for name, item in self._members.items()}
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ConversionError(f"it is damaged: {error}", self.origin(0)) from None

    def first(self) -> dict[str, np.ndarray]:
        """Only its shapes and types are right: nothing is read, no memory taken."""
        return {
            name: np.broadcast_to(np.zeros((), item.dtype), item.shape[1:]) for name, item in self._members.items()
        }  # fmt: skip

    def origin(self, index: int) -> Origin:
        return Origin(str(self._path))


def _member(archive: zipfile.ZipFile, file: str) -> _Member:
    with archive.open(file) as stream:
        shape, fortran, dtype = _header(stream)
        size, expected = archive.getinfo(file).file_size, stream.tell() + prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"'{file}' holds {dtype}[{types.text(shape)}]")
    if size != expected:
        raise ValueError(f"'{file}' has {size} bytes, {dtype}[{types.text(shape)}] would have {expected}")
    if prod(shape[1:]) * dtype.itemsize > ITEM_BYTES:
        raise ValueError(f"an item of '{file}' has the shape {types.text(shape[1:])}, more than {ITEM_BYTES} bytes")
    if fortran and len(shape) > 1:
        raise ValueError(f"'{file}' is in Fortran order; save numpy.ascontiguousarray of it")
    return _Member(file, shape, dtype)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f".npy version {version}")
    return _HEADERS[version](stream)


_HEADERS: dict[tuple[int, int], Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def _past_header(archive: zipfile.ZipFile, file: str) -> IO[bytes]:
    stream = archive.open(file)
    _header(stream)
    return stream


def _read(stream: IO[bytes], member: _Member, shape: tuple[int, ...]) -> np.ndarray:
    size = prod(shape) * member.dtype.itemsize
    content = stream.read(size)
    if len(content) != size:
        raise ValueError(f"'{member.file}' ends early")
    return np.frombuffer(content, member.dtype).reshape(shape)


def _read_whole(archive: zipfile.ZipFile, member: _Member) -> np.ndarray:
    if prod(member.shape) * member.dtype.itemsize > ITEM_BYTES:
        raise ValueError(f"'{member.file}' has the shape {types.text(member.shape)}")
    with _past_header(archive, member.file) as stream:
        return _read(stream, member, member.shape)
