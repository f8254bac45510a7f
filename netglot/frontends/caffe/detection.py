"""Layers of the SSD fork (weiliu89/caffe): prior boxes and detections."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.textproto import Message
from netglot.ir.graph import Value

Floats = tuple[float, ...]

LOWEST = float(np.finfo(np.float32).min)
EVERY = 2.0**24  # above every key: floats are exact up to here


@caffe_layer("PriorBox")
def prior_box(
    g: CaffeBuilder, feature: Value, image: Value, *, min_size: Floats = (), max_size: Floats = (),
    aspect_ratio: Floats = (), flip: bool = True, clip: bool = False, variance: Floats = (0.1,), img_size: int = 0,
    img_h: int = 0, img_w: int = 0, step: float = 0.0, step_h: float = 0.0, step_w: float = 0.0, offset: float = 0.5,
) -> Value:  # fmt: skip
    """A constant [1, 2, 4 boxes]: corners in parts of the image, then variances (prior_box_layer.cpp)."""
    if not min_size or (max_size and len(max_size) != len(min_size)) or len(variance) not in (0, 1, 4):
        raise ConversionError("min_size, max_size or variance has the wrong number of values", g.origin)
    if not all(0 < size < 1e9 for size in (*min_size, *max_size, *aspect_ratio)):
        raise ConversionError("a size or aspect ratio is not positive", g.origin)
    rows, columns = feature.sizes[2:]
    g.affordable(rows, columns, 8, len(min_size), len(aspect_ratio) + 1)
    height, width = img_h or img_size or image.sizes[2], img_w or img_size or image.sizes[3]
    ys = (np.arange(rows) + offset) * (step_h or step or height / rows)
    xs = (np.arange(columns) + offset) * (step_w or step or width / columns)
    sizes = np.array(_box_sizes(min_size, max_size, _ratios(aspect_ratio, flip)))
    centres = np.stack(np.broadcast_arrays(xs[None, :, None], ys[:, None, None]), axis=-1)
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1) / [width, height, width, height]
    boxes = np.clip(corners, 0, 1).ravel() if clip else corners.ravel()
    return g.constant(np.stack([boxes, np.resize(variance or (0.1,), boxes.size)])[None].astype(np.float32))


def _ratios(given: Floats, flip: bool) -> list[float]:
    """Each new ratio and, with flip, its inverse; 1 and those that are there already are left out."""
    found = [1.0]
    for ratio in given:
        if all(abs(ratio - other) >= 1e-6 for other in found):
            found += [ratio, 1 / ratio] if flip else [ratio]
    return found[1:]


def _box_sizes(min_size: Floats, max_size: Floats, ratios: list[float]) -> list[tuple[float, float]]:
    """(width, height) of the boxes of one cell: for each size its square, the one between it and the larger, ratios."""
    sizes: list[tuple[float, float]] = []
    for i, side in enumerate(map(int, min_size)):  # the fork keeps sizes in an int
        between = [sqrt(side * int(max_size[i]))] if max_size else []
        sizes += [(one, one) for one in [side, *between]]
        sizes += [(side * sqrt(ratio), side / sqrt(ratio)) for ratio in ratios]
    return sizes


@dataclass(frozen=True)
class Suppression:
    """What DetectionOutput asks of each class: `top_k` boxes go in, at most `most` can come out."""

    threshold: float
    lowest: float
    top_k: int
    most: int


@caffe_layer("DetectionOutput")
def detection_output(
    g: CaffeBuilder, location: Value, confidence: Value, prior: Value, *, num_classes: int, share_location: bool = True,
    background_label_id: int = 0, code_type: Literal["", "CORNER", "CENTER_SIZE", "CORNER_SIZE"] = "CORNER",
    variance_encoded_in_target: bool = False, nms_param: Message = Message(), keep_top_k: int = -1,
    confidence_threshold: float = LOWEST,
) -> Value:  # fmt: skip
    """Decoded boxes after non-maximum suppression (detection_output_layer.cpp), [1, 1, N keep_top_k, 7].

    A row is (image, label, score, x1, y1, x2, y2), in Caffe's order: by image, label, falling score. Caffe's output has
    as many rows as were detected; here the size is fixed, and the rows left over, at the end, are -1.
    """
    images, count = location.sizes[0], prior.sizes[2] // 4
    rule = _suppression(g, nms_param, confidence_threshold, count, keep_top_k)
    boxes = _decoded(g, location, prior, code_type, variance_encoded_in_target)  # [images, places, count, 4]
    places = boxes.sizes[1]
    scores = g.Transpose(g.Reshape(confidence, [images, count, num_classes]), perm=(0, 2, 1))
    labels = [label for label in range(num_classes) if label != background_label_id]
    classes = [
        (image, label, image * places + (0 if share_location else label), image * num_classes + label)
        for image, label in product(range(images), labels)
    ]
    all_boxes, all_scores = g.Reshape(boxes, [-1, count, 4]), g.Reshape(scores, [-1, count])
    apart = _ordered(g, all_boxes) if code_type != "CENTER_SIZE" else all_boxes
    kept = [_suppressed(g, _row(g, apart, at), _row(g, all_scores, score_at), rule) for *_, at, score_at in classes]
    valid, rows = _rows(g, kept, classes, all_boxes, all_scores)
    chosen = _best(g, valid, rows, images, keep_top_k)
    missing = max(0, images * keep_top_k - chosen.sizes[0])
    chosen = g.Pad(chosen, [0, 0, missing, 0], -1.0) if missing else chosen
    return g.Unsqueeze(chosen, [0, 1])


def _suppression(g: CaffeBuilder, nms: Message, lowest: float, count: int, keep_top_k: int) -> Suppression:
    """`nms_param` with caffe.proto's defaults."""
    threshold, top_k, eta = nms.get("nms_threshold", 0.3), nms.get("top_k", -1), nms.get("eta", 1.0)
    if not all(isinstance(value, (int, float)) for value in (threshold, top_k, eta)) or keep_top_k == 0:
        raise ConversionError("nms_param or keep_top_k is malformed", g.origin)
    if eta != 1:
        raise g.unsupported(f"DetectionOutput with a threshold that changes as it goes (eta: {eta})", "Set eta: 1.")
    going_in = min(count, int(top_k)) if top_k > -1 else count
    most = min(going_in, keep_top_k) if keep_top_k > -1 else going_in
    return Suppression(float(threshold), max(lowest, LOWEST), going_in, most)


