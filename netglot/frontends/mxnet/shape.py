"""Operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import Dim, Shape, is_static, text

Ints = tuple[int, ...]
FIRST, LAST = -(2**63), 2**63 - 1  # in a Slice: beyond every end


@mxnet_op("Flatten", "flatten", "_npx_batch_flatten")
def flatten(g: MXNetBuilder, data: Value) -> Value:
    return g.Flatten(data, axis=1)


@mxnet_op("transpose")
def transpose(g: MXNetBuilder, data: Value, *, axes: Ints = ()) -> Value:
    return g.Transpose(data, perm=[g.axis(data, axis) for axis in axes] or list(range(data.rank))[::-1])


@mxnet_op("SwapAxis", "swapaxes", "_npi_swapaxes")
def swap_axes(g: MXNetBuilder, data: Value, *, dim1: int = 0, dim2: int = 0) -> Value:
    a, b = g.axis(data, dim1), g.axis(data, dim2)
    perm = list(range(data.rank))
    perm[a], perm[b] = b, a
    return g.Transpose(data, perm=perm)


@mxnet_op("expand_dims", "_npi_expand_dims")
def expand_dims(g: MXNetBuilder, data: Value, *, axis: int) -> Value:
    return g.Unsqueeze(data, [axis])


@mxnet_op("squeeze")
def squeeze(g: MXNetBuilder, data: Value, *, axis: Ints | None = None) -> Value:
    """One axis stays where all would go."""
    axes = squeezed_axes(g, data, axis)
    axes = axes[1:] if len(axes) == data.rank else axes
    return g.Squeeze(data, axes) if axes else data


def squeezed_axes(g: MXNetBuilder, data: Value, axis: Ints | None) -> list[int]:
    """`axis` from the front; all axes of size 1 where it is None."""
    if axis is not None:
        return sorted(g.axis(data, item) for item in axis)
    if not is_static(data.shape):
        raise g.unsupported("without axis, of a tensor whose shape is not known")
    return [item for item, size in enumerate(data.sizes) if size == 1]


@mxnet_op("reverse", "flip")
def reverse(g: MXNetBuilder, data: Value, *, axis: Ints) -> Value:
    axes = [g.axis(data, item) for item in axis]
    return sliced(g, data, axes, [LAST] * len(axes), [FIRST] * len(axes), [-1] * len(axes))


# ------------------------------------------------------------------------- joining


@mxnet_op("Concat", "concat", "_sparse_concat", "_rnn_param_concat", "_npi_rnn_param_concat")
def concat(g: MXNetBuilder, *data: Value, dim: int = 1) -> Value:
    return g.Concat(*data, axis=g.axis(data[0], dim))


@mxnet_op("stack", "_npi_stack")
def stack(g: MXNetBuilder, *data: Value, axis: int = 0) -> Value:
    at = axis % (data[0].rank + 1)
    return g.Concat(*(g.Unsqueeze(item, [at]) for item in data), axis=at)


@mxnet_op("tile", "_npi_tile")
def tile(g: MXNetBuilder, data: Value, *, reps: Ints) -> Value:
    """As numpy.tile: the shorter one of shape and reps is given ones in front."""
    missing = len(reps) - data.rank
    x = g.Unsqueeze(data, list(range(missing))) if missing > 0 else data
    return g.Tile(x, np.array([1] * -missing + list(reps), np.int64))


@mxnet_op("repeat", "_np_repeat")
def repeat(g: MXNetBuilder, data: Value, *, repeats: int, axis: int | None = None) -> Value:
    """Each element `repeats` times in a row, of the flattened data without axis."""
    x = g.Reshape(data, [-1]) if axis is None else data
    at = 0 if axis is None else g.axis(data, axis)
    times = [1] * (x.rank + 1)
    times[at + 1] = repeats
    many = g.Tile(g.Unsqueeze(x, [at + 1]), np.array(times, np.int64))
    size = x.shape[at] if x.shape else None
    sizes = list(x.shape or ())
    sizes[at] = size * repeats if isinstance(size, int) else None
    return _merged(g, many, sizes, at)


def _merged(g: MXNetBuilder, x: Value, sizes: Sequence[Dim], at: int) -> Value:
    """`x` with the axes `at` and `at` + 1 as one, which makes `sizes`."""
    if all(isinstance(dim, int) for dim in sizes[at:]) or sum(not isinstance(dim, int) for dim in sizes) <= 1:
        return g.reshaped(x, sizes)
    parts = [g.Shape(x, start=0, end=at), np.array([-1], np.int64), g.Shape(x, start=at + 2)]
    return g.reshaped(x, sizes, dynamic=g.Concat(*parts, axis=0))


@mxnet_op("Pad", "pad")
def pad(
    g: MXNetBuilder, data: Value, *, mode: Literal["constant", "edge", "reflect"], pad_width: Ints,
    constant_value: float = 0.0,
) -> Value:  # fmt: skip
    """pad_width is before and after for each axis."""
    if len(pad_width) != 2 * data.rank:
        raise ConversionError(f"pad_width {pad_width} is not twice as long as {data.rank} axes", g.origin)
    pads = np.array([*pad_width[::2], *pad_width[1::2]], np.int64)
    value = np.array(constant_value, data.dtype) if mode == "constant" and constant_value else None
    return g.Pad(data, pads, value, mode=mode)


# ------------------------------------------------------------------------- slicing


@mxnet_op("slice", "crop", "_npi_slice", "_npx_slice", "_sparse_slice")
def slice_(
    g: MXNetBuilder, data: Value, *, begin: tuple[int | None, ...], end: tuple[int | None, ...],
    step: tuple[int | None, ...] = (),
) -> Value:  # fmt: skip
    """As Python slices the first axes; None is the default of each."""
    if len(begin) != len(end) or len(begin) > data.rank or len(step) not in (0, len(begin)):
        raise ConversionError(f"begin {begin}, end {end} and step {step} do not fit {data.rank} axes", g.origin)
    steps = [item or 1 for item in step or (1,) * len(begin)]
    whole = [(0, LAST) if item > 0 else (LAST, FIRST) for item in steps]
    starts = [default[0] if item is None else item for item, default in zip(begin, whole, strict=True)]
    ends = [default[1] if item is None else item for item, default in zip(end, whole, strict=True)]
    axes = [i for i in range(len(begin)) if (starts[i], ends[i], steps[i]) != (0, LAST, 1)]
    return sliced(g, data, axes, [starts[i] for i in axes], [ends[i] for i in axes], [steps[i] for i in axes])


def sliced(
    g: MXNetBuilder, x: Value, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int],
    steps: Sequence[int] | None = None,
) -> Value:  # fmt: skip
    """One Slice, or none where there are no axes."""
    if not axes:
        return x
    bounds = [np.array(item, np.int64) for item in (starts, ends, axes)]
    y: Value = g.Slice(x, *bounds, None if steps is None else np.array(steps, np.int64))
    return y


@mxnet_op("slice_axis")
def slice_axis(g: MXNetBuilder, data: Value, *, axis: int, begin: int, end: int | None) -> Value:
    return sliced(g, data, [g.axis(data, axis)], [begin], [LAST if end is None else end])


@mxnet_op("slice_like")
def slice_like(g: MXNetBuilder, data: Value, shape_like: Value, *, axes: Ints = ()) -> Value:
    """The beginning of `data`, as long as shape_like is."""
    wanted = [g.axis(data, axis) for axis in axes] or list(range(data.rank))
    taken = [axis for axis in wanted if not _is_same(data, shape_like, axis)]
    if not taken:
        return data
    sizes = [shape_like.shape[axis] if shape_like.shape else None for axis in taken]
    if all(isinstance(size, int) for size in sizes):
        return sliced(g, data, taken, [0] * len(taken), [size for size in sizes if isinstance(size, int)])
    ends = g.Gather(g.Shape(shape_like), np.array(taken, np.int64))
    return g.Slice(data, np.zeros(len(taken), np.int64), ends, np.array(taken, np.int64))


def _is_same(a: Value, b: Value, axis: int) -> bool:
    """Whether both are known to have one size there."""
    if not a.shape or not b.shape:
        return False
    return a.shape[axis] is not None and a.shape[axis] == b.shape[axis]


@mxnet_op("Crop")
def crop(
    g: MXNetBuilder, data: Value, crop_like: Value | None = None, *, num_args: int, offset: Ints = (0, 0),
    h_w: Ints = (0, 0), center_crop: bool = False,
) -> Value:  # fmt: skip
    """A part of an image, as large as crop_like or h_w (crop-inl.h)."""
    axes = (2, 3)
    sizes = h_w if crop_like is None else [_known(g, crop_like, axis) for axis in axes]
    starts = list(offset)
    if center_crop:
        starts = [(_known(g, data, axis) - size) // 2 for axis, size in zip(axes, sizes, strict=True)]
    return sliced(g, data, axes, starts, [at + size for at, size in zip(starts, sizes, strict=True)])


def _known(g: MXNetBuilder, x: Value, axis: int) -> int:
    size = x.shape[axis] if x.shape and axis < len(x.shape) else None
    if not isinstance(size, int):
        raise g.unsupported(f"the size of axis {axis} must be known")
    return size


@mxnet_op("SliceChannel", "split", outputs=("output0",))
def split(
    g: MXNetBuilder, data: Value, *, num_outputs: int, axis: int = 1, squeeze_axis: bool = False
) -> tuple[Value, ...]:
    return _squeezed(g, _equal_parts(g, data, num_outputs, g.axis(data, axis)), g.axis(data, axis), squeeze_axis)


def _equal_parts(g: MXNetBuilder, data: Value, count: int, axis: int) -> Sequence[Value]:
    size = data.shape[axis] if data.shape else None
    if count < 1 or (isinstance(size, int) and size % count):
        raise ConversionError(f"axis {axis} of {text(data.shape)} can't be split into {count}", g.origin)
    if count == 1:
        return (data,)
    parts: tuple[Value, ...] = g.op("Split", [data], outputs=count, axis=axis, num_outputs=count)
    return parts


def _squeezed(g: MXNetBuilder, parts: Sequence[Value], axis: int, squeeze: bool) -> tuple[Value, ...]:
    return tuple(g.Squeeze(part, [axis]) for part in parts) if squeeze else tuple(parts)


@mxnet_op("_split_v2", "_npi_split")
def split_v2(
    g: MXNetBuilder, data: Value, *, indices: Ints = (), axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> tuple[Value, ...]:
    """Into equal sections, or where the indices say, of which the first is 0."""
    at = g.axis(data, axis)
    parts = _equal_parts(g, data, sections, at) if sections else _parts(g, data, indices, at)
    return _squeezed(g, parts, at, squeeze_axis)


def _parts(g: MXNetBuilder, data: Value, indices: Ints, axis: int) -> Sequence[Value]:
    ends = [*indices[1:], LAST]
    return [sliced(g, data, [axis], [start], [end]) for start, end in zip(indices, ends, strict=True)]


# --------------------------------------------------------------------- broadcasting


@mxnet_op("broadcast_to")
def broadcast_to(g: MXNetBuilder, data: Value, *, shape: Ints = ()) -> Value:
    """0 keeps a size."""
    if len(shape) != data.rank:
        raise ConversionError(f"{text(data.shape)} can't be broadcast to {shape}", g.origin)
    return expanded(g, data, [size or 1 for size in shape])


@mxnet_op("broadcast_axis", "broadcast_axes")
def broadcast_axis(g: MXNetBuilder, data: Value, *, axis: Ints = (), size: Ints = ()) -> Value:
    wanted = dict(zip((g.axis(data, item) for item in axis), size, strict=True))
    return expanded(g, data, [wanted.get(item, 1) for item in range(data.rank)])


def expanded(g: MXNetBuilder, x: Value, sizes: Sequence[int]) -> Value:
    """`x` with each axis as long as `sizes` says, where 1 keeps it."""
    same = x.shape is not None and len(sizes) == x.rank and all(
        size in (1, dim) for size, dim in zip(sizes, x.shape, strict=True)
    )  # fmt: skip
    if same:
        return x
    y: Value = g.Expand(x, np.array(sizes, np.int64))
    return y


@mxnet_op("broadcast_like")
def broadcast_like(
    g: MXNetBuilder, lhs: Value, rhs: Value, *, lhs_axes: Ints | None = None, rhs_axes: Ints | None = None
) -> Value:
    """The axes lhs_axes as long as rhs_axes of rhs are; all of them where nothing is said."""
    if lhs_axes is None or rhs_axes is None:
        return g.Expand(lhs, g.Shape(rhs))
    taken = dict(zip((g.axis(lhs, i) for i in lhs_axes), (g.axis(rhs, i) for i in rhs_axes), strict=True))
    parts = [
        g.Shape(rhs, start=taken[i], end=taken[i] + 1) if i in taken else g.constant([1], np.int64)
        for i in range(lhs.rank)
    ]
    return g.Expand(lhs, g.Concat(*parts, axis=0))


# ------------------------------------------------------------------------ reshaping


@mxnet_op("depth_to_space")
def depth_to_space(g: MXNetBuilder, data: Value, *, block_size: int) -> Value:
    return g.DepthToSpace(data, blocksize=block_size, mode="DCR")


@mxnet_op("space_to_depth")
def space_to_depth(g: MXNetBuilder, data: Value, *, block_size: int) -> Value:
    return g.SpaceToDepth(data, blocksize=block_size)


@mxnet_op("shape_array", "_npx_shape_array")
def shape_array(g: MXNetBuilder, data: Value) -> Value:
    return g.Shape(data)


@mxnet_op("size_array")
def size_array(g: MXNetBuilder, data: Value) -> Value:
    return g.Reshape(g.Size(data), [1])


@mxnet_op("reshape_like", "_npx_reshape_like")
def reshape_like(
    g: MXNetBuilder, lhs: Value, rhs: Value, *, lhs_begin: int | None = None, lhs_end: int | None = None,
    rhs_begin: int | None = None, rhs_end: int | None = None,
) -> Value:  # fmt: skip
    """The axes lhs_begin to lhs_end of lhs become what the axes rhs_begin to rhs_end of rhs are."""
    left = slice(lhs_begin, lhs_end).indices(lhs.rank)
    right = slice(rhs_begin, rhs_end).indices(rhs.rank)
    before, after = (lhs.shape or ())[: left[0]], (lhs.shape or ())[left[1] :]
    sizes = [*before, *(rhs.shape or ())[right[0] : right[1]], *after]
    if sum(not isinstance(size, int) for size in sizes) <= 1:
        return g.reshaped(lhs, sizes)
    bounds = ((lhs, 0, left[0]), (rhs, right[0], right[1]), (lhs, left[1], lhs.rank))
    parts = [g.Shape(x, start=start, end=end) for x, start, end in bounds if start < end]
    return g.reshaped(lhs, sizes, dynamic=g.Concat(*parts, axis=0))


@mxnet_op("Reshape", "reshape")
def reshape(
    g: MXNetBuilder, data: Value, *, shape: Ints = (), reverse: bool = False, target_shape: Ints = (),
    keep_highest: bool = False,
) -> Value:  # fmt: skip
    """matrix_op-inl.h, InferReshapeShape. target_shape is how it was said before 0.8: there 0 is what is left."""
    if not data.shape:
        raise g.unsupported("the rank of the data is unknown, or it is a scalar")
    if not shape and target_shape:
        kept = (0, *target_shape[1:]) if keep_highest else target_shape
        first = 1 if keep_highest else 0
        codes = [*kept[:first], *(size or -1 for size in kept[first:])]
        return g.reshaped(data, reshaped_sizes(g, data.shape, codes))
    if reverse:  # all is read from the right, also a -4, which then comes after its two sizes
        return g.reshaped(data, reshaped_sizes(g, data.shape[::-1], shape[::-1])[::-1])
    return g.reshaped(data, reshaped_sizes(g, data.shape, shape))


def reshaped_sizes(g: MXNetBuilder, source: Shape, codes: Sequence[int]) -> list[Dim]:
    """The sizes that Reshape's `shape` makes of `source`; None is not known.

    0 copies a size, -1 is what is left, -2 copies all that follow, -3 multiplies two, -4 splits one into the two that
    come next.
    """
    items = list(codes)
    sizes: list[Dim] = []
    inferred: int | None = None
    at = 0
    while items:
        code = items.pop(0)
        if code == -2:
            sizes += source[at:]
            at = len(source)
        elif code == -3:
            sizes.append(_product(source[at : at + 2]))
            at += 2
        elif code == -4:
            sizes += _split(g, _size(g, source, at), items)
            at += 1
        elif code == 0:
            sizes.append(_size(g, source, at))
            at += 1
        elif code == -1 and inferred is None:
            inferred = len(sizes)
            sizes.append(None)
            at += 1
        elif code > 0:
            sizes.append(code)
            at += 1
        else:
            raise ConversionError(f"Reshape to {tuple(codes)} makes no sense", g.origin)
    return sizes if inferred is None else _filled(source, sizes, inferred)


def _size(g: MXNetBuilder, source: Shape, at: int) -> Dim:
    if at >= len(source):
        raise ConversionError(f"Reshape copies axis {at} of a tensor of rank {len(source)}", g.origin)
    return source[at]


def _product(sizes: Shape) -> Dim:
    known = [size for size in sizes if isinstance(size, int)]
    others = [size for size in sizes if not isinstance(size, int)]
    if not others:
        return prod(known)
    return others[0] if len(others) == 1 and prod(known) == 1 else None


def _split(g: MXNetBuilder, size: Dim, items: list[int]) -> list[Dim]:
    if len(items) < 2:
        raise ConversionError("Reshape: -4 needs two sizes after it", g.origin)
    pair: list[Dim] = [items.pop(0), items.pop(0)]
    if -1 in pair:
        at = pair.index(-1)
        other = pair[1 - at]
        whole = isinstance(size, int) and isinstance(other, int) and other > 0
        pair[at] = size // other if whole and isinstance(size, int) and isinstance(other, int) else None
    return pair


def _filled(source: Shape, sizes: list[Dim], at: int) -> list[Dim]:
    """`sizes` with what is left of `source` in place `at`, where that is known."""
    others = tuple(sizes[:at] + sizes[at + 1 :])
    named = [dim for dim in source if isinstance(dim, str)]
    left = list(source)
    for dim in (dim for dim in others if isinstance(dim, str) and dim in named):
        left.remove(dim)
    rest = tuple(dim for dim in others if not (isinstance(dim, str) and dim in named))
    if is_static(tuple(left)) and is_static(rest):
        count = prod(dim for dim in rest if isinstance(dim, int))
        sizes[at] = prod(dim for dim in left if isinstance(dim, int)) // count if count else 0
    return sizes
