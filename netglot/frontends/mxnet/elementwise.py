"""Arithmetic on each element. Semantics: MXNet's src/operator/mshadow_op.h.

What MXNet computes in floating point even of whole numbers, and cuts off then (exp, sqrt), is not supported for those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np

from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value

Binary = Callable[[MXNetBuilder, Value, Value], Value]
Unary = Callable[[MXNetBuilder, Value], Value]


def number(x: Value, value: float) -> np.ndarray:
    """`value` as a constant of x's type; what is no whole number is cut off where x has none."""
    return np.array(value, np.float64).astype(x.dtype)


def is_whole(x: Value) -> bool:
    return x.dtype is not None and x.dtype.kind in "iu"


def require_real(g: MXNetBuilder, *values: Value) -> None:
    if any(is_whole(x) for x in values):
        raise g.unsupported("of whole numbers is not supported")


def truth(g: MXNetBuilder, x: Value) -> Value:
    return g.cast(x, np.bool_)


# --------------------------------------------------------------------- two tensors


def onnx(op: str) -> Binary:
    """The ONNX operator `op` of two values."""

    def function(g: MXNetBuilder, a: Value, b: Value) -> Value:
        y: Value = g.op(op, [a, b])
        return y

    return function


def comparison(op: str, negated: bool = False) -> Binary:
    """A comparison, as a truth value."""

    def function(g: MXNetBuilder, a: Value, b: Value) -> Value:
        y: Value = g.op(op, [a, b])
        return g.Not(y) if negated else y

    return function


def logical(op: str) -> Binary:
    """A truth value of two numbers, which are true unless zero."""

    def function(g: MXNetBuilder, a: Value, b: Value) -> Value:
        y: Value = g.op(op, [truth(g, a), truth(g, b)])
        return y

    return function


def as_data(function: Binary) -> Binary:
    """The truth value as 0 or 1 of the operands' type."""

    def numeric(g: MXNetBuilder, a: Value, b: Value) -> Value:
        return g.cast(function(g, a, b), a.dtype)

    return numeric


def mod(g: MXNetBuilder, a: Value, b: Value) -> Value:
    """What is left has the sign of b; 0 where b is 0."""
    zero, one = number(b, 0), number(b, 1)
    is_zero = g.Equal(b, zero)
    never = is_zero.is_constant and not is_zero.array.any()
    divisor = b if never else g.Where(is_zero, one, b)
    left = g.Mod(a, divisor) if is_whole(a) else _floored(g, a, divisor)
    return left if never else g.Where(is_zero, zero, left)


def _floored(g: MXNetBuilder, a: Value, b: Value) -> Value:
    left = g.Mod(a, b, fmod=1)
    differs = g.Xor(g.Less(left, number(a, 0)), g.Less(b, number(a, 0)))
    return g.Where(g.And(differs, truth(g, left)), g.Add(left, b), left)


def hypot(g: MXNetBuilder, a: Value, b: Value) -> Value:
    require_real(g, a, b)
    return g.Sqrt(g.Add(g.Mul(a, a), g.Mul(b, b)))


def power(g: MXNetBuilder, a: Value, b: Value) -> Value:
    if is_whole(a) and not (b.is_constant and (b.array >= 0).all()):
        raise g.unsupported("a power of whole numbers by what may be negative is not defined")
    return g.Pow(a, b)


def maximum(g: MXNetBuilder, a: Value, b: Value) -> Value:
    return g.Max(a, b)


def minimum(g: MXNetBuilder, a: Value, b: Value) -> Value:
    return g.Min(a, b)


COMPARISONS: Mapping[str, Binary] = {
    "equal": comparison("Equal"), "not_equal": comparison("Equal", negated=True), "greater": comparison("Greater"),
    "greater_equal": comparison("GreaterOrEqual"), "lesser": comparison("Less"),
    "lesser_equal": comparison("LessOrEqual"), "logical_and": logical("And"), "logical_or": logical("Or"),
    "logical_xor": logical("Xor"),
}  # fmt: skip

