"""What can go wrong, said once and in one form: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, NOT_EQUAL, BAD_INPUT, UNSUPPORTED = range(4)  # the command's exit codes


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something came from in the source model: file, layer name, line (0: unknown)."""

    file: str = ""
    layer: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        layer = f"layer '{self.layer}'" if self.layer else ""
        return " ".join(part for part in (place, layer) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with its place, the shapes involved and a hint."""

    what: str
    origin: Origin = Origin()
    shapes: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.origin}: {self.what}" if str(self.origin) else self.what
        text += f" [{self.shapes}]" if self.shapes else ""
        return text + (f"\n    {self.hint}" if self.hint else "")


class ConversionError(Exception):
    """The model can't be read, converted or written; `problems` lists every reason found."""

    exit_code = BAD_INPUT

    def __init__(self, problems: str | Problem | Iterable[Problem], origin: Origin = Origin(), hint: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, origin, hint=hint)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnsupportedError(ConversionError):
    """The model holds operators that the source or target format has no mapping for (all are listed)."""

    exit_code = UNSUPPORTED
