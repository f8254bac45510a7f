"""Weights of a neural network layer (WeightParams of NeuralNetwork.proto)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.ir.types import text


def numbers(params: Any, origin: Origin) -> np.ndarray:
    """All elements, flat, as float32; half precision is widened, since the layer computes in float32."""
    if params.floatValue:
        return np.array(params.floatValue, np.float32)
    if params.float16Value:
        if len(params.float16Value) % 2:
            raise ConversionError("half-precision weights of an odd number of bytes", origin)
        return np.frombuffer(params.float16Value, np.float16).astype(np.float32)
    if params.rawValue or params.int8RawValue:
        raise UnsupportedError("quantised weights of a neural network", origin)
    return np.zeros(0, np.float32)


def shaped(data: np.ndarray, shape: tuple[int, ...], origin: Origin) -> np.ndarray:
    """`data` with `shape`; ConversionError where the file has another number of elements."""
    if data.size != int(np.prod(shape, dtype=object)):
        raise ConversionError(f"expected weights of {text(shape)}, found {data.size} elements", origin)
    return data.reshape(shape)
