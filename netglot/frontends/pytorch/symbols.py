"""Sizes that a program leaves open, as torch writes them down: text that torch itself evaluates as Python.

It is untrusted. It is parsed here, and only expressions of known functions over names and numbers are accepted.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
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
_LONGEST = 10_000  # characters of an expression


@lru_cache(maxsize=4096)
def checked(text: str) -> ast.expr:
    """The expression `text`; ValueError if it is anything but arithmetic of sizes."""
    if len(text) > _LONGEST:
        raise ValueError("a size is given by an expression that is too long")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"the size '{text:.80}' is no expression") from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or not _is_harmless(node):
            raise ValueError(f"the size '{text:.80}' is no arithmetic")
    return tree.body


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and _strings_belong(node)
    if isinstance(node, ast.Name):
        return not node.id.startswith("_")
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, bool)) or (isinstance(node.value, str) and node.value.isidentifier())
    return not isinstance(node, ast.keyword) or isinstance(node.value, ast.Constant)


def _strings_belong(node: ast.Call) -> bool:
    """Text is only the name of a Symbol, or the digits of a Float."""
    has_text = any(isinstance(arg, ast.Constant) and isinstance(arg.value, str) for arg in node.args)
    return not has_text or getattr(node.func, "id", "") == "Symbol"


def size(item: Mapping[str, Any]) -> Dim:
    """A SymInt of torch's schema: a number, the name of a symbol, or None for an expression of them."""
    if "as_int" in item:
        return int(item["as_int"])
    return name_of(str(item["as_expr"]["expr_str"]))


def name_of(text: str) -> Dim:
    node = checked(text)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Symbol" and node.args:
        first = node.args[0]
        return str(first.value) if isinstance(first, ast.Constant) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return int(node.value)
    return None
