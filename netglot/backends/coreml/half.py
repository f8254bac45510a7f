"""Arithmetic in float16, by coremltools' passes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from netglot.coreml_import import coremltools

# After the casts around every operation: into the constants, and away where two meet.
_AFTER = ("const_elimination", "cast_optimization", "dead_code_elimination")
_SMALLEST = float(np.finfo(np.float16).tiny)  # below it float16 has fewer bits
_LARGEST = float(np.finfo(np.float16).max)


def halve(program: Any, full: Collection[Any]) -> None:
    """Makes the operations of a MIL program compute in float16, in place, but for those in `full`.

    Quantised weights and activations whose scales float16 would round away or can't hold keep float32 scales. Weights
    that only operations in `full` read stay as they are.
    """
    passes = coremltools("converters.mil.mil.passes")
    quantization = coremltools("converters.mil.mil.passes.defs.quantization")
    quantization.add_fp16_cast(lambda operation: _is_halved(operation, full)).apply(program)
    for name in _AFTER:
        passes.pass_registry.PASS_REGISTRY[f"common::{name}"](program)


def _is_halved(operation: Any, full: Collection[Any]) -> bool:
    if operation in full or not _fits(operation.inputs.get("scale")):
        return False
    readers = [reader for var in operation.outputs for reader in var.child_ops]
    return not (operation.op_type.startswith("constexpr_") and readers and all(one in full for one in readers))


def _fits(scale: Any) -> bool:
    """Whether a scale of a quantising operation (None: it has none) is a normal number of float16."""
    if scale is None or scale.val is None:
        return True
    return bool((np.abs(scale.val) >= _SMALLEST).all() and (np.abs(scale.val) <= _LARGEST).all())
