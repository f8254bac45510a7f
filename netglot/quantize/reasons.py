"""Why a tensor lost its precision, told in words from what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netglot.quantize.report import TensorRow

OWN = 3.0  # dB: rounding is the cause where the SQNR is no further below what rounding alone gives
FEW_STEPS = 32.0  # fewer than these, and a tensor is coarse whatever its values
COARSE = 4.0  # steps: a channel that has no more is lost
LOST_CHANNELS = 0.1  # share of channels that are coarse
OUTLIERS = 0.25  # of the range hold 99.9 % of the values
SATURATED, RARE = 1e-3, 1e-4  # shares of values: a cause, and what may be one where there is no other
FAIR = 20.0  # dB: what is below it is lost on the way from the tensor where it began


def reason(row: TensorRow, rows: Mapping[str, TensorRow], told: Container[str] = ()) -> str:
    """The likeliest cause of `row`'s SQNR; `rows` are all tensors by name.

    Its own grid if that explains it, else what came in, else what clips. What follows from others says where it began,
    and why, unless that tensor is one of `told` or no worse than FAIR.
    """
    source = _source(row, rows)
    if source is None:
        return _cause(row, _inputs(row, rows))
    left = f"which is at {source.sqnr:.1f} dB already" if math.isfinite(source.sqnr) else "of which nothing is left"
    found = f"follows from its input '{source.name}', {left}"
    first = origin(source, rows)
    found += "" if first is source else f"; it began at '{first.name}'"
    return found if first.name in told or first.sqnr >= FAIR else f"{found}: {_cause(first, _inputs(first, rows))}"


def origin(row: TensorRow, rows: Mapping[str, TensorRow]) -> TensorRow:
    """The first of the tensors below FAIR that `row` follows from, one after the other; itself if from none."""
    seen = {row.name}
    while (source := _source(row, rows)) and source.sqnr < FAIR and source.name not in seen:
        seen.add(source.name)
        row = source
    return row


def _inputs(row: TensorRow, rows: Mapping[str, TensorRow]) -> list[TensorRow]:
    return [rows[name] for name in row.inputs if name in rows and name != row.name]


def _source(row: TensorRow, rows: Mapping[str, TensorRow]) -> TensorRow | None:
    """The input that `row` has its error from; None where its own grid explains it, or nothing that came in does."""
    if _explained(row):
        return None
    measured = [item for item in _inputs(row, rows) if not math.isnan(item.sqnr)]
    source = min(measured, key=lambda item: item.sqnr, default=None)
    return None if source is None or source.sqnr > row.sqnr + OWN else source


def _explained(row: TensorRow) -> bool:
    """Whether its own grid has a fault, and rounding to it costs what was lost (or nobody knows what it costs)."""
    return bool(_fault(row)) and not rounding_sqnr(row) > row.sqnr + OWN


def _fault(row: TensorRow) -> str:
    return first_of(row, _channels, _outliers, _few_steps)


def _cause(row: TensorRow, inputs: Sequence[TensorRow]) -> str:
    """What happened at `row` itself."""
    if _explained(row):
        return _fault(row)
    if row.saturation >= SATURATED and (clips := _saturates(row)):
        return clips
    return _coarse_input(inputs) or _weights(row) or _saturates(row) or _rounding(row, rounding_sqnr(row))


def first_of(row: TensorRow, *tests: Callable[[TensorRow], str]) -> str:
    return next((found for test in tests if (found := test(row))), "")


def rounding_sqnr(row: TensorRow) -> float:
    """dB if rounding to the grid were all: the error is uniform, its mean square scale**2 / 12 (Bennett 1948)."""
    if not (row.rms > 0 and row.scale > 0):
        return math.nan
    return 10 * math.log10(12) + 20 * math.log10(row.rms / row.scale)


def _clipping_sqnr(row: TensorRow) -> float:
    """dB if clipping were all, and all that saturates as far beyond the grid as the farthest value; NaN if unknown."""
    if row.dtype not in _ENDS or not (row.rms > 0 and row.scale > 0 and row.saturation > 0):
        return math.nan
    low, high = ((end - row.zero_point) * row.scale for end in _ENDS[row.dtype])
    beyond = max(row.high - high, low - row.low)
    return 20 * math.log10(row.rms / beyond) - 10 * math.log10(row.saturation) if beyond > 0 else math.nan


_ENDS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}  # of the grids that activations have


def _channels(row: TensorRow) -> str:
    alive = [peak for peak in row.peaks if peak > 0]
    if not (alive and row.scale > 0):
        return ""
    lost = sum(peak < COARSE * row.scale for peak in alive)
    if lost < LOST_CHANNELS * len(alive) or lost == len(alive):
        return ""
    ratio, steps = max(alive) / min(alive), min(alive) / row.scale
    return f"channels differ {_round(ratio)}-fold in range: one scale for all leaves the smallest {steps:.2g} steps"


def _outliers(row: TensorRow) -> str:
    largest = max(abs(row.low), abs(row.high))
    if not row.within < OUTLIERS * largest:
        return ""
    return f"range is set by outliers: 99.9 % lie within {percent(row.within / largest)} of it"


def _few_steps(row: TensorRow) -> str:
    if not (row.scale > 0 and (row.high - row.low) / row.scale < FEW_STEPS):
        return ""
    return f"few levels used: its values span {(row.high - row.low) / row.scale:.2g} steps of its scale"


def _saturates(row: TensorRow) -> str:
    """Not where that costs little: a Softmax's 1 is beyond its grid, but by less than a step."""
    if math.isfinite(row.sqnr) and _clipping_sqnr(row) > row.sqnr + OWN:
        return ""
    return f"{percent(row.saturation)} of values saturate" if row.saturation >= RARE else ""


def _coarse_input(inputs: Sequence[TensorRow]) -> str:
    """A tensor whose large channels hide in its own SQNR that the small ones are lost."""
    found = ((item.name, _channels(item)) for item in inputs)
    return next((f"of its input '{name}' the {why}" for name, why in found if why), "")


def _weights(row: TensorRow) -> str:
    if not row.weights_sqnr < row.sqnr + 2 * OWN:
        return ""
    return f"the weights of its operator are at {row.weights_sqnr:.1f} dB"


def _rounding(row: TensorRow, expected: float) -> str:
    if math.isnan(expected):
        return "small errors of the operators before it add up"
    if expected > row.sqnr + OWN:
        return f"errors of the operators before it add up: its own rounding would leave {expected:.1f} dB"
    return f"rounding: its values are {row.rms / row.scale:.2g} steps in size (root mean square)"


def percent(share: float) -> str:
    """A share in per cent, with as many digits as say something: 40 %, 4 %, 0.8 %, 0.02 %; a dash where unknown."""
    if math.isnan(share):
        return "–"
    if share >= 0.01:
        return f"{100 * share:.4g} %" if share >= 0.99 else f"{100 * share:.2g} %"
    return f"{100 * share:.1g} %"


def _round(number: float) -> str:
    """Two digits that count, with thousands set apart."""
    if number >= 1e6:
        return "over 1,000,000"
    digits = 1 - math.floor(math.log10(number)) if number > 0 else 0
    return f"{round(number, digits):,.{max(digits, 0)}f}"
