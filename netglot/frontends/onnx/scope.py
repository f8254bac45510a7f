"""What the names in an ONNX file mean: values by name, in a graph, in a body inside it, in a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import networkx as nx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto

from netglot.errors import ConversionError, Origin, Problem
from netglot.frontends.onnx.builder import OnnxBuilder
from netglot.ir.graph import Value
from netglot.ir.types import text

LOST = Value("", None, None)  # stands for every value that an unsupported node makes
Key = tuple[str, str, str]  # domain, name and overload of an operator or function


def require_text(names: Iterable[str], origin: Origin) -> None:
    """ConversionError unless all are UTF-8: protobuf hands other strings over as bytes."""
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ConversionError(f"a name is not UTF-8 text: {wrong[0]!r}", origin)


def domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def key(item: NodeProto | FunctionProto) -> Key:
    return domain(item.domain), item.op_type if isinstance(item, NodeProto) else item.name, item.overload


@dataclass
class Scope:
    """One graph, body or function. A value is None where a function's input was left out."""

    g: OnnxBuilder
    opsets: Mapping[str, int]
    values: dict[str, Value | None] = field(default_factory=dict)
    outer: Scope | None = None
    bound: Mapping[str, AttributeProto] = field(default_factory=dict)  # the attributes of a function's call
    named: bool = True  # whether values get the file's names: not in functions, which may be called twice
    calls: tuple[Key, ...] = ()  # the functions we are in
    _taken: set[Value] = field(default_factory=set)

    def find(self, name: str, origin: Origin) -> Value | None:
        """The value called `name` here or further out."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        raise ConversionError(f"nothing computes the input '{name}'", origin)

    def define(self, name: str, value: Value | None, origin: Origin) -> Value | None:
        """Makes `name` mean `value`, or a copy if that has a name already."""
        require_text([name], origin)
        if name in self.values:
            raise ConversionError(f"'{name}' is made twice", origin, "Every value of an ONNX graph has one source.")
        if is_there(value) and self.named:
            value = self._named(value, name)
        self.values[name] = value
        return value

    def _named(self, value: Value, name: str) -> Value:
        graph = self.g.graph
        if value in self._taken or value.name not in graph or graph[value.name] is not value:
            value = self.g.Identity(value)
        if name in graph and graph[name] is not value:  # a value in between that an upgrade function made
            graph.rename(graph[name], graph.unique_name(name))
        graph.rename(value, name)
        self._taken.add(value)
        return value

    def resolve(self, protos: Sequence[AttributeProto]) -> dict[str, AttributeProto]:
        """A node's attributes; inside a function some are the caller's."""
        found = {proto.name: self.bound.get(proto.ref_attr_name) if proto.ref_attr_name else proto for proto in protos}
        return {name: proto for name, proto in found.items() if proto is not None}


@dataclass
class Call:
    """One node of the file with its arguments."""

    node: NodeProto
    key: Key
    inputs: list[Value | None]
    attributes: Mapping[str, AttributeProto]
    scope: Scope
    origin: Origin

    @property
    def name(self) -> str:
        return ".".join(part for part in self.key[:2] if part)

    def problem(self, what: str, hint: str = "") -> Problem:
        shapes = ", ".join(text(value.shape) if value is not None else "-" for value in self.inputs)
        return Problem(what, self.origin, shapes, hint)


def is_there(value: Value | None) -> TypeGuard[Value]:
    return value is not None and value is not LOST


def in_order(nodes: Sequence[NodeProto], file: str) -> Sequence[NodeProto]:
    """The nodes as the file has them, or sorted where one comes before what it reads (not ONNX, but it exists)."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    reads = [[makers[name] for name in _reads(node) if name in makers] for node in nodes]
    if all(maker < i for i, of_node in enumerate(reads) for maker in of_node):
        return nodes
    order: nx.DiGraph[int] = nx.DiGraph()
    order.add_nodes_from(range(len(nodes)))
    order.add_edges_from((maker, i) for i, of_node in enumerate(reads) for maker in of_node)
    try:
        return [nodes[i] for i in nx.lexicographical_topological_sort(order)]
    except nx.NetworkXUnfeasible:
        names = [nodes[i].name or nodes[i].op_type for i, _ in nx.find_cycle(order)]
        raise ConversionError(f"the graph has a cycle: {' -> '.join([*names, names[0]])}", Origin(file)) from None


def _reads(node: NodeProto) -> Iterator[str]:
    """Inputs of the node and what its bodies read from outside."""
    yield from node.input
    for attribute in node.attribute:
        for body in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
            yield from _reads_of_body(body)


def _reads_of_body(body: GraphProto) -> Iterator[str]:
    own = {name for node in body.node for name in node.output}
    own.update(info.name for info in body.input)
    own.update(tensor.name for tensor in body.initializer)
    for node in body.node:
        yield from (name for name in _reads(node) if name not in own)
    yield from (info.name for info in body.output if info.name not in own)
