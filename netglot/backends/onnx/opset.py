"""The lowest opset at which a graph means what it means at the pinned one, so that files load in old runtimes too.

It also finds kernels: ONNX Runtime has some (MaxRoiPool) only for the operator as it was before its types were widened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from onnx import helper

from netglot.errors import ConversionError
from netglot.ir.graph import Graph, Node
from netglot.ir.schema import OPSET
from netglot.ir.versions import carry, signature

LOWEST = 17  # LayerNormalization's: what every runtime of the last years loads
Attributes = Mapping[str, Any]


def lowest_opset(graph: Graph, at_least: int = LOWEST) -> int:
    """The lowest opset from `at_least` to the pinned one that can hold `graph` and the graphs inside it."""
    nodes = list(_all_nodes(graph))
    for version in range(at_least, OPSET + 1):
        if all(attributes_at(node, version) is not None for node in nodes):
            return version
    raise ConversionError(f"the graph needs opset {OPSET}, which is lower than {at_least}")


def ir_version(opset: int) -> int:
    """The ir_version that came with `opset`."""
    return int(helper.find_min_ir_version_for([helper.make_opsetid("", opset)]))


def attributes_at(node: Node, version: int) -> dict[str, Any] | None:
    """The attributes with which `node` is written at opset `version`, or None where that would mean something else."""
    new, old = signature(node.op, node.domain, version), signature(node.op, node.domain, OPSET)
    if new is None or old is None:
        return None
    if any(new.since < since <= old.since and changed(node.attributes) for since, changed in _CHANGES.get(node.op, ())):
        return None
    return carry(old, new, node.attributes, node.inputs, node.outputs)


def _all_nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes():
        yield node
        for body in node.subgraphs():
            yield from _all_nodes(body)


def _always(attributes: Attributes) -> bool:
    return True


def _has(name: str, *values: str) -> Callable[[Attributes], bool]:
    return lambda attributes: attributes.get(name) in values


def _starts_in_padding(attributes: Attributes) -> bool:
    """Whether rounding up can start a window in the padding at the end: such windows are left out only since 22."""
    kernel = attributes["kernel_shape"]
    ends = attributes.get("pads", (0,) * 2 * len(kernel))[len(kernel) :]
    strides = attributes.get("strides", (1,) * len(kernel))
    return bool(attributes.get("ceil_mode", 0)) and any(
        pad + stride > size for pad, stride, size in zip(ends, strides, kernel, strict=True)
    )


# Changes in meaning that a schema does not show (or not as an input or attribute that an old one lacks): operator ->
# (the opset that brought it, which nodes it concerns).
_CHANGES: Mapping[str, tuple[tuple[int, Callable[[Attributes], bool]], ...]] = {
    "AveragePool": ((22, _starts_in_padding),),
    "MaxPool": ((22, _starts_in_padding),),
    "LpPool": ((22, _starts_in_padding),),
    "DFT": ((20, _always),),  # the axis was an attribute of another default
    "GridSample": ((20, _always),),  # linear was bilinear, cubic was bicubic; images only
    "GroupNormalization": ((21, _always),),  # scale and bias had one element a group, now one a channel
    "Pad": ((19, _has("mode", "wrap")),),
    "Resize": ((19, _has("coordinate_transformation_mode", "half_pixel_symmetric")),),
    "ScatterElements": ((18, _has("reduction", "max", "min")),),
    "ScatterND": ((18, _has("reduction", "max", "min")),),
}
