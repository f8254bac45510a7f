"""What quantisation and compression did to a network, layer by layer: for people (a table, a page) and for scripts.

Plain data: whoever quantises fills it, and no part of it refers to a graph, so that it may be stored, sent and read
back. Signal-to-quantisation-noise ratios (SQNR) are in dB: 10 log10(sum of squares of the float model's values / sum of
squared differences to them), infinite where nothing differs, NaN where nothing was measured.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from netglot.quantize.reasons import origin, reason

if TYPE_CHECKING:
    from rich.console import Console

    from netglot.quantize.measure import Agreement

T = TypeVar("T")
NAN = math.nan


@dataclass(frozen=True)
class TensorRow:
    """One tensor of the quantised network.

    low, high: the smallest and the largest value that calibration saw of the float model. scale, zero_point, dtype: of
    its grid; the scale is NaN where it has none (dtype is then float32, or what it is). sqnr: dB. saturation: share
    (0 to 1) of the float model's values beyond the ends of the grid. layer: the LayerRow that computes it.

    What the reason of a low SQNR is told from, each optional: peaks: the largest magnitude in each channel. within: the
    magnitude that 99.9 % of the values lie within. rms: root of the mean square of the float model's values. inputs:
    the tensors (names of other rows) that its operator reads. weights_sqnr: dB of that operator's weights.
    """

    name: str
    low: float
    high: float
    scale: float = NAN
    zero_point: int = 0
    dtype: str = "float32"
    sqnr: float = NAN
    saturation: float = 0.0
    layer: str = ""
    peaks: tuple[float, ...] = ()
    within: float = NAN
    rms: float = NAN
    inputs: tuple[str, ...] = ()
    weights_sqnr: float = NAN


@dataclass(frozen=True)
class LayerRow:
    """One operator: what it computes in ("int8", "float32", ...), dB of its output, the share of its output's values
    that saturate, bytes of its weights, and `reason`: why it stays float ("" where it does not)."""

    name: str
    op: str
    origin: str = ""
    runs_in: str = "int8"
    sqnr: float = NAN
    saturation: float = 0.0
    bytes_before: int = 0
    bytes_after: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Kept:
    """A layer that --max-drop left in float, or weights as they were: why, and the drop before and after it was."""

    layer: str
    why: str
    before: float
    after: float
    runs_in: str = "float32"


@dataclass(frozen=True)
class CompressionRow:
    """How one tensor of weights is stored: bytes, the share that is zero, and how many distinct values it has left."""

    name: str
    scheme: str
    bytes_before: int
    bytes_after: int
    zeros: float
    distinct: int


@dataclass
class QuantizationReport:
    """All that was measured; see the module for units.

    mode: int8, fp16, ... ("" if only compressed). calibration: the method; samples: how many items it saw. size_before,
    size_after: bytes of the weights of the whole network. agreement: of the outputs, float against quantised. kept:
    what --max-drop left out of the quantisation, in the order in which it was found. half: the tensors that fp16 would
    have broken and that stay in fp32, with the reason.
    """

    mode: str
    target: str
    calibration: str = ""
    samples: int = 0
    size_before: int = 0
    size_after: int = 0
    layers: list[LayerRow] = field(default_factory=list)
    tensors: list[TensorRow] = field(default_factory=list)
    agreement: Agreement | None = None
    kept: list[Kept] = field(default_factory=list)
    half: dict[str, str] = field(default_factory=dict)
    compression: list[CompressionRow] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times smaller; NaN where no size is known."""
        return self.size_before / self.size_after if self.size_after else NAN

    def worst(self, n: int = 10) -> list[tuple[TensorRow, str]]:
        """The `n` tensors of the lowest SQNR, lowest first, each with the reason told from its figures."""
        rows = {row.name: row for row in self.tensors}
        measured = [row for row in self.tensors if not math.isnan(row.sqnr) and row.sqnr != math.inf]
        lowest = sorted(measured, key=lambda row: row.sqnr)[:n]
        told: set[str] = set()
        found = []
        for row in lowest:
            found.append((row, reason(row, rows, told)))
            told.add(origin(row, rows).name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has neither NaN (None here) nor infinity ("inf" or "-inf"); with the worst ten tensors."""
        found: dict[str, Any] = _plain(dataclasses.asdict(self))
        if self.agreement:
            found["agreement"] |= {name: _plain(getattr(self.agreement, name)) for name in _TOLD}
        found["worst"] = [{"name": row.name, "sqnr": _plain(row.sqnr), "reason": why} for row, why in self.worst()]
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> QuantizationReport:
        """The report of which `found` is the to_dict()."""
        given = dict(found)
        given.pop("worst", None)
        for name, kind in _ROWS.items():
            given[name] = [_row(kind, item) for item in given[name]]
        given["agreement"] = _agreement(given["agreement"]) if given["agreement"] else None
        return cls(**given)

    def print(self, console: Console) -> None:
        """A summary and the ten worst tensors: at most some forty lines, however large the network."""
        from netglot.quantize.report_text import blocks

        for block in blocks(self):
            console.print(block)

    def to_html(self, path: Path, force: bool = False) -> None:
        """Writes one page, which needs nothing else: no script, nothing loaded from anywhere.

        It appears whole or not at all; an existing file is refused unless `force` (ConversionError).
        """
        from netglot.atomic import whole
        from netglot.quantize.page import page

        with whole(path, force) as written:
            written.write_text(page(self), encoding="utf-8")


_TOLD = ("top1", "drop", "sqnr", "accuracy")  # of an Agreement, which tells them from its outputs
_ROWS: dict[str, type[Any]] = {"layers": LayerRow, "tensors": TensorRow, "kept": Kept, "compression": CompressionRow}


def _plain(item: Any) -> Any:
    if hasattr(item, "tolist"):  # of NumPy, an array or a number
        return _plain(item.tolist())
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_plain(value) for value in item]
    if not isinstance(item, float) or math.isfinite(item):
        return item
    return None if math.isnan(item) else str(item)


def _agreement(found: Mapping[str, Any]) -> Agreement:
    from netglot.quantize.measure import Agreement, OutputAgreement

    return Agreement(tuple(_row(OutputAgreement, item) for item in found["outputs"]), found["samples"])


def _row(kind: type[T], item: Mapping[str, Any]) -> T:
    return kind(**dict(_fields(kind, item)))


def _fields(kind: type[Any], item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields as they were: JSON's null is NaN, its lists are tuples, and its texts in place of numbers infinite."""
    types = {one.name: one.type for one in dataclasses.fields(kind)}
    for name, value in item.items():
        if types[name] == "float":
            yield name, _number(value)
        elif types[name] == "tuple[float, ...]":
            yield name, tuple(_number(each) for each in value)
        else:
            yield name, tuple(value) if isinstance(value, list) else value


def _number(value: float | str | None) -> float:
    return NAN if value is None else float(value)
