"""What a user may say about a model while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netglot.ir.types import Shape


@dataclass(frozen=True)
class TensorSpec:
    """`--input NAME:SHAPE[:DTYPE]`; None leaves what the model says."""

    shape: Shape | None = None
    dtype: np.dtype | None = None


@dataclass(frozen=True)
class LoadOptions:
    """How to read a model.

    `inputs`: shapes and types that replace the model's own. `batch`: size of every input's first axis.
    `placeholders`: let weights that are not given be zeros that take no memory (to inspect a network without weights).
    `mean`: a mean image (.binaryproto) that is subtracted from the first input. `outputs`: the tensors to compute, for
    frontends that read no more than these need. `signature`, `tag`: which part of a SavedModel is meant.
    """

    inputs: Mapping[str, TensorSpec] = field(default_factory=dict)
    batch: int | None = None
    placeholders: bool = False
    mean: Path | None = None
    outputs: tuple[str, ...] = ()
    signature: str | None = None
    tag: str | None = None

    def shape(self, name: str, shape: Shape | None) -> Shape | None:
        """The shape that input `name` is to have, where the model says `shape`."""
        wanted = self.inputs.get(name, TensorSpec()).shape or shape
        return (self.batch, *wanted[1:]) if self.batch and wanted else wanted
