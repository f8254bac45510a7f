"""The function for a layer, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.errors import Origin, Problem
from netglot.frontends.keras.config import Layer
from netglot.ir.graph import Value
from netglot.ir.types import text
from netglot.registry import Operator, registry

_PLUGIN = "Map it in a file of your own: --plugin FILE.py (docs/plugins.md)"


def find_operator(layer: Layer) -> Operator | None:
    """The function registered for a layer's class. A custom class is never taken for a built-in one of that name."""
    if not layer.is_custom:
        return registry.find("keras", key(layer))
    names = [layer.registered or layer.class_name, layer.class_name, layer.class_name.split(">")[-1]]
    found = (registry.find("keras", name) for name in names)
    return next((operator for operator in found if operator is not None and _is_plugin(operator)), None)


def _is_plugin(operator: Operator) -> bool:
    return not operator.function.__module__.startswith("netglot.")


def key(layer: Layer) -> str:
    """The name in the registry: a layer's class, ops.Class of keras.ops, tf.function of tf.keras' TFOpLambda."""
    if layer.is_operation:
        return f"ops.{layer.class_name}"
    if layer.class_name in ("TFOpLambda", "SlicingOpLambda"):
        return f"tf.{layer.config.get('function', '')}"
    return layer.class_name


def unsupported(layer: Layer, origin: Origin, inputs: Sequence[Value]) -> Problem:
    shapes = ", ".join(text(value.shape) for value in inputs)
    if layer.class_name == "Lambda":
        what = f"the layer '{layer.name}' is a Lambda: the code in it is never run"
        return Problem(what, origin, shapes, f'{_PLUGIN}, with @keras_layer("Lambda")')
    if layer.is_custom:
        name = layer.registered or layer.class_name
        return Problem(f"the layer class '{name}' is not one of Keras", origin, shapes, _PLUGIN)
    name = key(layer)
    near = registry.near("keras", name)
    hint = f"Near: {', '.join(near)}. {_PLUGIN}" if near else _PLUGIN
    kind = {"ops": "keras.ops operation", "tf": "TensorFlow function"}.get(name.split(".")[0], "layer class")
    return Problem(f"the {kind} '{name}' is not supported", origin, shapes, hint)
