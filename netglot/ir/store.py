"""A graph as a folder: graph.json (the structure) and weights.safetensors (the constants), and back.

Weights are memory-mapped on loading. Both files are untrusted on the way in: whatever does not fit raises
ConversionError. What safetensors has no element type for (fp8 variants, 4-bit integers) is stored as its bytes, and
graph.json says what it is; strings stand in graph.json itself.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from netglot.errors import ConversionError, Origin, Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import OPSET

VERSION = 1
GRAPH, WEIGHTS = "graph.json", "weights.safetensors"

# The element types that a .safetensors file holds as they are.
_NATIVE = {
    "BOOL": "bool", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
    "I64": "int64", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip

Json = Any
Arrays = dict[str, np.ndarray]


# ------------------------------------------------------------------------ save


def save(graph: Graph, folder: Path) -> None:
    """Writes `graph` into `folder`, which is made if it is not there; graph.json comes last."""
    arrays: Arrays = {}
    document = {"format": "netglot", "version": VERSION, "opset": OPSET, "graph": _graph(graph, arrays)}
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / WEIGHTS)
    (folder / GRAPH).write_text(json.dumps(document, indent=1), encoding="utf-8")


def _graph(graph: Graph, arrays: Arrays) -> Json:
    return {
        "name": graph.name,
        "values": [_value(value, arrays) for value in graph.values()],
        "nodes": [_node(node, arrays) for node in graph.nodes()],
        "inputs": [value.name for value in graph.inputs],
        "outputs": [value.name for value in graph.outputs],
        "warnings": [[w.what, _origin(w.origin), w.shapes, w.hint] for w in graph.warnings],
    }


def _value(value: Value, arrays: Arrays) -> Json:
    dtype = None if value.dtype is None else types.name_of(value.dtype)
    document: dict[str, Json] = {"name": value.name, "dtype": dtype, "shape": value.shape}
    if value.layout is not None:
        document["layout"] = value.layout
    if value.data is not None:
        document["data"] = _data(value.data, value.name, arrays)
    return document


def _data(array: np.ndarray, name: str, arrays: Arrays) -> Json:
    """The array itself where it holds strings, else its key in the weights."""
    if array.dtype.kind == "O":
        return {"strings": [_attribute(item, arrays) for item in array.ravel().tolist()]}
    key = name if name not in arrays else f"{name}#{len(arrays)}"
    while key in arrays or key == "__metadata__":
        key += "#"
    array = np.ascontiguousarray(array).reshape(array.shape)  # the former makes a scalar a vector
    arrays[key] = array if array.dtype.name in _NATIVE.values() else array.reshape(-1).view(np.uint8)
    return key


def _node(node: Node, arrays: Arrays) -> Json:
    return {
        "op": node.op,
        "domain": node.domain,
        "name": node._name,
        "inputs": [None if value is None else value.name for value in node.inputs],
        "outputs": [value.name for value in node.outputs],
        "attributes": {name: _attribute(item, arrays) for name, item in node.attributes.items()},
        "origin": _origin(node.origin),
    }


def _origin(origin: Origin) -> Json:
    return [origin.file, origin.layer, origin.line]


def _attribute(item: Any, arrays: Arrays) -> Json:
    """JSON's own types, and {kind: content} for what JSON has no type for."""
    if isinstance(item, Graph):
        return {"graph": _graph(item, arrays)}
    if isinstance(item, np.ndarray):
        dtype, data = types.name_of(item.dtype), _data(item, "attribute", arrays)
        return {"tensor": {"dtype": dtype, "shape": item.shape, "data": data}}
    if isinstance(item, (tuple, list)):
        return [_attribute(part, arrays) for part in item]
    if isinstance(item, bytes):
        return {"bytes": base64.b64encode(item).decode("ascii")}
    if isinstance(item, (float, np.floating)):
        return float(item) if math.isfinite(item) else {"float": str(float(item))}
    return item if isinstance(item, str) else int(item)


# ------------------------------------------------------------------------ load


def load(folder: Path) -> Graph:
    """The graph that `save` wrote into `folder`, checked. ConversionError where the files are not whole and sound."""
    document, arrays = _read_json(folder / GRAPH), _read_weights(folder / WEIGHTS)
    try:
        if document["format"] != "netglot" or document["version"] != VERSION or document["opset"] != OPSET:
            found = ", ".join(f"{key} {document[key]!r}" for key in ("format", "version", "opset"))
            raise ConversionError(f"expected format 'netglot', version {VERSION}, opset {OPSET}; found {found}")
        graph = _Loader(arrays).graph(document["graph"], {})
        graph.check()
    except ConversionError as error:
        raise ConversionError([_located(problem, folder) for problem in error.problems]) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        what = f"graph.json is damaged: {type(error).__name__} {error}"
        raise ConversionError(what, Origin(str(folder / GRAPH))) from None
    return graph


def _located(problem: Problem, folder: Path) -> Problem:
    return Problem(problem.what, Origin(str(folder / GRAPH), problem.origin.layer), problem.shapes, problem.hint)


def _read_json(path: Path) -> Json:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"can't be read: {error}", Origin(str(path))) from None


