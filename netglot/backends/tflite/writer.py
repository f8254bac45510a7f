"""Writes a graph as a .tflite file: a FlatBuffer through LiteRT's own object API, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends import lowering
from netglot.backends.tflite.context import TENSOR_TYPES, Op, Tensor, TFLiteBuilder
from netglot.backends.tflite.peephole import peephole
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.layout import Side, choose_layout
from netglot.passes.pipeline import CHANNELS_LAST, run
from netglot.registry import Operator

ALIGNMENT = 16  # bytes, as the schema's force_align asks of every buffer


def prepare(graph: Graph, io_layout: str = "keep") -> Graph:
    """Target passes: everything that rewrites the graph before it is lowered. In place."""
    run(graph, CHANNELS_LAST)
    choose_layout(graph, _side, lambda value: io_layout == "nhwc" and value.rank == 4)
    return graph


def save(graph: Graph, path: Path, io_layout: str = "keep") -> int:
    """Writes `graph`, which is changed on the way; returns the number of operators written.

    With io_layout "nhwc" four-dimensional inputs and outputs are stored channels-last, otherwise as the source has them.
    """
    prepare(graph, io_layout)
    m = TFLiteBuilder()
    inputs = [m.tensor(value) for value in graph.inputs]
    lowering.lower(graph, "tflite", lambda *call: _call(m, *call))
    outputs = [m.tensor(value) for value in graph.outputs]
    peephole(m, set(outputs))
    _write(_model(m, graph, inputs, outputs), path)
    return len(m.ops)


def _side(node: Node) -> Side:
    operator = lowering.find(node, "tflite")
    side = operator.options["layout"] if operator else Side.FIRST
    return side if side is not Side.FREE or _one_rank(node) else Side.FIRST


def _one_rank(node: Node) -> bool:
    """Whether every image has the same rank, and what is broadcast to it is constant: then axes can be renamed."""
    computed: list[Value] = [v for v in (*node.inputs, *node.outputs) if v is not None and not v.is_constant]
    return all(value.shape is not None for value in computed) and len({value.rank for value in computed}) == 1


def _call(m: TFLiteBuilder, operator: Operator, node: Node, arguments: list[Any], attributes: Mapping[str, Any]) -> None:
    operator.function(m, *arguments, **attributes)


class _AlignedBuffer(tfl.BufferT):  # type: ignore[misc]
    """A buffer whose bytes are copied once, straight from the array, to an aligned place."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        self.array = array

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  (the object API's name)
        size = self.array.nbytes
        builder.StartVector(1, size, ALIGNMENT)
        builder.head = head = builder.Head() - size
        target = np.frombuffer(builder.Bytes, self.array.dtype, self.array.size, head).reshape(self.array.shape)
        np.copyto(target, self.array)
        data = builder.EndVector()
        tfl.BufferStart(builder)
        tfl.BufferAddData(builder, data)
        return int(tfl.BufferEnd(builder))


def _model(m: TFLiteBuilder, graph: Graph, inputs: list[int], outputs: list[int]) -> tfl.ModelT:
    used = sorted({i for op in m.ops for i in (*op.inputs, *op.outputs) if i >= 0}.union(inputs, outputs))
    place = {old: new for new, old in enumerate(used)} | {-1: -1}
    buffers: list[Any] = [tfl.BufferT()]  # buffer 0 is empty by convention: for what is computed
    codes: dict[int, int] = {}
    tensors = [_tensor(m.tensors[i], buffers) for i in used]
    operators = [_operator(op, place, codes) for op in m.ops]
    subgraph = tfl.SubGraphT(
        name=graph.name, tensors=tensors, inputs=[place[i] for i in inputs], outputs=[place[i] for i in outputs],
        operators=operators,
    )  # fmt: skip
    model = tfl.ModelT(version=3, description="netglot", buffers=buffers, subgraphs=[subgraph])
    model.operatorCodes = [
        tfl.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1) for code in codes
    ]
    return model


def _tensor(tensor: Tensor, buffers: list[Any]) -> tfl.TensorT:
    index = 0
    if tensor.data is not None:
        index = len(buffers)
        buffers.append(_AlignedBuffer(tensor.data))
    return tfl.TensorT(
        name=tensor.name, shape=list(tensor.shape), type=TENSOR_TYPES[tensor.dtype], buffer=index, hasRank=True
    )


def _operator(op: Op, place: Mapping[int, int], codes: dict[int, int]) -> tfl.OperatorT:
    kind = type(op.options).__name__.removesuffix("T") if op.options else "NONE"
    return tfl.OperatorT(
        opcodeIndex=codes.setdefault(op.code, len(codes)),
        inputs=[place[i] for i in op.inputs],
        outputs=[place[i] for i in op.outputs],
        builtinOptionsType=getattr(tfl.BuiltinOptions, kind),
        builtinOptions=op.options,
    )


def _write(model: tfl.ModelT, path: Path) -> None:
    weights = sum(buffer.array.nbytes for buffer in model.buffers if isinstance(buffer, _AlignedBuffer))
    builder = flatbuffers.Builder(weights + 4096 + 64 * len(model.buffers) + 1024 * len(model.subgraphs[0].tensors))
    builder.Finish(model.Pack(builder), b"TFL3")
    with path.open("wb") as file:
        file.write(memoryview(builder.Bytes)[builder.Head() :])
