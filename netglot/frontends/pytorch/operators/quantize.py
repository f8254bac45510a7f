"""Quantised networks: PT2E's quantized_decomposed operators and fake quantisation, as ONNX's QuantizeLinear pairs.

Semantics: torch/ao/quantization/fx/_decomposed.py and ATen's FakeQuantize*.cpp. Both round half to even, as ONNX does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder, aten, torch_op
from netglot.frontends.pytorch.operators.linalg import dtype_of
from netglot.ir.graph import Value

_TYPES = [np.dtype(name) for name in ("uint8", "int8", "uint16", "int16")]  # that QuantizeLinear makes
FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Grid:
    """How integers lie among the numbers: x = (q - zero) * scale, low <= q <= high; along `axis` if scales differ."""

    scale: Value
    zero: Value
    low: int
    high: int
    dtype: np.dtype
    axis: int | None = None

    def quantized(self, g: TorchBuilder, x: Value) -> Value:
        x = self.inside(g, g.cast(x, FLOAT))
        y: Value = g.QuantizeLinear(x, self.scale, self.zero, **self.attributes())
        return y

    def dequantized(self, g: TorchBuilder, q: Value) -> Value:
        """The numbers of integers; ONNX wants 32-bit ones to have no zero point."""
        is_wide = self.dtype == np.int32
        if is_wide and g.static(self.zero, "the zero point of 32-bit integers").any():
            raise g.unsupported("a zero point of 32-bit integers")
        y: Value = g.DequantizeLinear(q, self.scale, None if is_wide else self.zero, **self.attributes())
        return y

    def attributes(self) -> dict[str, int]:
        return {} if self.axis is None else {"axis": self.axis}

    def inside(self, g: TorchBuilder, x: Value) -> Value:
        """`x` kept between the ends of the grid, where those are not the ends of the type: the pair stays a pair."""
        limits = np.iinfo(self.dtype)
        if self.low > limits.min:
            x = g.Max(x, self.end(g, self.low, x))
        return g.Min(x, self.end(g, self.high, x)) if self.high < limits.max else x

    def end(self, g: TorchBuilder, q: int, x: Value) -> Value:
        end = g.Mul(g.Sub(g.constant(q, FLOAT), g.cast(self.zero, FLOAT)), self.scale)
        return self.along(g, end, x)

    def along(self, g: TorchBuilder, item: Value, x: Value) -> Value:
        """Numbers for each channel in the place of the channels of `x`."""
        if self.axis is None:
            return item
        others = [axis for axis in range(x.rank) if axis != self.axis]
        y: Value = g.Unsqueeze(item, others) if others else item
        return y

    def counted(self, g: TorchBuilder, x: Value) -> Value:
        """Whether each element lies inside the grid."""
        scale, zero = (self.along(g, g.cast(item, FLOAT), x) for item in (self.scale, self.zero))
        q = g.Add(g.Round(g.Div(g.cast(x, FLOAT), scale)), zero)
        y: Value = g.And(g.GreaterOrEqual(q, float(self.low)), g.LessOrEqual(q, float(self.high)))
        return y


def grid(
    g: TorchBuilder, scale: Value | float, zero: Value | int | None, low: int, high: int, dtype: np.dtype,
    axis: int | None = None,
) -> Grid:  # fmt: skip
    """The grid of these arguments; a scale that torch keeps in a list of one is a scalar."""
    if dtype not in (*_TYPES, np.dtype(np.int32)):
        raise g.unsupported(f"to {dtype}")
    limits = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        raise g.unsupported(f"the range {low} to {high} of {dtype}")
    scale = g.number(scale, FLOAT)
    zero = zeros_like(g, scale, dtype) if zero is None else zero_point(g, zero, dtype)
    if axis is None:
        scale, zero = (item if item.shape == () else g.Reshape(item, np.empty(0, np.int64)) for item in (scale, zero))
    return Grid(scale, zero, low, high, dtype, axis)


def zeros_like(g: TorchBuilder, scale: Value, dtype: np.dtype) -> Value:
    if scale.is_constant:
        return g.constant(np.zeros(scale.array.shape, dtype))
    y: Value = g.Expand(g.constant(0, dtype), g.Shape(scale))
    return y


def zero_point(g: TorchBuilder, zero: Value | int, dtype: np.dtype) -> Value:
    if isinstance(zero, Value) and dtype_of(zero).kind not in "iu":
        array = g.static(zero, "a zero point that is not an integer")
        if (array != np.round(array)).any():
            raise g.unsupported("a zero point between two integers")
    if isinstance(zero, Value) and not zero.is_constant:
        return g.cast(zero, dtype)
    array = zero.array if isinstance(zero, Value) else np.array(zero)
    limits = np.iinfo(dtype)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise g.unsupported(f"a zero point that is no {dtype}")
    return g.constant(array.astype(dtype))


# ------------------------------------------------------------------ per tensor


@torch_op("quantized_decomposed.quantize_per_tensor.default")
def quantize_per_tensor(
    g: TorchBuilder, x: Value, *, scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: np.dtype
) -> Value:
    return grid(g, scale, zero_point, quant_min, quant_max, dtype).quantized(g, x)


@torch_op("quantized_decomposed.quantize_per_tensor.tensor")
def quantize_per_tensor_tensor(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, *, quant_min: int, quant_max: int, dtype: np.dtype
) -> Value:
    return grid(g, scale, zero_point, quant_min, quant_max, dtype).quantized(g, x)


@torch_op("quantized_decomposed.quantize_per_tensor.tensor2")
def quantize_per_tensor_tensor2(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, quant_min: Value, quant_max: Value, *, dtype: np.dtype
) -> Value:
    low, high = (g.ints(item, "the range of the integers")[0] for item in (quant_min, quant_max))
    return grid(g, scale, zero_point, low, high, dtype).quantized(g, x)


@torch_op("quantized_decomposed.dequantize_per_tensor.default")
def dequantize_per_tensor(
    g: TorchBuilder, x: Value, *, scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: np.dtype,
    out_dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    return as_type(g, grid(g, scale, zero_point, quant_min, quant_max, dtype).dequantized(g, x), out_dtype)


@torch_op("quantized_decomposed.dequantize_per_tensor.tensor")
def dequantize_per_tensor_tensor(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, *, quant_min: int, quant_max: int, dtype: np.dtype,
    out_dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    return as_type(g, grid(g, scale, zero_point, quant_min, quant_max, dtype).dequantized(g, x), out_dtype)


@torch_op("quantized_decomposed.dequantize_per_tensor.tensor2")
def dequantize_per_tensor_tensor2(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, quant_min: Value, quant_max: Value, *,
    dtype: np.dtype, out_dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    """The range says nothing here."""
    limits = np.iinfo(dtype)
    made = grid(g, scale, zero_point, int(limits.min), int(limits.max), dtype).dequantized(g, x)
    return as_type(g, made, out_dtype)


def as_type(g: TorchBuilder, x: Value, dtype: np.dtype | None) -> Value:
    return x if dtype is None else g.cast(x, dtype)


# ----------------------------------------------------------------- per channel


@torch_op("quantized_decomposed.quantize_per_channel.default")
def quantize_per_channel(
    g: TorchBuilder, x: Value, scales: Value, zero_points: Value, *, axis: int, quant_min: int, quant_max: int,
    dtype: np.dtype,
) -> Value:  # fmt: skip
    return grid(g, scales, zero_points, quant_min, quant_max, dtype, g.axis(axis, x.rank)).quantized(g, x)


@torch_op("quantized_decomposed.dequantize_per_channel.default")
def dequantize_per_channel(
    g: TorchBuilder, x: Value, scales: Value, zero_points: Value | None, *, axis: int, quant_min: int,
    quant_max: int, dtype: np.dtype, out_dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    made = grid(g, scales, zero_points, quant_min, quant_max, dtype, g.axis(axis, x.rank)).dequantized(g, x)
    return as_type(g, made, out_dtype)


@torch_op("quantized_decomposed.quantize_per_token.default")
def quantize_per_token(
    g: TorchBuilder, x: Value, scales: Value, zero_points: Value, *, quant_min: int, quant_max: int, dtype: np.dtype
) -> Value:
    """Every vector along the last axis has its own scale [..., 1]."""
    scaled = g.Mul(*g.promoted(x, g.Reciprocal(scales)))
    moved = g.Round(g.Add(*g.promoted(scaled, zero_points)))
    low, high = (g.constant(end, moved.dtype) for end in (quant_min, quant_max))
    return g.cast(g.Clip(moved, low, high), dtype)


@torch_op("quantized_decomposed.dequantize_per_token.default")
def dequantize_per_token(
    g: TorchBuilder, x: Value, scales: Value, zero_points: Value, *, quant_min: int, quant_max: int,
    dtype: np.dtype, output_dtype: np.dtype,
) -> Value:  # fmt: skip
    centred = g.Sub(*g.promoted(g.cast(x, np.int32), zero_points))
    return g.cast(g.Mul(*g.promoted(g.cast(centred, output_dtype), scales)), output_dtype)


@torch_op("quantized_decomposed.dequantize_per_channel_group.default")
def dequantize_per_channel_group(
    g: TorchBuilder, x: Value, scales: Value, zero_points: Value | None, *, quant_min: int, quant_max: int,
    dtype: np.dtype, group_size: int, output_dtype: np.dtype,
) -> Value:  # fmt: skip
    """Of a matrix every row of which has a scale for each `group_size` of its elements: [rows, groups]."""
    made = grid(g, scales, zero_points, quant_min, quant_max, dtype, axis=1)
    y = g.DequantizeLinear(x, made.scale, made.zero, axis=1, block_size=group_size)
    return g.cast(y, output_dtype)


# ------------------------------------------------------ scales of what comes in


@torch_op("quantized_decomposed.choose_qparams.tensor")
def choose_qparams(
    g: TorchBuilder, x: Value, *, quant_min: int, quant_max: int, eps: float, dtype: np.dtype
) -> tuple[Value, Value]:
    """(scale float64 [1], zero point int64 [1]) for what x holds, with 0 among the numbers of the grid."""
    low, high = extremes(g, x)
    scale = g.Max(g.Div(g.Sub(high, low), float(quant_max - quant_min)), eps)
    zero = g.Sub(float(quant_min), g.Round(g.Div(low, scale)))
    zero = g.Clip(zero, g.constant(quant_min, zero.dtype), g.constant(quant_max, zero.dtype))
    return of_one(g, scale, np.float64), of_one(g, zero, np.int64)


@torch_op("quantized_decomposed.choose_qparams_symmetric.tensor")
def choose_qparams_symmetric(
    g: TorchBuilder, x: Value, *, quant_min: int, quant_max: int, eps: float, dtype: np.dtype
) -> tuple[Value, Value]:
    low, high = extremes(g, x)
    scale = g.Max(g.Div(g.Max(g.Neg(low), high), (quant_max - quant_min) / 2), eps)
    zero = g.constant([128 if dtype == np.uint8 else 0], np.int64)
    return of_one(g, scale, np.float64), zero


def extremes(g: TorchBuilder, x: Value) -> tuple[Value, Value]:
    """The lowest and the highest number of x, or 0 where that is lower or higher."""
    x = g.cast(x, FLOAT)
    axes = list(range(x.rank))
    zero = g.constant(0.0, FLOAT)
    return g.Min(g.ReduceMin(x, axes, keepdims=0), zero), g.Max(g.ReduceMax(x, axes, keepdims=0), zero)


def of_one(g: TorchBuilder, x: Value, dtype: type[np.generic]) -> Value:
    y: Value = g.Reshape(g.cast(x, dtype), [1])
    return y


@torch_op(
    "quantized_decomposed.choose_qparams_per_token_asymmetric.default",
    "quantized_decomposed._choose_qparams_per_token_asymmetric_impl.default",
)
def choose_qparams_per_token_asymmetric(g: TorchBuilder, x: Value, *, dtype: np.dtype) -> tuple[Value, Value]:
    """(scales float64 [..., 1], zero points int64) of 8 bits, whatever `dtype` says."""
    x = g.cast(x, FLOAT)
    zero = g.constant(0.0, FLOAT)
    low, high = g.Min(g.ReduceMin(x, [-1]), zero), g.Max(g.ReduceMax(x, [-1]), zero)
    scale = g.Max(g.Div(g.Sub(high, low), 255.0), float(np.finfo(np.float32).eps))
    least, most = g.Div(low, scale), g.Div(high, scale)
    from_least = g.Greater(g.Add(g.Add(least, -128.0), g.Add(most, 127.0)), 0.0)
    middle = g.Where(from_least, g.Sub(-128.0, least), g.Sub(127.0, most))
    middle = g.Round(g.Clip(middle, g.constant(-128.0, FLOAT), g.constant(127.0, FLOAT)))
    return g.cast(scale, np.float64), g.cast(middle, np.int64)


# ----------------------------------------------------------- fake quantisation


def fake(
    g: TorchBuilder, x: Value, scale: Value | float, zero: Value | int, low: int, high: int, axis: int | None = None
) -> tuple[Value, Value]:
    """(x as its own grid has it, whether each element lies inside)."""
    dtype = next((dtype for dtype in _TYPES if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max), None)
    if dtype is None:
        raise g.unsupported(f"to integers from {low} to {high}")
    made = grid(g, scale, zero, low, high, dtype, axis)
    return g.cast(made.dequantized(g, made.quantized(g, x)), dtype_of(x)), made.counted(g, x)


@aten("fake_quantize_per_tensor_affine")
def fake_quantize_per_tensor_affine(
    g: TorchBuilder, x: Value, *, scale: float, zero_point: int, quant_min: int, quant_max: int
) -> Value:
    return fake(g, x, scale, zero_point, quant_min, quant_max)[0]


@aten("fake_quantize_per_tensor_affine.tensor_qparams")
def fake_quantize_per_tensor_affine_tensors(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, *, quant_min: int, quant_max: int
) -> Value:
    return fake(g, x, scale, zero_point, quant_min, quant_max)[0]


@aten("fake_quantize_per_tensor_affine_cachemask")
def fake_quantize_per_tensor_affine_cachemask(
    g: TorchBuilder, x: Value, *, scale: float, zero_point: int, quant_min: int, quant_max: int
) -> tuple[Value, Value]:
    return fake(g, x, scale, zero_point, quant_min, quant_max)


@aten("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams")
def fake_quantize_per_tensor_affine_cachemask_tensors(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, fake_quant_enabled: Value, *, quant_min: int,
    quant_max: int,
) -> tuple[Value, Value]:  # fmt: skip
    if not g.static(fake_quant_enabled, "whether to quantise").all():
        raise g.unsupported("switched off")
    return fake(g, x, scale, zero_point, quant_min, quant_max)


@aten("fake_quantize_per_channel_affine")
def fake_quantize_per_channel_affine(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, *, axis: int, quant_min: int, quant_max: int
) -> Value:
    return fake(g, x, scale, zero_point, quant_min, quant_max, g.axis(axis, x.rank))[0]


@aten("fake_quantize_per_channel_affine_cachemask")
def fake_quantize_per_channel_affine_cachemask(
    g: TorchBuilder, x: Value, scale: Value, zero_point: Value, *, axis: int, quant_min: int, quant_max: int
) -> tuple[Value, Value]:
    return fake(g, x, scale, zero_point, quant_min, quant_max, g.axis(axis, x.rank))
