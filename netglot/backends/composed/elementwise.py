"""Operators on each element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.ir.graph import Node, Value
from netglot.ir.types import to_onnx


def polynomial(g: Composer, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme; the coefficients begin with that of the highest power."""
    result: Value = g.Mul(x, float(coefficients[0]))
    for coefficient in coefficients[1:-1]:
        result = g.Mul(g.Add(result, float(coefficient)), x)
    return g.Add(result, float(coefficients[-1]))


_ATANH = [1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0]  # of atanh(x) / x in powers of x^2


def _near_zero(g: Composer, x: Value) -> Value:
    """atanh(x) to float32's precision for |x| < 0.2, where a logarithm of about 1 would lose it."""
    return g.Mul(x, polynomial(g, g.Mul(x, x), _ATANH))


def log1p(g: Composer, x: Value) -> Value:
    """log(1 + x), near zero as 2 atanh(x / (2 + x))."""
    small = g.Mul(_near_zero(g, g.Div(x, g.Add(x, 2.0))), 2.0)
    return g.Where(g.Less(g.Abs(x), 0.3), small, g.Log(g.Add(x, 1.0)))


@composition("Atanh", open_sizes=True)
def atanh(g: Composer, x: Value) -> Value:
    far = g.Mul(g.Log(g.Div(g.Add(x, 1.0), g.Sub(g.constant(1, x.dtype), x))), 0.5)
    return g.Where(g.Less(g.Abs(x), 0.2), _near_zero(g, x), far)


@composition("Asinh", open_sizes=True)
def asinh(g: Composer, x: Value) -> Value:
    """sign(x) log1p(|x| + x^2 / (1 + sqrt(x^2 + 1))), divided through by |x|, so that no square overflows."""
    size = g.Abs(x)
    inverse = g.Reciprocal(g.Max(size, g.constant(1e-30, x.dtype)))
    root = g.Sqrt(g.Add(g.Mul(inverse, inverse), 1.0))
    return g.Mul(g.Sign(x), log1p(g, g.Add(size, g.Div(size, g.Add(inverse, root)))))


@composition("Acosh", open_sizes=True)
def acosh(g: Composer, x: Value) -> Value:
    """log1p(t + sqrt(t (t + 2))) of t = x - 1, whose product would overflow."""
    t = g.Sub(x, 1.0)
    return log1p(g, g.Add(t, g.Mul(g.Sqrt(t), g.Sqrt(g.Add(t, 2.0)))))


@composition("IsInf")
def is_inf(g: Composer, x: Value, *, detect_negative: int, detect_positive: int) -> Value:
    if detect_negative and detect_positive:
        return g.Equal(g.Abs(x), np.array(np.inf, x.dtype))
    if not detect_negative and not detect_positive:
        return g.constant(np.zeros(x.sizes, bool))
    return g.Equal(x, np.array(np.inf if detect_positive else -np.inf, x.dtype))


@composition("CastLike", open_sizes=True)
def cast_like(g: Composer, x: Value, like: Value, *, saturate: int = 1) -> Value:
    assert like.dtype is not None
    return g.Cast(x, to=to_onnx(like.dtype))


def _is_remainder_of_integers(node: Node) -> bool:
    return bool(node.attributes.get("fmod")) and node.output.dtype is not None and node.output.dtype.kind in "iu"


@composition("Mod", instead={"tflite": _is_remainder_of_integers})
def fmod(g: Composer, a: Value, b: Value, *, fmod: int) -> Value:
    """The remainder of the sizes, with the sign of the dividend."""
    if a.dtype is not None and a.dtype.kind == "u":
        return g.Mod(a, b)
    zero = np.array(0, a.dtype)
    divisor = g.Where(g.Less(b, zero), g.Neg(b), b)
    negative = g.Less(a, zero)
    rest = g.Mod(g.Where(negative, g.Neg(a), a), divisor)
    return g.Where(negative, g.Neg(rest), rest)
