"""Runs the nodes of a Symbol: each becomes what its operator's function makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from netglot.errors import ConversionError, Problem, UnsupportedError
from netglot.frontends.mxnet.attributes import read_attributes
from netglot.frontends.mxnet.builder import MXNetBuilder
from netglot.frontends.mxnet.params import Params
from netglot.frontends.mxnet.symbol import Entry, Layer, Symbol
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text
from netglot.registry import Operator, SignatureError, registry

Outputs = tuple[Value, ...] | None  # None: of a node that is not supported, or that reads from one

_SENSELESS = (ValueError, TypeError, ArithmeticError, IndexError, KeyError, MemoryError)


class Runner:
    """Runs symbols into graphs, and collects what is not supported."""

    def __init__(self, graph: Graph, params: Params) -> None:
        self.main, self.params = graph, params  # parameters are those of the whole network, also in a body
        self.constants: dict[str, Value] = {}  # of the parameters that are read
        self.problems: list[Problem] = []
        self.named: set[Value] = set()

    def run(self, symbol: Symbol, given: Mapping[int, Value], g: MXNetBuilder) -> list[Value | None]:
        """The values of the symbol's outputs. `given` are those of its variables, by node."""
        results: dict[int, Outputs] = {index: (value,) for index, value in given.items()}
        needed, read = symbol.needed(), _read(symbol)
        for index, layer in enumerate(symbol.layers):
            if index in needed and not layer.is_variable:
                results[index] = self.layer(layer, results, frozenset(read[index]), g)
        return [self.entry(symbol.layers[head[0]], head, results, g) for head in symbol.heads]

    def body(self, symbol: Symbol, arguments: Sequence[Value], g: MXNetBuilder) -> list[Value]:
        """The outputs of a node's body (Layer.subgraphs) for `arguments`, in the order of its variables, built by g."""
        found = self.run(symbol, dict(zip(symbol.variables, arguments, strict=True)), g)
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            raise UnsupportedError([])  # what it is has been noted
        return values

    def entry(self, layer: Layer, entry: Entry, results: Mapping[int, Outputs], g: MXNetBuilder) -> Value | None:
        """What node `entry` computes; None where that is not supported."""
        index, output = entry
        outputs = results[index]
        if outputs is None:
            return None
        if output >= len(outputs):
            self.problems.append(Problem(f"{layer.op}: its output {output} is not supported", layer.origin))
            return None
        return outputs[output]

    def layer(self, layer: Layer, results: Mapping[int, Outputs], read: frozenset[int], g: MXNetBuilder) -> Outputs:
        operator = registry.find("mxnet", layer.op)
        inputs = [results.get(source) for source, _ in layer.inputs]
        if operator is None:
            self.problems.append(_unsupported(layer, inputs))
            return None
        skipped = unread(operator, layer)
        values = [
            None if position in skipped else self.entry(layer, entry, results, g)
            for position, entry in enumerate(layer.inputs)
        ]
        if any(value is None and position not in skipped for position, value in enumerate(values)):
            return None
        try:
            return self.call(operator, layer, values, read, g)
        except UnsupportedError as error:
            self.problems += error.problems
            return None

    def call(
        self, operator: Operator, layer: Layer, inputs: list[Value | None], read: frozenset[int], g: MXNetBuilder
    ) -> Outputs:
        before = g.layer, g.read
        g.layer, g.read = layer, read
        try:
            with g.at(layer.origin):
                outputs = _called(operator, layer, g, [*inputs, *self.implied(operator, layer, g)])
                return tuple(self.named_output(operator, layer, outputs, i, g) for i in range(len(outputs)))
        finally:
            g.layer, g.read = before

    def implied(self, operator: Operator, layer: Layer, g: MXNetBuilder) -> list[Value]:
        """The inputs that a file leaves out: before 0.9 auxiliary states were not among them. Their names are fixed."""
        missing = [p for p in operator.positional[len(layer.inputs) :] if p.default is p.empty]
        return [self.parameter(f"{layer.name}_{p.name}", g) for p in missing]

    def parameter(self, name: str, g: MXNetBuilder) -> Value:
        """The constant of a parameter; one without data where the file has none (see MXNetBuilder.parameter)."""
        if name not in self.constants:
            array = self.params.get(name)
            self.constants[name] = value = (
                self.main.add_value(name, self.float_type) if array is None else self.main.add_constant(array, name)
            )
            g.missing |= {value} if array is None else set()
        return self.constants[name]

    @property
    def float_type(self) -> np.dtype:
        """The type of numbers that nothing says: that of the parameters where they agree."""
        found = {array.dtype for array in self.params.values() if array.dtype.kind == "f"}
        return found.pop() if len(found) == 1 else np.dtype(np.float32)

    def named_output(
        self, operator: Operator, layer: Layer, outputs: Sequence[Value], index: int, g: MXNetBuilder
    ) -> Value:
        """The value, called as MXNet calls it; one that has a name already is given another by an Identity."""
        value = outputs[index]
        if value.is_constant:
            return value
        if value in self.named or value.name not in g.graph or g.graph[value.name] is not value:
            value = g.Identity(value)
        self.named.add(value)
        name = output_name(operator, layer, index, len(outputs))
        if value.name != name:
            g.graph.rename(value, g.graph.unique_name(name))
        return value


def output_name(operator: Operator | None, layer: Layer, index: int, count: int) -> str:
    """As Symbol::ListOutputNames in nnvm's symbolic.cc."""
    names = operator.options["outputs"] if operator else ()
    suffix = names[index] if index < len(names) else "output" if count == 1 else f"output{index}"
    return f"{layer.name}_{suffix}" if layer.name else suffix


def unread(operator: Operator | None, layer: Layer) -> set[int]:
    """The positions of the inputs that are there for the training only."""
    labels = operator.options["labels"] if operator else ()
    positional = operator.positional if operator else []
    return {i for i, p in enumerate(positional) if p.name in labels and i < len(layer.inputs)}


def _read(symbol: Symbol) -> defaultdict[int, set[int]]:
    """Which outputs of each node are read."""
    read: defaultdict[int, set[int]] = defaultdict(set)
    for layer in symbol.layers:
        for source, output in layer.inputs:
            read[source].add(output)
    for source, output in symbol.heads:
        read[source].add(output)
    return read


def _called(operator: Operator, layer: Layer, g: MXNetBuilder, inputs: Sequence[Value | None]) -> Sequence[Value]:
    try:
        result = operator(g, inputs, read_attributes(operator, layer))
    except SignatureError as error:
        raise ConversionError(str(error), layer.origin) from None
    except _SENSELESS as error:  # numbers that make no sense together
        raise ConversionError(f"{layer.op} with these attributes: {error}", layer.origin) from None
    return result if isinstance(result, (tuple, list)) else (result,)


def _unsupported(layer: Layer, inputs: Sequence[Outputs]) -> Problem:
    near = registry.near("mxnet", layer.op)
    shapes = ", ".join(text(values[0].shape) if values else "?" for values in inputs)
    hint = f"Near: {', '.join(near)}. " if near else ""
    return Problem(
        f"there is no MXNet operator {layer.op}",
        layer.origin,
        shapes,
        hint + "Map it in a file of your own: --plugin FILE.py",
    )
