"""Arithmetic of several operands, element by element.

Semantics: torch's kernels on the CPU (aten/src/ATen/native/BinaryOps.cpp, UnaryOps.cpp and their cpu/ folder).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.frontends.pytorch.builder import Number, Operand, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import (
    FLOAT32,
    HALVES,
    composed,
    elementwise,
    filled,
    floats,
    is_bool,
    is_floating,
    kernel,
    where,
)
from netglot.frontends.pytorch.operators.functions import exp2, is_negative, log_plus_one, rsqrt, trunc
from netglot.ir.graph import Value

# ------------------------------------------------------------------- two operands


@aten("add.Tensor", "add.Scalar")
def add(g: TorchBuilder, x: Value, other: Operand, *, alpha: Number = 1) -> Value:
    if is_bool(x) and g.result_type(x, other) == np.bool_:
        return g.Or(*g.promoted(x, other))
    return elementwise(g, "Add", x, _scaled(g, x, other, alpha))


@aten("sub.Tensor", "sub.Scalar", "subtract.Tensor", "subtract.Scalar")
def sub(g: TorchBuilder, x: Value, other: Operand, *, alpha: Number = 1) -> Value:
    return elementwise(g, "Sub", x, _scaled(g, x, other, alpha))


@aten("rsub.Tensor", "rsub.Scalar")
def rsub(g: TorchBuilder, x: Value, other: Operand, *, alpha: Number = 1) -> Value:
    return elementwise(g, "Sub", other, _scaled(g, other, x, alpha))


def _scaled(g: TorchBuilder, beside: Operand, x: Operand, alpha: Operand) -> Operand:
    """alpha x, in the type of the whole sum."""
    if not isinstance(alpha, Value) and alpha == 1:
        return x
    if not isinstance(x, Value) and not isinstance(alpha, Value):
        return alpha * x
    dtype = g.result_type(beside, x)
    return kernel(g, "Mul", g.number(x, dtype), g.number(alpha, dtype))


@aten("mul.Tensor", "mul.Scalar", "multiply.Tensor", "multiply.Scalar")
def mul(g: TorchBuilder, x: Value, other: Operand) -> Value:
    if g.result_type(x, other) == np.bool_:
        return g.And(*g.promoted(x, other))
    return elementwise(g, "Mul", x, other)


@aten("div.Tensor", "div.Scalar", "divide.Tensor", "divide.Scalar", "true_divide.Tensor", "true_divide.Scalar")
def div(g: TorchBuilder, x: Value, other: Operand) -> Value:
    return elementwise(g, "Div", x, other, floating=True)


@aten("div.Tensor_mode", "div.Scalar_mode", "divide.Tensor_mode", "divide.Scalar_mode")
def div_mode(g: TorchBuilder, x: Value, other: Operand, *, rounding_mode: str | None) -> Value:
    if rounding_mode is None:
        return div(g, x, other)
    if rounding_mode == "floor":
        return floor_divide(g, x, other)
    if rounding_mode != "trunc":
        raise g.unsupported(f"the rounding mode '{rounding_mode}'")
    quotient = elementwise(g, "Div", x, other)
    return trunc(g, quotient) if is_floating(quotient) else quotient


@aten("floor_divide", "floor_divide.Scalar")
def floor_divide(g: TorchBuilder, x: Value, other: Operand) -> Value:
    """Python's: what is left over has the sign of the divisor; of floats it is exact, and x / 0 is no NaN."""
    dtype = g.result_type(x, other)
    a, b = g.promoted(x, other)
    if dtype.kind in "iub":
        return kernel(g, "Div", kernel(g, "Sub", a, kernel(g, "Mod", a, b)), b)
    (a, b), dtype = floats(g, x, other)
    rest, wrong = _rest(g, a, b)
    quotient = g.Sub(g.Round(g.Div(g.Sub(a, rest), b)), g.cast(wrong, b.dtype))
    return g.cast(g.Where(g.Equal(b, g.number(0, b.dtype)), g.Div(a, b), quotient), dtype)


@aten("remainder.Tensor", "remainder.Scalar", "remainder.Scalar_Tensor")
def remainder(g: TorchBuilder, x: Operand, other: Operand) -> Value:
    """Python's: of the sign of the divisor."""
    if g.result_type(x, other).kind in "iub":
        return elementwise(g, "Mod", x, other)
    (a, b), dtype = floats(g, x, other)
    rest, wrong = _rest(g, a, b)
    return g.cast(g.Where(wrong, g.Add(rest, b), rest), dtype)


