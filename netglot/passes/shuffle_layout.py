"""Reshape(Transpose(Reshape(x))), reordering the channels in groups, -> the same with the channels last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last, inverse, is_static
from netglot.passes.match import nodes, only_reader, producer, supplant


def shuffle_channels_last(graph: Graph) -> bool:
    """For channels-last targets, before their layout is chosen: ShuffleNet's shuffle need not leave channels-last.

    Of the three Transposes that take the place of one, the outer two do nothing in memory there (see layout.py).
    """
    changed = any([_rewrite(graph, node) for node in nodes(graph, "Reshape") if _matches(graph, node)])
    if changed:
        graph.drop_unneeded()
    return changed


def _matches(graph: Graph, merge: Node) -> bool:
    """Whether channels, and nothing else, are split, reordered and merged; the values between have no other reader."""
    order = producer(graph, merge.inputs[0], "Transpose")
    split = producer(graph, order.inputs[0], "Reshape") if order else None
    if order is None or split is None or only_reader(graph, order.output) is None:
        return False
    x, groups, y = split.inputs[0], split.output, merge.output
    if x is None or x.shape is None or x.rank < 3 or x.shape != y.shape or only_reader(graph, groups) is None:
        return False
    return _splits_channels(x, groups) and _keeps_the_rest(order.attributes.get("perm", ()), x.rank)


def _splits_channels(x: Value, groups: Value) -> bool:
    if not (is_static(x.shape) and is_static(groups.shape)):
        return False
    rest = x.sizes[2:]
    factors = groups.sizes[1 : groups.rank - len(rest)]
    return groups.sizes == (x.sizes[0], *factors, *rest) and prod(factors) == x.sizes[1] and len(factors) > 1


def _keeps_the_rest(perm: Sequence[int], rank: int) -> bool:
    """Whether the first axis and the spatial ones stay where they are."""
    spatial = range(len(perm) - (rank - 2), len(perm))
    return len(perm) > 0 and perm[0] == 0 and all(perm[axis] == axis for axis in spatial)


def _rewrite(graph: Graph, merge: Node) -> bool:
    order = producer(graph, merge.inputs[0], "Transpose")
    assert order is not None
    split = producer(graph, order.inputs[0], "Reshape")
    assert split is not None
    x = split.inputs[0]
    assert x is not None
    rest, perm = x.sizes[2:], order.attributes["perm"]
    count = split.output.rank - len(rest) - 1
    g = Builder(graph)
    with g.at(merge.origin):
        last = g.Transpose(x, perm=channels_last(x.rank))
        parts = g.Reshape(last, [x.sizes[0], *rest, *split.output.sizes[1 : count + 1]])
        moved = [axis + len(rest) for axis in perm[1 : count + 1]]
        shuffled = g.Transpose(parts, perm=(0, *range(1, len(rest) + 1), *moved))
        merged = g.Reshape(shuffled, [x.sizes[0], *rest, x.sizes[1]])
        supplant(graph, merge, g.Transpose(merged, perm=inverse(channels_last(x.rank))))
    return True
