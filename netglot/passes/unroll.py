"""Loop(n, body) -> body, body, body...; If(constant) -> the branch that is taken."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.bodies import loop_length, replace
from netglot.passes.match import nodes, number


def inline_branches(graph: Graph) -> bool:
    """The branch of every If whose condition is constant takes its place."""
    return any([_take(graph, node) for node in nodes(graph, "If") if number(node.inputs[0]) is not None])


def _take(graph: Graph, node: Node) -> bool:
    branch = node.attributes["then_branch" if number(node.inputs[0]) else "else_branch"]
    replace(graph, node, graph.inline(branch, {}))
    return True


def unroll_loops(graph: Graph, most: int, most_nodes: int) -> bool:
    """Replaces Loops that run one to `most` times, whatever they compute, by that many copies of their bodies.

    Those that would become more than `most_nodes` nodes stay.
    """
    return any([_unroll(graph, node) for node in nodes(graph, "Loop") if _is_short(node, most, most_nodes)])


def _is_short(node: Node, most: int, most_nodes: int) -> bool:
    count = loop_length(node)
    return count is not None and 1 <= count <= most and count * size(node.attributes["body"]) <= most_nodes


def size(body: Graph) -> int:
    """Nodes, with those inside of its Ifs and Loops."""
    return sum(1 + sum(map(size, node.subgraphs())) for node in body.nodes())


def _unroll(graph: Graph, node: Node) -> bool:
    body = node.attributes["body"]
    g = Builder(graph)
    with g.at(node.origin):
        known: dict[Value, Value] = {value: graph.add_constant(value.array, value.name) for value in body.constants()}
        known[body.inputs[1]] = g.constant(np.array(True))
        states: list[Value | None] = list(node.inputs[2:])
        stacked = []
        for step in range(loop_length(node) or 0):
            fed = zip(body.inputs, [g.constant(np.int64(step)), known[body.inputs[1]], *states], strict=True)
            _, *results = graph.inline(body, known | dict(fed))
            states, elements = [*results[: len(states)]], results[len(states) :]
            stacked.append([g.Unsqueeze(element, [0]) for element in elements])
        scanned = [g.Concat(*steps, axis=0) for steps in zip(*stacked, strict=True)]
    replace(graph, node, [*states, *scanned])
    return True
