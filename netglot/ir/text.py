"""A graph as readable text, one line a node, and back.

    graph lenet(data: float32[1x1x28x28]) -> prob {
      const w: float32[20x1x5x5] = ... 7d3a91f0
      conv1: float32[1x20x24x24] = Conv(data, w) {strides: [1, 1]}  # net.prototxt:7 conv1
      prob: float32[1x20x24x24] = Softmax(conv1)
    }

- Names that are not plain words, and symbolic dimensions, are JSON strings. `?` is an unknown dimension or element
  type; a type without brackets has an unknown rank. `_` is an input left out.
- `x: float32[1x2x3x4] stored [0, 2, 3, 1]` carries Value.layout; `@ name` after the arguments is a node's name where it
  is not that of its first output; operators of another domain are `netglot.BoxNms`.
- Attributes are numbers, strings, b"bytes" (Latin-1), lists, `tensor int64[2] [1, 2]` and nested graphs.
- A constant of up to `limit` elements shows its data. A larger one shows `...` and the CRC-32 of its bytes, so that
  two texts differ where the weights do; `parse` asks its `data` argument for it, or makes it zeros (which take no
  memory) and says so in `Graph.warnings`. A single number stands for a constant filled with it.
- `# file:line layer` is the origin of the node. Other comments are skipped.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import Shape

LIMIT = 16  # elements of a constant that are written out

_WORD = r"[A-Za-z_][\w./-]*"
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_END = r"(?![\w./-])"  # of a word
_NAME = rf"(?:{_STRING}|{_WORD})"
_RESERVED = {"_", "const", "graph", "stored", "tensor", "inf", "nan"}

Data = Callable[[str, np.dtype, tuple[int, ...]], np.ndarray]


# ----------------------------------------------------------------------- print


def to_text(graph: Graph, *, limit: int = LIMIT, origins: bool = True) -> str:
    """`graph` as text. Constants of more than `limit` elements are abbreviated; see the module's docstring."""
    return "\n".join(_Printer(limit, origins).graph(graph)) + "\n"


class _Printer:
    def __init__(self, limit: int, origins: bool) -> None:
        self.limit = limit
        self.origins = origins

    def graph(self, graph: Graph) -> Iterator[str]:
        inputs = ", ".join(map(_typed, graph.inputs))
        outputs = "".join(f" {quote(value.name)}," for value in graph.outputs).rstrip(",")
        yield f"graph {quote(graph.name)}({inputs}) ->{outputs} {{"
        for line in self.body(graph):
            yield f"  {line}"
        yield "}"

    def body(self, graph: Graph) -> Iterator[str]:
        """Each constant just before what first needs it, then the ones that nothing reads."""
        waiting = dict.fromkeys(graph.constants())
        for node in graph.nodes():
            for value in graph.nx.predecessors(node):
                if value in waiting:
                    del waiting[value]
                    yield self.constant(value)
            yield from self.node(node).split("\n")
        yield from map(self.constant, waiting)

    def constant(self, value: Value) -> str:
        return f"const {_typed(value)} = {self.data(value.array)}"

    def data(self, array: np.ndarray) -> str:
        if array.size <= self.limit:
            return _array(array)
        if not any(array.strides):
            return _array(array[(0,) * array.ndim])
        return f"... {zlib.crc32(_bytes(array)):08x}"

    def node(self, node: Node) -> str:
        outputs = ", ".join(map(_typed, node.outputs))
        op = quote(f"{node.domain}.{node.op}" if node.domain else node.op)
        inputs = ", ".join("_" if value is None else quote(value.name) for value in node.inputs)
        attributes = ", ".join(f"{quote(name)}: {self.attribute(item)}" for name, item in node.attributes.items())
        text = f"{outputs} = {op}({inputs})" + (f" {{{attributes}}}" if attributes else "")
        if node.name != (node.output.name if node.outputs else node.op):
            text += f" @ {quote(node.name)}"
        return text + (_origin(node.origin) if self.origins else "")

    def attribute(self, item: Any) -> str:
        if isinstance(item, Graph):
            return "\n".join(self.graph(item))
        if isinstance(item, np.ndarray):
            return f"tensor {_dtype(item.dtype)}[{_dims(item.shape)}] {self.data(item)}"
        if isinstance(item, (tuple, list)):
            return f"[{', '.join(map(self.attribute, item))}]"
        return _number(item)


def quote(name: str) -> str:
    """`name` as it stands if it is a plain word, else as a JSON string."""
    return name if re.fullmatch(_WORD, name, re.ASCII) and name not in _RESERVED else json.dumps(name)


def _typed(value: Value) -> str:
    shape = "" if value.shape is None else f"[{_dims(value.shape)}]"
    stored = "" if value.layout is None else f" stored {list(value.layout)}"
    return f"{quote(value.name)}: {_dtype(value.dtype)}{shape}{stored}"


def _dims(shape: Shape) -> str:
    return "x".join("?" if dim is None else json.dumps(dim) for dim in shape)


