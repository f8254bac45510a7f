"""Caffe layers that reduce axes."""

from __future__ import annotations

from typing import Literal

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value

_REDUCTIONS = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}


@caffe_layer("Reduction")
def reduction(
    g: CaffeBuilder, x: Value, *, operation: Literal["", "SUM", "ASUM", "SUMSQ", "MEAN"] = "SUM", axis: int = 0,
    coeff: float = 1.0,
) -> Value:  # fmt: skip
    """All axes from `axis` on become one number (reduction_layer.cpp)."""
    axes = list(range(g.axis(x, axis), x.rank))
    y = g.op(_REDUCTIONS[operation], [x, axes], keepdims=0)
    return y if coeff == 1 else g.Mul(y, coeff)


@caffe_layer("ArgMax", param="argmax_param")
def arg_max(g: CaffeBuilder, x: Value, *, out_max_val: bool = False, top_k: int = 1, axis: int | None = None) -> Value:
    """Places (as floats) of the largest values along `axis`, or over a whole item without it (argmax_layer.cpp).

    With an axis `out_max_val` gives the values instead; without, places and values as two channels.
    """
    along = 1 if axis is None else g.axis(x, axis)
    rows = g.Flatten(x, axis=1) if axis is None and x.rank != 2 else x
    if not 0 < top_k <= rows.sizes[along]:
        raise ConversionError(f"top_k is {top_k}, of {rows.sizes[along]} values", g.origin)
    places, values = largest(g, rows, top_k, along, with_values=out_max_val)
    if axis is not None:
        return values if out_max_val else places
    shape = [x.sizes[0], 1, top_k, *(1,) * (x.rank - 3)]
    parts = [places, values] if out_max_val else [places]
    parts = [g.Reshape(part, shape) for part in parts]
    return g.Concat(*parts, axis=1) if out_max_val else parts[0]


def largest(g: CaffeBuilder, x: Value, top_k: int, axis: int, *, with_values: bool) -> tuple[Value, Value]:
    """Places and values. Of equal values Caffe takes the last (it sorts pairs), ONNX the first: hence backwards."""
    last = x.sizes[axis] - 1
    backwards = g.Slice(x, [-1], [-last - 2], [axis], [-1])
    if top_k == 1:
        places = g.ArgMax(backwards, axis=axis, keepdims=1)
        values = g.ReduceMax(x, [axis], keepdims=1) if with_values else x
    else:
        values, places = g.TopK(backwards, [top_k], axis=axis, outputs=2)
    return g.Sub(float(last), g.Cast(places, to=1)), values
