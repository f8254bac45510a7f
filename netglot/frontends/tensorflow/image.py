"""Images: resizing, cropping, colours. Semantics: TensorFlow's core/ops/image_ops.cc; all images are NHWC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Value

# ---------------------------------------------------------------------- resize


@tf_op("ResizeBilinear")
def resize_bilinear(
    g: TFBuilder, x: Value, size: Value, *, align_corners: bool = False, half_pixel_centers: bool = False
) -> Value:
    """The result is float32."""
    return _resize(g, g.cast(x, np.float32), size, align_corners, half_pixel_centers, mode="linear")


@tf_op("ResizeNearestNeighbor")
def resize_nearest(
    g: TFBuilder, x: Value, size: Value, *, align_corners: bool = False, half_pixel_centers: bool = False
) -> Value:
    """Rounds down; with half pixels that is, of ONNX's coordinates, to the nearest, as it is with aligned corners."""
    rounding = "round_prefer_ceil" if align_corners or half_pixel_centers else "floor"
    image = x if x.dtype in (np.float32, np.int8, np.uint8, np.int32) else _exact(g, x)
    y = _resize(g, image, size, align_corners, half_pixel_centers, mode="nearest", nearest_mode=rounding)
    return g.cast(y, x.dtype)


def _exact(g: TFBuilder, x: Value) -> Value:
    """In a type that ONNX Runtime can resize."""
    if x.dtype not in (np.int16, np.uint16, np.float16):
        return x
    return g.cast(x, np.float32 if x.dtype == np.float16 else np.int32)


def _resize(
    g: TFBuilder, x: Value, size: Value, align_corners: bool, half_pixel_centers: bool, **attributes: Any
) -> Value:
    if align_corners and half_pixel_centers:
        raise g.unsupported("align_corners with half_pixel_centers, which TensorFlow does not compute either")
    mode = "align_corners" if align_corners else "half_pixel" if half_pixel_centers else "asymmetric"
    image, sizes = g.to_first(x, "NHWC"), g.cast(size, np.int64)
    y = g.Resize(image, None, None, sizes, axes=(2, 3), coordinate_transformation_mode=mode, **attributes)
    return g.from_first(y, "NHWC")


@tf_op("ResizeBicubic")
def resize_bicubic(
    g: TFBuilder, x: Value, size: Value, *, align_corners: bool = False, half_pixel_centers: bool = False
) -> Value:
    """By a matrix along each axis: TensorFlow takes its weights from a table of 1024 steps, and ONNX does not."""
    return _by_matrices(g, x, size, lambda n, out: _cubic(n, out, align_corners, half_pixel_centers))


@tf_op("ResizeArea")
def resize_area(g: TFBuilder, x: Value, size: Value, *, align_corners: bool = False) -> Value:
    """Each output is the mean of what it covers."""
    return _by_matrices(g, x, size, lambda n, out: _area(n, out, align_corners))


@tf_op("ScaleAndTranslate")
def scale_and_translate(
    g: TFBuilder, x: Value, size: Value, scale: Value, translation: Value, *, kernel_type: str = "lanczos3",
    antialias: bool = True,
) -> Value:  # fmt: skip
    """Resampling with a kernel that is as wide as the distance of the outputs, if antialiased."""
    if kernel_type not in _KERNELS:
        raise g.unsupported(f"the kernel {kernel_type}")
    scales = iter(g.static(scale, "the scale").astype(np.float32))
    moves = iter(g.static(translation, "the translation").astype(np.float32))
    return _by_matrices(
        g, x, size, lambda n, out: _resampled(n, out, next(scales), next(moves), kernel_type, antialias)
    )


def _by_matrices(g: TFBuilder, x: Value, size: Value, matrix: Callable[[int, int], np.ndarray]) -> Value:
    """NHWC `x` (as float32) with height, then width, multiplied by matrix(old size, new size)."""
    sizes = g.ints(size, "the size of the image")
    image = (x.shape or ())[1:3]
    if len(image) != 2 or not all(isinstance(n, int) for n in image):
        raise g.unsupported("an image of unknown size")
    y = g.to_first(g.cast(x, np.float32), "NHWC")
    rows, columns = (
        matrix(int(n or 0), out).astype(np.float32)
        for n, out in zip(image, sizes, strict=True)
        if g.affordable(int(n or 0), out)
    )
    return g.from_first(g.MatMul(g.MatMul(g.constant(rows), y), g.constant(np.ascontiguousarray(columns.T))), "NHWC")


