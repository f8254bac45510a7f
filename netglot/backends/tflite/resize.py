"""Resize: TFLite's kernels where they compute the very same, otherwise an axis at a time by indices or a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import Ints, Side, TFLiteBuilder, tflite_op
from netglot.backends.tflite.movement import gathered
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Axis:
    """One axis that is resized, in memory: its sizes, and outputs over inputs as ONNX's formulas use it."""

    at: int
    size: int
    output: int
    scale: float

    def sources(self, mode: str) -> np.ndarray:
        """Where each output lies in the input (Resize-19, coordinate_transformation_mode)."""
        x = np.arange(self.output, dtype=np.float64)
        if mode == "align_corners":
            return x * (self.size - 1) / (self.output - 1) if self.output > 1 else x
        if mode == "asymmetric":
            return x / self.scale
        half = (x + 0.5) / self.scale - 0.5
        if mode == "pytorch_half_pixel":
            return half if self.output > 1 else x * 0
        if mode == "half_pixel_symmetric":
            adjustment = self.output / (self.scale * self.size)
            return self.size / 2 * (1 - adjustment) + half
        return half


@tflite_op("Resize", layout=Side.LAST)
def resize(
    m: TFLiteBuilder, x: Value, roi: Value | None, scales: Value | None, sizes: Value | None, y: Value, *,
    mode: str, coordinate_transformation_mode: str, nearest_mode: str, cubic_coeff_a: float, exclude_outside: int,
    antialias: int, axes: Ints = (), keep_aspect_ratio_policy: str = "stretch", extrapolation_value: float = 0.0,
) -> None:  # fmt: skip
    if antialias or coordinate_transformation_mode == "tf_crop_and_resize" or keep_aspect_ratio_policy != "stretch":
        raise NotMappedError("antialias, tf_crop_and_resize or an aspect ratio to keep")
    chosen = _axes(m, x, y, scales, axes or tuple(range(x.rank)))
    sources = [axis.sources(coordinate_transformation_mode) for axis in chosen]
    if mode == "nearest":
        indices = [_nearest(source, axis.size, nearest_mode) for axis, source in zip(chosen, sources, strict=True)]
        by_index(m, x, y, chosen, indices)
    elif mode == "linear" and _builtin(m, x, y, chosen, _BILINEAR, sources):
        return
    else:
        kernel = _linear if mode == "linear" else _cubic(cubic_coeff_a, bool(exclude_outside))
        by_matrix(m, x, y, chosen, [kernel(source, axis.size) for axis, source in zip(chosen, sources, strict=True)])


def _axes(m: TFLiteBuilder, x: Value, y: Value, scales: Value | None, axes: Ints) -> list[Axis]:
    """The axes that change; without scales they are the ratio of the sizes."""
    given = None if scales is None or scales.data is None or not scales.data.size else scales.data
    if scales is not None and scales.data is None:
        raise NotMappedError("the scales are computed")
    result = []
    for i, axis in enumerate(axes):
        size, output = x.sizes[axis], y.sizes[axis]
        scale = output / size if given is None else float(given[i])
        if size != output or scale != 1:
            result.append(Axis(m.axis(x, axis), size, output, scale))
    return result


def _nearest(source: np.ndarray, size: int, mode: str) -> np.ndarray:
    """The input index of each output, by nearest_mode."""
    rounded = {
        "floor": np.floor(source), "ceil": np.ceil(source), "round_prefer_floor": np.ceil(source - 0.5),
        "round_prefer_ceil": np.floor(source + 0.5),
    }[mode]  # fmt: skip
    return np.clip(rounded, 0, size - 1).astype(np.int32)


# align_corners, half_pixel_centers: how TFLite's kernels find the source (resize_bilinear.h and its neighbour).
_CORNERS: list[tuple[bool, bool]] = [(False, False), (True, False), (False, True)]


def _builtin_sources(axis: Axis, corners: bool, half: bool) -> np.ndarray:
    x = np.arange(axis.output, dtype=np.float32) + np.float32(0.5 if half else 0)
    plain = np.float32(axis.size) / np.float32(axis.output)
    scale = np.float32(axis.size - 1) / np.float32(axis.output - 1) if corners and axis.output > 1 else plain
    return np.asarray(x * scale)


