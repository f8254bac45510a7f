"""The names and types of a Core ML model's inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin

NAMES, TYPES = "netglot.names", "netglot.types"  # metadata of our own: see the Core ML backend


class Interface:
    """What the model's description says of its inputs and outputs, with the true names and types where we wrote it."""

    def __init__(self, description: Any, path: Path) -> None:
        self.description, self.file = description, str(path)
        self.names: dict[str, str] = self._metadata(NAMES)
        self.types: dict[str, Any] = self._metadata(TYPES)

    def name(self, feature: str) -> str:
        return str(self.names.get(feature, feature))

    def _metadata(self, key: str) -> dict[str, Any]:
        text = self.description.metadata.userDefined.get(key, "{}")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConversionError(f"the metadata '{key}' is broken", Origin(self.file))
        return found
