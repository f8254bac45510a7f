"""Where the windows of convolution and pooling lie, in the terms of TFLite: SAME, VALID, and explicit padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Ints, TFLiteBuilder
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Window:
    """One entry for each spatial axis; `pads` are (begin, end), the end just what the last window needs."""

    sizes: Ints
    outputs: Ints
    kernel: Ints
    strides: Ints
    dilations: Ints
    pads: tuple[tuple[int, int], ...]

    @property
    def reach(self) -> Ints:
        """How many elements a dilated kernel spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def is_same(self) -> bool:
        """Whether TFLite's SAME rule gives these pads: as many outputs as strides, the odd element at the end."""
        axes = zip(self.sizes, self.outputs, self.reach, self.strides, self.pads, strict=True)
        return all(out == -(-n // s) and begin == needed(n, out, r, s) // 2 for n, out, r, s, (begin, _) in axes)

    def image(self) -> Window:
        """With one spatial axis: the same over an image of height one."""
        if len(self.sizes) != 1:
            return self
        return Window(
            (1, *self.sizes), (1, *self.outputs), (1, *self.kernel), (1, *self.strides), (1, *self.dilations),
            ((0, 0), *self.pads),
        )  # fmt: skip


def needed(size: int, outputs: int, reach: int, stride: int) -> int:
    """The padding of both ends together that `outputs` windows need."""
    return max(0, (outputs - 1) * stride + reach - size)


def window(x: Value, y: Value, kernel: Ints, strides: Ints, pads: Ints, dilations: Ints, auto_pad: str) -> Window:
    """The window of an ONNX node from x to y (attributes may be empty: ONNX's defaults)."""
    rank = x.rank - 2
    strides, dilations, sizes, outputs = strides or (1,) * rank, dilations or (1,) * rank, x.sizes[2:], y.sizes[2:]
    plain = Window(sizes, outputs, kernel, strides, dilations, ((0, 0),) * rank)
    total = [needed(*axis) for axis in zip(sizes, outputs, plain.reach, strides, strict=True)]
    begin = {
        "SAME_UPPER": [t // 2 for t in total], "SAME_LOWER": [t - t // 2 for t in total], "VALID": [0] * rank,
    }.get(auto_pad, list(pads[:rank]) or [0] * rank)  # fmt: skip
    both = [needed(n + b, *rest) for n, b, *rest in zip(sizes, begin, outputs, plain.reach, strides, strict=True)]
    return Window(sizes, outputs, kernel, strides, dilations, tuple(zip(begin, both, strict=True)))


def without_pads(view: Window) -> Window:
    """The same windows over the image after it was padded."""
    sizes = tuple(n + begin + end for n, (begin, end) in zip(view.sizes, view.pads, strict=True))
    return Window(sizes, view.outputs, view.kernel, view.strides, view.dilations, ((0, 0),) * len(sizes))


def padded(m: TFLiteBuilder, x: int, window: Window, fill: float = 0.0) -> tuple[int, int]:
    """Channels-last x padded where it must be, and the Padding enum that does the rest."""
    if window.is_same and any(map(any, window.pads)):
        return x, tfl.Padding.SAME
    return pad_spatial(m, x, window.pads, fill), tfl.Padding.VALID


def pad_spatial(m: TFLiteBuilder, x: int, pads: Sequence[tuple[int, int]], fill: float = 0.0) -> int:
    """Channels-last x with `pads` (begin, end) around its spatial axes; x itself where they are all zero."""
    if not any(map(any, pads)):
        return x
    amounts = [(0, 0), *pads, (0, 0)]
    shape = [n + a + b for n, (a, b) in zip(m.shape(x), amounts, strict=True)]
    if fill:
        return m.emit("PADV2", x, m.ints(amounts), m.number(fill, x), shape=shape)
    return m.emit("PAD", x, m.ints(amounts), shape=shape)


def as_image(m: TFLiteBuilder, x: Value) -> int:
    """Channels-last x; with one spatial axis as an image of height one."""
    index = m.tensor(x)
    if x.rank != 3:
        return index
    batch, width, channels = m.shape(x)
    return m.reshaped(index, (batch, 1, width, channels))
