"""Recurrence and control flow, lowered as far as a target needs it."""

from __future__ import annotations

from netglot.ir.graph import Graph
from netglot.passes.bodies import type_bodies
from netglot.passes.fold_constants import fold_constants
from netglot.passes.pipeline import COMMON, apply, run
from netglot.passes.recurrent import lower_recurrent
from netglot.passes.scan import lower_scans
from netglot.passes.unroll import inline_branches, unroll_loops

ROUNDS = 8  # as deep as Loops in Loops are taken apart
MOST_NODES = 1 << 16  # that unrolling one Loop may make


def lower_control(graph: Graph, most_steps: int) -> bool:
    """Leaves of LSTM, GRU, RNN, Scan, Loop and If only those Loops and Ifs that are decided when the network runs.

    And Loops of more than `most_steps` steps. Repeats itself, since what was inside of a Loop may now be outside, and
    the number of its steps known.
    """
    if not any(any(node.subgraphs()) or node.op in ("LSTM", "GRU", "RNN") for node in graph.nodes()):
        return False

    def unroll(graph: Graph) -> bool:
        return unroll_loops(graph, most_steps, MOST_NODES)

    for _ in range(ROUNDS):
        apply(fold_constants, graph)
        passes = (type_bodies, lower_recurrent, lower_scans, inline_branches, unroll)
        if not any([apply(one, graph) for one in passes]):
            break
    run(graph, COMMON)
    return True
