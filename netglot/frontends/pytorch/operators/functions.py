"""Functions of one element.

Semantics: torch's kernels on the CPU (aten/src/ATen/native/BinaryOps.cpp, UnaryOps.cpp and their cpu/ folder).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder, aten
from netglot.frontends.pytorch.numeric import (
    FLOAT32,
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
    return log_plus_one(g, x)


def log_plus_one(g: TorchBuilder, x: Value) -> Value:
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
    log = log_plus_one(g, g.Neg(g.Mul(size, size)))
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
    return is_negative(g, floats(g, x)[0][0]) if is_floating(x) else kernel(g, "Less", x, g.number(0, x.dtype))


def is_negative(g: TorchBuilder, x: Value) -> Value:
    """Whether x is below 0, or -0, which is told from 0 by what it divides to."""
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
