"""Operators that move elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.backends.coreml.context import (
    CoreMLBuilder,
    Tensor,
    Var,
    coreml_op,
    ints,
    is_float,
    is_open,
    mil_type,
)
from netglot.backends.lowering import NotMappedError


@coreml_op("Flatten", "Reshape", "Squeeze", "Unsqueeze", open_sizes=True)
def reshape(m: CoreMLBuilder, x: Var, shape: Tensor | None = None, *, axis: int = 0, allowzero: int = 0) -> Var:
    sizes = [size if isinstance(size, int) else -1 for size in m.output.shape or ()]
    if sizes.count(-1) > 1:
        raise NotMappedError("more than one size of it is known only when the model runs")
    return reshaped(m, x, sizes)


def reshaped(m: CoreMLBuilder, x: Var, shape: Sequence[int]) -> Var:
    """x with `shape`; scalars come and go by expand_dims and squeeze, since MIL's reshape has none."""
    if tuple(x.shape) == tuple(shape):
        return x
    if not shape:
        return m.squeeze(x=x, axes=list(range(x.rank)))
    return m.reshape(x=x, shape=list(shape)) if x.rank else m.expand_dims(x=x, axes=list(range(len(shape))))


@coreml_op("Transpose", open_sizes=True)
def transpose(m: CoreMLBuilder, x: Var, *, perm: tuple[int, ...] = ()) -> Var:
    return m.transpose(x=x, perm=list(perm or reversed(range(x.rank))))


@coreml_op("Concat", open_sizes=True)
def concat(m: CoreMLBuilder, values: list[Tensor], *, axis: int) -> Var:
    return m.concat(values=values, axis=axis) if len(values) > 1 else values[0]


@coreml_op("Split", open_sizes=True)
def split(m: CoreMLBuilder, x: Var, sizes: Tensor | None = None, *, axis: int, num_outputs: int = 0) -> list[Var]:
    parts = [value.shape[axis] for value in m.outputs if value.shape]
    if not all(isinstance(part, int) for part in parts):
        raise NotMappedError("how large the parts are is known only when the model runs")
    return list(m.split(x=x, split_sizes=parts, axis=axis)) if len(parts) > 1 else [x]


