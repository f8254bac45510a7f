"""What a TensorFlow operator function sees: the graph builder, handles of what is no tensor, `tf_op` to register it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.folding import FoldingBuilder
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape, channels_last, inverse
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function


@dataclass(frozen=True, eq=False)
class Handle:
    """Something that an edge carries and that is no tensor: a variable, a list of tensors, a table.

    `kind` says which; `name` names it in messages; `state` belongs to the operators that made it.
    """

    kind: str
    name: str = ""
    state: Any = None
    dtype: np.dtype | None = None
    shape: Shape | None = None
    extra: dict[str, Any] = field(default_factory=dict)


Edge = Value | Handle  # what flows between operators


def tf_op(*ops: str, handles: bool = False, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for TensorFlow operators.

    Its positional parameters are the operator's inputs (control inputs left out), its keyword-only ones the attributes
    by TensorFlow's own names, decoded: int, float, bool, str for text, np.dtype for a type, a tuple for a list, a Shape
    (None for an unknown size) or None (unknown rank) for a shape, np.ndarray for a tensor, FunctionName for a function.
    An attribute that is a type, or begins with an underscore, may be left out of the signature; any other must be in
    it. Returns what the operator returns: one value, or a tuple. Inputs are Values, unless `handles` says that the
    function knows what to do with a Handle.
    """
    return registry.add("tensorflow", *ops, override=override, handles=handles)


class TFBuilder(FoldingBuilder):
    """A FoldingBuilder that knows the operator it is called for.

    `op_name` is that operator; `bound` are the attributes of the function that is being run; `reader` is the driver,
    which runs functions (`g.reader.call`) and knows the variables.
    """

    def __init__(self, graph: Graph | None = None, reader: Any = None) -> None:
        super().__init__(graph)
        self.reader = reader
        self.op_name = ""
        self.bound: dict[str, Any] = {}
        self.splits: dict[Value, Any] = {}  # by SpaceToBatchND, for the convolution that they surround

    def inner(self, name: str) -> TFBuilder:
        """A builder for a body, which sees what is known out here."""
        inner = TFBuilder(Graph(name), self.reader)
        inner.origin, inner.op_name, inner._contents = self.origin, self.op_name, self._contents
        return inner

    def unsupported(self, what: str, hint: str = "") -> UnsupportedError:
        """The error for a mode of an operator that can't be expressed; all of them are reported together."""
        return UnsupportedError(f"{self.op_name}: {what}", self.origin, hint)

    def to_first(self, x: Value, data_format: str) -> Value:
        """`x` of NHWC, NDHWC or NWC with its channels first; of NCHW... as it is."""
        return x if data_format.startswith("NC") else self.Transpose(x, perm=inverse(channels_last(x.rank)))

    def from_first(self, y: Value, data_format: str) -> Value:
        """The inverse of `to_first`."""
        return y if data_format.startswith("NC") else self.Transpose(y, perm=channels_last(y.rank))

    def axis(self, x: Value, axis: int) -> int:
        """`axis` counted from the front; UnsupportedError where x has no such axis."""
        if not -x.rank <= axis < x.rank:
            raise self.unsupported(f"there is no axis {axis} in a tensor of rank {x.rank}")
        return axis % x.rank
