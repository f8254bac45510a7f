"""The one table of operators: (format, op, since version) -> function, and the one driver that calls them.

An operator is one small function. Its signature is its schema: positional parameters are the inputs, keyword-only
parameters are the attributes with the format's own names, types and defaults. What the signature does not allow (an
unknown attribute, a missing input, a value of the wrong type) is caught here, once, for every format.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class SignatureError(Exception):
    """A call does not fit an operator's signature; the caller adds where."""


@dataclass(frozen=True)
class Operator:
    """One registered function with what its signature says."""

    format: str
    op: str
    since: int
    function: Callable[..., Any]
    options: Mapping[str, Any]

    @cached_property
    def _parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function, eval_str=True).parameters.values())[1:]

    @cached_property
    def positional(self) -> list[inspect.Parameter]:
        """Parameters that take inputs (the first, the context, is not one)."""
        return [p for p in self._parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @cached_property
    def variadic(self) -> bool:
        return any(p.kind is p.VAR_POSITIONAL for p in self._parameters)

    @cached_property
    def attributes(self) -> dict[str, inspect.Parameter]:
        return {p.name: p for p in self._parameters if p.kind is p.KEYWORD_ONLY}

    def check(self, inputs: Sequence[object], attributes: Mapping[str, object]) -> None:
        """Raises SignatureError unless the call fits."""
        required = sum(p.default is p.empty for p in self.positional)
        if len(inputs) < required:
            names = ", ".join(p.name for p in self.positional)
            raise SignatureError(f"{self.op} takes the inputs ({names}) and got {len(inputs)}")
        if len(inputs) > len(self.positional) and not self.variadic:
            raise SignatureError(f"{self.op} takes at most {len(self.positional)} inputs and got {len(inputs)}")
        unknown = [name for name in attributes if name not in self.attributes]
        if unknown:
            raise SignatureError(f"{self.op} has no attribute {', '.join(unknown)}")
        missing = [p.name for p in self.attributes.values() if p.default is p.empty and p.name not in attributes]
        if missing:
            raise SignatureError(f"{self.op} needs {', '.join(missing)}")

    def __call__(self, context: object, inputs: Sequence[object], attributes: Mapping[str, object]) -> Any:
        self.check(inputs, attributes)
        return self.function(context, *inputs, **attributes)


class Registry:
    """Operators by format, name and the version they hold since."""

    def __init__(self) -> None:
        self._operators: dict[tuple[str, str], list[Operator]] = {}

    def add(
        self, format: str, *ops: str, since: int = 0, override: bool = False, **options: Any
    ) -> Callable[[Function], Function]:
        """Decorator: registers a function for `ops` of `format`. A second one for the same key must say `override`."""

        def register(function: Function) -> Function:
            for op in ops:
                self._insert(Operator(format, op, since, function, options), override)
            return function

        return register

    def _insert(self, operator: Operator, override: bool) -> None:
        versions = self._operators.setdefault((operator.format, operator.op), [])
        same = [old for old in versions if old.since == operator.since]
        if same and not override:
            raise ValueError(f"{operator.format} {operator.op} is registered twice; say override=True if it is meant")
        versions[:] = sorted([v for v in versions if v not in same] + [operator], key=lambda v: -v.since)

    def find(self, format: str, op: str, version: int | None = None) -> Operator | None:
        """The newest function for `op` that holds since `version` or earlier."""
        versions = self._operators.get((format, op), [])
        return next((v for v in versions if version is None or v.since <= version), None)

    def ops(self, format: str) -> list[str]:
        return sorted(op for fmt, op in self._operators if fmt == format)

    def near(self, format: str, op: str) -> list[str]:
        """Names that look like `op`: for the error message."""
        lower = {name.lower(): name for name in self.ops(format)}
        return [lower[match] for match in difflib.get_close_matches(op.lower(), lower, n=3, cutoff=0.6)]


registry = Registry()
