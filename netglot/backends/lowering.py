"""The one driver of every backend: walks the graph and calls each node's function for the target.

A backend function gets the context, then every input and every output the ONNX schema has, in order (None where an
optional one is left out, a list where it is variadic), then the node's attributes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from onnx import defs

from netglot.errors import Problem, UnsupportedError
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN, defaults, schema
from netglot.registry import Operator, registry

_VARIADIC = defs.OpSchema.FormalParameterOption.Variadic


class NotMappedError(Exception):
    """Raised by a backend function: the target can't do this case, and why."""


Call = Callable[[Operator, Node, list[Any], Mapping[str, Any]], None]


def lower(graph: Graph, format: str, call: Call, refused: Mapping[Node, str] | None = None) -> None:
    """Calls `call(operator, node, arguments, attributes)` for each node in topological order.

    Raises UnsupportedError with every node that the format has no function for, or whose function refuses it;
    `refused` says why some could not be composed of others.
    """
    reasons = refused or {}
    problems = [problem for node in graph.nodes() for problem in _lower(node, format, call, reasons.get(node))]
    if problems:
        raise UnsupportedError(problems)


def find(node: Node, format: str) -> Operator | None:
    """The function for `node`; operators of the netglot domain are registered as `netglot.Name`."""
    return registry.find(format, f"{DOMAIN}.{node.op}" if node.domain == DOMAIN else node.op)


def takes_open_sizes(node: Node, format: str) -> bool:
    """Whether the function for `node` was registered as one that takes and gives sizes known only at run time."""
    operator = find(node, format)
    return operator is not None and bool(operator.options.get("open_sizes"))


def _lower(node: Node, format: str, call: Call, refused: str | None) -> Iterator[Problem]:
    if refused is not None:
        yield problem(node, f"{node.op} can't be written to {format}: {refused}")
        return
    operator = find(node, format)
    if operator is None:
        near = registry.near(format, node.op)
        hint = f"Near: {', '.join(near)}." if near else ""
        yield problem(node, f"{format} has no mapping for the operator {node.op}", hint)
        return
    try:
        call(operator, node, arguments(node), attributes(operator, node))
    except NotMappedError as reason:
        yield problem(node, f"{node.op} can't be written to {format}: {reason}")
    except UnsupportedError as inside:  # of a body
        yield from inside.problems


def problem(node: Node, what: str, hint: str = "") -> Problem:
    inputs = ", ".join(types.text(value.shape) if value else "-" for value in node.inputs)
    outputs = ", ".join(types.text(value.shape) for value in node.outputs)
    return Problem(f"{what} (node '{node.name}')", node.origin, f"{inputs} -> {outputs}", hint)


def arguments(node: Node) -> list[Any]:
    """Inputs then outputs, one for each formal parameter of the schema."""
    op_schema = schema(node.op, node.domain)
    assert op_schema is not None
    return [*_formal(op_schema.inputs, node.inputs), *_formal(op_schema.outputs, node.outputs)]


def _formal(parameters: Any, actual: tuple[Value | None, ...]) -> Iterator[Any]:
    for i, parameter in enumerate(parameters):
        if parameter.option == _VARIADIC:
            yield list(actual[i:])
        else:
            yield actual[i] if i < len(actual) else None


def attributes(operator: Operator, node: Node) -> dict[str, Any]:
    """The node's attributes; one that the function does not take must have ONNX's default."""
    standard = defaults(node.op, node.domain)
    given = {name: value for name, value in node.attributes.items() if name in operator.attributes}
    for name, value in node.attributes.items():
        if name not in given and not _same(value, standard.get(name)):
            raise NotMappedError(f"the attribute {name}={value} has no counterpart")
    return {name: standard[name] for name in operator.attributes if name in standard} | given


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b)) if a is not None and b is not None else a is b


def padded_places(indices: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Indices outside 0...size - 1 brought inside, as Pad's modes say."""
    if mode == "edge":
        return np.clip(indices, 0, size - 1)
    if mode == "wrap":
        return indices % size
    period = max(1, 2 * (size - 1))
    return size - 1 - np.abs(size - 1 - indices % period)
