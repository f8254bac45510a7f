"""Matrix products."""

from __future__ import annotations

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, coreml_op, is_weight
from netglot.backends.coreml.shape import reshaped


@coreml_op("Gemm")
def gemm(
    m: CoreMLBuilder, a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float, beta: float, transA: int,
    transB: int,
) -> Var:  # fmt: skip
    """MIL's linear computes x W^T + bias with constants; anything else is a matmul and an add."""
    columns = m.output.sizes[1]
    if transA or not (isinstance(b, np.ndarray) or (is_weight(b) and transB and alpha == 1)):
        y = m.matmul(x=a, y=b, transpose_x=bool(transA), transpose_y=bool(transB))
        return _plus(m, y if alpha == 1 else m.mul(x=y, y=alpha), c, beta)
    weight = b if transB else b.T
    weight = weight if alpha == 1 else (alpha * weight).astype(b.dtype)
    if isinstance(c, np.ndarray) and c.size in (1, columns) and c.shape[-1:] != (1,) * (columns > 1):
        row = np.broadcast_to((c if beta == 1 else (beta * c).astype(c.dtype)).reshape(-1), (columns,))
        return m.linear(x=a, weight=weight, bias=row)
    return _plus(m, m.linear(x=a, weight=weight), c, beta)


def _plus(m: CoreMLBuilder, y: Var, c: Tensor | None, beta: float) -> Var:
    if c is None or beta == 0:
        return y
    return m.add(x=y, y=c if beta == 1 else m.mul(x=c, y=beta))


@coreml_op("MatMul")
def matmul(m: CoreMLBuilder, a: Tensor, b: Tensor) -> Var:
    """A vector is a row on the left and a column on the right; MIL has only matrices."""
    if min(len(a.shape), len(b.shape)) > 1:
        return m.matmul(x=a, y=b)
    left = a if len(a.shape) > 1 else m.expand_dims(x=a, axes=[0])
    right = b if len(b.shape) > 1 else m.expand_dims(x=b, axes=[1])
    return reshaped(m, m.matmul(x=left, y=right), m.output.sizes)
