"""Layers on 8-bit integers, by the kernels of runtime/quantized*.h, and the way from floats to them and back.

Weights are packed at conversion as the kernels read them. What the zero point of x adds to a sum depends on the weights
alone, so it is taken off the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, Side, cpp_op, steps_of
from netglot.backends.cpp.literals import literal
from netglot.backends.cpp.nest import Ints, nest, numbers
from netglot.backends.cpp.spatial import Axis, window_axes
from netglot.backends.lowering import NotMappedError
from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.integer import HIGH, LOW
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN
from netglot.passes.layout import Ends

PANEL = 16  # simd.h: panel
BLOCK = 64  # quantized_bytes.h: byte_block_channels
_MOST_ROWS = 14 * 8  # quantized_conv.h: most_tile_rows * most_block_tiles
_POINTER = 8  # bytes, at most

FLOAT = np.dtype(np.float32)


# ------------------------------------------------------------- what there are kernels for


def expand_slow(graph: Graph) -> bool:
    """Replaces the layers on integers that there is no kernel for by what they stand for in floats."""
    slow = [node for node in graph.nodes() if node.domain == DOMAIN and not _KERNELS.get(node.op, _any)(node)]
    return any([_expand(graph, node) for node in slow])


def _expand(graph: Graph, node: Node) -> bool:
    g = Builder(graph)
    with g.at(node.origin):
        new = OPERATORS[node.op].expand(g, *node.inputs, **node.attributes)
    graph.replace_uses(node.output, new)
    graph.remove_node(node)
    return True


def _any(node: Node) -> bool:
    return True


def _is_image(node: Node) -> bool:
    x = node.inputs[0]
    return x is not None and not x.is_constant and x.rank in (3, 4)


def _conv_has_kernel(node: Node) -> bool:
    w = node.input(3)
    return _is_image(node) and w is not None and w.is_constant


def _product_has_kernel(node: Node) -> bool:
    b = node.input(3)
    return b is not None and b.is_constant and b.rank == 2


def _mean_has_kernel(node: Node) -> bool:
    x = node.inputs[0]
    return x is not None and not x.is_constant and _extents(x, node.attributes["axes"], _mean_order(node)) is not None


_KERNELS: dict[str, Callable[[Node], bool]] = {
    "IntegerConv": _conv_has_kernel,
    "IntegerMatMul": _product_has_kernel,
    "IntegerAveragePool": _is_image,
    "IntegerMean": _mean_has_kernel,
}


# ------------------------------------------------------------------------------ constants


def _one(parameter: Value | None) -> np.ndarray:
    """A scale or zero point of one element; a zero point that is left out is zero."""
    return np.zeros((), np.int8) if parameter is None else parameter.array.reshape(())


def _real(value: float | np.ndarray) -> str:
    return literal(np.float32(value), FLOAT)


def _range(y: Value, zero: int, low: int = LOW, high: int = HIGH) -> tuple[str, str, str]:
    """The limits of y less its zero point, and that."""
    assert y.dtype is not None
    kind = np.iinfo(y.dtype)
    low, high = max(low, int(kind.min)), min(max(high, int(kind.min)), int(kind.max))
    return _real(low - zero), _real(high - zero), str(zero)


def _limits(y: Value, y_zero: Value | None, low: int = LOW, high: int = HIGH) -> str:
    return f"{{{', '.join(_range(y, int(_one(y_zero)), low, high))}}}"


# ------------------------------------------------------------------------ convolutions


@cpp_op("netglot.IntegerConv", layout=Side.LAST)
def integer_conv(
    m: CppBuilder, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value,
    y_scale: Value | None, y_zero: Value | None, bias: Value | None, y: Value, *, auto_pad: str = "NOTSET",
    kernel_shape: Ints = (), strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int = 1, low: int = LOW,
    high: int = HIGH,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], w.sizes[2:], strides, pads, dilations, auto_pad)
    window = (*_window(x, y, axes), group)
    weights = w.array.astype(np.int16) - w_zero.array.astype(np.int16).reshape(-1, *[1] * (w.rank - 1))
    factor = _factor(x_scale, w_scale, y_scale, w.sizes[0])
    steps = np.zeros(w.sizes[0], np.int64) if bias is None else bias.array.astype(np.int64)
    biases = _biases(weights, steps, x_zero)
    limits = _range(y, int(_one(y_zero)), low, high) if y.dtype != FLOAT else ("0", "0", "0")
    call = _depthwise if _is_depthwise(x, weights, y, group) else _dense
    return call(m, x, weights.reshape(*w.sizes[:2], *_height_width(axes)), biases, factor, limits, x_zero, y, window)


@cpp_op("netglot.IntegerMatMul")
def integer_matmul(
    m: CppBuilder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value,
    y_scale: Value | None, y_zero: Value | None, bias: Value | None, y: Value, *, low: int = LOW, high: int = HIGH,
) -> str:  # fmt: skip
    """A convolution of one row of pixels: each is a row of `a`."""
    depth, columns = b.sizes
    rows = prod(a.sizes) // max(1, depth)
    weights = (b.array.astype(np.int16) - b_zero.array.astype(np.int16)).T[:, :, None, None]
    factor = _factor(a_scale, b_scale, y_scale, columns)
    steps = np.zeros(columns, np.int64) if bias is None else bias.array.astype(np.int64)
    limits = _range(y, int(_one(y_zero)), low, high) if y.dtype != FLOAT else ("0", "0", "0")
    window = (1, 1, rows, depth, 1, rows, columns, 1, 1, 1, 1, 0, 0, 1, 1, 1)
    return _dense(m, a, weights, _biases(weights, steps, a_zero), factor, limits, a_zero, y, window)


def _is_depthwise(x: Value, weights: np.ndarray, y: Value, group: int) -> bool:
    return group == x.sizes[1] == y.sizes[1] and y.dtype != FLOAT and not _is_wide(weights)


def _is_wide(weights: np.ndarray) -> bool:
    """Whether weights less their zero point need more than 8 bits."""
    return bool(weights.min(initial=0) < -128 or weights.max(initial=0) > 127)


def _height_width(axes: Sequence[Axis]) -> Ints:
    return (axes[0].kernel if len(axes) > 1 else 1, axes[-1].kernel)


def _window(x: Value, y: Value, axes: Sequence[Axis]) -> Ints:
    """The numbers of runtime/shapes.h but the groups. One spatial axis is the width of images of height one."""
    down, across = axes if len(axes) > 1 else (Axis(1, 1, 1, 1, 0, 1), axes[0])
    return (
        x.sizes[0], down.size, across.size, x.sizes[1], down.out, across.out, y.sizes[1], down.kernel, across.kernel,
        down.stride, across.stride, down.pad, across.pad, down.dilation, across.dilation,
    )  # fmt: skip


def _factor(x_scale: Value, w_scale: Value, y_scale: Value | None, channels: int) -> np.ndarray:
    """What sums are multiplied by, float32 for each output channel: computed as ONNX Runtime does."""
    scale = x_scale.array.reshape(()) * w_scale.array.reshape(-1)
    factor = scale if y_scale is None else scale / y_scale.array.reshape(())
    return np.broadcast_to(factor.astype(np.float32), (channels,))


def _biases(weights: np.ndarray, bias: np.ndarray, x_zero: Value) -> np.ndarray:
    """int32 [2, M], less what the zero point of x adds: for bytes read as uint8, and as int8."""
    zero, sums = int(_one(x_zero)), weights.reshape(weights.shape[0], -1).sum(1, dtype=np.int64)
    unsigned = zero + 128 if x_zero.dtype == np.int8 else zero
    both = np.stack([bias - sums * seen for seen in (unsigned, unsigned - 128)])
    return both.astype(np.uint64).astype(np.uint32).view(np.int32)  # sums are modulo 2^32, too


def _dense(
    m: CppBuilder, x: Value, w: np.ndarray, biases: np.ndarray, factor: np.ndarray, limits: Sequence[str],
    x_zero: Value, y: Value, window: Ints,
) -> str:  # fmt: skip
    channels, groups = window[3], window[-1]
    packed = pack(w, groups)
    bias, scale = m.table(_padded(biases, groups), "bias"), m.table(_padded(factor, groups), "scale")
    size = _scratch(w.shape[2] * w.shape[3], channels, groups)
    scratch = m.scratch(np.dtype(np.uint8), size, per_worker=True)
    return (
        f"netglot::quantized_conv(parallel, run.has_dot_products, {m.ref(x)}, {m.table(packed, 'weights')},\n"
        f"      {packed.shape[2]}, {m.ref(y)}, {{{numbers(window)}}},\n"
        f"      {{{bias}, {scale}, {', '.join(limits)}}}, {int(_one(x_zero))}, {scratch});"
    )


def pack(w: np.ndarray, groups: int) -> np.ndarray:
    """Weights [M, C / groups, kernel_height, kernel_width] as int8 [groups, panels, passes, depth / 4, 16, 4].

    Depth is [kernel_height, kernel_width, C / groups], filled up with zeros. Two passes, whose sum the weights are,
    where they need more than 8 bits.
    """
    low = np.clip(w, -128, 127)
    passes = np.stack([low, w - low] if _is_wide(w) else [low]).astype(np.int8)
    count, channels = len(passes), w.shape[0] // groups
    flat = passes.transpose(0, 1, 3, 4, 2).reshape(count, groups, channels, -1)
    filled = np.pad(flat, [(0, 0), (0, 0), (0, -channels % PANEL), (0, -flat.shape[-1] % 4)])
    split = filled.reshape(count, groups, -1, PANEL, filled.shape[-1] // 4, 4)
    return np.ascontiguousarray(split.transpose(1, 2, 0, 4, 3, 5))


def _padded(values: np.ndarray, groups: int) -> np.ndarray:
    """Numbers for each output channel [..., M] as [..., groups, whole panels]."""
    channels = values.shape[-1] // groups
    split = values.reshape(*values.shape[:-1], groups, channels)
    return np.pad(split, [*[(0, 0)] * (split.ndim - 1), (0, -channels % PANEL)])


def _lines(size: int) -> int:
    return -(-size // 64) * 64


def _scratch(taps: int, channels: int, groups: int) -> int:
    """Bytes of byte_conv_scratch() in runtime/quantized_conv.h."""
    depth = channels // groups
    if depth % 4:
        return _lines(_MOST_ROWS * (-(-taps * depth // 4) * 4))
    return _lines(channels) + _lines(_MOST_ROWS * taps * _POINTER)


def _depthwise(
    m: CppBuilder, x: Value, w: np.ndarray, biases: np.ndarray, factor: np.ndarray, limits: Sequence[str],
    x_zero: Value, y: Value, window: Ints,
) -> str:  # fmt: skip
    packed = pack_depthwise(w)
    bias, scale = m.table(_interleaved(biases), "bias"), m.table(_interleaved(factor), "scale")
    size = packed.shape[0] * BLOCK + _lines(packed.shape[1] * 4 * _POINTER)
    scratch = m.scratch(np.dtype(np.uint8), size, per_worker=True)
    return (
        f"netglot::quantized_depthwise(parallel, run.has_dot_products, {m.ref(x)}, {m.table(packed, 'weights')},\n"
        f"      {m.ref(y)}, {{{numbers(window)}}},\n"
        f"      {{{bias}, {scale}, {', '.join(limits)}}}, {int(_one(x_zero))}, {scratch});"
    )


def pack_depthwise(w: np.ndarray) -> np.ndarray:
    """Weights [C, 1, kernel_height, kernel_width] as int8 [blocks, groups of four taps, 64 channels, 4 taps].

    The channels of a block are in the order of _interleaved. Taps are one after the other, but 3 x 3 ones by columns,
    with a zero after each.
    """
    is_columns = w.shape[2:] == (3, 3)
    taps = np.pad(w[:, 0].transpose(0, 2, 1), [(0, 0), (0, 0), (0, 1)]) if is_columns else w[:, 0]
    flat = taps.reshape(w.shape[0], -1).astype(np.int8)
    quads = np.pad(flat, [(0, 0), (0, -flat.shape[1] % 4)]).reshape(w.shape[0], -1, 4)
    channels = _interleaved(quads.transpose(1, 2, 0))
    return np.ascontiguousarray(channels.reshape(*channels.shape[:2], -1, BLOCK).transpose(2, 0, 3, 1))


def _interleaved(values: np.ndarray) -> np.ndarray:
    """Numbers for each channel [..., C] as [..., whole blocks], in the order of interleaved() in quantized_bytes.h."""
    lead = values.shape[:-1]
    filled = np.pad(values, [*[(0, 0)] * len(lead), (0, -values.shape[-1] % BLOCK)])
    split = filled.reshape(*lead, -1, 4, 4, 4)  # block, 16 bytes, quarter of them, byte
    return np.ascontiguousarray(np.swapaxes(split, -3, -2)).reshape(*lead, -1)


# ------------------------------------------------------------------------------ pools


@cpp_op("netglot.IntegerAveragePool", layout=Side.LAST)
def integer_average_pool(
    m: CppBuilder, x: Value, x_scale: Value, x_zero: Value, y_scale: Value, y_zero: Value, y: Value, *,
    kernel_shape: Ints, auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0, dilations: Ints = (),
    pads: Ints = (), strides: Ints = (), low: int = LOW, high: int = HIGH,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], kernel_shape, strides, pads, dilations, auto_pad)
    ends = (1 if len(axes) < 2 else axes[0].size + axes[0].end, axes[-1].size + axes[-1].end)
    scale = _one(x_scale) / _one(y_scale)
    return _average(
        m, x, y, (*_window(x, y, axes), 1), ends, count_include_pad, scale, x_zero, _limits(y, y_zero, low, high)
    )


def _average(
    m: CppBuilder, x: Value, y: Value, window: Ints, ends: Ints, counts_padding: int, scale: float, x_zero: Value,
    limits: str,
) -> str:  # fmt: skip
    return (
        f"netglot::quantized_average<{m.kind(x)}, {m.kind(y)}>(parallel, {{{m.ref(x)}, {m.ref(y)},\n"
        f"      {{{numbers(window)}}}, {numbers(ends)}, {str(bool(counts_padding)).lower()}, {_real(scale)},\n"
        f"      {int(_one(x_zero))}, {limits}}});"
    )


def _mean_order(node: Node) -> Ints:
    """The axes of x as a mean over all pixels wants them stored, or as the IR has them."""
    x = node.inputs[0]
    assert x is not None
    order = tuple(range(x.rank))
    return (0, *order[2:], 1) if _is_over_pixels(node) else order


def _is_over_pixels(node: Node) -> bool:
    x = node.inputs[0]
    return x is not None and x.rank >= 3 and sorted(node.attributes["axes"]) == list(range(2, x.rank))


def _mean_layout(node: Node) -> Ends:
    if not _is_over_pixels(node):
        return Side.FIRST
    return Side.LAST if node.attributes.get("keepdims", 1) else (Side.LAST, Side.FIRST)


def _extents(x: Value, axes: Ints, order: Ints) -> Ints | None:
    """Elements before, of and after the axes in memory; None if others are between them."""
    places = [i for i, axis in enumerate(order) if axis in axes]
    between = [i for i in range(min(places), max(places)) if i not in places and x.sizes[order[i]] != 1]
    if between:
        return None
    sizes = [x.sizes[axis] for axis in order]
    first, last = min(places), max(places) + 1
    return prod(sizes[:first]), prod(sizes[first:last]), prod(sizes[last:])


@cpp_op("netglot.IntegerMean", layout=_mean_layout)
def integer_mean(
    m: CppBuilder, x: Value, x_scale: Value, x_zero: Value, y_scale: Value, y_zero: Value, y: Value, *, axes: Ints,
    keepdims: int = 1, low: int = LOW, high: int = HIGH,
) -> str:  # fmt: skip
    """The average of a window that is as large as a row."""
    extents = _extents(x, axes, x.layout or tuple(range(x.rank)))
    if extents is None:
        raise NotMappedError(f"a mean over the axes {axes} of {x.layout}")
    before, size, after = extents
    window = (before, 1, size, after, 1, 1, after, 1, size, 1, 1, 0, 0, 1, 1, 1)
    return _average(m, x, y, window, (1, size), 0, _one(x_scale) / _one(y_scale), x_zero, _limits(y, y_zero, low, high))


def max_pool(m: CppBuilder, x: Value, y: Value, axes: Sequence[Axis]) -> str:
    """MaxPool of 8-bit images with one or two spatial axes that are stored channels-last."""
    return f"netglot::quantized_max(parallel, {m.ref(x)}, {m.ref(y)}, {{{numbers((*_window(x, y, axes), 1))}}});"


# ------------------------------------------------------------------------- elementwise


def _free(node: Node) -> Side:
    """Constants have no place in the choice of layouts."""
    return Side.FREE if not any(x is not None and x.is_constant and x.rank > 2 for x in node.inputs) else Side.FIRST


@cpp_op("netglot.IntegerAdd", layout=_free, in_place=True)
def integer_add(
    m: CppBuilder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value, y_scale: Value,
    y_zero: Value, y: Value, *, low: int = LOW, high: int = HIGH,
) -> str:  # fmt: skip
    scales = [np.float64(_one(scale)) / np.float64(_one(y_scale)) for scale in (a_scale, b_scale)]
    zeros, limits = [int(_one(zero)) for zero in (a_zero, b_zero)], _limits(y, y_zero, low, high)
    if _alike(a, b, y):
        return _binary(m, "add", a, b, y, scales, zeros, limits)
    terms = [f"float({name} - {zero}) * {_real(s)}" for name, zero, s in zip("ab", zeros, scales, strict=True)]
    return _broadcast(m, a, b, y, " + ".join(terms), limits)


@cpp_op("netglot.IntegerMul", layout=_free, in_place=True)
def integer_mul(
    m: CppBuilder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value, y_scale: Value,
    y_zero: Value, y: Value, *, low: int = LOW, high: int = HIGH,
) -> str:  # fmt: skip
    scale = _one(a_scale) * _one(b_scale) / _one(y_scale)
    zeros, limits = [int(_one(zero)) for zero in (a_zero, b_zero)], _limits(y, y_zero, low, high)
    if _alike(a, b, y):
        return _binary(m, "multiply", a, b, y, [scale, 1.0], zeros, limits)
    return _broadcast(m, a, b, y, f"float((a - {zeros[0]}) * (b - {zeros[1]})) * {_real(scale)}", limits)


def _alike(a: Value, b: Value, y: Value) -> bool:
    """Whether the elements of the three lie in the same order."""
    return a.sizes == b.sizes == y.sizes and steps_of(a) == steps_of(b) == steps_of(y)


def _binary(
    m: CppBuilder, name: str, a: Value, b: Value, y: Value, scales: Sequence[float], zeros: Sequence[int], limits: str
) -> str:
    first, second = (f"{{{_real(scale)}, {zero}}}" for scale, zero in zip(scales, zeros, strict=True))
    return (
        f"netglot::quantized_{name}(parallel, {m.ref(a)}, {first}, {m.ref(b)}, {second}, {m.ref(y)},\n"
        f"      {prod(y.sizes)}, {limits});"
    )


def _broadcast(m: CppBuilder, a: Value, b: Value, y: Value, expression: str, limits: str) -> str:
    walks = [m.write(y), m.read(a, "a", y.sizes), m.read(b, "b", y.sizes)]
    return nest(y.sizes, walks, f"y = netglot::quantized_one<{m.kind(y)}>({expression}, {limits});")


@cpp_op("netglot.Lookup8", layout=_free)
def lookup8(m: CppBuilder, x: Value, table: Value, y: Value) -> str:
    return f"netglot::lookup(parallel, {m.ref(x)}, {m.ref(table)}, {m.ref(y)}, {prod(y.sizes)});"


# ------------------------------------------------------------------ from floats and back


@cpp_op("QuantizeLinear", layout=_free)
def quantize_linear(
    m: CppBuilder, x: Value, scale: Value, zero: Value | None, y: Value, *, axis: int, block_size: int,
    output_dtype: int, precision: int, saturate: int,
) -> str:  # fmt: skip
    """One scale for all; others are composed of floats."""
    what = f"{prod(y.sizes)}, {_real(_one(scale))}, {{{', '.join(_range(y, int(_one(zero))))}}}"
    return f"netglot::quantize(parallel, {m.ref(x)}, {m.ref(y)}, {what});"


@cpp_op("DequantizeLinear", layout=_free)
def dequantize_linear(
    m: CppBuilder, x: Value, scale: Value, zero: Value | None, y: Value, *, axis: int, block_size: int,
    output_dtype: int,
) -> str:  # fmt: skip
    """One scale for all; others are composed of floats."""
    what = f"{prod(y.sizes)}, {{{_real(_one(scale))}, {int(_one(zero))}}}"
    return f"netglot::dequantize(parallel, {m.ref(x)}, {m.ref(y)}, {what});"
