"""Weights of few bits in blocks with a scale each, packed as com.microsoft's operators have them: DequantizeLinear with
a block_size.
"""

from __future__ import annotations

from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.ir.graph import Value

INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)


@onnx_op("com.microsoft.MatMulNBits")
def matmul_nbits(
    g: OnnxBuilder, a: Value, b: Value, scales: Value, zero_points: Value | None = None, g_idx: Value | None = None,
    bias: Value | None = None, *, K: int, N: int, block_size: int, bits: int = 4, accuracy_level: int = 0,
    weight_prepacked: int = 0,
) -> Value:  # fmt: skip
    """a [..., K] times the matrix [K, N] that `b` [N, blocks, block_size * bits / 8] holds transposed, block by block.

    Zero points are packed as `b` is [N, ceil(blocks * bits / 8)], or floats [N, blocks]; without them they are
    2^(bits - 1). `accuracy_level` only allows ONNX Runtime to round `a`, which is not done here.
    """
    if g_idx is not None or weight_prepacked or bits not in (2, 4, 8):
        g.refuse(f"MatMulNBits of {bits} bits, with g_idx or weights packed for one device")
    blocks = -(-K // block_size)
    packed, scale = _data(g, b, (N, blocks, block_size * bits // 8)), _data(g, scales, (N, blocks))
    q = _unpacked(packed, bits).reshape(N, -1)[:, :K]
    if zero_points is not None and zero_points.dtype is not None and zero_points.dtype.kind == "f":
        w: Any = _floats(q, scale, _data(g, zero_points, (N, blocks)), block_size)
    else:
        zero = None if zero_points is None else _zeros(g, zero_points, (N, blocks), bits)
        w = _dequantised(g, q.T, scale.T, None if zero is None else zero.T, bits, axis=0, block_size=block_size)
    y: Value = g.MatMul(a, w)
    return y if bias is None else g.Add(y, bias)


@onnx_op("com.microsoft.GatherBlockQuantized")
def gather_block_quantized(
    g: OnnxBuilder, data: Value, indices: Value, scales: Value, zero_points: Value | None = None, *, bits: int = 4,
    block_size: int = 128, gather_axis: int = 0, quantize_axis: int = 1,
) -> Value:  # fmt: skip
    """A uint8 holds 8 / bits numbers along the last axis, whose zero is 2^(bits - 1) unless it is said."""
    axis = quantize_axis % len(scales.sizes)
    if data.dtype == np.uint8 and bits < 8:
        shape = (*scales.sizes[:-1], data.sizes[-1])
        q = _unpacked(_data(g, data, shape), bits)
        zero = None if zero_points is None else _zeros(g, zero_points, scales.sizes, bits)
        w = _dequantised(g, q, scales.array, zero, bits, axis=axis, block_size=block_size)
    else:
        w = g.DequantizeLinear(data, scales, zero_points, axis=axis, block_size=block_size)
    y: Value = g.Gather(w, indices, axis=gather_axis)
    return y


def _data(g: OnnxBuilder, value: Value, shape: tuple[int, ...]) -> np.ndarray:
    """The constant, of as many elements as `shape` has."""
    if not value.is_constant:
        g.refuse(f"{g.operator} with weights that are computed")
    if value.array.size != prod(shape):
        raise ValueError(f"'{value.name}' has {value.array.size} elements instead of {prod(shape)}")
    return value.array.reshape(shape)


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Bytes as the numbers of `bits` bits that they hold, the lowest first, along the last axis."""
    if bits == 8:
        return packed
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    split = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return split.reshape(*packed.shape[:-1], -1)


def _zeros(g: OnnxBuilder, packed: Value, shape: tuple[int, ...], bits: int) -> np.ndarray:
    width = -(-shape[-1] * bits // 8)
    return _unpacked(_data(g, packed, (*shape[:-1], width)), bits)[..., : shape[-1]]


def _dequantised(
    g: OnnxBuilder, q: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, bits: int, **attributes: int
) -> Any:
    """Signed without zero points where the zero is in the middle, as it is by default."""
    signed, unsigned = (np.dtype(np.int8), np.dtype(np.uint8)) if bits == 8 else (INT4, UINT4)
    middle = 1 << (bits - 1)
    if zero is None or np.all(zero == middle):
        centred = (q.view(np.int8) - np.int8(middle - 256 if bits == 8 else middle)).astype(signed)
        return g.DequantizeLinear(g.constant(centred), g.constant(scale), **attributes)
    parts = [g.constant(part.astype(unsigned)) for part in (q, zero)]
    return g.DequantizeLinear(parts[0], g.constant(scale), parts[1], **attributes)


def _floats(q: np.ndarray, scale: np.ndarray, zero: np.ndarray, block_size: int) -> np.ndarray:
    """The matrix [K, N]: DequantizeLinear knows no zero points between its integers."""
    each = [np.repeat(part, block_size, axis=1)[:, : q.shape[1]] for part in (scale, zero)]
    return np.asarray(((q.astype(scale.dtype) - each[1]) * each[0]).T)
