"""Layers that are a matrix product."""

from __future__ import annotations

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value


@mxnet_op("FullyConnected", "_sparse_FullyConnected")
def fully_connected(
    g: MXNetBuilder, data: Value, weight: Value, bias: Value | None = None, *, num_hidden: int, no_bias: bool = False,
    flatten: bool = True,
) -> Value:  # fmt: skip
    """data · weightᵀ + bias (fully_connected-inl.h); all axes but the first are flattened, or only the last is used."""
    x = g.Flatten(data, axis=1) if flatten and data.rank != 2 else data
    weight = g.parameter(weight, num_hidden, x.shape[-1] if x.shape else None)
    bias = None if no_bias or bias is None else g.parameter(bias, num_hidden)
    if x.rank == 2:
        return g.Gemm(x, weight, bias, transB=1)
    y = g.MatMul(x, g.Transpose(weight, perm=(1, 0)))
    return y if bias is None else g.Add(y, bias)
