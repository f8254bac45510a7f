"""Sizes that a program leaves open, as torch writes them down: text that torch itself evaluates as Python.

It is untrusted. It is parsed here, and only expressions of known functions over names and numbers are accepted.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Any

from netglot.ir.types import Dim

# What sympy and torch.utils._sympy.functions call the arithmetic of sizes.
_FUNCTIONS = {
    "Add", "Mul", "Pow", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "Max", "Min",
    "ModularIndexing", "Where", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv",
    "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity", "Integer", "Float", "Rational",
    "Eq", "Ne", "Gt", "Ge", "Lt", "Le", "And", "Or", "Not", "floor", "ceiling", "Symbol", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "Piecewise", "ExprCondPair", "Tuple", "Abs",
    "IsNonOverlappingAndDenseIndicator", "Max1", "true", "false",
}  # fmt: skip
_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.keyword,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.Load,
)  # fmt: skip
_GROWING = {"Pow", "PowByNatural", "FloatPow", "LShift"}
_DIGITS = re.compile(r"-?\d{1,20}(\.\d{0,40})?(e[+-]?\d{1,3})?")
_LONGEST = 10_000  # characters of an expression
_POWERS = 8  # a power of a power of a power...
_LARGEST = 1 << 63


@lru_cache(maxsize=4096)
def checked(text: str) -> ast.expr:
    """The expression `text`; ValueError if it is anything but arithmetic of sizes."""
    if len(text) > _LONGEST:
        raise ValueError("a size is given by an expression that is too long")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"the size '{text:.80}' is no expression") from None
    nodes = list(ast.walk(tree))
    texts = {id(node.args[0]): _called(node) for node in nodes if isinstance(node, ast.Call) and node.args}
    powers = sum(isinstance(node, ast.Pow) or getattr(node, "id", "") in _GROWING for node in nodes)
    if powers > _POWERS or not all(
        isinstance(node, _NODES) and _is_harmless(node, texts) and not _grows(node) for node in nodes
    ):
        raise ValueError(f"the size '{text:.80}' is no arithmetic")
    return tree.body


def _is_harmless(node: ast.AST, texts: Mapping[int, str]) -> bool:
    """`texts`: whose first argument a node (by identity) is. Text is only a Symbol's name, or the digits of a Float."""
    if isinstance(node, ast.Call):
        return _called(node) in _FUNCTIONS
    if isinstance(node, ast.Name):
        return not node.id.startswith("_")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        of = texts.get(id(node))
        return (of == "Symbol" and node.value.isidentifier()) or (of == "Float" and _is_digits(node.value))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) and abs(node.value) < _LARGEST
    return not isinstance(node, ast.keyword) or isinstance(node.value, ast.Constant)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _grows(node: ast.AST) -> bool:
    """Whether numbers can grow beyond bounds when it is evaluated: a power whose exponent is no small number."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.Pow, ast.LShift)) and not _is_small(node.right)
    return isinstance(node, ast.Call) and _called(node) in _GROWING and not all(map(_is_small, node.args[1:]))


def _is_small(node: ast.expr) -> bool:
    """Whether it is an integer of -4 to 4, plain or as sympy writes it down: Integer(2)."""
    if isinstance(node, ast.Call):
        return _called(node) == "Integer" and len(node.args) == 1 and not node.keywords and _is_small(node.args[0])
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and _is_small(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value <= 4


def _is_digits(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None


def size(item: Mapping[str, Any]) -> Dim:
    """A SymInt of torch's schema: a number, the name of a symbol, or None for an expression of them."""
    if "as_int" in item:
        return int(item["as_int"])
    return name_of(str(item["as_expr"]["expr_str"]))


def name_of(text: str) -> Dim:
    """The name of a symbol, a number, or None for an expression."""
    node = checked(text)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return int(node.value)
    return _symbol(node) or None


def _symbol(node: ast.expr) -> str:
    if (
        isinstance(node, ast.Call)
        and _called(node) == "Symbol"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ):
        return str(node.args[0].value)
    return node.id if isinstance(node, ast.Name) else ""


def evaluated(text: str, sizes: Mapping[str, int]) -> int:
    """What an expression of sizes comes to; ValueError where it has functions that sizes of inputs do not have."""
    return _value(checked(text), sizes)


_OPERATORS: dict[str, Callable[..., int]] = {
    "Add": lambda *terms: sum(terms), "Mul": lambda *factors: prod(factors), "Pow": pow, "Max": max, "Min": min,
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "Integer": int, "Sub": operator.sub, "Mult": operator.mul,
}  # fmt: skip


def _value(node: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    name = _symbol(node)
    if name in sizes:
        return sizes[name]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, sizes)
    parts = [node.left, node.right] if isinstance(node, ast.BinOp) else getattr(node, "args", [])
    kind = (
        type(node.op).__name__ if isinstance(node, ast.BinOp) else _called(node) if isinstance(node, ast.Call) else ""
    )
    if kind not in _OPERATORS:
        raise ValueError(f"the size '{ast.unparse(node):.80}' can't be computed")
    return _OPERATORS[kind](*(_value(part, sizes) for part in parts))
