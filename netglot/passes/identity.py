"""f(x) -> x, where f changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import all_equal, bypass


def remove_identities(graph: Graph) -> bool:
    """Removes every operator that gives back its input: see the table below.

    An Identity between an input and an output of the graph stays: both keep their names.
    """
    return any([_remove(graph, node) for node in graph.nodes()])


def _remove(graph: Graph, node: Node) -> bool:
    x = _unchanged(node)
    if x is None or x.layout != node.output.layout or x.dtype != node.output.dtype:
        return False
    return bypass(graph, node, x)


def _unchanged(node: Node) -> Value | None:
    """The input that `node` gives back, if it does."""
    x = node.input(0)
    if x is None or node.domain or node.op not in _RULES:
        return None
    if node.op in ("Mul", "Add") and x.is_constant and node.inputs[1] is not None:
        x = node.inputs[1]
    if node.op == "Where":
        x = node.inputs[2] if all_equal(x, 0) else node.inputs[1]
    if x is None:
        return None
    return x if _RULES[node.op](node, x) else None


Rule = Callable[[Node, Value], bool]


def _always(node: Node, x: Value) -> bool:
    return True


def _same_shape(node: Node, x: Value) -> bool:
    return x.shape is not None and x.shape == node.output.shape and None not in x.shape


def _one_input(node: Node, x: Value) -> bool:
    return len(node.inputs) == 1


def _neutral(element: float) -> Rule:
    """The other operand is constant and changes nothing, the shape included."""

    def rule(node: Node, x: Value) -> bool:
        other = next((value for value in node.inputs if value is not x), None)
        return _same_shape(node, x) and all_equal(other, element)

    return rule


def _not_training(node: Node, x: Value) -> bool:
    training = node.input(2)
    return training is None or all_equal(training, 0)


def _in_order(node: Node, x: Value) -> bool:
    perm = node.attributes.get("perm")
    return x.shape is not None and (x.rank < 2 or (perm is not None and list(perm) == list(range(x.rank))))


def _takes_all(node: Node, x: Value) -> bool:
    """As large as its input, and not backwards."""
    steps = node.input(4)
    forwards = steps is None or (steps.is_constant and bool((steps.array > 0).all()))
    return forwards and _same_shape(node, x)


def _no_padding(node: Node, x: Value) -> bool:
    return all_equal(node.input(1), 0)


def _unbounded(node: Node, x: Value) -> bool:
    return node.input(1) is None and node.input(2) is None


def _decided(node: Node, x: Value) -> bool:
    condition = node.inputs[0]
    return (all_equal(condition, 0) or all_equal(condition, 1)) and _same_shape(node, x)


def _point_window(node: Node, x: Value) -> bool:
    """A pooling window of one element that visits every place."""
    steps = (*node.attributes["kernel_shape"], *node.attributes.get("strides", ()))
    return set(steps) == {1} and _same_shape(node, x) and not any(node.attributes.get("pads", ()))


_RULES: dict[str, Rule] = {
    "Identity": _always,
    "Dropout": _not_training,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile", "Cast"), _same_shape),
    **dict.fromkeys(("Concat", "Sum", "Max", "Min", "Mean"), _one_input),
    **dict.fromkeys(("Mul", "Div", "Pow"), _neutral(1)),
    **dict.fromkeys(("Add", "Sub"), _neutral(0)),
    **dict.fromkeys(("MaxPool", "AveragePool"), _point_window),
    "Transpose": _in_order,
    "Slice": _takes_all,
    "Split": lambda node, x: len(node.outputs) == 1,
    "Pad": _no_padding,
    "Clip": _unbounded,
    "Where": _decided,
}
