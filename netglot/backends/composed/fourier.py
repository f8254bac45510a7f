"""Fourier transforms, as products with constant matrices: targets multiply matrices well, and have no transforms."""

from __future__ import annotations

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value

MOST = 1 << 24  # elements of a matrix: 64 MB of float32; a transform of 2896 complex numbers


def matrix(size: int, length: int, outputs: int, parts: int, out_parts: int, inverse: bool) -> np.ndarray:
    """[size * parts, outputs * out_parts]: what each input, real (and imaginary), adds to each output.

    Of `length` inputs those that are missing are zero, and what is beyond is left out.
    """
    if size * parts * outputs * out_parts > MOST:
        raise NotMappedError(f"the transform of {length} numbers is too large to be written as a matrix")
    j, k = np.arange(size)[:, None], np.arange(outputs)
    angle = 2 * np.pi * (j * k % length) / length * (1 if inverse else -1)
    turn = np.exp(1j * angle) / (length if inverse else 1) * (j < length)
    rows = np.stack([turn, 1j * turn], 1)[:, :parts]  # of a real part, of an imaginary one
    return np.stack([rows.real, rows.imag], -1)[..., :out_parts].reshape(size * parts, -1)


def half_matrix(size: int, length: int) -> np.ndarray:
    """[size * 2, length]: the inverse of the transform of real numbers, which gives half of what is symmetric."""
    full = matrix(size, length, length, 2, 1, inverse=True).reshape(size, 2, length)
    k = np.arange(size)
    twice = np.where((k == 0) | (2 * k == length), 1, 2) * (k <= length // 2)
    return (full * twice[:, None, None]).reshape(size * 2, length)


@composition("DFT")
def dft(g: Composer, x: Value, dft_length: Value | None, axis: Value | None, *, inverse: int, onesided: int) -> Value:
    """x is [..., 1] of real numbers or [..., 2] of complex ones; the transformed axis goes beside that, and back."""
    if any(value is not None and not value.is_constant for value in (dft_length, axis)):
        raise NotMappedError("the length or the axis is computed")
    at = (-2 if axis is None else int(axis.array.item())) % x.rank
    size, parts, out = x.sizes[at], x.sizes[-1], g.outputs[0].sizes
    whole = 2 * (size - 1) if inverse and onesided else size
    length = whole if dft_length is None else int(dft_length.array.item())
    if inverse and onesided:
        table = half_matrix(size, length)
    else:
        table = matrix(size, length, out[at], parts, out[-1], bool(inverse))
    there = [*(i for i in range(x.rank - 1) if i != at), at, x.rank - 1]
    moved = g.Transpose(x, perm=there)
    rows = g.Reshape(moved, [*moved.sizes[:-2], size * parts])
    result = g.MatMul(rows, g.constant(table, x.dtype))
    result = g.Reshape(result, [*moved.sizes[:-2], out[at], out[-1]])
    return g.Transpose(result, perm=[there.index(i) for i in range(x.rank)])


@composition("STFT")
def stft(
    g: Composer, signal: Value, frame_step: Value, window: Value | None, frame_length: Value | None, *, onesided: int
) -> Value:
    """The transforms of frames that are gathered at constant places, and weighted by the window."""
    if not frame_step.is_constant or (frame_length is not None and not frame_length.is_constant):
        raise NotMappedError("the step or the length is computed")
    batch, length, *parts = signal.sizes
    size = int(frame_length.array.item()) if frame_length is not None else window.sizes[0] if window else length
    frames = g.outputs[0].sizes[1]
    at = np.arange(frames)[:, None] * int(frame_step.array.item()) + np.arange(size)
    pieces = g.Gather(g.Reshape(signal, [batch, length, *(parts or [1])]), at, axis=1)
    if window is not None:
        pieces = g.Mul(pieces, g.Reshape(window, [size, 1]))
    return g.DFT(pieces, None, np.int64(2), onesided=onesided)
