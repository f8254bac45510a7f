"""torch's type promotion: of what type the result of an operator on several operands is.

Semantics: torch.result_type. Dimensioned tensors decide before 0-dimensional ones, and those before Python numbers: an
operand of a lower rank counts only where its category (bool, integer, float, complex) is above that of those before.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import ml_dtypes
import numpy as np

from netglot.ir.graph import Value

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_DEFAULT = np.dtype(np.float32)


def result_type(
    operands: Iterable[Any], *, floating: bool = False, numbers: Container[Value] = frozenset()
) -> np.dtype:  # fmt: skip
    """The dtype that torch computes in. `floating`: of an operator that makes floats of integers (division, exp).

    `numbers`: those operands that are scalars in the graph but Python numbers in torch.
    """
    groups: list[list[np.dtype]] = [[], [], []]
    for operand in operands:
        if isinstance(operand, Value) and operand in numbers:
            groups[2].append(_of_number(_dtype(operand).type(0).item()))
        elif isinstance(operand, Value):
            groups[0 if operand.shape is None or operand.rank else 1].append(_dtype(operand))
        elif operand is not None:
            groups[2].append(_of_number(operand))
    result: np.dtype | None = None
    for group in groups:
        of_group = _widest(group)
        if of_group is not None and (result is None or category(of_group) > category(result)):
            result = of_group
    assert result is not None, "an operator without operands"
    return _DEFAULT if floating and category(result) < 2 else result


def _dtype(value: Value) -> np.dtype:
    if value.dtype is None:
        raise ValueError(f"the type of '{value.name}' is unknown")
    return value.dtype


def _of_number(number: Any) -> np.dtype:
    if isinstance(number, bool):
        return np.dtype(np.bool_)
    return np.dtype(np.int64) if isinstance(number, int) else _DEFAULT


def category(dtype: np.dtype) -> int:
    """0 bool, 1 integer, 2 float, 3 complex."""
    return 0 if dtype.kind == "b" else 1 if dtype.kind in "iu" else 3 if dtype.kind == "c" else 2


def _widest(dtypes: list[np.dtype]) -> np.dtype | None:
    result = None
    for dtype in dtypes:
        result = dtype if result is None else promote(result, dtype)
    return result


def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest type of torch that holds both, as its own table says (uint8 with int8 is int16; float wins)."""
    if a == b:
        return a
    low, high = sorted((a, b), key=category)
    if category(low) < category(high) and category(high) > 1:
        return high
    if category(high) == 0:
        return high
    if category(low) == 0:
        return high
    if category(high) == 2:
        half = {np.dtype(np.float16), _BFLOAT16}
        return np.dtype(np.float32) if {a, b} == half else max(a, b, key=lambda dtype: dtype.itemsize)
    if a.kind == b.kind:
        return max(a, b, key=lambda dtype: dtype.itemsize)
    unsigned, signed = (a, b) if a.kind == "u" else (b, a)
    if signed.itemsize > unsigned.itemsize:
        return signed
    return np.dtype(f"int{16 * unsigned.itemsize}")
