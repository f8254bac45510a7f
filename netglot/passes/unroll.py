"""Loop(n, body) -> body, body...; If(constant) -> the branch that is taken; If(c, a, b) -> Where(c, a, b)."""

from __future__ import annotations

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN
from netglot.ir.types import is_static
from netglot.passes.bodies import loop_length, replace
from netglot.passes.decompress import COMPRESSED
from netglot.passes.match import nodes, number


def inline_branches(graph: Graph) -> bool:
    """The branch of every If whose condition is constant takes its place."""
    return any([_take(graph, node) for node in nodes(graph, "If") if number(node.inputs[0]) is not None])


def _take(graph: Graph, node: Node) -> bool:
    branch = node.attributes["then_branch" if number(node.inputs[0]) else "else_branch"]
    replace(graph, node, graph.inline(branch, {}))
    return True


# May fail, or take forever, on what the other branch is there for.
_PARTIAL = {"Div", "Gather", "GatherElements", "GatherND", "If", "Loop", "Mod", "Scan", "ScatterElements", "ScatterND"}


def select_branches(graph: Graph) -> bool:
    """Both branches of an If are computed, where they can't fail and give the same sizes, and one result selected."""
    return any([_select(graph, node) for node in nodes(graph, "If") if _can_select(node)])


def _can_select(node: Node) -> bool:
    pairs = zip(*(branch.outputs for branch in node.subgraphs()), strict=True)
    alike = all(a.shape == b.shape and a.dtype == b.dtype and is_static(a.shape) for a, b in pairs)
    return alike and all(_is_total(inner) for branch in node.subgraphs() for inner in branch.nodes())


def _is_total(node: Node) -> bool:
    divisor_or_index = node.input(1)
    safe = node.op == "Div" and node.output.dtype is not None and node.output.dtype.kind == "f"
    safe |= node.op == "Gather" and divisor_or_index is not None and divisor_or_index.is_constant
    safe |= node.domain == DOMAIN and node.op in COMPRESSED
    return safe or not (node.domain or node.op in _PARTIAL)


def _select(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        condition = node.inputs[0]
        assert condition is not None
        condition = g.Squeeze(condition) if condition.shape else condition
        results = [graph.inline(node.attributes[name], {}) for name in ("then_branch", "else_branch")]
        chosen: list[Value | None] = [g.Where(condition, a, b) for a, b in zip(*results, strict=True)]
    replace(graph, node, chosen)
    return True


def unroll_loops(graph: Graph, most: int, most_nodes: int) -> bool:
    """Replaces Loops that run up to `most` times by that many copies of their bodies.

    Those that would become more than `most_nodes` nodes stay.
    """
    return any([_unroll(graph, node) for node in nodes(graph, "Loop") if _is_short(node, most, most_nodes)])


def _is_short(node: Node, most: int, most_nodes: int) -> bool:
    count, body = loop_length(node), node.attributes["body"]
    if count == 0:
        return len(node.outputs) == len(node.inputs) - 2  # what is stacked would be empty
    return count is not None and count <= most and count * size(body) <= most_nodes


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
