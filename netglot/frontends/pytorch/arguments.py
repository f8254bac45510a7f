"""The arguments of a serialised call as Python values: numbers, types, references to tensors, bodies of branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np


@dataclass(frozen=True, slots=True)
class Ref:
    """What an earlier call, or an input, is called: a tensor or a number that is known only when the program runs."""

    name: str


@dataclass(frozen=True, slots=True)
class BodyRef:
    """A graph that is an argument: a branch, or the body of a loop."""

    name: str
    graph: Any


# torch._export's ScalarType, which is not torch's own numbering.
_SCALAR_TYPES: dict[int, np.dtype] = {
    1: np.dtype(np.uint8), 2: np.dtype(np.int8), 3: np.dtype(np.int16), 4: np.dtype(np.int32), 5: np.dtype(np.int64),
    6: np.dtype(np.float16), 7: np.dtype(np.float32), 8: np.dtype(np.float64), 10: np.dtype(np.complex64),
    11: np.dtype(np.complex128), 12: np.dtype(np.bool_), 13: np.dtype(ml_dtypes.bfloat16), 28: np.dtype(np.uint16),
    29: np.dtype(ml_dtypes.float8_e4m3fn), 30: np.dtype(ml_dtypes.float8_e5m2),
    31: np.dtype(ml_dtypes.float8_e4m3fnuz), 32: np.dtype(ml_dtypes.float8_e5m2fnuz), 34: np.dtype(np.uint32),
    35: np.dtype(np.uint64),
}  # fmt: skip


def scalar_type(code: int) -> np.dtype:
    """The NumPy dtype of a serialised scalar type; ValueError for one that NumPy does not have."""
    if code not in _SCALAR_TYPES:
        raise ValueError(f"the element type {code} of torch's schema is not known")
    return _SCALAR_TYPES[code]


def decode(argument: Mapping[str, Any]) -> Any:
    """The value of an Argument of torch's schema, {"as_ints": [1, 1]} say; ValueError for one that is not known."""
    if len(argument) != 1:
        raise ValueError(f"an argument of {len(argument)} kinds")
    ((kind, value),) = argument.items()
    if kind not in _decoders():
        raise ValueError(f"an argument of the kind '{kind}' is not known")
    return _decoders()[kind](value)


def _plain(value: Any) -> Any:
    return value


def _number(value: float | str) -> float:
    """JSON has no infinities: torch writes them as text."""
    return float(value)


def _ref(value: Mapping[str, Any]) -> Ref:
    return Ref(str(value["name"]))


def _symbol(value: Mapping[str, Any]) -> Any:
    ((kind, item),) = value.items()
    return Ref(str(item)) if kind == "as_name" else item


def _optional(value: Mapping[str, Any]) -> Ref | None:
    return _ref(value["as_tensor"]) if "as_tensor" in value else None


def _each(decoder: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda values: [decoder(value) for value in values]


@cache
def _decoders() -> dict[str, Callable[[Any], Any]]:
    return {
        "as_none": lambda _: None,
        "as_tensor": _ref, "as_tensors": _each(_ref),
        "as_optional_tensor": _optional, "as_optional_tensors": _each(_optional),
        "as_nested_tensors": _each(_each(_ref)),
        "as_int": int, "as_ints": _each(int), "as_int_lists": _each(_each(int)),
        "as_float": _number, "as_floats": _each(_number), "as_float_lists": _each(_each(_number)),
        "as_bool": bool, "as_bools": _each(bool), "as_string": str, "as_strings": _each(str),
        "as_sym_int": _symbol, "as_sym_ints": _each(_symbol), "as_sym_bool": _symbol, "as_sym_bools": _each(_symbol),
        "as_sym_float": _symbol, "as_sym_floats": _each(_symbol),
        "as_scalar_type": scalar_type, "as_memory_format": _plain, "as_layout": _plain, "as_device": _plain,
        "as_operator": str, "as_complex": lambda value: complex(value["real"], value["imag"]),
        "as_graph": lambda value: BodyRef(str(value["name"]), value["graph"]), "as_custom_obj": _ref,
        "as_string_to_argument": lambda value: {str(key): decode(item) for key, item in value.items()},
    }  # fmt: skip


def names(value: Any) -> list[str]:
    """The names that a decoded argument refers to, those inside lists too."""
    if isinstance(value, Ref):
        return [value.name]
    if isinstance(value, (list, tuple)):
        return [name for item in value for name in names(item)]
    if isinstance(value, dict):
        return [name for item in value.values() for name in names(item)]
    return []
