"""Element types: those that a description names, and what a dtype policy computes in (keras/src/dtype_policies)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.ir.types import named

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_BFLOAT16 = "bfloat16"  # next to no runtime computes in it


def element_type(name: Any, origin: Origin) -> np.dtype:
    """The type called `name`, as an input says it."""
    name = _policy_name(name)
    if name == "string":
        raise UnsupportedError("strings are not supported", origin, "Look them up before, and feed the numbers.")
    try:
        name = _MIXED.get(name, name) if isinstance(name, str) else ""
        return named("float32" if name == _BFLOAT16 else name)
    except TypeError:
        raise ConversionError(f"there is no element type {str(name)[:80]!r}", origin) from None


def compute_dtype(policy: Any, origin: Origin) -> np.dtype:
    """What a layer with the dtype `policy` computes in: a name, or a serialised policy; float32 if it has none.

    For bfloat16 that is float32, which is as wide and more precise (see `is_widened`).
    """
    name = "float32" if policy is None else _policy_name(policy)
    if _is_quantised(policy, name):
        raise UnsupportedError("weights quantised by Keras are not supported", origin, "Convert the model before that.")
    return element_type(name, origin)


def is_widened(policy: Any) -> bool:
    """Whether the layer computes in bfloat16 in Keras, and in float32 here."""
    name = _policy_name(policy)
    return _MIXED.get(name, name) == _BFLOAT16 if isinstance(name, str) else False


def _is_quantised(policy: Any, name: Any) -> bool:
    """int8_from_float32 and the like, by name or as a QuantizedDTypePolicy (its subclasses too)."""
    kind = policy.get("class_name") if isinstance(policy, Mapping) else ""
    return "_from_" in str(name) or "Quantized" in str(kind)


def _policy_name(policy: Any) -> Any:
    """A policy is serialised as a name or as {"class_name": "DTypePolicy", "config": {"name": ...}}."""
    if not isinstance(policy, Mapping):
        return policy
    config = policy.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    if policy.get("class_name") == "DTypePolicyMap" and isinstance(config, Mapping):
        return _policy_name(config.get("default_policy")) or "float32"
    return name
