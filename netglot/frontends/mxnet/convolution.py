"""Convolutions, and what takes images apart into patches."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import channels_last, inverse, is_static, static

Ints = tuple[int, ...]


def per_axis(g: MXNetBuilder, what: str, values: Ints, axes: int, default: int) -> Ints:
    """`values` for each of `axes` spatial axes; where there are none, `default`."""
    if len(values) not in (0, axes):
        raise ConversionError(f"{what} has {len(values)} numbers for {axes} axes", g.origin)
    return values or (default,) * axes


def is_last(layout: str | None) -> bool:
    """Whether the channels are the last axis."""
    return layout is not None and layout.endswith("C")


def to_first(g: MXNetBuilder, x: Value, layout: str | None) -> Value:
    """`x` of NHWC, NDHWC or NWC with its channels first; of NCHW... as it is."""
    return g.Transpose(x, perm=inverse(channels_last(x.rank))) if is_last(layout) else x


def from_first(g: MXNetBuilder, y: Value, layout: str | None) -> Value:
    """The inverse of `to_first`."""
    return g.Transpose(y, perm=channels_last(y.rank)) if is_last(layout) else y


@mxnet_op("Convolution", "Convolution_v1")
def convolution(
    g: MXNetBuilder, data: Value, weight: Value, bias: Value | None = None, *, kernel: Ints, stride: Ints = (),
    dilate: Ints = (), pad: Ints = (), num_filter: int, num_group: int = 1, no_bias: bool = False,
    layout: str | None = None,
) -> Value:  # fmt: skip
    """convolution-inl.h. The weights are num_filter x (channels / num_group) x kernel, in the layout of the data."""
    axes = len(kernel)
    if data.rank != axes + 2:
        raise ConversionError(f"a kernel of {axes} axes does not fit data of rank {data.rank}", g.origin)
    x = to_first(g, data, layout)
    channels = x.shape[1] // num_group if x.shape and isinstance(x.shape[1], int) else None
    sizes = (num_filter, *kernel, channels) if is_last(layout) else (num_filter, channels, *kernel)
    weight = to_first(g, g.parameter(weight, *sizes), layout)
    bias = None if no_bias or bias is None else g.parameter(bias, num_filter)
    y: Value = g.Conv(
        x, weight, bias, kernel_shape=kernel, strides=per_axis(g, "stride", stride, axes, 1), group=num_group,
        dilations=per_axis(g, "dilate", dilate, axes, 1), pads=per_axis(g, "pad", pad, axes, 0) * 2,
    )  # fmt: skip
    return from_first(g, y, layout)


@mxnet_op("Deconvolution")
def deconvolution(
    g: MXNetBuilder, data: Value, weight: Value, bias: Value | None = None, *, kernel: Ints, stride: Ints = (),
    dilate: Ints = (), pad: Ints = (), adj: Ints = (), target_shape: Ints = (), num_filter: int, num_group: int = 1,
    no_bias: bool = True, layout: str | None = None,
) -> Value:  # fmt: skip
    """deconvolution-inl.h. The weights are channels x (num_filter / num_group) x kernel."""
    if is_last(layout):
        raise g.unsupported(f"the layout {layout} is not supported (nor is it by MXNet on a CPU)")
    axes = len(kernel)
    strides, dilations = per_axis(g, "stride", stride, axes, 1), per_axis(g, "dilate", dilate, axes, 1)
    pads, adjust = per_axis(g, "pad", pad, axes, 0), per_axis(g, "adj", adj, axes, 0)
    if any(target_shape):
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads, adjust = _to_target(g, data, spans, strides, per_axis(g, "target_shape", target_shape, axes, 0))
    channels = data.shape[1] if data.shape else None
    bias = None if no_bias or bias is None else g.parameter(bias, num_filter)
    weight = g.parameter(weight, channels, num_filter // num_group, *kernel)
    before, after, extra = _crops(pads, adjust)
    return g.ConvTranspose(
        data, weight, bias, kernel_shape=kernel, strides=strides, dilations=dilations, group=num_group,
        pads=before + after, output_padding=extra if any(extra) else None,
    )  # fmt: skip


def _to_target(g: MXNetBuilder, x: Value, spans: list[int], strides: Ints, target: Ints) -> tuple[Ints, Ints]:
    """The pads and adjustments that give an image of `target`, whatever the node says of them (InferPad)."""
    if x.shape is None or not is_static(x.shape[2:]):
        raise g.unsupported("target_shape needs the sizes of the image", "Give them with --input.")
    sizes = zip(static(x.shape[2:]), spans, strides, target, strict=True)
    totals = [stride * (size - 1) + span - wanted for size, span, stride, wanted in sizes]
    if min(totals) < 0:
        raise ConversionError(f"the target_shape {target} is too large", g.origin)
    return tuple((total + 1) // 2 for total in totals), tuple(total % 2 for total in totals)


def _crops(pads: Ints, adjust: Ints) -> tuple[Ints, Ints, Ints]:
    """What is cut off at the start and at the end, and what is left to add there."""
    after = tuple(max(0, pad - more) for pad, more in zip(pads, adjust, strict=True))
    return pads, after, tuple(max(0, more - pad) for pad, more in zip(pads, adjust, strict=True))


@mxnet_op("_contrib_DeformableConvolution")
def deformable_convolution(
    g: MXNetBuilder, data: Value, offset: Value, weight: Value, bias: Value | None = None, *, kernel: Ints,
    stride: Ints = (), dilate: Ints = (), pad: Ints = (), num_filter: int, num_group: int = 1,
    num_deformable_group: int = 1, no_bias: bool = False, layout: str | None = None,
) -> Value:  # fmt: skip
    """contrib/deformable_convolution-inl.h (Dai et al., 2017).

    Between the last row and the border of the image it repeats that row, and before the first it reads 0, where ONNX
    fades out on both sides: the offsets are clipped to the image, and a mask keeps what was in it.
    """
    where = Where(kernel, stride, dilate, pad, num_filter, num_group, num_deformable_group)
    offset, mask = _clipped(g, data, offset, where)
    return _deformed(g, data, offset, mask, weight, None if no_bias else bias, where)


@mxnet_op("_contrib_ModulatedDeformableConvolution")
def modulated_deformable_convolution(
    g: MXNetBuilder, data: Value, offset: Value, mask: Value, weight: Value, bias: Value | None = None, *,
    kernel: Ints, stride: Ints = (), dilate: Ints = (), pad: Ints = (), num_filter: int, num_group: int = 1,
    num_deformable_group: int = 1, no_bias: bool = False, im2col_step: int = 64, layout: str | None = None,
) -> Value:  # fmt: skip
    """contrib/modulated_deformable_convolution-inl.h (Zhu et al., 2019). im2col_step only says how it is computed."""
    where = Where(kernel, stride, dilate, pad, num_filter, num_group, num_deformable_group)
    return _deformed(g, data, offset, mask, weight, None if no_bias else bias, where)


@dataclass(frozen=True)
class Where:
    """The attributes that deformable convolutions have in common."""

    kernel: Ints
    stride: Ints
    dilate: Ints
    pad: Ints
    filters: int
    groups: int
    offset_groups: int


def _clipped(g: MXNetBuilder, x: Value, offset: Value, where: Where) -> tuple[Value, Value]:
    """`offset` moved into the image, and a mask (1 or 0) of what was in it: both have y and x of each place in turn."""
    if x.shape is None or offset.shape is None or not is_static(x.shape[2:] + offset.shape[1:]):
        raise g.unsupported("needs the sizes of the image", "Give them with --input.")
    height, width = static(x.shape[2:])
    pairs, rows, columns = static(offset.shape[1:])
    places = np.stack(_places(g, where, rows, columns), axis=1)  # [kernel, 2, rows, columns]
    grid = np.tile(places, (where.offset_groups, 1, 1, 1)).astype(x.dtype)
    sizes = np.array([height, width], x.dtype).reshape(2, 1, 1)
    at = g.Add(g.Reshape(offset, [0, pairs // 2, 2, rows, columns]), grid)
    inside = g.cast(g.And(g.GreaterOrEqual(at, 0.0), g.Less(at, sizes)), x.dtype)
    moved = g.Sub(g.Min(g.Max(at, np.zeros((), x.dtype)), sizes - 1), grid)
    return g.Reshape(moved, [0, pairs, rows, columns]), g.ReduceMin(inside, [2], keepdims=0)


def _places(g: MXNetBuilder, where: Where, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each element of the kernel lies for each output: y and x, [kernel, rows, columns]."""
    g.affordable(*where.kernel, rows, columns)
    strides, dilations = per_axis(g, "stride", where.stride, 2, 1), per_axis(g, "dilate", where.dilate, 2, 1)
    pads = per_axis(g, "pad", where.pad, 2, 0)
    i, j, y, x = np.indices((*where.kernel, rows, columns)).reshape(4, -1, rows, columns)
    return y * strides[0] - pads[0] + i * dilations[0], x * strides[1] - pads[1] + j * dilations[1]