def _dtype(dtype: np.dtype | None) -> str:
    return "?" if dtype is None else types.name_of(dtype)


def _bytes(array: np.ndarray) -> bytes | memoryview:
    if array.dtype.kind == "O":
        return repr(array.tolist()).encode("utf-8", "surrogateescape")
    return np.ascontiguousarray(array).view(np.uint8).data


def _array(array: Any) -> str:
    if isinstance(array, np.ndarray) and array.ndim:
        return f"[{', '.join(map(_array, array))}]"
    return _number(array[()] if isinstance(array, np.ndarray) else array)


def _number(item: Any) -> str:
    """A number or string; a floating point number in the shortest form that reads back as the same number."""
    if isinstance(item, str):
        return json.dumps(item)
    if isinstance(item, bytes):
        return "b" + json.dumps(item.decode("latin-1"))
    if _is_int(item):
        return str(int(item))
    return _pointed(str(item) if isinstance(item, np.floating) else repr(float(item)))


def _is_int(item: Any) -> bool:
    """Python's, NumPy's, or one of ml_dtypes, whose scalars are of no common class."""
    return isinstance(item, (int, np.integer, np.bool_)) or str(getattr(item, "dtype", "")).startswith(("int", "uint"))


def _pointed(number: str) -> str:
    return number if re.search(r"[.en]", number) else f"{number}.0"


def _origin(origin: Origin) -> str:
    if origin == Origin():
        return ""
    layer = f" {quote(origin.layer)}" if origin.layer else ""
    return f"  # {quote(origin.file)}:{origin.line}{layer}"


# ----------------------------------------------------------------------- parse


def parse(text: str, data: Data | None = None) -> Graph:
    """The graph that `text` describes. ConversionError names the line where it can't be read.

    `data(name, dtype, shape)` gives the array of a constant whose data is `...`; without it these are zeros.
    """
    parser = _Parser(text, data)
    try:
        graph = parser.graph([])
        parser.expect(r"\Z", "the end of the text")
    except RecursionError:
        raise ConversionError("the text is nested too deeply") from None
    graph.warnings += parser.warnings
    return graph


Scopes = list[Graph]  # the innermost last


