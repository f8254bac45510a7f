"""Variances, standard deviations, covariances. Semantics: torch's documentation of each function."""

from __future__ import annotations

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.operators.reduction import Dims, count, floating, over, reduced, single
from netglot.ir.graph import Value


@aten("var")
def var(g: TorchBuilder, x: Value, *, unbiased: bool = True) -> Value:
    return _moments(g, x, None, int(unbiased), False)[0]


@aten("var.dim")
def var_dim(g: TorchBuilder, x: Value, *, dim: Dims, unbiased: bool = True, keepdim: bool = False) -> Value:
    return _moments(g, x, dim, int(unbiased), keepdim)[0]


@aten("var.correction", order="self dim *")
def var_correction(
    g: TorchBuilder, x: Value, *, dim: Dims = None, correction: Number | None = None, keepdim: bool = False
) -> Value:
    return _moments(g, x, dim, correction, keepdim)[0]


@aten("std")
def std(g: TorchBuilder, x: Value, *, unbiased: bool = True) -> Value:
    return _moments(g, x, None, int(unbiased), False, root=True)[0]


@aten("std.dim")
def std_dim(g: TorchBuilder, x: Value, *, dim: Dims, unbiased: bool = True, keepdim: bool = False) -> Value:
    return _moments(g, x, dim, int(unbiased), keepdim, root=True)[0]


@aten("std.correction", order="self dim *")
def std_correction(
    g: TorchBuilder, x: Value, *, dim: Dims = None, correction: Number | None = None, keepdim: bool = False
) -> Value:
    return _moments(g, x, dim, correction, keepdim, root=True)[0]


@aten("var_mean")
def var_mean(g: TorchBuilder, x: Value, *, unbiased: bool = True) -> tuple[Value, Value]:
    return _moments(g, x, None, int(unbiased), False)


@aten("var_mean.dim")
def var_mean_dim(
    g: TorchBuilder, x: Value, *, dim: Dims, unbiased: bool = True, keepdim: bool = False
) -> tuple[Value, Value]:
    return _moments(g, x, dim, int(unbiased), keepdim)


@aten("var_mean.correction", order="self dim *")
def var_mean_correction(
    g: TorchBuilder, x: Value, *, dim: Dims = None, correction: Number | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    return _moments(g, x, dim, correction, keepdim)


@aten("std_mean")
def std_mean(g: TorchBuilder, x: Value, *, unbiased: bool = True) -> tuple[Value, Value]:
    return _moments(g, x, None, int(unbiased), False, root=True)


@aten("std_mean.dim")
def std_mean_dim(
    g: TorchBuilder, x: Value, *, dim: Dims, unbiased: bool = True, keepdim: bool = False
) -> tuple[Value, Value]:
    return _moments(g, x, dim, int(unbiased), keepdim, root=True)


@aten("std_mean.correction", order="self dim *")
def std_mean_correction(
    g: TorchBuilder, x: Value, *, dim: Dims = None, correction: Number | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    return _moments(g, x, dim, correction, keepdim, root=True)


def _moments(
    g: TorchBuilder, x: Value, dim: Dims, correction: Number | None, keep: bool, *, root: bool = False
) -> tuple[Value, Value]:
    """The variance (or its root) and the mean; the variance is divided by the number of elements less `correction`."""
    axes, to, x = over(g, x, dim), x.dtype, single(g, x)
    average = reduced(g, "ReduceMean", x, axes, True)
    centred = g.Sub(x, average)
    spread = _spread(g, g.Mul(centred, centred), axes, 1 if correction is None else correction, keep)
    average = average if keep or not axes else g.Squeeze(average, axes)
    return g.cast(g.Sqrt(spread) if root else spread, to), g.cast(average, to)


def _spread(g: TorchBuilder, squares: Value, axes: list[int], correction: Number, keep: bool) -> Value:
    if correction == 0:
        return reduced(g, "ReduceMean", squares, axes, keep)
    freedom = g.Sub(count(g, squares, axes, squares), g.number(correction, squares.dtype))
    total = reduced(g, "ReduceSum", squares, axes, keep)
    divided: Value = g.Div(total, g.Max(freedom, g.number(0, squares.dtype)))
    return divided


@aten("cov")
def cov(
    g: TorchBuilder, x: Value, fweights: Value | None = None, aweights: Value | None = None, *, correction: int = 1
) -> Value:
    """Of variables (rows) by their observations (columns), which may have weights: a number of times, an importance."""
    x, to = floating(g, x)
    x = x if x.rank == 2 else g.view(x, [1, -1])
    weights = [g.cast(part, x.dtype) for part in (fweights, aweights) if part is not None]
    weight = weights[0] if len(weights) == 1 else g.Mul(*weights) if weights else None
    total = count(g, x, [1], x) if weight is None else reduced(g, "ReduceSum", weight, [0], False)
    weighted = x if weight is None else g.Mul(x, weight)
    centred = g.Sub(x, g.Div(reduced(g, "ReduceSum", weighted, [1], True), total))
    norm = g.Sub(total, _lost(g, total, weight, aweights, correction))
    sides = centred, centred if weight is None else g.Mul(centred, weight)
    c = g.Div(g.MatMul(sides[0], g.Transpose(sides[1], perm=(1, 0))), g.Max(norm, g.number(0, x.dtype)))
    return g.cast(g.view(c, []) if (x.shape or ())[0] == 1 else c, to)


def _lost(g: TorchBuilder, total: Value, weight: Value | None, importance: Value | None, correction: int) -> Value:
    """The degrees of freedom that the mean has taken."""
    if weight is None or importance is None or correction == 0:
        return g.number(correction, total.dtype)
    squares = reduced(g, "ReduceSum", g.Mul(weight, g.cast(importance, total.dtype)), [0], False)
    lost: Value = g.Mul(g.number(correction, total.dtype), g.Div(squares, total))
    return lost


@aten("corrcoef")
def corrcoef(g: TorchBuilder, x: Value) -> Value:
    c = cov(g, x)
    if c.rank == 0:
        ratio: Value = g.Div(c, c)
        return ratio
    size = g.Shape(c, start=0, end=1)
    is_diagonal = g.Equal(_indices(g, size, 1), _indices(g, size, 0))
    deviation = g.Sqrt(reduced(g, "ReduceSum", g.Where(is_diagonal, c, g.number(0, c.dtype)), [1], False))
    scaled = g.Div(g.Div(c, g.Unsqueeze(deviation, [1])), deviation)
    clipped: Value = g.Clip(scaled, g.number(-1, c.dtype), g.number(1, c.dtype))
    return clipped


def _indices(g: TorchBuilder, size: Value, axis: int) -> Value:
    """0, 1... size - 1, with an axis of size 1 added at `axis`."""
    scalar = g.Reshape(size, np.empty(0, np.int64))
    y: Value = g.Unsqueeze(g.Range(np.array(0, np.int64), scalar, np.array(1, np.int64)), [axis])
    return y
