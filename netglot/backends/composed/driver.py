"""Replaces nodes that a target has no function for by others, before its own passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from netglot.backends import lowering
from netglot.backends.lowering import NotMappedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import schema
from netglot.ir.types import is_static
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.fold_constants import fold_constants
from netglot.passes.pipeline import apply, run, tidy
from netglot.registry import Operator, registry

if TYPE_CHECKING:
    from netglot.registry import Function

Condition = Callable[[Node], bool]


class Composer(Builder):
    """A Builder that knows which outputs are due: their types and sizes."""

    def __init__(self, graph: Graph, outputs: tuple[Value, ...]) -> None:
        super().__init__(graph)
        self.outputs = outputs


ROUNDS = 4  # as deep as compositions are made of operators that are themselves composed


def composition(
    *ops: str, instead: Mapping[str, Condition] | None = None, open_sizes: bool = False
) -> Callable[[Function], Function]:
    """Registers how ONNX operators are composed of others, for targets that have no function for them.

    The function gets a Composer, every input that the ONNX schema has (None where it is left out) and the attributes,
    and returns the outputs. NotMappedError says why it can't. Sizes are known, but where `open_sizes` says that it need
    not know them. `instead`: by target, for which nodes it stands in although the target has a function.
    """
    return registry.add("composed", *ops, instead=instead or {}, open_sizes=open_sizes)


def compose(graph: Graph, target: str) -> dict[Node, str]:
    """Composes what `target` lacks, in place. Returns why it could not, by node."""
    refused: dict[Node, str] = {}
    for _ in range(ROUNDS):
        if not apply(lambda part: _compose(part, target, refused), graph):
            break
        run(graph, [remove_dead_code, fold_constants, tidy, remove_dead_code])
    return refused


def _compose(graph: Graph, target: str, refused: dict[Node, str]) -> bool:
    return any([_replace(graph, node, target, refused) for node in graph.nodes() if node not in refused])


def _replace(graph: Graph, node: Node, target: str, refused: dict[Node, str]) -> bool:
    operator = _chosen(node, target)
    if operator is None:
        return False
    g = Composer(graph, node.outputs)
    try:
        results = _results(g, node, operator)
    except NotMappedError as reason:
        refused[node] = str(reason)
        remove_dead_code(graph)
        return False
    names = [value.name for value in node.outputs]
    for old, new in zip(node.outputs, results, strict=False):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    for name, new in zip(names, results, strict=False):
        if name not in graph and new not in node.inputs and new.name not in names:
            graph.rename(new, name)  # by which `keep` of --quantize fp16 knows it
    return True


def _chosen(node: Node, target: str) -> Operator | None:
    operator = None if node.domain else registry.find("composed", node.op)
    if operator is None:
        return None
    condition = operator.options["instead"].get(target)
    lacks = lowering.find(node, target) is None
    return operator if lacks or (condition is not None and _is_known(node) and condition(node)) else None


def _is_known(node: Node) -> bool:
    return all(is_static(value.shape) and value.dtype is not None for value in _values(node))


def _values(node: Node) -> list[Value]:
    return [value for value in (*node.inputs, *node.outputs) if value is not None]


def _results(g: Composer, node: Node, operator: Operator) -> list[Value]:
    if not _is_known(node) and not operator.options["open_sizes"]:
        raise NotMappedError("it is composed of other operators only where all sizes are known")
    op_schema = schema(node.op, node.domain)
    assert op_schema is not None
    inputs = lowering.arguments(node)[: len(op_schema.inputs)]
    with g.at(node.origin):
        result = operator.function(g, *inputs, **lowering.attributes(operator, node))
        results = [_computed(g, value) for value in (result if isinstance(result, tuple) else (result,))]
    for old, new in zip(node.outputs, results, strict=False):
        new.shape = new.shape if _is_known(node) else old.shape
        if (new.dtype, new.shape) != (old.dtype, old.shape):
            raise NotMappedError(f"composed of other operators, it would give {new} where {old} is due")
    return results


def _computed(g: Composer, value: Value) -> Value:
    """A graph's output can't be a constant."""
    return g.Identity(value) if value.is_constant else value
