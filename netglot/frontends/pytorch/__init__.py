"""PyTorch: .pt2 of torch.export.save, TorchScript .pt, modules and exported programs in memory.

A .pt2 is read without torch. Operators are ATen's, by overload; what has no mapping goes through torch's own
decompositions where torch is installed.
"""

from pathlib import Path
from typing import Any

from netglot.frontends.options import LoadOptions
from netglot.frontends.pytorch import operators, torchscript  # noqa: F401  (operators register their functions)
from netglot.frontends.pytorch.archive import Archive
from netglot.frontends.pytorch.builder import Complex, TorchBuilder, aten, torch_op
from netglot.frontends.pytorch.decompose import decomposed
from netglot.frontends.pytorch.reader import to_graph
from netglot.frontends.pytorch.sources import of_exported, read
from netglot.ir.graph import Graph

__all__ = ["Complex", "TorchBuilder", "aten", "load", "torch_op"]


def load(source: Path | Any, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads a .pt2, a TorchScript .pt, or a torch.export.ExportedProgram in memory, into a Graph.

    Inputs are called as `forward` calls them. Weights are not copied.
    """
    program = read(source, options) if isinstance(source, Path) else of_exported(source, "module")
    if isinstance(program, Archive):
        return torchscript.load(source, program, options)
    return to_graph(decomposed(program), options)
