"""Operators of detection networks."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import OPEN, Ints, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.reduction import reduced
from netglot.ir.graph import Value
from netglot.ir.types import is_static

MAX_ELEMENTS = 2**28  # of one temporary of MaxRoiPool


@tflite_op("netglot.BoxNms")
def box_nms(
    m: TFLiteBuilder, boxes: Value, scores: Value, y: Value, *, max_boxes: int, iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
) -> None:  # fmt: skip
    """The indices that `suppressed` gives; what is missing is -1."""
    picked, found = suppressed(m, m.tensor(boxes), m.tensor(scores), max_boxes, iou_threshold, score_threshold)
    is_found = m.emit("LESS", m.ints(np.arange(max_boxes)), found, dtype=bool)
    m.finish(m.cast(m.emit("SELECT_V2", is_found, picked, m.ints(-1), dtype=np.int32), np.int64), y)


def suppressed(
    m: TFLiteBuilder, boxes: int, scores: int, most: int, iou_threshold: float, score_threshold: float | None
) -> tuple[int, int]:
    """Indices of the kept ones of boxes [N, 4], filled up to `most` with anything, and how many they are.

    NON_MAX_SUPPRESSION_V4 does not say which of equal scores goes first: it is given the boxes by falling score, and
    falling ranks as their scores. And it drops boxes that overlap by the threshold itself: it is given the next larger
    number. Without a score_threshold every box is a candidate.
    """
    if iou_threshold >= 1:
        raise NotMappedError("an iou_threshold of 1 or more")
    count = m.shape(boxes)[0]
    score, rank = m.temporary((count,), m.dtype(scores)), m.temporary((count,), np.int32)
    m.op("TOPK_V2", [scores, m.ints(count)], [score, rank])
    priority = m.constant(np.arange(count, 0, -1), np.float32)
    if score_threshold is not None:
        is_candidate = m.emit("GREATER", score, float(score_threshold), dtype=bool)
        priority = m.emit("SELECT_V2", is_candidate, priority, m.number(0.0, priority), dtype=np.float32)
    ordered = apart(m, m.emit("GATHER", boxes, rank, shape=m.shape(boxes)))
    limit = float(np.nextafter(np.float32(iou_threshold), np.float32(2)))
    chosen, found = m.temporary((most,), np.int32), m.temporary((), np.int32)
    limits = [m.ints(most), m.number(limit, boxes), m.number(0.5, boxes)]
    m.op("NON_MAX_SUPPRESSION_V4", [ordered, priority, *limits], [chosen, found])
    return m.emit("GATHER", rank, chosen, shape=(most,)), found


MAX_SUPPRESSIONS = 256  # of one NonMaxSuppression: each class of each image costs some 15 operators


@tflite_op("NonMaxSuppression", open_sizes=True)
def non_max_suppression(
    m: TFLiteBuilder, boxes: Value, scores: Value, most: Value | None, iou_threshold: Value | None,
    score_threshold: Value | None, y: Value, *, center_point_box: int,
) -> None:  # fmt: skip
    """One suppression for each class of each image, in ONNX's order, and of each the rows that it found."""
    if not is_static(boxes.shape) or not is_static(scores.shape):
        raise NotMappedError("how many boxes it chooses from is known only when the model runs")
    batch, classes, count = scores.sizes
    if batch * classes > MAX_SUPPRESSIONS:
        raise NotMappedError(f"{batch} image(s) of {classes} classes are more than {MAX_SUPPRESSIONS} suppressions")
    kept = min(count, int(known(most, "max_output_boxes_per_class") or 0))
    overlap, least = known(iou_threshold, "iou_threshold") or 0.0, known(score_threshold, "score_threshold")
    if kept < 1:
        raise NotMappedError("max_output_boxes_per_class is 0, so that it finds nothing")
    rows = []
    for image in range(batch):
        at = corners(m, part(m, boxes, [image, 0, 0], (count, 4)), bool(center_point_box))
        for label in range(classes):
            score = part(m, scores, [image, label, 0], (count,))
            rows.append(_rows(m, *suppressed(m, at, score, kept, overlap, least), image, label))
    total = m.emit("CONCATENATION", *rows, shape=(OPEN, 3)) if len(rows) > 1 else rows[0]
    m.finish(m.cast(total, np.int64), y)


def known(value: Value | None, what: str) -> float | None:
    """The number in a constant, None where it is left out."""
    if value is None:
        return None
    if value.data is None:
        raise NotMappedError(f"{what} is computed")
    return float(value.data.item())


def part(m: TFLiteBuilder, x: Value, begin: list[int], shape: Ints) -> int:
    """The elements of x from `begin` on, as `shape`, which has the sizes of x's last axes."""
    sizes = (1,) * (x.rank - len(shape)) + shape
    if sizes == x.sizes:
        return m.reshaped(x, shape)
    return m.reshaped(m.emit("SLICE", x, m.ints(begin), m.ints(sizes), shape=sizes), shape)


def corners(m: TFLiteBuilder, boxes: int, is_centred: bool) -> int:
    """Boxes [N, 4] by opposite corners. Of those by centre and size, a negative size overlaps nothing, as zero."""
    if not is_centred:
        return boxes
    shape = (m.shape(boxes)[0], 2)
    centre = m.emit("SLICE", boxes, m.ints([0, 0]), m.ints(shape), shape=shape)
    size = m.emit("SLICE", boxes, m.ints([0, 2]), m.ints(shape), shape=shape)
    half = m.emit("MUL", m.emit("MAXIMUM", size, 0.0), 0.5)
    ends = [m.emit("SUB", centre, half), m.emit("ADD", centre, half)]
    return m.emit("CONCATENATION", *ends, options=tfl.ConcatenationOptionsT(axis=1), shape=(shape[0], 4))


