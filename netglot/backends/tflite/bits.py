"""Bitwise operators. TFLite has XOR and a shift to the right, of at most 32 bits; the others are arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.ir.graph import Value

HALF = 16  # bits of a piece: the sum of two pieces fits into int32

Bits = Callable[[TFLiteBuilder, int, int], int]  # of two int32 tensors of numbers of 16 bits, with or without a sign


def xor(m: TFLiteBuilder, a: int, b: int) -> int:
    return m.emit("BITWISE_XOR", a, b)


def and_(m: TFLiteBuilder, a: int, b: int) -> int:
    """a + b = (a ^ b) + 2 (a & b)"""
    return m.emit("RIGHT_SHIFT", m.emit("SUB", m.emit("ADD", a, b), xor(m, a, b)), m.ints(1))


def or_(m: TFLiteBuilder, a: int, b: int) -> int:
    """a | b = (a ^ b) + (a & b)"""
    return m.emit("ADD", xor(m, a, b), and_(m, a, b))


def _register(op: str, compute: Bits) -> None:
    @tflite_op(op, layout=alike)
    def bitwise(m: TFLiteBuilder, a: Value, b: Value, y: Value) -> None:
        x, other = m.operand(a, y), m.operand(b, y)
        pieces = [compute(m, p, q) for p, q in zip(split(m, x), split(m, other), strict=True)]
        m.finish(joined(m, pieces, m.dtype(y)), y)


_register("BitwiseXor", xor)
_register("BitwiseAnd", and_)
_register("BitwiseOr", or_)


def split(m: TFLiteBuilder, x: int) -> list[int]:
    """x as int32 pieces of 16 bits, the lowest first; the last has the sign."""
    dtype = m.dtype(x)
    if dtype.itemsize <= 2:
        return [m.cast(x, np.int32)]
    wide = m.cast(x, np.int64) if dtype != np.int32 else x
    count = {"int32": 2, "uint32": 2, "int64": 4}.get(dtype.name)
    if count is None:
        raise NotMappedError(f"TFLite has no bits of {dtype}")
    pieces = []
    for i in range(count - 1):
        low = m.emit("FLOOR_MOD", wide, m.constant(1 << HALF * (i + 1), m.dtype(wide)))
        pieces.append(_scaled(m, low, -HALF * i))
        wide = m.emit("SUB", wide, low)
    return [*pieces, _scaled(m, wide, -HALF * (count - 1))]


def _scaled(m: TFLiteBuilder, x: int, bits: int) -> int:
    """x 2^bits as int32, where x has 16 bits that are not zero: exact in float32, as no division of int64 is."""
    return m.cast(m.emit("MUL", m.cast(x, np.float32), 2.0**bits), np.int32) if bits else m.cast(x, np.int32)


def joined(m: TFLiteBuilder, pieces: list[int], dtype: np.dtype) -> int:
    """The opposite of split."""
    wide = np.dtype(np.int64) if dtype.itemsize > 4 or dtype == np.uint32 else np.dtype(np.int32)
    total = m.cast(pieces[0], wide)
    for i, piece in enumerate(pieces[1:], 1):
        total = m.emit("ADD", total, m.emit("MUL", m.cast(piece, wide), m.constant(1 << HALF * i, wide)))
    return m.cast(total, dtype)


@tflite_op("BitwiseNot", layout=alike)
def bitwise_not(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """-1 - x; of unsigned numbers, the largest less x."""
    dtype = m.dtype(x)
    wide = {"int8": "int32", "int16": "int32", "uint8": "int32", "uint32": "int64"}.get(dtype.name, dtype.name)
    top = np.iinfo(dtype).max if dtype.kind == "u" else -1
    m.finish(m.cast(m.emit("SUB", m.constant(top, wide), m.cast(x, wide)), dtype), y)


@tflite_op("BitShift", layout=alike)
def bit_shift(m: TFLiteBuilder, a: Value, b: Value, y: Value, *, direction: str) -> None:
    """By so many bits as the type has and more, nothing is left: that is how torch and NumPy have it."""
    dtype = m.dtype(a)
    if dtype.name not in ("uint8", "uint32") or b.data is None:
        raise NotMappedError(f"a shift of {dtype}, or by computed numbers of bits")
    bits, width = b.data.astype(np.int64), 8 * dtype.itemsize
    x = m.cast(m.operand(a, y), np.int64)
    if direction == "LEFT":
        step = m.constant(1 << np.minimum(bits, width), np.int64)
        shifted = m.emit("FLOOR_MOD", m.emit("MUL", x, step), m.constant(1 << width, np.int64))
    elif width > 8:
        raise NotMappedError(f"a shift of {dtype} to the right")
    else:
        shifted = m.emit("RIGHT_SHIFT", m.cast(x, np.int32), m.constant(np.minimum(bits, 31), np.int32))
    m.finish(m.cast(shifted, dtype), y)
