"""Quantisation of tensors, as MXNet computes it on a CPU (by oneDNN): symmetric, the ranges travel beside the data."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value

Kind = Literal["int8", "uint8"]
Result = tuple[Value, Value, Value]

# What the largest number becomes: quantize_v2 and dequantize count a half more (quantization_utils.h).
_LEVELS = {"int8": 127.0, "uint8": 255.0}
_HALF_MORE = {"int8": 127.5, "uint8": 255.5}


@mxnet_op("_contrib_quantize_v2", outputs=("output0", "output1", "output2"))
def quantize_v2(
    g: MXNetBuilder, data: Value, *, out_type: Literal["int8", "uint8", "auto"] = "int8",
    min_calib_range: float | None = None, max_calib_range: float | None = None,
) -> Result:  # fmt: skip
    """quantize_v2-inl.h: by the calibrated range, or by that of the data."""
    if data.dtype is not None and data.dtype.kind in "iu":
        raise g.unsupported("data that is quantised already is not supported")
    low, high = _calibrated(g, min_calib_range, max_calib_range) or _range_of(g, data)
    if out_type == "auto":
        is_positive = min_calib_range is not None and min_calib_range >= 0
        out_type = "uint8" if is_positive else "int8"
    return _quantized(g, data, low, high, out_type, _HALF_MORE[out_type])


@mxnet_op("_contrib_quantize", outputs=("output0", "output1", "output2"))
def quantize(g: MXNetBuilder, data: Value, min_range: Value, max_range: Value, *, out_type: Kind = "uint8") -> Result:
    return _quantized(g, data, min_range, max_range, out_type, _LEVELS[out_type])


@mxnet_op("_contrib_dequantize")
def dequantize(
    g: MXNetBuilder, data: Value, min_range: Value, max_range: Value, *, out_type: Literal["float32"] = "float32"
) -> Value:
    kind = _kind(g, data)
    return g.DequantizeLinear(data, _scalar(g, g.Div(_largest(g, min_range, max_range), _HALF_MORE[kind])))


@mxnet_op("_contrib_requantize", outputs=("output0", "output1", "output2"))
def requantize(
    g: MXNetBuilder, data: Value, min_range: Value, max_range: Value, *, out_type: Kind = "int8",
    min_calib_range: float | None = None, max_calib_range: float | None = None,
) -> Result:  # fmt: skip
    """requantize-inl.h: sums in int32 to a calibrated range."""
    calibrated = _calibrated(g, min_calib_range, max_calib_range)
    if calibrated is None:
        raise g.unsupported("without a calibrated range it is not supported", "Calibrate the model.")
    real = g.Mul(g.cast(data, np.float32), g.Div(_largest(g, min_range, max_range), float(2**31 - 1)))
    return _quantized(g, real, *calibrated, out_type, _LEVELS[out_type])


def _calibrated(g: MXNetBuilder, low: float | None, high: float | None) -> tuple[Value, Value] | None:
    if low is None or high is None:
        return None
    return g.constant([low], np.float32), g.constant([high], np.float32)


def _range_of(g: MXNetBuilder, x: Value) -> tuple[Value, Value]:
    return g.Reshape(g.ReduceMin(x, keepdims=0), [1]), g.Reshape(g.ReduceMax(x, keepdims=0), [1])


def _quantized(g: MXNetBuilder, x: Value, low: Value, high: Value, kind: Kind, levels: float) -> Result:
    """The tensor and its range, which is symmetric for int8."""
    largest = _largest(g, low, high)
    y = g.QuantizeLinear(x, _scalar(g, g.Div(largest, levels)), np.zeros((), kind))
    return (y, g.Neg(largest), largest) if kind == "int8" else (y, g.Identity(low), g.Identity(high))


def _largest(g: MXNetBuilder, low: Value, high: Value) -> Value:
    value: Value = g.Max(g.Abs(low), g.Abs(high))
    return value


def _scalar(g: MXNetBuilder, x: Value) -> Value:
    return g.Reshape(x, np.zeros(0, np.int64))


def _kind(g: MXNetBuilder, x: Value) -> Kind:
    if x.dtype == np.int8:
        return "int8"
    if x.dtype == np.uint8:
        return "uint8"
    raise g.unsupported(f"data of type {x.dtype} is not supported")
