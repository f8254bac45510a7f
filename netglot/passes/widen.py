"""Floats of types that a target does not compute in become float32."""

from __future__ import annotations

from collections.abc import Collection

import ml_dtypes
import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import to_onnx

FLOAT = np.dtype(np.float32)
HALF, BRAIN, DOUBLE = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16), np.dtype(np.float64)

_TYPES = ("to", "dtype", "output_dtype")  # attributes that name a type: of Cast, EyeLike and DequantizeLinear


def widen(graph: Graph, types: Collection[np.dtype]) -> bool:
    """Values of `types` become float32 inside; inputs and outputs keep their types through a Cast."""
    ends = dict.fromkeys(value for value in (*graph.inputs, *graph.outputs) if value.dtype in types)
    before = {value: value.dtype for value in ends}
    changed = _widen_inside(graph, types)
    for value, dtype in before.items():
        _cast_end(graph, value, dtype)
    return changed


def _widen_inside(graph: Graph, types: Collection[np.dtype]) -> bool:
    """Bodies too, with their ends: these are values of the graph around them."""
    values = [value for value in graph.values() if value.dtype in types]
    for value in values:
        value.dtype = FLOAT
        value.data = None if value.data is None else value.data.astype(FLOAT)
    changed = bool(values)
    for node in graph.nodes():
        _widen_attributes(node, types)
        for body in node.subgraphs():
            changed |= _widen_inside(body, types)
    return changed


def _widen_attributes(node: Node, types: Collection[np.dtype]) -> None:
    """A Cast to one of them is a Cast to float32."""
    numbers = {to_onnx(dtype) for dtype in types}
    for name in _TYPES:
        if node.attributes.get(name) in numbers:
            node.attributes[name] = to_onnx(FLOAT)
    filled = node.attributes.get("value")  # of ConstantOfShape
    if isinstance(filled, np.ndarray) and filled.dtype in types:
        node.attributes["value"] = filled.astype(FLOAT)


def _cast_end(graph: Graph, value: Value, dtype: np.dtype | None) -> None:
    """Puts a Cast between an input or an output of the graph, which keeps its name and type, and `value`."""
    assert dtype is not None
    twin = graph.add_value(f"{value.name}/float32", dtype, value.shape)
    graph.swap_names(value, twin)
    is_input = value in graph.inputs
    graph.inputs = [twin if x is value else x for x in graph.inputs]
    graph.outputs = [twin if x is value else x for x in graph.outputs]  # an input may be an output too
    if is_input:
        graph.add_node(Node("Cast", [twin], [value], {"to": to_onnx(FLOAT)}))
    else:
        graph.add_node(Node("Cast", [_before_cast(graph, value)], [twin], {"to": to_onnx(dtype)}))


def _before_cast(graph: Graph, value: Value) -> Value:
    """What `value` was cast from, so that it is not rounded twice."""
    maker = graph.producer(value)
    cast = maker.inputs[0] if maker is not None and maker.op == "Cast" else None
    return value if cast is None else cast
