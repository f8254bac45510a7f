"""Calls of ATen operators: TorchScript names no overload and passes arguments by position, in the schema's order."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import numpy as np

from netglot.frontends.pytorch.builder import Complex
from netglot.ir.graph import Value
from netglot.registry import Operator, registry

PLACE = {"device", "layout", "pin_memory", "non_blocking", "memory_format"}
# torch's own numbers of element types (c10::ScalarType), which the code uses.
SCALAR_TYPES: dict[int, str] = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64",
    9: "complex64", 10: "complex128", 11: "bool", 15: "bfloat16", 23: "float8_e5m2", 24: "float8_e4m3fn",
    27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip


def dtype_of(code: int) -> np.dtype:
    """ValueError for one that NumPy does not have."""
    import ml_dtypes

    if code not in SCALAR_TYPES:
        raise ValueError(f"the element type {code} can't be converted")
    name = SCALAR_TYPES[code]
    return np.dtype(getattr(ml_dtypes, name, name))


def code_of(dtype: np.dtype) -> int:
    return next(code for code, name in SCALAR_TYPES.items() if name == dtype.name)


class Overloads:
    """The registered overloads of every operator, by its name (`aten.add`, `torchvision.nms`)."""

    def __init__(self, format: str = "pytorch") -> None:
        self._operators: dict[str, list[Operator]] = {}
        for op in registry.ops(format):
            operator = registry.find(format, op)
            assert operator is not None
            for name in {op.rpartition(".")[0], op}:  # a user's operator may have been given without an overload
                self._operators.setdefault(name, []).append(operator)

    def of(self, name: str) -> Sequence[Operator]:
        return self._operators.get(name, ())

    def chosen(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Operator, dict[str, Any]] | None:
        """The overload that these arguments fit, and the arguments by name; of several the one they fill best."""
        best: tuple[int, Operator, dict[str, Any]] | None = None
        for operator in self.of(name):
            bound = _bound(operator, args, kwargs)
            left = len(operator.positional) + len(operator.attributes) - len(bound or ())
            if bound is not None and (best is None or left < best[0]):
                best = left, operator, bound
        return best and best[1:]


def order(operator: Operator) -> list[str]:
    """The names of its arguments as torch's schema has them in order.

    Where tensors come after other arguments there, the registration says so: `order="..."`, which may name arguments
    that only say where a tensor lies. What it does not name follows, unless it ends with a star.
    """
    said = str(operator.options.get("order") or "").split()
    names = [parameter.name for parameter in operator.positional] + list(operator.attributes)
    if said and said[0] not in names:  # the function calls its first tensor as it likes
        said[0] = names[0]
    if said[-1:] == ["*"]:
        return said[:-1]
    return said + [name for name in names if name not in said]


def _bound(operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments by name; None where they do not fit."""
    names = order(operator)
    if len(args) > len(names):
        return None  # more than may be passed by position
    parameters = {p.name: p for p in operator.positional} | dict(operator.attributes)
    given = dict(zip(names, args, strict=False))
    if set(given) & set(kwargs):
        return None
    first = names[0] if names else ""
    given |= {first if key in ("self", "input") and key not in parameters else key: v for key, v in kwargs.items()}
    found = {}
    for key, value in given.items():
        if key not in parameters:
            if key in PLACE:
                continue
            return None
        value = _converted(value, parameters[key].annotation)
        if not fits(value, parameters[key].annotation):
            return None
        found[key] = value
    needed = [p.name for p in parameters.values() if p.default is p.empty]
    return found if all(name in found for name in needed) else None


def _converted(value: Any, annotation: Any) -> Any:
    """Element types are numbers in the code."""
    if isinstance(value, int) and not isinstance(value, bool) and np.dtype in _choices(annotation):
        return dtype_of(value)
    return value


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for item in get_args(annotation) for part in _choices(item))
    return (annotation,)


def fits(value: Any, annotation: Any) -> bool:
    """Whether an argument is of the kind that a parameter takes."""
    return any(_fits(value, choice) for choice in _choices(annotation))


def _fits(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    if get_origin(kind) is not None:
        item = [*get_args(kind), Any][0]
        return isinstance(value, (list, tuple)) and all(fits(part, item) for part in value)
    check = _KINDS.get(kind)
    return check(value) if check is not None else isinstance(kind, type) and isinstance(value, kind)


_KINDS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    Value: lambda value: isinstance(value, Value),
    Complex: lambda value: isinstance(value, Complex),
    np.dtype: lambda value: isinstance(value, np.dtype),
}
