"""The op table: one row (op, inputs, attributes, tolerance) drives the tests of every frontend and backend that has it.

ONNX Runtime is the oracle of what an operator of the IR computes. Rows live in this package, a module per family.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.passes.bodies import type_bodies


@dataclass(frozen=True)
class In:
    """An input that is fed: its shape, type and range of values."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -2.0
    high: float = 2.0


def const(shape: Sequence[int], low: float = -1.0, high: float = 1.0, seed: int = 0) -> np.ndarray:
    """Random float32 weights."""
    return np.random.default_rng(seed).uniform(low, high, tuple(shape)).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclass(frozen=True)
class Row:
    """One test of one operator. An In is fed, an array is a constant, None leaves an optional input out."""

    op: str
    inputs: tuple[In | np.ndarray | None, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    outputs: int = 1
    rtol: float = 1e-5  # of the output's largest value
    domain: str = ""

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}" if self.name else self.op

    def graph(self) -> Graph:
        """The one-node graph. Inputs are x0, x1...; outputs y0, y1..."""
        g = Builder(Graph(self.op))
        arguments = [self._argument(g, i, item) for i, item in enumerate(self.inputs)]
        attributes = {name: self._attribute(item, arguments) for name, item in self.attributes.items()}
        result = g.op(self.op, arguments, outputs=self.outputs, domain=self.domain, **attributes)
        g.graph.outputs = list(result) if isinstance(result, tuple) else [result]
        type_bodies(g.graph)  # a Builder does not infer what control flow gives
        for i, value in enumerate(g.graph.outputs):
            g.graph.rename(value, f"y{i}")
        return g.graph

    @staticmethod
    def _attribute(item: Any, arguments: list[Any]) -> Any:
        """A body is a function of the node's arguments, which it may read as outer values."""
        return item(*arguments) if callable(item) else item

    @staticmethod
    def _argument(g: Builder, index: int, item: In | np.ndarray | None) -> Any:
        if isinstance(item, In):
            return g.graph.add_input(f"x{index}", np.dtype(item.dtype), item.shape)
        return None if item is None else g.constant(item, name=f"c{index}")

    def feed(self) -> dict[str, np.ndarray]:
        """Reproducible random values for the inputs."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        return {f"x{i}": random(rng, item) for i, item in enumerate(self.inputs) if isinstance(item, In)}


def random(rng: np.random.Generator, item: In) -> np.ndarray:
    dtype = np.dtype(item.dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, item.shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(int(item.low), int(item.high) + 1, item.shape).astype(dtype)
    return rng.uniform(item.low, item.high, item.shape).astype(dtype)


IMAGE = In((2, 6, 7, 9))  # unequal odd sizes, so that a transposition can't hide


def all_rows() -> list[Row]:
    from tests.ops import composed, detection, elementwise, linear, recurrent, reduction, shape, spatial

    modules = (spatial, linear, elementwise, reduction, shape, detection, recurrent, composed)
    rows = [row for module in modules for row in module.ROWS]
    ids = [row.id for row in rows]
    assert len(ids) == len(set(ids)), "two rows of one name"
    return rows