# The old names of each, beside broadcast_... ones.
_BINARY: Mapping[str, tuple[Binary, tuple[str, ...]]] = {
    "add": (onnx("Add"), ("elemwise_add", "_add", "_plus", "_Plus", "_grad_add", "broadcast_plus",
                          "_sparse_elemwise_add", "_sparse_broadcast_add", "_sparse_broadcast_plus")),
    "sub": (onnx("Sub"), ("elemwise_sub", "_sub", "_minus", "_Minus", "broadcast_minus", "_sparse_elemwise_sub",
                          "_sparse_broadcast_sub", "_sparse_broadcast_minus")),
    "mul": (onnx("Mul"), ("elemwise_mul", "_mul", "_Mul", "_sparse_elemwise_mul", "_sparse_broadcast_mul")),
    "div": (onnx("Div"), ("elemwise_div", "_div", "_Div", "_scatter_elemwise_div", "_sparse_elemwise_div",
                          "_sparse_broadcast_div")),
    "mod": (mod, ("_mod", "_Mod")),
    "power": (power, ("_power", "_Power")),
    "maximum": (maximum, ("_maximum", "_Maximum", "_npi_maximum")),
    "minimum": (minimum, ("_minimum", "_Minimum", "_npi_minimum")),
    "hypot": (hypot, ("_hypot", "_Hypot")),
}  # fmt: skip


def _of_tensors(function: Binary) -> Callable[..., Value]:
    def operator(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
        return function(g, lhs, rhs)

    return operator


def _camel(name: str) -> str:
    """greater_equal as it was written before 0.9: Greater_Equal."""
    return "_".join(part.capitalize() for part in name.split("_"))


for _name, (_function, _old) in _BINARY.items():
    mxnet_op(f"broadcast_{_name}", *_old)(_of_tensors(_function))
for _name, _function in COMPARISONS.items():
    mxnet_op(f"broadcast_{_name}", f"_{_name}", f"_{_camel(_name)}")(_of_tensors(as_data(_function)))


@mxnet_op("add_n", "ElementWiseSum", "_sparse_add_n", "_sparse_ElementWiseSum")
def add_n(g: MXNetBuilder, *args: Value) -> Value:
    return reduce(lambda a, b: g.Add(a, b), args)


# --------------------------------------------------------------- a tensor and a number


def with_number(g: MXNetBuilder, data: Value, scalar: float, is_int: bool) -> tuple[Value, Value]:
    """Both of one type: whole numbers become float64 beside a number that is none (is_int says so since 1.7).

    Truth values become numbers.
    """
    if data.dtype == np.bool_:
        data = g.cast(data, np.int64)
    x = g.cast(data, np.float64) if is_whole(data) and not is_int else data
    return x, g.constant(number(x, scalar))


def of_number(function: Binary, reverse: bool = False) -> Callable[..., Value]:
    """The operator of data and a number, or the other way round."""

    def operator(g: MXNetBuilder, data: Value, *, scalar: float = 1.0, is_int: bool = True) -> Value:
        x, constant = with_number(g, data, scalar, is_int)
        return function(g, constant, x) if reverse else function(g, x, constant)

    return operator


def divide(g: MXNetBuilder, a: Value, b: Value) -> Value:
    if is_whole(a) and b.is_constant and not b.array.all():
        raise g.unsupported("whole numbers divided by zero")
    return g.Div(a, b)


_OF_NUMBER: Mapping[str, tuple[Binary, bool, str]] = {
    "plus": (onnx("Add"), False, "Plus"), "minus": (onnx("Sub"), False, "Minus"),
    "rminus": (onnx("Sub"), True, "RMinus"), "mul": (onnx("Mul"), False, "Mul"), "div": (divide, False, "Div"),
    "rdiv": (divide, True, "RDiv"), "mod": (mod, False, "Mod"), "rmod": (mod, True, "RMod"),
    "power": (power, False, "Power"), "rpower": (power, True, "RPower"), "maximum": (maximum, False, "Maximum"),
    "minimum": (minimum, False, "Minimum"), "hypot": (hypot, False, "Hypot"),
}  # fmt: skip
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "plus": ("_scatter_plus_scalar",), "minus": ("_scatter_minus_scalar",), "maximum": ("_npi_maximum_scalar",),
    "minimum": ("_npi_minimum_scalar",), "hypot": ("_npi_hypot_scalar",),
}  # fmt: skip

for _name, (_function, _reverse, _old_name) in _OF_NUMBER.items():
    mxnet_op(f"_{_name}_scalar", f"_{_old_name}Scalar", *_ALIASES.get(_name, ()))(of_number(_function, _reverse))
for _name, _function in COMPARISONS.items():
    _old_name = _camel(_name).replace("_", "")
    mxnet_op(f"_{_name}_scalar", f"_{_old_name}Scalar")(of_number(as_data(_function)))


