"""What the layers of Caffe's forks compute, in NumPy and torch, for the goldens of `cases.py`.

BVLC's Caffe does not have these layers. Each function says which fork defines the layer and in which of its files the
semantics were looked up. Inputs come in the order of the bottoms, then the blobs; layouts are Caffe's, (N, C, H, W).
Where OpenCV also reads the layer, make_goldens.py holds the two against each other.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
Box = NDArray[np.float64]


# Values moved.


def permute(x: Array, *, order: tuple[int, ...]) -> Array:
    """Permute of weiliu89/caffe (ssd), permute_layer.cpp: axes not named follow in their own order."""
    rest = tuple(axis for axis in range(x.ndim) if axis not in order)
    return x.transpose(order + rest)


def shuffle_channel(x: Array, *, group: int) -> Array:
    """ShuffleChannel of farmingyard/ShuffleNet, shuffle_channel_layer.cpp."""
    n, c, h, w = x.shape
    return x.reshape(n, group, c // group, h, w).swapaxes(1, 2).reshape(x.shape)


def depth_to_space(x: Array, stride: int) -> Array:
    """(N, s*s*C, H, W) -> (N, C, s*H, s*W); the place inside a block is the slow part of the channel."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, stride, stride, c // stride**2, h, w)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // stride**2, h * stride, w * stride)


