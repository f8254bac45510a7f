"""Operator schemas and per-node type inference, read from the onnx package and nowhere written twice.

Operators of the `netglot` domain (what ONNX has no operator for) are declared in `netglot.ir.extension` and are looked
up here beside ONNX's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TypeProto, defs, helper, shape_inference

from netglot.errors import ConversionError, Origin
from netglot.ir import types
from netglot.ir.graph import Graph, Value

OPSET = 26  # the pinned opset: the newest that the pinned ONNX Runtime runs
IR_VERSION = 10
DOMAIN = "netglot"
SMALL = {"i": 2**16, "f": 1024}  # constants up to so many elements take part in shape inference (shapes, axes, scales)

Result = tuple[np.dtype | None, types.Shape | None]


@cache
def schema(op: str, domain: str = "", version: int = OPSET) -> defs.OpSchema | None:
    """The schema of an operator, or None if there is no such operator."""
    if domain == DOMAIN:
        from netglot.ir import extension

        return extension.schema(op)
    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


@cache
def defaults(op: str, domain: str = "", version: int = OPSET) -> Mapping[str, Any]:
    """Default value of each attribute that has one."""
    found = schema(op, domain, version)
    attributes = found.attributes.items() if found else ()
    return {name: attribute(item.default_value) for name, item in attributes if item.default_value.name}


def attribute(proto: onnx.AttributeProto) -> Any:
    """The Python value of an attribute without subgraphs: int, float, str, a tuple of these, or an array."""
    value = helper.get_attribute_value(proto)
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return (
        tuple(map(_decode, value))
        if isinstance(value, list) or (hasattr(value, "__iter__") and not isinstance(value, (bytes, str)))
        else _decode(value)
    )


def _decode(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def attribute_proto(op_schema: defs.OpSchema | None, name: str, value: Any) -> onnx.AttributeProto:
    """The AttributeProto of a plain value or array (not of a Graph)."""
    if isinstance(value, np.ndarray):
        return helper.make_attribute(name, onnx.numpy_helper.from_array(value, name))
    declared = op_schema.attributes.get(name) if op_schema else None
    kind = int(declared.type.value) if declared else None  # type: ignore[attr-defined]
    if kind == onnx.AttributeProto.FLOAT:
        value = float(value)
    return helper.make_attribute(name, value, attr_type=kind)


def type_proto(value: Value) -> TypeProto:
    """The TypeProto of a value of known element type."""
    if value.dtype is None:
        return TypeProto()
    return helper.make_tensor_type_proto(types.to_onnx(value.dtype), value.shape)


def infer(
    op: str,
    domain: str,
    attributes: Mapping[str, Any],
    inputs: Sequence[Value | None],
    outputs: int,
    origin: Origin = Origin(),
) -> list[Result]:
    """Element type and shape of each output, by ONNX's own inference for that one operator.

    Raises ConversionError, with the shapes, where the operator does not accept its inputs.
    """
    if any(isinstance(value, (Graph, tuple)) and _holds_graph(value) for value in attributes.values()):
        return _infer_control_flow(attributes, outputs)
    op_schema = schema(op, domain)
    if op_schema is None:
        raise ConversionError(f"there is no operator '{op}' in the domain '{domain or 'ai.onnx'}'", origin)
    if domain == DOMAIN:
        from netglot.ir import extension

        return extension.infer(op, attributes, inputs)
    try:
        inferred = _infer(op_schema, attributes, inputs, outputs)
    except (shape_inference.InferenceError, RuntimeError, onnx.checker.ValidationError) as error:
        shapes = ", ".join(types.text(value.shape) if value else "-" for value in inputs)
        reason = str(error).strip().splitlines()[0].removeprefix("[ShapeInferenceError] ")
        raise ConversionError(f"{op} does not accept its inputs ({shapes}): {reason}", origin) from None
    return [_result(inferred.get(f"y{i}")) for i in range(outputs)]


def _infer(
    op_schema: defs.OpSchema, attributes: Mapping[str, Any], inputs: Sequence[Value | None], outputs: int
) -> dict[str, TypeProto]:
    names = ["" if value is None else f"x{i}" for i, value in enumerate(inputs)]
    node = onnx.NodeProto(op_type=op_schema.name, input=names, output=[f"y{i}" for i in range(outputs)])
    node.attribute.extend(attribute_proto(op_schema, name, value) for name, value in attributes.items())
    given = {name: value for name, value in zip(names, inputs, strict=True) if value is not None}
    small = {name: np.asarray(value.data) for name, value in given.items() if _small(value)}
    known = {name: onnx.numpy_helper.from_array(array) for name, array in small.items()}
    proto_types = {name: type_proto(value) for name, value in given.items()}
    found = shape_inference.infer_node_outputs(
        op_schema, node, proto_types, known, opset_imports=[_OPSET_ID], ir_version=IR_VERSION
    )
    if op_schema.name in _LIKE_FIRST:
        return {"y0": proto_types["x0"]}
    lacks_shape = not all(proto.tensor_type.HasField("shape") for proto in found.values()) or not found
    has_body = op_schema.has_function  # type: ignore[attr-defined]
    return _infer_function(node, proto_types) if lacks_shape and has_body else found


# Operators whose body depends on the arguments, which the onnx package can't infer; their output is like their input.
_LIKE_FIRST = {"GroupNormalization"}


def _infer_function(node: onnx.NodeProto, proto_types: Mapping[str, TypeProto]) -> dict[str, TypeProto]:
    """For operators that have no inference of their own but a body of others: only whole-model inference walks it.

    It does not fill in the defaults of attributes that the body refers to (MeanVarianceNormalization's axes).
    """
    op_schema, given = schema(node.op_type), {proto.name for proto in node.attribute}
    omitted = {name: value for name, value in defaults(node.op_type).items() if name not in given}
    node.attribute.extend(attribute_proto(op_schema, name, value) for name, value in omitted.items())
    inputs = [helper.make_value_info(name, proto) for name, proto in proto_types.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "one", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[_OPSET_ID], ir_version=IR_VERSION)
    return {info.name: info.type for info in shape_inference.infer_shapes(model, strict_mode=True).graph.output}


_OPSET_ID = helper.make_opsetid("", OPSET)


def _small(value: Value) -> bool:
    return value.data is not None and value.data.size <= SMALL.get(value.data.dtype.kind, 0)


def _result(proto: TypeProto | None) -> Result:
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.elem_type:
        return None, None
    tensor = proto.tensor_type
    shape = tuple(_dim(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return types.from_onnx(tensor.elem_type), shape


def _dim(dim: onnx.TensorShapeProto.Dimension) -> types.Dim:
    return dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None


def _holds_graph(value: Any) -> bool:
    return any(isinstance(item, Graph) for item in (value if isinstance(value, tuple) else (value,)))


def _infer_control_flow(attributes: Mapping[str, Any], outputs: int) -> list[Result]:
    """If, Loop and Scan: what all their bodies agree on (a Loop's body yields a condition first)."""
    bodies = [value for value in attributes.values() if isinstance(value, Graph)]
    results = [[(out.dtype, out.shape) for out in body.outputs] for body in bodies]
    if len(bodies) == 1:
        return [(dtype, None) for dtype, _ in results[0][-outputs:]]
    return [_agree(pair) for pair in zip(*results, strict=True)]


def _agree(results: Sequence[Result]) -> Result:
    types_, shapes = zip(*results, strict=True)
    return (types_[0] if len(set(types_)) == 1 else None), (shapes[0] if len(set(shapes)) == 1 else None)
