"""Operators that move elements: transpose, tile, pad, concatenate, split, reverse, roll."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.shape import int64, with_sizes
from netglot.ir.graph import Value

FIRST, LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # ends of a Slice: before and behind all


def part(g: TFBuilder, x: Value, axis: int, start: int | Value, end: int | Value, step: int = 1) -> Value:
    """x[start:end:step] in one axis. A start or end that is computed has the shape [1]."""
    bounds = [item if isinstance(item, Value) else np.array([item], np.int64) for item in (start, end)]
    return g.Slice(x, *bounds, [axis], [step])


@tf_op("Transpose", "ConjugateTranspose")
def transpose(g: TFBuilder, x: Value, perm: Value) -> Value:
    """Of real numbers, which are their own conjugates."""
    if x.dtype is not None and x.dtype.kind == "c":
        raise g.unsupported("complex numbers")
    return g.Transpose(x, perm=[axis % x.rank for axis in g.ints(perm, "the permutation")])


@tf_op("Tile")
def tile(g: TFBuilder, x: Value, multiples: Value) -> Value:
    times = g.contents(multiples) or (None,) * x.rank
    sizes = [_times(dim, count) for dim, count in zip(x.shape or (), times, strict=True)]
    return with_sizes(g.Tile(x, int64(g, multiples)), sizes)


def _times(dim: Any, times: Any) -> Any:
    if isinstance(dim, int) and isinstance(times, int):
        return dim * times
    return dim if times == 1 else times if dim == 1 else None


# ------------------------------------------------------------------ padding


@tf_op("Pad")
def pad(g: TFBuilder, x: Value, paddings: Value) -> Value:
    return _padded(g, x, paddings, None)


@tf_op("PadV2")
def pad_v2(g: TFBuilder, x: Value, paddings: Value, constant_values: Value) -> Value:
    return _padded(g, x, paddings, constant_values)


def _padded(g: TFBuilder, x: Value, paddings: Value, value: Value | None) -> Value:
    """ONNX has all the beginnings first, then all the ends."""
    pads = g.Reshape(g.Transpose(int64(g, paddings), perm=(1, 0)), [-1])
    return with_sizes(g.Pad(x, pads, value), (None,) * x.rank)


@tf_op("MirrorPad")
def mirror_pad(g: TFBuilder, x: Value, paddings: Value, *, mode: str) -> Value:
    """SYMMETRIC repeats the border element; ONNX's reflect, TensorFlow's REFLECT, does not."""
    widths = g.static(paddings, "the padding").astype(np.int64)
    if mode == "REFLECT":
        return g.Pad(x, widths.T.ravel(), mode="reflect")
    if mode != "SYMMETRIC":
        raise g.unsupported(f"the mode {mode}")
    for axis, (before, after) in enumerate(widths.tolist()):
        x = _symmetric(g, x, axis, before, after)
    return x


def _symmetric(g: TFBuilder, x: Value, axis: int, before: int, after: int) -> Value:
    parts = [part(g, x, axis, before - 1, FIRST, -1)] if before else []
    parts.append(x)
    parts += [part(g, x, axis, -1, -1 - after, -1)] if after else []
    return g.Concat(*parts, axis=axis) if len(parts) > 1 else x


# ------------------------------------------------------------------ joining and splitting


@tf_op("ConcatV2")
def concat_v2(g: TFBuilder, *inputs: Value) -> Value:
    *xs, axis = inputs
    return g.Concat(*xs, axis=g.axis(xs[0], g.ints(axis, "the axis")[0]))


@tf_op("Concat")
def concat(g: TFBuilder, axis: Value, *xs: Value) -> Value:
    return concat_v2(g, *xs, axis)


@tf_op("Pack")
def pack(g: TFBuilder, *xs: Value, axis: int = 0) -> Value:
    at = axis % (xs[0].rank + 1)
    return g.Concat(*(g.Unsqueeze(x, [at]) for x in xs), axis=at)


@tf_op("Unpack")
def unpack(g: TFBuilder, x: Value, *, num: int, axis: int = 0) -> tuple[Value, ...]:
    at = g.axis(x, axis)
    return tuple(g.Squeeze(item, [at]) for item in split_evenly(g, x, num, at))


def split_evenly(g: TFBuilder, x: Value, count: int, axis: int) -> tuple[Value, ...]:
    size = (x.shape or ())[axis]
    if count <= 1:
        return (x,) * count
    if isinstance(size, int):
        if size % count:
            raise g.unsupported(f"{size} elements in {count} equal parts")
        return split_into(g, x, [size // count] * count, axis)
    found: tuple[Value, ...] = g.Split(x, outputs=count, num_outputs=count, axis=axis)
    return found


def split_into(g: TFBuilder, x: Value, sizes: Sequence[int], axis: int) -> tuple[Value, ...]:
    """Parts of a shape are cut out one by one, because what is known of it is followed through Slice."""
    if len(sizes) == 1:
        return (x,)
    if g.contents(x) is None:
        found: tuple[Value, ...] = g.Split(x, list(sizes), outputs=len(sizes), axis=axis)
        return found
    ends = np.cumsum(sizes).tolist()
    return tuple(part(g, x, axis, end - size, end) for end, size in zip(ends, sizes, strict=True))


@tf_op("Split")
def split(g: TFBuilder, axis: Value, x: Value, *, num_split: int) -> tuple[Value, ...]:
    return split_evenly(g, x, num_split, g.axis(x, g.ints(axis, "the axis")[0]))


@tf_op("SplitV")
def split_v(g: TFBuilder, x: Value, size_splits: Value, axis: Value, *, num_split: int) -> tuple[Value, ...]:
    """One of the sizes may be -1: what the others leave."""
    at, sizes = g.axis(x, g.ints(axis, "the axis")[0]), g.ints(size_splits, "the sizes of the parts")
    if -1 not in sizes or num_split == 1:
        return split_into(g, x, sizes, at) if num_split > 1 else (x,)
    hole, total = sizes.index(-1), (x.shape or ())[at]
    if isinstance(total, int):
        sizes[hole] = total - sum(sizes) - 1
        return split_into(g, x, sizes, at)
    rest = g.Sub(g.Shape(x, start=at, end=at + 1), [sum(sizes) + 1])
    parts = [rest if size == -1 else g.constant([size], np.int64) for size in sizes]
    found: tuple[Value, ...] = g.Split(x, g.Concat(*parts, axis=0), outputs=num_split, axis=at)
    return tuple(with_sizes(y, _resized(x, at, size)) for y, size in zip(found, sizes, strict=True))


def _resized(x: Value, axis: int, size: int) -> list[Any]:
    sizes: list[Any] = list(x.shape or ())
    sizes[axis] = size
    return sizes


# ------------------------------------------------------------------ reversing and rolling


@tf_op("ReverseV2")
def reverse_v2(g: TFBuilder, x: Value, axis: Value) -> Value:
    return reversed_in(g, x, [g.axis(x, item) for item in g.ints(axis, "the axes")])


@tf_op("Reverse")
def reverse(g: TFBuilder, x: Value, dims: Value) -> Value:
    return reversed_in(g, x, np.flatnonzero(g.static(dims, "which axes to reverse")).tolist())


def reversed_in(g: TFBuilder, x: Value, axes: Sequence[int]) -> Value:
    n = len(axes)
    return with_sizes(g.Slice(x, [-1] * n, [FIRST] * n, list(axes), [-1] * n), x.shape or ()) if n else x


@tf_op("ReverseSequence")
def reverse_sequence(g: TFBuilder, x: Value, lengths: Value, *, seq_dim: int, batch_dim: int = 0) -> Value:
    """ONNX has it for the first two axes only."""
    time, batch = g.axis(x, seq_dim), g.axis(x, batch_dim)
    if {time, batch} == {0, 1}:
        return g.ReverseSequence(x, int64(g, lengths), time_axis=time, batch_axis=batch)
    perm = [batch, time, *(axis for axis in range(x.rank) if axis not in (batch, time))]
    y = g.ReverseSequence(g.Transpose(x, perm=perm), int64(g, lengths), time_axis=1, batch_axis=0)
    return g.Transpose(y, perm=np.argsort(perm).tolist())


@tf_op("Roll")
def roll(g: TFBuilder, x: Value, shift: Value, axis: Value) -> Value:
    """Shifts of one axis that is named more than once add up."""
    axes = [g.axis(x, item) for item in g.ints(axis, "the axes")]
    shifts = g.Reshape(int64(g, shift), [-1])
    for index, at in enumerate(axes):
        x = _rolled(g, x, part(g, shifts, 0, index, index + 1), at)
    return x


def _rolled(g: TFBuilder, x: Value, shift: Value, axis: int) -> Value:
    """x from -shift on, counted round, then what is before that."""
    size = g.Max(g.Shape(x, start=axis, end=axis + 1), [1])
    cut = g.Mod(g.Neg(shift), size)
    both = g.Concat(part(g, x, axis, cut, LAST), part(g, x, axis, 0, cut), axis=axis)
    return with_sizes(both, x.shape or ())
