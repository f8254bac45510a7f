"""TensorFlow's functions in graphs of tf.keras (TFOpLambda, SlicingOpLambda), by TensorFlow's names.

Most are operations of keras.ops under another name: they share the functions. Parameters are called as TensorFlow calls
them (https://www.tensorflow.org/api_docs/python/tf), because a file gives all but the first by name. The `name` of an
operation in a graph says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras import ops_nn, ops_reduction, ops_shape
from netglot.frontends.keras.activations import ACTIVATIONS
from netglot.frontends.keras.attention import swap_last
from netglot.frontends.keras.builder import KerasBuilder, tf_function
from netglot.frontends.keras.operands import INT, axes_of, axis_of, cast, dtype_named, operands, sizes, tensor
from netglot.frontends.keras.ops import BINARY, UNARY, Binary, same, where
from netglot.frontends.keras.pooling import pool
from netglot.frontends.keras.resize import resize
from netglot.frontends.keras.timesteps import known_sizes
from netglot.ir.graph import Value

Axis = int | Sequence[int] | None


def of_tf(g: KerasBuilder, dtype: Any) -> np.dtype:
    """A type as files of tf.keras say it: "float32", or "<dtype: 'float32'>"."""
    found = re.fullmatch(r"<dtype: '(\w+)'>", str(dtype))
    return dtype_named(g, found[1] if found else dtype)


# ------------------------------------------------------------------ elementwise

_UNARY = {
    "Absolute": "math.abs abs", "Negative": "math.negative negative", "Exp": "math.exp exp", "Log": "math.log",
    "Log1p": "math.log1p", "Expm1": "math.expm1", "Sqrt": "math.sqrt sqrt", "Rsqrt": "math.rsqrt",
    "Square": "math.square square", "Sin": "math.sin sin", "Cos": "math.cos cos", "Tan": "math.tan tan",
    "Sinh": "math.sinh sinh", "Cosh": "math.cosh cosh", "Tanh": "math.tanh tanh nn.tanh", "Arcsin": "math.asin asin",
    "Arccos": "math.acos acos", "Arctan": "math.atan atan", "Arcsinh": "math.asinh", "Arccosh": "math.acosh",
    "Arctanh": "math.atanh", "Erf": "math.erf", "Erfc": "math.erfc", "Sign": "math.sign sign", "Isnan": "math.is_nan",
    "Isinf": "math.is_inf", "Isfinite": "math.is_finite", "LogicalNot": "math.logical_not logical_not",
    "Reciprocal": "math.reciprocal",
}  # fmt: skip
_BINARY = {
    "Add": "math.add add __operators__.add", "Subtract": "math.subtract subtract",
    "Multiply": "math.multiply multiply", "Divide": "math.truediv truediv math.divide divide compat.v1.div RealDiv",
    "Power": "math.pow pow", "Maximum": "math.maximum maximum", "Minimum": "math.minimum minimum",
    "Equal": "math.equal equal __operators__.eq", "NotEqual": "math.not_equal not_equal __operators__.ne",
    "Greater": "math.greater greater", "GreaterEqual": "math.greater_equal greater_equal",
    "Less": "math.less less", "LessEqual": "math.less_equal less_equal",
    "LogicalAnd": "math.logical_and logical_and", "LogicalOr": "math.logical_or logical_or",
    "LogicalXor": "math.logical_xor",
    "FloorDivide": "math.floordiv floordiv compat.v1.floor_div", "Mod": "math.floormod math.mod",
    "DivideNoNan": "math.divide_no_nan",
}  # fmt: skip


def renamed(function: Binary) -> Callable[..., Value]:
    """An operation of two tensors with TensorFlow's names of them."""

    def of_xy(g: KerasBuilder, x: Any, y: Any) -> Value:
        return function(g, x, y)

    return of_xy


for _op, _names in _UNARY.items():
    tf_function(*_names.split())(UNARY[_op])
for _op, _names in _BINARY.items():
    tf_function(*_names.split())(renamed(BINARY[_op]))
tf_function("identity", "stop_gradient", "compat.v1.identity")(same)


@tf_function("math.ceil")
def ceil(g: KerasBuilder, x: Any) -> Value:
    return UNARY["Ceil"](g, x)


@tf_function("math.floor", "floor")
def floor(g: KerasBuilder, x: Any) -> Value:
    return UNARY["Floor"](g, x)


