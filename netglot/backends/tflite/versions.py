"""The oldest version of each operator that does what it is asked to (the runtime refuses what it is too old for).

The rules are those of TensorFlow's tools/versioning/op_version.cc, as far as float, bool and plain integer models go.
What is not here is version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Ints, Op, TFLiteBuilder


@dataclass(frozen=True)
class Signature:
    """Types and shapes of an operator's arguments; None for one left out."""

    types: list[str | None]
    shapes: list[Ints | None]
    outputs: list[str]
    options: Any

    @property
    def rank(self) -> int:
        return len(self.shapes[0] or ())

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
    return rule(Signature(types, shapes, [m.tensors[i].dtype.name for i in op.outputs], op.options))


Rule = Callable[[Signature], int]


def _by_type(argument: int = 0, **versions: int) -> Rule:
    """The version that brought the element type of an input."""
    return lambda s: versions.get(s.types[argument] or "", 1)


def _conv(s: Signature) -> int:
    filters, x = s.shapes[1] or (), s.shapes[0] or ()
    return 6 if filters[3] != x[3] else 1


def _depthwise(s: Signature) -> int:
    return 2 if (s.options.dilationHFactor, s.options.dilationWFactor) != (1, 1) else 1


def _fully_connected(s: Signature) -> int:
    if len([t for t in s.types if t]) == 2:
        return 6
    return 5 if s.options.keepNumDims else 1


def _transpose(s: Signature) -> int:
    by_rank = 8 if s.rank > 6 else 6 if s.rank > 5 else 4 if s.rank > 4 else 1
    return max(by_rank, _by_type(bool=3, int8=2, int16=5)(s))


def _transpose_conv(s: Signature) -> int:
    return 4 if s.options.fusedActivationFunction else 3 if len(s.types) == 4 else 1


def _strided_slice(s: Signature) -> int:
    return max(4 if s.rank > 4 else 1, _by_type(uint32=7, bool=3, int8=2)(s))


def _pad(s: Signature) -> int:
    return max(4 if s.rank > 4 else 1, _by_type(bool=5, int16=3, int8=2)(s))


def _extreme(s: Signature) -> int:
    return max(3 if s.is_broadcast else 1, _by_type(int16=4, int8=2)(s))


def _sub(s: Signature) -> int:
    return max(3 if s.is_broadcast else 1, _by_type(int64=4, int8=2)(s))


def _cast(s: Signature) -> int:
    kinds = {s.types[0], *s.outputs}
    for version, new in ((5, {"float64", "float16"}), (4, {"uint16"}), (3, {"int8"}), (2, {"uint32"})):
        if kinds & new:
            return version
    return 1


def _slice(s: Signature) -> int:
    return max(5 if s.rank > 4 else 1, _by_type(uint32=6, int16=4, int8=2)(s))


_OP = tfl.BuiltinOperator
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
    _OP.ADD: _by_type(int64=4, int16=5, int8=2),
    _OP.MUL: _by_type(int64=5, int16=7, uint32=7, int8=2),
    _OP.GATHER: _by_type(bool=3, int8=2, int16=4),
    _OP.GATHER_ND: _by_type(bool=5, int16=3),
    _OP.SPLIT: _by_type(1, int16=4, int32=3, int8=2),
    _OP.SIGN: _by_type(int32=2),
    _OP.ABS: _by_type(int32=5, int16=4, int8=2),
    _OP.FLOOR_DIV: _by_type(float32=2, int8=3, int16=3),
    _OP.FLOOR_MOD: _by_type(int8=2, int16=2),
    _OP.DEQUANTIZE: _by_type(float16=3),
    _OP.REVERSE_V2: _by_type(bool=2, int8=3),
    _OP.RESIZE_BILINEAR: lambda s: 3 if s.options.halfPixelCenters else 1,
    _OP.RESIZE_NEAREST_NEIGHBOR: lambda s: 3 if s.options.halfPixelCenters or s.options.alignCorners else 1,
    _OP.ARG_MAX: _by_type(bool=3),
    _OP.ARG_MIN: _by_type(bool=3),
    _OP.BROADCAST_TO: lambda s: 2,
}
