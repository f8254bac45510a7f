"""Layers that move or reduce elements. Those without ND in their name are about N C H W."""

from __future__ import annotations

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml import mil_shape
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, nn_layer
from netglot.ir.graph import Value

_CHANNEL_LAST = 1  # FlattenOrder and ReshapeOrder


@nn_layer("flatten")
def flatten(g: CoreMLBuilder, x: Value, *, mode: int) -> Value:
    x = g.Transpose(x, perm=(0, 2, 3, 1)) if mode == _CHANNEL_LAST else x
    return g.reshape(x, (x.sizes[0], int(np.prod(x.sizes[1:])), 1, 1))


@nn_layer("reshape")
def reshape(g: CoreMLBuilder, x: Value, *, targetShape: Ints, mode: int) -> Value:
    """To [C, H, W], or [sequence, C, H, W]; channel-last reads and writes H W C."""
    channels, height, width = targetShape[-3:]
    lead = targetShape[0] if len(targetShape) == 4 else x.sizes[0]
    if mode != _CHANNEL_LAST:
        return g.reshape(x, (lead, channels, height, width))
    last = g.reshape(g.Transpose(x, perm=(0, 2, 3, 1)), (lead, height, width, channels))
    return g.Transpose(last, perm=(0, 3, 1, 2))


@nn_layer("permute")
def permute(g: CoreMLBuilder, x: Value, *, axis: Ints) -> Value:
    """Axes of [sequence, C, H, W]; there is one sequence, or one batch."""
    return g.Transpose(x, perm=axis)


@nn_layer("concat")
def concat(g: CoreMLBuilder, *values: Value, sequenceConcat: bool) -> Value:
    return g.Concat(*values, axis=0 if sequenceConcat else -3)


@nn_layer("split")
def split(g: CoreMLBuilder, x: Value, *, nOutputs: int) -> tuple[Value, ...]:
    return mil_shape.split(g, x=x, axis=-3, num_splits=nOutputs)


@nn_layer("slice")
def slice_(g: CoreMLBuilder, x: Value, *, startIndex: int, endIndex: int, stride: int, axis: int) -> Value:
    return g.Slice(x, [startIndex], [endIndex], [axis - 3], [max(stride, 1)])


_REDUCE = ("ReduceSum", "ReduceMean", "ReduceProd", "ReduceLogSum", "ReduceSumSquare", "ReduceL1", "ReduceL2",
           "ReduceMax", "ReduceMin", "ArgMax")  # fmt: skip
_REDUCE_AXES = ((-3, -2, -1), (-2, -1), (-3,), (-2,), (-1,))


@nn_layer("reduce")
def reduce(g: CoreMLBuilder, x: Value, *, mode: int, epsilon: float, axis: int) -> Value:
    op, axes = _REDUCE[mode], _REDUCE_AXES[axis]
    if op == "ArgMax":
        return g.Cast(g.ArgMax(x, axis=axes[0]), to=1)
    if op == "ReduceLogSum":
        return g.Log(g.Add(g.ReduceSum(x, list(axes)), g.like(x, epsilon)))
    return g.op(op, [x, np.array(axes, np.int64)])


# --------------------------------------------------------------- of any rank


def _register_reduction(layer: str, onnx: str) -> None:
    @nn_layer(layer)
    def reduction(g: CoreMLBuilder, x: Value, *, axes: Ints, keepDims: bool, reduceAll: bool) -> Value:
        chosen = list(range(x.rank)) if reduceAll else axes
        return g.op(onnx, [x, np.array(chosen, np.int64)], keepdims=int(keepDims))


for _name in ("L1", "L2", "Max", "Min", "Sum", "Prod", "Mean", "LogSum", "SumSquare", "LogSumExp"):
    _register_reduction(f"reduce{_name}", f"Reduce{_name}")


@nn_layer("transpose")
def transpose(g: CoreMLBuilder, x: Value, *, axes: Ints) -> Value:
    return g.Transpose(x, perm=axes)


@nn_layer("reshapeStatic", "rankPreservingReshape")
def reshape_static(g: CoreMLBuilder, x: Value, *, targetShape: Ints) -> Value:
    return g.Reshape(x, mil_shape.ints(targetShape))


@nn_layer("flattenTo2D")
def flatten_to_2d(g: CoreMLBuilder, x: Value, *, axis: int) -> Value:
    return g.Flatten(x, axis=axis)


@nn_layer("expandDims")
def expand_dims(g: CoreMLBuilder, x: Value, *, axes: Ints) -> Value:
    return g.Unsqueeze(x, mil_shape.ints(axes))


@nn_layer("squeeze")
def squeeze(g: CoreMLBuilder, x: Value, *, axes: Ints, squeezeAll: bool) -> Value:
    """What has one element keeps one axis: a network has no scalars."""
    gone = [axis for axis in range(x.rank) if x.sizes[axis] == 1] if squeezeAll else [axis % x.rank for axis in axes]
    return g.reshape(x, tuple(n for axis, n in enumerate(x.sizes) if axis not in gone) or (1,))


@nn_layer("concatND")
def concat_nd(g: CoreMLBuilder, *values: Value, axis: int, interleave: bool = False) -> Value:
    return mil_shape.concat(g, values=list(values), axis=axis, interleave=interleave)


@nn_layer("stack")
def stack(g: CoreMLBuilder, *values: Value, axis: int) -> Value:
    return mil_shape.stack(g, values=list(values), axis=axis)


@nn_layer("splitND")
def split_nd(g: CoreMLBuilder, x: Value, *, axis: int, numSplits: int, splitSizes: Ints) -> tuple[Value, ...]:
    return mil_shape.split(g, x=x, axis=axis, num_splits=numSplits, split_sizes=splitSizes or None)


@nn_layer("sliceStatic")
def slice_static(
    g: CoreMLBuilder, x: Value, *, beginIds: Ints, endIds: Ints, strides: Ints, beginMasks: Ints, endMasks: Ints,
    squeezeMasks: Ints,
) -> Value:  # fmt: skip
    y = mil_shape.slice_by_index(
        g, x=x, begin=beginIds, end=endIds, stride=strides, begin_mask=beginMasks, end_mask=endMasks,
        squeeze_mask=squeezeMasks,
    )  # fmt: skip
    return y if y.rank else g.Unsqueeze(y, [0])


@nn_layer("tile")
def tile(g: CoreMLBuilder, x: Value, *, reps: Ints) -> Value:
    return g.Tile(x, mil_shape.ints(reps))


@nn_layer("gather")
def gather(g: CoreMLBuilder, x: Value, indices: Value, *, axis: int) -> Value:
    """A network's numbers are all floats."""
    return g.Gather(x, g.Cast(indices, to=7), axis=axis)


@nn_layer("constantPad")
def constant_pad(
    g: CoreMLBuilder, x: Value, *, value: float, padAmounts: Ints, padToGivenOutputSizeMode: bool
) -> Value:
    if padToGivenOutputSizeMode:
        raise UnsupportedError("padding to given sizes", g.origin)
    return mil_shape.pad(g, x=x, pad=padAmounts, constant_val=value)
