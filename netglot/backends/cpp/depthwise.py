"""Depthwise convolution, in which each channel has windows of its own, by runtime/depthwise.h."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from netglot.backends.cpp import packing
from netglot.backends.cpp.context import CppBuilder
from netglot.backends.cpp.nest import numbers
from netglot.ir.graph import Value


def is_depthwise(window: packing.Window) -> bool:
    """Whether each channel of x has one or several outputs of its own (an image of one channel is no such case)."""
    return window.groups == window.channels > 1


def pack(w: np.ndarray) -> np.ndarray:
    """Weights [M, 1, kernel_height, kernel_width] as [kernel_height * kernel_width, M in whole panels]."""
    channels, taps = w.shape[0], w[0].size
    packed = np.zeros((taps, -(-channels // packing.PANEL) * packing.PANEL), w.dtype)
    packed[:, :channels] = w.reshape(channels, taps).T
    return packed


def lower(m: CppBuilder, window: packing.Window, w: np.ndarray, finish: str, x: str, y: Value) -> str:
    """The call of the kernel. w: [M, 1, kernel_height, kernel_width]; finish: a Finish of runtime/shapes.h, its bias in
    whole panels; x: a pointer to what is stored channels-last, as y is."""
    weights = m.table(pack(w), "weights")
    return (
        f"netglot::depthwise({{{numbers(astuple(window))}}},\n      {finish},\n"
        f"      {x}, {weights}, {m.ref(y)}, parallel);"
    )
