"""torchvision's operators of detection, against loops in NumPy: its own kernels may not be installed."""

from __future__ import annotations

import numpy as np
import pytest

from netglot.frontends.pytorch.arguments import Ref
from netglot.frontends.pytorch.program import Body, Call, Input, Meta, Program
from netglot.frontends.pytorch.reader import to_graph
from netglot.runtimes.onnxruntime import OnnxRuntime

_rng = np.random.default_rng(0)


def run(target: str, feed: dict[str, np.ndarray], shape: tuple[int | None, ...], dtype: str, **options: object):
    """One call on ONNX Runtime: the tensors by torchvision's names for them, then its other arguments."""
    inputs = tuple(Input("user", name) for name in feed)
    metas = {name: Meta(array.dtype, array.shape) for name, array in feed.items()}
    metas["out"] = Meta(np.dtype(dtype), shape)
    arguments = (*((name, Ref(name)) for name in feed), *options.items())
    body = Body(tuple(Ref(name) for name in feed), (Ref("out"),), (Call(target, arguments, ("out",)),), metas)
    graph = to_graph(Program(body, inputs, (("out", Ref("out")),), {}, file="row"))
    graph.check()
    return OnnxRuntime(graph).run(feed)["out"]


def boxes(count: int, size: float) -> np.ndarray:
    corners = _rng.uniform(0, size, (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)


# --------------------------------------------------------------------------------------------------------------- nms


def greedy(dets: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap(dets[i], dets[j]) <= threshold for j in kept):
            kept.append(int(i))
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width, height = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_nms(threshold: float) -> None:
    dets, scores = boxes(40, 20.0), _rng.uniform(-1, 1, 40).astype(np.float32)
    found = run("torchvision.nms.default", {"dets": dets, "scores": scores}, (None,), "int64", iou_threshold=threshold)
    assert found.tolist() == greedy(dets, scores, threshold)


def test_nms_of_no_boxes() -> None:
    feed = {"dets": np.zeros((0, 4), np.float32), "scores": np.zeros(0, np.float32)}
    assert run("torchvision.nms.default", feed, (None,), "int64", iou_threshold=0.5).shape == (0,)


# --------------------------------------------------------------------------------------------------------------- boxes


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """As torchvision reads: 0 beyond a border of one, the border itself within that."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
    return upper * (1 - dy) + (plane[bottom, left] * (1 - dx) + plane[bottom, right] * dx) * dy


def pooled(
    image: np.ndarray, roi: np.ndarray, scale: float, out: tuple[int, int], ratio: int, aligned: bool
) -> np.ndarray:
    x1, y1, x2, y2 = roi * scale - (0.5 if aligned else 0.0)
    spans = np.array([y2 - y1, x2 - x1]) if aligned else np.maximum([y2 - y1, x2 - x1], 1.0)
    bins = spans / out
    counts = [ratio if ratio > 0 else int(np.ceil(span / size)) for span, size in zip(spans, out, strict=True)]
    result = np.zeros((image.shape[0], *out))
    for channel, i, j in np.ndindex(*result.shape):
        ys = [y1 + (i + (k + 0.5) / counts[0]) * bins[0] for k in range(counts[0])]
        xs = [x1 + (j + (k + 0.5) / counts[1]) * bins[1] for k in range(counts[1])]
        samples = [bilinear(image[channel], y, x) for y in ys for x in xs]
        result[channel, i, j] = np.sum(samples) / max(len(samples), 1)
    return result


@pytest.mark.parametrize(
    ("scale", "ratio", "aligned"), [(0.5, 2, True), (0.5, -1, True), (0.25, 0, False), (1.0, 3, False)]
)
def test_roi_align(scale: float, ratio: int, aligned: bool) -> None:
    image, rois = _rng.standard_normal((2, 3, 9, 11)).astype(np.float32), boxes(6, 12 / scale)
    number = _rng.integers(0, 2, (6, 1)).astype(np.float32)
    feed = {"input": image, "rois": np.concatenate([number, rois], 1)}
    options = {"spatial_scale": scale, "pooled_height": 4, "pooled_width": 3, "sampling_ratio": ratio}
    found = run("torchvision.roi_align.default", feed, (6, 3, 4, 3), "float32", **options, aligned=aligned)
    wanted = [
        pooled(image[int(n)], roi.astype(np.float64), scale, (4, 3), ratio, aligned)
        for n, roi in zip(number[:, 0], rois, strict=True)
    ]
    np.testing.assert_allclose(found, np.array(wanted), atol=1e-5 * np.abs(wanted).max())


# --------------------------------------------------------------------------------------------------------------- deform


def read(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear, with zeros around the image."""
    height, width = plane.shape
    total, top, left = 0.0, int(np.floor(y)), int(np.floor(x))
    for i, j in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= i < height and 0 <= j < width:
            total += plane[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def deformed(image, weight, offset, mask, bias, stride, pad, dilation, groups, offset_groups) -> np.ndarray:
    outputs, per_group, *kernel = weight.shape
    result = np.zeros((image.shape[0], outputs, *offset.shape[2:]))
    window, share = kernel[0] * kernel[1], image.shape[1] // offset_groups
    for n, o, i, j in np.ndindex(*result.shape):
        total = float(bias[o])
        for c, a, b in np.ndindex(per_group, *kernel):
            channel = o // (outputs // groups) * per_group + c
            tap = channel // share * window + a * kernel[1] + b
            y = i * stride[0] - pad[0] + a * dilation[0] + offset[n, 2 * tap, i, j]
            x = j * stride[1] - pad[1] + b * dilation[1] + offset[n, 2 * tap + 1, i, j]
            total += weight[o, c, a, b] * read(image[n, channel], y, x) * (mask[n, tap, i, j] if mask.size else 1)
        result[n, o, i, j] = total
    return result


@pytest.mark.parametrize("use_mask", [False, True])
def test_deform_conv2d(use_mask: bool) -> None:
    image, weight = (_rng.standard_normal(shape).astype(np.float32) for shape in ((2, 4, 7, 8), (6, 2, 3, 2)))
    offset = _rng.uniform(-1.5, 1.5, (2, 2 * 2 * 6, 4, 8)).astype(np.float32)
    mask = _rng.uniform(0, 1, (2, 2 * 6, 4, 8) if use_mask else (0, 1)).astype(np.float32)
    bias = _rng.standard_normal(6).astype(np.float32)
    feed = {"input": image, "weight": weight, "offset": offset, "mask": mask, "bias": bias}
    geometry = {"stride_h": 2, "stride_w": 1, "pad_h": 1, "pad_w": 1, "dilation_h": 1, "dilation_w": 2, "groups": 2}
    options = {**geometry, "offset_groups": 2, "use_mask": use_mask}
    found = run("torchvision.deform_conv2d.default", feed, (2, 6, 4, 8), "float32", **options)
    wanted = deformed(image, weight, offset, mask, bias, (2, 1), (1, 1), (1, 2), 2, 2)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
