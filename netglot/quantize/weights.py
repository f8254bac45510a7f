"""Weights as small integers: a scale for each output channel, or for each block of a channel."""

from __future__ import annotations

from typing import NamedTuple

import ml_dtypes
import numpy as np

SMALLEST = float(np.finfo(np.float32).tiny)  # of a scale: below it, 1 / scale is no number
CLIPPED = np.linspace(1.0, 0.6, 21)  # shares of the largest magnitude that are tried as the end of few levels


class Quantised(NamedTuple):
    """Integers, with scales of one (axis -1), of each index of `axis`, or of blocks along it (`block`)."""

    data: np.ndarray
    scale: np.ndarray
    axis: int
    block: int = 0
    zero: np.ndarray | None = None


def symmetric(w: np.ndarray, dtype: np.dtype, axis: int | None, least: np.ndarray | float = 0.0) -> Quantised:
    """w = scale * integers, -127 to 127 for int8 (-128 would make products of two overflow in pairs), -7 to 7 for int4.

    w: any shape, float32. axis: of the channels that have a scale each; None for one scale. least: scales are at least
    this large ([channels] or one), so that biases in steps of it fit into 32 bits.
    """
    top = int(ml_dtypes.iinfo(dtype).max)  # type: ignore[no-untyped-call]
    rows = _rows(w, axis)
    ends = np.abs(rows).max(axis=1, initial=0.0)
    if top < 16:
        ends = _clipped(rows, ends, top)
    scale = np.maximum(np.maximum(ends / top, least), SMALLEST).astype(np.float32)
    scale = np.where(ends > 0, scale, np.maximum(np.float32(1), scale)).astype(np.float32)
    data = _rounded(w, _along(scale, axis, w.ndim), top, dtype)
    return Quantised(data, scale if axis is not None else scale.reshape(()), -1 if axis is None else axis % w.ndim)


def asymmetric(w: np.ndarray, dtype: np.dtype) -> Quantised:
    """w = scale * (integers - zero), one scale for all."""
    kind = np.iinfo(dtype)
    low, high = min(float(w.min(initial=0.0)), 0.0), max(float(w.max(initial=0.0)), 0.0)
    scale = np.float32(max((high - low) / (kind.max - kind.min), SMALLEST)) if high > low else np.float32(1)
    zero = np.clip(np.rint(kind.min - low / scale), kind.min, kind.max)
    data = np.clip(np.rint(w / scale) + zero, kind.min, kind.max).astype(dtype)
    return Quantised(data, np.array(scale, np.float32), -1, zero=np.array(zero, dtype))


def blockwise(w: np.ndarray, dtype: np.dtype, axis: int, block: int) -> Quantised:
    """Blocks of `block` elements along `axis`, the last one maybe shorter, with a scale each.

    The scales have the shape of w with ceil(size / block) instead of `axis`, as DequantizeLinear's block_size asks.
    """
    axis %= w.ndim
    top = int(ml_dtypes.iinfo(dtype).max)  # type: ignore[no-untyped-call]
    moved = np.moveaxis(w, axis, -1)
    count = -(-moved.shape[-1] // block)
    padded = np.zeros((*moved.shape[:-1], count * block), np.float32)
    padded[..., : moved.shape[-1]] = moved
    rows = padded.reshape(-1, block)
    ends = _clipped(rows, np.abs(rows).max(axis=1), top)
    scale = np.where(ends > 0, np.maximum(ends / top, SMALLEST), 1).astype(np.float32)
    scales = np.moveaxis(scale.reshape(*moved.shape[:-1], count), -1, axis)
    full = np.repeat(scales, block, axis=axis).take(range(w.shape[axis]), axis=axis)
    return Quantised(_rounded(w, full, top, dtype), np.ascontiguousarray(scales), axis, block)


def _rows(w: np.ndarray, axis: int | None) -> np.ndarray:
    """[channels, elements of each], or one row."""
    return w.reshape(1, -1) if axis is None else np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)


def _along(scale: np.ndarray, axis: int | None, rank: int) -> np.ndarray:
    return scale.reshape(()) if axis is None else scale.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _rounded(w: np.ndarray, scale: np.ndarray, top: int, dtype: np.dtype) -> np.ndarray:
    q = np.divide(w, scale, dtype=np.float32)
    return np.clip(np.rint(q, out=q), -top, top, out=q).astype(np.int8).astype(dtype, copy=False)


def _clipped(rows: np.ndarray, ends: np.ndarray, top: int) -> np.ndarray:
    """The end of each row's grid with the least squared error: with few levels, clipping outliers pays."""
    best, found = ends.copy(), np.full(len(rows), np.inf)
    for share in CLIPPED:
        scale = np.maximum(ends * share / top, SMALLEST)[:, None]
        error = np.square(np.clip(np.rint(rows / scale), -top, top) * scale - rows).sum(axis=1)
        better = error < found
        best[better], found[better] = (ends * share)[better], error[better]
    return best
