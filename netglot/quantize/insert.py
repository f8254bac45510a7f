"""A plan becomes QuantizeLinear and DequantizeLinear in the graph, which still runs and can be compared as it is."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import DEQUANTIZE, QUANTIZE, Grid
from netglot.quantize import weights
from netglot.quantize.choose import Plan, input_axis, layer_axis
from netglot.quantize.scheme import INT4, UINT8, Scheme
from netglot.quantize.weights import Quantised

BIAS = np.dtype(np.int32)
LARGEST_BIAS = {1: 2.0**30, 2: 2.0**45}  # in steps, by bytes of an activation: half of what kernels add up in


def insert(graph: Graph, plan: Plan) -> None:
    """Quantises `graph` as `plan` says, in place. Names: see docs/quantization.md."""
    nodes = {node.name: node for node in graph.nodes()}
    inserter = _Inserter(graph, plan)
    for name in plan.layers:
        inserter.layer(nodes[name])
    for name, grid in plan.grids.items():
        inserter.tensor(graph[name], grid)
    graph.drop_unneeded()


class _Inserter:
    def __init__(self, graph: Graph, plan: Plan) -> None:
        self.graph, self.plan, self.g = graph, plan, Builder(graph)
        self.measured: dict[Value, Value] = {}  # what is dequantised from grids that are measured at run time

    # ------------------------------------------------------------------- layers

    def layer(self, node: Node) -> None:
        x, w = node.inputs[:2]
        assert x is not None
        assert w is not None
        grid = self.plan.grids.get(x.name)
        bias = node.input(2)
        quantised = quantised_weights(node, self.plan.scheme, grid)
        with self.g.at(node.origin):
            inputs = [self._activation(x), self._weights(w, quantised), *node.inputs[2:]]
            if bias is not None and grid is not None and grid.dtype.itemsize == 1:
                inputs[2] = self._bias(bias, np.float32(grid.scale) * quantised.scale)
        self.graph.set_inputs(node, inputs)

    def _activation(self, x: Value) -> Value:
        if not self.plan.scheme.dynamic:
            return x
        if x not in self.measured:
            q, scale, zero = self.g.op("DynamicQuantizeLinear", [x], outputs=3, name=f"{x.name}/quantized")
            self.measured[x] = self.g.op(DEQUANTIZE, [q, scale, zero], name=f"{x.name}/dequantized")
        return self.measured[x]

    def _weights(self, w: Value, quantised: Quantised) -> Value:
        data = self.g.constant(quantised.data, name=f"{w.name}/quantized")
        inputs = [data, self.g.constant(quantised.scale, name=f"{w.name}/scale")]
        if quantised.zero is not None:
            inputs.append(self.g.constant(quantised.zero, name=f"{w.name}/zero_point"))
        axis, block = quantised.axis if quantised.axis >= 0 else None, quantised.block or None
        result: Value = self.g.op(DEQUANTIZE, inputs, name=f"{w.name}/dequantized", axis=axis, block_size=block)
        return result

    def _bias(self, bias: Value, scale: np.ndarray) -> Value:
        kind = np.iinfo(BIAS)
        flat = bias.array.ravel()
        steps = np.rint(flat.astype(np.float64) / scale.astype(np.float64))
        data = self.g.constant(np.clip(steps, kind.min, kind.max).astype(BIAS), name=f"{bias.name}/quantized")
        inputs = [data, self.g.constant(scale.astype(np.float32), name=f"{bias.name}/scale")]
        axis = 0 if scale.ndim else None
        result: Value = self.g.op(DEQUANTIZE, inputs, name=f"{bias.name}/dequantized", axis=axis)
        return result

    # ------------------------------------------------------------------ tensors

    def tensor(self, x: Value, grid: Grid) -> None:
        if x.is_constant:
            self._constant(x, grid)
        else:
            self._pair(x, grid)

    def _constant(self, x: Value, grid: Grid) -> None:
        own = Quantised(grid.quantised(x.array), np.array(grid.scale, np.float32), -1,
                        zero=np.array(grid.zero, grid.dtype))  # fmt: skip
        readers = self.graph.consumers(x)
        new = self._weights(x, own)
        for reader in readers:
            self.graph.set_inputs(reader, [new if value is x else value for value in reader.inputs])

    def _pair(self, x: Value, grid: Grid) -> None:
        """All readers of `x`, and outputs of the graph, read what its integers stand for."""
        is_input, name = x in self.graph.inputs, x.name
        real = self.graph.add_value(f"{name}/dequantized", x.dtype, x.shape)
        q = self.graph.add_value(f"{name}/quantized", grid.dtype, x.shape)
        self._hand_over(x, real)
        if not is_input:
            if real.name != name:
                self.graph.swap_names(x, real)
            self.graph.rename(x, self.graph.unique_name(f"{name}/unquantized"))
        maker = self.graph.producer(x)
        origin = maker.origin if maker else self.g.origin
        with self.g.at(origin):
            parameters = grid.constants(self.g)
        self.graph.add_node(Node(QUANTIZE, [x, *parameters], [q], origin=origin))
        self.graph.add_node(Node(DEQUANTIZE, [q, *parameters], [real], origin=origin))

    def _hand_over(self, x: Value, real: Value) -> None:
        if x in self.graph.inputs and x in self.graph.outputs:  # it leaves as it came
            for reader in self.graph.consumers(x):
                self.graph.set_inputs(reader, [real if value is x else value for value in reader.inputs])
        else:
            self.graph.replace_uses(x, real)


def quantised_weights(node: Node, scheme: Scheme, grid: Grid | None = None) -> Quantised:
    """The weights of a layer whose input has `grid`, as the scheme has them."""
    axis, w = layer_axis(node), node.inputs[1]
    assert w is not None
    assert w.data is not None
    if scheme.weights == UINT8:
        return weights.asymmetric(w.data, UINT8)
    along = input_axis(node)
    if scheme.block and w.sizes[along] >= scheme.block:
        return weights.blockwise(w.data, scheme.weights, along, scheme.block)
    is_grouped = node.op == "ConvTranspose" and node.attributes.get("group", 1) > 1
    per_channel = (scheme.per_channel or scheme.weights == INT4) and not is_grouped
    return weights.symmetric(w.data, scheme.weights, axis if per_channel else None, _least(node, grid, per_channel))


def _least(node: Node, grid: Grid | None, per_channel: bool) -> np.ndarray | float:
    """The smallest scales with which the biases fit."""
    bias = node.input(2)
    if grid is None or bias is None or bias.data is None:
        return 0.0
    ends = np.abs(bias.data.ravel()).astype(np.float64) / (grid.scale * LARGEST_BIAS[grid.dtype.itemsize])
    return ends if per_channel else float(ends.max(initial=0.0))
