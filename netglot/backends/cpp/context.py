"""What a C++ operator function sees: names for tensors, constants and scratch memory, and the texts they go into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.backends.cpp.arena import Buffer
from netglot.backends.cpp.literals import c_type, literal
from netglot.backends.cpp.memory import Memory
from netglot.backends.cpp.names import Names
from netglot.backends.cpp.nest import Ints, Walk, broadcast, nest, strides
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Graph, Node, Value
from netglot.registry import Operator, registry

if TYPE_CHECKING:
    from netglot.registry import Function

_LETTERS = "abcdefgh"
_TAKEN = ("inputs", "outputs", "arena", "at", "weights", "Inputs", "Outputs", "Tensor", "Model")


def cpp_op(
    *ops: str, in_place: bool = False, view: bool = False, override: bool = False
) -> Callable[[Function], Function]:
    """Registers a function for ONNX operators: it returns the C++ statements that compute the node.

    `in_place`: every element of every input of the output's size is read for the last time before the output's element
    at the same place is written, so the output may take the memory of such an input. `view`: the output is the first
    input under another shape, so it needs neither memory nor code (the function is called only where a copy can't be
    avoided).
    """
    return registry.add("cpp", *ops, override=override, in_place=in_place, view=view)


@dataclass
class Local:
    """A pointer into the arena that a statement declares."""

    name: str
    type: str
    buffer: Buffer


@dataclass
class Statement:
    """The code of one node, or of a copy to an output (then without a node)."""

    node: Node | None
    text: str
    locals: list[Local] = field(default_factory=list)


class CppBuilder:
    """One model while it is written: its statements, the constants they read, and the memory they need."""

    def __init__(self, graph: Graph) -> None:
        self.memory = Memory(graph)
        self.statements: list[Statement] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs = _members(graph.inputs, "input")
        self.outputs = _members(graph.outputs, "output")
        self._names = {value: f"outputs.{name}" for value, name in self.outputs.items() if not value.is_constant}
        self._names |= {value: f"inputs.{name}" for value, name in self.inputs.items()}
        self._locals, self._tables = Names(*_TAKEN), Names()
        self._node: Node
        self._declared: list[Local] = []

    # ------------------------------------------------------------------- nodes

    def add(self, operator: Operator, node: Node, arguments: list[Any], attributes: Mapping[str, Any]) -> None:
        """Writes one node: called by the driver, in the order of graph.nodes()."""
        for value in (*node.inputs, *node.outputs):
            if value is not None and value.layout is not None:
                raise NotMappedError(f"'{value.name}' is stored in an order of its own")
        self._node, self._declared = node, []
        if self.memory.is_view(node):
            self.statements.append(Statement(node, ""))
            return
        for value in node.outputs:
            if value in self.memory.buffers:
                self._names[value] = self._declare(value.name, value.dtype, self.memory.buffers[value])
        text = operator.function(self, *arguments, **attributes)
        self.statements.append(Statement(node, text, self._declared))

    def _declare(self, name: str, dtype: np.dtype | None, buffer: Buffer) -> str:
        local = Local(self._locals.add(name, "value"), c_type(dtype), buffer)
        self._declared.append(local)
        return local.name

    def copy_outputs(self) -> None:
        """Fills the outputs of the graph that are its inputs or constants, which no node writes."""
        for value, name in self.outputs.items():
            if value.is_constant or value in self.inputs:
                y = Walk(f"{c_type(value.dtype)}& y", f"outputs.{name}", strides(value.sizes))
                self.statements.append(Statement(None, nest(value.sizes, [y, self.read(value, "a")], "y = a;")))

    def buffers(self) -> list[Buffer]:
        """All memory that the arena has to hold (a buffer that is taken over counts once)."""
        scratch = [local.buffer for statement in self.statements for local in statement.locals]
        return list({id(buffer): buffer for buffer in (*self.memory.buffers.values(), *scratch)}.values())

    # ------------------------------------------------------------------- texts

    def ref(self, value: Value) -> str:
        """A pointer to the first element of `value`."""
        root = self.memory.root(value)
        if root not in self._names:
            self._names[root] = self.table(root.array, root.name)
        return self._names[root]

    def kind(self, value: Value) -> str:
        """The C++ type of the elements of `value`."""
        return c_type(value.dtype)

    def optional(self, value: Value | None) -> str:
        return "nullptr" if value is None else self.ref(value)

    def table(self, array: np.ndarray, name: str) -> str:
        """A constant array of the model."""
        c_type(array.dtype)
        key = self._tables.add(name, "weights")
        self.constants[key] = array
        return f"weights::{key}"

    def scratch(self, dtype: np.dtype | None, count: int) -> str:
        """Memory that only this node uses, for `count` elements."""
        size = count * (dtype.itemsize if dtype else 0)
        return self._declare("scratch", dtype, self.memory.scratch(self._node, size))

    # ------------------------------------------------------------------- walks

    def read(
        self, value: Value, name: str, shape: Sequence[int] | None = None, steps: Ints | None = None, *,
        by_address: bool = False,
    ) -> Walk:  # fmt: skip
        """`value`, broadcast to `shape` (default: its own) or at `steps`. `by_address`: the body takes &name."""
        steps = broadcast(value.sizes, shape if shape is not None else value.sizes) if steps is None else steps
        kind = c_type(value.dtype)
        return Walk(f"const {kind}& {name}" if by_address else f"{kind} {name}", self.ref(value), steps)

    def write(self, value: Value, steps: Ints | None = None, name: str = "y") -> Walk:
        """`value` as what the body assigns to."""
        return Walk(f"{c_type(value.dtype)}& {name}", self.ref(value), strides(value.sizes) if steps is None else steps)

    def along(self, array: np.ndarray, name: str, axis: int, rank: int, count: int = 1) -> Walk:
        """A table with `count` numbers for each index of one axis of the nest."""
        steps = tuple(count if i == axis else 0 for i in range(rank))
        return Walk(f"const {c_type(array.dtype)}& {name}", self.table(array, "table"), steps)

    def copy(self, x: Value, y: Value) -> str:
        """y = x, element by element in order; the shapes may differ."""
        count, kind = prod(x.sizes), self.kind(x)
        return nest([count], [Walk(f"{kind}& y", self.ref(y), (1,)), Walk(f"{kind} a", self.ref(x), (1,))], "y = a;")

    def elementwise(self, y: Value, expression: str, *operands: Value) -> str:
        """y = expression of the operands, which are called a, b, c... and broadcast to y."""
        walks, constants = [self.write(y)], ""
        for letter, value in zip(_LETTERS, operands, strict=False):
            if value.is_constant and prod(value.sizes) == 1:
                constants += f"constexpr {c_type(value.dtype)} {letter} = {literal(value.array.item(), value.dtype)}; "
            else:
                walks.append(self.read(value, letter, y.sizes))
        return nest(y.sizes, walks, f"{constants}y = {expression};")


def _members(values: Iterable[Value], default: str) -> dict[Value, str]:
    names = Names()
    return {value: names.add(value.name, default) for value in dict.fromkeys(values)}


def number(value: float, like: Value) -> str:
    """`value` as a literal of the element type of `like`."""
    return literal(value, like.dtype)


__all__ = ["CppBuilder", "Local", "Statement", "c_type", "cpp_op", "number"]
