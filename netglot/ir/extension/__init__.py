"""Operators of the `netglot` domain: what ONNX has no operator for and what targets have a kernel for.

Each is declared by one class: its schema is read from `run`, the NumPy reference (positional parameters are inputs,
keyword-only ones attributes), `infer` gives the outputs' types, and `expand` writes it with ONNX operators, for
runtimes that know only those. Keep this list short: what can be composed from ONNX operators is composed, only passes
of a target make the fused and the integer ones, and only compression those of stored weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from onnx import defs, helper

from netglot.ir.extension.compressed import Palette, Sparse
from netglot.ir.extension.detection import BoxNms
from netglot.ir.extension.fused import FusedConv, FusedMatMul
from netglot.ir.extension.integer import (
    IntegerAdd,
    IntegerAveragePool,
    IntegerConv,
    IntegerMatMul,
    IntegerMean,
    IntegerMul,
    Lookup8,
)
from netglot.ir.graph import Value
from netglot.ir.schema import DOMAIN, Result

_CLASSES = (
    BoxNms, FusedConv, FusedMatMul, IntegerAdd, IntegerAveragePool, IntegerConv, IntegerMatMul, IntegerMean, IntegerMul,
    Lookup8, Palette, Sparse,
)  # fmt: skip

_TENSORS = [f"tensor({kind})" for kind in ("float16", "float", "double", "int8", "uint8", "int32", "int64")]

OPERATORS: Mapping[str, Any] = {one.__name__: one for one in _CLASSES}


@cache
def schema(op: str) -> defs.OpSchema | None:
    """An ONNX schema made from the signature of the operator's `run`, or None if there is no such operator."""
    if op not in OPERATORS:
        return None
    parameters = inspect.signature(OPERATORS[op].run).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    names = [*(p.name for p in positional), *OPERATORS[op].outputs]
    return defs.OpSchema(
        op, DOMAIN, 1, OPERATORS[op].__doc__,
        inputs=[_formal(p.name, optional=p.default is not p.empty) for p in positional],
        outputs=[_formal(name, optional=False) for name in OPERATORS[op].outputs],
        type_constraints=[(f"T_{name}", _TENSORS, "") for name in names],
        attributes=[_attribute(p) for p in parameters if p.kind is p.KEYWORD_ONLY],
    )  # fmt: skip


def _formal(name: str, *, optional: bool) -> defs.OpSchema.FormalParameter:
    """Any tensor; what an operator asks of it is in its docstring."""
    options = defs.OpSchema.FormalParameterOption
    option = options.Optional if optional else options.Single
    return defs.OpSchema.FormalParameter(name, f"T_{name}", param_option=option)


def _attribute(parameter: inspect.Parameter) -> defs.OpSchema.Attribute:
    kinds = defs.OpSchema.AttrType
    by_annotation = {"int": kinds.INT, "float": kinds.FLOAT, "str": kinds.STRING}
    kind = by_annotation.get(str(parameter.annotation), kinds.INTS)
    if parameter.default is parameter.empty or parameter.default is None:
        return defs.OpSchema.Attribute(parameter.name, kind, required=parameter.default is parameter.empty)
    return defs.OpSchema.Attribute(parameter.name, helper.make_attribute(parameter.name, parameter.default))


def infer(op: str, attributes: Mapping[str, Any], inputs: Sequence[Value | None]) -> list[Result]:
    return list(OPERATORS[op].infer(inputs, **attributes))
