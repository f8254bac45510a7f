"""Quantised graphs as ONNX Runtime recognises them: with these it replaces all that its integer kernels can compute.

What it looks for is in its sources under core/optimizer/qdq_transformer. Each rewrite here is exact: the same integers,
counted from another zero or computed by another operator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.backends.onnx.dynamic import multiply_integers
from netglot.ir.builder import Builder
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.activations import bounded
from netglot.passes.integer_grids import DEQUANTIZE, QUANTIZE
from netglot.passes.match import nodes, only_reader, producer, supplant
from netglot.passes.quantised_limits import drop_implied_limits
from netglot.passes.quantised_moves import Grid, grid_of

INT8, UINT8 = np.dtype(np.int8), np.dtype(np.uint8)
MANY = 40  # scales that take more than the operator which computes them
_KERNELS = ("Add", "Conv", "Gemm", "MatMul", "Mul")  # of integers, that limits may follow
_MEETING = (
    "Add",
    "Concat",
    "Div",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Sub",
    "Sum",
    "Where",
)  # want one type of all they read


def fit_kernels(graph: Graph) -> bool:
    """The rewrites, in order. Graphs without pairs stay as they are."""
    steps = (
        multiply_integers, drop_implied_limits, pool_means, count_from_unsigned, limit_integers, pad_integers,
        real_biases, derive_bias_scales, lay_out_weights,
    )  # fmt: skip
    return any([step(graph) for step in steps])


# ---------------------------------------------------------- one type of integers


def count_from_unsigned(graph: Graph) -> bool:
    """int8 activations -> uint8, with 128 added to their zero points: int8 weights are multiplied with uint8 only.

    (On x86, that is. Elsewhere both are as fast.) Weights stay as they are. Integers that come from outside or go there
    keep their type: a pair stands between.
    """
    changed = [_count(graph, node) for node in nodes(graph, QUANTIZE)]
    changed += [_count_input(graph, node) for node in nodes(graph, DEQUANTIZE)]
    changed += [_count_constant(graph, node) for node in nodes(graph, DEQUANTIZE)]
    return any(changed)


def _unsigned(g: Builder, grid: Grid) -> tuple[Value, Value]:
    return grid.scale, g.constant(int(grid.level) + 128, UINT8, name=f"{grid.scale.name}/zero_point")


def _signed(node: Node) -> Grid | None:
    grid = grid_of(node)
    return grid if grid is not None and grid.level.dtype == INT8 else None


def _count(graph: Graph, quantise: Node) -> bool:
    """A pair; what else reads the int8 numbers gets them from the new ones."""
    grid, q, x = _signed(quantise), quantise.output, quantise.inputs[0]
    readers = [node for node in graph.consumers(q) if grid is not None and _dequantises(node, grid)]
    if grid is None or x is None or (not readers and producer(graph, x, DEQUANTIZE) is not None):
        return False
    g = Builder(graph)
    with g.at(quantise.origin):
        own = _unsigned(g, grid)
        new = g.op(QUANTIZE, [x, *own], name=q.name)
        new.shape = q.shape
        for reader in readers:
            graph.set_inputs(reader, [new, *own])
        if graph.uses(q):
            graph.set_inputs(quantise, [g.op(DEQUANTIZE, [new, *own]), *quantise.inputs[1:]])
        else:
            graph.remove_node(quantise)
    return True


def _dequantises(node: Node, grid: Grid) -> bool:
    other = grid_of(node) if node.op == DEQUANTIZE and not node.domain else None
    return other is not None and other.equals(grid)


def _count_input(graph: Graph, node: Node) -> bool:
    """DequantizeLinear of an int8 input of the graph."""
    grid, q, y = _signed(node), node.inputs[0], node.output
    if grid is None or q is None or q not in graph.inputs:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        own = _unsigned(g, grid)
        y = g.op(DEQUANTIZE, [g.op(QUANTIZE, [g.op(DEQUANTIZE, [q, *grid]), *own]), *own])
    supplant(graph, node, y)
    return True


def _count_constant(graph: Graph, node: Node) -> bool:
    """Constants that are added, multiplied or joined are of the type of what they meet."""
    grid, q = _signed(node), node.inputs[0]
    if grid is None or q is None or not q.is_constant:
        return False
    if not all(_meets(reader, node.output) for reader in graph.consumers(node.output)):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        data = (q.array.astype(np.int16) + 128).astype(UINT8)
        graph.set_inputs(node, [g.constant(data, name=f"{q.name}/unsigned"), *_unsigned(g, grid)])
    return True


def _meets(reader: Node, constant: Value) -> bool:
    """Whether it is an operand like what is computed, and no weights of a layer."""
    first = reader.op == "MatMul" and reader.inputs[0] is constant
    return not reader.domain and (reader.op in _MEETING or first)


# ------------------------------------------------------------------ weights


def lay_out_weights(graph: Graph) -> bool:
    """The zero points of Gemm's weights are said, and weights beside floats lie rows first, as MatMul takes them."""
    return any([_say_zero(graph, node) or _rows_first(graph, node) for node in nodes(graph, "Gemm")])


