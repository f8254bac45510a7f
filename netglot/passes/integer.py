"""QuantizeLinear(Relu(Conv(DequantizeLinear(x), DequantizeLinear(w), b))) -> netglot.IntegerConv(x, w, b), and so for
the other layers: what computes between pairs of the two computes on the integers.

For targets that have kernels for them. First the pairs are moved beside the layers (integer_moves.py); what is a
function of one number becomes a table (integer_tables.py). A Relu or Clip in front of a QuantizeLinear becomes limits,
which are integers too, since rounding keeps the order. A layer on integers whose result is not quantised gives
floats. What has no integer form (Softmax, LayerNormalization) keeps its floats, and so does a layer whose sums could
leave int32.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension.integer import HIGH, LOW
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN, defaults
from netglot.passes.activations import Range, bounded
from netglot.passes.integer_grids import (
    BYTES,
    FLOAT,
    QUANTIZE,
    Grid,
    Tensor,
    Weights,
    grid_of,
    real_constant,
    tensor,
    weights,
)
from netglot.passes.integer_moves import discard, move_dequantisation_down, move_quantisation_up
from netglot.passes.integer_tables import merge_tables, pointwise
from netglot.passes.match import bypass, nodes, number, only_reader, producer, supplant


def to_integer(graph: Graph) -> bool:
    """Layers between DequantizeLinear and QuantizeLinear compute on the integers."""
    steps = (
        _unfold_layers, move_dequantisation_down, move_quantisation_up, _with_grids, _without, merge_tables,
        _merge_limits,
    )  # fmt: skip
    return any([step(graph) for step in steps])


def _with_grids(graph: Graph) -> bool:
    return any([_at(graph, node) for node in nodes(graph, QUANTIZE)])


def _without(graph: Graph) -> bool:
    """Layers whose result is not quantised."""
    return any([_float_result(graph, node) for node in nodes(graph, "Conv", "Gemm", "MatMul")])


class Target(NamedTuple):
    """The grid of what a layer gives (None: floats), and limits for it."""

    grid: Grid | None = None
    low: int | None = None
    high: int | None = None

    @property
    def limits(self) -> dict[str, int]:
        return {name: value for name, value in (("low", self.low), ("high", self.high)) if value is not None}

    def constants(self, g: Builder) -> list[Value | None]:
        return list(self.grid.constants(g)) if self.grid else [None, None]


Rule = Callable[[Builder, Node, Target], Value | None]


def _at(graph: Graph, quantise: Node) -> bool:
    """Turns what a QuantizeLinear reads into integers."""
    grid, y = grid_of(quantise), quantise.inputs[0]
    last = graph.producer(y) if y is not None and y in graph.nx else None
    if grid is None or y is None or last is None or only_reader(graph, y) is not quantise:
        return False
    g = Builder(graph)
    with g.at(last.origin):
        new = pointwise(g, y, grid) or _layer(g, y, grid)
    if new is None:
        return False
    if graph.producer(new) is None or graph.uses(new):  # the integers that are there already
        changed = bypass(graph, quantise, new)
    else:
        new.shape, changed = quantise.output.shape, True
        supplant(graph, quantise, new)
    discard(graph, last)
    return changed


def _layer(g: Builder, y: Value, grid: Grid) -> Value | None:
    source, bounds = _unbounded(g.graph, y)
    node = producer(g.graph, source, *_RULES)
    if node is None:
        return None
    kind = np.iinfo(grid.dtype)
    low, high = (int(grid.quantised(np.array(bound, np.float32))) for bound in bounds)
    target = Target(grid, low if low > kind.min else None, high if high < kind.max else None)
    with g.at(node.origin):
        return _RULES[node.op](g, node, target)


def _unbounded(graph: Graph, y: Value) -> tuple[Value, Range]:
    """What is bounded by constants to give `y`, and the bounds."""
    source, bounds = y, Range(-inf, inf)
    while (node := producer(graph, source, "Relu", "Clip", "Min", "Max")) is not None:
        x, inner = bounded(node)
        if x is None or inner is None or only_reader(graph, x) is not node:
            break
        source, bounds = x, Range(bounds.clip(inner.low), bounds.clip(inner.high))
    return source, bounds


def _float_result(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        new = _RULES[node.op](g, node, Target())
    if new is None:
        return False
    new.shape = node.output.shape
    inputs = [producer(graph, value) or graph.producer(value) for value in node.inputs if value and value in graph.nx]
    supplant(graph, node, new)
    for maker in inputs:
        if maker is not None:
            discard(graph, maker)
    return True


# ---------------------------------------------------------------------- layers


def _conv(g: Builder, node: Node, target: Target) -> Value | None:
    x, w = tensor(g.graph, node.inputs[0]), weights(g.graph, node.inputs[1], 0)
    if x is None or w is None or node.output.dtype != FLOAT:
        return None
    return _with_weights(g, "IntegerConv", x, w, 0, real_constant(g.graph, node.input(2)), node, target)


def _gemm(g: Builder, node: Node, target: Target) -> Value | None:
    transposed = bool(node.attributes.get("transB"))
    x, w = tensor(g.graph, node.inputs[0]), weights(g.graph, node.inputs[1], 0 if transposed else 1)
    bias = real_constant(g.graph, node.input(2))
    if x is None or w is None or node.attributes.get("transA") or node.attributes.get("alpha", 1) != 1:
        return None
    w = w._replace(data=w.data.T, axis=1) if transposed else w
    bias = None if bias is None else bias * node.attributes.get("beta", 1.0)
    return _with_weights(g, "IntegerMatMul", x, w, 1, bias, node, target)


def _matmul(g: Builder, node: Node, target: Target, bias: np.ndarray | None = None) -> Value | None:
    x, w = tensor(g.graph, node.inputs[0]), weights(g.graph, node.inputs[1], 1)
    if x is None or x.q.shape is None or x.q.rank < 2:
        return None
    if w is not None and w.data.ndim == 2:
        return _with_weights(g, "IntegerMatMul", x, w, 1, bias, node, target)
    other = tensor(g.graph, node.inputs[1])
    if other is None or other.q.shape is None or other.q.rank < 2 or bias is not None:
        return None
    parts = [x.q, *x.grid.constants(g), other.q, *other.grid.constants(g), *target.constants(g)]
    result: Value = g.extension("IntegerMatMul", parts, **target.limits)
    return result


def _with_weights(
    g: Builder, op: str, x: Tensor, w: Weights, axis: int, bias: np.ndarray | None, node: Node, target: Target
) -> Value | None:
    """A layer with constant weights, whose output channels are their `axis`."""
    channels = w.data.shape[axis]
    steps = None if bias is None else _bias(bias, channels, x.grid.scale * w.scale.astype(np.float64))
    has_bias = node.input(2) is not None or bias is not None
    if (has_bias and steps is None) or _largest_sum(x.grid, w, axis, steps) >= 2**31:
        return None
    window = node.attributes if op == "IntegerConv" else {}
    constants = [g.constant(part, name=f"{node.name}/{what}") for part, what in zip(w[:3], _PARTS, strict=True)]
    bias_steps = None if steps is None else g.constant(steps, name=f"{node.name}/bias")
    inputs = [x.q, *x.grid.constants(g), *constants, *target.constants(g), bias_steps]
    result: Value = g.extension(op, inputs, **window, **target.limits)
    return result


_PARTS = ("weights", "scale", "zero")


def _bias(bias: np.ndarray, channels: int, scale: np.ndarray) -> np.ndarray | None:
    """In steps of `scale`, int32 [channels]; None if it is no bias or too large."""
    if bias.size not in (1, channels) or (bias.ndim > 1 and bias.shape[-1] != bias.size):
        return None
    steps = np.round(np.broadcast_to(bias.ravel(), (channels,)) / scale)
    return steps.astype(np.int32) if np.abs(steps).max(initial=0) < 2**31 else None


def _largest_sum(grid: Grid, w: Weights, axis: int, bias: np.ndarray | None) -> int:
    """A bound of all sums of integers."""
    kind = np.iinfo(grid.dtype)
    reach = max(grid.zero - kind.min, kind.max - grid.zero)
    rows = np.moveaxis(w.data, axis, 0).reshape(w.data.shape[axis], -1).astype(np.int64)
    sums = np.abs(rows - w.zero.astype(np.int64).reshape(-1, 1)).sum(1) * reach
    return int((sums if bias is None else sums + np.abs(bias.astype(np.int64))).max(initial=0))


def _add(g: Builder, node: Node, target: Target) -> Value | None:
    """Of two tensors, or of a bias to a product."""
    if len(node.inputs) != 2:
        return None
    return _biased(g, node, target) or _binary(g, node, "IntegerAdd", target)


def _biased(g: Builder, node: Node, target: Target) -> Value | None:
    for x, other in (node.inputs, node.inputs[::-1]):
        product = producer(g.graph, x, "MatMul")
        bias = real_constant(g.graph, other)
        if product is None or x is None or bias is None or only_reader(g.graph, x) is not node:
            continue
        if node.output.shape == x.shape:
            return _matmul(g, product, target, bias)
    return None


def _subtract(g: Builder, node: Node, target: Target) -> Value | None:
    return _binary(g, node, "IntegerAdd", target, sign=-1)


def _multiply(g: Builder, node: Node, target: Target) -> Value | None:
    return _binary(g, node, "IntegerMul", target)


def _binary(g: Builder, node: Node, op: str, target: Target, sign: int = 1) -> Value | None:
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
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "MatMul": _matmul,
    "Mul": _multiply,
    "ReduceMean": _reduce_mean,
    "Sub": _subtract,
    "Sum": _add,
}


def _merge_limits(graph: Graph) -> bool:
    """Clip(IntegerConv(x)) -> IntegerConv(x) with limits: what is between two of the same grid is bounded once."""
    return any([_limit(graph, node) for node in nodes(graph, "Clip")])


def _limit(graph: Graph, node: Node) -> bool:
    x, kind = node.inputs[0], node.output.dtype
    layer = graph.producer(x) if x is not None and x in graph.nx else None
    if x is None or layer is None or kind not in BYTES or layer.domain != DOMAIN or only_reader(graph, x) is not node:
        return False
    ends = [default if v is None else number(v) for v, default in ((node.input(1), LOW), (node.input(2), HIGH))]
    low, high = ends
    if low is None or high is None or "low" not in defaults(layer.op, DOMAIN):
        return False
    bounds = Range(low, high)
    low, high = (bounds.clip(layer.attributes.get(name, end)) for name, end in (("low", LOW), ("high", HIGH)))
    layer.attributes |= {"low": int(low), "high": int(high)}
    supplant(graph, node, x)
    return True


# ------------------------------------------------------- ONNX's own integer layers


def _unfold_layers(graph: Graph) -> bool:
    """QLinearConv and QLinearMatMul -> the pairs around Conv and MatMul that they are short for."""
    return any([_unfold(graph, node) for node in nodes(graph, "QLinearConv", "QLinearMatMul")])


def _unfold(graph: Graph, node: Node) -> bool:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = node.inputs
    if x_scale is None or w_scale is None or x_scale.data is None or w_scale.data is None or x_scale.data.size != 1:
        return False
    is_conv, g = node.op == "QLinearConv", Builder(graph)
    last = (w.rank - 1) if w is not None and w.shape is not None else 1
    with g.at(node.origin):
        left = g.DequantizeLinear(x, _scalar(x_scale), _scalar(x_zero))
        right = g.DequantizeLinear(w, _scalar(w_scale), _scalar(w_zero), axis=0 if is_conv else last)
        inputs = [left, right]
        if bias and bias[0] is not None:
            scale = (x_scale.data.reshape(()) * w_scale.data).astype(np.float32)
            inputs.append(g.DequantizeLinear(bias[0], scale if scale.size > 1 else scale.reshape(()), axis=0))
        t = g.op("Conv" if is_conv else "MatMul", inputs, **node.attributes)
        new = g.QuantizeLinear(t, _scalar(y_scale), _scalar(y_zero))
    supplant(graph, node, new)
    return True


def _scalar(value: Value | None) -> Value | np.ndarray | None:
    """Of a constant with one element, what has no axes; others stay."""
    return value.data.reshape(()) if value is not None and value.data is not None and value.data.size == 1 else value
