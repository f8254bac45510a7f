"""Fake quantisation and quantised tensors. Semantics: TensorFlow's core/kernels/fake_quant_ops_functor.h,
quantize_and_dequantize_op.h, quantize_op.cc and dequantize_op.cc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.ir.graph import Value

# ------------------------------------------------------------ fake quantisation


@tf_op("FakeQuantWithMinMaxArgs")
def fake_quant(
    g: TFBuilder, x: Value, *, min: float = -6.0, max: float = 6.0, num_bits: int = 8, narrow_range: bool = False
) -> Value:
    return _fake_quantized(g, x, np.float32(min), np.float32(max), num_bits, narrow_range)


@tf_op("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_of_vars(
    g: TFBuilder, x: Value, min: Value, max: Value, *, num_bits: int = 8, narrow_range: bool = False
) -> Value:
    """PerChannel: a range for each entry of the last axis."""
    low, high = g.static(min, "the minimum"), g.static(max, "the maximum")
    return _fake_quantized(g, x, low.astype(np.float32), high.astype(np.float32), num_bits, narrow_range)


def _fake_quantized(
    g: TFBuilder, x: Value, low: np.ndarray | np.float32, high: np.ndarray | np.float32, bits: int, narrow: bool
) -> Value:
    """QuantizeLinear and DequantizeLinear with a zero point that is moved to a whole number.

    Steps that the integers have and TensorFlow does not (narrow_range, other bits than 8 and 16) are clipped away.
    """
    if not 2 <= bits <= 16 or not np.all(low <= high):
        raise ConversionError(f"fake quantisation to {bits} bits from {low} to {high}", g.origin)
    first, last = int(narrow), 2**bits - 1
    scale = ((high - low) / np.float32(last - first)).astype(np.float32)
    if not np.all(scale > 0):
        return _all_zero(g, x, low, high)
    exact = np.float32(first) - low / scale
    zero = np.clip(np.floor(exact + np.float32(0.5)), first, last)
    if narrow or bits not in (8, 16):
        bounds = ((bound - zero) * scale for bound in (first, last))
        lower, upper = (g.constant(np.asarray(bound, np.float32)) for bound in bounds)
        x = g.Min(g.Max(x, lower), upper)
    integers = np.uint8 if bits <= 8 else np.uint16
    axis = x.rank - 1 if np.ndim(scale) else None
    parameters = (g.constant(np.asarray(scale, np.float32)), g.constant(np.asarray(zero, integers)))
    return g.DequantizeLinear(g.QuantizeLinear(x, *parameters, axis=axis), *parameters, axis=axis)


def _all_zero(g: TFBuilder, x: Value, low: Any, high: Any) -> Value:
    """A range from 0 to 0 makes everything 0."""
    if np.any(low) or np.any(high):
        raise g.unsupported("a range without extent, of some channels or not at 0")
    return g.Expand(g.constant(0, np.float32), g.Shape(x))


# -------------------------------------------------- quantised and back, at once


@tf_op("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_dequantize(
    g: TFBuilder, x: Value, low: Value, high: Value, *, signed_input: bool = True, num_bits: int = 8,
    range_given: bool = False, round_mode: str = "HALF_TO_EVEN", narrow_range: bool = False, axis: int = -1,
) -> Value:  # fmt: skip
    """Rounded to steps that are symmetric around 0; the range is given, or that of the data itself."""
    if round_mode not in ("HALF_TO_EVEN", "HALF_UP"):
        raise g.unsupported(f"the rounding {round_mode}")
    if range_given:
        bounds = low, high
    else:
        axes = [i for i in range(x.rank) if i != axis] if axis >= 0 else list(range(x.rank))
        bounds = g.ReduceMin(x, axes, keepdims=0), g.ReduceMax(x, axes, keepdims=0)
    if axis >= 0:
        bounds = _along(g, bounds[0], x, axis), _along(g, bounds[1], x, axis)
    return _stepped(g, x, bounds, _limits(signed_input, num_bits, narrow_range), range_given, round_mode)


@tf_op("QuantizeAndDequantizeV3")
def quantize_and_dequantize_v3(
    g: TFBuilder, x: Value, low: Value, high: Value, num_bits: Value, *, signed_input: bool = True,
    range_given: bool = True, narrow_range: bool = False, axis: int = -1,
) -> Value:  # fmt: skip
    bits = g.ints(num_bits, "the number of bits")[0]
    return quantize_and_dequantize(
        g, x, low, high, signed_input=signed_input, num_bits=bits, range_given=range_given, narrow_range=narrow_range,
        axis=axis,
    )  # fmt: skip


def _along(g: TFBuilder, bound: Value, x: Value, axis: int) -> Value:
    y: Value = g.Unsqueeze(bound, list(range(1, x.rank - axis))) if axis < x.rank - 1 else bound
    return y


def _limits(signed: bool, bits: int, narrow: bool) -> tuple[int, int]:
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1


def _stepped(
    g: TFBuilder, x: Value, bounds: Sequence[Value], limits: tuple[int, int], clip: bool, rounding: str
) -> Value:
    """The step is that of the side of the range that needs the wider one; the other side is widened to it."""
    low, high = bounds
    bottom, top = (g.constant(limit, x.dtype) for limit in limits)
    largest = g.constant(np.finfo(x.dtype).max, x.dtype)
    of_low, of_high = (_steps(g, bound, limit, largest) for bound, limit in ((low, bottom), (high, top)))
    first = g.Less(of_low, of_high)
    scale = g.Where(first, of_low, of_high)
    upper = g.Div(high, top)
    step = g.Where(first, g.Div(low, bottom), upper) if limits[0] else upper
    if clip:
        low, high = (g.Where(first, low, g.Mul(bottom, step)), g.Where(first, g.Mul(top, step), high))
        x = g.Max(g.Min(x, high), low)
    scaled = g.Mul(x, scale)
    half = g.constant(0.5, x.dtype)
    return g.Mul(g.Round(scaled) if rounding == "HALF_TO_EVEN" else g.Floor(g.Add(scaled, half)), step)


def _steps(g: TFBuilder, bound: Value, limit: Value, largest: Value) -> Value:
    """How many steps there are in a unit, going by one side of the range; no limit where that side is not there."""
    there = g.Greater(g.Mul(bound, limit), g.constant(0, bound.dtype))
    return g.Where(there, g.Div(limit, g.Where(there, bound, g.constant(1, bound.dtype))), largest)


# ------------------------------------------------------------ quantised tensors


@tf_op("Dequantize")
def dequantize(
    g: TFBuilder, x: Value, min_range: Value, max_range: Value, *, mode: str = "MIN_COMBINED",
    narrow_range: bool = False, axis: int = -1, dtype: Any = np.float32,
) -> Value:  # fmt: skip
    """Integers to the numbers of a range: by the range's length (MIN_COMBINED), or symmetric around 0 (SCALED)."""
    low = g.static(min_range, "the minimum").astype(np.float32)
    high = g.static(max_range, "the maximum").astype(np.float32)
    if dtype != np.float32 or x.dtype is None or x.dtype.kind not in "iu" or x.dtype.itemsize > 2:
        raise g.unsupported(f"{x.dtype} to {dtype}")
    if mode not in ("MIN_COMBINED", "SCALED"):
        raise g.unsupported(f"the mode {mode}")
    range_ = np.iinfo(x.dtype)
    if mode == "SCALED":
        scale, offset = _symmetric(low, high, range_, narrow_range), np.zeros_like(low)
    else:
        scale = (high - low) / np.float32(range_.max - range_.min)
        half = np.float32(range_.max - range_.min + 1) / 2 if range_.min < 0 else np.float32(0)
        offset = half * scale + low
    shape = [-1 if i == axis else 1 for i in range(x.rank)] if axis >= 0 else list(np.shape(scale))
    scale, offset = (np.asarray(item, np.float32).reshape(shape) for item in (scale, offset))
    y: Value = g.Mul(g.cast(x, np.float32), g.constant(scale))
    return g.Add(y, g.constant(offset)) if offset.any() else y


def _symmetric(low: np.ndarray, high: np.ndarray, range_: Any, narrow: bool) -> np.ndarray:
    """The step with which both ends of the range fit."""
    bottom = range_.min + int(narrow and range_.min < 0)
    if bottom == 0:
        return np.asarray(high / np.float32(range_.max))
    return np.asarray(np.maximum(low / np.float32(bottom), high / np.float32(range_.max)))
