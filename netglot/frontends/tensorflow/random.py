"""Random numbers: ONNX's, whose generator is another one than TensorFlow's. The results can't be the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.kernels import scalar
from netglot.ir.graph import Value
from netglot.ir.types import to_onnx


@tf_op("RandomUniform")
def random_uniform(g: TFBuilder, shape: Value, *, dtype: Any, seed: int = 0, seed2: int = 0) -> Value:
    """In [0, 1)."""
    return _random(g, "RandomUniform", shape, dtype)


@tf_op("RandomStandardNormal")
def random_normal(g: TFBuilder, shape: Value, *, dtype: Any, seed: int = 0, seed2: int = 0) -> Value:
    return _random(g, "RandomNormal", shape, dtype)


@tf_op("RandomUniformInt")
def random_uniform_int(
    g: TFBuilder, shape: Value, minval: Value, maxval: Value, *, seed: int = 0, seed2: int = 0
) -> Value:
    """In [minval, maxval)."""
    low, high = (g.cast(limit, np.float64) for limit in (minval, maxval))
    drawn = g.Floor(g.Mul(_random(g, "RandomUniform", shape, np.dtype(np.float64)), g.Sub(high, low)))
    return g.cast(g.Add(drawn, low), minval.dtype)


@tf_op("Multinomial")
def multinomial(
    g: TFBuilder, logits: Value, num_samples: Value, *, seed: int = 0, seed2: int = 0, output_dtype: Any = np.int64
) -> Value:
    """Classes drawn for each row of logits."""
    _warn(g)
    count = g.ints(num_samples, "the number of samples")[0]
    return g.cast(g.Multinomial(g.cast(logits, np.float32), sample_size=count, dtype=to_onnx(np.dtype(np.int32))),
                  output_dtype)  # fmt: skip


@tf_op("RandomShuffle")
def random_shuffle(g: TFBuilder, x: Value, *, seed: int = 0, seed2: int = 0) -> Value:
    """The rows in the order of random numbers."""
    count = g.Shape(x, start=0, end=1)
    _, order = g.op("TopK", [_random(g, "RandomUniform", count, np.dtype(np.float32)), count], outputs=2, axis=0)
    return g.Gather(x, order, axis=0)


def _random(g: TFBuilder, onnx: str, shape: Value, dtype: np.dtype) -> Value:
    """Drawn as `dtype`; half precision is drawn as float32."""
    _warn(g)
    drawn = to_onnx(np.dtype(np.float64 if dtype == np.float64 else np.float32))
    if shape.is_constant:
        return g.cast(g.plain(onnx, shape=tuple(g.affordable(*g.ints(shape, "the shape"))), dtype=drawn), dtype)
    like = g.Expand(scalar(g, 0, g.constant(0, np.float32)), g.cast(shape, np.int64))
    return g.cast(g.plain(f"{onnx}Like", like, dtype=drawn), dtype)


def _warn(g: TFBuilder) -> None:
    g.warn(f"{g.op_name} draws random numbers: they differ from TensorFlow's, whatever the seed")
