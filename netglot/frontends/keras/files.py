"""The files of a Keras model: which text describes it, and where its variables are.

.keras is a zip of metadata.json, config.json and model.weights.h5 (keras/src/saving/saving_lib.py); .h5 has the
description in the attribute model_config; .json is only the description.
"""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin
from netglot.frontends.hdf5 import MAGIC, RATIO, Hdf5, ViewFile, parse_json
from netglot.frontends.wire import map_file

_ZIP = b"PK\x03\x04"
_LOCAL_HEADER = 30
_SMALL = 1 << 20  # bytes that a member may have whatever its ratio


@dataclass(frozen=True)
class Source:
    """What was found: the serialised model, the HDF5 file of its variables, the Keras that wrote it.

    `legacy`: the variables lie in the layout of .h5 files, under the group `group`.
    """

    config: Any
    weights: Hdf5 | None
    legacy: bool = False
    group: str = ""
    version: str = ""
    backend: str = ""


def read(path: Path, weights: Path | None) -> Source:
    """Opens `path` (.keras, .h5 or .json) and `weights` (.h5, .weights.h5 or .keras), told apart by their content."""
    view = map_file(path)
    if view[:4] == _ZIP:
        source = _archive(view, path)
    elif view[: len(MAGIC)] == MAGIC:
        source = _hdf5(view, path)
    else:
        source = _json(view, path)
    return source if weights is None else _with_weights(source, weights)


def _json(view: memoryview, path: Path) -> Source:
    if bytes(view[:64]).lstrip()[:1] not in (b"{", b"["):
        raise ConversionError("neither a .keras archive, nor HDF5, nor JSON", Origin(str(path)))
    config = parse_json(view, "the model", path)
    config = config if isinstance(config, dict) else {}
    return Source(config, None, version=_text(config.get("keras_version")), backend=_text(config.get("backend")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _with_weights(source: Source, weights: Path) -> Source:
    view = map_file(weights)
    if view[:4] == _ZIP:
        found = _archive(view, weights)
    elif view[: len(MAGIC)] == MAGIC:
        found = _variables(Hdf5(view, weights, "Keras weights file"), None)
    else:
        raise ConversionError("neither HDF5 nor a .keras archive: no weights in it", Origin(str(weights)))
    return Source(source.config, found.weights, found.legacy, found.group, source.version or found.version,
                  found.backend or source.backend)  # fmt: skip


# ----------------------------------------------------------------------- HDF5


def _hdf5(view: memoryview, path: Path) -> Source:
    file = Hdf5(view, path, "Keras .h5 file")
    text = file.attribute("", "model_config")
    if text is None:
        raise ConversionError(
            "the file has weights, but no model", Origin(str(path)),
            "Name the description first: netglot convert model.json weights.h5 (model.to_json() makes it).",
        )  # fmt: skip
    return _variables(file, parse_json(text, "the attribute model_config", path))


def _variables(file: Hdf5, config: Any) -> Source:
    group = "model_weights" if file.find("model_weights") is not None else ""
    legacy = file.strings(group, "layer_names") is not None
    where = group if file.attribute(group, "keras_version") else ""
    version = file.attribute("", "keras_version") or file.attribute(where, "keras_version")
    backend = file.attribute("", "backend") or file.attribute(where, "backend")
    if not legacy and file.find("layers") is None and file.find("_layer_checkpoint_dependencies") is None:
        raise ConversionError("no weights of a Keras model in this file", Origin(str(file.path)))
    return Source(config, file, legacy, group, _text(version) or ("1" if legacy else "3"), _text(backend))


# -------------------------------------------------------------------- archive


def _archive(view: memoryview, path: Path) -> Source:
    try:
        with zipfile.ZipFile(ViewFile(view)) as archive:
            _require_plain(archive, path)
            members = {info.filename: info for info in archive.infolist()}
            config = parse_json(_member(archive, members, "config.json", view, path), "config.json", path)
            version = ""
            if "metadata.json" in members:
                about = parse_json(_member(archive, members, "metadata.json", view, path), "metadata.json", path)
                version = _text(about.get("keras_version")) if isinstance(about, dict) else ""
            stored = _member(archive, members, "model.weights.h5", view, path)
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        struct.error,
    ) as error:
        raise ConversionError(f"not a whole .keras archive: {error}", Origin(str(path))) from None
    return Source(config, Hdf5(stored, path, "Keras weights file"), version=version)


def _require_plain(archive: zipfile.ZipFile, path: Path) -> None:
    """Members are only read, never extracted; but names that would leave a folder show what the file is for."""
    names = Counter(info.filename for info in archive.infolist())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConversionError(f"the archive holds '{twice[0]}' twice", Origin(str(path)))
    for name in names:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise ConversionError(f"the archive's member '{name}' leaves the archive", Origin(str(path)))


def _member(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, view: memoryview, path: Path
) -> memoryview:
    """A member's bytes: where they lie if it is stored, otherwise unpacked within what deflate can do."""
    info = members.get(name)
    if info is None:
        raise ConversionError(f"the archive has no {name}", Origin(str(path)), "Keras saves it: model.save('x.keras')")
    if info.flag_bits & 1:
        raise ConversionError(f"the archive's member {name} is encrypted", Origin(str(path)))
    if info.compress_size > len(view) or info.file_size > max(_SMALL, RATIO * info.compress_size):
        what = f"{name} claims {info.file_size:,} bytes where {info.compress_size:,} are stored: a zip bomb"
        raise ConversionError(what, Origin(str(path)))
    if info.compress_type == zipfile.ZIP_STORED:
        return _stored(info, view)
    with archive.open(info) as file:
        data = file.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ConversionError(f"{name} does not have the size that the archive says", Origin(str(path)))
    return memoryview(data)


def _stored(info: zipfile.ZipInfo, view: memoryview) -> memoryview:
    """The bytes after the member's local header (APPNOTE.TXT 4.3.7)."""
    header = view[info.header_offset : info.header_offset + _LOCAL_HEADER]
    if header[:4] != _ZIP or info.file_size != info.compress_size:
        raise ValueError(f"{info.filename} does not lie where the archive says")
    name_size, extra_size = struct.unpack("<HH", header[26:30])
    start = info.header_offset + _LOCAL_HEADER + name_size + extra_size
    if start + info.file_size > len(view):
        raise ValueError(f"{info.filename} reaches beyond the file")
    return view[start : start + info.file_size]
