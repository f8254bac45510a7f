"""From a call and a configuration to the arguments of a layer function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netglot.errors import Origin, UnsupportedError
from netglot.frontends.keras.config import Layer, is_for_training, value_of
from netglot.ir.graph import Value
from netglot.registry import Operator


def tensors(item: Any) -> Iterator[Value]:
    """The tensors in a nested structure, in Keras' order: dictionaries by sorted key."""
    if isinstance(item, Value):
        yield item
    elif isinstance(item, Mapping):
        for key in sorted(item, key=str):
            yield from tensors(item[key])
    elif isinstance(item, (list, tuple)):
        for part in item:
            yield from tensors(part)


def is_tf_function(layer: Layer) -> bool:
    """A function of TensorFlow in a functional graph of tf.keras."""
    return layer.class_name in ("TFOpLambda", "SlicingOpLambda")


def attributes(operator: Operator, layer: Layer, origin: Origin) -> dict[str, Any]:
    """The configuration as keyword arguments.

    What the function does not take must be for training only, or switched off; UnsupportedError names it otherwise.
    """
    given = {}
    if layer.class_name in ("TFOpLambda", "SlicingOpLambda"):
        return {}  # what there is in it is said of the layer; a function's arguments are those of its call
    for key, value in layer.config.items():
        if key in operator.attributes:
            given[key] = value_of(value, origin)
        elif key == "function" and is_tf_function(layer):
            continue  # it chose the operator
        elif not is_for_training(key) and value is not None and value is not False:
            shown = repr(value) if len(repr(value)) < 80 else "..."
            raise UnsupportedError(f"{layer.class_name}: the option {key}={shown} is not supported", origin)
    return given


def arguments(
    operator: Operator, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any], origin: Origin
) -> tuple[list[Any], dict[str, Any]]:
    """(positional, keyword) arguments: a call's tensors by position or by name, then the configuration.

    A layer's first argument is flattened; one of an operation is, where the function takes any number of tensors.
    What is no tensor and given by position goes to the function's keywords, in their order.
    """
    is_layer = not layer.is_operation and not is_tf_function(layer)
    places: list[Any] = []
    rest: list[Any] = []
    for i, item in enumerate(args):
        if (is_layer and i == 0) or (operator.variadic and isinstance(item, (list, tuple))):
            places += tensors(item)
        elif operator.variadic or len(places) < len(operator.positional):
            places.append(item)
        else:
            rest.append(item)
    given = attributes(operator, layer, origin)
    _by_name(operator, layer, kwargs, places, given, origin)
    free = [name for name in operator.attributes if name not in given]
    for item in rest:
        if free:
            given[free.pop(0)] = item
        elif item is not None:
            raise UnsupportedError(f"{layer.class_name}: an argument of the call is not supported", origin)
    while places and places[-1] is None:
        places.pop()
    return places, given


def _by_name(
    operator: Operator, layer: Layer, kwargs: Mapping[str, Any], places: list[Any], given: dict[str, Any],
    origin: Origin,
) -> None:  # fmt: skip
    positions = {parameter.name: i for i, parameter in enumerate(operator.positional)}
    for name, item in kwargs.items():
        if name in positions:
            places += [None] * (positions[name] + 1 - len(places))
            places[positions[name]] = item
        elif name in operator.attributes:
            given[name] = item
        elif item is not None and item is not False and name not in ("name", "mask"):
            raise UnsupportedError(f"{layer.class_name}: the call's argument {name} is not supported", origin)
