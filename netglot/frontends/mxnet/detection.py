"""Detection: anchors, boxes, and suppression of those that overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import is_static, static

Floats = tuple[float, ...]
Ints = tuple[int, ...]
Format = Literal["corner", "center"]

LOWEST = float(np.finfo(np.float32).min)


def sizes_of(g: MXNetBuilder, x: Value, first: int = 0) -> Ints:
    """The sizes of x from its axis `first` on, which must be known."""
    if x.shape is None or not is_static(x.shape[first:]):
        raise g.unsupported("needs to know all sizes, also of the batch", "Give them with --input.")
    return static(x.shape[first:])


def images(g: MXNetBuilder, x: Value) -> list[Value]:
    """Each element of the batch."""
    count = sizes_of(g, x)[0]
    parts = g.Split(x, [1] * g.affordable(count)[0], axis=0, outputs=count) if count > 1 else [x]
    return [g.Squeeze(part, [0]) for part in parts]


def columns(g: MXNetBuilder, x: Value, *counts: int) -> list[Value]:
    """x [..., n] in parts of so many columns each."""
    return list(g.Split(x, list(counts), axis=-1, outputs=len(counts)))


# ---------------------------------------------------------------------- anchors


@mxnet_op("_contrib_MultiBoxPrior", "_npx_multibox_prior")
def multi_box_prior(
    g: MXNetBuilder, data: Value, *, sizes: Floats = (1.0,), ratios: Floats = (1.0,), clip: bool = False,
    steps: Floats = (-1.0, -1.0), offsets: Floats = (0.5, 0.5),
) -> Value:  # fmt: skip
    """contrib/multibox_prior.cc: a constant [1, boxes, 4], corners in parts of the image (y before x in steps).

    Each cell has every size with the first ratio, then the first size with every other ratio.
    """
    if not sizes or len(steps) != 2 or len(offsets) != 2 or not all(0 < item < 1e9 for item in (*sizes, *ratios)):
        raise ConversionError("sizes, ratios, steps or offsets make no sense", g.origin)
    height, width = sizes_of(g, data, 2)
    kinds = [(size, ratios[0] if ratios else 1.0) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    g.affordable(height, width, len(kinds), 4)
    one = np.float32(1)
    step_y, step_x = (one / height, one / width) if min(steps) <= 0 else map(np.float32, steps)
    y = (np.arange(height, dtype=np.float32) + np.float32(offsets[0])) * step_y
    x = (np.arange(width, dtype=np.float32) + np.float32(offsets[1])) * step_x
    size, root = np.array(kinds, np.float32).T * one
    root = np.sqrt(root)
    halves = np.stack([size * np.float32(height) / np.float32(width) * root / 2, size / root / 2], axis=-1)
    centres = np.stack(np.broadcast_arrays(x[None, :, None], y[:, None, None]), axis=-1)
    boxes = np.concatenate([centres - halves, centres + halves], axis=-1).reshape(1, -1, 4)
    return g.constant((np.clip(boxes, 0, 1) if clip else boxes).astype(data.dtype))


# ------------------------------------------------------------------ suppression


@dataclass(frozen=True)
class Ranked:
    """Boxes [K, 4] by falling score, which of them count [K], and their classes [K] where these are told apart."""

    boxes: Value
    valid: Value
    classes: Value | None = None


def survivors(g: MXNetBuilder, ranked: Ranked, threshold: float) -> Value:
    """The places of the boxes that no better one overlaps by more than `threshold`, in order, then -1; int64 [K].

    Any number may be a class, so a loop tells them apart.
    """
    if threshold < 0:
        raise g.unsupported(f"a threshold of {threshold} is not supported")
    if threshold >= 1:
        return _places(g, ranked.valid)
    if ranked.classes is not None:
        return _places(g, _by_loop(g, ranked, ranked.classes, threshold))
    return _suppress(g, ranked.boxes, ranked.valid, threshold)


def _suppress(g: MXNetBuilder, boxes: Value, valid: Value, threshold: float) -> Value:
    """As `survivors`, of the boxes that are valid."""
    count = sizes_of(g, boxes)[0]
    scores = g.Where(valid, np.arange(count, 0, -1, dtype=np.float32), 0.0)
    kept: Value = g.extension("BoxNms", [boxes, scores], max_boxes=count, iou_threshold=threshold, score_threshold=0.0)
    return kept


def _places(g: MXNetBuilder, mask: Value) -> Value:
    """Where `mask` is true, in order, then -1."""
    count = sizes_of(g, mask)[0]
    rank, places = g.TopK(g.Where(mask, np.arange(count, 0, -1, dtype=np.float32), 0.0), [count], axis=0, outputs=2)
    return g.Where(g.Greater(rank, 0.0), places, np.array(-1))


def members(g: MXNetBuilder, indices: Value, count: int) -> Value:
    """Which of `count` places are among `indices`, where -1 is none; bool [count].

    Both are sorted together: a place has the rank r, the same place among the indices r - 1/4, so that it comes next.
    """
    total = count + sizes_of(g, indices)[0]
    g.affordable(4 * total)
    own = np.arange(count, 0, -1, dtype=np.float32)
    found = g.Where(g.Less(indices, np.array(0)), -1.0, g.Sub(count - 0.25, g.cast(indices, np.float32)))
    ranked, _ = g.TopK(g.Concat(own, found, axis=0), [total], axis=0, outputs=2)
    gaps = g.Sub(ranked, g.Concat(g.Slice(ranked, [1], [total], [0]), np.full(1, -9, np.float32), axis=0))
    is_own = g.Equal(g.Floor(ranked), ranked)
    return g.Gather(g.Equal(gaps, 0.25), ranking(g, g.Where(is_own, ranked, 0.0), count))


def ranking(g: MXNetBuilder, keys: Value, count: int) -> Value:
    """Where the `count` largest keys are; of equal ones the first comes first."""
    _, places = g.TopK(keys, [count], axis=0, outputs=2)
    return places


def _by_loop(g: MXNetBuilder, ranked: Ranked, classes: Value, threshold: float) -> Value:
    """A step for each box, which drops those after it that it overlaps, as nms_impl of bounding_box-common.h does."""
    count = sizes_of(g, ranked.boxes)[0]
    sides = columns(g, ranked.boxes, 1, 1, 1, 1)
    inner = g.inner("suppression")
    step = inner.graph.add_input("step", np.dtype(np.int64), ())
    again = inner.graph.add_input("again", np.dtype(np.bool_), ())
    keep = inner.graph.add_input("keep", np.dtype(np.bool_), (count,))
    one = columns(inner, inner.Unsqueeze(inner.Gather(ranked.boxes, step, axis=0), [0]), 1, 1, 1, 1)
    overlap = inner.Squeeze(overlaps(inner, one, sides), [1])
    same = inner.Equal(classes, inner.Gather(classes, step, axis=0))
    later = inner.Greater(np.arange(count), step)
    dropped = inner.And(inner.And(inner.Greater(overlap, threshold), same), inner.And(later, inner.Gather(keep, step)))
    inner.graph.outputs += [inner.Identity(again), inner.And(keep, inner.Not(dropped))]
    result: Value = g.op("Loop", [np.array(count), np.array(True), ranked.valid], body=inner.graph)
    result.shape = (count,)
    return result


def overlaps(g: MXNetBuilder, one: Sequence[Value], other: Sequence[Value]) -> Value:
    """Intersection over union of boxes by their sides (left, top, right, bottom); 0 where they do not meet."""
    width = g.Sub(g.Min(one[2], other[2]), g.Max(one[0], other[0]))
    height = g.Sub(g.Min(one[3], other[3]), g.Max(one[1], other[1]))
    shared = g.Mul(g.Relu(width), g.Relu(height))
    union = g.Sub(g.Add(_area(g, one), _area(g, other)), shared)
    return g.Where(g.Greater(shared, 0.0), g.Div(shared, union), 0.0)


def _area(g: MXNetBuilder, sides: Sequence[Value]) -> Value:
    value: Value = g.Mul(g.Relu(g.Sub(sides[2], sides[0])), g.Relu(g.Sub(sides[3], sides[1])))
    return value


# ------------------------------------------------------------ MultiBoxDetection


@mxnet_op("_contrib_MultiBoxDetection", "_npx_multibox_detection")
def multi_box_detection(
    g: MXNetBuilder, cls_prob: Value, loc_pred: Value, anchor: Value, *, clip: bool = True, threshold: float = 0.01,
    background_id: int = 0, nms_threshold: float = 0.5, force_suppress: bool = False,
    variances: Floats = (0.1, 0.1, 0.2, 0.2), nms_topk: int = -1,
) -> Value:  # fmt: skip
    """contrib/multibox_detection.cc: [N, anchors, 6] of class, score and corners, by falling score, then rows of -1.

    What is suppressed stays where it is, with the class -1. The background is class 0 whatever background_id says.
    """
    _, classes, count = sizes_of(g, cls_prob)
    if len(variances) != 4 or classes < 2:
        raise ConversionError(f"{len(variances)} variances and {classes} classes make no sense", g.origin)
    boxes = _located(g, g.Reshape(loc_pred, [-1, count, 4]), anchor, variances, clip)
    objects = g.Slice(cls_prob, [1], [classes], [1])
    scores = g.ReduceMax(objects, [1], keepdims=0)
    labels = g.cast(g.ArgMax(objects, axis=1, keepdims=0), np.float32)
    rule = _Rule(threshold, nms_threshold, None if force_suppress else range(classes - 1), nms_topk)
    found = [_detected(g, *image, rule) for image in zip(
        images(g, labels), images(g, scores), images(g, boxes), strict=True)]  # fmt: skip
    rows = [g.Unsqueeze(rows, [0]) for rows in found]
    return g.Concat(*rows, axis=0) if len(rows) > 1 else rows[0]


@dataclass(frozen=True)
class _Rule:
    """What is detected: the lowest score, the largest overlap, the classes (None: all as one) and how many at most."""

    lowest: float
    overlap: float
    kinds: Sequence[int] | None
    top_k: int


def _located(g: MXNetBuilder, offsets: Value, anchors: Value, variances: Floats, clip: bool) -> Value:
    """Corners of the boxes (TransformLocations)."""
    near, far = columns(g, anchors, 2, 2)
    size, centre = g.Sub(far, near), g.Div(g.Add(near, far), 2.0)
    shift, growth = columns(g, g.Mul(offsets, np.array(variances, np.float32)), 2, 2)
    middle = g.Add(g.Mul(shift, size), centre)
    half = g.Div(g.Mul(g.Exp(growth), size), 2.0)
    corners = g.Concat(g.Sub(middle, half), g.Add(middle, half), axis=-1)
    return g.Clip(corners, 0.0, 1.0) if clip else corners


def _detected(g: MXNetBuilder, labels: Value, scores: Value, boxes: Value, rule: _Rule) -> Value:
    """The rows of one image."""
    count = sizes_of(g, scores)[0]
    lowest = max(np.float32(rule.lowest), np.nextafter(np.float32(-1), np.float32(0)))  # scores begin at -1
    valid = g.GreaterOrEqual(scores, float(lowest))
    rows = g.Concat(g.Unsqueeze(labels, [1]), g.Unsqueeze(scores, [1]), boxes, axis=1)
    by_place = ranking(g, g.Where(valid, np.arange(count, 0, -1, dtype=np.float32), 0.0), count)
    if not 0 < rule.overlap <= 1:
        return g.Where(g.Unsqueeze(g.Gather(valid, by_place), [1]), g.Gather(rows, by_place), -1.0)
    top = min(count, rule.top_k) if rule.top_k > 0 else count
    by_score = ranking(g, g.Where(valid, scores, LOWEST), top)
    best, is_valid = g.Gather(rows, by_score), g.Gather(valid, by_score)
    kept = _kept(g, g.Gather(boxes, by_score), g.Gather(labels, by_score), is_valid, rule)
    first = _suppressed(g, best, is_valid, kept)
    if top == count:
        return first
    left = g.Slice(by_place, [top], [count], [0])  # MXNet forgets to sort the others
    none = np.zeros(count - top, np.bool_)
    return g.Concat(first, _suppressed(g, g.Gather(rows, left), g.Gather(valid, left), g.constant(none)), axis=0)


def _kept(g: MXNetBuilder, boxes: Value, labels: Value, valid: Value, rule: _Rule) -> Value:
    """Which of the boxes, by falling score, are not suppressed: here an overlap of just the threshold is too much."""
    threshold = float(np.nextafter(np.float32(rule.overlap), np.float32(0)))
    chosen = [valid] if rule.kinds is None else [g.And(valid, g.Equal(labels, float(kind))) for kind in rule.kinds]
    found = [_suppress(g, boxes, of_kind, threshold) for of_kind in chosen]
    return members(g, g.Concat(*found, axis=0) if len(found) > 1 else found[0], sizes_of(g, boxes)[0])


def _suppressed(g: MXNetBuilder, rows: Value, valid: Value, kept: Value) -> Value:
    """The rows with the class -1 where they are not kept; all -1 where they are not valid."""
    label, rest = columns(g, rows, 1, 5)
    label = g.Where(g.Unsqueeze(kept, [1]), label, -1.0)
    return g.Where(g.Unsqueeze(valid, [1]), g.Concat(label, rest, axis=1), -1.0)


# ---------------------------------------------------------------------- box_nms


@mxnet_op("_contrib_box_nms", "_contrib_box_non_maximum_suppression", outputs=("output0", "output1"))
def box_nms(
    g: MXNetBuilder, data: Value, *, overlap_thresh: float = 0.5, valid_thresh: float = 0.0, topk: int = -1,
    coord_start: int = 2, score_index: int = 1, id_index: int = -1, background_id: int = -1,
    force_suppress: bool = False, in_format: Format = "corner", out_format: Format = "corner",
) -> Value:  # fmt: skip
    """contrib/bounding_box-inl.h: [..., boxes, columns] to the rows that are kept, by falling score, then -1."""
    *batch, count, width = sizes_of(g, data)
    if max(coord_start + 3, score_index, id_index) >= width or min(coord_start, score_index) < 0:
        raise ConversionError(f"there are only {width} columns", g.origin)
    top = min(count, topk) if topk >= 0 else count
    if top < 1:
        return g.Identity(data)

    def of_image(rows: Value) -> Value:
        scores = _column(g, rows, score_index)
        ids = _column(g, rows, id_index) if id_index >= 0 else None
        valid = g.Greater(scores, float(np.float32(valid_thresh)))
        valid = valid if ids is None else g.And(valid, g.Not(g.Equal(ids, float(background_id))))
        order = ranking(g, g.Where(valid, scores, LOWEST), top)
        best, is_valid = g.Gather(rows, order), g.Gather(valid, order)
        classes = None if ids is None or force_suppress else g.cast(g.cast(g.Gather(ids, order), np.int32), np.float32)
        boxes = _ordered(g, _box(g, best, coord_start, in_format))
        kept = survivors(g, Ranked(boxes, is_valid, classes), float(np.float32(overlap_thresh)))
        return _packed(g, best, kept, count)

    y = _each(g, g.Reshape(data, [prod(batch), count, width]), of_image)
    y = y if in_format == out_format else _converted(g, y, coord_start, out_format)
    return g.Reshape(y, [*batch, count, width])


def _each(g: MXNetBuilder, x: Value, function: Callable[[Value], Value]) -> Value:
    """`function` of each element of the batch, joined again."""
    found = [g.Unsqueeze(function(image), [0]) for image in images(g, x)]
    return g.Concat(*found, axis=0) if len(found) > 1 else found[0]


def _column(g: MXNetBuilder, rows: Value, index: int) -> Value:
    return g.Squeeze(g.Slice(rows, [index], [index + 1], [1]), [1])


def _box(g: MXNetBuilder, rows: Value, start: int, format: Format) -> Value:
    """The corners."""
    box = g.Slice(rows, [start], [start + 4], [-1])
    return box if format == "corner" else _to_corners(g, box)


def _to_corners(g: MXNetBuilder, box: Value) -> Value:
    centre, size = columns(g, box, 2, 2)
    half = g.Div(size, 2.0)
    return g.Concat(g.Sub(centre, half), g.Add(centre, half), axis=-1)


def _to_center(g: MXNetBuilder, box: Value) -> Value:
    near, far = columns(g, box, 2, 2)
    return g.Concat(g.Div(g.Add(near, far), 2.0), g.Sub(far, near), axis=-1)


def _ordered(g: MXNetBuilder, box: Value) -> Value:
    """A box that is inside out has no area, here as in MXNet; ONNX would turn it round."""
    near, far = columns(g, box, 2, 2)
    return g.Concat(near, g.Max(near, far), axis=-1)


def _packed(g: MXNetBuilder, rows: Value, places: Value, count: int) -> Value:
    """The rows at `places`, then rows of -1 up to `count`."""
    top, width = sizes_of(g, rows)
    zero = np.array(0)
    found = g.Where(g.Unsqueeze(g.Less(places, zero), [1]), -1.0, g.Gather(rows, g.Max(places, zero)))
    return g.Concat(found, np.full((count - top, width), -1, np.float32), axis=0) if top < count else found


def _converted(g: MXNetBuilder, rows: Value, start: int, out_format: Format) -> Value:
    """The boxes in the other format, but for those that begin left of 0, which MXNet takes for rows of -1."""
    width = sizes_of(g, rows)[-1]
    parts = columns(g, rows, *(n for n in (start, 4, width - start - 4) if n))
    at = 1 if start else 0
    box = parts[at]
    changed = _to_corners(g, box) if out_format == "corner" else _to_center(g, box)
    parts[at] = g.Where(g.Less(columns(g, box, 1, 3)[0], 0.0), box, changed)
    return g.Concat(*parts, axis=-1) if len(parts) > 1 else parts[0]


# ------------------------------------------------------------------------ boxes


@mxnet_op("_contrib_box_iou")
def box_iou(g: MXNetBuilder, lhs: Value, rhs: Value, *, format: Format = "corner") -> Value:
    """contrib/bounding_box-inl.h: of every box on the left with every one on the right."""
    left, right = (x if format == "corner" else _to_corners(g, x) for x in (lhs, rhs))
    ahead = list(range(lhs.rank - 1, lhs.rank + rhs.rank - 2))
    one = [g.Unsqueeze(g.Squeeze(side, [-1]), ahead) for side in columns(g, left, 1, 1, 1, 1)]
    return overlaps(g, one, [g.Squeeze(side, [-1]) for side in columns(g, right, 1, 1, 1, 1)])


@mxnet_op("_contrib_box_decode")
def box_decode(
    g: MXNetBuilder, data: Value, anchors: Value, *, std0: float = 1.0, std1: float = 1.0, std2: float = 1.0,
    std3: float = 1.0, clip: float = -1.0, format: Format = "center",
) -> Value:  # fmt: skip
    """contrib/bounding_box-inl.h: corners of [N, boxes, 4] offsets from [1, boxes, 4] anchors."""
    centre, size = columns(g, anchors if format == "center" else _to_center(g, anchors), 2, 2)
    shift, growth = columns(g, g.Mul(data, np.array([std0, std1, std2, std3], np.float32)), 2, 2)
    growth = g.Min(growth, np.float32(clip)) if clip > 0 else growth
    middle, half = g.Add(g.Mul(shift, size), centre), g.Mul(g.Mul(g.Exp(growth), size), 0.5)
    return g.Concat(g.Sub(middle, half), g.Add(middle, half), axis=-1)


@mxnet_op("_contrib_box_encode", outputs=("output0", "output1"))
def box_encode(
    g: MXNetBuilder, samples: Value, matches: Value, anchors: Value, refs: Value, means: Value, stds: Value
) -> tuple[Value, Value]:
    """contrib/bounding_box-inl.h: offsets of the matching boxes from their anchors, and a mask of what is a sample."""
    at = g.Unsqueeze(g.cast(matches, np.int64), [2])
    centre, size = columns(g, _to_center(g, g.GatherND(refs, at, batch_dims=1)), 2, 2)
    own_centre, own_size = columns(g, _to_center(g, anchors), 2, 2)
    shift = g.Div(g.Sub(centre, own_centre), own_size)
    offsets = g.Concat(shift, g.Log(g.Div(size, own_size)), axis=-1)
    chosen = g.Unsqueeze(g.Greater(samples, 0.5), [2])
    targets = g.Where(chosen, g.Div(g.Sub(offsets, means), stds), 0.0)
    return targets, g.Expand(g.cast(chosen, np.float32), g.Shape(anchors))
