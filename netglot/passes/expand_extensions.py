"""netglot.Op(x) -> the ONNX operators that compute it."""

from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.graph import Graph, Node
from netglot.ir.schema import DOMAIN


def expand_extensions(graph: Graph) -> bool:
    """Replaces every operator of the netglot domain by its ONNX expansion, for runtimes that know only ONNX.

    In bodies too.
    """
    inside = any([expand_extensions(body) for node in graph.nodes() for body in node.subgraphs()])
    return any([_expand(graph, node) for node in graph.nodes() if node.domain == DOMAIN]) or inside


def _expand(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        result = OPERATORS[node.op].expand(g, *node.inputs, **node.attributes)
    results = result if isinstance(result, tuple) else (result,)
    for old, new in zip(node.outputs, results, strict=True):
        graph.replace_uses(old, new)
    graph.remove_node(node)
    return True
