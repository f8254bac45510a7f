"""tf.image.resize: what Keras' Resizing, UpSampling2D and keras.ops.image.resize call.

The source of the semantics is TensorFlow's kernels (tensorflow/core/kernels/image: resize_*_op.cc,
scale_and_translate_op.cc). All of them are linear and separable: what ONNX's Resize does not compute to the last digit
is a product with one constant matrix for each axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder
from netglot.ir.graph import Value
from netglot.ir.types import text

Kernel = Callable[[np.ndarray], np.ndarray]
Mode = Literal["nearest", "linear"]

KNOWN_SIZE = "Give the input's shape with --input-shape."
TABLE = 1024  # resize_bicubic_op.cc looks the weights up in a table of so many steps


def resize(g: KerasBuilder, x: Value, sizes: Sequence[int], method: str, *, antialias: bool = False) -> Value:
    """Channels-first `x` [N, C, H, W] with the spatial `sizes` (height, width), by one of TensorFlow's methods."""
    name = method.lower()
    if len(sizes) != 2 or x.rank != 4 or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ConversionError(f"{g.type}: {text(x.shape)} can't be resized to {list(sizes)}", g.origin)
    if name == "nearest":
        return _nearest(g, x, sizes)
    if name == "bilinear" and not antialias:
        return _builtin(g, x, sizes, "linear", coordinate_transformation_mode="half_pixel")
    for axis, size in zip((2, 3), sizes, strict=True):
        x = _along(g, x, axis, _weights(g, x, axis, size, name, antialias))
    return x


def _builtin(g: KerasBuilder, x: Value, sizes: Sequence[int], mode: Mode, **how: str) -> Value:
    return g.Resize(x, None, None, list(sizes), mode=mode, axes=[2, 3], **how)


def _nearest(g: KerasBuilder, x: Value, sizes: Sequence[int]) -> Value:
    """floor((i + 0.5) size / n) in float32; where that is not what real numbers say, by the indices."""
    assert x.shape is not None
    for axis, size in zip((2, 3), sizes, strict=True):
        n = x.shape[axis]
        if isinstance(n, int) and _has_ties(n, size):
            return _picked(g, x, sizes)
    how = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
    return _builtin(g, x, sizes, "nearest", **how)


def _has_ties(n: int, size: int) -> bool:
    """Whether an output lies exactly between two inputs, where rounding decides."""
    return n != size and bool(np.any((2 * np.arange(size, dtype=np.int64) + 1) * n % (2 * size) == 0))


def _picked(g: KerasBuilder, x: Value, sizes: Sequence[int]) -> Value:
    for axis, size in zip((2, 3), sizes, strict=True):
        n = _known(g, x, axis)
        places = (np.arange(*g.affordable(size), dtype=np.float32) + np.float32(0.5)) * (
            np.float32(n) / np.float32(size)
        )
        x = g.Gather(x, np.minimum(np.floor(places), n - 1).astype(np.int64), axis=axis)
    return x


def _known(g: KerasBuilder, x: Value, axis: int) -> int:
    size = x.shape[axis] if x.shape is not None else None
    if not isinstance(size, int):
        raise g.unsupported("this interpolation of an image of unknown size", KNOWN_SIZE)
    return size


def _along(g: KerasBuilder, x: Value, axis: int, weights: np.ndarray) -> Value:
    """Each line of `x` along `axis` (2 or 3) multiplied by weights [outputs, inputs]."""
    if weights.shape[0] == weights.shape[1] and np.array_equal(weights, np.eye(len(weights))):
        return x
    matrix = weights.astype(x.dtype)
    return g.MatMul(matrix, x) if axis == 2 else g.MatMul(x, matrix.T)


# --------------------------------------------------------------------- weights


def _weights(g: KerasBuilder, x: Value, axis: int, size: int, name: str, antialias: bool) -> np.ndarray:
    """The matrix [outputs, inputs] of one axis."""
    n = _known(g, x, axis)
    g.affordable(size, n)
    if name == "area":
        return _area(n, size)
    if name == "bicubic" and not antialias:
        return _bicubic(n, size)
    if name not in _KERNELS:
        raise g.unsupported(f"interpolation='{name}'")
    radius, kernel = _KERNELS[name]
    return _spread(n, size, radius, kernel, antialias)


def _area(n: int, size: int) -> np.ndarray:
    """The mean of what lies under each output, parts of elements included."""
    starts = np.arange(size)[:, None] * (n / size)
    places = np.arange(n)[None]
    under = np.minimum(places + 1, starts + n / size) - np.maximum(places, starts)
    return np.maximum(under, 0) / (n / size)


def _bicubic(n: int, size: int) -> np.ndarray:
    """Keys' kernel with a = -0.5, from a table; neighbours outside count nothing."""
    scale = np.float32(n) / np.float32(size)
    places = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    low = np.floor(places).astype(np.int64)
    offset = np.rint((places - low) * np.float32(TABLE)) / TABLE
    taps = low[:, None] + np.arange(-1, 3)
    weights = _keys(np.abs(offset[:, None] - np.arange(-1, 3)))
    return _matrix(n, taps, weights * ((taps >= 0) & (taps < n)))


def _spread(n: int, size: int, radius: float, kernel: Kernel, antialias: bool) -> np.ndarray:
    """ScaleAndTranslate: the kernel around each place, as wide as the step between places where `antialias`."""
    step = n / size
    wide = max(step, 1.0) if antialias else 1.0
    centres = (np.arange(size) + 0.5) * step
    first = np.ceil(centres - radius * wide - 0.5).clip(0, n - 1)
    last = np.floor(centres + radius * wide - 0.5).clip(0, n - 1)
    places = np.arange(n)[None]
    inside = (places >= first[:, None]) & (places <= last[:, None])
    weights = kernel(np.abs(places + 0.5 - centres[:, None]) / wide) * inside
    return weights / weights.sum(axis=1, keepdims=True)


def _matrix(n: int, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    result = np.zeros((len(taps), n))
    np.add.at(result, (np.arange(len(taps))[:, None], taps.clip(0, n - 1)), weights)
    return result / result.sum(axis=1, keepdims=True)


def _keys(t: np.ndarray) -> np.ndarray:
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def _mitchell(t: np.ndarray) -> np.ndarray:
    """Mitchell and Netravali's with B = C = 1/3."""
    near, far = ((7 * t - 12) * t * t + 16 / 3) / 6, ((-7 / 3 * t + 12) * t * t - 20 * t + 32 / 3) / 6
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def _gaussian(t: np.ndarray) -> np.ndarray:
    """A standard deviation of a third of the radius of 1.5."""
    return np.where(t < 1.5, np.exp(-2 * t * t), 0)


def _lanczos(radius: float) -> tuple[float, Kernel]:
    return radius, lambda t: np.where(t <= radius, np.sinc(t) * np.sinc(t / radius), 0)


_KERNELS: dict[str, tuple[float, Kernel]] = {
    "bilinear": (1.0, lambda t: np.maximum(1 - t, 0)),
    "bicubic": (2.0, _keys),
    "mitchellcubic": (2.0, _mitchell),
    "gaussian": (1.5, _gaussian),
    "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0),
}
