"""Layers with what follows them, so that a kernel does it while the sums are in registers.

Both end alike, in this order: y = activation(limited(sum + bias + residual)), where limited(t) = min(max(t, low), high)
keeps NaN, and `activation` is the name of an ONNX operator with one input ("" for none; see ACTIVATIONS), whose
attributes are `alpha`, `beta` and `approximate`, as far as it has them. That is what occurs: Conv, Add, Relu in ResNet;
Conv, Add in MobileNetV2; Conv, HardSwish or Swish in MobileNetV3, EfficientNet and YOLO; MatMul, Add, Gelu in ViT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.ir.extension.reference import compute, given
from netglot.ir.graph import Value
from netglot.ir.schema import Result, infer

if TYPE_CHECKING:
    from netglot.ir.builder import Builder

# The activations that can follow, and which of their attributes are carried along.
ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "Elu": ("alpha",),
    "Gelu": ("approximate",),
    "HardSigmoid": ("alpha", "beta"),
    "HardSwish": (),
    "LeakyRelu": ("alpha",),
    "Mish": (),
    "Sigmoid": (),
    "Softplus": (),
    "Swish": ("alpha",),
    "Tanh": (),
}

WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")  # attributes of Conv


class FusedConv:
    """activation(limited(Conv(x, w, b) + residual)); see the module's docstring for the order.

    x: float [N, C, spatial...]; w: [M, C / group, kernel...]; b: [M]; residual: of the shape of the output, never
    broadcast. Conv's attributes mean what they mean there (Conv-22 of ONNX).
    """

    outputs = ("y",)

    @staticmethod
    def run(
        x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, residual: np.ndarray | None = None, *,
        auto_pad: str = "NOTSET", dilations: tuple[int, ...] | None = None, group: int = 1,
        kernel_shape: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None, activation: str = "", alpha: float = 1.0, beta: float = 0.0,
        approximate: str = "none", low: float = -inf, high: float = inf,
    ) -> np.ndarray:  # fmt: skip
        y = compute(
            "Conv", x, w, b, auto_pad=auto_pad, dilations=dilations, group=group, kernel_shape=kernel_shape, pads=pads,
            strides=strides,
        )  # fmt: skip
        return _finished(y, residual, activation, alpha, beta, approximate, low, high)

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        return infer("Conv", "", _window(attributes), inputs[:3], 1)

    @staticmethod
    def expand(
        g: Builder, x: Value, w: Value, b: Value | None = None, residual: Value | None = None, **attributes: Any
    ) -> Value:
        return _finish(g, g.Conv(x, w, b, **_window(attributes)), residual, **_after(attributes))


class FusedMatMul:
    """activation(limited(a b + bias + residual)); see the module's docstring for the order.

    a: float [..., M, K]; b: [K, N]; bias: [N]; residual: of the shape of the output, never broadcast.
    """

    outputs = ("y",)

    @staticmethod
    def run(
        a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None, residual: np.ndarray | None = None, *,
        activation: str = "", alpha: float = 1.0, beta: float = 0.0, approximate: str = "none", low: float = -inf,
        high: float = inf,
    ) -> np.ndarray:  # fmt: skip
        y = np.matmul(a, b)
        y = y if bias is None else y + bias
        return _finished(y, residual, activation, alpha, beta, approximate, low, high)

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        return infer("MatMul", "", {}, inputs[:2], 1)

    @staticmethod
    def expand(
        g: Builder, a: Value, b: Value, bias: Value | None = None, residual: Value | None = None, **attributes: Any
    ) -> Value:
        y = g.MatMul(a, b)
        return _finish(g, y if bias is None else g.Add(y, bias), residual, **_after(attributes))


def _window(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name in WINDOW}


def _after(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in WINDOW}


def _finished(
    y: np.ndarray, residual: np.ndarray | None, activation: str, alpha: float, beta: float, approximate: str,
    low: float, high: float,
) -> np.ndarray:  # fmt: skip
    y = y if residual is None else y + residual
    y = np.minimum(np.maximum(y, y.dtype.type(low)), y.dtype.type(high))
    return compute(activation, y, **_of(activation, alpha, beta, approximate)) if activation else y


def _finish(
    g: Builder, y: Value, residual: Value | None, *, activation: str = "", alpha: float = 1.0, beta: float = 0.0,
    approximate: str = "none", low: float = -inf, high: float = inf,
) -> Value:  # fmt: skip
    y = y if residual is None else g.Add(y, residual)
    if (low, high) != (-inf, inf):
        y = g.Clip(y, *(None if abs(limit) == inf else g.constant(limit, y.dtype) for limit in (low, high)))
    return g.op(activation, [y], **_of(activation, alpha, beta, approximate)) if activation else y


def _of(activation: str, alpha: float, beta: float, approximate: str) -> dict[str, Any]:
    """The attributes that this activation has."""
    known = {"alpha": alpha, "beta": beta, "approximate": approximate}
    return given({name: known[name] for name in ACTIVATIONS[activation]})
