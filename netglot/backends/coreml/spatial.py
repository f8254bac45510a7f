"""Convolution and pooling: windows over the axes behind N and C."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, constant, coreml_op, interleaved, is_weight
from netglot.backends.coreml.reduction import lp_norm
from netglot.backends.coreml.shape import padded
from netglot.backends.lowering import NotMappedError

Ints = tuple[int, ...]


def explicit_pads(
    auto_pad: str, pads: Ints, sizes: Sequence[int], kernel: Sequence[int], strides: Ints, dilations: Ints
) -> list[int]:
    """All begins, then all ends (the attribute auto_pad of ONNX's Conv says the rules)."""
    if auto_pad == "VALID" or (auto_pad == "NOTSET" and not pads):
        return [0] * (2 * len(sizes))
    if auto_pad == "NOTSET":
        return list(pads)
    totals = [
        max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return small + large if auto_pad == "SAME_UPPER" else large + small


@coreml_op("Conv")
def conv(
    m: CoreMLBuilder, x: Var, w: Tensor, b: Tensor | None = None, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int,
) -> Var:  # fmt: skip
    rank = x.rank - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    amounts = explicit_pads(auto_pad, pads, x.shape[2:], w.shape[2:], strides, dilations)
    return m.conv(x=x, weight=w, bias=b, strides=strides, dilations=dilations, groups=group, **_padding(amounts))


def _padding(amounts: Sequence[int]) -> dict[str, object]:
    return {"pad_type": "custom", "pad": interleaved(amounts)} if any(amounts) else {"pad_type": "valid"}


@coreml_op("ConvTranspose")
def conv_transpose(
    m: CoreMLBuilder, x: Var, w: Tensor, b: Tensor | None = None, *, auto_pad: str, kernel_shape: Ints = (),
    strides: Ints = (), pads: Ints = (), dilations: Ints = (), group: int, output_padding: Ints = (),
    output_shape: Ints = (),
) -> Var:  # fmt: skip
    """Cropping and output padding are both said as the padding of the full result, which is never left to MIL's rules.

    What output_padding adds beyond the full result holds the bias alone.
    """
    if not is_weight(w):
        raise NotMappedError("the weights must be constant")
    rank, y = x.rank - 2, m.output
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    axes = zip(x.shape[2:], strides, w.shape[2:], dilations, y.sizes[2:], strict=True)
    extra = [(n - 1) * s + (k - 1) * d + 1 - wanted for n, s, k, d, wanted in axes]  # what must go; may be negative
    begin = _crop_begin(auto_pad, pads, extra, rank, bool(output_shape))
    end = [total - first for total, first in zip(extra, begin, strict=True)]
    beyond = [max(0, -last) for last in end]
    crop = [*begin, *(max(0, last) for last in end)]
    result = m.conv_transpose(
        x=x, weight=w, bias=None if any(beyond) else b, strides=strides, dilations=dilations,
        groups=group, output_shape=[*y.sizes[:2], *(n - more for n, more in zip(y.sizes[2:], beyond, strict=True))],
        **_padding(crop),
    )  # fmt: skip
    if not any(beyond):
        return result
    result = padded(m, result, [(0, 0), (0, 0), *((0, more) for more in beyond)], "constant")
    return result if b is None else m.add(x=result, y=constant(b, "the bias").reshape(-1, *(1,) * rank))


def _crop_begin(auto_pad: str, pads: Ints, extra: list[int], rank: int, by_shape: bool) -> list[int]:
    if auto_pad == "NOTSET" and not by_shape:
        return list(pads[:rank]) or [0] * rank
    if auto_pad == "SAME_UPPER":
        return [max(0, total) // 2 for total in extra]
    return [max(0, total) - max(0, total) // 2 for total in extra]


# --------------------------------------------------------------------- pooling


def _window(x: Var, kernel: Ints, strides: Ints, dilations: Ints, auto_pad: str, pads: Ints) -> tuple[Ints, list[int]]:
    """Strides and pads of a pooling, its defaults filled in."""
    if any(d != 1 for d in dilations):
        raise NotMappedError("Core ML's pooling has no dilation")
    ones = (1,) * (x.rank - 2)
    return strides or ones, explicit_pads(auto_pad, pads, x.shape[2:], kernel, strides or ones, ones)


def overhang(x: Var, y: Sequence[int], kernel: Ints, strides: Ints, pads: Sequence[int]) -> list[int]:
    """How far the last window reaches beyond the padded image, by axis: ceil_mode, said as padding."""
    rank = len(kernel)
    spans = [(n - 1) * s + k for n, s, k in zip(y[2:], strides, kernel, strict=True)]
    return [max(0, spans[i] - x.shape[2 + i] - pads[i] - pads[i + rank]) for i in range(rank)]


@coreml_op("MaxPool")
def max_pool(
    m: CoreMLBuilder, x: Var, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0,
) -> Var:  # fmt: skip
    rank = x.rank - 2
    strides, amounts = _window(x, kernel_shape, strides, dilations, auto_pad, pads)
    ends = [end + more for end, more in zip(amounts[rank:], overhang(x, m.output.sizes, kernel_shape, strides, amounts),
                                            strict=True)]  # fmt: skip
    return m.max_pool(x=x, kernel_sizes=kernel_shape, strides=strides, **_padding([*amounts[:rank], *ends]))


@coreml_op("AveragePool")
def average_pool(
    m: CoreMLBuilder, x: Var, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int, count_include_pad: int,
) -> Var:  # fmt: skip
    """The overhang of ceil_mode never counts in the divisor; where padding does, it is written out as zeros first."""
    rank = x.rank - 2
    strides, amounts = _window(x, kernel_shape, strides, dilations, auto_pad, pads)
    more = overhang(x, m.output.sizes, kernel_shape, strides, amounts)
    count = bool(count_include_pad)
    if count and any(more):
        around = [(0, 0), (0, 0), *zip(amounts[:rank], amounts[rank:], strict=True)]
        x = padded(m, x, around, "constant") if any(amounts) else x
        amounts, count = [0] * (2 * rank), False
    ends = [end + n for end, n in zip(amounts[rank:], more, strict=True)]
    return m.avg_pool(
        x=x, kernel_sizes=kernel_shape, strides=strides, exclude_padding_from_average=not count,
        **_padding([*amounts[:rank], *ends]),
    )  # fmt: skip


@coreml_op("GlobalAveragePool")
def global_average_pool(m: CoreMLBuilder, x: Var) -> Var:
    return m.reduce_mean(x=x, axes=list(range(2, x.rank)), keep_dims=True)


@coreml_op("GlobalMaxPool")
def global_max_pool(m: CoreMLBuilder, x: Var) -> Var:
    return m.reduce_max(x=x, axes=list(range(2, x.rank)), keep_dims=True)


@coreml_op("GlobalLpPool")
def global_lp_pool(m: CoreMLBuilder, x: Var, *, p: int) -> Var:
    return lp_norm(m, x, list(range(2, x.rank)), p)


@coreml_op("LpPool")
def lp_pool(
    m: CoreMLBuilder, x: Var, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int, p: int,
) -> Var:  # fmt: skip
    if p != 2 or ceil_mode:
        raise NotMappedError("Core ML has the norm 2 only, without ceil_mode")
    strides, amounts = _window(x, kernel_shape, strides, dilations, auto_pad, pads)
    return m.l2_pool(x=x, kernel_sizes=kernel_shape, strides=strides, **_padding(amounts))
