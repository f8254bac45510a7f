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
    return " + ".join(f"{len(group.ops())} {group.label}" for group in _READ[item.name] if group.ops())


def _writes(item: Format) -> str:
    if not item.writer:
        return "-" if item.reader else "to come"
    return _all_onnx() if item.name == "onnx" else f"{len(_written(item.name))} operators"


def _written(target: str) -> set[str]:
    """What the backend has a function for, and what it is given composed of that."""
    return {*registry.ops(target), *registry.ops("composed")}


@dataclass(frozen=True)
class Group:
    """Names that a frontend reads: those of the registry's `key`, all, or (`prefix`) those that begin so.

    An empty prefix is for the names that have none.
    """

    key: str
    label: str
    prefix: str | None = None

    def ops(self) -> list[str]:
        names = registry.ops(self.key)
        if self.prefix is None:
            return names
        return [name for name in names if (name.startswith(self.prefix) if self.prefix else "." not in name)]


_READ: dict[str, list[Group]] = {
    "caffe": [Group("caffe", "layer types")],
    "onnx": [Group("onnx", "older forms")],
    "keras": [
        Group("keras", "layers", ""),
        Group("keras", "keras.ops functions", "ops."),
        Group("keras", "tf functions", "tf."),
    ],
    "tensorflow": [Group("tensorflow", "operators")],
    "pytorch": [
        Group("pytorch", "ATen overloads", "aten."),
        Group("pytorch", "operators of quantised programs", "quantized_decomposed."),
        Group("pytorch", "detection operators", "torchvision."),
        Group("pytorch", "branches and loops", "higher_order."),
        Group("pytorch", "operators on sizes", "_operator."),
        Group("pytorch", "functions of sizes", "torch."),
        Group("pytorch", "functions of numbers", "math."),
    ],
    "mxnet": [Group("mxnet", "operators")],
    "coreml": [Group("coreml-mil", "ML Program operators"), Group("coreml-nn", "neural network layers")],
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
    for group in [group for groups in _READ.values() for group in groups]:
        if group.ops():
            parts += [f"## Read: {group.label} ({group.key})\n", ", ".join(f"`{op}`" for op in group.ops()) + "\n"]
    return "\n".join(parts)


def _target_table() -> str:
    ops = sorted({op for target in _TARGETS for op in _written(target)})
    lines = ["| operator | " + " | ".join(_TARGETS) + " |", "|---|" + "---|" * len(_TARGETS)]
    lines += [f"| {op} | " + " | ".join(_how(op, target) for target in _TARGETS) + " |" for op in ops]
    return "\n".join(lines) + "\n"


def _how(op: str, target: str) -> str:
    if registry.find(target, op):
        return "yes"
    return "composed" if op in _written(target) else ""


if __name__ == "__main__":
    print(to_markdown(), end="")
