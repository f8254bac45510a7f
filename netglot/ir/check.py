"""The invariants of a Graph. A pass must leave them whole; `Graph.check()` lists every breach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set

import networkx as nx
from onnx import defs

from netglot.errors import Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import schema


def breaches(graph: Graph, outer: Set[Value] = frozenset()) -> Iterator[Problem]:
    """Every way in which `graph` is not a valid graph. `outer`: the values of enclosing graphs, which it may read."""
    yield from _topology(graph)
    yield from (() if outer else _interface(graph))
    yield from _captures(graph, outer)
    yield from _names(graph)
    yield from (problem for value in graph.values() if value in graph.nx for problem in _value(graph, value))
    nodes = [item for item in graph.nx if isinstance(item, Node)]
    yield from (problem for node in nodes for problem in _node(graph, node))
    bodies = [body for node in nodes for body in node.subgraphs()]
    around = outer | set(graph.values()) if bodies else outer  # once for all of them
    yield from (problem for body in bodies for problem in breaches(body, around))


def _topology(graph: Graph) -> Iterator[Problem]:
    if not nx.is_directed_acyclic_graph(graph.nx):
        yield Problem(f"the graph '{graph.name}' has a cycle: {graph._cycle_text()}")
    for value in graph.inputs:
        if value not in graph.nx:
            yield Problem(f"the input '{value.name}' is not in the graph")
        elif graph.producer(value) or value.is_constant:
            yield Problem(f"the input '{value.name}' is computed inside the graph")


def _interface(graph: Graph) -> Iterator[Problem]:
    """Callers know inputs and outputs by name, so each is listed once. (A body's are known by position.)"""
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        twice = [value for value, count in Counter(values).items() if count > 1]
        yield from (Problem(f"the {kind} '{value.name}' is listed twice") for value in twice)


def _captures(graph: Graph, outer: Set[Value]) -> Iterator[Problem]:
    for value in graph.captures():
        if value not in outer:
            kind = "output" if value in graph.outputs else "value"
            yield Problem(f"the {kind} '{value.name}' is not in the graph '{graph.name}' or around it")
        elif value.name in graph:
            yield Problem(f"a value of the graph '{graph.name}' hides the outer '{value.name}', which is read there")
        elif value in graph.nx and graph.producer(value):
            yield Problem(f"'{value.name}' has more than one source")


def _names(graph: Graph) -> Iterator[Problem]:
    for name, value in graph._names.items():
        if value.name != name:
            yield Problem(f"the value '{value.name}' is filed under the name '{name}'")
        if value not in graph.nx:
            yield Problem(f"the value '{name}' is not in the networkx graph")


def _value(graph: Graph, value: Value) -> Iterator[Problem]:
    producers = graph.nx.in_degree(value)
    if producers > 1 or (producers and value.is_constant):
        yield Problem(f"'{value.name}' has more than one source")
    if not producers and not value.is_constant and value not in graph.inputs:
        yield Problem(f"nothing computes '{value.name}'")
    if value.data is not None and (value.data.dtype != value.dtype or value.data.shape != value.shape):
        found = f"{value.data.dtype}[{types.text(value.data.shape)}]"
        yield Problem(f"the constant {value} holds {found}")
    if value.layout is not None and (value.shape is None or sorted(value.layout) != list(range(value.rank))):
        yield Problem(f"the layout {value.layout} is no permutation of the axes of {value}")


def _node(graph: Graph, node: Node) -> Iterator[Problem]:
    reads, writes = set(graph._reads(node)), set(node.outputs)
    if reads != set(graph.nx.predecessors(node)) or writes != set(graph.nx.successors(node)):
        yield Problem(f"the arguments of {node} and the edges of the graph differ", node.origin)
    op_schema = schema(node.op, node.domain)
    if op_schema is None:
        yield Problem(f"there is no operator '{node.op}' in the domain '{node.domain or 'ai.onnx'}'", node.origin)
    else:
        yield from _arity(node, op_schema)
        yield from _attributes(node, op_schema)


def _arity(node: Node, op_schema: defs.OpSchema) -> Iterator[Problem]:
    given = len(node.inputs)
    if not op_schema.min_input <= given <= op_schema.max_input:
        expected = f"{op_schema.min_input} to {op_schema.max_input}"
        yield Problem(f"{node} has {given} inputs, expected {expected}", node.origin)
    for formal, value in zip(op_schema.inputs, node.inputs, strict=False):
        if value is None and formal.option == defs.OpSchema.FormalParameterOption.Single:
            yield Problem(f"{node} lacks its input {formal.name}", node.origin)
    if not op_schema.min_output <= len(node.outputs) <= op_schema.max_output:
        yield Problem(f"{node} has {len(node.outputs)} outputs, expected at most {op_schema.max_output}", node.origin)


def _attributes(node: Node, op_schema: defs.OpSchema) -> Iterator[Problem]:
    unknown = [name for name in node.attributes if name not in op_schema.attributes]
    missing = [name for name, a in op_schema.attributes.items() if a.required and name not in node.attributes]
    if unknown:
        yield Problem(f"{node} has no attribute {', '.join(unknown)}", node.origin)
    if missing:
        yield Problem(f"{node} lacks the attribute {', '.join(missing)}", node.origin)
