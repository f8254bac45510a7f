"""The operators of mxnet.numpy (1.6 to 2.0) that differ from MXNet's older ones: truth values, scalars, mixed types.

Semantics: MXNet's src/operator/numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.einsum import einsum
from netglot.frontends.mxnet import activation, convolution, dense, normalization, output, pooling, recurrent  # noqa: F401
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.elementwise import (
    COMPARISONS,
    Binary,
    hypot,
    is_whole,
    mod,
    number,
    of_number,
    onnx,
    power,
    require_real,
    truth,
    with_number,
)
from netglot.frontends.mxnet.linalg import contracted, diagonal, made_diagonal
from netglot.frontends.mxnet.reduction import Reduction, count, index_of, reduced
from netglot.frontends.mxnet.shape import expanded, split_v2, squeezed_axes
from netglot.frontends.mxnet.shape import reshape as old_reshape
from netglot.ir.graph import Value
from netglot.ir.types import text
from netglot.registry import registry

Ints = tuple[int, ...]

# -------------------------------------------------------------------------- arithmetic


def _of_one_type(g: MXNetBuilder, a: Value, b: Value) -> tuple[Value, Value]:
    """The wider type; whole numbers beside others take theirs."""
    if a.dtype == b.dtype or a.dtype is None or b.dtype is None:
        return a, b
    floats = [dtype for dtype in (a.dtype, b.dtype) if dtype.kind == "f"]
    wide = max(floats, key=lambda dtype: dtype.itemsize) if floats else np.promote_types(a.dtype, b.dtype)
    return g.cast(a, wide), g.cast(b, wide)


def _of_tensors(function: Binary) -> Callable[..., Value]:
    def operator(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
        if lhs.dtype == rhs.dtype == np.bool_:
            raise g.unsupported("of two truth values")
        return function(g, *_of_one_type(g, lhs, rhs))

    return operator


def _real(g: MXNetBuilder, x: Value) -> Value:
    return x if x.dtype is not None and x.dtype.kind == "f" else g.cast(x, np.float32)


def _true_divide(g: MXNetBuilder, a: Value, b: Value) -> Value:
    """Whole numbers divide as float32."""
    return g.Div(_real(g, a), _real(g, b))


_ARITHMETIC: Mapping[str, Binary] = {
    "add": onnx("Add"), "subtract": onnx("Sub"), "multiply": onnx("Mul"), "true_divide": _true_divide, "mod": mod,
    "power": power,
}  # fmt: skip

for _name, _function in _ARITHMETIC.items():
    mxnet_op(f"_npi_{_name}")(_of_tensors(_function))
for _name in ("add", "multiply", "mod", "power"):
    mxnet_op(f"_npi_{_name}_scalar")(of_number(_ARITHMETIC[_name]))
for _name in ("mod", "power", "subtract"):
    mxnet_op(f"_npi_r{_name}_scalar")(of_number(_ARITHMETIC[_name], reverse=True))
mxnet_op("_npi_subtract_scalar")(of_number(_ARITHMETIC["subtract"]))


@mxnet_op("_npi_true_divide_scalar")
def true_divide_scalar(g: MXNetBuilder, data: Value, *, scalar: float = 1.0, is_int: bool = True) -> Value:
    x = _real(g, data)
    return g.Div(x, number(x, scalar))


@mxnet_op("_npi_rtrue_divide_scalar")
def true_divide_reverse(g: MXNetBuilder, data: Value, *, scalar: float = 1.0, is_int: bool = True) -> Value:
    x = _real(g, data)
    return g.Div(g.constant(number(x, scalar)), x)


@mxnet_op("_npi_hypot")
def np_hypot(g: MXNetBuilder, x1: Value, x2: Value) -> Value:
    return hypot(g, x1, x2)


def _comparison(function: Binary) -> Callable[..., Value]:
    def operator(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
        return function(g, lhs, rhs)

    return operator


def _comparison_with_number(function: Binary) -> Callable[..., Value]:
    def operator(g: MXNetBuilder, data: Value, *, scalar: float = 1.0, is_int: bool = True) -> Value:
        return function(g, *with_number(g, data, scalar, is_int))

    return operator


for _name in ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"):
    _numpy = _name.replace("lesser", "less")
    mxnet_op(f"_npi_{_numpy}")(_comparison(COMPARISONS[_name]))
    mxnet_op(f"_npi_{_numpy}_scalar")(_comparison_with_number(COMPARISONS[_name]))


@mxnet_op("_npi_logical_not")
def logical_not(g: MXNetBuilder, x: Value) -> Value:
    return g.Not(truth(g, x))


@mxnet_op("_npi_isnan")
def is_nan(g: MXNetBuilder, x: Value) -> Value:
    return g.IsNaN(_real(g, x))


@mxnet_op("_npi_isinf")
def is_infinite(g: MXNetBuilder, x: Value) -> Value:
    return g.IsInf(_real(g, x))


@mxnet_op("_npi_isposinf")
def is_positive_infinite(g: MXNetBuilder, x: Value) -> Value:
    return g.IsInf(_real(g, x), detect_negative=0)


@mxnet_op("_npi_isneginf")
def is_negative_infinite(g: MXNetBuilder, x: Value) -> Value:
    return g.IsInf(_real(g, x), detect_positive=0)


@mxnet_op("_npi_isfinite")
def is_finite(g: MXNetBuilder, x: Value) -> Value:
    real = _real(g, x)
    return g.Not(g.Or(g.IsNaN(real), g.IsInf(real)))


@mxnet_op("_npi_around")
def around(g: MXNetBuilder, x: Value, *, decimals: int = 0) -> Value:
    """Half to even."""
    if decimals == 0:
        return x if is_whole(x) else g.Round(x)
    require_real(g, x)
    factor = number(x, 10.0 ** abs(decimals))
    if decimals > 0:
        return g.Div(g.Round(g.Mul(x, factor)), factor)
    return g.Mul(g.Round(g.Div(x, factor)), factor)


@mxnet_op("_npi_where")
def where(g: MXNetBuilder, condition: Value, x: Value, y: Value) -> Value:
    return g.Where(truth(g, condition), x, y)


# -------------------------------------------------------------------------- reductions


def _axes(g: MXNetBuilder, x: Value, axis: Ints | None) -> list[int]:
    """All without axis, none where it is empty."""
    return list(range(x.rank)) if axis is None else [g.axis(x, item) for item in axis]


def _register(function: Reduction, *names: str) -> None:
    def operator(
        g: MXNetBuilder, a: Value, *, axis: Ints | None = None, dtype: np.dtype | None = None, keepdims: bool = False,
        initial: float | None = None,
    ) -> Value:  # fmt: skip
        if initial is not None:
            raise g.unsupported("initial, which MXNet itself has not")
        x = a if dtype is None else g.cast(a, dtype)
        axes = _axes(g, x, axis)
        return function(g, x, axes, keepdims) if axes else x

    mxnet_op(*names)(operator)


def _counted(op: str) -> Reduction:
    """Of truth values as int64."""

    def function(g: MXNetBuilder, x: Value, axes: Sequence[int], keep: bool) -> Value:
        return reduced(op)(g, g.cast(x, np.int64) if x.dtype == np.bool_ else x, axes, keep)

    return function


def _mean(g: MXNetBuilder, x: Value, axes: Sequence[int], keep: bool) -> Value:
    """Of whole numbers as float32."""
    return reduced("ReduceMean")(g, _real(g, x), axes, keep)


_register(_counted("ReduceSum"), "_np_sum")
_register(_counted("ReduceProd"), "_np_prod", "_np_product")
_register(reduced("ReduceMax"), "_np_max", "_np_amax")
_register(reduced("ReduceMin"), "_np_min", "_np_amin")
_register(_mean, "_npi_mean")


@mxnet_op("_npi_var", outputs=("var", "mean"))
def variance(
    g: MXNetBuilder, a: Value, *, axis: Ints | None = None, dtype: np.dtype | None = None, ddof: int = 0,
    keepdims: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """The variance and, as an output that nothing reads, the mean."""
    x = a if dtype is None else g.cast(a, dtype)
    require_real(g, x)
    axes = _axes(g, x, axis)
    mean = reduced("ReduceMean")(g, x, axes, True)
    off = g.Sub(x, mean)
    squares = reduced("ReduceSum")(g, g.Mul(off, off), axes, keepdims)
    return g.Div(squares, g.Sub(count(g, x, axes), number(x, ddof))), mean


@mxnet_op("_npi_std", outputs=("std", "mean"))
def deviation(
    g: MXNetBuilder, a: Value, *, axis: Ints | None = None, dtype: np.dtype | None = None, ddof: int = 0,
    keepdims: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    squares, mean = variance(g, a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)
    return g.Sqrt(squares), mean


@mxnet_op("_np_all")
def all_(g: MXNetBuilder, data: Value, *, axis: Ints | None = None, keepdims: bool = False) -> Value:
    return _any_or_all(g, "ReduceMin", data, axis, keepdims)


@mxnet_op("_np_any", "_np_sometrue")
def any_(g: MXNetBuilder, data: Value, *, axis: Ints | None = None, keepdims: bool = False) -> Value:
    return _any_or_all(g, "ReduceMax", data, axis, keepdims)


def _any_or_all(g: MXNetBuilder, op: str, data: Value, axis: Ints | None, keepdims: bool) -> Value:
    bits = g.cast(truth(g, data), np.int32)
    return truth(g, reduced(op)(g, bits, _axes(g, data, axis), keepdims))


@mxnet_op("_npi_argmax")
def argmax(g: MXNetBuilder, data: Value, *, axis: int | None = None, keepdims: bool = False) -> Value:
    return index_of(g, "ArgMax", data, axis, keepdims)


@mxnet_op("_npi_argmin")
def argmin(g: MXNetBuilder, data: Value, *, axis: int | None = None, keepdims: bool = False) -> Value:
    return index_of(g, "ArgMin", data, axis, keepdims)


# ------------------------------------------------------------------------------ shapes


@mxnet_op("_np_reshape")
def reshape(g: MXNetBuilder, a: Value, *, newshape: Ints, order: str = "C") -> Value:
    """As numpy.reshape."""
    if order != "C":
        raise g.unsupported(f"order {order}")
    return g.Reshape(a, np.array(newshape, np.int64), allowzero=int(0 in newshape))


_RESHAPE = {-2: 0, -4: -2, -5: -3, -6: -4}  # what the old Reshape calls the same


@mxnet_op("_npx_reshape", "_npi_reshape")
def npx_reshape(g: MXNetBuilder, a: Value, *, newshape: Ints, reverse: bool = False, order: str = "C") -> Value:
    """-2 copies a size, -4 all that follow, -5 multiplies two, -6 splits one, -1 is what is left."""
    if order != "C" or 0 in newshape or -3 in newshape:
        raise g.unsupported(f"to {newshape} in order {order}")
    return old_reshape(g, a, shape=tuple(_RESHAPE.get(code, code) for code in newshape), reverse=reverse)


@mxnet_op("_np_squeeze")
def squeeze(g: MXNetBuilder, a: Value, *, axis: Ints | None = None) -> Value:
    axes = squeezed_axes(g, a, axis)
    return g.Squeeze(a, axes) if axes else a


@mxnet_op("_np_transpose")
def transpose(g: MXNetBuilder, a: Value, *, axes: Ints | None = None) -> Value:
    return g.Transpose(a, perm=[g.axis(a, axis) for axis in axes or range(a.rank)[::-1]])


@mxnet_op("_np_moveaxis")
def move_axis(g: MXNetBuilder, a: Value, *, source: Ints, destination: Ints) -> Value:
    taken = dict(zip((g.axis(a, at) for at in destination), (g.axis(a, at) for at in source), strict=True))
    others = iter([axis for axis in range(a.rank) if axis not in taken.values()])
    return g.Transpose(a, perm=[taken[i] if i in taken else next(others) for i in range(a.rank)])


@mxnet_op("_np_roll")
def roll(g: MXNetBuilder, data: Value, *, shift: Ints | None = None, axis: Ints | None = None) -> Value:
    """As numpy.roll: the flattened tensor without axis."""
    if axis is None:
        flat = _rolled(g, g.Reshape(data, [-1]), 0, sum(shift or ()))
        return g.reshaped(flat, data.shape or (), dynamic=g.Shape(data))
    shifts = shift or (0,)
    shifts = shifts * len(axis) if len(shifts) == 1 else shifts
    return reduce(lambda x, step: _rolled(g, x, g.axis(x, step[0]), step[1]), zip(axis, shifts, strict=True), data)


def _rolled(g: MXNetBuilder, x: Value, axis: int, shift: int) -> Value:
    size = x.shape[axis] if x.shape else None
    if not isinstance(size, int):
        raise g.unsupported(f"along axis {axis} of {text(x.shape)}, whose size must be known")
    return g.Gather(x, np.roll(np.arange(size), shift), axis=axis)


@mxnet_op("_npi_flip")
def flip(g: MXNetBuilder, data: Value, *, axis: Ints) -> Value:
    axes = np.array([g.axis(data, item) for item in axis], np.int64)
    return g.Slice(data, np.full(len(axes), -1), np.full(len(axes), -(2**63)), axes, np.full(len(axes), -1))


@mxnet_op("_npi_concatenate", outputs=("out",))
def concatenate(g: MXNetBuilder, *data: Value, axis: int | None = 0) -> Value:
    """Flattened tensors without axis."""
    if axis is None:
        return g.Concat(*(g.Reshape(item, [-1]) for item in data), axis=0)
    return g.Concat(*data, axis=g.axis(data[0], axis))


@mxnet_op("_npi_hstack", outputs=("out",))
def hstack(g: MXNetBuilder, *data: Value, axis: int | None = None) -> Value:
    return g.Concat(*data, axis=1 if data[0].rank > 1 else 0)


@mxnet_op("_npi_vstack")
def vstack(g: MXNetBuilder, *data: Value) -> Value:
    return g.Concat(*(g.Unsqueeze(item, [0]) if item.rank == 1 else item for item in data), axis=0)


@mxnet_op("_npi_column_stack")
def column_stack(g: MXNetBuilder, *data: Value) -> Value:
    return g.Concat(*(g.Unsqueeze(item, [1]) if item.rank == 1 else item for item in data), axis=1)


@mxnet_op("_npi_hsplit")
def hsplit(
    g: MXNetBuilder, data: Value, *, indices: Ints = (), axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> tuple[Value, ...]:
    """Along the second axis, or the only one, whatever `axis` says."""
    return split_v2(g, data, indices=indices, axis=min(1, data.rank - 1), squeeze_axis=squeeze_axis, sections=sections)


@mxnet_op("_npi_broadcast_to")
def broadcast_to(g: MXNetBuilder, array: Value, *, shape: Ints) -> Value:
    if any(size < 1 for size in shape):
        raise g.unsupported(f"to {shape}")
    return expanded(g, array, list(shape))


@mxnet_op("_npi_tril")
def tril(g: MXNetBuilder, data: Value, *, k: int = 0) -> Value:
    if data.rank < 2:
        raise g.unsupported("of a vector")
    return g.Trilu(data, np.array(k, np.int64), upper=0)


@mxnet_op("_np_diag")
def diag(g: MXNetBuilder, data: Value, *, k: int = 0) -> Value:
    return made_diagonal(g, data, k) if data.rank == 1 else diagonal(g, data, k, 0, 1)


@mxnet_op("_np_diagonal")
def np_diagonal(g: MXNetBuilder, data: Value, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    return diagonal(g, data, offset, axis1, axis2)


@mxnet_op("_np_trace")
def trace(g: MXNetBuilder, data: Value, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    return g.ReduceSum(diagonal(g, data, offset, axis1, axis2), [-1], keepdims=0)


# ---------------------------------------------------------------------------- products


@mxnet_op("_np_dot")
def dot(g: MXNetBuilder, a: Value, b: Value) -> Value:
    """As numpy.dot: over the last axis of a and the last but one of b."""
    if a.rank == 0 or b.rank == 0:
        return g.Mul(a, b)
    if b.rank <= 2:
        return g.MatMul(a, b)
    return contracted(g, a, g.Transpose(b, perm=[b.rank - 2, *range(b.rank - 2), b.rank - 1]))


@mxnet_op("_npi_matmul", outputs=("out",))
def matmul(g: MXNetBuilder, a: Value, b: Value) -> Value:
    return g.MatMul(a, b)


@mxnet_op("_npi_einsum")
def np_einsum(g: MXNetBuilder, *data: Value, subscripts: str, optimize: int = 0) -> Value:
    return einsum(g, data, subscripts)


@mxnet_op("_npi_tensordot")
def tensordot(g: MXNetBuilder, a: Value, b: Value, *, a_axes_summed: Ints, b_axes_summed: Ints) -> Value:
    """The sum over pairs of axes."""
    pairs = list(zip(a_axes_summed, b_axes_summed, strict=True))
    left = [chr(ord("a") + i) for i in range(a.rank)]
    right = [chr(ord("A") + i) for i in range(b.rank)]
    for one, other in pairs:
        right[g.axis(b, other)] = left[g.axis(a, one)]
    kept = [name for name in left if name not in right] + [name for name in right if name not in left]
    return einsum(g, [a, b], f"{''.join(left)},{''.join(right)}->{''.join(kept)}")


@mxnet_op("_npi_tensordot_int_axes")
def tensordot_last(g: MXNetBuilder, a: Value, b: Value, *, axes: int) -> Value:
    """Over the last axes of a and the first ones of b."""
    if not 0 <= axes <= min(a.rank, b.rank):
        raise ConversionError(f"{axes} axes of {text(a.shape)} and {text(b.shape)}", g.origin)
    return tensordot(g, a, b, a_axes_summed=tuple(range(a.rank - axes, a.rank)), b_axes_summed=tuple(range(axes)))


# ------------------------------------------------------------------------- more of both


@mxnet_op("_npi_arctan2")
def arctan2(g: MXNetBuilder, x1: Value, x2: Value) -> Value:
    """The angle of (x2, x1) in (-π, π]; the sign of a zero does not count."""
    require_real(g, x1, x2)
    zero = number(x1, 0)
    up, across = g.Abs(x1), g.Abs(x2)
    steep = g.Greater(up, across)
    small, large = g.Where(steep, across, up), g.Where(steep, up, across)
    angle = g.Atan(g.Div(small, g.Where(g.Equal(large, zero), number(x1, 1), large)))
    angle = g.Where(steep, g.Sub(number(x1, np.pi / 2), angle), angle)
    angle = g.Where(g.Less(x2, zero), g.Sub(number(x1, np.pi), angle), angle)
    return g.Where(g.Less(x1, zero), g.Neg(angle), angle)


@mxnet_op("_npi_bitwise_and")
def bitwise_and(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
    return g.And(lhs, rhs) if lhs.dtype == np.bool_ else g.BitwiseAnd(lhs, rhs)


@mxnet_op("_npi_bitwise_or")
def bitwise_or(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
    return g.Or(lhs, rhs) if lhs.dtype == np.bool_ else g.BitwiseOr(lhs, rhs)


@mxnet_op("_npi_bitwise_xor")
def bitwise_xor(g: MXNetBuilder, lhs: Value, rhs: Value) -> Value:
    return g.Xor(lhs, rhs) if lhs.dtype == np.bool_ else g.BitwiseXor(lhs, rhs)


@mxnet_op("_npi_bitwise_not")
def bitwise_not(g: MXNetBuilder, x: Value) -> Value:
    return g.Not(x) if x.dtype == np.bool_ else g.BitwiseNot(x)


@mxnet_op("_npi_polyval")
def polyval(g: MXNetBuilder, p: Value, x: Value) -> Value:
    """The polynomial with the coefficients p, the highest power first."""
    degree = p.shape[0] if p.shape else None
    if not isinstance(degree, int):
        raise g.unsupported("with coefficients of unknown number")
    coefficients = [g.Gather(p, np.array(i, np.int64), axis=0) for i in range(g.affordable(degree)[0])]
    return reduce(lambda y, c: g.Add(g.Mul(y, x), c), coefficients, g.Mul(x, number(x, 0)))


@mxnet_op("_npi_nan_to_num")
def nan_to_num(
    g: MXNetBuilder, data: Value, *, copy: bool = True, nan: float = 0.0, posinf: float | None = None,
    neginf: float | None = None,
) -> Value:  # fmt: skip
    """Infinities become the largest numbers unless others are given."""
    if is_whole(data) or data.dtype is None:
        return data
    limits = np.finfo(data.dtype)
    above = number(data, float(limits.max) if posinf is None else posinf)
    below = number(data, float(limits.min) if neginf is None else neginf)
    x = g.Where(g.IsNaN(data), number(data, nan), data)
    x = g.Where(g.IsInf(data, detect_negative=0), above, x)
    return g.Where(g.IsInf(data, detect_positive=0), below, x)


@mxnet_op("_npi_diff")
def diff(g: MXNetBuilder, a: Value, *, n: int = 1, axis: int = -1) -> Value:
    """The n-th differences of neighbours."""
    at = g.axis(a, axis)
    for _ in range(g.affordable(n)[0]):
        later = g.Slice(a, np.array([1]), np.array([2**63 - 1]), np.array([at]))
        a = g.Sub(later, g.Slice(a, np.array([0]), np.array([-1]), np.array([at])))
    return a


@mxnet_op("_npi_where_lscalar")
def number_or(g: MXNetBuilder, condition: Value, x: Value, *, scalar: float = 0.0) -> Value:
    return g.Where(truth(g, condition), number(x, scalar), x)


@mxnet_op("_npi_where_rscalar")
def or_number(g: MXNetBuilder, condition: Value, y: Value, *, scalar: float = 0.0) -> Value:
    return g.Where(truth(g, condition), y, number(y, scalar))


@mxnet_op("_np_atleast_1d")
def at_least_1d(g: MXNetBuilder, *arys: Value) -> tuple[Value, ...]:
    return tuple(g.Unsqueeze(x, [0]) if x.rank == 0 else x for x in arys)


@mxnet_op("_np_atleast_2d")
def at_least_2d(g: MXNetBuilder, *arys: Value) -> tuple[Value, ...]:
    return tuple(g.Unsqueeze(x, list(range(2 - x.rank))) if x.rank < 2 else x for x in arys)


# ----------------------------------------------------------------- layers by other names

_LAYERS = {
    "_npx_activation": "Activation", "_npx_batch_norm": "BatchNorm", "_npx_convolution": "Convolution",
    "_npx_deconvolution": "Deconvolution", "_npx_dropout": "Dropout", "_npx_fully_connected": "FullyConnected",
    "_npx_layer_norm": "LayerNorm", "_npx_leaky_relu": "LeakyReLU", "_npx_log_softmax": "log_softmax",
    "_npx_pooling": "Pooling", "_npx_rnn": "RNN", "_npx_softmax": "softmax",
}  # fmt: skip

for _name, _layer in _LAYERS.items():
    _operator = registry.find("mxnet", _layer)
    assert _operator is not None
    mxnet_op(_name, **_operator.options)(_operator.function)
