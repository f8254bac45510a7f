"""Numbers as C++ literals that read back to the same bits: hexadecimal for floats, made by NumPy a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from netglot.backends.lowering import NotMappedError

C_TYPES: dict[np.dtype, str] = {
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("bool"): "bool",
    **{np.dtype(f"{u}int{bits}"): f"std::{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)},
}
BLOCK = 1 << 16  # elements turned into text at once

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
# dtype -> type of its bits, bits of the mantissa, bits of the exponent, digits of the exponent, ending of a literal
_FLOATS: dict[np.dtype, tuple[Any, int, int, int, bytes]] = {
    np.dtype("float32"): (np.uint32, 23, 8, 3, b"f,"),
    np.dtype("float64"): (np.uint64, 52, 11, 4, b","),
}


def c_type(dtype: np.dtype | None) -> str:
    """The C++ type of one element. NotMappedError for types that C++17 has not."""
    if dtype not in C_TYPES:
        raise NotMappedError(f"C++17 has no {dtype}")
    return C_TYPES[dtype]


def literal(value: Any, dtype: np.dtype | None) -> str:
    """One number, in the short decimal form that reads back exactly."""
    kind, number = c_type(dtype), np.asarray(value).astype(dtype)
    if number.dtype.kind != "f":
        return _integer(int(number), number.dtype)
    if np.isnan(number):
        return f"std::numeric_limits<{kind}>::quiet_NaN()"
    if np.isinf(number):
        return f"{'-' if number < 0 else ''}std::numeric_limits<{kind}>::infinity()"
    if kind == "double":
        return repr(float(number))
    return str(np.float32(number)) + "f"


def _integer(value: int, dtype: np.dtype) -> str:
    if dtype.kind == "b":
        return "true" if value else "false"
    if value == np.iinfo(np.int64).min:
        return "INT64_MIN"  # there are no negative literals, and its absolute value does not fit
    return f"{value}u" if value > np.iinfo(np.int64).max else str(value)


def blocks(array: np.ndarray) -> Iterator[bytes]:
    """The elements of `array` in C order as text `a,b,c,`, a block at a time; the array is not copied as a whole."""
    flat = array.flat
    for start in range(0, array.size, BLOCK):
        yield _block(flat[start : start + BLOCK]) + b"\n"


def _block(values: np.ndarray) -> bytes:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind != "f":
        return b"".join(_integer(value, values.dtype).encode() + b"," for value in values.tolist())
    text = _hexadecimal(values)
    odd = np.flatnonzero(~np.isfinite(values))
    return _with_nonfinite(text, values, odd) if odd.size else text.tobytes()


def _with_nonfinite(text: np.ndarray, values: np.ndarray, odd: np.ndarray) -> bytes:
    rows = [row.tobytes() for row in text]
    for i in odd.tolist():
        rows[i] = literal(values[i], values.dtype).encode() + b","
    return b"".join(rows)


def _hexadecimal(values: np.ndarray) -> np.ndarray:
    """A row of characters for each number, all of one width: ` 0x1.8000000p+003f,`."""
    bits_type, mantissa_bits, exponent_bits, places, ending = _FLOATS[values.dtype]
    bits, bias = values.view(bits_type), (1 << (exponent_bits - 1)) - 1
    digits = -(-mantissa_bits // 4)
    mantissa = (bits & bits_type((1 << mantissa_bits) - 1)) << bits_type(4 * digits - mantissa_bits)
    raw = ((bits >> bits_type(mantissa_bits)) & bits_type((1 << exponent_bits) - 1)).astype(np.int32)
    exponent = np.where(raw == 0, 1, raw) - bias
    width = 5 + digits + 2 + places
    text = np.empty((values.size, width + len(ending)), np.uint8)
    text[:] = np.frombuffer(b" 0x1.".ljust(width) + ending, np.uint8)
    text[np.signbit(values), 0] = ord("-")
    text[raw == 0, 3] = ord("0")  # zero and denormals
    for i in range(digits):
        text[:, 5 + i] = _HEX[((mantissa >> bits_type(4 * (digits - 1 - i))) & bits_type(15)).astype(np.intp)]
    text[:, 5 + digits] = ord("p")
    text[:, 6 + digits] = np.where(exponent < 0, ord("-"), ord("+"))
    for i in range(places):
        text[:, 7 + digits + i] = _HEX[np.abs(exponent) // 10 ** (places - 1 - i) % 10]
    return text
