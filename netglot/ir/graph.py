"""The intermediate graph: ONNX operators on one networkx.DiGraph that alternates Nodes and Values.

`Graph.nx` holds the topology; the Node and Value objects hold what a plain graph can't: argument order, repeated
arguments, attributes, types, data. Every change goes through a mutator of Graph, which keeps both in step;
`Graph.check()` proves it. Orders, cuts and reachability are networkx's own algorithms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np

from netglot.errors import ConversionError, Origin, Problem
from netglot.ir import types
from netglot.ir.types import DType, Shape

Attributes = dict[str, Any]  # int, float, str, bytes, tuples of these, np.ndarray, Graph, or tuple[Graph, ...]


class Value:
    """A tensor: its name, type, shape and, if constant, its data (never copied, often memory-mapped).

    `layout` is how a target stores it: the permutation from logical (ONNX) to physical axes, or None for as it is.
    """

    __slots__ = ("data", "dtype", "layout", "name", "shape")

    def __init__(self, name: str, dtype: DType | None, shape: Shape | None, data: np.ndarray | None = None) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.data = data
        self.layout: tuple[int, ...] | None = None

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def rank(self) -> int:
        if self.shape is None:
            raise ValueError(f"the rank of '{self.name}' is unknown")
        return len(self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as ints; ValueError where it is not fully known."""
        return types.static(self.shape)

    @property
    def array(self) -> np.ndarray:
        if self.data is None:
            raise ValueError(f"'{self.name}' is not a constant")
        return self.data

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype or '?'}[{types.text(self.shape)}]"


