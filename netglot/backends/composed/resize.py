"""Resize as a product with a constant matrix for each axis: what interpolates is linear in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Node, Value


@dataclass(frozen=True)
class Line:
    """One axis: its sizes, and outputs over inputs as ONNX's formulas use it."""

    size: int
    output: int
    scale: float

    def sources(self, coordinates: str) -> np.ndarray:
        """Where each output lies in the input (Resize-19, coordinate_transformation_mode)."""
        x = np.arange(self.output, dtype=np.float64)
        half = (x + 0.5) / self.scale - 0.5
        if coordinates == "align_corners":
            return x * (self.size - 1) / (self.output - 1) if self.output > 1 else x
        if coordinates == "asymmetric":
            return x / self.scale
        if coordinates == "pytorch_half_pixel":
            return half if self.output > 1 else x * 0
        if coordinates == "half_pixel_symmetric":
            return self.size / 2 * (1 - self.output / (self.scale * self.size)) + half
        return half


def matrix(
    line: Line, source: np.ndarray, mode: str, cubic_a: float, exclude_outside: bool, antialias: bool
) -> np.ndarray:
    """[output, size]: how much of each input is in each output. With `antialias` a kernel widens as images shrink."""
    shrink = min(1.0, line.scale) if antialias else 1.0
    reach = int(np.ceil((1 if mode == "linear" else 2) / shrink))
    places = np.floor(source).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
    distance = np.abs(places - source[:, None]) * shrink
    weights = np.maximum(0, 1 - distance) if mode == "linear" else _keys(distance, cubic_a)
    if exclude_outside:
        weights = np.where((places >= 0) & (places < line.size), weights, 0)
    if exclude_outside or antialias:
        weights = weights / weights.sum(1, keepdims=True)
    result = np.zeros((line.output, line.size))
    rows = np.broadcast_to(np.arange(line.output)[:, None], places.shape)
    np.add.at(result, (rows, places.clip(0, line.size - 1)), weights)
    return result


def _keys(t: np.ndarray, a: float) -> np.ndarray:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981."""
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def _is_antialiased(node: Node) -> bool:
    return bool(node.attributes.get("antialias"))


def _is_more_than_linear(node: Node) -> bool:
    """What Core ML's own interpolation is not, as far as attributes say it; its function finds the rest."""
    mode = node.attributes.get("mode", "nearest")
    return mode == "cubic" or (mode == "linear" and not _has_sampling_mode(node))


def _has_sampling_mode(node: Node) -> bool:
    """Images by the ratio of their sizes, on their last two axes, by coordinates that Core ML knows."""
    x, y = node.inputs[0], node.output
    assert x is not None
    touched = [axis for axis in range(x.rank) if x.sizes[axis] != y.sizes[axis]]
    coordinates = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    plain = coordinates in ("align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel")
    return plain and not _is_antialiased(node) and all(axis >= x.rank - 2 for axis in touched) and _by_ratio(node)


def _by_ratio(node: Node) -> bool:
    scales, x = node.input(2), node.inputs[0]
    if scales is None or scales.data is None or not scales.data.size or x is None:
        return True
    axes = node.attributes.get("axes") or range(x.rank)
    ratios = [node.output.sizes[axis] / x.sizes[axis] for axis in axes]
    return bool(np.allclose(scales.data, ratios, rtol=1e-6, atol=0))


@composition("Resize", instead={"coreml": _is_more_than_linear, "tflite": _is_antialiased})
def resize(
    g: Composer, x: Value, roi: Value | None, scales: Value | None, sizes: Value | None, *, mode: str,
    coordinate_transformation_mode: str, cubic_coeff_a: float, exclude_outside: int, antialias: int,
    axes: tuple[int, ...] = (), keep_aspect_ratio_policy: str = "stretch",
) -> Value:  # fmt: skip
    """An axis at a time, the last of them by a matrix on the right and the others on the left."""
    if coordinate_transformation_mode == "tf_crop_and_resize" or keep_aspect_ratio_policy != "stretch":
        raise NotMappedError("tf_crop_and_resize or an aspect ratio to keep")
    if mode == "nearest":
        raise NotMappedError("nearest")
    result = x
    for axis, line in _lines(x, g.outputs[0], scales, axes or tuple(range(x.rank))).items():
        source = line.sources(coordinate_transformation_mode)
        if mode == "linear" and not antialias:
            source = source.clip(0, line.size - 1)
        table = matrix(line, source, mode, cubic_coeff_a, bool(exclude_outside), bool(antialias))
        result = _multiplied(g, result, table.astype(x.dtype), axis)
    return result


def _lines(x: Value, y: Value, scales: Value | None, axes: tuple[int, ...]) -> dict[int, Line]:
    """The axes that change; without scales they are the ratios of the sizes."""
    if scales is not None and not scales.is_constant:
        raise NotMappedError("the scales are computed")
    given = scales.array.tolist() if scales is not None and scales.array.size else None
    found = {}
    for i, axis in enumerate(axis % x.rank for axis in axes):
        size, output = x.sizes[axis], y.sizes[axis]
        scale = output / size if given is None else given[i]
        if size != output or scale != 1:
            found[axis] = Line(size, output, scale)
    return found


def _multiplied(g: Composer, x: Value, table: np.ndarray, axis: int) -> Value:
    if axis == x.rank - 1:
        return g.MatMul(x, g.constant(table.T))
    before, after = x.sizes[:axis], x.sizes[axis + 1 :]
    columns = g.Reshape(x, [int(np.prod(before)), x.sizes[axis], int(np.prod(after))])
    product = g.MatMul(g.constant(table[None]), columns)
    return g.Reshape(product, [*before, len(table), *after])
