"""Keras 2's locally connected layers: convolutions with filters of their own at every place."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.timesteps import known_sizes
from netglot.frontends.keras.windows import Ints, Sizes, Window, window
from netglot.ir.graph import Value
from netglot.ir.types import text


@keras_layer("LocallyConnected1D", "LocallyConnected2D", mask="drop")
def locally_connected(
    g: KerasBuilder, x: Value, *, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, activation: Any = None, use_bias: bool = True, implementation: int = 1,
) -> Value:  # fmt: skip
    """Every window as a row, multiplied by the matrix of its place (tf_keras/src/layers/locally_connected).

    Only the default implementation: the others store a kernel that is mostly zeros.
    """
    if implementation != 1 or padding != "valid" or (data_format or g.data_format) != "channels_last":
        raise g.unsupported("an implementation other than 1, padding other than 'valid', or channels first")
    over, sizes = window(g, x, kernel_size, strides), known_sizes(g, x, 1)
    outputs = tuple((n - k) // s + 1 for n, k, s in zip(sizes, over.kernel, over.strides, strict=False))
    if min(outputs) < 1:
        raise ConversionError(f"{g.type}: the kernel {over.kernel} is larger than the input {text(x.shape)}", g.origin)
    g.affordable(*outputs, *over.kernel)
    taps = prod(over.kernel) * sizes[-1]
    kernel = g.weight(prod(outputs), taps, filters, name="kernel")
    bias = g.weight(*outputs, filters, name="bias") if use_bias else None
    flat = g.Reshape(x, [0, prod(sizes[:-1]), sizes[-1]])
    rows = g.Reshape(g.Gather(flat, _places(sizes[:-1], over, outputs), axis=1), [0, prod(outputs), taps])
    products = g.MatMul(g.Transpose(rows, perm=[1, 0, 2]), kernel)
    y = g.Reshape(g.Transpose(products, perm=[1, 0, 2]), [0, *outputs, filters])
    return g.activate(y if bias is None else g.Add(y, bias), activation)


def _places(sizes: Ints, over: Window, outputs: Ints) -> np.ndarray:
    """Where in the flattened image each element of each window is, window after window."""
    axes = zip(outputs, over.strides, over.kernel, strict=True)
    each = [np.add.outer(np.arange(out) * stride, np.arange(k)) for out, stride, k in axes]
    if len(each) == 1:
        return each[0].ravel()
    rows, columns = each
    return (rows[:, None, :, None] * sizes[1] + columns[None, :, None, :]).ravel()
