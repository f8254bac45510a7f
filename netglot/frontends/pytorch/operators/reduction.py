"""Reductions. Semantics: torch's documentation of each function, and native/ReduceOps.cpp where it is silent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from netglot.frontends.pytorch.builder import Number, Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import kernel
from netglot.ir.graph import Value

Dims = int | Sequence[int] | None

MAX_PAIRS = 4096  # elements of an axis each of which is compared with each

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_SMALL = {np.dtype(t) for t in (np.bool_, np.int8, np.uint8, np.int16, np.uint16)}


def kind(x: Value) -> str:
    """The kind of a tensor's elements: b, i, u, f; bfloat16 is a float too."""
    assert x.dtype is not None
    return "f" if x.dtype == _BFLOAT16 else x.dtype.kind


def wide(g: TorchBuilder, x: Value) -> Value:
    """`x` in a type that holds it exactly and that every kernel of ONNX Runtime has."""
    if x.dtype in _SMALL:
        return g.cast(x, np.int32)
    return g.cast(x, np.float32) if x.dtype == _BFLOAT16 else x


def single(g: TorchBuilder, x: Value) -> Value:
    """Half precision as float32, in which torch computes what takes several steps."""
    return g.cast(x, np.float32) if x.dtype in (np.float16, _BFLOAT16) else x


def reduced(g: TorchBuilder, onnx: str, x: Value, axes: Sequence[int], keep: bool) -> Value:
    """One of ONNX's reductions along `axes`; a scalar has none."""
    y: Value = g.op(onnx, [x, g.constant(np.array(axes, np.int64)) if x.rank else None], keepdims=int(keep))
    return y


def count(g: TorchBuilder, x: Value, axes: Sequence[int], like: Value) -> Value:
    """How many elements are reduced to one, in the type of `like`."""
    sizes = [g.size(x, axis) for axis in axes]
    if all(isinstance(size, int) for size in sizes):
        return g.number(math.prod(size for size in sizes if isinstance(size, int)), like.dtype)
    return g.cast(g.ReduceProd(g.shape(sizes), [0], keepdims=0), like.dtype)


def _over(g: TorchBuilder, x: Value, dim: Dims) -> list[int]:
    return sorted(g.axes(dim, x.rank))


# -------------------------------------------------------------------------- sums


@aten("sum", "sum.dim_IntList")
def sum_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None) -> Value:
    """Of integers and booleans: an int64."""
    return _total(g, "ReduceSum", x, _over(g, x, dim), keepdim, dtype)


