"""Convolutions."""

from __future__ import annotations

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import channels_last, inverse

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
