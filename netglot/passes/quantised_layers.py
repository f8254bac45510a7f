"""QLinearConv and QLinearMatMul -> the pairs around Conv and MatMul that they are short for."""

from __future__ import annotations

from typing import Any

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import nodes, supplant
from netglot.passes.quantised_constants import DEQUANTIZE, QUANTIZE


def unfold_layers(graph: Graph) -> bool:
    """So that quantised layers have one form, whatever the file had. The same integers."""
    return any([_unfold(graph, node) for node in nodes(graph, "QLinearConv", "QLinearMatMul")])


def _unfold(graph: Graph, node: Node) -> bool:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = node.inputs
    if x_scale is None or w_scale is None or x_scale.data is None or w_scale.data is None or x_scale.data.size != 1:
        return False
    is_conv, g = node.op == "QLinearConv", Builder(graph)
    last = (w.rank - 1) if w is not None and w.shape is not None else 1
    with g.at(node.origin):
        left = g.op(DEQUANTIZE, [x, _scalar(x_scale), _scalar(x_zero)])
        right = g.op(DEQUANTIZE, [w, _scalar(w_scale), _scalar(w_zero)], axis=0 if is_conv else last)
        inputs = [left, right]
        if bias and bias[0] is not None:
            scale = (x_scale.data.reshape(()) * w_scale.data).astype("float32")
            inputs.append(g.op(DEQUANTIZE, [bias[0], scale if scale.size > 1 else scale.reshape(())], axis=0))
        t = g.op("Conv" if is_conv else "MatMul", inputs, **node.attributes)
        new = g.op(QUANTIZE, [t, _scalar(y_scale), _scalar(y_zero)])
    new.shape = node.output.shape
    supplant(graph, node, new)
    return True


def _scalar(value: Value | None) -> Any:
    """Of a constant with one element, what has no axes; others stay."""
    return value.data.reshape(()) if value is not None and value.data is not None and value.data.size == 1 else value