def _scale(size: int, output: int, align_corners: bool) -> np.float32:
    if align_corners and output > 1:
        return np.float32(size - 1) / np.float32(output - 1)
    return np.float32(size) / np.float32(output)


def _cubic(size: int, output: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """Keys' kernel, a = -0.5, and no weight outside of the image, with half pixels; otherwise a = -0.75, edges repeated
    (resize_bicubic_op.cc)."""
    scale, a = _scale(size, output, align_corners), -0.5 if half_pixel_centers else -0.75
    at = np.arange(output, dtype=np.float32)
    at = (at + np.float32(0.5)) * scale - np.float32(0.5) if half_pixel_centers else at * scale
    base = np.floor(at).astype(np.int64)
    offset = np.rint((at - base.astype(np.float32)) * np.float32(1024)) / 1024
    weights = np.stack([_keys(distance, a) for distance in (offset + 1, offset, 1 - offset, 2 - offset)])
    places = base + np.arange(-1, 3)[:, None]
    inside = np.clip(places, 0, size - 1)
    if half_pixel_centers:
        weights = np.where(places == inside, weights, 0)
        weights = weights / weights.sum(0)
    return _matrix(size, output, inside, weights)


def _keys(distance: np.ndarray, a: float) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    return np.where(distance <= 1, near, ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a)


def _matrix(size: int, output: int, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[output, size] of weights [taps, output] at `places` of the input."""
    result = np.zeros((output, size))
    np.add.at(result, (np.broadcast_to(np.arange(output), places.shape), places), weights)
    return result


def _area(size: int, output: int, align_corners: bool) -> np.ndarray:
    """How much of each input an output covers (resize_area_op.cc); beyond the end the last input is repeated."""
    scale = _scale(size, output, align_corners)
    begin = np.arange(output, dtype=np.float32) * scale
    end = np.arange(1, output + 1, dtype=np.float32) * scale
    result = np.zeros((output, size))
    for i, (low, high) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        for place in range(int(np.floor(low)), int(np.ceil(high))):
            result[i, min(place, size - 1)] += (min(place + 1, high) - max(place, low)) / scale
    return result


def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _mitchell(x: np.ndarray) -> np.ndarray:
    """Mitchell and Netravali's, B = C = 1/3."""
    near, far = (7 * x - 12) * x * x / 6 + 16 / 18, ((-7 / 3 * x + 12) * x - 20) * x / 6 + 32 / 18
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# Radius and weight at a distance (scale_and_translate_op.cc, sampling_kernels.h).
_KERNELS: Mapping[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "lanczos1": (1, _lanczos(1)),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-(x**2) / (2 * 0.5**2)), 0)),
    "box": (1, lambda x: np.where(x < 0.5, 1.0, np.where(x == 0.5, 0.5, 0))),
    "triangle": (1, lambda x: np.maximum(0, 1 - x)),
    "keyscubic": (2, lambda x: np.where(x < 2, _keys(x, -0.5), 0)),
    "mitchellcubic": (2, _mitchell),
}


def _resampled(size: int, output: int, scale: Any, move: Any, kernel: str, antialias: bool) -> np.ndarray:
    radius, weight = _KERNELS[kernel]
    inverse = np.float32(1) / scale
    width = max(float(inverse), 1.0) if antialias else 1.0
    result = np.zeros((output, size))
    for i in range(output):
        at = float((np.float32(i) + np.float32(0.5)) * inverse - inverse * move)
        if not 0 <= at <= size:
            continue
        low = max(0, int(np.ceil(at - radius * width - 0.5)))
        high = min(size - 1, int(np.floor(at + radius * width - 0.5)))
        weights = weight(np.abs(np.arange(low, high + 1) + 0.5 - at) / width)
        if abs(weights.sum()) >= 1000 * np.finfo(np.float32).tiny:
            result[i, low : high + 1] = weights / weights.sum()
    return result


