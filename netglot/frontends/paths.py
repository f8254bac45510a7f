"""Paths that a model names. The model is somebody else's claim: they must not leave the folder that it came in."""

from __future__ import annotations

from pathlib import Path


def inside(folder: Path, name: str) -> Path | None:
    """The file `name` of `folder`, links followed; None if there is none. ValueError if that is outside of `folder`."""
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError):  # a name too long for the system, a link that leads to itself
        return None
    if not name or Path(name).is_absolute() or not path.is_relative_to(root):
        raise ValueError(f"'{name:.80}' is outside the model's folder")
    return path if is_file else None
