"""Fourier transforms, on pairs (see complex_numbers). Semantics: ATen's SpectralOps.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netglot.frontends.pytorch.builder import Complex, Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.complex_numbers import conj, rank_of
from netglot.frontends.pytorch.operators.linalg import dtype_of
from netglot.ir.graph import Value

Signal = Value | Complex
NONE, ROOT, COUNT = range(3)  # what a transform of n numbers is divided by: 1, the root of n, n


def signal_of(g: TorchBuilder, x: Signal) -> Value:
    """`x` as ONNX's DFT takes it: with a last axis of 2, or of 1 where it is real."""
    if isinstance(x, Complex):
        return x.pairs
    real = x if dtype_of(x).kind == "f" else g.cast(x, np.float32)
    y: Value = g.Unsqueeze(real, [-1])
    return y


def dft(g: TorchBuilder, x: Value, axis: int, *, inverse: bool = False, onesided: bool = False) -> Value:
    y: Value = g.DFT(x, None, g.constant(axis, np.int64), inverse=int(inverse), onesided=int(onesided))
    return y


def divided(g: TorchBuilder, y: Value, sizes: Sequence[Size], mode: int, *, inverse: bool) -> Value:
    """`y` divided as `mode` says; ONNX has divided an inverse transform by the number already."""
    power = {NONE: 0.0, ROOT: 0.5, COUNT: 1.0}[mode] - (1.0 if inverse else 0.0)
    if power == 0 or not sizes:
        return y
    count = prod(g.known(size, "the number of elements that are transformed") for size in sizes)
    made: Value = g.Mul(y, float(count) ** -power)
    return made


def complex_transform(g: TorchBuilder, x: Signal, axes: Sequence[int], mode: int, *, forward: bool) -> Value:
    """Pairs: the transform of x along `axes`."""
    y = signal_of(g, x)
    sizes = [g.size(y, axis) for axis in axes]
    for axis in axes:
        y = dft(g, y, axis, inverse=not forward)
    return divided(g, y, sizes, mode, inverse=not forward)


def real_transform(g: TorchBuilder, x: Value, axes: Sequence[int], mode: int, *, onesided: bool) -> Value:
    """Pairs: the half of the spectrum of real numbers that says all, or the whole of it."""
    y = signal_of(g, x)
    sizes = [g.size(y, axis) for axis in axes]
    y = dft(g, y, axes[-1], onesided=onesided)
    for axis in axes[:-1]:
        y = dft(g, y, axis)
    return divided(g, y, sizes, mode, inverse=False)


