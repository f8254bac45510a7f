"""MIL operations that move elements."""

from __future__ import annotations

from math import ceil

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, mil_op
from netglot.ir.graph import Value
from netglot.ir.types import is_static

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def ints(values: object) -> np.ndarray:
    return np.asarray(values, np.int64)


@mil_op("reshape")
def reshape(g: CoreMLBuilder, *, x: Value, shape: Ints) -> Value:
    """-1 is what is left; 0 keeps a size where the rank stays (as in ONNX)."""
    return g.Reshape(x, ints(shape))


@mil_op("flatten2d")
def flatten2d(g: CoreMLBuilder, *, x: Value, axis: int = 1) -> Value:
    return g.Flatten(x, axis=axis)


@mil_op("transpose")
def transpose(g: CoreMLBuilder, *, x: Value, perm: Ints) -> Value:
    return g.Transpose(x, perm=tuple(axis % x.rank for axis in perm))


@mil_op("expand_dims")
def expand_dims(g: CoreMLBuilder, *, x: Value, axes: Ints) -> Value:
    return g.Unsqueeze(x, ints(axes))


@mil_op("squeeze")
def squeeze(g: CoreMLBuilder, *, x: Value, axes: Ints | None = None) -> Value:
    return g.Squeeze(x, ints(axes)) if axes else g.Squeeze(x)


@mil_op("concat")
def concat(g: CoreMLBuilder, *, values: list[Value], axis: int, interleave: bool = False) -> Value:
    """Interleaved: the first element of each, then the second of each, and so on."""
    if not interleave:
        return g.Concat(*values, axis=axis)
    axis %= values[0].rank
    sizes = values[0].sizes
    stacked = g.Concat(*(g.Unsqueeze(value, [axis + 1]) for value in values), axis=axis + 1)
    return g.Reshape(stacked, ints([*sizes[:axis], sizes[axis] * len(values), *sizes[axis + 1 :]]))


@mil_op("stack")
def stack(g: CoreMLBuilder, *, values: list[Value], axis: int) -> Value:
    return g.Concat(*(g.Unsqueeze(value, [axis]) for value in values), axis=axis)


