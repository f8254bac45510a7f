"""HDF5 files that nobody vouches for: groups, attributes and datasets, as views of the mapped file where they lie in it
in one piece.

Links that leave the file or point elsewhere in it, external, virtual and unallocated data are refused, and what is
compressed is unpacked only if it is no more than a real file could hold: nothing is allocated for a size that the file
only claims.
"""

from __future__ import annotations

import io
import json
from collections.abc import Container, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin

MAGIC = b"\x89HDF\r\n\x1a\n"
RATIO = 1000  # deflate can't do better than 1032
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # those of HDF5 itself and LZF; others would be plugins found by name
_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


class ViewFile(io.RawIOBase):
    """Bytes in memory (or mapped) as a file to read from, without copying them."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, len(self._view))[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._at : self._at + len(buffer)]
        memoryview(buffer).cast("B")[: len(part)] = part
        self._at += len(part)
        return len(part)


class Hdf5:
    """An HDF5 file over `view`; `what` is said of it in errors."""

    def __init__(self, view: memoryview, path: Path, what: str = "HDF5 file") -> None:
        import h5py

        self.view, self.path, self.what = view, path, what
        with self.errors():
            self.root = h5py.File(ViewFile(view), "r")
            if self.root.userblock_size:
                raise ValueError("a user block before the data is not supported")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What h5py raises inside becomes one ConversionError."""
        try:
            yield
        except _ERRORS as error:
            raise ConversionError(f"not a whole {self.what}: {error}", Origin(str(self.path))) from None

    # ------------------------------------------------------------------- groups

    def find(self, path: str) -> Any:
        """The group or dataset at `path` (from the root), or None."""
        with self.errors():
            item = self.root
            for name in path.split("/"):
                item = member(item, name) if name and hasattr(item, "keys") else item if not name else None
                if item is None:
                    return None
            return item

    def names(self, path: str) -> list[str]:
        """The members of a group, in HDF5's order; [] if there is no such group."""
        group = self.find(path)
        return list(group) if group is not None and hasattr(group, "keys") else []

    def datasets(self, path: str, skip: Container[str] = ()) -> Iterator[str]:
        """The paths of all datasets under a group (or of the dataset itself), without what is called as in `skip`."""
        import h5py

        waiting, seen = [path], set()
        while waiting:
            path = waiting.pop()
            item = self.find(path)
            if isinstance(item, h5py.Dataset):
                yield path
            elif item is not None:
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise ConversionError(f"the group '{path}' is there twice", Origin(str(self.path)))
                seen.add(address)
                waiting += [f"{path}/{name}" for name in self.names(path) if name not in skip]

    # --------------------------------------------------------------- attributes

    def attribute(self, path: str, name: str) -> Any:
        """An attribute of the group at `path`: str for text, list for several, or None."""
        group = self.find(path)
        with self.errors():
            if group is None or name not in group.attrs:
                return None
            attribute = group.attrs.get_id(name)
            claimed = prod(attribute.shape or (1,)) * attribute.dtype.itemsize
            if claimed > len(self.view):
                raise ValueError(f"the attribute '{name}' claims {claimed:,} bytes")
            return _decoded(group.attrs[name])

    def strings(self, path: str, name: str) -> list[str] | None:
        """A list of names, which Keras splits into name0, name1... where it is long."""
        found = self.attribute(path, name)
        if found is not None:
            return [str(item) for item in found] if isinstance(found, list) else [str(found)]
        parts: list[Any] = []
        while (part := self.attribute(path, f"{name}{len(parts)}")) is not None:
            parts.append(part)
        return [str(item) for part in parts for item in part] if parts else None

    # ----------------------------------------------------------------- datasets

    def array(self, dataset: Any) -> np.ndarray:
        """The numbers of a dataset: a read-only view of the file, unless it is packed there."""
        with self.errors():
            return read_array(dataset, self.view)


def _decoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_decoded(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return _decoded(value.item())
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def member(group: Any, name: str) -> Any:
    """The member that is part of this group itself, or None; ValueError for a link to somewhere else."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"'{group.name}/{name}' is a link to somewhere else")
    return group[name]


def read_array(dataset: Any, view: memoryview) -> np.ndarray:
    """The numbers of a dataset in `view`; ValueError for what is not there as it should be."""
    import h5py

    kind = dataset.dtype
    is_half = kind.kind == "V" and kind.itemsize == 2 and _decoded(dataset.attrs.get("dtype")) == "bfloat16"
    if not isinstance(dataset, h5py.Dataset) or (kind.kind not in "fiub" and not is_half):
        raise ValueError(f"'{dataset.name}' does not hold numbers")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"the data of '{dataset.name}' is in another file")
    offset = None if dataset.chunks else dataset.id.get_offset()
    if offset is not None:
        data = np.frombuffer(view, kind, dataset.size, offset).reshape(dataset.shape)
    else:
        data = _unpacked(dataset)
    data = data.view(_bfloat16()) if is_half else data
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _bfloat16() -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16


def _unpacked(dataset: Any) -> np.ndarray:
    """A dataset in chunks, compact or empty, whose claimed size its stored bytes can account for."""
    claimed, stored = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    if filters - _FILTERS:
        raise ValueError(f"'{dataset.name}' is compressed with a filter that is not HDF5's own")
    if claimed > stored * (RATIO if filters else 1) or stored > dataset.file.id.get_filesize():
        raise ValueError(f"'{dataset.name}' claims {claimed:,} bytes where {stored:,} are stored")
    if dataset.chunks and np.prod(dataset.chunks) * dataset.dtype.itemsize > max(RATIO * stored, 1 << 20):
        raise ValueError(f"'{dataset.name}' has chunks of {dataset.chunks}, larger than its data")
    data: np.ndarray = dataset[()] if dataset.shape else np.asarray(dataset[()])
    data.flags.writeable = False
    return data


def parse_json(text: str | memoryview, what: str, path: Path) -> Any:
    """JSON of a file that nobody vouches for; ConversionError where it is none."""
    try:
        return json.loads(text if isinstance(text, str) else bytes(text))
    except (ValueError, UnicodeDecodeError) as error:
        raise ConversionError(f"{what} is no JSON: {error}", Origin(str(path))) from None
    except RecursionError:
        raise ConversionError(f"{what} is nested too deeply", Origin(str(path))) from None
