"""Shapes: reading them, their arithmetic, and giving tensors new ones.

What is known of a size stays known (FoldingBuilder.contents), so that Reshape(x, Pack([Shape(x)[0], -1, 7])) becomes
one Reshape to a constant shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.ir.graph import Value
from netglot.ir.types import Dim, Shape, is_static

INT32 = np.dtype(np.int32)


def int64(g: TFBuilder, x: Value) -> Value:
    """Sizes and indices as ONNX wants them."""
    return g.cast(x, np.int64)


def with_sizes(y: Value, sizes: Sequence[Dim]) -> Value:
    """`y`, of which `sizes` are known where inference knows less (-1 and None: not known here either)."""
    if y.is_constant:
        return y
    known = y.shape if y.shape is not None and len(y.shape) == len(sizes) else (None,) * len(sizes)
    y.shape = tuple(
        old if isinstance(old, int) or new in (None, -1) else new for old, new in zip(known, sizes, strict=True)
    )
    return y


def wanted_sizes(g: TFBuilder, shape: Value) -> Shape | None:
    """What a tensor that is a shape says: its elements, or as many None as it is long; None if even that is unknown."""
    found = g.contents(shape)
    if found is None and shape.shape is not None and len(shape.shape) == 1 and isinstance(shape.shape[0], int):
        return (None,) * shape.shape[0]
    return found


def expanded(g: TFBuilder, x: Value, shape: Value) -> Value:
    """`x` broadcast to `shape`."""
    sizes = wanted_sizes(g, shape)
    if sizes is not None and None not in sizes and sizes == x.shape:
        return x
    y: Value = g.Expand(x, int64(g, shape))
    return y if sizes is None else with_sizes(y, sizes)


# ------------------------------------------------------------------ reading


@tf_op("Shape")
def shape(g: TFBuilder, x: Value, *, out_type: Any = INT32) -> Value:
    return g.cast(g.Shape(x), out_type)


@tf_op("ShapeN")
def shape_n(g: TFBuilder, *xs: Value, out_type: Any = INT32) -> tuple[Value, ...]:
    return tuple(shape(g, x, out_type=out_type) for x in xs)


@tf_op("Size")
def size(g: TFBuilder, x: Value, *, out_type: Any = INT32) -> Value:
    return g.cast(g.Size(x), out_type)


@tf_op("Rank")
def rank(g: TFBuilder, x: Value) -> Value:
    return g.constant(x.rank, np.int32) if x.shape is not None else g.cast(g.Size(g.Shape(x)), np.int32)


@tf_op("BroadcastArgs")
def broadcast_args(g: TFBuilder, a: Value, b: Value) -> Value:
    """The shape that two shapes broadcast to: a 1 gives way, also to a 0."""
    length = max(a.sizes[0], b.sizes[0])
    a, b = (_with_ones_before(g, item, length) for item in (a, b))
    return g.Where(g.Equal(a, np.array(1, a.dtype)), b, a)


def _with_ones_before(g: TFBuilder, shape: Value, length: int) -> Value:
    missing = length - shape.sizes[0]
    return g.Concat(np.ones(missing, shape.dtype), shape, axis=0) if missing else shape


@tf_op("ConcatOffset")
def concat_offset(g: TFBuilder, axis: Value, *shapes: Value) -> tuple[Value, ...]:
    """Where each of the tensors of these shapes begins in their concatenation."""
    at = g.ints(axis, "the axis of the concatenation")[0]
    chosen = np.zeros(shapes[0].sizes, shapes[0].dtype)
    chosen[at] = 1
    offsets = [g.constant(np.zeros_like(chosen))]
    for item in shapes[:-1]:
        offsets.append(g.Add(offsets[-1], g.Mul(item, chosen)))
    return tuple(offsets)


# ------------------------------------------------------------------ giving


@tf_op("Reshape")
def reshape(g: TFBuilder, x: Value, shape: Value) -> Value:
    sizes = g.contents(shape)
    if sizes is None:
        y: Value = g.Reshape(x, int64(g, shape), allowzero=1)
        unknown = wanted_sizes(g, shape)
        return y if unknown is None else with_sizes(y, unknown)
    if sum(dim is None or dim == -1 for dim in sizes) == 1:
        sizes = tuple(_remaining(x.shape, sizes) if dim in (None, -1) else dim for dim in sizes)
    if -1 in sizes:  # beside sizes that are not known
        return with_sizes(g.Reshape(x, int64(g, shape), allowzero=1), sizes)
    return g.reshaped(x, sizes, dynamic=None if shape.is_constant else int64(g, shape))


def _remaining(shape: Shape | None, sizes: Shape) -> Dim:
    """The one size of `sizes` that is -1 or None, from the elements of `shape`; None where that can't be said."""
    given = [dim for dim in sizes if dim not in (None, -1)]
    if shape is None or None in shape or 0 in given:
        return None
    named, wanted = (Counter(dim for dim in dims if isinstance(dim, str)) for dims in (shape, given))
    left = list((named - wanted).elements())
    count, part = (prod(dim for dim in dims if isinstance(dim, int)) for dims in (shape, given))
    if wanted - named or count % part or len(left) > 1 or (left and count != part):
        return None
    return left[0] if left else count // part


