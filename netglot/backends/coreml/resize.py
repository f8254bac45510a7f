"""Resizing images."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, constant, coreml_op
from netglot.backends.coreml.shape import reshaped
from netglot.backends.lowering import NotMappedError

# ONNX's coordinates -> MIL's sampling_mode, for linear interpolation.
_LINEAR = {
    "align_corners": "STRICT_ALIGN_CORNERS",
    "asymmetric": "DEFAULT",
    "half_pixel": "UNALIGN_CORNERS",
    "pytorch_half_pixel": "UNALIGN_CORNERS",
}


@coreml_op("Resize", "Upsample")
def resize(
    m: CoreMLBuilder, x: Var, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None, *,
    mode: str, coordinate_transformation_mode: str = "asymmetric", nearest_mode: str = "floor",
    axes: tuple[int, ...] = (), keep_aspect_ratio_policy: str = "stretch",
) -> Var:  # fmt: skip
    """Nearest by an exact table of indices, whatever the mode; linear by the sampling modes that both share."""
    shape = m.output.sizes
    touched = [axis for axis in range(x.rank) if shape[axis] != x.shape[axis]]
    factors = _factors(x, shape, scales, axes)
    if mode == "nearest":
        return _nearest(m, x, touched, shape, factors, coordinate_transformation_mode, nearest_mode)
    if mode != "linear":
        raise NotMappedError(f"Core ML has no {mode} interpolation")
    if not touched:
        return x
    return _linear(m, x, touched, shape, factors, coordinate_transformation_mode)


def _factors(x: Var, shape: Sequence[int], scales: Tensor | None, axes: Sequence[int]) -> list[float]:
    """Output size by input size, for each axis; as given where scales are."""
    factors = [n / have for n, have in zip(shape, x.shape, strict=True)]
    if scales is not None and np.size(scales):
        for axis, scale in zip(axes or range(x.rank), constant(scales, "the scales").tolist(), strict=True):
            factors[axis] = scale
    return factors


# --------------------------------------------------------------------- nearest


def _nearest(
    m: CoreMLBuilder, x: Var, touched: list[int], shape: Sequence[int], factors: list[float], coordinates: str,
    rounding: str,
) -> Var:  # fmt: skip
    tables = {a: _indices(x.shape[a], shape[a], factors[a], coordinates, rounding) for a in touched}
    repeats = [shape[axis] // x.shape[axis] for axis in range(x.rank)]
    if x.rank == 4 and all(axis >= 2 and _repeats(table, repeats[axis]) for axis, table in tables.items()):
        height, width = map(float, repeats[2:])
        return m.upsample_nearest_neighbor(x=x, scale_factor_height=height, scale_factor_width=width)
    for axis, table in tables.items():
        x = m.gather(x=x, indices=table, axis=axis)
    return x


def _repeats(table: np.ndarray, times: int) -> bool:
    return bool(np.array_equal(table, np.arange(len(table)) // max(times, 1)))


def _indices(size: int, wanted: int, factor: float, coordinates: str, rounding: str) -> np.ndarray:
    """Which element each output element copies (ONNX's Resize, coordinate_transformation_mode and nearest_mode)."""
    i = np.arange(wanted, dtype=np.float64)
    if coordinates == "asymmetric":
        at = i / factor
    elif coordinates == "align_corners":
        at = i * ((size - 1) / max(1, wanted - 1))
    elif coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        at = (i + 0.5) / factor - 0.5 if wanted > 1 or coordinates != "pytorch_half_pixel" else i * 0.0
    else:
        raise NotMappedError(f"no resizing by {coordinates}")
    if coordinates == "half_pixel_symmetric":
        at += size / 2 * (1 - wanted / (factor * size))
    return np.clip(_rounded(at.astype(np.float32), rounding), 0, size - 1).astype(np.int32)


def _rounded(at: np.ndarray, rounding: str) -> np.ndarray:
    if rounding == "floor":
        return np.floor(at)
    if rounding == "ceil":
        return np.ceil(at)
    return np.floor(at + 0.5) if rounding == "round_prefer_ceil" else np.ceil(at - 0.5)


# ---------------------------------------------------------------------- linear


def _linear(
    m: CoreMLBuilder, x: Var, touched: list[int], shape: Sequence[int], factors: list[float], coordinates: str
) -> Var:
    """resize_bilinear works on the last two of four axes; what is before them is one axis meanwhile."""
    exact = all(abs(factors[axis] * x.shape[axis] - shape[axis]) < 1e-4 for axis in touched)
    single = coordinates == "pytorch_half_pixel" and any(shape[axis] == 1 for axis in touched)
    if coordinates not in _LINEAR or single or not (exact or coordinates == "align_corners"):
        raise NotMappedError(f"no linear interpolation by {coordinates} and these scales")
    if min(touched) < x.rank - 2:
        raise NotMappedError("linear interpolation on the last two axes only")
    before = [1, 1, *x.shape[:-2]]
    image = reshaped(m, x, (prod(before[:-1]), before[-1], *x.shape[-2:]))
    mode, (height, width) = _LINEAR[coordinates], shape[-2:]
    result = m.resize_bilinear(x=image, target_size_height=height, target_size_width=width, sampling_mode=mode)
    return reshaped(m, result, shape)
