"""ONNX operators on arrays, of which the NumPy references of this package are made."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from netglot.ir import types
from netglot.ir.schema import IR_VERSION, OPSET, attribute_proto, schema


def compute(op: str, *arrays: np.ndarray | None, **attributes: Any) -> np.ndarray:
    """The first output of the ONNX operator `op`, by the onnx package's reference implementation.

    As a model, and not as the function that `evaluate` makes of a node: so operators whose body depends on their
    arguments (Gelu) are computed too.
    """
    from onnx.reference import ReferenceEvaluator

    names = ["" if array is None else f"x{i}" for i, array in enumerate(arrays)]
    feed = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    node = helper.make_node(op, names, ["y"])
    node.attribute.extend(attribute_proto(schema(op), name, value) for name, value in given(attributes).items())
    inputs = [helper.make_tensor_value_info(name, types.to_onnx(a.dtype), a.shape) for name, a in feed.items()]
    graph = helper.make_graph([node], "one", inputs, [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    [result, *_] = ReferenceEvaluator(model).run(None, feed)
    return np.asarray(result)


def given(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes that are there."""
    return {name: value for name, value in attributes.items() if value is not None}
