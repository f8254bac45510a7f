"""Writes a graph as a .tflite file, without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from netglot.backends import lowering
from netglot.backends.composed import compose
from netglot.backends.sides import wanted
from netglot.backends.tflite.context import TENSOR_TYPES, TFLiteBuilder
from netglot.backends.tflite.flatbuffer import write
from netglot.backends.tflite.half import store_as_half, widen_floats
from netglot.backends.tflite.integer import compute_on_integers
from netglot.backends.tflite.peephole import peephole
from netglot.backends.tflite.quantization import keep_integers
from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import is_static, text
from netglot.passes.bodies import read_through_identities
from netglot.passes.control import lower_control
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.decompress import decompress
from netglot.passes.fold_constants import fold_constants
from netglot.passes.layout import choose_layout
from netglot.passes.pipeline import CHANNELS_LAST, Pass, apply, run
from netglot.passes.shuffle_layout import shuffle_channels_last
from netglot.registry import Operator


def lay_out(graph: Graph) -> bool:
    """Stores images channels-last where that is cheapest. Inputs and outputs are stored as the IR has them."""
    before = len(graph.nx)
    choose_layout(graph, lambda node: wanted(graph, node, "tflite"), lambda value: False)
    return len(graph.nx) > before


UNROLLED = 8  # steps: up to here a recurrence is written out; a WHILE costs some copies and calls at each step

# In this order, before the operators are lowered; `save` puts the quantisation after them.
PASSES: list[Pass] = [
    widen_floats,  # first: it adds nodes at the inputs and outputs
    shuffle_channels_last,
    read_through_identities,
    lay_out,
    *CHANNELS_LAST,  # these know by now what is stored so
]


def prepare(graph: Graph) -> Graph:
    """Target passes: everything that rewrites the graph before it is lowered. In place."""
    return run(graph, PASSES)


def save(graph: Graph, path: Path, quantize: str | None = None, *, keep: Collection[str] = ()) -> int:
    """Writes `graph`, which is changed on the way; returns the number of operators written.

    What lies between DequantizeLinear and QuantizeLinear is computed on integers where LiteRT has kernels for it (see
    integer.py). With quantize "fp16" weights are stored as float16 (inputs, outputs and arithmetic stay float32), but
    those that `keep` names or float16 can't hold.
    Raises UnsupportedError with every operator that can't be written, ConversionError above 2 GB.
    """
    lower_control(graph, UNROLLED)
    if decompress(graph):  # TFLite has neither palettes nor masks
        run(graph, [fold_constants, remove_dead_code])
    apply(keep_integers, graph)
    refused = compose(graph, "tflite")
    require_sizes(graph)
    prepare(graph)
    m = TFLiteBuilder()
    require_types(graph)
    inputs = [m.tensor(value) for value in graph.inputs]
    lowering.lower(graph, "tflite", lambda *call: _call(m, *call), refused)
    outputs = [m.tensor(value) for value in graph.outputs]
    for part, first, last in [(m, inputs, outputs), *((one.content, one.inputs, one.outputs) for one in m.subgraphs)]:
        peephole(part, last)
        compute_on_integers(part, first, last)
    if quantize == "fp16":
        for part in (m, *(item.content for item in m.subgraphs)):
            store_as_half(part, keep)
    names = [value.name for value in graph.inputs], [value.name for value in graph.outputs]
    write(m, graph.name, dict(zip(names[0], inputs, strict=True)), dict(zip(names[1], outputs, strict=True)), path)
    return len(m.ops) + sum(len(item.content.ops) for item in m.subgraphs)


def require_sizes(graph: Graph) -> None:
    """ConversionError for every tensor with a size that is not known, where an operator beside it needs to know it."""
    unknown = [value for value in graph.values() if not is_static(value.shape) or value.dtype is None]
    unknown = [value for value in unknown if not _may_stay_open(graph, value)]
    problems = []
    for value in unknown:
        node = graph.producer(value)
        origin = node.origin if node else Origin(layer=value.name)
        hint = "" if node else f"Give them: --input {value.name}:SHAPE"
        problems.append(Problem(f"'{value.name}' has sizes that are not known", origin, text(value.shape), hint))
    if problems:
        raise ConversionError(problems)


def _may_stay_open(graph: Graph, value: Value) -> bool:
    """Whether whoever makes and reads `value` can do with sizes that the data decide (its type and rank are known)."""
    maker = graph.producer(value)
    if maker is None or value.shape is None or value.dtype is None:
        return False
    return all(lowering.takes_open_sizes(node, "tflite") for node in (maker, *graph.consumers(value)))


def require_types(graph: Graph) -> None:
    """UnsupportedError for every input and output of a type that TFLite has not (operators are judged one by one)."""
    ends = [value for value in (*graph.inputs, *graph.outputs) if value.dtype not in TENSOR_TYPES]
    if ends:
        raise UnsupportedError(
            Problem(f"TFLite has no tensors of {value.dtype}", Origin(layer=value.name)) for value in ends
        )


def _call(
    m: TFLiteBuilder, operator: Operator, node: Node, arguments: list[Any], attributes: Mapping[str, Any]
) -> None:
    operator.function(m, *arguments, **attributes)
