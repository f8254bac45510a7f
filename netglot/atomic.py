"""Output that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netglot.errors import ConversionError, Origin


def require_free(path: Path, force: bool) -> None:
    """Raises ConversionError unless `path` can be written: its folder is there, and nothing is lost without `force`."""
    if path.name in ("", ".."):
        raise ConversionError("the output needs a name of its own", Origin(str(path)))
    if path.exists() and not force:
        raise ConversionError("it exists already", Origin(str(path)), "Say --force to replace it.")
    if path.is_dir() and not _is_output(path):
        hint = "Only folders that netglot wrote are replaced: remove it yourself, or choose another name."
        raise ConversionError("it is a folder of something else", Origin(str(path)), hint)
    if not path.parent.is_dir():
        raise ConversionError("there is no such folder", Origin(str(path.parent)))


def _is_output(folder: Path) -> bool:
    """Whether it is a folder of C++ or a Core ML package, or empty: then nothing of the user's is lost."""
    return any((folder / name).exists() for name in ("interface.json", "Manifest.json")) or not any(folder.iterdir())


@contextmanager
def whole(path: Path, force: bool = False) -> Iterator[Path]:
    """Gives a path in a temporary folder beside `path`; what was written there is moved into place at the end.

    Files written beside it (external weights) move too. If anything is raised inside, nothing is left. An existing
    output is refused unless `force`.
    """
    require_free(path, force)
    with tempfile.TemporaryDirectory(prefix=".netglot-", dir=path.parent) as folder:
        written = Path(folder) / path.name
        yield written
        items = sorted(Path(folder).iterdir(), key=lambda item: item == written)  # the model itself last
        for item in items:
            require_free(path.with_name(item.name), force)
        for item in items:
            _move(item, path.with_name(item.name))


def _move(item: Path, place: Path) -> None:
    """Renames; an old file or folder at the place goes away only once the new one is complete."""
    old = item.with_name(item.name + ".old")
    if place.exists():
        place.rename(old)
    item.rename(place)
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    elif old.exists() or old.is_symlink():
        old.unlink()


def size(path: Path) -> int:
    """Bytes of a file with its external data, or of everything in a folder."""
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    beside = path.with_name(path.name + ".data")
    return path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
