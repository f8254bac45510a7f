"""Operators of single elements in every type that torch has them in.

torch computes anything in any type; ONNX Runtime has kernels for some. Where one is missing the operator is computed
in a wider type and cast back, which for integers is exact (modulo the narrow type), and for half floats is what torch
does itself. What is composed of several operators is computed in float32 where the result is a half, as torch does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import ml_dtypes
import numpy as np

from netglot.frontends.pytorch.builder import Operand, Size, TorchBuilder
from netglot.ir.graph import Value

FLOAT32 = np.dtype(np.float32)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = (np.dtype(np.float16), BFLOAT16)

_FLOATS = frozenset({"float16", "float32", "float64"})
_SINGLE = frozenset({"float16", "float32"})
_INTEGERS = frozenset({"uint8", "int8", "uint16", "int16", "int32", "int64", "uint32", "uint64"})
_SOME = _FLOATS | {"uint8", "int8", "int32", "int64"}
# What ONNX Runtime's kernels on the CPU take; an operator that is not here has them all.
_KERNELS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos", "Tanh", "Floor", "Ceil", "Round", "Sigmoid", "Softmax",
         "LogSoftmax"), _FLOATS,
    ),
    **dict.fromkeys(
        ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Erf", "LeakyRelu", "Elu", "Selu",
         "Gelu", "Softplus", "Softsign", "HardSigmoid", "HardSwish", "Mish", "PRelu"), _SINGLE,
    ),
    **dict.fromkeys(("IsNaN", "IsInf"), _FLOATS),
    **dict.fromkeys(
        ("Conv", "ConvTranspose", "AveragePool", "GlobalAveragePool", "InstanceNormalization", "GroupNormalization"),
        _SINGLE,
    ),
    **dict.fromkeys(("BatchNormalization", "GridSample"), _FLOATS),
    "MaxPool": _FLOATS | {"int8", "uint8"},
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Mod", "Abs", "Sign"), _FLOATS | _INTEGERS),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), _FLOATS | _INTEGERS),
    "Equal": _FLOATS | _INTEGERS | {"bool"},
    **dict.fromkeys(("Max", "Min", "Where", "Clip", "ReduceMax"), _SOME),
    "Pow": _FLOATS | {"int32", "int64"},
    "Neg": _FLOATS | {"int8", "int16", "int32", "int64"},
    "Relu": _FLOATS | {"int8", "int32"},
    "Celu": frozenset({"float32"}),
}  # fmt: skip
_WIDER = {
    "bool": "int32", "int8": "int32", "uint8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64",
    "float16": "float32", "bfloat16": "float32", "float64": "float32",
}  # fmt: skip


def kernel(g: TorchBuilder, op: str, *inputs: Value | None, **attributes: Any) -> Value:
    """Adds `op` on inputs of one type (that of the second one, where there is one), in a type that has a kernel.

    float64 where there is none but for float32 loses digits, and the user is told.
    """
    like = next(x for x in (*inputs[1:], *inputs) if x is not None)
    dtype = like.dtype
    assert dtype is not None
    computed = _supported(op, dtype)
    if computed == dtype:
        y: Value = g.op(op, inputs, **attributes)
        return y
    if dtype == np.float64:
        g.warn(f"{g.target} of float64 is computed in float32: ONNX Runtime has no {op} of float64")
    y = g.op(op, [x if x is None or x.dtype != dtype else g.cast(x, computed) for x in inputs], **attributes)
    return g.cast(y, dtype) if y.dtype == computed else y


def _supported(op: str, dtype: np.dtype) -> np.dtype:
    """`dtype`, or the next wider type that `op` has a kernel for; `dtype` where there is none."""
    known = _KERNELS.get(op)
    wider = dtype
    while known is not None and wider.name not in known:
        if wider.name not in _WIDER:
            return dtype
        wider = np.dtype(_WIDER[wider.name])
    return wider


def elementwise(g: TorchBuilder, op: str, *operands: Operand, floating: bool = False, **attributes: Any) -> Value:
    """`op` on the operands in the type that torch promotes them to.

    A number beside a tensor of halves is not rounded to a half by torch, so where it is not one, float32 it is.
    """
    dtype = g.result_type(*operands, floating=floating)
    if dtype not in HALVES or all(_holds(dtype, operand) for operand in operands):
        return kernel(g, op, *(g.number(operand, dtype) for operand in operands), **attributes)
    y = kernel(g, op, *(g.number(operand, FLOAT32) for operand in operands), **attributes)
    return g.cast(y, dtype) if y.dtype == FLOAT32 else y


def _holds(dtype: np.dtype, operand: Operand) -> bool:
    return isinstance(operand, Value) or float(np.array(operand).astype(dtype)) == operand


def floats(g: TorchBuilder, *operands: Operand) -> tuple[list[Value], np.dtype]:
    """The operands as the floats that torch computes in, and the type of the result."""
    dtype = g.result_type(*operands, floating=True)
    computed = FLOAT32 if dtype in HALVES else dtype
    return [g.number(operand, computed) for operand in operands], dtype


def composed(function: Callable[..., Value]) -> Callable[..., Value]:
    """Decorator: `function` gets floats, float32 in the place of halves; its result is cast to torch's type."""

    @wraps(function)
    def wrapped(g: TorchBuilder, *operands: Operand, **options: Any) -> Value:
        values, dtype = floats(g, *operands)
        return g.cast(function(g, *values, **options), dtype)

    return wrapped


def where(g: TorchBuilder, condition: Value, a: Operand, b: Operand) -> Value:
    """`a` where `condition`, otherwise `b`; a number takes the type of the other, of which one is a tensor."""
    like = next(operand.dtype for operand in (a, b) if isinstance(operand, Value))
    if like == np.bool_:
        return g.cast(g.Where(condition, g.number(a, np.uint8), g.number(b, np.uint8)), like)
    return kernel(g, "Where", condition, g.number(a, like), g.number(b, like))


def filled(g: TorchBuilder, sizes: Sequence[Size] | Value, value: Operand, dtype: np.dtype) -> Value:
    """A tensor of one number; `sizes`, or what has them."""
    shape = g.Shape(sizes) if isinstance(sizes, Value) else g.shape(sizes)
    number = g.number(value, dtype)
    return g.cast(g.Expand(g.cast(number, FLOAT32) if dtype == BFLOAT16 else number, shape), dtype)


def is_floating(x: Value) -> bool:
    """Whether `x` holds floats; NumPy itself does not count bfloat16 among them."""
    return x.dtype is not None and (x.dtype.kind == "f" or x.dtype in HALVES)


def is_bool(x: Value) -> bool:
    return x.dtype is not None and x.dtype.kind == "b"
