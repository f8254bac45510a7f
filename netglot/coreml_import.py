"""Imports coremltools without what it would drag in.

`import coremltools` imports torch, TensorFlow, scikit-learn, XGBoost, SciPy, transformers and others where they are
installed, in case a model of theirs is to be converted: 3.4 s and 358 MB instead of 0.4 s and 90 MB. netglot needs none
of them, so they are hidden while coremltools is imported. One that is imported already, or later, is left as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from netglot.errors import ConversionError

_UNWANTED = (
    "torch", "tensorflow", "sklearn", "xgboost", "scipy", "torchvision", "torchaudio", "executorch", "torchao",
    "transformers",
)  # fmt: skip
_PROTO = "netglot._coreml_proto"  # the package that stands for coremltools.proto where coremltools is not imported


def coremltools(module: str = "") -> Any:
    """coremltools, or its submodule `module`, imported quietly and alone."""
    name = f"coremltools.{module}" if module else "coremltools"
    if "coremltools" in sys.modules:
        return importlib.import_module(name)
    with quiet(), _hidden(_UNWANTED):
        return importlib.import_module(name)


@contextmanager
def quiet() -> Iterator[None]:
    """coremltools logs nothing below an error (off macOS it warns of each native class it can't load)."""
    logger = logging.getLogger("coremltools")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None: "import" fails at once
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)


@cache
def proto(name: str) -> Any:
    """The generated protobuf module `name` (Model_pb2, MIL_pb2, ...), without coremltools itself: 0.04 s, 17 MB."""
    if _PROTO not in sys.modules:
        found = importlib.util.find_spec("coremltools")
        if found is None or found.origin is None:
            raise ConversionError("coremltools is not installed", hint="pip install coremltools")
        package = ModuleType(_PROTO)
        package.__path__ = [str(Path(found.origin).parent / "proto")]
        sys.modules[_PROTO] = package
    return importlib.import_module(f"{_PROTO}.{name}")
