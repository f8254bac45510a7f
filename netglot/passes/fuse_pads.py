"""Conv(Pad(x)) -> Conv(x) with larger pads, where zeros are added around the spatial axes."""

from __future__ import annotations

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.match import all_equal, leave_out, nodes


def fuse_pads(graph: Graph) -> bool:
    """A Pad that anything but convolutions reads stays, for all of them."""
    return any([_fuse(graph, pad) for pad in nodes(graph, "Pad")])


def _fuse(graph: Graph, pad: Node) -> bool:
    added, y = _zeros_around(pad), pad.output
    readers = graph.consumers(y)
    if added is None or graph.uses(y) != len(readers) or not all(_is_image_of(conv, y) for conv in readers):
        return False
    for conv in readers:
        own = conv.attributes.get("pads") or (0,) * len(added)
        conv.attributes.pop("auto_pad", None)
        conv.attributes["pads"] = tuple(a + b for a, b in zip(own, added, strict=True))
        leave_out(graph, pad, conv)
    return bool(readers)


def _is_image_of(conv: Node, x: Value) -> bool:
    """Whether `conv` reads x as its image only, and says its pads in numbers."""
    said = conv.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return conv.op == "Conv" and not conv.domain and said and x not in conv.inputs[1:]


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