@tf_op("ExpandDims")
def expand_dims(g: TFBuilder, x: Value, axis: Value) -> Value:
    return g.Unsqueeze(x, g.ints(axis, "the new axis"))


@tf_op("Squeeze")
def squeeze(g: TFBuilder, x: Value, *, squeeze_dims: tuple[int, ...] = ()) -> Value:
    """Without axes, all that have the size 1, which a size that is not known may have too."""
    if squeeze_dims:
        return g.Squeeze(x, list(squeeze_dims))
    if x.shape is None or not is_static(x.shape):
        return g.Squeeze(x)
    ones = [axis for axis, dim in enumerate(x.shape) if dim == 1]
    return g.Squeeze(x, ones) if ones else x


@tf_op("BroadcastTo")
def broadcast_to(g: TFBuilder, x: Value, shape: Value) -> Value:
    return expanded(g, x, shape)


# ------------------------------------------------------------------ making


@tf_op("Fill")
def fill(g: TFBuilder, dims: Value, value: Value) -> Value:
    if dims.is_constant and value.is_constant:
        return g.constant(np.broadcast_to(value.array, g.affordable(*g.ints(dims, "the shape"))))
    return expanded(g, value, dims)


@tf_op("Empty")
def empty(g: TFBuilder, shape: Value, *, dtype: Any, init: bool = False) -> Value:
    """Zeros also where any value would do."""
    return fill(g, shape, g.constant(np.zeros((), dtype)))


@tf_op("Range")
def range_(g: TFBuilder, start: Value, limit: Value, delta: Value) -> Value:
    """From 0 in steps of 1 its length is the limit, which may be the name of a size."""
    if all(item.is_constant for item in (start, limit, delta)):
        count = (limit.array.item() - start.array.item()) / (delta.array.item() or 1)
        g.affordable(max(0, int(count)))
    if start.dtype is not None and start.dtype.kind == "f":
        return _float_range(g, start, limit, delta)
    y: Value = g.Range(start, limit, delta)
    count_of = g.contents(limit)
    if count_of is not None and g.contents(start) == (0,) and g.contents(delta) == (1,):
        return with_sizes(y, count_of)
    return with_sizes(y, (None,))


def _float_range(g: TFBuilder, start: Value, limit: Value, delta: Value) -> Value:
    """How many there are depends on rounding: TensorFlow divides in the type itself, ONNX Runtime in double."""
    count = g.Ceil(g.Div(g.Sub(limit, start), delta))
    numbers = with_sizes(g.Range(np.int64(0), int64(g, count), np.int64(1)), (None,))
    return g.Add(g.Mul(g.cast(numbers, start.dtype), delta), start)


@tf_op("LinSpace")
def lin_space(g: TFBuilder, start: Value, stop: Value, num: Value) -> Value:
    """The last number is exactly `stop`."""
    count = g.ints(num, "the count of numbers")[0]
    g.affordable(count)
    if count == 1:
        return g.Unsqueeze(start, [0])
    step = g.Div(g.Sub(stop, start), np.array(count - 1, start.dtype))
    steps = g.Mul(np.arange(count - 1).astype(start.dtype), step)
    return g.Concat(g.Add(steps, start), g.Unsqueeze(stop, [0]), axis=0)


@tf_op("OneHot")
def one_hot(g: TFBuilder, indices: Value, depth: Value, on: Value, off: Value, *, axis: int = -1) -> Value:
    """An index outside of the depth is nowhere on (ONNX's own OneHot counts negative ones from the end)."""
    at = indices.rank if axis == -1 else axis
    classes = g.Range(np.int64(0), int64(g, depth), np.int64(1))
    with_sizes(classes, g.contents(depth) or (None,))
    hit = g.Equal(g.Unsqueeze(int64(g, indices), [at]), g.Unsqueeze(classes, list(range(1, indices.rank + 1 - at))))
    return chosen(g, hit, on, off)


def chosen(g: TFBuilder, condition: Value, a: Value, b: Value) -> Value:
    """Where, of any type (booleans by logic: there is no kernel of ONNX Runtime's for them)."""
    if a.dtype == np.bool_:
        return g.Or(g.And(condition, a), g.And(g.Not(condition), b))
    return g.Where(condition, a, b)
