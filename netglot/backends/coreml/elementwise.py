"""Operators on each element."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from netglot.backends.coreml.context import (
    MIL_TYPES,
    CoreMLBuilder,
    Tensor,
    Var,
    constant,
    coreml_op,
    is_float,
    mil_type,
)
from netglot.backends.coreml.shape import select
from netglot.backends.lowering import NotMappedError
from netglot.ir.types import from_onnx

# ONNX -> MIL, where both mean the same.
_SAME = {
    "Abs": "abs", "Acos": "acos", "Asin": "asin", "Atan": "atan", "Atanh": "atanh", "Ceil": "ceil", "Cos": "cos",
    "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor", "Identity": "identity", "Not": "logical_not",
    "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softplus": "softplus",
    "Softsign": "softsign", "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
_BINARY = {
    "Add": "add", "And": "logical_and", "Equal": "equal", "Greater": "greater", "GreaterOrEqual": "greater_equal",
    "Less": "less", "LessOrEqual": "less_equal", "Mul": "mul", "Or": "logical_or", "Sub": "sub", "Xor": "logical_xor",
}  # fmt: skip
_VARIADIC = {"Max": "maximum", "Min": "minimum", "Sum": "add"}


def _register_unary(onnx: str, mil: str) -> None:
    @coreml_op(onnx, open_sizes=True)
    def unary(m: CoreMLBuilder, x: Var) -> Var:
        return getattr(m, mil)(x=x)


def _register_binary(onnx: str, mil: str) -> None:
    @coreml_op(onnx, open_sizes=True)
    def binary(m: CoreMLBuilder, a: Tensor, b: Tensor) -> Var:
        if mil == "equal" and mil_type(a) == "bool":
            a, b = m.cast(x=a, dtype="int32"), m.cast(x=b, dtype="int32")
        return getattr(m, mil)(x=a, y=b)


def _register_variadic(onnx: str, mil: str) -> None:
    @coreml_op(onnx, open_sizes=True)
    def variadic(m: CoreMLBuilder, values: list[Tensor]) -> Var:
        return values[0] if len(values) == 1 else reduce(lambda a, b: getattr(m, mil)(x=a, y=b), values)


def _register_all(register: Callable[[str, str], None], table: dict[str, str]) -> None:
    for onnx, mil in table.items():
        register(onnx, mil)


_register_all(_register_unary, _SAME)
_register_all(_register_binary, _BINARY)
_register_all(_register_variadic, _VARIADIC)


# ------------------------------------------------------------------ arithmetic


@coreml_op("Mean", open_sizes=True)
def mean(m: CoreMLBuilder, values: list[Tensor]) -> Var:
    return m.mul(x=reduce(lambda a, b: m.add(x=a, y=b), values), y=1 / len(values))


@coreml_op("Neg", open_sizes=True)
def neg(m: CoreMLBuilder, x: Var) -> Var:
    return m.mul(x=x, y=-1.0 if is_float(x) else -1)


@coreml_op("Div", open_sizes=True)
def div(m: CoreMLBuilder, a: Tensor, b: Tensor) -> Var:
    """Integers round to zero (C's rule); MIL's floor_div rounds down, so a negative inexact quotient gets one more."""
    if is_float(a):
        return m.real_div(x=a, y=b)
    quotient = m.floor_div(x=a, y=b)
    rest = m.sub(x=a, y=m.mul(x=quotient, y=b))
    inexact = m.logical_and(x=m.not_equal(x=rest, y=0), y=m.less(x=quotient, y=0))
    return m.add(x=quotient, y=m.cast(x=inexact, dtype="int32"))


@coreml_op("Mod", open_sizes=True)
def mod(m: CoreMLBuilder, a: Tensor, b: Tensor, *, fmod: int) -> Var:
    """MIL's has the divisor's sign, as ONNX's without fmod; C's fmod has the dividend's: sign(a) (|a| mod |b|)."""
    if not fmod:
        return m.mod(x=a, y=b)
    return m.mul(x=m.sign(x=a), y=m.mod(x=m.abs(x=a), y=m.abs(x=b)))


@coreml_op("Pow", open_sizes=True)
def power(m: CoreMLBuilder, a: Tensor, b: Tensor) -> Var:
    exponent = b.item() if isinstance(b, np.ndarray) and b.size == 1 else None
    if exponent == 2 and np.ndim(b) <= len(a.shape):
        return m.square(x=a)
    if mil_type(b) != mil_type(a):
        b = b.astype(np.float32) if isinstance(b, np.ndarray) else m.cast(x=b, dtype=mil_type(a))
    return m.pow(x=a, y=b)


@coreml_op("Reciprocal", open_sizes=True)
def reciprocal(m: CoreMLBuilder, x: Var) -> Var:
    """Not MIL's inverse, which adds 1e-4."""
    return m.real_div(x=np.array(1, _numpy_type(x)), y=x)


@coreml_op("Log", open_sizes=True)
def log(m: CoreMLBuilder, x: Var) -> Var:
    """MIL adds an epsilon, so that its log(0) is finite by default."""
    return m.log(x=x, epsilon=0.0)


@coreml_op("Clip", open_sizes=True)
def clip(m: CoreMLBuilder, x: Var, low: Tensor | None = None, high: Tensor | None = None) -> Var:
    if isinstance(low, np.ndarray) and isinstance(high, np.ndarray) and is_float(x) and low <= high:
        return m.relu6(x=x) if low == 0 and high == 6 else m.clip(x=x, alpha=float(low), beta=float(high))
    x = x if low is None else m.maximum(x=x, y=low)
    return x if high is None else m.minimum(x=x, y=high)


def _numpy_type(x: Var) -> str:
    return {"fp32": "float32", "fp16": "float16"}.get(mil_type(x), "int32")


# ----------------------------------------------------------------- activations


@coreml_op("Relu", open_sizes=True)
def relu(m: CoreMLBuilder, x: Var) -> Var:
    return m.relu(x=x) if is_float(x) else m.maximum(x=x, y=0)


@coreml_op("LeakyRelu", open_sizes=True)
def leaky_relu(m: CoreMLBuilder, x: Var, *, alpha: float) -> Var:
    return m.leaky_relu(x=x, alpha=alpha)


@coreml_op("PRelu")
def prelu(m: CoreMLBuilder, x: Var, slope: Tensor) -> Var:
    if isinstance(slope, np.ndarray) and slope.size == 1:
        return m.leaky_relu(x=x, alpha=float(slope.item()))
    aligned = (1,) * (x.rank - len(slope.shape)) + tuple(slope.shape)
    if isinstance(slope, np.ndarray) and x.rank == 4 and aligned == (1, x.shape[1], 1, 1):
        return m.prelu(x=x, alpha=slope.reshape(-1))
    return m.add(x=m.relu(x=x), y=m.mul(x=m.minimum(x=x, y=0.0), y=slope))


@coreml_op("Elu", open_sizes=True)
def elu(m: CoreMLBuilder, x: Var, *, alpha: float) -> Var:
    return m.elu(x=x, alpha=alpha)


@coreml_op("Selu", open_sizes=True)
def selu(m: CoreMLBuilder, x: Var, *, alpha: float, gamma: float) -> Var:
    return m.mul(x=m.elu(x=x, alpha=alpha), y=gamma)


@coreml_op("Celu", open_sizes=True)
def celu(m: CoreMLBuilder, x: Var, *, alpha: float) -> Var:
    return m.mul(x=m.elu(x=m.mul(x=x, y=1 / alpha), alpha=1.0), y=alpha)


@coreml_op("HardSigmoid", open_sizes=True)
def hard_sigmoid(m: CoreMLBuilder, x: Var, *, alpha: float, beta: float) -> Var:
    return m.sigmoid_hard(x=x, alpha=alpha, beta=beta)


@coreml_op("HardSwish", open_sizes=True)
def hard_swish(m: CoreMLBuilder, x: Var) -> Var:
    return m.mul(x=x, y=m.sigmoid_hard(x=x, alpha=1 / 6, beta=0.5))


@coreml_op("Mish", open_sizes=True)
def mish(m: CoreMLBuilder, x: Var) -> Var:
    return m.mul(x=x, y=m.tanh(x=m.softplus(x=x)))


@coreml_op("Swish", open_sizes=True)
def swish(m: CoreMLBuilder, x: Var, *, alpha: float) -> Var:
    return m.silu(x=x) if alpha == 1 else m.mul(x=x, y=m.sigmoid(x=m.mul(x=x, y=alpha)))


@coreml_op("Gelu", open_sizes=True)
def gelu(m: CoreMLBuilder, x: Var, *, approximate: str) -> Var:
    return m.gelu(x=x, mode="TANH_APPROXIMATION" if approximate == "tanh" else "EXACT")


@coreml_op("ThresholdedRelu", open_sizes=True)
def thresholded_relu(m: CoreMLBuilder, x: Var, *, alpha: float) -> Var:
    """Not MIL's, which lets x = alpha through."""
    return m.select(cond=m.greater(x=x, y=alpha), a=x, b=m.mul(x=x, y=0.0))


@coreml_op("Shrink", open_sizes=True)
def shrink(m: CoreMLBuilder, x: Var, *, bias: float, lambd: float) -> Var:
    """Towards zero by `bias` where |x| > lambd; zero elsewhere."""
    nearer = m.sub(x=x, y=m.mul(x=m.sign(x=x), y=bias))
    return m.select(cond=m.greater(x=m.abs(x=x), y=lambd), a=nearer, b=m.mul(x=x, y=0.0))


@coreml_op("Softmax")
def softmax(m: CoreMLBuilder, x: Var, *, axis: int) -> Var:
    return m.softmax(x=x, axis=axis)


@coreml_op("LogSoftmax")
def log_softmax(m: CoreMLBuilder, x: Var, *, axis: int) -> Var:
    return m.sub(x=x, y=m.reduce_log_sum_exp(x=x, axes=[axis], keep_dims=True))


# ------------------------------------------------------------ choice and types


@coreml_op("Where")
def where(m: CoreMLBuilder, condition: Tensor, a: Tensor, b: Tensor) -> Var:
    return select(m, condition, a, b)


@coreml_op("Cast", open_sizes=True)
def cast(m: CoreMLBuilder, x: Var, *, to: int) -> Var:
    wanted = from_onnx(to)
    if wanted not in MIL_TYPES:
        raise NotMappedError(f"Core ML has no tensors of {wanted}")
    return x if mil_type(x) == MIL_TYPES[wanted] else m.cast(x=x, dtype=MIL_TYPES[wanted])


@coreml_op("CastLike", open_sizes=True)
def cast_like(m: CoreMLBuilder, x: Var, like: Tensor) -> Var:
    return x if mil_type(x) == mil_type(like) else m.cast(x=x, dtype=mil_type(like))


@coreml_op("IsNaN", open_sizes=True)
def is_nan(m: CoreMLBuilder, x: Var) -> Var:
    return m.not_equal(x=x, y=x)


@coreml_op("IsInf")
def is_inf(m: CoreMLBuilder, x: Var, *, detect_negative: int, detect_positive: int) -> Var:
    ends = [sign * np.inf for sign, wanted in ((1, detect_positive), (-1, detect_negative)) if wanted]
    if not ends:
        return np.zeros(m.output.sizes, np.bool_)
    return reduce(lambda a, b: m.logical_or(x=a, y=b), [m.equal(x=x, y=end) for end in ends])


@coreml_op("Dropout")
def dropout(
    m: CoreMLBuilder, x: Var, ratio: Tensor | None = None, training: Tensor | None = None, *, seed: int = 0
) -> Var:
    if training is not None and np.any(constant(training, "training_mode")):
        raise NotMappedError("dropout that trains is random")
    return x
