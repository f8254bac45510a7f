"""What an MXNet operator function sees: the graph builder, and `mxnet_op` to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.folding import FoldingBuilder
from netglot.frontends.mxnet.symbol import Layer
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Dim, text
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

WRONG_FILE = "Is this the .params file that belongs to this symbol.json?"
LEARNED = {"weight", "bias", "gamma", "beta", "moving_mean", "moving_var", "parameters"}  # inputs that are trained


def mxnet_op(
    *ops: str, outputs: Sequence[str] = (), labels: Sequence[str] = (), override: bool = False
) -> Callable[[Function], Function]:
    """Registers a function for MXNet operators.

    Its positional parameters are the operator's inputs by MXNet's names, `*data` for operators of any number of them
    (the attribute num_args is then checked and left out); its keyword-only ones are the attributes with MXNet's own
    names and defaults, read from text by their annotations (see netglot.frontends.mxnet.attributes). Returns what
    the operator returns: one value, or a tuple where it has several outputs, of which the last may be left out if
    they can't be expressed.

    outputs: what MXNet calls the outputs where it has names for them ("output", "mean", "var"); the others are
    "output", or "output0", "output1"... labels: inputs that only the training reads; they arrive as None.
    """
    return registry.add("mxnet", *ops, override=override, outputs=tuple(outputs), labels=frozenset(labels))


class MXNetBuilder(FoldingBuilder):
    """A FoldingBuilder that knows the node it is called for.

    `layer` is that node; `read` says which of its outputs are read. `version` is the MXNet version that wrote the file
    (10901 is 1.9.1, 800 is unknown and old), `np_shape` whether shapes are NumPy's there. `reader` runs the bodies of
    control flow (`g.reader.body`). `placeholders` lets weights be missing; `no_weights` says why they would be,
    `missing` which are.
    """

    def __init__(self, graph: Graph | None = None, reader: Any = None, *, placeholders: bool = False) -> None:
        super().__init__(graph)
        self.reader, self.placeholders = reader, placeholders
        self.layer = Layer("", "", (), {}, {}, Origin())
        self.read: frozenset[int] = frozenset({0})
        self.version = 0
        self.np_shape = False
        self.no_weights = WRONG_FILE
        self.missing: set[Value] = set()

    def inner(self, name: str) -> MXNetBuilder:
        """A builder for a body, which sees what is known out here."""
        inner = MXNetBuilder(Graph(name), self.reader, placeholders=self.placeholders)
        inner.origin, inner.layer, inner.version, inner._contents = (
            self.origin,
            self.layer,
            self.version,
            self._contents,
        )
        inner.np_shape = self.np_shape
        inner.no_weights, inner.missing = self.no_weights, self.missing
        return inner

    def parameter(self, value: Value, *shape: Dim) -> Value:
        """The learned input `value`, which must have `shape` (None: any size). ConversionError if it is missing or has
        another one.

        With `placeholders` a missing one becomes zeros that take no memory.
        """
        if value in self.missing:
            return self._missing(value, shape)
        found = value.shape
        if found is not None and (len(found) != len(shape) or any(map(_differ, found, shape))):
            what = f"the parameter '{value.name}' is {text(found)}, {self.layer.op} expects {text(shape)}"
            raise ConversionError(what, self.origin, WRONG_FILE)
        return value

    def _missing(self, value: Value, shape: Sequence[Dim]) -> Value:
        sizes = tuple(dim for dim in shape if isinstance(dim, int))
        if not self.placeholders or len(sizes) < len(shape):
            what = f"{self.layer.op} needs the parameter '{value.name}' ({text(shape)}), which is not there"
            raise ConversionError(what, self.origin, self.no_weights)
        value.data = np.broadcast_to(np.zeros((), value.dtype), sizes)
        value.shape = sizes
        self.missing.remove(value)
        return value

    def unsupported(self, what: str, hint: str = "") -> UnsupportedError:
        """The error for a mode of an operator that can't be expressed; all of them are reported together."""
        return UnsupportedError(f"{self.layer.op}: {what}", self.origin, hint)

    def axis(self, x: Value, axis: int) -> int:
        """`axis` counted from the front; ConversionError where x has no such axis."""
        if not -x.rank <= axis < x.rank:
            raise ConversionError(f"there is no axis {axis} in {text(x.shape)}", self.origin)
        return axis % x.rank


def _differ(found: Dim, wanted: Dim) -> bool:
    return isinstance(found, int) and isinstance(wanted, int) and found != wanted
