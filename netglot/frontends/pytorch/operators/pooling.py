"""Pooling. Semantics: ATen/native/Pool.h, AdaptiveAveragePooling.cpp, AdaptiveMaxPooling2d.cpp, MaxUnpooling.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import BFLOAT16, kernel
from netglot.frontends.pytorch.operators.spatial import (
    Ints,
    batched,
    sizes_of,
    spatial_rank,
    spread,
    static_sizes,
    unbatched,
)
from netglot.ir.graph import Value

# --------------------------------------------------------------------------------------------------------- maximum


@aten("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    g: TorchBuilder, x: Value, *, kernel_size: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] | int = 0, dilation: Sequence[int] | int = 1, ceil_mode: bool = False,
) -> Value:  # fmt: skip
    windows = _Windows(g, kernel_size, stride, padding, dilation, ceil_mode)
    x, added = batched(g, x, windows.rank)
    return unbatched(g, windows.largest(x), added)


@aten("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def max_pool_with_indices(
    g: TorchBuilder, x: Value, *, kernel_size: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] | int = 0, dilation: Sequence[int] | int = 1, ceil_mode: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """Also where in its plane each maximum lies. Nobody may read that: so it is a node of its own."""
    windows = _Windows(g, kernel_size, stride, padding, dilation, ceil_mode)
    x, added = batched(g, x, windows.rank)
    return unbatched(g, windows.largest(x), added), unbatched(g, windows.places(x), added)


class _Windows:
    """The windows of a pooling: what ONNX's operators take, by axis."""

    def __init__(
        self, g: TorchBuilder, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int] | int,
        dilation: Sequence[int] | int, ceil_mode: bool,
    ) -> None:  # fmt: skip
        self.g = g
        self.rank = spatial_rank(g)
        self.kernel = spread(kernel_size, self.rank, g, "kernel_size")
        self.strides = spread(stride, self.rank, g, "stride") if stride else self.kernel
        self.pads = spread(padding, self.rank, g, "padding")
        self.dilations = spread(dilation, self.rank, g, "dilation")
        self.ceil_mode = ceil_mode

    def largest(self, x: Value) -> Value:
        y: Value = self.pool("MaxPool", self.exact(x), dilations=self.dilations)
        return self.g.cast(y, x.dtype)

    def places(self, x: Value) -> Value:
        """ONNX counts through the whole tensor, torch through each plane."""
        _, places = self.pool("MaxPool", self.exact(x), outputs=2, dilations=self.dilations)
        return self.g.Mod(places, _plane(self.g, x))

    def exact(self, x: Value) -> Value:
        """What ONNX Runtime does not pool as floats that hold all of it: integers of more than 8 bits, bfloat16."""
        if x.dtype == BFLOAT16:
            return self.g.cast(x, np.float32)
        if x.dtype is None or x.dtype.kind not in "iu" or x.dtype.itemsize == 1:
            return x
        if x.dtype.itemsize == 8:
            raise self.g.unsupported("of 64-bit integers", "Cast the input to float first.")
        return self.g.cast(x, np.float64)

    def pool(self, op: str, x: Value, *, outputs: int = 1, pads: Ints | None = None, **attributes: Any) -> Any:
        attributes |= {"kernel_shape": self.kernel, "strides": self.strides, "ceil_mode": int(self.overhangs(x))}
        attributes["pads"] = self.pads * 2 if pads is None else pads
        if outputs > 1:
            return self.g.op(op, [x], outputs=outputs, **attributes)
        return kernel(self.g, op, x, **attributes)

    def overhangs(self, x: Value) -> bool:
        """Whether ceil_mode makes a difference, as far as that is known."""
        if not self.ceil_mode:
            return False
        over = self.overhang(x)
        return over is None or any(over)

    def overhang(self, x: Value) -> Ints | None:
        """How far the last window of ceil_mode reaches beyond the padded input, by axis."""
        sizes = static_sizes(x, 2)
        if sizes is None:
            return None
        return tuple(map(_overhang, sizes, self.kernel, self.strides, self.pads, self.dilations))


