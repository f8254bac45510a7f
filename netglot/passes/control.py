"""Recurrence and control flow, lowered as far as a target needs it."""

from __future__ import annotations

from netglot.ir.graph import Graph
from netglot.passes.activations import fuse_activations, merge_clips
from netglot.passes.affine import merge_affine
from netglot.passes.bodies import type_bodies
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.duplicates import merge_duplicates
from netglot.passes.fold_constants import fold_constants
from netglot.passes.fuse_affine import fuse_affine
from netglot.passes.pipeline import Pass, apply, run, tidy
from netglot.passes.recurrent import CELLS, lower_recurrent
from netglot.passes.scan import lower_scans
from netglot.passes.transposes import fold_transposes
from netglot.passes.unroll import inline_branches, select_branches, unroll_loops

ROUNDS = 8  # as deep as Loops in Loops are taken apart
MOST_NODES = 1 << 16  # that unrolling one Loop may make

# Why one is left where the target has no operator for it.
LEFT = {
    "Scan": "the number of its steps must be known",
    "Loop": "it can be unrolled only where the number of its steps is known, and not too large",
    "If": "it is decided when the network runs, and its branches can't both be computed: they give tensors of other "
    "sizes, or one of them may fail where the other is due",
}

# What the common passes do for other nodes, and would undo here: they look for LSTMs in Loops.
_AFTER: list[Pass] = [
    remove_dead_code,
    fold_constants,
    tidy,
    merge_duplicates,
    fold_transposes,
    merge_affine,
    fuse_affine,
    tidy,
    merge_clips,
    fuse_activations,
    remove_dead_code,
]


def lower_control(graph: Graph, most_steps: int, *, select: bool = False, recurrent: bool = True) -> bool:
    """Leaves of LSTM, GRU, RNN, Scan, Loop and If only those Loops and Ifs that are decided when the network runs.

    And Loops of more than `most_steps` steps. With `select` both branches of an If are computed where they can be.
    Without `recurrent` the target has LSTM, GRU and RNN itself. Repeats itself, since what was inside of a Loop may now
    be outside, and the number of its steps known.
    """
    if not any(any(node.subgraphs()) or node.op in CELLS for node in graph.nodes()):
        return False

    def unroll(graph: Graph) -> bool:
        return unroll_loops(graph, most_steps, MOST_NODES)

    passes = [type_bodies, lower_scans, inline_branches, unroll]
    passes += [lower_recurrent] if recurrent else []
    passes += [select_branches] if select else []
    for _ in range(ROUNDS):
        apply(fold_constants, graph)
        if not any([apply(one, graph) for one in passes]):
            break
    run(graph, _AFTER)
    return True