def _read_weights(path: Path) -> Arrays:
    """Every tensor, memory-mapped. The safetensors library proves the header first: offsets, sizes, overlaps."""
    try:
        with safetensors.safe_open(path, framework="np"):
            pass
        content: np.ndarray = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ConversionError(f"can't be read: {error}", Origin(str(path))) from None
    size = int(content[:8].view("<u8")[0])
    header = json.loads(content[8 : 8 + size].tobytes())
    header.pop("__metadata__", None)
    return {name: _tensor(content[8 + size :], **entry) for name, entry in header.items()}


def _tensor(content: np.ndarray, *, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    if dtype not in _NATIVE:
        raise ConversionError(f"{WEIGHTS} holds a tensor of type {dtype}, which netglot does not write")
    begin, end = data_offsets
    return content[begin:end].view(types.named(_NATIVE[dtype])).reshape(shape)


class _Loader:
    """Graphs out of JSON, with the arrays that they name."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def graph(self, document: Json, outer: dict[str, Value]) -> Graph:
        graph = Graph(_text(document["name"]))
        for item in document["values"]:
            self.value(graph, item)
        known = outer | {value.name: value for value in graph.values()}
        for item in document["nodes"]:
            graph.add_node(self.node(item, known))
        graph.inputs = [_known(known, name) for name in document["inputs"]]
        graph.outputs = [_known(known, name) for name in document["outputs"]]
        graph.warnings = [
            Problem(what, Origin(*origin), shapes, hint) for what, origin, shapes, hint in document["warnings"]
        ]
        return graph

    def value(self, graph: Graph, item: Json) -> None:
        name = _text(item["name"])
        if name in graph or not name:
            raise ConversionError(f"the name '{name}' is defined twice or empty")
        value = graph.add_value(name, _dtype(item["dtype"]), _shape(item["shape"]))
        if item.get("layout") is not None:
            value.layout = tuple(_whole(axis) for axis in item["layout"])
        if "data" in item:
            value.data = self.data(item["data"], value.dtype, value.shape, name)

    def data(self, key: Json, dtype: np.dtype | None, shape: types.Shape | None, name: str) -> np.ndarray:
        if dtype is None or not types.is_static(shape):
            raise ConversionError(f"the constant '{name}' has no element type or no known shape")
        if isinstance(key, dict):
            found = np.array([None, *map(self.plain, key["strings"])], dtype)[1:]
        elif (stored := self.arrays.get(_text(key))) is None:
            raise ConversionError(f"{WEIGHTS} lacks the tensor '{key}' of '{name}'")
        else:
            found = stored if stored.dtype == dtype else _bytes_as(stored, dtype, name)
        if math.prod(types.static(shape)) != found.size or (found.ndim > 1 and found.shape != shape):
            expected, actual = types.text(shape), types.text(found.shape)
            raise ConversionError(f"the tensor '{name}' has the shape {actual} in {WEIGHTS}, expected {expected}")
        return found.reshape(types.static(shape))

    def node(self, item: Json, known: dict[str, Value]) -> Node:
        inputs = [None if name is None else _known(known, name) for name in item["inputs"]]
        outputs = [_known(known, name) for name in item["outputs"]]
        attributes = {name: self.attribute(value, known) for name, value in item["attributes"].items()}
        file, layer, line = item["origin"]
        return Node(
            _text(item["op"]), inputs, outputs, attributes, domain=_text(item["domain"]), name=_text(item["name"]),
            origin=Origin(_text(file), _text(layer), _whole(line)),
        )  # fmt: skip

    def attribute(self, item: Json, known: dict[str, Value]) -> Any:
        if isinstance(item, list):
            return tuple(self.attribute(part, known) for part in item)
        if isinstance(item, dict) and "graph" in item:
            return self.graph(item["graph"], known)
        if isinstance(item, dict) and "tensor" in item:
            tensor = item["tensor"]
            return self.data(tensor["data"], _dtype(tensor["dtype"]), _shape(tensor["shape"]), "an attribute")
        return self.plain(item)

    def plain(self, item: Json) -> Any:
        if isinstance(item, dict):
            ((kind, content),) = item.items()
            return base64.b64decode(content) if kind == "bytes" else float(_text(content))
        if not isinstance(item, (int, float, str)):
            raise TypeError(f"{item!r:.40} is no attribute")
        return item


def _known(known: dict[str, Value], name: Json) -> Value:
    if name not in known:
        raise ConversionError(f"the value '{name}' is used but not defined")
    return known[name]


def _bytes_as(stored: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """What has no element type of its own in the weights lies there as bytes."""
    if stored.dtype != np.uint8 or dtype.name in _NATIVE.values() or stored.size % dtype.itemsize or dtype.kind == "O":
        raise ConversionError(f"the tensor '{name}' is {stored.dtype} in {WEIGHTS}, expected {dtype}")
    return stored.view(dtype)


def _dtype(name: Json) -> np.dtype | None:
    return None if name is None else types.named(_text(name))


def _shape(shape: Json) -> types.Shape | None:
    if shape is None:
        return None
    return tuple(dim if dim is None or isinstance(dim, str) else _whole(dim) for dim in shape)


def _text(item: Json) -> str:
    if not isinstance(item, str):
        raise TypeError(f"a string expected, found {item!r:.40}")
    return item


def _whole(item: Json) -> int:
    if not isinstance(item, int) or isinstance(item, bool) or item < 0:
        raise TypeError(f"a size expected, found {item!r:.40}")
    return item
