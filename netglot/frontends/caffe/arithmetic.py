"""Caffe layers that combine blobs element by element."""

from __future__ import annotations

from functools import reduce
from typing import Literal

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.textproto import Message
from netglot.ir.graph import Value


def factor(
    g: CaffeBuilder, x: Value, blob: Value | None, axis: int, num_axes: int, filler: Message | None, default: float
) -> Value:
    """The second operand of Scale or Bias, a bottom or a learned blob, shaped to broadcast from `axis` of x on."""
    from_bottom = g.bottoms == 2 and blob is not None
    scalar = num_axes == 0 if not from_bottom or blob is None else blob.rank == 0
    first = 0 if scalar else g.axis(x, axis)
    if from_bottom and blob is not None:
        return g.Reshape(blob, [*blob.sizes, *(1,) * (x.rank - first - blob.rank)])
    last = x.rank if num_axes == -1 else first + num_axes
    return g.filled(blob, filler, default, *x.sizes[first:last], *(1,) * (x.rank - last))


@caffe_layer("Bias")
def bias(
    g: CaffeBuilder, x: Value, bias: Value | None = None, *, axis: int = 1, num_axes: int = 1,
    filler: Message | None = None,
) -> Value:  # fmt: skip
    return g.Add(x, factor(g, x, bias, axis, num_axes, filler, 0.0))


@caffe_layer("Scale")
def scale(
    g: CaffeBuilder, x: Value, scale: Value | None = None, bias: Value | None = None, *, axis: int = 1,
    num_axes: int = 1, bias_term: bool = False, filler: Message | None = None, bias_filler: Message | None = None,
) -> Value:  # fmt: skip
    """x * scale + bias, both broadcast from `axis` on (scale_layer.cpp)."""
    by = factor(g, x, scale, axis, num_axes, filler, 1.0)
    y = g.Mul(x, by)
    return g.Add(y, g.filled(bias, bias_filler, 0.0, *by.sizes)) if bias_term else y


@caffe_layer("Axpy")
def axpy(g: CaffeBuilder, a: Value, x: Value, y: Value) -> Value:
    """a x + y with one `a` for each channel: SENet's fork."""
    return g.Add(g.Mul(x, g.Reshape(a, [*x.sizes[:2], *(1,) * (x.rank - 2)])), y)


@caffe_layer("Eltwise")
def eltwise(
    g: CaffeBuilder, *xs: Value, operation: Literal["PROD", "SUM", "MAX"] = "SUM", coeff: tuple[float, ...] = (),
    stable_prod_grad: bool = True,
) -> Value:  # fmt: skip
    """Product, weighted sum or maximum of blobs of one shape."""
    if len({x.shape for x in xs}) != 1:
        raise ConversionError("Eltwise takes blobs of one shape", g.origin)
    if operation == "SUM":
        return weighted_sum(g, xs, coeff or (1.0,) * len(xs))
    return reduce(g.Mul if operation == "PROD" else g.Max, xs)


def weighted_sum(g: CaffeBuilder, xs: tuple[Value, ...], coeff: tuple[float, ...]) -> Value:
    if len(coeff) != len(xs):
        raise ConversionError(f"{len(coeff)} coefficients for {len(xs)} bottoms", g.origin)
    if g.in_place:  # eltwise_layer.cpp sets the top, which is the first bottom, to zero before it adds
        g.warn("Caffe loses the first bottom of a sum that is written over it; it was left out here too")
        xs, coeff = xs[1:], coeff[1:]
    total: Value | None = None
    for x, by in zip(xs, coeff, strict=True):
        minus = by == -1 and total is not None
        term = x if by == 1 or minus else g.Mul(x, by)
        total = term if total is None else g.Sub(total, term) if minus else g.Add(total, term)
    assert total is not None
    return total
