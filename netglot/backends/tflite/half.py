"""Floats of other sizes: weights stored as float16, and graphs that compute in what TFLite's kernels do not."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, Tensor, TFLiteBuilder
from netglot.ir.graph import Graph
from netglot.passes.widen import BRAIN, DOUBLE, FLOAT, HALF, widen

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
    """float16, bfloat16 and float64 are computed as float32."""
    return widen(graph, (HALF, BRAIN, DOUBLE))
