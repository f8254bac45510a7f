"""Elementwise arithmetic. Semantics: TensorFlow's core/ops/math_ops.cc and the functors in core/kernels/cwise_ops.h."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import Edge, Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import binary, filled_like, scalar, wide, widened, zeros_like
from netglot.ir.graph import Value
from netglot.ir.types import Shape

# ------------------------------------------------------------------- one input

_UNARY: Mapping[str, str] = {
    "Abs": "Abs", "Acos": "Acos", "Acosh": "Acosh", "Asin": "Asin", "Asinh": "Asinh", "Atan": "Atan", "Atanh": "Atanh",
    "Ceil": "Ceil", "Cos": "Cos", "Cosh": "Cosh", "Erf": "Erf", "Exp": "Exp", "Floor": "Floor", "Inv": "Reciprocal",
    "Invert": "BitwiseNot", "IsInf": "IsInf", "IsNan": "IsNaN", "Log": "Log", "LogicalNot": "Not",
    "Neg": "Neg", "Reciprocal": "Reciprocal", "Rint": "Round", "Sigmoid": "Sigmoid", "Sign": "Sign", "Sin": "Sin",
    "Sinh": "Sinh", "Sqrt": "Sqrt", "Tan": "Tan", "Tanh": "Tanh",
}  # fmt: skip


def _unary(onnx: str) -> Callable[..., Value]:
    def function(g: TFBuilder, x: Value) -> Value:
        y: Value = g.op(onnx, [x])
        return y

    return function


for _name, _onnx in _UNARY.items():
    tf_op(_name)(_unary(_onnx))


@tf_op("Round")
def round_(g: TFBuilder, x: Value) -> Value:
    """Half to even, as ONNX; integers stay."""
    return x if x.dtype is not None and x.dtype.kind in "iub" else g.Round(x)


@tf_op("Square")
def square(g: TFBuilder, x: Value) -> Value:
    return g.Mul(x, x)


@tf_op("Rsqrt")
def rsqrt(g: TFBuilder, x: Value) -> Value:
    return g.Reciprocal(g.Sqrt(x))


@tf_op("Erfc")
def erfc(g: TFBuilder, x: Value) -> Value:
    return g.Sub(scalar(g, 1, x), g.Erf(x))


@tf_op("Expm1")
def expm1(g: TFBuilder, x: Value) -> Value:
    return g.Sub(g.Exp(x), scalar(g, 1, x))


@tf_op("Log1p")
def log1p(g: TFBuilder, x: Value) -> Value:
    return g.Log(g.Add(x, scalar(g, 1, x)))


@tf_op("IsFinite")
def is_finite(g: TFBuilder, x: Value) -> Value:
    return g.Less(g.Abs(x), scalar(g, np.inf, x))


@tf_op("OnesLike")
def ones_like(g: TFBuilder, x: Value) -> Value:
    return filled_like(g, x, 1)


@tf_op("ZerosLike")
def zeros_like_(g: TFBuilder, x: Value) -> Value:
    return zeros_like(g, x)


@tf_op("Cast", handles=True)
def cast(g: TFBuilder, x: Edge, *, DstT: Any, Truncate: bool = False) -> Edge:
    """Floats to integers drop the fraction. A complex number loses its imaginary part; a real one gets zero for it."""
    if isinstance(x, Handle):
        return _cast_complex(g, x, DstT)
    if not isinstance(DstT, np.dtype) or "O" in (x.dtype.kind if x.dtype else "O", DstT.kind):
        raise g.unsupported("a cast of strings or resources")
    if Truncate and DstT.kind == "f" and DstT.itemsize < (x.dtype.itemsize if x.dtype else 8):
        raise g.unsupported("a cast that truncates the mantissa instead of rounding it")
    if DstT.kind == "c":
        part = g.cast(x, _part(DstT))
        return Handle("complex", g.origin.layer, (part, zeros_like(g, part)), DstT, x.shape)
    return g.cast(x, DstT)


def _cast_complex(g: TFBuilder, x: Handle, to: np.dtype) -> Edge:
    if x.kind != "complex":
        raise g.unsupported(f"a cast of a {x.kind}")
    if to.kind != "c":
        return g.cast(x.state[0], to)
    return Handle("complex", x.name, tuple(g.cast(part, _part(to)) for part in x.state), to, x.shape)


def _part(dtype: np.dtype) -> np.dtype:
    """The type of the parts of a complex number."""
    return np.dtype(np.float64 if dtype.itemsize == 16 else np.float32)


@tf_op("Bitcast")
def bitcast(g: TFBuilder, x: Value, *, type: Any) -> Value:
    """Only between types of one size: others change the shape."""
    if x.dtype == type:
        return x
    if not isinstance(type, np.dtype) or x.dtype is None or x.dtype.itemsize != type.itemsize or type.kind in "cb":
        raise g.unsupported(f"from {x.dtype} to {type}, which is of another size")
    from netglot.ir.types import to_onnx

    return g.BitCast(x, to=to_onnx(type))


# ------------------------------------------------------------------ two inputs

_BINARY: Mapping[str, str] = {
    "Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div", "Div": "Div", "TruncateDiv": "Div",
    "Pow": "Pow", "BitwiseAnd": "BitwiseAnd", "BitwiseOr": "BitwiseOr", "BitwiseXor": "BitwiseXor",
}  # fmt: skip


for _name, _onnx in _BINARY.items():
    tf_op(_name)(binary(_onnx))


def _extremum(onnx: str) -> Callable[..., Value]:
    def function(g: TFBuilder, x: Value, y: Value) -> Value:
        if x.dtype in (np.int16, np.uint16):
            return widened(g, onnx, x, y)
        z: Value = g.op(onnx, [x, y])
        return z

    return function


tf_op("Maximum")(_extremum("Max"))
tf_op("Minimum")(_extremum("Min"))


@tf_op("AddN", "AccumulateNV2")
def add_n(g: TFBuilder, *xs: Value, shape: Shape | None = None) -> Value:
    total = xs[0]
    for x in xs[1:]:
        total = g.Add(total, x)
    return total


@tf_op("SquaredDifference")
def squared_difference(g: TFBuilder, x: Value, y: Value) -> Value:
    difference = g.Sub(x, y)
    return g.Mul(difference, difference)


@tf_op("FloorDiv")
def floor_div(g: TFBuilder, x: Value, y: Value) -> Value:
    """Integers: what is left when the floored remainder is taken away divides exactly. Floats: floor(x / y)."""
    if x.dtype is not None and x.dtype.kind == "f":
        return g.Floor(g.Div(x, y))
    if x.dtype is not None and x.dtype.kind == "u":
        return g.Div(x, y)
    return g.Div(g.Sub(x, g.Mod(x, y)), y)


@tf_op("FloorMod")
def floor_mod(g: TFBuilder, x: Value, y: Value) -> Value:
    """Has the sign of y (ONNX has that for integers only)."""
    if x.dtype is not None and x.dtype.kind != "f":
        return g.Mod(x, y)
    rest, zero = g.Mod(x, y, fmod=1), scalar(g, 0, x)
    wrong = g.And(g.Not(g.Equal(rest, zero)), g.Xor(g.Less(rest, zero), g.Less(y, zero)))
    return g.Where(wrong, g.Add(rest, y), rest)


@tf_op("Mod", "TruncateMod")
def truncate_mod(g: TFBuilder, x: Value, y: Value) -> Value:
    """Has the sign of x, as C's % and fmod."""
    return g.Mod(x, y, fmod=1)


