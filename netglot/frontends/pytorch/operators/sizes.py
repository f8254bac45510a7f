"""Arithmetic of sizes, which the program carries as Python numbers.

A number that is known stays one; one that the network computes is a scalar: int64, float64 or bool, as Python's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Number, Operand, Size, TorchBuilder, aten, torch_op
from netglot.ir.graph import Value


def settled(g: TorchBuilder, y: Value) -> Operand:
    """`y` as a Python number where it is known by now."""
    known = g.contents(y)
    if known is not None and len(known) == 1 and isinstance(known[0], int):
        return known[0]
    if y.is_constant:
        number: Number = y.array.item()
        return number
    return g.as_number(y)


def _numbers(g: TorchBuilder, *operands: Operand, floating: bool = False) -> list[Value]:
    """The operands as scalars of one type: float64 if one of them is a float, otherwise int64."""
    floats = floating or any(_is_float(operand) for operand in operands)
    return [g.number(operand, np.float64 if floats else np.int64) for operand in operands]


def _is_float(operand: Operand) -> bool:
    if isinstance(operand, Value):
        return operand.dtype is not None and operand.dtype.kind == "f"
    return isinstance(operand, float)


def _is_known(*operands: Operand) -> bool:
    return not any(isinstance(operand, Value) for operand in operands)


# ------------------------------------------------------------------- arithmetic


def _binary(python: Callable[..., Any], onnx: str, *, floating: bool = False) -> Callable[..., Operand]:
    def function(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
        if _is_known(a, b):
            number: Number = python(a, b)
            return number
        return settled(g, g.op(onnx, _numbers(g, a, b, floating=floating)))

    return function


for _target, _python, _onnx in (
    ("_operator.add", operator.add, "Add"), ("_operator.sub", operator.sub, "Sub"),
    ("_operator.mul", operator.mul, "Mul"),
    ("_operator.eq", operator.eq, "Equal"), ("_operator.lt", operator.lt, "Less"),
    ("_operator.le", operator.le, "LessOrEqual"), ("_operator.gt", operator.gt, "Greater"),
    ("_operator.ge", operator.ge, "GreaterOrEqual"), ("torch.sym_max", max, "Max"), ("torch.sym_min", min, "Min"),
):  # fmt: skip
    torch_op(_target)(_binary(_python, _onnx))
torch_op("_operator.truediv")(_binary(operator.truediv, "Div", floating=True))


@torch_op("_operator.ne")
def ne(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
    return a != b if _is_known(a, b) else settled(g, g.Not(g.Equal(*_numbers(g, a, b))))


@torch_op("_operator.floordiv")
def floordiv(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
    """Python's, which rounds down."""
    if _is_known(a, b):
        return operator.floordiv(a, b)
    if not isinstance(b, Value) and b == 1 and not _is_float(a):
        return a
    x, y = _numbers(g, a, b)
    return settled(g, g.Div(g.Sub(x, _mod(g, x, y)), y))


