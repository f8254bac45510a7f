"""Resizing. Semantics: ATen/native/UpSample.h and cpu/UpSampleKernel.cpp.

Element i of an axis is read at i * step or (i + 0.5) * step - 0.5, where `step` is 1 / scale if a scale was given, else
inputs / outputs; align_corners takes (inputs - 1) / (outputs - 1) and looks at neither. ONNX's Resize knows either the
sizes or the scales: where torch's two disagree, elements are gathered and weighed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.numeric import BFLOAT16, HALVES
from netglot.frontends.pytorch.operators.spatial import spatial_rank, static_sizes
from netglot.ir.graph import Value

Sizes = Sequence[Size]
Scales = Sequence[float] | None

_F32 = np.float32
_REACH = {"linear": 1, "cubic": 2, "lanczos": 3}  # inputs to each side that a kernel weighs
_LONG = 1 << 20  # elements of an axis: that many are not looked at one by one


@dataclass(frozen=True)
class Mode:
    """An interpolation: ONNX's attributes, and what the two coordinate rules come to."""

    name: str  # nearest, linear, cubic, lanczos
    half_pixel: bool = True
    align_corners: bool = False
    antialias: bool = False
    plane: bool = False  # of two axes

    @property
    def attributes(self) -> dict[str, object]:
        corners = "align_corners" if self.align_corners else "half_pixel" if self.half_pixel else "asymmetric"
        found: dict[str, object] = {"mode": self.name, "coordinate_transformation_mode": corners}
        if self.name == "nearest":
            found["nearest_mode"] = "round_prefer_ceil" if self.half_pixel else "floor"
        if self.antialias:
            found |= {"antialias": 1, "exclude_outside": 1}
        if self.name == "cubic":
            found["cubic_coeff_a"] = self.cubic
        return found

    @property
    def cubic(self) -> float:
        return -0.5 if self.antialias else -0.75

    @property
    def whole(self) -> tuple[int, ...]:
        """The ratios of the sizes at which torch's kernels overlook a scale that says otherwise (1.1 of 5 is 5)."""
        if self.name == "nearest":
            return (1, 2) if self.plane and not self.half_pixel else ()
        return (1,) if self.name == "linear" or self.antialias else ()


@dataclass(frozen=True)
class Axis:
    """One axis that is resized; `scale` as torch was given it, None where only the sizes count."""

    axis: int
    size: Size
    out: Size
    scale: float | None

    @property
    def step(self) -> float | None:
        """Inputs per output, where known."""
        if self.scale is not None:
            return 1 / self.scale
        if isinstance(self.size, int) and isinstance(self.out, int):
            return self.size / max(self.out, 1)
        return None


# ------------------------------------------------------------------------------------------------------------ operators


@aten("upsample_nearest1d", "_upsample_nearest_exact1d")
def nearest1d(g: TorchBuilder, x: Value, *, output_size: Sizes, scales: float | None = None) -> Value:
    return _resized(g, x, _axes(g, x, output_size, [scales]), _nearest(g))


@aten("upsample_nearest2d", "_upsample_nearest_exact2d")
def nearest2d(
    g: TorchBuilder, x: Value, *, output_size: Sizes, scales_h: float | None = None, scales_w: float | None = None
) -> Value:
    return _resized(g, x, _axes(g, x, output_size, [scales_h, scales_w]), _nearest(g))


@aten("upsample_nearest3d", "_upsample_nearest_exact3d")
def nearest3d(
    g: TorchBuilder, x: Value, *, output_size: Sizes, scales_d: float | None = None, scales_h: float | None = None,
    scales_w: float | None = None,
) -> Value:  # fmt: skip
    return _resized(g, x, _axes(g, x, output_size, [scales_d, scales_h, scales_w]), _nearest(g))


@aten(
    "upsample_nearest1d.vec", "upsample_nearest2d.vec", "upsample_nearest3d.vec", "_upsample_nearest_exact1d.vec",
    "_upsample_nearest_exact2d.vec", "_upsample_nearest_exact3d.vec",
)  # fmt: skip
def nearest_vec(g: TorchBuilder, x: Value, *, output_size: Sizes | None, scale_factors: Scales) -> Value:
    return _vec(g, x, output_size, scale_factors, _nearest(g))


@aten("upsample_linear1d")
def linear1d(
    g: TorchBuilder, x: Value, *, output_size: Sizes, align_corners: bool, scales: float | None = None
) -> Value:
    return _resized(g, x, _axes(g, x, output_size, [scales]), _smooth(g, align_corners))


@aten(
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
    "_upsample_lanczos2d_aa",
)
def smooth2d(
    g: TorchBuilder, x: Value, *, output_size: Sizes, align_corners: bool, scales_h: float | None = None,
    scales_w: float | None = None,
) -> Value:  # fmt: skip
    return _resized(g, x, _axes(g, x, output_size, [scales_h, scales_w]), _smooth(g, align_corners))


