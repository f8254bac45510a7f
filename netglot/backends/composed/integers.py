"""Operators on integers and truth values, where kernels have them only for other element types."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.composed.indexing import INT64, from_start
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Node, Value
from netglot.ir.types import to_onnx

Condition = Callable[[Node], bool]

INT32, FLOAT, BOOL = (to_onnx(np.dtype(kind)) for kind in (np.int32, np.float32, np.bool_))
LARGEST = 2.0**63 - 2.0**39  # the last float32 below 2^63


def of(*kinds: str) -> Condition:
    """Whether the first input is of one of these element types."""

    def condition(node: Node) -> bool:
        x = node.inputs[0]
        return x is not None and x.dtype is not None and x.dtype.name in kinds

    return condition


@composition("Div", instead={"tflite": of("int64", "uint32")})
def divide(g: Composer, a: Value, b: Value) -> Value:
    """Towards zero, in float32: of what the divisor divides, what is left after each quotient is 2^22 times smaller."""
    kind = a.dtype
    assert kind is not None
    a, b = (x if x.dtype == np.int64 else g.Cast(x, to=INT64) for x in (a, b))
    left, divisor = g.Sub(a, g.Mod(a, b, fmod=1)), g.Cast(b, to=FLOAT)
    total: Value | None = None
    for _ in range(3):
        ratio = g.Round(g.Div(g.Cast(left, to=FLOAT), divisor))
        quotient = g.Cast(g.Clip(ratio, np.float32(-LARGEST), np.float32(LARGEST)), to=INT64)
        left = g.Sub(left, g.Mul(quotient, b))
        total = quotient if total is None else g.Add(total, quotient)
    assert total is not None
    return total if kind == np.int64 else g.Cast(total, to=to_onnx(kind))


def _is_power_of_integers(node: Node) -> bool:
    power = node.inputs[1]
    whole = power is not None and power.data is not None and power.data.size == 1 and float(power.data.item()) % 1 == 0
    return of("int64")(node) and whole and power is not None and 1 <= float(power.array.item()) <= 64


@composition("Pow", instead={"tflite": _is_power_of_integers})
def power(g: Composer, x: Value, exponent: Value) -> Value:
    """By squaring: as it is multiplied, so it wraps around."""
    times, square = int(exponent.array.item()), x
    result: Value | None = None
    while times:
        if times & 1:
            result = square if result is None else g.Mul(result, square)
        times >>= 1
        square = g.Mul(square, square) if times else square
    assert result is not None
    return result


@composition("Abs", instead={"tflite": of("int64")})
def absolute(g: Composer, x: Value) -> Value:
    return g.Max(x, g.Neg(x))


@composition("Sign", instead={"tflite": of("int64")})
def sign(g: Composer, x: Value) -> Value:
    zero = np.array(0, x.dtype)
    return g.Sub(g.Cast(g.Greater(x, zero), to=INT64), g.Cast(g.Less(x, zero), to=INT64))


@composition("Relu", instead={"tflite": of("int8", "int16", "int32", "int64")})
def relu(g: Composer, x: Value) -> Value:
    return g.Max(x, np.array(0, x.dtype))


def _place(g: Composer, x: Value, extreme: Value, attributes: dict[str, int]) -> Value:
    return g.ArgMax(g.Cast(g.Equal(x, extreme), to=INT32), **attributes)


@composition("ArgMax", instead={"tflite": of("int64")})
def arg_max(g: Composer, x: Value, *, axis: int, keepdims: int, select_last_index: int) -> Value:
    """Where the largest are is a question of numbers that are 0 or 1."""
    given = {"axis": axis, "keepdims": keepdims, "select_last_index": select_last_index}
    return _place(g, x, g.ReduceMax(x, [axis], keepdims=1), given)


@composition("ArgMin", instead={"tflite": of("int64")})
def arg_min(g: Composer, x: Value, *, axis: int, keepdims: int, select_last_index: int) -> Value:
    given = {"axis": axis, "keepdims": keepdims, "select_last_index": select_last_index}
    return _place(g, x, g.ReduceMin(x, [axis], keepdims=1), given)


def _reduced(g: Composer, op: str, x: Value, axes: Value | None, **attributes: Any) -> Value:
    return g.Cast(g.op(op, [g.Cast(x, to=INT32), axes], **attributes), to=BOOL)


@composition("ReduceMax", instead={"tflite": of("bool"), "coreml": of("bool"), "cpp": of("bool")})
def reduce_max(g: Composer, x: Value, axes: Value | None, *, keepdims: int, noop_with_empty_axes: int) -> Value:
    return _reduced(g, "ReduceMax", x, axes, keepdims=keepdims, noop_with_empty_axes=noop_with_empty_axes)


@composition("ReduceMin", instead={"tflite": of("bool"), "coreml": of("bool"), "cpp": of("bool")})
def reduce_min(g: Composer, x: Value, axes: Value | None, *, keepdims: int, noop_with_empty_axes: int) -> Value:
    return _reduced(g, "ReduceMin", x, axes, keepdims=keepdims, noop_with_empty_axes=noop_with_empty_axes)


@composition("Split", instead={"tflite": of("bool")})
def split(g: Composer, x: Value, sizes: Value | None, *, axis: int, num_outputs: int = 0) -> tuple[Value, ...]:
    """Slices."""
    ends = np.cumsum([y.sizes[axis] for y in g.outputs]).tolist()
    parts = zip([0, *ends], ends, strict=False)
    return tuple(g.Slice(x, [start], [end], [axis]) for start, end in parts)


MOST = 1 << 20  # products of an integer MatMul


@composition("MatMul", instead={"tflite": of("int32", "int64", "uint32", "int8", "uint8")})
def mat_mul(g: Composer, a: Value, b: Value) -> Value:
    """Every product, and their sums: an integer stays what it is."""
    left = g.Unsqueeze(a, [0]) if a.rank == 1 else a
    right = g.Unsqueeze(b, [1]) if b.rank == 1 else b
    rows, inner, columns = left.sizes[-2], left.sizes[-1], right.sizes[-1]
    batch = np.broadcast_shapes(left.sizes[:-2], right.sizes[:-2])
    if prod(batch) * rows * inner * columns > MOST:
        raise NotMappedError("a product of integers, and a large one")
    products = g.Mul(g.Unsqueeze(left, [-1]), g.Unsqueeze(right, [-3]))
    return g.Reshape(g.ReduceSum(products, [-2], keepdims=0), list(g.outputs[0].sizes))


@composition("MatMulInteger")
def mat_mul_integer(g: Composer, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> Value:
    return g.MatMul(_less_zero_point(g, a, a_zero, is_left=True), _less_zero_point(g, b, b_zero, is_left=False))


def _less_zero_point(g: Composer, x: Value, zero_point: Value | None, *, is_left: bool) -> Value:
    """Zero points are one for all, or one for each row of the left and for each column of the right."""
    wide = g.Cast(x, to=INT32)
    if zero_point is None:
        return wide
    zero = g.Cast(zero_point, to=INT32)
    return g.Sub(wide, g.Unsqueeze(zero, [-1]) if is_left and zero.rank == 1 and zero.sizes != (1,) else zero)


def _begins_anywhere(node: Node) -> bool:
    starts = node.inputs[1]
    return starts is not None and not starts.is_constant


@composition("Slice", instead=dict.fromkeys(("tflite", "coreml", "cpp"), _begins_anywhere))
def slice_(
    g: Composer, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None
) -> Value:  # fmt: skip
    """A slice of known size from a computed place, gathered an axis at a time."""
    if (axes is not None and not axes.is_constant) or (steps is not None and not steps.is_constant):
        raise NotMappedError("the axes or the steps are computed")
    by = [1] * starts.sizes[0] if steps is None else [int(step) for step in steps.array]
    if min(by) < 1:
        raise NotMappedError("it goes backwards from a computed place")
    result = x
    for i, axis in enumerate(range(starts.sizes[0]) if axes is None else axes.array.tolist()):
        size, count = x.sizes[axis], g.outputs[0].sizes[axis]
        start = g.Clip(from_start(g, g.Slice(starts, [i], [i + 1]), size), np.int64(0), np.int64(size))
        result = g.Gather(result, g.Add(start, np.arange(count) * by[i]), axis=axis)
    return result
