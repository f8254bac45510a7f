"""ScatterND: SCATTER_ND where a sum says it, otherwise StableHLO's scatter, which goes through the updates in order."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Ints, TFLiteBuilder, tflite_op
from netglot.backends.tflite.movement import from_start_of_each
from netglot.ir.graph import Value

COMBINE = {"add": "STABLEHLO_ADD", "mul": "STABLEHLO_MULTIPLY", "max": "STABLEHLO_MAXIMUM", "min": "STABLEHLO_MINIMUM"}
SUMMED = ("float32", "int32", "int64")  # what SCATTER_ND adds up


@tflite_op("ScatterND")
def scatter_nd(m: TFLiteBuilder, x: Value, indices: Value, updates: Value, y: Value, *, reduction: str) -> None:
    """Of equal indices the last one stays, as in ONNX Runtime; ONNX leaves that open."""
    index = m.cast(from_start_of_each(m, indices, x.sizes), np.int32)
    if reduction == "add" and x.dtype is not None and x.dtype.name in SUMMED:
        m.op("ADD", [x, summed(m, index, updates, m.shape(y))], [y])
    elif reduction == "none" and x.dtype is not None and x.dtype.name in SUMMED and _are_different(indices, x.sizes):
        replaced(m, x, index, updates, y)
    else:
        in_order(m, x, index, updates, y, reduction)


def summed(m: TFLiteBuilder, indices: int, updates: Value, shape: Ints) -> int:
    """Zeros of `shape`, to which the updates are added."""
    return m.emit("SCATTER_ND", indices, updates, m.ints(shape), shape=shape, dtype=m.dtype(updates))


def _are_different(indices: Value, sizes: Ints) -> bool:
    if indices.data is None:
        return False
    depth = indices.sizes[-1]
    rows = np.where(indices.data < 0, indices.data + np.array(sizes[:depth]), indices.data).reshape(-1, depth)
    return len(np.unique(rows, axis=0)) == len(rows)


def replaced(m: TFLiteBuilder, x: Value, indices: int, updates: Value, y: Value) -> None:
    data = m.data(indices)
    assert data is not None
    mask = np.zeros(m.shape(y), bool)
    mask[tuple(np.moveaxis(data, -1, 0))] = True
    m.op("SELECT_V2", [m.constant(mask), summed(m, indices, updates, m.shape(y)), x], [y])


def in_order(m: TFLiteBuilder, x: Value, indices: int, updates: Value, y: Value, reduction: str) -> None:
    """The computation is a subgraph of one operator, or of none where an update replaces what was there."""
    outer, depth = indices_shape(m, indices)
    sub = m.nested()
    old, new = sub.temporary((), x.dtype), sub.temporary((), x.dtype)
    result = new if reduction == "none" else sub.emit(COMBINE[reduction], old, new)
    options = tfl.StablehloScatterOptionsT(
        updateWindowDims=list(range(outer, updates.rank)), insertedWindowDims=list(range(depth)),
        scatterDimsToOperandDims=list(range(depth)), indexVectorDim=outer,
        updateComputationSubgraphIndex=sub.close(f"{y.name}/{reduction}", [old, new], [result]),
    )  # fmt: skip
    m.op("STABLEHLO_SCATTER", [x, indices, updates], [y], options)


def indices_shape(m: TFLiteBuilder, indices: int) -> tuple[int, int]:
    *outer, depth = m.shape(indices)
    return len(outer), depth
