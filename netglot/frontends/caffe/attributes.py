"""Fields of a layer's parameter message as keyword arguments, by the types that the layer function declares."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from netglot.errors import ConversionError, Origin
from netglot.frontends.textproto import Message
from netglot.registry import Operator

MAX_INT = 2**31 - 1  # caffe.proto counts in (u)int32

# Fields that change nothing at inference.
IGNORED = {
    "engine", "force_nd_im2col", "filler", "weight_filler", "bias_filler", "slope_filler", "scale_filler",
    "shift_filler",
}  # fmt: skip

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def read_attributes(operator: Operator, message: Message, origin: Origin) -> tuple[dict[str, Any], list[str]]:
    """The keyword arguments for `operator`, and the names of fields it does not know."""
    given = [name for name in message.names() if name in operator.attributes or name not in IGNORED]
    known = {name: _convert(name, message, operator.attributes[name], origin) for name in given
             if name in operator.attributes}  # fmt: skip
    return known, [name for name in given if name not in known]


def _convert(name: str, message: Message, parameter: inspect.Parameter, origin: Origin) -> Any:
    kind, values = parameter.annotation, message.all(name)
    kind = get_args(kind)[0] if get_origin(kind) is UnionType else kind  # `int | None`: None if it is not given
    try:
        if get_origin(kind) is tuple:
            return tuple(_scalar(get_args(kind)[0], value) for value in values)
        return _scalar(kind, values[-1])
    except ValueError as error:
        where = Origin(origin.file, origin.layer, message.line_of(name))
        raise ConversionError(f"{name}: {error}", where) from None


def _scalar(kind: Any, value: Any) -> Any:
    if get_origin(kind) is Literal:
        return _choice(get_args(kind), value)
    if kind is bool and str(value) in ("true", "false", "1", "0", "True", "False", "t", "f"):
        return str(value) in ("true", "1", "True", "t")
    if kind is float and isinstance(value, (int, float)):
        return float(value)
    if kind is int and isinstance(value, int) and abs(value) > MAX_INT:
        raise ValueError(f"{value} is too large")
    if kind in (int, str, Message) and isinstance(value, kind):
        return value
    raise ValueError(f"expected {_NAMES.get(kind, 'a message')}, found {value}")


def _choice(choices: tuple[str, ...], value: Any) -> str:
    """An enum value, by name or by number (its place in the Literal, as in caffe.proto; "" where that has none)."""
    if isinstance(value, int) and 0 <= value < len(choices) and choices[value]:
        return choices[value]
    if isinstance(value, str) and value and value in choices:
        return str(value)
    raise ValueError(f"expected one of {', '.join(filter(None, choices))}, found {value}")
