"""Einsum, which the frontends share."""

from __future__ import annotations

from netglot.frontends.einsum import einsum as contract
from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.ir.graph import Value


@tf_op("Einsum")
def einsum(g: TFBuilder, *xs: Value, equation: str) -> Value:
    """`equation` as NumPy's, always with an arrow."""
    return contract(g, xs, equation)
