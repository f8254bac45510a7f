"""Matrix products."""

from __future__ import annotations

from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.ir.graph import Value


@tflite_op("Gemm")
def gemm(
    m: TFLiteBuilder, a: Value, b: Value, c: Value | None, y: Value, *,
    alpha: float, beta: float, transA: int, transB: int,
) -> None:  # fmt: skip
    """FULLY_CONNECTED computes x W^T + bias; alpha and beta go into the constants."""
    rows = m.transposed(a, (1, 0)) if transA else m.tensor(a)
    bias = row_bias(m, c, beta, y.sizes[1])
    product = fully_connected(m, rows, weights(m, b, alpha, transB), bias)
    if c is not None and bias is None:
        product = m.emit("ADD", product, m.emit("MUL", c, float(beta)) if beta != 1 else c)
    m.finish(product, y)


def row_bias(m: TFLiteBuilder, c: Value | None, beta: float, columns: int) -> int | None:
    """beta c where it is constant and the same for each row; None where it has to be added."""
    if c is None or c.data is None or prod(c.sizes[:-1]) != 1 or c.data.size not in (1, columns):
        return None
    data = c.data.reshape(-1) if beta == 1 else np.float32(beta) * c.data.reshape(-1)
    return m.constant(data if data.size == columns else np.broadcast_to(data, (columns,)), c.dtype, c.name)


def weights(m: TFLiteBuilder, b: Value, alpha: float, transposed: int) -> int:
    """b as rows of weights, one for each output."""
    if b.data is None:
        rows = m.tensor(b) if transposed else m.transposed(b, (1, 0))
        return rows if alpha == 1 else m.emit("MUL", rows, float(alpha))
    data = b.data if transposed else b.data.T
    return m.constant(data if alpha == 1 else np.float32(alpha) * data, b.dtype, b.name)


def fully_connected(m: TFLiteBuilder, rows: int, weights: int, bias: int | None) -> int:
    """rows [..., K] times weights [M, K]: [..., M]."""
    shape = (*m.shape(rows)[:-1], m.shape(weights)[0])
    options = tfl.FullyConnectedOptionsT(keepNumDims=len(shape) != 2)
    return m.emit("FULLY_CONNECTED", rows, weights, bias, options=options, shape=shape)


@tflite_op("MatMul")
def matmul(m: TFLiteBuilder, a: Value, b: Value, y: Value) -> None:
    """A vector is a row on the left, a column on the right."""
    left = m.reshaped(a, (1, *m.shape(a))) if a.rank == 1 else m.tensor(a)
    if b.rank == 2 and b.is_constant:
        product = fully_connected(m, left, weights(m, b, 1.0, 0), None)
    else:
        right = m.reshaped(b, (*m.shape(b), 1)) if b.rank == 1 else m.tensor(b)
        batch = np.broadcast_shapes(m.shape(left)[:-2], m.shape(right)[:-2])
        shape = (*batch, m.shape(left)[-2], m.shape(right)[-1])
        if max(len(m.shape(left)), len(m.shape(right))) > 5:
            raise NotMappedError("at most three batch axes")
        product = m.emit("BATCH_MATMUL", left, right, shape=shape)
    assert prod(m.shape(product)) == prod(y.sizes)
    m.finish(product, y)
