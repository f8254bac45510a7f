"""Which constants are weights, and w -> Palette(indices, codebook) or Sparse(mask, values), where that is smaller.

Both are exact: what is stored is the same tensor, bit by bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Graph, Node, Value

FORMS = ("Palette", "Sparse")
OVERHEAD = 256  # bytes that a form costs in a file besides its data: operators, names, shapes

# Which inputs of an operator are its weights.
_PLACES = {"Conv": (1,), "ConvTranspose": (1,), "GRU": (1, 2), "Gather": (0,), "Gemm": (0, 1), "LSTM": (1, 2),
           "MatMul": (0, 1), "RNN": (1, 2)}  # fmt: skip


class Weight(NamedTuple):
    """A constant, the graph that holds it, and the first node that reads it as weights."""

    graph: Graph
    value: Value
    reader: Node


def weights(graph: Graph) -> list[Weight]:
    """The floating-point constants that layers read as weights, those of bodies too, each once."""
    found: dict[Value, Weight] = {}
    for weight in _weights((graph,)):
        found.setdefault(weight.value, weight)
    return list(found.values())


def _weights(around: tuple[Graph, ...]) -> Iterator[Weight]:
    """Of the last of `around`, which lies in the others: a body may read what belongs to one of these."""
    for node in around[-1].nodes():
        for value in _read_as_weights(node):
            owner = next(graph for graph in around if value.name in graph and graph[value.name] is value)
            yield Weight(owner, value, node)
        for body in node.subgraphs():
            yield from _weights((*around, body))


def _read_as_weights(node: Node) -> Iterator[Value]:
    for i in () if node.domain else _PLACES.get(node.op, ()):
        value = node.input(i)
        if value is not None and value.data is not None and value.data.dtype.kind == "f":
            yield value


def store_smaller(graph: Graph, forms: Collection[str] = FORMS) -> bool:
    """Stores every weight in the smallest of `forms`, where that is smaller than the tensor itself."""
    return any([store(weight, forms) for weight in weights(graph)])


def store(weight: Weight, forms: Collection[str] = FORMS) -> bool:
    """Stores one weight in the smallest of `forms`; False where it stays dense."""
    graph, value, _ = weight
    if value in graph.outputs:
        return False
    parts = [(op, found) for op in forms if (found := _parts(op, value.array)) is not None]
    op, arrays = min(parts, key=lambda item: _bytes(item[1]), default=("", ()))
    if not arrays or _bytes(arrays) + OVERHEAD >= value.array.nbytes:
        return False
    _replace(graph, value, op, arrays)
    return True


def _parts(op: str, array: np.ndarray) -> tuple[np.ndarray, ...] | None:
    return palette_of(array) if op == "Palette" else sparse_of(array)


def _bytes(arrays: tuple[np.ndarray, ...]) -> int:
    return sum(array.nbytes for array in arrays)


def _replace(graph: Graph, value: Value, op: str, arrays: tuple[np.ndarray, ...]) -> None:
    """The result takes the name of the dense constant."""
    g, name = Builder(graph), value.name
    inputs = [g.constant(part, name=f"{name}/{what}") for part, what in zip(arrays, _NAMES[op], strict=True)]
    dense = g.extension(op, inputs, shape=value.array.shape if op == "Sparse" else None)
    graph.replace_uses(value, dense)
    graph.remove_value(value)
    graph.rename(dense, name)


_NAMES = {"Palette": ("indices", "codebook"), "Sparse": ("mask", "values")}
