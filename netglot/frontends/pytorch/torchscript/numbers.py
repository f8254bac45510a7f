"""What TorchScript itself computes of numbers and truth values, and what it takes for equal.

Semantics: torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.frontends.pytorch.torchscript import conversions as on
from netglot.frontends.pytorch.torchscript.tensors import Tensor
from netglot.frontends.pytorch.torchscript.values import Builtin
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Interpreter


def _number(op: str, known: Callable[..., Any], floating: bool = False) -> Builtin:
    """A function of numbers: known ones by Python, others by the ONNX operator."""

    def compute(run: Interpreter, *args: Any) -> Any:
        if not any(isinstance(arg, Value) for arg in args):
            try:
                return known(*args)
            except (ValueError, ArithmeticError, TypeError) as error:
                raise run.error(f"{op} of {args}: {error}") from None
        return _computed(run, op, args, floating)

    return compute


def _computed(run: Interpreter, op: str, args: Sequence[Any], floating: bool) -> Value:
    g = run.g
    is_float = floating or any(isinstance(arg, float) or (isinstance(arg, Value) and arg.dtype == np.float64)
                               for arg in args)  # fmt: skip
    if op == "?":
        raise run.g.unsupported("of a number that the network computes")
    dtype = np.dtype(np.float64 if is_float else np.int64)
    values = [g.number(arg, dtype) for arg in args]
    if op == "NotEqual":
        return g.Not(g.Equal(*values))
    if op in ("FloorDiv", "Mod"):
        return _floored(run, op, *values)
    return g.op(op, values)


def _floored(run: Interpreter, op: str, a: Value, b: Value) -> Value:
    """Division as Python's, which rounds down."""
    g = run.g
    if a.dtype == np.float64:
        quotient = g.Floor(g.Div(a, b))
        return quotient if op == "FloorDiv" else g.Sub(a, g.Mul(quotient, b))
    if b.is_constant and int(b.array) == 1:
        return a if op == "FloorDiv" else g.constant(np.array(0))
    rest = g.Mod(a, b)
    return rest if op == "Mod" else g.Div(g.Sub(a, rest), b)


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and b > 64:
        raise ValueError("the result does not fit 64 bits")
    return a**b


def _shifted(a: int, b: int) -> int:
    if b > 64:
        raise ValueError("the result does not fit 64 bits")
    return a << b


def logic(op: str, known: Callable[[Any, Any], Any]) -> Builtin:
    """and, or, xor: of truth values, or of the bits of integers."""

    def compute(run: Interpreter, a: Any, b: Any) -> Any:
        if not isinstance(a, Value) and not isinstance(b, Value):
            return known(a, b)
        is_bool = all(isinstance(x, bool) or (isinstance(x, Value) and x.dtype == np.bool_) for x in (a, b))
        if is_bool:
            return run.g.op(op, [run.g.number(x, np.bool_) for x in (a, b)])
        return run.g.op(f"Bitwise{op}", [run.g.number(x, np.int64) for x in (a, b)])

    return compute


def negated(run: Interpreter, a: Any) -> Any:
    """not."""
    return run.g.Not(run.g.cast(a, np.bool_)) if isinstance(a, Value) else not a


def _same(run: Interpreter, a: Any) -> Any:
    return a


def _round(run: Interpreter, op: str, a: Any) -> Any:
    """floor and ceil give integers."""
    if not isinstance(a, Value):
        if not math.isfinite(a):
            raise run.error(f"{op} of {a}")
        return math.floor(a) if op == "Floor" else math.ceil(a)
    return a if a.dtype == np.int64 else run.g.cast(run.g.op(op, [a]), np.int64)


def extreme(op: str, known: Callable[..., Any]) -> Builtin:
    """min and max: of numbers, or of a list of them."""

    def compute(run: Interpreter, *args: Any) -> Any:
        items = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        if (len(args) == 2 and isinstance(args[0], list)) or not items:
            raise run.g.unsupported("min and max of two lists, or of an empty one")
        result = items[0]
        for item in items[1:]:
            result = _number(op, known)(run, result, item)
        return result

    return compute


def equal(run: Interpreter, a: Any, b: Any) -> Any:
    """Lists are equal where all their elements are."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) != len(b):
            return False
        result: Any = True
        for one, other in zip(a, b, strict=True):
            result = logic("And", operator.and_)(run, result, equal(run, one, other))
            if result is False:
                return False
        return result
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        raise run.g.unsupported("lists of tensors are compared")
    return same_value(run, a, b)


def same_value(run: Interpreter, a: Any, b: Any) -> Any:
    """Whether two numbers, texts, truth values are equal."""
    if not isinstance(a, Value) and not isinstance(b, Value):
        return a == b
    if a is None or b is None:
        return False
    if isinstance(a, Value) and isinstance(b, Value) and a is b:
        return True
    return _computed(run, "Equal", [a, b], False)


def unequal(run: Interpreter, a: Any, b: Any) -> Any:
    return negated(run, equal(run, a, b))


FUNCTIONS: dict[str, Builtin] = {
    "add": _number("Add", operator.add), "sub": _number("Sub", operator.sub), "mul": _number("Mul", operator.mul),
    "div": _number("Div", operator.truediv, floating=True), "floordiv": _number("FloorDiv", operator.floordiv),
    "remainder": _number("Mod", operator.mod), "neg": _number("Neg", operator.neg), "pow": _number("Pow", _power),
    "sqrt": _number("Sqrt", math.sqrt, floating=True), "exp": _number("Exp", math.exp, floating=True),
    "log": _number("Log", math.log, floating=True), "abs": _number("Abs", abs), "sin": _number("Sin", math.sin, True),
    "cos": _number("Cos", math.cos, floating=True), "tanh": _number("Tanh", math.tanh, floating=True),
    "log2": _number("?", math.log2), "log10": _number("?", math.log10), "fmod": _number("?", math.fmod),
    "round": _number("?", lambda a: float(round(a))), "isnan": _number("IsNaN", math.isnan, floating=True),
    "isinf": _number("IsInf", math.isinf, floating=True), "gcd": _number("?", math.gcd),
    "eq": same_value, "ne": unequal, "lt": _number("Less", operator.lt), "le": _number("LessOrEqual", operator.le),
    "gt": _number("Greater", operator.gt), "ge": _number("GreaterOrEqual", operator.ge),
    "__and__": logic("And", operator.and_), "__or__": logic("Or", operator.or_), "__not__": negated,
    "__xor__": logic("Xor", operator.xor), "floor": lambda run, a: _round(run, "Floor", a),
    "ceil": lambda run, a: _round(run, "Ceil", a), "min": extreme("Min", min), "max": extreme("Max", max),
    "Int": on.to_int, "Float": on.to_float, "Bool": on.to_bool, "__lshift__": _number("?", _shifted),
    "__rshift__": _number("?", operator.rshift), "trunc": on.to_int,
    "IntImplicit": _same, "FloatImplicit": _same, "ScalarImplicit": _same,
}  # fmt: skip