def to_real(g: TorchBuilder, x: Value, axes: Sequence[int], mode: int, last: int, *, forward: bool = False) -> Value:
    """The inverse of the half of a spectrum; the other half of the last axis, of `last` numbers, is its mirror."""
    y = fitted(g, x, axes[-1], last // 2 + 1)
    sizes: list[Size] = [*(g.size(y, axis) for axis in axes[:-1]), last]
    for axis in axes[:-1]:
        y = dft(g, y, axis, inverse=True)
    if last > 2:
        mirrored = g.Slice(y, [(last - 1) // 2], [0], [axes[-1]], [-1])
        y = g.Concat(y, g.Mul(mirrored, g.constant([1, -1], y.dtype)), axis=axes[-1])
    y = g.Gather(dft(g, y, axes[-1], inverse=True), np.array(0, np.int64), axis=-1)
    return divided(g, y, sizes, mode, inverse=True)


def fitted(g: TorchBuilder, x: Value, axis: int, length: int) -> Value:
    """`x` cut to `length` along an axis, or with zeros after it."""
    size = g.known(g.size(x, axis), "the number of elements that are transformed")
    if size >= length:
        return x if size == length else g.Slice(x, [0], [length], [axis])
    ends = np.zeros(2 * x.rank, np.int64)
    ends[x.rank + axis] = length - size
    y: Value = g.Pad(x, ends)
    return y


# ------------------------------------------------------------- as decompositions have them


@aten("_fft_r2c")
def fft_r2c(g: TorchBuilder, x: Value, *, dim: Sequence[int], normalization: int, onesided: bool) -> Complex:
    return Complex(real_transform(g, x, g.axes(dim, x.rank), normalization, onesided=onesided))


@aten("_fft_c2c", complex=True)
def fft_c2c(g: TorchBuilder, x: Complex, *, dim: Sequence[int], normalization: int, forward: bool) -> Complex:
    return Complex(complex_transform(g, x, g.axes(dim, rank_of(x)), normalization, forward=forward))


@aten("_fft_c2r", complex=True)
def fft_c2r(
    g: TorchBuilder, x: Complex, *, dim: Sequence[int], normalization: int, last_dim_size: Size
) -> Value:  # fmt: skip
    last = g.known(last_dim_size, "the size of the result")
    return to_real(g, x.pairs, g.axes(dim, rank_of(x)), normalization, last)


# ------------------------------------------------------------------ as users call them


def mode_of(g: TorchBuilder, norm: str | None, *, forward: bool) -> int:
    """What a transform is divided by, where users say in which direction that is."""
    modes = {None: (NONE, COUNT), "backward": (NONE, COUNT), "ortho": (ROOT, ROOT), "forward": (COUNT, NONE)}
    return modes[norm][0 if forward else 1]


def resized(g: TorchBuilder, x: Signal, axes: Sequence[int], sizes: Sequence[Size | None]) -> Signal:
    """`x` cut or filled to `sizes` along `axes`; None and -1 leave an axis as it is."""
    y = signal_of(g, x)
    for axis, size in zip(axes, sizes, strict=True):
        if size is not None and size != -1:
            y = fitted(g, y, axis, g.known(size, "the length of the transform"))
    if isinstance(x, Complex):
        return Complex(y)
    made: Value = g.Squeeze(y, [-1])
    return made


def axes_of(
    g: TorchBuilder, x: Signal, s: Sequence[Size] | None, dim: Sequence[int] | None
) -> tuple[list[int], list[Size | None]]:
    """The axes of a transform along several, and their sizes where they are said."""
    rank = rank_of(x)
    if dim is None:
        axes = list(range(rank if s is None else len(s)))
        axes = axes if s is None else [rank - len(s) + axis for axis in axes]
    else:
        axes = [g.axis(axis, rank) for axis in dim]
    return axes, list(s) if s is not None else [None] * len(axes)


def complex_signal(g: TorchBuilder, x: Signal) -> Complex:
    """Real numbers with imaginary parts of 0."""
    if isinstance(x, Complex):
        return x
    y = signal_of(g, x)
    return Complex(g.Concat(y, g.Mul(y, 0.0), axis=-1))


def transformed(
    g: TorchBuilder, x: Signal, axes: Sequence[int], sizes: Sequence[Size | None], norm: str | None, *, forward: bool
) -> Complex:
    """The whole spectrum of real or complex numbers, or its inverse."""
    x = resized(g, x, axes, sizes)
    x = x if isinstance(x, Complex) or (len(axes) == 1 and forward) else complex_signal(g, x)
    return Complex(complex_transform(g, x, axes, mode_of(g, norm, forward=forward), forward=forward))


def halved(
    g: TorchBuilder, x: Value, axes: Sequence[int], sizes: Sequence[Size | None], norm: str | None
) -> Complex:  # fmt: skip
    y = resized(g, x, axes, sizes)
    assert isinstance(y, Value)
    return Complex(real_transform(g, y, axes, mode_of(g, norm, forward=True), onesided=True))


def unhalved(
    g: TorchBuilder, x: Signal, axes: Sequence[int], sizes: Sequence[Size | None], norm: str | None
) -> Value:  # fmt: skip
    pairs = complex_signal(g, x).pairs
    last = sizes[-1] if sizes[-1] is not None and sizes[-1] != -1 else last_size(g, pairs, axes[-1])
    y = resized(g, Complex(pairs), axes[:-1], sizes[:-1])
    assert isinstance(y, Complex)
    return to_real(g, y.pairs, axes, mode_of(g, norm, forward=False), g.known(last, "the size of the result"))


def last_size(g: TorchBuilder, pairs: Value, axis: int) -> int:
    """How many real numbers a half of a spectrum says, if nothing else is known."""
    return 2 * (g.known(g.size(pairs, axis), "the number of elements that are transformed") - 1)


@aten("fft_fft", complex=True)
def fft_fft(g: TorchBuilder, x: Signal, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    return transformed(g, x, [g.axis(dim, rank_of(x))], [n], norm, forward=True)


@aten("fft_ifft", complex=True)
def fft_ifft(g: TorchBuilder, x: Signal, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    return transformed(g, x, [g.axis(dim, rank_of(x))], [n], norm, forward=False)


@aten("fft_rfft")
def fft_rfft(g: TorchBuilder, x: Value, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    return halved(g, x, [g.axis(dim, x.rank)], [n], norm)


@aten("fft_irfft", complex=True)
def fft_irfft(g: TorchBuilder, x: Signal, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Value:
    return unhalved(g, x, [g.axis(dim, rank_of(x))], [n], norm)


_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


@aten("fft_hfft", complex=True)
def fft_hfft(g: TorchBuilder, x: Signal, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Value:
    """The spectrum, which is real, of the half of a signal that is its own mirrored conjugate."""
    return unhalved(g, conj(g, complex_signal(g, x)), [g.axis(dim, rank_of(x))], [n], _OPPOSITE[norm])


@aten("fft_ihfft")
def fft_ihfft(g: TorchBuilder, x: Value, *, n: Size | None = None, dim: int = -1, norm: str | None = None) -> Signal:
    return conj(g, halved(g, x, [g.axis(dim, x.rank)], [n], _OPPOSITE[norm]))


@aten("fft_fft2", complex=True)
def fft_fft2(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return transformed(g, x, *axes_of(g, x, s, dim), norm, forward=True)


@aten("fft_ifft2", complex=True)
def fft_ifft2(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return transformed(g, x, *axes_of(g, x, s, dim), norm, forward=False)


@aten("fft_rfft2")
def fft_rfft2(
    g: TorchBuilder, x: Value, *, s: Sequence[Size] | None = None, dim: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return halved(g, x, *axes_of(g, x, s, dim), norm)


@aten("fft_irfft2", complex=True)
def fft_irfft2(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Value:  # fmt: skip
    return unhalved(g, x, *axes_of(g, x, s, dim), norm)


@aten("fft_fftn", complex=True)
def fft_fftn(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] | None = None,
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return transformed(g, x, *axes_of(g, x, s, dim), norm, forward=True)


@aten("fft_ifftn", complex=True)
def fft_ifftn(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] | None = None,
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return transformed(g, x, *axes_of(g, x, s, dim), norm, forward=False)


@aten("fft_rfftn")
def fft_rfftn(
    g: TorchBuilder, x: Value, *, s: Sequence[Size] | None = None, dim: Sequence[int] | None = None,
    norm: str | None = None,
) -> Complex:  # fmt: skip
    return halved(g, x, *axes_of(g, x, s, dim), norm)


@aten("fft_irfftn", complex=True)
def fft_irfftn(
    g: TorchBuilder, x: Signal, *, s: Sequence[Size] | None = None, dim: Sequence[int] | None = None,
    norm: str | None = None,
) -> Value:  # fmt: skip
    return unhalved(g, x, *axes_of(g, x, s, dim), norm)


# ---------------------------------------------------------------------- frequencies


def shifted(g: TorchBuilder, x: Signal, dim: Sequence[int] | int | None, *, back: bool) -> Signal:
    """The zero frequency moved to the middle, or back."""
    y = x.pairs if isinstance(x, Complex) else x
    for axis in g.axes(dim, rank_of(x)):
        size = g.known(g.size(y, axis), "the number of frequencies")
        by = (size + 1) // 2 if back else size // 2
        if by % size:
            end, begin = (g.Slice(y, [at], [to], [axis]) for at, to in ((size - by, size), (0, size - by)))
            y = g.Concat(end, begin, axis=axis)
    return Complex(y) if isinstance(x, Complex) else y


@aten("fft_fftshift", complex=True)
def fft_fftshift(g: TorchBuilder, x: Signal, *, dim: Sequence[int] | None = None) -> Signal:
    return shifted(g, x, dim, back=False)


@aten("fft_ifftshift", complex=True)
def fft_ifftshift(g: TorchBuilder, x: Signal, *, dim: Sequence[int] | None = None) -> Signal:
    return shifted(g, x, dim, back=True)


@aten("fft_fftfreq")
def fft_fftfreq(g: TorchBuilder, *, n: int, d: float = 1.0, dtype: np.dtype | None = None) -> Value:
    g.affordable(n)
    return g.constant(np.fft.fftfreq(n, d), dtype or np.float32)


@aten("fft_rfftfreq")
def fft_rfftfreq(g: TorchBuilder, *, n: int, d: float = 1.0, dtype: np.dtype | None = None) -> Value:
    g.affordable(n)
    return g.constant(np.fft.rfftfreq(n, d), dtype or np.float32)


# -------------------------------------------------------------- short-time transforms


def window_of(g: TorchBuilder, window: Value | None, n_fft: int, win_length: int | None, dtype: np.dtype) -> Value:
    """The window, in the middle of n_fft zeros; ones where there is none."""
    length = n_fft if win_length is None else win_length
    found = g.constant(np.ones(length, dtype)) if window is None else g.cast(window, dtype)
    left = (n_fft - length) // 2
    if length == n_fft:
        return found
    y: Value = g.Pad(found, np.array([left, n_fft - length - left], np.int64))
    return y


def waves(g: TorchBuilder, n_fft: int, bins: int) -> np.ndarray:
    """Cosines, then negative sines, of `bins` frequencies: [2, bins, n_fft]."""
    g.affordable(2, bins, n_fft)
    phase = 2 * np.pi * (np.outer(np.arange(bins), np.arange(n_fft)) % n_fft) / n_fft
    return np.stack([np.cos(phase), -np.sin(phase)])


def short_time(
    g: TorchBuilder, x: Value, window: Value | None, n_fft: int, hop: int, win_length: int | None, *,
    normalized: bool, onesided: bool,
) -> Value:  # fmt: skip
    """Pairs [..., frequencies, frames]: a convolution with waves in the window, which every target has."""
    bins = n_fft // 2 + 1 if onesided else n_fft
    dtype = dtype_of(x)
    basis = waves(g, n_fft, bins).reshape(2 * bins, 1, n_fft) * (n_fft**-0.5 if normalized else 1.0)
    kernel = g.Mul(basis.astype(dtype), window_of(g, window, n_fft, win_length, dtype))
    rows = g.Unsqueeze(x, [0, 1] if x.rank == 1 else [1])
    y = g.Reshape(g.Conv(rows, kernel, strides=[hop]), [0, 2, bins, -1])
    y = g.Transpose(y, perm=[0, 2, 3, 1])
    made: Value = g.Squeeze(y, [0]) if x.rank == 1 else y
    return made


def stft_of(
    g: TorchBuilder, x: Signal, window: Value | None, n_fft: int, hop_length: int | None, win_length: int | None, *,
    normalized: bool, onesided: bool | None, return_complex: bool | None, align_to_window: bool | None,
) -> Signal:  # fmt: skip
    if isinstance(x, Complex):
        raise g.unsupported("of a complex signal")
    if align_to_window:
        raise g.unsupported("with align_to_window")
    hop = n_fft // 4 if hop_length is None else hop_length
    pairs = short_time(
        g, x, window, n_fft, hop, win_length, normalized=normalized, onesided=onesided is not False
    )  # fmt: skip
    return Complex(pairs) if return_complex else pairs


@aten("stft", order="self n_fft hop_length win_length window normalized onesided return_complex align_to_window")
def stft(
    g: TorchBuilder, x: Signal, window: Value | None = None, *, n_fft: int, hop_length: int | None = None,
    win_length: int | None = None, normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Signal:  # fmt: skip
    return stft_of(
        g, x, window, n_fft, hop_length, win_length, normalized=normalized, onesided=onesided,
        return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip


@aten(
    "stft.center",
    order="self n_fft hop_length win_length window center pad_mode normalized onesided return_complex align_to_window",
)
def stft_center(
    g: TorchBuilder, x: Value, window: Value | None = None, *, n_fft: int, hop_length: int | None = None,
    win_length: int | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
    onesided: bool | None = None, return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Signal:  # fmt: skip
    if center:
        modes = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}
        if pad_mode not in modes:
            raise g.unsupported(f"pad_mode {pad_mode!r}")
        ends = np.zeros(2 * x.rank, np.int64)
        ends[[x.rank - 1, -1]] = n_fft // 2
        x = g.Pad(x, ends, mode=modes[pad_mode])
    return stft_of(
        g, x, window, n_fft, hop_length, win_length, normalized=normalized, onesided=onesided,
        return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip


@aten(
    "istft",
    complex=True,
    order="self n_fft hop_length win_length window center normalized onesided length return_complex",
)
def istft(
    g: TorchBuilder, x: Complex, window: Value | None = None, *, n_fft: int, hop_length: int | None = None,
    win_length: int | None = None, center: bool = True, normalized: bool = False, onesided: bool | None = None,
    length: int | None = None, return_complex: bool = False,
) -> Value:  # fmt: skip
    """Frames laid over each other by a transposed convolution, divided by the windows that lie there."""
    if return_complex or onesided is False:
        raise g.unsupported("of a whole spectrum")
    hop, bins = (n_fft // 4 if hop_length is None else hop_length), n_fft // 2 + 1
    dtype = dtype_of(x.pairs)
    window = window_of(g, window, n_fft, win_length, dtype)
    kernel = g.Mul(inverse_waves(g, n_fft, bins, normalized=normalized).astype(dtype), window)
    spectrum = x.pairs if rank_of(x) == 3 else g.Unsqueeze(x.pairs, [0])
    frames = g.known(g.size(spectrum, 2), "the number of frames")
    rows = g.Reshape(g.Transpose(spectrum, perm=[0, 3, 1, 2]), [0, 2 * bins, -1])
    y = g.ConvTranspose(rows, kernel, strides=[hop])
    squares = g.Reshape(g.Mul(window, window), [1, 1, n_fft])
    weights = g.ConvTranspose(g.constant(np.ones((1, 1, frames), dtype)), squares, strides=[hop])
    total = n_fft + hop * (frames - 1)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - start
    if end > total:
        raise g.unsupported(f"a length of {length} where there are {total - start} numbers")
    y, weights = (g.Slice(item, [start], [end], [2]) for item in (y, weights))
    y = g.Squeeze(g.Div(y, weights), [1])
    made: Value = y if rank_of(x) == 3 else g.Squeeze(y, [0])
    return made


def inverse_waves(g: TorchBuilder, n_fft: int, bins: int, *, normalized: bool) -> np.ndarray:
    """[2 * bins, 1, n_fft]: what every pair of a half of a spectrum adds to a frame."""
    twice = np.full(bins, 2.0)
    twice[0] = 1
    if n_fft % 2 == 0:
        twice[-1] = 1
    scale = n_fft**-0.5 if normalized else 1 / n_fft
    return (waves(g, n_fft, bins) * twice[:, None] * scale).reshape(2 * bins, 1, n_fft)
