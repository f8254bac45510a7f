"""Operators that move or pick elements, as they were when axes and sizes were attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.ir.graph import Value

Ints = tuple[int, ...]


@onnx_op("Constant")
def constant(
    g: OnnxBuilder, *, value: np.ndarray | None = None, value_float: float | None = None, value_floats: Any = None,
    value_int: int | None = None, value_ints: Any = None, value_string: str | None = None, value_strings: Any = None,
) -> Value:  # fmt: skip
    """A constant of the graph (Constant-12; the value may be empty, so what is given is not None)."""
    if value is not None:
        return g.constant(value)
    floats, ints, strings = (value_float, value_floats), (value_int, value_ints), (value_string, value_strings)
    for forms, dtype in ((floats, np.float32), (ints, np.int64), (strings, object)):
        for given in forms:
            if given is not None:
                return g.constant(np.asarray(given, dtype))
    return g.refuse("a Constant without a value")


@onnx_op("Squeeze", until=13)
def squeeze(g: OnnxBuilder, x: Value, *, axes: Ints | None = None) -> Value:
    return g.Squeeze(x, axes)


@onnx_op("Unsqueeze", until=13)
def unsqueeze(g: OnnxBuilder, x: Value, *, axes: Ints) -> Value:
    return g.Unsqueeze(x, axes)


@onnx_op("Split", until=13)
def split_by_attribute(g: OnnxBuilder, x: Value, *, axis: int = 0, split: Ints | None = None) -> tuple[Value, ...]:
    return split_by_input(g, x, None if split is None else g.constant(split, np.int64), axis=axis)


@onnx_op("Split", since=13, until=18)
def split_by_input(g: OnnxBuilder, x: Value, split: Value | None = None, *, axis: int = 0) -> tuple[Value, ...]:
    """Without `split` in equal parts, as many as the node has outputs."""
    count = None if split is not None else g.outputs
    result = g.op("Split", (x, split), outputs=g.outputs, axis=axis, num_outputs=count)
    return result if isinstance(result, tuple) else (result,)


@onnx_op("Slice", until=10)
def slice_by_attributes(g: OnnxBuilder, x: Value, *, starts: Ints, ends: Ints, axes: Ints | None = None) -> Value:
    return g.Slice(x, starts, ends, axes)


@onnx_op("Pad", since=2, until=11)
def pad(g: OnnxBuilder, x: Value, *, pads: Ints, mode: str = "constant", value: float = 0.0) -> Value:
    return g.Pad(x, pads, value if mode == "constant" and value else None, mode=mode)


@onnx_op("TopK", until=10)
def top_k(g: OnnxBuilder, x: Value, *, k: int, axis: int = -1) -> tuple[Value, Value]:
    values, indices = g.TopK(x, [k], axis=axis, outputs=2)
    return values, indices


@onnx_op("Scatter", since=9, until=12)
def scatter(g: OnnxBuilder, x: Value, indices: Value, updates: Value, *, axis: int = 0) -> Value:
    """Renamed to ScatterElements at 11."""
    return g.ScatterElements(x, indices, updates, axis=axis)


@onnx_op("DFT", since=17, until=20)
def dft(
    g: OnnxBuilder, x: Value, length: Value | None = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> Value:
    return g.DFT(x, length, np.array(axis), inverse=inverse, onesided=onesided)


@onnx_op("ReduceSum", until=13)
@onnx_op(
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSumSquare", until=18,
)  # fmt: skip
def reduction(g: OnnxBuilder, x: Value, *, axes: Ints | None = None, keepdims: int = 1) -> Any:
    return g.op(g.operator, (x, axes), keepdims=keepdims)
