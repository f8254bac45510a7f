"""How many operators each format covers, counted from the registry.

`python -m netglot.coverage` prints docs/operators.md.
"""

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
    _import_all()
    return [_row(item) for item in FORMATS.values()]


def _import_all() -> None:
    for item in FORMATS.values():
        for module in (item.reader, item.writer):
            if module:
                import_module(module)


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
    "keras": [("keras", "layers and operations")],
    "tensorflow": [("tensorflow", "operators")],
    "coreml": [("coreml-mil", "ML Program operators"), ("coreml-nn", "neural network layers")],
}


def _all_onnx() -> str:
    """The IR's operators are ONNX's own, so the writer writes all of them."""
    from onnx import defs

    return f"{sum(s.domain == '' for s in defs.get_all_schemas())} operators"


# --------------------------------------------------------------- docs/operators.md

_TARGETS = ("tflite", "coreml", "cpp")
_HEAD = """# Operators, by format

Made by `python -m netglot.coverage`; a test holds it against the code. What a mapping can't do is said by the error
when it is met, and in [formats.md](formats.md).
"""


def to_markdown() -> str:
    """The lists of operators that every format covers."""
    _import_all()
    parts = [_HEAD, "## Written: operators of the IR by target\n", _target_table()]
    parts.append("The ONNX writer writes all of them.\n")
    for key, label in [pair for pairs in _READ.values() for pair in pairs]:
        parts += [f"## Read: {label} ({key})\n", ", ".join(f"`{op}`" for op in registry.ops(key)) + "\n"]
    return "\n".join(parts)


def _target_table() -> str:
    ops = sorted({op for target in _TARGETS for op in registry.ops(target)})
    lines = ["| operator | " + " | ".join(_TARGETS) + " |", "|---|" + "---|" * len(_TARGETS)]
    lines += [f"| {op} | " + " | ".join("yes" if registry.find(t, op) else "" for t in _TARGETS) + " |" for op in ops]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(to_markdown(), end="")