def _rows(m: TFLiteBuilder, picked: int, found: int, image: int, label: int) -> int:
    """[found, 3] of int32: the image, the class and an index of each of the first `found` boxes of `picked`."""
    boxes = m.emit("SLICE", picked, m.ints([0]), m.reshaped(found, (1,)), shape=(OPEN,))
    column = m.reshaped(boxes, (OPEN, 1))
    rows = m.emit("PAD", column, m.ints([[0, 0], [2, 0]]), shape=(OPEN, 3))
    return m.emit("ADD", rows, m.ints([image, label, 0])) if image or label else rows


def apart(m: TFLiteBuilder, boxes: int) -> int:
    """Boxes [N, 4] where those without area are squares of their own, away from all others.

    They overlap nothing, as they should; but LiteRT's kernel would choose a box again and again that does not overlap
    itself.
    """
    count = m.shape(boxes)[0]
    low = m.emit("SLICE", boxes, m.ints([0, 0]), m.ints([count, 2]), shape=(count, 2))
    high = m.emit("SLICE", boxes, m.ints([0, 2]), m.ints([count, 2]), shape=(count, 2))
    smaller = reduced(m, "REDUCE_MIN", m.emit("ABS", m.emit("SUB", high, low)), [1])
    outside = m.emit("ADD", reduced(m, "REDUCE_MAX", boxes, [0, 1]), 1.0)
    squares = 2 * np.arange(count, dtype=np.float32)[:, None] + np.array([0, 0, 1, 1], np.float32)
    moved = m.emit("ADD", m.constant(squares), outside)
    has_area = m.emit("GREATER", smaller, 0.0, dtype=bool)
    return m.emit("SELECT_V2", has_area, boxes, moved, shape=(count, 4), dtype=np.float32)


@tflite_op("MaxRoiPool", layout=Side.LAST)
def max_roi_pool(
    m: TFLiteBuilder, x: Value, rois: Value, y: Value, *, pooled_shape: Ints, spatial_scale: float
) -> None:
    """The largest under each bin: elsewhere the image is -inf, first outside the bin's columns, then its rows.

    Bins as in ONNX Runtime (roi_pool.cc): corners rounded half up, at least one wide, edges rounded outwards.
    """
    count, (bins_h, bins_w) = rois.sizes[0], pooled_shape
    _, height, width, channels = m.shape(x)
    if count * bins_w * height * width * channels > MAX_ELEMENTS:
        raise NotMappedError(f"{count} regions of {height}x{width}x{channels} need too much memory at once")
    columns = [m.emit("SLICE", rois, m.ints([0, i]), m.ints([count, 1]), shape=(count, 1)) for i in range(5)]
    images = m.reshaped(m.cast(columns[0], np.int32), (count,))
    picked = m.emit("GATHER", x, images, shape=(count, height, width, channels))
    low_x, low_y, high_x, high_y = (
        m.emit("FLOOR", m.emit("ADD", m.emit("MUL", corner, float(spatial_scale)), 0.5)) for corner in columns[1:]
    )
    in_columns = _bins(m, low_x, high_x, bins_w, width, (count, bins_w, 1, width, 1))
    in_rows = _bins(m, low_y, high_y, bins_h, height, (count, bins_h, height, 1, 1))
    wide = _largest(m, in_columns, m.reshaped(picked, (count, 1, height, width, channels)), 3)
    turned = m.transposed(m.reshaped(wide, (count, bins_w, height, channels)), (0, 2, 1, 3))
    tall = _largest(m, in_rows, m.reshaped(turned, (count, 1, height, bins_w, channels)), 2)
    found = m.reshaped(tall, (count, bins_h, bins_w, channels))
    m.op("SELECT_V2", [m.emit("EQUAL", found, -np.inf, dtype=bool), m.number(0.0, x), found], [y])


def _bins(m: TFLiteBuilder, low: int, high: int, bins: int, size: int, shape: Ints) -> int:
    """A mask [rois, bins, size], as `shape`: whether an index of the axis lies in a bin."""
    span = m.emit("MAXIMUM", m.emit("ADD", m.emit("SUB", high, low), 1.0), 1.0)
    step = m.emit("DIV", span, float(bins))
    number = np.arange(bins + 1, dtype=np.float32)[None]
    start = m.emit("ADD", m.emit("FLOOR", m.emit("MUL", step, m.constant(number[:, :-1]))), low)
    end = m.emit("ADD", m.emit("CEIL", m.emit("MUL", step, m.constant(number[:, 1:]))), low)
    edge = (m.shape(low)[0], bins, 1)
    index = m.constant(np.arange(size, dtype=np.float32))
    after = m.emit("GREATER_EQUAL", index, m.reshaped(start, edge), dtype=bool)
    before = m.emit("LESS", index, m.reshaped(end, edge), dtype=bool)
    return m.reshaped(m.emit("LOGICAL_AND", after, before), shape)


def _largest(m: TFLiteBuilder, mask: int, x: int, axis: int) -> int:
    shape = np.broadcast_shapes(m.shape(mask), m.shape(x))
    inside = m.emit("SELECT_V2", mask, x, m.number(-np.inf, x), shape=shape, dtype=m.dtype(x))
    return reduced(m, "REDUCE_MAX", inside, [axis])
