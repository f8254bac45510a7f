"""What a conversion or a verification found, for people and for scripts."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from netglot.errors import NOT_EQUAL, OK, Problem
from netglot.verify.compare import Difference


@dataclass
class Report:
    """The result of `netglot.convert` and `netglot.verify`.

    max_error: largest difference of any output element, relative to that output's largest value; None if not verified.
    seconds: the conversion alone. peak_memory: bytes of the whole process so far. size: bytes of what was written.
    quantization: what quantisation and compression did (netglot.quantize.report.QuantizationReport), None without them.
    expected_by, computed_by: which runtime computed each side.
    first_departure: the first tensor that differs, if the models are not equal and it could be found.
    """

    source: str
    target: str
    rtol: float = 0.0
    samples: int = 0
    outputs: list[Difference] = field(default_factory=list)
    expected_by: str = ""
    computed_by: str = ""
    first_departure: str = ""
    nodes: int = 0
    size: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    warnings: list[Problem] = field(default_factory=list)
    quantization: Any = None  # netglot.quantize's QuantizationReport, where it was asked for

    @property
    def verified(self) -> bool:
        return self.samples > 0

    @property
    def max_error(self) -> float | None:
        return max((output.error for output in self.outputs), default=0.0) if self.verified else None

    @property
    def ok(self) -> bool:
        """True if every output is within tolerance (or nothing was compared, at the user's wish)."""
        return all(output.ok(self.rtol) for output in self.outputs)

    @property
    def exit_code(self) -> int:
        return OK if self.ok else NOT_EQUAL

    def to_json(self) -> str:
        """All fields, with ok and max_error; infinite errors are null."""
        plain = dataclasses.replace(self, quantization=None)
        fields = dataclasses.asdict(plain) | {"ok": self.ok, "verified": self.verified, "max_error": self.max_error}
        fields["quantization"] = self.quantization.to_dict() if self.quantization else None
        fields["warnings"] = [str(warning) for warning in self.warnings]
        return json.dumps(_finite(fields), indent=2, allow_nan=False)


def _finite(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _finite(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_finite(value) for value in item]
    return None if isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))) else item
