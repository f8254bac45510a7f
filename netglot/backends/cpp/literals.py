"""Element types and numbers as C++ text; numbers read back to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.backends.lowering import NotMappedError

C_TYPES: dict[np.dtype, str] = {
    np.dtype("float16"): "netglot::Half",  # of half.h: for inputs, outputs and what is only moved
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("bool"): "bool",
    **{np.dtype(f"{u}int{bits}"): f"std::{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)},
}


def c_type(dtype: np.dtype | None) -> str:
    """The C++ type of one element. NotMappedError for types that C++17 has not."""
    if dtype not in C_TYPES:
        raise NotMappedError(f"C++17 has no {dtype}")
    return C_TYPES[dtype]


def literal(value: Any, dtype: np.dtype | None) -> str:
    """One number, in the short decimal form that reads back exactly."""
    kind, number = c_type(dtype), np.asarray(value).astype(dtype)
    if number.dtype == np.float16:
        return f"{kind}{{{hex(int(number.view(np.uint16)))}}}"
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
