"""Operators that give as many elements as the data say."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.context import OPEN, TFLiteBuilder, tflite_op
from netglot.ir.graph import Value


@tflite_op("NonZero", open_sizes=True)
def non_zero(m: TFLiteBuilder, x: Value, y: Value) -> None:
    """WHERE gives a row for each element, ONNX wants a column."""
    if x.rank == 0:
        raise NotMappedError("NonZero of a scalar")
    m.transpose(_where(m, x), y, (1, 0))


def _where(m: TFLiteBuilder, x: Value) -> int:
    """int64 [found, rank]: where x is not zero, in the order of its elements."""
    return m.emit("WHERE", x, shape=(OPEN, x.rank), dtype=np.int64)


@tflite_op("Compress", open_sizes=True)
def compress(m: TFLiteBuilder, x: Value, condition: Value, y: Value, *, axis: int | None = None) -> None:
    """GATHER by where the condition holds; without an axis, of all elements in their order."""
    indices = m.reshaped(_where(m, condition), (OPEN,))
    every = OPEN if OPEN in m.shape(x) else int(np.prod(x.sizes))
    source = m.tensor(x) if axis is not None else m.reshaped(x, (every,))
    options = tfl.GatherOptionsT(axis=0 if axis is None else axis % x.rank)
    m.op("GATHER", [source, indices], [y], options)


@tflite_op("Shape", open_sizes=True)
def shape_of(m: TFLiteBuilder, x: Value, y: Value, *, start: int, end: int | None = None) -> None:
    chosen = range(x.rank)[start:end]
    options = tfl.ShapeOptionsT(outType=tfl.TensorType.INT64)
    sizes = m.emit("SHAPE", x, options=options, shape=(x.rank,), dtype=np.int64)
    m.op("SLICE", [sizes, m.ints([chosen.start]), m.ints([len(chosen)])], [y])