@tf_op("DivNoNan")
def div_no_nan(g: TFBuilder, x: Value, y: Value) -> Value:
    """0 where y is 0."""
    return _unless_zero(g, y, g.Div(x, y))


@tf_op("MulNoNan")
def mul_no_nan(g: TFBuilder, x: Value, y: Value) -> Value:
    """0 where y is 0, whatever x is."""
    return _unless_zero(g, y, g.Mul(x, y))


@tf_op("Xdivy")
def xdivy(g: TFBuilder, x: Value, y: Value) -> Value:
    return _unless_zero(g, x, g.Div(x, y))


@tf_op("Xlogy")
def xlogy(g: TFBuilder, x: Value, y: Value) -> Value:
    return _unless_zero(g, x, g.Mul(x, g.Log(y)))


@tf_op("Xlog1py")
def xlog1py(g: TFBuilder, x: Value, y: Value) -> Value:
    return _unless_zero(g, x, g.Mul(x, log1p(g, y)))


def _unless_zero(g: TFBuilder, tested: Value, y: Value) -> Value:
    zero = scalar(g, 0, tested)
    return g.Where(g.Equal(tested, zero), zero, y)


@tf_op("Atan2")
def atan2(g: TFBuilder, y: Value, x: Value) -> Value:
    """The angle of (x, y) in (-pi, pi].

    Of |y| / |x|, or of its inverse where that is the smaller one, then turned into the quadrant. atan2(0, 0) is 0; the
    sign of a zero does not count.
    """
    zero, one = scalar(g, 0, x), scalar(g, 1, x)
    across, up = g.Abs(x), g.Abs(y)
    steep = g.Greater(up, across)
    small, large = g.Where(steep, across, up), g.Where(steep, up, across)
    both_infinite = g.And(g.IsInf(small), g.IsInf(large))
    ratio = g.Div(small, g.Where(g.Equal(large, zero), one, large))
    angle = g.Atan(g.Where(both_infinite, one, ratio))
    angle = g.Where(steep, g.Sub(scalar(g, np.pi / 2, x), angle), angle)
    angle = g.Where(g.Less(x, zero), g.Sub(scalar(g, np.pi, x), angle), angle)
    return g.Where(g.Less(y, zero), g.Neg(angle), angle)


