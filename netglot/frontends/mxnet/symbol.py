"""symbol.json: a network as MXNet describes it, in every form since 0.8 (nnvm's saveload_json.cc, legacy_json_util.cc).

A list of nodes, each after those it reads. Nodes of the operator `null` are variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin

Entry = tuple[int, int]  # node, and which of its outputs

MAX_BYTES = 1 << 26  # a description holds no weights: that of a thousand layers has half a megabyte
MAX_NODES = 1 << 17
MAX_DEPTH = 16  # of bodies in bodies
OLDEST = 800  # the version of files that do not say theirs

# Attributes of the training, which old files keep beside those of the operator; newer ones have __lr_mult__ and such.
_HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage", "profiler_scope")
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]*)"')


@dataclass(frozen=True)
class Layer:
    """One node. `attributes` are the operator's, `hidden` all others (`__shape__`, ...); both are text.

    `subgraphs` are the bodies of control flow.
    """

    op: str
    name: str
    inputs: tuple[Entry, ...]
    attributes: Mapping[str, str]
    hidden: Mapping[str, str]
    origin: Origin
    subgraphs: tuple[Symbol, ...] = ()

    @property
    def is_variable(self) -> bool:
        return self.op == "null"


@dataclass(frozen=True)
class Symbol:
    """The nodes in order, the outputs, and the MXNet version that wrote them (10901 is 1.9.1).

    `np_shape`: shapes are NumPy's, where there are scalars, and a size of 0 is no unknown one.
    """

    layers: Sequence[Layer]
    heads: Sequence[Entry]
    version: int = OLDEST
    variables: Sequence[int] = field(default=())  # in the order in which a body is given its arguments
    np_shape: bool = False

    def needed(self) -> set[int]:
        """The nodes that the outputs depend on."""
        found = {index for index, _ in self.heads}
        for index in range(len(self.layers) - 1, -1, -1):
            if index in found:
                found.update(source for source, _ in self.layers[index].inputs)
        return found


def read(path: Path) -> Symbol:
    """The network in `path`; ConversionError if it is none."""
    origin = Origin(str(path))
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConversionError(f"{size:,} bytes are too many for the description of a network", origin)
        text = path.read_text("utf-8")
        described = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"this is no symbol.json of MXNet: {error}", origin) from None
    return _Json(str(path), text).symbol(described)


def _lines(text: str) -> dict[str, int]:
    """The line of the first node of each name."""
    lines: dict[str, int] = {}
    line, at = 1, 0
    for match in _NAME.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        lines.setdefault(match[1], line)
    return lines


class _Json:
    """Makes sense of the parsed JSON of one file."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text

    @cached_property
    def lines(self) -> dict[str, int]:
        return _lines(self.text)

    def symbol(self, data: Any, depth: int = 0) -> Symbol:
        nodes = data.get("nodes") if isinstance(data, dict) else None
        if not isinstance(nodes, list) or not isinstance(data.get("heads"), list):
            raise ConversionError("this is no symbol.json of MXNet: it has no nodes and heads", Origin(self.file))
        if len(nodes) > MAX_NODES or depth > MAX_DEPTH:
            what = f"{len(nodes):,} nodes are" if depth <= MAX_DEPTH else "bodies in bodies are nested"
            raise ConversionError(f"{what} more than any real network has", Origin(self.file))
        layers = [self.layer(index, node, depth) for index, node in enumerate(nodes)]
        if not data["heads"]:
            raise ConversionError("the network has no outputs", Origin(self.file))
        heads = [self.entry(item, len(nodes), "the network's outputs", Origin(self.file)) for item in data["heads"]]
        variables = [index for index, layer in enumerate(layers) if layer.is_variable]
        return Symbol(layers, heads, _version(data), variables, _noted(data, "is_np_shape") == 1)

    def layer(self, index: int, node: Any, depth: int) -> Layer:
        if not isinstance(node, dict) or not all(isinstance(node.get(key), str) for key in ("op", "name")):
            raise ConversionError(f"node {index} has no operator and name", Origin(self.file))
        op, name = node["op"], node["name"]
        origin = Origin(self.file, name, self.lines.get(name, 0))
        inputs = [self.entry(item, index, f"{op} '{name}'", origin) for item in _list(node, "inputs", origin)]
        attributes, hidden = _attributes(node, origin)
        bodies = tuple(self.symbol(item, depth + 1) for item in _list(node, "subgraphs", origin))
        return Layer(op, name, tuple(inputs), attributes, hidden, origin, bodies)

    def entry(self, item: Any, count: int, reader: str, origin: Origin) -> Entry:
        """A reference [node, output] or [node, output, version]; a lone number is the first output of that node."""
        parts = item if isinstance(item, list) else [item, 0]
        if not 2 <= len(parts) <= 3 or not all(type(part) is int for part in parts) or parts[1] < 0:
            raise ConversionError(f"{reader}: {json.dumps(item):.40} is no reference to a node", origin)
        if not 0 <= parts[0] < count:
            hint = "Nodes come after those they read: this is a cycle, or the nodes are out of order."
            raise ConversionError(f"{reader}: there is no node {parts[0]} before it", origin, hint)
        return parts[0], parts[1]


def _list(node: Mapping[str, Any], key: str, origin: Origin) -> list[Any]:
    found = node.get(key, [])
    if not isinstance(found, list):
        raise ConversionError(f"'{key}' is no list", origin)
    return found


def _version(data: Mapping[str, Any]) -> int:
    found = _noted(data, "mxnet_version")
    return OLDEST if found is None else found


def _noted(data: Mapping[str, Any], name: str) -> int | None:
    """`"mxnet_version": ["int", 10901]` among the attributes of the graph."""
    attributes = data.get("attrs", data.get("attr"))
    found = attributes.get(name) if isinstance(attributes, dict) else None
    return found[1] if isinstance(found, list) and len(found) == 2 and type(found[1]) is int else None


def _attributes(node: Mapping[str, Any], origin: Origin) -> tuple[dict[str, str], dict[str, str]]:
    """The operator's attributes, and all others. Where there is `param`, `attr` holds only what the user noted."""
    own: dict[str, str] = {}
    hidden: dict[str, str] = {}
    for key in ("attr", "attrs", "param"):
        for name, text in _texts(node, key, origin):
            beside = key == "attr" and "param" in node
            (hidden if beside or node["op"] == "null" or _is_hidden(name) else own)[name] = text
    return own, hidden


def _texts(node: Mapping[str, Any], key: str, origin: Origin) -> Iterator[tuple[str, str]]:
    found = node.get(key) or {}
    if not isinstance(found, dict):
        raise ConversionError(f"'{key}' is no table of attributes", origin)
    for name, text in found.items():
        if not isinstance(text, (str, int, float)):
            raise ConversionError(f"the attribute {name} is no text", origin)
        yield name, str(text)


def _is_hidden(name: str) -> bool:
    """`__shape__`, `lr_mult`, and `weight_lr_mult`, which was meant for the variable."""
    return (name.startswith("__") and name.endswith("__")) or name.endswith(_HIDDEN)
