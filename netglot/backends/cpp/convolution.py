"""Convolution and what follows it, by the kernels of runtime/conv.h where these can: images of one or two spatial axes
of float32, and weights known now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from math import inf, prod

import numpy as np

from netglot.backends.cpp import costs, depthwise, packing, winograd
from netglot.backends.cpp.context import CppBuilder, Side, cpp_op, number, steps_of
from netglot.backends.cpp.nest import Ints, Walk, nest, numbers
from netglot.backends.cpp.spatial import Axis, direct_conv, window_axes
from netglot.ir.graph import Node, Value

FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Finish:
    """What is done to each sum: activation(limited(sum + residual)), as netglot.FusedConv says. The bias is apart.

    `residual`: a pointer to what is stored like the output.
    """

    residual: str | None = None
    low: float = -inf
    high: float = inf
    activation: str = ""
    alpha: float = 1.0
    beta: float = 0.0
    approximate: str = "none"

    def operation(self, y: Value) -> str:
        """The activation as an operation of runtime/map.h."""
        if self.activation == "Gelu" and self.approximate == "tanh":
            return "netglot::GeluTanh{}"
        known = {"alpha": self.alpha, "beta": self.beta}
        parameters = [number(known[name], y) for name in _PARAMETERS.get(self.activation, ())]
        return f"netglot::{self.activation}{{{', '.join(parameters)}}}"


_PARAMETERS = {"Elu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "LeakyRelu": ("alpha",), "Swish": ("alpha",)}


@dataclass(frozen=True)
class Layer:
    """A convolution whose weights are known."""

    window: packing.Window
    w: np.ndarray  # [M, C / groups, kernel_height, kernel_width]; float32, float16, or int8 with scales
    bias: np.ndarray | None
    scales: np.ndarray | None = None  # [M]


def is_fast(x: Value | None, w: Value | None, b: Value | None, y: Value) -> bool:
    """Whether runtime/conv.h has this convolution."""
    has_size = x is not None and x.dtype == FLOAT and x.rank in (3, 4) and prod((*x.sizes, *y.sizes)) > 0
    return has_size and w is not None and w.is_constant and (b is None or b.is_constant)


def layout(node: Node) -> Side:
    return Side.LAST if is_fast(node.inputs[0], node.input(1), node.input(2), node.output) else Side.FIRST


@cpp_op("Conv", layout=layout)
def conv(
    m: CppBuilder, x: Value, w: Value, b: Value | None, y: Value, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], w.sizes[2:], strides, pads, dilations, auto_pad)
    if is_fast(x, w, b, y):
        return write_conv(m, layer_of(x, w, b, y, axes, group), Finish(), image(m, x), y)
    return direct_conv(m, x, w, b, m.ref(y), y, axes, group)


@cpp_op("netglot.FusedConv", layout=layout, in_place=(3,))
def fused_conv(
    m: CppBuilder, x: Value, w: Value, b: Value | None, residual: Value | None, y: Value, *, auto_pad: str = "NOTSET",
    kernel_shape: Ints = (), strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int = 1,
    activation: str = "", alpha: float = 1.0, beta: float = 0.0, approximate: str = "none", low: float = -inf,
    high: float = inf,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], w.sizes[2:], strides, pads, dilations, auto_pad)
    finish = Finish(None, low, high, activation, alpha, beta, approximate)
    if is_fast(x, w, b, y):
        finish = replace(finish, residual=None if residual is None else image(m, residual))
        return write_conv(m, layer_of(x, w, b, y, axes, group), finish, image(m, x), y)
    finish = replace(finish, residual=None if residual is None else m.ref(residual))
    sums = m.scratch(y.dtype, prod(y.sizes))  # y may be the residual
    return f"{direct_conv(m, x, w, b, sums, y, axes, group)}\n  {finish_sums(m, sums, finish, y)}"


def layer_of(x: Value, w: Value, b: Value | None, y: Value, axes: Sequence[Axis], group: int) -> Layer:
    """One spatial axis is the width of images of height one."""
    across, down = axes[-1], axes[0] if len(axes) > 1 else Axis(1, 1, 1, 1, 0, 1)
    window = packing.Window(
        x.sizes[0], down.size, across.size, x.sizes[1], down.out, across.out, y.sizes[1], down.kernel, across.kernel,
        down.stride, across.stride, down.pad, across.pad, down.dilation, across.dilation, group,
    )  # fmt: skip
    weights = w.array.reshape(w.sizes[0], w.sizes[1], down.kernel, across.kernel)
    return Layer(window, weights, None if b is None else b.array)


def image(m: CppBuilder, x: Value) -> str:
    """A pointer to an image stored channels-last; a constant one may not be stored so yet."""
    if x.is_constant and x.layout is None:
        return m.table(np.moveaxis(x.array, 1, -1), "image")
    return m.ref(x)


def write_conv(m: CppBuilder, layer: Layer, finish: Finish, x: str, y: Value) -> str:
    """The call of runtime/conv.h. `x` and the residual are pointers to what is stored channels-last."""
    if depthwise.is_depthwise(layer.window):
        return write_depthwise(m, layer, finish, x, y)
    layer = store_as(m, layer)
    # Winograd's transform makes more weights of other ones, of as many values as it is of them: it undoes all coding.
    algorithm = costs.choose(layer.window, exact=m.exact or m.compress or layer.w.dtype != FLOAT)
    if algorithm != "direct":
        return write_winograd(m, layer, costs.OUTPUTS[algorithm], finish, x, y)
    w, groups = packing.merged(layer.w, layer.window.groups)
    window, is_widened = replace(layer.window, groups=groups), w.dtype != FLOAT
    bias = "nullptr" if layer.bias is None else m.table(packing.pack_channels(layer.bias, groups), "bias")
    zeros = m.table(np.zeros(w.shape[1], FLOAT), "zeros") if window.is_padded else "nullptr"
    sizes = packing.scratch_floats(window, is_widened=is_widened), packing.widened_floats(window) * is_widened
    scratch = m.scratch(FLOAT, sum(sizes), per_worker=True) if sum(sizes) else "nullptr"
    weights = stored_weights(m, w, layer.scales, groups)
    return (
        f"netglot::conv({{{numbers(astuple(window))}}},\n      {finish_of(m, finish, bias, y)},\n"
        f"      {x}, {weights}, {zeros}, {{{scratch}, {numbers(sizes)}}}, {m.ref(y)}, "
        f"parallel{after_of(finish, y)});"
    )


def store_as(m: CppBuilder, layer: Layer) -> Layer:
    """The layer with weights of another type; as it is if that can't hold them (exactly, where it is not asked for)."""
    given = packing.to_exact_bytes(layer.w, m.scales) if m.quantize is None else None
    found = packing.to_bytes(layer.w) if m.quantize == "int8" else given
    if found is not None:
        w, scales = found
        return replace(layer, w=w, scales=scales)
    halves = packing.to_halves(layer.w) if m.quantize == "fp16" else None
    halves = packing.to_exact_halves(layer.w) if m.has_halves and not m.quantize else halves
    return layer if halves is None else replace(layer, w=halves)


