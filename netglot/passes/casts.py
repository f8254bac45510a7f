"""Cast(Cast(x, to A), to B) -> Cast(x, to B), where A holds every value of x."""

from __future__ import annotations

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.passes.match import leave_out, nodes, producer


def merge_casts(graph: Graph) -> bool:
    """Leaves out a cast in the middle that loses nothing. (A Cast to its own type is remove_identities' work.)"""
    return any([_merge(graph, node) for node in nodes(graph, "Cast")])


def _merge(graph: Graph, node: Node) -> bool:
    inner = producer(graph, node.inputs[0], "Cast")
    x = inner.inputs[0] if inner else None
    if inner is None or x is None or not x.dtype or not inner.output.dtype or not holds(inner.output.dtype, x.dtype):
        return False
    leave_out(graph, inner, node)
    return True


@cache
def holds(wide: np.dtype, narrow: np.dtype) -> bool:
    """Whether every value of `narrow` is exactly one of `wide`."""
    if wide == narrow or narrow == np.bool_:
        return True
    if "" in (_kind(wide), _kind(narrow)):
        return False
    a, b = _limits(wide), _limits(narrow)
    if _kind(wide) == "int":
        return bool(_kind(narrow) == "int" and a.min <= b.min and b.max <= a.max)
    if _kind(narrow) == "int":
        return bool(a.nmant + 1 >= b.bits - (b.min < 0) and float(a.max) >= float(b.max))
    return bool(a.nmant >= b.nmant and a.maxexp >= b.maxexp and a.minexp <= b.minexp)


_FLOATS = ("float16", "bfloat16", "float32", "float64")  # the smaller ones have no infinity


def _limits(dtype: np.dtype) -> Any:
    return (ml_dtypes.iinfo if _kind(dtype) == "int" else ml_dtypes.finfo)(dtype)


def _kind(dtype: np.dtype) -> str:
    if dtype.name in _FLOATS:
        return "float"
    return "int" if dtype.name.startswith(("int", "uint")) else ""
