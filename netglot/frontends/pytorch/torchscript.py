"""TorchScript: traced and scripted modules that torch.jit.save wrote."""

from __future__ import annotations

from pathlib import Path

from netglot.errors import ConversionError, Origin
from netglot.frontends.options import LoadOptions
from netglot.frontends.pytorch.archive import Archive
from netglot.frontends.pytorch.program import Program


def read(path: Path, archive: Archive, options: LoadOptions) -> Program:
    """The program of a TorchScript archive."""
    raise ConversionError("TorchScript can't be read yet", Origin(str(path)))