def _decoded(g: CaffeBuilder, location: Value, prior: Value, code_type: str, in_target: bool) -> Value:
    """Corners of every box, [images, places, priors, 4] (bbox_util.cpp, DecodeBBox)."""
    images, count = location.sizes[0], prior.sizes[2] // 4
    corners, variance = (g.Reshape(part, [count, 4]) for part in g.Split(prior, [1, 1], axis=1, outputs=2))
    offset = g.Transpose(g.Reshape(location, [images, count, -1, 4]), perm=(0, 2, 1, 3))
    moved = offset if in_target else g.Mul(offset, variance)
    if code_type == "CORNER":
        return g.Add(corners, moved)
    low, high = g.Split(corners, [2, 2], axis=1, outputs=2)
    size = g.Sub(high, low)
    if code_type == "CORNER_SIZE":
        return g.Add(corners, g.Mul(moved, g.Concat(size, size, axis=1)))
    shift, growth = g.Split(moved, [2, 2], axis=3, outputs=2)
    centre = g.Add(g.Mul(g.Add(low, high), 0.5), g.Mul(shift, size))
    half = g.Mul(g.Exp(growth), g.Mul(size, 0.5))
    return g.Concat(g.Sub(centre, half), g.Add(centre, half), axis=3)


def _ordered(g: CaffeBuilder, boxes: Value) -> Value:
    """For suppression: a box whose ends are in the wrong order has no area in Caffe."""
    low, high = g.Split(boxes, [2, 2], axis=boxes.rank - 1, outputs=2)
    return g.Concat(low, g.Max(low, high), axis=boxes.rank - 1)


