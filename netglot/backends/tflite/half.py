"""Floats of other sizes: weights stored as float16, and graphs that compute in what TFLite's kernels do not."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, Tensor, TFLiteBuilder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import to_onnx

FLOAT = np.dtype(np.float32)
HALF = np.dtype(np.float16)
SMALLEST = 16  # elements: below that a constant is a parameter of a formula (an epsilon, a scale), not weights
LARGEST = float(np.finfo(HALF).max)


def store_as_half(m: TFLiteBuilder) -> None:
    """w -> DEQUANTIZE(float16 w), as TFLite's float16 post-training quantisation does.

    Weights that float16 can't hold, because they are beyond its range, stay as they are.
    """
    halved: dict[int, int] = {}
    dequantized: list[Op] = []
    for op in m.ops:
        for x in op.inputs:
            if x >= 0 and x not in halved and _fits(m.tensors[x]):
                halved[x] = _halve(m, x, dequantized)
        op.inputs = [halved.get(x, x) for x in op.inputs]
    m.ops = dequantized + m.ops


def _fits(tensor: Tensor) -> bool:
    data = tensor.data
    if data is None or data.dtype != FLOAT or data.size < SMALLEST:
        return False
    return bool(max(-data.min(), data.max()) <= LARGEST)  # false for NaN


def _halve(m: TFLiteBuilder, x: int, dequantized: list[Op]) -> int:
    """Adds the DEQUANTIZE of constant x; returns its result."""
    tensor = m.tensors[x]
    assert tensor.data is not None
    half = m.constant(tensor.data.astype(HALF), name=f"{tensor.name}/float16")
    y = m.temporary(tensor.shape, FLOAT, tensor.name)
    dequantized.append(Op(tfl.BuiltinOperator.DEQUANTIZE, [half], [y], tfl.DequantizeOptionsT()))
    return y


def widen_floats(graph: Graph) -> bool:
    """float16, bfloat16 and float64 become float32 inside; inputs and outputs keep their types through a Cast."""
    values = [value for value in graph.values() if _is_other(value)]
    if not values:
        return False
    ends = [(value, value.dtype) for value in (*graph.inputs, *graph.outputs) if _is_other(value)]
    for value in values:
        value.dtype = FLOAT
        value.data = None if value.data is None else value.data.astype(FLOAT)
    for node in graph.nodes():
        _widen_attributes(node)
    for value, dtype in ends:
        _cast_end(graph, value, dtype)
    return True


def _is_other(value: Value) -> bool:
    return value.dtype is not None and value.dtype != FLOAT and value.dtype.name in ("float16", "bfloat16", "float64")


def _widen_attributes(node: Node) -> None:
    """A Cast to one of them is a Cast to float32."""
    if node.op == "Cast" and node.output.dtype == FLOAT:
        node.attributes["to"] = to_onnx(FLOAT)


def _cast_end(graph: Graph, value: Value, dtype: np.dtype | None) -> None:
    """Puts a Cast between an input or an output of the graph, which keeps its name and type, and `value`."""
    assert dtype is not None
    twin = graph.add_value(f"{value.name}/float32", dtype, value.shape)
    graph.swap_names(value, twin)
    if value in graph.inputs:
        graph.inputs = [twin if v is value else v for v in graph.inputs]
        graph.add_node(Node("Cast", [twin], [value], {"to": to_onnx(FLOAT)}))
    else:
        graph.outputs = [twin if v is value else v for v in graph.outputs]
        graph.add_node(Node("Cast", [value], [twin], {"to": to_onnx(dtype)}))
