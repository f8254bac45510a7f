"""What an operator means at another opset, decided from the schemas of the onnx package.

ONNX changes an operator by giving its schema a new `since_version`. Most changes only add: element types, an optional
input, an attribute whose default is what was done before. Then a node carries over as it is. What changed in meaning
is not seen here: the ONNX frontend has upgrade functions for it, the ONNX writer a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import defs

from netglot.ir import types
from netglot.ir.graph import Value
from netglot.ir.schema import attribute, schema

_Option = defs.OpSchema.FormalParameterOption
_NAMES = {"FLOAT": "float", "DOUBLE": "double"}


@dataclass(frozen=True)
class Formal:
    """A formal input or output, and the element types it may have."""

    required: bool
    variadic: bool
    types: frozenset[str]

    @property
    def holds_tensors(self) -> bool:
        """Whether it may be a tensor, and not only a sequence or an optional."""
        return any(name.startswith("tensor(") for name in self.types)


@dataclass(frozen=True)
class Signature:
    """A schema as plain data (reading it from onnx's own object copies on every access)."""

    since: int
    inputs: tuple[Formal, ...]
    outputs: tuple[Formal, ...]
    attributes: Mapping[str, int]  # name -> AttributeProto.AttributeType
    defaults: Mapping[str, Any]
    required: frozenset[str]
    deprecated: bool


@cache
def signature(op: str, domain: str, version: int) -> Signature | None:
    """The signature of `op` at opset `version`; None if there is no such operator."""
    found = schema(op, domain, version)
    return _signature(op, domain, found.since_version) if found else None


@cache
def _signature(op: str, domain: str, since: int) -> Signature:
    found = schema(op, domain, since)
    assert found is not None
    items = found.attributes
    return Signature(
        found.since_version,
        tuple(map(_formal, found.inputs)),
        tuple(map(_formal, found.outputs)),
        {name: int(item.type) for name, item in items.items()},  # type: ignore[call-overload]  # an IntEnum
        {name: attribute(item.default_value) for name, item in items.items() if item.default_value.name},
        frozenset(name for name, item in items.items() if item.required),
        found.deprecated,
    )


def _formal(parameter: defs.OpSchema.FormalParameter) -> Formal:
    variadic = parameter.option == _Option.Variadic
    required = parameter.option == _Option.Single or (variadic and parameter.min_arity > 0)
    return Formal(required, variadic, frozenset(parameter.types))


@cache
def type_text(dtype: np.dtype) -> str:
    """As schemas write it: tensor(float)."""
    name = onnx.TensorProto.DataType.Name(types.to_onnx(dtype))
    return f"tensor({_NAMES.get(name, name.lower())})"


def carry(
    old: Signature,
    new: Signature,
    attributes: Mapping[str, Any],
    inputs: Sequence[Value | None],
    outputs: Sequence[Value | None],
) -> dict[str, Any] | None:
    """The attributes with which a node of signature `old` is written by signature `new`, or None if it can't be.

    `inputs` and `outputs` may hold None: left out, or not made yet. Where `new` is the later one it may have
    attributes and inputs that `old` has not: their default is taken to be what was done before.
    """
    if old.since == new.since:
        return dict(attributes)
    if new.deprecated or not accepts(new, inputs, outputs):
        return None
    unknown_to_old = new.attributes.keys() - old.attributes.keys()
    if unknown_to_old and new.since < old.since:
        return None
    carried = {name: value for name, value in attributes.items() if not _dropped(name, value, old, new)}
    silent = {name: value for name, value in old.defaults.items() if name not in attributes}
    carried |= {name: value for name, value in silent.items() if _differs(name, old, new)}
    known = all(new.attributes.get(name) == old.attributes.get(name) for name in carried)
    return carried if known and new.required <= carried.keys() else None


def accepts(wanted: Signature, inputs: Sequence[Value | None], outputs: Sequence[Value | None]) -> bool:
    """Whether arguments fit: as many, the required ones there, of types that are allowed (unknown ones are)."""
    given = {i for i, value in enumerate(inputs) if value is not None}
    complete = all(i in given for i, formal in enumerate(wanted.inputs) if formal.required)
    return complete and _allows(wanted.inputs, inputs) and _allows(wanted.outputs, outputs)


def _allows(formals: Sequence[Formal], values: Sequence[Value | None]) -> bool:
    if len(values) > len(formals) and not (formals and formals[-1].variadic):
        return False
    return all(
        value is None or value.dtype is None or type_text(value.dtype) in formals[min(i, len(formals) - 1)].types
        for i, value in enumerate(values)
    )


def _dropped(name: str, value: Any, old: Signature, new: Signature) -> bool:
    """Whether the attribute may go: `new` has no such one, and it says only what it says by default."""
    return name not in new.attributes and name in old.defaults and bool(np.array_equal(value, old.defaults[name]))


def _differs(name: str, old: Signature, new: Signature) -> bool:
    return name in new.attributes and not np.array_equal(old.defaults[name], new.defaults.get(name, np.nan))
