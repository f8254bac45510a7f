"""Transpose(Transpose(x)) -> Transpose(x); Gemm(a, Transpose(b)) -> Gemm(a, b, transB);
Gemm(Flatten(Transpose(x)), W) -> Gemm(Flatten(x), W'), W' being W with its rows in the order of x.
"""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import is_static, static
from netglot.passes.match import leave_out, nodes, only_reader, producer


def merge_transposes(graph: Graph) -> bool:
    """Two in a row become one (which remove_identities removes if they cancel)."""
    return any([_merge(graph, node) for node in nodes(graph, "Transpose")])


def _merge(graph: Graph, node: Node) -> bool:
    inner = producer(graph, node.inputs[0], "Transpose")
    if inner is None or node.output.shape is None:
        return False
    first, second = permutation(inner), permutation(node)
    node.attributes = {"perm": tuple(first[axis] for axis in second)}
    leave_out(graph, inner, node)
    return True


def permutation(transpose: Node) -> tuple[int, ...]:
    """Its perm; without one, the axes are reversed."""
    return tuple(transpose.attributes.get("perm") or reversed(range(transpose.output.rank)))


def fold_transposes(graph: Graph) -> bool:
    """Transposes go into the flags of Gemm, and into constant weights behind a Flatten.

    A flag of the first factor is only taken away, never set: most targets know it as a Transpose only.
    """
    flags = any([_flag(graph, node, i) for node in nodes(graph, "Gemm") for i in (0, 1)])
    return any([_reorder(graph, node) for node in nodes(graph, "Flatten", "Reshape")]) or flags


def _flag(graph: Graph, gemm: Node, index: int) -> bool:
    name = ("transA", "transB")[index]
    transpose = producer(graph, gemm.inputs[index], "Transpose")
    flagged = bool(gemm.attributes.get(name, 0))
    if transpose is None or (index == 0 and not flagged):
        return False
    gemm.attributes[name] = int(not flagged)
    leave_out(graph, transpose, gemm, index)
    return True


def _reorder(graph: Graph, flatten: Node) -> bool:
    transpose, flat = producer(graph, flatten.inputs[0], "Transpose"), flatten.output
    reader = only_reader(graph, flat)
    if transpose is None or reader is None or not _keeps_rows(flatten, transpose):
        return False
    x, w = transpose.inputs[0], _weights(reader, flat)
    assert x is not None
    if w is None:
        return False
    sizes = static((x.shape or ())[1:])
    place = np.arange(prod(sizes)).reshape(sizes).transpose([axis - 1 for axis in permutation(transpose)[1:]])
    rows = np.argsort(place.ravel())
    data = w.array[:, rows] if reader.op == "Gemm" and reader.attributes.get("transB") else w.array[rows]
    graph.set_inputs(reader, [flat, graph.add_constant(data, w.name), *reader.inputs[2:]])
    leave_out(graph, transpose, flatten)
    graph.rename(flat, graph.unique_name(f"{flat.name}/reordered"))  # no longer the same numbers
    return True


def _keeps_rows(flatten: Node, transpose: Node) -> bool:
    """Whether N, a, b... becomes N, a*b*... after a transposition that leaves N in front."""
    x, flat = transpose.inputs[0], flatten.output
    if x is None or x.shape is None or x.rank < 3 or not is_static(x.shape[1:]) or permutation(transpose)[0] != 0:
        return False
    columns = prod(static(x.shape[1:]))
    rows = flat.shape is not None and len(flat.shape) == 2 and flat.shape[1] == columns > 0
    return rows and flatten.attributes.get("axis", 1) == 1


def _weights(reader: Node, x: Value) -> Value | None:
    """The constant matrix that `x` is multiplied by, rows first or (Gemm) transposed."""
    w = reader.input(1)
    if reader.op not in ("Gemm", "MatMul") or reader.inputs[0] is not x or reader.attributes.get("transA"):
        return None
    return w if w is not None and w.is_constant and w.rank == 2 and w is not reader.input(2) else None
