"""f(x), f(x) -> f(x) once; constants with the same data -> one constant."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import nodes

SMALL = 1024  # elements: constants up to this size are compared by their bytes, larger ones by their place in memory
_RANDOM = {
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
}  # fmt: skip


def merge_duplicates(graph: Graph) -> bool:
    """Computes what is the same once, and holds it once. Outputs of the graph keep a node of their own."""
    constants = _merge_constants(graph)
    seen: dict[Hashable, Node] = {}
    return any([_merge(graph, node, seen) for node in nodes(graph)]) or constants


def _merge_constants(graph: Graph) -> bool:
    seen: dict[Hashable, Value] = {}
    twins = [(value, seen.setdefault(_data_key(value.array), value)) for value in graph.constants()]
    return any([_merge_constant(graph, value, first) for value, first in twins if value is not first])


def _merge_constant(graph: Graph, value: Value, first: Value) -> bool:
    if value in graph.outputs or value.layout != first.layout:
        return False
    graph.replace_uses(value, first)
    graph.remove_value(value)
    return True


def _data_key(array: np.ndarray) -> Hashable:
    """Small arrays are compared, larger ones only known by where they lie."""
    if array.dtype.kind == "O":
        return id(array)
    place = array.__array_interface__["data"][0], array.strides
    return array.dtype, array.shape, array.tobytes() if array.size <= SMALL else place


def _merge(graph: Graph, node: Node, seen: dict[Hashable, Node]) -> bool:
    if node.op in _RANDOM or any(node.subgraphs()):
        return False
    first = seen.setdefault(_key(node), node)
    if first is node or any(value in graph.outputs for value in node.outputs):
        return False
    for old, new in zip(node.outputs, first.outputs, strict=True):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    return True


def _key(node: Node) -> Hashable:
    attributes = frozenset((name, _attribute_key(value)) for name, value in node.attributes.items())
    return node.op, node.inputs, len(node.outputs), attributes


def _attribute_key(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return _data_key(value)
    return tuple(map(_attribute_key, value)) if isinstance(value, (tuple, list)) else (type(value), value)
