"""The .mlpackage folder: a manifest, the model, and its weights (as Xcode and coremltools lay it out)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

AUTHOR = "com.apple.CoreML"


def write_package(path: Path, spec: Callable[[Path], bytes]) -> None:
    """Writes the package `path`. `spec` is given the weights folder to fill, and returns the serialized model."""
    data = path / "Data" / AUTHOR
    weights = data / "weights"
    weights.mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(spec(weights))
    items = [_item("model.mlmodel", "CoreML Model Specification")]
    if any(weights.iterdir()):
        items.append(_item("weights", "CoreML Model Weights"))
    else:
        weights.rmdir()
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": dict(items), "rootModelIdentifier": items[0][0]}
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4) + "\n")


def _item(name: str, description: str) -> tuple[str, dict[str, str]]:
    """An entry of the manifest under an identifier that is the same for every package."""
    entry = {"author": AUTHOR, "description": description, "name": name, "path": f"{AUTHOR}/{name}"}
    return str(uuid5(NAMESPACE_URL, entry["path"])).upper(), entry
