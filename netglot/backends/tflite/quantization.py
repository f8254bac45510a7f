"""QuantizeLinear and DequantizeLinear: tensors of integers that know what they stand for.

The operators in between are lowered as if they computed with floats; integer.py then makes integer ones of them.
"""

from __future__ import annotations

from math import inf

import numpy as np

from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.backends.tflite.grids import ACTIVATIONS, INT4, INT8, INT16, INT32, UINT8, Grid, one_grid
from netglot.backends.tflite.stored import Stored, stored
from netglot.ir.builder import Builder
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import DEQUANTIZE, QUANTIZE
from netglot.passes.match import nodes, number, only_reader, producer

FLOAT = np.dtype(np.float32)
_STORED = (INT4, INT8, UINT8, INT16, INT32)  # of constants


def keep_integers(graph: Graph) -> bool:
    """Before anything else: constants that are dequantised become floats that remember their integers.

    And layers whose input is quantised while the model runs read it as it is, which their kernels quantise.
    """
    steps = (_quantise_constants, _dequantise_constants, _move_constants, _quantise_inside, _before_rows)
    return any([step(graph) for step in steps])


# --------------------------------------------------------------------- constants


def _quantise_constants(graph: Graph) -> bool:
    """QuantizeLinear(constant) -> a constant: weights that are quantised in the graph."""
    found = [node for node in nodes(graph, QUANTIZE) if all(v is None or v.is_constant for v in node.inputs)]
    return any([_to_constant(graph, node, _computed(node)) for node in found])


def _computed(node: Node) -> np.ndarray:
    return compute(node.op, *(None if v is None else v.array for v in node.inputs), **node.attributes)


def _dequantise_constants(graph: Graph) -> bool:
    return any([_to_constant(graph, node, _dequantised(node)) for node in nodes(graph, DEQUANTIZE)])


def _to_constant(graph: Graph, node: Node, data: np.ndarray | None) -> bool:
    if data is None or node.output in graph.outputs:
        return False
    name, inputs = node.output.name, node.inputs
    constant = graph.add_constant(data, name)
    graph.replace_uses(node.output, constant)
    graph.remove_node(node)
    graph.rename(constant, name)
    for value in dict.fromkeys(inputs):
        if value is not None and value.name in graph and graph[value.name] is value and not graph.uses(value):
            graph.remove_value(value)
    return True


def _dequantised(node: Node) -> np.ndarray | None:
    """The numbers that the constants of `node` stand for; None where they are computed, or not float32."""
    q, scale, zero = (*node.inputs, None)[:3]
    if q is None or scale is None or q.data is None or scale.data is None or scale.dtype != FLOAT:
        return None
    if q.dtype not in _STORED or node.output.dtype != FLOAT or (zero is not None and zero.data is None):
        return None
    axis, block = node.attributes.get("axis", 1), node.attributes.get("block_size", 0)
    zeros = np.zeros((), INT32) if zero is None else zero.array.astype(INT32)
    scales, zeros = (_for_each(part, q.data, axis, block) for part in (scale.data, zeros))
    real = np.asarray((q.data.astype(INT32) - zeros).astype(FLOAT) * scales)
    return stored(real, q.data, scales, zeros)


def _for_each(parameter: np.ndarray, q: np.ndarray, axis: int, block: int) -> np.ndarray:
    """A scale or zero point for each element of q, without taking memory where it is the same for many."""
    if parameter.size > 1 and block:
        repeated = np.repeat(parameter, block, axis=axis % q.ndim)
        return repeated[tuple(slice(size) for size in q.shape)]
    if parameter.size > 1:
        parameter = parameter.reshape([-1 if i == axis % q.ndim else 1 for i in range(q.ndim)])
    return np.broadcast_to(parameter.reshape(()) if parameter.size == 1 else parameter, q.shape)


_RESHAPING = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def _move_constants(graph: Graph) -> bool:
    """Transpose(weights) -> weights, which folding would make forget what they are stored as."""
    return any([_move(graph, node) for node in nodes(graph, "Transpose", *_RESHAPING)])


def _move(graph: Graph, node: Node) -> bool:
    x, y = node.inputs[0], node.output
    if x is None or not isinstance(x.data, Stored) or y.shape is None or not all(isinstance(n, int) for n in y.shape):
        return False
    if node.op != "Transpose":
        return _to_constant(graph, node, x.data.reshape(y.sizes))
    return _to_constant(graph, node, x.data.transpose(node.attributes.get("perm") or range(x.rank)[::-1]))


# ----------------------------------------------------- quantised while it runs

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def _quantise_inside(graph: Graph) -> bool:
    """Conv(DequantizeLinear(DynamicQuantizeLinear(x)), weights) -> Conv(x, weights), marked as dynamic.

    TFLite's hybrid kernels quantise their input themselves, by rows of the batch.
    """
    return any([_inside(graph, node) for node in nodes(graph, DEQUANTIZE)])