def _overhang(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """The last window starts inside the input or the padding before it."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    steps = -(-room // stride)
    if steps * stride >= size + pad:
        steps -= 1
    return max(0, steps * stride - room)


def _plane(g: TorchBuilder, x: Value) -> Value:
    """How many elements a plane of [N, C, ...] has."""
    return g.ReduceProd(g.Shape(x, start=2), keepdims=0)


@aten("max_unpool2d")
def max_unpool2d(g: TorchBuilder, x: Value, indices: Value, *, output_size: Sequence[Size]) -> Value:
    return _unpool(g, x, indices, output_size)


@aten("max_unpool3d")
def max_unpool3d(
    g: TorchBuilder, x: Value, indices: Value, *, output_size: Sequence[Size], stride: Sequence[int],
    padding: Sequence[int],
) -> Value:  # fmt: skip
    return _unpool(g, x, indices, output_size)


def _unpool(g: TorchBuilder, x: Value, indices: Value, output_size: Sequence[Size]) -> Value:
    """Elements go back to where in its plane `indices` say; the rest is 0."""
    x, added = batched(g, x, len(output_size))
    indices, _ = batched(g, indices, len(output_size))
    count, channels = sizes_of(g, x)[:2]
    plane = g.ReduceProd(g.shape(output_size))
    empty = g.Expand(g.number(0, x.dtype), g.Concat(g.shape([count, channels]), plane, axis=0))
    flat, places = (_flat_planes(g, value) for value in (x, indices))
    y = g.ScatterElements(empty, places, flat, axis=2)
    return unbatched(g, g.view(y, [count, channels, *output_size]), added)


def _flat_planes(g: TorchBuilder, x: Value) -> Value:
    return g.view(x, [*sizes_of(g, x)[:2], -1])


# --------------------------------------------------------------------------------------------------------- average


@aten("avg_pool1d")
def avg_pool1d(
    g: TorchBuilder, x: Value, *, kernel_size: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] | int = (0,), ceil_mode: bool = False, count_include_pad: bool = True,
) -> Value:  # fmt: skip
    return avg_pool(
        g, x, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )  # fmt: skip


@aten("avg_pool2d", "avg_pool3d")
def avg_pool(
    g: TorchBuilder, x: Value, *, kernel_size: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] | int = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """What ceil_mode reaches beyond the padding never counts, in torch as in ONNX."""
    if x.dtype is not None and x.dtype.kind not in "f" and x.dtype.isbuiltin == 1:
        raise g.unsupported(f"of {x.dtype}", "Cast the input to float first.")
    windows = _Windows(g, kernel_size, stride, padding, 1, ceil_mode)
    x, added = batched(g, x, windows.rank)
    if divisor_override is None:
        y = windows.pool("AveragePool", x, count_include_pad=int(count_include_pad))
    else:
        y = _divided(g, x, windows, divisor_override)
    return unbatched(g, y, added)


def _divided(g: TorchBuilder, x: Value, windows: _Windows, divisor: int) -> Value:
    """The sums of the windows over `divisor`: the mean of whole windows, with zeros where there is nothing."""
    over = windows.overhang(x) if windows.ceil_mode else (0,) * windows.rank
    if over is None:
        raise g.unsupported("divisor_override with ceil_mode where the input's size is open")
    windows.ceil_mode = False
    pads = (*windows.pads, *(pad + more for pad, more in zip(windows.pads, over, strict=True)))
    mean = windows.pool("AveragePool", x, pads=pads, count_include_pad=1)
    return g.Mul(mean, g.number(prod(windows.kernel) / divisor, x.dtype))


# --------------------------------------------------------------------------------------------------------- adaptive


@aten(
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
)  # fmt: skip
def adaptive_avg_pool(g: TorchBuilder, x: Value, *, output_size: Sequence[Size]) -> Value:
    """Window i of an axis runs from floor(i * in / out) to ceil((i + 1) * in / out)."""
    out = list(output_size) * (spatial_rank(g) if len(output_size) == 1 else 1)
    x, added = batched(g, x, len(out))
    return unbatched(g, _adaptive_mean(g, x, out), added)


def _adaptive_mean(g: TorchBuilder, x: Value, out: Sequence[Size]) -> Value:
    if all(size == 1 for size in out):
        return kernel(g, "GlobalAveragePool", x)
    even = _even(x, out)
    if even is not None:
        return x if prod(even) == 1 else kernel(g, "AveragePool", x, kernel_shape=even, strides=even)
    for axis, size in enumerate(out, 2):
        x = _mean_along(g, x, axis, size)
    return x


def _even(x: Value, out: Sequence[Size]) -> Ints | None:
    """The size of the windows, where all of them are equal and next to each other."""
    sizes, known = static_sizes(x, 2), [size for size in out if isinstance(size, int)]
    if sizes is None or len(known) < len(sizes) or any(b < 1 or a % b for a, b in zip(sizes, known, strict=True)):
        return None
    return tuple(a // b for a, b in zip(sizes, known, strict=True))


def _mean_along(g: TorchBuilder, x: Value, axis: int, out: Size) -> Value:
    """The windows of one axis; the mean over several axes is the mean of means."""
    if out == 1:
        return g.ReduceMean(x, [axis], keepdims=1)
    if g.dims([out])[0] is not None and g.dims([out])[0] == (x.shape or ())[axis]:
        return x
    inside = _inside(g, g.size(x, axis), out)
    weights = g.cast(inside, x.dtype)
    weights = g.Div(weights, g.ReduceSum(weights, [1], keepdims=1))
    if axis == x.rank - 1:
        return g.MatMul(x, g.Transpose(weights, perm=[1, 0]))
    perm = list(range(x.rank))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    if axis == x.rank - 2:
        return g.MatMul(weights, x)
    return g.Transpose(g.MatMul(g.Transpose(x, perm=perm), g.Transpose(weights, perm=[1, 0])), perm=perm)


def _inside(g: TorchBuilder, size: Size, out: Size) -> Value:
    """[out, size]: whether an element is in a window."""
    begin, end = _bounds(g, size, out)
    place = _numbers(g, size)
    return g.And(g.GreaterOrEqual(place, begin), g.Less(place, end))


def _bounds(g: TorchBuilder, size: Size, out: Size) -> tuple[Value, Value]:
    """Where the windows begin and end, as columns [out, 1]."""
    number, one = g.Unsqueeze(_numbers(g, out), [1]), g.constant(1, np.int64)
    count, divisor = (g.constant(item, np.int64) if isinstance(item, int) else item for item in (size, out))
    begin = g.Div(g.Mul(number, count), divisor)
    end = g.Div(g.Add(g.Mul(g.Add(number, one), count), g.Sub(divisor, one)), divisor)
    return begin, end


def _numbers(g: TorchBuilder, count: Size) -> Value:
    """0, 1, ... below `count`."""
    if isinstance(count, int):
        return g.constant(np.arange(g.affordable(count)[0], dtype=np.int64))
    y: Value = g.Range(g.constant(0, np.int64), count, g.constant(1, np.int64))
    return y


@aten("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(g: TorchBuilder, x: Value, *, output_size: Sequence[int]) -> tuple[Value, Value]:
    """The maxima, and where in its plane each lies. Windows as in adaptive_avg_pool."""
    out = spread(output_size, spatial_rank(g), g, "output_size")
    x, added = batched(g, x, len(out))
    values, places = _adaptive_largest(g, x, out)
    return unbatched(g, values, added), unbatched(g, places, added)


def _adaptive_largest(g: TorchBuilder, x: Value, out: Ints) -> tuple[Value, Value]:
    if all(size == 1 for size in out):
        return _largest_of_plane(g, x)
    even = _even(x, out)
    if even is not None:
        _, places = g.op("MaxPool", [x], outputs=2, kernel_shape=even, strides=even)
        return g.MaxPool(x, kernel_shape=even, strides=even), g.Mod(places, _plane(g, x))
    sizes = static_sizes(x, 2)
    if sizes is None:
        raise g.unsupported("an input of open size", "Only an output_size of 1 has windows that are known then.")
    return _gathered_largest(g, x, sizes, out)


def _largest_of_plane(g: TorchBuilder, x: Value) -> tuple[Value, Value]:
    flat, ones = _flat_planes(g, x), [1] * (x.rank - 2)
    place = g.ArgMax(flat, axis=2, keepdims=1)
    return g.GlobalMaxPool(x), g.view(place, [*sizes_of(g, x)[:2], *ones])


def _gathered_largest(g: TorchBuilder, x: Value, sizes: Ints, out: Ints) -> tuple[Value, Value]:
    """Every window gathered in a row of one length; the last element of shorter ones is repeated."""
    longest = [-(-size // count) + 1 if count else 0 for size, count in zip(sizes, out, strict=True)]
    g.affordable(prod(out), prod(longest))
    rows = [_rows(size, count) for size, count in zip(sizes, out, strict=True)]
    plane = np.zeros((), np.int64)
    for size, row in zip(sizes, rows, strict=True):
        plane = plane[..., None, None] * size + row
    axes = len(out)
    order = [*range(0, 2 * axes, 2), *range(1, 2 * axes, 2)]
    table = np.ascontiguousarray(plane.transpose(order).reshape(prod(out), plane.size // max(prod(out), 1)))
    windows = g.Gather(_flat_planes(g, x), table, axis=2)  # [N, C, windows, elements]
    best = g.ArgMax(windows, axis=3, keepdims=1)
    index = g.Add(best, np.arange(table.shape[0], dtype=np.int64)[:, None] * table.shape[1])
    places = g.Gather(g.constant(table.ravel()), g.Squeeze(index, [3]))
    shape: list[Size] = [*sizes_of(g, x)[:2], *out]
    return g.view(g.ReduceMax(windows, [3], keepdims=0), shape), g.view(places, shape)


def _rows(size: int, out: int) -> np.ndarray:
    """[out, longest]: the elements of each window."""
    number = np.arange(out)
    begin, end = number * size // out, ((number + 1) * size + out - 1) // out
    reach = np.arange((end - begin).max(initial=1))
    return np.minimum(begin[:, None] + reach, end[:, None] - 1)
