"""Operations of keras.ops that move, cut, join, pick and make elements (keras/src/ops/numpy.py, core.py, nn.py)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_op
from netglot.frontends.keras.operands import (
    FLOATX,
    INT,
    axes_of,
    axis_of,
    cast,
    common,
    dtype_named,
    indices,
    operands,
    sizes,
    tensor,
)
from netglot.frontends.keras.timesteps import known_sizes
from netglot.ir.graph import Value

BEGIN, END = np.iinfo(np.int64).min, np.iinfo(np.int64).max
Axis = int | Sequence[int] | None


# ------------------------------------------------------------------------ shape


@keras_op("Reshape")
def reshape(g: KerasBuilder, x: Any, *, newshape: Any) -> Value:
    """A size of -1 (or None) is what is left."""
    x = tensor(g, x)
    wanted = sizes(g, [-1 if n is None else n for n in newshape] if isinstance(newshape, (list, tuple)) else newshape)
    if isinstance(wanted, Value):
        return g.Reshape(x, wanted, allowzero=1)
    return g.Reshape(x, np.array(wanted, np.int64), allowzero=1 if 0 in wanted else None)


@keras_op("Ravel")
def ravel(g: KerasBuilder, x: Any) -> Value:
    return g.Reshape(tensor(g, x), [-1])


@keras_op("Transpose")
def transpose(g: KerasBuilder, x: Any, *, axes: Sequence[int] | None = None) -> Value:
    x = tensor(g, x)
    return g.Transpose(x, perm=axes_of(g, list(axes), x.rank) if axes is not None else list(range(x.rank))[::-1])


@keras_op("Swapaxes")
def swapaxes(g: KerasBuilder, x: Any, *, axis1: int, axis2: int) -> Value:
    x = tensor(g, x)
    a, b = axis_of(g, axis1, x.rank), axis_of(g, axis2, x.rank)
    return g.Transpose(x, perm=[b if i == a else a if i == b else i for i in range(x.rank)])


@keras_op("Moveaxis")
def moveaxis(g: KerasBuilder, x: Any, *, source: Axis, destination: Axis) -> Value:
    x = tensor(g, x)
    moves = sorted(zip(axes_of(g, destination, x.rank), axes_of(g, source, x.rank), strict=True))
    perm = [axis for axis in range(x.rank) if axis not in [at for _, at in moves]]
    for to, at in moves:
        perm.insert(to, at)
    return g.Transpose(x, perm=perm)


@keras_op("ExpandDims")
def expand_dims(g: KerasBuilder, x: Any, *, axis: Axis) -> Value:
    x = tensor(g, x)
    given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    return g.Unsqueeze(x, axes_of(g, given, x.rank + len(given)))


@keras_op("Squeeze")
def squeeze(g: KerasBuilder, x: Any, *, axis: Axis = None) -> Value:
    x = tensor(g, x)
    if axis is None and any(not isinstance(size, int) for size in x.shape or (None,)):
        raise g.unsupported("all axes of size 1, where a size is not known")
    return g.Squeeze(x, None if axis is None else axes_of(g, axis, x.rank))


@keras_op("BroadcastTo")
def broadcast_to(g: KerasBuilder, x: Any, *, shape: Any) -> Value:
    return g.Expand(tensor(g, x), sizes(g, shape))


@keras_op("Size")
def size(g: KerasBuilder, x: Any) -> Value:
    return cast(g, g.Size(tensor(g, x)), INT)


# --------------------------------------------------------------- joined and split


def joined(g: KerasBuilder, xs: Sequence[Any], axis: int) -> Value:
    values = operands(g, *xs)
    y: Value = g.Concat(*values, axis=axis_of(g, axis, values[0].rank))
    return y


@keras_op("Concatenate")
def concatenate(g: KerasBuilder, xs: Any, *, axis: int = 0) -> Value:
    return joined(g, xs, axis)


@keras_op("Append")
def append(g: KerasBuilder, x1: Any, x2: Any, *, axis: int | None = None) -> Value:
    if axis is not None:
        return joined(g, [x1, x2], axis)
    return joined(g, [ravel(g, x1), ravel(g, x2)], 0)


@keras_op("Stack")
def stack(g: KerasBuilder, x: Any, *, axis: int = 0) -> Value:
    values = operands(g, *x)
    at = axis_of(g, axis, values[0].rank + 1)
    return g.Concat(*(g.Unsqueeze(value, [at]) for value in values), axis=at)


@keras_op("Hstack")
def hstack(g: KerasBuilder, xs: Any) -> Value:
    values = operands(g, *xs)
    return joined(g, values, 0 if values[0].rank == 1 else 1)


@keras_op("Vstack")
def vstack(g: KerasBuilder, xs: Any) -> Value:
    return joined(g, [at_least(g, x, 2) for x in operands(g, *xs)], 0)


@keras_op("Dstack")
def dstack(g: KerasBuilder, xs: Any) -> Value:
    return joined(g, [at_least(g, x, 3) for x in operands(g, *xs)], 2)


def at_least(g: KerasBuilder, x: Value, rank: int) -> Value:
    """NumPy's atleast_2d and atleast_3d: a vector is a row, a matrix gets a last axis."""
    if x.rank >= rank:
        return x
    axes = [0] if (x.rank, rank) == (1, 2) else [0, 2] if x.rank == 1 else list(range(x.rank, rank))
    y: Value = g.Unsqueeze(x, axes)
    return y


