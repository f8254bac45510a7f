"""What an upgrade function sees: the graph builder, and `onnx_op` to register it.

A function holds for an operator as it was before the pinned opset: its signature is the old schema (positional
parameters are inputs, keyword-only ones attributes with the old defaults) and it builds the pinned form. Operators that
carry over as they are (see netglot.ir.versions) need none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from netglot.errors import Problem, UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.registry import Function, registry

FOREVER = 2**31


def onnx_op(*ops: str, since: int = 1, until: int = FOREVER, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for ONNX operators as they were from opset `since` until (without) `until`.

    An operator of another domain is written `com.microsoft.Name`.
    """
    return registry.add("onnx", *ops, since=since, override=override, until=until)


class OnnxBuilder(Builder):
    """A Builder that also knows the file's node: its operator and how many outputs it has."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.operator, self.outputs = "", 1

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """This mode of the operator has no form at the pinned opset."""
        raise UnsupportedError(Problem(what, self.origin, hint=hint))