@aten("prod", "prod.dim_int")
def prod(
    g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    return _total(g, "ReduceProd", x, _over(g, x, dim), keepdim, dtype)


def _total(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool, dtype: np.dtype | None) -> Value:
    to = dtype or (x.dtype if kind(x) == "f" else np.dtype(np.int64))
    if to == np.bool_:
        x = g.cast(x, np.bool_)
    return g.cast(reduced(g, onnx, wide(g, g.cast(x, to)), axes, keep), to)


@aten("mean", "mean.dim")
def mean(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None) -> Value:
    to = dtype or x.dtype
    return g.cast(reduced(g, "ReduceMean", wide(g, g.cast(x, to)), _over(g, x, dim), keepdim), to)


@aten("nansum")
def nansum(
    g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    return sum_(g, _without_nan(g, x)[0], dim=dim, keepdim=keepdim, dtype=dtype)


@aten("nanmean")
def nanmean(
    g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    to, axes = dtype or x.dtype, _over(g, x, dim)
    known, is_known = _without_nan(g, single(g, x))
    total = reduced(g, "ReduceSum", known, axes, keepdim)
    return g.cast(g.Div(total, reduced(g, "ReduceSum", g.cast(is_known, total.dtype), axes, keepdim)), to)


def _without_nan(g: TorchBuilder, x: Value, instead: float = 0) -> tuple[Value, Value]:
    """`x` with another number in the place of NaN, and where there was none."""
    if kind(x) != "f":
        return x, g.Expand(g.constant(np.array(True)), g.Shape(x))
    is_nan = g.IsNaN(x)
    return g.Where(is_nan, g.number(instead, x.dtype), x), g.Not(is_nan)


@aten("logsumexp", "special_logsumexp")
def logsumexp(g: TorchBuilder, x: Value, *, dim: Dims, keepdim: bool = False) -> Value:
    """The largest element is taken out first, so that no power is infinite (ONNX does not promise that)."""
    axes = _over(g, x, dim)
    x, to = _floating(g, x)
    peak = reduced(g, "ReduceMax", x, axes, True)
    peak = finite(g, peak)
    logs = g.Log(reduced(g, "ReduceSum", g.Exp(g.Sub(x, peak)), axes, keepdim))
    return g.cast(g.Add(logs, peak if keepdim or not axes else g.Squeeze(peak, axes)), to)


def finite(g: TorchBuilder, x: Value) -> Value:
    """`x` without infinities."""
    assert x.dtype is not None
    limits = np.finfo(x.dtype)
    y: Value = g.Clip(x, g.number(limits.min, x.dtype), g.number(limits.max, x.dtype))
    return y


def _floating(g: TorchBuilder, x: Value) -> tuple[Value, np.dtype]:
    """`x` as float32 or float64, and the type of the result: float32 of integers."""
    to = x.dtype if kind(x) == "f" and x.dtype is not None else np.dtype(np.float32)
    return single(g, g.cast(x, to)), to


@aten("count_nonzero", "count_nonzero.dim_IntList")
def count_nonzero(g: TorchBuilder, x: Value, *, dim: Dims = None) -> Value:
    return reduced(g, "ReduceSum", g.cast(g.cast(x, np.bool_), np.int64), _over(g, x, dim), False)


def _indices(g: TorchBuilder, size: Value, axis: int) -> Value:
    """0, 1... size - 1, with an axis of size 1 added at `axis`."""
    scalar = g.Reshape(size, np.empty(0, np.int64))
    y: Value = g.Unsqueeze(g.Range(np.array(0, np.int64), scalar, np.array(1, np.int64)), [axis])
    return y


# --------------------------------------------------------------------- extremes


@aten("amax")
def amax(g: TorchBuilder, x: Value, *, dim: Dims = (), keepdim: bool = False) -> Value:
    return _extreme(g, "ReduceMax", x, _over(g, x, dim), keepdim)


@aten("amin")
def amin(g: TorchBuilder, x: Value, *, dim: Dims = (), keepdim: bool = False) -> Value:
    return _extreme(g, "ReduceMin", x, _over(g, x, dim), keepdim)


def _extreme(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool) -> Value:
    return g.cast(reduced(g, onnx, wide(g, x), axes, keep), x.dtype)


@aten("aminmax")
def aminmax(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    axes = _over(g, x, dim)
    return _extreme(g, "ReduceMin", x, axes, keepdim), _extreme(g, "ReduceMax", x, axes, keepdim)


@aten("max")
def max_(g: TorchBuilder, x: Value) -> Value:
    return amax(g, x)


@aten("min")
def min_(g: TorchBuilder, x: Value) -> Value:
    return amin(g, x)


@aten("max.other")
def max_other(g: TorchBuilder, x: Value, other: Value) -> Value:
    return kernel(g, "Max", *g.promoted(x, other))


@aten("min.other")
def min_other(g: TorchBuilder, x: Value, other: Value) -> Value:
    return kernel(g, "Min", *g.promoted(x, other))


@aten("max.dim")
def max_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return amax(g, x, dim=dim, keepdim=keepdim), argmax(g, x, dim=dim, keepdim=keepdim)


@aten("min.dim")
def min_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return amin(g, x, dim=dim, keepdim=keepdim), argmin(g, x, dim=dim, keepdim=keepdim)


@aten("argmax")
def argmax(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> Value:
    return _arg(g, "ArgMax", x, dim, keepdim)


@aten("argmin")
def argmin(g: TorchBuilder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> Value:
    return _arg(g, "ArgMin", x, dim, keepdim)


def _arg(g: TorchBuilder, onnx: str, x: Value, dim: int | None, keep: bool) -> Value:
    """The first of equal ones, as torch says."""
    x = wide(g, x)
    if x.rank == 0:
        return g.constant(np.array(0, np.int64))
    if dim is not None:
        y: Value = g.op(onnx, [x], axis=g.axis(dim, x.rank), keepdims=int(keep))
        return y
    first = g.op(onnx, [g.Reshape(x, [-1])], axis=0, keepdims=0)
    return g.view(first, [1] * x.rank) if keep else first


@aten("any", "any.dim")
def any_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMax", x, _over(g, x, dim), keepdim)


@aten("all", "all.dim")
def all_(g: TorchBuilder, x: Value, *, dim: Dims = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMin", x, _over(g, x, dim), keepdim)


@aten("any.dims")
def any_dims(g: TorchBuilder, x: Value, *, dim: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """An empty list reduces nothing, other than everywhere else."""
    return _truth(g, "ReduceMax", x, [] if dim == [] else _over(g, x, dim), keepdim)


@aten("all.dims")
def all_dims(g: TorchBuilder, x: Value, *, dim: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    return _truth(g, "ReduceMin", x, [] if dim == [] else _over(g, x, dim), keepdim)


def _truth(g: TorchBuilder, onnx: str, x: Value, axes: list[int], keep: bool) -> Value:
    """torch's result is a bool, but of uint8 it is uint8."""
    to = np.dtype(np.uint8 if x.dtype == np.uint8 else np.bool_)
    is_true = g.cast(x, np.bool_)
    if x.rank and not axes:
        return g.cast(is_true, to)
    return g.cast(g.cast(reduced(g, onnx, g.cast(is_true, np.int32), axes, keep), np.bool_), to)


# -------------------------------------------------------------------- variances


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
    axes, to, x = _over(g, x, dim), x.dtype, single(g, x)
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
    x, to = _floating(g, x)
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


# ------------------------------------------------------------------------ norms


@aten("norm.Scalar")
def norm(g: TorchBuilder, x: Value, *, p: Number = 2) -> Value:
    return _norm(g, x, p, list(range(x.rank)), False)


@aten("norm.ScalarOpt_dim", "norm.ScalarOpt_dim_dtype", "norm.ScalarOpt_dtype")
def norm_dim(
    g: TorchBuilder, x: Value, *, p: Number | None, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _norm(g, x, 2 if p is None else p, _over(g, x, dim), keepdim)


@aten("frobenius_norm.dim")
def frobenius_norm(g: TorchBuilder, x: Value, *, dim: Dims, keepdim: bool = False) -> Value:
    return _norm(g, x, 2, _over(g, x, dim), keepdim)


@aten("linalg_vector_norm")
def linalg_vector_norm(
    g: TorchBuilder, x: Value, *, ord: Number = 2, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _norm(g, x, ord, _over(g, x, dim), keepdim)


@aten("linalg_norm")
def linalg_norm(
    g: TorchBuilder, x: Value, *, ord: Number | None = None, dim: Dims = None, keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    """Of a vector, or with an order and two axes of a matrix."""
    x = x if dtype is None else g.cast(x, dtype)
    axes = g.axes(dim, x.rank)
    if ord is None or len(axes) == 1:
        return _norm(g, x, 2 if ord is None else ord, sorted(axes), keepdim)
    return _matrix_norm(g, x, ord, axes, keepdim)


@aten("linalg_norm.ord_str")
def linalg_norm_str(
    g: TorchBuilder, x: Value, *, ord: str, dim: Dims = None, keepdim: bool = False, dtype: np.dtype | None = None
) -> Value:
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


@aten("linalg_matrix_norm")
def linalg_matrix_norm(
    g: TorchBuilder, x: Value, *, ord: Number, dim: Sequence[int] = (-2, -1), keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


@aten("linalg_matrix_norm.str_ord")
def linalg_matrix_norm_str(
    g: TorchBuilder, x: Value, *, ord: str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    x = x if dtype is None else g.cast(x, dtype)
    return _matrix_norm(g, x, ord, g.axes(dim, x.rank), keepdim)


def _matrix_norm(g: TorchBuilder, x: Value, ord: Number | str, axes: Sequence[int], keep: bool) -> Value:
    """1: the largest sum of a column; inf: of a row; negative: the smallest. `axes`: those of rows and columns."""
    if ord == "fro":
        return _norm(g, x, 2, sorted(axes), keep)
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise g.unsupported(f"the norm {ord!r} of matrices, which needs their singular values")
    summed, compared = axes if abs(ord) == 1 else (axes[1], axes[0])
    sums = reduced(g, "ReduceL1", x, [summed], True)
    both = reduced(g, "ReduceMax" if ord > 0 else "ReduceMin", sums, [compared], True)
    return both if keep else g.Squeeze(both, sorted(axes))


def _norm(g: TorchBuilder, x: Value, p: Number, axes: Sequence[int], keep: bool) -> Value:
    """The p-norm of all elements along `axes`; the power 0 counts those that are not zero."""
    to, x = x.dtype, single(g, x)
    return g.cast(_norms(p)(g, x, p, axes, keep), to)


Norm = Callable[[TorchBuilder, Value, Number, Sequence[int], bool], Value]


def _norms(p: Number) -> Norm:
    onnx = {1.0: "ReduceL1", 2.0: "ReduceL2"}.get(float(p))
    if onnx is not None:
        return lambda g, x, _, axes, keep: reduced(g, onnx, x, axes, keep)
    if math.isinf(p):
        extreme = "ReduceMax" if p > 0 else "ReduceMin"
        return lambda g, x, _, axes, keep: reduced(g, extreme, g.Abs(x), axes, keep)
    return _nonzero if p == 0 else _power


def _nonzero(g: TorchBuilder, x: Value, _: Number, axes: Sequence[int], keep: bool) -> Value:
    return reduced(g, "ReduceSum", g.cast(g.cast(x, np.bool_), x.dtype), axes, keep)


def _power(g: TorchBuilder, x: Value, p: Number, axes: Sequence[int], keep: bool) -> Value:
    powers = g.Pow(g.Abs(x), g.number(p, x.dtype))
    root: Value = g.Pow(reduced(g, "ReduceSum", powers, axes, keep), g.number(1 / p, x.dtype))
    return root


# ----------------------------------------------------------------- order statistics


@aten("median")
def median(g: TorchBuilder, x: Value) -> Value:
    """The lower one of two in the middle; NaN where there is one."""
    return _median(g, g.Reshape(x, [-1]), 0, False, skip=False)[0]


@aten("median.dim")
def median_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return _median(g, x, dim, keepdim, skip=False)


@aten("nanmedian")
def nanmedian(g: TorchBuilder, x: Value) -> Value:
    """Of what is not NaN; NaN where there is nothing else."""
    return _median(g, g.Reshape(x, [-1]), 0, False, skip=True)[0]


@aten("nanmedian.dim")
def nanmedian_dim(g: TorchBuilder, x: Value, *, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    return _median(g, x, dim, keepdim, skip=True)


def ranked(g: TorchBuilder, x: Value, axis: int, k: Size, *, largest: bool = False) -> tuple[Value, Value]:
    """The `k` smallest in order, and where they were."""
    found: tuple[Value, Value] = g.op("TopK", [x, g.shape([k])], outputs=2, axis=axis, largest=int(largest))
    return found


def _median(g: TorchBuilder, x: Value, dim: int, keep: bool, *, skip: bool) -> tuple[Value, Value]:
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis, to, x = g.axis(dim, x.rank), x.dtype, wide(g, x)
    is_float = kind(x) == "f"
    numbers, is_number = _without_nan(g, x, math.inf) if is_float else (x, None)
    values, indices = ranked(g, numbers, axis, g.size(x, axis))
    if is_number is None:
        middle = g.number(g.size(x, axis), np.int64)
        at = g.Expand(_halfway(g, middle), g.shape([1 if i == axis else g.size(x, i) for i in range(x.rank)]))
    else:
        how_many = reduced(g, "ReduceSum", g.cast(is_number, np.int64), [axis], True)
        at = _halfway(g, how_many if skip else g.Expand(count(g, x, [axis], how_many), g.Shape(how_many)))
    value, index = (g.GatherElements(item, at, axis=axis) for item in (values, indices))
    if is_number is not None:
        value, index = _nan_where(g, value, index, is_number, axis, every=skip)
    if not keep:
        value, index = g.Squeeze(value, [axis]), g.Squeeze(index, [axis])
    return g.cast(value, to), index


def _halfway(g: TorchBuilder, how_many: Value) -> Value:
    """(n - 1) // 2, and 0 of nothing."""
    zero, one, two = (np.array(n, np.int64) for n in range(3))
    y: Value = g.Div(g.Max(g.Sub(how_many, one), zero), two)
    return y


def _nan_where(
    g: TorchBuilder, value: Value, index: Value, is_number: Value, axis: int, *, every: bool
) -> tuple[Value, Value]:
    """NaN, and where the first one is, where any (or every) element along the axis is NaN."""
    flags = g.cast(is_number, np.int32)
    fine = g.cast(reduced(g, "ReduceMax" if every else "ReduceMin", flags, [axis], True), np.bool_)
    first = g.ArgMin(flags, axis=axis, keepdims=1)
    return g.Where(fine, value, g.number(math.nan, value.dtype)), g.Where(fine, index, first)


@aten("mode")
def mode(g: TorchBuilder, x: Value, *, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The most frequent value, the smallest of equally frequent ones, and where it is last."""
    if x.rank == 0:
        return x, g.constant(np.array(0, np.int64))
    axis, to, x = g.axis(dim, x.rank), x.dtype, wide(g, x)
    size = g.known(g.size(x, axis), "the size of the axis")
    if size > MAX_PAIRS:
        raise g.unsupported(f"along an axis of more than {MAX_PAIRS}")
    equal = g.Equal(g.Unsqueeze(x, [axis]), g.Unsqueeze(x, [axis + 1]))
    often = reduced(g, "ReduceSum", g.cast(equal, np.int32), [axis], False)
    is_most = g.Equal(often, reduced(g, "ReduceMax", often, [axis], True))
    value = reduced(g, "ReduceMin", g.Where(is_most, x, g.number(_largest(x), x.dtype)), [axis], True)
    index = g.ArgMax(g.cast(g.Equal(x, value), np.int32), axis=axis, keepdims=1, select_last_index=1)
    if not keepdim:
        value, index = g.Squeeze(value, [axis]), g.Squeeze(index, [axis])
    return g.cast(value, to), index


def _largest(x: Value) -> float:
    assert x.dtype is not None
    return math.inf if kind(x) == "f" else int(np.iinfo(x.dtype).max)


@aten("quantile", "nanquantile")
def quantile(
    g: TorchBuilder, x: Value, q: Value, *, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:  # fmt: skip
    """A new first axis for those of q, unless it is a scalar."""
    return _quantile(g, x, q, dim, keepdim, interpolation)


@aten("quantile.scalar", "nanquantile.scalar")
def quantile_scalar(
    g: TorchBuilder, x: Value, *, q: float, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:  # fmt: skip
    return _quantile(g, x, g.number(q, x.dtype), dim, keepdim, interpolation)


def _quantile(g: TorchBuilder, x: Value, q: Value, dim: int | None, keep: bool, interpolation: str) -> Value:
    """The axis is brought to the end, sorted, and read at the (perhaps broken) rank q * (n - 1)."""
    rank, flat = x.rank, dim is None
    axis = 0 if flat or not rank else g.axis(dim or 0, rank)
    rows = g.Reshape(x, [-1]) if flat or not rank else x
    order = [i for i in range(rows.rank) if i != axis] + [axis]
    rows = g.Transpose(rows, perm=order) if order != sorted(order) else rows
    numbers, is_number = _without_nan(g, rows, math.inf)
    values, _ = ranked(g, numbers, rows.rank - 1, g.size(rows, -1))
    how_many = reduced(g, "ReduceSum", g.cast(is_number, np.int64), [rows.rank - 1], True)
    skip = g.target.startswith("aten.nanquantile")
    last = g.Sub(how_many if skip else count(g, rows, [rows.rank - 1], how_many), np.array(1, np.int64))
    ranks = g.Mul(g.cast(g.Max(last, np.array(0, np.int64)), x.dtype), g.Reshape(q, [-1]))
    found = _at_rank(g, values, _spread_over(g, ranks, rows), interpolation)
    is_whole = g.cast(how_many, np.bool_) if skip else g.Equal(how_many, count(g, rows, [rows.rank - 1], how_many))
    found = g.Where(is_whole, found, g.number(math.nan, found.dtype))
    return _with_axes(g, found, q.rank, list(range(rank)) if flat else [axis][:rank], rank, keep)


def _spread_over(g: TorchBuilder, ranks: Value, rows: Value) -> Value:
    """The ranks for every row."""
    lead = [g.size(rows, i) for i in range(rows.rank - 1)]
    y: Value = g.Expand(ranks, g.shape([*lead, g.size(ranks, -1)]))
    return y


def _at_rank(g: TorchBuilder, values: Value, ranks: Value, interpolation: str) -> Value:
    whole = {"lower": "Floor", "higher": "Ceil", "nearest": "Round"}.get(interpolation)
    axis = values.rank - 1
    if whole is not None:
        y: Value = g.GatherElements(values, g.cast(g.op(whole, [ranks]), np.int64), axis=axis)
        return y
    floor = g.Floor(ranks)
    below = g.GatherElements(values, g.cast(floor, np.int64), axis=axis)
    above = g.GatherElements(values, g.cast(g.Ceil(ranks), np.int64), axis=axis)
    weight = g.number(0.5, ranks.dtype) if interpolation == "midpoint" else g.Sub(ranks, floor)
    mixed: Value = g.Add(below, g.Mul(weight, g.Sub(above, below)))
    return g.Where(g.Equal(below, above), below, mixed)  # of two infinities too


def _with_axes(g: TorchBuilder, found: Value, q_rank: int, axes: list[int], rank: int, keep: bool) -> Value:
    """The quantiles come first, or not at all if there was one only; `axes` stay with the size 1 if wanted."""
    first = g.Transpose(found, perm=[found.rank - 1, *range(found.rank - 1)]) if found.rank > 1 else found
    if keep and axes:
        first = g.Unsqueeze(first, [axis + 1 for axis in axes])
    return first if q_rank else g.Squeeze(first, [0])