@tf_op("CropAndResize")
def crop_and_resize(
    g: TFBuilder, image: Value, boxes: Value, box_ind: Value, crop_size: Value, *, method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Value:  # fmt: skip
    """Boxes (y1, x1, y2, x2) of fractions of the image, each resized to `crop_size`; the result is float32.

    Corners are aligned; a crop of one row takes the middle. What lies outside of the image is extrapolation_value.
    """
    if method not in ("bilinear", "nearest"):
        raise g.unsupported(f"the method {method}")
    image = g.cast(image, np.float32)
    height, width = (g.cast(g.Shape(image, start=axis, end=axis + 1), np.float32) for axis in (1, 2))
    rows, columns = g.ints(crop_size, "the size of the crops")
    ys, xs = _grid(g, boxes, 0, rows, height), _grid(g, boxes, 1, columns, width)
    inside = g.And(g.Unsqueeze(_inside(g, ys, height), [2]), g.Unsqueeze(_inside(g, xs, width), [1]))
    pixels = g.Reshape(image, _pixel_rows(g, image))
    first = g.Reshape(g.Mul(g.cast(box_ind, np.int64), g.cast(g.Mul(height, width), np.int64)), [-1, 1, 1])
    if method == "nearest":
        y = _pixel(g, pixels, first, _rounded(g, ys, height), _rounded(g, xs, width), width)
    else:
        y = _interpolated(g, pixels, first, ys, xs, height, width)
    return g.Where(g.Unsqueeze(inside, [3]), y, g.constant(extrapolation_value, np.float32))


def _grid(g: TFBuilder, boxes: Value, axis: int, count: int, size: Value) -> Value:
    """[boxes, count]: where the rows (or columns) of each crop lie in the image."""
    low, high = (g.Slice(boxes, [column], [column + 1], [1]) for column in (axis, axis + 2))
    last = g.Sub(size, g.constant([1], np.float32))
    if count == 1:
        return g.Mul(g.Mul(g.Add(low, high), g.constant(0.5, np.float32)), last)
    step = g.Div(g.Mul(g.Sub(high, low), last), g.constant(count - 1, np.float32))
    return g.Add(g.Mul(low, last), g.Mul(step, g.constant(np.arange(count)[None], np.float32)))


def _inside(g: TFBuilder, at: Value, size: Value) -> Value:
    zero = g.constant(0, np.float32)
    return g.And(g.GreaterOrEqual(at, zero), g.LessOrEqual(at, g.Sub(size, g.constant([1], np.float32))))


def _pixel_rows(g: TFBuilder, image: Value) -> Value:
    """The shape [all pixels, channels]."""
    return g.Concat(g.constant([-1], np.int64), g.Shape(image, start=3), axis=0)


def _clipped(g: TFBuilder, at: Value, size: Value) -> Value:
    """Whole numbers as indices that exist, whatever lies outside."""
    last = g.Sub(size, g.constant([1], np.float32))
    return g.cast(g.Max(g.Min(at, last), g.constant(0, np.float32)), np.int64)


def _rounded(g: TFBuilder, at: Value, size: Value) -> Value:
    """Half away from zero, as roundf."""
    return _clipped(g, g.Floor(g.Add(at, g.constant(0.5, np.float32))), size)


def _pixel(g: TFBuilder, pixels: Value, first: Value, rows: Value, columns: Value, width: Value) -> Value:
    """[boxes, rows, columns, channels] of the pixels at the grid of rows and columns."""
    line = g.Mul(g.Unsqueeze(rows, [2]), g.cast(width, np.int64))
    return g.Gather(pixels, g.Add(first, g.Add(line, g.Unsqueeze(columns, [1]))), axis=0)


def _interpolated(
    g: TFBuilder, pixels: Value, first: Value, ys: Value, xs: Value, height: Value, width: Value
) -> Value:  # fmt: skip
    tops, lefts = g.Floor(ys), g.Floor(xs)
    down, right = g.Unsqueeze(g.Sub(ys, tops), [2, 3]), g.Unsqueeze(g.Sub(xs, lefts), [1, 3])
    rows = [_clipped(g, f(ys), height) for f in (g.Floor, g.Ceil)]
    columns = [_clipped(g, f(xs), width) for f in (g.Floor, g.Ceil)]
    lines = []
    for row in rows:
        a, b = (_pixel(g, pixels, first, row, column, width) for column in columns)
        lines.append(g.Add(a, g.Mul(g.Sub(b, a), right)))
    return g.Add(lines[0], g.Mul(g.Sub(lines[1], lines[0]), down))


# --------------------------------------------------------------------- colours


@tf_op("AdjustContrastv2")
def adjust_contrast(g: TFBuilder, images: Value, contrast_factor: Value) -> Value:
    """Away from each channel's mean over the image."""
    mean = g.ReduceMean(images, [-3, -2], keepdims=1)
    return g.Add(g.Mul(g.Sub(images, mean), g.cast(contrast_factor, images.dtype)), mean)


@tf_op("RGBToHSV")
def rgb_to_hsv(g: TFBuilder, images: Value) -> Value:
    """All in [0, 1]; hue is a fraction of the circle."""
    low, high = (g.op(op, [images, [-1]], keepdims=1) for op in ("ReduceMin", "ReduceMax"))
    spread, zero, one = g.Sub(high, low), scalar(g, 0, images), scalar(g, 1, images)
    positive = g.Greater(high, zero)
    saturation = g.Where(positive, g.Div(spread, g.Where(positive, high, one)), zero)
    y: Value = g.Concat(_hue(g, images, high, spread), saturation, high, axis=-1)
    return y


def _channels(g: TFBuilder, images: Value) -> tuple[Value, ...]:
    return tuple(g.Slice(images, [i], [i + 1], [-1]) for i in range(3))


def _hue(g: TFBuilder, images: Value, high: Value, spread: Value) -> Value:
    red, green, blue = _channels(g, images)
    zero, one = scalar(g, 0, images), scalar(g, 1, images)
    coloured = g.Greater(spread, zero)
    unit = g.Div(scalar(g, 1 / 6, images), g.Where(coloured, spread, one))
    of_green = g.Add(g.Mul(g.Sub(blue, red), unit), scalar(g, 2 / 6, images))
    of_blue = g.Add(g.Mul(g.Sub(red, green), unit), scalar(g, 4 / 6, images))
    hue = g.Where(g.Equal(green, high), of_green, of_blue)
    hue = g.Where(g.Equal(red, high), g.Mul(g.Sub(green, blue), unit), hue)
    hue = g.Where(coloured, hue, zero)
    return g.Where(g.Less(hue, zero), g.Add(hue, one), hue)


@tf_op("HSVToRGB")
def hsv_to_rgb(g: TFBuilder, images: Value) -> Value:
    hue, saturation, value = _channels(g, images)
    rest = g.Sub(scalar(g, 1, images), saturation)
    return g.Mul(g.Add(g.Mul(_pure(g, hue), saturation), rest), value)


def _pure(g: TFBuilder, hue: Value) -> Value:
    """The red, green and blue of full colours: ramps around the circle of six sides."""
    sides = g.Mul(hue, scalar(g, 6, hue))
    distance = g.Abs(g.Sub(sides, g.constant([3, 2, 4], hue.dtype)))
    ramps = g.Add(g.Mul(distance, g.constant([1, -1, -1], hue.dtype)), g.constant([-1, 2, 2], hue.dtype))
    return g.Clip(ramps, scalar(g, 0, hue), scalar(g, 1, hue))


@tf_op("AdjustHue")
def adjust_hue(g: TFBuilder, images: Value, delta: Value) -> Value:
    """`delta` of the circle further."""
    low, high = (g.op(op, [images, [-1]], keepdims=1) for op in ("ReduceMin", "ReduceMax"))
    spread = g.Sub(high, low)
    moved = g.Add(_hue(g, images, high, spread), g.cast(delta, images.dtype))
    moved = g.Sub(moved, g.Floor(moved))
    return g.Add(g.Mul(_pure(g, moved), spread), low)


@tf_op("AdjustSaturation")
def adjust_saturation(g: TFBuilder, images: Value, scale: Value) -> Value:
    hue, saturation, value = _channels(g, rgb_to_hsv(g, images))
    scaled = g.Clip(g.Mul(saturation, g.cast(scale, images.dtype)), scalar(g, 0, images), scalar(g, 1, images))
    return hsv_to_rgb(g, g.Concat(hue, scaled, value, axis=-1))
