"""Arithmetic on each element."""

from __future__ import annotations

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value


@mxnet_op("elemwise_add", "_plus", "_Plus", "_add")
def elemwise_add(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
    return g.Add(lhs, rhs)