def _rest(g: TorchBuilder, a: Value, b: Value) -> tuple[Value, Value]:
    """C's remainder of floats, and whether it has the wrong sign: not that of the divisor."""
    zero = g.number(0, a.dtype)
    rest = g.Mod(a, b, fmod=1)
    return rest, g.And(g.Not(g.Equal(rest, zero)), g.Xor(g.Less(rest, zero), g.Less(b, zero)))


@aten("fmod.Tensor", "fmod.Scalar")
def fmod(g: TorchBuilder, x: Value, other: Operand) -> Value:
    """C's: of the sign of the dividend."""
    return elementwise(g, "Mod", x, other, fmod=1)


@aten("pow.Tensor_Tensor", "pow.Tensor_Scalar", "pow.Scalar")
def pow_(g: TorchBuilder, x: Operand, exponent: Operand) -> Value:
    dtype = g.result_type(x, exponent)
    if dtype.kind in "iub":
        return _integer_power(g, g.number(x, dtype), exponent)
    if isinstance(x, Value) and not isinstance(exponent, Value) and exponent in _POWERS:
        return _POWERS[exponent](g, g.cast(x, dtype))
    return elementwise(g, "Pow", x, exponent)


# What torch computes by other means than a power.
_POWERS: dict[float, Callable[..., Value]] = {
    0.5: lambda g, x: kernel(g, "Sqrt", x), 1: lambda g, x: x, 2: lambda g, x: kernel(g, "Mul", x, x),
    -0.5: rsqrt, -1: lambda g, x: kernel(g, "Reciprocal", x),
}  # fmt: skip
_LONGEST = 64  # powers up to this one are multiplied out


def _integer_power(g: TorchBuilder, x: Value, exponent: Operand) -> Value:
    """Multiplied out, modulo the type as torch does: ONNX Runtime's Pow computes in float64.

    An exponent that the network computes counts up to 63; beyond it all but -1, 0 and 1 have left every type.
    """
    if not isinstance(exponent, Value) and 0 <= exponent <= _LONGEST:
        return _multiplied(g, x, int(exponent))
    dtype, power = x.dtype, g.number(exponent, np.int64)
    x, one, zero = g.cast(x, np.int64), g.constant(1, np.int64), g.constant(0, np.int64)
    odd = g.Equal(g.Mod(power, 2), one)
    inverse = g.Where(g.Equal(x, one), one, g.Where(g.Equal(x, -1), g.Where(odd, -1, one), zero))
    power = g.Where(g.Less(power, _LONGEST), power, g.Add(g.Mod(power, 2), _LONGEST - 2))
    return g.cast(g.Where(g.Less(power, zero), inverse, _by_squaring(g, x, g.Max(power, zero))), dtype)


def _by_squaring(g: TorchBuilder, x: Value, power: Value) -> Value:
    """x^power for powers below 64: a product of the squares that its six bits choose."""
    y: Value = g.constant(1, np.int64)
    for bit in range(6):
        chosen = g.Equal(g.Mod(g.Div(power, 2**bit), 2), 1)
        y = g.Mul(y, g.Where(chosen, x, g.constant(1, np.int64)))
        x = g.Mul(x, x) if bit < 5 else x
    return y


