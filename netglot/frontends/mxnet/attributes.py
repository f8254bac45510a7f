"""An operator's attributes, which are text in MXNet's files, as the types that its function declares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.symbol import Layer
from netglot.ir.types import named
from netglot.registry import Operator

MAX_TEXT = 1 << 16  # longer lists are data, which no operator has among its attributes
MAX_INT = 2**63

# Attributes that say how to compute or to train, and can't change a result at inference.
IGNORED = {"workspace", "cudnn_tune", "cudnn_off", "cudnn_algo_verbose", "sparse_grad", "lazy_update"}

_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_NAMES: dict[Any, str] = {int: "a whole number", float: "a number", bool: "True or False"}
_BRACKETS = {"(": ")", "[": "]"}


def read_attributes(operator: Operator, layer: Layer) -> dict[str, Any]:
    """The keyword arguments for `operator`. What it does not know stays text, for the registry to refuse."""
    given = {name: text for name, text in layer.attributes.items() if name in operator.attributes or _matters(name)}
    if operator.variadic and "num_args" not in operator.attributes and given.get("num_args") == _arguments(layer):
        del given["num_args"]
    return {name: _attribute(name, text, operator.attributes, layer) for name, text in given.items()}


def _arguments(layer: Layer) -> str:
    """MXNet counts the bodies of control flow too."""
    return str(len(layer.inputs) + len(layer.subgraphs))


def _matters(name: str) -> bool:
    return name not in IGNORED


def _attribute(name: str, text: str, parameters: Mapping[str, inspect.Parameter], layer: Layer) -> Any:
    if name not in parameters:
        return text
    try:
        return convert(parameters[name].annotation, text)
    except (ValueError, TypeError) as error:
        raise ConversionError(f"{layer.op}: {name}: {error}", layer.origin) from None


def convert(kind: Any, text: str) -> Any:
    """`text` as `kind`: int, float, bool, str, np.dtype, Literal, a tuple of one kind, or one of these and None.

    ValueError or TypeError says why not. A lone number is a tuple of one.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text):,} characters are too many")
    text = text.strip()
    if get_origin(kind) in (UnionType, Union):
        kinds = [item for item in get_args(kind) if item is not NoneType]
        return None if text == "None" and len(kinds) < len(get_args(kind)) else convert(kinds[0], text)
    if get_origin(kind) is tuple:
        return tuple(convert(get_args(kind)[0], item) for item in _items(text))
    return _scalar(kind, text)


def _items(text: str) -> list[str]:
    """The items of `(3, 3)`, `[3,3]`, `(3,)`, `3` or `()`."""
    if text[:1] in _BRACKETS:
        if text[-1] != _BRACKETS[text[0]]:
            raise ValueError(f"'{text:.40}' has no end")
        text = text[1:-1]
    items = [item.strip() for item in text.split(",")]
    return items[:-1] if items[-1] == "" else items


def _scalar(kind: Any, text: str) -> Any:
    if get_origin(kind) is Literal:
        return _choice(get_args(kind), text)
    if kind is bool:
        if text.lower() not in _BOOLS:
            raise ValueError(f"expected True or False, found '{text:.40}'")
        return _BOOLS[text.lower()]
    if kind in (int, float):
        return _number(kind, text)
    return named(text) if kind is np.dtype else text


def _choice(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"expected one of {', '.join(choices)}, found '{text:.40}'")
    return text


def _number(kind: Any, text: str) -> Any:
    """Python 2 wrote 3L for 3."""
    try:
        number = kind(text.removesuffix("L") if kind is int else text)
    except ValueError:
        raise ValueError(f"expected {_NAMES[kind]}, found '{text:.40}'") from None
    if kind is int and abs(number) >= MAX_INT:
        raise ValueError(f"{text:.40} is too large")
    return number
