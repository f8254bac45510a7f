"""The report as one page that needs nothing else: tables, and pictures in SVG.

Names come from model files, which nobody vouches for: Jinja escapes all of them, none is ever marked as safe, and the
page forbids itself scripts and whatever would be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from netglot.quantize.reasons import percent
from netglot.quantize.report_text import runs_in, safe, size, summary, tenths, with_unit

if TYPE_CHECKING:
    from netglot.quantize.report import LayerRow, QuantizationReport, TensorRow

BEST = 60.0  # dB: the end of every scale of SQNR; what is better looks the same
POOR, FAIR = 10.0, 20.0  # dB: below them an error is a third, and a tenth, of the values
SATURATED = 0.02  # share: the end of the scale of saturation
WIDTH, HEIGHT = 1000, 160  # of the picture of all layers, in its own units
SHOWN_CHANNELS = 96


def page(report: QuantizationReport) -> str:
    """HTML, as text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"db": with_unit, "percent": percent, "size": size, "safe_name": safe, "grade": grade}
    environment.filters |= {"number": number, "tenths": tenths}
    del environment.filters["safe"]  # nothing here is
    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        report=report, headline=next(summary(report)), runs_in=runs_in(report), isnan=math.isnan,
        columns=list(columns(report.layers)), guides=[(at, _height(at)) for at in (POOR, FAIR, 40.0)],
        width=WIDTH, height=HEIGHT, rows=list(rows(report.layers)), lowest=lowest(report.layers),
        worst=[(row, why, list(channels(row)), _step(row)) for row, why in report.worst()],
        places={layer.name: i for i, layer in enumerate(report.layers)},
    )  # fmt: skip


def grade(sqnr: float) -> str:
    """In a word, by which it is also coloured."""
    if math.isnan(sqnr):
        return "unknown"
    return "poor" if sqnr < POOR else "fair" if sqnr < FAIR else "good"


def number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


# ---------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class Column:
    """A layer in the picture of all, from the network's input at the left to its output at the right."""

    x: float
    width: float
    height: float
    grade: str
    title: str


def columns(layers: Sequence[LayerRow]) -> Iterator[Column]:
    step = WIDTH / max(len(layers), 24)
    for i, layer in enumerate(layers):
        title = f"{safe(layer.name)} ({safe(layer.op)}, {safe(layer.runs_in)}): {with_unit(layer.sqnr)}"
        yield Column(i * step, step * (0.8 if step > 2 else 1.0), _height(layer.sqnr), grade(layer.sqnr), title)


def lowest(layers: Sequence[LayerRow]) -> str:
    """What the picture shows, for those who don't see it."""
    measured = [layer for layer in layers if math.isfinite(layer.sqnr)]
    if not measured:
        return "No layer was measured."
    low = min(measured, key=lambda layer: layer.sqnr)
    poor = sum(layer.sqnr < FAIR for layer in measured)
    return f"The lowest is {safe(low.name)} at {with_unit(low.sqnr)}; {poor} of {len(measured)} are below {FAIR:g} dB."


@dataclass(frozen=True)
class Bars:
    """A layer's bars in its row, in per cent of the space there: saturation and sizes go with the numbers beside."""

    layer: LayerRow
    sqnr: float
    saturation: float
    before: float
    after: float


def rows(layers: Sequence[LayerRow]) -> Iterator[Bars]:
    largest = max((max(layer.bytes_before, layer.bytes_after) for layer in layers), default=0) or 1
    for layer in layers:
        yield Bars(
            layer, 100 * _share(layer.sqnr / BEST), 100 * _share(layer.saturation / SATURATED),
            100 * layer.bytes_before / largest, 100 * layer.bytes_after / largest,
        )  # fmt: skip


def channels(row: TensorRow) -> Iterator[tuple[float, float]]:
    """(x, height), in per cent, of the channels' largest magnitudes in rising order, on a logarithmic scale."""
    peaks = sorted(peak for peak in row.peaks if peak > 0)
    shown = min(len(peaks), SHOWN_CHANNELS)
    for i in range(shown):
        yield 100 * i / shown, _decades(peaks[i * len(peaks) // shown], row)


def _step(row: TensorRow) -> float | None:
    """Where one step of the grid is on the scale of channels()."""
    return _decades(row.scale, row) if row.scale > 0 and row.peaks else None


def _decades(magnitude: float, row: TensorRow) -> float:
    """The largest channel is 100 per cent, a hundred-thousandth of it 0."""
    return 100 * _share(1 + math.log10(magnitude / max(row.peaks)) / 5)


def _height(sqnr: float) -> float:
    return HEIGHT * _share(sqnr / BEST)


def _share(part: float) -> float:
    return 0.0 if math.isnan(part) else min(max(part, 0.0), 1.0)