def _row(g: CaffeBuilder, x: Value, index: int) -> Value:
    return g.Gather(x, np.array(index, np.int64), axis=0)


def _suppressed(g: CaffeBuilder, boxes: Value, scores: Value, rule: Suppression) -> tuple[Value, Value]:
    """(indices from BoxNms, by falling score, then -1; the same as indices of the boxes, 0 for -1), int64 [most]."""
    order = None
    if rule.top_k < scores.sizes[0]:
        scores, order = g.TopK(scores, [rule.top_k], axis=0, outputs=2)
        boxes = g.Gather(boxes, order, axis=0)
    kept = g.extension(
        "BoxNms", [boxes, scores], max_boxes=rule.most, iou_threshold=rule.threshold, score_threshold=rule.lowest
    )
    index = g.Max(kept, np.zeros(1, np.int64))
    return kept, index if order is None else g.Gather(order, index, axis=0)


def _rows(
    g: CaffeBuilder, kept: list[tuple[Value, Value]], classes: list[tuple[int, int, int, int]], boxes: Value,
    scores: Value,
) -> tuple[Value, Value]:  # fmt: skip
    """(which rows are detections [R], rows [R, 7]) of all classes of all images, class after class."""
    count, most = scores.sizes[1], kept[0][0].sizes[0]
    valid = g.GreaterOrEqual(g.Concat(*(one for one, _ in kept), axis=0), np.zeros(1, np.int64))
    index = g.Concat(*(one for _, one in kept), axis=0)
    table = np.repeat(np.array(classes, np.int64), most, axis=0)
    box = g.Gather(g.Reshape(boxes, [-1, 4]), g.Add(index, table[:, 2] * count), axis=0)
    score = g.Gather(g.Reshape(scores, [-1]), g.Add(index, table[:, 3] * count), axis=0)
    return valid, g.Concat(table[:, :2].astype(np.float32), g.Unsqueeze(score, [1]), box, axis=1)


def _best(g: CaffeBuilder, valid: Value, rows: Value, images: int, keep_top_k: int) -> Value:
    """The detections in the order of `rows`, at most keep_top_k for each image, then rows of -1."""
    total = rows.sizes[0]
    keys = g.Where(valid, np.arange(total, dtype=np.float32), EVERY)
    if -1 < keep_top_k < total // images:
        scores = g.Where(valid, g.Reshape(g.Slice(rows, [2], [3], [1]), [total]), LOWEST)
        chosen = [_best_keys(g, part, key, keep_top_k) for part, key in zip(
            _parts(g, scores, images), _parts(g, keys, images), strict=True)]  # fmt: skip
        keys = g.Concat(*chosen, axis=0)
    falling, _ = g.TopK(g.Neg(keys), [keys.sizes[0]], axis=0, outputs=2)
    rising = g.Neg(falling)
    found = g.Gather(rows, g.Cast(g.Min(rising, float(total - 1)), to=7), axis=0)
    return g.Where(g.Unsqueeze(g.Less(rising, EVERY), [1]), found, -1.0)


def _parts(g: CaffeBuilder, x: Value, count: int) -> list[Value]:
    """Equal parts of a vector."""
    sizes = [x.sizes[0] // count] * count
    return list(g.Split(x, sizes, axis=0, outputs=count)) if count > 1 else [x]


def _best_keys(g: CaffeBuilder, scores: Value, keys: Value, top_k: int) -> Value:
    _, places = g.TopK(scores, [top_k], axis=0, outputs=2)
    return g.Gather(keys, places, axis=0)
