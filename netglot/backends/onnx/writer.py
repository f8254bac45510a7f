"""A graph as an ONNX model: the IR's operators are ONNX's, so this only spells them out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper

from netglot.backends.lowering import problem
from netglot.backends.onnx import palettes, storage
from netglot.backends.onnx.half import to_half
from netglot.backends.onnx.opset import attributes_at, ir_version, lowest_opset
from netglot.backends.onnx.quantized import fit_kernels
from netglot.errors import ConversionError, Problem, UnsupportedError
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import attribute_proto, schema, type_proto
from netglot.ir.versions import signature
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.expand_extensions import expand_extensions
from netglot.passes.integer_grids import DEQUANTIZE, QUANTIZE
from netglot.passes.pipeline import apply
from netglot.passes.shared_constants import share_constants


def save(
    graph: Graph, path: Path, *, opset: int | None = None, quantize: str | None = None,
    keep: Collection[str] = (), inside: Collection[str] = (), inline_limit: int = storage.PROTOBUF_LIMIT,
) -> int:  # fmt: skip
    """Writes `graph` (changed on the way) to `path`; returns the number of nodes written.

    `opset` is by default the lowest from 17 that holds the graph. With quantize "fp16" it computes in float16, between
    inputs and outputs as they are, but for the values that `keep` names: they are computed and read in float32 (those
    that `inside` names, too, only computed). A model of more than `inline_limit` bytes has its weights in a second
    file, `path` + ".data". Constants are streamed: no copy of the weights is made.
    Raises UnsupportedError with every node that can't be written so.
    """
    if opset is None or opset >= palettes.SINCE:
        apply(palettes.pack_palettes, graph)
    expand_extensions(graph)
    apply(fit_kernels, graph)
    apply(remove_dead_code, graph)  # weights that those replaced
    apply(share_constants, graph)
    if quantize not in (None, "fp16"):
        raise ConversionError(f"ONNX can't be written with quantize={quantize!r}; only 'fp16' is there")
    if quantize:
        to_half(graph, keep, inside)
    large = [value for value in _all_constants(graph) if storage.is_large(value)]
    builder = _Writer(opset or lowest_opset(graph), large)
    model = builder.model(graph)
    nodes = len(model.graph.node)
    if model.ByteSize() + sum(storage.size(value) for value in large) > inline_limit:
        storage.write_external(model, builder.named(large), path)
    else:
        storage.write_inline(model, builder.named(large), path)
    return nodes


def to_model(graph: Graph, given: Collection[Value] = (), *, opset: int | None = None) -> onnx.ModelProto:
    """The ModelProto of a graph without netglot operators.

    The data of `given` constants is left out and said to lie in a file: the caller hands it to the runtime.
    """
    builder = _Writer(opset or lowest_opset(graph), given)
    model = builder.model(graph)
    model.graph.initializer.extend(storage.given_in_memory(value, name) for name, value in builder.named(given))
    return model


def _all_constants(graph: Graph) -> Iterator[Value]:
    yield from graph.constants()
    for node in graph.nodes():
        for body in node.subgraphs():
            yield from _all_constants(body)


def _label(node: Node) -> str:
    """Its name, if it says more than its output's; names are a tenth of a small quantised network."""
    return "" if node.op in (QUANTIZE, DEQUANTIZE) and node.name == node.outputs[0].name else node.name


class _Writer:
    """Spells a graph out at one opset. `left_out` constants get no initializer: the caller adds it to the main graph.

    ONNX wants every name once in a model, bodies of If, Loop and Scan included; the IR only once in a graph.
    """

    def __init__(self, opset: int, left_out: Collection[Value]) -> None:
        self.opset, self.left_out = opset, set(left_out)
        self.names: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.problems: list[Problem] = []

    def model(self, graph: Graph) -> onnx.ModelProto:
        for value in graph.values():
            self.name(value)
        proto = self.graph(graph)
        if self.problems:
            raise UnsupportedError(self.problems)
        opsets = [helper.make_opsetid("", self.opset)]
        version = ir_version(self.opset)
        return helper.make_model(proto, opset_imports=opsets, ir_version=version, producer_name="netglot")

    def named(self, values: Collection[Value]) -> list[tuple[str, Value]]:
        return [(self.name(value), value) for value in values]

    def name(self, value: Value) -> str:
        if value not in self.names:
            self.names[value] = self.fresh(value.name)
        return self.names[value]

    def fresh(self, wanted: str) -> str:
        name, count = wanted, 0
        while name in self.taken:
            count += 1
            name = f"{wanted}.{count}"
        self.taken.add(name)
        return name

    def graph(self, graph: Graph) -> onnx.GraphProto:
        return helper.make_graph(
            [self.node(graph, node) for node in graph.nodes()],
            graph.name or "graph",
            [self.info(value, self.name(value)) for value in graph.inputs],
            [self.info(value, self.name(value)) for value in graph.outputs],
            [self.tensor(value) for value in graph.constants() if value not in self.left_out],
        )

    def body(self, graph: Graph) -> onnx.GraphProto:
        """The graph of an attribute: it must compute its outputs itself, each once."""
        proto = self.graph(graph)
        seen: set[Value] = set(graph.inputs).union(graph.captures(), graph.constants())
        for i, value in enumerate(graph.outputs):
            if value in seen:
                copy = proto.node.add(op_type="Identity", input=[self.name(value)], output=[self.fresh(value.name)])
                proto.output[i].CopyFrom(self.info(value, copy.output[0]))
            seen.add(value)
        return proto

    def info(self, value: Value, name: str) -> onnx.ValueInfoProto:
        return helper.make_value_info(name, type_proto(value))

    def tensor(self, value: Value) -> onnx.TensorProto:
        return numpy_helper.from_array(value.array, self.name(value))

    def node(self, graph: Graph, node: Node) -> onnx.NodeProto:
        proto = onnx.NodeProto(op_type=node.op, domain=node.domain, name=_label(node))
        attributes = attributes_at(node, self.opset)
        if attributes is None:
            self.problems.append(problem(node, f"{node.op} can't be written at opset {self.opset} as it is"))
            return proto
        proto.input.extend("" if value is None else self.name(value) for value in node.inputs)
        proto.output.extend(self.outputs(graph, node))
        op_schema = schema(node.op, node.domain, self.opset)
        proto.attribute.extend(self.attribute(op_schema, name, value) for name, value in attributes.items())
        return proto

    def outputs(self, graph: Graph, node: Node) -> Iterator[str]:
        """Names of the outputs, "" for an optional one that nobody reads: kernels may not offer it."""
        found = signature(node.op, node.domain, self.opset)
        assert found is not None
        for i, value in enumerate(node.outputs):
            formal = found.outputs[min(i, len(found.outputs) - 1)]
            optional = not formal.required and not formal.variadic
            yield "" if optional and not graph.uses(value) else self.name(value)

    def attribute(self, op_schema: onnx.defs.OpSchema | None, name: str, value: Any) -> onnx.AttributeProto:
        if isinstance(value, Graph):
            return helper.make_attribute(name, self.body(value))
        return attribute_proto(op_schema, name, value)
