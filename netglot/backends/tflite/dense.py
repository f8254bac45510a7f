"""Matrix products and what surrounds them."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import TFLiteBuilder, physical_permutation, tflite_op
from netglot.ir.graph import Value


@tflite_op("Gemm")
def gemm(
    m: TFLiteBuilder, a: Value, b: Value, c: Value | None, y: Value, *, alpha: float, beta: float, transA: int, transB: int
) -> None:
    """FULLY_CONNECTED computes x W^T + bias; alpha and beta go into the constants."""
    if transA or not b.is_constant or (c is not None and not (c.is_constant and c.array.size in (1, y.sizes[1]))):
        raise NotMappedError("only a constant second factor and a constant row to add")
    weights = b.array if transB else b.array.T
    bias = None if c is None else m.constant(np.broadcast_to(beta * c.array.reshape(-1), y.sizes[1:]), c.dtype, c.name)
    filters = m.constant(weights if alpha == 1 else alpha * weights, b.dtype, b.name)
    m.op("FULLY_CONNECTED", [a, filters, bias], [y], tfl.FullyConnectedOptionsT())


@tflite_op("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def flatten(m: TFLiteBuilder, x: Value, *rest: Value | None, axis: int = 0, allowzero: int = 0) -> None:
    y = rest[-1]
    assert y is not None
    m.reshape(x, y)


@tflite_op("Transpose")
def transpose(m: TFLiteBuilder, x: Value, y: Value, *, perm: tuple[int, ...] = ()) -> None:
    m.transpose(x, y, physical_permutation(x, y, perm or tuple(reversed(range(x.rank)))))


@tflite_op("Identity")
def identity(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """The layout pass puts an Identity where a value has to be stored the other way."""
    m.transpose(x, y, physical_permutation(x, y, range(x.rank)))
