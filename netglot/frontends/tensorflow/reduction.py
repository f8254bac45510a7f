"""Reductions, running sums, counts. Semantics: TensorFlow's core/ops/math_ops.cc."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar, wide
from netglot.ir.graph import Value

MAX_RUN = 4096  # elements of an axis along which a logarithm of sums runs: its square is computed

_REDUCTIONS: Mapping[str, str] = {
    "Sum": "ReduceSum", "Prod": "ReduceProd", "Max": "ReduceMax", "Min": "ReduceMin", "Any": "ReduceMax",
    "All": "ReduceMin", "EuclideanNorm": "ReduceL2",
}  # fmt: skip


def _reduction(onnx: str) -> Callable[..., Value]:
    def function(g: TFBuilder, x: Value, axes: Value, *, keep_dims: bool = False) -> Value:
        return reduced(g, onnx, x, _axes(g, x, axes), keep_dims)

    return function


for _name, _onnx in _REDUCTIONS.items():
    tf_op(_name)(_reduction(_onnx))


def reduced(g: TFBuilder, onnx: str, x: Value, axes: list[int], keep: bool) -> Value:
    """No axes mean that nothing is reduced, which is ONNX's meaning only if asked for."""
    if not axes:
        return g.Abs(x) if onnx == "ReduceL2" else x
    if x.dtype == np.bool_:
        return g.cast(g.op(onnx, [wide(g, x), axes], keepdims=int(keep)), x.dtype)
    y: Value = g.op(onnx, [wide(g, x), axes], keepdims=int(keep))
    return g.cast(y, x.dtype)


def _axes(g: TFBuilder, x: Value, axes: Value) -> list[int]:
    return sorted({g.axis(x, axis) for axis in g.ints(axes, "the list of axes to reduce")})


@tf_op("Mean")
def mean(g: TFBuilder, x: Value, axes: Value, *, keep_dims: bool = False) -> Value:
    """Of integers: their sum, divided as integers are."""
    over = _axes(g, x, axes)
    if x.dtype is not None and x.dtype.kind == "f":
        return g.ReduceMean(x, over, keepdims=int(keep_dims)) if over else x
    total = reduced(g, "ReduceSum", x, over, keep_dims)
    return g.cast(g.Div(wide(g, total), g.cast(_count(g, x, over), wide(g, total).dtype)), x.dtype)


def _count(g: TFBuilder, x: Value, axes: list[int]) -> Value:
    """How many elements are reduced to one."""
    sizes = g.Gather(g.Shape(x), np.array(axes, np.int64))
    return g.ReduceProd(sizes, [0], keepdims=0)


@tf_op("L2Loss")
def l2_loss(g: TFBuilder, x: Value) -> Value:
    """Half the sum of all squares."""
    return g.Mul(g.ReduceSumSquare(x, keepdims=0), scalar(g, 0.5, x))


@tf_op("ArgMax")
def arg_max(g: TFBuilder, x: Value, dimension: Value, *, output_type: Any = np.int64) -> Value:
    return _arg(g, "ArgMax", x, dimension, output_type)


@tf_op("ArgMin")
def arg_min(g: TFBuilder, x: Value, dimension: Value, *, output_type: Any = np.int64) -> Value:
    return _arg(g, "ArgMin", x, dimension, output_type)


def _arg(g: TFBuilder, onnx: str, x: Value, dimension: Value, to: Any) -> Value:
    """ONNX Runtime's kernels lack 64-bit integers: those are refused there, not made narrower here."""
    axis = g.axis(x, g.ints(dimension, "the axis")[0])
    return g.cast(g.op(onnx, [wide(g, x)], axis=axis, keepdims=0), to)


# --------------------------------------------------------------------- running


@tf_op("Cumsum")
def cumsum(g: TFBuilder, x: Value, axis: Value, *, exclusive: bool = False, reverse: bool = False) -> Value:
    return _running(g, "CumSum", x, axis, exclusive, reverse)


@tf_op("Cumprod")
def cumprod(g: TFBuilder, x: Value, axis: Value, *, exclusive: bool = False, reverse: bool = False) -> Value:
    return _running(g, "CumProd", x, axis, exclusive, reverse)


def _running(g: TFBuilder, onnx: str, x: Value, axis: Value, exclusive: bool, reverse: bool) -> Value:
    over = np.array(g.axis(x, g.ints(axis, "the axis")[0]), np.int64)
    y = g.op(onnx, [wide(g, x), over], exclusive=int(exclusive), reverse=int(reverse))
    return g.cast(y, x.dtype)


@tf_op("CumulativeLogsumexp")
def cumulative_logsumexp(
    g: TFBuilder, x: Value, axis: Value, *, exclusive: bool = False, reverse: bool = False
) -> Value:
    """Every element's own logarithm of a sum: one running sum would lose what is small beside the largest.

    The logarithm of the sum of nothing is -inf.
    """
    over = g.axis(x, g.ints(axis, "the axis")[0])
    size = x.shape[over] if x.shape else None
    if not isinstance(size, int) or size > MAX_RUN:
        raise g.unsupported(f"along an axis of unknown size or of more than {MAX_RUN}")
    order = [i for i in range(x.rank) if i != over] + [over]
    seen = np.tri(size, k=-1 if exclusive else 0, dtype=bool)
    seen = seen.T if reverse else seen
    rows = g.Where(seen, g.Unsqueeze(g.Transpose(x, perm=order), [-2]), scalar(g, np.finfo(x.dtype).min, x))
    sums = g.Where(seen.any(1), g.ReduceLogSumExp(rows, [-1], keepdims=0), scalar(g, -np.inf, x))
    return g.Transpose(sums, perm=[order.index(i) for i in range(x.rank)])


# ---------------------------------------------------------------------- counts


@tf_op("Bincount")
def bincount(g: TFBuilder, x: Value, size: Value, weights: Value) -> Value:
    """How often each number below `size` occurs in x, or the sum of the weights beside it; larger ones do not count."""
    flat = g.Reshape(x, [-1])
    return _counts(g, flat, size, g.Reshape(weights, [-1]) if not _is_empty(weights) else weights, binary=False)


@tf_op("DenseBincount")
def dense_bincount(g: TFBuilder, x: Value, size: Value, weights: Value, *, binary_output: bool = False) -> Value:
    """The same for a vector, or for each row of a matrix."""
    return _counts(g, x, size, weights, binary_output)


def _counts(g: TFBuilder, x: Value, size: Value, weights: Value, binary: bool) -> Value:
    exact = np.int64 if weights.dtype is not None and weights.dtype.kind in "iu" else weights.dtype
    hits = g.OneHot(g.cast(x, np.int64), g.cast(size, np.int64), g.constant([0, 1], exact), axis=-1)
    if binary:
        return g.cast(g.ReduceMax(hits, [-2], keepdims=0), weights.dtype)
    if not _is_empty(weights):
        hits = g.Mul(hits, g.Unsqueeze(g.cast(weights, exact), [-1]))
    return g.cast(g.ReduceSum(hits, [-2], keepdims=0), weights.dtype)


def _is_empty(weights: Value) -> bool:
    return weights.shape is not None and 0 in weights.shape
