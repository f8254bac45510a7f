"""Keras layers that merge tensors. Every one of them has its own rule for masks (layers/merging of each era)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.normalization import unit_length
from netglot.ir.graph import Value

Merge = Callable[[Any, Any], Any]


def alike(g: KerasBuilder, inputs: Sequence[Value]) -> list[Value]:
    """All with as many axes as the largest: new ones come after the batch."""
    rank = max(x.rank for x in inputs)
    return [x if x.rank == rank else g.Unsqueeze(x, list(range(1, 1 + rank - x.rank))) for x in inputs]


def merge_masks(g: KerasBuilder, inputs: Sequence[Value]) -> Value | None:
    """Keras 3: what is real in any, if all have a mask. Before: what is real in all that have one."""
    masks = [mask for mask in map(g.mask_of, inputs) if mask is not None]
    if not masks or (g.era >= 3 and len(masks) < len(inputs)):
        return None
    return reduce(g.Or if g.era >= 3 else g.And, masks)


def _two_at_least(g: KerasBuilder, inputs: Sequence[Value]) -> list[Value]:
    if len(inputs) < 1:
        raise ConversionError(f"{g.type} has nothing to merge", g.origin)
    return alike(g, inputs)


@keras_layer("Add", mask="own")
def add(g: KerasBuilder, *inputs: Value) -> Value:
    y: Value = reduce(g.Add, _two_at_least(g, inputs))
    g.set_mask(y, merge_masks(g, inputs))
    return y


@keras_layer("CustomScaleLayer", mask="drop")
def scaled_residual(g: KerasBuilder, x: Value, residual: Value, *, scale: float) -> Value:
    """x + scale * residual, of keras.applications' InceptionResNetV2."""
    return g.Add(x, g.Mul(residual, scale))


@keras_layer("Average", mask="own")
def average(g: KerasBuilder, *inputs: Value) -> Value:
    y: Value = g.Mul(reduce(g.Add, _two_at_least(g, inputs)), 1 / len(inputs))
    g.set_mask(y, merge_masks(g, inputs))
    return y


@keras_layer("Subtract", mask="own")
def subtract(g: KerasBuilder, a: Value, b: Value) -> Value:
    y: Value = g.Sub(*alike(g, [a, b]))
    g.set_mask(y, merge_masks(g, [a, b]))
    return y


@keras_layer("Multiply", mask="own")
def multiply(g: KerasBuilder, *inputs: Value) -> Value:
    """Keras 3: what is masked in one input counts as one there, and as zero where it is masked in all."""
    factors = _two_at_least(g, inputs)
    masks = _element_masks(g, inputs)
    y: Value = reduce(g.Mul, [x if m is None else g.Where(m, x, 1.0) for x, m in zip(factors, masks, strict=True)])
    known = [mask for mask in masks if mask is not None]
    if known and len(known) == len(inputs):
        y = g.Where(reduce(g.Or, known), y, 0.0)
    g.set_mask(y, merge_masks(g, inputs))
    return y


@keras_layer("Maximum", mask="own")
def maximum(g: KerasBuilder, *inputs: Value) -> Value:
    return _extreme(g, g.Max, inputs)


@keras_layer("Minimum", mask="own")
def minimum(g: KerasBuilder, *inputs: Value) -> Value:
    return _extreme(g, g.Min, inputs)


def _extreme(g: KerasBuilder, op: Merge, inputs: Sequence[Value]) -> Value:
    """Keras 3: what is masked in one of two is taken from the other (Merge._apply_merge_op_and_or_mask)."""
    result, *rest = _two_at_least(g, inputs)
    known, *masks = _element_masks(g, inputs)
    for x, mask in zip(rest, masks, strict=True):
        other = x if mask is None else g.Where(mask, x, result)
        result = result if known is None else g.Where(known, result, other)
        known = None if mask is None or known is None else g.Or(known, mask)
        result = op(result, other)
    g.set_mask(result, merge_masks(g, inputs))
    return result


def _element_masks(g: KerasBuilder, inputs: Sequence[Value]) -> list[Value | None]:
    """The masks of Keras 3 as they apply to elements; before, values did not depend on them."""
    masks = [g.mask_of(x) if g.era >= 3 else None for x in inputs]
    if any(mask is not None for mask in masks) and len({x.rank for x in inputs}) > 1:
        raise g.unsupported("masked tensors of different ranks")
    return [None if mask is None else g.Unsqueeze(mask, [mask.rank]) for mask in masks]


