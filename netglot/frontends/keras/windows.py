"""Sliding windows as Keras gives them: one number or one for each axis, "valid" or "same"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder
from netglot.ir.graph import Value
from netglot.ir.types import Dim

Ints = tuple[int, ...]
Sizes = int | Sequence[int]
MAX_SIZE = 1 << 20  # of a window, a stride or a padding


def per_axis(g: KerasBuilder, what: str, given: Any, rank: int, *, least: int = 1) -> Ints:
    """`given` for each of `rank` axes: an integer stands for all of them."""
    sizes = tuple(given) if isinstance(given, (list, tuple)) else (given,) * rank
    if len(sizes) != rank or not all(isinstance(n, int) and least <= n <= MAX_SIZE for n in sizes):
        raise ConversionError(f"{g.type}: {what} is {given}", g.origin)
    return sizes


@dataclass(frozen=True)
class Window:
    """One entry for each spatial axis."""

    kernel: Ints
    strides: Ints
    dilations: Ints

    @property
    def reach(self) -> Ints:
        """How many elements a dilated kernel spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def attributes(self) -> dict[str, Any]:
        return {"kernel_shape": self.kernel, "strides": self.strides, "dilations": self.dilations}


def window(g: KerasBuilder, x: Value, kernel: Sizes, strides: Sizes, dilations: Sizes = 1) -> Window:
    """The window of a layer over the spatial axes of `x`."""
    rank = x.rank - 2
    if rank < 1:
        raise ConversionError(f"{g.type} needs an input with spatial axes, not one of {x.rank} axes", g.origin)
    sizes = [("kernel_size", kernel), ("strides", strides), ("dilation_rate", dilations)]
    return Window(*(per_axis(g, what, given, rank) for what, given in sizes))


def padding_of(g: KerasBuilder, x: Value, over: Window, padding: str) -> dict[str, Any]:
    """The attributes of ONNX for channels-first `x` that mean Keras' `padding`.

    SAME puts the odd element at the end (https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2). It is
    written out in numbers where these are known: with a stride of one they do not depend on the size.
    """
    kind = padding.lower()
    if kind == "valid":
        return {}
    if kind == "causal" and x.rank == 3:
        return {"pads": (over.reach[0] - 1, 0)}
    if kind != "same":
        raise g.unsupported(f"padding='{padding}'")
    assert x.shape is not None
    axes = zip(x.shape[2:], over.reach, over.strides, strict=True)
    total = [_same_total(size, reach, stride) for size, reach, stride in axes]
    known = [n for n in total if n is not None]
    if len(known) == len(total):
        return {"pads": (*(n // 2 for n in known), *(n - n // 2 for n in known))}
    if any(d > 1 for d in over.dilations):
        raise g.unsupported("padding='same' with strides and dilation over an image of unknown size")
    return {"auto_pad": "SAME_UPPER"}


def _same_total(size: Dim, reach: int, stride: int) -> int | None:
    """Padding of both ends together; None where it depends on a size that is not known."""
    if isinstance(size, int):
        return max(0, (-(-size // stride) - 1) * stride + reach - size)
    return reach - 1 if stride == 1 else 0 if reach == 1 else None


def spatial_axes(g: KerasBuilder, x: Value, data_format: str | None) -> list[int]:
    """The axes of `x` that are neither batch nor channels.

    Layers over one axis that have no data_format (Cropping1D, UpSampling1D...) always have their channels last.
    """
    channels = g.channel_axis(x, data_format or ("channels_last" if x.rank == 3 else None))
    return [axis for axis in range(1, x.rank) if axis != channels]