def _multiplied(g: TorchBuilder, x: Value, exponent: int) -> Value:
    """x^exponent by squaring."""
    if exponent == 0:
        return g.cast(filled(g, x, 1, np.dtype(np.int64)), x.dtype)
    if exponent == 1:
        return x
    half = _multiplied(g, x, exponent // 2)
    square = kernel(g, "Mul", half, half)
    return kernel(g, "Mul", square, x) if exponent % 2 else square


@aten("float_power.Tensor_Tensor", "float_power.Tensor_Scalar", "float_power.Scalar")
def float_power(g: TorchBuilder, x: Operand, exponent: Operand) -> Value:
    return g.Pow(g.number(x, np.float64), g.number(exponent, np.float64))


@aten("maximum", "minimum")
def maximum(g: TorchBuilder, x: Value, other: Operand) -> Value:
    """NaN where either is."""
    op = "Max" if "maximum" in g.target else "Min"
    return extremum(g, op, x, other)


def extremum(g: TorchBuilder, op: str, x: Operand, other: Operand) -> Value:
    if g.result_type(x, other) == np.bool_:
        return g.op("Or" if op == "Max" else "And", g.promoted(x, other))
    return elementwise(g, op, x, other)


@aten("fmax")
def fmax(g: TorchBuilder, x: Value, other: Value) -> Value:
    return _ignoring_nan(g, "Max", x, other)


@aten("fmin")
def fmin(g: TorchBuilder, x: Value, other: Value) -> Value:
    return _ignoring_nan(g, "Min", x, other)


def _ignoring_nan(g: TorchBuilder, op: str, x: Value, other: Value) -> Value:
    a, b = g.promoted(x, other)
    if not is_floating(a):
        return extremum(g, op, a, b)
    return where(g, kernel(g, "IsNaN", a), b, where(g, kernel(g, "IsNaN", b), a, kernel(g, op, a, b)))


@aten("clamp", "clamp.Tensor", "clip", "clip.Tensor")
def clamp(g: TorchBuilder, x: Value, min: Operand | None = None, max: Operand | None = None) -> Value:
    """Where the limits are the wrong way round it is the upper one."""
    dtype = g.result_type(x, min, max)
    low, high = (None if limit is None else g.number(limit, dtype) for limit in (min, max))
    y = g.cast(x, dtype)
    if _is_scalar(low) and _is_scalar(high):
        return kernel(g, "Clip", y, low, high)
    y = y if low is None else kernel(g, "Max", y, low)
    return y if high is None else kernel(g, "Min", y, high)


def _is_scalar(limit: Value | None) -> bool:
    return limit is None or limit.shape == ()


@aten("clamp_min", "clamp_min.Tensor")
def clamp_min(g: TorchBuilder, x: Value, min: Operand) -> Value:
    return clamp(g, x, min)


@aten("clamp_max", "clamp_max.Tensor")
def clamp_max(g: TorchBuilder, x: Value, max: Operand) -> Value:
    return clamp(g, x, None, max)


@aten("atan2", "arctan2")
@composed
def atan2(g: TorchBuilder, x: Value, other: Value) -> Value:
    """The angle of the point (other, x): zeros of either sign and infinities are told apart."""
    zero, pi = g.number(0, x.dtype), g.number(np.pi, x.dtype)
    both = g.And(g.IsInf(x), g.IsInf(other))
    ratio = g.Div(g.Where(both, g.Sign(x), x), g.Where(both, g.Sign(other), other))
    ratio = g.Where(g.And(g.Equal(x, zero), g.Equal(other, zero)), zero, ratio)
    below, left = is_negative(g, x), is_negative(g, other)
    turned = g.Where(left, g.Where(below, g.Neg(pi), pi), zero)
    return g.Add(kernel(g, "Atan", ratio), turned)


@aten("hypot")
@composed
def hypot(g: TorchBuilder, x: Value, other: Value) -> Value:
    """Scaled by the larger one, so that no square overflows."""
    zero, one = g.number(0, x.dtype), g.number(1, x.dtype)
    a, b = g.Abs(x), g.Abs(other)
    large = g.Max(a, b)
    ratio = g.Div(g.Min(a, b), g.Where(g.Equal(large, zero), one, large))
    length = g.Mul(large, g.Sqrt(g.Add(g.Mul(ratio, ratio), one)))
    return g.Where(g.Or(g.IsInf(a), g.IsInf(b)), g.number(np.inf, x.dtype), length)


def _log_of_sum(base: float) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value, other: Value) -> Value:
        unit = g.number(np.log(base), x.dtype)
        apart = g.Where(g.Equal(x, other), g.number(0, x.dtype), g.Sub(x, other))  # infinities too
        rest = log_plus_one(g, g.Exp(g.Neg(g.Mul(g.Abs(apart), unit))))
        return g.Add(g.Max(x, other), g.Div(rest, unit))

    return composed(function)


aten("logaddexp")(_log_of_sum(np.e))
aten("logaddexp2")(_log_of_sum(2))


@aten("ldexp.Tensor")
def ldexp(g: TorchBuilder, x: Value, other: Value) -> Value:
    return mul(g, x, exp2(g, other))