@aten("upsample_trilinear3d")
def trilinear3d(
    g: TorchBuilder, x: Value, *, output_size: Sizes, align_corners: bool, scales_d: float | None = None,
    scales_h: float | None = None, scales_w: float | None = None,
) -> Value:  # fmt: skip
    return _resized(g, x, _axes(g, x, output_size, [scales_d, scales_h, scales_w]), _smooth(g, align_corners))


@aten(
    "upsample_linear1d.vec", "upsample_bilinear2d.vec", "upsample_trilinear3d.vec", "upsample_bicubic2d.vec",
    "_upsample_bilinear2d_aa.vec", "_upsample_bicubic2d_aa.vec", "_upsample_lanczos2d_aa.vec",
)  # fmt: skip
def smooth_vec(
    g: TorchBuilder, x: Value, *, output_size: Sizes | None, align_corners: bool, scale_factors: Scales
) -> Value:
    return _vec(g, x, output_size, scale_factors, _smooth(g, align_corners))


def _nearest(g: TorchBuilder) -> Mode:
    return Mode("nearest", half_pixel="exact" in g.target, plane=spatial_rank(g) == 2)


def _smooth(g: TorchBuilder, align_corners: bool) -> Mode:
    name = "cubic" if "bicubic" in g.target else "lanczos" if "lanczos" in g.target else "linear"
    return Mode(name, align_corners=align_corners, antialias="_aa." in g.target)


# ------------------------------------------------------------------------------------------------------------ the rule


def _vec(g: TorchBuilder, x: Value, output_size: Sizes | None, scales: Scales, mode: Mode) -> Value:
    """Sizes or scales; of the scales come the sizes, rounded down."""
    if output_size is not None:
        return _resized(g, x, _axes(g, x, output_size, [None] * (x.rank - 2)), mode)
    if scales is None:
        raise g.unsupported("neither sizes nor scales")
    factors = list(scales) * (spatial_rank(g) if len(scales) == 1 else 1)
    is_open = static_sizes(x, 2) is None
    if is_open and not mode.align_corners and all(map(_is_exact, factors)) and not _must_gather(x, mode):
        return _by_scales(g, x, list(range(2, x.rank)), factors, mode)
    sizes = [_scaled(g, g.size(x, axis), factor) for axis, factor in enumerate(factors, 2)]
    return _resized(g, x, _axes(g, x, sizes, factors), mode)


def _axes(g: TorchBuilder, x: Value, sizes: Sizes, scales: Sequence[float | None]) -> list[Axis]:
    if len(sizes) != x.rank - 2:
        raise g.unsupported(f"{len(sizes)} sizes for a tensor of rank {x.rank}")
    given = [scale if scale is not None and scale > 0 else None for scale in scales]
    return [Axis(i, g.size(x, i), *pair) for i, pair in enumerate(zip(sizes, given, strict=True), 2)]


def _is_exact(scale: float) -> bool:
    """Whether scales alone say it all for any size: products are exact in float32, in which ONNX Runtime computes the
    sizes, and none is one of Mode.whole by chance (that of one element aside, of which all are copies).
    """
    return scale * 1024 == int(scale * 1024) and scale <= 1024 and not (1 < scale < 1.5 or 2 < scale < 2.5)


def _scaled(g: TorchBuilder, size: Size, scale: float) -> Size:
    if isinstance(size, int):
        return int(size * scale)
    product = g.Mul(g.cast(size, np.float64), g.constant(scale, np.float64))
    return g.as_size(g.cast(g.Floor(product), np.int64))


def _resized(g: TorchBuilder, x: Value, axes: Sequence[Axis], mode: Mode) -> Value:
    _check_type(g, x, mode)
    axes = [_without_idle_scale(axis, mode) for axis in axes]
    if not _must_gather(x, mode):
        if all(_sizes_suffice(axis, mode) for axis in axes):
            return _resize(g, x, None, g.shape([axis.out for axis in axes]), [axis.axis for axis in axes], mode)
        if all(_scale_suffices(axis, mode) for axis in axes):
            return _by_scales(g, x, [axis.axis for axis in axes], [_ratio(axis) for axis in axes], mode)
    y = g.cast(x, np.float32) if x.dtype in HALVES else x
    for axis in axes:
        y = _along(g, y, axis, mode)
    return g.cast(y, x.dtype)


def _without_idle_scale(axis: Axis, mode: Mode) -> Axis:
    if isinstance(axis.size, int) and axis.out in [axis.size * ratio for ratio in mode.whole]:
        return replace(axis, scale=None)
    return axis


