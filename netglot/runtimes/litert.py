"""LiteRT (TensorFlow Lite): runs .tflite files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from netglot.errors import ConversionError, Origin
from netglot.runtimes.base import Arrays, Runtime, Tensor

Shape = tuple[int | None, ...]

_RESOLVERS = {True: OpResolverType.AUTO, False: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


class LiteRT(Runtime):
    """A .tflite file, computed by LiteRT's interpreter on one thread.

    `delegates`: whether XNNPACK computes what it can, as in an app (the default), or LiteRT's own kernels everything.
    """

    def __init__(self, path: Path, delegates: bool = True) -> None:
        self.name = f"LiteRT {version('ai-edge-litert')}"
        try:
            with _silent():
                self._interpreter = Interpreter(
                    str(path), num_threads=1, experimental_op_resolver_type=_RESOLVERS[delegates]
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT can't load it: {error}", Origin(str(path))) from None
        self._in, self._out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs = [_tensor(item) for item in self._in]
        self.outputs = [replace(_tensor(item), shape=_open(item)) for item in self._out]

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        for item in self._in:
            self._interpreter.set_tensor(item["index"], inputs[item["name"]])
        self._interpreter.invoke()
        return {item["name"]: self._interpreter.get_tensor(item["index"]) for item in self._out}


@contextmanager
def _silent() -> Iterator[None]:
    """LiteRT announces its delegates on file descriptor 2 and has no setting for it; its errors come as exceptions."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _open(item: dict[str, Any]) -> Shape:
    """The shape with None for a size that the data decide."""
    return tuple(None if dim < 0 else int(dim) for dim in item["shape_signature"])


def _tensor(item: dict[str, Any]) -> Tensor:
    return Tensor(item["name"], np.dtype(item["dtype"]), tuple(int(dim) for dim in item["shape"]))