@mxnet_op("_contrib_quadratic")
def quadratic(g: MXNetBuilder, data: Value, *, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> Value:
    """a x² + b x + c"""
    linear = g.Add(g.Mul(data, number(data, a)), number(data, b))
    return g.Add(g.Mul(linear, data), number(data, c))


@mxnet_op("_contrib_div_sqrt_dim")
def div_sqrt_dim(g: MXNetBuilder, data: Value) -> Value:
    """By the square root of the last size (contrib/transformer-inl.h)."""
    size = data.shape[-1] if data.shape else None
    if isinstance(size, int):
        return g.Div(data, number(data, size**0.5))
    return g.Div(data, g.Sqrt(g.cast(g.Shape(data, start=-1), data.dtype)))


# ------------------------------------------------------------------------ one tensor

_REAL: Mapping[str, str] = {
    "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin",
    "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh", "reciprocal": "Reciprocal", "erf": "Erf", "sigmoid": "Sigmoid",
    "softsign": "Softsign",
}  # fmt: skip
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "abs": ("_npi_abs", "_npi_absolute", "_sparse_abs"), "erf": ("_npx_erf",), "softsign": (),
    "sigmoid": ("_npx_sigmoid", "_sparse_sigmoid"), "relu": ("_npx_relu", "_sparse_relu"), "rcbrt": (),
    "rsqrt": ("_sparse_rsqrt",), "round": ("_sparse_round", "_contrib_round_ste", "_sparse__contrib_round_ste"),
    "sign": ("_npi_sign", "_sparse_sign", "_contrib_sign_ste", "_sparse__contrib_sign_ste"),
    "reciprocal": ("_npi_reciprocal",),
}  # fmt: skip


def _register(name: str, function: Unary) -> None:
    """For the operator, NumPy's one, and that for sparse tensors, which dense ones are too."""

    def operator(g: MXNetBuilder, data: Value) -> Value:
        return function(g, data)

    mxnet_op(name, *_OTHER_NAMES.get(name, (f"_npi_{name}", f"_sparse_{name}")))(operator)


def _real(op: str) -> Unary:
    def function(g: MXNetBuilder, x: Value) -> Value:
        require_real(g, x)
        y: Value = g.op(op, [x])
        return y

    return function


