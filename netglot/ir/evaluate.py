"""The value of a node whose inputs are all constant, by the onnx package's reference implementation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from netglot.ir import types
from netglot.ir.graph import Node, Value
from netglot.ir.schema import OPSET, attribute_proto, schema

# Cheap and deterministic. DequantizeLinear is not among them: it says that weights are quantised.
FOLDABLE = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BitShift", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Cos", "CumSum", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Log", "MatMul",
    "Max", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pad", "Pow", "Range", "Reciprocal",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round",
    "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip


def is_foldable(node: Node) -> bool:
    """Whether all inputs of `node` are constant and it is cheap and deterministic to compute."""
    return node.op in FOLDABLE and all(value is None or value.is_constant for value in node.inputs)


def evaluate(node: Node) -> Sequence[np.ndarray] | None:
    """The data of each output of a foldable node; None where the reference and the schema do not agree on it."""
    if node.op == "GatherElements":
        return _gather_elements(node)
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


def _gather_elements(node: Node) -> Sequence[np.ndarray] | None:
    """onnx's reference chooses among 32 rows at most, and fails beyond (np.choose)."""
    data, indices = (value.array for value in node.inputs if value is not None)
    axis = int(node.attributes.get("axis", 0)) % max(data.ndim, 1)
    within = tuple(slice(None) if i == axis else slice(size) for i, size in enumerate(indices.shape))
    try:
        return [np.take_along_axis(data[within], indices, axis)]
    except (IndexError, ValueError):  # as a target would refuse it, or not
        return None


def _fits(array: np.ndarray, value: Value) -> bool:
    """Whether the reference and the schema agree on what the result is."""
    return array.dtype == value.dtype and (not types.is_static(value.shape) or array.shape == value.shape)
