"""The invariants of a Graph. A pass must leave them whole; `Graph.check()` lists every breach."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
from onnx import defs

from netglot.errors import Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import schema


def breaches(graph: Graph) -> Iterator[Problem]:
    """Every way in which `graph` is not a valid graph."""
    yield from _topology(graph)
    yield from _names(graph)
    for item in graph.nx:
        yield from (_value(graph, item) if isinstance(item, Value) else _node(graph, item))


def _topology(graph: Graph) -> Iterator[Problem]:
    if not nx.is_directed_acyclic_graph(graph.nx):
        yield Problem(f"the graph '{graph.name}' has a cycle: {graph._cycle_text()}")
    captured = set(graph.captures())
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for value in values:
            if value not in graph.nx and value not in captured:
                yield Problem(f"the {kind} '{value.name}' is not in the graph")
    for value in graph.inputs:
        if graph.producer(value) or value.is_constant:
            yield Problem(f"the input '{value.name}' is computed inside the graph")


def _names(graph: Graph) -> Iterator[Problem]:
    for name, value in graph._names.items():
        if value.name != name:
            yield Problem(f"the value '{value.name}' is filed under the name '{name}'")
        if value not in graph.nx:
            yield Problem(f"the value '{name}' is not in the networkx graph")


def _value(graph: Graph, value: Value) -> Iterator[Problem]:
    producers = graph.nx.in_degree(value)
    captured = graph._names.get(value.name) is not value
    if producers > 1 or (producers and (value.is_constant or captured)):
        yield Problem(f"'{value.name}' has more than one source")
    if not producers and not value.is_constant and not captured and value not in graph.inputs:
        yield Problem(f"nothing computes '{value.name}'")
    if value.data is not None and (value.data.dtype != value.dtype or value.data.shape != value.shape):
        found = f"{value.data.dtype}[{types.text(value.data.shape)}]"
        yield Problem(f"the constant {value} holds {found}")


def _node(graph: Graph, node: Node) -> Iterator[Problem]:
    reads, writes = set(graph._reads(node)), set(node.outputs)
    if reads != set(graph.nx.predecessors(node)) or writes != set(graph.nx.successors(node)):
        yield Problem(f"the arguments of {node} and the edges of the graph differ", node.origin)
    op_schema = schema(node.op, node.domain)
    if op_schema is None:
        yield Problem(f"there is no operator '{node.op}' in the domain '{node.domain or 'ai.onnx'}'", node.origin)
        return
    yield from _against_schema(node, op_schema)
    for body in node.subgraphs():
        yield from breaches(body)


def _against_schema(node: Node, op_schema: defs.OpSchema) -> Iterator[Problem]:
    given = len(node.inputs)
    if not op_schema.min_input <= given <= op_schema.max_input:
        expected = f"{op_schema.min_input} to {op_schema.max_input}"
        yield Problem(f"{node} has {given} inputs, expected {expected}", node.origin)
    if not op_schema.min_output <= len(node.outputs) <= op_schema.max_output:
        yield Problem(f"{node} has {len(node.outputs)} outputs, expected at most {op_schema.max_output}", node.origin)
    unknown = [name for name in node.attributes if name not in op_schema.attributes]
    missing = [name for name, a in op_schema.attributes.items() if a.required and name not in node.attributes]
    if unknown:
        yield Problem(f"{node} has no attribute {', '.join(unknown)}", node.origin)
    if missing:
        yield Problem(f"{node} lacks the attribute {', '.join(missing)}", node.origin)
