"""Resizing and sampling, as they were before the pinned opset."""

from __future__ import annotations

import numpy as np

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.ir.graph import Value


@onnx_op("Upsample", since=7, until=9)
def upsample_7(g: OnnxBuilder, x: Value, *, scales: tuple[float, ...], mode: str = "nearest") -> Value:
    return upsample_9(g, x, g.constant(scales, np.float32), mode=mode)


@onnx_op("Upsample", since=9, until=10)
def upsample_9(g: OnnxBuilder, x: Value, scales: Value, *, mode: str = "nearest") -> Value:
    """Pixel i of the output lies at i / scale of the input: "asymmetric" today."""
    return _asymmetric(g, x, scales, "floor") if mode == "nearest" else _asymmetric(g, x, scales)


@onnx_op("Resize", since=10, until=11)
def resize_10(g: OnnxBuilder, x: Value, scales: Value, *, mode: str = "nearest") -> Value:
    """As Upsample, but axes may shrink: nearest then rounds up.

    The specification leaves that open; ONNX Runtime does it (NearestMode::SIMPLE in upsample.h). A Resize that grows
    one axis and shrinks another becomes two.
    """
    if mode != "nearest":
        return _asymmetric(g, x, scales)
    if scales.data is None:
        g.refuse("nearest resizing by scales that are computed", "Fold the scales into a constant first.")
    grow, shrink = np.maximum(scales.data, 1), np.minimum(scales.data, 1)
    if np.any(shrink < 1):
        x = _asymmetric(g, x, g.constant(shrink), "ceil")
    return _asymmetric(g, x, g.constant(grow), "floor") if np.any(grow > 1) else x


def _asymmetric(g: OnnxBuilder, x: Value, scales: Value, nearest_mode: str | None = None) -> Value:
    mode = "nearest" if nearest_mode else "linear"
    y: Value = g.Resize(
        x, None, scales, mode=mode, nearest_mode=nearest_mode, coordinate_transformation_mode="asymmetric"
    )
    return y


@onnx_op("Resize", since=11, until=19)
def resize_11(
    g: OnnxBuilder, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None, *,
    coordinate_transformation_mode: str = "half_pixel", cubic_coeff_a: float = -0.75, exclude_outside: int = 0,
    extrapolation_value: float = 0.0, mode: str = "nearest", nearest_mode: str = "round_prefer_floor",
    antialias: int = 0, axes: tuple[int, ...] | None = None, keep_aspect_ratio_policy: str = "stretch",
) -> Value:  # fmt: skip
    """An empty roi or scales is left out. tf_half_pixel_for_nn, dropped at 13, is half_pixel without its -0.5."""
    if coordinate_transformation_mode == "tf_half_pixel_for_nn":
        coordinate_transformation_mode = "half_pixel"
        if mode != "nearest" or nearest_mode != "floor":
            g.refuse(f"tf_half_pixel_for_nn with mode {mode} and nearest_mode {nearest_mode}")
        nearest_mode = "round_prefer_ceil"  # floor(a) = round_half_up(a - 0.5)
    return g.Resize(
        x, _unless_empty(roi), _unless_empty(scales), sizes, mode=mode, nearest_mode=nearest_mode,
        coordinate_transformation_mode=coordinate_transformation_mode, cubic_coeff_a=cubic_coeff_a,
        exclude_outside=exclude_outside, extrapolation_value=extrapolation_value, antialias=antialias, axes=axes,
        keep_aspect_ratio_policy=keep_aspect_ratio_policy,
    )  # fmt: skip


def _unless_empty(value: Value | None) -> Value | None:
    return None if value is None or value.shape == (0,) else value


@onnx_op("RoiAlign", since=10, until=16)
def roi_align(
    g: OnnxBuilder, x: Value, rois: Value, batch_indices: Value, *, mode: str = "avg", output_height: int = 1,
    output_width: int = 1, sampling_ratio: int = 0, spatial_scale: float = 1.0,
) -> Value:  # fmt: skip
    """Before 16 the corners were not shifted by half a pixel."""
    return g.RoiAlign(
        x, rois, batch_indices, mode=mode, output_height=output_height, output_width=output_width,
        sampling_ratio=sampling_ratio, spatial_scale=spatial_scale, coordinate_transformation_mode="output_half_pixel",
    )  # fmt: skip


@onnx_op("GridSample", since=16, until=20)
def grid_sample(
    g: OnnxBuilder, x: Value, grid: Value, *, align_corners: int = 0, mode: str = "bilinear",
    padding_mode: str = "zeros",
) -> Value:  # fmt: skip
    """Only the names of the modes changed, when more than two spatial axes were allowed."""
    today = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return g.GridSample(x, grid, align_corners=align_corners, mode=today, padding_mode=padding_mode)
