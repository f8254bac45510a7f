"""f(constants) -> a constant; Shape(x) and Size(x) of a known shape -> a constant."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import helper

from netglot.errors import ConversionError
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import OPSET, attribute_proto, infer, schema
from netglot.passes.match import nodes

GROWTH = 1 << 20  # bytes by which a result may exceed what it is computed from

# Cheap and deterministic. DequantizeLinear is not among them: it says that weights are quantised.
_FOLDABLE = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BitShift", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Cos", "CumSum", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Log", "MatMul",
    "Max", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pad", "Pow", "Range", "Reciprocal",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round",
    "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip


def fold_constants(graph: Graph) -> bool:
    """Computes what depends on constants only, with the onnx package's reference implementation.

    Shapes that become known on the way are filled in (Shape -> Gather -> Concat -> Reshape, as exporters write them).
    A result stays unfolded if it is more than GROWTH bytes larger than its inputs, or an output of the graph.
    """
    return any([_fold(graph, node) for node in nodes(graph)])


def _fold(graph: Graph, node: Node) -> bool:
    refined = _refine(node)
    results = _results(node) if not any(value in graph.outputs for value in node.outputs) else None
    if results is None:
        return refined
    constants = [graph.add_constant(array, value.name) for array, value in zip(results, node.outputs, strict=True)]
    names = [value.name for value in node.outputs]
    for old, new in zip(node.outputs, constants, strict=True):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    for new, name in zip(constants, names, strict=True):
        graph.rename(new, name)
    return True


def _refine(node: Node) -> bool:
    """Infers the outputs' types again, now that more inputs may be constant."""
    if all(types.is_static(value.shape) for value in node.outputs) or any(node.subgraphs()):
        return False
    try:
        found = infer(node.op, node.domain, node.attributes, node.inputs, len(node.outputs), node.origin)
    except ConversionError:
        return False
    return any([_learn(value, *result) for value, result in zip(node.outputs, found, strict=True)])


def _learn(value: Value, dtype: np.dtype | None, shape: types.Shape | None) -> bool:
    if value.dtype not in (None, dtype) or types.is_static(value.shape) or not types.is_static(shape):
        return False
    value.dtype, value.shape = dtype, shape
    return True


def _results(node: Node) -> Sequence[np.ndarray] | None:
    """The data of each output, if it can be known and is worth holding."""
    x = node.input(0)
    if node.op in ("Shape", "Size") and x is not None and types.is_static(x.shape):
        sizes = x.sizes[slice(node.attributes.get("start", 0), node.attributes.get("end"))]
        return [np.array(sizes if node.op == "Shape" else prod(x.sizes), np.int64)]
    if node.op not in _FOLDABLE or any(value is not None and not value.is_constant for value in node.inputs):
        return None
    return _evaluate(node) if _is_small(node) else None


def _is_small(node: Node) -> bool:
    given = sum(_stored_bytes(value.array) for value in node.inputs if value is not None)
    if not all(types.is_static(value.shape) and value.dtype for value in node.outputs):
        return node.op == "NonZero"  # bounded by its input
    made = sum(types.element_count(value.shape) * value.dtype.itemsize for value in node.outputs if value.dtype)
    return made <= given + GROWTH


def _stored_bytes(array: np.ndarray) -> int:
    """What lies in memory: along an axis that is broadcast, one element stands for all."""
    return array.itemsize * prod(n for n, step in zip(array.shape, array.strides, strict=True) if step)


def _evaluate(node: Node) -> Sequence[np.ndarray] | None:
    from onnx.reference import ReferenceEvaluator

    names = ["" if value is None else f"x{i}" for i, value in enumerate(node.inputs)]
    results = [f"y{i}" for i in range(len(node.outputs))]
    proto = helper.make_node(node.op, names, results)
    op_schema = schema(node.op)
    proto.attribute.extend(attribute_proto(op_schema, name, value) for name, value in node.attributes.items())
    given = {name: value.array for name, value in zip(names, node.inputs, strict=True) if value is not None}
    function = helper.make_function("netglot", "fold", list(given), results, [proto], [helper.make_opsetid("", OPSET)])
    try:
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(function).run(None, given, attributes={})
    except Exception:  # the reference raises anything; the node then stays for the target to compute
        return None
    arrays = [np.asarray(array) for array in found]
    return arrays if all(map(_fits, arrays, node.outputs)) else None


def _fits(array: np.ndarray, value: Value) -> bool:
    """Whether the reference and the schema agree on what the result is."""
    return array.dtype == value.dtype and (not types.is_static(value.shape) or array.shape == value.shape)
