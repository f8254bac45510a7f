"""Equal constants of few elements -> one, which all read."""

from __future__ import annotations

from netglot.ir.graph import Graph, Value

FEW = 16  # elements: scales, zero points, limits, axes; weights are not compared


def share_constants(graph: Graph) -> bool:
    """A constant that is equal to another, bit by bit, goes; what read it reads the other."""
    first: dict[object, Value] = {}
    equal = [(value, first.setdefault(_key(value), value)) for value in list(graph.constants()) if _is_small(value)]
    found = [(value, other) for value, other in equal if value is not other and value not in graph.outputs]
    for value, other in found:
        graph.replace_uses(value, other)
        graph.remove_value(value)
    return bool(found)


def _is_small(value: Value) -> bool:
    return value.array.size <= FEW and value.array.dtype.kind != "O"


def _key(value: Value) -> object:
    return value.array.dtype, value.array.shape, value.layout, value.array.tobytes()
