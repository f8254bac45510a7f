"""QuantizeLinear(Relu(x)) -> QuantizeLinear(x), where the grid ends at or before the limits; so for Clip, Min and Max.

Exact: what lies beyond the last integer of a grid becomes that integer.
"""

from __future__ import annotations

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.passes.activations import Range, bounded
from netglot.passes.integer_grids import FLOAT, QUANTIZE
from netglot.passes.match import nodes, number, only_reader, producer

_BOUNDS = ("Relu", "Clip", "Min", "Max")


def drop_implied_limits(graph: Graph) -> bool:
    """Where nothing else reads what is limited. So a kernel of integers that knows no limits can be the layer."""
    return any([_drop(graph, node) for node in nodes(graph, QUANTIZE)])


def _drop(graph: Graph, quantise: Node) -> bool:
    y = quantise.inputs[0]
    limit = producer(graph, y, *_BOUNDS)
    if limit is None or y is None or only_reader(graph, y) is not quantise:
        return False
    x, bounds = bounded(limit)
    if x is None or bounds is None or not _implies(quantise, bounds):
        return False
    graph.set_inputs(quantise, [x, *quantise.inputs[1:]])
    graph.remove_node(limit)
    return True


def _implies(quantise: Node, bounds: Range) -> bool:
    """Whether both limits become the first and the last integer (which infinite ones do)."""
    scale, zero, kind = number(quantise.inputs[1]), number(quantise.input(2)), quantise.output.dtype
    if scale is None or zero is None or kind is None or kind.kind not in "iu" or not scale > 0:
        return False
    if quantise.inputs[1] is None or quantise.inputs[1].dtype != FLOAT:
        return False
    levels = [_level(bound, scale, zero) for bound in bounds]
    return levels[0] <= _ends(kind)[0] and levels[1] >= _ends(kind)[1]


def _level(bound: float, scale: float, zero: float) -> float:
    return float(np.rint(np.float32(bound) / np.float32(scale)) + zero)


def _ends(kind: np.dtype) -> tuple[int, int]:
    info = np.iinfo(kind)
    return int(info.min), int(info.max)