def _check_type(g: TorchBuilder, x: Value, mode: Mode) -> None:
    if mode.name != "nearest" and x.dtype is not None and x.dtype.kind in "iub":
        raise g.unsupported(f"of {x.dtype}, which torch rounds in its own way", "Cast the input to float first.")


def _must_gather(x: Value, mode: Mode) -> bool:
    """ONNX has no Lanczos kernel, and ONNX Runtime resizes no float64."""
    return mode.name == "lanczos" or x.dtype == np.float64


def _ratio(axis: Axis) -> float:
    assert axis.step is not None
    return 1 / axis.step


def _by_scales(g: TorchBuilder, x: Value, axes: list[int], scales: Sequence[float], mode: Mode) -> Value:
    return _resize(g, x, g.constant(scales, np.float32), None, axes, mode)


def _resize(g: TorchBuilder, x: Value, scales: Value | None, sizes: Value | None, axes: list[int], mode: Mode) -> Value:
    """ONNX Runtime has no kernel for bfloat16; torch computes in float32, too."""
    wide = g.cast(x, np.float32) if x.dtype == BFLOAT16 else x
    return g.cast(g.Resize(wide, None, scales, sizes, axes=axes, **mode.attributes), x.dtype)


def _sizes_suffice(axis: Axis, mode: Mode) -> bool:
    """Whether Resize computes the same from the sizes alone."""
    if mode.align_corners:
        return not mode.antialias
    size, out = axis.size, axis.out
    if not isinstance(size, int) or not isinstance(out, int):
        return axis.scale is None
    if axis.scale is not None and size * axis.scale != out:
        return False
    return mode.name != "nearest" or _reads_alike(axis, size, out, mode, _F32(out) / _F32(max(size, 1)))


def _scale_suffices(axis: Axis, mode: Mode) -> bool:
    """Whether Resize computes the same, and as many elements, from the scale alone."""
    size, out = axis.size, axis.out
    if mode.align_corners or not isinstance(size, int) or not isinstance(out, int) or not size or not out:
        return False
    ratio = _F32(_ratio(axis))
    if out == size and ratio != 1:
        return False  # ONNX Runtime copies
    if int(_F32(size) * ratio) != out or int(size * float(ratio)) != out:
        return False
    return mode.name != "nearest" or _reads_alike(axis, size, out, mode, ratio)


def _reads_alike(axis: Axis, size: int, out: int, mode: Mode, ratio: np.floating) -> bool:
    """Whether torch's rounding (of a product in float32) and that of quotients, of any precision, agree everywhere."""
    if out > _LONG:
        return False
    half = _F32(0.5 if mode.half_pixel else 0)
    place = np.arange(out, dtype=np.float32) + half
    ours = np.floor(place * _step32(axis, size, out))
    exact = np.arange(out) + float(half)
    theirs = [place / _F32(ratio) - half + half, exact / float(ratio), exact * (axis.step or 0)]
    last = size - 1
    return all(np.array_equal(np.minimum(ours, last), np.clip(np.floor(other), 0, last)) for other in theirs)


def _step32(axis: Axis, size: int, out: int) -> np.float32:
    return _F32(size) / _F32(out) if axis.scale is None else _F32(1 / axis.scale)


# ---------------------------------------------------------------------------------------------------------- one by one


def _along(g: TorchBuilder, x: Value, axis: Axis, mode: Mode) -> Value:
    """One axis, of elements gathered and weighed."""
    if axis.scale is None and axis.size is axis.out and isinstance(axis.out, int):
        return x
    if mode.antialias:
        return _antialiased(g, x, axis, mode)
    place = _coordinates(g, axis, mode)
    last = g.Sub(_int(g, axis.size), 1)
    below = g.Floor(place)
    if mode.name == "nearest":
        return g.Gather(x, _clipped(g, below, last), axis=axis.axis)
    if mode.name == "linear":
        below = g.Min(below, g.cast(last, np.float64))
        place = g.Min(place, g.cast(last, np.float64))
    total: Value | None = None
    for tap, weight in _taps(g, g.Sub(place, below), mode):
        found = g.Gather(x, _clipped(g, g.Add(below, float(tap)), last), axis=axis.axis)
        part = g.Mul(found, _column(g, x, weight, axis.axis))
        total = part if total is None else g.Add(total, part)
    assert total is not None
    return total


def _coordinates(g: TorchBuilder, axis: Axis, mode: Mode) -> Value:
    """Where each element is read, in float64; for "nearest" in float32 first, as torch rounds there."""
    dtype = np.float32 if mode.name == "nearest" else np.float64
    count = _int(g, axis.out)
    place = g.cast(g.Range(g.constant(0, np.int64), count, g.constant(1, np.int64)), dtype)
    step = _step(g, axis, mode, dtype)
    if mode.align_corners or not mode.half_pixel:
        return g.cast(g.Mul(place, step), np.float64)
    half = g.constant(0.5, dtype)
    if mode.name == "nearest":
        return g.cast(g.Mul(g.Add(place, half), step), np.float64)
    found = g.Sub(g.Mul(g.Add(place, half), step), half)
    return g.Max(found, 0.0) if mode.name == "linear" else found