@keras_layer("Concatenate", mask="own")
def concatenate(g: KerasBuilder, *inputs: Value, axis: int = -1) -> Value:
    y: Value = g.Concat(*inputs, axis=axis) if len(inputs) > 1 else inputs[0]
    if any(g.mask_of(x) is not None for x in inputs):
        g.set_mask(y, _joined_mask(g, inputs, axis))
    return y


def _joined_mask(g: KerasBuilder, inputs: Sequence[Value], axis: int) -> Value:
    """The masks, spread over the elements and joined; then what is real in any feature (before Keras 3: in all)."""
    rank = inputs[0].rank
    if axis % rank == rank - 1:
        masks = [mask for mask in map(g.mask_of, inputs) if mask is not None]
        if g.era < 3:
            return reduce(g.And, masks)
        return reduce(g.Or, masks) if len(masks) == len(inputs) else _real(g, masks[0])
    parts = [_real(g, g.Squeeze(g.Slice(x, [0], [1], [rank - 1]), [rank - 1])) if (m := g.mask_of(x)) is None else m
             for x in inputs]  # fmt: skip
    return g.Concat(*parts, axis=axis % rank)


def _real(g: KerasBuilder, like: Value) -> Value:
    """A mask of the shape of `like` that excludes nothing."""
    return g.Expand(g.constant(True), g.Shape(like))


# ------------------------------------------------------------------------- dot


@keras_layer("Dot", mask="drop")
def dot(g: KerasBuilder, a: Value, b: Value, *, axes: int | Sequence[int], normalize: bool = False) -> Value:
    """Products over one axis of each, for every element of the batch (merging/dot.py, batch_dot)."""
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    if len(pair) != 2 or any(not isinstance(axis, int) or not -x.rank <= axis < x.rank or axis % x.rank == 0
                             for axis, x in zip(pair, (a, b), strict=True)):  # fmt: skip
        raise ConversionError(f"Dot over the axes {axes}", g.origin)
    first, second = pair[0] % a.rank, pair[1] % b.rank
    if normalize:
        a, b = unit_length(g, a, [first], EPSILON), unit_length(g, b, [second], EPSILON)
    return batch_dot(g, a, b, first, second)


EPSILON = 1e-7  # keras.backend.epsilon()


def batch_dot(g: KerasBuilder, a: Value, b: Value, first: int, second: int) -> Value:
    """[N, A..., B...] from a [N, A...] and b [N, B...] with axis `first` of a and `second` of b multiplied away."""
    rows = _moved(g, a, first, a.rank - 1) if a.rank > 2 else g.Unsqueeze(a, [1])
    columns = _moved(g, b, second, 1) if b.rank > 2 else g.Unsqueeze(b, [2])
    product = g.MatMul(_flat(g, rows, 1), _flat(g, columns, 2))
    if a.rank == b.rank == 2:
        return g.Squeeze(product, [2])
    if max(a.rank, b.rank) < 4:
        return g.Squeeze(product, [1]) if a.rank == 2 else g.Squeeze(product, [2]) if b.rank == 2 else product
    shape = g.Concat(g.Shape(rows, start=0, end=1), *_sizes(g, a, rows, 1, -1), *_sizes(g, b, columns, 2, None), axis=0)
    assert rows.shape is not None
    assert columns.shape is not None
    kept = (*(rows.shape[1:-1] if a.rank > 2 else ()), *(columns.shape[2:] if b.rank > 2 else ()))
    return g.reshaped(product, (rows.shape[0], *kept), dynamic=shape)


def _moved(g: KerasBuilder, x: Value, axis: int, to: int) -> Value:
    order = [i for i in range(x.rank) if i != axis]
    order.insert(to, axis)
    return x if order == list(range(x.rank)) else g.Transpose(x, perm=order)


def _flat(g: KerasBuilder, x: Value, at: int) -> Value:
    """`x` with three axes: those in the place of `at` become one."""
    if x.rank == 3:
        return x
    ends = g.Shape(x, start=0, end=at), g.Shape(x, start=x.rank - 2 + at)
    return g.Reshape(x, g.Concat(ends[0], np.array([-1], np.int64), *([ends[1]] if at == 1 else []), axis=0))


def _sizes(g: KerasBuilder, x: Value, moved: Value, start: int, end: int | None) -> list[Value]:
    return [g.Shape(moved, start=start, end=end)] if x.rank > 2 else []
