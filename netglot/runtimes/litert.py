"""LiteRT (TensorFlow Lite): runs .tflite files."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from netglot.errors import ConversionError, Origin
from netglot.runtimes.base import Arrays, Runtime, Tensor

LAYOUT_METADATA = "netglot.layout"  # JSON: name -> layout, for inputs and outputs that are not stored as the source has them


class LiteRT(Runtime):
    """A .tflite file, computed by LiteRT's interpreter on one thread."""

    def __init__(self, path: Path) -> None:
        self.name = f"LiteRT {version('ai-edge-litert')}"
        try:
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT can't load it: {error}", Origin(str(path))) from None
        layouts = _layouts(self._interpreter)
        self._in, self._out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs = [_tensor(item, layouts) for item in self._in]
        self.outputs = [_tensor(item, layouts) for item in self._out]

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        for item in self._in:
            self._interpreter.set_tensor(item["index"], inputs[item["name"]])
        self._interpreter.invoke()
        return {item["name"]: self._interpreter.get_tensor(item["index"]) for item in self._out}


def _layouts(interpreter: Any) -> dict[str, Any]:
    metadata = interpreter._get_metadata() if hasattr(interpreter, "_get_metadata") else {}
    return dict(json.loads(bytes(metadata.get(LAYOUT_METADATA, b"{}")).rstrip(b"\0") or b"{}"))


def _tensor(item: dict[str, Any], layouts: dict[str, Any]) -> Tensor:
    layout = layouts.get(item["name"])
    shape = tuple(int(dim) for dim in item["shape"])
    return Tensor(item["name"], np.dtype(item["dtype"]), shape, tuple(layout) if layout else None)
