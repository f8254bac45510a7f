"""Pooling that kernels do not have: the elements of each window are gathered on an axis, and that is reduced."""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.composed.indexing import strides as steps_of
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Node, Value

Ints = tuple[int, ...]


def windows(
    sizes: Ints, outputs: Ints, kernel: Ints, strides: Ints, dilations: Ints, begin: Ints
) -> tuple[np.ndarray, np.ndarray]:
    """For each output and each element of its window: its place in the row of all elements, and whether it exists.

    Both are [outputs, kernel] in rows. One that lies in the padding stands for the first of its window that does not.
    """
    rank = len(sizes)
    place, exists = np.zeros((1,) * (2 * rank), np.int64), np.ones((1,) * (2 * rank), bool)
    for axis, step in enumerate(steps_of(sizes)):
        taps = np.arange(kernel[axis]) * dilations[axis]
        at = np.arange(outputs[axis])[:, None] * strides[axis] - begin[axis] + taps
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = at.shape
        place = place + (at * step).reshape(shape)
        exists = exists & ((at >= 0) & (at < sizes[axis])).reshape(shape)
    place, exists = (np.reshape(table, (prod(outputs), prod(kernel))) for table in (place, exists))
    if not exists.any(1).all():
        raise NotMappedError("a window lies wholly in the padding")
    first = np.take_along_axis(place, exists.argmax(1)[:, None], 1)
    return np.where(exists, place, first), exists


