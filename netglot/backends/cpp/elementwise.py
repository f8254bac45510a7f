"""Operators on each element: the expression in C++, with the operands called a, b, c... and broadcast to the output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.backends.cpp.context import CppBuilder, c_type, cpp_op, number
from netglot.ir.graph import Value

UNARY = {
    "Relu": "a < 0 ? 0 : a",  # NaN stays NaN
    "Abs": "netglot::absolute(a)",
    "Neg": "-a",
    "Not": "!a",
    "Sigmoid": "netglot::sigmoid(a)",
    "Mish": "a * std::tanh(netglot::softplus(a))",
    "Softplus": "netglot::softplus(a)",
    "Softsign": "a / (1 + std::abs(a))",
    "Reciprocal": "1 / a",
    "Sign": "netglot::sign(a)",
    "Round": "std::nearbyint(a)",
    "BitwiseNot": "~a",
    "IsNaN": "std::isnan(a)",
    **{op: f"std::{op.lower()}(a)" for op in ("Exp", "Log", "Sqrt", "Floor", "Ceil", "Erf", "Sin", "Cos", "Tan", "Sinh",
                                              "Cosh", "Tanh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh")},
}  # fmt: skip

BINARY = {
    "Add": "a + b",
    "Sub": "a - b",
    "Mul": "a * b",
    "Div": "netglot::divide(a, b)",
    "Greater": "a > b",
    "GreaterOrEqual": "a >= b",
    "Less": "a < b",
    "LessOrEqual": "a <= b",
    "Equal": "a == b",
    "And": "a && b",
    "Or": "a || b",
    "Xor": "a != b",
    "BitwiseAnd": "a & b",
    "BitwiseOr": "a | b",
    "BitwiseXor": "a ^ b",
    "PRelu": "a < 0 ? a * b : a",
}

FOLDS = {"Sum": "{} + {}", "Mean": "{} + {}", "Max": "netglot::maximum({}, {})", "Min": "netglot::minimum({}, {})"}


def _unary(expression: str) -> Callable[[CppBuilder, Value, Value], str]:
    return lambda m, x, y: m.elementwise(y, expression, x)


def _binary(expression: str) -> Callable[[CppBuilder, Value, Value, Value], str]:
    return lambda m, a, b, y: m.elementwise(y, expression, a, b)


for _op, _expression in UNARY.items():
    cpp_op(_op, in_place=True)(_unary(_expression))
for _op, _expression in BINARY.items():
    cpp_op(_op, in_place=True)(_binary(_expression))


def _fold(expression: str, scale: bool = False) -> Callable[[CppBuilder, list[Value], Value], str]:
    """Operators of any number of inputs: the first two are combined, then y with each of the others."""

    def function(m: CppBuilder, inputs: list[Value], y: Value) -> str:
        total = "a"
        for letter, _ in zip("bcdefgh", inputs[1:8], strict=False):
            total = expression.format(total, letter)
        lines = [m.elementwise(y, total, *inputs[:8])]
        lines += [m.elementwise(y, expression.format("a", "b"), y, x) for x in inputs[8:]]
        if scale:
            lines.append(m.elementwise(y, f"a / {len(inputs)}", y))
        return "\n  ".join(lines)

    return function


for _op, _expression in FOLDS.items():
    cpp_op(_op)(_fold(_expression, scale=_op == "Mean"))


@cpp_op("LeakyRelu", in_place=True)
def leaky_relu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    return m.elementwise(y, f"a < 0 ? {number(alpha, x)} * a : a", x)


@cpp_op("ThresholdedRelu", in_place=True)
def thresholded_relu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    return m.elementwise(y, f"a > {number(alpha, x)} ? a : 0", x)


@cpp_op("Elu", in_place=True)
def elu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    return m.elementwise(y, f"a < 0 ? {number(alpha, x)} * std::expm1(a) : a", x)


@cpp_op("Celu", in_place=True)
def celu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    factor = number(alpha, x)
    return m.elementwise(y, f"a < 0 ? {factor} * std::expm1(a / {factor}) : a", x)


@cpp_op("Selu", in_place=True)
def selu(m: CppBuilder, x: Value, y: Value, *, alpha: float, gamma: float) -> str:
    return m.elementwise(y, f"{number(gamma, x)} * (a > 0 ? a : {number(alpha, x)} * std::expm1(a))", x)


@cpp_op("HardSigmoid", in_place=True)
def hard_sigmoid(m: CppBuilder, x: Value, y: Value, *, alpha: float, beta: float) -> str:
    return m.elementwise(y, _clipped(f"a * {number(alpha, x)} + {number(beta, x)}", number(0, x), number(1, x)), x)


@cpp_op("HardSwish", in_place=True)
def hard_swish(m: CppBuilder, x: Value, y: Value) -> str:
    return m.elementwise(y, f"a * {_clipped(f'a / 6 + {number(0.5, x)}', number(0, x), number(1, x))}", x)


@cpp_op("Swish", in_place=True)
def swish(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    return m.elementwise(y, f"a * netglot::sigmoid({number(alpha, x)} * a)", x)


@cpp_op("Shrink", in_place=True)
def shrink(m: CppBuilder, x: Value, y: Value, *, bias: float, lambd: float) -> str:
    limit, shift = number(lambd, x), number(bias, x)
    return m.elementwise(y, f"a < -({limit}) ? a + {shift} : a > {limit} ? a - {shift} : 0", x)


@cpp_op("Gelu", in_place=True)
def gelu(m: CppBuilder, x: Value, y: Value, *, approximate: str) -> str:
    half, one = number(0.5, x), number(1, x)
    inner = f"std::erf(a * {number(np.sqrt(0.5), x)})"
    if approximate == "tanh":
        inner = f"std::tanh({number(np.sqrt(2 / np.pi), x)} * (a + {number(0.044715, x)} * a * a * a))"
    return m.elementwise(y, f"{half} * a * ({one} + {inner})", x)


@cpp_op("Clip", in_place=True)
def clip(m: CppBuilder, x: Value, low: Value | None, high: Value | None, y: Value) -> str:
    """min(max(x, low), high), as ONNX defines it also where low > high."""
    limits = [value for value in (low, high) if value is not None]
    expression = "netglot::maximum(a, b)" if low else "a"
    if high:
        expression = f"netglot::minimum({expression}, {'c' if low else 'b'})"
    return m.elementwise(y, expression, x, *limits)


def _clipped(expression: str, low: str, high: str) -> str:
    return f"netglot::minimum(netglot::maximum({expression}, {low}), {high})"


@cpp_op("Pow", in_place=True)
def pow_(m: CppBuilder, x: Value, exponent: Value, y: Value) -> str:
    """The powers that networks use most are products."""
    common = {1.0: "a", 2.0: "a * a", 3.0: "a * a * a", -1.0: "1 / a", 0.5: "std::sqrt(a)"}
    known = exponent.array.item() if exponent.is_constant and exponent.array.size == 1 else None
    if known in common and x.sizes == y.sizes and x.dtype is not None and x.dtype.kind == "f":
        return m.elementwise(y, common[known], x)
    return m.elementwise(y, "netglot::power(a, b)", x, exponent)


@cpp_op("Mod", in_place=True)
def mod(m: CppBuilder, a: Value, b: Value, y: Value, *, fmod: int) -> str:
    return m.elementwise(y, f"netglot::{'remainder' if fmod else 'modulo'}(a, b)", a, b)


@cpp_op("BitShift", in_place=True)
def bit_shift(m: CppBuilder, a: Value, b: Value, y: Value, *, direction: str) -> str:
    """Shifts by the width or more, which C++ leaves undefined, give zero."""
    bits = 8 * y.dtype.itemsize if y.dtype else 8
    return m.elementwise(y, f"b < {bits} ? a {'<<' if direction == 'LEFT' else '>>'} b : 0", a, b)


@cpp_op("IsInf", in_place=True)
def is_inf(m: CppBuilder, x: Value, y: Value, *, detect_negative: int, detect_positive: int) -> str:
    signs = [sign for sign, wanted in (("a < 0", detect_negative), ("a > 0", detect_positive)) if wanted]
    return m.elementwise(y, f"std::isinf(a) && ({' || '.join(signs) or 'false'})", x)


@cpp_op("Where", in_place=True)
def where(m: CppBuilder, condition: Value, a: Value, b: Value, y: Value) -> str:
    return m.elementwise(y, "a ? b : c", condition, a, b)


@cpp_op("Cast", in_place=True)
def cast(m: CppBuilder, x: Value, y: Value, *, to: int) -> str:
    return m.elementwise(y, f"netglot::cast<{c_type(y.dtype)}>(a)", x)


@cpp_op("CastLike", in_place=True)
def cast_like(m: CppBuilder, x: Value, like: Value, y: Value) -> str:
    return m.elementwise(y, f"netglot::cast<{c_type(y.dtype)}>(a)", x)
