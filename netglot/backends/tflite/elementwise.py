"""Operators on each element."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Side, TFLiteBuilder, tflite_op
from netglot.ir.graph import Value


@tflite_op("Relu", layout=Side.FREE)
def relu(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("RELU", [x], [y])


@tflite_op("Softmax")
def softmax(m: TFLiteBuilder, x: Value, y: Value, *, axis: int) -> None:
    """TFLite's is over the last axis in memory; another is moved there and back."""
    at, rank = m.axis(x, axis), x.rank
    options = tfl.SoftmaxOptionsT(beta=1.0)
    if at == rank - 1:
        m.op("SOFTMAX", [x], [y], options)
        return
    there = [*(i for i in range(rank) if i != at), at]
    shape = [m.shape(x)[i] for i in there]
    a, b = m.temporary(f"{y.name}/in", shape, x.dtype), m.temporary(f"{y.name}/out", shape, x.dtype)
    m.transpose(x, a, there)
    m.op("SOFTMAX", [a], [b], options)
    m.transpose(b, y, [there.index(i) for i in range(rank)])
