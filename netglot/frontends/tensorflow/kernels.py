"""What families share; element types that ONNX Runtime has no kernels for are computed exactly in wider ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder
from netglot.ir.graph import Value

# Integers for which some operators lack kernels -> those that hold them all.
_WIDER = {
    np.dtype(narrow): np.dtype(wide)
    for narrow, wide in {
        np.bool_: np.int32, np.int8: np.int32, np.uint8: np.int32, np.int16: np.int32, np.uint16: np.int32,
        np.uint32: np.int64,
    }.items()
}  # fmt: skip


def binary(onnx: str) -> Callable[..., Value]:
    """The function of an operator that is ONNX's `onnx` of two inputs."""

    def function(g: TFBuilder, x: Value, y: Value) -> Value:
        z: Value = g.op(onnx, [x, y])
        return z

    return function


def wide(g: TFBuilder, x: Value) -> Value:
    """`x` in int32 or int64 where it is of a smaller integer type; arithmetic modulo the small type stays the same."""
    return g.cast(x, _WIDER[x.dtype]) if x.dtype in _WIDER else x


def widened(g: TFBuilder, op: str, *inputs: Value, **attributes: Any) -> Value:
    """`op` of inputs of one type, computed in the wider type and cast back, modulo the type's range."""
    dtype = inputs[0].dtype
    return g.cast(g.op(op, [wide(g, x) for x in inputs], **attributes), dtype)


def scalar(g: TFBuilder, number: float, like: Value) -> Value:
    """A constant of the element type of `like`."""
    return g.constant(number, like.dtype)


def zeros_like(g: TFBuilder, x: Value) -> Value:
    return filled_like(g, x, 0)


def filled_like(g: TFBuilder, x: Value, number: float) -> Value:
    """A tensor of the shape and type of `x`."""
    y: Value = g.Expand(scalar(g, number, x), g.Shape(x))
    return y
