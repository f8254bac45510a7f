"""The passes, in order. Every pass takes a Graph, keeps it valid, and says whether it changed anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from netglot.ir.graph import Graph, Node
from netglot.passes.activations import fuse_activations, merge_clips
from netglot.passes.affine import lower_batchnorm, merge_affine
from netglot.passes.casts import merge_casts
from netglot.passes.channels_first import compute_channels_first
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.duplicates import merge_duplicates
from netglot.passes.few_axes import transpose_few_axes
from netglot.passes.flatten_layout import flatten_channels_last
from netglot.passes.fold_constants import fold_constants
from netglot.passes.fuse_affine import fuse_affine
from netglot.passes.fuse_pads import fuse_pads
from netglot.passes.fuse_quantised import fuse_quantised
from netglot.passes.gelu import fuse_gelu
from netglot.passes.identity import remove_identities
from netglot.passes.indices import count_from_the_end
from netglot.passes.integer_products import dequantise_products
from netglot.passes.layer_norm import centre_first, fuse_layer_norm
from netglot.passes.one_axis import drop_axis_of_one
from netglot.passes.prelu import fuse_prelu
from netglot.passes.products import keep_axes_in_products
from netglot.passes.quantised_constants import dequantise_last, quantise_constants
from netglot.passes.quantised_layers import unfold_layers
from netglot.passes.quantised_moves import pair_moves
from netglot.passes.recurrent_loops import fuse_recurrent_loops
from netglot.passes.reshapes import merge_reshapes
from netglot.passes.split_biases import add_before_splitting
from netglot.passes.transposes import fold_transposes, merge_transposes

Pass = Callable[[Graph], bool]

ROUNDS = 4  # more are never needed but by graphs made for it


def tidy(graph: Graph) -> bool:
    """Casts, reshapes and transpositions in a row become one, and what changes nothing goes; until nothing is left.

    The one fixed point: a pair that cancels may have stood between two others.
    """
    rounds = (_tidy_once(graph) for _ in range(ROUNDS))
    return any(list(takewhile(bool, rounds)))


def _tidy_once(graph: Graph) -> bool:
    return any([one(graph) for one in (merge_casts, merge_reshapes, merge_transposes, remove_identities)])


# For every target. Each walks the graph once, in topological order, so a chain is done in one walk.
COMMON: list[Pass] = [
    remove_dead_code,  # first, so that nothing is done for nothing
    fold_constants,  # makes constants of what the others need constant, and shapes known
    quantise_constants,
    unfold_layers,
    dequantise_products,
    pair_moves,  # after the layers: what is between them has grids now
    tidy,  # before what looks at neighbours, so that those meet
    dequantise_last,  # after tidy: what moves weights is one operator
    merge_duplicates,  # before the fusions, which would make equal layers differ
    fuse_recurrent_loops,  # after tidy, in whose bodies little is left but the cell
    keep_axes_in_products,
    add_before_splitting,
    centre_first,  # after merge_duplicates: what is compared is one value
    remove_dead_code,  # what would count as readers
    fuse_layer_norm,
    fuse_gelu,
    fuse_prelu,
    count_from_the_end,
    remove_dead_code,  # what those replaced
    compute_channels_first,  # after tidy and before the fusions: what stood between Transposes meets
    tidy,
    drop_axis_of_one,
    transpose_few_axes,
    tidy,  # their Reshapes
    fold_transposes,  # after tidy: only a Transpose that is needed goes into weights
    fuse_pads,
    lower_batchnorm,  # to Mul and Add, which the next two know
    merge_affine,  # before fuse_affine: MatMul takes a Mul and leaves an Add
    fuse_affine,
    fuse_quantised,
    tidy,  # where Mul and Add cancelled
    merge_clips,
    fuse_activations,
    pair_moves,  # again: Transposes that were better put between a pair
    remove_dead_code,  # weights that the others replaced
]

# For targets whose images are channels-last, after their layout is chosen (see layout.py).
CHANNELS_LAST: list[Pass] = [
    flatten_channels_last,
    remove_dead_code,
]


def run(graph: Graph, passes: Sequence[Pass], *, check: bool = False) -> Graph:
    """Runs `passes` on `graph` and its subgraphs in place. With `check` the invariants are proven after each."""
    for one in passes:
        apply(one, graph)
        if check:
            graph.check()
    return graph


def apply(one: Pass, graph: Graph) -> bool:
    """Runs a pass on `graph` and then on its subgraphs; if these changed, once more on `graph`, which they read."""
    changed = one(graph)
    inside = any([_inside(one, graph, node) for node in graph.nodes() if any(node.subgraphs())])
    return (inside and one(graph)) or inside or changed


def _inside(one: Pass, graph: Graph, node: Node) -> bool:
    changed = any([apply(one, body) for body in node.subgraphs()])
    if changed:
        graph.set_inputs(node, node.inputs)  # the bodies may capture less now
    return changed
