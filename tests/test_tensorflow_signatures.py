"""Signatures of the TensorFlow operators against TensorFlow's own registry of operators.

A SavedModel leaves out attributes that have their default, so ours must be TensorFlow's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netglot.frontends.tensorflow  # noqa: F401  (registers the operators)
from netglot.frontends.tensorflow.run import IGNORED
from netglot.registry import Operator, registry

# What only a log, or the speed of a table, depends on
NO_CONSEQUENCE = {"message", "first_n", "summarize", "output_stream", "end", "initial_num_buckets", "max_load_factor"}


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    pytest.importorskip("tensorflow")
    from tensorflow.python.framework import op_def_registry

    return {op: op_def_registry.get(op) for op in registry.ops("tensorflow")}


def operators() -> list[Operator]:
    return [found for op in registry.ops("tensorflow") if (found := registry.find("tensorflow", op)) is not None]


def default(value: Any) -> Any:
    """A default of TensorFlow's as the reader decodes attributes; None for a shape of unknown rank, a type too."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return next((tuple(items) for _, items in value.list.ListFields()), ())
    if kind == "shape":
        return None if value.shape.unknown_rank else tuple(dim.size for dim in value.shape.dim)
    if kind == "s":
        return value.s.decode()
    return np.float32(value.f) if kind == "f" else getattr(value, kind)


def is_same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, np.float32):
        return np.float32(ours) == theirs
    if isinstance(theirs, tuple) and set(theirs) == {1} and ours == ():
        return True  # no dilations
    return ours == theirs


def test_every_operator_is_one_of_tensorflows(definitions):
    assert len(definitions) > 400
    assert [op for op, definition in definitions.items() if definition is None] == []


def test_defaults_are_tensorflows(definitions):
    wrong = []
    for operator in operators():
        for attribute in definitions[operator.op].attr:
            parameter = operator.attributes.get(attribute.name)
            if parameter is None or attribute.name in NO_CONSEQUENCE or attribute.type in ("type", "list(type)"):
                continue
            if not attribute.HasField("default_value"):
                continue
            theirs = default(attribute.default_value)
            if parameter.default is parameter.empty or not is_same(parameter.default, theirs):
                wrong.append(f"{operator.op}.{attribute.name}: {parameter.default!r}, TensorFlow has {theirs!r}")
    assert wrong == []


def test_types_have_tensorflows_defaults(definitions):
    import tensorflow as tf

    wrong = []
    for operator in operators():
        for attribute in definitions[operator.op].attr:
            parameter = operator.attributes.get(attribute.name)
            if parameter is None or attribute.type != "type" or not attribute.HasField("default_value"):
                continue
            theirs = tf.as_dtype(attribute.default_value.type).as_numpy_dtype
            if parameter.default is parameter.empty or np.dtype(parameter.default) != np.dtype(theirs):
                wrong.append(f"{operator.op}.{attribute.name}: {parameter.default!r}, TensorFlow has {theirs!r}")
    assert wrong == []


def test_every_attribute_is_read_or_of_no_consequence(definitions):
    """Otherwise a graph that has it, as every frozen one does, is refused as malformed."""
    unread = [
        f"{operator.op}.{attribute.name}"
        for operator in operators()
        for attribute in definitions[operator.op].attr
        if attribute.name not in operator.attributes
        and attribute.name not in IGNORED
        and attribute.type not in ("type", "list(type)")
    ]
    assert unread == []
