"""Convolution and pooling as both kinds of Core ML model mean them, once their parameters are read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints
from netglot.ir.graph import Value

Pads = list[tuple[int, int]]  # begin and end of each spatial axis


def same(sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints, lower: bool = False) -> Pads:
    """Padding that gives ceil(size / stride) outputs; an odd one is at the end, with `lower` at the begin."""
    return [_split(max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n), lower)
            for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)]  # fmt: skip


def _split(total: int, lower: bool) -> tuple[int, int]:
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def flat(pads: Pads) -> list[int]:
    """In ONNX's order: all begins, then all ends."""
    return [begin for begin, _ in pads] + [end for _, end in pads]


def convolution(
    g: CoreMLBuilder, x: Value, weight: Value, bias: Value | None, strides: Ints, pads: Pads, dilations: Ints,
    groups: int,
) -> Value:  # fmt: skip
    return g.Conv(x, weight, bias, strides=strides, pads=flat(pads), dilations=dilations, group=groups)


def full_sizes(sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints) -> list[int]:
    """Spatial sizes of a transposed convolution before it is cropped."""
    return [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)]


def deconvolution(
    g: CoreMLBuilder, x: Value, weight: Value, bias: Value | None, strides: Ints, dilations: Ints, groups: int,
    begins: Sequence[int], wanted: Sequence[int],
) -> Value:  # fmt: skip
    """The full result, cropped to `wanted` from `begins`; where it is smaller, only the bias is added."""
    full = full_sizes(x.sizes[2:], weight.sizes[2:], strides, dilations)
    ends = [f - first - n for f, first, n in zip(full, begins, wanted, strict=True)]
    beyond = [max(0, -end) for end in ends]
    late = bias if any(beyond) else None
    y = g.ConvTranspose(
        x, weight, None if late else bias, strides=strides, dilations=dilations, group=groups,
        pads=[*begins, *(max(0, end) for end in ends)],
    )  # fmt: skip
    if any(beyond):
        y = g.Pad(y, [0] * (2 + len(beyond)) + [0, 0, *beyond])
    return g.Add(y, g.reshape(late, (-1, *(1,) * len(beyond)))) if late else y


def pooling(
    g: CoreMLBuilder, x: Value, kind: str, kernel: Ints, strides: Ints, pads: Pads, ceil: bool, exclude: bool
) -> Value:
    """kind: max, avg or l2. With `ceil` the last window may reach beyond the padding, but must begin before it.

    What it reaches beyond never counts in an average.
    """
    axes = zip(x.sizes[2:], kernel, strides, pads, strict=True)
    over = [_overhang(*axis) if ceil else 0 for axis in axes]
    around = [(begin, end + more) for (begin, end), more in zip(pads, over, strict=True)]
    if kind == "max":
        return g.MaxPool(x, kernel_shape=kernel, strides=strides, pads=flat(around))
    if kind == "l2":
        mean = g.AveragePool(g.Mul(x, x), kernel_shape=kernel, strides=strides, pads=flat(around), count_include_pad=1)
        return g.Sqrt(g.Mul(mean, g.like(x, prod(kernel))))
    if kind != "avg":
        raise ConversionError(f"there is no pooling by {kind}", g.origin)
    if any(over) and not exclude:
        x = g.Pad(x, [0, 0, *(a for a, _ in pads), 0, 0, *(b for _, b in pads)])
        around, exclude = [(0, more) for more in over], True
    return g.AveragePool(x, kernel_shape=kernel, strides=strides, pads=flat(around), count_include_pad=int(not exclude))


def _overhang(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> int:
    span = size + sum(pads) - kernel
    steps = -(-span // stride)
    if steps * stride >= size + pads[0]:
        steps -= 1
    return max(0, steps * stride - span)


def normalized(g: CoreMLBuilder, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over `axes`."""
    centred = g.Sub(x, g.ReduceMean(x, np.array(axes, np.int64)))
    variance = g.ReduceMean(g.Mul(centred, centred), np.array(axes, np.int64))
    return g.Div(centred, g.Sqrt(g.Add(variance, g.like(x, epsilon))))
