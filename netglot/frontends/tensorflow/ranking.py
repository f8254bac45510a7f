"""The best of many: top k, and the greedy reading of CTC. Semantics: TensorFlow's core/ops/{nn,ctc}_ops.cc."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar, wide
from netglot.ir.graph import Value


@tf_op("TopKV2")
def top_k_v2(g: TFBuilder, x: Value, k: Value, *, sorted: bool = True, index_type: Any = np.int32) -> Any:
    """Of equal ones that with the lower index comes first. Unsorted results come in any order, so also in this one."""
    values, indices = g.op("TopK", [wide(g, x), g.Reshape(g.cast(k, np.int64), [1])], outputs=2, axis=-1)
    return g.cast(values, x.dtype), g.cast(indices, index_type)


@tf_op("TopK")
def top_k(g: TFBuilder, x: Value, *, k: int, sorted: bool = True) -> Any:
    return top_k_v2(g, x, g.constant(k, np.int64))


@tf_op("InTopK")
def in_top_k(g: TFBuilder, predictions: Value, targets: Value, *, k: int) -> Value:
    return in_top_k_v2(g, predictions, targets, g.constant(k, np.int64))


@tf_op("InTopKV2")
def in_top_k_v2(g: TFBuilder, predictions: Value, targets: Value, k: Value) -> Value:
    """Whether fewer than k are greater than the target's prediction. Not in a row with NaN or infinity, nor for a
    target that is no class."""
    index, zero = g.cast(targets, np.int64), g.constant(0, np.int64)
    classes = g.Reshape(g.Shape(predictions, start=1), g.constant(np.zeros(0, np.int64)))
    is_class = g.And(g.GreaterOrEqual(index, zero), g.Less(index, classes))
    mine = g.GatherElements(predictions, g.Unsqueeze(g.Where(is_class, index, zero), [1]), axis=1)
    better = g.ReduceSum(g.cast(g.Greater(predictions, mine), np.int64), [1], keepdims=0)
    nothing = g.ReduceSum(g.Mul(predictions, scalar(g, 0, predictions)), [1], keepdims=0)
    finite = g.Equal(nothing, scalar(g, 0, predictions))
    return g.And(g.And(is_class, finite), g.Less(better, g.cast(k, np.int64)))


@tf_op("CTCGreedyDecoder")
def ctc_greedy_decoder(
    g: TFBuilder, x: Value, sequence_length: Value, *, merge_repeated: bool = False, blank_index: int = -1
) -> tuple[Value, ...]:
    """Logits [time, batch, classes] to a sparse matrix (indices, values, shape) of labels, and the negated sum of the
    best logits of each sequence.

    A blank is left out, and so is what repeats the step before, if repetitions are merged.
    """
    classes = (x.shape or (None,))[-1]
    if not isinstance(classes, int):
        raise g.unsupported("an unknown number of classes")
    blank = g.constant(blank_index % classes, np.int64)
    best = g.Transpose(g.ArgMax(x, axis=2, keepdims=0), perm=[1, 0])
    time = g.Range(g.constant(0, np.int64), _size(g, x, 0), g.constant(1, np.int64))
    inside = g.Less(time, g.Unsqueeze(g.cast(sequence_length, np.int64), [1]))
    kept = g.And(inside, g.Not(g.Equal(best, blank)))
    if merge_repeated:
        before = g.Slice(g.Pad(best, [0, 1, 0, 0], g.constant(-1, np.int64)), [0], [-1], [1])
        kept = g.And(kept, g.Not(g.Equal(best, before)))
    found = g.Transpose(g.NonZero(kept), perm=[1, 0])
    number = g.cast(kept, np.int64)
    column = g.GatherND(g.CumSum(number, g.constant(1, np.int64), exclusive=1), found)
    indices = g.Concat(g.Slice(found, [0], [1], [1]), g.Unsqueeze(column, [1]), axis=1)
    longest = g.Reshape(g.ReduceMax(g.ReduceSum(number, [1], keepdims=0), [0], keepdims=0), [1])
    scores = g.Transpose(g.ReduceMax(x, [2], keepdims=0), perm=[1, 0])
    scores = g.Where(inside, scores, scalar(g, 0, x))
    shape = g.Concat(g.Shape(x, start=1, end=2), longest, axis=0)
    return indices, g.GatherND(best, found), shape, g.Neg(g.ReduceSum(scores, [1], keepdims=1))


def _size(g: TFBuilder, x: Value, axis: int) -> Value:
    return g.Reshape(g.Shape(x, start=axis, end=axis + 1), g.constant(np.zeros(0, np.int64)))
