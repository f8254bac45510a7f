"""x -> (nothing), where no output of the graph depends on x."""

from netglot.ir.graph import Graph


def remove_dead_code(graph: Graph) -> bool:
    """Removes every node and constant that no output depends on. Inputs stay: they are the model's interface."""
    before = len(graph.nx)
    graph.drop_unneeded()
    return len(graph.nx) < before