@coreml_op("Slice", open_sizes=True)
def slice_(
    m: CoreMLBuilder, x: Var, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Var:
    first, last = ints(starts, "the starts"), ints(ends, "the ends")
    where = list(range(len(first))) if axes is None else ints(axes, "the axes")
    stride = [1] * len(first) if steps is None else ints(steps, "the steps")
    chosen = {axis % x.rank: slice(*triple) for axis, *triple in zip(where, first, last, stride, strict=True)}
    return slice_open(m, x, chosen) if is_open(x) else sliced(m, x, chosen)


def slice_open(m: CoreMLBuilder, x: Var, chosen: dict[int, slice]) -> Var:
    """As `sliced`; of an axis whose size is known only when the model runs, the bounds are clipped then."""
    begin, end = [np.zeros(1, np.int32)] * x.rank, [np.zeros(1, np.int32)] * x.rank
    stride, whole = [1] * x.rank, [axis not in chosen for axis in range(x.rank)]
    for axis, part in chosen.items():
        stride[axis] = int(part.step)
        begin[axis], end[axis] = _bounds(m, x, axis, part)
    first, last = _vector(m, begin), _vector(m, end)
    return m.slice_by_index(x=x, begin=first, end=last, stride=stride, begin_mask=whole, end_mask=whole)


def _vector(m: CoreMLBuilder, parts: list[Tensor]) -> Tensor:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return m.concat(values=parts, axis=0) if len(parts) > 1 else parts[0]


def _bounds(m: CoreMLBuilder, x: Var, axis: int, part: slice) -> tuple[Tensor, Tensor]:
    """Where a slice of one axis begins and ends, as vectors of one element."""
    if part.step < 0:
        raise NotMappedError("it goes backwards over an axis whose tensor has sizes known only when the model runs")
    if isinstance(x.shape[axis], int | np.integer):
        first, last, _ = part.indices(int(x.shape[axis]))
        return np.array([first], np.int32), np.array([last], np.int32)
    size = m.slice_by_index(x=m.shape(x=x), begin=[axis], end=[axis + 1])
    return _clipped(m, size, part.start), _clipped(m, size, part.stop)


_FAR = 2**30  # beyond every size


def _clipped(m: CoreMLBuilder, size: Var, bound: int) -> Tensor:
    """A bound of a slice, from the end where it is negative, between 0 and `size`."""
    if bound == 0:
        return np.zeros(1, np.int32)
    if bound > 0:
        return m.minimum(x=size, y=np.array([min(bound, _FAR)], np.int32))
    return m.maximum(x=m.add(x=size, y=np.array([max(bound, -_FAR)], np.int32)), y=np.zeros(1, np.int32))


def sliced(m: CoreMLBuilder, x: Var, chosen: dict[int, slice]) -> Var:
    """x[slices], `chosen` by axis; a slice's bounds clip as Python's do, and MIL gets them clipped."""
    begin, end, stride = [0] * x.rank, list(x.shape), [1] * x.rank
    to_start = [False] * x.rank  # a step back that ends before element 0: only a mask can say that
    for axis, part in chosen.items():
        begin[axis], end[axis], stride[axis] = part.indices(x.shape[axis])
        to_start[axis] = end[axis] < 0
    end = [max(stop, 0) for stop in end]
    return m.slice_by_index(x=x, begin=begin, end=end, stride=stride, end_mask=to_start)


@coreml_op("Tile")
def tile(m: CoreMLBuilder, x: Var, repeats: Tensor) -> Var:
    return m.tile(x=x, reps=ints(repeats, "the repeats"))


@coreml_op("Expand")
def expand(m: CoreMLBuilder, x: Var, shape: Tensor) -> Var:
    return broadcast(m, x, m.output.sizes)


def broadcast(m: CoreMLBuilder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """x with `shape`, by a tile: MIL has no broadcast of its own."""
    if isinstance(x, np.ndarray):
        return np.broadcast_to(x, shape)
    x = reshaped(m, x, (1,) * (len(shape) - x.rank) + tuple(x.shape))
    repeats = [n // have for n, have in zip(shape, x.shape, strict=True)]
    return m.tile(x=x, reps=repeats) if any(n != 1 for n in repeats) else x


def select(m: CoreMLBuilder, condition: Tensor, a: Tensor, b: Tensor) -> Var:
    """a where `condition`, else b: the output. MIL broadcasts these two with each other, but not to the condition."""
    shape = m.output.sizes
    a = a if np.broadcast_shapes(tuple(a.shape), tuple(b.shape)) == shape else broadcast(m, a, shape)
    return m.select(cond=condition, a=a, b=b)


# --------------------------------------------------------------------- padding


@coreml_op("Pad")
def pad(
    m: CoreMLBuilder, x: Var, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, *, mode: str
) -> Var:
    given = ints(pads, "the pads")
    where = list(range(x.rank)) if axes is None else [axis % x.rank for axis in ints(axes, "the axes")]
    amounts = [(0, 0)] * x.rank
    for i, axis in enumerate(where):
        amounts[axis] = (given[i], given[i + len(where)])
    if any(amount < 0 for amount in given):
        kept = {axis: slice(-min(a, 0), x.shape[axis] + min(b, 0)) for axis, (a, b) in enumerate(amounts)}
        x = sliced(m, x, kept)
    return padded(m, x, [(max(a, 0), max(b, 0)) for a, b in amounts], mode, value)


def padded(m: CoreMLBuilder, x: Var, amounts: list[tuple[int, int]], mode: str, value: Tensor | None = None) -> Var:
    """x with (begin, end) of padding on each axis. MIL pads floats, and by reflection or edge two last axes."""
    if not any(map(any, amounts)):
        return x
    if mode not in ("constant", "reflect", "edge"):
        raise NotMappedError(f"Core ML pads by a constant, by reflection or by the edge, not by {mode}")
    if not is_float(x):
        kind = mil_type(x)
        return m.cast(x=padded(m, m.cast(x=x, dtype="fp32"), amounts, mode, value), dtype=kind)
    if mode == "constant":
        fill = 0.0 if value is None else float(np.asarray(value).item())
        return m.pad(x=x, pad=[n for pair in amounts for n in pair], mode="constant", constant_val=fill)
    touched = [axis for axis, pair in enumerate(amounts) if any(pair)]
    if len(touched) > 2:
        raise NotMappedError(f"Core ML pads by {mode} on two axes at most")
    order = [axis for axis in range(x.rank) if axis not in touched] + touched
    tail = [n for axis in order[-2:] for n in amounts[axis]]
    mil_mode = "replicate" if mode == "edge" else mode
    if order == sorted(order):
        return m.pad(x=x, pad=tail, mode=mil_mode)
    moved = m.pad(x=m.transpose(x=x, perm=order), pad=tail, mode=mil_mode)
    return m.transpose(x=moved, perm=[order.index(axis) for axis in range(x.rank)])


# ------------------------------------------------------------ blocks of pixels


@coreml_op("DepthToSpace")
def depth_to_space(m: CoreMLBuilder, x: Var, *, blocksize: int, mode: str) -> Var:
    if mode == "CRD":
        return m.pixel_shuffle(x=x, upscale_factor=blocksize)
    return m.depth_to_space(x=x, block_size=blocksize)


@coreml_op("SpaceToDepth")
def space_to_depth(m: CoreMLBuilder, x: Var, *, blocksize: int) -> Var:
    return m.space_to_depth(x=x, block_size=blocksize)


# ----------------------------------------------------- constants by their shape


@coreml_op("Shape", open_sizes=True)
def shape_of(m: CoreMLBuilder, x: Tensor, *, start: int, end: int | None = None) -> Tensor:
    chosen = range(x.rank)[start:end] if is_open(x) else range(0)
    if not is_open(x):
        return np.array(x.shape[start:end], np.int64)
    return m.slice_by_index(x=m.shape(x=x), begin=[chosen.start], end=[chosen.stop])


@coreml_op("Size")
def size_of(m: CoreMLBuilder, x: Tensor) -> np.ndarray:
    return np.array(np.prod(x.shape), np.int64)


@coreml_op("ConstantOfShape")
def constant_of_shape(m: CoreMLBuilder, shape: Tensor, *, value: np.ndarray | None = None) -> np.ndarray:
    fill = np.float32(0) if value is None else value.reshape(())
    return np.broadcast_to(fill, m.output.sizes)


@coreml_op("EyeLike")
def eye_like(m: CoreMLBuilder, x: Tensor, *, k: int, dtype: int = 0) -> np.ndarray:
    rows, columns = m.output.sizes
    return np.eye(rows, columns, k, m.output.dtype)


@coreml_op("Trilu")
def trilu(m: CoreMLBuilder, x: Var, k: Tensor | None = None, *, upper: int) -> Var:
    """By a mask, since its shape is known: MIL's band_part can't leave out the main diagonal."""
    offset = 0 if k is None else ints(k, "k")[0]
    ones = np.ones(x.shape[-2:], np.bool_)
    mask = np.triu(ones, offset) if upper else np.tril(ones, offset)
    return select(m, np.broadcast_to(mask, x.shape), x, np.zeros(1, m.output.dtype))