@tf_function("round", "math.round")
def round_to_even(g: KerasBuilder, x: Any) -> Value:
    return g.Round(tensor(g, x))


@tf_function("math.atan2", "atan2")
def atan2(g: KerasBuilder, y: Any, x: Any) -> Value:
    return BINARY["Arctan2"](g, y, x)


@tf_function("math.squared_difference")
def squared_difference(g: KerasBuilder, x: Any, y: Any) -> Value:
    return UNARY["Square"](g, BINARY["Subtract"](g, x, y))


@tf_function("math.add_n", "add_n")
def add_n(g: KerasBuilder, inputs: Any) -> Value:
    return g.Sum(*operands(g, *(inputs if isinstance(inputs, (list, tuple)) else [inputs])))


@tf_function("clip_by_value")
def clip_by_value(g: KerasBuilder, t: Any, clip_value_min: Any = None, clip_value_max: Any = None) -> Value:
    x, low, high = operands(g, t, clip_value_min, clip_value_max)
    return g.Min(g.Max(x, low), high)


@tf_function("cast", "compat.v1.cast", "math.cast")
def cast_to(g: KerasBuilder, x: Any, *, dtype: Any) -> Value:
    return cast(g, tensor(g, x), of_tf(g, dtype))


@tf_function("compat.v1.to_float")
def to_float(g: KerasBuilder, x: Any) -> Value:
    return cast(g, tensor(g, x), np.float32)


@tf_function("convert_to_tensor", "constant")
def convert_to_tensor(g: KerasBuilder, value: Any, *, dtype: Any = None, dtype_hint: Any = None) -> Value:
    return tensor(
        g, np.asarray(value) if isinstance(value, list) else value, None if dtype is None else of_tf(g, dtype)
    )


@tf_function("where", "compat.v1.where", "compat.v1.where_v2")
def where_of(g: KerasBuilder, condition: Any, x: Any = None, y: Any = None) -> Value:
    return where(g, condition, x, y)


# ------------------------------------------------------------------ activations


@tf_function("nn.relu")
def relu(g: KerasBuilder, features: Any) -> Value:
    return g.Relu(tensor(g, features))


@tf_function("nn.relu6")
def relu6(g: KerasBuilder, features: Any) -> Value:
    return ACTIVATIONS["relu6"](g, features)


@tf_function("nn.elu")
def elu(g: KerasBuilder, features: Any) -> Value:
    return g.Elu(features)


@tf_function("nn.selu")
def selu(g: KerasBuilder, features: Any) -> Value:
    return ACTIVATIONS["selu"](g, features)


@tf_function("nn.gelu")
def gelu(g: KerasBuilder, features: Any, *, approximate: bool = False) -> Value:
    return ACTIVATIONS["gelu"](g, features, approximate=approximate)


@tf_function("nn.silu", "nn.swish")
def silu(g: KerasBuilder, features: Any, *, beta: float = 1.0) -> Value:
    return g.Mul(features, g.Sigmoid(features if beta == 1 else g.Mul(features, float(beta))))


@tf_function("nn.leaky_relu")
def leaky_relu(g: KerasBuilder, features: Any, *, alpha: float = 0.2) -> Value:
    return g.LeakyRelu(features, alpha=alpha)


@tf_function("nn.softplus", "math.softplus")
def softplus(g: KerasBuilder, features: Any) -> Value:
    return g.Softplus(features)


@tf_function("nn.softsign", "math.softsign")
def softsign(g: KerasBuilder, features: Any) -> Value:
    return g.Softsign(features)


@tf_function("math.sigmoid", "nn.sigmoid", "sigmoid")
def sigmoid(g: KerasBuilder, x: Any) -> Value:
    return g.Sigmoid(x)


@tf_function("math.log_sigmoid")
def log_sigmoid(g: KerasBuilder, x: Any) -> Value:
    return ACTIVATIONS["log_sigmoid"](g, x)


@tf_function("nn.softmax", "math.softmax", "compat.v1.nn.softmax")
def softmax(g: KerasBuilder, logits: Any, *, axis: int | None = None, dim: int | None = None) -> Value:
    return g.Softmax(logits, axis=-1 if axis is None and dim is None else dim if axis is None else axis)


@tf_function("nn.log_softmax", "math.log_softmax")
def log_softmax(g: KerasBuilder, logits: Any, *, axis: int | None = None) -> Value:
    return g.LogSoftmax(logits, axis=-1 if axis is None else axis)