def _deformed(
    g: MXNetBuilder, x: Value, offset: Value, mask: Value | None, weight: Value, bias: Value | None, where: Where
) -> Value:
    axes = len(where.kernel)
    channels = x.shape[1] // where.groups if x.shape and isinstance(x.shape[1], int) else None
    weight = g.parameter(weight, where.filters, channels, *where.kernel)
    bias = None if bias is None else g.parameter(bias, where.filters)
    y: Value = g.DeformConv(
        x, weight, offset, bias, mask, kernel_shape=where.kernel, strides=per_axis(g, "stride", where.stride, axes, 1),
        dilations=per_axis(g, "dilate", where.dilate, axes, 1), pads=per_axis(g, "pad", where.pad, axes, 0) * 2,
        group=where.groups, offset_group=where.offset_groups,
    )  # fmt: skip
    return y


@mxnet_op("im2col")
def im2col(
    g: MXNetBuilder, data: Value, *, kernel: Ints, stride: Ints = (), dilate: Ints = (), pad: Ints = ()
) -> Value:
    """im2col.h: the patches under the kernel as columns, [N, channels kernel, places]; a convolution with ones."""
    axes, channels = len(kernel), _channels(g, data)
    places = prod(kernel)
    picks = np.eye(places, dtype=data.dtype).reshape(places, 1, *kernel)
    weight = np.tile(picks, (channels, *[1] * (axes + 1)))
    g.affordable(*weight.shape)
    y = g.Conv(
        data, weight, kernel_shape=kernel, strides=per_axis(g, "stride", stride, axes, 1), group=channels,
        dilations=per_axis(g, "dilate", dilate, axes, 1), pads=per_axis(g, "pad", pad, axes, 0) * 2,
    )  # fmt: skip
    return g.Reshape(y, [0, 0, -1])


@mxnet_op("col2im")
def col2im(
    g: MXNetBuilder, data: Value, *, output_size: Ints, kernel: Ints, stride: Ints = (), dilate: Ints = (),
    pad: Ints = (),
) -> Value:  # fmt: skip
    """im2col.h: the sum of the patches where they lie, the transpose of im2col."""
    axes = len(kernel)
    y: Value = g.Col2Im(
        data, list(output_size), list(kernel), strides=per_axis(g, "stride", stride, axes, 1),
        dilations=per_axis(g, "dilate", dilate, axes, 1), pads=per_axis(g, "pad", pad, axes, 0) * 2,
    )  # fmt: skip
    return y


def _channels(g: MXNetBuilder, x: Value) -> int:
    if not x.shape or not isinstance(x.shape[1], int):
        raise g.unsupported("the number of channels is not known")
    return x.shape[1]
