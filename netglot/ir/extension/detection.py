"""Detection: suppression with an output of fixed size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.ir.graph import Value
from netglot.ir.schema import Result

if TYPE_CHECKING:
    from netglot.ir.builder import Builder


class BoxNms:
    """Greedy non-maximum suppression of one class, with an output of fixed size.

    boxes: float [N, 4] as (y1, x1, y2, x2) or (x1, y1, x2, y2); scores: float [N]. Gives int64 [max_boxes]: indices of
    the kept boxes by falling score, then -1. A box is dropped if its intersection over union with a kept one is
    *greater* than iou_threshold, or if its score is not greater than score_threshold (NonMaxSuppression-11 of ONNX,
    whose output has as many rows as boxes were kept; compiled targets need to know the size).
    """

    outputs = ("indices",)

    @staticmethod
    def run(
        boxes: np.ndarray, scores: np.ndarray, *, max_boxes: int, iou_threshold: float = 0.5,
        score_threshold: float = 0.0,
    ) -> np.ndarray:  # fmt: skip
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > score_threshold]
        kept: list[int] = []
        for i in order:
            if len(kept) < max_boxes and all(_overlap(boxes[i], boxes[j]) <= iou_threshold for j in kept):
                kept.append(int(i))
        return np.array(kept + [-1] * (max_boxes - len(kept)), np.int64)

    @staticmethod
    def infer(inputs: Sequence[Value | None], *, max_boxes: int, **_: Any) -> list[Result]:
        return [(np.dtype(np.int64), (max_boxes,))]

    @staticmethod
    def expand(
        g: Builder, boxes: Value, scores: Value, *, max_boxes: int, iou_threshold: float = 0.5,
        score_threshold: float = 0.0,
    ) -> Value:  # fmt: skip
        """NonMaxSuppression, its third column, then padded with -1 and cut to max_boxes."""
        batched = g.Unsqueeze(scores, [0, 1])
        limits = (np.array(max_boxes, np.int64), np.float32(iou_threshold), np.float32(score_threshold))
        chosen = g.NonMaxSuppression(g.Unsqueeze(boxes, [0]), batched, *(g.constant(limit) for limit in limits))
        padded = g.Concat(g.Gather(chosen, np.array(2), axis=1), np.full(max_boxes, -1, np.int64), axis=0)
        return g.Slice(padded, [0], [max_boxes])


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes given by two opposite corners, in any order (NonMaxSuppression-11)."""
    (low_a, high_a), (low_b, high_b) = np.sort(a.reshape(2, 2), 0), np.sort(b.reshape(2, 2), 0)
    shared = float(np.prod(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0)))
    union = float(np.prod(high_a - low_a) + np.prod(high_b - low_b)) - shared
    return shared / union if union > 0 else 0.0
