"""The bytes of a .tflite file: a FlatBuffer through LiteRT's own object API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import TENSOR_TYPES, Op, Tensor, TFLiteBuilder
from netglot.backends.tflite.versions import version
from netglot.errors import ConversionError

ALIGNMENT = 16  # bytes, as the schema's force_align asks of every buffer
LIMIT = 2**31 - 1  # bytes: offsets in a FlatBuffer are signed and have 32 bits
SIGNATURE = "serving_default"  # what TensorFlow calls it, so that apps find the inputs and outputs by name

Code = tuple[int, int]  # builtin operator, version


def write(m: TFLiteBuilder, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int], path: Path) -> None:
    """Writes the operators of `m`; inputs and outputs are tensors by name. ConversionError above 2 GB."""
    model = _model(m, name, inputs, outputs)
    weights = [buffer.array.nbytes for buffer in model.buffers if isinstance(buffer, _Weights)]
    size = sum(weights) + (64 + ALIGNMENT) * len(weights) + 1024 * (len(m.tensors) + len(m.ops)) + 2**16
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
        size = self.array.nbytes
        builder.StartVector(1, size, ALIGNMENT)
        builder.head = head = builder.Head() - size
        target = np.frombuffer(builder.Bytes, self.array.dtype, self.array.size, head).reshape(self.array.shape)
        np.copyto(target, self.array)
        data = builder.EndVector()
        tfl.BufferStart(builder)
        tfl.BufferAddData(builder, data)
        return int(tfl.BufferEnd(builder))


def _model(m: TFLiteBuilder, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> tfl.ModelT:
    used = {i for op in m.ops for i in (*op.inputs, *op.outputs) if i >= 0}.union(inputs.values(), outputs.values())
    place = {old: new for new, old in enumerate(sorted(used))} | {-1: -1}
    buffers: list[Any] = [tfl.BufferT()]  # buffer 0 is empty by convention: for what is computed
    codes: dict[Code, int] = {}
    subgraph = tfl.SubGraphT(
        name=name, tensors=[_tensor(m.tensors[i], buffers) for i in sorted(used)],
        inputs=[place[i] for i in inputs.values()], outputs=[place[i] for i in outputs.values()],
        operators=[_operator(m, op, place, codes) for op in m.ops],
    )  # fmt: skip
    return tfl.ModelT(
        version=3, description="netglot", buffers=buffers, subgraphs=[subgraph],
        operatorCodes=[_operator_code(*code) for code in codes], signatureDefs=[_signature(inputs, outputs, place)],
    )  # fmt: skip


def _operator_code(code: int, of: int) -> tfl.OperatorCodeT:
    """Readers older than the 128th operator look at the deprecated field."""
    return tfl.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=of)


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int], place: Mapping[int, int]) -> tfl.SignatureDefT:
    def entries(tensors: Mapping[str, int]) -> list[tfl.TensorMapT]:
        return [tfl.TensorMapT(name=name, tensorIndex=place[i]) for name, i in tensors.items()]

    return tfl.SignatureDefT(signatureKey=SIGNATURE, inputs=entries(inputs), outputs=entries(outputs))


def _tensor(tensor: Tensor, buffers: list[Any]) -> tfl.TensorT:
    index = 0
    if tensor.data is not None:
        index = len(buffers)
        buffers.append(_Weights(tensor.data))
    return tfl.TensorT(
        name=tensor.name, shape=list(tensor.shape), type=TENSOR_TYPES[tensor.dtype], buffer=index, hasRank=True
    )


def _operator(m: TFLiteBuilder, op: Op, place: Mapping[int, int], codes: dict[Code, int]) -> tfl.OperatorT:
    kind = type(op.options).__name__.removesuffix("T") if op.options else "NONE"
    return tfl.OperatorT(
        opcodeIndex=codes.setdefault((op.code, version(m, op)), len(codes)),
        inputs=[place[i] for i in op.inputs],
        outputs=[place[i] for i in op.outputs],
        builtinOptionsType=getattr(tfl.BuiltinOptions, kind),
        builtinOptions=op.options,
    )
