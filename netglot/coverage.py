"""How many operators each format covers, counted from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from netglot.formats import FORMATS, Format
from netglot.registry import registry


@dataclass(frozen=True)
class Row:
    title: str
    reads: str
    writes: str
    files: str


def coverage() -> list[Row]:
    """One row a format; formats that are only recognised say so."""
    for item in FORMATS.values():
        for module in (item.reader, item.writer):
            if module:
                import_module(module)
    return [_row(item) for item in FORMATS.values()]


def _row(item: Format) -> Row:
    title = f"{item.name} ({item.title})"
    return Row(title, _reads(item), _writes(item), ", ".join(item.suffixes))


def _reads(item: Format) -> str:
    if not item.reader:
        return "-" if item.writer else "to come"
    counts = [f"{len(registry.ops(kind))} {label}" for kind, label in _READ[item.name] if registry.ops(kind)]
    return " + ".join(counts)


def _writes(item: Format) -> str:
    if not item.writer:
        return "-" if item.reader else "to come"
    return _all_onnx() if item.name == "onnx" else f"{len(registry.ops(item.name))} operators"


# The registry keys that a frontend reads with.
_READ = {
    "caffe": [("caffe", "layer types")],
    "onnx": [("onnx", "older forms")],
    "coreml": [("mil", "ML Program operators"), ("coreml.nn", "neural network layers")],
}


def _all_onnx() -> str:
    """The IR's operators are ONNX's own, so the writer writes all of them."""
    from onnx import defs

    return f"{sum(s.domain == '' for s in defs.get_all_schemas())} operators"
