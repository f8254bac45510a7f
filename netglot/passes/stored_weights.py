"""Which constants are weights, and w -> Palette(indices, codebook) or Sparse(mask, values), where that is smaller.

Both are exact: what is stored is the same tensor, bit by bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Graph, Node, Value

Forms = Mapping[str, int]  # which a target has, and the bytes each costs besides its data: operators, names, shapes
FORMS: Forms = {"Palette": 256, "Sparse": 256}

# Which inputs of an operator are its weights.
_PLACES = {"Conv": (1,), "ConvTranspose": (1,), "GRU": (1, 2), "Gather": (0,), "Gemm": (0, 1), "LSTM": (1, 2),
           "MatMul": (0, 1), "RNN": (1, 2)}  # fmt: skip


class Weight(NamedTuple):
    """A tensor, the graph that holds it, and the first node that reads it as weights."""

    graph: Graph
    value: Value
    reader: Node


def weights(graph: Graph) -> list[Weight]:
    """The floating-point constants that layers read as weights, those of bodies too, each once."""
    return [found for found in _operands(graph) if found.value.data is not None and found.value.data.dtype.kind == "f"]


def stored(graph: Graph, *ops: str) -> list[Weight]:
    """What layers read as weights that one of `ops` makes of constants."""
    return [found for found in _operands(graph) if _is_made_of_constants(found.graph.producer(found.value), ops)]


def _is_made_of_constants(node: Node | None, ops: Collection[str]) -> bool:
    return node is not None and node.op in ops and all(value is None or value.is_constant for value in node.inputs)


def _operands(graph: Graph) -> list[Weight]:
    """What stands where an operator has its weights, constant or not, each once."""
    found: dict[Value, Weight] = {}
    for weight in _in_place((graph,)):
        found.setdefault(weight.value, weight)
    return list(found.values())


def _in_place(around: tuple[Graph, ...]) -> Iterator[Weight]:
    """Of the last of `around`, which lies in the others: a body may read what belongs to one of these."""
    for node in around[-1].nodes():
        for value in _read_as_weights(node):
            owner = next(graph for graph in around if value.name in graph and graph[value.name] is value)
            yield Weight(owner, value, node)
        for body in node.subgraphs():
            yield from _in_place((*around, body))


def _read_as_weights(node: Node) -> Iterator[Value]:
    places = () if node.domain else _PLACES.get(node.op, ())
    return (value for i in places if (value := node.input(i)) is not None)


def store_smaller(graph: Graph, forms: Forms = FORMS) -> bool:
    """Stores every weight in the smallest of `forms`, where that is smaller than the tensor itself."""
    return any([store(weight, forms) for weight in weights(graph)])


def store(weight: Weight, forms: Forms = FORMS) -> bool:
    """Stores one weight in the smallest of `forms`; False where it stays dense."""
    graph, value, _ = weight
    if value in graph.outputs:
        return False
    parts = [(op, found) for op in forms if (found := _parts(op, value.array)) is not None]
    sizes = [forms[op] + sum(array.nbytes for array in arrays) for op, arrays in parts]
    least = min(sizes, default=value.array.nbytes)
    if least >= value.array.nbytes:
        return False
    _replace(graph, value, *parts[sizes.index(least)])
    return True


def _parts(op: str, array: np.ndarray) -> tuple[np.ndarray, ...] | None:
    return palette_of(array) if op == "Palette" else sparse_of(array)


def _replace(graph: Graph, value: Value, op: str, arrays: tuple[np.ndarray, ...]) -> None:
    """The result takes the name of the dense constant."""
    g, name = Builder(graph), value.name
    inputs = [g.constant(part, name=f"{name}/{what}") for part, what in zip(arrays, _NAMES[op], strict=True)]
    dense = g.extension(op, inputs, shape=value.array.shape if op == "Sparse" else None)
    graph.replace_uses(value, dense)
    graph.remove_value(value)
    graph.rename(dense, name)


_NAMES = {"Palette": ("indices", "codebook"), "Sparse": ("mask", "values")}
