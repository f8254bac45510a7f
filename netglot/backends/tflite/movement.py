"""Operators that move elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError, padded_places
from netglot.backends.sides import alike, const_ints, gathering, reshaping
from netglot.backends.tflite.context import OPEN, Ints, Side, TFLiteBuilder, physical_permutation, tflite_op
from netglot.ir.graph import Value
from netglot.ir.types import Dim
from netglot.passes.layout import natural_order


@tflite_op("Flatten", "Reshape", "Squeeze", "Unsqueeze", layout=reshaping, open_sizes=True)
def reshape(m: TFLiteBuilder, x: Value, *rest: Value | None, axis: int = 0, allowzero: int = 0) -> None:
    y = rest[-1]
    assert y is not None
    m.reshape(x, y)


@tflite_op("Transpose", open_sizes=True)
def transpose(m: TFLiteBuilder, x: Value, y: Value, *, perm: Ints = ()) -> None:
    m.transpose(x, y, physical_permutation(x, y, perm or tuple(reversed(range(x.rank)))))


@tflite_op("Concat", layout=alike, open_sizes=True)
def concat(m: TFLiteBuilder, inputs: list[Value], y: Value, *, axis: int) -> None:
    operands = [m.operand(x, y) for x in inputs if 0 not in m.shape(x)]
    m.op("CONCATENATION", [*operands], [y], tfl.ConcatenationOptionsT(axis=m.axis(y, axis)))


@tflite_op("Split", layout=alike, open_sizes=True)
def split(
    m: TFLiteBuilder, x: Value, sizes: Value | None, outputs: list[Value], *, axis: int, num_outputs: int = 0
) -> None:
    parts = [m.shape(y)[m.axis(x, axis)] for y in outputs]
    if OPEN in parts:
        raise NotMappedError("how large the parts are is known only when the model runs")
    at, count = m.ints(m.axis(x, axis)), len(outputs)
    if len(set(parts)) == 1:
        m.op("SPLIT", [at, x], outputs, tfl.SplitOptionsT(numSplits=count))
    else:
        m.op("SPLIT_V", [x, m.ints(parts), at], outputs, tfl.SplitVOptionsT(numSplits=count))


@tflite_op("Slice", layout=alike, open_sizes=True)
def slice_(
    m: TFLiteBuilder, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None, y: Value
) -> None:
    begins, strides = [0] * x.rank, [1] * x.rank
    first, last = const_ints(starts), const_ints(ends)
    chosen, by = const_ints(axes), const_ints(steps)
    if first is None or (chosen is None and axes is not None) or (by is None and steps is not None):
        raise NotMappedError("where to slice is computed")
    if OPEN in m.shape(x):
        slice_open(m, x, y, slices(first, last, chosen, by))
        return
    for i, axis in enumerate(chosen if chosen is not None else range(len(first))):
        strides[axis] = by[i] if by else 1
        begins[axis] = _begin(first[i], x.sizes[axis], strides[axis])
    begins, strides = m.arranged(x, begins), m.arranged(x, strides)
    if all(stride == 1 for stride in strides):
        m.op("SLICE", [x, m.ints(begins), m.ints(m.shape(y))], [y])
    else:
        strided_slice(m, x, y, begins, strides)


Slices = dict[int, tuple[int, int, int]]  # start, end and step by axis

_FAR = 2**30  # beyond every size: what ONNX's ends of the 64-bit integers stand for


def slices(first: list[int], last: list[int] | None, axes: list[int] | None, by: list[int] | None) -> Slices:
    if last is None:
        raise NotMappedError("where to slice is computed")
    where, steps = axes or range(len(first)), by or [1] * len(first)
    bounds = [[min(max(i, -_FAR), _FAR) for i in ends] for ends in (first, last)]
    return {axis: each for axis, *each in zip(where, *bounds, steps, strict=True)}  # type: ignore[misc]


def slice_open(m: TFLiteBuilder, x: Value, y: Value, chosen: Slices) -> None:
    """STRIDED_SLICE clamps a bound to the size that it finds when it runs, as Slice-13 does; masks leave the rest."""
    of = {axis % x.rank: each for axis, each in chosen.items()}
    parts = m.arranged(x, [of.get(axis, (0, 0, 1)) for axis in range(x.rank)])
    mask = sum(1 << m.axis(x, axis) for axis in range(x.rank) if axis not in of)
    options = tfl.StridedSliceOptionsT(beginMask=mask, endMask=mask)
    m.op("STRIDED_SLICE", [x, *map(m.ints, zip(*parts, strict=True))], [y], options)


def _begin(start: int, size: int, step: int) -> int:
    """The first index, as Slice-13 clamps it."""
    start = start + size if start < 0 else start
    return min(max(start, 0), size if step > 0 else size - 1)


def strided_slice(m: TFLiteBuilder, x: Value, y: Value, begins: list[int], strides: list[int]) -> None:
    """Every stride-th from begin on; an end before the first element is said by the mask."""
    ends = [begin + n * stride for begin, n, stride in zip(begins, m.shape(y), strides, strict=True)]
    mask = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    ends = [min(max(end, 0), n) for end, n in zip(ends, m.shape(x), strict=True)]
    options = tfl.StridedSliceOptionsT(endMask=mask)
    m.op("STRIDED_SLICE", [x, m.ints(begins), m.ints(ends), m.ints(strides)], [y], options)


@tflite_op("Pad", layout=alike)
def pad(
    m: TFLiteBuilder, x: Value, pads: Value, fill: Value | None, axes: Value | None, y: Value, *, mode: str
) -> None:
    amounts = const_ints(pads)
    chosen = const_ints(axes) if axes is not None else list(range(x.rank))
    if amounts is None or chosen is None:
        raise NotMappedError("the pads are computed")
    both = {axis % x.rank: (amounts[i], amounts[i + len(chosen)]) for i, axis in enumerate(chosen)}
    around = m.arranged(x, [both.get(axis, (0, 0)) for axis in range(x.rank)])
    if mode == "constant":
        pad_constant(m, x, around, fill, y)
    else:
        pad_by_index(m, x, around, mode, y)


def pad_constant(m: TFLiteBuilder, x: Value, around: list[tuple[int, int]], fill: Value | None, y: Value) -> None:
    """Negative pads cut off, first."""
    source, added = m.tensor(x), [(max(0, before), max(0, after)) for before, after in around]
    if any(min(pair) < 0 for pair in around):
        begins = [max(0, -before) for before, _ in around]
        shape = [n - max(0, -before) - max(0, -after) for n, (before, after) in zip(m.shape(x), around, strict=True)]
        source = m.emit("SLICE", x, m.ints(begins), m.ints(shape), shape=shape)
    if fill is None or (fill.data is not None and not fill.data.any()):
        m.op("PAD", [source, m.ints(added)], [y])
    else:
        m.op("PADV2", [source, m.ints(added), m.reshaped(fill, ())], [y])


def pad_by_index(m: TFLiteBuilder, x: Value, around: list[tuple[int, int]], mode: str, y: Value) -> None:
    """MIRROR_PAD where that is all; edge and wrap gather what lies under each index, an axis at a time."""
    if mode == "reflect" and all(min(pair) >= 0 for pair in around):
        m.op("MIRROR_PAD", [x, m.ints(around)], [y], tfl.MirrorPadOptionsT(mode=tfl.MirrorPadMode.REFLECT))
        return
    result = m.tensor(x)
    for axis, (before, after) in enumerate(around):
        if before or after:
            indices = np.arange(-before, m.shape(x)[axis] + after)
            result = gathered(m, result, padded_places(indices, m.shape(x)[axis], mode), axis)
    m.finish(result, y)


def gathered(m: TFLiteBuilder, x: int, indices: np.ndarray, axis: int) -> int:
    """x at constant `indices` of a physical axis."""
    shape = [len(indices) if i == axis else n for i, n in enumerate(m.shape(x))]
    return m.emit("GATHER", x, m.ints(indices), options=tfl.GatherOptionsT(axis=axis), shape=shape)


@tflite_op("Gather", layout=gathering, open_sizes=True)
def gather(m: TFLiteBuilder, x: Value, indices: Value, y: Value, *, axis: int) -> None:
    at, logical = m.axis(x, axis), axis % x.rank
    index = from_start(m, indices, x.shape[logical] if x.shape else 0)
    shape = (*m.shape(x)[:at], *m.shape(indices), *m.shape(x)[at + 1 :])
    result = m.emit("GATHER", x, index, options=tfl.GatherOptionsT(axis=at), shape=shape)
    m.move(result, natural_order(x.layout, [logical]) if x.layout and indices.rank == 0 else y.layout, y)


def from_start(m: TFLiteBuilder, indices: Value, size: Dim) -> int:
    """Indices that count from the end, which TFLite does not know, counted from the start."""
    if indices.data is not None and indices.data.min(initial=0) >= 0:
        return m.ints(indices.data)
    if not isinstance(size, int):
        raise NotMappedError("indices may count from the end of an axis whose size is known only when the model runs")
    if indices.data is not None:
        return m.ints(indices.data % size)
    kind = m.dtype(indices)
    is_negative = m.emit("LESS", indices, m.number(0, indices), dtype=bool)
    return m.emit("SELECT_V2", is_negative, m.emit("ADD", indices, m.number(size, indices)), indices, dtype=kind)


def from_start_of_each(m: TFLiteBuilder, indices: Value, sizes: Ints) -> int:
    """As from_start, where the last axis holds an index for each of the first axes of something of `sizes`."""
    ends = np.array(sizes[: indices.sizes[-1]])
    if indices.data is not None:
        return m.ints(np.where(indices.data < 0, indices.data + ends, indices.data))
    is_negative = m.emit("LESS", indices, m.number(0, indices), dtype=bool)
    counted = m.emit("ADD", indices, m.constant(ends, indices.dtype))
    return m.emit("SELECT_V2", is_negative, counted, indices, dtype=m.dtype(indices))


@tflite_op("Tile", layout=alike)
def tile(m: TFLiteBuilder, x: Value, repeats: Value, y: Value) -> None:
    count = const_ints(repeats)
    if count is None:
        raise NotMappedError("the repeats are computed")
    m.op("TILE", [x, m.ints(m.arranged(x, count))], [y])


@tflite_op("Expand", layout=alike)
def expand(m: TFLiteBuilder, x: Value, shape: Value, y: Value) -> None:
    m.op("BROADCAST_TO", [m.operand(x, y), m.ints(m.shape(y))], [y])


@tflite_op("DepthToSpace", layout=Side.LAST)
def depth_to_space(m: TFLiteBuilder, x: Value, y: Value, *, blocksize: int, mode: str) -> None:
    """TFLite has the channels of a block outermost (DCR); for CRD they are brought into that order."""
    source = m.tensor(x)
    if mode == "CRD":
        depth = x.sizes[1] // blocksize**2
        source = gathered(m, source, np.arange(x.sizes[1]).reshape(depth, -1).T.ravel(), 3)
    m.op("DEPTH_TO_SPACE", [source], [y], tfl.DepthToSpaceOptionsT(blockSize=blocksize))


@tflite_op("SpaceToDepth", layout=Side.LAST)
def space_to_depth(m: TFLiteBuilder, x: Value, y: Value, *, blocksize: int) -> None:
    m.op("SPACE_TO_DEPTH", [x], [y], tfl.SpaceToDepthOptionsT(blockSize=blocksize))


@tflite_op("OneHot")
def one_hot(m: TFLiteBuilder, indices: Value, depth: Value, values: Value, y: Value, *, axis: int) -> None:
    count, limits = const_ints(depth), values.data
    if count is None or limits is None:
        raise NotMappedError("the depth or the values are computed")
    on, off = m.constant(limits[1], y.dtype), m.constant(limits[0], y.dtype)
    options: Any = tfl.OneHotOptionsT(axis=-1 if axis == -1 else axis % y.rank)
    index = m.emit("FLOOR_MOD", m.cast(indices, np.int32), m.ints(count[0]))
    m.op("ONE_HOT", [index, m.ints(count[0]), on, off], [y], options)


@tflite_op("GatherND")
def gather_nd(m: TFLiteBuilder, x: Value, indices: Value, y: Value, *, batch_dims: int) -> None:
    if batch_dims:
        raise NotMappedError("batch_dims")
    m.op("GATHER_ND", [x, from_start_of_each(m, indices, x.sizes)], [y])


@tflite_op("ReverseSequence")
def reverse_sequence(m: TFLiteBuilder, x: Value, lengths: Value, y: Value, *, batch_axis: int, time_axis: int) -> None:
    options = tfl.ReverseSequenceOptionsT(seqDim=time_axis, batchDim=batch_axis)
    m.op("REVERSE_SEQUENCE", [x, lengths], [y], options)