def cut(g: KerasBuilder, x: Any, where: Any, axis: int, *, uneven: bool = False) -> list[Value]:
    """x in so many parts of one size, or cut before the given places."""
    x = tensor(g, x)
    at = axis_of(g, axis, x.rank)
    whole = x.shape[at] if x.shape is not None else None
    if not isinstance(whole, int):
        raise g.unsupported("a split along an axis of unknown size")
    if isinstance(where, int):
        if where < 1 or (whole % where and not uneven):
            raise ConversionError(f"{g.type}: {whole} elements do not divide into {where} parts", g.origin)
        lengths = [whole // where + (i < whole % where) for i in range(where)]
    else:
        edges = [0, *(min(max(n + whole if n < 0 else n, 0), whole) for n in map(int, np.ravel(where))), whole]
        lengths = [max(end - start, 0) for start, end in itertools.pairwise(edges)]
    return parts(g, x, lengths, at)


def parts(g: KerasBuilder, x: Value, lengths: Sequence[int], axis: int) -> list[Value]:
    if len(lengths) == 1:
        return [x]
    return list(g.Split(x, list(lengths), axis=axis, outputs=len(lengths)))


@keras_op("Split")
def split(g: KerasBuilder, x: Any, *, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    return cut(g, x, indices_or_sections, axis)


@keras_op("ArraySplit")
def array_split(g: KerasBuilder, x: Any, *, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    return cut(g, x, indices_or_sections, axis, uneven=True)


@keras_op("Hsplit")
def hsplit(g: KerasBuilder, x: Value, *, indices_or_sections: Any) -> list[Value]:
    return cut(g, x, indices_or_sections, 0 if x.rank == 1 else 1)


@keras_op("Vsplit")
def vsplit(g: KerasBuilder, x: Value, *, indices_or_sections: Any) -> list[Value]:
    return cut(g, x, indices_or_sections, 0)


@keras_op("Dsplit")
def dsplit(g: KerasBuilder, x: Value, *, indices_or_sections: Any) -> list[Value]:
    return cut(g, x, indices_or_sections, 2)


@keras_op("Unstack")
def unstack(g: KerasBuilder, x: Any, *, num: int | None = None, axis: int = 0) -> list[Value]:
    x = tensor(g, x)
    at = axis_of(g, axis, x.rank)
    count = x.shape[at] if x.shape is not None and num is None else num
    if not isinstance(count, int):
        raise g.unsupported("as many tensors as an axis of unknown size has")
    return [g.Squeeze(part, [at]) for part in parts(g, x, [1] * count, at)]


# ------------------------------------------------------------- repeated and moved


@keras_op("Tile")
def tile(g: KerasBuilder, x: Any, *, repeats: Any) -> Value:
    x = tensor(g, x)
    times = [int(n) for n in np.ravel(repeats)]
    rank = max(len(times), x.rank)
    x = g.Unsqueeze(x, list(range(rank - x.rank))) if rank > x.rank else x
    return g.Tile(x, [1] * (rank - len(times)) + times)


@keras_op("Repeat")
def repeat(g: KerasBuilder, x: Any, *, repeats: Any, axis: int | None = None) -> Value:
    """Each element `repeats` times in a row, along an axis or all in one."""
    x = tensor(g, x)
    x, at = (g.Reshape(x, [-1]), 0) if axis is None else (x, axis_of(g, axis, x.rank))
    times = np.ravel(repeats).astype(np.int64)
    if times.size == 1:
        wide = g.Tile(g.Unsqueeze(x, [at + 1]), [int(times[0]) if i == at + 1 else 1 for i in range(x.rank + 1)])
        shape = [g.Shape(x, start=0, end=at), [-1], g.Shape(x, start=at + 1)]
        return reshaped_like(g, wide, shape, x, at)
    return g.Gather(x, np.repeat(np.arange(times.size), times), axis=at)


def reshaped_like(g: KerasBuilder, wide: Value, shape: Sequence[Any], x: Value, at: int) -> Value:
    """`wide` with the sizes of x but for the axis `at`."""
    assert x.shape is not None
    assert wide.shape is not None
    both = wide.shape[at : at + 2]
    merged = both[0] * both[1] if isinstance(both[0], int) and isinstance(both[1], int) else None
    wanted = (*x.shape[:at], merged, *x.shape[at + 1 :])
    kept = [part for i, part in enumerate(shape) if i == 1 or (x.rank > at + 1 if i == 2 else at > 0)]
    return g.reshaped(wide, wanted, dynamic=g.Concat(*kept, axis=0))


@keras_op("Flip")
def flip(g: KerasBuilder, x: Any, *, axis: Axis = None) -> Value:
    x = tensor(g, x)
    axes = axes_of(g, axis, x.rank)
    return g.Slice(x, [-1] * len(axes), [BEGIN] * len(axes), axes, [-1] * len(axes))


@keras_op("Fliplr")
def fliplr(g: KerasBuilder, x: Any) -> Value:
    return flip(g, x, axis=1)


@keras_op("Flipud")
def flipud(g: KerasBuilder, x: Any) -> Value:
    return flip(g, x, axis=0)


@keras_op("Rot90")
def rot90(g: KerasBuilder, array: Any, *, k: int = 1, axes: Sequence[int] = (0, 1)) -> Value:
    x = tensor(g, array)
    a, b = axes_of(g, list(axes), x.rank)
    perm = [b if i == a else a if i == b else i for i in range(x.rank)]
    turns = k % 4
    if turns == 2 and (x.shape is None or x.shape[a] != x.shape[b]):
        raise g.unsupported("half a turn of what is not square: TensorFlow's Keras and others do not agree on it")
    if turns == 2:
        return flip(g, x, axis=[a, b])
    if turns == 1:
        return g.Transpose(flip(g, x, axis=b), perm=perm)
    return flip(g, g.Transpose(x, perm=perm), axis=b) if turns else x


@keras_op("Roll")
def roll(g: KerasBuilder, x: Any, *, shift: Any, axis: Axis = None) -> Value:
    """The last `shift` elements come first; over all elements where there is no axis."""
    x = tensor(g, x)
    if axis is None:
        flat = roll(g, g.Reshape(x, [-1]), shift=shift, axis=0)
        y: Value = g.Reshape(flat, g.Shape(x))
        y.shape = x.shape
        return y
    axes = axes_of(g, axis, x.rank)
    for at, by in zip(axes, np.broadcast_to(shift, len(axes)).tolist(), strict=True):
        length = x.shape[at] if x.shape is not None else None
        if not isinstance(length, int):
            raise g.unsupported("rolling along an axis of unknown size")
        by = by % length if length else 0
        ends = [g.Slice(x, [-by], [END], [at]), g.Slice(x, [0], [-by], [at])] if by else []
        x = g.Concat(*ends, axis=at) if by else x
    return x


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@keras_op("Pad")
def pad(g: KerasBuilder, x: Any, constant_values: Any = None, *, pad_width: Any, mode: str = "constant") -> Value:
    x = tensor(g, x)
    width = np.broadcast_to(np.asarray(pad_width, np.int64), (x.rank, 2))
    if mode == "symmetric":
        return symmetric(g, x, width)
    if mode not in _MODES:
        raise g.unsupported(f"padding of the mode {mode!r}")
    value = tensor(g, 0 if constant_values is None else constant_values, x.dtype) if mode == "constant" else None
    return g.Pad(x, width.T.ravel(), value, mode=_MODES[mode])


def symmetric(g: KerasBuilder, x: Value, width: np.ndarray) -> Value:
    """The border is repeated too: the elements are picked by their places."""
    for axis, (before, after) in enumerate(width.tolist()):
        if before or after:
            length = known_sizes(g, x, axis)[0] if axis == x.rank - 1 else x.shape[axis] if x.shape else None
            if not isinstance(length, int):
                raise g.unsupported("symmetric padding of an axis of unknown size")
            g.affordable(before + after + length)
            x = g.Gather(x, np.pad(np.arange(length), (before, after), "symmetric"), axis=axis)
    return x


# ----------------------------------------------------------------------- picked


@keras_op("Take")
def take(g: KerasBuilder, x: Any, indices: Any, *, axis: int | None = None) -> Value:
    x = tensor(g, x)
    x, at = (g.Reshape(x, [-1]), 0) if axis is None else (x, axis_of(g, axis, x.rank))
    return g.Gather(x, picked(g, indices), axis=at)


def picked(g: KerasBuilder, item: Any) -> Value:
    """Indices, as int64."""
    return tensor(g, np.asarray(item) if isinstance(item, (list, tuple)) else item, np.dtype(np.int64))


@keras_op("TakeAlongAxis")
def take_along_axis(g: KerasBuilder, x: Any, indices: Any, *, axis: int | None = None) -> Value:
    x, at = tensor(g, x), picked(g, indices)
    if axis is None:
        return g.GatherElements(g.Reshape(x, [-1]), g.Reshape(at, [-1]), axis=0)
    along = axis_of(g, axis, x.rank)
    return g.GatherElements(*broadcast_but(g, x, at, along), axis=along)


def broadcast_but(g: KerasBuilder, x: Value, at: Value, axis: int) -> tuple[Value, Value]:
    """Both with the same sizes but for `axis`."""
    assert x.shape is not None
    assert at.shape is not None
    if all(a == b for i, (a, b) in enumerate(zip(x.shape, at.shape, strict=True)) if i != axis):
        return x, at
    ones = np.eye(x.rank, dtype=np.int64)[axis]
    shapes = [g.Where(ones.astype(bool), ones, g.Shape(value)) for value in (x, at)]
    return g.Expand(x, shapes[1]), g.Expand(at, shapes[0])


@keras_op("GetItem")
def get_item(g: KerasBuilder, x: Any, *, key: Any) -> Value:
    """x[key] with numbers, slices, None, an ellipsis, and at most one tensor of indices."""
    return item(g, tensor(g, x), key)


def item(g: KerasBuilder, x: Value, key: Any) -> Value:
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    if any(isinstance(one, (bool, np.bool_)) or getattr(one, "dtype", None) == np.bool_ for one in keys):
        raise g.unsupported("elements picked by a condition: as many as the data say")
    taken = sum(one is not None and one is not Ellipsis for one in keys)
    if taken > x.rank:
        raise ConversionError(f"{g.type}: {taken} indices for {x.rank} axes", g.origin)
    rest = [slice(None)] * (x.rank - taken)
    at = next((i for i, one in enumerate(keys) if one is Ellipsis), len(keys))
    keys = [*keys[:at], *rest, *keys[at + 1 :]]
    x = sliced(g, x, [one for one in keys if one is not None])
    return picked_axes(g, x, keys)


def sliced(g: KerasBuilder, x: Value, keys: Sequence[Any]) -> Value:
    """The slices among `keys`, one for each axis."""
    bounds = [
        (axis, one)
        for axis, one in enumerate(keys)
        if isinstance(one, slice) and (one.start, one.stop, one.step) != (None, None, None)
    ]
    if not bounds:
        return x
    steps = [1 if one.step is None else one.step for _, one in bounds]
    if not all(isinstance(step, int) and step for step in steps):
        raise g.unsupported("slices whose step is computed")
    starts = [(0 if step > 0 else END) if one.start is None else one.start
              for (_, one), step in zip(bounds, steps, strict=True)]  # fmt: skip
    ends = [(END if step > 0 else BEGIN) if one.stop is None else one.stop
            for (_, one), step in zip(bounds, steps, strict=True)]  # fmt: skip
    y: Value = g.Slice(x, sizes(g, starts), sizes(g, ends), [axis for axis, _ in bounds], steps)
    return y


def picked_axes(g: KerasBuilder, x: Value, keys: Sequence[Any]) -> Value:
    """Numbers take one element of their axis, None makes a new one; a tensor of indices takes several."""
    axis, tensors = 0, 0
    for one in keys:
        if one is None:
            x, axis = g.Unsqueeze(x, [axis]), axis + 1
        elif isinstance(one, slice):
            axis += 1
        elif isinstance(one, (int, np.integer)):
            x = g.Gather(x, g.constant(int(one), np.int64), axis=axis)
        else:
            at = picked(g, one)
            tensors += at.rank > 0
            if tensors > 1:
                raise g.unsupported("more than one tensor of indices")
            x, axis = g.Gather(x, at, axis=axis), axis + at.rank
    if tensors and any(isinstance(one, (int, np.integer)) for one in keys):
        raise g.unsupported("numbers beside a tensor of indices")
    return x


@keras_op("Slice")
def slice_of(g: KerasBuilder, inputs: Any, start_indices: Any, *, shape: Sequence[int]) -> Value:
    """`shape` elements from a place on; a size of -1 is all that are left."""
    x, start = tensor(g, inputs), indices(g, start_indices)
    size = np.asarray(shape, np.int64)
    ends = g.Where(size < 0, np.int64(END), g.Add(start, np.where(size < 0, 0, size)))
    y: Value = g.Slice(x, start, ends, list(range(x.rank)))
    if not start.is_constant and all(n >= 0 for n in size):
        y.shape = tuple(size.tolist())
    return y


@keras_op("SliceUpdate")
def slice_update(g: KerasBuilder, inputs: Any, start_indices: Any, updates: Any) -> Value:
    """`updates` in place of as many elements from a constant place on."""
    x, new = operands(g, inputs, updates)
    start = g.ints(indices(g, start_indices), "where the update begins")
    places = np.stack(np.meshgrid(*(at + np.arange(n) for at, n in zip(start, known_sizes(g, new, 0), strict=True)),
                                  indexing="ij"), axis=-1)  # fmt: skip
    return g.ScatterND(x, places, new)


_REDUCTIONS = {None: "none", "none": "none", "add": "add", "max": "max", "min": "min", "mul": "mul"}


@keras_op("ScatterUpdate")
def scatter_update(g: KerasBuilder, inputs: Any, indices: Any, updates: Any, *, reduction: str | None = None) -> Value:
    if reduction not in _REDUCTIONS:
        raise g.unsupported(f"scatter_update with {reduction!r}")
    x, new = operands(g, inputs, updates)
    return g.ScatterND(x, picked(g, indices), new, reduction=_REDUCTIONS[reduction])


@keras_op("Scatter")
def scatter(g: KerasBuilder, indices: Any, values: Any, *, shape: Sequence[int]) -> Value:
    """Values added up at their places in zeros of `shape`."""
    new = tensor(g, values)
    zeros = np.zeros(g.affordable(*map(int, shape)), new.dtype)
    return g.ScatterND(zeros, picked(g, indices), new, reduction="add")


# ------------------------------------------------------------------------- made


@keras_op("OneHot")
def one_hot(
    g: KerasBuilder, x: Any, *, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Value:
    """A row of zeros where x is no class."""
    if sparse:
        raise g.unsupported("a sparse tensor")
    return hot(g, x, num_classes, axis, FLOATX if dtype is None else dtype_named(g, dtype))


def hot(g: KerasBuilder, x: Any, classes: int, axis: int, dtype: np.dtype) -> Value:
    """By comparison: ONNX's OneHot counts negative numbers from the end."""
    x = tensor(g, x, np.dtype(np.int64))
    at = axis_of(g, axis, x.rank + 1)
    numbers = np.arange(*g.affordable(classes)).reshape([-1 if i == at else 1 for i in range(x.rank + 1)])
    return cast(g, g.Equal(g.Unsqueeze(x, [at]), numbers), dtype)


@keras_op("MultiHot")
def multi_hot(
    g: KerasBuilder, inputs: Any, *, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Value:
    if sparse:
        raise g.unsupported("a sparse tensor")
    x = tensor(g, inputs)
    each = hot(g, x, num_classes, axis, INT)
    found = g.ReduceMax(each, [1 if x.rank > 1 else 0], keepdims=0)
    return cast(g, found, FLOATX if dtype is None else dtype_named(g, dtype))


def filled(g: KerasBuilder, like: Any, value: Any, dtype: Any) -> Value:
    """`value` in the shape of another tensor."""
    x = tensor(g, like)
    y: Value = g.Expand(tensor(g, value, x.dtype if dtype is None else dtype_named(g, dtype)), g.Shape(x))
    y.shape = x.shape if not y.is_constant else y.shape
    return y


@keras_op("OnesLike")
def ones_like(g: KerasBuilder, x: Any, *, dtype: Any = None) -> Value:
    return filled(g, x, 1, dtype)


@keras_op("ZerosLike", "EmptyLike", "Imag")
def zeros_like(g: KerasBuilder, x: Any, *, dtype: Any = None) -> Value:
    return filled(g, x, 0, dtype)


@keras_op("FullLike")
def full_like(g: KerasBuilder, x: Any, fill_value: Any, *, dtype: Any = None) -> Value:
    return filled(g, x, fill_value, dtype)


@keras_op("Full")
def full(g: KerasBuilder, fill_value: Any, *, shape: Any, dtype: Any = None) -> Value:
    return g.Expand(tensor(g, fill_value, None if dtype is None else dtype_named(g, dtype)), sizes(g, shape))


@keras_op("Arange")
def arange(g: KerasBuilder, start: Any, stop: Any = None, step: Any = None, *, dtype: Any = None) -> Value:
    start, stop = (0, start) if stop is None else (start, stop)
    limits = [start, stop, 1 if step is None else step]
    wanted = common(limits) if dtype is None else dtype_named(g, dtype)
    return g.Range(*(g.Reshape(tensor(g, one, wanted), []) for one in limits))


# --------------------------------------------------------------------- diagonals


@keras_op("Tril")
def tril(g: KerasBuilder, x: Any, *, k: int = 0) -> Value:
    return triangle(g, tensor(g, x), k, 0)


@keras_op("Triu")
def triu(g: KerasBuilder, x: Any, *, k: int = 0) -> Value:
    return triangle(g, tensor(g, x), k, 1)


def triangle(g: KerasBuilder, x: Value, k: int, upper: int) -> Value:
    if x.dtype == np.bool_:
        return cast(g, triangle(g, cast(g, x, INT), k, upper), np.bool_)
    y: Value = g.Trilu(x, g.constant(k, np.int64), upper=upper)
    return y


@keras_op("Diagonal")
def diagonal(g: KerasBuilder, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The elements (i, i + offset) of two axes, as the last axis."""
    x = tensor(g, x)
    a, b = axis_of(g, axis1, x.rank), axis_of(g, axis2, x.rank)
    last = [axis for axis in range(x.rank) if axis not in (a, b)]
    x = g.Transpose(x, perm=[*last, a, b])
    rows, columns = known_sizes(g, x, x.rank - 2)
    at = [(i, i + offset) for i in range(rows) if 0 <= i + offset < columns]
    flat = g.reshaped(
        x,
        (*(x.shape or ())[:-2], rows * columns),
        dynamic=g.Concat(g.Shape(x, end=-2), [rows * columns], axis=0) if x.rank > 2 else None,
    )
    return g.Gather(flat, np.array([i * columns + j for i, j in at], np.int64), axis=x.rank - 2)


@keras_op("Trace")
def trace(g: KerasBuilder, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    return g.ReduceSum(diagonal(g, x, offset=offset, axis1=axis1, axis2=axis2), [-1], keepdims=0)


@keras_op("Diff")
def diff(g: KerasBuilder, a: Any, *, n: int = 1, axis: int = -1) -> Value:
    x = tensor(g, a)
    at = axis_of(g, axis, x.rank)
    for _ in range(n):
        x = g.Sub(g.Slice(x, [1], [END], [at]), g.Slice(x, [0], [-1], [at]))
    return x


@keras_op("Meshgrid")
def meshgrid(g: KerasBuilder, *x: Value, indexing: str = "xy") -> list[Value]:
    """Each vector along its own axis; "xy" swaps the first two."""
    flat = [g.Reshape(one, [-1]) for one in x]
    count = len(flat)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    grids = [g.Unsqueeze(one, [i for i in range(count) if i != order[k]]) for k, one in enumerate(flat)]
    places = sorted(range(count), key=lambda k: order[k])
    shape = g.Concat(*(g.Shape(flat[k]) for k in places), axis=0)
    return [g.Expand(grid, shape) for grid in grids]