def _builtin_nearest(axis: Axis, corners: bool, half: bool) -> np.ndarray:
    source = _builtin_sources(axis, corners, half)
    rounded = np.floor(source + 0.5) if corners else np.floor(source)
    return np.clip(rounded, 0, axis.size - 1).astype(np.int32)


def _builtin_linear(axis: Axis, corners: bool, half: bool) -> np.ndarray:
    return _linear(_builtin_sources(axis, corners, half) - (0.5 if half else 0), axis.size)


_BILINEAR = ("RESIZE_BILINEAR", tfl.ResizeBilinearOptionsT, _builtin_linear)
_NEAREST = ("RESIZE_NEAREST_NEIGHBOR", tfl.ResizeNearestNeighborOptionsT, _builtin_nearest)
Kernel = tuple[str, type, Callable[[Axis, bool, bool], np.ndarray]]


def _builtin(m: TFLiteBuilder, x: Value, y: Value, axes: list[Axis], kernel: Kernel, wanted: list[np.ndarray]) -> bool:
    """Writes the builtin operator if, with one of its settings, it computes what is `wanted` of each axis."""
    name, options, computes = kernel
    if x.rank != 4 or any(axis.at not in (1, 2) for axis in axes):
        return False
    if name == "RESIZE_BILINEAR":
        wanted = [_linear(source, axis.size) for axis, source in zip(axes, wanted, strict=True)]
    for corners, half in _CORNERS:
        found = [computes(axis, corners, half) for axis in axes]
        if all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted, strict=True)):
            table = options(alignCorners=corners, halfPixelCenters=half)
            m.op(name, [x, m.ints(m.shape(y)[1:3])], [y], table)
            return True
    return False


def by_index(m: TFLiteBuilder, x: Value, y: Value, axes: list[Axis], indices: list[np.ndarray]) -> None:
    if _builtin(m, x, y, axes, _NEAREST, indices):
        return
    result = m.tensor(x)
    for axis, index in zip(axes, indices, strict=True):
        result = gathered(m, result, index, axis.at)
    m.finish(result, y)


def by_matrix(m: TFLiteBuilder, x: Value, y: Value, axes: list[Axis], matrices: list[np.ndarray]) -> None:
    """Multiplies each axis by its matrix [output, input]: what lies before it is a batch, what after it columns."""
    result = m.tensor(x)
    for axis, matrix in zip(axes, matrices, strict=True):
        shape = m.shape(result)
        before, after = int(np.prod(shape[: axis.at])), int(np.prod(shape[axis.at + 1 :]))
        columns = m.reshaped(result, (before, axis.size, after))
        left = m.constant(matrix[None].astype(np.float32))
        product = m.emit("BATCH_MATMUL", left, columns, shape=(before, axis.output, after))
        result = m.reshaped(product, (*shape[: axis.at], axis.output, *shape[axis.at + 1 :]))
    m.finish(result, y)


def _linear(source: np.ndarray, size: int) -> np.ndarray:
    """Weights of the two neighbours; outside, the edge repeats."""
    source = np.clip(source, 0, size - 1)
    low = np.floor(source).astype(int)
    return _spread(size, [(low, 1 - (source - low)), (np.minimum(low + 1, size - 1), source - low)])


def _cubic(a: float, exclude_outside: bool) -> Callable[[np.ndarray, int], np.ndarray]:
    def weights(source: np.ndarray, size: int) -> np.ndarray:
        """Keys' convolution over the four neighbours; outside, the edge repeats or counts nothing."""
        low = np.floor(source).astype(int)
        taps = [(low + i, _keys(np.abs(source - low - i), a)) for i in (-1, 0, 1, 2)]
        if exclude_outside:
            taps = [(index, weight * ((index >= 0) & (index < size))) for index, weight in taps]
        total = sum(weight for _, weight in taps)
        return _spread(size, [(np.clip(index, 0, size - 1), weight / total) for index, weight in taps])

    return weights


def _keys(t: np.ndarray, a: float) -> np.ndarray:
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def _spread(size: int, taps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The matrix [outputs, size] with the weights of `taps` (index, weight) added up."""
    matrix = np.zeros((len(taps[0][0]), size))
    for index, weight in taps:
        np.add.at(matrix, (np.arange(len(index)), index), weight)
    return matrix