def space_to_depth(x: Array, stride: int) -> Array:
    """The inverse of depth_to_space."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // stride, stride, w // stride, stride)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * stride**2, h // stride, w // stride)


def reorg(x: Array, *, stride: int, reverse: bool = False) -> Array:
    """Reorg of eric612/MobileNet-YOLO, include/caffe/layers/reorg_layer.hpp (Darknet's reorg).

    Reversed it is a depth-to-space. Forward it is not the inverse of that: Darknet's loop runs over the input's own
    sizes, so the input's memory is read as (C / s**2, s*H, s*W), and the result's memory as (C * s**2, H/s, W/s).
    """
    if reverse:
        return depth_to_space(x, stride)
    n, c, h, w = x.shape
    as_read = x.reshape(n, c // stride**2, h * stride, w * stride)
    return space_to_depth(as_read, stride).reshape(n, c * stride**2, h // stride, w // stride)


def upsample_nearest(x: Array, *, scale: int) -> Array:
    """Upsample of eric612/MobileNet-YOLO, upsample_layer.cpp: every value becomes a square of scale x scale."""
    return x.repeat(scale, axis=2).repeat(scale, axis=3)


def upsample_mask(
    x: Array,
    mask: Array,
    *,
    scale: int = 2,
    upsample_h: int = 0,
    upsample_w: int = 0,
    pad_out_h: bool = False,
    pad_out_w: bool = False,
) -> Array:
    """Upsample of alexgkendall/caffe-segnet, upsample_layer.cpp: max pooling undone.

    The mask is the second top of a Pooling: the flat place, within its plane, where the maximum was.
    """
    height = upsample_h or x.shape[2] * scale - pad_out_h
    width = upsample_w or x.shape[3] * scale - pad_out_w
    out = np.zeros((*x.shape[:2], height * width), np.float32)
    places = mask.reshape(*x.shape[:2], -1).astype(np.int64)
    np.put_along_axis(out, places, x.reshape(places.shape), axis=2)
    return out.reshape(*x.shape[:2], height, width)


# Values computed.


def axpy(a: Array, x: Array, y: Array) -> Array:
    """Axpy of hujie-frank/SENet, axpy_layer.cpp: a * x + y, where a is (N, C) or (N, C, 1, 1)."""
    return a.reshape(*a.shape[:2], 1, 1) * x + y


def relu6(x: Array, *, negative_slope: float = 0.0) -> Array:
    """ReLU6 of eric612/MobileNet-YOLO, relu6_layer.cpp."""
    return np.minimum(np.where(x > 0, x, negative_slope * x), 6)


def mish(x: Array) -> NDArray[np.float64]:
    """Mish (Misra 2019, arXiv 1908.08681), x * tanh(log(1 + exp(x))), as Darknet's and the YOLOv4 forks of Caffe."""
    wide = x.astype(np.float64)
    return wide * np.tanh(np.logaddexp(0, wide))


def batch_norm_psp(
    x: Array, slope: Array, bias: Array, mean: Array, variance: Array, *, eps: float = 1e-5, **_: object
) -> Array:
    """BN of hszhao/PSPNet, bn_layer.cpp, in the test phase: four blobs of (1, C, 1, 1), in this order."""
    return (x - mean) / np.sqrt(variance + eps) * slope + bias


def batch_norm_segnet(x: Array, scale: Array, shift: Array, *, bn_mode: str = "LEARN", **_: object) -> Array:
    """BN of alexgkendall/caffe-segnet, bn_layer.cpp: two blobs of (1, C, 1, 1).

    INFERENCE only scales and shifts (the statistics were folded in). LEARN, the default, normalises by the batch's own
    statistics, in the test phase too.
    """
    if bn_mode == "INFERENCE":
        return x * scale + shift
    mean = x.mean(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
    variance = x.var(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
    return (x - mean) / np.sqrt(variance + 1e-9) * scale + shift


def normalize(x: Array, scale: Array, *, across_spatial: bool = True, eps: float = 1e-10, **_: object) -> Array:
    """Normalize of weiliu89/caffe (ssd), normalize_layer.cpp: x / sqrt(sum of squares + eps) * scale.

    The sum is over channels, and over the image too if across_spatial. The blob is one scale (channel_shared) or one
    for each channel.
    """
    axes = (1, 2, 3) if across_spatial else (1,)
    length = np.sqrt(np.square(x, dtype=np.float64).sum(axis=axes, keepdims=True) + eps)
    return x / length * scale.reshape(1, -1, 1, 1)


def depthwise(
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, pad: int = 0, **_: object
) -> Array:
    """A convolution with as many groups as channels, whatever `group` says.

    DepthwiseConvolution of yonghenglh6/DepthwiseConvolution, depthwise_conv_layer.cpp; ConvolutionDepthwise of the pull
    request BVLC/caffe#5665, conv_dw_layer.cpp, which takes no notice of num_output and group.
    """
    tensors = [torch.from_numpy(array) for array in (x, weight)]
    extra = None if bias is None else torch.from_numpy(bias)
    return torch.conv2d(*tensors, extra, stride=stride, padding=pad, groups=x.shape[1]).numpy()


def interp(
    x: Array,
    *,
    height: int = 0,
    width: int = 0,
    zoom_factor: int = 0,
    shrink_factor: int = 0,
    pad_beg: int = 0,
    pad_end: int = 0,
) -> Array:
    """Interp of hszhao/PSPNet (and DeepLab), interp_layer.cpp and util/interp.cpp: bilinear, corners aligned.

    Paddings are negative, they crop before. One factor alone wins over height and width; height and width win over
    both factors.
    """
    cropped = x[:, :, -pad_beg : x.shape[2] + pad_end, -pad_beg : x.shape[3] + pad_end]
    size = [interp_size(side, zoom_factor, shrink_factor) for side in cropped.shape[2:]]
    if height and width and bool(zoom_factor) == bool(shrink_factor):
        size = [height, width]
    image = torch.from_numpy(np.ascontiguousarray(cropped))
    return torch.nn.functional.interpolate(image, size=size, mode="bilinear", align_corners=True).numpy()


def interp_size(side: int, zoom_factor: int, shrink_factor: int) -> int:
    """Shrinking keeps every n-th sample, counted from the first; zooming puts n - 1 between each two."""
    small = (side - 1) // (shrink_factor or 1) + 1
    return small + (small - 1) * ((zoom_factor or 1) - 1)


# Detection.


def round_half_away(value: float) -> int:
    """C's round."""
    return int(np.copysign(np.floor(abs(value) + 0.5), value))


def roi_pooling(x: Array, rois: Array, *, pooled_h: int, pooled_w: int, spatial_scale: float = 1.0) -> Array:
    """ROIPooling of rbgirshick/caffe-fast-rcnn (branch fast-rcnn), roi_pooling_layer.cpp.

    A region is (image, x1, y1, x2, y2), its ends included. Bins overlap where the size is no multiple; an empty bin,
    outside of the image, is zero.
    """
    out = np.zeros((len(rois), x.shape[1], pooled_h, pooled_w), np.float32)
    for index, (image, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (round_half_away(np.float32(corner) * np.float32(spatial_scale)) for corner in corners)
        rows = bins(y1, y2, pooled_h, x.shape[2])
        columns = bins(x1, x2, pooled_w, x.shape[3])
        for row, (top, bottom) in enumerate(rows):
            for column, (left, right) in enumerate(columns):
                if bottom > top and right > left:
                    window = x[int(image), :, top:bottom, left:right]
                    out[index, :, row, column] = window.max(axis=(1, 2))
    return out


def bins(first: int, last: int, count: int, limit: int) -> list[tuple[int, int]]:
    """The ends of `count` bins from first to last, clipped to the image."""
    size = np.float32(max(last - first + 1, 1)) / np.float32(count)
    edges = [(int(np.floor(i * size)), int(np.ceil((i + 1) * size))) for i in range(count)]
    return [(min(max(low + first, 0), limit), min(max(high + first, 0), limit)) for low, high in edges]


def prior_box(
    feature: Array,
    image: Array,
    *,
    min_size: tuple[float, ...],
    max_size: tuple[float, ...] = (),
    aspect_ratio: tuple[float, ...] = (),
    flip: bool = True,
    clip: bool = False,
    variance: tuple[float, ...] = (0.1,),
    img_size: int = 0,
    img_h: int = 0,
    img_w: int = 0,
    step: float = 0,
    step_h: float = 0,
    step_w: float = 0,
    offset: float = 0.5,
) -> Array:
    """PriorBox of weiliu89/caffe (ssd), prior_box_layer.cpp: (1, 2, 4 * boxes), corners then variances.

    Sizes are cut to whole pixels first. For each min_size: the square, the square of sqrt(min * max), the ratios.
    """
    height, width = feature.shape[2:]
    image_h, image_w = img_h or img_size or image.shape[2], img_w or img_size or image.shape[3]
    step_h, step_w = step_h or step or image_h / height, step_w or step or image_w / width
    sizes = box_sizes(min_size, max_size, ratios(aspect_ratio, flip))
    corners = []
    for row in range(height):
        for column in range(width):
            x, y = (column + offset) * step_w, (row + offset) * step_h
            for w, h in sizes:
                corners += [(x - w / 2) / image_w, (y - h / 2) / image_h, (x + w / 2) / image_w, (y + h / 2) / image_h]
    boxes = np.clip(corners, 0, 1) if clip else np.asarray(corners)
    spread = np.resize(variance if len(variance) == 4 else variance * 4, len(corners))
    return np.asarray([[boxes, spread]], np.float32)


def ratios(given: tuple[float, ...], flip: bool) -> list[float]:
    """One, then each new ratio and, if flip, its inverse; a ratio that is already there is left out."""
    found = [1.0]
    for ratio in given:
        if all(abs(ratio - other) >= 1e-6 for other in found):
            found += [ratio, 1 / ratio] if flip else [ratio]
    return found


def box_sizes(
    min_size: tuple[float, ...], max_size: tuple[float, ...], aspects: list[float]
) -> list[tuple[float, float]]:
    """(width, height) of every box of one cell, in Caffe's order."""
    sizes: list[tuple[float, float]] = []
    for index, size in enumerate(int(size) for size in min_size):
        sizes.append((size, size))
        if max_size:
            side = float(np.sqrt(size * int(max_size[index])))
            sizes.append((side, side))
        sizes += [(size * ratio**0.5, size / ratio**0.5) for ratio in aspects if abs(ratio - 1) >= 1e-6]
    return sizes


def detection_output(
    location: Array,
    confidence: Array,
    prior: Array,
    *,
    num_classes: int,
    share_location: bool = True,
    background_label_id: int = 0,
    code_type: str = "CORNER",
    variance_encoded_in_target: bool = False,
    nms_param: dict[str, float] | None = None,
    keep_top_k: int = -1,
    confidence_threshold: float = -np.inf,
) -> Array:
    """DetectionOutput of weiliu89/caffe (ssd), detection_output_layer.cpp and util/bbox_util.cpp: (1, 1, K, 7).

    A row is image, label, score, x1, y1, x2, y2. Rows go by image, then label, then falling score; boxes of one score
    stay in the priors' order. Without any detection there is a row for each image, (image, -1, -1, ...).
    """
    images, boxes_n = len(location), prior.shape[2] // 4
    corners, variance = prior.reshape(2, boxes_n, 4).astype(np.float64)
    offsets = location.reshape(images, boxes_n, -1, 4).astype(np.float64)
    scores = confidence.reshape(images, boxes_n, num_classes)
    variance = np.ones_like(variance) if variance_encoded_in_target else variance
    rows: list[list[float]] = []
    for image in range(images):
        found: list[tuple[float, int, Box]] = []
        for label in (label for label in range(num_classes) if label != background_label_id):
            boxes = decode(offsets[image, :, 0 if share_location else label], corners, variance, code_type)
            kept = suppress(boxes, scores[image, :, label], confidence_threshold, **(nms_param or {}))
            found += [(float(scores[image, i, label]), label, boxes[i]) for i in kept]
        if -1 < keep_top_k < len(found):
            found = sorted(found, key=lambda item: -item[0])[:keep_top_k]
            found.sort(key=lambda item: item[1])
        rows += [[image, label, score, *box] for score, label, box in found]
    nothing = [[image, *(-1,) * 6] for image in range(images)]
    return np.asarray([[rows or nothing]], np.float32)


def decode(offset: Box, prior: Box, variance: Box, code_type: str) -> Box:
    """Boxes from predicted offsets, (boxes, 4)."""
    moved = offset * variance
    size = prior[:, 2:] - prior[:, :2]
    if code_type == "CORNER":
        return prior + moved
    if code_type == "CORNER_SIZE":
        return prior + moved * np.hstack([size, size])
    centre = (prior[:, :2] + prior[:, 2:]) / 2 + moved[:, :2] * size
    half = np.exp(moved[:, 2:]) * size / 2
    return np.hstack([centre - half, centre + half])


def suppress(
    boxes: Box, scores: Array, lowest: float, *, nms_threshold: float = 0.3, top_k: int = -1, eta: float = 1.0
) -> list[int]:
    """The indices that non-maximum suppression keeps. top_k is how many go in, not how many come out."""
    threshold = nms_threshold
    order = [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] > lowest]
    kept: list[int] = []
    for index in order[:top_k] if top_k > -1 else order:
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
            threshold *= eta if threshold > 0.5 else 1.0
    return kept


def overlap(a: Box, b: Box) -> float:
    """Intersection over union; a box whose ends are in the wrong order has no area."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    if (high <= low).any():
        return 0.0
    shared = float((high - low).prod())
    return shared / (area(a) + area(b) - shared)


def area(box: Box) -> float:
    return float((box[2:] - box[:2]).prod()) if (box[2:] >= box[:2]).all() else 0.0
