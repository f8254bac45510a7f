"""Fields of a layer's parameter message as keyword arguments, by the types that the layer function is annotated with."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin

from netglot.errors import ConversionError, Origin
from netglot.frontends.caffe.prototxt import Message
from netglot.registry import Operator

# Fields that change nothing at inference.
IGNORED = {"weight_filler", "bias_filler", "filler", "engine", "force_nd_im2col", "slope_filler"}

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def read_attributes(operator: Operator, message: Message, origin: Origin) -> tuple[dict[str, Any], list[str]]:
    """The keyword arguments for `operator`, and the names of fields it does not know."""
    given = [name for name in message.names() if name not in IGNORED]
    known = {name: _convert(name, message, operator.attributes[name], origin) for name in given
             if name in operator.attributes}  # fmt: skip
    return known, [name for name in given if name not in known]


def _convert(name: str, message: Message, parameter: inspect.Parameter, origin: Origin) -> Any:
    kind, values = parameter.annotation, message.all(name)
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
    if kind in (int, str, Message) and isinstance(value, kind):
        return value
    raise ValueError(f"expected {_NAMES.get(kind, 'a message')}, found {value}")


def _choice(choices: tuple[str, ...], value: Any) -> str:
    """An enum value, by name or by number (its place in the Literal, as in caffe.proto)."""
    if isinstance(value, int) and 0 <= value < len(choices):
        return choices[value]
    if value in choices:
        return str(value)
    raise ValueError(f"expected one of {', '.join(choices)}, found {value}")
