"""Rows of images: resizing, cropping, colours, suppression."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.table import Row

X = In((2, 5, 7, 3))
RGB = In((2, 5, 7, 3), low=0, high=1)
_FLAGS = {"corners": {"align_corners": True}, "half": {"half_pixel_centers": True}, "legacy": {}}


def size(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def boxes(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 0.7, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(0.1, 0.5, (count, 2))], 1).astype(np.float32)


_NMS = {"boxes": boxes(13), "scores": In((13,), low=0, high=1), "max_output_size": np.int32(6)}
_THRESHOLDS = {"iou_threshold": np.float32(0.3), "score_threshold": np.float32(0.2)}


def combined(name: str, **more: object) -> Row:
    given = {"boxes": np.stack([boxes(9), boxes(9)[::-1]])[:, :, None], "scores": In((2, 9, 3), low=0, high=1),
             "max_output_size_per_class": np.int32(3), "max_total_size": np.int32(7),
             **_THRESHOLDS, **more}  # fmt: skip
    return Row("CombinedNonMaxSuppression", given, name)


ROWS = [
    *(
        Row(op, {"images": X, "size": size(*to), **flags}, f"{name}-{to[0]}")
        for op in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic")
        for to in ((9, 16), (3, 4))
        for name, flags in _FLAGS.items()
    ),
    *(
        Row(op, {"images": X, "size": size(10, 14), "half_pixel_centers": True}, "twice", targets=("tflite",))
        for op in ("ResizeBilinear", "ResizeNearestNeighbor")
    ),
    Row("ResizeBilinear", {"images": In((2, 5, 7, 3), "uint8", 0, 255), "size": size(9, 4)}, "bytes"),
    Row("ResizeNearestNeighbor", {"images": In((2, 5, 7, 3), "int32", 0, 255), "size": size(9, 4)}, "ints"),
    Row("ResizeBilinear", {"images": X, "size": In((2,), "int32", 6, 6)}, "computed"),
    *(Row("ResizeArea", {"images": X, "size": size(*to)}, str(to[0])) for to in ((9, 16), (3, 4))),
    Row("ResizeArea", {"images": X, "size": size(3, 4), "align_corners": True}, "corners"),
    *(
        Row(
            "ScaleAndTranslate",
            {
                "images": X,
                "size": size(9, 4),
                "scale": np.array([1.8, 0.57], np.float32),
                "translation": np.array([0.2, -0.1], np.float32),
                "kernel_type": kernel,
                "antialias": antialias,
            },
            f"{kernel}-{antialias}",
        )
        for kernel in ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic")
        for antialias in (True, False)
    ),
    *(
        Row(
            "CropAndResize",
            {
                "image": X,
                "boxes": np.concatenate([boxes(3), [[0.9, 0.8, 0.1, 0.2], [-0.2, 0.1, 0.5, 1.3]]]).astype(np.float32),
                "box_ind": size(0, 1, 1, 0, 1),
                "crop_size": size(*to),
                "method": method,
                "extrapolation_value": 0.7,
            },
            f"{method}-{to[0]}",
        )
        for method in ("bilinear", "nearest")
        for to in ((4, 3), (1, 5))
    ),
    Row(
        "CropAndResize",
        {"image": X, "boxes": In((4, 4), low=0, high=1), "box_ind": In((4,), "int32", 0, 1), "crop_size": size(3, 2)},
        "dynamic",
        dynamic=True,
    ),
    Row("AdjustContrastv2", {"images": RGB, "contrast_factor": np.float32(1.7)}),
    *(Row(op, {"images": RGB}) for op in ("RGBToHSV", "HSVToRGB")),
    Row(
        "RGBToHSV",
        {"images": In((6, 3))},
        "equal",
        values={
            "images": np.array(
                [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2], [0.2, 0.5, 0.5], [0.5, 0.2, 0.5], [1, 0, 0]], np.float32
            )
        },
    ),
    *(Row("AdjustHue", {"images": RGB, "delta": np.float32(delta)}, str(delta)) for delta in (0.3, -0.4)),
    *(Row("AdjustSaturation", {"images": RGB, "scale": np.float32(scale)}, str(scale)) for scale in (0.3, 2.5)),
    Row("NonMaxSuppression", {**_NMS, "iou_threshold": 0.4}),
    Row("NonMaxSuppressionV2", {**_NMS, "iou_threshold": np.float32(0.2)}),
    Row("NonMaxSuppressionV3", {**_NMS, **_THRESHOLDS}),
    *(
        Row("NonMaxSuppressionV4", {**_NMS, **_THRESHOLDS, "pad_to_max_output_size": pad}, str(pad))
        for pad in (False, True)
    ),
    *(
        Row(
            "NonMaxSuppressionV5",
            {
                **_NMS,
                **_THRESHOLDS,
                "soft_nms_sigma": np.float32(0),
                "max_output_size": np.int32(9),
                "pad_to_max_output_size": pad,
            },
            str(pad),
        )
        for pad in (False, True)
    ),
    combined("plain"),
    combined("per_class", pad_per_class=True, clip_boxes=False),
    combined("many", max_total_size=np.int32(40)),
    combined("few", max_total_size=np.int32(2), score_threshold=np.float32(0.7)),
]
