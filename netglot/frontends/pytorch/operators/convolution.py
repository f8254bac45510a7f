"""Convolutions. Semantics: ATen/native/Convolution.cpp; weights are laid out as ONNX has them."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import kernel
from netglot.frontends.pytorch.operators.spatial import Ints, batched, per_channel, spread, unbatched
from netglot.ir.graph import Value

Sizes = Sequence[Size]


@aten("conv1d", "conv2d", "conv3d")
def conv(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None = None, *, stride: Sizes = (1,), padding: Sizes = (0,),
    dilation: Sizes = (1,), groups: Size = 1,
) -> Value:  # fmt: skip
    pads = spread(padding, weight.rank - 2, g, "padding")
    return _conv(g, x, weight, bias, stride, pads * 2, dilation, groups)


@aten("conv1d.padding", "conv2d.padding", "conv3d.padding")
def conv_padding(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None = None, *, stride: Sizes = (1,),
    padding: str = "valid", dilation: Sizes = (1,), groups: Size = 1,
) -> Value:  # fmt: skip
    pads = _named_pads(g, weight, padding, dilation)
    return _conv(g, x, weight, bias, stride, pads, dilation, groups)


@aten("_convolution_mode")
def convolution_mode(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None, *, stride: Sizes, padding: str, dilation: Sizes,
    groups: Size,
) -> Value:  # fmt: skip
    return conv_padding(g, x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


@aten("conv_transpose1d", "conv_transpose2d.input", "conv_transpose3d.input")
def conv_transpose(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None = None, *, stride: Sizes = (1,), padding: Sizes = (0,),
    output_padding: Sizes = (0,), groups: Size = 1, dilation: Sizes = (1,),
) -> Value:  # fmt: skip
    """The weight is [inputs, outputs / groups, ...], as in ONNX."""
    spatial = weight.rank - 2
    x, added = batched(g, x, spatial)
    strides, more = spread(stride, spatial, g, "stride"), spread(output_padding, spatial, g, "output_padding")
    pads, dilations = spread(padding, spatial, g, "padding"), spread(dilation, spatial, g, "dilation")
    at_end, more, beyond = _beyond(pads, more, strides)
    y = kernel(
        g, "ConvTranspose", x, weight, None if any(beyond) else bias, strides=strides, pads=(*pads, *at_end),
        output_padding=more, dilations=dilations, group=g.known(groups, "groups"),
    )  # fmt: skip
    if any(beyond):
        y = g.Pad(y, [0] * (spatial + 4) + list(beyond), g.number(0, x.dtype))
        y = y if bias is None else g.Add(y, per_channel(g, bias, x.rank))
    return unbatched(g, y, added)


def _beyond(pads: Ints, more: Ints, strides: Ints) -> tuple[Ints, Ints, Ints]:
    """The padding at the end, output_padding, and what lies beyond all windows.

    output_padding undoes padding at the end. ONNX Runtime takes it up to the stride, torch up to the dilation: it is
    then said as less padding, and what is left over is empty.
    """
    large = [extra >= stride for extra, stride in zip(more, strides, strict=True)]
    triples = list(zip(pads, more, large, strict=True))
    at_end = tuple(max(pad - extra, 0) if big else pad for pad, extra, big in triples)
    kept = tuple(0 if big else extra for _, extra, big in triples)
    return at_end, kept, tuple(max(extra - pad, 0) if big else 0 for pad, extra, big in triples)


@aten("convolution")
def convolution(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None, *, stride: Sizes, padding: Sizes, dilation: Sizes,
    transposed: bool, output_padding: Sizes, groups: Size,
) -> Value:  # fmt: skip
    if not transposed:
        return conv(g, x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return conv_transpose(
        g, x, weight, bias, stride=stride, padding=padding, output_padding=output_padding, groups=groups,
        dilation=dilation,
    )  # fmt: skip


@aten("_convolution", "_convolution.deprecated")
def internal_convolution(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None, *, stride: Sizes, padding: Sizes, dilation: Sizes,
    transposed: bool, output_padding: Sizes, groups: Size, benchmark: bool, deterministic: bool, cudnn_enabled: bool,
    allow_tf32: bool = True,
) -> Value:  # fmt: skip
    """The flags choose among kernels and change nothing else; the deprecated form has one less."""
    return convolution(
        g, x, weight, bias, stride=stride, padding=padding, dilation=dilation, transposed=transposed,
        output_padding=output_padding, groups=groups,
    )  # fmt: skip


@aten("conv_tbc")
def conv_tbc(g: TorchBuilder, x: Value, weight: Value, bias: Value, *, pad: int = 0) -> Value:
    """Over the first axis of [time, batch, channels]; the weight is [time, inputs, outputs]."""
    rows = g.Transpose(x, perm=[1, 2, 0])
    y = kernel(g, "Conv", rows, g.Transpose(weight, perm=[2, 1, 0]), bias, pads=[pad, pad])
    return g.Transpose(y, perm=[2, 0, 1])


def _conv(
    g: TorchBuilder, x: Value, weight: Value, bias: Value | None, stride: Sizes, pads: Ints, dilation: Sizes,
    groups: Size,
) -> Value:  # fmt: skip
    spatial = weight.rank - 2
    x, added = batched(g, x, spatial)
    strides, dilations = spread(stride, spatial, g, "stride"), spread(dilation, spatial, g, "dilation")
    y = kernel(
        g, "Conv", x, weight, bias, strides=strides, pads=pads, dilations=dilations, group=g.known(groups, "groups")
    )
    return unbatched(g, y, added)


def _named_pads(g: TorchBuilder, weight: Value, padding: str, dilation: Sizes) -> Ints:
    """Paddings at the start of every axis, then at the end; of an odd one "same" has more at the end."""
    spatial = weight.rank - 2
    if padding == "valid":
        return (0,) * (2 * spatial)
    if padding != "same":
        raise g.unsupported(f"padding='{padding}'")
    kernel = [g.known(g.size(weight, axis), "the size of the kernel") for axis in range(2, weight.rank)]
    dilations = spread(dilation, spatial, g, "dilation")
    total = [step * (size - 1) for step, size in zip(dilations, kernel, strict=True)]
    return (*(size // 2 for size in total), *(size - size // 2 for size in total))
