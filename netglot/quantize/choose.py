"""Which tensors are quantised, which of them share a grid, and which grid that is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from networkx.utils import UnionFind

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import Grid
from netglot.passes.match import number, only_reader, producer
from netglot.quantize.scheme import FIXED, LAYERS, MOVES, Scheme
from netglot.quantize.weights import SMALLEST

if TYPE_CHECKING:
    from netglot.quantize.observe import Observation

FLOAT = np.dtype(np.float32)
FINISHES = ("Relu", "Clip")  # what kernels do to a result before they round it
FINISHED = LAYERS | {"Add", "AveragePool", "Mul", "Sub"}  # by which kernels

Limits = Callable[["Observation"], tuple[float, float]]


@dataclass
class Plan:
    """What is to be quantised in a graph and in every copy of it: tensors and nodes by name.

    grids: of every tensor that gets a pair, or, if constant, is stored as integers. layers: nodes whose weights are.
    """

    scheme: Scheme
    grids: dict[str, Grid] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------- nodes


def integer_nodes(graph: Graph, scheme: Scheme, floats: Collection[str] = ()) -> list[Node]:
    """The nodes that are computed on integers; those named in `floats` are not.

    Layers are, wherever their input comes from. The others are where what they read comes from integers: between
    operators that are computed in float, pairs would cost time and precision and gain nothing.
    """
    found: list[Node] = []
    rounded = set(graph.inputs)
    for node in graph.nodes():
        read = [value for value in _activations(node) if not value.is_constant]
        follows = all(value in rounded for value in read)
        computed = node.name not in floats and _is_computed(graph, node, scheme) and (follows or node.op in LAYERS)
        if computed:
            found.append(node)
        if computed or (follows and read and (any(_together(node, scheme)) or node.op in FINISHES)):
            rounded.update(node.outputs)
        if computed:
            rounded.add(finished(graph, node, scheme))
    return found


def _is_computed(graph: Graph, node: Node, scheme: Scheme) -> bool:
    if node.domain or node.op not in scheme.computes or not _is_float(node.output) or len(node.outputs) != 1:
        return False
    if finishes(graph, node) or adds_bias(graph, node, scheme):
        return False
    if node.op in LAYERS:
        return _is_layer(node, scheme) or _is_product(node, scheme)
    return all(value is None or value.is_constant or _is_float(value) for value in node.inputs) and any(
        value is not None and not value.is_constant for value in node.inputs
    )


def _is_float(value: Value | None) -> bool:
    return value is not None and value.dtype == FLOAT and value.shape is not None


def _is_layer(node: Node, scheme: Scheme) -> bool:
    w = node.input(1)
    return layer_axis(node) is not None and w is not None and w.array.size >= scheme.smallest


def _is_product(node: Node, scheme: Scheme) -> bool:
    """Of two computed tensors; C++ has no kernel for it."""
    inputs = [value for value in node.inputs if _is_float(value) and value is not None and not value.is_constant]
    return node.op == "MatMul" and len(inputs) == 2 and scheme.target not in ("cpp", "coreml")


def layer_axis(node: Node) -> int | None:
    """The axis of the output channels in the constant weights of a layer, None if it is no such layer."""
    w = node.input(1)
    if node.op not in LAYERS or w is None or w.data is None or w.dtype != FLOAT or not _is_float(node.inputs[0]):
        return None
    if node.op == "MatMul":
        return 1 if w.rank == 2 else None
    bias = node.input(2)
    if bias is not None and bias.data is None:
        return None
    if node.op == "Gemm":
        return _gemm_axis(node, w, bias)
    return 0 if node.op == "Conv" else 1


def _gemm_axis(node: Node, w: Value, bias: Value | None) -> int | None:
    plain = all(node.attributes.get(name, 1.0) == 1.0 for name in ("alpha", "beta"))
    axis = 0 if node.attributes.get("transB") else 1
    fits = bias is None or bias.array.size == w.sizes[axis]
    return axis if plain and fits and not node.attributes.get("transA") else None


def input_axis(node: Node) -> int:
    """The axis of the input channels in the weights of a layer."""
    return 1 - (layer_axis(node) or 0)


def finishes(graph: Graph, node: Node) -> bool:
    """Whether this is a Relu or Clip, and the kernel before it does what it does."""
    if node.op not in FINISHES or node.domain:
        return False
    x = node.inputs[0]
    maker = graph.producer(x) if x is not None and x in graph.nx else None
    if x is None or maker is None or only_reader(graph, x) is not node or not _is_limit(node):
        return False
    return maker.op in FINISHED or finishes(graph, maker)


def _is_limit(node: Node) -> bool:
    return all(value is None or number(value) is not None for value in node.inputs[1:])


def finished(graph: Graph, node: Node, scheme: Scheme) -> Value:
    """The result of a node after the Relus and Clips that its kernel does, and after the bias of a product."""
    value = node.output
    while (reader := only_reader(graph, value)) is not None and not reader.domain:
        is_finish = finishes(graph, reader)
        if not is_finish and not (value is node.output and adds_bias(graph, reader, scheme)):
            break
        value = reader.output
    return value


def adds_bias(graph: Graph, node: Node, scheme: Scheme) -> bool:
    """Whether this is the Add of Add(MatMul(x, weights), [channels]), which belongs to the product.

    ONNX Runtime computes the Add on integers of its own.
    """
    if node.op != "Add" or node.domain or scheme.target == "onnx":
        return False
    computed = [value for value in node.inputs if value is not None and not value.is_constant]
    bias = [value.array for value in node.inputs if value is not None and value.is_constant]
    maker = producer(graph, computed[0], "MatMul") if len(computed) == len(bias) == 1 else None
    if maker is None or layer_axis(maker) is None or only_reader(graph, maker.output) is not node:
        return False
    return bias[0].shape == maker.output.sizes[-1:]


# ------------------------------------------------------------------------ groups


def plan(
    graph: Graph, scheme: Scheme, observations: Mapping[str, Observation], limits: Limits, floats: Collection[str] = ()
) -> Plan:
    """The grids of `graph` from what was observed; `limits` says which range of an observation they cover."""
    nodes = integer_nodes(graph, scheme, floats)
    made = Plan(scheme, layers=[node.name for node in nodes if layer_axis(node) is not None])
    if not scheme.needs_data:
        return made
    for group in groups(graph, scheme, nodes):
        grid = _grid_of_group(graph, group, scheme, observations, limits)
        made.grids |= {value.name: grid for value in group}
    return made


def tensors(graph: Graph, scheme: Scheme) -> list[str]:
    """Names of the tensors whose ranges must be known."""
    found = [value for group in groups(graph, scheme, integer_nodes(graph, scheme)) for value in group]
    return [value.name for value in found if not value.is_constant]


def groups(graph: Graph, scheme: Scheme, nodes: Collection[Node]) -> list[list[Value]]:
    """The tensors that `nodes` read and give, by which share a grid, in the order of the graph."""
    touched = dict.fromkeys(value for node in nodes for value in _touched(graph, node, scheme))
    sets = UnionFind(touched)
    for node in graph.nodes():
        together = list(_together(node, scheme))
        if together:
            sets.union(*together)
    members: dict[Value, list[Value]] = {}
    for value in sets:
        members.setdefault(sets[value], []).append(value)
    return [group for group in members.values() if any(value in touched for value in group)]


def _touched(graph: Graph, node: Node, scheme: Scheme) -> Iterator[Value]:
    yield from _activations(node)
    yield finished(graph, node, scheme)


def _activations(node: Node) -> Iterator[Value]:
    """The operands that are quantised as tensors: no weights, biases, limits, axes or sizes."""
    only_first = layer_axis(node) is not None or node.op in _PARAMETERISED
    operands = node.inputs[:1] if only_first else node.inputs
    yield from (value for value in operands if value is not None and value.dtype == FLOAT)


_PARAMETERISED = (MOVES - {"Concat"}) | {*FINISHES, "ReduceMean"}


def _together(node: Node, scheme: Scheme) -> Iterator[Value]:
    """What a node that only moves elements reads and gives."""
    shares = node.op in MOVES or (node.op == "AveragePool" and scheme.target == "tflite")
    if node.domain or not shares or not _keeps_range(node):
        return
    data = node.inputs if node.op == "Concat" else node.inputs[:1]
    values = [value for value in (*data, *node.outputs) if value is not None]
    if all(_is_float(value) for value in values):
        yield from values


def _keeps_range(node: Node) -> bool:
    mode = node.attributes.get("mode", b"")
    if node.op == "Pad":
        fill = node.input(2)
        return mode not in (b"", "", "constant", b"constant") or fill is None or number(fill) == 0
    if node.op == "Resize":
        return mode not in ("cubic", b"cubic")
    return node.op != "MaxPool" or len(node.outputs) == 1


# ------------------------------------------------------------------------- grids


def _grid_of_group(
    graph: Graph, group: list[Value], scheme: Scheme, observations: Mapping[str, Observation], limits: Limits
) -> Grid:
    """That of what the group's tensors are moved from; a grid that the operator fixes, if there is only that."""
    sources = [value for value in group if not _is_moved(graph, value, scheme)] or group
    makers = [graph.producer(value) for value in sources]
    fixed = {FIXED.get(maker.op) if maker is not None and not maker.domain else None for maker in makers}
    assert scheme.activations is not None
    if len(fixed) == 1 and (known := fixed.pop()) is not None:
        return fixed_grid(known, scheme.activations)
    ranges = [_constant_range(value) if value.is_constant else limits(observations[value.name]) for value in sources]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return grid(low, high, scheme.activations, scheme.symmetric)