def _geometry(
    x: Value, y: Value, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, auto_pad: str
) -> tuple[np.ndarray, np.ndarray]:
    rank = x.rank - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    sizes, outputs = x.sizes[2:], y.sizes[2:]
    axes = zip(sizes, outputs, kernel, strides, dilations, strict=True)
    total = [max(0, (out - 1) * s + (k - 1) * d + 1 - n) for n, out, k, s, d in axes]
    begin = {
        "SAME_UPPER": tuple(t // 2 for t in total), "SAME_LOWER": tuple(t - t // 2 for t in total),
        "VALID": (0,) * rank,
    }.get(auto_pad, tuple(pads[:rank]) or (0,) * rank)  # fmt: skip
    return windows(sizes, outputs, tuple(kernel), tuple(strides), tuple(dilations), begin)


def _gathered(g: Composer, x: Value, place: np.ndarray) -> Value:
    """[batch, channels, outputs, kernel]"""
    batch, channels, *sizes = x.sizes
    row = g.Reshape(x, [batch, channels, prod(sizes)])
    return g.Gather(row, place, axis=2)


def _is_dilated_or_says_where(node: Node) -> bool:
    """Or has integers, which some kernels take for quantised."""
    kind = node.output.dtype
    is_integer = kind is not None and kind.kind in "iu"
    return len(node.outputs) > 1 or is_integer or any(d != 1 for d in node.attributes.get("dilations", ()))


@composition("MaxPool", instead={"tflite": _is_dilated_or_says_where, "coreml": _is_dilated_or_says_where})
def max_pool(
    g: Composer, x: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0, storage_order: int = 0,
) -> Value | tuple[Value, Value]:  # fmt: skip
    """The largest, and where the first one is: its place in the whole of x."""
    y = g.outputs[0]
    place, _ = _geometry(x, y, kernel_shape, strides, pads, dilations, auto_pad)
    g.affordable(*x.sizes[:2], *place.shape)
    elements = _gathered(g, x, place)
    result = g.Reshape(g.ReduceMax(elements, [3], keepdims=0), list(y.sizes))
    if len(g.outputs) < 2:
        return result
    if storage_order:
        raise NotMappedError("indices that count columns first")
    return result, g.Reshape(_where(g, x, g.ArgMax(elements, axis=3, keepdims=0), place), list(y.sizes))


def _where(g: Composer, x: Value, chosen: Value, place: np.ndarray) -> Value:
    """[batch, channels, outputs]: the places in x of the chosen elements of each window."""
    batch, channels, *sizes = x.sizes
    count, taps = place.shape
    inside = g.Gather(place.ravel(), g.Add(chosen, np.arange(count) * taps))
    images = np.arange(batch * channels).reshape(batch, channels, 1) * prod(sizes)
    return g.Add(inside, images)


def _has_another_norm(node: Node) -> bool:
    return node.attributes.get("p", 2) != 2 or bool(node.attributes.get("ceil_mode"))


@composition("LpPool", instead={"coreml": _has_another_norm})
def lp_pool(
    g: Composer, x: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0, p: int,
) -> Value:  # fmt: skip
    y = g.outputs[0]
    place, exists = _geometry(x, y, kernel_shape, strides, pads, dilations, auto_pad)
    g.affordable(*x.sizes[:2], *place.shape)
    elements = _gathered(g, _power(g, x, p), place)
    if not exists.all():
        elements = g.Mul(elements, exists.astype(x.dtype))
    return g.Reshape(_root(g, g.ReduceSum(elements, [3], keepdims=0), p), list(y.sizes))


@composition("GlobalLpPool")
def global_lp_pool(g: Composer, x: Value, *, p: int) -> Value:
    return _root(g, g.ReduceSum(_power(g, x, p), list(range(2, x.rank)), keepdims=1), p)


def _power(g: Composer, x: Value, p: int) -> Value:
    """|x|^p"""
    if p == 2:
        return g.Mul(x, x)
    return g.Abs(x) if p == 1 else g.Pow(g.Abs(x), np.array(p, x.dtype))


def _root(g: Composer, x: Value, p: int) -> Value:
    if p == 1:
        return x
    return g.Sqrt(x) if p == 2 else g.Pow(x, np.array(1 / p, x.dtype))


@composition("Col2Im")
def col2im(
    g: Composer, x: Value, image_shape: Value, block_shape: Value, *, dilations: Ints = (), pads: Ints = (),
    strides: Ints = (),
) -> Value:  # fmt: skip
    """Adds each column up where its window lies in a padded row of all elements, as a ScatterND; then cuts that out."""
    if not image_shape.is_constant or not block_shape.is_constant:
        raise NotMappedError("the sizes are computed")
    image, block = (tuple(int(n) for n in value.array) for value in (image_shape, block_shape))
    rank = len(image)
    strides, dilations, pads = strides or (1,) * rank, dilations or (1,) * rank, pads or (0,) * (2 * rank)
    padded = tuple(n + pads[i] + pads[rank + i] for i, n in enumerate(image))
    axes = zip(padded, block, dilations, strides, strict=True)
    outputs = tuple((n - (k - 1) * d - 1) // s + 1 for n, k, d, s in axes)
    place, _ = windows(padded, outputs, block, strides, dilations, (0,) * rank)
    batch, channels = x.sizes[0], x.sizes[1] // prod(block)
    columns = g.Transpose(g.Reshape(x, [batch * channels, *place.T.shape]), perm=[1, 2, 0])
    zeros = g.constant(np.zeros(g.affordable(prod(padded), batch * channels), x.dtype))
    total = g.ScatterND(zeros, place.T[..., None], columns, reduction="add")
    whole = g.Reshape(g.Transpose(total, perm=[1, 0]), [batch, channels, *padded])
    if not any(pads):
        return whole
    ends = [pads[i] + n for i, n in enumerate(image)]
    return g.Slice(whole, list(pads[:rank]), ends, list(range(2, 2 + rank)))


def _is_dilated(node: Node) -> bool:
    return any(d != 1 for d in node.attributes.get("dilations", ()))


@composition("AveragePool", instead={"tflite": _is_dilated, "coreml": _is_dilated})
def average_pool(
    g: Composer, x: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0, count_include_pad: int = 0,
) -> Value:  # fmt: skip
    """Each element of a window counts alike; what of the padding is counted is only said without ceil_mode."""
    y = g.outputs[0]
    place, exists = _geometry(x, y, kernel_shape, strides, pads, dilations, auto_pad)
    if count_include_pad and ceil_mode:
        raise NotMappedError("dilation with ceil_mode and count_include_pad")
    g.affordable(*x.sizes[:2], *place.shape)
    count = exists.shape[1] if count_include_pad else exists.sum(1, keepdims=True)
    weighted = g.Mul(_gathered(g, x, place), (exists / count).astype(x.dtype))
    return g.Reshape(g.ReduceSum(weighted, [3], keepdims=0), list(y.sizes))
