"""Conv(Pad(x)) -> Conv(x) with larger pads, where zeros are added around the spatial axes."""

from __future__ import annotations

from netglot.ir.graph import Graph, Node
from netglot.passes.match import all_equal, leave_out, nodes, only_reader, producer


def fuse_pads(graph: Graph) -> bool:
    """A Pad that others read too stays, for all of them."""
    return any([_fuse(graph, conv) for conv in nodes(graph, "Conv")])


def _fuse(graph: Graph, conv: Node) -> bool:
    pad = producer(graph, conv.inputs[0], "Pad")
    added = _zeros_around(pad) if pad else None
    if pad is None or added is None or only_reader(graph, pad.output) is not conv:
        return False
    if conv.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return False
    own = conv.attributes.get("pads") or (0,) * len(added)
    conv.attributes.pop("auto_pad", None)
    conv.attributes["pads"] = tuple(a + b for a, b in zip(own, added, strict=True))
    leave_out(graph, pad, conv)
    return True


def _zeros_around(pad: Node) -> list[int] | None:
    """How many zeros are added before each spatial axis, and then after each, if that is all that `pad` does."""
    x, amounts, fill, axes = (pad.input(i) for i in range(4))
    if x is None or x.shape is None or amounts is None or not amounts.is_constant or x.rank < 3:
        return None
    if pad.attributes.get("mode", "constant") != "constant" or not (fill is None or all_equal(fill, 0)):
        return None
    if axes is not None and not axes.is_constant:
        return None
    listed = range(x.rank) if axes is None else axes.array.ravel()
    both = amounts.array.reshape(2, -1).tolist()
    given = {(end, int(axis) % x.rank): both[end][i] for end in (0, 1) for i, axis in enumerate(listed)}
    if min(given.values(), default=0) < 0 or any(given.get((end, axis), 0) for end in (0, 1) for axis in (0, 1)):
        return None
    return [given.get((end, axis), 0) for end in (0, 1) for axis in range(2, x.rank)]
