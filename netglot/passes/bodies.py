"""What the rewrites of If, Loop and Scan share: the number of steps, the types inside of bodies, and their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import Result, infer
from netglot.ir.types import Dim, Shape, is_static
from netglot.passes.match import all_equal, number

INT, BOOL = np.dtype(np.int64), np.dtype(bool)
FOREVER = np.iinfo(np.int64).max  # ONNX's trip count of a Loop that only its condition ends


def replace(graph: Graph, node: Node, results: Sequence[Value | None]) -> None:
    """`results` take the place and the names of the outputs of `node` (None: nobody reads it), which goes."""
    g = Builder(graph)
    pairs = [(old, result) for old, result in zip(node.outputs, results, strict=True) if result is not None]
    with g.at(node.origin):
        copies = [(old, old.name, g.Identity(result)) for old, result in pairs]
    for old, _, new in copies:
        _learn(new, old.dtype, old.shape)
        graph.replace_uses(old, new)
    graph.remove_node(node)
    for _, name, new in copies:
        if new.name != name:  # an output of the graph has taken it already
            graph.rename(new, name)
    unhide(graph)


def unhide(graph: Graph) -> None:
    """Renames what has, inside of a body, the name of an outer value that is read there."""
    for body in [body for node in graph.nodes() for body in node.subgraphs()]:
        for outer in body.captures():
            while outer.name in body:
                body.rename(body[outer.name], body.unique_name(outer.name))
        unhide(body)


def read_through_identities(graph: Graph) -> bool:
    """A body reads outer images through an Identity of its own, which it may store in another way than outside."""
    images = [value for value in graph.captures() if not value.is_constant and value.shape and len(value.shape) > 2]
    for value in images:
        own = graph.add_value(f"{value.name}/inside", value.dtype, value.shape)
        graph.replace_uses(value, own)
        graph.add_node(Node("Identity", [value], [own]))
    return bool(images)


# ----------------------------------------------------------------------- Loop


def trip_count(count: Value | None, condition: Value | None, body: Graph) -> int | None:
    """How often a Loop runs, if that is known: a constant count, and no condition that could end it earlier."""
    most = number(count)
    if all_equal(condition, 0):
        return 0
    if most is None or most >= FOREVER or not (condition is None or all_equal(condition, 1)):
        return None
    return max(0, int(most)) if goes_on(body) else None


def loop_length(node: Node) -> int | None:
    return trip_count(node.input(0), node.input(1), node.attributes["body"])


def goes_on(body: Graph) -> bool:
    """Whether the condition that the body of a Loop yields is true wherever the one that it gets is."""
    condition = body.outputs[0]
    while (producer := body.producer(condition) if condition in body.nx else None) and producer.op == "Identity":
        condition = producer.inputs[0] or condition
    return condition is body.inputs[1] or all_equal(condition, 1)


# ---------------------------------------------------------------------- types


def type_bodies(graph: Graph) -> bool:
    """Fills in the sizes of If, Loop and Scan, inside and out, where what they are fed tells them."""
    return any([_type_node(graph, node) for node in graph.nodes() if any(node.subgraphs())])


def _type_node(graph: Graph, node: Node) -> bool:
    if all(is_static(value.shape) for body in node.subgraphs() for value in (*body.values(), *node.outputs)):
        return False
    bodies = {name: _typed(node, body) for name, body in node.attributes.items() if isinstance(body, Graph)}
    if None in bodies.values():
        return False
    node.attributes.update(bodies)
    graph.set_inputs(node, node.inputs)
    return any([_learn(value, *result) for value, result in zip(node.outputs, _results(node), strict=True)])


def _typed(node: Node, body: Graph) -> Graph | None:
    """The body with types inferred from what it is fed; None where a state leaves it with another size.

    A state that enters an iteration with some size and leaves it with the same has that size in all of them.
    """
    twin = body.copy()
    for value, result in zip(twin.inputs, _fed(node), strict=False):
        _learn(value, *result)
    for inner in twin.nodes():
        _infer(twin, inner)
    return twin if all(a.shape == b.shape for a, b in _states(node, twin)) else None


def _infer(graph: Graph, node: Node) -> None:
    if any(node.subgraphs()):
        _type_node(graph, node)
    elif not all(is_static(value.shape) for value in node.outputs):
        try:
            found = infer(node.op, node.domain, node.attributes, node.inputs, len(node.outputs), node.origin)
        except ConversionError:
            return  # that is told where the node is written
        for value, result in zip(node.outputs, found, strict=True):
            _learn(value, *result)


def _learn(value: Value, dtype: np.dtype | None, shape: Shape | None) -> bool:
    if value.dtype not in (None, dtype) or is_static(value.shape) or shape is None:
        return False
    before, value.dtype, value.shape = value.shape, dtype, shape
    return before != shape


def _fed(node: Node) -> list[Result]:
    """Types of what the body's inputs are fed."""
    types_: list[Result] = [(x.dtype, x.shape) if x is not None else (None, None) for x in node.inputs]
    if node.op == "Loop":
        return [(INT, ()), (BOOL, ()), *types_[2:]]
    if node.op == "Scan":
        scanned = zip(types_[scan_states(node) :], scan_input_axes(node), strict=True)
        return [*types_[: scan_states(node)], *(_without(*item, axis) for item, axis in scanned)]
    return []


def _without(dtype: np.dtype | None, shape: Shape | None, axis: int) -> Result:
    return dtype, None if shape is None else tuple(size for i, size in enumerate(shape) if i != axis % len(shape))


def _states(node: Node, body: Graph) -> list[tuple[Value, Value]]:
    """Pairs of a body's input and the output that is fed back to it."""
    if node.op == "Loop":
        return list(zip(body.inputs[2:], body.outputs[1:], strict=False))
    return list(zip(body.inputs[: scan_states(node)], body.outputs, strict=False)) if node.op == "Scan" else []


def _results(node: Node) -> list[Result]:
    first, *others = node.subgraphs()
    if node.op == "If":
        pairs = zip(first.outputs, others[0].outputs, strict=True)
        return [(a.dtype, a.shape if a.shape == b.shape else None) for a, b in pairs]
    states = _states(node, first)
    outputs = first.outputs[len(states) + (node.op == "Loop") :]
    stacked = [_with(value, loop_length(node) if node.op == "Loop" else scan_length(node), axis)
               for value, axis in zip(outputs, scan_output_axes(node, len(outputs)), strict=True)]  # fmt: skip
    return [*((value.dtype, value.shape) for value, _ in states), *stacked]


def _with(value: Value, size: Dim, axis: int) -> Result:
    if value.shape is None:
        return value.dtype, None
    at = axis % (value.rank + 1)
    return value.dtype, (*value.shape[:at], size, *value.shape[at:])


# ----------------------------------------------------------------------- Scan


def scan_states(node: Node) -> int:
    return len(node.inputs) - int(node.attributes["num_scan_inputs"])


def scan_input_axes(node: Node) -> list[int]:
    return given(node, "scan_input_axes", int(node.attributes["num_scan_inputs"]))


def scan_output_axes(node: Node, count: int) -> list[int]:
    return given(node, "scan_output_axes", count)


def given(node: Node, name: str, count: int) -> list[int]:
    """One number for each: zeros where the attribute is left out."""
    return list(node.attributes.get(name, (0,) * count))


def scan_length(node: Node) -> int | None:
    """The number of steps of a Scan, if it is known."""
    x = node.inputs[scan_states(node)]
    size = x.shape[scan_input_axes(node)[0]] if x is not None and x.shape is not None else None
    return size if isinstance(size, int) else None