class Node:
    """One operation. Inputs may hold None where an optional one is left out."""

    __slots__ = ("_name", "attributes", "domain", "inputs", "op", "origin", "outputs")

    def __init__(
        self,
        op: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[Value],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        name: str = "",
        origin: Origin = Origin(),
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.attributes: Attributes = dict(attributes or {})
        self.domain = domain
        self.name = name
        self.origin = origin

    @property
    def name(self) -> str:
        """Its own name if it was given one; else that of its first output, which is unique and follows renaming."""
        return self._name or (self.outputs[0].name if self.outputs else self.op)

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def output(self) -> Value:
        """The only (or first) output."""
        return self.outputs[0]

    def input(self, index: int) -> Value | None:
        """Input `index`, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def subgraphs(self) -> Iterator[Graph]:
        for attribute in self.attributes.values():
            yield from (g for g in _as_tuple(attribute) if isinstance(g, Graph))

    def __repr__(self) -> str:
        return f"{self.op} '{self.name}'"


def _as_tuple(attribute: Any) -> tuple[Any, ...]:
    return attribute if isinstance(attribute, tuple) else (attribute,)


class Graph:
    """A network: ordered inputs and outputs, and the nodes and values between them."""

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nx: nx.DiGraph[Node | Value] = nx.DiGraph()
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.warnings: list[Problem] = []
        self._names: dict[str, Value] = {}
        self._suffixes: dict[str, int] = {}
        self._order: list[Node] | None = None  # of the nodes, as long as no edge changes: passes ask for it often

    # ------------------------------------------------------------------ reading

    def nodes(self) -> list[Node]:
        """All nodes in topological order."""
        if self._order is None:
            try:
                self._order = [item for item in nx.topological_sort(self.nx) if isinstance(item, Node)]
            except nx.NetworkXUnfeasible:
                raise ConversionError(f"the graph '{self.name}' has a cycle: {self._cycle_text()}") from None
        return list(self._order)

    def set_order(self, nodes: Sequence[Node]) -> None:
        """Makes `nodes` (all of them, in a topological order) what nodes() returns, until an edge changes."""
        self._order = list(nodes)

    def values(self) -> Iterable[Value]:
        return self._names.values()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Value:
        """The value called `name`; KeyError if there is none."""
        return self._names[name]

    def producer(self, value: Value) -> Node | None:
        return next(iter(self.nx.predecessors(value)), None)

    def consumers(self, value: Value) -> list[Node]:
        """The nodes that read `value` (once each, even if twice an argument)."""
        return list(self.nx.successors(value))

    def uses(self, value: Value) -> int:
        """How many nodes read `value`, plus how often it is an output of the graph."""
        return int(self.nx.out_degree(value)) + sum(value is out for out in self.outputs)

    def constants(self) -> Iterator[Value]:
        return (value for value in self._names.values() if value.data is not None)

    def unique_name(self, wanted: str) -> str:
        """`wanted`, or `wanted.1`, `wanted.2`... if that is taken (constant time: the last suffix is remembered)."""
        name = wanted or "value"
        while name in self._names:
            self._suffixes[wanted] = self._suffixes.get(wanted, 0) + 1
            name = f"{wanted}.{self._suffixes[wanted]}"
        return name

    # ----------------------------------------------------------------- changing

    def add_value(self, name: str, dtype: DType | None = None, shape: Shape | None = None) -> Value:
        return self._adopt(Value(self.unique_name(name), dtype, shape))

    def add_constant(self, data: np.ndarray, name: str = "constant") -> Value:
        return self._adopt(Value(self.unique_name(name), data.dtype, data.shape, data))

    def add_input(self, name: str, dtype: DType, shape: Shape | None) -> Value:
        value = self.add_value(name, dtype, shape)
        self.inputs.append(value)
        return value

    def _adopt(self, value: Value) -> Value:
        self._names[value.name] = value
        self.nx.add_node(value)
        return value

    def add_node(self, node: Node) -> Node:
        """Adds a node whose values this graph already holds (or, in a subgraph, values of an outer graph)."""
        self.nx.add_node(node)
        self._link(node)
        return node

    def _link(self, node: Node) -> None:
        self._order = None
        self.nx.add_edges_from((value, node) for value in self._reads(node))
        self.nx.add_edges_from((node, value) for value in node.outputs)

    def _reads(self, node: Node) -> Iterator[Value]:
        """Arguments of the node, and what its subgraphs capture from this graph or further out."""
        yield from (value for value in node.inputs if value is not None)
        for graph in node.subgraphs():
            yield from graph.captures()

    def captures(self) -> list[Value]:
        """Values of an outer graph that this subgraph reads."""
        read = [item for item in self.nx if isinstance(item, Value) and self.nx.out_degree(item)] + self.outputs
        return list(dict.fromkeys(value for value in read if not self._owns(value)))

    def _owns(self, value: Value) -> bool:
        return self._names.get(value.name) is value

    def remove_node(self, node: Node) -> None:
        """Removes a node and its outputs, which nothing may read any more."""
        for value in node.outputs:
            if self.uses(value):
                raise ValueError(f"{node} still has readers of '{value.name}'")
        self.nx.remove_node(node)
        self._order = None
        for value in node.outputs:
            self._forget(value)

    def remove_value(self, value: Value) -> None:
        """Removes a constant or a free value that nothing reads."""
        if self.uses(value) or self.producer(value):
            raise ValueError(f"'{value.name}' is still in use")
        self._forget(value)

    def _forget(self, value: Value) -> None:
        self.nx.remove_node(value)
        del self._names[value.name]

    def set_inputs(self, node: Node, inputs: Sequence[Value | None]) -> None:
        self.nx.remove_edges_from(list(self.nx.in_edges(node)))
        node.inputs = tuple(inputs)
        self._link(node)

    def replace_uses(self, old: Value, new: Value) -> None:
        """Every reader of `old`, graph outputs included, reads `new` instead.

        An output keeps its name: where `old` is an output of the graph, `new` takes over its name, unless `new` is an
        input or an output already (then the caller must keep an Identity between them).
        """
        if any(old is out for out in self.outputs):
            self._replace_output(old, new)
        for node in self.consumers(old) if old in self.nx else ():
            for graph in node.subgraphs():
                graph.replace_uses(old, new)
            self.set_inputs(node, [new if value is old else value for value in node.inputs])

    def _replace_output(self, old: Value, new: Value) -> None:
        """A subgraph's outputs have no name to keep where they are captured: only their order counts."""
        if self._owns(old):
            if new in self.inputs or new in self.outputs or new.is_constant or not self._owns(new):
                raise ValueError(f"the output '{old.name}' can't become '{new.name}', which has a name of its own")
            self.swap_names(old, new)
        self.outputs = [new if out is old else out for out in self.outputs]

    def swap_names(self, a: Value, b: Value) -> None:
        """For a value that takes the place of an output, which keeps its name."""
        a.name, b.name = b.name, a.name
        self._names[a.name], self._names[b.name] = a, b

    def rename(self, value: Value, name: str) -> None:
        """Gives `value` the free name `name`."""
        if self._names.get(name, value) is not value:
            raise ValueError(f"the name '{name}' is taken")
        del self._names[value.name]
        value.name = name
        self._names[name] = value

    # ------------------------------------------------------------ whole graphs

    def copy(self) -> Graph:
        """A structural copy; constant data is shared."""
        return self._copy({})

    def _copy(self, known: dict[Value, Value]) -> Graph:
        other = Graph(self.name)
        other.warnings = list(self.warnings)
        known = dict(known)
        for value in self._names.values():
            twin = known[value] = other._adopt(Value(value.name, value.dtype, value.shape, value.data))
            twin.layout = value.layout
        for node in self.nodes():
            other.add_node(_copy_node(node, known))
        other.inputs = [known[value] for value in self.inputs]
        other.outputs = [known.get(value, value) for value in self.outputs]
        return other

    def inline(self, body: Graph, known: Mapping[Value, Value]) -> list[Value]:
        """Adds copies of the nodes of `body`; returns what its outputs are here.

        `known` says what stands for its inputs, and for those of its constants that are here already. Nested subgraphs
        may come to hide names that they read: see passes/bodies.py.
        """
        known = dict(known)
        for value in body.constants():
            if value not in known and value.data is not None:
                known[value] = self.add_constant(value.data, value.name)
        for node in body.nodes():
            known |= {value: self.add_value(value.name, value.dtype, value.shape) for value in node.outputs}
            self.add_node(_copy_node(node, known))
        return [known.get(value, value) for value in body.outputs]

    def cut(self, inputs: Sequence[Value] | None = None, outputs: Sequence[Value] | None = None) -> None:
        """Makes `inputs` and `outputs` (existing values) the graph's own and drops what lies outside.

        ConversionError if an old input is still needed to compute the outputs.
        """
        for value in inputs or ():
            self._detach(value)
        self.outputs = list(outputs if outputs is not None else self.outputs)
        needed = self._needed()
        kept_inputs = list(inputs if inputs is not None else self.inputs)
        missing = [value.name for value in self.inputs if value in needed and value not in kept_inputs]
        if missing:
            raise ConversionError(f"the outputs still depend on {', '.join(missing)}; name them with --input too")
        self.inputs = kept_inputs
        self._drop([item for item in self.nx if item not in needed and item not in kept_inputs])

    def _detach(self, value: Value) -> None:
        """Cuts `value` off from its producer, which keeps a dangling value in its place, or from its data."""
        value.data = None
        producer = self.producer(value)
        if producer is None:
            return
        dangling = self.add_value(value.name, value.dtype, value.shape)
        self.nx.remove_edge(producer, value)
        producer.outputs = tuple(dangling if out is value else out for out in producer.outputs)
        self._link(producer)

    def _needed(self) -> set[Node | Value]:
        """Everything that the outputs depend on, with all outputs of the nodes among it."""
        roots = [value for value in self.outputs if value in self.nx]
        layers = nx.bfs_layers(self.nx.reverse(copy=False), roots)  # one walk for all outputs together
        needed: set[Node | Value] = {item for layer in layers for item in layer}.union(self.outputs)
        return needed.union(out for item in list(needed) if isinstance(item, Node) for out in item.outputs)

    def drop_unneeded(self) -> int:
        """Removes nodes and constants that no output depends on; returns how many nodes went."""
        needed = self._needed().union(self.inputs)
        dead = [item for item in self.nx if item not in needed]
        self._drop(dead)
        return sum(isinstance(item, Node) for item in dead)

    def _drop(self, items: Iterable[Node | Value]) -> None:
        for item in items:
            self.nx.remove_node(item)
            if isinstance(item, Node):
                self._order = None
            if isinstance(item, Value) and self._names.get(item.name) is item:
                del self._names[item.name]

    # ----------------------------------------------------------------- checking

    def check(self) -> None:
        """Proves the invariants, or raises ConversionError with every breach."""
        from netglot.ir.check import breaches

        problems = list(breaches(self))
        if problems:
            raise ConversionError(problems)

    def _cycle_text(self) -> str:
        cycle = [item for item, _ in nx.find_cycle(self.nx) if isinstance(item, Node)]
        return " -> ".join(node.name for node in [*cycle, cycle[0]])

    def __repr__(self) -> str:
        return f"Graph '{self.name}': {len(self.inputs)} inputs, {len(self.outputs)} outputs, {len(self.nodes())} nodes"


def _copy_node(node: Node, known: dict[Value, Value]) -> Node:
    def twin(value: Value) -> Value:
        return known.get(value, value)

    def attribute(item: Any) -> Any:
        if isinstance(item, Graph):
            return item._copy(known)
        if isinstance(item, tuple):
            return tuple(attribute(part) for part in item)
        return item

    inputs = [None if value is None else twin(value) for value in node.inputs]
    attributes = {name: attribute(item) for name, item in node.attributes.items()}
    outputs = [twin(value) for value in node.outputs]
    return Node(node.op, inputs, outputs, attributes, domain=node.domain, name=node._name, origin=node.origin)
