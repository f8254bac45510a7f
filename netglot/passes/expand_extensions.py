"""netglot.Op(x) -> the ONNX operators that compute it."""

from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.graph import Graph, Node
from netglot.ir.schema import DOMAIN


def expand_extensions(graph: Graph) -> bool:
    """Replaces every operator of the netglot domain by its ONNX expansion, for runtimes that know only ONNX.

    In bodies too. What they gave keeps its name.
    """
    inside = any([expand_extensions(body) for node in graph.nodes() for body in node.subgraphs()])
    return any([_expand(graph, node) for node in graph.nodes() if node.domain == DOMAIN]) or inside


def _expand(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        result = OPERATORS[node.op].expand(g, *node.inputs, **node.attributes)
    results = result if isinstance(result, tuple) else (result,)
    names = [value.name for value in node.outputs]
    for old, new in zip(node.outputs, results, strict=True):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    for name, new in zip(names, results, strict=True):
        if name not in graph:  # an output of the graph has it already
            graph.rename(new, name)
    return True
