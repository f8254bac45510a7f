"""Element types and shapes. Types are NumPy's (with ml_dtypes for the small ones); shapes are ONNX's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import prod

import numpy as np
import onnx

Dim = int | str | None  # a size, a named symbol, or unknown
Shape = tuple[Dim, ...]
DType = np.dtype  # strings are dtype('O'), as in the onnx package


@cache
def to_onnx(dtype: np.dtype) -> int:
    """The TensorProto.DataType of a NumPy dtype."""
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))


@cache
def from_onnx(code: int) -> np.dtype:
    """The NumPy dtype of a TensorProto.DataType."""
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))


def name_of(dtype: np.dtype) -> str:
    """float32, bfloat16, int4, bool, string..."""
    return "string" if dtype.kind == "O" else dtype.name


def named(name: str) -> np.dtype:
    """The dtype called `name` (see name_of); TypeError if there is none."""
    if name not in _by_name():
        raise TypeError(f"there is no element type '{name}'")
    return _by_name()[name]


@cache
def _by_name() -> Mapping[str, np.dtype]:
    return {name_of(dtype): dtype for dtype in map(from_onnx, onnx.helper.get_all_tensor_dtypes())}


def is_static(shape: Shape | None) -> bool:
    return shape is not None and all(isinstance(dim, int) for dim in shape)


def static(shape: Shape | None) -> tuple[int, ...]:
    """`shape` as ints; ValueError if a dimension is unknown."""
    if shape is None or not is_static(shape):
        raise ValueError(f"the shape {text(shape)} is not fully known")
    return tuple(int(dim) for dim in shape if dim is not None)


def element_count(shape: Shape | None) -> int:
    return prod(static(shape))


def text(shape: Sequence[Dim] | None) -> str:
    """1x3x224x224, with ? for what is unknown."""
    if shape is None:
        return "?"
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def channels_last(rank: int) -> tuple[int, ...]:
    """The permutation from N C spatial... to N spatial... C."""
    return (0, *range(2, rank), 1)


def inverse(perm: Iterable[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    perm = tuple(perm)
    return tuple(perm.index(axis) for axis in range(len(perm)))
