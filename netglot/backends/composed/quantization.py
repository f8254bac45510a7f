"""Quantised numbers, computed as floats: what kernels for them round and scale differs from ONNX in its last bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import to_onnx


def _is_fine(node: Node) -> bool:
    """More than C++ has kernels for: a scale that is computed or for each part, other types than float32 and integers
    of 8 or 16 bits."""
    quantises = node.op == "QuantizeLinear"
    real, integer = (node.inputs[0], node.output) if quantises else (node.output, node.inputs[0])
    scale, zero = node.inputs[1], node.input(2)
    if real is None or integer is None or scale is None or real.dtype != np.float32 or scale.dtype != np.float32:
        return True
    kinds = [np.dtype(name) for name in ("int8", "uint8", "int16", "uint16")]
    is_known = scale.is_constant and scale.array.size == 1 and (zero is None or zero.is_constant)
    return integer.dtype not in kinds or not is_known or bool(node.attributes.get("block_size"))


def _is_beyond_tflite(node: Node) -> bool:
    """More than TFLite has kernels for: as in C++, and unsigned integers of 16 bits, or such with a zero point."""
    integer, zero = node.output if node.op == "QuantizeLinear" else node.inputs[0], node.input(2)
    kind = integer.dtype if integer is not None else None
    is_symmetric = zero is None or (zero.data is not None and not zero.data.any())
    return _is_fine(node) or kind == np.uint16 or (kind == np.int16 and not is_symmetric)


def _is_beyond_coreml(node: Node) -> bool:
    """More than Core ML has operations for: a scale that is computed or of blocks, one number alone, integers of 32
    bits. (Those of 16 bits it refuses with a reason.)"""
    quantises = node.op == "QuantizeLinear"
    real, integer = (node.inputs[0], node.output) if quantises else (node.output, node.inputs[0])
    scale, zero = node.inputs[1], node.input(2)
    if real is None or integer is None or scale is None or integer.dtype is None or integer.is_constant:
        return False
    is_known = scale.is_constant and (zero is None or zero.is_constant)
    fits = integer.dtype.name in ("int8", "uint8", "int16", "uint16") and scale.dtype == real.dtype
    return not (is_known and fits and real.rank) or bool(node.attributes.get("block_size"))


@composition("QuantizeLinear", instead={"cpp": _is_fine, "coreml": _is_beyond_coreml, "tflite": _is_beyond_tflite})
def quantize_linear(
    g: Composer, x: Value, scale: Value, zero_point: Value | None, *, axis: int, block_size: int, output_dtype: int,
    precision: int, saturate: int,
) -> Value:  # fmt: skip
    """round(x / scale) + zero_point within the limits of the type."""
    kind, real = g.outputs[0].dtype, scale.dtype
    if kind is None or real is None or not _is_integer(kind):
        raise NotMappedError(f"quantised to {kind}")
    x = x if x.dtype == real else g.Cast(x, to=to_onnx(real))
    whole = g.Round(g.Div(x, _along(g, scale, x, axis, block_size)))
    if zero_point is not None and not _is_zero(zero_point):
        whole = g.Add(whole, _along(g, g.Cast(zero_point, to=to_onnx(real)), x, axis, block_size))
    limits = ml_dtypes.iinfo(kind)  # type: ignore[no-untyped-call]
    inside = g.Clip(whole, np.array(limits.min, real), np.array(limits.max, real))
    return g.Cast(inside, to=to_onnx(kind))


@composition("DequantizeLinear", instead={"cpp": _is_fine, "coreml": _is_beyond_coreml, "tflite": _is_beyond_tflite})
def dequantize_linear(
    g: Composer, x: Value, scale: Value, zero_point: Value | None, *, axis: int, block_size: int, output_dtype: int
) -> Value:
    """(x - zero_point) scale; what was quantised just before needs not be an integer for it."""
    real = scale.dtype
    if x.dtype is None or real is None or not _is_integer(x.dtype) or g.outputs[0].dtype != real:
        raise NotMappedError(f"{x.dtype} dequantised to {g.outputs[0].dtype}")
    number = _before_cast(g.graph, x, real) or g.Cast(x, to=to_onnx(real))
    if zero_point is not None and not _is_zero(zero_point):
        number = g.Sub(number, _along(g, g.Cast(zero_point, to=to_onnx(real)), x, axis, block_size))
    return g.Mul(number, _along(g, scale, x, axis, block_size))


def _is_integer(kind: np.dtype) -> bool:
    """Up to 32 bits, which (with a zero point of 0, as ONNX has it there) a cast rounds just as ONNX does."""
    return (kind.kind in "iu" and kind.itemsize <= 4) or kind.name in ("int4", "uint4", "int2", "uint2")


def _is_zero(value: Value) -> bool:
    return value.data is not None and not value.data.astype(np.float32).any()


def _along(g: Composer, parameter: Value, x: Value, axis: int, block_size: int) -> Value:
    """A scale or zero point, one for all, one for each index of `axis` or of blocks of it, to be broadcast with x."""
    if parameter.rank == 0 or parameter.sizes == (1,):
        return g.Reshape(parameter, np.zeros(0, np.int64))
    at = axis % x.rank
    if not block_size:
        return g.Reshape(parameter, [-1 if i == at else 1 for i in range(x.rank)])
    return g.Gather(parameter, np.arange(x.sizes[at]) // block_size, axis=at)


def _before_cast(graph: Graph, x: Value, real: np.dtype) -> Value | None:
    """What quantize_linear cast to x: the same numbers as floats."""
    cast = graph.producer(x)
    inside = cast.inputs[0] if cast is not None and cast.op == "Cast" else None
    clip = graph.producer(inside) if inside is not None else None
    if inside is None or clip is None or clip.op != "Clip" or inside.dtype != real:
        return None
    whole = graph.producer(clip.inputs[0]) if clip.inputs[0] is not None else None
    if whole is not None and whole.op == "Add":
        whole = graph.producer(whole.inputs[0]) if whole.inputs[0] is not None else None
    return inside if whole is not None and whole.op == "Round" else None
