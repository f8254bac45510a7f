"""Arithmetic and functions of single elements.

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
from netglot.ir.graph import Value

# ------------------------------------------------------------------- one tensor

_UNARY: dict[str, tuple[str, ...]] = {
    "Sqrt": ("sqrt",), "Reciprocal": ("reciprocal",), "Exp": ("exp",), "Log": ("log",), "Sin": ("sin",),
    "Cos": ("cos",), "Tan": ("tan",), "Asin": ("asin", "arcsin"), "Acos": ("acos", "arccos"),
    "Atan": ("atan", "arctan"), "Sinh": ("sinh",), "Cosh": ("cosh",), "Tanh": ("tanh",),
    "Asinh": ("asinh", "arcsinh"), "Acosh": ("acosh", "arccosh"), "Atanh": ("atanh", "arctanh"),
    "Erf": ("erf", "special_erf"), "Sigmoid": ("sigmoid", "special_expit"),
}  # fmt: skip


def _unary(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value) -> Value:
        return elementwise(g, onnx, x, floating=True)

    return function


for _onnx, _names in _UNARY.items():
    aten(*_names)(_unary(_onnx))


@aten("abs", "absolute")
def abs_(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Abs", x)


@aten("neg", "negative")
def neg(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Neg", x)


@aten("positive")
def positive(g: TorchBuilder, x: Value) -> Value:
    return x


@aten("sign", "sgn")
def sign(g: TorchBuilder, x: Value) -> Value:
    """Of NaN it is 0, as of 0."""
    if is_bool(x):
        return x
    y = kernel(g, "Sign", x)
    return where(g, kernel(g, "IsNaN", x), g.number(0, y.dtype), y) if is_floating(x) else y


@aten("square")
def square(g: TorchBuilder, x: Value) -> Value:
    """As a power: of bools it is of integers."""
    return g.cast(x, np.int64) if is_bool(x) else kernel(g, "Mul", x, x)


@aten("rsqrt")
@composed
def rsqrt(g: TorchBuilder, x: Value) -> Value:
    return g.Reciprocal(g.Sqrt(x))


def _rounding(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value) -> Value:
        return kernel(g, onnx, x) if is_floating(x) else x

    return function


aten("floor")(_rounding("Floor"))
aten("ceil")(_rounding("Ceil"))
aten("round")(_rounding("Round"))


@aten("round.decimals", "special_round")
def round_decimals(g: TorchBuilder, x: Value, *, decimals: int = 0) -> Value:
    if not is_floating(x) or not decimals:
        return kernel(g, "Round", x) if is_floating(x) else x
    (wide,), dtype = floats(g, x)
    ten = g.number(10.0 ** abs(decimals), wide.dtype)
    scale, unscale = (g.Mul, g.Div) if decimals > 0 else (g.Div, g.Mul)
    return g.cast(unscale(g.Round(scale(wide, ten)), ten), dtype)


@aten("trunc", "fix")
def trunc(g: TorchBuilder, x: Value) -> Value:
    if not is_floating(x):
        return x
    return where(g, kernel(g, "Less", x, g.number(0, x.dtype)), kernel(g, "Ceil", x), kernel(g, "Floor", x))


@aten("frac")
def frac(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Sub", x, trunc(g, x))


@aten("exp2", "special_exp2")
@composed
def exp2(g: TorchBuilder, x: Value) -> Value:
    return g.Pow(g.number(2, x.dtype), x)


@aten("expm1", "special_expm1")
@composed
def expm1(g: TorchBuilder, x: Value) -> Value:
    """tanh(x / 2) (exp(x) + 1), which loses no digits near 0."""
    half = g.Tanh(g.Mul(x, g.number(0.5, x.dtype)))
    return g.Mul(half, g.Add(g.Exp(x), g.number(1, x.dtype)))


@aten("log1p", "special_log1p")
@composed
def log1p(g: TorchBuilder, x: Value) -> Value:
    return _log1p(g, x)


def _log1p(g: TorchBuilder, x: Value) -> Value:
    """log(u) x / (u - 1) of the rounded u = 1 + x, which loses no digits near 0 (W. Kahan)."""
    one = g.number(1, x.dtype)
    u = g.Add(x, one)
    exact = g.Or(g.Equal(u, one), g.Equal(u, g.number(np.inf, x.dtype)))
    return g.Where(exact, x, g.Div(g.Mul(g.Log(u), x), g.Sub(u, one)))


def _logarithm(base: float) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value) -> Value:
        return g.Div(g.Log(x), g.number(np.log(base), x.dtype))

    return composed(function)


aten("log2")(_logarithm(2))
aten("log10")(_logarithm(10))


@aten("sinc", "special_sinc")
@composed
def sinc(g: TorchBuilder, x: Value) -> Value:
    zero, angle = g.number(0, x.dtype), g.Mul(x, g.number(np.pi, x.dtype))
    return g.Where(g.Equal(x, zero), g.number(1, x.dtype), g.Div(g.Sin(angle), angle))


# log(erfc(z) exp(z^2) (1 + z / 2)) by rising powers of 2 / (2 + z), for z >= 0: a least squares fit at Chebyshev nodes,
# which is right to 6e-9.
_ERFC = (
    -1.265512118, 0.9999980469, 0.3751098299, 0.08091932391, -0.05860064002, -0.3254898894, 0.6665116801, -2.011027745,
    3.642604478, -3.505887372, 1.853980041, -0.5073753184, 0.05476967919,
)  # fmt: skip


@aten("erfc", "special_erfc")
@composed
def erfc(g: TorchBuilder, x: Value) -> Value:
    return _erfc(g, x)


def _erfc(g: TorchBuilder, x: Value) -> Value:
    """1 - erf(x), but that leaves no digits where erf(x) is nearly 1."""
    z = g.Abs(x)
    t = g.Div(g.number(2, x.dtype), g.Add(z, g.number(2, x.dtype)))
    series = g.number(_ERFC[-1], x.dtype)
    for coefficient in reversed(_ERFC[:-1]):
        series = g.Add(g.Mul(series, t), g.number(coefficient, x.dtype))
    tail = g.Mul(t, g.Exp(g.Sub(series, g.Mul(z, z))))
    return g.Where(g.Less(x, g.number(0, x.dtype)), g.Sub(g.number(2, x.dtype), tail), tail)


@aten("erfinv", "special_erfinv")
@composed
def erfinv(g: TorchBuilder, x: Value) -> Value:
    """S. Winitzki's closed form, which is right to 0.2%, and one step of Halley's method, which cubes that error."""
    one, zero, a = (g.number(number, x.dtype) for number in (1, 0, 0.147))
    size = g.Abs(x)
    log = _log1p(g, g.Neg(g.Mul(size, size)))
    b = g.Add(g.number(2 / (np.pi * 0.147), x.dtype), g.Mul(log, g.number(0.5, x.dtype)))
    c = g.Neg(g.Div(log, a))
    y = g.Sqrt(_root(g, b, c))
    near = g.Less(size, g.number(0.5, x.dtype))
    error = g.Where(near, g.Sub(kernel(g, "Erf", y), size), g.Sub(g.Sub(one, size), _erfc(g, y)))
    step = g.Div(g.Mul(error, g.number(np.sqrt(np.pi) / 2, x.dtype)), g.Exp(g.Neg(g.Mul(y, y))))
    y = g.Sub(y, g.Div(step, g.Add(one, g.Mul(y, step))))
    y = g.Where(g.Equal(size, one), g.number(np.inf, x.dtype), y)
    return g.Where(g.Less(x, zero), g.Neg(y), y)


def _root(g: TorchBuilder, b: Value, c: Value) -> Value:
    """sqrt(b^2 + c) - b for c >= 0, by its conjugate where b is positive: that loses no digits."""
    root = g.Sqrt(g.Add(g.Mul(b, b), c))
    return g.Where(g.Less(b, g.number(0, b.dtype)), g.Sub(root, b), g.Div(c, g.Add(root, b)))


@aten("deg2rad")
@composed
def deg2rad(g: TorchBuilder, x: Value) -> Value:
    return g.Mul(x, g.number(np.pi / 180, x.dtype))


@aten("rad2deg")
@composed
def rad2deg(g: TorchBuilder, x: Value) -> Value:
    return g.Mul(x, g.number(180 / np.pi, x.dtype))


@aten("logit", "special_logit")
@composed
def logit(g: TorchBuilder, x: Value, *, eps: float | None = None) -> Value:
    one = g.number(1, x.dtype)
    if eps is not None:
        x = g.Min(
            g.Max(x, g.number(eps, x.dtype)),
            g.number(float(1 - np.float32(eps)) if x.dtype == FLOAT32 else 1 - eps, x.dtype),
        )
    return g.Log(g.Div(x, g.Sub(one, x)))


@aten("special_entr")
@composed
def entr(g: TorchBuilder, x: Value) -> Value:
    """-x log(x), 0 of 0, -inf of what is negative."""
    zero = g.number(0, x.dtype)
    value = g.Where(g.Equal(x, zero), zero, g.Neg(g.Mul(x, g.Log(x))))
    return g.Where(g.Less(x, zero), g.number(-np.inf, x.dtype), value)


@aten("special_ndtr")
@composed
def ndtr(g: TorchBuilder, x: Value) -> Value:
    """The normal distribution below x, by erf as torch has it."""
    one = g.number(1, x.dtype)
    erf = kernel(g, "Erf", g.Mul(x, g.number(np.sqrt(0.5), x.dtype)))
    return g.Mul(g.Add(one, erf), g.number(0.5, x.dtype))


@aten("nan_to_num")
def nan_to_num(
    g: TorchBuilder, x: Value, *, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Value:  # fmt: skip
    if not is_floating(x) or x.dtype is None:
        return x
    limits = _limits(x.dtype)
    y = where(g, kernel(g, "IsNaN", x), nan or 0.0, x)
    y = where(g, kernel(g, "Equal", x, g.number(np.inf, x.dtype)), limits[1] if posinf is None else posinf, y)
    return where(g, kernel(g, "Equal", x, g.number(-np.inf, x.dtype)), limits[0] if neginf is None else neginf, y)


def _limits(dtype: np.dtype) -> tuple[float, float]:
    import ml_dtypes

    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return float(info.min), float(info.max)


@aten("signbit")
def signbit(g: TorchBuilder, x: Value) -> Value:
    """Of NaN it is not looked at, which would need the bits of a float."""
    if is_bool(x):
        return filled(g, x, False, np.dtype(np.bool_))
    return _signbit(g, floats(g, x)[0][0]) if is_floating(x) else kernel(g, "Less", x, g.number(0, x.dtype))


def _signbit(g: TorchBuilder, x: Value) -> Value:
    """-0 is told from 0 by what it divides to."""
    return g.Or(g.Less(x, g.number(0, x.dtype)), g.Equal(g.Reciprocal(x), g.number(-np.inf, x.dtype)))


@aten("angle")
@composed
def angle(g: TorchBuilder, x: Value) -> Value:
    zero = g.number(0, x.dtype)
    value = g.Where(g.Less(x, zero), g.number(np.pi, x.dtype), zero)
    return g.Where(g.IsNaN(x), x, value)


# ------------------------------------------------------- the gamma function

# Of Stirling's series: log(gamma(z)) and its derivative by odd and even powers of 1 / z, to 1e-12 from 8 on.
_LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
_DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132)
_SHIFT = 8


@aten("lgamma", "special_gammaln")
def lgamma(g: TorchBuilder, x: Value) -> Value:
    """In float64, because near 1 and 2 large numbers cancel; by reflection below 1/2."""
    dtype, v = g.result_type(x, floating=True), g.cast(x, np.float64)
    one, low, z = _reflected(g, v)
    shift, far = g.Less(z, g.constant(float(_SHIFT))), g.Add(z, g.constant(float(_SHIFT)))
    product = z
    for k in range(1, _SHIFT):
        product = g.Mul(product, g.Add(z, g.constant(float(k))))
    u = g.Where(shift, far, z)
    leading = g.Sub(g.Mul(g.Sub(u, g.constant(0.5)), g.Log(u)), u)
    series = g.Mul(_series(g, u, _LOG_GAMMA), u)
    y = g.Add(g.Add(leading, g.constant(np.log(2 * np.pi) / 2)), series)
    y = g.Sub(y, g.Log(g.Where(shift, product, one)))
    sine = g.Sin(g.Mul(g.Sub(v, g.Floor(v)), g.constant(np.pi)))
    y = g.Where(low, g.Sub(g.Log(g.Div(g.constant(np.pi), sine)), y), y)
    return g.cast(g.Where(g.IsInf(v), g.constant(np.inf), y), dtype)


@aten("digamma", "special_digamma", "special_psi")
def digamma(g: TorchBuilder, x: Value) -> Value:
    """As lgamma; NaN of negative integers, and an infinity of zero."""
    dtype, v = g.result_type(x, floating=True), g.cast(x, np.float64)
    _, low, z = _reflected(g, v)
    u, total = g.Add(z, g.constant(float(_SHIFT))), g.Reciprocal(z)
    for k in range(1, _SHIFT):
        total = g.Add(total, g.Reciprocal(g.Add(z, g.constant(float(k)))))
    y = g.Sub(g.Log(u), g.Div(g.constant(0.5), u))
    y = g.Sub(g.Add(y, _series(g, u, _DIGAMMA)), total)
    part = g.Sub(v, g.Floor(v))
    angle_ = g.Mul(part, g.constant(np.pi))
    reflected = g.Sub(y, g.Mul(g.constant(np.pi), g.Div(g.Cos(angle_), g.Sin(angle_))))
    zero = g.constant(0.0)
    reflected = g.Where(g.Equal(part, zero), g.constant(np.nan), reflected)
    y = g.Where(low, reflected, y)
    return g.cast(g.Where(g.Equal(v, zero), g.Neg(g.Reciprocal(v)), y), dtype)


def _reflected(g: TorchBuilder, v: Value) -> tuple[Value, Value, Value]:
    """1, where `v` is below 1/2, and 1 - v there."""
    one, low = g.constant(1.0), g.Less(v, g.constant(0.5))
    return one, low, g.Where(low, g.Sub(one, v), v)


def _series(g: TorchBuilder, u: Value, coefficients: tuple[float, ...]) -> Value:
    """The sum of coefficients times 1 / u^2, 1 / u^4, ..."""
    square = g.Reciprocal(g.Mul(u, u))
    total = g.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = g.Add(g.Mul(total, square), g.constant(coefficient))
    return g.Mul(total, square)


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
    below, left = _signbit(g, x), _signbit(g, other)
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
        rest = _log1p(g, g.Exp(g.Neg(g.Mul(g.Abs(apart), unit))))
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
    return _times_log(g, x, other, _log1p(g, other))


def _times_log(g: TorchBuilder, x: Value, of: Value, log: Value) -> Value:
    """0 of 0 times any logarithm but that of NaN."""
    zero = g.number(0, x.dtype)
    return g.Where(g.IsNaN(of), of, g.Where(g.Equal(x, zero), zero, g.Mul(x, log)))


@aten("copysign.Tensor", "copysign.Scalar")
@composed
def copysign(g: TorchBuilder, x: Value, other: Value) -> Value:
    size = g.Abs(x)
    return g.Where(_signbit(g, other), g.Neg(size), size)


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
