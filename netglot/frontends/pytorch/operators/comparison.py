"""Comparisons, logic and operators on bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.frontends.pytorch.builder import Operand, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import filled, is_bool, is_floating, kernel
from netglot.ir.graph import Value

# ------------------------------------------------------------------- comparisons

_COMPARISONS: dict[str, tuple[str, ...]] = {
    "Equal": ("eq",), "Less": ("lt", "less"), "LessOrEqual": ("le", "less_equal"),
    "Greater": ("gt", "greater"), "GreaterOrEqual": ("ge", "greater_equal"),
}  # fmt: skip


def _comparison(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value, other: Operand) -> Value:
        return kernel(g, onnx, *g.promoted(x, other))

    return function


for _onnx, _names in _COMPARISONS.items():
    aten(*(f"{name}.{kind}" for name in _names for kind in ("Tensor", "Scalar")))(_comparison(_onnx))


@aten("ne.Tensor", "ne.Scalar", "not_equal.Tensor", "not_equal.Scalar")
def ne(g: TorchBuilder, x: Value, other: Operand) -> Value:
    return g.Not(kernel(g, "Equal", *g.promoted(x, other)))


@aten("equal")
def equal(g: TorchBuilder, x: Value, other: Value) -> Value | bool:
    """Of whole tensors: one bool."""
    pairs = list(zip(x.shape or (), other.shape or (), strict=False))
    if x.rank != other.rank or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
        return False
    if x.shape != other.shape:
        raise g.unsupported("of shapes that may differ when the network runs")
    differs = g.cast(ne(g, x, other), np.int32)
    return g.as_number(g.Equal(g.ReduceSum(differs, keepdims=0), g.constant(0, np.int32)))


@aten("is_nonzero")
def is_nonzero(g: TorchBuilder, x: Value) -> Value:
    return g.as_number(g.Identity(g.view(g.cast(x, np.bool_), [])))


# -------------------------------------------------------------- kinds of floats


@aten("isnan")
def isnan(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "IsNaN", x) if is_floating(x) else _all(g, x, False)


@aten("isinf")
def isinf(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "IsInf", x) if is_floating(x) else _all(g, x, False)


@aten("isfinite")
def isfinite(g: TorchBuilder, x: Value) -> Value:
    if not is_floating(x):
        return _all(g, x, True)
    return kernel(g, "Less", kernel(g, "Abs", x), g.number(np.inf, x.dtype))


@aten("isposinf")
def isposinf(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Equal", x, g.number(np.inf, x.dtype)) if is_floating(x) else _all(g, x, False)


@aten("isneginf")
def isneginf(g: TorchBuilder, x: Value) -> Value:
    return kernel(g, "Equal", x, g.number(-np.inf, x.dtype)) if is_floating(x) else _all(g, x, False)


@aten("isreal")
def isreal(g: TorchBuilder, x: Value) -> Value:
    return _all(g, x, True)


def _all(g: TorchBuilder, x: Value, value: bool) -> Value:
    return filled(g, x, value, np.dtype(np.bool_))


# ------------------------------------------------------------------------ logic


def _logic(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Value, other: Value) -> Value:
        y: Value = g.op(onnx, [g.cast(x, np.bool_), g.cast(other, np.bool_)])
        return y

    return function


for _name, _onnx in {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}.items():
    aten(_name)(_logic(_onnx))


@aten("logical_not")
def logical_not(g: TorchBuilder, x: Value) -> Value:
    return g.Not(g.cast(x, np.bool_))


# ------------------------------------------------------------------------- bits


def _bitwise(onnx: str) -> Callable[..., Value]:
    def function(g: TorchBuilder, x: Operand, other: Operand) -> Value:
        a, b = g.promoted(x, other)
        y: Value = g.op(onnx if is_bool(a) else f"Bitwise{onnx}", [a, b])
        return y

    return function


for _name, _onnx in {"and": "And", "or": "Or", "xor": "Xor"}.items():
    aten(
        *(f"bitwise_{_name}.{kind}" for kind in ("Tensor", "Scalar", "Scalar_Tensor")),
        *(f"__{_name}__.{kind}" for kind in ("Tensor", "Scalar")),
    )(_bitwise(_onnx))


@aten("bitwise_not")
def bitwise_not(g: TorchBuilder, x: Value) -> Value:
    return g.Not(x) if is_bool(x) else g.BitwiseNot(x)


_SHIFTS = ("{}.Tensor", "{}.Tensor_Scalar", "{}.Scalar_Tensor")


@aten(*(name.format("bitwise_left_shift") for name in _SHIFTS), "__lshift__.Tensor", "__lshift__.Scalar")
def left_shift(g: TorchBuilder, x: Operand, other: Operand) -> Value:
    """x 2^other modulo the type; 0 where all bits leave it, or the shift is negative."""
    dtype = g.result_type(x, other)
    a, by = _integers(g, dtype, x, other)
    powers = g.Gather(_powers(g), g.Clip(by, 0, 63))
    leaves = g.Or(g.Less(by, 0), g.GreaterOrEqual(by, 8 * dtype.itemsize))
    return g.cast(g.Where(leaves, 0, g.Mul(a, powers)), dtype)


@aten(*(name.format("bitwise_right_shift") for name in _SHIFTS), "__rshift__.Tensor", "__rshift__.Scalar")
def right_shift(g: TorchBuilder, x: Operand, other: Operand) -> Value:
    """x divided by 2^other, rounded down; only the sign where all bits leave it, or the shift is negative."""
    dtype = g.result_type(x, other)
    a, by = _integers(g, dtype, x, other)
    powers = g.Gather(_powers(g), g.Clip(by, 0, 62))
    shifted = g.Div(g.Sub(a, g.Mod(a, powers)), powers)
    leaves = g.Or(g.Less(by, 0), g.Greater(by, 62))
    sign = g.Where(g.Less(a, 0), -1, g.constant(0, np.int64))
    return g.cast(g.Where(leaves, sign, shifted), dtype)


def _integers(g: TorchBuilder, dtype: np.dtype, *operands: Operand) -> list[Value]:
    if dtype.kind not in "iu" or dtype == np.uint64:
        raise g.unsupported(f"of {dtype}")
    return [g.cast(g.number(operand, dtype), np.int64) for operand in operands]


def _powers(g: TorchBuilder) -> Value:
    return g.constant(np.left_shift(np.int64(1), np.arange(64, dtype=np.int64)))