def _say_zero(graph: Graph, gemm: Node) -> bool:
    """Without, ONNX Runtime 1.31 leaves the layer to floats."""
    weights = producer(graph, gemm.inputs[1], DEQUANTIZE)
    if weights is None or weights.input(2) is not None or producer(graph, gemm.inputs[0], DEQUANTIZE) is None:
        return False
    q, scale = weights.inputs[:2]
    if q is None or scale is None or q.dtype not in (INT8, UINT8) or not scale.is_constant:
        return False
    zero = graph.add_constant(np.zeros(scale.array.shape, q.dtype), f"{q.name}/zero_point")
    graph.set_inputs(weights, [q, scale, zero])
    return True


def _rows_first(graph: Graph, gemm: Node) -> bool:
    weights = producer(graph, gemm.inputs[1], DEQUANTIZE)
    if weights is None or not gemm.attributes.get("transB") or producer(graph, gemm.inputs[0], DEQUANTIZE) is not None:
        return False
    if only_reader(graph, weights.output) is not gemm or not all(v is None or v.is_constant for v in weights.inputs):
        return False
    parts = [value if value is None or value.rank < 2 else _transposed(graph, value) for value in weights.inputs]
    g = Builder(graph)
    with g.at(weights.origin):
        axis = 1 - weights.attributes.get("axis", 1) % 2
        w = g.op(DEQUANTIZE, parts, **(weights.attributes | {"axis": axis}))
    graph.set_inputs(gemm, [gemm.inputs[0], w, *gemm.inputs[2:]])
    gemm.attributes["transB"] = 0
    graph.remove_node(weights)
    return True


def _transposed(graph: Graph, value: Value) -> Value:
    return graph.add_constant(value.array.T, f"{value.name}/transposed")


# ------------------------------------------------------------------- biases


def real_biases(graph: Graph) -> bool:
    """Biases of another scale than the product of the layer's -> floats, which ONNX Runtime quantises itself.

    As they are, its Conv would stay with floats, and its QGemm (1.31) would take them to be of that product.
    """
    return any([_real_bias(graph, node) for node in nodes(graph, "Conv", "Gemm")])


def _real_bias(graph: Graph, node: Node) -> bool:
    x, w, bias = (producer(graph, node.input(i), DEQUANTIZE) for i in range(3))
    if x is None or w is None or bias is None or not all(v is None or v.is_constant for v in bias.inputs):
        return False
    scales = [maker.inputs[1] for maker in (x, w, bias)]
    if all(scale is not None and scale.is_constant for scale in scales):
        known = [scale.array.astype(np.float64) for scale in scales if scale is not None]
        if known[0].size == 1 and np.allclose(known[0].reshape(()) * known[1], known[2], rtol=1e-6, atol=0):
            return False
    arrays = [None if value is None else value.array for value in bias.inputs]
    data = compute(DEQUANTIZE, *arrays, **bias.attributes)
    graph.set_inputs(node, [*node.inputs[:2], graph.add_constant(data, f"{node.name}/bias")])
    return True


def derive_bias_scales(graph: Graph) -> bool:
    """The scales of biases, where there are many -> Mul of those of input and weights, which the file holds anyway.

    Per channel they take as much as the biases. Runtimes fold constants when they load a network, before they look for
    pairs: ONNX Runtime 1.16 and 1.31 make the same kernels of it.
    """
    return any([_derive_scale(graph, node) for node in nodes(graph, "Conv", "Gemm")])


def _derive_scale(graph: Graph, node: Node) -> bool:
    makers = [producer(graph, node.input(i), DEQUANTIZE) for i in range(3)]
    scales = [maker.inputs[1] for maker in makers if maker is not None]
    known = [scale for scale in scales if scale is not None and scale.is_constant]
    if len(known) < 3 or known[2].array.size < MANY:
        return False
    x, w, bias = known
    if not np.array_equal(x.array * w.array, bias.array):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        graph.replace_uses(bias, g.op("Mul", [x, w], name=f"{bias.name}/product"))
    return True


