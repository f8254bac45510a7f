"""MIL operations that reduce, sort or accumulate along axes."""

from __future__ import annotations

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, mil_op
from netglot.ir.graph import Value

_REDUCTIONS = {
    "reduce_l1_norm": "ReduceL1", "reduce_l2_norm": "ReduceL2", "reduce_log_sum": "ReduceLogSum",
    "reduce_log_sum_exp": "ReduceLogSumExp", "reduce_max": "ReduceMax", "reduce_mean": "ReduceMean",
    "reduce_min": "ReduceMin", "reduce_prod": "ReduceProd", "reduce_sum": "ReduceSum",
    "reduce_sum_square": "ReduceSumSquare",
}  # fmt: skip


def _register(mil: str, onnx: str) -> None:
    @mil_op(mil)
    def reduce(g: CoreMLBuilder, *, x: Value, axes: Ints | None = None, keep_dims: bool = False) -> Value:
        return g.op(onnx, [x, np.array(axes or range(x.rank), np.int64)], keepdims=int(keep_dims))


def _register_arg(mil: str, onnx: str) -> None:
    @mil_op(mil)
    def arg(
        g: CoreMLBuilder, *, x: Value, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
    ) -> Value:
        return g.op(onnx, [x], axis=axis, keepdims=int(keep_dims))


for _mil, _onnx in _REDUCTIONS.items():
    _register(_mil, _onnx)
for _mil, _onnx in {"reduce_argmax": "ArgMax", "reduce_argmin": "ArgMin"}.items():
    _register_arg(_mil, _onnx)


@mil_op("topk")
def topk(
    g: CoreMLBuilder, *, x: Value, k: int = 1, axis: int = -1, ascending: bool = False, sort: bool = True,
    return_indices: bool = True, output_indices_dtype: str = "int32",
) -> tuple[Value, ...]:  # fmt: skip
    values, indices = g.op("TopK", [x, [k]], outputs=2, axis=axis, largest=int(not ascending))
    return (values, indices) if return_indices else (values,)


@mil_op("argsort")
def argsort(g: CoreMLBuilder, *, x: Value, axis: int = -1, ascending: bool = False) -> Value:
    return topk(g, x=x, k=x.sizes[axis], axis=axis, ascending=ascending)[1]


@mil_op("cumsum")
def cumsum(g: CoreMLBuilder, *, x: Value, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Value:
    return g.CumSum(x, np.array(axis, np.int64), exclusive=int(exclusive), reverse=int(reverse))


@mil_op("non_maximum_suppression")
def non_maximum_suppression(
    g: CoreMLBuilder, *, boxes: Value, scores: Value, iou_threshold: float, max_boxes: int,
    score_threshold: float = -np.inf, per_class_suppression: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """Boxes are centre and size; a score that equals its threshold stays. Unused rows are zero, their index is -1."""
    batch, _, classes = scores.sizes
    if batch != 1 or (classes != 1 and per_class_suppression):
        raise UnsupportedError("non_maximum_suppression of several images, or by class", g.origin)
    flat = g.Squeeze(boxes, [0])
    centre, half = g.Slice(flat, [0], [2], [1]), g.Mul(g.Slice(flat, [2], [4], [1]), g.like(boxes, 0.5))
    corners = g.Concat(g.Sub(centre, half), g.Add(centre, half), axis=1)
    best = g.ReduceMax(scores, np.array([0, 2], np.int64), keepdims=0)
    with np.errstate(over="ignore"):  # below the least number there is -inf
        limit = float(np.nextafter(np.float32(score_threshold), np.float32(-np.inf)))
    thresholds = {"iou_threshold": iou_threshold, "score_threshold": limit}
    single = [g.Cast(item, to=1) if item.dtype == np.float16 else item for item in (corners, best)]  # ONNX has no other
    index = g.extension("BoxNms", single, max_boxes=max_boxes, **thresholds)
    used = g.GreaterOrEqual(index, np.array(0, np.int64))
    kept_boxes, kept_scores = (_chosen(g, table, index, used) for table in (flat, g.Squeeze(scores, [0])))
    count = g.ReduceSum(g.Cast(used, to=6), np.array([0], np.int64), keepdims=1)
    return kept_boxes, kept_scores, g.Unsqueeze(index, [0]), count


def _chosen(g: CoreMLBuilder, table: Value, index: Value, used: Value) -> Value:
    """[1, rows, columns]: rows of `table` by index, zeros where none is used."""
    rows = g.Gather(table, g.Max(index, np.array(0, np.int64)), axis=0)
    return g.Unsqueeze(g.Where(g.Unsqueeze(used, [1]), rows, g.like(table, 0)), [0])
