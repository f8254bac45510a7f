"""QuantizeLinear(Relu(Add(DequantizeLinear(a), DequantizeLinear(b)))) -> netglot.IntegerAdd(a, b), and so for the other
operators: what is computed between pairs of the two is computed on the integers.

For targets that have kernels for them. First the pairs are moved beside what computes (integer_moves.py); then what is
a function of one number becomes a table (integer_tables.py), layers with weights become integer ones
(integer_layers.py), and so does what combines tensors, here. A Relu or Clip in front of a QuantizeLinear becomes
limits, which are integers too, since rounding keeps the order. What has no integer form (Softmax, LayerNormalization)
keeps its floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netglot.ir.builder import Builder
from netglot.ir.extension.integer import HIGH, LOW
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN, defaults
from netglot.passes.activations import Range
from netglot.passes.integer_grids import BYTES, QUANTIZE, Target, grid_of, tensor, what_follows
from netglot.passes.integer_layers import layers_on_integers
from netglot.passes.integer_moves import discard, move_dequantisation_down, move_quantisation_up
from netglot.passes.integer_tables import merge_tables, pointwise
from netglot.passes.match import bypass, nodes, number, only_reader, supplant
from netglot.passes.quantised_constants import quantise_constants
from netglot.passes.quantised_layers import unfold_layers


def to_integer(graph: Graph) -> bool:
    """What is computed between DequantizeLinear and QuantizeLinear is computed on the integers."""
    steps = (
        unfold_layers, quantise_constants, move_dequantisation_down, move_quantisation_up, _look_up,
        layers_on_integers, _combine, _merge_limits, merge_tables,
    )  # fmt: skip
    return any([step(graph) for step in steps])


# ------------------------------------------------------------------------ tables


def _look_up(graph: Graph) -> bool:
    return any([_pointwise(graph, node) for node in nodes(graph, QUANTIZE)])


def _pointwise(graph: Graph, quantise: Node) -> bool:
    grid, y = grid_of(quantise), quantise.inputs[0]
    last = graph.producer(y) if y is not None and y in graph.nx else None
    if grid is None or y is None or last is None or only_reader(graph, y) is not quantise:
        return False
    g = Builder(graph)
    with g.at(last.origin):
        new = pointwise(g, y, grid)
    if new is None:
        return False
    if graph.producer(new) is None or graph.uses(new):  # the integers that are there already
        changed = bypass(graph, quantise, new)
    else:
        new.shape, changed = quantise.output.shape, True
        supplant(graph, quantise, new)
    discard(graph, last)
    return changed


# ------------------------------------------------------- what combines tensors

Rule = Callable[[Builder, Node, Target], Value | None]


def _combine(graph: Graph) -> bool:
    return any([_on_integers(graph, node) for node in nodes(graph, *_RULES)])


def _on_integers(graph: Graph, node: Node) -> bool:
    quantise, target = what_follows(graph, node.output)
    if quantise is None:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        new = _RULES[node.op](g, node, target)
    if new is None:
        return False
    last = graph.producer(quantise.inputs[0]) if quantise.inputs[0] else None
    new.shape = quantise.output.shape
    supplant(graph, quantise, new)
    discard(graph, last or node)
    return True


def _add(g: Builder, node: Node, target: Target) -> Value | None:
    return _binary(g, node, "IntegerAdd", target)


def _subtract(g: Builder, node: Node, target: Target) -> Value | None:
    return _binary(g, node, "IntegerAdd", target, sign=-1)


def _multiply(g: Builder, node: Node, target: Target) -> Value | None:
    return _binary(g, node, "IntegerMul", target)


def _binary(g: Builder, node: Node, op: str, target: Target, sign: int = 1) -> Value | None:
    if len(node.inputs) != 2:  # Sum
        return None
    a, b = (tensor(g.graph, value) for value in node.inputs)
    if a is None or b is None or (a.q.is_constant and b.q.is_constant):
        return None
    inputs = [a.q, *a.grid.constants(g), b.q, *b.grid.constants(g, sign), *target.constants(g)]
    result: Value = g.extension(op, inputs, **target.limits)
    return result


def _average_pool(g: Builder, node: Node, target: Target) -> Value | None:
    return _of_one(g, node, "IntegerAveragePool", target, node.attributes)


def _global_average_pool(g: Builder, node: Node, target: Target) -> Value | None:
    x = node.inputs[0]
    if x is None or x.shape is None:
        return None
    return _of_one(g, node, "IntegerMean", target, {"axes": tuple(range(2, x.rank)), "keepdims": 1})


def _reduce_mean(g: Builder, node: Node, target: Target) -> Value | None:
    x, axes = node.inputs[0], node.input(1)
    if x is None or x.shape is None or (axes is not None and axes.data is None):
        return None
    listed = tuple(int(axis) % x.rank for axis in axes.array.ravel()) if axes is not None else ()
    if not listed and node.attributes.get("noop_with_empty_axes"):
        return None
    keepdims = node.attributes.get("keepdims", 1)
    return _of_one(g, node, "IntegerMean", target, {"axes": listed or tuple(range(x.rank)), "keepdims": keepdims})


def _of_one(g: Builder, node: Node, op: str, target: Target, attributes: dict[str, Any]) -> Value | None:
    x = tensor(g.graph, node.inputs[0])
    if x is None or x.q.is_constant:
        return None
    inputs = [x.q, *x.grid.constants(g), *target.constants(g)]
    result: Value = g.extension(op, inputs, **attributes, **target.limits)
    return result


_RULES: dict[str, Rule] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "Mul": _multiply,
    "ReduceMean": _reduce_mean,
    "Sub": _subtract,
    "Sum": _add,
}


# ------------------------------------------------------------------------ limits


def _merge_limits(graph: Graph) -> bool:
    """Clip(IntegerConv(x)) -> IntegerConv(x) with limits: what is between two of the same grid is bounded once."""
    return any([_limit(graph, node) for node in nodes(graph, "Clip")])


def _limit(graph: Graph, node: Node) -> bool:
    x, kind = node.inputs[0], node.output.dtype
    layer = graph.producer(x) if x is not None and x in graph.nx else None
    if x is None or layer is None or kind not in BYTES or layer.domain != DOMAIN or only_reader(graph, x) is not node:
        return False
    low, high = (default if v is None else number(v) for v, default in ((node.input(1), LOW), (node.input(2), HIGH)))
    if low is None or high is None or "low" not in defaults(layer.op, DOMAIN):
        return False
    bounds = Range(low, high)
    low, high = (bounds.clip(layer.attributes.get(name, end)) for name, end in (("low", LOW), ("high", HIGH)))
    layer.attributes |= {"low": int(low), "high": int(high)}
    supplant(graph, node, x)
    return True
