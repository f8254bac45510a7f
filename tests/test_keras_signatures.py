"""Signatures of the Keras layers against the classes: a file need not say what a class has by default."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import netglot.frontends.keras  # noqa: F401  (registers the layers)
from netglot.frontends.keras.config import is_for_training
from netglot.registry import Operator, registry

OLDER = {("GRU", "reset_after"), ("GRUCell", "reset_after")}  # a file that does not say it is older than the option
BASES = {"rank", "pool_dimensions", "pool_mode", "cell"}  # what a class gives to its base and does not save
NO_DEFAULT = {"Cropping1D", "Cropping2D", "Cropping3D"}  # one function for all, which knows what each has


def layers() -> list[tuple[Operator, dict[str, inspect.Parameter]]]:
    """The operators that are layers of this Keras and do something, with the parameters of their classes."""
    keras = pytest.importorskip("keras")
    found = [registry.find("keras", name) for name in registry.ops("keras") if "." not in name]
    return [
        (operator, parameters(getattr(keras.layers, operator.op)))
        for operator in found
        if operator is not None and hasattr(keras.layers, operator.op) and not does_nothing(operator)
    ]


def does_nothing(operator: Operator) -> bool:
    """Layers that only augment or drop out: one function for all, which takes their options and uses none."""
    return operator.function.__module__.endswith("preprocessing") and operator.function.__name__ == "augmentation"


def parameters(layer: type) -> dict[str, inspect.Parameter]:
    """The keyword parameters of a class, with those of the bases that it hands on to."""
    found: dict[str, inspect.Parameter] = {}
    for base in layer.__mro__:
        if "__init__" in vars(base):
            here = list(inspect.signature(base.__init__).parameters.values())[1:]
            for parameter in here:
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    found.setdefault(parameter.name, parameter)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in here):
                break
    return found


def is_same(ours: Any, theirs: Any) -> bool:
    """Whether they are equal, where 2 may stand for (2, 2)."""
    if isinstance(theirs, (list, tuple)) and not isinstance(ours, (list, tuple)):
        return all(is_same(ours, item) for item in theirs)
    return bool(ours == theirs)


def test_defaults_are_those_of_keras() -> None:
    checked, wrong = 0, []
    for operator, theirs in layers():
        for name, ours in operator.attributes.items():
            default = theirs[name].default if name in theirs else inspect.Parameter.empty
            if inspect.Parameter.empty in (ours.default, default) or (operator.op, name) in OLDER:
                continue
            if operator.op in NO_DEFAULT and name == "cropping":
                continue
            checked += 1
            if not is_same(ours.default, default):
                wrong.append(f"{operator.op}.{name}: {ours.default!r}, Keras has {default!r}")
    assert wrong == []
    assert checked > 300


def test_every_option_is_read_or_for_training() -> None:
    """Otherwise a file that has it is refused, as each that Keras 3 writes does."""
    unread = [
        f"{operator.op}.{name}"
        for operator, theirs in layers()
        for name, parameter in theirs.items()
        if name not in operator.attributes
        and name not in BASES
        and not is_for_training(name)
        and parameter.default not in (None, False)
    ]
    assert unread == []
