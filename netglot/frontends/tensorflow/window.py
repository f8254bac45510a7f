"""Where the windows of convolution and pooling lie, from TensorFlow's terms to ONNX's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netglot.frontends.tensorflow.builder import TFBuilder
from netglot.ir.types import Dim

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """One entry for each spatial axis; `padding` are ONNX's attributes."""

    strides: Ints
    dilations: Ints
    padding: dict[str, Any]


def spatial(g: TFBuilder, what: str, sizes: Sequence[int], data_format: str) -> Ints:
    """The spatial entries of one that has an entry for every axis; those of batch and channels must be 1."""
    if data_format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise g.unsupported(f"the data format {data_format}")
    if len(sizes) != len(data_format):
        raise g.unsupported(f"{what} {tuple(sizes)} for {data_format}")
    inner = slice(2, None) if data_format.startswith("NC") else slice(1, -1)
    others = sizes[:2] if data_format.startswith("NC") else (sizes[0], sizes[-1])
    if tuple(others) != (1, 1):
        raise g.unsupported(f"{what} over batch or channels")
    return tuple(sizes[inner])


def padding(
    g: TFBuilder, mode: str, image: Sequence[Dim], kernel: Ints, strides: Ints, dilations: Ints,
    explicit: Sequence[int] = (), data_format: str = "NHWC",
) -> dict[str, Any]:  # fmt: skip
    """ONNX's `pads` (or `auto_pad` where the image's size is not known) for TensorFlow's padding mode.

    SAME: as many windows as strides fit, the odd element of padding at the end.
    """
    if mode == "VALID":
        return {}
    if mode == "EXPLICIT":
        pairs = [tuple(explicit[i : i + 2]) for i in range(0, len(explicit), 2)]
        if len(pairs) != len(data_format):
            raise g.unsupported(f"explicit paddings {tuple(explicit)}")
        pairs = pairs[2:] if data_format.startswith("NC") else pairs[1:-1]
        return {"pads": tuple(pair[side] for side in (0, 1) for pair in pairs)}
    totals = [same(*axis) for axis in zip(image, kernel, strides, dilations, strict=True)]
    if None in totals:
        return {"auto_pad": "SAME_UPPER"}
    known = [total for total in totals if total is not None]
    pads = (*(total // 2 for total in known), *(total - total // 2 for total in known))
    return {"pads": pads} if any(pads) else {}


def same(size: Dim, kernel: int, stride: int, dilation: int) -> int | None:
    """The padding of both ends together under SAME; None where it depends on a size that is not known."""
    reach = (kernel - 1) * dilation + 1
    if isinstance(size, int):
        return max(0, (-(-size // stride) - 1) * stride + reach - size)
    return reach - 1 if stride == 1 else None