# ------------------------------------------------------- operators with kernels


def pool_means(graph: Graph) -> bool:
    """ReduceMean over all pixels between a pair -> GlobalAveragePool, of which there is one for integers."""
    return any([_pool(graph, node) for node in nodes(graph, "ReduceMean")])


def _pool(graph: Graph, node: Node) -> bool:
    x, axes = node.inputs[0], node.input(1)
    quantise = _quantising(graph, node)
    if x is None or x.shape is None or x.rank < 3 or axes is None or not axes.is_constant or quantise is None:
        return False
    if {int(axis) % x.rank for axis in axes.array.ravel()} != set(range(2, x.rank)):
        return False
    grid = quantise.inputs[1:]
    g = Builder(graph)
    with g.at(node.origin):
        y = g.GlobalAveragePool(x)
        if not node.attributes.get("keepdims", 1):
            y = g.Flatten(g.op(DEQUANTIZE, [g.op(QUANTIZE, [y, *grid]), *grid]))
    y.shape = node.output.shape
    supplant(graph, node, y)
    return True


def _quantising(graph: Graph, node: Node) -> Node | None:
    """The QuantizeLinear behind a `node` that has a DequantizeLinear in front."""
    reader = only_reader(graph, node.output)
    follows = reader is not None and not reader.domain and reader.op == QUANTIZE
    return reader if follows and producer(graph, node.inputs[0], DEQUANTIZE) is not None else None


def limit_integers(graph: Graph) -> bool:
    """QuantizeLinear(Relu(x)) -> Clip(QuantizeLinear(x)), where the grid does not imply the limits; so for Clip...

    Rounding keeps the order. A layer is an integer kernel only where QuantizeLinear follows at once.
    """
    return any([_limit(graph, node) for node in nodes(graph, QUANTIZE)])


def _limit(graph: Graph, quantise: Node) -> bool:
    y, grid = quantise.inputs[0], grid_of(quantise)
    limit = producer(graph, y, "Relu", "Clip", "Min", "Max")
    if limit is None or y is None or grid is None or grid.level.dtype != UINT8 or only_reader(graph, y) is not quantise:
        return False
    x, bounds = bounded(limit)
    if x is None or bounds is None or bounds.low > bounds.high or producer(graph, x, *_KERNELS) is None:
        return False
    g = Builder(graph)
    with g.at(limit.origin):
        ends = [None if np.isinf(end) else _level(np.float32(end), grid) for end in bounds]
        new = g.Clip(g.op(QUANTIZE, [x, *grid]), *ends)
    new.shape = quantise.output.shape
    supplant(graph, quantise, new)
    graph.remove_node(limit)
    return True


def _level(real: Any, grid: Grid) -> np.ndarray:
    """The integer that a number becomes."""
    return np.asarray(compute(QUANTIZE, np.asarray(real), grid.scale.array, grid.level))


def pad_integers(graph: Graph) -> bool:
    """QuantizeLinear(Pad(DequantizeLinear(q))) of one grid -> Pad(q), for which there are kernels of 8 bits."""
    return any([_pad(graph, node) for node in nodes(graph, "Pad")])


def _pad(graph: Graph, node: Node) -> bool:
    dequantise, quantise = producer(graph, node.inputs[0], DEQUANTIZE), _quantising(graph, node)
    inner, outer = grid_of(dequantise), grid_of(quantise)
    if dequantise is None or quantise is None or inner is None or outer is None or not inner.equals(outer):
        return False
    fill = _fill(node, inner)
    if fill is None or fill.dtype not in (INT8, UINT8):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        arguments: list[Any] = [dequantise.inputs[0], node.inputs[1], fill, *node.inputs[3:]]
        new = g.op("Pad", arguments, **node.attributes)
    new.shape = quantise.output.shape
    supplant(graph, quantise, new)
    graph.remove_node(node)
    return True


def _fill(node: Node, grid: Grid) -> np.ndarray | None:
    """What is added, as the integer that it becomes."""
    fill = node.input(2)
    if fill is not None and not fill.is_constant:
        return None
    real = np.zeros((), np.float32) if fill is None else fill.array.reshape(())
    return _level(real, grid)
