"""What float16 can't hold, and why, in words.

IEEE 754 binary16: 11 significant bits from 2^-14 to 65504; below that steps of 2^-24, above that infinity.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

HALF = np.dtype(np.float16)
LARGEST = float(np.finfo(HALF).max)
STEP = 2.0**-24  # between neighbours below 2^-14, and the smallest number above zero
MOST_ERROR = 2.0**-9  # relative error above which numbers vanish rather than round: four times what is usual
_CHUNK = 1 << 20  # elements that are looked at together


def range_misfit(low: float, high: float, headroom: float = 1.0) -> str:
    """Why a tensor with values from `low` to `high` can't be float16, "" if it can.

    Its largest magnitude times `headroom` must be a number, and must not be so small that rounding it is off by more
    than MOST_ERROR: the whole tensor would be, then.
    """
    peak = max(-low, high)
    if peak * headroom > LARGEST:
        room = f", with no factor of {headroom:g} to spare" if peak <= LARGEST else ""
        return f"reaches {number(low if -low > high else high)}, and float16 ends at {number(LARGEST)}{room}"
    if peak > 0 and rounding_error(peak) > MOST_ERROR:
        return f"reaches {number(peak)} at most, which float16 rounds by up to {rounding_error(peak):.2%}"
    return ""


def rounding_error(magnitude: float) -> float:
    """The largest relative error of rounding a number of this magnitude (above 0)."""
    return min(1.0, max(STEP / 2 / magnitude, 2.0**-11))


def constant_misfit(array: np.ndarray) -> str:
    """Why a constant can't be float16, "" if it can: judged by all of its finite values.

    Infinities and NaN are the same there. The root mean square of the errors must be at most MOST_ERROR of that of the
    values: weights that are tiny beside others may go.
    """
    peak, signal, used = 0.0, 0.0, 0
    for part in _finite_parts(array):
        peak, used = max(peak, float(np.abs(part).max(initial=0))), used + int(np.count_nonzero(part))
        signal += float(np.sum(np.square(part, dtype=np.float64)))
    if peak > LARGEST:
        return f"reaches {number(peak)}, and float16 ends at {number(LARGEST)}"
    if used == 0 or np.sqrt(signal / used) >= STEP / MOST_ERROR:  # rounding is off by STEP / 2 at most down there
        return ""
    error = _relative_error(array)
    return f"reaches {number(peak)} at most, and float16 rounds it by {error:.2%}" if error > MOST_ERROR else ""


def _relative_error(array: np.ndarray) -> float:
    """Root mean square of the errors of float16 over that of the values; in float64, where no square vanishes."""
    signal, noise = 0.0, 0.0
    for part in _finite_parts(array):
        exact = part.astype(np.float64)
        signal += float(np.sum(np.square(exact)))
        noise += float(np.sum(np.square(exact - part.astype(HALF))))
    return float(np.sqrt(noise / signal)) if signal else 0.0


def _finite_parts(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        yield part if np.isfinite(part).all() else part[np.isfinite(part)]


def number(x: float) -> str:
    """81,234; 3.4e+38; 6e-08."""
    return f"{x:,.0f}" if 1000 <= abs(x) < 1e15 else f"{x:.3g}"