@torch_op("_operator.mod")
def mod(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
    return operator.mod(a, b) if _is_known(a, b) else settled(g, _mod(g, *_numbers(g, a, b)))


def _mod(g: TorchBuilder, a: Value, b: Value) -> Value:
    """Of the sign of `b`; ONNX has that for integers alone."""
    if a.dtype == np.int64:
        return g.Mod(a, b)
    return g.Sub(a, g.Mul(g.Floor(g.Div(a, b)), b))


@torch_op("_operator.pow")
def pow_(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
    """torch's symbols take only powers that are natural numbers, or floats."""
    if _is_known(a, b):
        return operator.pow(a, b)
    return settled(g, g.Pow(*_numbers(g, a, b)))


@torch_op("_operator.lshift")
def lshift(g: TorchBuilder, a: Size, b: Size) -> Operand:
    if isinstance(a, int) and isinstance(b, int):
        return a << b
    return settled(g, g.Mul(g.number(a, np.int64), _power_of_two(g, b)))


@torch_op("_operator.rshift")
def rshift(g: TorchBuilder, a: Size, b: Size) -> Operand:
    if isinstance(a, int) and isinstance(b, int):
        return a >> b
    return floordiv(g, a, _power_of_two(g, b))


def _power_of_two(g: TorchBuilder, exponent: Size) -> Value:
    if isinstance(exponent, int):
        return g.constant(1 << exponent, np.int64)
    value: Value = g.Pow(g.constant(2, np.int64), exponent)
    return value


@torch_op("_operator.neg")
def neg(g: TorchBuilder, a: Operand) -> Operand:
    return settled(g, g.Neg(a)) if isinstance(a, Value) else -a


@torch_op("torch._sym_sqrt")
def sqrt(g: TorchBuilder, a: Operand) -> Operand:
    return settled(g, g.Sqrt(g.cast(a, np.float64))) if isinstance(a, Value) else math.sqrt(a)


@torch_op("torch.sym_float")
def to_float(g: TorchBuilder, a: Operand) -> Operand:
    return settled(g, g.cast(a, np.float64)) if isinstance(a, Value) else float(a)


@torch_op("math.trunc")
def trunc(g: TorchBuilder, x: Operand) -> Operand:
    """Towards zero, as int(x)."""
    return settled(g, g.cast(x, np.int64)) if isinstance(x, Value) else int(x)


# ------------------------------------------------------------------------ logic


def _logic(python: Callable[..., Any], onnx: str) -> Callable[..., Operand]:
    def function(g: TorchBuilder, a: Operand, b: Operand) -> Operand:
        if _is_known(a, b):
            number: Number = python(a, b)
            return number
        if any(operand.dtype != np.bool_ for operand in (a, b) if isinstance(operand, Value)):
            raise g.unsupported("of the bits of sizes")
        return settled(g, g.op(onnx, [g.number(a, np.bool_), g.number(b, np.bool_)]))

    return function


torch_op("_operator.and_")(_logic(operator.and_, "And"))
torch_op("_operator.or_")(_logic(operator.or_, "Or"))


@torch_op("torch.sym_not")
def not_(g: TorchBuilder, a: Operand) -> Operand:
    return settled(g, g.Not(g.cast(a, np.bool_))) if isinstance(a, Value) else not a


@torch_op("torch.sym_ite")
def ite(g: TorchBuilder, b: Operand, t: Operand, f: Operand) -> Operand:
    if not isinstance(b, Value):
        return t if b else f
    return settled(g, g.Where(b, *_numbers(g, t, f)))


# ------------------------------------------------------------- sizes of tensors


@aten("sym_size.int")
def sym_size(g: TorchBuilder, x: Value, *, dim: int) -> Size:
    return g.size(x, dim)


@aten("sym_numel")
def sym_numel(g: TorchBuilder, x: Value) -> Size:
    return g.as_size(g.Size(x))


@aten("sym_stride.int")
def sym_stride(g: TorchBuilder, x: Value, *, dim: int) -> Operand:
    """As if the tensor lay in the memory row by row, which it does in every target."""
    if not x.rank:
        raise g.unsupported("of a tensor without axes")
    after = x.shape[g.axis(dim, x.rank) + 1 :] if x.shape is not None else ()
    if all(isinstance(size, int) for size in after):
        return math.prod(size for size in after if isinstance(size, int))
    axis = g.axis(dim, x.rank)
    return settled(g, g.ReduceProd(g.Shape(x, start=axis + 1), keepdims=0))


@aten("sym_storage_offset")
def sym_storage_offset(g: TorchBuilder, x: Value) -> int:
    return 0


@aten("item", "_local_scalar_dense")
def item(g: TorchBuilder, x: Value) -> Operand:
    """The one element of a tensor, as a Python number."""
    kind = {"b": np.bool_, "i": np.int64, "u": np.int64}.get(x.dtype.kind if x.dtype else "", np.float64)
    return settled(g, g.Identity(g.view(g.cast(x, kind), [])))
