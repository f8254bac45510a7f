"""What a user may say about a model while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netglot.errors import Problem
from netglot.ir.graph import Graph
from netglot.ir.types import Shape


@dataclass(frozen=True)
class TensorSpec:
    """`--input NAME:SHAPE[:DTYPE]`; None leaves what the model says."""

    shape: Shape | None = None
    dtype: np.dtype | None = None


@dataclass(frozen=True)
class LoadOptions:
    """How to read a model.

    `inputs`: shapes and types that replace the model's own. `batch`: size of every input's first axis;
    `default_batch`: that where the model leaves it open, for targets that need sizes.
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
    default_batch: int | None = None

    def shape(self, name: str, shape: Shape | None) -> Shape | None:
        """The shape that input `name` is to have, where the model says `shape`."""
        wanted = self._wanted(name, shape)
        batch = self.default_batch if self.lacks_batch(name, shape) else self.batch
        return (batch, *wanted[1:]) if batch and wanted else wanted

    def lacks_batch(self, name: str, shape: Shape | None) -> bool:
        """Whether neither the model nor the user says the size of the first axis."""
        wanted = self._wanted(name, shape)
        return not self.batch and wanted is not None and not all(isinstance(dim, int) for dim in wanted[:1])

    def note_batch(self, graph: Graph, name: str, shape: Shape | None) -> None:
        """Tells the user, once, where `default_batch` was put in."""
        note = Problem(
            f"the model leaves the batch size open; it becomes {self.default_batch}", hint="--batch N makes it another."
        )
        if self.default_batch and self.lacks_batch(name, shape) and note not in graph.warnings:
            graph.warnings.append(note)

    def _wanted(self, name: str, shape: Shape | None) -> Shape | None:
        return self.inputs.get(name, TensorSpec()).shape or shape
