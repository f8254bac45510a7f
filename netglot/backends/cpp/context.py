"""What a C++ operator function sees: names for tensors, constants and scratch memory, and the texts they go into."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from netglot.backends.cpp.arena import Buffer
from netglot.backends.cpp.literals import c_type, literal
from netglot.backends.cpp.memory import Memory
from netglot.backends.cpp.names import Names
from netglot.backends.cpp.nest import Ints, Walk, broadcast, nest, steps_of, strides
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.layout import Ends, Side
from netglot.registry import Operator, registry

if TYPE_CHECKING:
    from netglot.registry import Function

_LETTERS = "abcdefgh"
_TAKEN = ("run", "parallel", "netglot", "Run", "Inputs", "Outputs", "Tensor", "Model")


def cpp_op(
    *ops: str, layout: Ends | Callable[[Node], Ends] = Side.FIRST, in_place: bool | tuple[int, ...] = False,
    view: bool = False, override: bool = False,
) -> Callable[[Function], Function]:  # fmt: skip
    """Registers a function for ONNX operators: it returns the C++ statements that compute the node.

    `layout`: how the function wants its images stored; one that takes whatever suits its neighbours (Side.FREE) walks
    them by m.read and m.write, or looks at `Value.layout`. `in_place`: every element of every input of the output's
    size (or of the inputs of these indices) is read for the last time before the output's element at the same place is
    written, so the output may take the memory of such an input. `view`: the output is the first input under another
    shape, so it needs neither memory nor code (the function is called only where a copy can't be avoided).
    """
    return registry.add("cpp", *ops, override=override, layout=layout, in_place=in_place, view=view)


@dataclass(frozen=True)
class Local:
    """A pointer into the arena (to `place`, a Buffer) or into the weights (to `place`, an index of constants)."""

    name: str
    type: str
    place: Buffer | int


@dataclass
class Statement:
    """The code of one node, or of a copy to an output (then without a node)."""

    node: Node | None
    text: str
    locals: list[Local]


class CppBuilder:
    """One model while it is written: its statements, the constants they read, and the memory they need.

    `threads`: how many tasks of a layer may run at once, each with scratch memory of its own. `exact`: whether sums may
    not be rearranged (no Winograd convolutions). `quantize`: as what the weights of large layers are stored; None is
    float32. `has_halves`: whether the source has weights of float16, which are then stored so where that is exact.
    `compress`: whether the constants will be coded (entropy.py): none should be stored in a form that takes more then.
    `scales`: with which weights of the source may be integers (packing.to_exact_bytes).
    """

    def __init__(
        self, graph: Graph, threads: int = 1, exact: bool = False, quantize: Literal["fp16", "int8"] | None = None,
        has_halves: bool = False, compress: bool = False, scales: Sequence[np.ndarray] = (),
    ) -> None:  # fmt: skip
        self.threads, self.exact, self.quantize, self.has_halves = threads, exact, quantize, has_halves
        self.compress, self.scales = compress, scales
        self.memory = Memory(graph)
        self.statements: list[Statement] = []
        self.constants: list[np.ndarray] = []
        self.inputs = _members(graph.inputs, "input")
        self.outputs = _members(graph.outputs, "output")
        self._elsewhere = {value: f"run.outputs.{name}" for value, name in self.outputs.items()}
        self._elsewhere = {value: text for value, text in self._elsewhere.items() if not value.is_constant}
        self._elsewhere |= {value: f"run.inputs.{name}" for value, name in self.inputs.items()}
        self._places: dict[Value, Local] = {}
        self._tables: dict[str, Local] = {}
        self._names = Names(*_TAKEN)
        self._node: Node
        self._used: dict[str, Local] = {}

    # ------------------------------------------------------------------- nodes

    def add(self, operator: Operator, node: Node, arguments: list[Any], attributes: Mapping[str, Any]) -> None:
        """Writes one node: called by the driver, in the order of graph.nodes()."""
        self._node = node
        if self.memory.is_view(node):
            self._finish(node, "")
        else:
            self._finish(node, operator.function(self, *arguments, **attributes))

    def _finish(self, node: Node | None, text: str) -> None:
        self.statements.append(Statement(node, text, list(self._used.values())))
        self._used = {}

    def copy_outputs(self) -> None:
        """Fills the outputs of the graph that are its inputs or constants, which no node writes."""
        for value, name in self.outputs.items():
            if value.is_constant or value in self.inputs:
                y = Walk(f"{c_type(value.dtype)}& y", f"run.outputs.{name}", strides(value.sizes))
                self._finish(None, nest(value.sizes, [y, self.read(value, "a")], "y = a;"))

    def buffers(self) -> list[Buffer]:
        """All memory that the arena has to hold (a buffer that is taken over counts once)."""
        scratch = [local.place for statement in self.statements for local in statement.locals]
        every = (*self.memory.buffers.values(), *(place for place in scratch if isinstance(place, Buffer)))
        return list({id(buffer): buffer for buffer in every}.values())

    # ------------------------------------------------------------------- texts

    def ref(self, value: Value) -> str:
        """A pointer to the first element of `value`."""
        root = self.memory.root(value)
        if root in self._elsewhere:
            return self._elsewhere[root]
        if root not in self._places:
            name = self._names.add(root.name, "value")
            is_computed = root in self.memory.buffers
            place = self.memory.buffers[root] if is_computed else self._constant(physical(root))
            self._places[root] = Local(name, c_type(root.dtype), place)
        return self._use(self._places[root])

    def _use(self, local: Local) -> str:
        self._used[local.name] = local
        return local.name

    def _constant(self, array: np.ndarray) -> int:
        c_type(array.dtype)
        self.constants.append(array)
        return len(self.constants) - 1

    def kind(self, value: Value) -> str:
        """The C++ type of the elements of `value`."""
        return c_type(value.dtype)

    def optional(self, value: Value | None) -> str:
        return "nullptr" if value is None else self.ref(value)

    def table(self, array: np.ndarray, name: str) -> str:
        """A pointer to a constant array of the model, in C order, aligned to 64 bytes; equal arrays are kept once."""
        array = np.ascontiguousarray(array)
        key = hashlib.sha256(array.data).hexdigest() + array.dtype.str
        if key not in self._tables:
            self._tables[key] = Local(self._names.add(name, "table"), c_type(array.dtype), self._constant(array))
        return self._use(self._tables[key])

    def scratch(self, dtype: np.dtype | None, count: int, *, per_worker: bool = False) -> str:
        """Memory that only this node uses, for `count` elements (for each worker)."""
        size = count * (dtype.itemsize if dtype else 0) * (self.threads if per_worker else 1)
        return self._use(Local(self._names.add("scratch", ""), c_type(dtype), self.memory.scratch(self._node, size)))

    # ------------------------------------------------------------------- walks

    def read(
        self, value: Value, name: str, shape: Sequence[int] | None = None, steps: Ints | None = None, *,
        by_address: bool = False,
    ) -> Walk:  # fmt: skip
        """`value`, broadcast to `shape` (default: its own) or at `steps`. `by_address`: the body takes &name."""
        if steps is None:
            steps = broadcast(value.sizes, shape if shape is not None else value.sizes, steps_of(value))
        kind = c_type(value.dtype)
        return Walk(f"const {kind}& {name}" if by_address else f"{kind} {name}", self.ref(value), steps)

    def write(self, value: Value, steps: Ints | None = None, name: str = "y") -> Walk:
        """`value` as what the body assigns to."""
        return Walk(f"{c_type(value.dtype)}& {name}", self.ref(value), steps_of(value) if steps is None else steps)

    def along(self, array: np.ndarray, name: str, axis: int, rank: int, count: int = 1) -> Walk:
        """A table with `count` numbers for each index of one axis of the nest."""
        steps = tuple(count if i == axis else 0 for i in range(rank))
        return Walk(f"const {c_type(array.dtype)}& {name}", self.table(array, "table"), steps)

    def copy(self, x: Value, y: Value) -> str:
        """y = x, element by element in memory; the shapes may differ."""
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


def physical(value: Value) -> np.ndarray:
    """The elements of a constant in the order in which it is stored."""
    return value.array if value.layout is None else value.array.transpose(value.layout)


def _members(values: Iterable[Value], default: str) -> dict[Value, str]:
    names = Names()
    return {value: names.add(value.name, default) for value in dict.fromkeys(values)}


def number(value: float, like: Value) -> str:
    """`value` as a literal of the element type of `like`."""
    return literal(value, like.dtype)


__all__ = ["CppBuilder", "Local", "Side", "Statement", "c_type", "cpp_op", "number", "steps_of"]
