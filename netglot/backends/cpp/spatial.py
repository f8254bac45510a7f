"""Windows over any number of spatial axes, and convolution by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, cpp_op
from netglot.backends.cpp.nest import Ints, numbers
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a sliding window: what runtime/window.h is told of it, and the padding at its end."""

    size: int
    out: int
    kernel: int
    stride: int
    pad: int
    dilation: int
    end: int = 0

    def __str__(self) -> str:
        return f"netglot::Axis<{numbers((self.size, self.out, self.kernel, self.stride, self.pad, self.dilation))}>"

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def counts(self, include_pad: bool) -> np.ndarray:
        """How many elements each window holds: of the input, or of the padded input."""
        low, high = (-self.pad, self.size + self.end) if include_pad else (0, self.size)
        places = np.arange(self.out)[:, None] * self.stride - self.pad + np.arange(self.kernel) * self.dilation
        return ((places >= low) & (places < high)).sum(1)


def window_axes(
    x: Ints, y: Ints, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, auto_pad: str
) -> list[Axis]:
    """The spatial axes of a window over x (sizes without batch and channels) that gives y."""
    rank = len(x)
    strides, dilations, pads = strides or (1,) * rank, dilations or (1,) * rank, pads or (0,) * (2 * rank)
    columns = (x, y, kernel, strides, pads[:rank], dilations, pads[rank:])
    axes = [Axis(*(column[i] for column in columns)) for i in range(rank)]
    return [_same(axis, auto_pad) for axis in axes] if auto_pad.startswith("SAME") else axes


def _same(axis: Axis, auto_pad: str) -> Axis:
    total = max(0, (axis.out - 1) * axis.stride + axis.reach - axis.size)
    few, many = total // 2, total - total // 2
    pad, end = (few, many) if auto_pad == "SAME_UPPER" else (many, few)
    return Axis(axis.size, axis.out, axis.kernel, axis.stride, pad, axis.dilation, end)


def _joined(axes: Sequence[Axis]) -> list[Axis]:
    """A kernel of one element at every place sees the image as one long row."""
    if any((axis.kernel, axis.stride, axis.pad, axis.end) != (1, 1, 0, 0) for axis in axes):
        return list(axes)
    count = prod(axis.size for axis in axes)
    return [Axis(count, count, 1, 1, 0, 1)]


def call_window(kernel: str, sizes: Sequence[int], axes: Sequence[Axis], *arguments: str) -> str:
    """The call of a kernel of runtime/window.h."""
    template = ", ".join([numbers(sizes), *map(str, axes)])
    return f"netglot::{kernel}<{template}>(\n      {', '.join(arguments)});"


def direct_conv(
    m: CppBuilder, x: Value, w: Value, b: Value | None, out: str, y: Value, axes: Sequence[Axis], group: int
) -> str:
    """Convolution over any number of axes and of any type, into memory like that of `y`."""
    sizes = (x.sizes[0], x.sizes[1], y.sizes[1], group)
    return call_window("conv", sizes, _joined(axes), m.ref(x), m.ref(w), m.optional(b), out)


@cpp_op("ConvTranspose")
def conv_transpose(
    m: CppBuilder, x: Value, w: Value, b: Value | None, y: Value, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int, output_padding: Ints = (),
    output_shape: Ints = (),
) -> str:  # fmt: skip
    """The transpose of the convolution from y to x. The padding follows from the sizes where they are asked for."""
    axes = window_axes(y.sizes[2:], x.sizes[2:], w.sizes[2:], strides, pads, dilations, "NOTSET")
    if output_shape or auto_pad.startswith("SAME"):
        extra = output_padding or (0,) * len(axes)
        axes = [_cropped(axis, more, auto_pad) for axis, more in zip(axes, extra, strict=True)]
    sizes = (x.sizes[0], x.sizes[1], y.sizes[1], group)
    return call_window("conv_transpose", sizes, axes, m.ref(x), m.ref(w), m.optional(b), m.ref(y))


def _cropped(axis: Axis, output_padding: int, auto_pad: str) -> Axis:
    """ONNX: total_padding = stride * (in - 1) + output_padding + reach - out; SAME_UPPER has the smaller half first."""
    total = max(0, axis.stride * (axis.out - 1) + output_padding + axis.reach - axis.size)
    pad = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
    return Axis(axis.size, axis.out, axis.kernel, axis.stride, pad, axis.dilation)