def _step(g: TorchBuilder, axis: Axis, mode: Mode, dtype: type) -> Value:
    """Inputs per output."""
    size, out = (g.cast(_int(g, count), dtype) for count in (axis.size, axis.out))
    one = g.constant(1, dtype)
    if mode.align_corners:
        spans = g.Where(g.Greater(out, one), g.Sub(size, one), g.constant(0, dtype))
        return g.Div(spans, g.Max(g.Sub(out, one), one))
    if axis.scale is None:
        return g.Div(size, out)
    step = g.constant(1 / axis.scale, dtype)
    for ratio in mode.whole:
        step = g.Where(g.Equal(out, g.Mul(size, g.constant(ratio, dtype))), g.constant(1 / ratio, dtype), step)
    return step


def _int(g: TorchBuilder, size: Size) -> Value:
    return g.constant(size, np.int64) if isinstance(size, int) else size


def _clipped(g: TorchBuilder, place: Value, last: Value) -> Value:
    return g.Max(g.Min(g.cast(place, np.int64), last), g.constant(0, np.int64))


def _column(g: TorchBuilder, x: Value, weights: Value, axis: int) -> Value:
    """Weights of an axis in the shape that broadcasts against `x`."""
    return g.view(g.cast(weights, x.dtype), [-1, *[1] * (x.rank - 1 - axis)])


def _taps(g: TorchBuilder, t: Value, mode: Mode) -> list[tuple[int, Value]]:
    """The elements beside a place, counted from the one below it, with the weight of each."""
    rest = g.Sub(1.0, t)
    if mode.name == "linear":
        return [(0, rest), (1, t)]
    return [
        (-1, _outer(g, g.Add(t, 1.0), mode.cubic)), (0, _inner(g, t, mode.cubic)), (1, _inner(g, rest, mode.cubic)),
        (2, _outer(g, g.Add(rest, 1.0), mode.cubic)),
    ]  # fmt: skip


def _inner(g: TorchBuilder, t: Value, a: float) -> Value:
    """Keys' cubic kernel up to 1: ((a + 2) t - (a + 3)) t^2 + 1."""
    return g.Add(g.Mul(g.Sub(g.Mul(t, a + 2), a + 3), g.Mul(t, t)), 1.0)


def _outer(g: TorchBuilder, t: Value, a: float) -> Value:
    """Keys' cubic kernel from 1 to 2: a (((t - 5) t + 8) t - 4)."""
    return g.Mul(g.Sub(g.Mul(g.Add(g.Mul(g.Sub(t, 5.0), t), 8.0), t), 4.0), a)


def _antialiased(g: TorchBuilder, x: Value, axis: Axis, mode: Mode) -> Value:
    """By a matrix [inputs, outputs], as the windows differ in length."""
    if not isinstance(axis.size, int) or not isinstance(axis.out, int):
        raise g.unsupported("antialias with these scales or corners, of open size")
    g.affordable(axis.size, axis.out)
    shares = _windows(axis, axis.size, axis.out, mode)
    if not np.isfinite(shares).all():
        raise g.unsupported("antialias with scales that look beyond the input")
    matrix = g.constant(shares.astype(x.dtype))
    if axis.axis == x.rank - 1:
        return g.MatMul(x, matrix)
    return g.MatMul(g.Transpose(matrix, perm=[1, 0]), x)


def _windows(axis: Axis, size: int, out: int, mode: Mode) -> np.ndarray:
    """The share of each input (a row) in each output. Of align_corners torch's code takes the step and nothing else."""
    step = axis.step or 0.0
    if mode.align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    stretch = max(step, 1.0)
    reach = _REACH[mode.name] * stretch
    centre = (np.arange(out) + 0.5) * step
    low = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + reach + 0.5).astype(np.int64), size)
    place = np.arange(size)[:, None]
    weights = _kernel(np.abs(place - centre + 0.5) / stretch, mode)
    weights = np.where((place >= low) & (place < high), weights, 0)
    with np.errstate(all="ignore"):
        return np.asarray(weights / weights.sum(axis=0))


def _kernel(t: np.ndarray, mode: Mode) -> np.ndarray:
    if mode.name == "linear":
        return np.maximum(1 - t, 0)
    if mode.name == "lanczos":
        return np.where(t < 3, np.sinc(t) * np.sinc(t / 3), 0)
    a = mode.cubic
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return np.where(t < 1, near, np.where(t < 2, a * (((t - 5) * t + 8) * t - 4), 0))
