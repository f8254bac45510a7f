"""keras.ops in functional graphs against Keras 3, and tf.keras' TFOpLambda against tf.keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from tests.keras_checks import check, flat

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
ops = keras.ops

RNG = np.random.default_rng(3)
W = RNG.normal(size=(5, 7)).astype("f")
K2, K1 = RNG.normal(size=(3, 2, 5, 4)).astype("f"), RNG.normal(size=(3, 5, 4)).astype("f")
V = RNG.normal(size=5).astype("f")
GAMMA = RNG.normal(size=5).astype("f")
NAN = np.array([[1, np.nan, 2], [np.nan, np.nan, np.inf], [-np.inf, 0, -0.0]], "f")

A = (4, 5)  # the shape of most inputs, without the batch
Row = Callable[..., Any]


def row(function: Row, *shapes: tuple[int, ...], low: float = -2, high: float = 2, dtype: str = "float32") -> Any:
    """A function of keras.ops, the shapes of its inputs without the batch, and the range of their elements."""
    return function, shapes or (A,), low, high, dtype


UNARY = {
    **{name: row(getattr(ops, name)) for name in (
        "abs", "absolute", "negative", "exp", "expm1", "exp2", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan",
        "arcsinh", "sign", "square", "floor", "ceil", "round", "trunc", "erf", "cbrt", "sinc", "deg2rad", "rad2deg",
        "isnan", "isinf", "isfinite", "logical_not", "signbit", "ones_like", "zeros_like", "copy", "stop_gradient",
        "relu", "relu6", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "soft_shrink", "sparse_plus", "silu",
        "squareplus", "log_sigmoid", "leaky_relu", "hard_sigmoid", "hard_silu", "elu", "selu", "gelu", "celu",
        "tanh_shrink", "hard_tanh", "hard_shrink", "sparsemax", "softmax", "log_softmax", "erfc", "size",
    ) if hasattr(ops, name)},
    **{name: row(getattr(ops, name), low=0.1) for name in (
        "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal")},
    **{name: row(getattr(ops, name), low=-0.9, high=0.9) for name in ("arcsin", "arccos", "arctanh")},
    "arccosh": row(ops.arccosh, low=1.1),
    "exp-int": row(ops.exp, dtype="int32", high=5), "square-int": row(ops.square, dtype="int32", high=5),
    "glu": row(lambda x: ops.glu(x, axis=1)), "gelu-exact": row(lambda x: ops.gelu(x, approximate=False)),
    "round-decimals": row(lambda x: ops.round(x, 1)), "clip": row(lambda x: ops.clip(x, -1, 0.5)),
    "clip-int": row(lambda x: ops.clip(x, 1, 3), dtype="int32", high=5),
    "cast": row(lambda x: ops.cast(x, "int32")), "cast-bool": row(lambda x: ops.cast(x, "bool")),
    "saturate": row(lambda x: ops.saturate_cast(x, "uint8"), low=-300, high=600),
    "softmax-all": row(lambda x: ops.softmax(x, axis=None)), "threshold": row(lambda x: ops.threshold(x, 0.3, -9.0)),
    "full_like": row(lambda x: ops.full_like(x, 3)), "bitwise_not": row(ops.bitwise_not, dtype="int32", high=9),
    "convert": row(lambda x: ops.convert_to_tensor(x)), "real": row(ops.real), "conj": row(ops.conj),
    "imag": row(ops.imag), "ones-int": row(lambda x: ops.ones_like(x, dtype="int32")),
}  # fmt: skip
BINARY = {
    **{name: row(getattr(ops, name), A, A) for name in (
        "add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum", "equal", "not_equal", "greater",
        "greater_equal", "less", "less_equal", "logical_and", "logical_or", "logical_xor", "mod", "floor_divide",
        "arctan2", "hypot", "logaddexp", "logaddexp2", "divide_no_nan", "heaviside", "isclose", "fmod", "fmax", "fmin",
    ) if hasattr(ops, name)},
    **{f"{name}-int": row(getattr(ops, name), A, A, dtype="int32", low=1, high=7) for name in (
        "add", "divide", "mod", "floor_divide", "bitwise_and", "bitwise_or", "bitwise_xor", "equal", "maximum",
        "left_shift", "right_shift")},
    "floor_divide-negative": row(lambda x: ops.floor_divide(x, 3), dtype="int32", low=-9, high=9),
    "mod-negative": row(lambda x: ops.mod(x, -3), dtype="int32", low=-9, high=9),
    "add-number": row(lambda x: 2 + x), "add-int-float": row(lambda x: x + 1.5, dtype="int32", high=5),
    "sub-number": row(lambda x: 1 - x), "mul-array": row(lambda x: x * V), "power": row(lambda x: x**2),
    "power-of": row(lambda x: 2.0**x), "div-int": row(lambda x: x / 2, dtype="int32", high=9),
    "broadcast": row(ops.add, (4, 1), (1, 5)), "compare-number": row(lambda x: x > 0),
    "compare-int-float": row(lambda x: x >= 1.5, dtype="int32", high=4), "and": row(lambda x: (x > 0) & (x < 1)),
    "bool-int": row(lambda x: (x > 0) + 1),
    "where": row(lambda x, y: ops.where(x > 0, x, y), A, A), "where-number": row(lambda x: ops.where(x > 0, x, 0)),
    "select": row(lambda x: ops.select([x > 1, x > 0], [x, x * 2], -1.0)), "ldexp": row(lambda x: ops.ldexp(x, 3)),
}  # fmt: skip
PRODUCTS = {
    "matmul": row(lambda x: ops.matmul(x, W)), "matmul-two": row(ops.matmul, (4, 5), (5, 3)),
    "dot": row(lambda x: ops.dot(x, W)), "dot-vector": row(lambda x: ops.dot(x, V)),
    "dot-high": row(lambda x: ops.dot(x, RNG_3D)), "tensordot": row(lambda x: ops.tensordot(x, W, axes=1)),
    "tensordot-axes": row(lambda x: ops.tensordot(x, RNG_3D, axes=[[2, 1], [1, 2]])),
    "einsum": row(lambda x, y: ops.einsum("bij,bkj->bik", x, y), A, (3, 5)),
    "einsum-turned": row(lambda x, y: ops.einsum("bij,bkj->kbi", x, y), A, (3, 5)),
    "einsum-sum": row(lambda x: ops.einsum("bij->bj", x)),
    "einsum-heads": row(lambda x, y: ops.einsum("bthd,bshd->bhts", x, y), (4, 3, 5), (6, 3, 5)),
    "einsum-many": row(lambda x, y: ops.einsum("bijk,bklm->bijlm", x, y), (4, 3, 5), (5, 2, 3)),
    "einsum-dots": row(lambda x: ops.einsum("...ij,jk->...ik", x, W)),
    "inner": row(lambda x: ops.inner(x, W.T)), "outer": row(lambda x: ops.outer(x, V)),
    "vdot": row(ops.vdot, A, A), "cross": row(ops.cross, (4, 3), (4, 3)),
    "attention": row(ops.dot_product_attention, (4, 2, 5), (6, 2, 5), (6, 2, 5)),
    "attention-causal": row(lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True, scale=0.3),
                            (4, 2, 5), (4, 2, 5), (4, 2, 5)),
}  # fmt: skip
RNG_3D = RNG.normal(size=(2, 5, 4)).astype("f")
REDUCTIONS = {
    **{f"{name}{suffix}": row(lambda x, f=getattr(ops, name), k=kwargs: f(x, **k)) for name in (
        "sum", "mean", "max", "min", "prod", "std", "var", "amax", "amin", "any", "all", "logsumexp", "median", "ptp",
        "argmax", "argmin") if hasattr(ops, name)
       for suffix, kwargs in (("", {}), ("-axis", {"axis": 1}), ("-keep", {"axis": -1, "keepdims": True}))},
    **{f"{name}-axes": row(lambda x, f=getattr(ops, name): f(x, axis=(0, 2))) for name in ("sum", "mean", "max")},
    **{f"{name}": row(lambda x, f=getattr(ops, name): f(ops.where(x > 1, NAN_NUMBER, x), axis=1)) for name in (
        "nansum", "nanmax", "nanmin", "nanmean", "nanprod") if hasattr(ops, name)},
    "sum-int": row(lambda x: ops.sum(x, axis=1), dtype="int32", high=9), "sum-bool": row(lambda x: ops.sum(x > 0)),
    "mean-int": row(lambda x: ops.mean(x, axis=1), dtype="int32", high=9), "max-initial": row(
        lambda x: ops.max(x, axis=1, initial=0.5)), "count": row(lambda x: ops.count_nonzero(x > 0, axis=1)),
    "average": row(lambda x: ops.average(x, axis=1, weights=np.arange(1, 5).astype("f"))),
    "moments": row(lambda x: ops.moments(x, axes=[1])), "cumsum": row(lambda x: ops.cumsum(x, axis=1)),
    "cumsum-flat": row(ops.cumsum), "cumprod": row(lambda x: ops.cumprod(x, axis=1)),
    "cumprod-last": row(lambda x: ops.cumprod(x, axis=-1)), "sort": row(ops.sort), "sort-axis": row(
        lambda x: ops.sort(x, axis=1)), "argsort": row(ops.argsort), "top_k": row(lambda x: ops.top_k(x, 3)),
    "median-even": row(lambda x: ops.median(x, axis=1)), "norm": row(lambda x: ops.norm(x, axis=-1)),
    "norm-1": row(lambda x: ops.norm(x, ord=1, axis=1)), "norm-inf": row(lambda x: ops.norm(x, ord=np.inf, axis=1)),
    "norm-3": row(lambda x: ops.norm(x, ord=3, axis=1, keepdims=True)), "norm-fro": row(
        lambda x: ops.norm(x, axis=(1, 2))), "norm-matrix": row(lambda x: ops.norm(x, ord=1, axis=(1, 2))),
    "norm-matrix-inf": row(lambda x: ops.norm(x, ord=np.inf, axis=(1, 2), keepdims=True)),
    "norm-0": row(lambda x: ops.norm(ops.relu(x), ord=0, axis=1)), "cdist": row(ops.cdist, A, (3, 5))
    if hasattr(ops, "cdist") else row(ops.abs), "diff": row(lambda x: ops.diff(x, n=2)),
    "in_top_k": row(lambda x: ops.in_top_k(np.array([1, 4, 0], "int32"), ops.sum(x, axis=1), 2)),
}  # fmt: skip
NAN_NUMBER = float("nan")
SHAPES = {
    "reshape": row(lambda x: ops.reshape(x, (-1, 10))), "reshape-split": row(lambda x: ops.reshape(x, (-1, 2, 2, 5))),
    "ravel": row(ops.ravel), "transpose": row(lambda x: ops.transpose(x, (0, 2, 1))), "transpose-all": row(
        ops.transpose), "swapaxes": row(lambda x: ops.swapaxes(x, 1, -1)), "moveaxis": row(
        lambda x: ops.moveaxis(x, [1, 3], [3, 0]), (2, 3, 4)), "expand": row(lambda x: ops.expand_dims(x, -1)),
    "expand-two": row(lambda x: ops.expand_dims(x, (1, 3))), "squeeze": row(lambda x: ops.squeeze(x, 2), (4, 1)),
    "broadcast_to": row(lambda x: ops.broadcast_to(x, (2, 3, 4, 5))), "concat": row(
        lambda x, y: ops.concatenate([x, y], axis=1), A, (3, 5)), "concat-array": row(
        lambda x: ops.concatenate([x, np.ones((3, 2, 5), "f")], axis=1)), "append": row(
        lambda x, y: ops.append(x, y, axis=2), A, A), "stack": row(lambda x, y: ops.stack([x, y], axis=1), A, A),
    "hstack": row(lambda x, y: ops.hstack([x, y]), A, A), "vstack": row(lambda x, y: ops.vstack([x, y]), A, A),
    "dstack": row(lambda x, y: ops.dstack([x, y]), A, A) if hasattr(ops, "dstack") else row(ops.abs),
    "split": row(lambda x: ops.split(x, 2, axis=1)), "split-at": row(lambda x: ops.split(x, [1, 3], axis=2)),
    "array_split": row(lambda x: ops.array_split(x, 3, axis=2)) if hasattr(ops, "array_split") else row(ops.abs),
    "unstack": row(lambda x: ops.unstack(x, axis=1)), "tile": row(lambda x: ops.tile(x, (1, 2, 3))),
    "tile-more": row(lambda x: ops.tile(x, (2, 1, 1, 2))), "repeat": row(lambda x: ops.repeat(x, 3, axis=1)),
    "repeat-flat": row(lambda x: ops.repeat(x, 2)), "repeat-each": row(lambda x: ops.repeat(x, [1, 0, 2, 3], axis=1)),
    "flip": row(lambda x: ops.flip(x, axis=1)), "flip-all": row(ops.flip),
    "roll": row(lambda x: ops.roll(x, 2, axis=1)),
    "roll-two": row(lambda x: ops.roll(x, (1, -2), axis=(1, 2))), "roll-flat": row(lambda x: ops.roll(x, 3)),
    **{f"rot90-{k}": row(lambda x, k=k: ops.rot90(x, k=k, axes=(1, 2))) for k in (1, 3, -1)},
    "rot90-2": row(lambda x: ops.rot90(x, k=2, axes=(1, 2)), (4, 4, 3)),
    **{f"pad-{mode}": row(lambda x, m=mode: ops.pad(x, ((0, 0), (1, 2), (2, 0)), mode=m)) for mode in (
        "constant", "reflect", "symmetric")},
    "pad-value": row(lambda x: ops.pad(x, ((0, 0), (1, 2), (2, 0)), constant_values=3.0)),
    "take": row(lambda x: ops.take(x, [0, 2, 3], axis=1)), "take-flat": row(lambda x: ops.take(x, [0, 7])),
    "take-negative": row(lambda x: ops.take(x, -1, axis=2)), "take_along": row(
        lambda x: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1)), "item-slices": row(lambda x: x[:, 1:3, ::2]),
    "item-number": row(lambda x: x[:, -1]), "item-none": row(lambda x: x[:, None, ..., 2]),
    "item-back": row(lambda x: x[:, ::-1, 3:0:-2]), "item-first": row(lambda x: x[0]),
    "slice": row(lambda x: ops.slice(x, (0, 1, 2), (3, 2, 2))), "slice_update": row(
        lambda x: ops.slice_update(x, (0, 1, 2), np.ones((3, 2, 2), "f"))), "scatter_update": row(
        lambda x: ops.scatter_update(x, [[0, 1, 2], [2, 3, 4]], np.array([9.0, 8.0], "f"))),
    "tril": row(lambda x: ops.tril(x, k=-1)), "triu": row(lambda x: ops.triu(x, k=1)),
    "diagonal": row(lambda x: ops.diagonal(x, offset=1, axis1=1, axis2=2)), "trace": row(
        lambda x: ops.trace(x, axis1=1, axis2=2)), "one_hot": row(lambda x: ops.one_hot(x, 4), low=-1, high=6,
                                                                 dtype="int32"),
    "one_hot-axis": row(lambda x: ops.one_hot(x, 4, axis=1, dtype="int32"), high=4, low=0, dtype="int32"),
    "multi_hot": row(lambda x: ops.multi_hot(x, 7), (4,), high=7, low=0, dtype="int32"),
    "full": row(lambda x: x + ops.full((4, 1), 2.5)), "meshgrid": row(lambda x: ops.meshgrid(ops.ravel(x), V)),
    "arange": row(lambda x: x + ops.arange(5, dtype="float32")),
    "sequences": row(lambda x: ops.extract_sequences(x, 4, 3), (11,)),
}  # fmt: skip
NN = {
    "conv": row(lambda x: ops.conv(x, K2, strides=2, padding="same"), (7, 6, 5)),
    "conv1d": row(lambda x: ops.conv(x, K1, dilation_rate=2), (9, 5)), "depthwise": row(
        lambda x: ops.depthwise_conv(x, K2, padding="same"), (7, 6, 5)), "separable": row(
        lambda x: ops.separable_conv(x, K2, np.ones((1, 1, 20, 3), "f") * 0.3), (7, 6, 5)),
    "max_pool": row(lambda x: ops.max_pool(x, 2, padding="same"), (7, 6, 5)), "average_pool": row(
        lambda x: ops.average_pool(x, (3, 2), strides=1, padding="same"), (7, 6, 5)), "batch_norm": row(
        lambda x: ops.batch_normalization(x, V, V * V, -1, offset=GAMMA, scale=V), A), "batch_norm-axis": row(
        lambda x: ops.batch_normalization(x, V[:4], V[:4] ** 2, 1), A), "layer_norm": row(ops.layer_normalization),
    "layer_norm-gamma": row(lambda x: ops.layer_normalization(x, V, GAMMA, axis=-1, epsilon=1e-3)),
    "layer_norm-axes": row(lambda x: ops.layer_normalization(x, axis=(1, 2))), "rms": row(
        lambda x: ops.rms_normalization(x, V)), "normalize": row(ops.normalize), "normalize-1": row(
        lambda x: ops.normalize(x, axis=1, order=1)), "psnr": row(lambda x, y: ops.psnr(x, y, 2.0), A, A),
    **{name: row(lambda x, f=getattr(ops, name): f(x, np.array([2, 0, 2], "int32"), num_segments=4)) for name in (
        "segment_sum", "segment_max")},
    "depth_to_space": row(lambda x: ops.depth_to_space(x, 2), (3, 4, 12)) if hasattr(ops, "depth_to_space") else row(
        ops.abs), "space_to_depth": row(lambda x: ops.space_to_depth(x, 2), (6, 4, 3)) if hasattr(
        ops, "space_to_depth") else row(ops.abs), "gray": row(ops.image.rgb_to_grayscale, (4, 5, 3)),
    "resize": row(lambda x: ops.image.resize(x, (9, 7)), (4, 5, 3)), "resize-nearest": row(
        lambda x: ops.image.resize(x, (9, 7), interpolation="nearest"), (4, 5, 3)), "pad_images": row(
        lambda x: ops.image.pad_images(x, 1, 2, target_height=9, target_width=8), (4, 5, 3)), "crop_images": row(
        lambda x: ops.image.crop_images(x, 1, 2, target_height=2, target_width=3), (4, 5, 3)),
}  # fmt: skip
ROWS = {"unary": UNARY, "binary": BINARY, "products": PRODUCTS, "reductions": REDUCTIONS, "shapes": SHAPES, "nn": NN}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, rows in ROWS.items() for name in rows])
def test_operation(family: str, name: str, tmp_path: Path) -> None:
    function, shapes, low, high, dtype = ROWS[family][name]
    inputs = [keras.Input(shape, batch_size=3, dtype=dtype) for shape in shapes]
    model = keras.Model(inputs, flat(function(*inputs)))
    rng = np.random.default_rng(7)
    arrays = [(rng.uniform(low, high, (3, *shape))).astype(dtype) for shape in shapes]
    check(model, tmp_path / "m.keras", arrays)


# ------------------------------------------------------------------------ tf.keras


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def keras2() -> Any:
    return pytest.importorskip("tf_keras")


T2 = RNG.normal(size=(2, 3, 3, 4)).astype("f")
IMAGE = (6, 4, 3)
FUNCTIONS: dict[str, Any] = {
    **{name: row(lambda x, tf, n=name: getattr(tf.math, n)(x)) for name in (
        "abs", "negative", "exp", "expm1", "square", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "asinh",
        "erf", "sign", "is_nan", "is_inf", "is_finite", "ceil", "floor", "round", "sigmoid", "softplus",
        "log_sigmoid", "softsign", "erfc")},
    **{name: row(lambda x, tf, n=name: getattr(tf.math, n)(x), low=0.1) for name in (
        "log", "log1p", "sqrt", "rsqrt", "reciprocal")},
    **{name: row(lambda x, tf, n=name: getattr(tf.math, n)(x), low=-0.9, high=0.9) for name in (
        "asin", "acos", "atanh")},
    **{f"two-{name}": row(lambda x, y, tf, n=name: getattr(tf.math, n)(x, y), A, A) for name in (
        "add", "subtract", "multiply", "truediv", "divide", "maximum", "minimum", "equal", "not_equal", "greater",
        "greater_equal", "less", "less_equal", "floordiv", "floormod", "divide_no_nan", "squared_difference",
        "atan2")},
    "plus": row(lambda x, tf: x + 1.0), "minus": row(lambda x, tf: 1.0 - x), "times": row(lambda x, tf: x * x),
    "div": row(lambda x, tf: x / 2.0), "pow": row(lambda x, tf: x**2), "neg": row(lambda x, tf: -x),
    "matmul": row(lambda x, y, tf: x @ y, (4, 5), (5, 3)),
    "transpose_b": row(lambda x, y, tf: tf.matmul(x, y, transpose_b=True), A, (3, 5)),
    "and": row(lambda x, tf: tf.logical_and(x > 0, tf.logical_not(x > 1))),
    "where": row(lambda x, y, tf: tf.where(x > 0, x, y), A, A),
    "clip": row(lambda x, tf: tf.clip_by_value(x, -1.0, 0.5)), "cast": row(lambda x, tf: tf.cast(x, tf.int32)),
    "cast-name": row(lambda x, tf: tf.cast(x, "int64")), "add_n": row(lambda x, y, tf: tf.add_n([x, y, x]), A, A),
    "reshape": row(lambda x, tf: tf.reshape(x, (-1, 10))), "reshape-by-shape": row(
        lambda x, tf: tf.reshape(x, (tf.shape(x)[0], 20))), "reshape-flat": row(lambda x, tf: tf.reshape(x, [-1])),
    "reshape-tensor": row(lambda x, tf: tf.reshape(x, tf.shape(x))), "shape": row(lambda x, tf: tf.shape(x)),
    "transpose": row(lambda x, tf: tf.transpose(x, (0, 2, 1))), "expand": row(lambda x, tf: tf.expand_dims(x, -1)),
    "squeeze": row(lambda x, tf: tf.squeeze(x, 2), (4, 1)), "squeeze-all": row(lambda x, tf: tf.squeeze(x, [2, 3]),
                                                                                (4, 1, 1)),
    "slices": row(lambda x, tf: x[:, 1:3, ::2]), "number": row(lambda x, tf: x[:, -1]),
    "ellipsis": row(lambda x, tf: x[:, None, ..., 2]), "back": row(lambda x, tf: x[:, ::-1]),
    "concat": row(lambda x, y, tf: tf.concat([x, y], axis=1), A, (3, 5)),
    "stack": row(lambda x, y, tf: tf.stack([x, y], axis=1), A, A), "unstack": row(lambda x, tf: tf.unstack(x, axis=1)),
    "split": row(lambda x, tf: tf.split(x, 2, axis=1)), "split-sizes": row(lambda x, tf: tf.split(x, [1, -1], axis=2)),
    "tile": row(lambda x, tf: tf.tile(x, (1, 2, 3))), "repeat": row(lambda x, tf: tf.repeat(x, 2, axis=1)),
    "reverse": row(lambda x, tf: tf.reverse(x, [1])), "roll": row(lambda x, tf: tf.roll(x, 2, axis=1)),
    "pad": row(lambda x, tf: tf.pad(x, [[0, 0], [1, 2], [2, 0]], constant_values=1.5)),
    "pad-reflect": row(lambda x, tf: tf.pad(x, [[0, 0], [1, 2], [2, 0]], "REFLECT")),
    "pad-symmetric": row(lambda x, tf: tf.pad(x, [[0, 0], [1, 2], [2, 0]], mode="SYMMETRIC")),
    "gather": row(lambda x, tf: tf.gather(x, [0, 2, 3], axis=1)),
    "gather-table": row(lambda x, tf: tf.gather(W, x), (4,), low=0, high=5, dtype="int32"),
    "gather_nd": row(lambda x, tf: tf.gather_nd(x, [[0, 1], [2, 3]])),
    "one_hot": row(lambda x, tf: tf.one_hot(x, 4), low=-1, high=6, dtype="int32"),
    "one_hot-values": row(lambda x, tf: tf.one_hot(x, 4, on_value=2.0, off_value=-1.0, axis=1), low=0, high=4,
                          dtype="int32"),
    "zeros_like": row(lambda x, tf: tf.zeros_like(x)), "ones_like": row(lambda x, tf: tf.ones_like(x, dtype=tf.int32)),
    "fill": row(lambda x, tf: tf.fill(tf.shape(x), 2.5)), "broadcast_to": row(
        lambda x, tf: tf.broadcast_to(x, (2, 3, 4, 5))), "slice": row(lambda x, tf: tf.slice(x, (0, 1, 2), (3, 2, -1))),
    **{f"reduce_{name}": row(lambda x, tf, n=name: getattr(tf, f"reduce_{n}")(x, axis=1)) for name in (
        "sum", "mean", "max", "min", "prod", "logsumexp")},
    **{f"reduce_{name}": row(lambda x, tf, n=name: getattr(tf, f"reduce_{n}")(x > 0, axis=-1, keepdims=True)) for name
       in ("any", "all")},
    "reduce_std": row(lambda x, tf: tf.math.reduce_std(x)), "reduce_variance": row(
        lambda x, tf: tf.math.reduce_variance(x, axis=[1, 2])), "sum-int": row(
        lambda x, tf: tf.reduce_sum(x), dtype="int32", high=9), "argmax": row(lambda x, tf: tf.argmax(x, axis=1)),
    "argmin": row(lambda x, tf: tf.argmin(x, axis=-1, output_type=tf.int32)), "cumsum": row(
        lambda x, tf: tf.cumsum(x, axis=1, exclusive=True, reverse=True)), "top_k": row(
        lambda x, tf: list(tf.math.top_k(x, 3))), "l2_normalize": row(lambda x, tf: tf.math.l2_normalize(x, axis=-1)),
    "norm": row(lambda x, tf: tf.norm(x, axis=-1)), "norm-all": row(lambda x, tf: tf.norm(x)),
    "moments": row(lambda x, tf: list(tf.nn.moments(x, axes=[1]))), "count": row(
        lambda x, tf: tf.math.count_nonzero(tf.nn.relu(x), axis=1)), "tensordot": row(
        lambda x, tf: tf.tensordot(x, W, axes=1)),
    **{f"nn-{name}": row(lambda x, tf, n=name: getattr(tf.nn, n)(x)) for name in (
        "relu", "relu6", "elu", "selu", "gelu", "silu", "leaky_relu", "softmax", "log_softmax", "sigmoid", "tanh",
        "swish")},
    "gelu-tanh": row(lambda x, tf: tf.nn.gelu(x, approximate=True)), "leaky": row(
        lambda x, tf: tf.nn.leaky_relu(x, alpha=0.3)), "bias_add": row(lambda x, tf: tf.nn.bias_add(x, V)),
    "depth_to_space": row(lambda x, tf: tf.nn.depth_to_space(x, 2), (3, 4, 12)), "space_to_depth": row(
        lambda x, tf: tf.nn.space_to_depth(x, 2), IMAGE), "max_pool": row(
        lambda x, tf: tf.nn.max_pool2d(x, (3, 2), (2, 1), "SAME"), IMAGE), "avg_pool": row(
        lambda x, tf: tf.nn.avg_pool2d(x, 2, 2, "VALID"), IMAGE), "conv2d": row(
        lambda x, tf: tf.nn.conv2d(x, T2, (1, 2, 2, 1), "SAME"), IMAGE), "resize": row(
        lambda x, tf: tf.image.resize(x, (9, 7)), IMAGE), "resize-nearest": row(
        lambda x, tf: tf.image.resize(x, (9, 7), method="nearest"), IMAGE), "flip": row(
        lambda x, tf: tf.image.flip_left_right(x), IMAGE), "flip-up": row(
        lambda x, tf: tf.image.flip_up_down(x), IMAGE), "gray": row(lambda x, tf: tf.image.rgb_to_grayscale(x), IMAGE),
    "stop_gradient": row(lambda x, tf: tf.stop_gradient(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_tensorflow(name: str, tf: Any, keras2: Any, tmp_path: Path) -> None:
    function, shapes, low, high, dtype = FUNCTIONS[name]
    inputs = [keras2.Input(shape, batch_size=3, dtype=dtype) for shape in shapes]
    model = keras2.Model(inputs, flat(function(*inputs, tf)))
    rng = np.random.default_rng(7)
    arrays = [(rng.uniform(low, high, (3, *shape))).astype(dtype) for shape in shapes]
    check(model, tmp_path / "m.h5", arrays)


def test_what_tf_keras_does_not_save_is_refused(tf: Any, keras2: Any, tmp_path: Path) -> None:
    x, y = keras2.Input(A), keras2.Input((3, 5))
    model = keras2.Model([x, y], tf.einsum("bij,bkj->bik", x, y))
    with pytest.raises(UnsupportedError, match="not enough"):
        check(model, tmp_path / "m.h5")
