"""How each operator computes on values whose axes were moved: the same numbers, with its axes and constants moved too.

A rule has two parts: whether an operator can (its Ends, see layout.py), and how. While a rule works, values still have
their old shapes; `layout` says how their axes will lie, and is None where they stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import defaults
from netglot.passes.layout import Ends, Order, Side, dropping, natural_order, only_ones_move


class Rule(NamedTuple):
    """`ends` says on which sides the operator can be, `move` changes a node that reads or makes moved values."""

    ends: Callable[[Node, Order], Ends]
    move: Callable[[Graph, Node], None]


# ------------------------------------------------------------------------ ends


def alike(node: Node, order: Order) -> Ends:
    """FREE where all that is computed has the rank of the result: then constants are all that has to be moved."""
    computed = [value for value in (*node.inputs, *node.outputs) if value is not None and not value.is_constant]
    constants = [value for value in node.inputs if value is not None and value.is_constant]
    images = [value for value in computed if not _single(value)]
    ranks = {None if value.shape is None else value.rank for value in images}
    fits = len(ranks) == 1 and None not in ranks and all(value.rank <= images[0].rank for value in constants)
    return Side.FREE if fits else Side.FIRST


def _single(value: Value) -> bool:
    return value.shape is not None and len(value.shape) < 2 and all(dim == 1 for dim in value.shape)


def _with_constant(*names: int) -> Callable[[Node, Order], Ends]:
    """As the first input and the outputs are, if the inputs `names` are constants or left out."""

    def ends(node: Node, order: Order) -> Ends:
        given = [node.input(i) for i in names]
        known = all(value is None or value.is_constant for value in given)
        return _same_rank(node, order) if known else Side.FIRST

    return ends


def _same_rank(node: Node, order: Order) -> Ends:
    """For operators whose other inputs are no images."""
    images = [node.inputs[0], *node.outputs]
    ranks = {None if value is None or value.is_constant or value.shape is None else value.rank for value in images}
    return Side.FREE if len(ranks) == 1 and None not in ranks else Side.FIRST


def _reducing(node: Node, order: Order) -> Ends:
    x, axes = node.inputs[0], node.input(1)
    if x is None or x.shape is None or (axes is not None and not axes.is_constant):
        return Side.FIRST
    if attribute(node, "keepdims"):
        return Side.FREE
    return _dropping(x, axes.array.ravel() if axes is not None and axes.array.size else range(x.rank), order)


def _arg(node: Node, order: Order) -> Ends:
    x = node.inputs[0]
    if x is None or x.shape is None:
        return Side.FIRST
    return Side.FREE if attribute(node, "keepdims") else _dropping(x, [attribute(node, "axis")], order)


def _gathering(node: Node, order: Order) -> Ends:
    """One index drops the axis, a list of them keeps it."""
    x, indices = node.inputs[0], node.inputs[1]
    if x is None or x.shape is None or x.is_constant or indices is None or indices.shape is None or indices.rank > 1:
        return Side.FIRST
    return Side.FREE if indices.rank else _dropping(x, [attribute(node, "axis")], order)


def _squeezing(node: Node, order: Order) -> Ends:
    x, axes = node.inputs[0], node.input(1)
    known = x is not None and x.shape is not None and axes is not None and axes.is_constant
    return _dropping(x, axes.array.ravel(), order) if known and x is not None and axes is not None else Side.FIRST


def _unsqueezing(node: Node, order: Order) -> Ends:
    axes, y = node.inputs[1], node.output
    if y.shape is None or axes is None or not axes.is_constant:
        return Side.FIRST
    ends = _dropping(y, axes.array.ravel(), order)
    return ends if isinstance(ends, Side) else ends[::-1]


def _dropping(x: Value, axes: Sequence[int] | range | np.ndarray, order: Order) -> Ends:
    """As `dropping`, where what remains has to be in order by itself."""
    dropped = [int(axis) % x.rank for axis in axes]
    remaining = natural_order(order(x.rank), dropped)
    if len(remaining) < 3 and list(remaining) != sorted(remaining):
        return Side.FIRST
    return dropping(x.rank, dropped, order)


def _reshaping(node: Node, order: Order) -> Ends:
    """FREE at an end where only axes of size one move, at both where batch and channels (the last axis) stay."""
    x, y = node.inputs[0], node.output
    if x is None or x.shape is None or y.shape is None or x.is_constant or not _can_be_said(y):
        return Side.FIRST
    if min(x.rank, y.rank) > 2 and None not in x.shape and (x.shape[0], x.shape[-1]) == (y.shape[0], y.shape[-1]):
        return Side.FREE
    return _if_ones(x, order), _if_ones(y, order)


def _if_ones(value: Value, order: Order) -> Side:
    return Side.FREE if value.rank > 2 and only_ones_move(value, order(value.rank)) else Side.FIRST


def _can_be_said(y: Value) -> bool:
    """Whether a constant gives the shape in any order of the axes: one -1, and no zeros, which would be copied."""
    return y.shape is not None and 0 not in y.shape and sum(not isinstance(dim, int) for dim in y.shape) <= 1


def _of_whole_tensor(node: Node, order: Order) -> Ends:
    return Side.FREE, Side.FIRST


# ------------------------------------------------------------------------ moves


def attribute(node: Node, name: str) -> int:
    """An attribute of type int, or its default."""
    return int(node.attributes.get(name, defaults(node.op, node.domain).get(name, 0)))


def _place(value: Value | None, axis: int) -> int:
    """Where `axis` of `value` will lie."""
    assert value is not None
    axis = int(axis) % value.rank
    return value.layout.index(axis) if value.layout else axis


def _set_input(graph: Graph, node: Node, index: int, data: np.ndarray, like: str) -> None:
    inputs = [*node.inputs, *[None] * (index + 1 - len(node.inputs))]
    inputs[index] = graph.add_constant(data, like)
    graph.set_inputs(node, inputs)


def _elementwise(graph: Graph, node: Node) -> None:
    order = node.output.layout
    if order:
        graph.set_inputs(node, [_moved_constant(graph, value, order) for value in node.inputs])


def _moved_constant(graph: Graph, value: Value | None, order: tuple[int, ...]) -> Value | None:
    """A constant for broadcasting in the new order: [C] becomes [C, 1, 1]. Large ones are views."""
    if value is None or value.data is None or value.data.size == 1:
        return value
    data = value.data.reshape((1,) * (len(order) - value.rank) + value.data.shape).transpose(order)
    ones = next(i for i, size in enumerate(data.shape) if size != 1)
    return graph.add_constant(data.reshape(data.shape[ones:]), value.name)


def _axis(graph: Graph, node: Node) -> None:
    node.attributes["axis"] = _place(node.inputs[0], attribute(node, "axis"))


def _quantising(node: Node, order: Order) -> Ends:
    """With one scale for all, or one for each index of an axis, and not for blocks of it."""
    return Side.FIRST if attribute(node, "block_size") else _with_constant(1, 2)(node, order)


def _quantise(graph: Graph, node: Node) -> None:
    scale = node.inputs[1]
    if scale is not None and scale.array.size > 1:
        _axis(graph, node)


def _concat(graph: Graph, node: Node) -> None:
    order = node.output.layout
    if order is None:
        return
    node.attributes["axis"] = _place(node.output, attribute(node, "axis"))
    parts = [value if value is None or value.data is None else value.data.transpose(order) for value in node.inputs]
    made = [graph.add_constant(part) if isinstance(part, np.ndarray) else part for part in parts]
    graph.set_inputs(node, made)


def _axes_input(index: int) -> Callable[[Graph, Node], None]:
    """Input `index` lists axes of input 0."""

    def move(graph: Graph, node: Node) -> None:
        axes, x = node.input(index), node.inputs[0]
        if axes is not None:
            _set_input(graph, node, index, _places(x, axes.array), axes.name)

    return move


def _places(x: Value | None, axes: np.ndarray) -> np.ndarray:
    places = [_place(x, axis) for axis in axes.ravel()]
    return np.array(places, axes.dtype).reshape(axes.shape)


def _unsqueeze(graph: Graph, node: Node) -> None:
    axes, y = node.inputs[1], node.output
    assert axes is not None
    _set_input(graph, node, 1, np.sort(_places(y, axes.array)), axes.name)


def _slice(graph: Graph, node: Node) -> None:
    x, starts, axes = node.inputs[0], node.inputs[1], node.input(3)
    assert starts is not None
    listed = axes.array if axes is not None else np.arange(starts.sizes[0])
    _set_input(graph, node, 3, _places(x, listed), f"{node.name}/axes")


def _slicing(node: Node, order: Order) -> Ends:
    starts = node.inputs[1]
    known = starts is not None and starts.shape is not None and isinstance(starts.shape[0], int)
    return _with_constant(3)(node, order) if known else Side.FIRST


def _pad(graph: Graph, node: Node) -> None:
    x, pads, axes = node.inputs[0], node.inputs[1], node.input(3)
    assert x is not None
    assert pads is not None
    if x.layout and pads.is_constant and axes is None:
        _set_input(graph, node, 1, pads.array.reshape(2, -1)[:, list(x.layout)].ravel(), pads.name)
    elif x.layout:
        listed = axes.array if axes is not None else np.arange(x.rank)
        _set_input(graph, node, 3, _places(x, listed), f"{node.name}/axes")


def _for_each_axis(index: int) -> Callable[[Graph, Node], None]:
    """Constant input `index` holds a number for each axis of the result."""

    def move(graph: Graph, node: Node) -> None:
        given, layout = node.inputs[index], node.output.layout
        if given is not None and layout:
            _set_input(graph, node, index, given.array[list(layout)], given.name)

    return move


def _resize(graph: Graph, node: Node) -> None:
    layout, axes = node.output.layout, node.attributes.get("axes")
    if layout and axes:
        node.attributes["axes"] = tuple(_place(node.output, axis) for axis in axes)
    elif layout:
        for index in (1, 2, 3):
            given = node.input(index)
            if given is not None and given.array.size:
                ordered = given.array.reshape(-1, len(layout))[:, list(layout)].ravel()
                _set_input(graph, node, index, ordered, given.name)


def _expanding(node: Node, order: Order) -> Ends:
    """Of a tensor of its own rank to a constant shape."""
    shape, y = node.inputs[1], node.output
    full = shape is not None and y.shape is not None and shape.shape == (y.rank,)
    return _with_constant(1)(node, order) if full else Side.FIRST


def _reshape(graph: Graph, node: Node) -> None:
    y = node.output
    assert y.shape is not None
    shape = [y.shape[axis] for axis in y.layout] if y.layout else y.shape
    node.op, node.attributes = "Reshape", {}
    graph.set_inputs(node, [node.inputs[0]])
    _set_input(graph, node, 1, np.array([d if isinstance(d, int) else -1 for d in shape], np.int64), "shape")


def _shape(graph: Graph, node: Node) -> None:
    """Shape(x) -> Gather(Shape(moved x)), the sizes in the old order."""
    x = node.inputs[0]
    assert x is not None
    if not x.layout:
        return
    wanted = range(x.rank)[slice(node.attributes.pop("start", 0), node.attributes.pop("end", None))]
    places = np.array([_place(x, axis) for axis in wanted], np.int64)
    g = Builder(graph)
    whole = graph.add_value(f"{node.output.name}/moved", node.output.dtype, (x.rank,))
    graph.add_node(Node("Shape", [x], [whole], origin=node.origin))
    node.op, node.attributes = "Gather", {"axis": 0}
    graph.set_inputs(node, [whole, g.constant(places)])


def _nothing(graph: Graph, node: Node) -> None:
    """Operators that know no axes."""


_ELEMENTWISE = (
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf",
    "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu",
    "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign",
    "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
)  # fmt: skip
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, Rule(alike, _elementwise)),
    **dict.fromkeys(_REDUCTIONS, Rule(_reducing, _axes_input(1))),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LpNormalization"), Rule(_same_rank, _axis)),
    **dict.fromkeys(("ArgMax", "ArgMin"), Rule(_arg, _axis)),
    **dict.fromkeys(("Reshape", "Flatten"), Rule(_reshaping, _reshape)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(_quantising, _quantise)),
    "Dropout": Rule(_same_rank, _nothing),
    "Concat": Rule(alike, _concat),
    "Split": Rule(_same_rank, _axis),
    "TopK": Rule(_same_rank, _axis),
    "Gather": Rule(_gathering, _axis),
    "Squeeze": Rule(_squeezing, _axes_input(1)),
    "Unsqueeze": Rule(_unsqueezing, _unsqueeze),
    "Slice": Rule(_slicing, _slice),
    "Pad": Rule(_with_constant(3), _pad),
    "Tile": Rule(_with_constant(1), _for_each_axis(1)),
    "Expand": Rule(_expanding, _for_each_axis(1)),
    "Resize": Rule(_with_constant(1, 2, 3), _resize),
    "CumSum": Rule(_with_constant(1), _axes_input(1)),
    "Shape": Rule(_of_whole_tensor, _shape),
    "Size": Rule(_of_whole_tensor, _nothing),
}
