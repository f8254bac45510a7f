"""Caffe layers with a weight matrix."""

from __future__ import annotations

from math import prod

from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value


@caffe_layer("InnerProduct")
def inner_product(
    g: CaffeBuilder, x: Value, weight: Value | None = None, bias: Value | None = None, *,
    num_output: int, bias_term: bool = True, axis: int = 1, transpose: bool = False,
) -> Value:  # fmt: skip
    """y = x W^T + b over everything from `axis` on (inner_product_layer.cpp)."""
    axis = g.axis(x, axis)
    lead, inner = x.sizes[:axis], prod(x.sizes[axis:])
    w = g.weight(weight, *((inner, num_output) if transpose else (num_output, inner)))
    b = g.weight(bias, num_output) if bias_term else None
    rows = x if x.rank == 2 and axis == 1 else g.Flatten(x, axis=axis)
    y = g.Gemm(rows, w, b, transB=int(not transpose))
    return y if axis == 1 else g.Reshape(y, [*lead, num_output])


@caffe_layer("Embed")
def embed(
    g: CaffeBuilder, x: Value, weight: Value | None = None, bias: Value | None = None, *,
    num_output: int, input_dim: int, bias_term: bool = True,
) -> Value:  # fmt: skip
    """Row x of the table; the indices come as floats (embed_layer.cpp)."""
    rows = g.Gather(g.weight(weight, input_dim, num_output), g.Cast(x, to=7), axis=0)
    return g.Add(rows, g.weight(bias, num_output)) if bias_term else rows
