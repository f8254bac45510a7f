"""Caffe's HDF5 snapshots: the blobs of a layer are the datasets /data/<layer>/<index>. A layer name with slashes
makes nested groups.

Only what Caffe writes is read: plain float datasets that lie in the file in one piece, as views of the mapped file.
Links that leave the file or point elsewhere in it, external, virtual, compressed and unallocated data are refused, so
nothing is allocated for a size that the file only claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.hdf5 import member, read_array
from netglot.frontends.wire import map_file


def read_hdf5(path: Path) -> Iterator[tuple[str, dict[int, np.ndarray]]]:
    """Each layer's name and its blobs by index (a shared blob is there only once, at its first layer)."""
    import h5py

    view = map_file(path)
    try:
        with h5py.File(path, "r") as file:
            for name, item in _members(file):
                if name == "data":
                    yield from _layers(item, "", view, set())
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ConversionError(f"not a whole Caffe HDF5 file: {error}", Origin(str(path))) from None


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    """The members that are part of this group itself; ValueError for a link to somewhere else."""
    for name in group:
        yield name, member(group, name)


def _layers(group: Any, layer: str, view: memoryview, seen: set[int]) -> Iterator[tuple[str, dict[int, np.ndarray]]]:
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        raise ValueError(f"the group '{group.name}' is there twice, which Caffe does not write")
    seen.add(address)
    blobs = {}
    for name, item in _members(group):
        if isinstance(item, h5py.Dataset):
            blobs[_index(name, item)] = _array(item, view)
        else:
            yield from _layers(item, f"{layer}/{name}" if layer else name, view, seen)
    if blobs:
        yield layer, blobs


def _index(name: str, dataset: Any) -> int:
    if not name.isdecimal() or len(name) > 3:
        raise ValueError(f"'{dataset.name}' is no blob: Caffe numbers them")
    return int(name)


def _array(dataset: Any, view: memoryview) -> np.ndarray:
    """The numbers of a dataset, in place; np.frombuffer refuses what reaches beyond the file."""
    if dataset.dtype.kind != "f" or dataset.chunks or (dataset.size and dataset.id.get_offset() is None):
        raise ValueError(f"'{dataset.name}' is not plain numbers in one piece, as Caffe writes them")
    return read_array(dataset, view).astype(np.float32, copy=False)
