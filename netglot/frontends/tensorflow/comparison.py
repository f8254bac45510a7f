"""Comparisons and logic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import binary, scalar
from netglot.ir.graph import Value

_OPERATORS: Mapping[str, str] = {
    "Less": "Less", "LessEqual": "LessOrEqual", "Greater": "Greater", "GreaterEqual": "GreaterOrEqual",
    "LogicalAnd": "And", "LogicalOr": "Or",
}  # fmt: skip


for _name, _onnx in _OPERATORS.items():
    tf_op(_name)(binary(_onnx))


@tf_op("Equal")
def equal(g: TFBuilder, x: Value, y: Value, *, incompatible_shape_error: bool = True) -> Value:
    """Without the error, shapes that can't be broadcast are not equal as a whole: one False."""
    if not incompatible_shape_error and not _fit(x, y):
        return g.constant(np.array(False))
    return g.Equal(x, y)


@tf_op("NotEqual")
def not_equal(g: TFBuilder, x: Value, y: Value, *, incompatible_shape_error: bool = True) -> Value:
    if not incompatible_shape_error and not _fit(x, y):
        return g.constant(np.array(True))
    return g.Not(g.Equal(x, y))


def _fit(x: Value, y: Value) -> bool:
    """Whether the shapes can be broadcast, as far as they are known."""
    pairs = zip(reversed(x.shape or ()), reversed(y.shape or ()), strict=False)
    return all(a == b or 1 in (a, b) or not isinstance(a, int) or not isinstance(b, int) for a, b in pairs)


@tf_op("ApproximateEqual")
def approximate_equal(g: TFBuilder, x: Value, y: Value, *, tolerance: float = 1e-5) -> Value:
    difference = g.Abs(g.Sub(x, y))
    return g.Less(difference, scalar(g, tolerance, difference))
