"""Floats of other sizes: weights stored as float16, and graphs that compute in what TFLite's kernels do not."""

from __future__ import annotations

from collections.abc import Collection

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, Tensor, TFLiteBuilder
from netglot.ir.graph import Graph
from netglot.ir.half import constant_misfit
from netglot.passes.widen import BRAIN, DOUBLE, FLOAT, HALF, widen

SMALLEST = 16  # elements: below that a constant is a parameter of a formula (an epsilon, a scale), not weights


def store_as_half(m: TFLiteBuilder, keep: Collection[str] = ()) -> None:
    """w -> DEQUANTIZE(float16 w), as TFLite's float16 post-training quantisation does.

    Weights that float16 can't hold, because some are beyond its range or most vanish, stay as they are, as do those
    that `keep` names.
    """
    halved: dict[int, int] = {}
    dequantized: list[Op] = []
    for op in m.ops:
        for x in op.inputs:
            if x >= 0 and x not in halved and m.tensors[x].name not in keep and _fits(m.tensors[x]):
                halved[x] = _halve(m, x, dequantized)
        op.inputs = [halved.get(x, x) for x in op.inputs]
    m.ops = dequantized + m.ops


def _fits(tensor: Tensor) -> bool:
    data = tensor.data
    if data is None or data.dtype != FLOAT or data.size < SMALLEST:
        return False
    return not constant_misfit(data)


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
