"""Building graphs: `g.Conv(x, w, strides=(2, 2))` adds a node, infers its type and returns its output.

Operator names are ONNX's, checked against the schema as they are added. Python numbers, lists and arrays become
constants; a float takes the element type of the tensor beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN, infer
from netglot.ir.types import text

MAX_CONSTANT = 1 << 28  # elements of a constant that no file holds: sizes in a file are only claims

Argument = Value | np.ndarray | int | float | bool | Sequence[Any] | None


class Builder:
    """Adds nodes to `graph`; what it adds carries the current `origin` and is named after its layer."""

    def __init__(self, graph: Graph | None = None) -> None:
        self.graph = graph if graph is not None else Graph()
        self.origin = Origin()

    @contextmanager
    def at(self, origin: Origin) -> Iterator[None]:
        """Nodes added inside come from `origin`."""
        before, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = before

    def __getattr__(self, op: str) -> Callable[..., Any]:
        if not op[:1].isupper():
            raise AttributeError(op)
        return lambda *inputs, **attributes: self.op(op, inputs, **attributes)

    def op(
        self,
        op: str,
        inputs: Sequence[Argument],
        *,
        outputs: int = 1,
        domain: str = "",
        name: str = "",
        **attributes: Any,
    ) -> Any:
        """Adds one node. Returns its output Value, or a tuple of them where `outputs` is not 1.

        Attributes that are None are left out. Raises ConversionError if the operator does not accept its inputs.
        """
        values = self._values(inputs)
        given = {key: _freeze(value) for key, value in attributes.items() if value is not None}
        results = infer(op, domain, given, values, outputs, self.origin)
        base = name or (f"{self.origin.layer}/{op}" if self.origin.layer else op)
        outs = [self.graph.add_value(base, dtype, shape) for dtype, shape in results]
        self.graph.add_node(Node(op, values, outs, given, domain=domain, origin=self.origin))
        return outs[0] if outputs == 1 else tuple(outs)

    def extension(self, op: str, inputs: Sequence[Argument], **attributes: Any) -> Any:
        """Adds an operator of the netglot domain (see netglot.ir.extension)."""
        return self.op(op, inputs, domain=DOMAIN, **attributes)

    def constant(self, data: Any, dtype: Any = None, name: str = "") -> Value:
        """A constant; arrays are kept by reference."""
        return self.graph.add_constant(np.asarray(data, dtype), name or f"{self.origin.layer or 'constant'}/constant")

    def affordable(self, *shape: int) -> tuple[int, ...]:
        """`shape`; ConversionError if a constant of it, computed on the way, would be that of no real network."""
        if prod(shape) > MAX_CONSTANT:
            raise ConversionError(f"this would need a constant of {text(shape)} numbers", self.origin)
        return shape

    def warn(self, what: str, hint: str = "") -> None:
        """Notes something the user should know about the layer being read."""
        self.graph.warnings.append(Problem(what, self.origin, hint=hint))

    def _values(self, inputs: Sequence[Argument]) -> list[Value | None]:
        kinds = [value.dtype for value in inputs if isinstance(value, Value)]
        like = next((dtype for dtype in kinds if dtype is not None and dtype.kind not in "iub"), None)
        values = [self._value(argument, like) for argument in inputs]
        while values and values[-1] is None:
            values.pop()
        return values

    def _value(self, argument: Argument, like: np.dtype | None) -> Value | None:
        if argument is None or isinstance(argument, Value):
            return argument
        data = np.asarray(argument)
        if not isinstance(argument, np.ndarray):
            data = data.astype(like or np.float32) if data.dtype.kind == "f" else data
            data = data.astype(np.int64) if data.size == 0 else data
        return self.constant(data)


def _freeze(attribute: Any) -> Any:
    return tuple(attribute) if isinstance(attribute, list) else attribute