def _is_moved(graph: Graph, value: Value, scheme: Scheme) -> bool:
    maker = graph.producer(value)
    return maker is not None and value in _together(maker, scheme)


def _constant_range(value: Value) -> tuple[float, float]:
    return float(value.array.min(initial=0.0)), float(value.array.max(initial=0.0))


def grid(low: float, high: float, dtype: np.dtype, symmetric: bool = False) -> Grid:
    """The grid that covers low to high and has 0 on it, so that padding and Relu are exact."""
    kind = np.iinfo(dtype)
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Grid(1.0, 0 if symmetric else _middle(kind), dtype)
    if symmetric:
        return Grid(_scale(max(-low, high) / kind.max), 0, dtype)
    scale = _scale((high - low) / (kind.max - kind.min))
    return Grid(scale, int(np.clip(np.rint(kind.min - low / scale), kind.min, kind.max)), dtype)


def fixed_grid(ends: tuple[float, float], dtype: np.dtype) -> Grid:
    """That of an operator whose range is known: the upper end itself is left out, so that the scale is a power of two.

    The LiteRT quantization specification has it so for SOFTMAX, LOGISTIC and TANH.
    """
    kind = np.iinfo(dtype)
    if kind.bits == 16:
        return Grid(1 / 32768, 0, dtype)
    low, high = ends
    return Grid((high - low) / 256, _middle(kind) if low < 0 else kind.min, dtype)


def _scale(scale: float) -> float:
    return float(np.float32(max(scale, SMALLEST)))


def _middle(kind: np.iinfo) -> int:
    return 0 if kind.min < 0 else 128
