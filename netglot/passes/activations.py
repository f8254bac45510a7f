"""Clip(Relu(x)), Min(Max(x, a), b)... -> one Relu or Clip; x * Tanh(Softplus(x)) -> Mish(x);
x * HardSigmoid(x, 1/6, 1/2) -> HardSwish(x).
"""

from __future__ import annotations

from math import inf, isclose
from typing import NamedTuple

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.match import nodes, number, only_reader, producer, supplant


class Range(NamedTuple):
    low: float
    high: float

    def clip(self, x: float) -> float:
        """As ONNX defines it where low > high."""
        return min(max(x, self.low), self.high)


def merge_clips(graph: Graph) -> bool:
    """Two bounds in a row become one: the first range, clipped by the second."""
    return any([_merge(graph, node) for node in nodes(graph, *_BOUNDS)])


_BOUNDS = ("Relu", "Clip", "Min", "Max")


def _merge(graph: Graph, node: Node) -> bool:
    x, outer = bounded(node)
    inner_node = producer(graph, x, *_BOUNDS)
    if x is None or outer is None or inner_node is None or only_reader(graph, x) is not node:
        return False
    source, inner = bounded(inner_node)
    if source is None or inner is None or inner.low > inner.high:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        supplant(graph, node, _write(g, source, Range(outer.clip(inner.low), outer.clip(inner.high))))
    graph.remove_node(inner_node)
    return True


def _write(g: Builder, x: Value, bounds: Range) -> Value:
    if bounds == (0, inf):
        return g.Relu(x)
    limits = [None if abs(bound) == inf else g.constant(bound, x.dtype) for bound in bounds]
    return g.Clip(x, *limits)


def bounded(node: Node) -> tuple[Value | None, Range | None]:
    """What `node` bounds and by what, if it does so by constants."""
    x = node.inputs[0]
    if x is None or x.dtype is None or x.dtype.kind != "f":
        return None, None
    if node.op == "Relu":
        return x, Range(0, inf)
    if node.op == "Clip":
        low, high = (_bound(node.input(i), default) for i, default in ((1, -inf), (2, inf)))
        return x, None if low is None or high is None else Range(low, high)
    return _min_or_max(node)


def _bound(value: Value | None, default: float) -> float | None:
    found = default if value is None else number(value)
    return None if found != found else found


def _min_or_max(node: Node) -> tuple[Value | None, Range | None]:
    constants = [value for value in node.inputs if value is not None and value.is_constant]
    others = [value for value in node.inputs if value is not None and not value.is_constant]
    limit = number(constants[0]) if len(constants) == len(others) == 1 else None
    if limit is None or limit != limit or others[0].shape != node.output.shape:
        return None, None
    return others[0], Range(limit, inf) if node.op == "Max" else Range(-inf, limit)


def fuse_activations(graph: Graph) -> bool:
    """Activations that exporters write out and every target has as one operator."""
    return any([_fuse(graph, node) for node in nodes(graph, "Mul")])


def _fuse(graph: Graph, node: Node) -> bool:
    a, b = node.inputs
    return a is not None and b is not None and (_fuse_gate(graph, node, a, b) or _fuse_gate(graph, node, b, a))


def _fuse_gate(graph: Graph, node: Node, x: Value, gate: Value) -> bool:
    chain = _gate(graph, x, gate)
    if not chain or x is gate or any(only_reader(graph, part.output) is None for part in chain):
        return False
    g = Builder(graph)
    with g.at(node.origin):
        supplant(graph, node, g.op("Mish" if len(chain) == 2 else "HardSwish", [x]))
    for part in chain:
        graph.remove_node(part)
    return True


def _gate(graph: Graph, x: Value, gate: Value) -> list[Node]:
    """The nodes between `x` and `gate`, last first, if they are the gate of Mish or HardSwish."""
    tanh, hard = producer(graph, gate, "Tanh"), producer(graph, gate, "HardSigmoid")
    softplus = producer(graph, tanh.inputs[0], "Softplus") if tanh else None
    if tanh and softplus and softplus.inputs[0] is x:
        return [tanh, softplus]
    return [hard] if hard and hard.inputs[0] is x and _is_hard_swish(hard) else []


def _is_hard_swish(hard_sigmoid: Node) -> bool:
    found = {**defaults("HardSigmoid"), **hard_sigmoid.attributes}
    return isclose(found["alpha"], 1 / 6, rel_tol=1e-6) and found["beta"] == 0.5
