"""Palette(indices, codebook) of at most 16 entries -> Gather(codebook, Cast(indices)), two indices a byte.

ONNX has integers of 4 bits since opset 21. ONNX Runtime computes the weights once, when it loads the file.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.ir.schema import DOMAIN
from netglot.ir.types import to_onnx
from netglot.passes.match import supplant

SINCE = 21
_UINT4 = np.dtype(ml_dtypes.uint4)


def pack_palettes(graph: Graph) -> bool:
    """Larger palettes are left to expand_extensions."""
    found = [node for node in graph.nodes() if node.op == "Palette" and node.domain == DOMAIN]
    return any([_pack(graph, node) for node in found])


def _pack(graph: Graph, node: Node) -> bool:
    indices, codebook = node.inputs
    if indices is None or codebook is None or codebook.array.size > 16:
        return False
    g = Builder(graph)
    with g.at(node.origin):
        packed = g.constant(indices.array.astype(_UINT4), name=f"{indices.name}/packed")
        new = g.Gather(codebook, g.Cast(packed, to=to_onnx(np.dtype(np.int32))), axis=0)
    supplant(graph, node, new)
    return True
