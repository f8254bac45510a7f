"""Operators on each element, of one input or of inputs that are broadcast."""

from __future__ import annotations

from functools import reduce

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike
from netglot.backends.tflite.context import TFLiteBuilder, cast_options, tflite_op
from netglot.ir.graph import Value

UNARY = {
    "Relu": "RELU", "Sigmoid": "LOGISTIC", "Tanh": "TANH", "Abs": "ABS", "Neg": "NEG", "Exp": "EXP", "Log": "LOG",
    "Sqrt": "SQRT", "Floor": "FLOOR", "Ceil": "CEIL", "Round": "ROUND", "Sign": "SIGN", "Sin": "SIN", "Cos": "COS",
    "Not": "LOGICAL_NOT", "HardSwish": "HARD_SWISH",
}  # fmt: skip

BINARY = {
    "Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV", "Greater": "GREATER", "Less": "LESS", "Equal": "EQUAL",
    "GreaterOrEqual": "GREATER_EQUAL", "LessOrEqual": "LESS_EQUAL", "And": "LOGICAL_AND", "Or": "LOGICAL_OR",
    "Xor": "NOT_EQUAL",
}  # fmt: skip

VARIADIC = {"Sum": "ADD", "Mean": "ADD", "Max": "MAXIMUM", "Min": "MINIMUM"}


def _register_unary(op: str, name: str) -> None:
    @tflite_op(op, layout=alike, open_sizes=True)
    def unary(m: TFLiteBuilder, x: Value, y: Value) -> None:
        in_type(m, name, [m.tensor(x)], y)


def _register_binary(op: str, name: str) -> None:
    @tflite_op(op, layout=alike, open_sizes=True)
    def binary(m: TFLiteBuilder, a: Value, b: Value, y: Value) -> None:
        in_type(m, name, [m.operand(a, y), m.operand(b, y)], y)


def _register_variadic(op: str, name: str) -> None:
    @tflite_op(op, layout=alike, open_sizes=True)
    def variadic(m: TFLiteBuilder, inputs: list[Value], y: Value) -> None:
        """Two at a time; Mean then divides."""
        operands = widened(m, name, [m.operand(x, y) for x in inputs])
        total = reduce(lambda a, b: m.emit(name, a, b), operands[1:], operands[0])
        if op == "Mean":
            total = m.emit("MUL", total, 1.0 / len(operands))
        m.finish(m.cast(total, y.dtype), y)


for _op, _name in UNARY.items():
    _register_unary(_op, _name)
for _op, _name in BINARY.items():
    _register_binary(_op, _name)
for _op, _name in VARIADIC.items():
    _register_variadic(_op, _name)

# What kernels compute instead of element types that they lack, or take for quantised (and abort, or scale).
_WIDER = {"int8": "int32", "uint8": "int32", "int16": "int32", "uint32": "int64"}
_INSTEAD = {("DIV", "int64"): "int32", ("DIV", "uint32"): "int32", ("POW", "int64"): "int32"}


def widened(m: TFLiteBuilder, name: str, operands: list[int]) -> list[int]:
    """The operands in an element type that the operator's kernel has."""
    dtype = m.dtype(operands[0]).name
    wider = _INSTEAD.get((name, dtype)) or _WIDER.get(dtype)
    return [m.cast(x, wider) for x in operands] if wider else operands


def in_type(m: TFLiteBuilder, name: str, operands: list[int], y: Value) -> None:
    """y = the operator, computed in an element type that its kernel has."""
    result = m.emit(name, *widened(m, name, operands), dtype=bool if m.dtype(y) == np.bool_ else None)
    m.finish(m.cast(result, m.dtype(y)), y)


