"""Random numbers: ONNX's, whose generator is another one than torch's. The results can't be the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Number, Size, TorchBuilder, aten
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx

_FLOAT32, _FLOAT64, _INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


# ---------------------------------------------------------------------- dropout


@aten("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(g: TorchBuilder, x: Value, *, p: float, train: bool) -> Value:
    if train and p:
        raise g.unsupported("a module in training mode", "Call module.eval() before it is exported.")
    return x


@aten("native_dropout")
def native_dropout(g: TorchBuilder, x: Value, *, p: float, train: bool | None) -> tuple[Value, Value]:
    """The second result is what was kept: everything."""
    kept = g.Expand(g.constant(np.array(True)), g.Shape(x))
    return dropout(g, x, p=p, train=train is not False), kept


# ---------------------------------------------------------------- uniform, normal


@aten("rand")
def rand(g: TorchBuilder, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    """In [0, 1)."""
    return _drawn(g, "RandomUniform", g.shape(size), dtype or _FLOAT32)


@aten("randn")
def randn(g: TorchBuilder, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    return _drawn(g, "RandomNormal", g.shape(size), dtype or _FLOAT32)


@aten("rand_like")
def rand_like(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None) -> Value:
    return _drawn(g, "RandomUniform", g.Shape(x), dtype or x.dtype)


@aten("randn_like")
def randn_like(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None) -> Value:
    return _drawn(g, "RandomNormal", g.Shape(x), dtype or x.dtype)


@aten("randint", order="high size *")
def randint(g: TorchBuilder, *, high: Size, size: Sequence[Size], dtype: np.dtype | None = _INT64) -> Value:
    return _integers(g, 0, high, g.shape(size), dtype or _INT64)


@aten("randint.low")
def randint_low(
    g: TorchBuilder, *, low: Size, high: Size, size: Sequence[Size], dtype: np.dtype | None = _INT64
) -> Value:
    return _integers(g, low, high, g.shape(size), dtype or _INT64)


@aten("randint_like", order="self high *")
def randint_like(g: TorchBuilder, x: Value, *, high: Size, dtype: np.dtype | None = None) -> Value:
    return _integers(g, 0, high, g.Shape(x), dtype or x.dtype)


@aten("randint_like.low_dtype")
def randint_like_low(g: TorchBuilder, x: Value, *, low: Size, high: Size, dtype: np.dtype | None = None) -> Value:
    return _integers(g, low, high, g.Shape(x), dtype or x.dtype)


@aten("normal.Tensor_float", "normal.float_Tensor", "normal.Tensor_Tensor", order="mean std *")
def normal(g: TorchBuilder, mean: Value | Number, std: Value | Number = 1.0, *, generator: Any = None) -> Value:
    """Of a mean and a deviation that may be different for each element."""
    tensors = [item for item in (mean, std) if isinstance(item, Value)]
    sizes = g.Shape(g.Add(*tensors)) if len(tensors) == 2 else g.Shape(tensors[0])
    return _scaled(g, "RandomNormal", sizes, tensors[0].dtype, std, mean)


@aten("normal.float_float")
def normal_of_numbers(
    g: TorchBuilder, *, mean: float, std: float, size: Sequence[Size], generator: Any = None,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    return _scaled(g, "RandomNormal", g.shape(size), dtype or _FLOAT32, std, mean)


@aten("normal_functional", "normal")
def normal_functional(
    g: TorchBuilder, x: Value, *, mean: float = 0.0, std: float = 1.0, generator: Any = None
) -> Value:
    """In the place of what x held."""
    return _scaled(g, "RandomNormal", g.Shape(x), x.dtype, std, mean)


@aten("uniform")
def uniform(g: TorchBuilder, x: Value, *, from_: float = 0.0, to: float = 1.0, generator: Any = None) -> Value:
    return _scaled(g, "RandomUniform", g.Shape(x), x.dtype, to - from_, from_)


@aten("exponential")
def exponential(g: TorchBuilder, x: Value, *, lambd: float = 1.0, generator: Any = None) -> Value:
    """The negative logarithm of what is uniform in (0, 1]."""
    to = _computed(x.dtype)
    left = g.Sub(g.number(1, to), _drawn(g, "RandomUniform", g.Shape(x), to))
    return g.cast(g.Div(g.Neg(g.Log(left)), g.number(lambd, to)), x.dtype)


def _scaled(
    g: TorchBuilder, onnx: str, sizes: Value, dtype: np.dtype | None, scale: Value | Number, start: Value | Number
) -> Value:
    to = _computed(dtype)
    drawn = _drawn(g, onnx, sizes, to)
    return g.cast(g.Add(g.Mul(drawn, g.number(scale, to)), g.number(start, to)), dtype)


def _computed(dtype: np.dtype | None) -> np.dtype:
    return _FLOAT64 if dtype == _FLOAT64 else _FLOAT32


def _integers(g: TorchBuilder, low: Size, high: Size, sizes: Value, dtype: np.dtype | None) -> Value:
    """In [low, high)."""
    least, most = (g.number(limit, _FLOAT64) for limit in (low, high))
    drawn = g.Floor(g.Mul(_drawn(g, "RandomUniform", sizes, _FLOAT64), g.Sub(most, least)))
    return g.cast(g.Add(drawn, least), dtype)


def _drawn(g: TorchBuilder, onnx: str, sizes: Value, dtype: np.dtype | None) -> Value:
    """Drawn as float64 or float32, and cast to `dtype`."""
    _warn(g)
    drawn = to_onnx(_computed(dtype))
    if sizes.is_constant:
        return g.cast(g.plain(onnx, shape=tuple(g.affordable(*g.ints(sizes, "the shape"))), dtype=drawn), dtype)
    like = g.Expand(g.constant(np.array(0, np.float32)), sizes)
    return g.cast(g.plain(f"{onnx}Like", like, dtype=drawn), dtype)


def _warn(g: TorchBuilder) -> None:
    g.warn(f"{g.target} draws random numbers: they differ from torch's, whatever the seed")


# ------------------------------------------------------------------------ choices


@aten("bernoulli", order="self *")
def bernoulli(g: TorchBuilder, x: Value, *, generator: Any = None) -> Value:
    """1 with the probability that x says, otherwise 0."""
    return _chance(g, x, x, x.dtype)


@aten("bernoulli.p", "bernoulli.float")
def bernoulli_p(g: TorchBuilder, x: Value, *, p: float = 0.5, generator: Any = None) -> Value:
    """In the place of what x held."""
    return _chance(g, x, g.number(p, _FLOAT32), x.dtype)


@aten("bernoulli.Tensor")
def bernoulli_tensor(g: TorchBuilder, x: Value, p: Value, *, generator: Any = None) -> Value:
    return _chance(g, x, p, x.dtype)


def _chance(g: TorchBuilder, x: Value, p: Value, dtype: np.dtype | None) -> Value:
    to = _computed(p.dtype)
    return g.cast(g.Less(_drawn(g, "RandomUniform", g.Shape(x), to), g.cast(p, to)), dtype)


@aten("multinomial")
def multinomial(
    g: TorchBuilder, x: Value, *, num_samples: Size, replacement: bool = False, generator: Any = None
) -> Value:
    """Classes drawn with the weights in each row; without replacement, those of the largest disturbed logarithms.

    The latter is the Gumbel-top-k trick (Kool et al., Stochastic Beams and Where to Find Them, 2019).
    """
    logs = g.Log(g.cast(x, _FLOAT32))
    if not replacement:
        uniform = g.Max(_drawn(g, "RandomUniform", g.Shape(x), _FLOAT32), g.number(1e-30, _FLOAT32))
        keys = g.Sub(logs, g.Log(g.Neg(g.Log(uniform))))
        found: Value = g.op("TopK", [keys, g.shape([num_samples])], outputs=2, axis=-1)[1]
        return found
    _warn(g)
    count = g.known(num_samples, "the number of samples")
    rows = logs if x.rank == 2 else g.Unsqueeze(logs, [0])
    # Multinomial's kernel makes powers of them: -inf would be no number there.
    rows = g.Max(rows, g.number(-1e30, _FLOAT32))
    drawn = g.cast(g.plain("Multinomial", rows, sample_size=count, dtype=to_onnx(np.dtype(np.int32))), _INT64)
    return drawn if x.rank == 2 else g.Squeeze(drawn, [0])


@aten("randperm")
def randperm(g: TorchBuilder, *, n: Size, dtype: np.dtype | None = _INT64) -> Value:
    """The order of random numbers."""
    count = g.shape([n])
    _, order = g.op("TopK", [_drawn(g, "RandomUniform", count, _FLOAT32), count], outputs=2, axis=0)
    return g.cast(order, dtype or _INT64)
