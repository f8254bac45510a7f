"""Operators on each element: the expression in C++, with the operands called a, b, c... and broadcast to the output."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from netglot.backends.cpp import maps
from netglot.backends.cpp.context import CppBuilder, c_type, cpp_op, number
from netglot.backends.sides import alike
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

# Those that runtime/map.h has for float32, under the same names.
FAST_UNARY = {
    "Relu", "Abs", "Neg", "Sigmoid", "Mish", "Softplus", "Softsign", "Reciprocal", "Exp", "Log", "Sqrt", "Erf", "Tanh",
}  # fmt: skip
FAST_BINARY = {"Add", "Sub", "Mul", "Div", "PRelu"}
FAST_FOLDS = {"Sum": "Add", "Max": "Max", "Min": "Min"}

POWERS = {
    1.0: ("Scale{1}", "a"),
    2.0: ("Square{}", "a * a"),
    3.0: ("Cube{}", "a * a * a"),
    -1.0: ("Reciprocal{}", "1 / a"),
    0.5: ("Sqrt{}", "std::sqrt(a)"),
}


def apply(m: CppBuilder, x: Value, y: Value, operation: str, expression: str, *others: Value) -> str:
    """y = expression of x (and others): by the operation of runtime/map.h (`Clip{low, high}`) where that can do it."""
    return maps.unary(m, x, y, operation) or m.elementwise(y, expression, x, *others)


def _unary(op: str, expression: str) -> Callable[[CppBuilder, Value, Value], str]:
    if op in FAST_UNARY:
        return lambda m, x, y: apply(m, x, y, f"{op}{{}}", expression)
    return lambda m, x, y: m.elementwise(y, expression, x)


def _binary(op: str, expression: str) -> Callable[[CppBuilder, Value, Value, Value], str]:
    if op in FAST_BINARY:
        return lambda m, a, b, y: maps.binary(m, a, b, y, op) or m.elementwise(y, expression, a, b)
    return lambda m, a, b, y: m.elementwise(y, expression, a, b)


for _op, _expression in UNARY.items():
    cpp_op(_op, layout=alike, in_place=True)(_unary(_op, _expression))
for _op, _expression in BINARY.items():
    cpp_op(_op, layout=alike, in_place=True)(_binary(_op, _expression))


def _fast_fold(m: CppBuilder, inputs: list[Value], y: Value, operation: str) -> str | None:
    pairs = [*pairwise(inputs[:2]), *((y, x) for x in inputs[2:])]
    texts = [maps.binary(m, a, b, y, operation) for a, b in pairs]
    return "\n  ".join(text for text in texts if text) if texts and all(texts) else None


def _fold(op: str, expression: str) -> Callable[[CppBuilder, list[Value], Value], str]:
    """Operators of any number of inputs: the first two are combined, then y with each of the others."""

    def function(m: CppBuilder, inputs: list[Value], y: Value) -> str:
        fast = _fast_fold(m, inputs, y, FAST_FOLDS[op]) if op in FAST_FOLDS else None
        if fast:
            return fast
        total = "a"
        for letter, _ in zip("bcdefgh", inputs[1:8], strict=False):
            total = expression.format(total, letter)
        lines = [m.elementwise(y, total, *inputs[:8])]
        lines += [m.elementwise(y, expression.format("a", "b"), y, x) for x in inputs[8:]]
        if op == "Mean":
            lines.append(m.elementwise(y, f"a / {len(inputs)}", y))
        return "\n  ".join(lines)

    return function


for _op, _expression in FOLDS.items():
    cpp_op(_op, layout=alike)(_fold(_op, _expression))


@cpp_op("LeakyRelu", layout=alike, in_place=True)
def leaky_relu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    factor = number(alpha, x)
    return apply(m, x, y, f"LeakyRelu{{{factor}}}", f"a < 0 ? {factor} * a : a")


@cpp_op("ThresholdedRelu", layout=alike, in_place=True)
def thresholded_relu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    limit = number(alpha, x)
    return apply(m, x, y, f"ThresholdedRelu{{{limit}}}", f"a > {limit} ? a : 0")


@cpp_op("Elu", layout=alike, in_place=True)
def elu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    factor = number(alpha, x)
    return apply(m, x, y, f"Elu{{{factor}}}", f"a < 0 ? {factor} * std::expm1(a) : a")


@cpp_op("Celu", layout=alike, in_place=True)
def celu(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    factor = number(alpha, x)
    expression = f"a < 0 ? {factor} * std::expm1(a / {factor}) : a"
    return apply(m, x, y, f"Celu{{{factor}, {number(1 / alpha, x)}}}", expression)


@cpp_op("Selu", layout=alike, in_place=True)
def selu(m: CppBuilder, x: Value, y: Value, *, alpha: float, gamma: float) -> str:
    below, factor = number(alpha, x), number(gamma, x)
    return apply(m, x, y, f"Selu{{{below}, {factor}}}", f"{factor} * (a > 0 ? a : {below} * std::expm1(a))")


@cpp_op("HardSigmoid", layout=alike, in_place=True)
def hard_sigmoid(m: CppBuilder, x: Value, y: Value, *, alpha: float, beta: float) -> str:
    slope, offset = number(alpha, x), number(beta, x)
    expression = _clipped(f"a * {slope} + {offset}", number(0, x), number(1, x))
    return apply(m, x, y, f"HardSigmoid{{{slope}, {offset}}}", expression)


@cpp_op("HardSwish", layout=alike, in_place=True)
def hard_swish(m: CppBuilder, x: Value, y: Value) -> str:
    expression = f"a * {_clipped(f'a / 6 + {number(0.5, x)}', number(0, x), number(1, x))}"
    return apply(m, x, y, "HardSwish{}", expression)


@cpp_op("Swish", layout=alike, in_place=True)
def swish(m: CppBuilder, x: Value, y: Value, *, alpha: float) -> str:
    factor = number(alpha, x)
    return apply(m, x, y, f"Swish{{{factor}}}", f"a * netglot::sigmoid({factor} * a)")


@cpp_op("Shrink", layout=alike, in_place=True)
def shrink(m: CppBuilder, x: Value, y: Value, *, bias: float, lambd: float) -> str:
    limit, shift = number(lambd, x), number(bias, x)
    return m.elementwise(y, f"a < -({limit}) ? a + {shift} : a > {limit} ? a - {shift} : 0", x)


@cpp_op("Gelu", layout=alike, in_place=True)
def gelu(m: CppBuilder, x: Value, y: Value, *, approximate: str) -> str:
    half, one = number(0.5, x), number(1, x)
    operation, inner = "Gelu{}", f"std::erf(a * {number(np.sqrt(0.5), x)})"
    if approximate == "tanh":
        operation = "GeluTanh{}"
        inner = f"std::tanh({number(np.sqrt(2 / np.pi), x)} * (a + {number(0.044715, x)} * a * a * a))"
    return apply(m, x, y, operation, f"{half} * a * ({one} + {inner})")


@cpp_op("Clip", layout=alike, in_place=True)
def clip(m: CppBuilder, x: Value, low: Value | None, high: Value | None, y: Value) -> str:
    """min(max(x, low), high), as ONNX defines it also where low > high."""
    limits = [value for value in (low, high) if value is not None]
    expression = "netglot::maximum(a, b)" if low else "a"
    if high:
        expression = f"netglot::minimum({expression}, {'c' if low else 'b'})"
    if maps.is_float(x) and all(limit.is_constant and not np.isnan(limit.array.item()) for limit in limits):
        ends = [number(limit.array.item() if limit else end, x) for limit, end in ((low, -np.inf), (high, np.inf))]
        return apply(m, x, y, f"Clip{{{', '.join(ends)}}}", expression, *limits)
    return m.elementwise(y, expression, x, *limits)


def _clipped(expression: str, low: str, high: str) -> str:
    return f"netglot::minimum(netglot::maximum({expression}, {low}), {high})"


@cpp_op("Pow", layout=alike, in_place=True)
def pow_(m: CppBuilder, x: Value, exponent: Value, y: Value) -> str:
    """The powers that networks use most are products."""
    known = exponent.array.item() if exponent.is_constant and exponent.array.size == 1 else None
    if known in POWERS and x.sizes == y.sizes and x.dtype is not None and x.dtype.kind == "f":
        return apply(m, x, y, *POWERS[known])
    return m.elementwise(y, "netglot::power(a, b)", x, exponent)


@cpp_op("Mod", layout=alike, in_place=True)
def mod(m: CppBuilder, a: Value, b: Value, y: Value, *, fmod: int) -> str:
    return m.elementwise(y, f"netglot::{'remainder' if fmod else 'modulo'}(a, b)", a, b)


@cpp_op("BitShift", layout=alike, in_place=True)
def bit_shift(m: CppBuilder, a: Value, b: Value, y: Value, *, direction: str) -> str:
    """Shifts by the width or more, which C++ leaves undefined, give zero."""
    bits = 8 * y.dtype.itemsize if y.dtype else 8
    return m.elementwise(y, f"b < {bits} ? a {'<<' if direction == 'LEFT' else '>>'} b : 0", a, b)


@cpp_op("IsInf", layout=alike, in_place=True)
def is_inf(m: CppBuilder, x: Value, y: Value, *, detect_negative: int, detect_positive: int) -> str:
    signs = [sign for sign, wanted in (("a < 0", detect_negative), ("a > 0", detect_positive)) if wanted]
    return m.elementwise(y, f"std::isinf(a) && ({' || '.join(signs) or 'false'})", x)


@cpp_op("Where", layout=alike, in_place=True)
def where(m: CppBuilder, condition: Value, a: Value, b: Value, y: Value) -> str:
    return m.elementwise(y, "a ? b : c", condition, a, b)


@cpp_op("Cast", layout=alike, in_place=True)
def cast(m: CppBuilder, x: Value, y: Value, *, to: int) -> str:
    return m.elementwise(y, f"netglot::cast<{c_type(y.dtype)}>(a)", x)


@cpp_op("CastLike", layout=alike, in_place=True)
def cast_like(m: CppBuilder, x: Value, like: Value, y: Value) -> str:
    return m.elementwise(y, f"netglot::cast<{c_type(y.dtype)}>(a)", x)
