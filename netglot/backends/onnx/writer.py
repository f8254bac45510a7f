"""A graph as an ONNX model: the IR's operators are ONNX's, so this only spells them out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import IR_VERSION, OPSET, attribute_proto, schema, type_proto
from netglot.passes.expand_extensions import expand_extensions


def save(graph: Graph, path: Path) -> int:
    """Writes `graph` (changed on the way) to `path`; returns the number of nodes written."""
    expand_extensions(graph)
    model = to_model(graph)
    onnx.save(model, path)
    return len(model.graph.node)


def to_model(graph: Graph, external: Iterable[Value] = ()) -> onnx.ModelProto:
    """The ModelProto of a graph without netglot operators.

    The data of `external` constants is left out and said to lie in a file: the caller hands it to the runtime.
    """
    proto = _graph(graph, set(external))
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="netglot")


def _graph(graph: Graph, external: set[Value]) -> onnx.GraphProto:
    own = [value for value in graph.constants()]
    return helper.make_graph(
        [_node(node) for node in graph.nodes()],
        graph.name,
        [_info(value) for value in graph.inputs],
        [_info(value) for value in graph.outputs],
        [_external(value) if value in external else numpy_helper.from_array(value.array, value.name) for value in own],
    )


def _info(value: Value) -> onnx.ValueInfoProto:
    return helper.make_value_info(value.name, type_proto(value))


def _external(value: Value) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=value.name, dims=value.sizes, data_location=onnx.TensorProto.EXTERNAL)
    tensor.data_type = type_proto(value).tensor_type.elem_type
    tensor.external_data.add(key="location", value="given-in-memory")
    return tensor


def _node(node: Node) -> onnx.NodeProto:
    proto = onnx.NodeProto(op_type=node.op, domain=node.domain, name=node.name)
    proto.input.extend("" if value is None else value.name for value in node.inputs)
    proto.output.extend(value.name for value in node.outputs)
    op_schema = schema(node.op, node.domain)
    proto.attribute.extend(_attribute(op_schema, name, value) for name, value in node.attributes.items())
    return proto


def _attribute(op_schema: onnx.defs.OpSchema | None, name: str, value: Any) -> onnx.AttributeProto:
    if isinstance(value, Graph):
        return helper.make_attribute(name, _graph(value, set()))
    return attribute_proto(op_schema, name, value)
