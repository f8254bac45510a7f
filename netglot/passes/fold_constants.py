"""f(constants) -> a constant; Shape(x) and Size(x) of a known shape -> a constant."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netglot.errors import ConversionError
from netglot.ir import types
from netglot.ir.evaluate import evaluate, is_foldable
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import infer
from netglot.passes.match import nodes

GROWTH = 1 << 20  # bytes by which a result may exceed what it is computed from


def fold_constants(graph: Graph) -> bool:
    """Computes what depends on constants only, with the onnx package's reference implementation.

    Shapes that become known on the way are filled in (Shape -> Gather -> Concat -> Reshape, as exporters write them).
    A result stays unfolded if it is more than GROWTH bytes larger than its inputs, or an output of the graph.
    """
    return any([_fold(graph, node) for node in nodes(graph)])


def _fold(graph: Graph, node: Node) -> bool:
    refined = _refine(node)
    results = _results(node) if not any(value in graph.outputs for value in node.outputs) else None
    if results is None:
        return refined
    constants = [graph.add_constant(array, value.name) for array, value in zip(results, node.outputs, strict=True)]
    names = [value.name for value in node.outputs]
    for old, new in zip(node.outputs, constants, strict=True):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    for new, name in zip(constants, names, strict=True):
        graph.rename(new, name)
    return True


def _refine(node: Node) -> bool:
    """Infers the outputs' types again, now that more inputs may be constant."""
    if all(types.is_static(value.shape) for value in node.outputs) or any(node.subgraphs()):
        return False
    try:
        found = infer(node.op, node.domain, node.attributes, node.inputs, len(node.outputs), node.origin)
    except ConversionError:
        return False
    return any([_learn(value, *result) for value, result in zip(node.outputs, found, strict=True)])


def _learn(value: Value, dtype: np.dtype | None, shape: types.Shape | None) -> bool:
    if value.dtype not in (None, dtype) or types.is_static(value.shape) or not types.is_static(shape):
        return False
    value.dtype, value.shape = dtype, shape
    return True


def _results(node: Node) -> Sequence[np.ndarray] | None:
    """The data of each output, if it can be known and is worth holding."""
    x = node.input(0)
    if node.op in ("Shape", "Size") and x is not None and types.is_static(x.shape):
        sizes = x.sizes[slice(node.attributes.get("start", 0), node.attributes.get("end"))]
        return [np.array(sizes if node.op == "Shape" else prod(x.sizes), np.int64)]
    return evaluate(node) if is_foldable(node) and _is_small(node) else None


def _is_small(node: Node) -> bool:
    given = sum(_stored_bytes(value.array) for value in node.inputs if value is not None)
    if not all(types.is_static(value.shape) and value.dtype for value in node.outputs):
        return node.op == "NonZero"  # bounded by its input
    made = sum(types.element_count(value.shape) * value.dtype.itemsize for value in node.outputs if value.dtype)
    return made <= given + GROWTH


def _stored_bytes(array: np.ndarray) -> int:
    """What lies in memory: along an axis that is broadcast, one element stands for all."""
    return array.itemsize * prod(n for n, step in zip(array.shape, array.strides, strict=True) if step)
