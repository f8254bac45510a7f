"""The bytes of a .tflite file: a FlatBuffer through LiteRT's own object API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import OPEN, STORED_TYPES, Op, Subgraph, Tensor, TFLiteBuilder
from netglot.backends.tflite.grids import INT4, Grid
from netglot.backends.tflite.versions import version
from netglot.errors import ConversionError

ALIGNMENT = 16  # bytes, as the schema's force_align asks of every buffer
LIMIT = 2**31 - 1  # bytes: offsets in a FlatBuffer are signed and have 32 bits
SIGNATURE = "serving_default"  # what TensorFlow calls it, so that apps find the inputs and outputs by name

Code = tuple[int, int]  # builtin operator, version


def write(m: TFLiteBuilder, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int], path: Path) -> None:
    """Writes the operators of `m`; inputs and outputs are tensors by name. ConversionError above 2 GB."""
    model = _model(m, name, inputs, outputs)
    parts = [m, *(item.content for item in m.subgraphs)]
    weights = [buffer.array.nbytes for buffer in model.buffers if isinstance(buffer, _Weights)]
    size = (
        sum(weights)
        + (64 + ALIGNMENT) * len(weights)
        + 1024 * sum(len(one.tensors) + len(one.ops) for one in parts)
        + 2**16
    )
    if size > LIMIT:
        raise ConversionError(
            f"the weights take {sum(weights) / 2**30:.2f} GiB, and a .tflite file holds less than 2",
            hint="--quantize fp16 halves them.",
        )
    builder = flatbuffers.Builder(size)  # large enough at once: growing would copy everything
    builder.Finish(model.Pack(builder), b"TFL3")
    with path.open("wb") as file:
        file.write(memoryview(builder.Bytes)[builder.Head() :])


class _Weights(tfl.BufferT):  # type: ignore[misc]
    """A buffer whose bytes are copied once, straight from the array in whatever order it lies, to an aligned place."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        self.array = array

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  (the object API's name)
        if self.array.dtype == INT4:
            self.array = packed(self.array)
        size = self.array.nbytes
        builder.StartVector(1, size, ALIGNMENT)
        builder.head = head = builder.Head() - size
        target = np.frombuffer(builder.Bytes, self.array.dtype, self.array.size, head).reshape(self.array.shape)
        np.copyto(target, self.array)
        data = builder.EndVector()
        tfl.BufferStart(builder)
        tfl.BufferAddData(builder, data)
        return int(tfl.BufferEnd(builder))


def packed(data: np.ndarray) -> np.ndarray:
    """Integers of 4 bits, two in a byte, the first in its low half."""
    flat = data.astype(np.int8).ravel().view(np.uint8) & 15
    pairs = np.append(flat, np.zeros(flat.size % 2, np.uint8)).reshape(-1, 2)
    return np.asarray(pairs[:, 0] | pairs[:, 1] << 4)


def _model(m: TFLiteBuilder, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> tfl.ModelT:
    buffers = _Buffers()
    codes: dict[Code, int] = {}
    main = Subgraph(name, m, list(inputs.values()), list(outputs.values()))
    subgraphs = [_subgraph(item, buffers, codes) for item in (main, *m.subgraphs)]
    return tfl.ModelT(
        version=3, description="netglot", buffers=buffers.all, subgraphs=subgraphs,
        operatorCodes=[_operator_code(*code) for code in codes],
        signatureDefs=[_signature(inputs, outputs, _places(main))],
    )  # fmt: skip


class _Buffers:
    """The buffers of the file. Arrays that subgraphs share, which lie in the same place, are stored once."""

    def __init__(self) -> None:
        self.all: list[Any] = [tfl.BufferT()]  # buffer 0 is empty by convention: for what is computed
        self._places: dict[object, int] = {}

    def add(self, array: np.ndarray) -> int:
        key = array.__array_interface__["data"][0], array.strides, array.shape, array.dtype
        if key not in self._places:  # the array lives on in its buffer, so its place stays its own
            self._places[key] = len(self.all)
            self.all.append(_Weights(array))
        return self._places[key]


def _subgraph(item: Subgraph, buffers: _Buffers, codes: dict[Code, int]) -> tfl.SubGraphT:
    place = _places(item)
    return tfl.SubGraphT(
        name=item.name, tensors=[_tensor(item.content.tensors[i], buffers) for i in place if i >= 0],
        inputs=[place[i] for i in item.inputs], outputs=[place[i] for i in item.outputs],
        operators=[_operator(item.content, op, place, codes) for op in item.content.ops],
    )  # fmt: skip


def _places(item: Subgraph) -> dict[int, int]:
    """Where each tensor that is used comes in the file; -1, which stands for none, stays."""
    used = {i for op in item.content.ops for i in (*op.inputs, *op.outputs) if i >= 0}.union(item.inputs, item.outputs)
    return {old: new for new, old in enumerate(sorted(used))} | {-1: -1}


def _operator_code(code: int, of: int) -> tfl.OperatorCodeT:
    """Readers older than the 128th operator look at the deprecated field."""
    return tfl.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=of)


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int], place: Mapping[int, int]) -> tfl.SignatureDefT:
    def entries(tensors: Mapping[str, int]) -> list[tfl.TensorMapT]:
        return [tfl.TensorMapT(name=name, tensorIndex=place[i]) for name, i in tensors.items()]

    return tfl.SignatureDefT(signatureKey=SIGNATURE, inputs=entries(inputs), outputs=entries(outputs))


def _tensor(tensor: Tensor, buffers: _Buffers) -> tfl.TensorT:
    index = 0 if tensor.data is None else buffers.add(tensor.data)
    signature = list(tensor.shape) if OPEN in tensor.shape else None
    return tfl.TensorT(
        name=tensor.name, shape=[1 if size == OPEN else size for size in tensor.shape], shapeSignature=signature,
        type=STORED_TYPES[tensor.dtype], buffer=index, hasRank=True, quantization=_parameters(tensor.grid),
    )  # fmt: skip


def _parameters(grid: Grid | None) -> tfl.QuantizationParametersT | None:
    if grid is None:
        return None
    scales, zeros = np.array(grid.scales, np.float32), np.array(grid.zeros, np.int64)
    return tfl.QuantizationParametersT(scale=scales, zeroPoint=zeros, quantizedDimension=grid.axis)


def _operator(m: TFLiteBuilder, op: Op, place: Mapping[int, int], codes: dict[Code, int]) -> tfl.OperatorT:
    kind = type(op.options).__name__.removesuffix("T") if op.options else "NONE"
    second = kind if hasattr(tfl.BuiltinOptions2, kind) else "NONE"  # of operators that came when the first was full
    first = "NONE" if second != "NONE" else kind
    return tfl.OperatorT(
        opcodeIndex=codes.setdefault((op.code, version(m, op)), len(codes)),
        inputs=[place[i] for i in op.inputs],
        outputs=[place[i] for i in op.outputs],
        builtinOptionsType=getattr(tfl.BuiltinOptions, first),
        builtinOptions=None if first == "NONE" else op.options,
        builtinOptions2Type=getattr(tfl.BuiltinOptions2, second),
        builtinOptions2=None if second == "NONE" else op.options,
    )
