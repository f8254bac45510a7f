"""The rows of a table that is a package: those of all its modules."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def rows_of(package: str) -> list[Any]:
    """The ROWS of the modules of `package`, no two of one id."""
    found = import_module(package)
    modules = [import_module(f"{package}.{info.name}") for info in iter_modules(found.__path__)]
    rows = [row for module in modules for row in getattr(module, "ROWS", ())]
    ids = [row.id for row in rows]
    assert len(ids) == len(set(ids)), f"two rows of one name: {sorted(i for i in set(ids) if ids.count(i) > 1)}"
    return rows