class _Parser:
    """A cursor over the text; each method reads one kind of thing from where it stands."""

    def __init__(self, text: str, data: Data | None) -> None:
        self.text = text
        self.position = 0
        self.data_of = data
        self.warnings: list[Problem] = []

    # -- the cursor

    def fail(self, what: str) -> ConversionError:
        line = self.text.count("\n", 0, self.position) + 1
        return ConversionError(what, Origin(line=line, file="graph text"))

    def accept(self, pattern: str) -> str | None:
        """What stands next, after blanks and comments, if it matches `pattern`; else None, and nothing is consumed."""
        found = re.compile(pattern, re.ASCII).match(self.text, self.next())
        if not found:
            return None
        self.position = found.end()
        return found[0]

    def next(self) -> int:
        """Where the next token starts."""
        found = re.compile(r"(?:\s|#[^\n]*)*").match(self.text, self.position)
        return found.end() if found else self.position

    def expect(self, pattern: str, what: str) -> str:
        found = self.accept(pattern)
        if found is None:
            self.position = self.next()
            rest = self.text[self.position :].split("\n")[0]
            raise self.fail(f"expected {what}, found '{rest[:40]}'")
        return found

    def separated(self, end: str) -> Iterator[None]:
        """Once for each item of a comma-separated list, up to and with `end`."""
        if self.accept(end):
            return
        yield
        while self.accept(","):
            yield
        self.expect(end, f"',' or '{end[-1]}'")

    def name(self, what: str = "a name") -> str:
        return self.unquote(self.expect(_NAME, what))

    def unquote(self, found: str) -> str:
        try:
            return str(json.loads(found)) if found.startswith('"') else found
        except ValueError as error:
            raise self.fail(f"bad string {found}: {error}") from None

    # -- graphs, nodes, values

    def graph(self, outer: Scopes) -> Graph:
        self.expect("graph" + _END, "'graph'")
        graph = Graph(self.name())
        scopes = [*outer, graph]
        self.expect(r"\(", "'('")
        graph.inputs = [self.value(graph) for _ in self.separated(r"\)")]
        self.expect("->", "'->'")
        outputs = [] if self.accept(r"\{") else [self.unquote(n) for n in self.output_names()]
        while not self.accept(r"\}"):
            self.statement(graph, scopes)
        graph.outputs = [self.lookup(name, scopes) for name in outputs]
        return graph

    def output_names(self) -> list[str]:
        return [self.expect(_NAME, "the name of an output") for _ in self.separated(r"\{")]

    def statement(self, graph: Graph, scopes: Scopes) -> None:
        if self.accept("const" + _END):
            value = self.value(graph)
            self.expect("=", "'='")
            if value.dtype is None or not types.is_static(value.shape):
                raise self.fail(f"the constant '{value.name}' needs an element type and a known shape")
            value.data = self.data(value.name, value.dtype, value.sizes)
            return
        outputs = [self.value(graph) for _ in self.separated("=")]
        self.node(graph, scopes, outputs)

    def value(self, graph: Graph) -> Value:
        name = self.name()
        if name in graph:
            raise self.fail(f"'{name}' is defined twice")
        self.expect(":", "':' and a type")
        dtype, shape = self.type()
        value = graph.add_value(name, dtype, shape)
        if self.accept("stored" + _END):
            value.layout = self.attribute([])
        return value

    def lookup(self, name: str, scopes: Scopes) -> Value:
        for graph in reversed(scopes):
            if name in graph:
                return graph[name]
        raise self.fail(f"'{name}' is not defined (above its use)")

    def node(self, graph: Graph, scopes: Scopes, outputs: list[Value]) -> None:
        domain, _, op = self.name("an operator").rpartition(".")
        self.expect(r"\(", "'('")
        inputs = [self.argument(scopes, outputs) for _ in self.separated(r"\)")]
        attributes = self.attributes(scopes) if self.accept(r"\{") else {}
        name = self.name() if self.accept("@") else ""
        graph.add_node(Node(op, inputs, outputs, attributes, domain=domain, name=name, origin=self.origin()))

    def argument(self, scopes: Scopes, outputs: list[Value]) -> Value | None:
        if self.accept("_" + _END):
            return None
        value = self.lookup(self.name("an argument"), scopes)
        if value in outputs:
            raise self.fail(f"'{value.name}' is computed from itself")
        return value

    def origin(self) -> Origin:
        """The comment that ends the line, if it has the form of an origin."""
        pattern = re.compile(rf"[ \t]*#[ \t]*({_NAME}):(\d{{1,9}})(?:[ \t]+({_NAME}))?[ \t]*(?:\n|\Z)", re.ASCII)
        found = pattern.match(self.text, self.position)
        if not found:
            return Origin()
        return Origin(self.unquote(found[1]), self.unquote(found[3] or ""), int(found[2]))

    # -- types and data

    def type(self) -> tuple[np.dtype | None, Shape | None]:
        dtype = self.dtype(self.expect(r"\?|\w+", "an element type"))
        return dtype, self.shape() if self.accept(r"\[") else None

    def dtype(self, name: str) -> np.dtype | None:
        if name == "?":
            return None
        try:
            return types.named(name)
        except TypeError as error:
            raise self.fail(str(error)) from None

    def shape(self) -> Shape:
        dims: list[int | str | None] = []
        while not self.accept(r"\]"):
            dim = self.expect(rf"\?|\d{{1,18}}|{_STRING}", "a dimension")
            dims.append(None if dim == "?" else self.unquote(dim) if dim.startswith('"') else int(dim))
            self.accept("x")
        return tuple(dims)

    def data(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        if not self.accept(r"\.\.\."):
            return self.array(self.attribute([]), dtype, shape)
        self.accept(r"[0-9a-f]{8}\b")
        if self.data_of:
            return self.data_of(name, dtype, shape)
        self.warnings.append(Problem(f"the data of '{name}' is not in the text; zeros stand for it"))
        return np.broadcast_to(np.zeros((), dtype), shape)

    def array(self, item: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        try:
            if dtype.kind in "iu" and any(isinstance(x, float) for x in np.array(item, object).flat):
                raise ValueError("integers have no fraction")
            array = np.array(item, dtype)
            return np.broadcast_to(array, shape) if array.ndim == 0 else array.reshape(shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.fail(f"the data does not fit the type: {error}") from None

    # -- attributes

    def attributes(self, scopes: Scopes) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        for _ in self.separated(r"\}"):
            name = self.name("the name of an attribute")
            self.expect(":", "':'")
            attributes[name] = self.attribute(scopes)
        return attributes

    def attribute(self, scopes: Scopes) -> Any:
        if self.accept(r"\["):
            return tuple([self.attribute(scopes) for _ in self.separated(r"\]")])
        if self.accept("tensor" + _END):
            dtype, shape = self.type()
            if dtype is None or not types.is_static(shape):
                raise self.fail("a tensor needs an element type and a known shape")
            return self.data("tensor", dtype, types.static(shape))
        if scopes and self.accept("(?=graph" + _END + ")") is not None:
            return self.graph(scopes)
        return self.scalar()

    def scalar(self) -> Any:
        found = self.expect(rf"b?{_STRING}|[+-]?(?:inf|nan)\b|[+-]?\d[\d.eE+-]*", "a value")
        if found.startswith("b"):
            return self.unquote(found[1:]).encode("latin-1", "replace")
        if found.startswith('"'):
            return self.unquote(found)
        try:
            return int(found) if re.fullmatch(r"[+-]?\d+", found) else float(found)
        except ValueError:
            raise self.fail(f"'{found}' is not a number") from None