@tf_op("LeftShift")
def left_shift(g: TFBuilder, x: Value, y: Value) -> Value:
    """ONNX shifts unsigned integers only; what leaves at the top is cut off by the cast."""
    bits = g.cast(g.cast(x, np.int64), np.uint64)
    return g.cast(g.BitShift(bits, g.cast(y, np.uint64), direction="LEFT"), x.dtype)


@tf_op("RightShift")
def right_shift(g: TFBuilder, x: Value, y: Value) -> Value:
    """Negative integers shift ones in: they are shifted as their complement, which is not negative."""
    negative = g.Less(wide(g, x), scalar(g, 0, wide(g, x)))
    bits = g.cast(g.Where(negative, wide(g, g.BitwiseNot(x)), wide(g, x)), np.uint64)
    shifted = g.cast(g.BitShift(bits, g.cast(y, np.uint64), direction="RIGHT"), wide(g, x).dtype)
    return g.cast(g.Where(negative, g.BitwiseNot(shifted), shifted), x.dtype)


# --------------------------------------------------------------- several inputs


@tf_op("ClipByValue")
def clip_by_value(g: TFBuilder, x: Value, low: Value, high: Value) -> Value:
    if low.shape == () and high.shape == () and x.dtype not in (np.int16, np.uint16):
        return g.Clip(x, low, high)
    return _extremum("Min")(g, _extremum("Max")(g, x, low), high)


@tf_op("Select")
def select(g: TFBuilder, condition: Value, x: Value, y: Value) -> Value:
    """A vector chooses whole rows; nothing else is broadcast, so the result has the shape of what it chooses from."""
    if condition.rank == 1 and x.rank > 1:
        condition = g.Unsqueeze(condition, list(range(1, x.rank)))
    chosen = _where(g, condition, x, y)
    if not chosen.is_constant and x.shape is not None:
        chosen.shape = x.shape
    return chosen


@tf_op("SelectV2")
def select_v2(g: TFBuilder, condition: Value, x: Value, y: Value) -> Value:
    return _where(g, condition, x, y)


def _where(g: TFBuilder, condition: Value, x: Value, y: Value) -> Value:
    if x.dtype in (np.int8, np.int16, np.uint16, np.uint32):
        return g.cast(g.Where(condition, wide(g, x), wide(g, y)), x.dtype)
    return g.Where(condition, x, y)


@tf_op("BiasAdd")
def bias_add(g: TFBuilder, x: Value, bias: Value, *, data_format: str = "NHWC") -> Value:
    if data_format.startswith("NC") and x.rank > 2:
        bias = g.Unsqueeze(bias, list(range(1, x.rank - 1)))
    return g.Add(x, bias)


@tf_op("BiasAddV1")
def bias_add_v1(g: TFBuilder, x: Value, bias: Value) -> Value:
    return g.Add(x, bias)
