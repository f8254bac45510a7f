"""Operators that reduce axes. TFLite reduces over any axes, so channels-last regions need not break."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike, const_ints, over_axis, reduction, reduction_of_one
from netglot.backends.tflite.activations import moved_last
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.ir.graph import Value
from netglot.passes.layout import natural_order

Reduce = Callable[[TFLiteBuilder, int, list[int]], int]  # of a tensor over physical axes, which stay as ones


def reduced(m: TFLiteBuilder, name: str, x: int | Value, axes: Sequence[int]) -> int:
    """The builtin reduction `name` over physical `axes`, which stay with size one."""
    shape = [1 if axis in axes else n for axis, n in enumerate(m.shape(x))]
    return m.emit(name, x, m.ints(sorted(axes)), options=tfl.ReducerOptionsT(keepDims=True), shape=shape)


def _l2(m: TFLiteBuilder, x: int, axes: list[int]) -> int:
    return m.emit("SQRT", reduced(m, "SUM", m.emit("SQUARE", x), axes))


def _log_sum_exp(m: TFLiteBuilder, x: int, axes: list[int]) -> int:
    """The largest is taken out first, so that nothing overflows."""
    top = reduced(m, "REDUCE_MAX", x, axes)
    return m.emit("ADD", m.emit("LOG", reduced(m, "SUM", m.emit("EXP", m.emit("SUB", x, top)), axes)), top)


REDUCTIONS: dict[str, Reduce] = {
    "ReduceSum": lambda m, x, axes: reduced(m, "SUM", x, axes),
    "ReduceMean": lambda m, x, axes: reduced(m, "MEAN", x, axes),
    "ReduceMax": lambda m, x, axes: reduced(m, "REDUCE_MAX", x, axes),
    "ReduceMin": lambda m, x, axes: reduced(m, "REDUCE_MIN", x, axes),
    "ReduceProd": lambda m, x, axes: reduced(m, "REDUCE_PROD", x, axes),
    "ReduceL1": lambda m, x, axes: reduced(m, "SUM", m.emit("ABS", x), axes),
    "ReduceL2": _l2,
    "ReduceSumSquare": lambda m, x, axes: reduced(m, "SUM", m.emit("SQUARE", x), axes),
    "ReduceLogSum": lambda m, x, axes: m.emit("LOG", reduced(m, "SUM", x, axes)),
    "ReduceLogSumExp": _log_sum_exp,
}


def _register(op: str, compute: Reduce) -> None:
    @tflite_op(op, layout=reduction)
    def reduce(
        m: TFLiteBuilder, x: Value, axes: Value | None, y: Value, *, keepdims: int, noop_with_empty_axes: int = 0
    ) -> None:
        chosen = const_ints(axes)
        if axes is not None and chosen is None:
            raise NotMappedError("the axes are computed")
        if not chosen and noop_with_empty_axes:
            raise NotMappedError("a reduction over no axes")
        logical = [axis % x.rank for axis in chosen or range(x.rank)]
        drop(m, compute(m, m.tensor(x), m.axes(x, logical)), x, y, [] if keepdims else logical)


for _op, _compute in REDUCTIONS.items():
    _register(_op, _compute)


def drop(m: TFLiteBuilder, result: int, x: Value, y: Value, axes: list[int]) -> None:
    """y = result, which is stored as x with the logical `axes` of size one, without them."""
    layout = x.layout or tuple(range(x.rank))
    kept = m.reshaped(result, [m.shape(result)[i] for i, axis in enumerate(layout) if axis not in axes])
    m.move(kept, natural_order(layout, axes), y)


def _register_global(op: str, name: str) -> None:
    @tflite_op(op, layout=alike)
    def global_pool(m: TFLiteBuilder, x: Value, y: Value) -> None:
        m.finish(reduced(m, name, x, m.axes(x, range(2, x.rank))), y)


_register_global("GlobalAveragePool", "MEAN")
_register_global("GlobalMaxPool", "REDUCE_MAX")


def _register_arg(op: str, name: str, options: type) -> None:
    @tflite_op(op, layout=reduction_of_one)
    def arg(m: TFLiteBuilder, x: Value, y: Value, *, axis: int, keepdims: int, select_last_index: int) -> None:
        """TFLite gives the first of equal ones; the last is the first from behind."""
        logical, at = axis % x.rank, m.axis(x, axis)
        shape = [n for i, n in enumerate(m.shape(x)) if i != at]
        source = m.emit("REVERSE_V2", x, m.ints([at])) if select_last_index else m.tensor(x)
        table = options(outputType=tfl.TensorType.INT64)
        index = m.emit(name, source, m.ints(at), options=table, shape=shape, dtype=np.int64)
        if select_last_index:
            index = m.emit("SUB", m.constant(x.sizes[logical] - 1, np.int64), index)
        layout = x.layout or tuple(range(x.rank))
        if keepdims:
            m.finish(m.reshaped(index, [1 if i == at else n for i, n in enumerate(m.shape(x))]), y)
        else:
            m.move(index, natural_order(layout, [logical]), y)


_register_arg("ArgMax", "ARG_MAX", tfl.ArgMaxOptionsT)
_register_arg("ArgMin", "ARG_MIN", tfl.ArgMinOptionsT)


@tflite_op("TopK", layout=over_axis)
def top_k(
    m: TFLiteBuilder, x: Value, k: Value, values: Value, indices: Value, *, axis: int, largest: int, sorted: int
) -> None:
    """TOPK_V2 is of the largest, over the last axis, and gives int32 indices."""
    count = const_ints(k)
    if count is None:
        raise NotMappedError("k is computed")
    there = moved_last(x.rank, m.axis(x, axis))
    source = m.transposed(x, there)
    source = source if largest else m.emit("NEG", source)
    shape = (*m.shape(source)[:-1], count[0])
    top, where = m.temporary(shape, x.dtype), m.temporary(shape, np.int32)
    m.op("TOPK_V2", [source, m.ints(count[0])], [top, where])
    top = top if largest else m.emit("NEG", top)
    back = [there.index(i) for i in range(x.rank)]
    m.transpose(top, values, back)
    m.transpose(m.cast(where, np.int64), indices, back)


@tflite_op("CumSum", layout=alike)
def cumsum(m: TFLiteBuilder, x: Value, axis: Value, y: Value, *, exclusive: int, reverse: int) -> None:
    at = const_ints(axis)
    if at is None:
        raise NotMappedError("the axis is computed")
    options = tfl.CumsumOptionsT(exclusive=bool(exclusive), reverse=bool(reverse))
    m.op("CUMSUM", [x, m.ints(m.axis(x, at[0]))], [y], options)
