"""Padding and, by negative numbers, cropping.

Semantics: ATen/native/PadNd.cpp, ReflectionPad.cpp, ReplicationPadding.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.frontends.pytorch.builder import Operand, Size, TorchBuilder, aten
from netglot.ir.graph import Value

_MODES = ("reflect", "replicate", "circular", "constant")  # as at::padding_mode counts them
_ONNX = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_WITHOUT_KERNEL = {np.dtype(np.int16): np.int32, np.dtype(np.uint16): np.int32}


@aten("pad")
def pad(g: TorchBuilder, x: Value, *, pad: Sequence[Size], mode: str = "constant", value: float | None = None) -> Value:
    if mode == "constant":
        return constant_pad(g, x, pad=pad, value=0 if value is None else value)
    if mode not in _ONNX:
        raise g.unsupported(f"mode='{mode}'")
    return _extended(g, x, pad, mode)


@aten("_pad_enum")
def pad_enum(g: TorchBuilder, x: Value, *, pad: Sequence[Size], mode: int, value: float | None = None) -> Value:
    if not 0 <= mode < len(_MODES):
        raise g.unsupported(f"mode={mode}")
    if _MODES[mode] == "constant":
        return constant_pad(g, x, pad=pad, value=0 if value is None else value)
    return _extended(g, x, pad, _MODES[mode])


@aten("constant_pad_nd")
def constant_pad(g: TorchBuilder, x: Value, *, pad: Sequence[Size], value: Operand = 0) -> Value:
    fill = g.number(value, x.dtype)
    return _padded(g, x, pad, "constant", g.view(fill, []))


@aten(
    "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d",
    "replication_pad3d",
)  # fmt: skip
def border_pad(g: TorchBuilder, x: Value, *, padding: Sequence[Size]) -> Value:
    return _extended(g, x, padding, "reflect" if "reflection" in g.target else "replicate")


@aten("_pad_circular")
def circular_pad(g: TorchBuilder, x: Value, *, pad: Sequence[Size]) -> Value:
    return _extended(g, x, pad, "circular")


def _extended(g: TorchBuilder, x: Value, pads: Sequence[Size], mode: str) -> Value:
    """What lies beyond the border is made of what lies within: of the whole input, or if circular of what is left."""
    return _padded(g, x, pads, _ONNX[mode], None, crop_first=mode == "circular")


def _padded(
    g: TorchBuilder, x: Value, pads: Sequence[Size], mode: str, fill: Value | None, *, crop_first: bool = False
) -> Value:
    """`pads` says begin and end of the last axis first."""
    if len(pads) % 2 or len(pads) > 2 * x.rank:
        raise g.unsupported(f"{len(pads)} numbers for a tensor of rank {x.rank}")
    begins, ends = list(pads[0::2])[::-1], list(pads[1::2])[::-1]
    axes = list(range(x.rank - len(begins), x.rank))
    if crop_first:
        x = _cropped(g, x, begins, ends, axes)
    x = _grown(g, x, begins, ends, axes, mode, fill)
    return x if crop_first else _cropped(g, x, begins, ends, axes)


def _grown(
    g: TorchBuilder, x: Value, begins: Sequence[Size], ends: Sequence[Size], axes: Sequence[int], mode: str,
    fill: Value | None,
) -> Value:  # fmt: skip
    amounts = [_at_least_zero(g, size) for size in (*begins, *ends)]
    if all(isinstance(amount, int) and amount == 0 for amount in amounts):
        return x
    none: list[Size] = [0] * (x.rank - len(axes))
    half = len(begins)
    whole = [*none, *amounts[:half], *none, *amounts[half:]]
    dtype = x.dtype
    x, fill = _with_kernel(g, x), None if fill is None else _with_kernel(g, fill)
    return g.cast(g.Pad(x, g.shape(whole), fill, mode=mode), dtype)


def _with_kernel(g: TorchBuilder, x: Value) -> Value:
    return g.cast(x, _WITHOUT_KERNEL[x.dtype]) if x.dtype in _WITHOUT_KERNEL else x


def _at_least_zero(g: TorchBuilder, size: Size) -> Size:
    return max(size, 0) if isinstance(size, int) else g.as_size(g.Max(size, g.constant(0, np.int64)))


def _cropped(g: TorchBuilder, x: Value, begins: Sequence[Size], ends: Sequence[Size], axes: Sequence[int]) -> Value:
    """Without what negative amounts take away."""
    chosen = [i for i, pair in enumerate(zip(begins, ends, strict=True)) if any(map(_may_crop, pair))]
    if not chosen:
        return x
    starts = [_taken(g, begins[i]) for i in chosen]
    stops = [_stop(g, ends[i], g.size(x, axes[i])) for i in chosen]
    return g.Slice(x, g.shape(starts), g.shape(stops), [axes[i] for i in chosen])


def _may_crop(size: Size) -> bool:
    return not isinstance(size, int) or size < 0


def _taken(g: TorchBuilder, size: Size) -> Size:
    return max(-size, 0) if isinstance(size, int) else g.as_size(g.Max(g.Neg(size), g.constant(0, np.int64)))


def _stop(g: TorchBuilder, amount: Size, size: Size) -> Size:
    taken = _taken(g, amount)
    if isinstance(taken, int) and isinstance(size, int):
        return size - taken
    if taken == 0 and isinstance(taken, int):
        return int(np.iinfo(np.int64).max)
    return -taken if isinstance(taken, int) else g.as_size(g.Sub(_int(g, size), taken))


def _int(g: TorchBuilder, size: Size) -> Value:
    return g.constant(size, np.int64) if isinstance(size, int) else size
