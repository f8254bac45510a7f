"""Tensors from nothing: zeros, ranges, identity matrices.

Semantics: aten/src/ATen/native/TensorFactories.cpp and RangeFactories.cpp. A tensor that torch leaves uninitialised
is one of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Operand, Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import filled
from netglot.ir.graph import Value

_DEFAULT = np.dtype(np.float32)
_INT64 = np.dtype(np.int64)


# ---------------------------------------------------------------- one number


@aten("zeros", "empty.memory_format")
def zeros(g: TorchBuilder, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    return filled(g, size, 0, dtype or _DEFAULT)


@aten("ones")
def ones(g: TorchBuilder, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    return filled(g, size, 1, dtype or _DEFAULT)


@aten("full")
def full(g: TorchBuilder, *, size: Sequence[Size], fill_value: Operand, dtype: np.dtype | None = None) -> Value:
    return filled(g, size, fill_value, dtype or g.result_type(fill_value))


@aten("empty_strided")
def empty_strided(
    g: TorchBuilder, *, size: Sequence[Size], stride: Sequence[Size], dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return zeros(g, size=size, dtype=dtype)


@aten("empty_permuted")
def empty_permuted(
    g: TorchBuilder, *, size: Sequence[Size], physical_layout: Sequence[int], dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return zeros(g, size=size, dtype=dtype)


@aten("scalar_tensor")
def scalar_tensor(g: TorchBuilder, *, s: Operand, dtype: np.dtype | None = None) -> Value:
    """Of the default type, whatever the number is."""
    return g.Identity(g.number(s, dtype or _DEFAULT))


def _like(g: TorchBuilder, x: Value, value: Operand, dtype: np.dtype | None) -> Value:
    return filled(g, x, value, _type(x, dtype))


def _type(x: Value, dtype: np.dtype | None) -> np.dtype:
    found = dtype or x.dtype
    assert found is not None
    return found


@aten("zeros_like", "empty_like")
def zeros_like(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None) -> Value:
    return _like(g, x, 0, dtype)


@aten("ones_like")
def ones_like(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None) -> Value:
    return _like(g, x, 1, dtype)


@aten("full_like")
def full_like(g: TorchBuilder, x: Value, *, fill_value: Operand, dtype: np.dtype | None = None) -> Value:
    return _like(g, x, fill_value, dtype)


@aten("fill.Scalar", "fill.Tensor")
def fill(g: TorchBuilder, x: Value, value: Operand) -> Value:
    return _like(g, x, value, None)


@aten("zero")
def zero(g: TorchBuilder, x: Value) -> Value:
    return _like(g, x, 0, None)


@aten("new_zeros", "new_empty")
def new_zeros(g: TorchBuilder, x: Value, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    return filled(g, size, 0, _type(x, dtype))


@aten("new_ones")
def new_ones(g: TorchBuilder, x: Value, *, size: Sequence[Size], dtype: np.dtype | None = None) -> Value:
    return filled(g, size, 1, _type(x, dtype))


@aten("new_full")
def new_full(
    g: TorchBuilder, x: Value, *, size: Sequence[Size], fill_value: Operand, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return filled(g, size, fill_value, _type(x, dtype))


@aten("new_empty_strided")
def new_empty_strided(
    g: TorchBuilder, x: Value, *, size: Sequence[Size], stride: Sequence[Size], dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return filled(g, size, 0, _type(x, dtype))


# ---------------------------------------------------------------------- ranges


@aten("arange", order="end *")
@aten("arange.start", "arange.start_step", order="start end step *")
def arange(
    g: TorchBuilder, *, end: Operand, start: Operand = 0, step: Operand = 1, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    """start + i step below `end`; of int64 if all three are integers."""
    inferred = g.result_type(start, end, step)
    wanted = dtype or (_INT64 if inferred.kind in "iub" else _DEFAULT)
    if not any(isinstance(item, Value) for item in (start, end, step)):
        return g.constant(_range(g, start, end, step).astype(wanted))
    if inferred.kind in "iub":
        return g.cast(g.Range(*(g.number(item, np.int64) for item in (start, end, step))), wanted)
    low, high, width = (g.number(item, np.float64) for item in (start, end, step))
    count = g.cast(g.Ceil(g.Div(g.Sub(high, low), width)), np.int64)
    steps = g.cast(g.Range(g.constant(0, np.int64), count, g.constant(1, np.int64)), np.float64)
    return g.cast(g.Add(low, g.Mul(steps, width)), wanted)


def _range(g: TorchBuilder, start: Operand, end: Operand, step: Operand) -> np.ndarray:
    if step == 0 or not all(math.isfinite(item) for item in (start, end, step)):  # type: ignore[arg-type]
        raise g.unsupported(f"a range from {start} to {end} in steps of {step}")
    (count,) = g.affordable(max(0, math.ceil((end - start) / step)))  # type: ignore[operator]
    return start + np.arange(count) * step  # type: ignore[operator]


@aten("linspace", "linspace.Tensor_Tensor", "linspace.Tensor_Scalar", "linspace.Scalar_Tensor")
def linspace(
    g: TorchBuilder, start: Operand, end: Operand, *, steps: int, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return g.cast(_spaced(g, start, end, g.known(steps, "steps"), dtype), dtype or _DEFAULT)


@aten("logspace", "logspace.Tensor_Tensor", "logspace.Tensor_Scalar", "logspace.Scalar_Tensor")
def logspace(
    g: TorchBuilder, start: Operand, end: Operand, *, steps: int, base: float = 10.0, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    """Powers of `base` with evenly spaced exponents."""
    exponents = _spaced(g, start, end, g.known(steps, "steps"), None if dtype is None else np.dtype(np.float64))
    return g.cast(g.Pow(g.number(base, exponents.dtype), exponents), dtype or _DEFAULT)


def _spaced(g: TorchBuilder, start: Operand, end: Operand, steps: int, dtype: np.dtype | None) -> Value:
    """`steps` numbers from `start` to `end`: the first half counted from the one, the second half from the other."""
    count = np.arange(g.affordable(steps)[0])
    exact = np.dtype(np.float32 if dtype is None else np.float64)
    low, high = g.number(start, exact), g.number(end, exact)
    width = g.Div(g.Sub(high, low), g.constant(max(steps - 1, 1), exact))
    up = g.Add(low, g.Mul(width, g.constant(count, exact)))
    down = g.Sub(high, g.Mul(width, g.constant(steps - 1 - count, exact)))
    return g.Where(g.constant((count < steps // 2) | (steps == 1)), up, down)


# --------------------------------------------------------------------- matrices


@aten("eye", order="n *")
def eye(g: TorchBuilder, *, n: Size, dtype: np.dtype | None = None) -> Value:
    return eye_of(g, n=n, m=n, dtype=dtype)


@aten("eye.m", order="n m *")
def eye_of(g: TorchBuilder, *, n: Size, m: Size, dtype: np.dtype | None = None) -> Value:
    if isinstance(n, int) and isinstance(m, int):
        return g.constant(np.eye(*g.affordable(n, m), dtype=dtype or _DEFAULT))
    rows, columns = arange(g, end=n), arange(g, end=m)
    return g.cast(g.Equal(g.view(rows, [-1, 1]), columns), dtype or _DEFAULT)


@aten("tril_indices")
def tril_indices(g: TorchBuilder, *, row: int, col: int, offset: int = 0, dtype: np.dtype | None = _INT64) -> Value:
    row, col = g.affordable(row, col)
    return g.constant(np.stack(np.tril_indices(row, offset, col)).astype(dtype or _INT64))


@aten("triu_indices")
def triu_indices(g: TorchBuilder, *, row: int, col: int, offset: int = 0, dtype: np.dtype | None = _INT64) -> Value:
    row, col = g.affordable(row, col)
    return g.constant(np.stack(np.triu_indices(row, offset, col)).astype(dtype or _INT64))


# ---------------------------------------------------------------------- windows


def _window(
    g: TorchBuilder, length: int, periodic: bool, dtype: np.dtype | None, function: Callable[[np.ndarray], np.ndarray]
) -> Value:  # fmt: skip
    """`function` of the places of the window, from 0 to 1; a periodic one leaves out its last place."""
    (length,) = g.affordable(g.known(length, "the length of the window"))
    if length == 1:
        return g.constant(np.ones(1, dtype or _DEFAULT))
    places = np.arange(length) / max(length - (0 if periodic else 1), 1)
    return g.constant(function(places).astype(dtype or _DEFAULT))


def _cosines(*weights: float) -> Callable[[np.ndarray], np.ndarray]:
    """weights[0] - weights[1] cos(2 pi x) + weights[2] cos(4 pi x) - ..."""
    return lambda x: sum(((-1) ** k * a * np.cos(2 * np.pi * k * x) for k, a in enumerate(weights)), np.zeros_like(x))


@aten("hann_window", "hann_window.periodic")
def hann_window(
    g: TorchBuilder, *, window_length: int, periodic: bool = True, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return _window(g, window_length, periodic, dtype, _cosines(0.5, 0.5))


@aten(
    "hamming_window", "hamming_window.periodic", "hamming_window.periodic_alpha", "hamming_window.periodic_alpha_beta"
)  # fmt: skip
def hamming_window(
    g: TorchBuilder, *, window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46,
    dtype: np.dtype | None = None,
) -> Value:  # fmt: skip
    return _window(g, window_length, periodic, dtype, _cosines(alpha, beta))


@aten("blackman_window", "blackman_window.periodic")
def blackman_window(
    g: TorchBuilder, *, window_length: int, periodic: bool = True, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return _window(g, window_length, periodic, dtype, _cosines(0.42, 0.5, 0.08))


@aten("bartlett_window", "bartlett_window.periodic")
def bartlett_window(
    g: TorchBuilder, *, window_length: int, periodic: bool = True, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return _window(g, window_length, periodic, dtype, lambda x: 1 - np.abs(2 * x - 1))


@aten("kaiser_window", "kaiser_window.periodic", "kaiser_window.beta")
def kaiser_window(
    g: TorchBuilder, *, window_length: int, periodic: bool = True, beta: float = 12.0, dtype: np.dtype | None = None
) -> Value:  # fmt: skip
    return _window(
        g, window_length, periodic, dtype, lambda x: np.i0(beta * np.sqrt(1 - (2 * x - 1) ** 2)) / np.i0(beta)
    )
