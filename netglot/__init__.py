"""netglot: any trained network, from any framework, onto any device, proven equal.

graph  = netglot.load("deploy.prototxt", weights="net.caffemodel")
netglot.save(graph, "net.tflite")
report = netglot.convert("deploy.prototxt", "net.mlpackage", weights="net.caffemodel")
report = netglot.verify("net.onnx", "net.tflite")
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netglot.convert import convert, load, save, validate, verify
    from netglot.errors import ConversionError, Problem, UnsupportedError
    from netglot.ir.graph import Graph

__version__ = "0.1.0"
__all__ = ["ConversionError", "Graph", "Problem", "UnsupportedError", "convert", "load", "save", "validate", "verify"]

_HOME = {
    "ConversionError": "netglot.errors", "Problem": "netglot.errors", "UnsupportedError": "netglot.errors",
    "Graph": "netglot.ir.graph",
}  # fmt: skip


class _Package(ModuleType):
    """Keeps `netglot.convert` and `netglot.verify` the functions, though there are modules of those names too."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `netglot --help` and `import netglot` cost nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'netglot' has no attribute '{name}'")
    value = getattr(import_module(_HOME.get(name, "netglot.convert")), name)
    setattr(sys.modules[__name__], name, value)
    return value
