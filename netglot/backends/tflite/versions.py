"""The oldest version of each operator that does what it is asked to (the runtime refuses what it is too old for).

The rules are those of TensorFlow's tools/versioning/op_version.cc. What is not here is version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Ints, Op, TFLiteBuilder
from netglot.backends.tflite.grids import Grid


@dataclass(frozen=True)
class Signature:
    """Types and shapes of an operator's arguments; None for one left out."""

    types: list[str | None]
    shapes: list[Ints | None]
    outputs: list[str]
    options: Any
    grids: list[Grid | None]  # of the inputs
    output_grid: Grid | None

    @property
    def rank(self) -> int:
        return len(self.shapes[0] or ())

    @property
    def kinds(self) -> tuple[str, str]:
        """The types of the first two inputs: a layer's numbers and weights."""
        return self.types[0] or "", self.types[1] or ""

    @property
    def is_quantized(self) -> bool:
        return self.grids[0] is not None

    @property
    def is_per_channel(self) -> bool:
        return any(grid is not None and len(grid.scales) > 1 for grid in self.grids)

    @property
    def is_broadcast(self) -> bool:
        """Whether two inputs of different shapes meet with more than four axes."""
        first, second = self.shapes[:2]
        return first != second and max(len(first or ()), len(second or ())) > 4


def version(m: TFLiteBuilder, op: Op) -> int:
    """The version to ask for."""
    rule = _RULES.get(op.code)
    if rule is None:
        return 1
    tensors = [m.tensors[i] if i >= 0 else None for i in op.inputs]
    types = [t.dtype.name if t else None for t in tensors]
    shapes = [t.shape if t else None for t in tensors]
    grids = [t.grid if t else None for t in tensors]
    outputs = [m.tensors[i] for i in op.outputs]
    return rule(Signature(types, shapes, [t.dtype.name for t in outputs], op.options, grids, outputs[0].grid))


Rule = Callable[[Signature], int]


def _by_type(argument: int = 0, **versions: int) -> Rule:
    """The version that brought the element type of an input."""
    return lambda s: versions.get(s.types[argument] or "", 1)


def _conv(s: Signature) -> int:
    filters, x = s.shapes[1] or (), s.shapes[0] or ()
    if filters[3] != x[3]:
        return 6
    if s.kinds == ("float32", "int8"):
        return 5 if s.is_per_channel else 2
    return {("int8", "int4"): 7, ("float32", "int4"): 7, ("int16", "int8"): 4, ("int8", "int8"): 3}.get(s.kinds, 1)


def _depthwise(s: Signature) -> int:
    if s.kinds == ("float32", "int8"):
        return 6 if s.is_per_channel else 4
    dilated = (s.options.dilationHFactor, s.options.dilationWFactor) != (1, 1)
    known = {("int8", "int4"): 7, ("float32", "int4"): 7, ("int16", "int8"): 5, ("int8", "int8"): 3}
    return known.get(s.kinds, 2 if dilated else 1)


def _fully_connected(s: Signature) -> int:
    if s.kinds == ("float32", "int8") and s.is_per_channel:
        return 12
    by_type = {("int16", "int4"): 13, ("int8", "int4"): 10, ("float32", "int4"): 10, ("int16", "int8"): 7}
    if s.kinds in by_type:
        return by_type[s.kinds]
    if s.kinds == ("float32", "int8"):
        return 9
    if len([t for t in s.types if t]) == 2:
        return 6
    return 5 if s.options.keepNumDims else 4 if s.kinds == ("int8", "int8") else 1


def _transpose(s: Signature) -> int:
    by_rank = 8 if s.rank > 6 else 6 if s.rank > 5 else 4 if s.rank > 4 else 1
    return max(by_rank, _by_type(bool=3, int8=2, int16=5)(s))


def _transpose_conv(s: Signature) -> int:
    return 4 if s.options.fusedActivationFunction else 3 if len(s.types) == 4 else 2 if s.types[1] == "int8" else 1


def _strided_slice(s: Signature) -> int:
    return max(4 if s.rank > 4 else 1, _by_type(uint32=7, bool=3, int8=2)(s))


def _pad(s: Signature) -> int:
    return max(4 if s.rank > 4 else 1, _by_type(bool=5, int16=3, int8=2)(s))


def _extreme(s: Signature) -> int:
    return max(3 if s.is_broadcast else 1, _by_type(int16=4, int8=2)(s))


def _sub(s: Signature) -> int:
    return max(3 if s.is_broadcast else 1, _by_type(int64=4, int8=2, int16=5 if s.is_quantized else 1)(s))


def _add(s: Signature) -> int:
    return _by_type(int64=4, int16=3 if s.is_quantized else 5, int8=2)(s)


