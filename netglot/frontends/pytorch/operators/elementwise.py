"""Arithmetic and functions of single elements."""

from __future__ import annotations

from netglot.frontends.pytorch.builder import Number, Operand, TorchBuilder, aten
from netglot.ir.graph import Value


@aten("add.Tensor", "add.Scalar")
def add(g: TorchBuilder, x: Value, other: Operand, *, alpha: Number = 1) -> Value:
    a, b = g.promoted(x, other)
    if alpha != 1:
        b = g.Mul(b, g.number(alpha, b.dtype))
    if a.dtype is not None and a.dtype.kind == "b":
        return g.Or(a, b)
    return g.Add(a, b)


@aten("relu")
def relu(g: TorchBuilder, x: Value) -> Value:
    return g.Relu(x)
