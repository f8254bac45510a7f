"""Scan -> Loop: each step gathers its element of what is scanned, by its number."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.bodies import (
    BOOL,
    INT,
    given,
    replace,
    scan_input_axes,
    scan_length,
    scan_output_axes,
    scan_states,
    type_bodies,
    unhide,
)
from netglot.passes.match import nodes

_BACKWARDS = ([-1], [np.iinfo(np.int64).min], [0], [-1])  # starts, ends, axes and steps of a Slice


def lower_scans(graph: Graph) -> bool:
    """Every Scan over a known number of steps becomes a Loop without a condition."""
    return any([_lower(graph, node) for node in nodes(graph, "Scan") if scan_length(node)])


def _lower(graph: Graph, node: Node) -> bool:
    states = scan_states(node)
    read = [i for i, value in enumerate(node.outputs) if i < states or graph.uses(value)]  # nobody wants the others
    if not read:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        body = _body(node, read)
        loop = g.op("Loop", [scan_length(node), np.array(True), *node.inputs[:states]], outputs=len(read), body=body)
        unhide(graph)
        type_bodies(graph)
        results = dict(zip(read, loop if isinstance(loop, tuple) else (loop,), strict=True))
        turned = [_turned(g, node, i, results[i]) if i in results else None for i in range(len(node.outputs))]
    replace(graph, node, turned)
    return True


def _body(node: Node, read: list[int]) -> Graph:
    """The body of the Loop; of the outputs it has those in `read`."""
    scan = node.attributes["body"]
    g = Builder(Graph(scan.name))
    step, condition = g.graph.add_input("step", INT, ()), g.graph.add_input("condition", BOOL, ())
    states = [g.graph.add_input(value.name, value.dtype, value.shape) for value in scan.inputs[: scan_states(node)]]
    elements = [_element(g, node, i, step) for i in range(len(scan.inputs) - len(states))]
    results = g.graph.inline(scan, dict(zip(scan.inputs, [*states, *elements], strict=True)))
    g.graph.outputs = [g.Identity(condition), *(results[i] for i in read)]
    return g.graph


def _element(g: Builder, node: Node, index: int, step: Value) -> Value:
    """What scanned input `index` holds at `step`."""
    x, axis = node.inputs[scan_states(node) + index], scan_input_axes(node)[index]
    if given(node, "scan_input_directions", index + 1)[index]:
        last = g.constant(np.int64((scan_length(node) or 0) - 1))
        step = g.Sub(last, step)
    element: Value = g.Gather(x, step, axis=axis)
    return element


def _turned(g: Builder, node: Node, index: int, y: Value) -> Value:
    """Output `index` of the Scan from that of the Loop, which stacks along the first axis in the order of the steps."""
    scanned = index - scan_states(node)
    if scanned < 0:
        return y
    count = len(node.outputs) - scan_states(node)
    if given(node, "scan_output_directions", count)[scanned]:
        y = g.Slice(y, *_BACKWARDS)
    axis = scan_output_axes(node, count)[scanned] % y.rank
    return g.Transpose(y, perm=[*range(1, axis + 1), 0, *range(axis + 1, y.rank)]) if axis else y
