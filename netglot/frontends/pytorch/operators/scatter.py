"""Writing elements: scatter, index_put and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Number, TorchBuilder, aten
from netglot.frontends.pytorch.movement import broadcast_sizes, expanded, sizes_of, through, where
from netglot.frontends.pytorch.numeric import is_floating, kernel
from netglot.frontends.pytorch.operators.indexing import nonzero, one_axis, places, whole
from netglot.frontends.pytorch.operators.shape import permuted, ravel
from netglot.ir.graph import Value

# Types without a kernel, by reduction.
_HALVES = {"float16": np.float32, "bfloat16": np.float32}
_WIDER: dict[str, dict[str, Any]] = {
    "none": {}, "add": _HALVES | {"bool": np.int32}, "mul": _HALVES | {"bool": np.int32},
    "max": _HALVES | {"bool": np.int32}, "min": _HALVES | {"bool": np.int32},
}  # fmt: skip
_REDUCTIONS = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "mul": "mul",
               "amax": "max", "amin": "min", "mean": "add"}  # fmt: skip


def _elements(g: TorchBuilder, x: Value, index: Value, src: Value, axis: int, reduction: str = "none") -> Value:
    """ScatterElements in a type that has a kernel for the reduction."""

    def scattered(a: Value, b: Value) -> Value:
        return g.ScatterElements(a, index, b, axis=axis, reduction=reduction)

    return through(g, _WIDER[reduction], scattered, x, g.cast(src, x.dtype))


def _nd(g: TorchBuilder, x: Value, index: Value, src: Value, reduction: str = "none") -> Value:
    def scattered(a: Value, b: Value) -> Value:
        return g.ScatterND(a, index, b, reduction=reduction)

    return through(g, _WIDER[reduction], scattered, x, g.cast(src, x.dtype))


def _of_scalar(function: Callable[..., Value]) -> Callable[..., Value]:
    """Calls `function(g, x, ...)` with tensors of at least one axis; the result has as many as `x`."""

    def called(g: TorchBuilder, x: Value, *tensors: Value, **options: Any) -> Value:
        if x.rank:
            return function(g, x, *[one_axis(g, tensor) for tensor in tensors], **options)
        return g.view(function(g, one_axis(g, x), *[one_axis(g, tensor) for tensor in tensors], **options), [])

    return called


# ------------------------------------------------------------------------- scatter


@_of_scalar
def _scattered(g: TorchBuilder, x: Value, index: Value, src: Value, *, dim: int, reduction: str = "none") -> Value:
    """`src` may be larger than the index along any axis: what is beyond it is not read."""
    if src.shape != index.shape or None in (src.shape or (None,)):
        rank = index.rank
        src = g.Slice(src, np.zeros(rank, np.int64), g.Shape(index), np.arange(rank))
    return _elements(g, x, whole(g, index), src, g.axis(dim, x.rank), reduction)


@_of_scalar
def _filled(g: TorchBuilder, x: Value, index: Value, *, dim: int, value: Any, reduction: str = "none") -> Value:
    """A number at every place of the index."""
    return _elements(g, x, whole(g, index), _like(g, index, g.number(value, x.dtype)), g.axis(dim, x.rank), reduction)


def _like(g: TorchBuilder, index: Value, value: Value) -> Value:
    """One number, in the shape of the index."""
    return expanded(g, value, sizes_of(g, index))


@aten("scatter.src", order="self dim index src")
def scatter(g: TorchBuilder, x: Value, index: Value, src: Value, *, dim: int) -> Value:
    return _scattered(g, x, index, src, dim=dim)


@aten("scatter_add", order="self dim index src")
def scatter_add(g: TorchBuilder, x: Value, index: Value, src: Value, *, dim: int) -> Value:
    return _scattered(g, x, index, src, dim=dim, reduction="add")


@aten("scatter.value", order="self dim index value")
def scatter_value(g: TorchBuilder, x: Value, index: Value, *, dim: int, value: Number) -> Value:
    return _filled(g, x, index, dim=dim, value=value)


@aten("scatter.reduce", order="self dim index src")
def scatter_with(g: TorchBuilder, x: Value, index: Value, src: Value, *, dim: int, reduce: str) -> Value:
    return _scattered(g, x, index, src, dim=dim, reduction=_reduction(g, reduce))


@aten("scatter.value_reduce", order="self dim index value")
def scatter_value_with(g: TorchBuilder, x: Value, index: Value, *, dim: int, value: Number, reduce: str) -> Value:
    return _filled(g, x, index, dim=dim, value=value, reduction=_reduction(g, reduce))


def _reduction(g: TorchBuilder, name: str) -> str:
    if name not in _REDUCTIONS:
        raise g.unsupported(f"the reduction '{name}'")
    return _REDUCTIONS[name]


@aten("scatter_reduce.two", order="self dim index src reduce")
def scatter_reduce(
    g: TorchBuilder, x: Value, index: Value, src: Value, *, dim: int, reduce: str, include_self: bool = True
) -> Value:
    """Without `include_self` what was at the places that are written counts for nothing."""
    reduction = _reduction(g, reduce)
    start = x if include_self else _filled(g, x, index, dim=dim, value=_neutral(reduction, x.dtype))
    y = _scattered(g, start, index, src, dim=dim, reduction=reduction)
    if reduction in ("max", "min"):
        return _with_nan(g, y, start, index, src, dim) if is_floating(x) else y
    if reduce != "mean":
        return y
    counts = g.number(1 if include_self else 0, x.dtype)
    counts = _filled(g, expanded(g, counts, sizes_of(g, x)), index, dim=dim, value=1, reduction="add")
    if not include_self:  # what nothing was written to stays as it is
        counts = through(g, _HALVES, lambda a: g.Max(a, np.ones((), a.dtype)), counts)
    return _mean(g, y, counts)


def _with_nan(g: TorchBuilder, y: Value, x: Value, index: Value, src: Value, dim: int) -> Value:
    """NaN wherever one takes part: ONNX leaves open what a reduction makes of it."""
    before, new = (g.cast(kernel(g, "IsNaN", tensor), np.int32) for tensor in (x, src))
    taken = g.cast(_scattered(g, before, index, new, dim=dim, reduction="max"), np.bool_)
    return where(g, taken, g.number(np.nan, y.dtype), y)


def _mean(g: TorchBuilder, total: Value, counts: Value) -> Value:
    """Of integers rounded down, as torch does."""
    if is_floating(total):
        return through(g, {"bfloat16": np.float32}, lambda a, b: g.Div(a, b), total, counts)
    return g.Div(g.Sub(total, g.Mod(total, counts)), counts)


def _neutral(reduction: str, dtype: Any) -> Any:
    """What changes nothing in a reduction."""
    if reduction in ("add", "mul"):
        return 0 if reduction == "add" else 1
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if reduction == "max" else limits.max
    return -np.inf if reduction == "max" else np.inf


# ------------------------------------------------------------------------- along one axis


def _columns(g: TorchBuilder, index: Value, source: Value, axis: int) -> Value:
    """The index [n] of an axis for every element of `source`."""
    column = g.view(whole(g, index), [-1 if i == axis else 1 for i in range(source.rank)])
    return expanded(g, column, [*sizes_of(g, source)[:axis], -1, *sizes_of(g, source)[axis + 1 :]])


@_of_scalar
def _rows(g: TorchBuilder, x: Value, index: Value, source: Value, *, dim: int, reduction: str = "none") -> Value:
    """The slices of `source` written to (or added to...) those of `x` that the index [n] names."""
    axis = g.axis(dim, x.rank)
    if axis == 0:
        return _nd(g, x, g.Unsqueeze(g.cast(index, np.int64), [1]), source, reduction)
    return _elements(g, x, _columns(g, index, source, axis), source, axis, reduction)


@aten("index_add", order="self dim index source")
def index_add(g: TorchBuilder, x: Value, index: Value, source: Value, *, dim: int, alpha: Number = 1) -> Value:
    scaled = source if alpha == 1 else through(
        g, {"bfloat16": np.float32}, lambda a: g.Mul(a, g.number(alpha, a.dtype)), source
    )  # fmt: skip
    return _rows(g, x, index, scaled, dim=dim, reduction="add")


@aten("index_copy", order="self dim index source")
def index_copy(g: TorchBuilder, x: Value, index: Value, source: Value, *, dim: int) -> Value:
    return _rows(g, x, index, source, dim=dim)


@aten("index_fill.int_Scalar", order="self dim index value")
def index_fill(g: TorchBuilder, x: Value, index: Value, *, dim: int, value: Number) -> Value:
    return index_fill_tensor(g, x, index, g.number(value, x.dtype), dim=dim)


@aten("index_fill.int_Tensor", order="self dim index value")
def index_fill_tensor(g: TorchBuilder, x: Value, index: Value, value: Value, *, dim: int) -> Value:
    axis, index = g.axis(dim, x.rank), one_axis(g, index)
    sizes = sizes_of(g, one_axis(g, x))
    return _rows(g, x, index, expanded(g, value, [*sizes[:axis], g.size(index, 0), *sizes[axis + 1 :]]), dim=dim)


@aten("index_reduce", order="self dim index source reduce")
def index_reduce(
    g: TorchBuilder, x: Value, index: Value, source: Value, *, dim: int, reduce: str, include_self: bool = True
) -> Value:
    source = one_axis(g, source)
    columns = _columns(g, one_axis(g, index), source, g.axis(dim, x.rank))
    return scatter_reduce(g, x, columns, source, dim=dim, reduce=reduce, include_self=include_self)


# ------------------------------------------------------------------------- anywhere


@aten("index_put", "_unsafe_index_put")
def index_put(
    g: TorchBuilder, x: Value, indices: list[Value | None], values: Value, *, accumulate: bool = False
) -> Value:
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    values = g.cast(values, x.dtype)
    if not given:
        return _combined(g, x, expanded(g, values, sizes_of(g, x)), accumulate)
    axis, only = given[0]
    if len(given) == 1 and only.dtype in (np.bool_, np.uint8):
        chosen = _one_for_all(g, x, only, values, axis)
        if chosen is not None:
            return where(g, _mask_of(g, x, only, axis), _combined(g, x, chosen, accumulate), x)
    return _put_at(g, x, indices, values, "add" if accumulate else "none")


def _combined(g: TorchBuilder, x: Value, values: Value, accumulate: bool) -> Value:
    wider = {"bfloat16": np.float32, "bool": np.int32}
    return through(g, wider, lambda a, b: g.Add(a, b), x, values) if accumulate else values


def _mask_of(g: TorchBuilder, x: Value, mask: Value, axis: int) -> Value:
    """The mask of axes from `axis` on, to be broadcast against `x`."""
    behind = x.rank - axis - mask.rank
    mask = g.cast(mask, np.bool_)
    return g.Unsqueeze(mask, np.arange(mask.rank, mask.rank + behind)) if behind else mask


def _one_for_all(g: TorchBuilder, x: Value, mask: Value, values: Value, axis: int) -> Value | None:
    """`values` to be broadcast against `x`, if they are the same for every place of the mask; otherwise None."""
    behind = x.rank - axis - mask.rank
    place = values.rank - behind - 1  # the axis that counts the places of the mask
    if place < 0:
        return values
    if (values.shape or ())[place] != 1:
        return None
    extra = np.arange(place, place + mask.rank - 1)
    return g.Unsqueeze(values, extra) if mask.rank > 1 else values


def _put_at(g: TorchBuilder, x: Value, indices: list[Value | None], values: Value, reduction: str) -> Value:
    at = places(g, indices)
    order = at.order(x.rank)
    rest = [g.size(x, axis) for axis in order[len(at.axes) :]]
    of_index = [g.size(at.index, i) for i in range(at.index.rank - 1)]
    values = expanded(g, values, [*rest[: at.front], *of_index, *rest[at.front :]])
    count = len(of_index)
    front = [*range(at.front, at.front + count), *range(at.front), *range(at.front + count, len(rest) + count)]
    y = _nd(g, permuted(g, x, order), at.index, permuted(g, values, front), reduction)
    return permuted(g, y, [order.index(axis) for axis in range(x.rank)])


@aten("put")
def put(g: TorchBuilder, x: Value, index: Value, source: Value, *, accumulate: bool = False) -> Value:
    flat, at, values = (ravel(g, one_axis(g, tensor)) for tensor in (x, index, source))
    y = _elements(g, flat, whole(g, at), values, 0, "add" if accumulate else "none")
    return g.view(y, sizes_of(g, x))


@aten("masked_scatter")
def masked_scatter(g: TorchBuilder, x: Value, mask: Value, source: Value) -> Value:
    """The first elements of `source`, in order, at the places of the mask."""
    sizes = broadcast_sizes(g, x, mask)
    x, mask = (one_axis(g, expanded(g, tensor, sizes)) for tensor in (x, mask))
    at = nonzero(g, mask)
    values = g.Slice(ravel(g, one_axis(g, source)), [0], g.Shape(at, start=0, end=1), [0])
    y = _nd(g, x, at, values)
    return y if sizes else g.view(y, [])
