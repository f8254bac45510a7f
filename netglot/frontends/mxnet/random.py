"""Random numbers: ONNX's, whose generator is another one than MXNet's. The results can't be the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import named, to_onnx

Ints = tuple[int, ...]
Draw = Callable[[MXNetBuilder, Value], Value]


def _drawn(g: MXNetBuilder, onnx: str, shape: Ints, dtype: str, **attributes: float) -> Value:
    """Drawn as `dtype`, which "None" says is float32; half precision is drawn as float32."""
    kind = named("float32" if dtype == "None" else dtype)
    if any(size < 1 for size in shape):
        raise g.unsupported(f"of the shape {shape}, where a size is left to be inferred")
    _warn(g)
    drawn = to_onnx(np.dtype(np.float64 if kind == np.float64 else np.float32))
    return g.cast(g.plain(onnx, shape=g.affordable(*(shape or (1,))), dtype=drawn, **attributes), kind)


def _warn(g: MXNetBuilder) -> None:
    g.warn(f"{g.layer.op} draws random numbers: they differ from MXNet's, whatever the seed")


@mxnet_op("_random_uniform", "random_uniform", "uniform")
def uniform(
    g: MXNetBuilder, *, low: float = 0.0, high: float = 1.0, shape: Ints = (), ctx: str = "", dtype: str = "None"
) -> Value:
    return _drawn(g, "RandomUniform", shape, dtype, low=low, high=high)


@mxnet_op("_random_normal", "random_normal", "normal")
def normal(
    g: MXNetBuilder, *, loc: float = 0.0, scale: float = 1.0, shape: Ints = (), ctx: str = "", dtype: str = "None"
) -> Value:
    return _drawn(g, "RandomNormal", shape, dtype, mean=loc, scale=scale)


@mxnet_op("_random_exponential", "random_exponential")
def exponential(g: MXNetBuilder, *, lam: float = 1.0, shape: Ints = (), ctx: str = "", dtype: str = "None") -> Value:
    """-ln(u) / λ, with u in (0, 1]."""
    drawn = _drawn(g, "RandomUniform", shape, dtype, low=0.0, high=1.0)
    return g.Mul(g.Log(g.Sub(np.array(1, drawn.dtype), drawn)), np.array(-1 / lam, drawn.dtype))


@mxnet_op("_random_randint", "random_randint", "_npi_random_randint")
def randint(g: MXNetBuilder, *, low: int, high: int, shape: Ints = (), ctx: str = "", dtype: str = "None") -> Value:
    """In [low, high)."""
    if high <= low:
        raise ConversionError(f"there is no number from {low} to {high}", g.origin)
    drawn = _drawn(g, "RandomUniform", shape, "float64", low=float(low), high=float(high))
    return g.cast(g.Floor(drawn), named("int32" if dtype == "None" else dtype))


def _like(g: MXNetBuilder, onnx: str, data: Value, **attributes: float) -> Value:
    _warn(g)
    drawn = to_onnx(np.dtype(np.float64 if data.dtype == np.float64 else np.float32))
    return g.cast(g.plain(f"{onnx}Like", data, dtype=drawn, **attributes), data.dtype)


@mxnet_op("_random_uniform_like")
def uniform_like(g: MXNetBuilder, data: Value, *, low: float = 0.0, high: float = 1.0) -> Value:
    return _like(g, "RandomUniform", data, low=low, high=high)


@mxnet_op("_random_normal_like")
def normal_like(g: MXNetBuilder, data: Value, *, loc: float = 0.0, scale: float = 1.0) -> Value:
    return _like(g, "RandomNormal", data, mean=loc, scale=scale)


def _spread(g: MXNetBuilder, like: Value, shape: Ints, of: Draw) -> Value:
    """Numbers for each element of `like`: its shape, then `shape`."""
    form = g.Unsqueeze(like, list(range(like.rank, like.rank + len(shape)))) if shape else like
    sizes = np.array([1] * like.rank + list(g.affordable(*shape)), np.int64)
    return of(g, g.Expand(form, sizes) if shape else form)


@mxnet_op("_sample_uniform", "sample_uniform")
def sample_uniform(g: MXNetBuilder, low: Value, high: Value, *, shape: Ints = (), dtype: str = "None") -> Value:
    wide = _spread(g, g.Sub(high, low), shape, lambda g, x: g.Mul(_like(g, "RandomUniform", x), x))
    return _typed(g, g.Add(wide, _spread(g, low, shape, lambda g, x: x)), dtype)


@mxnet_op("_sample_normal", "sample_normal")
def sample_normal(g: MXNetBuilder, mu: Value, sigma: Value, *, shape: Ints = (), dtype: str = "None") -> Value:
    wide = _spread(g, sigma, shape, lambda g, x: g.Mul(_like(g, "RandomNormal", x), x))
    return _typed(g, g.Add(wide, _spread(g, mu, shape, lambda g, x: x)), dtype)


def _typed(g: MXNetBuilder, x: Value, dtype: str) -> Value:
    return x if dtype == "None" else g.cast(x, named(dtype))


@mxnet_op("_sample_multinomial", "sample_multinomial")
def sample_multinomial(
    g: MXNetBuilder, data: Value, *, shape: Ints = (), get_prob: bool = False, dtype: str = "int32"
) -> Value:
    """Classes drawn for each row of probabilities."""
    if get_prob:
        raise g.unsupported("get_prob, the likelihood of what is drawn")
    _warn(g)
    count = int(np.prod(shape)) if shape else 1
    rows = g.Log(data if data.rank == 2 else g.Unsqueeze(data, [0]))
    drawn = g.Multinomial(rows, sample_size=count, dtype=to_onnx(np.dtype(np.int32)))
    sizes = [*(data.shape or ())[:-1], *shape] or [1]
    return g.cast(g.reshaped(drawn, sizes), named(dtype))


@mxnet_op("_shuffle", "shuffle", "_npi_shuffle")
def shuffle(g: MXNetBuilder, data: Value) -> Value:
    """The rows in the order of random numbers."""
    _warn(g)
    count = g.Shape(data, start=0, end=1)
    keys = g.plain("RandomUniformLike", g.Expand(np.zeros((), np.float32), count))
    _, order = g.op("TopK", [keys, count], outputs=2, axis=0)
    return g.Gather(data, order, axis=0)