def _rsqrt(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Reciprocal(g.Sqrt(x))


def _cbrt(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Mul(g.Sign(x), g.Pow(g.Abs(x), number(x, 1 / 3)))


def _rcbrt(g: MXNetBuilder, x: Value) -> Value:
    return g.Reciprocal(_cbrt(g, x))


def _log10(g: MXNetBuilder, x: Value) -> Value:
    return _logarithm(g, x, 10)


def _log2(g: MXNetBuilder, x: Value) -> Value:
    return _logarithm(g, x, 2)


def _logarithm(g: MXNetBuilder, x: Value, base: float) -> Value:
    require_real(g, x)
    return g.Mul(g.Log(x), number(x, 1 / np.log(base)))


def _log1p(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Log(g.Add(x, number(x, 1)))


def _expm1(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Sub(g.Exp(x), number(x, 1))


def _degrees(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Mul(x, number(x, 180 / np.pi))


def _radians(g: MXNetBuilder, x: Value) -> Value:
    require_real(g, x)
    return g.Mul(x, number(x, np.pi / 180))


def _abs(g: MXNetBuilder, x: Value) -> Value:
    return g.Abs(x)


def _sign(g: MXNetBuilder, x: Value) -> Value:
    return g.Sign(x)


def _negative(g: MXNetBuilder, x: Value) -> Value:
    return g.Neg(x)


def _relu(g: MXNetBuilder, x: Value) -> Value:
    return g.Relu(x)


def _square(g: MXNetBuilder, x: Value) -> Value:
    return g.Mul(x, x)


def _floor(g: MXNetBuilder, x: Value) -> Value:
    return x if is_whole(x) else g.Floor(x)


def _ceil(g: MXNetBuilder, x: Value) -> Value:
    return x if is_whole(x) else g.Ceil(x)


def _towards_zero(g: MXNetBuilder, x: Value) -> Value:
    return x if is_whole(x) else g.Mul(g.Sign(x), g.Floor(g.Abs(x)))


def _rint(g: MXNetBuilder, x: Value) -> Value:
    """The nearest; of two the lower one."""
    if is_whole(x):
        return x
    below = g.Floor(x)
    return g.Where(g.Greater(g.Sub(x, below), number(x, 0.5)), g.Add(below, number(x, 1)), below)


def _round(g: MXNetBuilder, x: Value) -> Value:
    """The nearest; of two the one that is farther from zero."""
    if is_whole(x):
        return x
    size = g.Abs(x)
    below = g.Floor(size)
    up = g.GreaterOrEqual(g.Sub(size, below), number(x, 0.5))
    return g.Mul(g.Sign(x), g.Where(up, g.Add(below, number(x, 1)), below))


_UNARY: Mapping[str, Unary] = {
    **{name: _real(op) for name, op in _REAL.items()},
    "rsqrt": _rsqrt, "cbrt": _cbrt, "rcbrt": _rcbrt, "log10": _log10, "log2": _log2, "log1p": _log1p,
    "expm1": _expm1, "degrees": _degrees, "radians": _radians, "abs": _abs, "sign": _sign, "negative": _negative,
    "relu": _relu, "square": _square, "floor": _floor, "ceil": _ceil, "trunc": _towards_zero, "fix": _towards_zero,
    "rint": _rint, "round": _round,
}  # fmt: skip

for _name, _unary in _UNARY.items():
    _register(_name, _unary)


@mxnet_op("logical_not")
def logical_not(g: MXNetBuilder, data: Value) -> Value:
    return g.cast(g.Not(truth(g, data)), data.dtype)


@mxnet_op("hard_sigmoid")
def hard_sigmoid(g: MXNetBuilder, data: Value, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    require_real(g, data)
    return g.HardSigmoid(data, alpha=alpha, beta=beta)


@mxnet_op("smooth_l1", "_npx_smooth_l1")
def smooth_l1(g: MXNetBuilder, data: Value, *, scalar: float = 1.0) -> Value:
    """(σ x)² / 2 where |x| < 1 / σ², |x| - 1 / 2σ² elsewhere; σ is `scalar`."""
    require_real(g, data)
    square = scalar * scalar
    size = g.Abs(data)
    inner = g.Mul(g.Mul(data, data), number(data, square / 2))
    return g.Where(g.Less(size, number(data, 1 / square)), inner, g.Sub(size, number(data, 0.5 / square)))


@mxnet_op("clip", "_npi_clip", "_sparse_clip")
def clip(g: MXNetBuilder, data: Value, *, a_min: float | None = None, a_max: float | None = None) -> Value:
    limits = [None if limit is None or np.isinf(limit) else number(data, limit) for limit in (a_min, a_max)]
    return g.Clip(data, *limits)


@mxnet_op("identity", "_copy", "_np_copy", "BlockGrad", "stop_gradient", "_sparse_stop_gradient")
def identity(g: MXNetBuilder, data: Value) -> Value:
    """What stops gradients changes nothing at inference."""
    return data


@mxnet_op("make_loss", "_sparse_make_loss", outputs=("loss",))
def loss(g: MXNetBuilder, data: Value) -> Value:
    return data


@mxnet_op("MakeLoss")
def make_loss(
    g: MXNetBuilder, data: Value, *, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: str = "null"
) -> Value:
    """All of its attributes are about the gradient."""
    return data


@mxnet_op("_contrib_gradientmultiplier")
def gradient_multiplier(g: MXNetBuilder, data: Value, *, scalar: float = 1.0, is_int: bool = True) -> Value:
    return data


@mxnet_op("cast_storage", "_sparse_cast_storage")
def cast_storage(g: MXNetBuilder, data: Value, *, stype: str) -> Value:
    """Dense or not, the numbers are the same."""
    return data


@mxnet_op("_identity_with_attr_like_rhs")
def identity_like_rhs(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
    return lhs


# ----------------------------------------------------------------------------- types


@mxnet_op("Cast", "cast", "_npi_cast", "_npx_cast")
def cast(g: MXNetBuilder, data: Value, *, dtype: np.dtype) -> Value:
    """As C casts: what is cut off, and small integers wrap around (ONNX leaves that open for floating point)."""
    if data.dtype is not None and data.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and dtype.itemsize == 1:
        data = g.cast(data, np.int32)
    return g.cast(data, dtype)


@mxnet_op("amp_cast")
def amp_cast(g: MXNetBuilder, data: Value, *, dtype: np.dtype) -> Value:
    """Whole numbers stay what they are."""
    return data if is_whole(data) else g.cast(data, dtype)


@mxnet_op("amp_multicast")
def amp_multicast(g: MXNetBuilder, *data: Value, num_outputs: int, cast_narrow: bool = False) -> tuple[Value, ...]:
    """All of the widest of their types, or the narrowest."""
    types = sorted({np.dtype(x.dtype) for x in data}, key=lambda dtype: dtype.itemsize)
    if any(dtype.kind != "f" for dtype in types):
        raise g.unsupported("of types that are not floating point")
    return tuple(g.cast(x, types[0 if cast_narrow else -1]) for x in data)
