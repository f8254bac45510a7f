"""Fourier transforms and complex numbers: a Handle of the kind "complex" with its two parts.

ONNX has no complex tensors; a network may have them between a transform and its magnitude.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import Edge, Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.elementwise import atan2
from netglot.frontends.tensorflow.kernels import zeros_like
from netglot.ir.graph import Value


def complex_of(g: TFBuilder, real: Value, imaginary: Value) -> Handle:
    dtype = np.dtype(np.complex128 if real.dtype == np.float64 else np.complex64)
    return Handle("complex", g.origin.layer, (real, imaginary), dtype, real.shape)


def parts(g: TFBuilder, x: Edge) -> tuple[Value, Value]:
    """The real and the imaginary part of a complex number, or of a constant one."""
    if isinstance(x, Handle):
        if x.kind != "complex":
            raise g.unsupported(f"a {x.kind}")
        real, imaginary = x.state
        return real, imaginary
    if x.dtype is not None and x.dtype.kind == "c":
        array = g.static(x, "a complex number")
        return g.constant(np.ascontiguousarray(array.real)), g.constant(np.ascontiguousarray(array.imag))
    return x, zeros_like(g, x)


@tf_op("Complex")
def complex_(g: TFBuilder, real: Value, imaginary: Value) -> Handle:
    return complex_of(g, real, imaginary)


@tf_op("Real", handles=True)
def real(g: TFBuilder, x: Edge) -> Value:
    return parts(g, x)[0]


@tf_op("Imag", handles=True)
def imag(g: TFBuilder, x: Edge) -> Value:
    return parts(g, x)[1]


@tf_op("Conj", handles=True)
def conj(g: TFBuilder, x: Edge) -> Edge:
    if isinstance(x, Value):
        return x
    a, b = parts(g, x)
    return complex_of(g, a, g.Neg(b))


@tf_op("ComplexAbs", handles=True)
def complex_abs(g: TFBuilder, x: Edge) -> Value:
    a, b = parts(g, x)
    return g.Sqrt(g.Add(g.Mul(a, a), g.Mul(b, b)))


@tf_op("Angle", handles=True)
def angle(g: TFBuilder, x: Edge) -> Value:
    a, b = parts(g, x)
    return atan2(g, b, a)


# ------------------------------------------------------------------ transforms


@tf_op("FFT", handles=True)
def fft(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1], inverse=False)


@tf_op("IFFT", handles=True)
def ifft(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1], inverse=True)


@tf_op("FFT2D", handles=True)
def fft_2d(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1, -2], inverse=False)


@tf_op("IFFT2D", handles=True)
def ifft_2d(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1, -2], inverse=True)


@tf_op("FFT3D", handles=True)
def fft_3d(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1, -2, -3], inverse=False)


@tf_op("IFFT3D", handles=True)
def ifft_3d(g: TFBuilder, x: Edge) -> Handle:
    return _complex_transform(g, x, [-1, -2, -3], inverse=True)


@tf_op("RFFT")
def rfft(g: TFBuilder, x: Value, fft_length: Value) -> Handle:
    """Of real numbers, cut to `fft_length`; the half of the spectrum that is not redundant."""
    return _real_transform(g, x, _lengths(g, fft_length, 1))


@tf_op("RFFT2D")
def rfft_2d(g: TFBuilder, x: Value, fft_length: Value) -> Handle:
    return _real_transform(g, x, _lengths(g, fft_length, 2))


@tf_op("IRFFT", handles=True)
def irfft(g: TFBuilder, x: Edge, fft_length: Value) -> Value:
    return _to_real(g, x, _lengths(g, fft_length, 1))


@tf_op("IRFFT2D", handles=True)
def irfft_2d(g: TFBuilder, x: Edge, fft_length: Value) -> Value:
    return _to_real(g, x, _lengths(g, fft_length, 2))


def _lengths(g: TFBuilder, fft_length: Value, count: int) -> list[int]:
    found = g.ints(fft_length, "the length of the transform")
    if len(found) != count or min(found) < 1:
        raise g.unsupported(f"the length {found}")
    return found


def _joined(g: TFBuilder, x: Edge) -> Value:
    """Both parts along a new last axis, as ONNX has complex numbers."""
    a, b = (g.Unsqueeze(part, [-1]) for part in parts(g, x))
    y: Value = g.Concat(a, b, axis=-1)
    return y


def _apart(g: TFBuilder, x: Value) -> Handle:
    a, b = (g.Gather(x, np.array(i, np.int64), axis=-1) for i in range(2))
    return complex_of(g, a, b)


def _complex_transform(g: TFBuilder, x: Edge, axes: list[int], *, inverse: bool) -> Handle:
    y = _joined(g, x)
    for axis in axes:
        y = _dft(g, y, axis - 1, inverse=int(inverse))
    return _apart(g, y)


def _dft(g: TFBuilder, x: Value, axis: int, length: int | None = None, **attributes: Any) -> Value:
    size = None if length is None else g.constant(length, np.int64)
    y: Value = g.DFT(x, size, g.constant(axis + x.rank, np.int64), **attributes)
    return y


def _real_transform(g: TFBuilder, x: Value, lengths: list[int]) -> Handle:
    first, y = True, g.Unsqueeze(x, [-1])
    for axis, length in zip(range(-1, -1 - len(lengths), -1), reversed(lengths), strict=True):
        y = _dft(g, _fitted(g, y, axis - 1, length), axis - 1, onesided=int(first))
        first = False
    return _apart(g, y)


def _fitted(g: TFBuilder, x: Value, axis: int, length: int) -> Value:
    """`x` cut to `length`; TensorFlow's kernels do not lengthen it."""
    size = (x.shape or ())[axis]
    if size == length:
        return x
    if isinstance(size, int) and size < length:
        raise g.unsupported(f"a length of {length} where there are {size} elements")
    y: Value = g.Slice(x, [0], [length], [axis])
    return y


def _to_real(g: TFBuilder, x: Edge, lengths: list[int]) -> Value:
    """The inverse: along the last axis the other half of the spectrum is the mirrored conjugate of this one."""
    y = _joined(g, x)
    half = lengths[-1] // 2 + 1
    y = _fitted(g, y, -2, half)
    for axis, length in zip(range(-2, -1 - len(lengths), -1), reversed(lengths[:-1]), strict=True):
        y = _dft(g, _fitted(g, y, axis - 1, length), axis - 1, inverse=1)
    if lengths[-1] > 2:
        mirrored = g.Slice(y, [(lengths[-1] - 1) // 2], [0], [-2], [-1])
        y = g.Concat(y, g.Mul(mirrored, g.constant([1, -1], y.dtype)), axis=-2)
    return g.Gather(_dft(g, y, -2, inverse=1), np.array(0, np.int64), axis=-1)
