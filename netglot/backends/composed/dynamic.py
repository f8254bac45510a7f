"""Quantised by what the tensor itself holds: DynamicQuantizeLinear, computed as floats."""

from __future__ import annotations

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

_BYTE = to_onnx(np.dtype(np.uint8))
_LEVELS = np.float32(255)


@composition("DynamicQuantizeLinear")
def dynamic_quantize_linear(g: Composer, x: Value) -> tuple[Value, Value, Value]:
    """uint8 over the range of x, which is widened to hold 0. One of nothing but zeros has the scale 1, as ONNX Runtime
    has it (ONNX's own definition divides 0 by 0 then)."""
    zero = np.array(0, np.float32)
    low, high = g.Min(g.ReduceMin(x, keepdims=0), zero), g.Max(g.ReduceMax(x, keepdims=0), zero)
    width = g.Sub(high, low)
    scale = g.Where(g.Equal(width, zero), np.array(1, np.float32), g.Div(width, _LEVELS))
    first = g.Clip(g.Round(g.Sub(zero, g.Div(low, scale))), zero, _LEVELS)
    zero_point = g.Cast(first, to=_BYTE)
    return g.QuantizeLinear(x, scale, zero_point), scale, zero_point
