"""Sorting. Semantics: MXNet's src/operator/tensor/ordering_op-inl.h; of equals the first one comes first."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value

_FLOAT = np.dtype(np.float32)


def _ranked(g: MXNetBuilder, x: Value, axis: int, k: int, ascending: bool) -> tuple[Value, Value]:
    """The first k elements of x as it is sorted along the axis, and their positions; all where k is 0."""
    count = np.array([k], np.int64) if k else g.Shape(x, start=axis, end=axis + 1)
    values, indices = g.op("TopK", [x, count], outputs=2, axis=axis, largest=int(not ascending))
    return values, indices


def _laid_out(g: MXNetBuilder, data: Value, axis: int | None) -> tuple[Value, int]:
    """What is sorted along which axis: without one, the flattened data."""
    return (g.Reshape(data, [-1]), 0) if axis is None else (data, g.axis(data, axis))


@mxnet_op("topk", "_npx_topk")
def topk(
    g: MXNetBuilder, data: Value, *, axis: int | None = -1, k: int = 1,
    ret_typ: Literal["value", "indices", "mask", "both"] = "indices", is_ascend: bool = False,
    dtype: np.dtype = _FLOAT,
) -> Value | tuple[Value, Value]:  # fmt: skip
    """The k largest elements, or smallest; `dtype` is that of the indices, which are an output beside the values."""
    x, at = _laid_out(g, data, axis)
    values, indices = _ranked(g, x, at, k, is_ascend)
    if ret_typ == "mask":
        return _mask(g, data, x, indices, at)
    found = g.cast(indices, dtype)
    return found if ret_typ == "indices" else (values, found)


def _mask(g: MXNetBuilder, data: Value, x: Value, indices: Value, axis: int) -> Value:
    """1 where the elements are, 0 elsewhere."""
    nothing = g.Expand(np.zeros((), data.dtype), g.Shape(x))
    marks = g.Expand(np.ones((), data.dtype), g.Shape(indices))
    mask = g.ScatterElements(nothing, indices, marks, axis=axis)
    return mask if x is data else g.reshaped(mask, data.shape or (), dynamic=g.Shape(data))


@mxnet_op("sort", "_npi_sort")
def sort(g: MXNetBuilder, data: Value, *, axis: int | None = -1, is_ascend: bool = True) -> tuple[Value, Value]:
    """The sorted data, and in MXNet's list a second output that nothing reads."""
    x, at = _laid_out(g, data, axis)
    return _ranked(g, x, at, 0, is_ascend)


@mxnet_op("argsort", "_npi_argsort")
def argsort(
    g: MXNetBuilder, data: Value, *, axis: int | None = -1, is_ascend: bool = True, dtype: np.dtype = _FLOAT
) -> Value:
    x, at = _laid_out(g, data, axis)
    return g.cast(_ranked(g, x, at, 0, is_ascend)[1], dtype)
