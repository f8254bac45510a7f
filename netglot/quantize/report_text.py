"""The report on a terminal: short, whatever the network's size.

Names are a model file's: they are shown without markup and control characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from netglot.quantize.reasons import percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from netglot.quantize.measure import Agreement
    from netglot.quantize.report import CompressionRow, QuantizationReport

SHOWN = 5  # rows of what may be long


def blocks(report: QuantizationReport) -> Iterator[RenderableType]:
    """What is printed, one below the other."""
    for line in summary(report):
        yield Text(line)
    if worst := report.worst():
        table = _table("the lowest SQNR", "tensor", "dB", "why")
        for row, why in worst:
            table.add_row(_name(row.name), decibels(row.sqnr), Text(safe(why)))
        yield table
    yield from _kept(report)
    yield from _half(report)


def summary(report: QuantizationReport) -> Iterator[str]:
    """What matters most, a line each; the page begins with the same."""
    yield f"{report.mode or 'compressed'} for {report.target}" + _calibrated(report)
    if report.size_before:
        sizes = f"{size(report.size_before)} to {size(report.size_after)}"
        yield f"weights: {sizes}, {report.ratio:.2f} times smaller"
    if report.layers:
        yield "layers: " + ", ".join(f"{count} in {kind}" for kind, count in runs_in(report).items())
    if report.agreement and report.agreement.outputs:
        yield "against the float model: " + ", ".join(_agreement(report.agreement))
    if report.compression:
        yield "compressed: " + compressed(report.compression)


def runs_in(report: QuantizationReport) -> dict[str, int]:
    """How many layers compute in what; the commonest first."""
    kinds = [layer.runs_in for layer in report.layers]
    return {safe(kind): kinds.count(kind) for kind in sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))}


def compressed(rows: Sequence[CompressionRow]) -> str:
    before, after = sum(row.bytes_before for row in rows), sum(row.bytes_after for row in rows)
    most = max(row.distinct for row in rows)
    return f"{len(rows)} tensors, {size(before)} to {size(after)}, at most {most:,} distinct values in one"


def decibels(sqnr: float) -> str:
    """In dB ("34.1"), or "exact", "nothing left", or a dash where nothing was measured."""
    if math.isnan(sqnr):
        return "–"
    return f"{sqnr:.1f}" if math.isfinite(sqnr) else "exact" if sqnr > 0 else "nothing left"


def with_unit(sqnr: float) -> str:
    return decibels(sqnr) + (" dB" if math.isfinite(sqnr) else "")


def size(count: float) -> str:
    """Bytes in units of 1000, with three digits: 512 B, 12.3 kB, 5.02 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} GB"


def tenths(share: float) -> str:
    """Of what was counted, in per cent; 100 % only if it is all."""
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"


def safe(text: str) -> str:
    """With what would move the cursor, turn the line or end it, or can't be encoded, as an escape sequence."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _calibrated(report: QuantizationReport) -> str:
    return f"; calibrated by {report.calibration} on {report.samples:,} samples" if report.calibration else ""


def _agreement(found: Agreement) -> Iterator[str]:
    if found.top1 is not None:
        yield f"{tenths(found.top1)} of {found.samples:,} samples keep their class"
    if found.accuracy is not None:
        yield f"accuracy {tenths(found.accuracy[0])} to {tenths(found.accuracy[1])}"
    worst = min(found.outputs, key=lambda output: output.sqnr)
    yield f"output '{safe(worst.name)}': {with_unit(worst.sqnr)}"


def _kept(report: QuantizationReport) -> Iterator[RenderableType]:
    if not report.kept:
        return
    table = _table(f"left out of it, to stay within the budget ({len(report.kept)})", "layer", "runs in", "drop", "why")
    for item in report.kept[:SHOWN]:
        drop = f"{percent(item.before)} to {percent(item.after)}"
        table.add_row(_name(item.layer), _name(item.runs_in), drop, Text(safe(item.why)))
    yield table
    yield from _more(len(report.kept))


def _half(report: QuantizationReport) -> Iterator[RenderableType]:
    if not report.half:
        return
    table = _table(f"kept in fp32 ({len(report.half)})", "tensor", "why")
    for name, why in list(report.half.items())[:SHOWN]:
        table.add_row(_name(name), Text(safe(why)))
    yield table
    yield from _more(len(report.half))


def _more(count: int) -> Iterator[Text]:
    if count > SHOWN:
        yield Text(f"and {count - SHOWN} more (all are in the report's file)")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column == "dB" else "left", no_wrap=column != "why")
    table.columns[0].max_width = 40
    return table


def _name(name: str) -> Text:
    return Text(safe(name), overflow="ellipsis", no_wrap=True)
