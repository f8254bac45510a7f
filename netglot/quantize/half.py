"""Which tensors `--quantize fp16` leaves in float32, and why: by what they hold, seen before anything is written.

A tensor that float16 can't hold stays, and so does an operator whose sums would end beyond float16 although its result
would not: a mean adds before it divides, and a normalisation squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, prod

import numpy as np

from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.half import LARGEST, MOST_ERROR, STEP, constant_misfit, number, range_misfit, rounding_error
from netglot.passes.decompress import COMPRESSED
from netglot.quantize.observe import Observation

HEADROOM = 2.0  # what other data may exceed the observed range by
DEVIATIONS = 3.0  # standard deviations that the largest magnitude seen is taken for, where squares are added

FLOAT = np.dtype(np.float32)
Observations = Mapping[str, Observation]


@dataclass(frozen=True)
class HalfPlan:
    """What stays float32. keep: each value's name and the reason: who computes and who reads it does that in float32.

    inside: those of them whose producer alone must: the value itself fits, and its readers may take it as float16.
    """

    keep: dict[str, str] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()


def half_plan(graph: Graph, observations: Observations) -> HalfPlan:
    """What of `graph` float16 can't hold, from the observed ranges of its float tensors and from its constants.

    Tensors that were not observed are taken to fit; constants of bodies are looked at, too.
    """
    values = dict(_values(graph, observations))
    sums = {name: why for name, why in _sums(graph, observations) if name not in values}
    return HalfPlan(values | sums, frozenset(sums))


def _values(graph: Graph, observations: Observations) -> Iterator[tuple[str, str]]:
    for value in graph.values():
        seen = observations.get(value.name)
        if value.dtype == FLOAT and seen is not None and value.data is None:
            why = range_misfit(seen.low, seen.high, HEADROOM) or _divisor_misfit(graph, value, seen)
            yield from [(value.name, why)] if why else []
    yield from _constants(graph)


def _constants(graph: Graph) -> Iterator[tuple[str, str]]:
    """And the weights that are stored with them (Palette, Sparse)."""
    found = {value: constant_misfit(value.array) for value in graph.constants() if value.dtype == FLOAT}
    for node in graph.nodes():
        why = next((found[value] for value in node.inputs if value is not None and found.get(value)), "")
        if why and node.domain and node.op in COMPRESSED:
            found[node.output] = why
        for body in node.subgraphs():
            yield from _constants(body)
    yield from ((value.name, why) for value, why in found.items() if why)


def _divisor_misfit(graph: Graph, value: Value, seen: Observation) -> str:
    """What is divided by, or whose logarithm is taken, must not become zero."""
    least = max(seen.low, -seen.high)  # the smallest magnitude, if no value is zero or of the other sign
    if least <= 0 or rounding_error(least) <= MOST_ERROR or not _is_divisor(graph, value):
        return ""
    return f"is divided by, or a logarithm is taken, and falls to {number(least)}; float16 has steps of {number(STEP)}"


def _is_divisor(graph: Graph, value: Value) -> bool:
    places = {"Div": 1, "Log": 0, "Reciprocal": 0}
    return any(not node.domain and node.op in places and node.input(places[node.op]) is value
               for node in graph.consumers(value))  # fmt: skip


# -------------------------------------------------------------------- sums inside


def _sums(graph: Graph, observations: Observations) -> Iterator[tuple[str, str]]:
    """Results of operators that compute something on the way which float16 can't hold."""
    for node in graph.nodes():
        inner = None if node.domain else _INNER.get(node.op)
        x, y = (observations.get(value.name) if value else None for value in (node.input(0), node.output))
        if inner is None or x is None or y is None or node.output.dtype != FLOAT:
            continue
        why = inner(node, x, y)
        if why:
            yield node.output.name, why


Inner = Callable[[Node, Observation, Observation], str]


def _mean(node: Node, x: Observation, y: Observation) -> str:
    """The sum that is divided by the count."""
    window = node.attributes.get("kernel_shape")
    count = prod(window) if window else x.count / max(1, y.count)
    return _overflow("the sum that it averages", _peak(y) * count)


def _root(node: Node, x: Observation, y: Observation) -> str:
    """The powers whose root it takes."""
    p = node.attributes.get("p", 2)
    return _misfit("the sum of powers whose root it takes", min(_peak(y), 1e6) ** min(p, 50)) if p > 1 else ""


def _exponentials(node: Node, x: Observation, y: Observation) -> str:
    """The sum whose logarithm it takes."""
    return _overflow("the sum whose logarithm it takes", exp(min(y.high, 700.0)))


def _squares(node: Node, x: Observation, y: Observation) -> str:
    """The squares that are added to normalise by them."""
    if node.attributes.get("p", 2) != 2:
        return ""
    mean = (_peak(x) / DEVIATIONS) ** 2
    inside = max(_peak(x) ** 2, mean * _normalised_together(node))
    small = "" if node.op == "LRN" else range_misfit(0.0, mean)  # which adds a number to it
    why = _overflow("the sum of squares that it normalises by", inside)
    return why or (f"the mean of squares that it normalises by {small}" if small else "")


def _softmax(node: Node, x: Observation, y: Observation) -> str:
    """The exponentials, 1 at most, that it divides by the sum of."""
    return _overflow("the sum of exponentials that it divides by", float(_along(node, node.attributes.get("axis", -1))))


_INNER: Mapping[str, Inner] = {
    "AveragePool": _mean, "GlobalAveragePool": _mean, "ReduceMean": _mean,
    "GlobalLpPool": _root, "LpPool": _root, "ReduceL2": _root,
    "ReduceLogSum": _exponentials, "ReduceLogSumExp": _exponentials,
    "GroupNormalization": _squares, "InstanceNormalization": _squares, "LRN": _squares, "LayerNormalization": _squares,
    "LpNormalization": _squares, "MeanVarianceNormalization": _squares, "RMSNormalization": _squares,
    "LogSoftmax": _softmax, "Softmax": _softmax,
}  # fmt: skip


def _normalised_together(node: Node) -> int:
    """How many elements one sum of squares is of (1 where sizes are not known)."""
    x = node.input(0)
    if node.op == "LRN":
        return int(node.attributes["size"])
    if x is None or not types.is_static(x.shape):
        return 1
    if node.op in ("LayerNormalization", "RMSNormalization"):
        return prod(x.sizes[node.attributes.get("axis", -1) :])
    if node.op == "LpNormalization":
        return _along(node, node.attributes.get("axis", -1))
    if node.op == "MeanVarianceNormalization":
        return prod(x.sizes[axis] for axis in node.attributes.get("axes", (0, 2, 3)))
    groups = node.attributes.get("num_groups", x.sizes[1])
    return prod(x.sizes[1:]) // max(1, groups)


def _along(node: Node, axis: int) -> int:
    x = node.input(0)
    size = x.shape[axis] if x is not None and x.shape else None
    return size if isinstance(size, int) else 1


def _peak(seen: Observation) -> float:
    return max(-seen.low, seen.high)


def _overflow(what: str, size: float) -> str:
    return _misfit(what, size) if size * HEADROOM > LARGEST else ""


def _misfit(what: str, size: float) -> str:
    why = range_misfit(0.0, size, HEADROOM)
    return f"{what} {why}" if why else ""
