"""Weights: .params, the file of named arrays that MXNet has written since its first release, and .npz of MXNet 2.

The layout is that of NDArray::Save and NDArray::Load (ndarray.cc). Arrays are views of the mapped file; every number in
it is checked against what is left of the file before it is used.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.wire import map_file
from netglot.ir.types import named

Params = dict[str, np.ndarray]

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # int64 sizes; storage types; shapes as NumPy has them
MAX_RANK = 32

_DTYPES = (
    "float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16", "uint32", "uint64",
    "bfloat16",
)  # fmt: skip
_SPARSE = {1: ("row-sparse", 1), 2: ("compressed sparse row", 2)}  # by storage type, with how many index arrays
_ZIP = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes of a zip member's own header, without its name and extra field


def dtype_of(flag: int) -> np.dtype:
    """The type that MXNet numbers `flag` (mshadow's TypeFlag); ValueError if there is none."""
    if not 0 <= flag < len(_DTYPES):
        raise ValueError(f"there is no element type {flag}")
    return named(_DTYPES[flag])


def read(path: Path) -> Params:
    """The arrays by name, without `arg:` and `aux:`. Raises ConversionError with the file and the place in it."""
    view = map_file(path)
    try:
        if view[:4] == _ZIP:
            return _named(_members(path, view))
        return _named(_List(view).arrays())
    except (ValueError, zipfile.BadZipFile, NotImplementedError, struct.error, EOFError) as error:
        raise ConversionError(f"this is no .params file, or it is damaged: {error}", Origin(str(path))) from None
    except UnsupportedError as error:
        raise UnsupportedError(error.problems[0].what, Origin(str(path))) from None


def _named(arrays: Iterator[tuple[str, np.ndarray]]) -> Params:
    params: Params = {}
    for name, array in arrays:
        plain = _plain(name)
        if plain in params:
            raise ValueError(f"two arrays are called '{plain}'")
        params[plain] = array
    return params


def _plain(name: str) -> str:
    return name[4:] if name.startswith(("arg:", "aux:")) else name


@dataclass(frozen=True)
class _Array:
    """What one entry holds; `sparse` names a storage that is not dense. `data` is None for an array that is not set."""

    data: np.ndarray | None
    sparse: str = ""


class _List:
    """A .params file while it is read: the view of all bytes, and how far they are read."""

    def __init__(self, view: memoryview) -> None:
        self.view, self.at = view, 0

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        if self.number("Q") != LIST_MAGIC:
            raise ValueError("it does not begin with the number 0x112")
        self.number("Q")  # reserved
        arrays = [self.array() for _ in range(self.count("arrays", 4))]
        names = [self.name() for _ in range(self.count("names", 8))]
        if len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays)} arrays and {len(names)} names")
        for name, array in zip(names, arrays, strict=True):
            if array.sparse:
                raise UnsupportedError(f"the parameter '{_plain(name)}' is stored as a {array.sparse} matrix")
            if array.data is not None:
                yield name, array.data

    # ------------------------------------------------------------------- scalars

    def take(self, size: int) -> memoryview:
        if size > len(self.view) - self.at:
            left = len(self.view) - self.at
            raise ValueError(f"at byte {self.at} it claims {size:,} bytes where {left:,} are left (truncated file?)")
        self.at += size
        return self.view[self.at - size : self.at]

    def number(self, kind: str) -> int:
        """One number of the kind that `struct` names so."""
        return int(struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0])

    def count(self, what: str, least: int) -> int:
        """How many items follow, of at least `least` bytes each."""
        count = self.number("Q")
        if count > (len(self.view) - self.at) // least:
            raise ValueError(f"at byte {self.at - 8} it claims {count:,} {what}, more than the file has room for")
        return count

    def name(self) -> str:
        return str(self.take(self.number("Q")), "utf-8")

    def shape(self, kind: str, rank: int) -> tuple[int, ...]:
        if rank > MAX_RANK:
            raise ValueError(f"at byte {self.at} it claims an array of {rank:,} axes")
        return tuple(self.number(kind) for _ in range(rank))

    def sizes(self) -> tuple[int, ...] | None:
        """A shape of 64-bit sizes; None for one of unknown rank."""
        rank = self.number("i")
        return None if rank < 0 else self.shape("q", rank)

    # -------------------------------------------------------------------- arrays

    def array(self) -> _Array:
        magic = self.number("I")
        if magic in (V2, V3):
            return self.stored(scalars=magic == V3)
        return self.dense(self.sizes() if magic == V1 else self.shape("I", magic), scalars=False)

    def stored(self, *, scalars: bool) -> _Array:
        kind = self.number("i")
        if kind in _SPARSE:
            return self.sparse(*_SPARSE[kind])
        if kind:
            raise ValueError(f"at byte {self.at - 4} there is no storage type {kind}")
        return self.dense(self.sizes(), scalars=scalars)

    def dense(self, shape: tuple[int, ...] | None, *, scalars: bool) -> _Array:
        """`scalars`: an array without axes has one element, and sizes may be 0. Before, both meant: not set."""
        if shape is None or -1 in shape or (not scalars and (not shape or 0 in shape)):
            return _Array(None)
        self.take(8)  # the device that it was on
        return _Array(self.elements(self.number("i"), shape))

    def elements(self, flag: int, shape: tuple[int, ...]) -> np.ndarray:
        dtype = dtype_of(flag)
        if min(shape, default=0) < 0:
            raise ValueError(f"at byte {self.at} it claims an array of the shape {shape}")
        return np.frombuffer(self.take(prod(shape) * dtype.itemsize), dtype).reshape(shape)

    def sparse(self, name: str, indices: int) -> _Array:
        """Passed over: the names, with which it is refused, come last."""
        stored = self.sizes() or ()
        if self.sizes():
            self.take(8)
            flags = [self.number("i")]
            shapes = [stored]
            for _ in range(indices):
                flags.append(self.number("i"))
                shapes.append(self.sizes() or ())
            for flag, shape in zip(flags, shapes, strict=True):
                self.elements(flag, shape)
        return _Array(None, name)


def _members(path: Path, view: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of an .npz whose members are not compressed, as MXNet and numpy.savez write it."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise ValueError(f"its member {info.filename:.80} is compressed or encrypted")
            yield info.filename.removesuffix(".npy"), _npy(_member(info, view))


def _member(info: zipfile.ZipInfo, view: memoryview) -> memoryview:
    start = info.header_offset
    if start < 0 or start + _LOCAL_HEADER > len(view) or view[start : start + 4] != _ZIP:
        raise ValueError(f"its member {info.filename:.80} is not where the directory says")
    name, extra = struct.unpack("<HH", view[start + 26 : start + _LOCAL_HEADER])
    start += _LOCAL_HEADER + name + extra
    if info.file_size > len(view) - start:
        raise ValueError(f"its member {info.filename:.80} ends beyond the file")
    return view[start : start + info.file_size]


def _npy(view: memoryview) -> np.ndarray:
    """An .npy file as an array on the same memory (never a pickle)."""
    header = BytesIO(bytes(view[: 1 << 16]))
    shape, fortran, dtype = _npy_header(header)
    size = prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or size > len(view) - header.tell():
        raise ValueError(f"an array claims {shape} elements of {dtype}, which its member does not hold")
    flat = np.frombuffer(view[header.tell() : header.tell() + size], dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return reader(file)