@mil_op("split")
def split(
    g: CoreMLBuilder, *, x: Value, axis: int, num_splits: int = 0, split_sizes: Ints | None = None
) -> tuple[Value, ...]:
    sizes = split_sizes or (x.sizes[axis] // num_splits,) * num_splits
    result = g.op("Split", [x, ints(sizes)], outputs=len(sizes), axis=axis)
    return result if isinstance(result, tuple) else (result,)


@mil_op("tile")
def tile(g: CoreMLBuilder, *, x: Value, reps: Ints) -> Value:
    return g.Tile(x, ints(reps))


@mil_op("reverse")
def reverse(g: CoreMLBuilder, *, x: Value, axes: Ints | None = None) -> Value:
    chosen = axes or tuple(range(x.rank))
    n = len(chosen)
    return g.Slice(x, ints([-1] * n), ints([-(2**31)] * n), ints(chosen), ints([-1] * n))


# -------------------------------------------------------------------- slicing


@mil_op("slice_by_index")
def slice_by_index(
    g: CoreMLBuilder, *, x: Value, begin: Ints | Value, end: Ints | Value, stride: Ints = (),
    begin_mask: tuple[int, ...] = (), end_mask: tuple[int, ...] = (), squeeze_mask: tuple[int, ...] = (),
) -> Value:  # fmt: skip
    """As Python slices; a mask leaves a bound open, and a squeezed axis takes the element `begin`."""
    if isinstance(begin, Value) or isinstance(end, Value):
        if any(squeeze_mask):
            raise UnsupportedError("slice_by_index with a squeeze_mask and computed bounds", g.origin)
        return _slice_computed(g, x, begin, end, stride or (1,) * x.rank, begin_mask, end_mask)
    none = (0,) * x.rank
    steps, squeezed = stride or (1,) * x.rank, squeeze_mask or none
    starts, stops = list(begin), list(end)
    for axis, step in enumerate(steps):
        if (begin_mask or none)[axis]:
            starts[axis] = 0 if step > 0 else -1
        if (end_mask or none)[axis]:
            stops[axis] = 2**31 if step > 0 else -(2**31)
        if squeezed[axis]:
            stops[axis] = begin[axis] + 1 or 2**31
    whole = [(0, size, 1) for size in x.shape or ()]
    chosen = [axis for axis in range(x.rank) if (starts[axis], stops[axis], steps[axis]) != whole[axis]]
    if chosen:
        x = g.Slice(x, *(ints([item[axis] for axis in chosen]) for item in (starts, stops)), ints(chosen),
                    ints([1 if squeezed[axis] else steps[axis] for axis in chosen]))  # fmt: skip
    gone = [axis for axis in range(x.rank) if squeezed[axis]]
    return g.Squeeze(x, ints(gone)) if gone else x


def _slice_computed(
    g: CoreMLBuilder, x: Value, begin: Ints | Value, end: Ints | Value, steps: Ints, begin_mask: Ints, end_mask: Ints
) -> Value:  # fmt: skip
    """Slice by bounds that are computed, an axis at a time; a whole axis is left alone."""
    none = (0,) * x.rank
    for axis, step in enumerate(steps):
        from_first, to_last = bool((begin_mask or none)[axis]), bool((end_mask or none)[axis])
        first = _bound(g, begin, axis, (0 if step > 0 else 2**31) if from_first else None)
        last = _bound(g, end, axis, (2**31 if step > 0 else -(2**31)) if to_last else None)
        if not (step == 1 and to_last and (from_first or (not isinstance(begin, Value) and begin[axis] == 0))):
            sizes = x.shape or ()
            x = g.Slice(x, first, last, ints([axis]), ints([step]))
            x.shape = (*sizes[:axis], None, *sizes[axis + 1 :])  # with bounds that are computed ONNX infers no size
    return x


def _bound(g: CoreMLBuilder, bounds: Ints | Value, axis: int, otherwise: int | None) -> Value:
    """The bound of one axis as a vector; `otherwise` where a mask says so."""
    if otherwise is not None:
        return g.constant(ints([otherwise]))
    if not isinstance(bounds, Value):
        return g.constant(ints([bounds[axis]]))
    return g.Gather(_int64(g, bounds), ints([axis]))


@mil_op("slice_by_size")
def slice_by_size(g: CoreMLBuilder, *, x: Value, begin: Ints, size: Ints) -> Value:
    ends = [n if length == -1 else start + length for start, length, n in zip(begin, size, x.sizes, strict=True)]
    return g.Slice(x, ints(begin), ints(ends), ints(range(x.rank)))


@mil_op("crop")
def crop(g: CoreMLBuilder, *, x: Value, crop_height: Ints, crop_width: Ints) -> Value:
    height, width = x.sizes[-2:]
    ends = [height - crop_height[1], width - crop_width[1]]
    return g.Slice(x, ints([crop_height[0], crop_width[0]]), ints(ends), ints([-2, -1]))


@mil_op("pad")
def pad(g: CoreMLBuilder, *, x: Value, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Value:
    """`pad` is begin and end of each of the last axes."""
    if mode not in _MODES:
        raise UnsupportedError(f"padding by {mode}", g.origin)
    full = [0, 0] * (x.rank - len(pad) // 2) + list(pad)
    amounts = ints([*full[::2], *full[1::2]])
    return g.Pad(x, amounts, g.like(x, constant_val) if mode == "constant" else None, mode=_MODES[mode])


@mil_op("band_part")
def band_part(g: CoreMLBuilder, *, x: Value, lower: int = -1, upper: int = -1) -> Value:
    """Keeps `lower` diagonals below the main one and `upper` above it; -1 keeps all."""
    x = g.Trilu(x, np.array(upper, np.int64), upper=0) if upper >= 0 else x
    return g.Trilu(x, np.array(-lower, np.int64), upper=1) if lower >= 0 else x


# ----------------------------------------------------------- blocks of pixels


@mil_op("depth_to_space")
def depth_to_space(g: CoreMLBuilder, *, x: Value, block_size: int) -> Value:
    return g.DepthToSpace(x, blocksize=block_size, mode="DCR")


@mil_op("pixel_shuffle")
def pixel_shuffle(g: CoreMLBuilder, *, x: Value, upscale_factor: int) -> Value:
    return g.DepthToSpace(x, blocksize=upscale_factor, mode="CRD")


@mil_op("space_to_depth")
def space_to_depth(g: CoreMLBuilder, *, x: Value, block_size: int) -> Value:
    return g.SpaceToDepth(x, blocksize=block_size)


@mil_op("pixel_unshuffle")
def pixel_unshuffle(g: CoreMLBuilder, *, x: Value, downscale_factor: int) -> Value:
    n, c, h, w = x.sizes
    f = downscale_factor
    parts = g.Transpose(g.Reshape(x, ints([n, c, h // f, f, w // f, f])), perm=(0, 1, 3, 5, 2, 4))
    return g.Reshape(parts, ints([n, c * f * f, h // f, w // f]))


# --------------------------------------------------------- gather and scatter


@mil_op("gather")
def gather(
    g: CoreMLBuilder, *, x: Value, indices: Value, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False
) -> Value:
    if batch_dims:
        raise UnsupportedError("gather with batch_dims", g.origin)
    return g.Gather(x, indices, axis=axis)


@mil_op("gather_along_axis")
def gather_along_axis(
    g: CoreMLBuilder, *, x: Value, indices: Value, axis: int = 0, validate_indices: bool = False
) -> Value:
    return g.GatherElements(x, indices, axis=axis)


@mil_op("gather_nd")
def gather_nd(
    g: CoreMLBuilder, *, x: Value, indices: Value, batch_dims: int = 0, validate_indices: bool = False
) -> Value:
    return g.GatherND(x, _int64(g, indices), batch_dims=batch_dims)


def _int64(g: CoreMLBuilder, x: Value) -> Value:
    return g.Cast(x, to=7)


_REDUCTIONS = {"update": "none", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _reduction(g: CoreMLBuilder, mode: str) -> str:
    if mode not in _REDUCTIONS:
        raise UnsupportedError(f"scatter by {mode}", g.origin)
    return _REDUCTIONS[mode]


@mil_op("scatter_along_axis")
def scatter_along_axis(
    g: CoreMLBuilder, *, data: Value, indices: Value, updates: Value, axis: int = 0, mode: str = "add",
    validate_indices: bool = False,
) -> Value:  # fmt: skip
    return g.ScatterElements(data, indices, updates, axis=axis, reduction=_reduction(g, mode))


@mil_op("scatter_nd")
def scatter_nd(
    g: CoreMLBuilder, *, data: Value, indices: Value, updates: Value, mode: str = "add", validate_indices: bool = False
) -> Value:
    return g.ScatterND(data, _int64(g, indices), updates, reduction=_reduction(g, mode))


@mil_op("non_zero")
def non_zero(g: CoreMLBuilder, *, x: Value) -> Value:
    """A row of indices for each element that is not zero."""
    return g.Cast(g.Transpose(g.NonZero(x), perm=(1, 0)), to=6)


@mil_op("one_hot")
def one_hot(
    g: CoreMLBuilder, *, indices: Value, one_hot_vector_size: int, axis: int = -1, on_value: np.ndarray = np.int32(1),  # type: ignore[assignment]
    off_value: np.ndarray = np.int32(0),  # type: ignore[assignment]
) -> Value:  # fmt: skip
    """Not by ONNX's OneHot, which ONNX Runtime has for few types."""
    axis %= indices.rank + 1
    classes = g.vector(np.arange(*g.affordable(one_hot_vector_size), dtype=np.int32), indices.rank + 1, axis)
    hot = g.Equal(g.Unsqueeze(indices, [axis]), classes)
    return g.Where(hot, g.constant(on_value), g.constant(off_value))


@mil_op("reverse_sequence")
def reverse_sequence(g: CoreMLBuilder, *, x: Value, lengths: Value, seq_axis: int = 0, batch_axis: int = 0) -> Value:
    return g.ReverseSequence(x, _int64(g, lengths), time_axis=seq_axis, batch_axis=batch_axis)


# ------------------------------------------------------------------ constants


@mil_op("fill")
def fill(g: CoreMLBuilder, *, shape: Ints, value: np.ndarray) -> Value:
    return g.constant(np.broadcast_to(value, g.affordable(*shape)))


@mil_op("shape")
def shape_of(g: CoreMLBuilder, *, x: Value) -> Value:
    return g.constant(np.array(x.sizes, np.int32)) if is_static(x.shape) else g.Cast(g.Shape(x), to=6)


@mil_op("range_1d")
def range_1d(g: CoreMLBuilder, *, start: np.ndarray, end: np.ndarray, step: np.ndarray) -> Value:
    first, last, by = start.item(), end.item(), step.item()
    g.affordable(ceil((last - first) / by))
    return g.constant(np.arange(first, last, by).astype(start.dtype))


@mil_op("sliding_windows")
def sliding_windows(g: CoreMLBuilder, *, x: Value, axis: int, size: int, stride: int = 1) -> Value:
    """Every window along `axis`, as two axes: which window, which element in it."""
    axis %= x.rank
    count = (x.sizes[axis] - size) // stride + 1
    g.affordable(count, size)
    return g.Gather(x, ints(np.arange(count)[:, None] * stride + np.arange(size)), axis=axis)