def _inside(graph: Graph, node: Node) -> bool:
    measured = producer(graph, node.inputs[0], "DynamicQuantizeLinear")
    if measured is None or node.inputs[:3] != measured.outputs or node.output in graph.outputs:
        return False
    layers = graph.consumers(node.output)
    if not all(_is_layer(layer, node.output) for layer in layers):
        return False
    for layer in layers:
        weights = layer.inputs[1]
        assert weights is not None
        marked = weights.array.reshape(weights.sizes)
        assert isinstance(marked, Stored)
        marked.dynamic = True
        graph.set_inputs(layer, [measured.inputs[0], graph.add_constant(marked, weights.name), *layer.inputs[2:]])
        if not graph.uses(weights):
            graph.remove_value(weights)
    graph.remove_node(node)
    if not any(graph.uses(value) for value in measured.outputs):
        graph.remove_node(measured)
    return True


def _is_layer(node: Node, x: Value) -> bool:
    w = node.input(1)
    if node.domain or node.op not in _LAYERS or w is None or sum(value is x for value in node.inputs) != 1:
        return False
    return node.inputs[0] is x and isinstance(w.data, Stored) and w.data.integers is not None


# ------------------------------------------------------------------------ pairs


def _before_rows(graph: Graph) -> bool:
    """DequantizeLinear(QuantizeLinear(Flatten(x))) -> Flatten(DequantizeLinear(QuantizeLinear(x))).

    So that flatten_channels_last sees what multiplies the rows.
    """
    return any([_above(graph, node) for node in nodes(graph, QUANTIZE)])


def _above(graph: Graph, quantise: Node) -> bool:
    y = quantise.inputs[0]
    rows, pair = producer(graph, y, "Flatten", "Reshape", "Squeeze"), only_reader(graph, quantise.output)
    x = rows.inputs[0] if rows is not None else None
    if y is None or x is None or rows is None or pair is None or pair.op != DEQUANTIZE or x.is_constant:
        return False
    if pair.output in graph.outputs:
        return False
    if grid_of(quantise) is None or grid_of(quantise) != grid_of(pair) or only_reader(graph, y) is not quantise:
        return False
    before = producer(graph, x, DEQUANTIZE)
    if before is None or _key(before) != _key(pair):
        g = Builder(graph)
        with g.at(quantise.origin):
            q = g.op(QUANTIZE, [x, *quantise.inputs[1:]], **quantise.attributes)
            moved = g.op(DEQUANTIZE, [q, *pair.inputs[1:]], **pair.attributes)
        graph.set_inputs(rows, [moved, *rows.inputs[1:]])
    graph.replace_uses(pair.output, y)
    graph.remove_node(pair)
    graph.remove_node(quantise)
    return True


def _key(node: Node) -> tuple[Grid | None, object]:
    q = node.output if node.op == QUANTIZE else node.inputs[0]
    return grid_of(node), q.dtype if q is not None else None


# -------------------------------------------------------------------- operators


def grid_of(node: Node) -> Grid | None:
    """The grid of a node, if TFLite's kernels take it: one for the whole tensor, of 8 bits or 16 symmetric ones."""
    real, integer = (node.inputs[0], node.output) if node.op == QUANTIZE else (node.output, node.inputs[0])
    scale, zero = number(node.inputs[1]), 0.0 if node.input(2) is None else number(node.input(2))
    if real is None or integer is None or scale is None or zero is None or node.attributes.get("block_size"):
        return None
    known = real.dtype == FLOAT and integer.dtype in ACTIVATIONS and 1e-30 < scale < inf
    return one_grid(scale, int(zero)) if known and (zero == 0 or integer.dtype != INT16) else None


def has_no_kernel(node: Node) -> bool:
    """Whether a QuantizeLinear or DequantizeLinear has to be composed of operators on floats."""
    return grid_of(node) is None


@tflite_op("QuantizeLinear", layout=alike, open_sizes=True)
def quantize_linear(
    m: TFLiteBuilder, x: Value, scale: Value, zero_point: Value | None, y: Value, *, axis: int, block_size: int,
    output_dtype: int, precision: int, saturate: int,
) -> None:  # fmt: skip
    m.op("QUANTIZE", [x], [_known(m, y, scale, zero_point)])


@tflite_op("DequantizeLinear", layout=alike, open_sizes=True)
def dequantize_linear(
    m: TFLiteBuilder, x: Value, scale: Value, zero_point: Value | None, y: Value, *, axis: int, block_size: int,
    output_dtype: int,
) -> None:  # fmt: skip
    m.op("DEQUANTIZE", [_known(m, x, scale, zero_point)], [y])


def _known(m: TFLiteBuilder, q: Value, scale: Value, zero_point: Value | None) -> int:
    """The tensor of integers q, which from now on stand for what the constants say."""
    one, zero = number(scale), 0.0 if zero_point is None else number(zero_point)
    if one is None or zero is None:
        raise NotMappedError("the scale or the zero point is computed")
    index, grid = m.tensor(q), one_grid(one, int(zero))
    tensor = m.tensors[index]
    if tensor.grid not in (None, grid):
        index = m.temporary(tensor.shape, tensor.dtype, tensor.name)  # the same integers that stand for something else
        m.op("RESHAPE", [m.tensor(q), m.ints(tensor.shape)], [index])
    m.tensors[index].grid = grid
    return index