@tflite_op("Identity", open_sizes=True)
def identity(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """The layout pass puts an Identity where a value has to be stored the other way."""
    m.move(m.tensor(x), x.layout, y)


@tflite_op("Dropout", layout=alike, open_sizes=True)
def dropout(
    m: TFLiteBuilder, x: Value, ratio: Value | None, training: Value | None, y: Value, mask: Value | None, *,
    seed: int = 0,
) -> None:  # fmt: skip
    if mask is not None or (training is not None and (training.data is None or training.data.any())):
        raise NotMappedError("it is in training mode, or its mask is an output")
    m.copy(m.tensor(x), y)


@tflite_op("Reciprocal", layout=alike, open_sizes=True)
def reciprocal(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("DIV", [m.number(1.0, x), x], [y])


@tflite_op("Pow", layout=alike, open_sizes=True)
def power(m: TFLiteBuilder, a: Value, b: Value, y: Value) -> None:
    known = float(b.data.flat[0]) if b.data is not None and b.data.size == 1 else None
    shortcut = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}.get(known) if known is not None else None
    if shortcut and m.shape(a) == m.shape(y) and a.dtype == np.float32:
        m.op(shortcut, [a], [y])
    elif known is not None:
        in_type(m, "POW", [m.operand(a, y), m.number(known, a)], y)
    else:
        in_type(m, "POW", [m.operand(a, y), m.cast(m.operand(b, y), m.dtype(a))], y)


@tflite_op("Mod", layout=alike, open_sizes=True)
def modulo(m: TFLiteBuilder, a: Value, b: Value, y: Value, *, fmod: int) -> None:
    """With fmod the result has the sign of the dividend (C), otherwise of the divisor (Python, TFLite)."""
    x, divisor = m.operand(a, y), m.operand(b, y)
    if not fmod:
        in_type(m, "FLOOR_MOD", [x, divisor], y)
    elif a.dtype == np.float32:
        m.op("MUL", [m.emit("FLOOR_MOD", m.emit("ABS", x), m.emit("ABS", divisor)), m.emit("SIGN", x)], [y])
    else:
        raise NotMappedError(f"fmod of {a.dtype}")


@tflite_op("Where", layout=alike, open_sizes=True)
def where(m: TFLiteBuilder, condition: Value, a: Value, b: Value, y: Value) -> None:
    m.op("SELECT_V2", [m.operand(value, y) for value in (condition, a, b)], [y])


@tflite_op("Cast", layout=alike, open_sizes=True)
def cast(m: TFLiteBuilder, x: Value, y: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> None:
    """A number that does not fit is undefined in ONNX; everything but zero is true."""
    if m.dtype(y) == np.bool_ and m.dtype(x) != np.bool_:
        in_type(m, "NOT_EQUAL", [m.tensor(x), m.number(0, x)], y)
    elif m.dtype(x) == m.dtype(y):
        m.copy(m.tensor(x), y)
    else:
        m.op("CAST", [x], [y], cast_options(m.dtype(x), m.dtype(y)))


@tflite_op("Clip", layout=alike, open_sizes=True)
def clip(m: TFLiteBuilder, x: Value, low: Value | None, high: Value | None, y: Value) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 where the limits are theirs, which the operator before can absorb."""
    name = _FUSABLE.get((_number(low), _number(high)))
    if name and x.dtype == np.float32:
        m.op(name, [x], [y])
        return
    given = [(limit, kernel) for limit, kernel in ((low, "MAXIMUM"), (high, "MINIMUM")) if limit is not None]
    value, *limits = widened(m, "CLIP", [m.tensor(x), *(m.tensor(limit) for limit, _ in given)])
    for limit, (_, kernel) in zip(limits, given, strict=True):
        value = m.emit(kernel, value, limit)
    m.finish(m.cast(value, y.dtype), y)


_FUSABLE: dict[tuple[object, object], str] = {(0.0, None): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}


def _number(value: Value | None) -> float | str | None:
    if value is None:
        return None
    return "computed" if value.data is None else float(value.data.flat[0])


@tflite_op("IsNaN", layout=alike, open_sizes=True)
def is_nan(m: TFLiteBuilder, x: Value, y: Value) -> None:
    m.op("NOT_EQUAL", [x, x], [y], tfl.NotEqualOptionsT())