def _mul(s: Signature) -> int:
    """Products that are scaled by one or more came late."""
    scales = [grid.scale for grid in (*s.grids, s.output_grid) if grid is not None]
    if s.is_quantized and s.types[0] != "int16" and len(scales) == 3 and scales[0] * scales[1] >= scales[2]:
        return 3
    return _by_type(int64=5, int16=4 if s.is_quantized else 7, uint32=7, int8=2)(s)


def _quantize(s: Signature) -> int:
    return 2 if s.outputs[0] == "int16" else 1


def _dequantize(s: Signature) -> int:
    return _by_type(float16=3, int16=3, int8=5 if s.is_per_channel else 2, int4=6)(s)


def _abs(s: Signature) -> int:
    return _by_type(int32=5, int16=3 if s.is_quantized else 4, int8=2, uint8=2)(s)


def _bilinear(s: Signature) -> int:
    return max(3 if s.options.halfPixelCenters else 1, _by_type(int16=4, int8=2)(s))


def _nearest(s: Signature) -> int:
    shifted = s.options.halfPixelCenters or s.options.alignCorners
    return max(3 if shifted else 1, _by_type(int16=4, int8=2)(s))


def _cast(s: Signature) -> int:
    kinds = {s.types[0], *s.outputs}
    for version, new in ((5, {"float64", "float16"}), (4, {"uint16"}), (3, {"int8"}), (2, {"uint32"})):
        if kinds & new:
            return version
    return 1


def _slice(s: Signature) -> int:
    return max(5 if s.rank > 4 else 1, _by_type(uint32=6, int16=4, int8=2)(s))


_OP = tfl.BuiltinOperator
_SINCE_8_BITS = (_OP.DEPTH_TO_SPACE, _OP.LOG_SOFTMAX, _OP.SPACE_TO_DEPTH, _OP.SQUARED_DIFFERENCE, _OP.SUM)
_SINCE_16_BITS = (
    _OP.AVERAGE_POOL_2D, _OP.BATCH_MATMUL, _OP.CONCATENATION, _OP.LOGISTIC, _OP.MAX_POOL_2D, _OP.MEAN, _OP.MIRROR_PAD,
    _OP.REDUCE_MAX, _OP.REDUCE_MIN, _OP.RELU6, _OP.SOFTMAX, _OP.TANH,
)  # fmt: skip
_RULES: dict[int, Rule] = {
    _OP.CONV_2D: _conv,
    _OP.DEPTHWISE_CONV_2D: _depthwise,
    _OP.FULLY_CONNECTED: _fully_connected,
    _OP.TRANSPOSE: _transpose,
    _OP.TRANSPOSE_CONV: _transpose_conv,
    _OP.STRIDED_SLICE: _strided_slice,
    _OP.SLICE: _slice,
    _OP.PAD: _pad,
    _OP.PADV2: _pad,
    _OP.MAXIMUM: _extreme,
    _OP.MINIMUM: _extreme,
    _OP.SUB: _sub,
    _OP.DIV: lambda s: 2 if s.is_broadcast else 1,
    _OP.CAST: _cast,
    _OP.GATHER: _by_type(bool=3, int8=2, int16=4),
    _OP.GATHER_ND: _by_type(bool=5, int16=3),
    _OP.SPLIT: _by_type(1, int16=4, int32=3, int8=2),
    _OP.SIGN: _by_type(int32=2),
    _OP.FLOOR_DIV: _by_type(float32=2, int8=3, int16=3),
    _OP.FLOOR_MOD: _by_type(int8=2, int16=2),
    _OP.REVERSE_V2: _by_type(bool=2, int8=3),
    _OP.ADD: _add,
    _OP.MUL: _mul,
    _OP.ABS: _abs,
    _OP.QUANTIZE: _quantize,
    _OP.DEQUANTIZE: _dequantize,
    _OP.RESIZE_BILINEAR: _bilinear,
    _OP.RESIZE_NEAREST_NEIGHBOR: _nearest,
    _OP.ARG_MAX: _by_type(bool=3, int8=2),
    _OP.ARG_MIN: _by_type(bool=3, int8=2),
    _OP.BROADCAST_TO: lambda s: 3 if s.types[0] in ("int8", "int16") else 2,
    _OP.RELU: _by_type(int16=3, int8=2, uint8=2),
    _OP.GELU: _by_type(int8=2, uint8=2),
    _OP.LEAKY_RELU: _by_type(int16=2),
    _OP.TILE: _by_type(int8=3),
    _OP.PACK: _by_type(int16=3, int8=2),
    _OP.L2_NORMALIZATION: _by_type(int8=2),
    **dict.fromkeys(_SINCE_16_BITS, _by_type(int16=3, int8=2)),
    **dict.fromkeys(_SINCE_8_BITS, _by_type(int8=2)),
}
