"""Channels that can be multiplied by any positive numbers, because what reads them can divide by these again.

A group is a set of tensors between the layers that make them and the layers that read them, with only operators in
between that commute with positive factors of a channel: Relu and its kin, pooling, sums of two tensors of the group,
whatever moves elements but keeps channels together. A bounded activation (Relu6, Clip) does not commute, nor does any
curved one (Sigmoid, Gelu): a group that meets one is left alone, as is one that an output or an input of the graph
belongs to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.activations import bounded
from netglot.passes.affine import affine_of
from netglot.passes.fuse_affine import Blocks, blocks_of
from netglot.passes.match import all_equal, nodes

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
NORMS = ("LayerNormalization", "RMSNormalization")


@dataclass
class Group:
    """Tensors that share the factors of `size` channels.

    tensors: the axis of the channels in each; one of k * size indices holds k neighbours of each channel.
    makers: nodes that can divide what they give. readers: layers that can multiply what they read. shifts: additions of
    constants on the way.
    """

    size: int
    tensors: dict[Value, int] = field(default_factory=dict)
    makers: list[Node] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)
    shifts: list[Node] = field(default_factory=list)


def groups(graph: Graph, makers: Collection[str] = LINEAR) -> list[Group]:
    """The groups of `graph` that start at operators of `makers` (of LINEAR, NORMS and Mul by constants), in order."""
    seen: set[Value] = set()
    found = []
    for node in nodes(graph, *makers):
        axis = made_axis(node)
        if axis is None or node.output in seen or not isinstance(size := _dim(node.output, axis), int):
            continue
        growing = _Growing(graph, makers, Group(size))
        whole = growing.grow(node.output, axis)
        seen.update(growing.group.tensors)
        found += [growing.group] if whole and growing.group.readers else []
    return [group for group in found if not _shares_weights(graph, group)]


def _shares_weights(graph: Graph, group: Group) -> bool:
    """With other layers, which would need a copy of their own."""
    weights = (node.inputs[1] for node in (*group.makers, *group.readers) if node.op in LINEAR)
    return any(w is not None and graph.uses(w) > 1 for w in weights)


def _dim(value: Value, axis: int) -> int | str | None:
    return None if value.shape is None else value.shape[axis]


@dataclass
class _Growing:
    graph: Graph
    makers: Collection[str]
    group: Group

    def grow(self, start: Value, axis: int) -> bool:
        """Whether all that is reached commutes; all of it is reached anyway, so that nothing is tried twice."""
        waiting, whole = deque([(start, axis)]), True
        while waiting:
            value, axis = waiting.popleft()
            if value in self.group.tensors:
                whole &= self.group.tensors[value] == axis
                continue
            self.group.tensors[value] = axis
            for found in (self._fits(value, axis), self._upwards(value, axis), self._downwards(value, axis)):
                whole &= found is not None
                waiting.extend(found or ())
        return whole

    def _fits(self, value: Value, axis: int) -> list[tuple[Value, int]] | None:
        size = _dim(value, axis)
        inner = value not in self.graph.outputs and isinstance(size, int) and size % self.group.size == 0
        return [] if inner else None

    def _upwards(self, value: Value, axis: int) -> list[tuple[Value, int]] | None:
        node = self.graph.producer(value)
        if node is None or node.domain:
            return None
        if node.op in self.makers and made_axis(node) is not None:
            self.group.makers.append(node)
            return [] if made_axis(node) == axis and _dim(value, axis) == self.group.size else None
        return self._through(node, axis, value)

    def _downwards(self, value: Value, axis: int) -> list[tuple[Value, int]] | None:
        found: list[tuple[Value, int]] = []
        for node in self.graph.consumers(value):
            if reads(node, value, axis):
                self.group.readers.append(node)
            elif node.op in self.makers or (more := self._through(node, axis, value)) is None:
                return None
            else:
                found += more
        return found

    def _through(self, node: Node, axis: int, value: Value) -> list[tuple[Value, int]] | None:
        """The other tensors of a node that commutes; it is met from each of them, its shift is noted once."""
        found = _commuting(node, value, axis)
        is_shift = found is not None and node.op in ("Add", "Sub") and affine_of(node) is not None
        if is_shift and node not in self.group.shifts:
            self.group.shifts.append(node)
        return found


def made_axis(node: Node) -> int | None:
    """The axis of the output's channels that `node` can scale by new constants; None if it can't."""
    y = node.output
    if node.domain or y.shape is None:
        return None
    if node.op in LINEAR:
        return _layer_axis(node, y) if blocks_of(node) is not None else None
    if node.op in NORMS:
        return y.rank - 1 if _norm_is_scalable(node) else None
    found = affine_of(node) if node.op == "Mul" else None
    return found[1].axis if found else None


def _layer_axis(node: Node, value: Value) -> int:
    return 1 if node.op in ("Conv", "ConvTranspose") else value.rank - 1


def _norm_is_scalable(node: Node) -> bool:
    """Whether it is over the last axis, with constants of its size, and nothing reads the statistics."""
    y = node.output
    sizes = [value.data.shape if value is not None and value.data is not None else None for value in node.inputs[1:]]
    last = node.attributes.get("axis", -1) % max(y.rank, 1) == y.rank - 1
    return last and len(node.outputs) == 1 and bool(sizes) and all(size == y.shape[-1:] for size in sizes)  # type: ignore[index]


def reads(node: Node, value: Value, axis: int) -> bool:
    """Whether `node` is a layer with constant weights whose input channels are `axis` of `value`."""
    if node.domain or node.op not in LINEAR or value.shape is None or sum(value is x for x in node.inputs) != 1:
        return False
    blocks = blocks_of(node) if node.inputs[0] is value else None
    return (
        blocks is not None and _layer_axis(node, value) == axis and blocks.channels(blocks.inputs) == _dim(value, axis)
    )


def weights_of(node: Node) -> tuple[Blocks, np.ndarray]:
    """The weights of a maker or reader of LINEAR, and how they lie."""
    blocks, w = blocks_of(node), node.inputs[1]
    assert blocks is not None
    assert w is not None
    return blocks, w.array


def largest_read(node: Node, size: int) -> np.ndarray:
    """[size], float64: the largest weight of a reader for each channel of the group."""
    blocks, w = weights_of(node)
    largest = np.abs(w.reshape(blocks[:4])).max(axis=(3 - blocks.inputs, 3), initial=0)
    return largest.reshape(size, -1).max(axis=1).astype(np.float64)


# ------------------------------------------------------------- what commutes

_POINTWISE = {"Abs", "Identity", "LeakyRelu", "Neg", "Relu"}
_POOLS = {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool"}
_REDUCTIONS = {"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"}
_RESHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_CROPS = ("tf_crop_and_resize", b"tf_crop_and_resize")  # which may add numbers from outside


def _commuting(node: Node, value: Value, axis: int) -> list[tuple[Value, int]] | None:
    """The other tensors of `node` and their axes, if multiplying `axis` of `value` multiplies those; else None."""
    if node.domain or len(node.outputs) != 1 or any(node.subgraphs()):
        return None
    if node.op in ("Add", "Sub") and all(x is not None and not x.is_constant for x in node.inputs):
        return _sum(node, value, axis)
    affine = affine_of(node)
    if affine is not None:
        return _other(node, affine[0], value, axis) if affine[1].axis in (None, axis) else None
    x = node.inputs[0]
    if x is None or x.shape is None or node.output.shape is None or (value is not x and value is not node.output):
        return None
    if value is x:
        moved = _moved(node, x, axis)
        return None if moved is None else [(node.output, moved)]
    sources = [source for source in range(x.rank) if _moved(node, x, source) == axis]
    return [(x, sources[0])] if len(sources) == 1 else None


def _sum(node: Node, value: Value, axis: int) -> list[tuple[Value, int]] | None:
    tensors = [x for x in (*node.inputs, node.output) if x is not None]
    same = all(x.shape == node.output.shape for x in tensors) and node.output.shape is not None
    return [(x, axis) for x in tensors if x is not value] if same else None


def _other(node: Node, x: Value, value: Value, axis: int) -> list[tuple[Value, int]]:
    return [(node.output if value is x else x, axis)]


def _moved(node: Node, x: Value, axis: int) -> int | None:
    """The axis of the output that `axis` of x becomes, if factors along it commute with `node`."""
    y = node.output
    if node.op in _POINTWISE or _is_relu(node) or (node.op == "PRelu" and _is_constant(node.input(1))):
        return axis if x.shape == y.shape else None
    if node.op in _POOLS:
        return axis if axis == 1 else None
    if node.op == "Transpose":
        perm = node.attributes.get("perm", tuple(reversed(range(x.rank))))
        return tuple(perm).index(axis)
    if node.op in _REDUCTIONS:
        return _reduced(node, x, axis)
    if node.op in _RESHAPES:
        return _reshaped(x, y, axis)
    return axis if node.op in ("Pad", "Resize") and _keeps_channels(node, x, axis) else None


def _is_constant(value: Value | None) -> bool:
    return value is not None and value.is_constant


def _is_relu(node: Node) -> bool:
    """Clip(x, 0), Max(x, 0)."""
    return node.op in ("Clip", "Max") and bounded(node)[1] == (0, inf)


def _reduced(node: Node, x: Value, axis: int) -> int | None:
    axes = node.input(1)
    if axes is None or axes.data is None:
        return None
    gone = {int(one) % x.rank for one in axes.data.ravel()}
    if axis in gone or not gone:
        return None
    return axis if node.attributes.get("keepdims", 1) else axis - sum(one < axis for one in gone)


def _reshaped(x: Value, y: Value, axis: int) -> int | None:
    """The last axis stays the last, or what follows the batch is cut otherwise, in whole channels (see Group)."""
    assert x.shape is not None
    assert y.shape is not None
    if axis == x.rank - 1 and y.rank and isinstance(y.shape[-1], int) and y.shape[-1] == x.shape[-1]:
        return y.rank - 1
    return 1 if axis == 1 and y.rank > 1 and x.shape[:1] == y.shape[:1] != (None,) else None


def _keeps_channels(node: Node, x: Value, axis: int) -> bool:
    if x.shape is None or node.output.shape is None or x.shape[axis] != node.output.shape[axis]:
        return False
    return _is_resized_by_one(node, axis) if node.op == "Resize" else _is_unpadded(node, x, axis)


def _is_resized_by_one(node: Node, axis: int) -> bool:
    """Whether the channels, as many as before, are not interpolated among themselves."""
    mode, scales = node.attributes.get("coordinate_transformation_mode"), node.input(2)
    if mode in _CROPS or {"axes", "keep_aspect_ratio_policy"} & set(node.attributes):
        return False
    return node.input(3) is not None or (scales is not None and scales.data is not None and scales.data[axis] == 1)


def _is_unpadded(node: Node, x: Value, axis: int) -> bool:
    """Whether zeros, or elements of the same channel, are added along other axes."""
    pads, fill = node.input(1), node.input(2)
    if pads is None or pads.data is None or node.input(3) is not None:
        return False
    return not pads.data[[axis, x.rank + axis]].any() and (fill is None or all_equal(fill, 0))


# ------------------------------------------------------------------- scaling


def rescale(graph: Graph, group: Group, factors: np.ndarray) -> list[str]:
    """Divides the channels of a group by `factors` ([size], positive) where they are made, and multiplies what reads
    them. Returns the names of the layers that changed. Constants are replaced, never written to."""
    if np.all(factors == 1):
        return []
    for node in group.makers:
        _divide(graph, node, factors)
    for node in group.shifts:
        _divide_constant(graph, node, factors, group.tensors[node.output])
    for node in group.readers:
        _multiply(graph, node, factors)
    return [node.name for node in dict.fromkeys([*group.makers, *group.readers])]


def _divide(graph: Graph, node: Node, factors: np.ndarray) -> None:
    if node.op in LINEAR:
        _divide_layer(graph, node, factors)
    elif node.op in NORMS:
        _replace(graph, node, {i: value.array / factors for i, value in enumerate(node.inputs) if i and value})
    else:
        axis = made_axis(node)
        assert axis is not None
        _divide_constant(graph, node, factors, axis)


def _divide_layer(graph: Graph, node: Node, factors: np.ndarray) -> None:
    (blocks, w), bias = weights_of(node), node.input(2)
    new = {1: blocks.scaled(w, 1 / factors, blocks.outputs)}
    if bias is not None:  # one number, [C], or for Gemm whatever broadcasts to its output
        new[2] = np.broadcast_to(bias.array, (*bias.sizes[:-1], factors.size)) / factors
    _replace(graph, node, new)


def _divide_constant(graph: Graph, node: Node, factors: np.ndarray, axis: int) -> None:
    """The one constant that `node` adds or multiplies."""
    [(index, old)] = [(i, value) for i, value in enumerate(node.inputs) if value is not None and value.is_constant]
    y = node.output
    along = np.repeat(factors, int(_dim(y, axis) or 0) // factors.size)
    _replace(graph, node, {index: (old.array.ravel() / along).reshape(-1, *(1,) * (y.rank - axis - 1))})


def _multiply(graph: Graph, node: Node, factors: np.ndarray) -> None:
    blocks, w = weights_of(node)
    along = np.repeat(factors, blocks.channels(blocks.inputs) // factors.size)
    _replace(graph, node, {1: blocks.scaled(w, along, blocks.inputs)})


def _replace(graph: Graph, node: Node, arrays: Mapping[int, np.ndarray]) -> None:
    """New constants for inputs of `node`, of the old ones' types; those go where nothing else reads them."""
    old = {index: node.inputs[index] for index in arrays}
    inputs = list(node.inputs)
    for index, array in arrays.items():
        value = old[index]
        assert value is not None
        inputs[index] = graph.add_constant(np.asarray(array, value.dtype), value.name)
    graph.set_inputs(node, inputs)
    for value in set(old.values()):
        if value is not None and not graph.uses(value):
            graph.remove_value(value)