def activation(name: str) -> Callable[..., Value]:
    def function(g: KerasBuilder, x: Value) -> Value:
        return ACTIVATIONS[name](g, x)

    return function


for _name in ("elu", "exponential", "gelu", "hard_sigmoid", "linear", "selu", "sigmoid", "softplus", "softsign",
              "swish", "tanh", "mish"):  # fmt: skip
    tf_function(f"keras.activations.{_name}")(activation(_name))


@tf_function("keras.activations.relu", "keras.backend.relu")
def keras_relu(
    g: KerasBuilder, x: Value, *, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    return ACTIVATIONS["relu"](g, x, negative_slope=alpha, max_value=max_value, threshold=threshold)


@tf_function("keras.activations.softmax")
def keras_softmax(g: KerasBuilder, x: Value, *, axis: int = -1) -> Value:
    return g.Softmax(x, axis=axis)


# ------------------------------------------------------------------- reductions

Reduction = Callable[..., Value]


def reduction(function: Reduction) -> Reduction:
    """A reduction by TensorFlow's names of its arguments, those of TensorFlow 1 too."""

    def of_tensor(
        g: KerasBuilder, input_tensor: Any, *, axis: Axis = None, keepdims: bool | None = False,
        keep_dims: bool | None = None, reduction_indices: Axis = None,
    ) -> Value:  # fmt: skip
        over = axis if reduction_indices is None else reduction_indices
        return function(g, input_tensor, axis=over, keepdims=bool(keepdims or keep_dims))

    return of_tensor


def plain(op: str) -> Reduction:
    """A reduction that keeps the element type, as TensorFlow's do."""

    def of_type(g: KerasBuilder, x: Any, *, axis: Axis, keepdims: bool) -> Value:
        return ops_reduction.through(g, op, tensor(g, x), axis, keepdims)

    return of_type


def mean_of(g: KerasBuilder, x: Any, *, axis: Axis, keepdims: bool) -> Value:
    x = tensor(g, x)
    if x.dtype is not None and x.dtype.kind in "iu":
        raise g.unsupported("the mean of integers: TensorFlow cuts it off")
    return ops_reduction.reduced(g, "ReduceMean", x, axis, keepdims)


_REDUCTIONS: dict[str, Reduction] = {
    "sum": plain("ReduceSum"),
    "max": plain("ReduceMax"),
    "min": plain("ReduceMin"),
    "prod": plain("ReduceProd"),
    "mean": mean_of,
    "any": ops_reduction.any_of,
    "all": ops_reduction.all_of,
    "std": ops_reduction.std,
    "variance": ops_reduction.var,
    "logsumexp": ops_reduction.logsumexp,
}
for _name, _reduction in _REDUCTIONS.items():  # fmt: skip
    tf_function(f"math.reduce_{_name}", f"reduce_{_name}", f"compat.v1.reduce_{_name}",
                f"compat.v1.math.reduce_{_name}")(reduction(_reduction))  # fmt: skip


@tf_function("math.argmax", "argmax", "compat.v1.argmax")
def argmax(
    g: KerasBuilder, input: Any, *, axis: int | None = None, output_type: Any = "int64", dimension: Any = None
) -> Value:
    return place(g, "ArgMax", input, dimension if axis is None else axis, output_type)


@tf_function("math.argmin", "argmin", "compat.v1.argmin")
def argmin(
    g: KerasBuilder, input: Any, *, axis: int | None = None, output_type: Any = "int64", dimension: Any = None
) -> Value:
    return place(g, "ArgMin", input, dimension if axis is None else axis, output_type)


def place(g: KerasBuilder, op: str, x: Value, axis: int | None, output_type: Any) -> Value:
    at = g.op(op, [x], axis=axis_of(g, 0 if axis is None else axis, x.rank), keepdims=0)
    return cast(g, at, of_tf(g, output_type))


@tf_function("math.cumsum", "cumsum")
def cumsum(g: KerasBuilder, x: Any, *, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Value:
    x = tensor(g, x)
    return g.CumSum(x, g.constant(axis_of(g, axis, x.rank), np.int64), exclusive=int(exclusive), reverse=int(reverse))


@tf_function("math.top_k", "nn.top_k")
def top_k(g: KerasBuilder, input: Any, *, k: int = 1, sorted: bool = True, index_type: Any = "int32") -> Any:
    values, at = ops_reduction.top_k(g, input, k=k, sorted=sorted)
    return values, cast(g, at, of_tf(g, index_type))


@tf_function("math.l2_normalize", "nn.l2_normalize", "linalg.l2_normalize", "keras.backend.l2_normalize")
def l2_normalize(g: KerasBuilder, x: Any, *, axis: Axis = None, epsilon: float = 1e-12, dim: Axis = None) -> Value:
    """x / sqrt(max(sum of squares, epsilon))."""
    axes = axes_of(g, dim if axis is None else axis, x.rank)
    return g.Div(x, g.Sqrt(g.Max(g.ReduceSumSquare(x, axes), float(epsilon))))


@tf_function("norm", "linalg.norm", "compat.v1.norm", "compat.v1.linalg.norm")
def norm(
    g: KerasBuilder, tensor: Any, *, ord: Any = "euclidean", axis: Axis = None, keepdims: bool | None = None,
    keep_dims: bool | None = None,
) -> Value:  # fmt: skip
    """Of all elements together where there is no axis."""
    order, keepdims = None if ord in ("euclidean", "fro") else ord, bool(keepdims or keep_dims)
    if axis is None and order is None:
        return g.ReduceL2(tensor, axes_of(g, None, tensor.rank), keepdims=int(keepdims))
    return ops_reduction.norm(g, tensor, ord=order, axis=axis, keepdims=keepdims)


@tf_function("nn.moments", "compat.v1.nn.moments")
def moments(
    g: KerasBuilder, x: Any, *, axes: Axis, shift: Any = None, keepdims: bool = False, keep_dims: bool | None = None
) -> Any:
    return ops_reduction.moments(g, x, axes=axes, keepdims=bool(keepdims or keep_dims))


# ------------------------------------------------------------------------ shape


@tf_function("shape", "compat.v1.shape")
def shape_of(g: KerasBuilder, input: Any, *, out_type: Any = "int32", optimize: bool = True) -> Value:
    return cast(g, g.Shape(tensor(g, input)), of_tf(g, out_type))


@tf_function("size", "compat.v1.size")
def size_of(g: KerasBuilder, input: Any, *, out_type: Any = "int32") -> Value:
    return cast(g, g.Size(tensor(g, input)), of_tf(g, out_type))


@tf_function("rank", "compat.v1.rank")
def rank_of(g: KerasBuilder, input: Any) -> Value:
    return g.constant(input.rank, np.int32)


@tf_function("reshape", "compat.v1.reshape")
def reshape(g: KerasBuilder, tensor: Any, shape: Any = None) -> Value:
    return ops_shape.reshape(g, tensor, newshape=shape)


@tf_function("transpose", "compat.v1.transpose")
def transpose(g: KerasBuilder, a: Any, *, perm: Sequence[int] | None = None, conjugate: bool = False) -> Value:
    return ops_shape.transpose(g, a, axes=perm)


@tf_function("linalg.matrix_transpose")
def matrix_transpose(g: KerasBuilder, a: Any, *, conjugate: bool = False) -> Value:
    return swap_last(g, a)


@tf_function("expand_dims", "compat.v1.expand_dims")
def expand_dims(g: KerasBuilder, input: Any, *, axis: Any = None, dim: Any = None) -> Value:
    return ops_shape.expand_dims(g, input, axis=dim if axis is None else axis)


@tf_function("squeeze", "compat.v1.squeeze")
def squeeze(g: KerasBuilder, input: Any, *, axis: Axis = None, squeeze_dims: Axis = None) -> Value:
    over = squeeze_dims if axis is None else axis
    return ops_shape.squeeze(g, input, axis=None if over == [] else over)


@tf_function("broadcast_to")
def broadcast_to(g: KerasBuilder, input: Any, shape: Any) -> Value:
    return g.Expand(tensor(g, input), sizes(g, shape))


@tf_function("fill", "compat.v1.fill")
def fill(g: KerasBuilder, dims: Any, value: Any) -> Value:
    return g.Expand(tensor(g, value), sizes(g, dims))


@tf_function("zeros_like", "compat.v1.zeros_like")
def zeros_like(g: KerasBuilder, input: Any, *, dtype: Any = None, optimize: bool = True) -> Value:
    return ops_shape.filled(g, input, 0, None if dtype is None else of_tf(g, dtype).name)


@tf_function("ones_like", "compat.v1.ones_like")
def ones_like(g: KerasBuilder, input: Any, *, dtype: Any = None, optimize: bool = True) -> Value:
    return ops_shape.filled(g, input, 1, None if dtype is None else of_tf(g, dtype).name)


@tf_function("zeros")
def zeros(g: KerasBuilder, shape: Any, *, dtype: Any = "float32") -> Value:
    return g.Expand(g.constant(0, of_tf(g, dtype)), sizes(g, shape))


@tf_function("ones")
def ones(g: KerasBuilder, shape: Any, *, dtype: Any = "float32") -> Value:
    return g.Expand(g.constant(1, of_tf(g, dtype)), sizes(g, shape))


@tf_function("range")
def range_of(g: KerasBuilder, start: Any, limit: Any = None, delta: Any = 1, *, dtype: Any = None) -> Value:
    return ops_shape.arange(g, start, limit, delta, dtype=None if dtype is None else of_tf(g, dtype).name)


@tf_function("concat", "compat.v1.concat")
def concat(g: KerasBuilder, values: Any, *, axis: Any) -> Value:
    return ops_shape.joined(g, values if isinstance(values, (list, tuple)) else [values], axis)


@tf_function("stack", "compat.v1.stack")
def stack(g: KerasBuilder, values: Any, *, axis: int = 0) -> Value:
    return ops_shape.stack(g, values if isinstance(values, (list, tuple)) else [values], axis=axis)


@tf_function("unstack")
def unstack(g: KerasBuilder, value: Any, *, num: int | None = None, axis: int = 0) -> list[Value]:
    return ops_shape.unstack(g, value, num=num, axis=axis)


@tf_function("split", "compat.v1.split")
def split(
    g: KerasBuilder, value: Any, *, num_or_size_splits: Any, axis: int = 0, num: int | None = None
) -> list[Value]:
    """Into so many parts, or into parts of given sizes of which one may be -1."""
    if isinstance(num_or_size_splits, int):
        return ops_shape.cut(g, value, num_or_size_splits, axis)
    at, lengths = axis_of(g, axis, value.rank), [int(n) for n in num_or_size_splits]
    if lengths.count(-1) == 1:
        whole = value.shape[at] if value.shape is not None else None
        if not isinstance(whole, int):
            raise g.unsupported("the rest of an axis of unknown size")
        lengths[lengths.index(-1)] = whole - sum(lengths) - 1
    return ops_shape.parts(g, value, lengths, at)


@tf_function("tile")
def tile(g: KerasBuilder, input: Any, multiples: Any) -> Value:
    return g.Tile(tensor(g, input), sizes(g, multiples))


@tf_function("repeat")
def repeat(g: KerasBuilder, input: Any, *, repeats: Any, axis: int | None = None) -> Value:
    return ops_shape.repeat(g, input, repeats=repeats, axis=axis)


@tf_function("reverse")
def reverse(g: KerasBuilder, tensor: Any, *, axis: Axis) -> Value:
    return ops_shape.flip(g, tensor, axis=axis)


@tf_function("roll")
def roll(g: KerasBuilder, input: Any, *, shift: Any, axis: Axis) -> Value:
    return ops_shape.roll(g, input, shift=shift, axis=axis)


@tf_function("pad", "compat.v1.pad")
def pad(g: KerasBuilder, tensor: Any, *, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Value:
    return ops_shape.pad(g, tensor, constant_values, pad_width=paddings, mode=mode.lower())


# ----------------------------------------------------------------------- picked


@tf_function("__operators__.getitem")
def getitem(g: KerasBuilder, tensor: Any, *, slice_spec: Any, var: Any = None) -> Value:
    """`slice_spec` in lists: of several axes; an ellipsis is a word."""
    spec = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    return ops_shape.item(g, tensor, [Ellipsis if isinstance(one, str) and one == "Ellipsis" else one for one in spec])


@tf_function("slice")
def slice_of(g: KerasBuilder, input_: Any, begin: Any, size: Any) -> Value:
    return ops_shape.slice_of(g, input_, begin, shape=size)


@tf_function("strided_slice")
def strided_slice(
    g: KerasBuilder, input_: Any, *, begin: Sequence[int], end: Sequence[int], strides: Sequence[int] | None = None
) -> Value:
    """Without masks: the file has no others."""
    steps = strides or [1] * len(begin)
    return ops_shape.item(g, input_, [slice(*part) for part in zip(begin, end, steps, strict=True)])


@tf_function("gather", "compat.v1.gather")
def gather(
    g: KerasBuilder, params: Any, indices: Any, *, validate_indices: Any = None, axis: int | None = None,
    batch_dims: int = 0,
) -> Value:  # fmt: skip
    x, at = tensor(g, array(params)), ops_shape.picked(g, indices)
    if batch_dims:
        if batch_dims not in (1, at.rank - 1) or axis not in (None, batch_dims):
            raise g.unsupported(f"batch_dims={batch_dims} and axis={axis}")
        return g.GatherND(x, g.Unsqueeze(at, [-1]), batch_dims=batch_dims)
    return g.Gather(x, at, axis=axis_of(g, axis or 0, x.rank))


def array(item: Any) -> Any:
    """A constant that the file writes out in lists."""
    return np.asarray(item, np.float32 if _has_float(item) else np.int32) if isinstance(item, (list, tuple)) else item


def _has_float(item: Any) -> bool:
    return any(map(_has_float, item)) if isinstance(item, (list, tuple)) else isinstance(item, float)


@tf_function("gather_nd", "compat.v1.gather_nd")
def gather_nd(
    g: KerasBuilder, params: Any, indices: Any, *, batch_dims: int = 0, bad_indices_policy: str = ""
) -> Value:
    if bad_indices_policy not in ("", "DEFAULT"):
        raise g.unsupported(f"bad_indices_policy={bad_indices_policy!r}")
    return g.GatherND(tensor(g, array(params)), ops_shape.picked(g, indices), batch_dims=batch_dims)


@tf_function("one_hot")
def one_hot(
    g: KerasBuilder, indices: Any, *, depth: int, on_value: Any = None, off_value: Any = None, axis: int | None = None,
    dtype: Any = None,
) -> Value:  # fmt: skip
    wanted = np.dtype(np.float32) if dtype is None else of_tf(g, dtype)
    hot = ops_shape.hot(g, indices, depth, -1 if axis is None else axis, np.dtype(bool))
    on, off = (tensor(g, default if one is None else one, wanted) for one, default in ((on_value, 1), (off_value, 0)))
    return g.Where(hot, on, off)


@tf_function("boolean_mask", "einsum")
def refused(g: KerasBuilder, *inputs: Any) -> Value:
    """tf.keras saves no more of a call of tf.einsum than its equation."""
    raise g.unsupported("what the file says of this function is not enough to know the result")


# --------------------------------------------------------------------- products


@tf_function("linalg.matmul", "matmul")
def matmul(
    g: KerasBuilder, a: Any, b: Any, *, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False,
) -> Value:  # fmt: skip
    x, y = operands(g, array(a), array(b))
    x = swap_last(g, x) if transpose_a or adjoint_a else x
    return g.MatMul(x, swap_last(g, y) if transpose_b or adjoint_b else y)


@tf_function("tensordot")
def tensordot(g: KerasBuilder, a: Any, b: Any, *, axes: Any) -> Value:
    return ops_nn.tensordot(g, array(a), array(b), axes=axes)


@tf_function("nn.bias_add", "compat.v1.nn.bias_add")
def bias_add(g: KerasBuilder, value: Any, bias: Any, *, data_format: str | None = None) -> Value:
    axis = 1 if data_format in ("NCHW", "NCW", "channels_first") else value.rank - 1
    return g.Add(value, ops_nn.along(g, array(bias), value, axis))


@tf_function("nn.depth_to_space", "compat.v1.depth_to_space")
def depth_to_space(g: KerasBuilder, input: Any, *, block_size: int, data_format: str = "NHWC") -> Value:
    return ops_nn.depth_to_space(g, input, block_size=block_size, data_format=layout(g, data_format))


@tf_function("nn.space_to_depth", "compat.v1.space_to_depth")
def space_to_depth(g: KerasBuilder, input: Any, *, block_size: int, data_format: str = "NHWC") -> Value:
    return ops_nn.space_to_depth(g, input, block_size=block_size, data_format=layout(g, data_format))


def layout(g: KerasBuilder, data_format: str | None) -> str:
    """Keras' name of TensorFlow's data format."""
    if data_format in (None, "NHWC", "NWC", "NDHWC"):
        return "channels_last"
    if data_format not in ("NCHW", "NCW", "NCDHW"):
        raise g.unsupported(f"data_format={data_format!r}")
    return "channels_first"


@tf_function("nn.max_pool2d", "nn.max_pool", "compat.v1.nn.max_pool2d")
def max_pool(
    g: KerasBuilder, input: Any, *, ksize: Any, strides: Any, padding: Any, data_format: str | None = None
) -> Value:
    return pooled(g, "MaxPool", input, ksize, strides, padding, data_format)


@tf_function("nn.avg_pool2d", "nn.avg_pool", "compat.v1.nn.avg_pool2d")
def average_pool(
    g: KerasBuilder, input: Any, *, ksize: Any, strides: Any, padding: Any, data_format: str | None = None
) -> Value:
    return pooled(g, "AveragePool", input, ksize, strides, padding, data_format)


def pooled(
    g: KerasBuilder, op: str, x: Value, ksize: Any, strides: Any, padding: Any, data_format: str | None
) -> Value:
    first = layout(g, data_format)
    sizes_of = [windowed(g, one, x.rank, first) for one in (ksize, strides)]
    return pool(g, op, x, sizes_of[0], sizes_of[1], str(padding), first)


def windowed(g: KerasBuilder, item: Any, rank: int, data_format: str) -> list[int]:
    """A window's sizes along the spatial axes, of one number, of one for each of them, or of one for every axis."""
    given = [1] if item is None else [int(n) for n in np.ravel(item)]
    if len(given) == rank:
        given = given[2:] if data_format == "channels_first" else given[1:-1]
    if len(given) not in (1, rank - 2):
        raise ConversionError(f"{g.type}: {item} for {rank - 2} axes", g.origin)
    return given * (rank - 2) if len(given) == 1 else given


@tf_function("nn.conv2d", "compat.v1.nn.conv2d")
def conv2d(
    g: KerasBuilder, input: Any, filters: Any = None, filter: Any = None, *, strides: Any = None, padding: Any = None,
    use_cudnn_on_gpu: bool = True, data_format: str | None = "NHWC", dilations: Any = 1,
) -> Value:  # fmt: skip
    first = layout(g, data_format)
    if not isinstance(padding, str):
        raise g.unsupported("paddings written out")
    return ops_nn.conv(
        g, input, array(filter if filters is None else filters), strides=windowed(g, strides, input.rank, first),
        padding=padding, data_format=first, dilation_rate=windowed(g, dilations, input.rank, first),
    )  # fmt: skip


# ----------------------------------------------------------------------- images


@tf_function("image.resize", "image.resize_with_method")
def resize_images(
    g: KerasBuilder, images: Any, *, size: Any, method: str = "bilinear", preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Value:  # fmt: skip
    """To floats, but for nearest neighbours."""
    if preserve_aspect_ratio:
        raise g.unsupported("preserve_aspect_ratio")
    x = tensor(g, images)
    batch = g.Unsqueeze(x, [0]) if x.rank == 3 else x
    batch = batch if method == "nearest" else cast(g, batch, np.float32)
    wanted = sizes(g, size)
    wanted = g.ints(wanted, "the size of the image") if isinstance(wanted, Value) else wanted
    y = g.from_first(
        resize(g, g.to_first(batch, "channels_last"), wanted, method, antialias=antialias), "channels_last"
    )
    return g.Squeeze(y, [0]) if x.rank == 3 else y


@tf_function("image.flip_left_right")
def flip_left_right(g: KerasBuilder, image: Any) -> Value:
    return ops_shape.flip(g, image, axis=image.rank - 2)


@tf_function("image.flip_up_down")
def flip_up_down(g: KerasBuilder, image: Any) -> Value:
    return ops_shape.flip(g, image, axis=image.rank - 3)


@tf_function("image.rgb_to_grayscale")
def rgb_to_grayscale(g: KerasBuilder, images: Any) -> Value:
    x = tensor(g, images)
    if x.dtype is not None and x.dtype.kind in "iu":
        raise g.unsupported("the grey of integers: TensorFlow scales them")
    if known_sizes(g, x, -1) != (3,):
        raise ConversionError(f"{g.type} needs three channels", g.origin)
    return g.ReduceSum(g.Mul(x, np.array([0.2989, 0.587, 0.114], x.dtype)), [-1])


@tf_function("math.count_nonzero")
def count_nonzero(
    g: KerasBuilder, input: Any, *, axis: Axis = None, keepdims: bool | None = None, dtype: Any = "int64"
) -> Value:
    counted = cast(g, cast(g, tensor(g, input), np.bool_), INT)
    return cast(g, ops_reduction.reduced(g, "ReduceSum", counted, axis, bool(keepdims)), of_tf(g, dtype))