@aten("xlogy.Tensor", "xlogy.Scalar_Other", "xlogy.Scalar_Self")
@composed
def xlogy(g: TorchBuilder, x: Value, other: Value) -> Value:
    return _times_log(g, x, other, g.Log(other))


@aten("special_xlogy", "special_xlogy.other_scalar", "special_xlogy.self_scalar")
@composed
def special_xlogy(g: TorchBuilder, x: Value, other: Value) -> Value:
    return _times_log(g, x, other, g.Log(other))


@aten("special_xlog1py", "special_xlog1py.other_scalar", "special_xlog1py.self_scalar")
@composed
def xlog1py(g: TorchBuilder, x: Value, other: Value) -> Value:
    return _times_log(g, x, other, log_plus_one(g, other))


def _times_log(g: TorchBuilder, x: Value, of: Value, log: Value) -> Value:
    """0 of 0 times any logarithm but that of NaN."""
    zero = g.number(0, x.dtype)
    return g.Where(g.IsNaN(of), of, g.Where(g.Equal(x, zero), zero, g.Mul(x, log)))


@aten("copysign.Tensor", "copysign.Scalar")
@composed
def copysign(g: TorchBuilder, x: Value, other: Value) -> Value:
    size = g.Abs(x)
    return g.Where(is_negative(g, other), g.Neg(size), size)


@aten("heaviside")
def heaviside(g: TorchBuilder, x: Value, values: Value) -> Value:
    zero = g.number(0, x.dtype)
    step = g.cast(kernel(g, "Greater", x, zero), x.dtype)
    return where(g, kernel(g, "Equal", x, zero), values, step)


@aten("isclose")
def isclose(
    g: TorchBuilder, x: Value, other: Value, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:  # fmt: skip
    """|x - other| <= atol + rtol |other|; infinities are close to themselves alone."""
    close = kernel(g, "Equal", x, other)
    if equal_nan and is_floating(x):
        close = g.Or(close, g.And(g.IsNaN(x), g.IsNaN(other)))
    if rtol == 0 and atol == 0:
        return close
    (a, b), _ = floats(g, x, other)
    error = g.Abs(g.Sub(a, b))
    allowed = g.Add(g.Abs(g.Mul(b, g.number(rtol, b.dtype))), g.number(atol, b.dtype))
    finite = g.Less(error, g.number(np.inf, b.dtype))
    return g.Or(close, g.And(finite, g.LessOrEqual(error, allowed)))


# ---------------------------------------------------------------- three operands


@aten("addcmul")
def addcmul(g: TorchBuilder, x: Value, tensor1: Value, tensor2: Value, *, value: Number = 1) -> Value:
    return _sum_with(g, "Mul", x, tensor1, tensor2, value)


@aten("addcdiv")
def addcdiv(g: TorchBuilder, x: Value, tensor1: Value, tensor2: Value, *, value: Number = 1) -> Value:
    return _sum_with(g, "Div", x, tensor1, tensor2, value)


def _sum_with(g: TorchBuilder, op: str, x: Value, a: Value, b: Value, value: Number) -> Value:
    dtype = g.result_type(x, a, b)
    wide = FLOAT32 if dtype in HALVES else dtype
    x, a, b = (g.cast(item, wide) for item in (x, a, b))
    if isinstance(value, Value) or value != 1:
        a = kernel(g, "Mul", a, g.number(value, wide))
    return g.cast(kernel(g, "Add", x, kernel(g, op, a, b)), dtype)


@aten("lerp.Scalar", "lerp.Tensor")
@composed
def lerp(g: TorchBuilder, x: Value, end: Value, weight: Value) -> Value:
    """From the nearer end, so that both are met exactly."""
    one, way = g.number(1, x.dtype), g.Sub(end, x)
    near = g.Less(g.Abs(weight), g.number(0.5, x.dtype))
    from_end = g.Sub(end, g.Mul(way, g.Sub(one, weight)))
    return g.Where(near, g.Add(x, g.Mul(weight, way)), from_end)


@aten("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def where_(g: TorchBuilder, condition: Value, self: Operand, other: Operand) -> Value:
    a, b = g.promoted(self, other)
    return where(g, g.cast(condition, np.bool_), a, b)


@aten("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(g: TorchBuilder, x: Value, mask: Value, value: Operand) -> Value:
    return where(g, g.cast(mask, np.bool_), g.number(value, x.dtype), x)
