"""Layers on 8-bit integers, for targets that compute with them.

A tensor q with a scale s and a zero point z stands for s (q - z). Scales are float32, and they and the zero points are
constants of one element ([] or [1]) unless said otherwise; a zero point has the type of its tensor, int8 or uint8, and
the two sides of an operator need not have the same. Scales of what is read may be negative (a difference is an
IntegerAdd), that of y is positive. Products are summed exactly in int32; the sum is multiplied by one factor in
float32, rounded half to even, moved by y_zero and brought into the limits:

    y = limited(round(t / y_scale) + y_zero), limited(q) = min(max(q, low), high) within those of y's type

where t is what the operator gives for the real numbers that its inputs stand for. `low` and `high` are limits for y
itself (a Relu that follows is low = y_zero). Where y_scale and y_zero are left out, y is t itself, float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.ir.extension.fused import WINDOW
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Value
from netglot.ir.schema import Result, infer

if TYPE_CHECKING:
    from netglot.ir.builder import Builder

LOW, HIGH = -(2**31), 2**31 - 1  # no limits but those of the type

Array = np.ndarray
Ints = tuple[int, ...]


class IntegerConv:
    """Conv on integers. The inputs are QLinearConv's, in its order.

    x: int8 or uint8 [N, C, spatial...]; w: constant int8 [M, C / group, kernel...], with w_scale and w_zero [M], or of
    one element for all; bias: constant int32 [M], of scale x_scale w_scale. Padding is x_zero, which stands for 0.
    """

    outputs = ("y",)

    @staticmethod
    def run(
        x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array,
        y_scale: Array | None = None, y_zero: Array | None = None, bias: Array | None = None, *,
        auto_pad: str = "NOTSET", dilations: tuple[int, ...] | None = None, group: int = 1,
        kernel_shape: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None, low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        centred = _centred(w, w_zero, 0)
        total = compute(
            "Conv", _centred(x, x_zero), centred, bias if bias is None else bias.astype(np.float64), auto_pad=auto_pad,
            dilations=dilations, group=group, kernel_shape=kernel_shape, pads=pads, strides=strides,
        )  # fmt: skip
        return _scaled(total, _along(x_scale * w_scale, 1, total.ndim), y_scale, y_zero, low, high)

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        window = {name: value for name, value in attributes.items() if name in WINDOW}
        [(_, shape)] = infer("ConvInteger", "", window, [inputs[0], inputs[3]], 1)
        return [(_output_type(inputs, 7), shape)]

    @staticmethod
    def expand(
        g: Builder, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value,
        y_scale: Value | None = None, y_zero: Value | None = None, bias: Value | None = None, *,
        low: int = LOW, high: int = HIGH, **window: Any,
    ) -> Value:  # fmt: skip
        weights = g.DequantizeLinear(w, w_scale, w_zero, axis=0)
        t = g.Conv(g.DequantizeLinear(x, x_scale, x_zero), weights, _real_bias(g, bias, x_scale, w_scale), **window)
        return _quantised(g, t, y_scale, y_zero, low, high)


class IntegerMatMul:
    """MatMul on integers. The inputs are QLinearMatMul's, in its order, and a bias.

    a: int8 or uint8 [..., M, K]; b: constant int8 [K, N], with b_scale and b_zero [N] or of one element, or int8 or
    uint8 [..., K, N] that is computed, with those of one element; bias: constant int32 [N], of scale a_scale b_scale.
    """

    outputs = ("y",)

    @staticmethod
    def run(
        a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array,
        y_scale: Array | None = None, y_zero: Array | None = None, bias: Array | None = None, *,
        low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        total = np.matmul(_centred(a, a_zero), _centred(b, b_zero, b.ndim - 1))
        total = total if bias is None else total + bias
        return _scaled(total, _along(a_scale * b_scale, total.ndim - 1, total.ndim), y_scale, y_zero, low, high)

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        [(_, shape)] = infer("MatMulInteger", "", {}, [inputs[0], inputs[3]], 1)
        return [(_output_type(inputs, 7), shape)]

    @staticmethod
    def expand(
        g: Builder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value,
        y_scale: Value | None = None, y_zero: Value | None = None, bias: Value | None = None, *,
        low: int = LOW, high: int = HIGH,
    ) -> Value:  # fmt: skip
        t = g.MatMul(g.DequantizeLinear(a, a_scale, a_zero), g.DequantizeLinear(b, b_scale, b_zero, axis=b.rank - 1))
        real = _real_bias(g, bias, a_scale, b_scale)
        return _quantised(g, t if real is None else g.Add(t, real), y_scale, y_zero, low, high)


class _Binary:
    """What IntegerAdd and IntegerMul share: a, b int8 or uint8, broadcast to y as ONNX does."""

    outputs = ("y",)

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        floats = [None if v is None else Value(v.name, np.dtype(np.float32), v.shape) for v in (inputs[0], inputs[3])]
        [(_, shape)] = infer("Add", "", {}, floats, 1)
        return [(_output_type(inputs, 7), shape)]


class IntegerAdd(_Binary):
    """a + b on integers: a, b int8 or uint8, broadcast to y as ONNX does."""

    @staticmethod
    def run(
        a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array, y_scale: Array,
        y_zero: Array, *, low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        t = _centred(a, a_zero) * _one(a_scale) + _centred(b, b_zero) * _one(b_scale)
        return _scaled(t, np.ones((), np.float32), y_scale, y_zero, low, high)

    @staticmethod
    def expand(
        g: Builder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value, y_scale: Value,
        y_zero: Value, *, low: int = LOW, high: int = HIGH,
    ) -> Value:  # fmt: skip
        t = g.Add(g.DequantizeLinear(a, a_scale, a_zero), g.DequantizeLinear(b, b_scale, b_zero))
        return _quantised(g, t, y_scale, y_zero, low, high)


class IntegerMul(_Binary):
    """a b on integers: a, b int8 or uint8, broadcast to y as ONNX does."""

    @staticmethod
    def run(
        a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array, y_scale: Array,
        y_zero: Array, *, low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        t = _centred(a, a_zero) * _centred(b, b_zero)
        return _scaled(t, a_scale * b_scale, y_scale, y_zero, low, high)

    @staticmethod
    def expand(
        g: Builder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value, y_scale: Value,
        y_zero: Value, *, low: int = LOW, high: int = HIGH,
    ) -> Value:  # fmt: skip
        t = g.Mul(g.DequantizeLinear(a, a_scale, a_zero), g.DequantizeLinear(b, b_scale, b_zero))
        return _quantised(g, t, y_scale, y_zero, low, high)


class IntegerAveragePool:
    """AveragePool on integers: x int8 or uint8 [N, C, spatial...]. Padding, where it is counted, is x_zero."""

    outputs = ("y",)

    @staticmethod
    def run(
        x: Array, x_scale: Array, x_zero: Array, y_scale: Array, y_zero: Array, *, kernel_shape: tuple[int, ...],
        auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0,
        dilations: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None, low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        t = compute(
            "AveragePool", _centred(x, x_zero), kernel_shape=kernel_shape, auto_pad=auto_pad, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, dilations=dilations, pads=pads, strides=strides,
        )  # fmt: skip
        return _scaled(t, x_scale, y_scale, y_zero, low, high)

    @staticmethod
    def infer(inputs: Sequence[Value | None], *, low: int = LOW, high: int = HIGH, **window: Any) -> list[Result]:
        return [(_output_type(inputs, 4), _shape_of("AveragePool", window, inputs[0]))]

    @staticmethod
    def expand(
        g: Builder, x: Value, x_scale: Value, x_zero: Value, y_scale: Value, y_zero: Value, *, low: int = LOW,
        high: int = HIGH, **window: Any,
    ) -> Value:  # fmt: skip
        t = g.AveragePool(g.DequantizeLinear(x, x_scale, x_zero), **window)
        return _quantised(g, t, y_scale, y_zero, low, high)


class IntegerMean:
    """The mean over `axes` (GlobalAveragePool, ReduceMean) on integers: x int8 or uint8."""

    outputs = ("y",)

    @staticmethod
    def run(
        x: Array, x_scale: Array, x_zero: Array, y_scale: Array, y_zero: Array, *, axes: tuple[int, ...],
        keepdims: int = 1, low: int = LOW, high: int = HIGH,
    ) -> Array:  # fmt: skip
        t = np.mean(_centred(x, x_zero), axes, keepdims=bool(keepdims))
        return _scaled(np.asarray(t), x_scale, y_scale, y_zero, low, high)

    @staticmethod
    def infer(
        inputs: Sequence[Value | None], *, axes: Ints, keepdims: int = 1, low: int = LOW, high: int = HIGH
    ) -> list[Result]:
        data = np.array(axes, np.int64)
        listed = Value("axes", data.dtype, data.shape, data)
        return [(_output_type(inputs, 4), _shape_of("ReduceMean", {"keepdims": keepdims}, inputs[0], listed))]

    @staticmethod
    def expand(
        g: Builder, x: Value, x_scale: Value, x_zero: Value, y_scale: Value, y_zero: Value, *, axes: Ints,
        keepdims: int = 1, low: int = LOW, high: int = HIGH,
    ) -> Value:  # fmt: skip
        t = g.ReduceMean(g.DequantizeLinear(x, x_scale, x_zero), list(axes), keepdims=keepdims)
        return _quantised(g, t, y_scale, y_zero, low, high)


class Lookup8:
    """y = table[x]: any function of one 8-bit number, requantisation too.

    x: int8 or uint8; table: constant [256] of any type, which is y's. The index is the byte that x is stored as, so
    the second half of the table is for the negative numbers of int8.
    """

    outputs = ("y",)

    @staticmethod
    def run(x: Array, table: Array) -> Array:
        found: Array = table[np.ascontiguousarray(x).view(np.uint8).reshape(x.shape)]
        return found

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        x, table = inputs
        return [(table.dtype if table else None, x.shape if x else None)]

    @staticmethod
    def expand(g: Builder, x: Value, table: Value) -> Value:
        """Gather counts negative indices from the end, as the bytes do."""
        return g.Gather(table, g.Cast(x, to=6), axis=0)  # 6: int32


def quantise(t: Array, scale: Array, zero: Array) -> Array:
    """QuantizeLinear by one scale: divided in float32, as ONNX Runtime does it."""
    return _rounded(np.asarray(t, np.float32) / scale, zero, LOW, HIGH)


def _one(parameter: Array) -> Any:
    return parameter.reshape(())[()]


def _along(parameter: Array, axis: int, rank: int) -> Array:
    """Scales or zero points, one for all or one for each index of `axis`, to be broadcast to `rank` axes."""
    return (
        parameter.reshape(())
        if parameter.size == 1
        else parameter.reshape([-1 if i == axis else 1 for i in range(rank)])
    )


def _centred(q: Array, zero: Array, axis: int = 0) -> Array:
    """q - zero in float64, in which all sums that int32 holds are exact."""
    return q.astype(np.float64) - _along(zero.astype(np.float64), axis, q.ndim)


def _scaled(t: Array, scale: Array, y_scale: Array | None, y_zero: Array | None, low: int, high: int) -> Array:
    """The end of every operator: t scale as float32, or as integers of the scale and zero point of y."""
    if y_scale is None or y_zero is None:
        return (t * scale).astype(np.float32)
    return _rounded(t * (scale / _one(y_scale)).astype(np.float32), y_zero, low, high)


def _rounded(steps: Array, zero: Array, low: int, high: int) -> Array:
    """Half to even, moved by the zero point, within the limits and those of its type."""
    kind = np.iinfo(zero.dtype)
    limited = np.minimum(np.maximum(np.round(steps) + int(_one(zero)), low), high)
    return np.clip(limited, kind.min, kind.max).astype(zero.dtype)


def _output_type(inputs: Sequence[Value | None], zero: int) -> np.dtype | None:
    """That of the zero point, which is input `zero`; float32 where it is left out."""
    found = inputs[zero] if zero < len(inputs) else None
    return found.dtype if found is not None else np.dtype(np.float32)


def _shape_of(op: str, attributes: dict[str, Any], x: Value | None, *others: Value) -> Any:
    real = None if x is None else Value(x.name, np.dtype(np.float32), x.shape)
    return infer(op, "", attributes, [real, *others], 1)[0][1]


def _real_bias(g: Builder, bias: Value | None, x_scale: Value, w_scale: Value) -> Value | None:
    if bias is None:
        return None
    scale = (x_scale.array.reshape(()) * w_scale.array).astype(np.float32)
    return g.DequantizeLinear(bias, scale if scale.size > 1 else scale.reshape(()), axis=0)


def _quantised(g: Builder, t: Value, y_scale: Value | None, y_zero: Value | None, low: int, high: int) -> Value:
    if y_scale is None or y_zero is None:
        return t
    y, kind = g.QuantizeLinear(t, y_scale, y_zero), np.iinfo(y_zero.array.dtype)
    limits = [low if low > kind.min else None, high if high < kind.max else None]
    if limits == [None, None]:
        return y
    return g.Clip(y, *(None if limit is None else g.constant(limit, y_zero.dtype) for limit in limits))
