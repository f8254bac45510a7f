"""What the texts of a generated folder are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from netglot.backends.cpp.arena import ALIGNMENT, lower_bound
from netglot.backends.cpp.context import CppBuilder, Statement
from netglot.backends.cpp.literals import c_type
from netglot.backends.cpp.names import comment, file_name, identifier
from netglot.ir.graph import Graph, Value

LEVELS = 3  # how often the layers are compiled on x86-64: runtime/isa.h


@dataclass(frozen=True)
class Member:
    """One input or output of the model as the header declares it."""

    member: str
    type: str
    value: Value
    file: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.sizes

    @property
    def numpy(self) -> str:
        return np.dtype(self.value.dtype).newbyteorder("<").str

    @property
    def bytes(self) -> int:
        return prod(self.shape) * np.dtype(self.value.dtype).itemsize


@dataclass(frozen=True)
class Sealed:
    """What opens encrypted weights, besides the key."""

    nonce: bytes
    tag: bytes


@dataclass(frozen=True)
class Model:
    """All that the texts are made of. `plan`: where each buffer and each constant lies, in units of 64 bytes."""

    namespace: str
    title: str
    inputs: Sequence[Member]
    outputs: Sequence[Member]
    statements: Sequence[Statement]
    places: Mapping[int, int]  # id of a Buffer -> index of the plan
    plan: Sequence[int]
    parameters: int
    weights: int  # bytes
    arena: int
    arena_bound: int
    threads: int
    digest: bytes = bytes(32)
    sealed: Sealed | None = None
    packed: int | None = None  # bytes of the weights as entropy.py has coded them; None: as they are
    groups: Sequence[Sequence[int]] = ()  # of statements that make one function; by default, each has its own

    @classmethod
    def of(
        cls, graph: Graph, m: CppBuilder, arena: int, offsets: Sequence[int], weights: int,
        scales: Mapping[Value, tuple[float, int]],
    ) -> Model:  # fmt: skip
        """`offsets`: of the constants, in bytes. `scales`: of inputs and outputs (scale_of)."""
        name, buffers = identifier(graph.name, "model"), m.buffers()
        namespace = name[0].upper() + name[1:]  # `random`, `time` and the like are functions of the C library
        places = {id(buffer): len(offsets) + i for i, buffer in enumerate(buffers)}
        plan = [at // ALIGNMENT for at in (*offsets, *(buffer.offset for buffer in buffers))] or [0]
        return cls(
            namespace, comment(graph.name), _members(m.inputs, scales), _members(m.outputs, scales), m.statements,
            places, plan, sum(array.size for array in m.constants), weights, max(arena, ALIGNMENT),
            lower_bound(buffers), m.threads,
        )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The beginning of the names of C functions and of the weights."""
        return self.namespace.lower()

    @property
    def memory(self) -> str:
        """What a model needs in all, as the header says it."""
        return "arena_bytes" if self.weights_are_in_place else "arena_bytes + weight_bytes"

    @property
    def weights_are_in_place(self) -> bool:
        """Whether layers read the weights where they lie in the program."""
        return self.sealed is None and self.packed is None

    @property
    def stored(self) -> int:
        """Bytes of the weights in the program."""
        return self.weights if self.packed is None else self.packed

    def plan_bytes(self) -> bytes:
        """The plan as the digest sees it."""
        return np.asarray(self.plan, "<u4").tobytes()


def _members(members: Mapping[Value, str], scales: Mapping[Value, tuple[float, int]]) -> list[Member]:
    taken: dict[str, int] = {}
    files = [_unique(file_name(value.name), taken) for value in members]
    pairs = zip(members.items(), files, strict=True)
    return [Member(name, c_type(value.dtype), value, file, *scales[value]) for (value, name), file in pairs]


def _unique(name: str, taken: dict[str, int]) -> str:
    """Distinct also where file names do not tell small letters from capitals."""
    key = name.lower()
    taken[key] = taken.get(key, 0) + 1
    return name if taken[key] == 1 else _unique(f"{name}_{taken[key]}", taken)


def scale_of(graph: Graph, value: Value) -> tuple[float, int]:
    """Scale and zero point of an input that is only dequantised, or of an output that was just quantised; else 0, 0."""
    maker, readers = graph.producer(value), graph.consumers(value)
    node = maker if maker is not None else readers[0] if len(readers) == 1 else None
    if node is None or node.op != ("QuantizeLinear" if maker else "DequantizeLinear"):
        return 0.0, 0
    scale, zero = node.input(1), node.input(2)
    known = [x for x in (scale, zero) if x is not None]
    if any(not x.is_constant or prod(x.sizes) != 1 for x in known) or scale is None:
        return 0.0, 0
    return float(scale.array.item()), int(zero.array.item()) if zero is not None else 0