def stored_weights(m: CppBuilder, w: np.ndarray, scales: np.ndarray | None, groups: int) -> str:
    """Weights of runtime/weights.h."""
    packed = packing.pack(w, groups)
    table = m.table(packed.view(np.uint16) if w.dtype == np.float16 else packed, "weights")
    return table if scales is None else f"{{{table}, {m.table(packing.pack_channels(scales, groups), 'scales')}}}"


def write_depthwise(m: CppBuilder, layer: Layer, finish: Finish, x: str, y: Value) -> str:
    """The call of runtime/depthwise.h, and then the activation."""
    bias = "nullptr" if layer.bias is None else m.table(packing.pack_channels(layer.bias), "bias")
    text = depthwise.lower(m, layer.window, layer.w, finish_of(m, finish, bias, y), x, y)
    return f"{text}{activate(m, finish, y)}"


def write_winograd(m: CppBuilder, layer: Layer, output: winograd.Output, finish: Finish, x: str, y: Value) -> str:
    """The call of runtime/winograd.h, in tiles of `output` x `output`."""
    bias = "nullptr" if layer.bias is None else m.table(packing.pack_channels(layer.bias), "bias")
    scratch = m.scratch(FLOAT, winograd.winograd_floats(layer.window, output), per_worker=True)
    weights = m.table(winograd.pack_winograd(layer.w, output), "weights")
    return (
        f"netglot::conv_winograd<{output}>({{{numbers(astuple(layer.window))}}},\n"
        f"      {finish_of(m, finish, bias, y)},\n"
        f"      {x}, {weights}, {m.ref(y)}, {scratch}, parallel{after_of(finish, y)});"
    )


def after_of(finish: Finish, y: Value) -> str:
    """The activation as the last argument of a kernel that applies it to what it has just written."""
    return f", netglot::after({finish.operation(y)})" if finish.activation else ""


def finish_of(m: CppBuilder, finish: Finish, bias: str, y: Value) -> str:
    """A Finish of runtime/shapes.h."""
    residual = "nullptr" if finish.residual is None else finish.residual
    return f"{{{bias}, {residual}, {number(finish.low, y)}, {number(finish.high, y)}}}"


def finish_sums(m: CppBuilder, sums: str, finish: Finish, y: Value) -> str:
    """For kernels that only sum: what follows, from `sums` into `y`. Both are stored alike."""
    kind, limited = m.kind(y), "a"
    walks = [m.write(y), Walk(f"{kind} a", sums, steps_of(y))]
    if finish.residual is not None:
        walks.append(Walk(f"{kind} b", finish.residual, steps_of(y)))
        limited = "a + b"
    if finish.low > -inf:
        limited = f"netglot::maximum<{kind}>({limited}, {number(finish.low, y)})"
    if finish.high < inf:
        limited = f"netglot::minimum<{kind}>({limited}, {number(finish.high, y)})"
    return nest(y.sizes, walks, f"y = {limited};") + activate(m, finish, y)


def activate(m: CppBuilder, finish: Finish, y: Value) -> str:
    """The activation, if there is one, as a statement that follows."""
    if not finish.activation:
        return ""
    name = m.ref(y)
    return f"\n  netglot::map(parallel, {name}, {name}, {prod(y.sizes)}, {finish.operation(y)});"
